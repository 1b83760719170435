//! What the compiler could not know when it wrote the types: sizes of sections, places and
//! visibility of variables; and what the kernel wants to see in place of externs.

use super::externs::Externs;
use super::source::{Log, Source, linkage, shown};
use super::types::datasec;
use crate::elf::{Binding, Symbol, SymbolKind};
use crate::model::patch::Patch;
use crate::model::{ExternKind, Linkage, ModelError};
use btf::build::Builder;
use btf::{Btf, BtfError, Kind, Type, TypeId, encoding};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// Linkages of variables and functions.
const STATIC: u32 = 0;
const GLOBAL: u32 = 1;
const EXTERN: u32 = 2;

/// Types of one name that are looked at.
pub(super) const MAX_SAME: usize = 64;

/// The object's types, ready for the kernel as far as no kernel must be known: ids and strings
/// are those of the file.
pub(super) fn types(
    source: &Source<'_>,
    externs: &mut Externs,
    log: &mut Log,
) -> Result<Option<Btf<'static>>, ModelError> {
    let Some(original) = source.btf() else {
        return Ok(None);
    };
    let (blob, stand_in) = match with_stand_ins(original) {
        Ok(new) => new,
        Err(error) => {
            log.note(|| format!("types of externs are left as they are: {error}"));
            (Cow::Borrowed(original.data()), None)
        }
    };
    let Ok(btf) = Btf::parse(&*blob) else {
        return Ok(None);
    };
    let mut patch = Patch::new(&btf);
    let globals = globals(source, log)?;
    sections(source, &globals, &mut patch, log)?;
    hidden_functions(source, &mut patch);
    if let Some(stand_in) = stand_in {
        ksyms(&mut patch, stand_in);
    }
    kconfig(&mut patch, externs, log);
    let changes = patch.finish();
    drop(btf);
    match changes.apply(blob.into_owned()) {
        Ok(btf) => Ok(Some(btf)),
        Err(error) => {
            log.note(|| format!("types are left out: {error}"));
            Ok(None)
        }
    }
}

/// What stands for externs in what the kernel sees.
#[derive(Clone, Copy)]
struct StandIn {
    /// An integer of four bytes.
    int: TypeId,
    /// A variable, where there are functions.
    var: Option<TypeId>,
    /// The string that is its name.
    name: u32,
}

/// Adds what must stand for the externs of section `.ksyms`, if there is one.
fn with_stand_ins<'b>(btf: &'b Btf<'b>) -> Result<(Cow<'b, [u8]>, Option<StandIn>), BtfError> {
    let Some((_, section)) = datasec(btf, b".ksyms") else {
        return Ok((Cow::Borrowed(btf.data()), None));
    };
    let has_func = section
        .vars()
        .any(|var| matches!(btf.type_by_id(var.type_id), Ok(Type::Func(_))));
    let int = btf.types().find_map(|(id, ty)| match ty {
        Type::Int(int) if int.bits() == 32 && int.size() == 4 => Some(id),
        _ => None,
    });
    let mut stand_in = StandIn {
        int: int.unwrap_or_default(),
        var: None,
        name: 0,
    };
    if int.is_some() && !has_func {
        return Ok((Cow::Borrowed(btf.data()), Some(stand_in)));
    }
    let mut builder = Builder::from_btf(btf)?;
    if int.is_none() {
        stand_in.int = builder.add_int(b"int", 4, encoding::SIGNED);
    }
    if has_func {
        let name = b"dummy_ksym";
        stand_in.var = Some(builder.add_var(name, GLOBAL, stand_in.int));
        stand_in.name = builder.string(name).0;
    }
    Ok((Cow::Owned(builder.finish()?), Some(stand_in)))
}

/// Global variables by name.
fn globals<'s>(
    source: &'s Source<'_>,
    log: &mut Log,
) -> Result<HashMap<&'s [u8], &'s Symbol<'s>>, ModelError> {
    let mut out = HashMap::new();
    for symbol in source.elf.symbols() {
        let global = matches!(symbol.binding, Binding::Global | Binding::Weak);
        if global
            && symbol.kind == SymbolKind::Object
            && let Some(name) = symbol.name
        {
            log.count(name)?;
            out.entry(name).or_insert(symbol);
        }
    }
    Ok(out)
}

