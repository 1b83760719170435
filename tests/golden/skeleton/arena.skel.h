/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */

/* Written by rbpftool; what is changed here is lost when it is written again. */
#ifndef __ARENA_BPF_SKEL_H__
#define __ARENA_BPF_SKEL_H__

#include <errno.h>
#include <stdlib.h>
#include <bpf/libbpf.h>

#define BPF_SKEL_SUPPORTS_MAP_AUTO_ATTACH 1

struct arena_bpf {
	struct bpf_object_skeleton *skeleton;
	struct bpf_object *obj;
	struct {
		struct bpf_map *arena;
	} maps;
	struct {
		struct bpf_program *lists;
	} progs;
	struct {
		struct bpf_link *lists;
	} links;
	struct arena_bpf__arena {
		u64 total;
		struct node first;
		u64 room[600];
	} *arena;

#ifdef __cplusplus
	static inline struct arena_bpf *open(const struct bpf_object_open_opts *opts = nullptr);
	static inline struct arena_bpf *open_and_load();
	static inline int load(struct arena_bpf *skel);
	static inline int attach(struct arena_bpf *skel);
	static inline void detach(struct arena_bpf *skel);
	static inline void destroy(struct arena_bpf *skel);
	static inline const void *elf_bytes(size_t *sz);
#endif /* __cplusplus */
};

static inline int
arena_bpf__create_skeleton(struct arena_bpf *skel);

static inline const void *
arena_bpf__elf_bytes(size_t *sz);

/* Detaches, unloads and frees; NULL is fine. */
static void
arena_bpf__destroy(struct arena_bpf *skel)
{
	if (skel && skel->skeleton)
		bpf_object__destroy_skeleton(skel->skeleton);
	free(skel);
}

/* Reads the object; nothing is in the kernel yet. NULL and errno on failure. */
static inline struct arena_bpf *
arena_bpf__open_opts(const struct bpf_object_open_opts *opts)
{
	struct arena_bpf *skel = (struct arena_bpf *)calloc(1, sizeof(*skel));
	int err = skel ? arena_bpf__create_skeleton(skel) : -ENOMEM;

	if (!err)
		err = bpf_object__open_skeleton(skel->skeleton, opts);
	if (err) {
		arena_bpf__destroy(skel);
		errno = -err;
		return NULL;
	}
	return skel;
}

static inline struct arena_bpf *
arena_bpf__open(void)
{
	return arena_bpf__open_opts(NULL);
}

/* Makes the maps and loads the programs. */
static inline int
arena_bpf__load(struct arena_bpf *skel)
{
	return bpf_object__load_skeleton(skel->skeleton);
}

static inline struct arena_bpf *
arena_bpf__open_and_load(void)
{
	struct arena_bpf *skel = arena_bpf__open();
	int err = skel ? arena_bpf__load(skel) : 0;

	if (err) {
		arena_bpf__destroy(skel);
		errno = -err;
		return NULL;
	}
	return skel;
}

/* Attaches every program whose section says where. */
static inline int
arena_bpf__attach(struct arena_bpf *skel)
{
	return bpf_object__attach_skeleton(skel->skeleton);
}

static inline void
arena_bpf__detach(struct arena_bpf *skel)
{
	bpf_object__detach_skeleton(skel->skeleton);
}

/* Tells libbpf what is where. */
static inline int
arena_bpf__create_skeleton(struct arena_bpf *skel)
{
	struct bpf_map_skeleton *map __attribute__((unused));
	struct bpf_object_skeleton *s;

	s = (struct bpf_object_skeleton *)calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;

	s->sz = sizeof(*s);
	s->obj = &skel->obj;
	s->name = "arena_bpf";
	s->data = arena_bpf__elf_bytes(&s->data_sz);

	/* maps */
	s->map_cnt = 1;
	s->map_skel_sz = 24;
	s->maps = (struct bpf_map_skeleton *)
		calloc(s->map_cnt, sizeof(*s->maps) > 24 ? sizeof(*s->maps) : 24);
	if (!s->maps)
		goto no_memory;

	map = (struct bpf_map_skeleton *)((char *)s->maps + 0 * s->map_skel_sz);
	map->name = "arena";
	map->map = &skel->maps.arena;
	map->mmaped = (void **)&skel->arena;

	/* programs */
	s->prog_cnt = 1;
	s->prog_skel_sz = sizeof(*s->progs);
	s->progs = (struct bpf_prog_skeleton *)calloc(s->prog_cnt, s->prog_skel_sz);
	if (!s->progs)
		goto no_memory;

	s->progs[0].name = "lists";
	s->progs[0].prog = &skel->progs.lists;
	s->progs[0].link = &skel->links.lists;

	skel->skeleton = s;
	return 0;

no_memory:
	bpf_object__destroy_skeleton(s);
	return -ENOMEM;
}

/* The object file. */
static inline const void *
arena_bpf__elf_bytes(size_t *sz)
{
	static const char data[] __attribute__((__aligned__(8))) = "\
(bytes)\
";

	*sz = sizeof(data) - 1;
	return (const void *)data;
}

#ifdef __cplusplus
struct arena_bpf *arena_bpf::open(const struct bpf_object_open_opts *opts) { return arena_bpf__open_opts(opts); }
struct arena_bpf *arena_bpf::open_and_load() { return arena_bpf__open_and_load(); }
int arena_bpf::load(struct arena_bpf *skel) { return arena_bpf__load(skel); }
int arena_bpf::attach(struct arena_bpf *skel) { return arena_bpf__attach(skel); }
void arena_bpf::detach(struct arena_bpf *skel) { arena_bpf__detach(skel); }
void arena_bpf::destroy(struct arena_bpf *skel) { arena_bpf__destroy(skel); }
const void *arena_bpf::elf_bytes(size_t *sz) { return arena_bpf__elf_bytes(sz); }
#endif /* __cplusplus */

__attribute__((unused)) static void
arena_bpf__assert(struct arena_bpf *s __attribute__((unused)))
{
#ifdef __cplusplus
#define _Static_assert static_assert
#endif
	_Static_assert(sizeof(s->arena->total) == 8, "unexpected size of 'total'");
	_Static_assert(sizeof(s->arena->first) == 16, "unexpected size of 'first'");
	_Static_assert(sizeof(s->arena->room) == 4800, "unexpected size of 'room'");
#ifdef __cplusplus
#undef _Static_assert
#endif
}

#endif /* __ARENA_BPF_SKEL_H__ */
