/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */

/* Written by rbpftool; what is changed here is lost when it is written again. */
#ifndef __KCONFIG_BPF_SUBSKEL_H__
#define __KCONFIG_BPF_SUBSKEL_H__

#include <errno.h>
#include <stdlib.h>
#include <bpf/libbpf.h>

struct kconfig_bpf {
	struct bpf_object *obj;
	struct bpf_object_subskeleton *subskel;
	struct {
		struct bpf_map *bss;
		struct bpf_map *kconfig;
	} maps;
	struct {
		struct bpf_program *reads;
	} progs;
	struct kconfig_bpf__bss {
		u32 *version;
		u32 *found;
	} bss;
	struct kconfig_bpf__kconfig {
		u64 *CONFIG_PHYSICAL_START;
		u64 *LINUX_OF_TOMORROW;
		enum libbpf_tristate *CONFIG_BPF;
		s32 *CONFIG_NR_CPUS;
		u32 *CONFIG_NUMBER_OF_NO_KERNEL;
		int *LINUX_KERNEL_VERSION;
		u16 *CONFIG_HZ;
		bool *CONFIG_BPF_SYSCALL;
		u8 *CONFIG_LOG_BUF_SHIFT;
		char *CONFIG_NET;
		bool *CONFIG_OF_NO_KERNEL;
		bool *LINUX_HAS_BPF_COOKIE;
		bool *LINUX_HAS_SYSCALL_WRAPPER;
		__typeof__(char[8]) *CONFIG_TEXT_OF_NO_KERNEL;
		__typeof__(char[16]) *CONFIG_DEFAULT_HOSTNAME;
	} kconfig;

#ifdef __cplusplus
	static inline struct kconfig_bpf *open(const struct bpf_object *src);
	static inline void destroy(struct kconfig_bpf *skel);
#endif /* __cplusplus */
};

/* Frees what open has made; the object stays. NULL is fine. */
static inline void
kconfig_bpf__destroy(struct kconfig_bpf *skel)
{
	if (skel && skel->subskel)
		bpf_object__destroy_subskeleton(skel->subskel);
	free(skel);
}

