//! Light skeletons: a loader program in a header, with the context that it fills in.

use super::text::{Text, quoted};
use super::{parts, sections};
use crate::light::{LightProg, LightProgram};
use crate::skeleton::SkeletonError;
use crate::skeleton::names::{Language, Scope};
use crate::skeleton::shape::{MapShape, Section, Shape};
use bpfsys::{AttachType, ProgType};

pub(super) fn header(
    shape: &Shape<'_>,
    name: &str,
    program: &LightProgram,
    signature: Option<&[u8]>,
) -> Result<String, SkeletonError> {
    let mut text = Text::default();
    let guard = format!("__{}_SKEL_H__", name.to_ascii_uppercase());
    text.plain(super::FRONT);
    text.put(
        "#ifndef @
#define @

#ifndef __KERNEL__
#include <errno.h>
#endif
#include <bpf/skel_internal.h>

",
        &guard,
    );
    text.put("struct @ {\n\tstruct bpf_loader_ctx ctx;\n", name);
    parts::maps(&mut text, shape, "struct bpf_map_desc ");
    let programs = programs(program);
    let idents = || programs.iter().map(|(ident, _)| ident.as_str());
    parts::group(&mut text, "progs", "struct bpf_prog_desc ", idents());
    let links: Vec<String> = idents().map(|ident| format!("{ident}_fd")).collect();
    parts::group(&mut text, "links", "int ", links.iter().map(String::as_str));
    if signature.is_some() {
        text.plain("\t__s32 keyring_id;\n");
    }
    sections::pointers(&mut text, shape, name)?;
    text.plain("};\n");
    attach(&mut text, name, &programs);
    destroy(&mut text, shape, name, &programs);
    open(&mut text, shape, name, program);
    load(&mut text, shape, name, program, signature);
    sections::asserts(&mut text, shape, name);
    text.line(&["\n#endif /* ", &guard, " */"]);
    Ok(text.0)
}

/// The programs that are loaded, with identifiers.
fn programs(program: &LightProgram) -> Vec<(String, &LightProg)> {
    let mut scope = Scope::new(Language::C);
    let progs = program.progs.iter();
    progs.map(|prog| (scope.add(&prog.name), prog)).collect()
}

/// Sections that are mapped, if there are types: the struct has no members for them otherwise.
fn mapped<'s, 'o>(shape: &'s Shape<'o>) -> impl Iterator<Item = (&'s MapShape<'o>, &'s Section)> {
    shape.sections().filter(|_| shape.btf.is_some())
}

/// The call that attaches a program, as far as one descriptor is all it takes.
fn call(program: &LightProg) -> Option<String> {
    match program.prog_type {
        ProgType::RAW_TRACEPOINT | ProgType::RAW_TRACEPOINT_WRITABLE => {
            let (_, tracepoint) = program.section.split_once('/')?;
            let tracepoint = quoted(tracepoint);
            Some(format!("skel_raw_tracepoint_open({tracepoint}, prog_fd)"))
        }
        ProgType::TRACING | ProgType::LSM => match program.expected_attach_type {
            AttachType::TRACE_ITER => {
                Some("skel_link_create(prog_fd, 0, BPF_TRACE_ITER)".to_owned())
            }
            AttachType::LSM_CGROUP
            | AttachType::TRACE_FENTRY_MULTI
            | AttachType::TRACE_FEXIT_MULTI
            | AttachType::TRACE_FSESSION_MULTI => None,
            _ => Some("skel_raw_tracepoint_open(NULL, prog_fd)".to_owned()),
        },
        _ => None,
    }
}

fn attach(text: &mut Text, name: &str, programs: &[(String, &LightProg)]) {
    for (ident, program) in programs {
        text.plain(&format!(
            "\nstatic inline int\n{name}__{ident}__attach(struct {name} *skel)\n{{\n"
        ));
        match call(program) {
            Some(call) => text.plain(&format!(
                "\tint prog_fd = skel->progs.{ident}.prog_fd;
\tint fd = {call};

\tif (fd > 0)
\t\tskel->links.{ident}_fd = fd;
\treturn fd;
}}
"
            )),
            None => text.plain(
                "\t(void)skel;
\treturn 0; /* where it is attached is for the caller to say */
}
",
            ),
        }
    }
    text.put(
        "
static inline int
@__attach(struct @ *skel)
{
\tint ret = 0;

",
        name,
    );
    for (ident, _) in programs {
        text.plain(&format!(
            "\tret = ret < 0 ? ret : {name}__{ident}__attach(skel);\n"
        ));
    }
    if programs.is_empty() {
        text.plain("\t(void)skel;\n");
    }
    text.put(
        "\treturn ret < 0 ? ret : 0;
}

static inline void
@__detach(struct @ *skel)
{
",
        name,
    );
    for (ident, _) in programs {
        text.line(&["\tskel_closenz(skel->links.", ident, "_fd);"]);
    }
    if programs.is_empty() {
        text.plain("\t(void)skel;\n");
    }
    text.plain("}\n");
}

