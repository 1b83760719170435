//! That the cases cover what the views can say.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use bpfsys::LinkType;
use serde_json::Value;

/// Every object in the cases of a noun.
fn objects(noun: &str) -> Result<Vec<Value>> {
    let mut objects = Vec::new();
    for ((of, case), path) in crate::cases()? {
        if of != noun {
            continue;
        }
        let text = std::fs::read_to_string(&path).with_context(|| format!("read {case}"))?;
        match serde_json::from_str(&text).with_context(|| format!("read {case}"))? {
            Value::Array(all) => objects.extend(all),
            one => objects.push(one),
        }
    }
    Ok(objects)
}

/// All types of links that have a name, and one that has none.
pub(crate) fn links() -> Result<()> {
    let objects = objects("link")?;
    let seen: BTreeSet<_> = objects
        .iter()
        .filter_map(|link| link.get("type")?.as_str())
        .collect();
    let missing: Vec<_> = (1..64)
        .filter_map(|number| LinkType(number).name())
        .filter(|name| !seen.contains(name))
        .collect();
    ensure!(
        missing.is_empty(),
        "no case in tests/golden/link for {missing:?}"
    );
    ensure!(seen.len() >= 15, "only {} types of links", seen.len());
    ensure!(
        objects.iter().any(|link| link["type"].is_u64()),
        "no case of a link whose type has no name"
    );
    Ok(())
}

/// All folders have cases.
pub(crate) fn nouns() -> Result<()> {
    let nouns = [
        "prog",
        "map",
        "link",
        "btf",
        "perf",
        "struct_ops",
        "net",
        "cgroup",
        "version",
        "errors",
    ];
    for noun in nouns {
        ensure!(!objects(noun)?.is_empty(), "no case in tests/golden/{noun}");
    }
    Ok(())
}

/// The keys that a view may leave out are in some case, and missing in another.
pub(crate) fn keys() -> Result<()> {
    let optional: BTreeMap<&str, &[&str]> = [
        (
            "prog",
            &[
                "name",
                "run_time_ns",
                "run_cnt",
                "recursion_misses",
                "dev",
                "loaded_at",
                "uid",
                "bytes_jited",
                "bytes_memlock",
                "map_ids",
                "btf_id",
                "pinned",
                "pids",
                "metadata",
                "data_out",
                "ctx_out",
            ] as &[_],
        ),
        (
            "map",
            &[
                "name",
                "dev",
                "bytes_memlock",
                "owner_prog_type",
                "owner_jited",
                "btf_id",
                "pinned",
                "pids",
            ],
        ),
        (
            "link",
            &[
                "prog_type",
                "map_id",
                "tid",
                "pid",
                "cgroup_id",
                "order",
                "pinned",
                "pids",
            ],
        ),
        ("btf", &["pids", "name"]),
        ("cgroup", &["attach_flags", "attach_btf_name"]),
        ("errors", &["hint"]),
    ]
    .into();
    for (noun, keys) in optional {
        let objects = objects(noun)?;
        for key in keys {
            let with = objects.iter().filter(|o| o.get(key).is_some()).count();
            ensure!(with > 0, "no case in tests/golden/{noun} has '{key}'");
            ensure!(
                with < objects.len(),
                "every case in tests/golden/{noun} has '{key}'"
            );
        }
    }
    Ok(())
}
