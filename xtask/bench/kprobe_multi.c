/* kprobe_multi OBJECT PATTERN ROUNDS: attaches a program to all functions that fit, and detaches it; the
 * milliseconds of each attachment, of their median, and the number of functions.
 * The same work as the kprobe_multi example of the loader crate, done with libbpf. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);
	struct bpf_object *object;
	struct bpf_program *prog;
	int rounds, n;
	double *took;

	if (argc != 4)
		return 2;
	rounds = atoi(argv[3]);
	took = calloc(rounds, sizeof(*took));
	object = bpf_object__open_file(argv[1], NULL);
	if (!object || !took || rounds < 1)
		return 1;
	bpf_object__for_each_program(prog, object)
		bpf_program__set_autoload(prog, false);
	prog = bpf_object__find_program_by_name(object, "kprobe_multi");
	if (!prog || bpf_program__set_autoload(prog, true) || bpf_object__load(object))
		return 1;
	for (n = 0; n < rounds; n++) {
		double start = now();
		struct bpf_link *link;

		link = bpf_program__attach_kprobe_multi_opts(prog, argv[2], NULL);
		took[n] = now() - start;
		if (!link)
			return 1;
		if (bpf_link_get_info_by_fd(bpf_link__fd(link), &info, &len))
			return 1;
		bpf_link__destroy(link);
		printf("%.1f ", took[n]);
	}
	qsort(took, rounds, sizeof(*took), ascending);
	printf("\nmedian %.1f ms, %u functions\n", took[rounds / 2], info.kprobe_multi.count);
	return 0;
}
