//! What loading an object has left in the kernel, as text that is the same for the same object:
//! no ids, no times, no addresses of strings.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use bpfsys::cmd::{LinkKind, MapGetNextKey, MapLookupElem, ObjGet, ProgDetails, ProgParts};
use bpfsys::insn::Insn;
use bpfsys::insn::disasm::{References, disasm_one};
use bpfsys::uapi::flags::MapFlags;
use bpfsys::{AnyFd, BtfFd, BtfId, MapFd, MapId, MapType, ProgFd, ProgId};
use btf::{Btf, Type, raw_dump};
use nix::mount::{MsFlags, mount};

use crate::Private;

/// Elements of a map that are compared; no object sets as many.
const ELEMENTS: usize = 2048;
/// Instructions that load the address of a map, or of a place in its value.
const LOAD: u8 = 0x18;
const MAPS: [u8; 2] = [1, 2];

/// Where tools look for maps that are shared by name.
pub const BY_NAME: &str = "/sys/fs/bpf";

/// What is pinned, by its path, and what that is.
pub type Left = BTreeMap<String, String>;

/// Mounts a bpf file system of our own where maps are shared by name; this process must be in a
/// mount namespace of its own.
///
/// # Errors
///
/// If it cannot be mounted.
pub fn mount_by_name(_inside: &Private) -> Result<()> {
    let none: Option<&str> = None;
    mount(Some("bpf"), BY_NAME, Some("bpf"), MsFlags::empty(), none)
        .context("mount a bpf file system of our own where maps are shared")
}

/// Fails unless two tools left the same.
///
/// # Errors
///
/// The first difference.
pub fn same(ours: &Left, theirs: &Left) -> Result<()> {
    let (a, b): (Vec<_>, Vec<_>) = (ours.keys().collect(), theirs.keys().collect());
    ensure!(a == b, "pins: ours {a:?}, bpftool's {b:?}");
    for ((path, ours), theirs) in ours.iter().zip(theirs.values()) {
        let mut lines = ours.lines().zip(theirs.lines()).enumerate();
        if let Some((n, (ours, theirs))) = lines.find(|(_, (a, b))| a != b) {
            bail!("{path}, line {n}:\n     ours {ours}\n  bpftool {theirs}");
        }
        let count = |text: &str| text.lines().count();
        ensure!(
            ours == theirs,
            "{path}: ours has {} lines, bpftool's {}",
            count(ours),
            count(theirs)
        );
    }
    Ok(())
}

/// Every pin below a directory, by its path from there, and what is pinned.
///
/// # Errors
///
/// If an object cannot be asked about itself.
pub fn pinned(dir: &Path) -> Result<Left> {
    let mut found = BTreeMap::new();
    for path in files(dir)? {
        let name = path
            .strip_prefix(dir)
            .unwrap_or(&path)
            .display()
            .to_string();
        let object = ObjGet::new(&path).run();
        let text = match object.with_context(|| format!("open {}", path.display()))? {
            AnyFd::Prog(prog) => program(&prog),
            AnyFd::Map(map) => self::map(&map),
            AnyFd::Link(link) => Ok(format!("link {:?}", in_order(link.info()?.kind))),
            _ => Ok("something else".to_owned()),
        };
        found.insert(name.clone(), text.with_context(|| name)?);
    }
    Ok(found)
}

/// Probes of one link all fire, in whatever order they were asked for: here by their offsets.
fn in_order(mut kind: LinkKind) -> LinkKind {
    if let LinkKind::UprobeMulti {
        offsets,
        ref_ctr_offsets,
        cookies,
        ..
    } = &mut kind
    {
        let each = offsets.iter().zip(&*ref_ctr_offsets).zip(&*cookies);
        let mut each: Vec<_> = each.map(|((a, b), c)| (*a, *b, *c)).collect();
        each.sort_unstable();
        *offsets = each.iter().map(|each| each.0).collect();
        *ref_ctr_offsets = each.iter().map(|each| each.1).collect();
        *cookies = each.iter().map(|each| each.2).collect();
    }
    kind
}

/// All files below a directory, in order; none where it is not there.
///
/// # Errors
///
/// If a directory cannot be read.
pub fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(dir) = open.pop() {
        let entries = match std::fs::read_dir(&dir) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            entries => entries.with_context(|| format!("list {}", dir.display()))?,
        };
        for entry in entries {
            let entry = entry?;
            if is_kernels(&entry.file_name()) {
                continue;
            }
            let list = if entry.file_type()?.is_dir() {
                &mut open
            } else {
                &mut files
            };
            list.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

/// Is it one of those that a kernel puts there itself? Nobody else can use a dot.
fn is_kernels(name: &std::ffi::OsStr) -> bool {
    name.to_string_lossy().contains('.')
}

/// Takes away every pin and directory below a directory, and the directory if it is told.
///
/// # Errors
///
/// If something stays.
pub fn clear(dir: &Path, itself: bool) -> Result<()> {
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let entry = entry.context("list pins")?;
        let path = entry.path();
        if is_kernels(&entry.file_name()) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            clear(&path, true)?;
        } else {
            std::fs::remove_file(&path).with_context(|| format!("unpin {}", path.display()))?;
        }
    }
    if itself && dir.exists() {
        std::fs::remove_dir(dir).with_context(|| format!("remove {}", dir.display()))?;
    }
    Ok(())
}

