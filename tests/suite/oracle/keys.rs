//! The keys of both documents, object by object.
//!
//! The comparison of whole outputs forgives what a rule forgives. This one
//! knows no rules, only the two keys that the reference gets wrong, and which
//! objects they are wrong for.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use bpfsys::KernelVersion;
use bpfsys::uapi::flags::MapFlags;
use rbpftool_tests::ensure_eq;
use serde_json::Value;

use crate::compare::{Pair, line};

/// What is listed, and the keys that one of the objects must have, so that an
/// empty world proves nothing.
pub(crate) const NOUNS: &[(&str, &[&str])] = &[
    (
        "prog",
        &[
            "id",
            "type",
            "name",
            "tag",
            "gpl_compatible",
            "loaded_at",
            "uid",
            "orphaned",
            "bytes_xlated",
            "jited",
            "bytes_jited",
            "bytes_memlock",
            "map_ids",
            "btf_id",
            "pinned",
            "metadata",
        ],
    ),
    (
        "map",
        &[
            "id",
            "type",
            "name",
            "flags",
            "bytes_key",
            "bytes_value",
            "max_entries",
            "bytes_memlock",
            "owner_prog_type",
            "owner_jited",
            "frozen",
            "btf_id",
            "pinned",
        ],
    ),
    (
        "link",
        &[
            "id",
            "type",
            "prog_id",
            "tp_name",
            "cgroup_id",
            "attach_type",
            "target_name",
            "map_id",
            "netns_ino",
            "pinned",
        ],
    ),
    (
        "btf",
        &["id", "size", "prog_ids", "map_ids", "kernel", "name"],
    ),
];

/// Compares the keys of every object of a noun.
pub(crate) fn same(pair: &Pair, noun: &str, wanted: &[&str]) -> Result<()> {
    // Without their search for holders, so that both see the same objects.
    let (ours, theirs) = pair.json(&line(&format!("-f {noun} show")))?;
    let (ours, theirs) = (objects(&ours)?, objects(&theirs)?);
    let ids = |all: &BTreeMap<u64, Value>| all.keys().copied().collect::<Vec<_>>();
    ensure_eq!(ids(&ours), ids(&theirs), "the objects");
    let mut seen = BTreeSet::new();
    for (id, their) in &theirs {
        let our = ours.get(id).context("no such object")?;
        let (our_keys, mut their_keys) = (keys(our), keys(their));
        if noun == "map" && !has_btf(*id)? {
            // It is that of the map before.
            their_keys.remove(".btf_id");
        }
        for key in &their_keys {
            ensure!(our_keys.contains(key), "{noun} {id}: ours lacks {key}");
        }
        for key in our_keys.difference(&their_keys) {
            let meant = [".pids", ".bpf_cookie"].iter().any(|k| key.starts_with(k))
                || our.get("type").and_then(Value::as_str) == Some("tracing_multi");
            ensure!(meant, "{noun} {id}: only ours has {key}");
        }
        seen.extend(their_keys);
    }
    let old = KernelVersion::running()? < KernelVersion::new(5, 11, 0);
    let missing: Vec<_> = wanted
        .iter()
        // BTF objects have names since Linux 5.11.
        .filter(|key| !(old && noun == "btf" && **key == "name"))
        .filter(|key| !seen.contains(&format!(".{key}")))
        .collect();
    ensure!(missing.is_empty(), "no object shows {missing:?}");
    Ok(())
}

/// The kernel's word, not a tool's.
fn has_btf(map: u64) -> Result<bool> {
    let id = bpfsys::MapId::new(u32::try_from(map)?).context("an id of zero")?;
    Ok(bpfsys::MapFd::by_id(id, MapFlags::RDONLY)?
        .info()?
        .btf_id()
        .is_some())
}

fn objects(document: &Value) -> Result<BTreeMap<u64, Value>> {
    document
        .as_array()
        .context("no list")?
        .iter()
        .map(|object| {
            let id = object.get("id").and_then(Value::as_u64).context("no id")?;
            Ok((id, object.clone()))
        })
        .collect()
}

/// `.a`, `.b[].c` for every key at any depth.
fn keys(value: &Value) -> BTreeSet<String> {
    fn walk(value: &Value, path: &str, into: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                for (key, value) in members {
                    let path = format!("{path}.{key}");
                    walk(value, &path, into);
                    into.insert(path);
                }
            }
            Value::Array(elements) => {
                for element in elements {
                    walk(element, &format!("{path}[]"), into);
                }
            }
            _ => {}
        }
    }
    let mut into = BTreeSet::new();
    walk(value, "", &mut into);
    into
}
