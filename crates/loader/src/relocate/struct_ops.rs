//! Maps that implement a type of the kernel: the value that the kernel takes, and what that makes
//! of their programs.

use super::error::{MapError, PlanError, ProgramError};
use super::kernel_types::{Found, KernelTypes, Query, Scope};
use super::{AttachPlan, StructOpsPlan};
use crate::model::{Map, MapIdx, MapOrigin, Object, ProgIdx, StructOps};
use bpfsys::{AttachType, ProgType};
use btf::core_reloc::essential_name;
use btf::types::{Composite, Member};
use btf::{Btf, Kind, Type, TypeId};
use std::collections::{HashMap, HashSet};

/// What the kernel calls the type of the map's value, before the name of what it has in it.
#[doc(alias = "STRUCT_OPS_VALUE_PREFIX")]
const PREFIX: &[u8] = b"bpf_struct_ops_";

/// Members of all maps, at most; kernels have some tens for each.
const MAX_MEMBERS: usize = 1 << 18;

/// Bytes of a value, at most; kernels have a few hundred.
const MAX_VALUE: u32 = 1 << 20;

/// The struct_ops maps that are made.
pub(super) fn maps(object: &Object) -> impl Iterator<Item = (MapIdx, &Map, &StructOps)> {
    (0..)
        .map(MapIdx)
        .zip(&object.maps)
        .filter_map(|(at, map)| match &map.origin {
            MapOrigin::StructOps(ops) if map.autocreate => Some((at, map, ops)),
            _ => None,
        })
}

/// Whether a program is selected: those that struct_ops maps use are as these are, others say it
/// themselves.
pub(super) fn selected(object: &Object) -> impl Iterator<Item = ProgIdx> {
    let mut used: HashMap<ProgIdx, bool> = HashMap::new();
    for map in &object.maps {
        if let MapOrigin::StructOps(ops) = &map.origin {
            for (_, prog) in &ops.progs {
                *used.entry(*prog).or_default() |= map.autocreate;
            }
        }
    }
    (0..)
        .map(ProgIdx)
        .zip(&object.programs)
        .filter(move |(at, program)| match used.get(at) {
            Some(selected) if program.prog_type == ProgType::STRUCT_OPS => *selected,
            _ => program.autoload,
        })
        .map(|(at, _)| at)
}

/// What is looked for in the kernel's types, in the order of [`maps`].
pub(super) fn queries(object: &Object) -> Vec<Query> {
    let name = |ops: &StructOps| [PREFIX, essential_name(ops.type_name.as_bytes())].concat();
    maps(object)
        .map(|(_, _, ops)| Query {
            name: name(ops),
            kind: Kind::Struct,
            scope: Scope::Any,
        })
        .collect()
}

/// A member of a type of the kernel that a program implements.
#[derive(Clone, Debug)]
pub(super) struct Hook {
    pub(super) attach: AttachPlan,
    /// Number of the member.
    pub(super) member: AttachType,
    type_id: TypeId,
    module: Option<usize>,
    /// `struct tcp_congestion_ops.init`.
    name: String,
}

/// What struct_ops maps come to.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    pub(super) maps: HashMap<MapIdx, (StructOpsPlan, u32)>,
    pub(super) hooks: HashMap<ProgIdx, Hook>,
}

/// Resolves all maps; `found` are the answers to [`queries`].
pub(super) fn resolve<'t>(
    object: &Object,
    kernel: &KernelTypes<'t>,
    found: &[Option<Found<'t>>],
) -> Result<Resolved, PlanError> {
    let mut resolved = Resolved::default();
    let mut members = 0usize;
    for ((at, map, ops), found) in maps(object).zip(found) {
        let error = |why| PlanError::Map {
            map: map.name.clone(),
            why,
        };
        let one = One::new(object, ops, *found).map_err(error)?;
        members += one.here.members().len() + one.there.members().len();
        if members > MAX_MEMBERS {
            return Err(error(MapError::TooManyMembers { limit: MAX_MEMBERS }));
        }
        let mut plan = StructOpsPlan {
            value_type: one.value.id(),
            module: one.module.map(|module| kernel.refer(module)),
            value: vec![0; one.value.size() as usize],
            progs: Vec::new(),
            link: ops.link,
        };
        let hooks = one.copy(&map.data, &mut plan).map_err(error)?;
        for (prog, mut hook) in hooks {
            if let (AttachPlan::Module { module, .. }, Some(known)) =
                (&mut hook.attach, plan.module)
            {
                *module = known;
            }
            match resolved.hooks.get(&prog) {
                None => {
                    resolved.hooks.insert(prog, hook);
                }
                Some(known)
                    if (known.type_id, known.module, known.member)
                        == (hook.type_id, hook.module, hook.member) => {}
                Some(known) => {
                    let program = object.programs.get(prog.index());
                    return Err(PlanError::Program {
                        program: program.map_or_else(String::new, |program| program.name.clone()),
                        why: ProgramError::TwoMembers {
                            first: known.name.clone(),
                            second: hook.name,
                        },
                    });
                }
            }
        }
        resolved.maps.insert(at, (plan, one.value.size()));
    }
    Ok(resolved)
}

/// One map, with the types on both sides.
struct One<'o, 't> {
    object: &'o Object,
    ops: &'o StructOps,
    local: &'o Btf<'static>,
    here: Composite<'o>,
    kernel: &'t Btf<'static>,
    module: Option<usize>,
    there: Composite<'t>,
    value: Composite<'t>,
    /// Where in the value the type is.
    offset: u32,
}

