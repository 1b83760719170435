//! The types of all objects: names that they share are there once, sections are put together
//! as those of the ELF file, and what is equal is there once.

use std::collections::{HashMap, HashSet};

use btf::build::{Builder, Renumbered, SecVar};
use btf::{Btf, Endian, Type, TypeId};
use object::elf;

use super::agree::{STATIC, is_static};
use super::error::{LinkError, LinkErrorKind, SymbolDefect};
use super::input::{Input, Place};
use super::output::{EXTERN, Merged, Output};
use super::symbols::{Global, Typed};

/// Linkage of what is defined and seen by other objects.
#[doc(alias = "BTF_VAR_GLOBAL_ALLOCATED")]
const DEFINED: u32 = 1;

/// The ids that the types of each object get.
#[derive(Debug, Default)]
pub(super) struct Ids {
    /// By object and old id; 0 for those that are left out.
    map: Vec<Vec<u32>>,
    /// One past the last.
    end: u32,
}

impl Ids {
    /// Decides it, before any type is written: types refer to later ones.
    pub(super) fn plan(inputs: &[Input<'_>], out: &Output<'_>) -> Self {
        let mut ids = Self {
            end: 1,
            ..Self::default()
        };
        let mut of_globals = vec![0; out.globals.len()];
        for (object, (input, merged)) in inputs.iter().zip(&out.merged).enumerate() {
            let mut map = Vec::new();
            if let Some(btf) = &input.btf {
                let mut dropped = left_out(input, btf, merged);
                dropped.extend(unused_signatures(object, input, btf, merged, out));
                map.push(0);
                for (id, ty) in btf.types() {
                    let is_dropped = match &ty {
                        // these are made anew
                        Type::Datasec(_) => true,
                        Type::DeclTag(tag) if dropped.contains(&tag.type_id()) => true,
                        _ => dropped.contains(&id),
                    };
                    map.push(match shared(&ty, merged) {
                        _ if is_dropped => 0,
                        None => ids.next(),
                        Some(number) => match of_globals.get_mut(number) {
                            Some(known) if *known != 0 => *known,
                            known => {
                                let new = ids.next();
                                known.map_or(new, |known| {
                                    *known = new;
                                    new
                                })
                            }
                        },
                    });
                }
            }
            ids.map.push(map);
        }
        ids
    }

    const fn next(&mut self) -> u32 {
        let id = self.end;
        // all objects together are far from having that many
        self.end = self.end.saturating_add(1);
        id
    }

    /// The new id of a type; `None` for one that is not there or left out.
    pub(super) fn get(&self, object: usize, id: TypeId) -> Option<TypeId> {
        if id.is_void() {
            return Some(id);
        }
        let new = *self.map.get(object)?.get(usize::try_from(id.get()).ok()?)?;
        (new != 0).then_some(TypeId(new))
    }
}

/// The number of the global that a variable or function is.
fn shared(ty: &Type<'_>, merged: &Merged<'_>) -> Option<usize> {
    match is_static(ty) {
        Some(false) => merged.globals.get(ty.name()).copied(),
        _ => None,
    }
}

/// Signatures that only functions have whose type is another object's. Those of externals have
/// no names of parameters, and so are no second copy of the definition's.
fn unused_signatures(
    object: usize,
    input: &Input<'_>,
    btf: &Btf<'_>,
    merged: &Merged<'_>,
    out: &Output<'_>,
) -> HashSet<TypeId> {
    let is_elsewhere = |id: TypeId, ty: &Type<'_>| {
        let global = shared(ty, merged).and_then(|number| out.globals.get(number));
        let typed = global.and_then(|global| global.typed);
        typed.is_some_and(|typed| (typed.object, typed.id) != (object, id))
    };
    let mut unused = HashSet::new();
    for (id, ty) in btf.types() {
        if let Type::Func(func) = ty
            && is_elsewhere(id, &ty)
            && matches!(btf.type_by_id(func.proto()), Ok(Type::FuncProto(_)))
        {
            unused.insert(func.proto());
        }
    }
    if unused.is_empty() {
        return unused;
    }
    for (id, ty) in btf.types() {
        if !is_elsewhere(id, &ty) {
            references(&ty, |to| {
                unused.remove(&to);
            });
        }
    }
    for relo in input.ext.iter().flat_map(|ext| ext.core_relos().records()) {
        unused.remove(&relo.type_id);
    }
    unused
}

