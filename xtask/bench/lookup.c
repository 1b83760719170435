/* lookup BTF NAMES: how many of the names, one a line, are names of types.
 * The same work as the lookup example of the btf crate, done with libbpf. */
#include <stdio.h>
#include <string.h>
#include <bpf/btf.h>

int main(int argc, char **argv)
{
	struct btf *btf;
	char name[256];
	int found = 0, asked = 0;
	FILE *names;

	if (argc != 3)
		return 2;
	btf = btf__parse(argv[1], NULL);
	if (!btf)
		return 1;
	names = fopen(argv[2], "r");
	if (!names)
		return 1;
	while (fscanf(names, "%255s", name) == 1) {
		asked++;
		found += btf__find_by_name(btf, name) > 0;
	}
	printf("%d of %d names found\n", found, asked);
	fclose(names);
	btf__free(btf);
	return 0;
}
