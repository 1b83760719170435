//! What the kernel's own tests of bpftool ask of it (`test_bpftool.py`,
//! `prog_tests/bpftool_maps_access.c`), asked here in other words.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use bpfsys::MapType;
use bpfsys::cmd::{MapCreate, MapFreeze, ObjPin};
use rbpftool_tests::{Private, Suite, ensure_eq, requires, run_tool};
use serde_json::Value;

use crate::Place;
use crate::tool::{ok, words};

type Test = fn(&Private) -> Result<()>;

pub(crate) fn add(suite: &mut Suite, place: &Place) {
    let tests: [(&str, Test); 3] = [
        ("as_kernel::features", features),
        ("as_kernel::maps_that_may_only_be_read", read_only),
        ("as_kernel::nested_maps", nested),
    ];
    for (name, test) in tests {
        crate::add(suite, name, place, test);
    }
}

/// Trying these leaves a line in the kernel's log.
const LOUD: [&str; 3] = [
    "bpf_probe_write_user",
    "bpf_trace_printk",
    "bpf_trace_vprintk",
];

fn json(line: &str) -> Result<Value> {
    serde_json::from_str(&ok(&format!("-j {line}"))?.out()).context(line.to_owned())
}

/// Every helper that some type of programs may call.
fn helpers(answer: &Value) -> Result<BTreeSet<String>> {
    let types = answer.get("helpers").and_then(Value::as_object);
    let names = types.context("no helpers")?.values();
    let names = names.filter_map(Value::as_array).flatten();
    Ok(names.filter_map(Value::as_str).map(str::to_owned).collect())
}

fn features(_: &Private) -> Result<()> {
    // thousands of questions, thrice; the comparison with the reference asks them there
    requires!(
        std::env::var_os("RBPF_GUEST").is_none(),
        "it takes minutes where everything is emulated"
    );
    let keys = [
        "helpers",
        "map_types",
        "misc",
        "program_types",
        "syscall_config",
        "system_config",
    ];
    let some = json("feature")?;
    let mut found: Vec<_> = some.as_object().context("no object")?.keys().collect();
    found.sort();
    ensure_eq!(found, keys);
    let (some, all) = (helpers(&some)?, helpers(&json("feature probe full")?)?);
    ensure!(LOUD.iter().all(|loud| !some.contains(*loud)), "{some:?}");
    // which of them there are depends on the kernel and its settings
    let more: Vec<_> = all.difference(&some).collect();
    ensure!(
        more.iter().all(|more| LOUD.contains(&more.as_str())),
        "{more:?}"
    );
    ensure!(!more.is_empty() && some.is_subset(&all), "{more:?}");

    let macros = ok("feature probe macros")?.out();
    for expected in [
        "/*** System call availability ***/",
        "#define HAVE_BPF_SYSCALL",
        "/*** eBPF program types ***/",
        "/*** eBPF map types ***/",
        "/*** eBPF helper functions ***/",
        "/*** eBPF misc features ***/",
    ] {
        ensure!(macros.contains(expected), "{expected}\n{macros}");
    }
    Ok(())
}

/// A map that nobody may write to can be read in every way.
fn read_only(private: &Private) -> Result<()> {
    let map = MapCreate::new(MapType::ARRAY, 4, 4, 2)
        .name("only_read")
        .run()?;
    MapFreeze::new(&map).run()?;
    let pin = private.bpffs().join("only_read");
    ObjPin::new(&map, &pin).run()?;
    for handle in [
        "name only_read".to_owned(),
        format!("pinned {}", pin.display()),
    ] {
        ok(&format!("map lookup {handle} key 0 0 0 0"))?;
        ok(&format!("map getnext {handle}"))?;
        ok(&format!("map dump {handle}"))?;
        ok(&format!("map show {handle}"))?;
        for change in ["update", "delete"] {
            let value = if change == "update" {
                " value 1 1 1 1"
            } else {
                ""
            };
            let line = format!("map {change} {handle} key 0 0 0 0{value}");
            let refused = run_tool(words(&line))?;
            ensure!(refused.status != 0, "{line} worked");
        }
    }
    std::fs::remove_file(&pin)?;
    Ok(())
}

fn nested(private: &Private) -> Result<()> {
    let dir = private.bpffs();
    let dir = dir.display();
    ok(&format!(
        "map create {dir}/inner type array key 4 value 4 entries 4 name inner_tt"
    ))?;
    ok(&format!(
        "map create {dir}/outer type hash_of_maps key 4 value 4 entries 2 name outer_tt \
         inner_map name inner_tt"
    ))?;
    for (key, works) in [(0, true), (1, true), (2, false)] {
        let line = format!("map update pinned {dir}/outer key {key} 0 0 0 value name inner_tt");
        ensure_eq!(run_tool(words(&line))?.status == 0, works, "{line}");
    }
    ok("btf list")?;
    std::fs::remove_file(format!("{dir}/outer"))?;
    std::fs::remove_file(format!("{dir}/inner"))?;
    Ok(())
}
