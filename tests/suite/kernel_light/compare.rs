//! What our loader programs make, beside what libbpf's make of the same objects.

use std::collections::BTreeMap;
use std::convert::Infallible;

use anyhow::{Context as _, Result, bail, ensure};
use bpfsys::cmd::{MapLookupElem, ProgParts};
use bpfsys::insn::opcode::join_imm64;
use bpfsys::insn::{Insn, Pseudo, disasm, stream};
use bpfsys::{BtfFd, BtfId, MapFd, MapType, ProgFd};
use btf::{Btf, raw_dump};
use loader::light::{LightLoaded, LightProgram, RunError, RunOptions};
use loader::model::{MapOrigin, Object};
use rbpftool_tests::{ensure_eq, skip};

use crate::{Bench, objects, skeleton};

/// Objects that libbpf makes loader programs of: not prog arrays with slots (`tail_calls`), nor
/// functions with flavours (`kfuncs`), nor maps defined by numbers (`legacy_maps`).
const OBJECTS: &[&str] = &[
    "arg_tags",
    "callbacks",
    "core_files",
    "core_kernel",
    "data",
    "inner_maps",
    "kconfig",
    "ksyms",
    "ksyms_typed",
    "map_kinds",
    "maps",
    "instructions",
    "minimal",
    "no_btf",
    "probe_reads",
    "special_fields",
    "exceptions",
    "license_other",
    "resizable",
    "sections_btf",
    "sections_cgroup",
    "sections_net",
    "sections_off",
    "sections_probe",
    "sections_probe_multi",
    "stack_traces",
    "static_data",
    "storages",
    "strings",
    "subprogs",
    "usdt",
    "usdt_plain",
];

pub(crate) fn add(bench: &mut Bench) {
    for name in OBJECTS {
        bench.one(&format!("same_as_libbpf::{name}"), move || compare(name));
    }
}

fn compare(name: &str) -> Result<()> {
    let bytes = skeleton::readable(objects::bytes(name)?);
    let object = objects::parse(name, &bytes)?;
    let ours = objects::program(&object, false)?;
    let loaded: Vec<&str> = ours.progs.iter().map(|prog| &*prog.name).collect();
    let theirs = skeleton::loader(&bytes, name, &loaded)?;
    let (theirs, ours) = match (made(&theirs), made(&ours)) {
        (Ok(theirs), Ok(ours)) => (theirs, ours),
        (Ok(_), Err(error)) => bail!("libbpf's works, ours does not: {error}"),
        (Err(error), Ok(_)) => bail!("ours works, libbpf's does not: {error}"),
        (Err(theirs), Err(ours)) => {
            ensure_eq!(errno(&theirs), errno(&ours), "{theirs} and {ours}");
            return Err(skip(format!("this kernel refuses both: {ours}")));
        }
    };
    let names = |program: &LightProgram| -> Vec<String> {
        program.progs.iter().map(|prog| prog.name.clone()).collect()
    };
    ensure_eq!(names(theirs.0), names(ours.0));
    ensure_eq!(theirs.1.progs.len(), ours.1.progs.len());
    for (prog, (theirs, ours)) in ours
        .0
        .progs
        .iter()
        .zip(theirs.1.progs.iter().zip(&ours.1.progs))
    {
        same_prog(theirs, ours).with_context(|| format!("program {}", prog.name))?;
    }
    ensure_eq!(theirs.1.maps.len(), ours.1.maps.len());
    for (at, (theirs, ours)) in theirs.1.maps.iter().zip(&ours.1.maps).enumerate() {
        let map = object.maps().get(at).context("a map too many")?;
        let (Some(theirs), Some(ours)) = (theirs, ours) else {
            bail!("map {} was not made", map.name);
        };
        same_map(&object, at, theirs, ours).with_context(|| format!("map {}", map.name))?;
    }
    Ok(())
}

fn made(program: &LightProgram) -> Result<(&LightProgram, LightLoaded), RunError> {
    Ok((program, program.run(&RunOptions::default())?))
}

fn errno(error: &RunError) -> String {
    match error {
        RunError::Step(step) => format!("{:?}", step.errno),
        error => error.to_string(),
    }
}

fn same_prog(theirs: &ProgFd, ours: &ProgFd) -> Result<()> {
    let parts =
        ProgParts::XLATED | ProgParts::MAP_IDS | ProgParts::FUNC_INFO | ProgParts::LINE_INFO;
    let (theirs, ours) = (theirs.details(parts)?, ours.details(parts)?);
    ensure_eq!(theirs.info.type_, ours.info.type_);
    ensure_eq!(theirs.info.name, ours.info.name);
    ensure_eq!(theirs.info.tag, ours.info.tag);
    ensure_eq!(theirs.info.verified_insns, ours.info.verified_insns);
    ensure_eq!(theirs.info.attach_btf_id, ours.info.attach_btf_id);
    ensure_eq!(theirs.info.bits, ours.info.bits);
    ensure_eq!(theirs.info.ifindex, ours.info.ifindex);
    ensure_eq!(theirs.info.attach_btf_obj_id, ours.info.attach_btf_obj_id);
    ensure_eq!(theirs.map_ids.len(), ours.map_ids.len());
    ensure_eq!(
        format!("{:?}", theirs.func_info),
        format!("{:?}", ours.func_info)
    );
    ensure_eq!(
        format!("{:?}", theirs.line_info),
        format!("{:?}", ours.line_info)
    );
    same_code(&theirs.xlated, &ours.xlated)?;
    same_types(theirs.info.btf_id, ours.info.btf_id)
}

