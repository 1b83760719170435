//! A map of every type, from making to freezing, by command lines only.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use bpfsys::MapType;
use rbpftool_tests::state::maps::{Content, Recipe, recipes};
use rbpftool_tests::{Private, Suite, ensure_eq, run_tool, skip};
use serde_json::Value;

use crate::Place;
use crate::tool::{all_forms, list, number, ok, refused, string, words};

pub(crate) fn add(suite: &mut Suite, place: &Place) {
    for recipe in recipes() {
        crate::add(
            suite,
            format!("map::{}", recipe.map_type),
            place,
            move |private| one(&recipe, private),
        );
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect::<Vec<_>>()
        .join(" ")
}

/// `["0x01","0x02"]` as bytes.
fn bytes(value: &Value) -> Result<Vec<u8>> {
    let list = value
        .as_array()
        .with_context(|| format!("{value} is no list"))?;
    list.iter()
        .map(|v| {
            let digits = v
                .as_str()
                .and_then(|s| s.strip_prefix("0x"))
                .context("no hex")?;
            u8::from_str_radix(digits, 16).context("no hex")
        })
        .collect()
}

/// Makes the map; `None` if its type cannot be made from a command line.
fn create(recipe: &Recipe, pin: &Path, inner: &Path) -> Result<()> {
    let mut line = format!(
        "map create {} type {} key {} value {} entries {} name by_hand flags {:#x}",
        pin.display(),
        recipe.map_type,
        recipe.key,
        recipe.value,
        recipe.entries,
        recipe.flags.bits()
    );
    if recipe.map_type.is_map_of_maps() {
        if !inner.exists() {
            let inner = inner.display();
            ok(&format!(
                "map create {inner} type hash key 4 value 4 entries 4 name inner"
            ))?;
        }
        line.push_str(&format!(" inner_map pinned {}", inner.display()));
    }
    if let Some(since) = recipe.too_new()? {
        refused(&line, "create")?;
        let lacking = format!("maps of type {} need Linux {since}", recipe.map_type);
        let hint = format!("this kernel has no maps of type {}", recipe.map_type);
        let said = run_tool(words(&line))?.err();
        ensure!(said.contains(&hint), "{lacking}, but it said {said}");
        return Err(skip(lacking));
    }
    if recipe.map_type.is_local_storage() && recipe.map_type != MapType::CGROUP_STORAGE {
        // The kernel wants BTF for it, which the command line cannot give.
        return refused(&line, "create");
    }
    ok(&line).map(drop)
}

fn one(recipe: &Recipe, private: &Private) -> Result<()> {
    let dir = private.bpffs();
    let pin = dir.join(format!("by_hand_{}", recipe.map_type));
    let inner = dir.join("inner_for_all");
    create(recipe, &pin, &inner)?;
    if !pin.exists() {
        return Ok(());
    }
    let by_path = format!("pinned {}", pin.display());
    let (text, shown) = all_forms(&format!("map show {by_path}"))?;
    let id = number(&shown, "id")?;
    ensure_eq!(string(&shown, "type")?, recipe.map_type.to_string());
    ensure_eq!(string(&shown, "name")?, "by_hand");
    ensure_eq!(number(&shown, "bytes_key")?, u64::from(recipe.key));
    // The kernel adds flags of its own to some types.
    let flags = u64::from(recipe.flags.bits());
    ensure_eq!(number(&shown, "flags")? & flags, flags);
    ensure!(
        text.starts_with(&format!("{id}: {}  name by_hand  flags ", recipe.map_type)),
        "{text}"
    );
    let map = format!("id {id}");
    match recipe.content {
        Content::Bytes | Content::Slots => elements(recipe, &map)?,
        Content::Queue => queue(&map)?,
        Content::Objects => drop(all_forms(&format!("map dump {map}"))?),
        Content::Other => nothing_to_dump(recipe, &map)?,
    }
    let second = dir.join("by_hand_again");
    ok(&format!("map pin {map} {}", second.display()))?;
    let (_, again) = all_forms(&format!("map show pinned {}", second.display()))?;
    ensure_eq!(number(&again, "id")?, id);
    let (text, listed) = all_forms(&format!("-f map show {map}"))?;
    ensure_eq!(list(&listed, "pinned")?.len(), 2);
    ensure!(
        text.contains(&format!("\tpinned {}\n", second.display())),
        "{text}"
    );
    freeze(recipe, &map)?;
    for path in [&pin, &second] {
        std::fs::remove_file(path).context("unpin")?;
    }
    Ok(())
}

/// Three elements: written, dumped, looked up, walked, deleted.
fn elements(recipe: &Recipe, map: &str) -> Result<()> {
    let value = |n: u32| -> Vec<u8> {
        (0..recipe.value)
            .map(|at| (at * 7 + n).to_le_bytes()[0])
            .collect()
    };
    let keys: Vec<String> = (0..3).map(|n| hex(&recipe.key_bytes(n))).collect();
    for (key, n) in keys.iter().zip(0..) {
        ok(&format!(
            "map update {map} key hex {key} value hex {}",
            hex(&value(n))
        ))?;
    }
    let (text, dumped) = all_forms(&format!("map dump {map}"))?;
    let dumped = dumped.as_array().context("a dump is a list")?;
    let there = if recipe.content == Content::Slots {
        recipe.entries
    } else {
        3
    };
    ensure_eq!(dumped.len(), usize::try_from(there)?);
    let found = format!("Found {there} elements\n");
    ensure!(text.ends_with(&found), "{text}");
    for (key, n) in keys.iter().zip(0..) {
        let (text, found) = all_forms(&format!("map lookup {map} key hex {key}"))?;
        ensure!(text.contains(key.get(..11).unwrap_or(key)), "{text}");
        ensure_eq!(hex(&bytes(found.get("key").context("no key")?)?), *key);
        if recipe.map_type.is_per_cpu() {
            let values = list(&found, "values")?;
            ensure_eq!(values.len(), bpfsys::cpus::possible()?);
            for one in values {
                ensure_eq!(bytes(one.get("value").context("no value")?)?, value(n));
            }
        } else {
            ensure_eq!(bytes(found.get("value").context("no value")?)?, value(n));
        }
    }
    let (_, first) = all_forms(&format!("map getnext {map}"))?;
    ensure!(first.get("key").is_some_and(Value::is_null), "{first}");
    let key = keys.first().context("no key")?;
    if recipe.content == Content::Slots {
        return refused(&format!("map delete {map} key hex {key}"), "delete");
    }
    ok(&format!("map delete {map} key hex {key}"))?;
    let (_, left) = all_forms(&format!("map dump {map}"))?;
    ensure_eq!(left.as_array().map(Vec::len), Some(2));
    refused(&format!("map delete {map} key hex {key}"), "delete")
}

fn queue(map: &str) -> Result<()> {
    for n in [1, 2] {
        ok(&format!("map push {map} value {n} 0 0 0"))?;
    }
    let (_, peeked) = all_forms(&format!("map peek {map}"))?;
    let first = bytes(peeked.get("value").context("no value")?)?;
    for _ in 0..2 {
        ok(&format!("map pop {map}"))?;
    }
    ensure!(first == [1, 0, 0, 0] || first == [2, 0, 0, 0], "{first:?}");
    // What bpftool's users know: text says it, JSON is `null`, the status 254.
    let text = run_tool(words(&format!("map pop {map}")))?;
    ensure!(
        text.status == 254 && text.err().contains("empty"),
        "{}",
        text.err()
    );
    let json = run_tool(words(&format!("-j map pop {map}")))?;
    ensure_eq!((json.status, json.out().trim()), (254, "null"));
    refused(&format!("map dump {map}"), "can't dump")
}

/// Types whose elements no call lists say so, instead of looking empty.
fn nothing_to_dump(recipe: &Recipe, map: &str) -> Result<()> {
    let lists = [
        MapType::STACK_TRACE,
        MapType::CGROUP_STORAGE,
        MapType::PERCPU_CGROUP_STORAGE,
    ];
    if lists.contains(&recipe.map_type) {
        return all_forms(&format!("map dump {map}")).map(drop);
    }
    refused(&format!("map dump {map}"), "can't dump")
}

fn freeze(recipe: &Recipe, map: &str) -> Result<()> {
    ok(&format!("map freeze {map}"))?;
    let (text, shown) = all_forms(&format!("map show {map}"))?;
    ensure_eq!(number(&shown, "frozen")?, 1);
    ensure!(text.contains("frozen"), "{text}");
    if matches!(recipe.content, Content::Bytes | Content::Slots) {
        let key = hex(&recipe.key_bytes(1));
        let value = vec!["0"; usize::try_from(recipe.value)?].join(" ");
        refused(
            &format!("map update {map} key hex {key} value {value}"),
            "update",
        )?;
    }
    Ok(())
}
