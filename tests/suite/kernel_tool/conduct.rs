//! How the tool behaves towards those around it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use bpfsys::cmd::{MapCreate, MapUpdateBatch, ObjPin};
use bpfsys::uapi::flags::MapFlags;
use bpfsys::{MapFd, MapType, ProgType};
use rbpftool_tests::state::links::one_of_each;
use rbpftool_tests::state::progs::simple_of;
use rbpftool_tests::state::types::Types;
use rbpftool_tests::{Private, Suite, ensure_eq, requires, run, run_tool, tool_path};
use serde_json::Value;

use crate::Place;
use crate::tool::{all_forms, list, number, ok, string, words};

type Test = fn(&Private) -> Result<()>;

pub(crate) fn add(suite: &mut Suite, place: &Place) {
    let tests: [(&str, Test); 9] = [
        ("hostile_pin_names_are_escaped", hostile_pin_names),
        ("hostile_process_names_are_escaped", hostile_process_names),
        ("every_link_is_shown_in_all_forms", links),
        ("nothing_is_mounted", nothing_is_mounted),
        ("a_symlink_named_bpftool_is_the_same", symlink),
        ("closed_standard_descriptors_do_no_harm", closed_descriptors),
        ("a_reader_that_leaves_is_no_error", broken_pipe),
        ("a_batch_from_stdin_is_one_document", batch),
        ("without_privilege_it_says_so", unprivileged),
    ];
    for (name, test) in tests {
        crate::add(suite, name, place, test);
    }
}

/// A name that would turn the rest of a terminal red, and is no UTF-8.
const HOSTILE: &[u8] = b"\x1b[31m\xff";

fn hostile_path(private: &Private) -> PathBuf {
    private.bpffs().join(OsString::from_vec(HOSTILE.to_vec()))
}

fn id(map: &MapFd) -> Result<bpfsys::MapId> {
    map.info()?.id().context("no id")
}

fn hostile_pin_names(private: &Private) -> Result<()> {
    let path = hostile_path(private);
    let map = MapCreate::new(MapType::ARRAY, 4, 4, 1)
        .name("hostile")
        .run()?;
    let prog = simple_of(ProgType::XDP)?;
    let prog_id = prog.info()?.id().context("no id")?;
    for (noun, number) in [("map", id(&map)?.get()), ("prog", prog_id.get())] {
        if noun == "map" {
            ObjPin::new(&map, &path).run()?;
        } else {
            ObjPin::new(&prog, &path).run()?;
        }
        let shown = all_forms(&format!("-f {noun} show id {number}"));
        // Found by that very name as well.
        let mut args = words(&format!("-j {noun} show pinned"));
        args.push(path.clone().into());
        let by_path = run_tool(args);
        std::fs::remove_file(&path).context("unpin")?;
        let (text, json) = shown?;
        ensure!(!text.contains('\x1b'), "{text:?}");
        ensure!(text.contains("\tpinned "), "{text}");
        ensure_eq!(list(&json, "pinned")?.len(), 1);
        ensure_eq!(
            crate::tool::number(&by_path?.json()?, "id")?,
            u64::from(number)
        );
    }
    // An error that names it is as harmless.
    let mut args = words("-j map show pinned");
    args.push(path.clone().into());
    let missing = run_tool(args)?;
    let said: Value = serde_json::from_slice(&missing.stdout).context("the error is no JSON")?;
    ensure!(missing.status != 0 && said.get("error").is_some(), "{said}");
    let mut args = words("map show pinned");
    args.push(path.into());
    let missing = run_tool(args)?;
    ensure!(!missing.stderr.contains(&0x1b), "{:?}", missing.err());
    Ok(())
}