/// Compares instructions; ids of maps and addresses in the kernel differ, but the same ones are in
/// the same places.
fn same_code(theirs: &[Insn], ours: &[Insn]) -> Result<()> {
    let (mut ids, mut addresses) = (BTreeMap::new(), BTreeMap::new());
    ensure_eq!(theirs.len(), ours.len(), "instructions");
    for ((at, one), (_, other)) in stream::instructions(theirs).zip(stream::instructions(ours)) {
        let (Some(first), Some(second)) = (one.first(), other.first()) else {
            continue;
        };
        let mut other = other.to_vec();
        if matches!(first.pseudo(), Some(Pseudo::MapFd | Pseudo::MapValue)) {
            ensure_eq!(
                *ids.entry(first.imm).or_insert(second.imm),
                second.imm,
                "the map of {at}"
            );
            if let Some(insn) = other.first_mut() {
                insn.imm = first.imm;
            }
        }
        if let (Some(one), Some(address)) = (kernel_address(one), kernel_address(&other)) {
            let known = *addresses.entry(one).or_insert(address);
            ensure_eq!(known, address, "the address of {at}");
            continue;
        }
        ensure!(
            one == other,
            "instruction {at}: {} and {}",
            disasm::disasm_one(one, 0, &disasm::References).text,
            disasm::disasm_one(&other, 0, &disasm::References).text
        );
    }
    Ok(())
}

/// The address that a wide load gives, when it is one of the kernel.
fn kernel_address(load: &[Insn]) -> Option<u64> {
    let [first, second] = load else {
        return None;
    };
    let value = join_imm64(first.imm, second.imm);
    (first.pseudo() == Some(Pseudo::Number) && value >> 56 == 0xff).then_some(value)
}

fn same_map(object: &Object, at: usize, theirs: &MapFd, ours: &MapFd) -> Result<()> {
    let (one, other) = (theirs.info()?, ours.info()?);
    ensure_eq!(one.type_, other.type_);
    ensure_eq!(one.key_size, other.key_size);
    ensure_eq!(one.value_size, other.value_size);
    ensure_eq!(one.max_entries, other.max_entries);
    ensure_eq!(one.map_flags, other.map_flags);
    ensure_eq!(one.map_extra, other.map_extra);
    ensure_eq!(one.ifindex, other.ifindex);
    ensure_eq!(one.name, other.name);
    ensure_eq!(one.btf_key_type_id, other.btf_key_type_id);
    ensure_eq!(one.btf_value_type_id, other.btf_value_type_id);
    same_types(one.btf_id, other.btf_id)?;
    let map = object.maps().get(at).context("no such map")?;
    let is_data = matches!(
        map.origin,
        MapOrigin::Data | MapOrigin::Constants | MapOrigin::Kconfig
    );
    if is_data {
        ensure_eq!(value(theirs, 0)?, value(ours, 0)?);
        ensure_eq!(is_frozen(theirs)?, is_frozen(ours)?);
    } else if MapType(one.type_).is_map_of_maps() {
        // The ids differ, but the same slots are taken.
        for index in 0..one.max_entries.min(64) {
            let taken = |map| value(map, index).is_ok();
            ensure_eq!(taken(theirs), taken(ours), "slot {index}");
        }
    }
    Ok(())
}

fn value(map: &MapFd, key: u32) -> Result<Vec<u8>> {
    let mut value = vec![0; map.shape()?.value_buf_len];
    MapLookupElem::new(map, &key.to_ne_bytes()).run(&mut value)?;
    Ok(value)
}

fn is_frozen(map: &MapFd) -> Result<bool> {
    use std::os::fd::AsRawFd as _;
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", map.as_raw_fd()))?;
    let frozen = text.lines().find_map(|line| line.strip_prefix("frozen:"));
    Ok(frozen.context("no word on freezing")?.trim() == "1")
}

/// Compares the types that two objects refer to.
fn same_types(theirs: u32, ours: u32) -> Result<()> {
    let data = |id: u32| -> Result<Option<Vec<u8>>> {
        let Some(id) = BtfId::new(id) else {
            return Ok(None);
        };
        Ok(Some(BtfFd::by_id(id)?.data()?))
    };
    let (theirs, ours) = (data(theirs)?, data(ours)?);
    if let (Some(theirs), Some(ours)) = (&theirs, &ours)
        && theirs != ours
    {
        let (theirs, ours) = (Btf::parse(theirs)?, Btf::parse(ours)?);
        // Strings may be in another order.
        ensure_eq!(dump(&theirs)?, dump(&ours)?, "types");
    }
    ensure_eq!(theirs.is_some(), ours.is_some(), "types");
    Ok(())
}

/// A line for each type, with all that is in it.
fn dump(btf: &Btf<'_>) -> Result<String> {
    let mut text = Vec::new();
    raw_dump::write_all(btf, |line| {
        text.extend_from_slice(line);
        Ok::<(), Infallible>(())
    })?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
