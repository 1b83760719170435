//! Subskeletons: the parts of one object inside of another that it was linked into.

use super::parts::{self, Fill};
use super::text::{Text, quoted};
use super::{ops, sections};
use crate::skeleton::SkeletonError;
use crate::skeleton::shape::Shape;

/// Variables are found one by one, and links belong to whoever loaded the object.
const FILL: Fill = Fill {
    sections: false,
    links: false,
};

pub(super) fn header(shape: &Shape<'_>, name: &str) -> Result<String, SkeletonError> {
    let btf = shape.btf.ok_or(SkeletonError::NoTypes)?;
    let mut text = Text::default();
    let guard = format!("__{}_SUBSKEL_H__", name.to_ascii_uppercase());
    text.plain(super::FRONT);
    text.put(
        "#ifndef @
#define @

#include <errno.h>
#include <stdlib.h>
#include <bpf/libbpf.h>

",
        &guard,
    );
    text.put(
        "struct @ {
\tstruct bpf_object *obj;
\tstruct bpf_object_subskeleton *subskel;
",
        name,
    );
    parts::maps(&mut text, shape, "struct bpf_map *");
    ops::shadows(&mut text, shape, name)?;
    parts::programs(&mut text, shape, "struct bpf_program *");
    sections::pointers_to_variables(&mut text, shape, btf, name)?;
    text.put(FUNCTIONS, name);
    describe_variables(&mut text, shape);
    parts::describe_maps(&mut text, shape, FILL);
    parts::describe_programs(&mut text, shape, FILL);
    text.plain(
        "
\terr = bpf_object__open_subskeleton(s);
\tif (err)
\t\tgoto failed;

",
    );
    ops::set(&mut text, shape);
    text.put(END, name);
    text.line(&["\n#endif /* ", &guard, " */"]);
    Ok(text.0)
}

fn describe_variables(text: &mut Text, shape: &Shape<'_>) {
    let count: usize = shape
        .named_sections()
        .map(|(_, section)| section.variables.len())
        .sum();
    if count == 0 {
        return;
    }
    text.plain(&format!(
        "
\t/* variables */
\ts->var_cnt = {count};
\ts->vars = (struct bpf_var_skeleton *)calloc(s->var_cnt, sizeof(*s->vars));
\tif (!s->vars)
\t\tgoto no_memory;
"
    ));
    let all = shape.named_sections().flat_map(|(map, section)| {
        let variables = section.variables.iter();
        variables.map(move |variable| (map, section, variable))
    });
    for (number, (map, section, variable)) in all.enumerate() {
        text.plain(&format!(
            "
\ts->vars[{number}].name = {};
\ts->vars[{number}].map = &skel->maps.{};
\ts->vars[{number}].addr = (void **)&skel->{}.{};
",
            quoted(&variable.name),
            map.ident,
            section.ident,
            variable.ident
        ));
    }
}

const FUNCTIONS: &str = "
#ifdef __cplusplus
\tstatic inline struct @ *open(const struct bpf_object *src);
\tstatic inline void destroy(struct @ *skel);
#endif /* __cplusplus */
};

/* Frees what open has made; the object stays. NULL is fine. */
static inline void
@__destroy(struct @ *skel)
{
\tif (skel && skel->subskel)
\t\tbpf_object__destroy_subskeleton(skel->subskel);
\tfree(skel);
}

/* Finds the parts in a loaded object. NULL and errno on failure. */
static inline struct @ *
@__open(const struct bpf_object *src)
{
\tstruct bpf_map_skeleton *map __attribute__((unused));
\tstruct bpf_object_subskeleton *s;
\tstruct @ *skel;
\tint err;

\tskel = (struct @ *)calloc(1, sizeof(*skel));
\tif (!skel)
\t\tgoto no_memory;
\ts = (struct bpf_object_subskeleton *)calloc(1, sizeof(*s));
\tif (!s)
\t\tgoto no_memory;

\tskel->subskel = s;
\ts->sz = sizeof(*s);
\ts->obj = src;
\ts->var_skel_sz = sizeof(*s->vars);
";

const END: &str = "\treturn skel;

no_memory:
\terr = -ENOMEM;
failed:
\t@__destroy(skel);
\terrno = -err;
\treturn NULL;
}

#ifdef __cplusplus
struct @ *@::open(const struct bpf_object *src) { return @__open(src); }
void @::destroy(struct @ *skel) { @__destroy(skel); }
#endif /* __cplusplus */
";
