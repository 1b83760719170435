//! The object as a file says it, and as the words of the command line want it.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use bpfsys::uapi::flags::ProgLoadFlags;
use bpfsys::{BtfFd, BtfId, MapType, ProgFd, ProgType};
use btf::Btf;
use loader::model::sec_defs::SecDef;
use loader::model::{AttachTo, EditError, MapIdx, Object, ParseOptions, ProgIdx, Program};

use super::advice;
use super::args::{Device, Edits, LoadArgs, MapKey, Replacement, Target};
use crate::cli::Options;
use crate::failure::{Failure, Result};
use crate::render::escape::Escaped;
use crate::words::shown;

/// Reads an object file.
pub fn open(path: &Path, options: &Options) -> Result<Object> {
    let file = Escaped(path.as_os_str().as_bytes());
    let bytes = std::fs::read(path)
        .map_err(|error| Failure::because(format_args!("failed to open object {file}"), error))?;
    let parse = ParseOptions::for_file(&path.to_string_lossy()).relaxed_maps(options.map_compat);
    Object::parse(&bytes, &parse).map_err(|error| {
        let advice = advice::for_model(&error);
        let failure = Failure::because(format_args!("failed to open object {file}"), error);
        match advice {
            Some(advice) => failure.with_hint(advice),
            None => failure,
        }
    })
}

/// The text of a kernel's configuration.
pub fn kconfig(edits: &Edits<'_>) -> Result<Option<String>> {
    let read = |path: &Path| {
        std::fs::read_to_string(path).map_err(|error| {
            let file = Escaped(path.as_os_str().as_bytes());
            Failure::because(format_args!("failed to read {file}"), error)
        })
    };
    edits.kconfig.map(read).transpose()
}

/// Changes an object as it is wanted, all but what needs the kernel's maps.
pub fn apply(object: &mut Object, edits: &Edits<'_>) -> Result<()> {
    if let Some(word) = edits.prog_type {
        let def = sec_def(word)?;
        for program in object.programs_mut() {
            program.set_type(def.prog_type);
            program.expected_attach_type = def.attach_type;
            program.attach_type_optional = def.attach_type_optional;
            if def.needs_btf && matches!(program.attach_to, AttachTo::None) {
                program.attach_to = AttachTo::Missing;
            }
        }
    }
    if !edits.only.is_empty() {
        object.select_only(&edits.only).map_err(edit_failed)?;
    }
    for (variable, value) in &edits.set {
        object.set_variable(variable, value).map_err(edit_failed)?;
    }
    match &edits.target {
        Some(Target::Kernel(name)) => retarget(object, |program| program.set_target(name)),
        Some(Target::Prog(handle, func)) => {
            let prog = handle.open_one()?;
            let btf = Arc::new(types(&prog)?);
            let prog = Arc::new(prog);
            retarget(object, |program| {
                let (prog, btf) = (Arc::clone(&prog), Arc::clone(&btf));
                program.set_target_prog(prog, btf, func.as_deref())
            })
        }
        None => Ok(()),
    }
}

/// Changes an object as a load wants it.
pub fn apply_load(object: &mut Object, args: LoadArgs<'_>) -> Result<()> {
    if let Some(device) = args.device {
        for program in object.programs_mut() {
            assign(program, device);
        }
        if let Device::Offload(index) = device {
            for map in object.maps_mut() {
                // the host reads events, whoever writes them
                if map.spec.map_type != MapType::PERF_EVENT_ARRAY {
                    map.spec.ifindex = index;
                }
            }
        }
    }
    for replacement in args.maps {
        replace(object, replacement)?;
    }
    Ok(())
}

fn edit_failed(error: EditError) -> Failure {
    let advice = advice::for_edit(&error);
    let failure = Failure::because("cannot change the object", error);
    match advice {
        Some(advice) => failure.with_hint(advice),
        None => failure,
    }
}

/// A type of programs, named as sections are. bpftool takes `kprobe` for `kprobe/` as well.
fn sec_def(word: &str) -> Result<&'static SecDef> {
    let found = SecDef::find(word).or_else(|| SecDef::find(&format!("{word}/")));
    found.ok_or_else(|| {
        let word = Escaped(word.as_bytes());
        Failure::new(format_args!("'{word}' is no type of program")).with_hint(
            "types are named as sections are: xdp, tc, kprobe, cgroup/connect4, tp_btf, …",
        )
    })
}

fn assign(program: &mut Program, device: Device) {
    match device {
        Device::XdpMeta(index) if program.prog_type == ProgType::XDP => {
            program.flags |= ProgLoadFlags::XDP_DEV_BOUND_ONLY;
            program.ifindex = index;
        }
        Device::XdpMeta(_) => {}
        Device::Offload(index) => program.ifindex = index,
    }
}

fn replace(object: &mut Object, replacement: Replacement<'_>) -> Result<()> {
    let at = match replacement.which {
        MapKey::Idx(idx) => MapIdx(idx),
        MapKey::Name(name) => name
            .to_str()
            .and_then(|name| object.map_index(name))
            .ok_or_else(|| Failure::new(format_args!("unable to find map '{}'", shown(name))))?,
    };
    let map = object
        .maps_mut()
        .get_mut(at.index())
        .ok_or_else(|| Failure::new(format_args!("map idx '{}' not used", at.0)))?;
    if map.reuse.is_some() {
        return Err(Failure::new(format_args!(
            "replacement for map idx {} specified more than once",
            at.0
        )));
    }
    map.reuse = Some(Arc::new(replacement.map));
    Ok(())
}

/// Changes the programs that are loaded and attach to something with a type; at least one.
fn retarget(
    object: &mut Object,
    mut change: impl FnMut(&mut Program) -> std::result::Result<(), EditError>,
) -> Result<()> {
    let loads: Vec<bool> = (0..)
        .take(object.programs().len())
        .map(|at| object.loads(ProgIdx(at)))
        .collect();
    let mut changed = false;
    for (program, loads) in object.programs_mut().iter_mut().zip(loads) {
        if loads && !matches!(program.attach_to, AttachTo::None) {
            change(program).map_err(edit_failed)?;
            changed = true;
        }
    }
    if changed {
        return Ok(());
    }
    Err(
        Failure::new("target given, but no program that is loaded attaches to a function")
            .with_hint(
                "programs of sections such as fentry, fexit, fmod_ret, freplace, lsm, tp_btf and \
                 iter do",
            ),
    )
}

/// The types of a loaded program.
pub fn types(prog: &ProgFd) -> Result<Btf<'static>> {
    let info = prog
        .info()
        .map_err(|error| Failure::because("can't get prog info", error))?;
    let id = BtfId::new(info.btf_id).ok_or_else(|| {
        let (id, name) = (info.id, Escaped(info.name()));
        Failure::new(format_args!(
            "program {id} '{name}' has no types, so nothing can attach to it"
        ))
        .with_hint("load it from an object that was compiled with -g")
    })?;
    let fail = |error| Failure::because(format_args!("failed to get BTF {id}"), error);
    let data = BtfFd::by_id(id).and_then(|fd| fd.data()).map_err(fail)?;
    Btf::parse(data).map_err(|error| Failure::because(format_args!("can't read BTF {id}"), error))
}
