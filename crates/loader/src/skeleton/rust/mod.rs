//! Modules for Rust, over this crate.
//!
//! A skeleton of `counter.bpf.o`:
//!
//! ```text
//! let mut open = CounterSkel::open()?;            // an OpenCounter
//! open.rodata.limit = 5;                          // variables, of types from the object's BTF
//! open.maps().counts().spec.max_entries = 1024;
//! let mut counter = open.load()?;                 // a CounterSkel
//! counter.attach()?;
//! println!("{}", counter.bss().hits().get());     // shared with the programs that run
//! ```
//!
//! It is a module by itself. From a build script:
//!
//! ```no_run
//! // build.rs
//! let out = std::path::Path::new(&std::env::var("OUT_DIR")?).join("counter.skel.rs");
//! loader::skeleton::rust::write_file("src/counter.bpf.o".as_ref(), &out)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ```text
//! mod counter {
//!     include!(concat!(env!("OUT_DIR"), "/counter.skel.rs"));
//! }
//! ```
//!
//! The crate that includes it needs this one under its name, `loader`, and no other.

mod ops;
mod sections;
mod text;
mod types;

pub use super::file::{FileError, write_file};

use super::names::{Language, Scope, camel};
use super::shape::{Shape, fingerprint};
use crate::model::Object;
use ops::Ops;
use sections::SectionNames;
use text::{Code, bytes, quoted, shown};
use types::Types;

/// How a skeleton is written.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    /// The file that the compiler reads the object from (`include_bytes!`), instead of having it
    /// in the skeleton.
    pub include: Option<String>,
}

/// Names of a skeleton's own types.
struct Names {
    prefix: String,
    scope: Scope,
    skel: String,
    open: String,
    maps: String,
    open_maps: String,
    progs: String,
    open_progs: String,
    links: String,
    program: String,
    ops: String,
}

impl Names {
    fn new(name: &str) -> Self {
        let short = name.strip_suffix("_bpf").unwrap_or(name);
        let prefix = camel(short);
        let mut scope = Scope::new(Language::Rust);
        scope.reserve(&[
            "Box", "Default", "Err", "None", "Ok", "Option", "Self", "Some", "types",
        ]);
        let mut of = |front: &str, back: &str| scope.add(&format!("{front}{prefix}{back}"));
        Self {
            skel: of("", "Skel"),
            open: of("Open", ""),
            maps: of("", "Maps"),
            open_maps: of("Open", "Maps"),
            progs: of("", "Progs"),
            open_progs: of("Open", "Progs"),
            links: of("", "Links"),
            program: of("", "Program"),
            ops: of("", "StructOps"),
            prefix,
            scope,
        }
    }

    /// A type of the skeleton, which begins with its name.
    fn own(&mut self, name: &str) -> String {
        self.scope.add(&format!("{}{name}", self.prefix))
    }
}

/// What all parts of a skeleton are written from.
struct Skeleton<'s> {
    shape: &'s Shape<'s>,
    names: Names,
    sections: Vec<SectionNames<'s>>,
    ops: Vec<Ops>,
}

