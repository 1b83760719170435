//! Making maps, or taking those that are there.

use super::KernelError;
use super::error::{Difference, MapMismatch, MapStep, Pinned};
use super::pins::NewPins;
use crate::model::{MapIdx, ProgIdx, SlotValue};
use crate::relocate::{LoadPlan, MapAction, MapPlan, MapSpec, ProgPlan};
use crate::sha256::sha256;
use bpfsys::cmd::{MapCreate, MapFreeze, MapUpdateElem, ObjGet};
use bpfsys::insn::{Insn, Pseudo, opcode::code};
use bpfsys::sys::mmap::{Access, Mapping, page_size};
use bpfsys::uapi::flags::MapFlags;
use bpfsys::{AnyFd, BtfFd, ErrorKind, LoadError, MapFd, MapType, SysError, TokenFd};
use nix::errno::Errno;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use zerocopy::IntoBytes;

/// A map of the plan, made or not.
#[derive(Debug)]
pub(super) struct MadeMap {
    pub(super) fd: Option<MapFd>,
    /// Whether it was there before.
    pub(super) reused: bool,
    /// Where it is pinned.
    pub(super) pin: Option<PathBuf>,
    /// Where an arena is mapped.
    pub(super) arena: Option<Mapping>,
}

/// What all maps of an object have in common.
pub(super) struct Maker<'a> {
    pub(super) plan: &'a LoadPlan,
    pub(super) token: Option<&'a TokenFd>,
    pub(super) btf: Option<&'a BtfFd>,
    pub(super) modules: &'a [BtfFd],
    pub(super) pin_root: &'a Path,
    pub(super) pins: &'a mut NewPins,
    pub(super) notes: &'a mut Vec<String>,
}

