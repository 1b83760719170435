//! An object in words, so that numbers which may differ (of sections, symbols, types, strings)
//! do not count.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail, ensure};
use btf::ext::Ext;
use btf::{Btf, Kind, Type, TypeId};
use object::read::elf::{ElfFile64, FileHeader as _, Rel as _, SectionHeader as _, Sym as _};
use object::{Endianness, elf};

/// A line each; variables are apart, because bpftool gets some offsets wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) lines: BTreeSet<String>,
    pub(crate) variables: BTreeSet<Variable>,
    /// How many types there are, without signatures: bpftool keeps some that nothing uses.
    pub(crate) types: usize,
}

/// A line of a section in `.BTF`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Variable {
    pub(crate) section: String,
    pub(crate) name: String,
    pub(crate) offset: u32,
    pub(crate) size: u32,
    pub(crate) what: String,
}

/// Fails with what only one of them says.
pub(crate) fn same(ours: &Described, theirs: &Described, who: &str) -> Result<()> {
    let mut said = String::new();
    for line in ours.lines.difference(&theirs.lines) {
        write!(said, "\n  ours: {line}")?;
    }
    for line in theirs.lines.difference(&ours.lines) {
        write!(said, "\n  {who}: {line}")?;
    }
    for variable in ours.variables.difference(&theirs.variables) {
        write!(said, "\n  ours: {variable:?}")?;
    }
    for variable in theirs.variables.difference(&ours.variables) {
        write!(said, "\n  {who}: {variable:?}")?;
    }
    ensure!(said.is_empty(), "they differ:{said}");
    ensure!(
        ours.types == theirs.types,
        "{} types, {who}: {}",
        ours.types,
        theirs.types
    );
    Ok(())
}

/// Describes an object.
pub(crate) fn object(data: &[u8]) -> Result<Described> {
    let file = ElfFile64::<Endianness>::parse(data).context("parse the object")?;
    let order = file.endian();
    let header = file.elf_header();
    let sections = header.sections(order, data)?;
    let symbols = sections.symbols(order, data, elf::SHT_SYMTAB)?;
    let mut out = Described::default();
    let mut add = |line: String| -> Result<()> {
        ensure!(out.lines.insert(line.clone()), "twice: {line}");
        Ok(())
    };
    let text = |bytes: &[u8]| btf::escape(bytes).into_owned();
    let section_name = |index: usize| -> Result<String> {
        let section = sections.section(object::SectionIndex(index))?;
        Ok(text(sections.section_name(order, section)?))
    };
    // symbols by their number, in words
    let mut named = vec![String::new()];
    let mut locals = BTreeSet::new();
    let mut last_local = 0;
    for (index, symbol) in symbols.enumerate().skip(1) {
        let at = symbol.st_shndx(order);
        let place = match at.index() {
            Some(0) => "nowhere".into(),
            Some(index) => section_name(index.into())?,
            None => format!("reserved {:#x}", at.0),
        };
        let name = text(symbol.name(order, symbols.strings())?);
        let line = format!(
            "symbol '{name}' type={} bind={} vis={} in {place} at {:#x} size {}",
            symbol.st_type().0,
            symbol.st_bind().0,
            symbol.st_visibility().0,
            symbol.st_value(order),
            symbol.st_size(order)
        );
        if symbol.st_bind() == elf::STB_LOCAL {
            last_local = index.0;
            ensure!(locals.insert(line.clone()), "twice: {line}");
        }
        named.push(line.clone());
        add(line)?;
    }
    for (index, section) in sections.enumerate().skip(1) {
        let name = section_name(index.0)?;
        let kind = section.sh_type(order);
        let mut line = format!(
            "section {name} type={} flags={:#x} align={} entsize={}",
            kind.0,
            section.sh_flags(order).0,
            section.sh_addralign(order),
            section.sh_entsize(order)
        );
        ensure!(
            kind == elf::SHT_NOBITS
                || section.sh_addralign(order) == 0
                || section.sh_offset(order) % section.sh_addralign(order) == 0,
            "{name} is not at a multiple of its alignment"
        );
        if kind == elf::SHT_REL {
            let (relocs, link) = section.rel(order, data)?.context("relocations")?;
            write!(
                line,
                " symbols in {}, relocates {}",
                section_name(link.0)?,
                section_name(section.sh_info(order).try_into()?)?
            )?;
            for reloc in relocs {
                let symbol = named
                    .get(usize::try_from(reloc.r_sym(order))?)
                    .context("a symbol")?;
                add(format!(
                    "{name} at {:#x} type {}: {symbol}",
                    reloc.r_offset(order),
                    reloc.r_type(order).0
                ))?;
            }
        } else if kind == elf::SHT_SYMTAB {
            // all local ones come first, as the format wants it; bpftool says 0
            let info = usize::try_from(section.sh_info(order))?;
            ensure!(
                info == 0 || info == last_local + 1,
                "symbols are not in order"
            );
            write!(line, " names in {}", section_name(section.link(order).0)?)?;
        } else if kind == elf::SHT_NOBITS {
            write!(line, " of {} bytes", section.sh_size(order))?;
        } else if !matches!(&*name, ".strtab" | ".BTF" | ".BTF.ext") {
            write!(line, " {:02x?}", section.data(order, data)?)?;
        }
        add(line)?;
    }
    if let Some((_, section)) = sections.section_by_name(order, b".BTF") {
        let btf = Btf::parse(section.data(order, data)?)?;
        let big = matches!(order, Endianness::Big);
        ensure!(
            big == (btf.endian() == btf::Endian::Big),
            "byte order of .BTF"
        );
        types(&btf, &mut out)?;
        if let Some((_, section)) = sections.section_by_name(order, b".BTF.ext") {
            ext(&btf, &Ext::parse(section.data(order, data)?)?, &mut out)?;
        }
    }
    Ok(out)
}

