//! What the user may name: objects of this kernel, and lists that the usage does not write out.

use std::ffi::CStr;

use bpfsys::uapi::flags::MapFlags;
use bpfsys::uapi::info::MapInfo;
use bpfsys::uapi::perf;
use bpfsys::{AttachType, MapType};
use loader::model::sec_defs::SEC_DEFS;

use super::{Candidate, Names, Offer};
use crate::kernel::{Kernel, ObjectKind};
use crate::names::ProgNames;
use crate::nouns::NameOrNumber;
use crate::pins::Pins;
use crate::{manual, tracefs};

/// A name in a usage, and where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'g> {
    pub(super) noun: &'g str,
    pub(super) name: &'g str,
    pub(super) rule: &'g str,
    pub(super) after: &'g str,
}

/// Adds what may stand there. What cannot be listed is not offered.
pub(super) fn fill(offer: &mut Offer, kernel: &Kernel, wanted: Wanted<'_>) {
    let Wanted {
        noun,
        name,
        rule,
        after,
    } = wanted;
    match (name, rule) {
        ("PROG_ID" | "PROG_TAG" | "PROG_NAME", _) => progs(offer, name),
        ("MAP_ID" | "MAP_NAME", _) => maps(offer, name, |_| true),
        ("STRUCT_OPS_MAP_ID" | "STRUCT_OPS_MAP_NAME", _) => {
            let name = name.strip_prefix("STRUCT_OPS_").unwrap_or(name);
            maps(offer, name, |info| {
                MapType(info.type_) == MapType::STRUCT_OPS
            });
        }
        ("LINK_ID", _) => {
            for link in bpfsys::links().flatten() {
                let Ok(info) = link.info() else { continue };
                let kind = NameOrNumber::new(info.type_.name(), info.type_.0);
                let about = match info.prog_id {
                    Some(prog) => format!("{kind}, program {prog}"),
                    None => kind.to_string(),
                };
                let word = info.id.to_string();
                offer.candidates.push(Candidate::new(word, about));
            }
        }
        ("BTF_ID", _) => {
            for btf in bpfsys::btfs().flatten() {
                let Ok(details) = btf.info() else { continue };
                let id = details.info.id.to_string();
                offer.candidates.push(Candidate::new(id, details.name));
            }
        }
        ("FILE", "PROG") if after == "pinned" => pinned(offer, kernel, ObjectKind::Prog),
        ("FILE", "MAP") if after == "pinned" => pinned(offer, kernel, ObjectKind::Map),
        ("FILE", "LINK") if after == "pinned" => pinned(offer, kernel, ObjectKind::Link),
        ("CGROUP" | "CGROUP_ROOT" | "MAP_DIR" | "LINK_DIR", _) => {
            offer.names(Names::Directories);
        }
        ("NAME", _) if ["dev", "offload_dev", "xdpmeta_dev"].contains(&after) => devices(offer),
        ("NAME", _) if after == "hardware" => offer.words(perf::HW_NAMES),
        ("NAME", _) if after == "software" => offer.words(perf::SW_NAMES),
        ("CATEGORY/NAME", _) => tracepoints(offer, kernel),
        ("PID" | "TID", _) => processes(offer, kernel),
        ("HOOK", _) => {
            offer.words(["prerouting", "input", "forward", "output", "postrouting"]);
        }
        ("ATTACH_TYPE", _) => {
            let all = AttachType::ALL.iter().filter_map(|own| own.name());
            let is_placed = |name: &&str| {
                ["cgroup_", "lsm_cgroup", "sk_"]
                    .iter()
                    .any(|p| name.starts_with(p))
            };
            offer.words(all.filter(|name| noun != "link" || is_placed(name)));
        }
        ("TYPE", _) if noun == "map" => {
            let all = MapType::ALL.iter().filter(|own| **own != MapType::UNSPEC);
            offer.words(all.filter_map(|own| own.name()));
        }
        ("TYPE", _) if noun == "prog" => {
            let all = SEC_DEFS
                .iter()
                .map(|def| def.pattern.trim_end_matches(['+', '/']));
            offer.words(all);
        }
        ("TOPIC", _) => offer.words(manual::topics()),
        ("FILE" | "OBJ" | "PATH" | "INPUT" | "OUTPUT" | "OBJECT", _) => offer.names(Names::Files),
        (name, _) if name.ends_with("_FILE") => offer.names(Names::Files),
        // a number, or a name that is new
        _ => {}
    }
}