/// A module with the object `elf` in it, by which it is opened, loaded and attached.
///
/// `object` is what `elf` was read as, under the name of the skeleton
/// ([`ParseOptions::named`](crate::model::ParseOptions::named)).
///
/// Everything has a form: what has none of its own is shown as bytes.
#[must_use]
pub fn skeleton(object: &Object, elf: &[u8], options: &Options) -> String {
    let name = super::identifier(&object.name);
    let taken = ["links", "loaded", "object", "struct_ops"];
    let shape = Shape::new(object, Language::Rust, &taken);
    let mut names = Names::new(&name);
    let mut types = Types::new(shape.btf, 2);
    let sections = sections::collect(&shape, &mut names, &mut types);
    let ops = ops::collect(&shape, &mut names, &mut types);
    let elements = elements(&shape, &mut names, &mut types);
    let skeleton = Skeleton {
        shape: &shape,
        names,
        sections,
        ops,
    };
    let mut code = Code::default();
    code.line("// Written by rbpftool; what is changed here is lost when it is written again.");
    code.gap();
    code.line("#[allow(unused_imports, reason = \"generated\")]");
    code.line("pub use self::skeleton::*;");
    code.gap();
    code.line("#[allow(dead_code, missing_docs, unreachable_pub, reason = \"generated\")]");
    code.line("#[allow(non_camel_case_types, non_snake_case, reason = \"names of C\")]");
    code.line("#[allow(non_upper_case_globals, clippy::all, reason = \"names of C\")]");
    code.line("#[allow(clippy::pedantic, clippy::restriction, reason = \"generated\")]");
    code.open("mod skeleton {");
    code.line("use ::loader::skeleton::support as sk;");
    code.gap();
    code.doc("The object file.");
    match &options.include {
        Some(path) => {
            let include = format!("include_bytes!({});", quoted(path));
            code.pair("pub const OBJECT: &[u8] =", &include);
        }
        None => code.line(&format!("pub const OBJECT: &[u8] = {};", bytes(elf))),
    }
    code.gap();
    code.doc("The object's name.");
    code.pair(
        "pub const NAME: &str =",
        &format!("{};", quoted(&object.name)),
    );
    code.gap();
    code.line(&format!(
        "const SHAPE: u64 = 0x{:016x};",
        fingerprint(object)
    ));
    skeleton.loaded(&mut code);
    skeleton.open(&mut code);
    skeleton.parts(&mut code);
    for section in &skeleton.sections {
        sections::write(&mut code, section);
    }
    if !skeleton.ops.is_empty() {
        ops::write(&mut code, &skeleton.ops, &skeleton.names);
        skeleton.struct_ops(&mut code);
    }
    code.out.push_str(&elements);
    let definitions = types.code.out;
    if !definitions.is_empty() {
        code.gap();
        code.doc("Types of the object.");
        code.open("pub mod types {");
        code.line("use ::loader::skeleton::support as sk;");
        code.out.push_str(&definitions);
        code.close("}");
    }
    code.close("}");
    code.out
}

/// Names for the types of keys and values of maps.
fn elements(shape: &Shape<'_>, names: &mut Names, types: &mut Types<'_>) -> String {
    let mut code = Code::inside(1);
    for map in shape.maps.iter().filter(|map| map.section.is_none()) {
        let spec = &map.map.spec;
        for (what, id, size) in [
            ("Key", spec.key_type, spec.key_size),
            ("Value", spec.value_type, spec.value_size),
        ] {
            let hint = format!("{}_{}", map.ident, what.to_ascii_lowercase());
            if id.is_void() || map.map.symbol.starts_with('.') {
                continue;
            }
            let Some(of) = types.any(id, &hint).filter(|of| of.size == u64::from(size)) else {
                continue;
            };
            let ident = names.own(&format!("{}{what}", camel(&map.ident)));
            code.gap();
            code.doc(&format!("{what} of map {}.", shown(&map.map.symbol)));
            code.pair(&format!("pub type {ident} ="), &format!("{};", of.text));
        }
    }
    code.out
}

/// Writes a value of a struct, whose members are lines of `members`. Short ones are one line.
fn literal(code: &mut Code, name: &str, members: &str, end: &str) {
    const SHORT: usize = 18;
    let lines: Vec<&str> = members.lines().collect();
    let joined = lines.join(" ");
    let joined = joined.trim_end_matches(',');
    let (open, close) = match end {
        "" => (name.to_owned(), "}".to_owned()),
        end => (format!("{end}({name}"), "})".to_owned()),
    };
    if joined.len() <= SHORT {
        code.line(&format!("{open} {{ {joined} {close}"));
        return;
    }
    code.open(&format!("{open} {{"));
    for line in lines {
        match line.split_once(": ") {
            Some((name, value)) => code.pair(&format!("{name}:"), value),
            None => code.line(line),
        }
    }
    code.close(&close);
}

