//! Which definition a name stands for: strong ones win over weak ones, these over none.

use std::collections::HashMap;

use btf::{Btf, Type, TypeId};
use object::elf;

use super::agree::{agree, is_static};
use super::error::{LinkErrorKind, SymbolDefect};
use super::input::{Input, Place, Symbol};
use super::map_def::{MapDef, MapDefect};
use super::output::{EXTERN, Merged, Output};

type Result<T> = core::result::Result<T, LinkErrorKind>;

/// Section of map definitions.
const MAPS: &[u8] = b".maps";
/// Section of jump tables: each is of one function, and none of another object's.
pub(super) const JUMP_TABLES: &[u8] = b".jumptables";

/// A line of a section in an object's types.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listed {
    pub(super) datasec: TypeId,
    pub(super) size: u32,
}

/// The `VAR` or `FUNC` of a name in an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Typed {
    pub(super) object: usize,
    pub(super) id: TypeId,
    pub(super) listed: Option<Listed>,
}

/// A name that all objects share.
#[derive(Clone, Debug)]
pub(super) struct Global {
    /// Number in [`Output::symbols`].
    pub(super) symbol: usize,
    /// The section that it is in, or for externals the section of its type.
    pub(super) home: Option<usize>,
    pub(super) is_defined: bool,
    /// Whether the definition is no weak one.
    is_strong: bool,
    /// The object with the definition, or else the first external.
    object: usize,
    /// Its type there.
    pub(super) typed: Option<Typed>,
}

/// Types of the names that an object shares.
struct Names<'d>(HashMap<&'d [u8], (Typed, Option<TypeId>)>);

impl<'d> Names<'d> {
    /// All that are not static: those in a section first, else the only one.
    fn of(btf: &'d Btf<'d>, object: usize) -> Self {
        let mut names: HashMap<&[u8], (Typed, Option<TypeId>)> = HashMap::new();
        let mut add = |name, typed: Typed| {
            names
                .entry(name)
                .and_modify(|(first, second)| {
                    if first.id != typed.id && (typed.listed.is_some() || first.listed.is_none()) {
                        second.get_or_insert(typed.id);
                    }
                })
                .or_insert((typed, None));
        };
        for (_, ty) in btf.types() {
            let Type::Datasec(datasec) = ty else { continue };
            for line in datasec.vars() {
                if let Ok(ty) = btf.type_by_id(line.type_id)
                    && is_static(&ty) == Some(false)
                {
                    let listed = Listed {
                        datasec: datasec.id(),
                        size: line.size,
                    };
                    add(
                        ty.name(),
                        Typed {
                            object,
                            id: line.type_id,
                            listed: Some(listed),
                        },
                    );
                }
            }
        }
        for (id, ty) in btf.types() {
            if is_static(&ty) == Some(false) {
                add(
                    ty.name(),
                    Typed {
                        object,
                        id,
                        listed: None,
                    },
                );
            }
        }
        Self(names)
    }
}

/// A symbol of the object that is added.
struct Mention<'d> {
    object: usize,
    index: usize,
    /// As it is in the result.
    symbol: Symbol<'d>,
    home: Option<usize>,
    typed: Option<Typed>,
}

impl Mention<'_> {
    fn is_defined(&self) -> bool {
        self.symbol.place != Place::Undefined
    }
}