impl<'o, 't> One<'o, 't> {
    fn new(
        object: &'o Object,
        ops: &'o StructOps,
        found: Option<Found<'t>>,
    ) -> Result<Self, MapError> {
        let local = object.btf.as_deref().ok_or(MapError::NoTypes)?;
        let name = essential_name(ops.type_name.as_bytes());
        let missing = || MapError::NoStruct(String::from_utf8_lossy(name).into_owned());
        let found = found.ok_or_else(missing)?;
        let composite = |btf: &'t Btf<'static>, id: TypeId| match btf.type_by_id(id) {
            Ok(Type::Struct(t)) => Ok(t),
            Ok(_) => Err(missing()),
            Err(error) => Err(MapError::Kernel(error)),
        };
        let value = composite(found.btf, found.id)?;
        let here = match local.resolve(ops.type_id).map_err(MapError::Local)? {
            (_, Type::Struct(t)) => t,
            _ => return Err(missing()),
        };
        // The type is found where it is used: looking for its name once more takes as long as the
        // first time.
        let named = |member: Member<'t>| match found.btf.type_by_id(member.type_id) {
            Ok(Type::Struct(there)) if there.name().is(name) => Some((member, there)),
            _ => None,
        };
        let (member, there) = value.members().find_map(named).ok_or_else(missing)?;
        if value.size() > MAX_VALUE {
            return Err(MapError::ValueTooLarge {
                size: value.size().into(),
            });
        }
        Ok(Self {
            object,
            ops,
            local,
            here,
            kernel: found.btf,
            module: found.module,
            there,
            value,
            offset: member.bit_offset / 8,
        })
    }

    /// Copies all members; gives what each program implements.
    fn copy(
        &self,
        data: &[u8],
        plan: &mut StructOpsPlan,
    ) -> Result<Vec<(ProgIdx, Hook)>, MapError> {
        let progs: HashMap<u32, ProgIdx> = self.ops.progs.iter().copied().collect();
        let mut named: HashMap<&[u8], (u32, Member<'t>)> = HashMap::new();
        for (index, member) in (0..).zip(self.there.members()) {
            named
                .entry(member.name.or_empty())
                .or_insert((index, member));
        }
        let mut hooks = Vec::new();
        let mut seen = HashSet::new();
        for (index, member) in (0..).zip(self.here.members()) {
            let name = member.name.to_text().into_owned();
            let wrong = |why: &str| MapError::Member {
                member: name.clone(),
                why: why.to_owned(),
            };
            let size = self
                .local
                .size_of(member.type_id)
                .map_err(MapError::Local)?;
            let from = (member.bit_offset / 8) as usize;
            let bytes = usize::try_from(size)
                .ok()
                .and_then(|size| data.get(from..from.checked_add(size)?))
                .ok_or_else(|| wrong("the object's value ends before it"))?;
            let prog = progs.get(&index).copied();
            let Some((number, there)) = named.get(member.name.or_empty()) else {
                if prog.is_some() || bytes.iter().any(|byte| *byte != 0) {
                    return Err(MapError::NoMember {
                        kernel: self.there.name().to_text().into_owned(),
                        member: name,
                    });
                }
                continue;
            };
            if member.bitfield_size != 0 || there.bitfield_size != 0 {
                return Err(wrong("it is a bit field, which cannot be set"));
            }
            let (_, here_type) = self
                .local
                .resolve(member.type_id)
                .map_err(MapError::Local)?;
            let (there_id, there_type) = self
                .kernel
                .resolve(there.type_id)
                .map_err(MapError::Kernel)?;
            if here_type.kind() != there_type.kind() {
                let (here, there) = (here_type.kind(), there_type.kind());
                return Err(wrong(&format!(
                    "it is {here} here and {there} in the kernel"
                )));
            }
            let to = self.offset.saturating_add(there.bit_offset / 8);
            if let Type::Ptr(pointer) = there_type {
                if let Some(prog) = prog {
                    self.check(prog, pointer.type_id(), &wrong)?;
                    if to as usize + 8 > plan.value.len() {
                        return Err(wrong("the kernel's value ends before it"));
                    }
                    if seen.insert(to) {
                        plan.progs.push((to, prog));
                    }
                    hooks.push((prog, self.hook(*number, &name)));
                }
                continue;
            }
            let there_size = self.kernel.size_of(there_id).map_err(MapError::Kernel)?;
            if there_size != size {
                return Err(wrong(&format!(
                    "it has {size} bytes here and {there_size} in the kernel"
                )));
            }
            let place = plan.value.get_mut(to as usize..).unwrap_or_default();
            for (to, from) in place.iter_mut().zip(bytes) {
                *to = *from;
            }
        }
        Ok(hooks)
    }

    fn check(
        &self,
        prog: ProgIdx,
        pointee: TypeId,
        wrong: &dyn Fn(&str) -> MapError,
    ) -> Result<(), MapError> {
        match self.object.programs.get(prog.index()) {
            Some(program) if program.prog_type == ProgType::STRUCT_OPS => {}
            Some(program) => {
                return Err(wrong(&format!(
                    "'{}' is no struct_ops program",
                    program.name
                )));
            }
            None => return Err(wrong("the object has no such program")),
        }
        match self.kernel.resolve(pointee).map_err(MapError::Kernel)? {
            (_, Type::FuncProto(_)) => Ok(()),
            _ => Err(wrong("it is no pointer to a function in the kernel")),
        }
    }

    fn hook(&self, member: u32, name: &str) -> Hook {
        let type_id = self.there.id();
        let attach = match self.module {
            None => AttachPlan::Kernel { btf_id: type_id },
            Some(_) => AttachPlan::Module {
                module: super::ModuleIdx(0),
                btf_id: type_id,
            },
        };
        Hook {
            attach,
            member: AttachType(member),
            type_id,
            module: self.module,
            name: format!("struct {}.{name}", self.there.name().to_text()),
        }
    }
}
