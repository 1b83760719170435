//! Pins: found, made, and undone.

use std::path::Path;
use std::sync::Barrier;

use anyhow::{Context as _, Result, ensure};
use bpfsys::cmd::{MapCreate, ObjPin};
use bpfsys::{MapType, ProgType};
use loader::kernel::KernelError;
use rbpftool_tests::ensure_eq;

use crate::support::{Bench, Parts, names_in, open, options, pins_below, run};

pub(crate) fn add(bench: &mut Bench) {
    bench.one("pin::maps_are_shared_by_name", shared);
    bench.one("pin::maps_of_another_shape_are_refused", other_shape);
    bench.one("pin::what_is_no_map_is_refused", no_map);
    bench.one("pin::maps_are_found_at_a_path", at_path);
    bench.one("pin::a_load_that_fails_leaves_none", failed_load);
    bench.one("pin::loads_at_once_share", at_once);
    bench.one("pin::all_programs_and_maps", all);
    bench.one("pin::when_one_fails_none_is_left", undone);
    bench.one("pin::a_map_has_one_place", one_place);
}

fn shared(dir: &Path) -> Result<()> {
    let object = open("pinned")?;
    let first = object.load(&options(dir))?;
    ensure_eq!(names_in(dir), ["shared"]);
    ensure_eq!(run(&first, "count")?, 1);
    ensure_eq!(run(&first, "count")?, 2);
    ensure!(first.map("shared").is_some_and(|map| !map.is_reused()));
    ensure_eq!(
        first.map("shared").and_then(|map| map.pin()),
        Some(&*dir.join("shared"))
    );
    drop(first);
    let second = object.load(&options(dir))?;
    ensure_eq!(run(&second, "count")?, 3);
    ensure!(
        second
            .map("shared")
            .is_some_and(loader::kernel::LoadedMap::is_reused)
    );
    ensure!(second.map("private").is_some_and(|map| map.pin().is_none()));
    // Elsewhere it is another one; the directory is made.
    let third = object.load(&options(&dir.join("deeper")))?;
    ensure_eq!(run(&third, "count")?, 1);
    ensure!(dir.join("deeper/shared").exists());
    for path in pins_below(dir) {
        std::fs::remove_file(path)?;
    }
    Ok(())
}

fn other_shape(dir: &Path) -> Result<()> {
    let first = open("pinned")?.load(&options(dir))?;
    let error = open("pinned_other")?.load(&options(dir));
    let error = error.err().context("another shape was taken")?;
    let Some(KernelError::Mismatch(mismatch)) = error.kernel() else {
        anyhow::bail!("{error:#}");
    };
    ensure_eq!(mismatch.map, "shared");
    ensure_eq!(mismatch.path, dir.join("shared"));
    ensure_eq!(
        mismatch.to_string(),
        format!(
            "map 'shared' is not like the one pinned at {}: value size is 4, pinned 8, \
             max_entries is 2, pinned 1",
            dir.join("shared").display()
        )
    );
    // What was there is still there.
    ensure_eq!(run(&first, "count")?, 1);
    ensure_eq!(names_in(dir), ["shared"]);
    // Each property counts.
    let mut parts = Parts::new();
    let map = parts.array("shared", 8);
    parts.plan.maps[map].pin_path = Some(dir.join("shared"));
    parts.plan.load(&options(dir)).context("the same shape")?;
    let spec = parts.plan.maps[map].spec.clone();
    for (what, change) in [
        (
            "type",
            (|plan| plan.map_type = MapType::HASH) as fn(&mut loader::relocate::MapSpec),
        ),
        ("key size", |plan| plan.key_size = 8),
        ("value size", |plan| plan.value_size = 16),
        ("max_entries", |plan| plan.max_entries = 2),
        ("flags", |plan| {
            plan.flags = bpfsys::uapi::flags::MapFlags::RDONLY;
        }),
        ("map_extra", |plan| plan.map_extra = 1),
    ] {
        parts.plan.maps[map].spec = spec.clone();
        change(&mut parts.plan.maps[map].spec);
        match parts.plan.load(&options(dir)) {
            Err(KernelError::Mismatch(mismatch)) => {
                let differ: Vec<_> = mismatch.differences.iter().map(|d| d.what).collect();
                ensure_eq!(differ, [what]);
            }
            Err(error) => anyhow::bail!("{what}: {error}"),
            Ok(_) => anyhow::bail!("{what} may differ"),
        }
    }
    std::fs::remove_file(dir.join("shared"))?;
    Ok(())
}