fn progs(offer: &mut Offer, what: &str) {
    let mut names = ProgNames::default();
    for prog in bpfsys::progs().flatten() {
        let Ok(info) = prog.info() else { continue };
        let name = names.full_name(&prog, &info);
        let kind = bpfsys::ProgType(info.type_);
        let kind = NameOrNumber::new(kind.name(), kind.0);
        let candidate = match what {
            "PROG_ID" => {
                let about = [kind.to_string().as_bytes(), b" ", &name].concat();
                Candidate::new(info.id.to_string(), about)
            }
            "PROG_TAG" => {
                let tag: String = info.tag.iter().map(|byte| format!("{byte:02x}")).collect();
                Candidate::new(tag, name)
            }
            _ => Candidate::new(name, kind.to_string()),
        };
        offer.candidates.push(candidate);
    }
}

fn maps(offer: &mut Offer, what: &str, is_wanted: fn(&MapInfo) -> bool) {
    for map in bpfsys::maps(MapFlags::RDONLY).flatten() {
        let Ok(info) = map.info() else { continue };
        if !is_wanted(&info) {
            continue;
        }
        let kind = MapType(info.type_);
        let kind = NameOrNumber::new(kind.name(), kind.0).to_string();
        offer.candidates.push(if what == "MAP_ID" {
            let about = [kind.as_bytes(), b" ", info.name()].concat();
            Candidate::new(info.id.to_string(), about)
        } else {
            Candidate::new(info.name(), kind)
        });
    }
}

/// Pinned objects of the kind, or else files: file systems may be mounted where the walk does
/// not come.
fn pinned(offer: &mut Offer, kernel: &Kernel, kind: ObjectKind) {
    for (id, paths) in Pins::gather(kernel, kind).all() {
        let about = format!("{} {id}", kind.name());
        let paths = paths
            .iter()
            .map(|path| Candidate::new(path.0.clone(), about.clone()));
        offer.candidates.extend(paths);
    }
    offer.otherwise = Names::Files;
}

fn devices(offer: &mut Offer) {
    let Ok(devices) = nix::net::if_::if_nameindex() else {
        return;
    };
    let names = devices.iter().map(nix::net::if_::Interface::name);
    let names = names.map(|name: &CStr| Candidate::new(name.to_bytes(), ""));
    offer.candidates.extend(names);
}

fn processes(offer: &mut Offer, kernel: &Kernel) {
    let Ok(entries) = std::fs::read_dir(kernel.proc_root()) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name
            .to_str()
            .is_some_and(|name| name.parse::<u32>().is_ok())
        {
            let comm = std::fs::read(entry.path().join("comm")).unwrap_or_default();
            let candidate = Candidate::new(name.into_encoded_bytes(), comm.trim_ascii());
            offer.candidates.push(candidate);
        }
    }
}

/// `CATEGORY/NAME` of every tracepoint of a tracefs.
fn tracepoints(offer: &mut Offer, kernel: &Kernel) {
    let Ok(top) = tracefs::find(kernel) else {
        return;
    };
    let directories = |path: &std::path::Path| {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
    };
    for category in directories(&top.join("events")) {
        for event in directories(&category.path()) {
            let parts = [category.file_name(), event.file_name()];
            let word = parts
                .map(std::ffi::OsString::into_encoded_bytes)
                .join(&b'/');
            offer.candidates.push(Candidate::new(word, ""));
        }
    }
}
