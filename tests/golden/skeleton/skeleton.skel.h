/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */

/* Written by rbpftool; what is changed here is lost when it is written again. */
#ifndef __SKELETON_BPF_SKEL_H__
#define __SKELETON_BPF_SKEL_H__

#include <errno.h>
#include <stdlib.h>
#include <bpf/libbpf.h>

#define BPF_SKEL_SUPPORTS_MAP_AUTO_ATTACH 1

struct skeleton_bpf {
	struct bpf_object_skeleton *skeleton;
	struct bpf_object *obj;
	struct {
		struct bpf_map *events;
		struct bpf_map *rodata;
		struct bpf_map *data;
		struct bpf_map *bss;
		struct bpf_map *kconfig;
	} maps;
	struct {
		struct bpf_program *on_rename;
		struct bpf_program *sums;
	} progs;
	struct {
		struct bpf_link *on_rename;
		struct bpf_link *sums;
	} links;
	struct skeleton_bpf__rodata {
		u32 watched;
		bool enabled;
		enum kind how;
		char __pad0[4];
		enum wide much;
		char label[12];
	} *rodata;
	struct skeleton_bpf__data {
		struct shape shapes[2];
		struct packed tight;
		pair both;
		char __pad0[4];
		union number number;
		s64 below;
		u32 type;
		u32 match;
	} *data;
	struct skeleton_bpf__bss {
		u64 others;
		u64 count;
		enum kind last;
		bool seen;
		u8 room[3];
	} *bss;
	struct skeleton_bpf__kconfig {
		int LINUX_KERNEL_VERSION;
	} *kconfig;

#ifdef __cplusplus
	static inline struct skeleton_bpf *open(const struct bpf_object_open_opts *opts = nullptr);
	static inline struct skeleton_bpf *open_and_load();
	static inline int load(struct skeleton_bpf *skel);
	static inline int attach(struct skeleton_bpf *skel);
	static inline void detach(struct skeleton_bpf *skel);
	static inline void destroy(struct skeleton_bpf *skel);
	static inline const void *elf_bytes(size_t *sz);
#endif /* __cplusplus */
};

static inline int
skeleton_bpf__create_skeleton(struct skeleton_bpf *skel);

static inline const void *
skeleton_bpf__elf_bytes(size_t *sz);

/* Detaches, unloads and frees; NULL is fine. */
static void
skeleton_bpf__destroy(struct skeleton_bpf *skel)
{
	if (skel && skel->skeleton)
		bpf_object__destroy_skeleton(skel->skeleton);
	free(skel);
}

/* Reads the object; nothing is in the kernel yet. NULL and errno on failure. */
static inline struct skeleton_bpf *
skeleton_bpf__open_opts(const struct bpf_object_open_opts *opts)
{
	struct skeleton_bpf *skel = (struct skeleton_bpf *)calloc(1, sizeof(*skel));
	int err = skel ? skeleton_bpf__create_skeleton(skel) : -ENOMEM;

	if (!err)
		err = bpf_object__open_skeleton(skel->skeleton, opts);
	if (err) {
		skeleton_bpf__destroy(skel);
		errno = -err;
		return NULL;
	}
	return skel;
}

static inline struct skeleton_bpf *
skeleton_bpf__open(void)
{
	return skeleton_bpf__open_opts(NULL);
}

/* Makes the maps and loads the programs. */
static inline int
skeleton_bpf__load(struct skeleton_bpf *skel)
{
	return bpf_object__load_skeleton(skel->skeleton);
}

static inline struct skeleton_bpf *
skeleton_bpf__open_and_load(void)
{
	struct skeleton_bpf *skel = skeleton_bpf__open();
	int err = skel ? skeleton_bpf__load(skel) : 0;

	if (err) {
		skeleton_bpf__destroy(skel);
		errno = -err;
		return NULL;
	}
	return skel;
}

/* Attaches every program whose section says where. */
static inline int
skeleton_bpf__attach(struct skeleton_bpf *skel)
{
	return bpf_object__attach_skeleton(skel->skeleton);
}

static inline void
skeleton_bpf__detach(struct skeleton_bpf *skel)
{
	bpf_object__detach_skeleton(skel->skeleton);
}