impl Maker<'_> {
    /// Makes every map of the plan, in its order; those that hold others after those.
    pub(super) fn all(&mut self) -> Result<Vec<MadeMap>, KernelError> {
        let plan = self.plan;
        let mut made: Vec<Option<MadeMap>> = plan.maps.iter().map(|_| None).collect();
        let mut waiting: Vec<usize> = (0..plan.maps.len()).collect();
        while !waiting.is_empty() {
            let before = waiting.len();
            let mut later = Vec::new();
            for at in waiting {
                let Some(map) = plan.maps.get(at) else {
                    continue;
                };
                let inside = |value: &SlotValue| match value {
                    SlotValue::Map(inside) => made.get(inside.index()).is_some_and(Option::is_some),
                    SlotValue::Prog(_) => true,
                };
                if map.slots.iter().all(|slot| inside(&slot.value)) {
                    let one = self.one(map, &made)?;
                    if let Some(place) = made.get_mut(at) {
                        *place = Some(one);
                    }
                } else {
                    later.push(at);
                }
            }
            if later.len() == before {
                return Err(KernelError::Plan(
                    "maps hold each other, or a map that is not there".into(),
                ));
            }
            waiting = later;
        }
        Ok(made.into_iter().flatten().collect())
    }

    fn one(&mut self, map: &MapPlan, made: &[Option<MadeMap>]) -> Result<MadeMap, KernelError> {
        let name = display_name(map);
        let none = |fd, reused, pin| MadeMap {
            fd,
            reused,
            pin,
            arena: None,
        };
        match &map.action {
            MapAction::Skip(_) => return Ok(none(None, false, None)),
            MapAction::Reuse(given) => {
                let fd = given.try_clone();
                let fd = fd.map_err(|error| KernelError::map(map, MapStep::Reuse, error))?;
                return Ok(none(Some(fd), true, None));
            }
            MapAction::Create => {}
        }
        let path = pin_path(map, self.pin_root);
        // Another process may pin the same map meanwhile: then that one is taken.
        let mut again = false;
        loop {
            if let Some(path) = &path
                && let Some(fd) = pinned(map, path)?
            {
                return Ok(none(Some(fd), true, Some(path.clone())));
            }
            let mut new = self.create(map)?;
            self.fill(map, &mut new, made)?;
            let Some(path) = &path else {
                return Ok(new);
            };
            let (Some(fd), what) = (&new.fd, || Pinned::Map(name.to_owned())) else {
                return Ok(new);
            };
            match self.pins.pin(fd, path, &what) {
                Ok(()) => {
                    new.pin = Some(path.clone());
                    return Ok(new);
                }
                Err(KernelError::Pin { source, .. }) if !again && source.is(Errno::EEXIST) => {
                    again = true;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn create(&mut self, map: &MapPlan) -> Result<MadeMap, KernelError> {
        let name = display_name(map);
        let inner = match &map.inner {
            None => None,
            Some(spec) => {
                let inner = self.with_types(map, spec, request(spec, None), MapStep::CreateInner);
                Some(inner?)
            }
        };
        let hash = match map.exclusive {
            None => None,
            Some(prog) => Some(self.hash_of(name, prog)?),
        };
        let mut create = request(&map.spec, kernel_name(&map.name));
        if let Some(inner) = &inner {
            create = create.inner_map(inner);
        }
        if let Some(hash) = &hash {
            create = create.excl_prog_hash(hash);
        }
        if let Some(ops) = &map.struct_ops {
            let module = match ops.module {
                None => None,
                Some(module) => Some(module_fd(self.modules, module.0)?),
            };
            let Some(btf) = self.btf else {
                return Err(KernelError::NoBtf { map: name.into() });
            };
            create = create
                .btf(btf, 0, 0)
                .vmlinux_value_type(ops.value_type.0, module);
            if ops.link {
                create = create.flags(MapFlags::LINK);
            }
        }
        let fd = if map.struct_ops.is_some() {
            let create = create.maybe_token(self.token);
            let made = create.run_with_log();
            made.map_err(|error| KernelError::map(map, MapStep::Create, error))?
        } else {
            self.with_types(map, &map.spec, create, MapStep::Create)?
        };
        Ok(MadeMap {
            fd: Some(fd),
            reused: false,
            pin: None,
            arena: None,
        })
    }

    /// Makes a map whose elements have types; without them when the kernel does not take those.
    fn with_types(
        &mut self,
        map: &MapPlan,
        spec: &MapSpec,
        create: MapCreate<'_>,
        step: MapStep,
    ) -> Result<MapFd, KernelError> {
        let create = create.maybe_token(self.token);
        let (key, value) = (spec.key_type.0, spec.value_type.0);
        let typed = self.btf.filter(|_| key != 0 || value != 0);
        let failed = |error| KernelError::map(map, step, error);
        let Some(btf) = typed else {
            return create.run_with_log().map_err(failed);
        };
        match create.btf(btf, key, value).run_with_log() {
            Ok(fd) => Ok(fd),
            Err(error) => {
                let fd = create.run_with_log().map_err(failed)?;
                let name = display_name(map);
                self.notes
                    .push(format!("map '{name}' was made without types: {error}"));
                Ok(fd)
            }
        }
    }

    /// Gives a new map what it holds from the start.
    fn fill(
        &self,
        map: &MapPlan,
        new: &mut MadeMap,
        made: &[Option<MadeMap>],
    ) -> Result<(), KernelError> {
        let name = display_name(map);
        let Some(fd) = &new.fd else {
            return Ok(());
        };
        if let Some(value) = &map.value {
            let update = MapUpdateElem::new(fd, &[0; 4], value).run();
            update.map_err(|error| KernelError::map(map, MapStep::Fill, error))?;
        }
        for slot in &map.slots {
            let SlotValue::Map(inside) = slot.value else {
                continue;
            };
            let inside_fd = made
                .get(inside.index())
                .and_then(|made| made.as_ref()?.fd.as_ref());
            let inside_fd = inside_fd.ok_or_else(|| self.missing(name, inside))?;
            set_slot(fd, slot.index, inside_fd).map_err(|source| KernelError::Slot {
                map: name.into(),
                index: slot.index,
                value: Pinned::Map(self.name_of(inside)),
                source,
            })?;
        }
        if map.freeze {
            let frozen = MapFreeze::new(fd).run();
            frozen.map_err(|error| KernelError::map(map, MapStep::Freeze, error))?;
        }
        if map.spec.map_type == MapType::ARENA {
            new.arena = Some(map_arena(map, fd)?);
        }
        Ok(())
    }

    fn missing(&self, user: &str, map: MapIdx) -> KernelError {
        let skipped = self.plan.maps.get(map.index()).map(|map| &map.action);
        KernelError::NoMap {
            user: Pinned::Map(user.to_owned()),
            map: self.name_of(map),
            why: match skipped {
                Some(MapAction::Skip(why)) => why.clone(),
                _ => "the plan does not have it".to_owned(),
            },
        }
    }

    fn name_of(&self, map: MapIdx) -> String {
        let map = self.plan.maps.get(map.index());
        map.map_or("?", display_name).to_owned()
    }

    fn hash_of(&self, map: &str, prog: ProgIdx) -> Result<[u8; 32], KernelError> {
        let found = self.plan.programs.iter().find(|plan| plan.prog == prog);
        let plan = found.ok_or_else(|| {
            KernelError::Plan(format!(
                "map '{map}' is for one program only, which is not selected"
            ))
        })?;
        Ok(digest(plan, self.modules))
    }
}

fn module_fd(modules: &[BtfFd], at: u32) -> Result<&BtfFd, KernelError> {
    let module = modules.get(at as usize);
    module.ok_or_else(|| KernelError::Plan(format!("there is no module {at}")))
}

/// The name that is shown to people, and the one of pins: that of the variable or, for the usual
/// sections, the one in the kernel.
pub(super) fn display_name(map: &MapPlan) -> &str {
    let usual = matches!(&*map.symbol, ".data" | ".rodata" | ".bss" | ".kconfig")
        || map.symbol.starts_with(".bss.");
    if (usual && !map.name.is_empty()) || map.symbol.is_empty() {
        &map.name
    } else {
        &map.symbol
    }
}

/// As much of a name as the kernel keeps, if it takes names like that.
pub(crate) fn kernel_name(name: &str) -> Option<&str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.';
    if name.is_empty() || !name.bytes().all(plain) {
        return None;
    }
    name.get(..name.len().min(15))
}

/// Where a map is found, or pinned.
fn pin_path(map: &MapPlan, root: &Path) -> Option<PathBuf> {
    match (&map.pin_path, map.pinning) {
        (Some(path), _) => Some(path.clone()),
        (None, crate::model::Pinning::ByName) => Some(root.join(display_name(map))),
        (None, crate::model::Pinning::None) => None,
    }
}

fn request<'a>(spec: &MapSpec, name: Option<&'a str>) -> MapCreate<'a> {
    let mut create = MapCreate::new(
        spec.map_type,
        spec.key_size,
        spec.value_size,
        spec.max_entries,
    )
    .flags(spec.flags)
    .ifindex(spec.ifindex)
    .map_extra(spec.map_extra);
    // As libbpf has it, a node counts only where the flag for it is set.
    if let Some(node) = spec.numa_node
        && spec.flags.contains(MapFlags::NUMA_NODE)
    {
        create = create.numa_node(node);
    }
    match name {
        Some(name) => create.name(name),
        None => create,
    }
}

