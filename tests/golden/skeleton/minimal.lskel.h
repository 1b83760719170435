/* SPDX-License-Identifier: (LGPL-2.1 OR BSD-2-Clause) */

/* Written by rbpftool; what is changed here is lost when it is written again. */
#ifndef __MINIMAL_BPF_SKEL_H__
#define __MINIMAL_BPF_SKEL_H__

#ifndef __KERNEL__
#include <errno.h>
#endif
#include <bpf/skel_internal.h>

struct minimal_bpf {
	struct bpf_loader_ctx ctx;
	struct {
		struct bpf_prog_desc pass;
	} progs;
	struct {
		int pass_fd;
	} links;
};

static inline int
minimal_bpf__pass__attach(struct minimal_bpf *skel)
{
	(void)skel;
	return 0; /* where it is attached is for the caller to say */
}

static inline int
minimal_bpf__attach(struct minimal_bpf *skel)
{
	int ret = 0;

	ret = ret < 0 ? ret : minimal_bpf__pass__attach(skel);
	return ret < 0 ? ret : 0;
}

static inline void
minimal_bpf__detach(struct minimal_bpf *skel)
{
	skel_closenz(skel->links.pass_fd);
}

/* Detaches, unloads and frees; NULL is fine. */
static void
minimal_bpf__destroy(struct minimal_bpf *skel)
{
	if (!skel)
		return;
	minimal_bpf__detach(skel);
	skel_closenz(skel->progs.pass.prog_fd);
	skel_free(skel);
}

/* Allocates the context and gives sections their values; nothing is in the kernel yet. */
static inline struct minimal_bpf *
minimal_bpf__open(void)
{
	struct minimal_bpf *skel;

	skel = (struct minimal_bpf *)skel_alloc(sizeof(*skel));
	if (!skel)
		return NULL;
	skel->ctx.sz = 28;
	return skel;
}

/* Runs the loader program, which makes the maps and loads the programs. */
static inline int
minimal_bpf__load(struct minimal_bpf *skel)
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
	return 0;
}

static inline struct minimal_bpf *
minimal_bpf__open_and_load(void)
{
	struct minimal_bpf *skel = minimal_bpf__open();

	if (skel && minimal_bpf__load(skel)) {
		minimal_bpf__destroy(skel);
		return NULL;
	}
	return skel;
}

__attribute__((unused)) static void
minimal_bpf__assert(struct minimal_bpf *s __attribute__((unused)))
{
#ifdef __cplusplus
#define _Static_assert static_assert
#endif
#ifdef __cplusplus
#undef _Static_assert
#endif
}

#endif /* __MINIMAL_BPF_SKEL_H__ */
