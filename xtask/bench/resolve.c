/* resolve OBJECT TARGET: finds the values of all CO-RE relocations of an object.
 * Prints how long that took, in milliseconds, without and with reading the target,
 * and how many have one. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <bpf/libbpf_internal.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

static struct bpf_core_cand_list *candidates(struct btf *local, struct btf *target, __u32 id)
{
	const struct btf_type *type = btf__type_by_id(local, id);
	struct bpf_core_cand_list *list = calloc(1, sizeof(*list));
	struct bpf_core_cand own = { .btf = local, .id = id };
	const char *name = btf__name_by_offset(local, type->name_off);

	if (!list || bpf_core_add_cands(&own, bpf_core_essential_name_len(name), target,
					"vmlinux", 1, list))
		exit(1);
	return list;
}

int main(int argc, char **argv)
{
	const struct btf_ext_info_sec *sec;
	const struct bpf_core_relo *relo;
	struct bpf_core_cand_list **known;
	struct btf *local, *target;
	struct btf_ext *ext = NULL;
	double start, parsed, end;
	int found = 0, all = 0, i;

	if (argc != 3)
		return 2;
	libbpf_set_print(quiet);
	local = btf__parse(argv[1], &ext);
	if (!local || !ext)
		return 1;
	known = calloc(btf__type_cnt(local), sizeof(*known));
	start = now();
	target = btf__parse(argv[2], NULL);
	if (!known || !target)
		return 1;
	parsed = now();
	for_each_btf_ext_sec(&ext->core_relo_info, sec) {
		for_each_btf_ext_rec(&ext->core_relo_info, sec, i, relo) {
			struct bpf_core_spec specs[3] = {};
			struct bpf_core_relo_res res = {};

			if (relo->kind != BPF_CORE_TYPE_ID_LOCAL && !known[relo->type_id])
				known[relo->type_id] = candidates(local, target, relo->type_id);
			if (!bpf_core_calc_relo_insn("prog", relo, all++, local,
						     known[relo->type_id], specs, &res))
				found += !res.poison;
		}
	}
	end = now();
	printf("%.4f %.4f %d\n", end - parsed, end - start, found);
	return 0;
}