fn no_map(dir: &Path) -> Result<()> {
    let insns = rbpftool_tests::state::progs::asm("r0 = 0\nexit")?;
    let prog = bpfsys::cmd::ProgLoad::new(ProgType::SCHED_CLS, &insns).run()?;
    ObjPin::new(&prog, &dir.join("shared")).run()?;
    let error = open("pinned")?.load(&options(dir));
    let error = error.err().context("a program was taken for a map")?;
    ensure!(
        format!("{error:#}").ends_with(&format!(
            "map 'shared': what is pinned at {} is no map",
            dir.join("shared").display()
        )),
        "{error:#}"
    );
    ensure_eq!(names_in(dir), ["shared"]);
    std::fs::remove_file(dir.join("shared"))?;
    Ok(())
}

fn at_path(dir: &Path) -> Result<()> {
    let made = MapCreate::new(MapType::ARRAY, 4, 8, 1).run()?;
    let path = dir.join("elsewhere");
    ObjPin::new(&made, &path).run()?;
    let mut object = open("pinned")?;
    object.map_mut("shared").context("the map")?.pin_path = Some(path.clone());
    let loaded = object.load(&options(dir))?;
    let map = loaded.map("shared").context("the map")?;
    ensure!(map.is_reused());
    ensure_eq!(map.fd().context("it")?.info()?.id, made.info()?.id);
    ensure_eq!(names_in(dir), ["elsewhere"]);
    std::fs::remove_file(path)?;
    Ok(())
}

fn failed_load(dir: &Path) -> Result<()> {
    let mut parts = Parts::new();
    for name in ["one", "two"] {
        let map = parts.array(name, 8);
        parts.plan.maps[map].pinning = loader::model::Pinning::ByName;
    }
    parts.program("bad", "r0 = r7\nexit")?;
    // One of them was there before, and stays.
    let made = MapCreate::new(MapType::ARRAY, 4, 8, 1).run()?;
    ObjPin::new(&made, &dir.join("one")).run()?;
    ensure!(parts.plan.load(&options(dir)).is_err(), "it was loaded");
    ensure_eq!(names_in(dir), ["one"]);
    std::fs::remove_file(dir.join("one"))?;
    Ok(())
}

/// Both want to pin: one does, and the other takes what it finds.
fn at_once(dir: &Path) -> Result<()> {
    let mut parts = Parts::new();
    let map = parts.array("shared", 8);
    for round in 0..200 {
        let path = dir.join(format!("{round}"));
        parts.plan.maps[map].pin_path = Some(path.clone());
        let start = Barrier::new(2);
        let load = || {
            start.wait();
            let loaded = parts.plan.load(&options(dir))?;
            let map = loaded.map("shared").context("the map")?;
            anyhow::Ok((map.is_reused(), map.fd().context("it")?.info()?.id))
        };
        let (one, other) = std::thread::scope(|scope| {
            let other = scope.spawn(load);
            (load(), other.join())
        });
        let (one, other) = (
            one?,
            other.map_err(|_panic| anyhow::anyhow!("it panicked"))??,
        );
        ensure!(one.0 != other.0, "round {round}: both or none found it");
        ensure_eq!(one.1, other.1, "round {round}: two maps");
        std::fs::remove_file(path)?;
    }
    Ok(())
}