/// A program: what it is, its instructions, types, source lines and maps.
///
/// # Errors
///
/// If it cannot be asked.
pub fn program(prog: &ProgFd) -> Result<String> {
    let parts =
        ProgParts::MAP_IDS | ProgParts::XLATED | ProgParts::FUNC_INFO | ProgParts::LINE_INFO;
    let details = prog.details(parts).context("ask about a program")?;
    let info = &details.info;
    let tag: String = info.tag.iter().map(|b| format!("{b:02x}")).collect();
    let mut text = format!(
        "program {} of type {}, tag {tag}, gpl {}, interface {}, attaches to {} of {}, \
         {} verified, {} functions, jited {}, license and user {}\n",
        String::from_utf8_lossy(info.name()),
        info.type_(),
        info.gpl_compatible(),
        info.ifindex,
        info.attach_btf_id,
        target(info.attach_btf_obj_id)?,
        info.verified_insns,
        info.nr_func_info,
        info.jited_prog_len != 0,
        info.created_by_uid,
    );
    let mut names = Vec::new();
    for id in &details.map_ids {
        let map = MapFd::by_id(*id, MapFlags::RDONLY).context("open a map of a program")?;
        names.push((id.get(), map));
    }
    let btf = load(info.btf_id)?;
    code(&details, &names, btf.as_ref(), &mut text)?;
    for (_, map) in &names {
        text.push_str("uses ");
        text.push_str(&self::map(map)?);
    }
    if let Some(btf) = &btf {
        text.push_str("types:\n");
        text.push_str(&types(btf)?);
    }
    Ok(text)
}

/// Whose types a program attaches to.
fn target(id: u32) -> Result<String> {
    let Some(id) = BtfId::new(id) else {
        return Ok("nothing".to_owned());
    };
    let name = BtfFd::by_id(id)?.info()?.name;
    Ok(String::from_utf8_lossy(&name).into_owned())
}

fn load(id: u32) -> Result<Option<Btf<'static>>> {
    let Some(id) = BtfId::new(id) else {
        return Ok(None);
    };
    let data = BtfFd::by_id(id)?.data().context("read types")?;
    Ok(Some(Btf::parse(data).context("read types")?))
}