/* Finds the parts in a loaded object. NULL and errno on failure. */
static inline struct kconfig_bpf *
kconfig_bpf__open(const struct bpf_object *src)
{
	struct bpf_map_skeleton *map __attribute__((unused));
	struct bpf_object_subskeleton *s;
	struct kconfig_bpf *skel;
	int err;

	skel = (struct kconfig_bpf *)calloc(1, sizeof(*skel));
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
	s->var_cnt = 17;
	s->vars = (struct bpf_var_skeleton *)calloc(s->var_cnt, sizeof(*s->vars));
	if (!s->vars)
		goto no_memory;

	s->vars[0].name = "version";
	s->vars[0].map = &skel->maps.bss;
	s->vars[0].addr = (void **)&skel->bss.version;

	s->vars[1].name = "found";
	s->vars[1].map = &skel->maps.bss;
	s->vars[1].addr = (void **)&skel->bss.found;

	s->vars[2].name = "CONFIG_PHYSICAL_START";
	s->vars[2].map = &skel->maps.kconfig;
	s->vars[2].addr = (void **)&skel->kconfig.CONFIG_PHYSICAL_START;

	s->vars[3].name = "LINUX_OF_TOMORROW";
	s->vars[3].map = &skel->maps.kconfig;
	s->vars[3].addr = (void **)&skel->kconfig.LINUX_OF_TOMORROW;

	s->vars[4].name = "CONFIG_BPF";
	s->vars[4].map = &skel->maps.kconfig;
	s->vars[4].addr = (void **)&skel->kconfig.CONFIG_BPF;

	s->vars[5].name = "CONFIG_NR_CPUS";
	s->vars[5].map = &skel->maps.kconfig;
	s->vars[5].addr = (void **)&skel->kconfig.CONFIG_NR_CPUS;

	s->vars[6].name = "CONFIG_NUMBER_OF_NO_KERNEL";
	s->vars[6].map = &skel->maps.kconfig;
	s->vars[6].addr = (void **)&skel->kconfig.CONFIG_NUMBER_OF_NO_KERNEL;

	s->vars[7].name = "LINUX_KERNEL_VERSION";
	s->vars[7].map = &skel->maps.kconfig;
	s->vars[7].addr = (void **)&skel->kconfig.LINUX_KERNEL_VERSION;

	s->vars[8].name = "CONFIG_HZ";
	s->vars[8].map = &skel->maps.kconfig;
	s->vars[8].addr = (void **)&skel->kconfig.CONFIG_HZ;

	s->vars[9].name = "CONFIG_BPF_SYSCALL";
	s->vars[9].map = &skel->maps.kconfig;
	s->vars[9].addr = (void **)&skel->kconfig.CONFIG_BPF_SYSCALL;

	s->vars[10].name = "CONFIG_LOG_BUF_SHIFT";
	s->vars[10].map = &skel->maps.kconfig;
	s->vars[10].addr = (void **)&skel->kconfig.CONFIG_LOG_BUF_SHIFT;

	s->vars[11].name = "CONFIG_NET";
	s->vars[11].map = &skel->maps.kconfig;
	s->vars[11].addr = (void **)&skel->kconfig.CONFIG_NET;

	s->vars[12].name = "CONFIG_OF_NO_KERNEL";
	s->vars[12].map = &skel->maps.kconfig;
	s->vars[12].addr = (void **)&skel->kconfig.CONFIG_OF_NO_KERNEL;

	s->vars[13].name = "LINUX_HAS_BPF_COOKIE";
	s->vars[13].map = &skel->maps.kconfig;
	s->vars[13].addr = (void **)&skel->kconfig.LINUX_HAS_BPF_COOKIE;

	s->vars[14].name = "LINUX_HAS_SYSCALL_WRAPPER";
	s->vars[14].map = &skel->maps.kconfig;
	s->vars[14].addr = (void **)&skel->kconfig.LINUX_HAS_SYSCALL_WRAPPER;

	s->vars[15].name = "CONFIG_TEXT_OF_NO_KERNEL";
	s->vars[15].map = &skel->maps.kconfig;
	s->vars[15].addr = (void **)&skel->kconfig.CONFIG_TEXT_OF_NO_KERNEL;

	s->vars[16].name = "CONFIG_DEFAULT_HOSTNAME";
	s->vars[16].map = &skel->maps.kconfig;
	s->vars[16].addr = (void **)&skel->kconfig.CONFIG_DEFAULT_HOSTNAME;

	/* maps */
	s->map_cnt = 2;
	s->map_skel_sz = 24;
	s->maps = (struct bpf_map_skeleton *)
		calloc(s->map_cnt, sizeof(*s->maps) > 24 ? sizeof(*s->maps) : 24);
	if (!s->maps)
		goto no_memory;

	map = (struct bpf_map_skeleton *)((char *)s->maps + 0 * s->map_skel_sz);
	map->name = ".bss";
	map->map = &skel->maps.bss;

	map = (struct bpf_map_skeleton *)((char *)s->maps + 1 * s->map_skel_sz);
	map->name = ".kconfig";
	map->map = &skel->maps.kconfig;

	/* programs */
	s->prog_cnt = 1;
	s->prog_skel_sz = sizeof(*s->progs);
	s->progs = (struct bpf_prog_skeleton *)calloc(s->prog_cnt, s->prog_skel_sz);
	if (!s->progs)
		goto no_memory;

	s->progs[0].name = "reads";
	s->progs[0].prog = &skel->progs.reads;

	err = bpf_object__open_subskeleton(s);
	if (err)
		goto failed;

	return skel;

no_memory:
	err = -ENOMEM;
failed:
	kconfig_bpf__destroy(skel);
	errno = -err;
	return NULL;
}

#ifdef __cplusplus
struct kconfig_bpf *kconfig_bpf::open(const struct bpf_object *src) { return kconfig_bpf__open(src); }
void kconfig_bpf::destroy(struct kconfig_bpf *skel) { kconfig_bpf__destroy(skel); }
#endif /* __cplusplus */

#endif /* __KCONFIG_BPF_SUBSKEL_H__ */