/// Calls `f` on all types that a type refers to.
fn references(ty: &Type<'_>, mut f: impl FnMut(TypeId)) {
    match ty {
        Type::Ptr(r)
        | Type::Typedef(r)
        | Type::Volatile(r)
        | Type::Const(r)
        | Type::Restrict(r)
        | Type::TypeTag(r) => f(r.type_id()),
        Type::Func(func) => f(func.proto()),
        Type::Var(var) => f(var.type_id()),
        Type::DeclTag(tag) => f(tag.type_id()),
        Type::Array(array) => {
            f(array.elem_type());
            f(array.index_type());
        }
        Type::Struct(t) | Type::Union(t) => t.members().for_each(|member| f(member.type_id)),
        Type::FuncProto(proto) => {
            f(proto.return_type());
            proto.params().for_each(|param| f(param.type_id));
        }
        Type::Datasec(datasec) => datasec.vars().for_each(|line| f(line.type_id)),
        _ => {}
    }
}

/// Variables of sections that are left out, because another object has the same.
fn left_out(input: &Input<'_>, btf: &Btf<'_>, merged: &Merged<'_>) -> HashSet<TypeId> {
    let mut dropped = HashSet::new();
    for (_, ty) in btf.types() {
        let Type::Datasec(datasec) = ty else { continue };
        let Some(section) = input.section_by_name(datasec.name().or_empty()) else {
            continue;
        };
        if merged.sections.get(section).is_none_or(Option::is_some) {
            continue;
        }
        for line in datasec.vars() {
            if let Ok(Type::Var(var)) = btf.type_by_id(line.type_id)
                && !merged.globals.contains_key(var.name().or_empty())
            {
                dropped.insert(line.type_id);
            }
        }
    }
    dropped
}

/// The types of the result, each once; what became of those planned. `None` if there are none.
pub(super) fn write<'b>(
    inputs: &'b [Input<'b>],
    out: &Output<'b>,
    ids: &Ids,
    endian: Endian,
) -> Result<Option<(Builder<'static>, Renumbered)>, LinkError> {
    let mut writer = Writer {
        inputs,
        out,
        ids,
        builder: Builder::new(endian),
    };
    for (object, (input, merged)) in inputs.iter().zip(&out.merged).enumerate() {
        for (id, ty) in input.btf.iter().flat_map(Btf::types) {
            writer
                .add(object, id, &ty, merged)
                .map_err(|kind| kind.of(&input.name))?;
        }
    }
    writer.add_sections()?;
    let mut builder = writer.builder;
    if builder.is_empty() {
        return Ok(None);
    }
    let renumbered = builder
        .dedup()
        .map_err(|error| LinkErrorKind::WriteBtf(error).of_all())?;
    // Strings in the order in which the types that are left use them: linking the result again
    // then gives the same bytes.
    let blob = builder.finish();
    let again = blob.and_then(|blob| {
        let btf = Btf::parse(blob)?;
        let mut again = Builder::new(endian);
        for id in btf.ids() {
            again.copy_type(&btf, id, &mut |id| id)?;
        }
        Ok(again)
    });
    let again = again.map_err(|error| LinkErrorKind::WriteBtf(error).of_all())?;
    Ok(Some((again, renumbered)))
}

struct Writer<'b, 'o> {
    inputs: &'b [Input<'b>],
    out: &'o Output<'b>,
    ids: &'o Ids,
    builder: Builder<'static>,
}