fn destroy(text: &mut Text, shape: &Shape<'_>, name: &str, programs: &[(String, &LightProg)]) {
    text.put(
        "
/* Detaches, unloads and frees; NULL is fine. */
static void
@__destroy(struct @ *skel)
{
\tif (!skel)
\t\treturn;
\t@__detach(skel);
",
        name,
    );
    for (ident, _) in programs {
        text.line(&["\tskel_closenz(skel->progs.", ident, ".prog_fd);"]);
    }
    for map in &shape.maps {
        if let Some(section) = map.section.as_ref().filter(|_| shape.btf.is_some()) {
            text.plain(&format!(
                "\tif (skel->{0})\n\
                 \t\tskel_free_map_data(skel->{0}, skel->maps.{1}.initial_value, {2});\n",
                section.ident,
                map.ident,
                map.mapped_bytes()
            ));
        }
        text.line(&["\tskel_closenz(skel->maps.", &map.ident, ".map_fd);"]);
    }
    text.plain("\tskel_free(skel);\n}\n");
}

fn open(text: &mut Text, shape: &Shape<'_>, name: &str, program: &LightProgram) {
    text.put(
        "
/* Allocates the context and gives sections their values; nothing is in the kernel yet. */
static inline struct @ *
@__open(void)
{
\tstruct @ *skel;

\tskel = (struct @ *)skel_alloc(sizeof(*skel));
\tif (!skel)
\t\treturn NULL;
",
        name,
    );
    text.plain(&format!("\tskel->ctx.sz = {};\n", program.ctx_size()));
    for (map, section) in mapped(shape) {
        let value = program
            .maps
            .get(map.index.index())
            .map_or(&[][..], |map| &map.value);
        text.plain("\t{\n");
        text.array("\t\t", "data", value);
        text.plain(&format!(
            "
\t\tskel->{0} = (__typeof__(skel->{0}))
\t\t\tskel_prep_map_data((void *)data, {2}, sizeof(data) - 1);
\t\tif (!skel->{0})
\t\t\tgoto cleanup;
\t\tskel->maps.{1}.initial_value = (__u64)(long)skel->{0};
\t}}
",
            section.ident,
            map.ident,
            map.mapped_bytes()
        ));
    }
    text.plain("\treturn skel;\n");
    if mapped(shape).next().is_some() {
        text.put("cleanup:\n\t@__destroy(skel);\n\treturn NULL;\n", name);
    }
    text.plain("}\n");
}

fn load(
    text: &mut Text,
    shape: &Shape<'_>,
    name: &str,
    program: &LightProgram,
    signature: Option<&[u8]>,
) {
    text.put(
        "
/* Runs the loader program, which makes the maps and loads the programs. */
static inline int
@__load(struct @ *skel)
{
\tstruct bpf_load_and_run_opts opts = {};
\tint err;
",
        name,
    );
    text.array("\t", "opts_data", &program.data);
    text.array("\t", "opts_insn", &program.insn_bytes());
    if let Some(signature) = signature {
        text.array("\t", "opts_sig", signature);
        text.array("\t", "opts_excl_hash", &program.program_hash());
        text.plain(
            "
\topts.signature = (void *)opts_sig;
\topts.signature_sz = sizeof(opts_sig) - 1;
\topts.excl_prog_hash = (void *)opts_excl_hash;
\topts.excl_prog_hash_sz = sizeof(opts_excl_hash) - 1;
\topts.keyring_id = skel->keyring_id;
",
        );
    }
    text.plain(
        "
\topts.ctx = (struct bpf_loader_ctx *)skel;
\topts.data_sz = sizeof(opts_data) - 1;
\topts.data = (void *)opts_data;
\topts.insns_sz = sizeof(opts_insn) - 1;
\topts.insns = (void *)opts_insn;

\terr = bpf_load_and_run(&opts);
\tif (err < 0)
\t\treturn err;
",
    );
    for (map, section) in mapped(shape) {
        let access = if map.is_constant() {
            "PROT_READ"
        } else {
            "PROT_READ | PROT_WRITE"
        };
        text.plain(&format!(
            "\tskel->{0} = (__typeof__(skel->{0}))
\t\tskel_finalize_map_data(&skel->maps.{1}.initial_value, {2},
\t\t\t\t       {access}, skel->maps.{1}.map_fd);
\tif (!skel->{0})
\t\treturn -ENOMEM;
",
            section.ident,
            map.ident,
            map.mapped_bytes()
        ));
    }
    text.put(
        "\treturn 0;
}

static inline struct @ *
@__open_and_load(void)
{
\tstruct @ *skel = @__open();

\tif (skel && @__load(skel)) {
\t\t@__destroy(skel);
\t\treturn NULL;
\t}
\treturn skel;
}
",
        name,
    );
}
