//! What the fuzz target `load_plan` does, on objects of the fixtures with random damage.

#![allow(clippy::expect_used, clippy::panic, reason = "a test may fail")]

use proptest::prelude::*;
use std::path::Path;
use std::sync::LazyLock;

#[path = "bodies/load_plan.rs"]
mod load_plan;

/// Objects of all sorts.
static OBJECTS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/bpf");
    let entries = std::fs::read_dir(dir).expect("the fixtures");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("a fixture").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "o"))
        .collect();
    paths.sort();
    let read = |path: &std::path::PathBuf| std::fs::read(path).expect("a fixture");
    paths.iter().map(read).collect()
});

#[test]
fn sound_objects_have_plans_or_errors() {
    for object in OBJECTS.iter() {
        for missing in [0, u32::MAX, 0x0000_ff00] {
            let mut data = object.clone();
            data.extend(missing.to_le_bytes());
            data.push(0);
            load_plan::run(&data);
        }
    }
}

/// Bytes that nobody wants to see when a test fails.
struct Input(Vec<u8>);

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// An object with a few words overwritten: with numbers that stand for something, most of all.
fn damaged() -> impl Strategy<Value = Input> {
    let word = prop_oneof![
        any::<u32>(),
        0u32..64,
        (0u32..32, 0u32..8).prop_map(|(kind, vlen)| kind << 24 | vlen),
        Just(u32::MAX),
    ];
    let damage = prop::collection::vec((any::<prop::sample::Index>(), word), 0..12);
    let which = any::<prop::sample::Index>();
    (which, any::<u32>(), any::<u8>(), damage).prop_map(|(which, missing, selected, damage)| {
        let mut object = which.get(&OBJECTS).clone();
        for (at, word) in damage {
            let at = at.index(object.len() / 4) * 4;
            object[at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
        object.extend(missing.to_le_bytes());
        object.push(selected);
        Input(object)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_objects_have_plans_or_errors(input in damaged()) {
        load_plan::run(&input.0);
    }
}
