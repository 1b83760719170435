/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */

/* Written by rbpftool; what is changed here is lost when it is written again. */
#ifndef __SKELETON_BPF_SUBSKEL_H__
#define __SKELETON_BPF_SUBSKEL_H__

#include <errno.h>
#include <stdlib.h>
#include <bpf/libbpf.h>

struct skeleton_bpf {
	struct bpf_object *obj;
	struct bpf_object_subskeleton *subskel;
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
	struct skeleton_bpf__rodata {
		u32 *watched;
		bool *enabled;
		enum kind *how;
		enum wide *much;
		__typeof__(char[12]) *label;
	} rodata;
	struct skeleton_bpf__data {
		__typeof__(struct shape[2]) *shapes;
		struct packed *tight;
		pair *both;
		union number *number;
		s64 *below;
		u32 *type;
		u32 *match;
	} data;
	struct skeleton_bpf__bss {
		u64 *others;
		u64 *count;
		enum kind *last;
		bool *seen;
		__typeof__(u8[3]) *room;
	} bss;
	struct skeleton_bpf__kconfig {
		int *LINUX_KERNEL_VERSION;
	} kconfig;

#ifdef __cplusplus
	static inline struct skeleton_bpf *open(const struct bpf_object *src);
	static inline void destroy(struct skeleton_bpf *skel);
#endif /* __cplusplus */
};

/* Frees what open has made; the object stays. NULL is fine. */
static inline void
skeleton_bpf__destroy(struct skeleton_bpf *skel)
{
	if (skel && skel->subskel)
		bpf_object__destroy_subskeleton(skel->subskel);
	free(skel);
}

/* Finds the parts in a loaded object. NULL and errno on failure. */
static inline struct skeleton_bpf *
skeleton_bpf__open(const struct bpf_object *src)
{
	struct bpf_map_skeleton *map __attribute__((unused));
	struct bpf_object_subskeleton *s;
	struct skeleton_bpf *skel;
	int err;

	skel = (struct skeleton_bpf *)calloc(1, sizeof(*skel));
	if (!skel)
		goto no_memory;
	s = (struct bpf_object_subskeleton *)calloc(1, sizeof(*s));
	if (!s)
		goto no_memory;

	skel->subskel = s;
	s->sz = sizeof(*s);
	s->obj = src;
	s->var_skel_sz = sizeof(*s->vars);

	/* variables */
	s->var_cnt = 18;
	s->vars = (struct bpf_var_skeleton *)calloc(s->var_cnt, sizeof(*s->vars));
	if (!s->vars)
		goto no_memory;

	s->vars[0].name = "watched";
	s->vars[0].map = &skel->maps.rodata;
	s->vars[0].addr = (void **)&skel->rodata.watched;

	s->vars[1].name = "enabled";
	s->vars[1].map = &skel->maps.rodata;
	s->vars[1].addr = (void **)&skel->rodata.enabled;

	s->vars[2].name = "how";
	s->vars[2].map = &skel->maps.rodata;
	s->vars[2].addr = (void **)&skel->rodata.how;

	s->vars[3].name = "much";
	s->vars[3].map = &skel->maps.rodata;
	s->vars[3].addr = (void **)&skel->rodata.much;

	s->vars[4].name = "label";
	s->vars[4].map = &skel->maps.rodata;
	s->vars[4].addr = (void **)&skel->rodata.label;

	s->vars[5].name = "shapes";
	s->vars[5].map = &skel->maps.data;
	s->vars[5].addr = (void **)&skel->data.shapes;

	s->vars[6].name = "tight";
	s->vars[6].map = &skel->maps.data;
	s->vars[6].addr = (void **)&skel->data.tight;

	s->vars[7].name = "both";
	s->vars[7].map = &skel->maps.data;
	s->vars[7].addr = (void **)&skel->data.both;

	s->vars[8].name = "number";
	s->vars[8].map = &skel->maps.data;
	s->vars[8].addr = (void **)&skel->data.number;

	s->vars[9].name = "below";
	s->vars[9].map = &skel->maps.data;
	s->vars[9].addr = (void **)&skel->data.below;

	s->vars[10].name = "type";
	s->vars[10].map = &skel->maps.data;
	s->vars[10].addr = (void **)&skel->data.type;

	s->vars[11].name = "match";
	s->vars[11].map = &skel->maps.data;
	s->vars[11].addr = (void **)&skel->data.match;

	s->vars[12].name = "others";
	s->vars[12].map = &skel->maps.bss;
	s->vars[12].addr = (void **)&skel->bss.others;

	s->vars[13].name = "count";
	s->vars[13].map = &skel->maps.bss;
	s->vars[13].addr = (void **)&skel->bss.count;

	s->vars[14].name = "last";
	s->vars[14].map = &skel->maps.bss;
	s->vars[14].addr = (void **)&skel->bss.last;

	s->vars[15].name = "seen";
	s->vars[15].map = &skel->maps.bss;
	s->vars[15].addr = (void **)&skel->bss.seen;

	s->vars[16].name = "room";
	s->vars[16].map = &skel->maps.bss;
	s->vars[16].addr = (void **)&skel->bss.room;

	s->vars[17].name = "LINUX_KERNEL_VERSION";
	s->vars[17].map = &skel->maps.kconfig;
	s->vars[17].addr = (void **)&skel->kconfig.LINUX_KERNEL_VERSION;

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
	map->name = ".rodata";
	map->map = &skel->maps.rodata;

	map = (struct bpf_map_skeleton *)((char *)s->maps + 2 * s->map_skel_sz);
	map->name = ".data";
	map->map = &skel->maps.data;

	map = (struct bpf_map_skeleton *)((char *)s->maps + 3 * s->map_skel_sz);
	map->name = ".bss";
	map->map = &skel->maps.bss;

	map = (struct bpf_map_skeleton *)((char *)s->maps + 4 * s->map_skel_sz);
	map->name = ".kconfig";
	map->map = &skel->maps.kconfig;

	/* programs */
	s->prog_cnt = 2;
	s->prog_skel_sz = sizeof(*s->progs);
	s->progs = (struct bpf_prog_skeleton *)calloc(s->prog_cnt, s->prog_skel_sz);
	if (!s->progs)
		goto no_memory;

	s->progs[0].name = "on_rename";
	s->progs[0].prog = &skel->progs.on_rename;

	s->progs[1].name = "sums";
	s->progs[1].prog = &skel->progs.sums;

	err = bpf_object__open_subskeleton(s);
	if (err)
		goto failed;

	return skel;

no_memory:
	err = -ENOMEM;
failed:
	skeleton_bpf__destroy(skel);
	errno = -err;
	return NULL;
}

#ifdef __cplusplus
struct skeleton_bpf *skeleton_bpf::open(const struct bpf_object *src) { return skeleton_bpf__open(src); }
void skeleton_bpf::destroy(struct skeleton_bpf *skel) { skeleton_bpf__destroy(skel); }
#endif /* __cplusplus */

#endif /* __SKELETON_BPF_SUBSKEL_H__ */
