//! Maps as this kernel gets them.

use super::error::{MapError, PlanError};
use super::externs::Externs;
use super::{Downgrades, MapAction, MapPlan, MapSpec, StructOpsPlan, lacks, short};
use crate::model::{Map, MapIdx, MapOrigin, Object, ProgIdx, Slot, SlotValue};
use crate::target::{Feature, Target};
use bpfsys::MapType;
use bpfsys::uapi::flags::MapFlags;
use btf::TypeId;
use std::collections::{HashMap, HashSet};

/// Whether a map holds a section of variables.
pub(super) const fn is_data(map: &Map) -> bool {
    matches!(
        map.origin,
        MapOrigin::Data | MapOrigin::Constants | MapOrigin::Kconfig
    )
}

/// Maps that are not made, and why.
pub(super) fn skipped(
    object: &Object,
    target: &dyn Target,
    downgrades: &mut Downgrades,
) -> HashMap<MapIdx, String> {
    let mut skipped = HashMap::new();
    let mut no_data = None;
    for (at, map) in (0..).map(MapIdx).zip(&object.maps) {
        if !map.autocreate {
            skipped.insert(at, "it is switched off".to_owned());
        } else if is_data(map) && *no_data.get_or_insert_with(|| lacks(target, Feature::GlobalData))
        {
            let what = format!("map '{}' is not made", map.name);
            downgrades.add(Feature::GlobalData, what);
            skipped.insert(at, "this kernel has no global variables".to_owned());
        }
    }
    skipped
}

/// Where the global data of arenas begins: at the arena's end where the kernel allows it, so that
/// the first page faults as address 0 does.
pub(super) fn arenas(
    object: &Object,
    target: &dyn Target,
    skipped: &HashMap<MapIdx, String>,
) -> Result<HashMap<MapIdx, u64>, PlanError> {
    let mut arenas = HashMap::new();
    for (at, map) in (0..).map(MapIdx).zip(&object.maps) {
        if map.spec.map_type != MapType::ARENA || map.data.is_empty() || skipped.contains_key(&at) {
            continue;
        }
        let page = u64::from(target.page_size()).max(1);
        let all = u64::from(map.spec.max_entries) * page;
        let data = (map.data.len() as u64).next_multiple_of(page);
        let Some(end) = all.checked_sub(data) else {
            return Err(PlanError::Map {
                map: map.name.clone(),
                why: MapError::ArenaTooSmall {
                    pages: map.spec.max_entries,
                    data: map.data.len(),
                },
            });
        };
        let at_end = !lacks(target, Feature::FullRangeMapValue);
        arenas.insert(at, if at_end { end } else { 0 });
    }
    Ok(arenas)
}

/// What maps come from.
pub(super) struct Stage<'o, 't> {
    pub(super) object: &'o Object,
    pub(super) target: &'t dyn Target,
    pub(super) skipped: HashMap<MapIdx, String>,
    pub(super) arenas: HashMap<MapIdx, u64>,
    pub(super) struct_ops: HashMap<MapIdx, (StructOpsPlan, u32)>,
    pub(super) externs: Externs,
    /// Programs that are loaded.
    pub(super) programs: HashSet<ProgIdx>,
    /// Whether the kernel takes the object's types.
    pub(super) types: bool,
}

impl Stage<'_, '_> {
    pub(super) fn plan(
        mut self,
        downgrades: &mut Downgrades,
        notes: &mut Vec<String>,
    ) -> Result<Vec<MapPlan>, PlanError> {
        let named = self.object.maps.is_empty() || !lacks(self.target, Feature::ObjectNames);
        if !named {
            downgrades.add(Feature::ObjectNames, "maps have no names".to_owned());
        }
        let mut plans = Vec::with_capacity(self.object.maps.len());
        for (at, map) in (0..).map(MapIdx).zip(&self.object.maps) {
            let error = |why| PlanError::Map {
                map: map.name.clone(),
                why,
            };
            let action = match (self.skipped.get(&at), &map.reuse) {
                (Some(why), _) => MapAction::Skip(why.clone()),
                (None, Some(fd)) => MapAction::Reuse(fd.clone()),
                (None, None) => MapAction::Create,
            };
            let made = !matches!(action, MapAction::Skip(_));
            let (struct_ops, struct_ops_size) = match self.struct_ops.remove(&at) {
                Some((plan, size)) => (Some(plan), Some(size)),
                None => (None, None),
            };
            let mut spec = map.spec.clone();
            self.fit(&mut spec, made).map_err(error)?;
            if let (Some(plan), Some(size)) = (&struct_ops, struct_ops_size) {
                spec.value_size = size;
                if plan.module.is_some() {
                    spec.flags |= MapFlags::VTYPE_BTF_OBJ_FD;
                }
            }
            if made && is_data(map) && spec.flags.contains(MapFlags::MMAPABLE) {
                self.unmap(map, &mut spec, downgrades);
            }
            let inner = match &map.inner {
                Some(inner) => {
                    let mut inner = MapSpec::clone(inner);
                    inner.ifindex = map.spec.ifindex;
                    self.fit(&mut inner, made).map_err(error)?;
                    Some(inner)
                }
                None => None,
            };
            if let Some(prog) = map.exclusive
                && made
                && !self.programs.contains(&prog)
            {
                let program = self.object.programs.get(prog.index());
                let program =
                    program.map_or_else(|| prog.0.to_string(), |program| program.name.clone());
                return Err(error(MapError::ExclusiveProgram { program }));
            }
            plans.push(MapPlan {
                map: at,
                name: if named {
                    map.name.clone()
                } else {
                    String::new()
                },
                symbol: map.symbol.clone(),
                action,
                inner,
                slots: self.slots(map, made, notes),
                value: if made { self.value(map, &spec) } else { None },
                freeze: made && matches!(map.origin, MapOrigin::Constants | MapOrigin::Kconfig),
                pinning: map.pinning,
                pin_path: map.pin_path.clone(),
                struct_ops,
                arena_data: self.arenas.get(&at).map(|off| (*off, map.data.clone())),
                exclusive: map.exclusive,
                spec,
            });
        }
        Ok(plans)
    }

