/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */

/* Written by rbpftool; what is changed here is lost when it is written again. */
#ifndef __SKELETON_BPF_SKEL_H__
#define __SKELETON_BPF_SKEL_H__

#ifndef __KERNEL__
#include <errno.h>
#endif
#include <bpf/skel_internal.h>

struct skeleton_bpf {
	struct bpf_loader_ctx ctx;
	struct {
		struct bpf_map_desc events;
		struct bpf_map_desc rodata;
		struct bpf_map_desc data;
		struct bpf_map_desc bss;
		struct bpf_map_desc kconfig;
	} maps;
	struct {
		struct bpf_prog_desc on_rename;
		struct bpf_prog_desc sums;
	} progs;
	struct {
		int on_rename_fd;
		int sums_fd;
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
};

static inline int
skeleton_bpf__on_rename__attach(struct skeleton_bpf *skel)
{
	int prog_fd = skel->progs.on_rename.prog_fd;
	int fd = skel_raw_tracepoint_open("task_rename", prog_fd);

	if (fd > 0)
		skel->links.on_rename_fd = fd;
	return fd;
}

static inline int
skeleton_bpf__sums__attach(struct skeleton_bpf *skel)
{
	(void)skel;
	return 0; /* where it is attached is for the caller to say */
}

static inline int
skeleton_bpf__attach(struct skeleton_bpf *skel)
{
	int ret = 0;

	ret = ret < 0 ? ret : skeleton_bpf__on_rename__attach(skel);
	ret = ret < 0 ? ret : skeleton_bpf__sums__attach(skel);
	return ret < 0 ? ret : 0;
}

static inline void
skeleton_bpf__detach(struct skeleton_bpf *skel)
{
	skel_closenz(skel->links.on_rename_fd);
	skel_closenz(skel->links.sums_fd);
}

/* Detaches, unloads and frees; NULL is fine. */
static void
skeleton_bpf__destroy(struct skeleton_bpf *skel)
{
	if (!skel)
		return;
	skeleton_bpf__detach(skel);
	skel_closenz(skel->progs.on_rename.prog_fd);
	skel_closenz(skel->progs.sums.prog_fd);
	skel_closenz(skel->maps.events.map_fd);
	if (skel->rodata)
		skel_free_map_data(skel->rodata, skel->maps.rodata.initial_value, 4096);
	skel_closenz(skel->maps.rodata.map_fd);
	if (skel->data)
		skel_free_map_data(skel->data, skel->maps.data.initial_value, 4096);
	skel_closenz(skel->maps.data.map_fd);
	if (skel->bss)
		skel_free_map_data(skel->bss, skel->maps.bss.initial_value, 4096);
	skel_closenz(skel->maps.bss.map_fd);
	if (skel->kconfig)
		skel_free_map_data(skel->kconfig, skel->maps.kconfig.initial_value, 4096);
	skel_closenz(skel->maps.kconfig.map_fd);
	skel_free(skel);
}

/* Allocates the context and gives sections their values; nothing is in the kernel yet. */
static inline struct skeleton_bpf *
skeleton_bpf__open(void)
{
	struct skeleton_bpf *skel;

	skel = (struct skeleton_bpf *)skel_alloc(sizeof(*skel));
	if (!skel)
		return NULL;
	skel->ctx.sz = 112;
	{
		static const char data[] __attribute__((__aligned__(8))) = "\
(bytes)\
";

		skel->rodata = (__typeof__(skel->rodata))
			skel_prep_map_data((void *)data, 4096, sizeof(data) - 1);
		if (!skel->rodata)
			goto cleanup;
		skel->maps.rodata.initial_value = (__u64)(long)skel->rodata;
	}
	{
		static const char data[] __attribute__((__aligned__(8))) = "\
(bytes)\
";

		skel->data = (__typeof__(skel->data))
			skel_prep_map_data((void *)data, 4096, sizeof(data) - 1);
		if (!skel->data)
			goto cleanup;
		skel->maps.data.initial_value = (__u64)(long)skel->data;
	}
	{
		static const char data[] __attribute__((__aligned__(8))) = "\
(bytes)\
";

		skel->bss = (__typeof__(skel->bss))
			skel_prep_map_data((void *)data, 4096, sizeof(data) - 1);
		if (!skel->bss)
			goto cleanup;
		skel->maps.bss.initial_value = (__u64)(long)skel->bss;
	}
	{
		static const char data[] __attribute__((__aligned__(8))) = "\
(bytes)\
";

		skel->kconfig = (__typeof__(skel->kconfig))
			skel_prep_map_data((void *)data, 4096, sizeof(data) - 1);
		if (!skel->kconfig)
			goto cleanup;
		skel->maps.kconfig.initial_value = (__u64)(long)skel->kconfig;
	}
	return skel;
cleanup:
	skeleton_bpf__destroy(skel);
	return NULL;
}

/* Runs the loader program, which makes the maps and loads the programs. */
static inline int
skeleton_bpf__load(struct skeleton_bpf *skel)
{
	struct bpf_load_and_run_opts opts = {};
	int err;
	static const char opts_data[] __attribute__((__aligned__(8))) = "\
(bytes)\
";
	static const char opts_insn[] __attribute__((__aligned__(8))) = "\
(bytes)\
";

	opts.ctx = (struct bpf_loader_ctx *)skel;
	opts.data_sz = sizeof(opts_data) - 1;
	opts.data = (void *)opts_data;
	opts.insns_sz = sizeof(opts_insn) - 1;
	opts.insns = (void *)opts_insn;

	err = bpf_load_and_run(&opts);
	if (err < 0)
		return err;
	skel->rodata = (__typeof__(skel->rodata))
		skel_finalize_map_data(&skel->maps.rodata.initial_value, 4096,
				       PROT_READ, skel->maps.rodata.map_fd);
	if (!skel->rodata)
		return -ENOMEM;
	skel->data = (__typeof__(skel->data))
		skel_finalize_map_data(&skel->maps.data.initial_value, 4096,
				       PROT_READ | PROT_WRITE, skel->maps.data.map_fd);
	if (!skel->data)
		return -ENOMEM;
	skel->bss = (__typeof__(skel->bss))
		skel_finalize_map_data(&skel->maps.bss.initial_value, 4096,
				       PROT_READ | PROT_WRITE, skel->maps.bss.map_fd);
	if (!skel->bss)
		return -ENOMEM;
	skel->kconfig = (__typeof__(skel->kconfig))
		skel_finalize_map_data(&skel->maps.kconfig.initial_value, 4096,
				       PROT_READ, skel->maps.kconfig.map_fd);
	if (!skel->kconfig)
		return -ENOMEM;
	return 0;
}

static inline struct skeleton_bpf *
skeleton_bpf__open_and_load(void)
{
	struct skeleton_bpf *skel = skeleton_bpf__open();

	if (skel && skeleton_bpf__load(skel)) {
		skeleton_bpf__destroy(skel);
		return NULL;
	}
	return skel;
}

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
