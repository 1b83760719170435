/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */

/* Written by rbpftool; what is changed here is lost when it is written again. */
#ifndef __STRUCT_OPS_BPF_SKEL_H__
#define __STRUCT_OPS_BPF_SKEL_H__

#include <errno.h>
#include <stdlib.h>
#include <bpf/libbpf.h>

#define BPF_SKEL_SUPPORTS_MAP_AUTO_ATTACH 1

struct struct_ops_bpf {
	struct bpf_object_skeleton *skeleton;
	struct bpf_object *obj;
	struct {
		struct bpf_map *bss;
		struct bpf_map *linked;
		struct bpf_map *kept;
	} maps;
	struct {
		struct struct_ops_bpf__linked__tcp_congestion_ops {
			struct bpf_program *ssthresh;
			struct bpf_program *cong_avoid;
			struct bpf_program *undo_cwnd;
			struct bpf_program *init;
			unsigned int flags;
			char __unsupported_5[16];
			char __padding_end[4];
		} *linked;
		struct struct_ops_bpf__kept__tcp_congestion_ops___newer {
			struct bpf_program *ssthresh;
			struct bpf_program *cong_avoid;
			struct bpf_program *undo_cwnd;
			struct bpf_program *of_tomorrow;
			unsigned long long also_of_tomorrow;
			char __unsupported_5[16];
		} *kept;
	} struct_ops;
	struct {
		struct bpf_program *ssthresh;
		struct bpf_program *cong_avoid;
		struct bpf_program *undo_cwnd;
		struct bpf_program *init;
	} progs;
	struct {
		struct bpf_link *ssthresh;
		struct bpf_link *cong_avoid;
		struct bpf_link *undo_cwnd;
		struct bpf_link *init;
		struct bpf_link *linked;
		struct bpf_link *kept;
	} links;
	struct struct_ops_bpf__bss {
		u32 inits;
	} *bss;

#ifdef __cplusplus
	static inline struct struct_ops_bpf *open(const struct bpf_object_open_opts *opts = nullptr);
	static inline struct struct_ops_bpf *open_and_load();
	static inline int load(struct struct_ops_bpf *skel);
	static inline int attach(struct struct_ops_bpf *skel);
	static inline void detach(struct struct_ops_bpf *skel);
	static inline void destroy(struct struct_ops_bpf *skel);
	static inline const void *elf_bytes(size_t *sz);
#endif /* __cplusplus */
};

static inline int
struct_ops_bpf__create_skeleton(struct struct_ops_bpf *skel);

static inline const void *
struct_ops_bpf__elf_bytes(size_t *sz);

/* Detaches, unloads and frees; NULL is fine. */
static void
struct_ops_bpf__destroy(struct struct_ops_bpf *skel)
{
	if (skel && skel->skeleton)
		bpf_object__destroy_skeleton(skel->skeleton);
	free(skel);
}

/* Reads the object; nothing is in the kernel yet. NULL and errno on failure. */
static inline struct struct_ops_bpf *
struct_ops_bpf__open_opts(const struct bpf_object_open_opts *opts)
{
	struct struct_ops_bpf *skel = (struct struct_ops_bpf *)calloc(1, sizeof(*skel));
	int err = skel ? struct_ops_bpf__create_skeleton(skel) : -ENOMEM;

	if (!err)
		err = bpf_object__open_skeleton(skel->skeleton, opts);
	if (err) {
		struct_ops_bpf__destroy(skel);
		errno = -err;
		return NULL;
	}
	skel->struct_ops.linked = (__typeof__(skel->struct_ops.linked))
		bpf_map__initial_value(skel->maps.linked, NULL);
	skel->struct_ops.kept = (__typeof__(skel->struct_ops.kept))
		bpf_map__initial_value(skel->maps.kept, NULL);
	return skel;
}

static inline struct struct_ops_bpf *
struct_ops_bpf__open(void)
{
	return struct_ops_bpf__open_opts(NULL);
}

/* Makes the maps and loads the programs. */
static inline int
struct_ops_bpf__load(struct struct_ops_bpf *skel)
{
	return bpf_object__load_skeleton(skel->skeleton);
}

static inline struct struct_ops_bpf *
struct_ops_bpf__open_and_load(void)
{
	struct struct_ops_bpf *skel = struct_ops_bpf__open();
	int err = skel ? struct_ops_bpf__load(skel) : 0;

	if (err) {
		struct_ops_bpf__destroy(skel);
		errno = -err;
		return NULL;
	}
	return skel;
}

