/* ringbuf OBJECT COUNT: lets a program of the object fill a ring buffer again and again, and
 * reads its records with libbpf's consumer, until there were COUNT.
 * Prints how long the reading took, in milliseconds, and how many records there were. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

static unsigned long long sum, records;

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

static int each(void *ctx, void *data, size_t size)
{
	sum += *(unsigned long long *)(data + 8);
	records++;
	return 0;
}

int main(int argc, char **argv)
{
	char packet[64] = {};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet, .data_size_in = sizeof(packet),
		    .repeat = 3000);
	struct bpf_object *object;
	struct ring_buffer *ring;
	unsigned long long count;
	double start, took = 0;
	struct bpf_map *data;
	size_t size;
	int prog;

	if (argc != 3)
		return 2;
	count = strtoull(argv[2], NULL, 0);
	libbpf_set_print(quiet);
	object = bpf_object__open_file(argv[1], NULL);
	if (!object)
		return 1;
	/* The first variable is how many records are written. */
	data = bpf_object__find_map_by_name(object, ".data");
	if (!data)
		return 1;
	*(unsigned long long *)bpf_map__initial_value(data, &size) = -1;
	if (bpf_object__load(object))
		return 1;
	prog = bpf_program__fd(bpf_object__find_program_by_name(object, "produce_b"));
	ring = ring_buffer__new(bpf_object__find_map_fd_by_name(object, "ring"), each, NULL, NULL);
	if (!ring)
		return 1;
	while (records < count) {
		if (bpf_prog_test_run_opts(prog, &run))
			return 1;
		start = now();
		if (ring_buffer__consume(ring) <= 0)
			return 1;
		took += now() - start;
	}
	/* Numbers from 0 on, none of them missing. */
	if (sum != records * (records - 1) / 2)
		return 1;
	printf("%.4f %llu\n", took, records);
	ring_buffer__free(ring);
	bpf_object__close(object);
	return 0;
}