/// The map that is pinned at `path`; `None` when nothing is.
fn pinned(map: &MapPlan, path: &Path) -> Result<Option<MapFd>, KernelError> {
    let name = display_name(map);
    let fd = match ObjGet::new(path).run() {
        Ok(AnyFd::Map(fd)) => fd,
        Ok(_) => {
            return Err(KernelError::NotAMap {
                map: name.to_owned(),
                path: path.to_owned(),
            });
        }
        Err(error) if error.is(Errno::ENOENT) => return Ok(None),
        Err(error) => return Err(KernelError::map(map, MapStep::Open, error)),
    };
    let info = fd.info();
    let info = info.map_err(|error| KernelError::map(map, MapStep::Ask, error))?;
    let spec = &map.spec;
    let mut flags = MapFlags::from_bits_retain(info.map_flags);
    if matches!(spec.map_type, MapType::DEVMAP | MapType::DEVMAP_HASH) {
        // The kernel sets it by itself.
        flags -= MapFlags::RDONLY_PROG;
        flags |= spec.flags & MapFlags::RDONLY_PROG;
    }
    let mut differences = Vec::new();
    let mut compare = |what, wanted: String, found: String| {
        if wanted != found {
            differences.push(Difference {
                what,
                wanted,
                found,
            });
        }
    };
    let hex = |flags: MapFlags| format!("{:#x}", flags.bits());
    compare("type", spec.map_type.to_string(), info.type_().to_string());
    compare(
        "key size",
        spec.key_size.to_string(),
        info.key_size.to_string(),
    );
    compare(
        "value size",
        spec.value_size.to_string(),
        info.value_size.to_string(),
    );
    compare(
        "max_entries",
        spec.max_entries.to_string(),
        info.max_entries.to_string(),
    );
    compare("flags", hex(spec.flags), hex(flags));
    compare(
        "map_extra",
        spec.map_extra.to_string(),
        info.map_extra.to_string(),
    );
    if differences.is_empty() {
        return Ok(Some(fd));
    }
    Err(KernelError::Mismatch(Box::new(MapMismatch {
        map: name.to_owned(),
        path: path.to_owned(),
        differences,
    })))
}