impl<'b> Writer<'b, '_> {
    /// Adds a type of an object, unless it is there already or left out.
    fn add(
        &mut self,
        object: usize,
        id: TypeId,
        ty: &Type<'b>,
        merged: &Merged<'b>,
    ) -> Result<(), LinkErrorKind> {
        if self.ids.get(object, id) != Some(TypeId(self.builder.next_id())) {
            return Ok(());
        }
        let global = shared(ty, merged).and_then(|number| self.out.globals.get(number));
        if let Some(global) = global
            && let Some(typed) = global.typed
        {
            return self.add_global(global, typed);
        }
        if is_static(ty) == Some(false) {
            // no symbol that others see stands for it, so it is none that they see
            return self.add_place(object, ty, |_own| STATIC);
        }
        let Some(btf) = self.inputs.get(object).and_then(|input| input.btf.as_ref()) else {
            return Ok(());
        };
        let mut missing = None;
        let ids = self.ids;
        let mut map = |to| {
            ids.get(object, to).unwrap_or_else(|| {
                missing.get_or_insert(to);
                TypeId::VOID
            })
        };
        self.builder
            .copy_type(btf, id, &mut map)
            .map_err(|why| LinkErrorKind::Type { id: id.get(), why })?;
        match missing {
            None => Ok(()),
            Some(to) => Err(LinkErrorKind::Reference {
                id: id.get(),
                to: to.get(),
            }),
        }
    }

    fn reference(&self, object: usize, id: TypeId, to: TypeId) -> Result<TypeId, LinkErrorKind> {
        self.ids
            .get(object, to)
            .ok_or_else(|| LinkErrorKind::Reference {
                id: id.get(),
                to: to.get(),
            })
    }

    /// Adds the variable or function of a name, as its definition has it.
    fn add_global(&mut self, global: &Global, typed: Typed) -> Result<(), LinkErrorKind> {
        let btf = self.inputs.get(typed.object).and_then(|i| i.btf.as_ref());
        match btf.map(|btf| btf.type_by_id(typed.id)) {
            Some(Ok(ty)) => self.add_place(typed.object, &ty, |own| match global.is_defined {
                true => DEFINED,
                false => own,
            }),
            _ => Ok(()),
        }
    }

    /// Adds a variable or function of an object with a linkage made of its own.
    fn add_place(
        &mut self,
        object: usize,
        ty: &Type<'_>,
        linkage: impl Fn(u32) -> u32,
    ) -> Result<(), LinkErrorKind> {
        match ty {
            Type::Var(var) => {
                let to = self.reference(object, var.id(), var.type_id())?;
                let name = var.name().or_empty();
                self.builder.add_var(name, linkage(var.linkage()), to);
            }
            Type::Func(func) => {
                let to = self.reference(object, func.id(), func.proto())?;
                let name = func.name().or_empty();
                self.builder.add_func(name, linkage(func.linkage()), to);
            }
            _ => {}
        }
        Ok(())
    }

    /// Adds the sections: those of the ELF file in its order, then those of externals.
    fn add_sections(&mut self) -> Result<(), LinkError> {
        // by section of the result, the objects that say something about it
        let mut parts: Vec<Vec<Part<'b>>> = vec![Vec::new(); self.out.sections.len()];
        for (object, (input, merged)) in self.inputs.iter().zip(&self.out.merged).enumerate() {
            for (_, ty) in input.btf.iter().flat_map(Btf::types) {
                let Type::Datasec(datasec) = ty else { continue };
                let name = datasec.name().or_empty();
                if name == EXTERN {
                    continue;
                }
                let section = input.section_by_name(name);
                let placed = section.and_then(|at| merged.sections.get(at).copied().flatten());
                let home = match section {
                    Some(_) => placed.map(|placed| placed.section),
                    None => merged.shells.get(name).copied(),
                };
                if let Some(parts) = home.and_then(|home| parts.get_mut(home)) {
                    parts.push(Part {
                        object,
                        datasec,
                        section,
                        offset: placed.map_or(0, |placed| placed.offset),
                    });
                }
            }
        }
        let shells = (0..self.out.sections.len()).filter(|at| {
            let section = self.out.sections.get(*at);
            section.is_some_and(|section| section.body.is_none())
        });
        for home in self.out.order.iter().copied().chain(shells) {
            let (Some(parts), Some(section)) = (parts.get(home), self.out.sections.get(home))
            else {
                continue;
            };
            if parts.is_empty() {
                continue;
            }
            let mut lines = Vec::new();
            let mut listed = HashSet::new();
            for part in parts {
                let input = self.inputs.get(part.object);
                self.lines(home, part, &mut listed, &mut lines)
                    .map_err(|kind| kind.of(input.map_or("", |input| &input.name)))?;
            }
            // kernels want them in order; externals have no offset and stay as they are
            lines.sort_by_key(|line| line.offset);
            let size = section.body.as_ref().map_or(0, |body| body.size);
            let size = u32::try_from(size).unwrap_or(u32::MAX);
            self.builder.add_datasec(section.name, size, &lines);
        }
        Ok(())
    }

    /// The lines of an object about a section; names that are `listed` have theirs.
    fn lines(
        &self,
        home: usize,
        part: &Part<'b>,
        listed: &mut HashSet<usize>,
        lines: &mut Vec<SecVar>,
    ) -> Result<(), LinkErrorKind> {
        let (Some(input), Some(merged)) = (
            self.inputs.get(part.object),
            self.out.merged.get(part.object),
        ) else {
            return Ok(());
        };
        let Some(btf) = &input.btf else { return Ok(()) };
        let mut symbols = None;
        for line in part.datasec.vars() {
            let id = part.datasec.id();
            let type_id = self.reference(part.object, id, line.type_id)?;
            let Ok(ty) = btf.type_by_id(line.type_id) else {
                continue;
            };
            let number = shared(&ty, merged);
            let global = number.and_then(|number| self.out.globals.get(number));
            if let (Some(number), Some(global)) = (number, global) {
                // another object's definition is in another section, or it was told already
                if global.home != Some(home) || !listed.insert(number) {
                    continue;
                }
                let size = global.typed.and_then(|typed| typed.listed);
                lines.push(SecVar {
                    type_id,
                    offset: self.offset_of(input, global, &ty, line.offset)?,
                    size: size.map_or(line.size, |listed| listed.size),
                });
                continue;
            }
            let offset = match ty {
                // compilers leave the offset of what has a symbol to it
                Type::Var(var) if var.linkage() == DEFINED => {
                    let symbols = symbols.get_or_insert_with(|| variables(input, part.section));
                    let value = symbols.get(ty.name());
                    *value.ok_or_else(|| LinkErrorKind::NoSymbol {
                        variable: var.name().to_text().into_owned(),
                        section: part.datasec.name().to_text().into_owned(),
                    })?
                }
                _ => line.offset.into(),
            };
            let offset = offset.checked_add(part.offset);
            lines.push(SecVar {
                type_id,
                offset: offset.and_then(|offset| u32::try_from(offset).ok()).ok_or(
                    LinkErrorKind::TooLarge {
                        what: "a variable 4 gib or more from the start of its section",
                    },
                )?,
                size: line.size,
            });
        }
        Ok(())
    }

    /// Where a shared variable is in its section; for externals what their object says.
    fn offset_of(
        &self,
        input: &Input<'b>,
        global: &Global,
        ty: &Type<'b>,
        own: u32,
    ) -> Result<u32, LinkErrorKind> {
        if !global.is_defined || !matches!(ty, Type::Var(_)) {
            return Ok(own);
        }
        let symbol = self.out.symbols.get(global.symbol);
        let value = symbol.map_or(0, |symbol| symbol.value);
        u32::try_from(value).map_err(|_error| LinkErrorKind::Symbol {
            symbol: super::error::Named {
                index: input
                    .symbols
                    .iter()
                    .position(|other| other.name == ty.name())
                    .unwrap_or_default(),
                name: btf::escape(ty.name()).into_owned(),
            },
            why: SymbolDefect::Far,
        })
    }
}

/// What an object says about a section.
#[derive(Clone, Copy)]
struct Part<'b> {
    object: usize,
    datasec: btf::types::Datasec<'b>,
    /// The section in the object; `None` for externals.
    section: Option<usize>,
    /// Where its bytes start in the result.
    offset: u64,
}

/// Values of the variables' symbols in a section, by name.
fn variables<'b>(input: &'b Input<'b>, section: Option<usize>) -> HashMap<&'b [u8], u64> {
    let mut values = HashMap::new();
    for symbol in &input.symbols {
        if let (Place::Section(at), Some(section)) = (symbol.place, section)
            && at == section
            && symbol.kind == elf::STT_OBJECT.0
        {
            values.entry(symbol.name).or_insert(symbol.value);
        }
    }
    values
}