/* Attaches every program whose section says where. */
static inline int
struct_ops_bpf__attach(struct struct_ops_bpf *skel)
{
	return bpf_object__attach_skeleton(skel->skeleton);
}

static inline void
struct_ops_bpf__detach(struct struct_ops_bpf *skel)
{
	bpf_object__detach_skeleton(skel->skeleton);
}

/* Tells libbpf what is where. */
static inline int
struct_ops_bpf__create_skeleton(struct struct_ops_bpf *skel)
{
	struct bpf_map_skeleton *map __attribute__((unused));
	struct bpf_object_skeleton *s;

	s = (struct bpf_object_skeleton *)calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;

	s->sz = sizeof(*s);
	s->obj = &skel->obj;
	s->name = "struct_ops_bpf";
	s->data = struct_ops_bpf__elf_bytes(&s->data_sz);

	/* maps */
	s->map_cnt = 3;
	s->map_skel_sz = 32;
	s->maps = (struct bpf_map_skeleton *)
		calloc(s->map_cnt, sizeof(*s->maps) > 32 ? sizeof(*s->maps) : 32);
	if (!s->maps)
		goto no_memory;

	map = (struct bpf_map_skeleton *)((char *)s->maps + 0 * s->map_skel_sz);
	map->name = "struct_o.bss";
	map->map = &skel->maps.bss;
	map->mmaped = (void **)&skel->bss;

	map = (struct bpf_map_skeleton *)((char *)s->maps + 1 * s->map_skel_sz);
	map->name = "linked";
	map->map = &skel->maps.linked;
	map->link = &skel->links.linked;

	map = (struct bpf_map_skeleton *)((char *)s->maps + 2 * s->map_skel_sz);
	map->name = "kept";
	map->map = &skel->maps.kept;
	map->link = &skel->links.kept;

	/* programs */
	s->prog_cnt = 4;
	s->prog_skel_sz = sizeof(*s->progs);
	s->progs = (struct bpf_prog_skeleton *)calloc(s->prog_cnt, s->prog_skel_sz);
	if (!s->progs)
		goto no_memory;

	s->progs[0].name = "ssthresh";
	s->progs[0].prog = &skel->progs.ssthresh;
	s->progs[0].link = &skel->links.ssthresh;

	s->progs[1].name = "cong_avoid";
	s->progs[1].prog = &skel->progs.cong_avoid;
	s->progs[1].link = &skel->links.cong_avoid;

	s->progs[2].name = "undo_cwnd";
	s->progs[2].prog = &skel->progs.undo_cwnd;
	s->progs[2].link = &skel->links.undo_cwnd;

	s->progs[3].name = "init";
	s->progs[3].prog = &skel->progs.init;
	s->progs[3].link = &skel->links.init;

	skel->skeleton = s;
	return 0;

no_memory:
	bpf_object__destroy_skeleton(s);
	return -ENOMEM;
}

/* The object file. */
static inline const void *
struct_ops_bpf__elf_bytes(size_t *sz)
{
	static const char data[] __attribute__((__aligned__(8))) = "\
(bytes)\
";

	*sz = sizeof(data) - 1;
	return (const void *)data;
}

#ifdef __cplusplus
struct struct_ops_bpf *struct_ops_bpf::open(const struct bpf_object_open_opts *opts) { return struct_ops_bpf__open_opts(opts); }
struct struct_ops_bpf *struct_ops_bpf::open_and_load() { return struct_ops_bpf__open_and_load(); }
int struct_ops_bpf::load(struct struct_ops_bpf *skel) { return struct_ops_bpf__load(skel); }
int struct_ops_bpf::attach(struct struct_ops_bpf *skel) { return struct_ops_bpf__attach(skel); }
void struct_ops_bpf::detach(struct struct_ops_bpf *skel) { struct_ops_bpf__detach(skel); }
void struct_ops_bpf::destroy(struct struct_ops_bpf *skel) { struct_ops_bpf__destroy(skel); }
const void *struct_ops_bpf::elf_bytes(size_t *sz) { return struct_ops_bpf__elf_bytes(sz); }
#endif /* __cplusplus */

__attribute__((unused)) static void
struct_ops_bpf__assert(struct struct_ops_bpf *s __attribute__((unused)))
{
#ifdef __cplusplus
#define _Static_assert static_assert
#endif
	_Static_assert(sizeof(s->bss->inits) == 4, "unexpected size of 'inits'");
#ifdef __cplusplus
#undef _Static_assert
#endif
}

#endif /* __STRUCT_OPS_BPF_SKEL_H__ */