/// A type as far as the next name.
fn word(btf: &Btf<'_>, id: TypeId, depth: u32) -> Result<String> {
    ensure!(depth < 64, "type {id} does not end");
    let of = |id| word(btf, id, depth + 1);
    let ty = btf.type_by_id(id)?;
    let name = String::from_utf8_lossy(ty.name()).into_owned();
    Ok(match ty {
        Type::Void => "void".into(),
        Type::Int(t) => format!("{name}/{}/{}/{}", t.size(), t.bits(), t.encoding()),
        Type::Float(t) => format!("{name}/{}", t.size()),
        Type::Ptr(t) => format!("*{}", of(t.type_id())?),
        Type::Const(t) => format!("const {}", of(t.type_id())?),
        Type::Volatile(t) => format!("volatile {}", of(t.type_id())?),
        Type::Restrict(t) => format!("restrict {}", of(t.type_id())?),
        Type::TypeTag(t) => format!("tag({name}) {}", of(t.type_id())?),
        Type::Typedef(_) => format!("typedef {name}"),
        Type::Array(t) => format!("[{}]{}", t.len(), of(t.elem_type())?),
        Type::Fwd(t) => format!("declared {name} union={}", t.is_union()),
        Type::Struct(_) | Type::Union(_) if !name.is_empty() => format!("{} {name}", ty.kind()),
        Type::Struct(_) | Type::Union(_) => whole(btf, id, depth)?,
        Type::Enum(_) | Type::Enum64(_) if !name.is_empty() => format!("{} {name}", ty.kind()),
        Type::Enum(_) | Type::Enum64(_) => whole(btf, id, depth)?,
        Type::FuncProto(proto) => {
            let mut params = Vec::new();
            for param in proto.params() {
                params.push(format!("{} {}", of(param.type_id)?, param.name.to_text()));
            }
            format!("({}) -> {}", params.join(", "), of(proto.return_type())?)
        }
        Type::Var(var) => format!(
            "var {name} linkage={} {}",
            var.linkage(),
            of(var.type_id())?
        ),
        Type::Func(func) => format!(
            "func {name} linkage={} {}",
            func.linkage(),
            of(func.proto())?
        ),
        other => bail!("{} is not referred to", other.kind()),
    })
}