    fn unmap(&self, map: &Map, spec: &mut MapSpec, downgrades: &mut Downgrades) {
        if lacks(self.target, Feature::ArrayMmap) {
            spec.flags.remove(MapFlags::MMAPABLE);
            let what = format!("map '{}' cannot be mapped", map.name);
            downgrades.add(Feature::ArrayMmap, what);
        }
    }

    /// Makes entries and types those that the map's type takes.
    fn fit(&self, spec: &mut MapSpec, made: bool) -> Result<(), MapError> {
        match spec.map_type {
            MapType::PERF_EVENT_ARRAY if made && spec.max_entries == 0 => {
                spec.max_entries = self.target.possible_cpus().map_err(MapError::Cpus)?;
            }
            MapType::RINGBUF | MapType::USER_RINGBUF => {
                spec.max_entries = ring_size(spec.max_entries, self.target.page_size());
            }
            _ => {}
        }
        let untyped = !self.types || UNTYPED.contains(&spec.map_type);
        if untyped {
            spec.key_type = TypeId::VOID;
        }
        if untyped || spec.map_type == MapType::STRUCT_OPS {
            spec.value_type = TypeId::VOID;
        }
        Ok(())
    }

    /// Elements that can be put in: of those that are not there, only the place is left.
    fn slots(&self, map: &Map, made: bool, notes: &mut Vec<String>) -> Vec<Slot> {
        let mut slots = Vec::new();
        for slot in map.slots.iter().filter(|_| made) {
            let (there, what, name) = match slot.value {
                SlotValue::Map(inner) => (
                    !self.skipped.contains_key(&inner),
                    "map",
                    self.object.maps.get(inner.index()).map(|map| &map.name),
                ),
                SlotValue::Prog(prog) => (
                    self.programs.contains(&prog),
                    "program",
                    self.object
                        .programs
                        .get(prog.index())
                        .map(|prog| &prog.name),
                ),
            };
            if there {
                slots.push(*slot);
            } else {
                notes.push(format!(
                    "map '{}': slot {} stays empty, {what} '{}' is not loaded",
                    short(&map.name),
                    slot.index,
                    short(name.map_or("", String::as_str))
                ));
            }
        }
        slots
    }

    /// The initial value of key 0; `None` where it is what the kernel makes anyway.
    fn value(&mut self, map: &Map, spec: &MapSpec) -> Option<Vec<u8>> {
        let mut value = match map.origin {
            MapOrigin::Kconfig => self.externs.options.take()?,
            MapOrigin::Data | MapOrigin::Constants if !map.data.is_empty() => map.data.clone(),
            _ => return None,
        };
        value.resize(spec.value_size as usize, 0);
        Some(value)
    }
}

/// Types of maps that take no types of keys and values.
const UNTYPED: [MapType; 14] = [
    MapType::PERF_EVENT_ARRAY,
    MapType::CGROUP_ARRAY,
    MapType::STACK_TRACE,
    MapType::ARRAY_OF_MAPS,
    MapType::HASH_OF_MAPS,
    MapType::DEVMAP,
    MapType::DEVMAP_HASH,
    MapType::CPUMAP,
    MapType::XSKMAP,
    MapType::SOCKMAP,
    MapType::SOCKHASH,
    MapType::QUEUE,
    MapType::STACK,
    MapType::ARENA,
];

/// Ring buffers have a power of two of pages: the next one, or what was asked for where there is
/// none. 0 stays 0, so that the kernel says it.
#[doc(alias = "adjust_ringbuf_sz")]
fn ring_size(bytes: u32, page: u32) -> u32 {
    let pages = bytes.div_ceil(page.max(1));
    match pages.checked_next_power_of_two() {
        Some(pages) if bytes > 0 => pages.checked_mul(page).unwrap_or(bytes),
        _ => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::ring_size;

    #[test]
    fn ring_buffers_have_a_power_of_two_of_pages() {
        for (bytes, expect) in [
            (0, 0),
            (1, 4096),
            (4096, 4096),
            (4097, 8192),
            (3 * 4096, 4 * 4096),
            (1 << 31, 1 << 31),
            ((1 << 31) + 1, (1 << 31) + 1),
            (u32::MAX, u32::MAX),
        ] {
            assert_eq!(ring_size(bytes, 4096), expect, "{bytes}");
        }
        assert_eq!(ring_size(1, 0), 0);
        assert_eq!(ring_size(4096, 65536), 65536);
    }
}