fn types(btf: &Btf<'_>) -> Result<String> {
    let mut out = Vec::new();
    raw_dump::write_all(btf, |piece| -> Result<()> {
        out.extend_from_slice(piece);
        Ok(())
    })?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn code(
    details: &ProgDetails,
    maps: &[(u32, MapFd)],
    btf: Option<&Btf<'_>>,
    text: &mut String,
) -> Result<()> {
    let string = |offset| {
        let bytes = btf.and_then(|btf| btf.str_at(offset).ok());
        String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
    };
    let mut jumps = false;
    for (_, map) in maps {
        jumps |= map.info().context("ask about a map")?.type_() == MapType::INSN_ARRAY;
    }
    let mut funcs = details.func_info.iter().peekable();
    let mut lines = details.line_info.iter().peekable();
    let mut index = 0;
    while index < details.xlated.len() {
        let at = u32::try_from(index)?;
        while let Some(func) = funcs.next_if(|func| func.insn_off <= at) {
            let name = match btf.map(|btf| btf.type_by_id(func.type_id)) {
                Some(Ok(Type::Func(func))) => func.name().or_empty().to_vec(),
                _ => Vec::new(),
            };
            writeln!(text, "function {}:", String::from_utf8_lossy(&name))?;
        }
        while let Some(line) = lines.next_if(|line| line.insn_off <= at) {
            let (file, source) = (string(line.file_name_off), string(line.line_off));
            writeln!(text, "; {file}:{}:{} {source}", line.line(), line.column())?;
        }
        let mut insns = details.xlated.clone();
        let line = disasm_one(&insns, index, &References);
        let mut shown = line.to_string();
        if let Some(insn) = insns.get_mut(index)
            && insn.code == LOAD
            && MAPS.contains(&insn.src())
        {
            let id = u32::from_ne_bytes(insn.imm.to_ne_bytes());
            let which = maps.iter().position(|(known, _)| *known == id);
            insn.imm = i32::try_from(which.context("a map that the program does not use")?)?;
            shown = disasm_one(&insns, index, &References).to_string();
        } else if jumps && is_address(&insns, index) {
            // the kernel shows where such a map is in memory
            "a place in a jump table".clone_into(&mut shown);
        }
        writeln!(text, "{index}: {shown}")?;
        index += line.slots.max(1);
    }
    Ok(())
}

/// Is it a load of an address in the kernel's memory?
fn is_address(insns: &[Insn], index: usize) -> bool {
    let high = insns.get(index + 1).map_or(0, |insn| insn.imm);
    let load = |insn: &Insn| insn.code == LOAD && insn.src() == 0;
    insns.get(index).is_some_and(load) && high.cast_unsigned() >> 24 == 0xff
}

/// A map: what it is, and what is in it.
///
/// # Errors
///
/// If it cannot be asked.
pub fn map(map: &MapFd) -> Result<String> {
    let info = map.info().context("ask about a map")?;
    let fd_info = std::fs::read_to_string(fd_info(map)).context("read about a map")?;
    let frozen = fd_info.lines().find(|line| line.starts_with("frozen"));
    let mut text = format!(
        "map {} of type {}: key {}, value {}, entries {}, flags {:#x}, extra {}, interface {}, \
         kernel type {}, {}\n",
        String::from_utf8_lossy(info.name()),
        info.type_(),
        info.key_size,
        info.value_size,
        info.max_entries,
        info.map_flags,
        info.map_extra,
        info.ifindex,
        info.btf_vmlinux_value_type_id,
        frozen.unwrap_or("frozen: not told"),
    );
    if let Some(btf) = load(info.btf_id)? {
        for (what, id) in [
            ("key", info.btf_key_type_id),
            ("value", info.btf_value_type_id),
        ] {
            let mut out = Vec::new();
            if id != 0 {
                raw_dump::write_type(&mut out, &btf, id).context("read a type")?;
            }
            writeln!(
                text,
                "  type of {what}: {}",
                String::from_utf8_lossy(&out).trim_end()
            )?;
        }
    }
    elements(map, info.type_(), &mut text)?;
    Ok(text)
}

fn fd_info(map: &MapFd) -> PathBuf {
    use std::os::fd::{AsFd as _, AsRawFd as _};
    let number = map.as_fd().as_raw_fd();
    Path::new("/proc/self/fdinfo").join(number.to_string())
}

fn elements(map: &MapFd, map_type: MapType, text: &mut String) -> Result<()> {
    let shape = map.shape().context("the shape of a map")?;
    let mut key = vec![0; usize::try_from(shape.key_size)?];
    let mut last = None;
    let mut lines = Vec::new();
    for _ in 0..ELEMENTS {
        if !matches!(
            MapGetNextKey::new(map, last.as_deref()).run(&mut key),
            Ok(true)
        ) {
            break;
        }
        let mut value = vec![0; shape.value_buf_len];
        if MapLookupElem::new(map, &key).run(&mut value).is_ok() {
            let value = element(map_type, &value)?;
            lines.push(format!("  {}: {value}\n", hex(&key)));
        }
        last = Some(key.clone());
    }
    // a hash has an order of its own each time
    lines.sort();
    text.push_str(&lines.concat());
    Ok(())
}

/// A value, with names where there are ids.
fn element(map_type: MapType, value: &[u8]) -> Result<String> {
    let id = || -> Option<u32> { Some(u32::from_ne_bytes(*value.first_chunk()?)) };
    match map_type {
        MapType::PROG_ARRAY => {
            let prog = ProgFd::by_id(id().and_then(ProgId::new).context("no id")?)?;
            let info = prog.info()?;
            let tag = hex(&info.tag);
            let name = String::from_utf8_lossy(info.name()).into_owned();
            Ok(format!("program {name} {tag}"))
        }
        MapType::ARRAY_OF_MAPS | MapType::HASH_OF_MAPS => {
            let id = id().and_then(MapId::new).context("no id")?;
            Ok(format!(
                "inner {}",
                map(&MapFd::by_id(id, MapFlags::RDONLY)?)?
            ))
        }
        MapType::STRUCT_OPS => Ok(struct_ops(value)),
        _ => Ok(hex(value)),
    }
}

/// The value of a map of functions: ids of programs, which are all the numbers of eight bytes
/// that are ids of programs, become their names.
fn struct_ops(value: &[u8]) -> String {
    let word = |bytes: &[u8]| {
        let number = u64::from_ne_bytes(*bytes.first_chunk()?);
        let id = u32::try_from(number).ok().and_then(ProgId::new)?;
        let info = ProgFd::by_id(id).ok()?.info().ok()?;
        let name = String::from_utf8_lossy(info.name()).into_owned();
        (info.type_() == bpfsys::ProgType::STRUCT_OPS).then_some(name)
    };
    let words = value.chunks(8);
    words
        .map(|bytes| word(bytes).unwrap_or_else(|| hex(bytes)))
        .collect::<Vec<_>>()
        .join(" ")
}

fn hex(bytes: &[u8]) -> String {
    let bytes = bytes.iter().map(|b| format!("{b:02x}"));
    bytes.collect::<Vec<_>>().join(" ")
}