/// Puts a descriptor into an element.
pub(super) fn set_slot(map: &MapFd, index: u32, fd: &impl AsRawFd) -> Result<(), SysError> {
    let value = fd.as_raw_fd().to_ne_bytes();
    MapUpdateElem::new(map, &index.to_ne_bytes(), &value).run()
}

/// Maps an arena, which must be done before the verifier sees it, and writes its data.
fn map_arena(map: &MapPlan, fd: &MapFd) -> Result<Mapping, KernelError> {
    let name = display_name(map);
    let failed = |why| KernelError::ArenaData {
        map: name.to_owned(),
        why,
    };
    let len = usize::try_from(map.spec.max_entries)
        .ok()
        .and_then(|pages| pages.checked_mul(page_size()))
        .ok_or(failed("it is larger than memory can be"))?;
    let mapped = match map.spec.map_extra {
        0 => Mapping::new(fd, len, 0, Access::ReadWrite),
        address => Mapping::at_address(fd, len, address, Access::ReadWrite),
    };
    let mapping = mapped.map_err(|error| KernelError::map(map, MapStep::Mmap, error))?;
    if let Some((at, data)) = &map.arena_data {
        // The first access to a page of such an arena ends the process.
        if map.spec.flags.contains(MapFlags::SEGV_ON_FAULT) {
            return Err(failed("it has no pages until programs ask for them"));
        }
        let at = usize::try_from(*at).ok();
        at.and_then(|at| mapping.write(at, data))
            .ok_or(failed("they are longer than the arena"))?;
    }
    Ok(mapping)
}

/// Makes the map of a jump table.
pub(super) fn jump_table(entries: &[u32], token: Option<&TokenFd>) -> Result<MapFd, LoadError> {
    // More entries than a program has instructions are refused by the kernel.
    let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
    let fd = MapCreate::new(MapType::INSN_ARRAY, 4, 16, count)
        .name(".jumptables")
        .maybe_token(token)
        .run_with_log()?;
    for (index, insn) in (0_u32..).zip(entries) {
        // What the kernel fills in follows the instruction: where it is after verification, and
        // in the machine's code.
        let value = [*insn, 0, 0, 0];
        MapUpdateElem::new(&fd, &index.to_ne_bytes(), value.as_bytes()).run()?;
    }
    MapFreeze::new(&fd).run()?;
    Ok(fd)
}

/// What the kernel makes of a program's instructions to tell whether it is the one: their digest,
/// with zeros where descriptors of maps are.
fn digest(plan: &ProgPlan, modules: &[BtfFd]) -> [u8; 32] {
    let mut insns = plan.insns.clone();
    // Descriptors of modules stay as they will be loaded.
    super::programs::patch_modules(&mut insns, plan, modules);
    sha256(without_maps(insns).as_slice().as_bytes())
}

fn without_maps(mut insns: Vec<Insn>) -> Vec<Insn> {
    let mut second = false;
    for insn in &mut insns {
        let is_map = insn.code == code::LD_IMM64
            && [Pseudo::MapFd as u8, Pseudo::MapValue as u8].contains(&insn.src());
        if is_map || second {
            insn.imm = 0;
        }
        second = is_map && !second;
    }
    insns
}

/// Whether an error says that the kernel does not know what is asked for.
pub(super) fn unknown_to_kernel(error: &SysError) -> bool {
    matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Unsupported)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bpfsys::insn::asm;

    #[test]
    fn names_are_cut_or_left_out() {
        assert_eq!(kernel_name("counts"), Some("counts"));
        assert_eq!(
            kernel_name("a_very_long_name_of_a_map"),
            Some("a_very_long_nam")
        );
        assert_eq!(kernel_name("obj.rodata"), Some("obj.rodata"));
        assert_eq!(kernel_name("_ZN3foo3barE$"), None);
        assert_eq!(kernel_name("größe"), None);
        assert_eq!(kernel_name(""), None);
    }

    #[test]
    fn a_digest_does_not_depend_on_descriptors() {
        let program = |map, value| {
            let mut insns = asm::ld_map_fd(asm::R1, map).to_vec();
            insns.extend(asm::ld_map_value(asm::R2, map, value));
            insns.extend(asm::ld_imm64(asm::R0, u64::MAX));
            insns.push(asm::exit());
            without_maps(insns)
        };
        assert_eq!(program(3, 8), program(77, 16));
        let plain = program(3, 8);
        assert_eq!(plain[5], asm::ld_imm64(asm::R0, u64::MAX)[1]);
        assert_eq!(plain[4].imm, -1);
        assert_eq!((plain[0].imm, plain[3].imm), (0, 0));
    }
}
