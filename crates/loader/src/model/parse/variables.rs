//! Global variables: those that types describe, and those that only have a symbol.

use super::ModelError;
use super::map_defs::Maps;
use super::sections::Role;
use super::source::{Log, Source, linkage, shown};
use super::types::datasec;
use crate::elf::{Section, SymbolKind};
use crate::model::{Linkage, MapIdx, Variable};
use btf::{Btf, Type};
use std::collections::HashMap;

/// The variables of data sections and of the arena, by section and place.
pub(super) fn collect(
    source: &Source<'_>,
    btf: Option<&Btf<'_>>,
    maps: &Maps,
    log: &mut Log,
) -> Result<Vec<Variable>, ModelError> {
    let mut out = Vec::new();
    for section in source.elf.sections() {
        let role = source.role(section.index);
        if (role.is_data() || role == Role::Arena)
            && let Some(map) = maps.of_section(section.index)
        {
            of_section(source, btf, section, map, &mut out, log)?;
        }
    }
    Ok(out)
}

fn of_section(
    source: &Source<'_>,
    btf: Option<&Btf<'_>>,
    section: &Section<'_>,
    map: MapIdx,
    out: &mut Vec<Variable>,
    log: &mut Log,
) -> Result<(), ModelError> {
    let mut symbols = HashMap::new();
    let objects = source
        .symbols_in(section.index)
        .filter(|(_, symbol)| symbol.kind == SymbolKind::Object);
    for (_, symbol) in objects {
        if let (Some(name), Ok(offset)) = (symbol.name, u32::try_from(symbol.value)) {
            log.count(name)?;
            symbols.insert((offset, name), symbol);
        }
    }
    let first = out.len();
    let mut add = |name: &[u8], mut variable: Variable, log: &mut Log| {
        let end = u64::from(variable.offset) + u64::from(variable.size);
        if name.is_empty() || end > section.size {
            log.note(|| {
                let section = shown(section.name);
                format!("variable '{}' is not in section '{section}'", shown(name))
            });
            return Ok(());
        }
        variable.name = log.own(name)?;
        out.push(variable);
        Ok::<_, ModelError>(())
    };
    let typed = btf.and_then(|btf| Some((btf, datasec(btf, section.name)?.1)));
    if let Some((btf, types)) = typed {
        log.take(types.raw().len())?;
        for var in types.vars() {
            let Ok(Type::Var(view)) = btf.type_by_id(var.type_id) else {
                continue;
            };
            let name = view.name().or_empty();
            let symbol = symbols.remove(&(var.offset, name));
            let variable = Variable {
                name: String::new(),
                map,
                offset: var.offset,
                size: var.size,
                type_id: Some(view.type_id()),
                linkage: match symbol {
                    Some(symbol) => linkage(symbol),
                    None if view.linkage() == 0 => Linkage::Static,
                    None => Linkage::Global,
                },
            };
            add(name, variable, log)?;
        }
    }
    let mut rest: Vec<_> = symbols.into_iter().collect();
    rest.sort_by_key(|(place, _)| *place);
    for ((offset, name), symbol) in rest {
        let variable = Variable {
            name: String::new(),
            map,
            offset,
            size: u32::try_from(symbol.size).unwrap_or(u32::MAX),
            type_id: None,
            linkage: linkage(symbol),
        };
        add(name, variable, log)?;
    }
    if let Some(new) = out.get_mut(first..) {
        new.sort_by(|one, other| (one.offset, &one.name).cmp(&(other.offset, &other.name)));
    }
    Ok(())
}