fn hostile_process_names(_: &Private) -> Result<()> {
    let map = MapCreate::new(MapType::ARRAY, 4, 4, 1).name("held").run()?;
    let ours = std::fs::read("/proc/self/comm").context("read our name")?;
    std::fs::write("/proc/self/comm", HOSTILE).context("take another name")?;
    let shown = all_forms(&format!("map show id {}", id(&map)?));
    std::fs::write("/proc/self/comm", ours.trim_ascii_end()).context("take our name back")?;
    let (text, json) = shown?;
    ensure!(!text.contains('\x1b'), "{text:?}");
    let pids = list(&json, "pids")?;
    let us = pids
        .iter()
        .find(|p| number(p, "pid").is_ok_and(|n| n == u64::from(std::process::id())));
    ensure!(
        string(us.context("we are no holder")?, "comm").is_ok(),
        "{json}"
    );
    Ok(())
}

fn links(private: &Private) -> Result<()> {
    let map = MapCreate::new(MapType::HASH, 4, 8, 4).run()?;
    let kernel = std::fs::read("/sys/kernel/btf/vmlinux").context("read the kernel's BTF")?;
    let kernel = btf::Btf::parse(kernel)?;
    let types = Types::load()?;
    let mut shown = 0;
    for (label, attempt) in one_of_each(private, &kernel, &types, &map) {
        // Which kinds this kernel can make is another suite's question.
        let Ok(held) = attempt else { continue };
        let info = held.link.info()?;
        let (text, json) = all_forms(&format!("link show id {}", info.id))?;
        ensure_eq!(string(&json, "type")?, info.type_.to_string(), "{label}");
        ensure!(
            text.starts_with(&format!("{}: {}  ", info.id, info.type_)),
            "{text}"
        );
        shown += 1;
    }
    ensure!(shown > 8, "only {shown} kinds of links could be made");
    all_forms("link show").map(drop)
}

fn nothing_is_mounted(private: &Private) -> Result<()> {
    let before = std::fs::read("/proc/self/mounts").context("read the mounts")?;
    let map = MapCreate::new(MapType::ARRAY, 4, 4, 1).run()?;
    let plain = private.dir().join("no_bpffs");
    let pinned = run_tool(words(&format!(
        "map pin id {} {}",
        id(&map)?,
        plain.display()
    )))?;
    ensure!(pinned.status != 0, "pinned outside a bpffs");
    for line in ["prog show", "-f map show", "link show", "btf show"] {
        ok(line)?;
    }
    let after = std::fs::read("/proc/self/mounts").context("read the mounts")?;
    ensure!(before == after, "{}", String::from_utf8_lossy(&after));
    Ok(())
}

fn symlink(private: &Private) -> Result<()> {
    let link = private.dir().join("bpftool");
    std::os::unix::fs::symlink(tool_path()?, &link).context("make a symlink")?;
    let map = MapCreate::new(MapType::HASH, 4, 4, 1).name("same").run()?;
    for line in ["map show id", "-j map show id", "-p map dump id"] {
        let line = format!("{line} {}", id(&map)?);
        let other = run(Command::new(&link).args(words(&line)), b"")?;
        ensure_eq!(other, run_tool(words(&line))?, "$ {line}");
    }
    Ok(())
}

fn shell(script: &str) -> Result<rbpftool_tests::Output> {
    let mut cmd = Command::new("bash");
    cmd.args(["-c", script, "bash"]).arg(tool_path()?);
    run(&mut cmd, b"")
}

/// Descriptor 0 means "none" to the kernel: an object must never get it.
fn closed_descriptors(private: &Private) -> Result<()> {
    let pin = private.bpffs().join("closed");
    let create = format!(
        "\"$1\" map create {} type array_of_maps key 4 value 4 entries 1 name o \
         inner_map pinned {} <&- >&- 2>&-",
        pin.display(),
        private.bpffs().join("closed_inner").display()
    );
    let inner = private.bpffs().join("closed_inner");
    let inner_map = MapCreate::new(MapType::HASH, 4, 4, 1)
        .flags(MapFlags::empty())
        .run()?;
    ObjPin::new(&inner_map, &inner).run()?;
    let made = shell(&create)?;
    let there = pin.exists();
    let shown = shell(&format!(
        "\"$1\" -j map show pinned {} <&- 2>&-",
        pin.display()
    ));
    for path in [&pin, &inner] {
        drop(std::fs::remove_file(path));
    }
    ensure!(made.status == 0 && there, "status {}", made.status);
    ensure_eq!(string(&shown?.json()?, "type")?, "array_of_maps");
    Ok(())
}

