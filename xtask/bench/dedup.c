/* dedup FILE...: puts the types of the files, once they are in memory, together and takes
 * duplicates out.
 * Prints how long that took, in milliseconds, how long the latter alone, and how many
 * ids are left. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <bpf/btf.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static int read_whole(const char *path, void **bytes, long *len)
{
	FILE *file = fopen(path, "r");

	if (!file || fseek(file, 0, SEEK_END) || (*len = ftell(file)) < 0)
		return 1;
	rewind(file);
	*bytes = malloc(*len);
	if (!*bytes || fread(*bytes, 1, *len, file) != *len)
		return 1;
	return fclose(file);
}

int main(int argc, char **argv)
{
	void **bytes = calloc(argc, sizeof(*bytes));
	long *lens = calloc(argc, sizeof(*lens));
	double start, added;
	struct btf *all;
	__u32 len;
	int i;

	for (i = 1; i < argc; i++)
		if (!bytes || !lens || read_whole(argv[i], &bytes[i], &lens[i]))
			return 1;
	start = now();
	all = btf__new_empty();
	for (i = 1; i < argc; i++) {
		struct btf *one = btf__new(bytes[i], lens[i]);

		if (!all || !one || btf__add_btf(all, one) < 0)
			return 1;
		btf__free(one);
	}
	added = now();
	if (btf__dedup(all, NULL))
		return 1;
	added = now() - added;
	if (!btf__raw_data(all, &len))
		return 1;
	printf("%.4f %.4f %u\n", now() - start, added, btf__type_cnt(all));
	return 0;
}