/* Tells libbpf what is where. */
static inline int
skeleton_bpf__create_skeleton(struct skeleton_bpf *skel)
{
	struct bpf_map_skeleton *map __attribute__((unused));
	struct bpf_object_skeleton *s;

	s = (struct bpf_object_skeleton *)calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;

	s->sz = sizeof(*s);
	s->obj = &skel->obj;
	s->name = "skeleton_bpf";
	s->data = skeleton_bpf__elf_bytes(&s->data_sz);

	/* maps */
	s->map_cnt = 5;
	s->map_skel_sz = 24;
	s->maps = (struct bpf_map_skeleton *)
		calloc(s->map_cnt, sizeof(*s->maps) > 24 ? sizeof(*s->maps) : 24);
	if (!s->maps)
		goto no_memory;

	map = (struct bpf_map_skeleton *)((char *)s->maps + 0 * s->map_skel_sz);
	map->name = "events";
	map->map = &skel->maps.events;

	map = (struct bpf_map_skeleton *)((char *)s->maps + 1 * s->map_skel_sz);
	map->name = "skeleton.rodata";
	map->map = &skel->maps.rodata;
	map->mmaped = (void **)&skel->rodata;

	map = (struct bpf_map_skeleton *)((char *)s->maps + 2 * s->map_skel_sz);
	map->name = "skeleton.data";
	map->map = &skel->maps.data;
	map->mmaped = (void **)&skel->data;

	map = (struct bpf_map_skeleton *)((char *)s->maps + 3 * s->map_skel_sz);
	map->name = "skeleton.bss";
	map->map = &skel->maps.bss;
	map->mmaped = (void **)&skel->bss;

	map = (struct bpf_map_skeleton *)((char *)s->maps + 4 * s->map_skel_sz);
	map->name = "skeleto.kconfig";
	map->map = &skel->maps.kconfig;
	map->mmaped = (void **)&skel->kconfig;

	/* programs */
	s->prog_cnt = 2;
	s->prog_skel_sz = sizeof(*s->progs);
	s->progs = (struct bpf_prog_skeleton *)calloc(s->prog_cnt, s->prog_skel_sz);
	if (!s->progs)
		goto no_memory;

	s->progs[0].name = "on_rename";
	s->progs[0].prog = &skel->progs.on_rename;
	s->progs[0].link = &skel->links.on_rename;

	s->progs[1].name = "sums";
	s->progs[1].prog = &skel->progs.sums;
	s->progs[1].link = &skel->links.sums;

	skel->skeleton = s;
	return 0;

no_memory:
	bpf_object__destroy_skeleton(s);
	return -ENOMEM;
}

/* The object file. */
static inline const void *
skeleton_bpf__elf_bytes(size_t *sz)
{
	static const char data[] __attribute__((__aligned__(8))) = "\
(bytes)\
";

	*sz = sizeof(data) - 1;
	return (const void *)data;
}

#ifdef __cplusplus
struct skeleton_bpf *skeleton_bpf::open(const struct bpf_object_open_opts *opts) { return skeleton_bpf__open_opts(opts); }
struct skeleton_bpf *skeleton_bpf::open_and_load() { return skeleton_bpf__open_and_load(); }
int skeleton_bpf::load(struct skeleton_bpf *skel) { return skeleton_bpf__load(skel); }
int skeleton_bpf::attach(struct skeleton_bpf *skel) { return skeleton_bpf__attach(skel); }
void skeleton_bpf::detach(struct skeleton_bpf *skel) { skeleton_bpf__detach(skel); }
void skeleton_bpf::destroy(struct skeleton_bpf *skel) { skeleton_bpf__destroy(skel); }
const void *skeleton_bpf::elf_bytes(size_t *sz) { return skeleton_bpf__elf_bytes(sz); }
#endif /* __cplusplus */

__attribute__((unused)) static void
skeleton_bpf__assert(struct skeleton_bpf *s __attribute__((unused)))
{
#ifdef __cplusplus
#define _Static_assert static_assert
#endif
	_Static_assert(sizeof(s->rodata->watched) == 4, "unexpected size of 'watched'");
	_Static_assert(sizeof(s->rodata->enabled) == 1, "unexpected size of 'enabled'");
	_Static_assert(sizeof(s->rodata->how) == 4, "unexpected size of 'how'");
	_Static_assert(sizeof(s->rodata->much) == 8, "unexpected size of 'much'");
	_Static_assert(sizeof(s->rodata->label) == 12, "unexpected size of 'label'");
	_Static_assert(sizeof(s->data->shapes) == 64, "unexpected size of 'shapes'");
	_Static_assert(sizeof(s->data->tight) == 11, "unexpected size of 'tight'");
	_Static_assert(sizeof(s->data->both) == 8, "unexpected size of 'both'");
	_Static_assert(sizeof(s->data->number) == 8, "unexpected size of 'number'");
	_Static_assert(sizeof(s->data->below) == 8, "unexpected size of 'below'");
	_Static_assert(sizeof(s->data->type) == 4, "unexpected size of 'type'");
	_Static_assert(sizeof(s->data->match) == 4, "unexpected size of 'match'");
	_Static_assert(sizeof(s->bss->others) == 8, "unexpected size of 'others'");
	_Static_assert(sizeof(s->bss->count) == 8, "unexpected size of 'count'");
	_Static_assert(sizeof(s->bss->last) == 4, "unexpected size of 'last'");
	_Static_assert(sizeof(s->bss->seen) == 1, "unexpected size of 'seen'");
	_Static_assert(sizeof(s->bss->room) == 3, "unexpected size of 'room'");
	_Static_assert(sizeof(s->kconfig->LINUX_KERNEL_VERSION) == 4, "unexpected size of 'LINUX_KERNEL_VERSION'");
#ifdef __cplusplus
#undef _Static_assert
#endif
}

#endif /* __SKELETON_BPF_SKEL_H__ */
