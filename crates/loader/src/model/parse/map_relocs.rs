//! Relocations of maps: what is in them before anything runs.

use super::ModelError;
use super::functions::Functions;
use super::map_defs::Maps;
use super::refs::place;
use super::sections::Role;
use super::source::{Log, Source, shown};
use super::types::datasec;
use crate::elf::{Reloc, Section};
use crate::model::{MapIdx, MapOrigin, ProgIdx, Slot, SlotValue};
use bpfsys::{MapType, ProgType};
use btf::types::Composite;
use btf::{Btf, Endian, Type, TypeId};
use std::collections::HashMap;

/// Bytes of a pointer.
const POINTER: u64 = 8;

/// A variable of a section of maps.
struct Place {
    start: u64,
    end: u64,
    map: MapIdx,
    type_id: TypeId,
}

/// Fills in slots of maps of maps and of programs, from the relocations of section `.maps`.
pub(super) fn definitions(
    source: &Source<'_>,
    btf: Option<&Btf<'_>>,
    functions: &Functions,
    maps: &mut Maps,
    log: &mut Log,
) -> Result<(), ModelError> {
    let one = |known: &Known<'_, '_>, reloc: &Reloc, target, maps: &mut Maps| {
        slot(known, reloc, target, functions, maps)
    };
    fill(source, btf, Role::Maps, maps, log, one)?;
    for map in &mut maps.maps {
        // the last relocation of a place counts
        map.slots.reverse();
        map.slots.sort_by_key(|slot| slot.index);
        let all = map.slots.len();
        map.slots.dedup_by_key(|slot| slot.index);
        if map.slots.len() < all {
            log.note(|| format!("map '{}': slots are filled more than once", map.symbol));
        }
    }
    Ok(())
}

/// What relocations of a section are about.
struct Known<'a, 's> {
    btf: &'a Btf<'a>,
    section: &'a Section<'s>,
    /// Its variables, ascending.
    places: Vec<Place>,
}

/// Fills in what each relocation of the sections of a role says.
fn fill(
    source: &Source<'_>,
    btf: Option<&Btf<'_>>,
    role: Role,
    maps: &mut Maps,
    log: &mut Log,
    mut one: impl FnMut(&Known<'_, '_>, &Reloc, Target, &mut Maps) -> Result<(), String>,
) -> Result<(), ModelError> {
    for (table, section) in source.reloc_tables(|found| found == role) {
        let Some(btf) = btf else { continue };
        let places = places(btf, section, maps, log)?;
        let known = Known {
            btf,
            section,
            places,
        };
        log.take(table.data()?.len())?;
        for reloc in source.elf.relocs(table)? {
            Target::of(source, section, &reloc)
                .and_then(|target| one(&known, &reloc, target, maps))
                .map_err(|why| wrong(source, section, &reloc, why))?;
        }
    }
    Ok(())
}

/// The variables of a section, ascending.
fn places(
    btf: &Btf<'_>,
    section: &Section<'_>,
    maps: &Maps,
    log: &mut Log,
) -> Result<Vec<Place>, ModelError> {
    let Some((_, vars)) = datasec(btf, section.name) else {
        return Ok(Vec::new());
    };
    log.take(vars.raw().len())?;
    let mut places: Vec<_> = vars
        .vars()
        .filter_map(|var| {
            let start = u64::from(var.offset);
            let Ok(Type::Var(of)) = btf.type_by_id(var.type_id) else {
                return None;
            };
            Some(Place {
                start,
                end: start + u64::from(var.size),
                map: maps.defined_at(section.index, start)?,
                type_id: of.type_id(),
            })
        })
        .collect();
    places.sort_by_key(|place| place.start);
    Ok(places)
}

/// The variable that has a pointer at a place.
fn find(places: &[Place], offset: u64) -> Option<&Place> {
    let behind = places.partition_point(|place| place.start <= offset);
    let found = places.get(behind.checked_sub(1)?)?;
    let end = offset.checked_add(POINTER)?;
    (end <= found.end).then_some(found)
}

/// Where a relocation leads.
struct Target {
    section: u32,
    offset: u64,
}

impl Target {
    fn of(source: &Source<'_>, section: &Section<'_>, reloc: &Reloc) -> Result<Self, String> {
        let symbol = source
            .elf
            .symbol(reloc.symbol)
            .ok_or_else(|| format!("there is no symbol {}", reloc.symbol))?;
        if !symbol.is_defined() {
            return Err("the symbol is not defined in this object".to_owned());
        }
        let addend = reloc.addend.unwrap_or_else(|| {
            let bytes = usize::try_from(reloc.offset)
                .ok()
                .and_then(|at| section.data().ok()?.get(at..)?.first_chunk());
            bytes.map_or(0, |bytes| match source.elf.endian() {
                Endian::Little => i64::from_le_bytes(*bytes),
                Endian::Big => i64::from_be_bytes(*bytes),
            })
        });
        Ok(Self {
            section: symbol.section,
            offset: place(symbol, addend)?,
        })
    }
}

fn wrong(source: &Source<'_>, section: &Section<'_>, reloc: &Reloc, why: String) -> ModelError {
    let symbol = source.elf.symbol(reloc.symbol);
    ModelError::MapReloc {
        section: shown(section.name),
        offset: reloc.offset,
        symbol: shown(symbol.map_or(b"?", |symbol| source.symbol_name(symbol))),
        why,
    }
}