fn broken_pipe(_: &Private) -> Result<()> {
    let map = MapCreate::new(MapType::HASH, 4, 4, 50_000).run()?;
    let keys: Vec<u8> = (0..50_000_u32).flat_map(u32::to_ne_bytes).collect();
    MapUpdateBatch::new(&map, &keys, &keys).run()?;
    for flag in ["", "-j", "-p"] {
        let out = shell(&format!(
            "\"$1\" {flag} map dump id {} | head -c 10 >/dev/null; echo ${{PIPESTATUS[0]}}",
            id(&map)?
        ))?;
        ensure_eq!(out.out().trim(), "0", "with '{flag}'");
        ensure_eq!(out.err(), "", "with '{flag}'");
    }
    Ok(())
}

fn batch(_: &Private) -> Result<()> {
    let map = MapCreate::new(MapType::HASH, 4, 4, 4).run()?;
    let id = id(&map)?;
    let lines = format!(
        "# a remark\nmap update id {id} key 1 0 0 0 value 1 2 3 4\nmap dump id {id}\n\
         map lookup id {id} key 9 9 9 9\nmap show id {id}\n"
    );
    let mut cmd = Command::new(tool_path()?);
    cmd.args(["-j", "batch", "file", "-"]);
    let out = run(&mut cmd, lines.as_bytes())?;
    // The look-up of a key that is not there ends it.
    ensure!(out.status != 0, "{}", out.out());
    let all: Value = serde_json::from_slice(&out.stdout).with_context(|| out.out())?;
    let all = all.as_array().context("a batch is a list")?;
    ensure!(
        all.len() == 3 || all.len() == 4,
        "{} entries: {}",
        all.len(),
        out.out()
    );
    for entry in all.iter().take(3) {
        ensure!(
            !list(entry, "command")?.is_empty() && entry.get("output").is_some(),
            "{entry}"
        );
    }
    Ok(())
}

fn unprivileged(private: &Private) -> Result<()> {
    let setpriv = "setpriv --reuid 65534 --regid 65534 --clear-groups";
    let able = run(
        Command::new("bash").args(["-c", &format!("{setpriv} true")]),
        b"",
    );
    requires!(
        able.is_ok_and(|o| o.status == 0),
        "setpriv cannot change to another user"
    );
    // The target directory may be closed to other users.
    let copy = private.dir().join("rbpftool");
    std::fs::copy(tool_path()?, &copy).context("copy the tool")?;
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(private.dir(), open).context("open our directory")?;
    for (flag, words) in [
        ("", "prog show"),
        ("", "map show"),
        ("", "link show"),
        ("", "demo"),
        ("-j", "prog show"),
        ("-j", "demo"),
        ("-p", "btf show"),
    ] {
        let script = format!("{setpriv} {} {flag} {words}", copy.display());
        let out = run(Command::new("bash").args(["-c", &script]), b"")?;
        ensure!(out.status != 0, "{words} worked: {}", out.out());
        let all = [out.out(), out.err()].concat().to_lowercase();
        ensure!(all.contains("hint"), "no hint with {words}: {all}");
        let said = if flag.is_empty() {
            ensure!(out.stdout.is_empty(), "{}", out.out());
            out.err()
        } else {
            let value: Value = serde_json::from_slice(&out.stdout).with_context(|| out.out())?;
            string(&value, "error")?.to_owned()
        };
        ensure!(
            said.contains("permitted") || said.contains("EPERM"),
            "{said}"
        );
    }
    Ok(())
}
