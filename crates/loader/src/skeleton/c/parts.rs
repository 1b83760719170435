//! What skeletons and subskeletons tell libbpf of an object's maps and programs.

use super::text::{Text, quoted};
use crate::model::MapOrigin;
use crate::skeleton::shape::Shape;

/// Bytes of `struct bpf_map_skeleton`, without the link that newer versions of libbpf have, and
/// with it. The shorter one is understood by all.
const MAP_BYTES: [u32; 2] = [24, 32];

/// Which members are filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fill {
    /// Pointers to sections.
    pub(super) sections: bool,
    /// Links.
    pub(super) links: bool,
}

/// Declares the members `maps`, and `progs`.
pub(super) fn maps(text: &mut Text, shape: &Shape<'_>, of_type: &str) {
    let idents = shape.maps.iter().map(|map| map.ident.as_str());
    group(text, "maps", of_type, idents);
}

pub(super) fn programs(text: &mut Text, shape: &Shape<'_>, of_type: &str) {
    let idents = shape.programs.iter().map(|program| program.ident.as_str());
    group(text, "progs", of_type, idents);
}

/// The names of what can be attached.
pub(super) fn links<'s>(shape: &'s Shape<'_>) -> impl Iterator<Item = &'s str> {
    let programs = shape.programs.iter().map(|program| program.ident.as_str());
    programs.chain(shape.struct_ops().map(|(map, _)| map.ident.as_str()))
}

/// Declares a struct of members of one type, unless it would be empty.
pub(super) fn group<'i>(
    text: &mut Text,
    name: &str,
    of_type: &str,
    idents: impl Iterator<Item = &'i str>,
) {
    let mut any = false;
    for ident in idents {
        if !any {
            text.plain("\tstruct {\n");
            any = true;
        }
        text.line(&["\t\t", of_type, ident, ";"]);
    }
    if any {
        text.line(&["\t} ", name, ";"]);
    }
}

/// Fills in `s->maps`.
pub(super) fn describe_maps(text: &mut Text, shape: &Shape<'_>, fill: Fill) {
    if shape.maps.is_empty() {
        return;
    }
    let is_ops = |origin: &MapOrigin| matches!(origin, MapOrigin::StructOps(_));
    let linked = fill.links && shape.maps.iter().any(|map| is_ops(&map.map.origin));
    let [short, long] = MAP_BYTES;
    let bytes = if linked { long } else { short };
    text.plain(&format!(
        "
\t/* maps */
\ts->map_cnt = {};
\ts->map_skel_sz = {bytes};
\ts->maps = (struct bpf_map_skeleton *)
\t\tcalloc(s->map_cnt, sizeof(*s->maps) > {bytes} ? sizeof(*s->maps) : {bytes});
\tif (!s->maps)
\t\tgoto no_memory;
",
        shape.maps.len()
    ));
    for (number, map) in shape.maps.iter().enumerate() {
        text.plain(&format!(
            "
\tmap = (struct bpf_map_skeleton *)((char *)s->maps + {number} * s->map_skel_sz);
\tmap->name = {};
\tmap->map = &skel->maps.{};
",
            quoted(map.libbpf_name()),
            map.ident
        ));
        if let Some(section) = map
            .section
            .as_ref()
            .filter(|_| fill.sections && shape.btf.is_some())
        {
            text.line(&["\tmap->mmaped = (void **)&skel->", &section.ident, ";"]);
        }
        if fill.links && is_ops(&map.map.origin) {
            text.line(&["\tmap->link = &skel->links.", &map.ident, ";"]);
        }
    }
}

/// Fills in `s->progs`.
pub(super) fn describe_programs(text: &mut Text, shape: &Shape<'_>, fill: Fill) {
    if shape.programs.is_empty() {
        return;
    }
    text.plain(&format!(
        "
\t/* programs */
\ts->prog_cnt = {};
\ts->prog_skel_sz = sizeof(*s->progs);
\ts->progs = (struct bpf_prog_skeleton *)calloc(s->prog_cnt, s->prog_skel_sz);
\tif (!s->progs)
\t\tgoto no_memory;
",
        shape.programs.len()
    ));
    for (number, program) in shape.programs.iter().enumerate() {
        let (name, ident) = (quoted(&program.program.name), &program.ident);
        text.plain(&format!(
            "
\ts->progs[{number}].name = {name};
\ts->progs[{number}].prog = &skel->progs.{ident};
"
        ));
        if fill.links {
            text.plain(&format!(
                "\ts->progs[{number}].link = &skel->links.{ident};\n"
            ));
        }
    }
}
