/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */

/* Written by rbpftool; what is changed here is lost when it is written again. */
#ifndef __STRUCT_OPS_BPF_SUBSKEL_H__
#define __STRUCT_OPS_BPF_SUBSKEL_H__

#include <errno.h>
#include <stdlib.h>
#include <bpf/libbpf.h>

struct struct_ops_bpf {
	struct bpf_object *obj;
	struct bpf_object_subskeleton *subskel;
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
	struct struct_ops_bpf__bss {
		u32 *inits;
	} bss;

#ifdef __cplusplus
	static inline struct struct_ops_bpf *open(const struct bpf_object *src);
	static inline void destroy(struct struct_ops_bpf *skel);
#endif /* __cplusplus */
};

/* Frees what open has made; the object stays. NULL is fine. */
static inline void
struct_ops_bpf__destroy(struct struct_ops_bpf *skel)
{
	if (skel && skel->subskel)
		bpf_object__destroy_subskeleton(skel->subskel);
	free(skel);
}

/* Finds the parts in a loaded object. NULL and errno on failure. */
static inline struct struct_ops_bpf *
struct_ops_bpf__open(const struct bpf_object *src)
{
	struct bpf_map_skeleton *map __attribute__((unused));
	struct bpf_object_subskeleton *s;
	struct struct_ops_bpf *skel;
	int err;

	skel = (struct struct_ops_bpf *)calloc(1, sizeof(*skel));
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
	s->var_cnt = 1;
	s->vars = (struct bpf_var_skeleton *)calloc(s->var_cnt, sizeof(*s->vars));
	if (!s->vars)
		goto no_memory;

	s->vars[0].name = "inits";
	s->vars[0].map = &skel->maps.bss;
	s->vars[0].addr = (void **)&skel->bss.inits;

	/* maps */
	s->map_cnt = 3;
	s->map_skel_sz = 24;
	s->maps = (struct bpf_map_skeleton *)
		calloc(s->map_cnt, sizeof(*s->maps) > 24 ? sizeof(*s->maps) : 24);
	if (!s->maps)
		goto no_memory;

	map = (struct bpf_map_skeleton *)((char *)s->maps + 0 * s->map_skel_sz);
	map->name = ".bss";
	map->map = &skel->maps.bss;

	map = (struct bpf_map_skeleton *)((char *)s->maps + 1 * s->map_skel_sz);
	map->name = "linked";
	map->map = &skel->maps.linked;

	map = (struct bpf_map_skeleton *)((char *)s->maps + 2 * s->map_skel_sz);
	map->name = "kept";
	map->map = &skel->maps.kept;

	/* programs */
	s->prog_cnt = 4;
	s->prog_skel_sz = sizeof(*s->progs);
	s->progs = (struct bpf_prog_skeleton *)calloc(s->prog_cnt, s->prog_skel_sz);
	if (!s->progs)
		goto no_memory;

	s->progs[0].name = "ssthresh";
	s->progs[0].prog = &skel->progs.ssthresh;

	s->progs[1].name = "cong_avoid";
	s->progs[1].prog = &skel->progs.cong_avoid;

	s->progs[2].name = "undo_cwnd";
	s->progs[2].prog = &skel->progs.undo_cwnd;

	s->progs[3].name = "init";
	s->progs[3].prog = &skel->progs.init;

	err = bpf_object__open_subskeleton(s);
	if (err)
		goto failed;

	skel->struct_ops.linked = (__typeof__(skel->struct_ops.linked))
		bpf_map__initial_value(skel->maps.linked, NULL);
	skel->struct_ops.kept = (__typeof__(skel->struct_ops.kept))
		bpf_map__initial_value(skel->maps.kept, NULL);
	return skel;

no_memory:
	err = -ENOMEM;
failed:
	struct_ops_bpf__destroy(skel);
	errno = -err;
	return NULL;
}

#ifdef __cplusplus
struct struct_ops_bpf *struct_ops_bpf::open(const struct bpf_object *src) { return struct_ops_bpf__open(src); }
void struct_ops_bpf::destroy(struct struct_ops_bpf *skel) { struct_ops_bpf__destroy(skel); }
#endif /* __cplusplus */

#endif /* __STRUCT_OPS_BPF_SUBSKEL_H__ */
