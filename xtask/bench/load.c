/* load OBJECT: opens and loads an object, as examples/loader does, with
 * libbpf. */
#include <stdio.h>
#include <bpf/libbpf.h>

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

int main(int argc, char **argv)
{
	struct bpf_object *object;

	if (argc != 2)
		return 2;
	libbpf_set_print(quiet);
	object = bpf_object__open_file(argv[1], NULL);
	if (!object)
		return 1;
	if (bpf_object__load(object))
		return 1;
	bpf_object__close(object);
	return 0;
}
