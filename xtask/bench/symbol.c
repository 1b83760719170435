/* symbol FILE NAME: finds where a function of a file is. Prints how long that took, in
 * milliseconds, and its offset in the file. */
#include <stdio.h>
#include <time.h>
#include <bpf/libbpf.h>

/* Of libbpf's own, and not shown by its headers. */
long elf_find_func_offset_from_file(const char *path, const char *name);

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

int main(int argc, char **argv)
{
	double start;
	long offset;

	if (argc != 3)
		return 2;
	libbpf_set_print(quiet);
	start = now();
	offset = elf_find_func_offset_from_file(argv[1], argv[2]);
	if (offset < 0)
		return 1;
	printf("%.4f %ld\n", now() - start, offset);
	return 0;
}