fn all(dir: &Path) -> Result<()> {
    let mut loaded = open("data")?.load(&options(dir))?;
    let (progs, maps) = (dir.join("progs"), dir.join("maps"));
    loaded.pin_programs(&progs)?;
    loaded.pin_maps(&maps)?;
    ensure_eq!(names_in(&progs), ["reads", "sums", "writes"]);
    // Names as libbpf gives them, with underscores for dots.
    let names = names_in(&maps);
    for name in [
        "_data_special",
        "_rodata_fixed",
        "data_bss",
        "data_data",
        "data_rodata",
    ] {
        ensure!(
            names.iter().any(|have| have == name),
            "no {name}: {names:?}"
        );
    }
    ensure!(names.iter().all(|name| !name.contains('.')), "{names:?}");
    ensure_eq!(
        loaded.program("sums").map(|p| p.pins().to_vec()),
        Some(vec![progs.join("sums")])
    );
    // Pinning maps again where they are is nothing.
    loaded.pin_maps(&maps)?;
    let error = loaded.pin_programs(&progs).err().context("pinned twice")?;
    ensure!(matches!(error, KernelError::Pin { .. }), "{error}");
    ensure_eq!(names_in(&progs), ["reads", "sums", "writes"]);
    loaded.unpin_programs(&progs)?;
    loaded.unpin_maps(&maps)?;
    ensure!(pins_below(dir).is_empty(), "{:?}", pins_below(dir));
    let error = loaded.unpin_maps(&maps).err().context("unpinned twice")?;
    ensure!(
        error
            .to_string()
            .starts_with("cannot remove the pin of map '"),
        "{error}"
    );
    loaded.pin_program("sums", &dir.join("sums"))?;
    loaded.pin_map(".bss", &dir.join("bss"))?;
    ensure_eq!(names_in(dir), ["bss", "sums"]);
    ensure!(loaded.pin_map("none", &dir.join("none")).is_err());
    for path in pins_below(dir) {
        std::fs::remove_file(path)?;
    }
    // Nothing but pins is ever removed.
    let plain = tempfile::tempdir()?;
    std::fs::write(plain.path().join("sums"), "a file")?;
    let error = loaded
        .unpin_programs(plain.path())
        .err()
        .context("removed a file")?;
    ensure!(matches!(error, KernelError::NotBpffs { .. }), "{error}");
    ensure!(plain.path().join("sums").exists());
    Ok(())
}

fn undone(dir: &Path) -> Result<()> {
    let mut loaded = open("data")?.load(&options(dir))?;
    let taken = MapCreate::new(MapType::ARRAY, 4, 8, 1).run()?;
    ObjPin::new(&taken, &dir.join("writes")).run()?;
    let error = loaded.pin_programs(dir).err().context("all were pinned")?;
    ensure!(
        error
            .to_string()
            .starts_with("cannot pin program 'writes' at "),
        "{error}"
    );
    ensure_eq!(names_in(dir), ["writes"]);
    ensure!(
        loaded
            .programs()
            .iter()
            .all(|program| program.pins().is_empty())
    );
    std::fs::rename(dir.join("writes"), dir.join("_rodata_fixed")).ok();
    std::fs::remove_file(dir.join("writes")).ok();
    if !dir.join("_rodata_fixed").exists() {
        ObjPin::new(&taken, &dir.join("_rodata_fixed")).run()?;
    }
    let error = loaded.pin_maps(dir).err().context("all were pinned")?;
    ensure!(error.to_string().contains("map '.rodata.fixed'"), "{error}");
    ensure_eq!(names_in(dir), ["_rodata_fixed"]);
    ensure!(loaded.maps().iter().all(|map| map.pin().is_none()));
    let error = loaded
        .pin_maps(Path::new("/proc"))
        .err()
        .context("pinned in procfs")?;
    ensure!(matches!(error, KernelError::NotBpffs { .. }), "{error}");
    std::fs::remove_file(dir.join("_rodata_fixed"))?;
    Ok(())
}

fn one_place(dir: &Path) -> Result<()> {
    let mut loaded = open("pinned")?.load(&options(dir))?;
    let error = loaded
        .pin_maps(&dir.join("more"))
        .err()
        .context("pinned twice")?;
    ensure_eq!(
        error.to_string(),
        format!(
            "cannot pin map 'shared' at {}: it is pinned at {} already",
            dir.join("more/shared").display(),
            dir.join("shared").display()
        )
    );
    ensure!(!dir.join("more").exists());
    loaded.pin_maps(dir)?;
    ensure_eq!(names_in(dir), ["private", "shared"]);
    loaded.unpin_maps(dir)?;
    Ok(())
}