/// Fills in sizes of sections, and places and linkage of their variables.
fn sections(
    source: &Source<'_>,
    globals: &HashMap<&[u8], &Symbol<'_>>,
    patch: &mut Patch<'_>,
    log: &mut Log,
) -> Result<(), ModelError> {
    let btf = patch.btf;
    let described = btf
        .types()
        .filter(|(_, ty)| matches!(ty, Type::Datasec(_)))
        .count();
    if described == 0 {
        return Ok(());
    }
    let mut seen = HashSet::new();
    let named: Vec<_> = source
        .elf
        .sections()
        .iter()
        .filter(|section| !section.name.is_empty() && seen.insert(section.name))
        .collect();
    let queries: Vec<_> = named
        .iter()
        .map(|section| (section.name, Some(Kind::Datasec)))
        .collect();
    for (section, id) in named.iter().zip(btf.find_many(&queries)) {
        let name = &section.name;
        let Some(id) = id else {
            continue;
        };
        let Ok(Type::Datasec(types)) = btf.type_by_id(id) else {
            continue;
        };
        if matches!(*name, b".kconfig" | b".ksyms") {
            continue;
        }
        let mut vars: Vec<_> = types
            .vars()
            .map(|var| [var.type_id.0, var.offset, var.size])
            .collect();
        let mut size = types.size();
        let unfinished = size == 0;
        if unfinished {
            size = u32::try_from(section.size).unwrap_or(0);
        }
        if size == 0 {
            log.note(|| format!("types of section '{}': its size is not known", shown(name)));
            continue;
        }
        for [id, offset, _] in &mut vars {
            let Ok(Type::Var(var)) = btf.type_by_id(*id) else {
                log.note(|| {
                    format!(
                        "types of section '{}': type {id} is no variable",
                        shown(name)
                    )
                });
                continue;
            };
            if matches!(var.linkage(), STATIC | EXTERN) {
                continue;
            }
            let var_name = var.name().or_empty();
            log.count(var_name)?;
            let symbol = globals.get(var_name).filter(|s| s.section == section.index);
            let Some(symbol) = symbol else {
                log.note(|| {
                    let (var, section) = (shown(var_name), shown(name));
                    format!("variable '{var}' of section '{section}' has no symbol")
                });
                continue;
            };
            if unfinished {
                *offset = u32::try_from(symbol.value).unwrap_or(u32::MAX);
            }
            if linkage(symbol) == Linkage::Hidden {
                patch.set(var.offset(), 3, STATIC);
            }
        }
        patch.section(&types, size, vars);
    }
    Ok(())
}

/// Functions that no other file sees are verified where they are called, as static ones.
fn hidden_functions(source: &Source<'_>, patch: &mut Patch<'_>) {
    let hidden = source
        .elf
        .symbols()
        .iter()
        .filter(|symbol| symbol.kind == SymbolKind::Func && linkage(symbol) == Linkage::Hidden);
    let queries: Vec<_> = hidden
        .filter_map(|symbol| Some((symbol.name?, Some(Kind::Func))))
        .collect();
    let btf = patch.btf;
    let is_global =
        |id: &TypeId| matches!(btf.type_by_id(*id), Ok(Type::Func(f)) if f.linkage() == GLOBAL);
    for ((name, _), first) in queries.iter().zip(btf.find_many(&queries)) {
        let Some(first) = first else { continue };
        let found = Some(first)
            .filter(is_global)
            .or_else(|| btf.find_by_name(name).take(MAX_SAME).find(is_global));
        if let Some(Ok(Type::Func(func))) = found.map(|id| btf.type_by_id(id)) {
            patch.set(func.offset(), 1, with_linkage(func.info(), STATIC));
        }
    }
}

/// The `info` word of a function with another linkage.
const fn with_linkage(info: u32, linkage: u32) -> u32 {
    info & 0xff00_0000 | linkage
}

/// Externs of section `.ksyms` become integers that the object itself has: the kernel takes
/// no externs, and there is no memory behind these.
fn ksyms(patch: &mut Patch<'_>, stand_in: StandIn) {
    const SIZE: u32 = 4;
    let Some((_, section)) = datasec(patch.btf, b".ksyms") else {
        return;
    };
    let mut vars = Vec::new();
    let mut end = 0u32;
    for var in section.vars() {
        let mut id = var.type_id;
        match patch.btf.type_by_id(id) {
            Ok(Type::Var(var)) => {
                patch.set(var.offset(), 2, stand_in.int.0);
                patch.set(var.offset(), 3, GLOBAL);
            }
            Ok(Type::Func(func)) => {
                patch.set(func.offset(), 1, with_linkage(func.info(), GLOBAL));
                name_params(patch, func.proto(), stand_in.name);
                id = stand_in.var.unwrap_or(id);
            }
            _ => {}
        }
        vars.push([id.0, end, SIZE]);
        end = end.saturating_add(SIZE);
    }
    patch.section(&section, end, vars);
}

/// Parameters of a function that is not extern need names.
fn name_params(patch: &mut Patch<'_>, proto: TypeId, name: u32) {
    if let Ok(Type::FuncProto(proto)) = patch.btf.type_by_id(proto) {
        for (at, param) in proto.params().enumerate() {
            if !param.type_id.is_void() && param.name.offset() == 0 {
                patch.set(proto.offset(), 3 + 2 * at, name);
            }
        }
    }
}

/// Externs of section `.kconfig` become variables of the map that holds the values. Those
/// that are no externs after all get places behind the others.
fn kconfig(patch: &mut Patch<'_>, externs: &mut Externs, log: &mut Log) {
    let Some((_, section)) = datasec(patch.btf, b".kconfig") else {
        return;
    };
    let places: HashMap<_, _> = externs
        .externs
        .iter()
        .filter_map(|ext| match ext.kind {
            ExternKind::Kconfig { offset, .. } => Some((ext.btf_id?, offset)),
            _ => None,
        })
        .collect();
    let mut vars = Vec::new();
    for var in section.vars() {
        let offset = if let Some(offset) = places.get(&var.type_id) {
            *offset
        } else {
            let place = externs.kconfig_size.checked_next_multiple_of(8);
            let end = place.and_then(|place| place.checked_add(var.size));
            let (Some(place), Some(end)) = (place, end) else {
                log.note(|| "types of section '.kconfig' are left as they are".to_owned());
                return;
            };
            externs.kconfig_size = end;
            place
        };
        if let Ok(Type::Var(of)) = patch.btf.type_by_id(var.type_id) {
            patch.set(of.offset(), 3, GLOBAL);
        }
        vars.push([var.type_id.0, offset, var.size]);
    }
    patch.section(&section, externs.kconfig_size, vars);
}