impl Skeleton<'_> {
    /// The object in the kernel.
    fn loaded(&self, code: &mut Code) {
        let Names {
            skel,
            open,
            links,
            maps,
            progs,
            ..
        } = &self.names;
        let name = shown(&self.shape.object.name);
        code.gap();
        code.doc(&format!(
            "Object {name} in the kernel. Dropping it detaches and unloads."
        ));
        code.line("#[derive(Debug)]");
        code.open(&format!("pub struct {skel} {{"));
        // Links go first, so that nothing is attached that is half gone.
        code.doc("What is attached.");
        code.pair("pub links:", &format!("{links},"));
        for section in self.sections.iter().filter(|section| !section.is_arena()) {
            let of = format!("sk::Mapped<{}>,", section.values);
            code.pair(&format!("{}:", section.section.ident), &of);
        }
        code.line("loaded: sk::Loaded,");
        code.close("}");
        code.gap();
        code.open(&format!("impl {skel} {{"));
        code.doc("Reads the object; nothing is in the kernel yet.");
        code.function("open", &[], &format!("sk::Result<{open}>"));
        code.line("let object = sk::open(OBJECT, NAME, SHAPE)?;");
        let mut members = Code::inside(0);
        for section in self.sections.iter().filter(|section| section.has_value()) {
            let (ident, number) = (&section.section.ident, section.number());
            members.line(&format!("{ident}: sk::section(&object, {number})?,"));
        }
        if !self.ops.is_empty() {
            members.line(&format!("struct_ops: {}::read(&object),", self.names.ops));
        }
        members.line("object,");
        literal(code, open, &members.out, "Ok");
        code.close("}");
        code.gap();
        code.doc("Opens and loads.");
        let body = "Self::open()?.load()";
        code.getter("open_and_load", &[], "sk::Result<Self>", body);
        code.gap();
        self.attach(code);
        code.gap();
        code.doc("Detaches everything.");
        let body = format!("self.links = {links}::default();");
        code.getter("detach", &["&mut self"], "", &body);
        if !self.shape.maps.is_empty() {
            code.gap();
            code.doc("Its maps.");
            let body = format!("{maps}(&self.loaded)");
            code.getter("maps", &["&self"], &format!("{maps}<'_>"), &body);
        }
        if !self.shape.programs.is_empty() {
            code.gap();
            code.doc("Its programs.");
            let body = format!("{progs}(&self.loaded)");
            code.getter("progs", &["&self"], &format!("{progs}<'_>"), &body);
        }
        for section in &self.sections {
            let (ident, live) = (&section.section.ident, &section.live);
            code.gap();
            if section.is_arena() {
                code.doc("The variables of its arena, if that has been made.");
                let body = format!(
                    "sk::Memory::of_arena(&self.loaded, {}).map({live})",
                    section.number()
                );
                code.getter(ident, &["&self"], &format!("Option<{live}<'_>>"), &body);
            } else {
                let symbol = shown(&section.map.map.symbol);
                code.doc(&format!("The variables of {symbol}."));
                let body = format!("{live}(self.{ident}.memory())");
                code.getter(ident, &["&self"], &format!("{live}<'_>"), &body);
            }
        }
        code.gap();
        code.doc("All of it.");
        code.getter("loaded", &["&self"], "&sk::Loaded", "&self.loaded");
        code.gap();
        code.doc("All of it, to pin and to take descriptors.");
        code.getter(
            "loaded_mut",
            &["&mut self"],
            "&mut sk::Loaded",
            "&mut self.loaded",
        );
        code.close("}");
    }

    fn attach(&self, code: &mut Code) {
        let links = &self.names.links;
        code.doc(
            "Attaches what is not attached yet and says itself where: programs by their sections,",
        );
        code.doc("and values of the kernel's types. When one fails, none is attached that was not before.");
        code.function("attach", &["&mut self"], "sk::Result<()>");
        let attached = self.attached();
        if attached.is_empty() {
            code.line("Ok(())");
            code.close("}");
            return;
        }
        code.line("let old = &self.links;");
        code.line(&format!("let mut new = {links}::default();"));
        for (ident, call) in &attached {
            code.open(&format!("if old.{ident}.is_none() {{"));
            code.line(&format!("new.{ident} = {call}?;"));
            code.close("}");
        }
        for (ident, _) in &attached {
            code.open(&format!("if let Some(link) = new.{ident} {{"));
            code.line(&format!("self.links.{ident} = Some(link);"));
            code.close("}");
        }
        code.line("Ok(())");
        code.close("}");
    }

    /// What can be attached: members of the links, and the calls that attach them.
    fn attached(&self) -> Vec<(String, String)> {
        let mut scope = Scope::new(Language::Rust);
        let mut all = Vec::new();
        for (number, program) in self.shape.programs.iter().enumerate() {
            let ident = scope.add(&program.program.name);
            all.push((ident, format!("sk::attach(&self.loaded, {number})")));
        }
        for (map, _) in self.shape.struct_ops() {
            let ident = scope.add(&map.map.symbol);
            all.push((
                ident,
                format!("sk::attach_map(&self.loaded, {})", map.index.0),
            ));
        }
        all
    }

    /// The object before it is loaded.
    fn open(&self, code: &mut Code) {
        let Names {
            skel,
            open,
            links,
            open_maps,
            open_progs,
            ops,
            ..
        } = &self.names;
        let name = shown(&self.shape.object.name);
        code.gap();
        code.doc(&format!(
            "Object {name} before it is loaded: all of it can be changed."
        ));
        code.line("#[derive(Debug)]");
        code.open(&format!("pub struct {open} {{"));
        for section in self.sections.iter().filter(|section| section.has_value()) {
            code.doc(&format!(
                "The variables of {}.",
                shown(&section.map.map.symbol)
            ));
            let of = format!("Box<{}>,", section.values);
            code.pair(&format!("pub {}:", section.section.ident), &of);
        }
        if !self.ops.is_empty() {
            code.doc("What implements types of the kernel.");
            code.pair("pub struct_ops:", &format!("{ops},"));
        }
        code.line("object: sk::model::Object,");
        code.close("}");
        code.gap();
        code.open(&format!("impl {open} {{"));
        code.doc("Makes the maps and loads the programs.");
        let body = "self.load_with(&sk::LoadOptions::new())";
        let output = format!("sk::Result<{skel}>");
        code.getter("load", &["self"], &output, body);
        code.gap();
        code.doc("The same, with options.");
        let args = ["mut self", "options: &sk::LoadOptions"];
        let args = match self.is_changed() {
            true => args,
            false => ["self", "options: &sk::LoadOptions"],
        };
        code.function("load_with", &args, &output);
        for section in self.sections.iter().filter(|section| section.has_value()) {
            let (ident, number) = (&section.section.ident, section.number());
            code.line(&format!("let value = &*self.{ident};"));
            code.line(&format!(
                "sk::set_section(&mut self.object, {number}, value);"
            ));
        }
        if !self.ops.is_empty() {
            code.line("self.struct_ops.write(&mut self.object);");
        }
        code.line("let loaded = self.object.load(options)?;");
        let mut members = Code::inside(0);
        members.line(&format!("links: {links}::default(),"));
        for section in self.sections.iter().filter(|section| !section.is_arena()) {
            let (ident, number) = (&section.section.ident, section.number());
            let access = if section.is_writable() {
                "WRITE"
            } else {
                "READ"
            };
            members.line(&format!(
                "{ident}: sk::mapped(&loaded, {number}, sk::{access})?,"
            ));
        }
        members.line("loaded,");
        literal(code, skel, &members.out, "Ok");
        code.close("}");
        if !self.shape.maps.is_empty() {
            code.gap();
            code.doc("Its maps.");
            let body = format!("{open_maps}(&mut self.object)");
            code.getter("maps", &["&mut self"], &format!("{open_maps}<'_>"), &body);
        }
        if !self.shape.programs.is_empty() {
            code.gap();
            code.doc("Its programs.");
            let body = format!("{open_progs}(&mut self.object)");
            code.getter("progs", &["&mut self"], &format!("{open_progs}<'_>"), &body);
        }
        code.gap();
        code.doc("All of it but the variables, whose values come from here when it is loaded.");
        let output = "&mut sk::model::Object";
        code.getter("object", &["&mut self"], output, "&mut self.object");
        code.close("}");
    }

    fn is_changed(&self) -> bool {
        !self.ops.is_empty() || self.sections.iter().any(SectionNames::has_value)
    }

    /// Maps, programs and links.
    fn parts(&self, code: &mut Code) {
        let maps = self.shape.maps.iter();
        let maps: Vec<_> = maps
            .map(|map| (map.ident.as_str(), map.map.symbol.as_str()))
            .collect();
        let programs = self.shape.programs.iter();
        let programs: Vec<_> = programs
            .map(|program| (program.ident.as_str(), program.program.name.as_str()))
            .collect();
        let Names {
            maps: map_names,
            open_maps,
            progs,
            open_progs,
            links,
            program,
            ..
        } = &self.names;
        for (all, what, loaded, open, item, fd, of, call) in [
            (
                &maps, "map", map_names, open_maps, "Map", "map_fd", "MapFd", "map_mut",
            ),
            (
                &programs,
                "program",
                progs,
                open_progs,
                "Program",
                "prog_fd",
                "ProgFd",
                "program_mut",
            ),
        ] {
            if all.is_empty() {
                continue;
            }
            code.gap();
            code.doc(&format!(
                "Each {what} of the loaded object; none if it was not made or was taken."
            ));
            code.line("#[derive(Clone, Copy, Debug)]");
            code.line(&format!("pub struct {loaded}<'a>(&'a sk::Loaded);"));
            code.gap();
            code.open(&format!("impl<'a> {loaded}<'a> {{"));
            for (number, (ident, name)) in all.iter().enumerate() {
                if number != 0 {
                    code.gap();
                }
                code.doc(&format!("The {what} {}.", shown(name)));
                let body = format!("sk::{fd}(self.0, {number})");
                code.getter(ident, &["self"], &format!("Option<&'a sk::{of}>"), &body);
            }
            code.close("}");
            code.gap();
            code.doc(&format!("Each {what} of the object, to change it."));
            code.line("#[derive(Debug)]");
            code.line(&format!(
                "pub struct {open}<'a>(&'a mut sk::model::Object);"
            ));
            code.gap();
            code.open(&format!("impl {open}<'_> {{"));
            for (number, (ident, name)) in all.iter().enumerate() {
                if number != 0 {
                    code.gap();
                }
                code.doc(&format!("The {what} {}.", shown(name)));
                let body = format!("sk::{call}(self.0, {number})");
                let output = format!("&mut sk::model::{item}");
                code.getter(ident, &["&mut self"], &output, &body);
            }
            code.close("}");
        }
        if !programs.is_empty() && !self.ops.is_empty() {
            code.gap();
            code.doc("A program.");
            code.line("#[derive(Clone, Copy, Debug, PartialEq, Eq)]");
            code.line("#[repr(u32)]");
            code.open(&format!("pub enum {program} {{"));
            for (ident, name) in &programs {
                code.doc(&format!("The program {}.", shown(name)));
                code.line(&format!("{ident},"));
            }
            code.close("}");
            code.gap();
            code.open(&format!("impl {program} {{"));
            code.open("fn from_number(number: u32) -> Option<Self> {");
            code.open("match number {");
            for (number, (ident, _)) in programs.iter().enumerate() {
                code.line(&format!("{number} => Some(Self::{ident}),"));
            }
            code.line("_ => None,");
            code.close("}");
            code.close("}");
            code.close("}");
        }
        code.gap();
        code.doc("What is attached; dropping one detaches it.");
        code.line("#[derive(Debug, Default)]");
        let attached = self.attached();
        if attached.is_empty() {
            code.line(&format!("pub struct {links} {{}}"));
            return;
        }
        code.open(&format!("pub struct {links} {{"));
        for (ident, _) in &attached {
            code.line(&format!("pub {ident}: Option<sk::Link>,"));
        }
        code.close("}");
    }

    /// How all struct_ops maps are read and written back.
    fn struct_ops(&self, code: &mut Code) {
        code.gap();
        code.open(&format!("impl {} {{", self.names.ops));
        code.open("fn read(object: &sk::model::Object) -> Self {");
        let mut members = Code::inside(0);
        for ops in &self.ops {
            let (ident, of) = ops.member();
            members.line(&format!("{ident}: {of}::read(object),"));
        }
        literal(code, "Self", &members.out, "");
        code.close("}");
        code.gap();
        code.open("fn write(&self, object: &mut sk::model::Object) {");
        for ops in &self.ops {
            code.line(&format!("self.{}.write(object);", ops.member().0));
        }
        code.close("}");
        code.close("}");
    }
}
