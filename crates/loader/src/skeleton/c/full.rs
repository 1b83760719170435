//! Skeletons: an object in a header, with a struct that shows its parts.

use super::parts::{self, Fill};
use super::text::{Text, quoted};
use super::{ops, sections};
use crate::skeleton::SkeletonError;
use crate::skeleton::shape::Shape;

/// Everything is filled in.
const FILL: Fill = Fill {
    sections: true,
    links: true,
};

pub(super) fn header(shape: &Shape<'_>, name: &str, elf: &[u8]) -> Result<String, SkeletonError> {
    let mut text = Text::default();
    let guard = format!("__{}_SKEL_H__", name.to_ascii_uppercase());
    text.plain(super::FRONT);
    text.put(
        "#ifndef @
#define @

#include <errno.h>
#include <stdlib.h>
#include <bpf/libbpf.h>

#define BPF_SKEL_SUPPORTS_MAP_AUTO_ATTACH 1

",
        &guard,
    );
    text.put(
        "struct @ {
\tstruct bpf_object_skeleton *skeleton;
\tstruct bpf_object *obj;
",
        name,
    );
    parts::maps(&mut text, shape, "struct bpf_map *");
    ops::shadows(&mut text, shape, name)?;
    parts::programs(&mut text, shape, "struct bpf_program *");
    parts::group(&mut text, "links", "struct bpf_link *", parts::links(shape));
    sections::pointers(&mut text, shape, name)?;
    text.put(METHODS, name);
    text.put(DESTROY_AND_OPEN, name);
    ops::set(&mut text, shape);
    text.put(LOAD_AND_ATTACH, name);
    text.put(CREATE, name);
    text.line(&["\ts->name = ", &quoted(&shape.object.name), ";"]);
    text.put("\ts->data = @__elf_bytes(&s->data_sz);\n", name);
    parts::describe_maps(&mut text, shape, FILL);
    parts::describe_programs(&mut text, shape, FILL);
    text.plain("\n\tskel->skeleton = s;\n\treturn 0;\n");
    if !(shape.maps.is_empty() && shape.programs.is_empty()) {
        text.plain(
            "
no_memory:
\tbpf_object__destroy_skeleton(s);
\treturn -ENOMEM;
",
        );
    }
    text.put(
        "}

/* The object file. */
static inline const void *
@__elf_bytes(size_t *sz)
{
",
        name,
    );
    text.array("\t", "data", elf);
    text.plain(
        "
\t*sz = sizeof(data) - 1;
\treturn (const void *)data;
}
",
    );
    text.put(METHOD_BODIES, name);
    sections::asserts(&mut text, shape, name);
    text.line(&["\n#endif /* ", &guard, " */"]);
    Ok(text.0)
}

const METHODS: &str = "
#ifdef __cplusplus
\tstatic inline struct @ *open(const struct bpf_object_open_opts *opts = nullptr);
\tstatic inline struct @ *open_and_load();
\tstatic inline int load(struct @ *skel);
\tstatic inline int attach(struct @ *skel);
\tstatic inline void detach(struct @ *skel);
\tstatic inline void destroy(struct @ *skel);
\tstatic inline const void *elf_bytes(size_t *sz);
#endif /* __cplusplus */
};

";

const DESTROY_AND_OPEN: &str = "static inline int
@__create_skeleton(struct @ *skel);

static inline const void *
@__elf_bytes(size_t *sz);

/* Detaches, unloads and frees; NULL is fine. */
static void
@__destroy(struct @ *skel)
{
\tif (skel && skel->skeleton)
\t\tbpf_object__destroy_skeleton(skel->skeleton);
\tfree(skel);
}

/* Reads the object; nothing is in the kernel yet. NULL and errno on failure. */
static inline struct @ *
@__open_opts(const struct bpf_object_open_opts *opts)
{
\tstruct @ *skel = (struct @ *)calloc(1, sizeof(*skel));
\tint err = skel ? @__create_skeleton(skel) : -ENOMEM;

\tif (!err)
\t\terr = bpf_object__open_skeleton(skel->skeleton, opts);
\tif (err) {
\t\t@__destroy(skel);
\t\terrno = -err;
\t\treturn NULL;
\t}
";

const LOAD_AND_ATTACH: &str = "\treturn skel;
}

static inline struct @ *
@__open(void)
{
\treturn @__open_opts(NULL);
}

/* Makes the maps and loads the programs. */
static inline int
@__load(struct @ *skel)
{
\treturn bpf_object__load_skeleton(skel->skeleton);
}

static inline struct @ *
@__open_and_load(void)
{
\tstruct @ *skel = @__open();
\tint err = skel ? @__load(skel) : 0;

\tif (err) {
\t\t@__destroy(skel);
\t\terrno = -err;
\t\treturn NULL;
\t}
\treturn skel;
}

/* Attaches every program whose section says where. */
static inline int
@__attach(struct @ *skel)
{
\treturn bpf_object__attach_skeleton(skel->skeleton);
}

static inline void
@__detach(struct @ *skel)
{
\tbpf_object__detach_skeleton(skel->skeleton);
}

";

const CREATE: &str = "/* Tells libbpf what is where. */
static inline int
@__create_skeleton(struct @ *skel)
{
\tstruct bpf_map_skeleton *map __attribute__((unused));
\tstruct bpf_object_skeleton *s;

\ts = (struct bpf_object_skeleton *)calloc(1, sizeof(*s));
\tif (!s)
\t\treturn -ENOMEM;

\ts->sz = sizeof(*s);
\ts->obj = &skel->obj;
";

const METHOD_BODIES: &str = "
#ifdef __cplusplus
struct @ *@::open(const struct bpf_object_open_opts *opts) { return @__open_opts(opts); }
struct @ *@::open_and_load() { return @__open_and_load(); }
int @::load(struct @ *skel) { return @__load(skel); }
int @::attach(struct @ *skel) { return @__attach(skel); }
void @::detach(struct @ *skel) { @__detach(skel); }
void @::destroy(struct @ *skel) { @__destroy(skel); }
const void *@::elf_bytes(size_t *sz) { return @__elf_bytes(sz); }
#endif /* __cplusplus */
";