impl<'d> Output<'d> {
    /// Adds the symbols of an object.
    pub(super) fn add_symbols(
        &mut self,
        inputs: &'d [Input<'d>],
        object: usize,
        merged: &mut Merged<'d>,
    ) -> Result<()> {
        let Some(input) = inputs.get(object) else {
            return Ok(());
        };
        let names = input.btf.as_ref().map(|btf| Names::of(btf, object));
        for (index, symbol) in input.symbols.iter().enumerate().skip(1) {
            let added = self.add_symbol(inputs, names.as_ref(), merged, object, index, symbol)?;
            if let Some(place) = merged.symbols.get_mut(index) {
                *place = added;
            }
        }
        Ok(())
    }

    /// Adds a symbol, which is there already if it is global; `None` if its section is left
    /// out.
    fn add_symbol(
        &mut self,
        inputs: &'d [Input<'d>],
        names: Option<&Names<'d>>,
        merged: &mut Merged<'d>,
        object: usize,
        index: usize,
        symbol: &Symbol<'d>,
    ) -> Result<Option<usize>> {
        let Some(input) = inputs.get(object) else {
            return Ok(None);
        };
        let defect = |why| LinkErrorKind::Symbol {
            symbol: input.named_symbol(index),
            why,
        };
        let Some(moved) = moved(symbol, merged).map_err(defect)? else {
            return Ok(None);
        };
        let section = match moved.place {
            Place::Section(section) => Some(section),
            Place::Undefined | Place::Reserved(_) => None,
        };
        if symbol.is_section()
            && let Some(section) = section
        {
            return Ok(Some(self.section_symbol(section, moved)));
        }
        let in_tables = section.is_some_and(|at| self.is_named(at, JUMP_TABLES));
        if symbol.is_local() || in_tables {
            return Ok(Some(self.push_symbol(moved)));
        }
        let typed = match names.and_then(|names| names.0.get(symbol.name)) {
            Some((one, Some(two))) => {
                return Err(LinkErrorKind::TwoTypes {
                    symbol: input.named_symbol(index),
                    one: one.id.get(),
                    two: two.get(),
                });
            }
            Some((one, None)) => Some(*one),
            None if moved.place == Place::Undefined => {
                return Err(LinkErrorKind::NoType {
                    symbol: input.named_symbol(index),
                    other: None,
                });
            }
            None => None,
        };
        let home = match moved.place {
            Place::Section(section) => Some(section),
            Place::Undefined | Place::Reserved(_) => self.extern_home(input, merged, typed),
        };
        let mention = Mention {
            object,
            index,
            symbol: moved,
            home,
            typed,
        };
        let global = match self.globals_by_name.get(symbol.name) {
            Some(global) => {
                let global = *global;
                self.resolve(inputs, global, &mention)?;
                global
            }
            None => {
                let added = self.push_symbol(moved);
                self.globals.push(Global {
                    symbol: added,
                    home,
                    is_defined: mention.is_defined(),
                    is_strong: mention.is_defined() && !moved.is_weak(),
                    object,
                    typed,
                });
                let global = self.globals.len() - 1;
                self.globals_by_name.insert(symbol.name, global);
                global
            }
        };
        merged.globals.insert(symbol.name, global);
        Ok(self.globals.get(global).map(|global| global.symbol))
    }

    /// The only symbol that stands for the start of a section.
    fn section_symbol(&mut self, section: usize, symbol: Symbol<'d>) -> usize {
        let known = |this: &Self| this.sections.get(section)?.body.as_ref()?.symbol;
        match known(self) {
            Some(known) => known,
            None => {
                let new = self.push_symbol(symbol);
                let out = self.sections.get_mut(section);
                if let Some(body) = out.and_then(|out| out.body.as_mut()) {
                    body.symbol = Some(new);
                }
                new
            }
        }
    }

    /// The section that the type of an external is in: `.kconfig`, `.ksyms`, `.maps`.
    fn extern_home(
        &self,
        input: &Input<'d>,
        merged: &Merged<'d>,
        typed: Option<Typed>,
    ) -> Option<usize> {
        let listed = typed?.listed?;
        let datasec = input.btf.as_ref()?.type_by_id(listed.datasec).ok()?;
        match datasec.name() {
            EXTERN => None,
            name => self.home(input, merged, name),
        }
    }

    fn is_named(&self, section: usize, name: &[u8]) -> bool {
        self.sections.get(section).is_some_and(|s| s.name == name)
    }

    /// Another symbol of a known name: checks that both are the same thing, and takes it over
    /// if it is the better definition.
    fn resolve(&mut self, inputs: &'d [Input<'d>], global: usize, new: &Mention<'d>) -> Result<()> {
        let (Some(known), Some(input)) = (self.globals.get(global), inputs.get(new.object)) else {
            return Ok(());
        };
        let other = || inputs.get(known.object).map_or("", |o| &*o.name).to_owned();
        let symbol = || input.named_symbol(new.index);
        let is_strong = new.is_defined() && !new.symbol.is_weak();
        if is_strong && known.is_strong {
            return Err(LinkErrorKind::Duplicate {
                symbol: symbol(),
                other: other(),
            });
        }
        // An external without a section takes any; one that is declared in a section must be
        // there. Two definitions may be in different sections: one of them is dropped.
        let same_home = match (known.is_defined, new.is_defined()) {
            (true, true) => true,
            (true, false) => new.home.is_none() || new.home == known.home,
            (false, true) => known.home.is_none() || new.home == known.home,
            (false, false) => new.home == known.home,
        };
        if !same_home {
            return Err(LinkErrorKind::HomesDiffer {
                symbol: symbol(),
                found: self.section_name(new.home),
                want: self.section_name(known.home),
                other: other(),
            });
        }
        let (Some(here), Some(there)) = (new.typed, known.typed) else {
            return Err(LinkErrorKind::NoType {
                symbol: symbol(),
                other: Some(other()),
            });
        };
        let types = |typed: Typed| {
            let btf = inputs.get(typed.object)?.btf.as_ref()?;
            Some((btf, typed.id))
        };
        if let (Some(here), Some(there)) = (types(here), types(there)) {
            if known.home.is_some_and(|home| self.is_named(home, MAPS)) {
                let define = |(btf, id), object: &str| {
                    MapDef::parse(btf, id).map_err(|why: MapDefect| LinkErrorKind::BadMap {
                        symbol: symbol(),
                        object: object.to_owned(),
                        why: why.into(),
                    })
                };
                let want = define(there, &other())?;
                let found = define(here, &input.name)?;
                found
                    .agree(&want)
                    .map_err(|why| LinkErrorKind::MapsDiffer {
                        symbol: symbol(),
                        other: other(),
                        why: why.into(),
                    })?;
            } else {
                agree(here, there).map_err(|why| LinkErrorKind::TypesDiffer {
                    symbol: symbol(),
                    other: other(),
                    why: why.into(),
                })?;
            }
        }
        let takes_over = new.is_defined() && (!known.is_defined || is_strong);
        let Some(out) = self.symbols.get_mut(known.symbol) else {
            return Ok(());
        };
        // One strong mention makes it strong, one hidden one hidden.
        if !new.symbol.is_weak() {
            out.binding = elf::STB_GLOBAL.0;
        }
        if new.symbol.other & 3 > out.other & 3 {
            out.other = (out.other & !3) | (new.symbol.other & 3);
        }
        if takes_over {
            out.kind = new.symbol.kind;
            out.place = new.symbol.place;
            out.value = new.symbol.value;
            out.size = new.symbol.size;
            if let Some(known) = self.globals.get_mut(global) {
                known.home = new.home;
                known.is_defined = true;
                known.is_strong = is_strong;
                known.object = new.object;
                known.typed = new.typed;
            }
        }
        Ok(())
    }
}

/// A symbol as it is in the result; `None` if its section is left out.
fn moved<'d>(
    symbol: &Symbol<'d>,
    merged: &Merged<'d>,
) -> core::result::Result<Option<Symbol<'d>>, SymbolDefect> {
    let Place::Section(index) = symbol.place else {
        return Ok(Some(*symbol));
    };
    let Some(placed) = merged.sections.get(index).copied().flatten() else {
        return Ok(None);
    };
    let offset = if symbol.is_section() {
        0
    } else {
        placed.offset
    };
    let value = symbol
        .value
        .checked_add(offset)
        .ok_or(SymbolDefect::Value(symbol.value))?;
    Ok(Some(Symbol {
        place: Place::Section(placed.section),
        value,
        ..*symbol
    }))
}