/// Adds the slot that a relocation fills.
fn slot(
    known: &Known<'_, '_>,
    reloc: &Reloc,
    target: Target,
    functions: &Functions,
    maps: &mut Maps,
) -> Result<(), String> {
    let place = find(&known.places, reloc.offset).ok_or("no map is defined there")?;
    let at = slots_start(known.btf, place.type_id)
        .and_then(|slots| reloc.offset.checked_sub(place.start.checked_add(slots)?))
        .filter(|at| at.is_multiple_of(POINTER))
        .ok_or("it is not for a slot of 'values'")?;
    let index = u32::try_from(at / POINTER).map_err(|_error| "there are no so many slots")?;
    let named = maps.defined_at(target.section, target.offset);
    let program = functions.program_at(target.section, target.offset);
    let map = maps
        .maps
        .get_mut(place.map.index())
        .ok_or("no map is defined there")?;
    let value = if map.spec.map_type.is_map_of_maps() {
        if map.spec.map_type == MapType::HASH_OF_MAPS && map.spec.key_size != 4 {
            return Err(format!(
                "slots are for keys of 4 bytes, those of '{}' have {}",
                map.symbol, map.spec.key_size
            ));
        }
        let named = named.filter(|_| target.section == known.section.index);
        SlotValue::Map(named.ok_or("it is no map")?)
    } else if map.spec.map_type.is_map_of_progs() {
        SlotValue::Prog(program.ok_or("it is no program")?)
    } else {
        return Err(format!("map '{}' has no slots", map.symbol));
    };
    map.slots.push(Slot { index, value });
    Ok(())
}

/// Where in a definition the slots are, in bytes.
fn slots_start(btf: &Btf<'_>, id: TypeId) -> Option<u64> {
    let (_, Type::Struct(body)) = btf.resolve(id).ok()? else {
        return None;
    };
    let mut members = body.members();
    let last = members.nth(members.len().checked_sub(1)?)?;
    last.name
        .is(b"values")
        .then_some(u64::from(last.bit_offset / 8))
}

/// Fills in the programs of struct_ops maps.
pub(super) fn struct_ops(
    source: &Source<'_>,
    btf: Option<&Btf<'_>>,
    functions: &Functions,
    maps: &mut Maps,
    log: &mut Log,
) -> Result<(), ModelError> {
    let mut members = Members::default();
    let one = |known: &Known<'_, '_>, reloc: &Reloc, target, maps: &mut Maps| {
        member(known, &mut members, reloc, target, functions, maps)
    };
    fill(source, btf, Role::StructOps, maps, log, one)?;
    for map in &mut maps.maps {
        if let MapOrigin::StructOps(ops) = &mut map.origin {
            ops.progs.reverse();
            ops.progs.sort_by_key(|(member, _)| *member);
            ops.progs.dedup_by_key(|(member, _)| *member);
        }
    }
    Ok(())
}

/// Places of members of each type: (bits, number), ascending.
#[derive(Default)]
struct Members {
    by_place: HashMap<TypeId, Vec<(u32, u32)>>,
}

impl Members {
    /// The first member at a bit of a struct.
    fn at(&mut self, body: &Composite<'_>, bit: u32) -> Option<u32> {
        let by_place = self.by_place.entry(body.id()).or_insert_with(|| {
            let members = body.members();
            let mut places: Vec<_> = members.map(|m| m.bit_offset).zip(0u32..).collect();
            places.sort_unstable();
            places
        });
        let at = by_place.partition_point(|(place, _)| *place < bit);
        let (place, number) = by_place.get(at)?;
        (*place == bit).then_some(*number)
    }
}

/// Adds the program that a relocation names.
fn member(
    known: &Known<'_, '_>,
    members: &mut Members,
    reloc: &Reloc,
    target: Target,
    functions: &Functions,
    maps: &mut Maps,
) -> Result<(), String> {
    let Known { btf, places, .. } = known;
    let place = find(places, reloc.offset).ok_or("no variable is there")?;
    let map = maps.maps.get_mut(place.map.index());
    let Some(MapOrigin::StructOps(ops)) = map.map(|map| &mut map.origin) else {
        return Err("no variable is there".to_owned());
    };
    let Ok(Type::Struct(body)) = btf.type_by_id(ops.type_id) else {
        return Err("its variable is no struct".to_owned());
    };
    let bit = (reloc.offset - place.start).checked_mul(8);
    let bit = bit.and_then(|bit| u32::try_from(bit).ok());
    let number = bit.and_then(|bit| members.at(&body, bit));
    let number = number.ok_or("no member is there")?;
    let member = body.members().nth(number as usize);
    let member = member.ok_or("no member is there")?;
    if !is_func_pointer(btf, member.type_id) {
        return Err(format!(
            "member '{}' is no pointer to a function",
            member.name
        ));
    }
    let program = functions
        .program_at(target.section, target.offset)
        .ok_or_else(|| format!("what member '{}' points to is no program", member.name))?;
    check_type(functions, program)?;
    ops.progs.push((number, program));
    Ok(())
}

fn is_func_pointer(btf: &Btf<'_>, id: TypeId) -> bool {
    match btf.resolve(id) {
        Ok((_, Type::Ptr(pointer))) => {
            matches!(btf.resolve(pointer.type_id()), Ok((_, Type::FuncProto(_))))
        }
        _ => false,
    }
}

fn check_type(functions: &Functions, program: ProgIdx) -> Result<(), String> {
    match functions.programs.get(program.index()) {
        Some(program) if program.prog_type == ProgType::STRUCT_OPS => Ok(()),
        Some(program) => Err(format!(
            "program '{}' of section '{}' is not of section 'struct_ops'",
            program.name, program.section
        )),
        None => Err("there is no such program".to_owned()),
    }
}