/// A type with all that it says.
fn whole(btf: &Btf<'_>, id: TypeId, depth: u32) -> Result<String> {
    ensure!(depth < 64, "type {id} does not end");
    let ty = btf.type_by_id(id)?;
    let name = String::from_utf8_lossy(ty.name()).into_owned();
    let of = |id| word(btf, id, depth + 1);
    Ok(match ty {
        Type::Struct(t) | Type::Union(t) => {
            let mut members = Vec::new();
            for m in t.members() {
                let what = of(m.type_id)?;
                let bits = (m.bit_offset, m.bitfield_size);
                members.push(format!("{} {what} at {bits:?}", m.name.to_text()));
            }
            format!(
                "{} {name} {} {{{}}}",
                ty.kind(),
                t.size(),
                members.join("; ")
            )
        }
        Type::Enum(t) => format!("{} {name} {} {:?}", ty.kind(), t.size(), t.enumerators()),
        Type::Enum64(t) => format!("{} {name} {} {:?}", ty.kind(), t.size(), t.enumerators()),
        Type::Typedef(t) => format!("typedef {name} {}", of(t.type_id())?),
        Type::DeclTag(t) => {
            format!(
                "tag {name} of {} at {}",
                of(t.type_id())?,
                t.component_idx()
            )
        }
        _ => word(btf, id, depth)?,
    })
}

fn types(btf: &Btf<'_>, out: &mut Described) -> Result<()> {
    let mut anonymous = Vec::new();
    for (id, ty) in btf.types() {
        match ty {
            Type::Datasec(datasec) => {
                let section = datasec.name().to_text().into_owned();
                let line = format!("datasec {section} of {} bytes", datasec.size());
                ensure!(out.lines.insert(line.clone()), "twice: {line}");
                for line in datasec.vars() {
                    let (_, name) = line.target().context("a variable")?;
                    let variable = Variable {
                        section: section.clone(),
                        name: name.to_text().into_owned(),
                        offset: line.offset,
                        size: line.size,
                        what: word(btf, line.type_id, 0)?,
                    };
                    ensure!(
                        out.variables.insert(variable.clone()),
                        "twice: {variable:?}"
                    );
                }
            }
            // only what uses them is of interest
            Type::FuncProto(_) => continue,
            _ => {
                let line = format!("type {}", whole(btf, id, 0)?);
                // Static variables and functions of one name are there once for each object.
                let is_place = matches!(ty.kind(), Kind::Var | Kind::Func);
                if !out.lines.insert(line.clone()) && !is_place {
                    anonymous.push(line);
                }
            }
        }
        out.types += 1;
    }
    ensure!(
        anonymous.is_empty(),
        "types that are there twice: {anonymous:?}"
    );
    Ok(())
}

fn ext(btf: &Btf<'_>, ext: &Ext<'_>, out: &mut Described) -> Result<()> {
    let text = |offset| -> Result<String> { Ok(btf::escape(btf.str_at(offset)?).into_owned()) };
    let mut add = |line: String| -> Result<()> {
        ensure!(out.lines.insert(line.clone()), "twice: {line}");
        Ok(())
    };
    for block in ext.func_info().blocks() {
        let section = text(block.section_name_off())?;
        for r in block.records() {
            let what = word(btf, r.type_id, 0)?;
            add(format!("func_info {section}+{:#x} {what}", r.insn_off))?;
        }
    }
    for block in ext.line_info().blocks() {
        let section = text(block.section_name_off())?;
        for r in block.records() {
            let (file, line) = (text(r.file_name_off)?, text(r.line_off)?);
            let place = format!("{file}:{}:{}", r.line(), r.column());
            add(format!(
                "line_info {section}+{:#x} {place} {line}",
                r.insn_off
            ))?;
        }
    }
    for block in ext.core_relos().blocks() {
        let section = text(block.section_name_off())?;
        for r in block.records() {
            let what = word(btf, r.type_id, 0)?;
            let path = text(r.access_str_off)?;
            add(format!(
                "core_relo {section}+{:#x} {} {what} {path}",
                r.insn_off, r.kind
            ))?;
        }
    }
    Ok(())
}
