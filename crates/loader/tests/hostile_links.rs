//! What the fuzz targets do, on random bytes and on sound objects with random damage.

#![allow(clippy::expect_used, clippy::panic, reason = "a test may fail")]

use proptest::prelude::*;

#[path = "bodies/linker.rs"]
mod linker;

/// Objects of a compiler, in both byte orders, that fit each other.
const OBJECTS: [[&[u8]; 2]; 4] = [
    [
        include_bytes!("../../../tests/fixtures/link/maps.1.el.o"),
        include_bytes!("../../../tests/fixtures/link/maps.2.el.o"),
    ],
    [
        include_bytes!("../../../tests/fixtures/link/funcs.1.eb.o"),
        include_bytes!("../../../tests/fixtures/link/funcs.2.eb.o"),
    ],
    [
        include_bytes!("../../../tests/fixtures/link/vars.1.el.o"),
        include_bytes!("../../../tests/fixtures/link/vars.2.el.o"),
    ],
    [
        include_bytes!("../../../tests/fixtures/link/core.1.el.o"),
        include_bytes!("../../../tests/fixtures/link/externs.2.el.o"),
    ],
];

/// Two objects as the fuzz target takes them.
fn joined(one: &[u8], other: &[u8]) -> Vec<u8> {
    let cut = u16::try_from(one.len()).expect("fixtures are small");
    [&cut.to_le_bytes(), one, other].concat()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn link_when_bytes_are_random(data in prop::collection::vec(any::<u8>(), 0..400)) {
        linker::run(&data);
        let header = OBJECTS[0][0].get(..64).expect("a header");
        linker::run(&[&[0, 0], header, &data].concat());
    }

    #[test]
    fn link_when_objects_are_damaged(
        pair in 0..OBJECTS.len(),
        alone in any::<bool>(),
        damage in prop::collection::vec(
            (any::<prop::sample::Index>(), prop_oneof![any::<u8>(), 0u8..16]),
            0..6,
        ),
    ) {
        let [one, other] = OBJECTS[pair];
        let mut data = if alone {
            [&[0, 0], one].concat()
        } else {
            joined(one, other)
        };
        for (at, byte) in damage {
            let at = at.index(data.len() - 2) + 2;
            data[at] = byte;
        }
        linker::run(&data);
    }

    #[test]
    fn link_when_tables_are_damaged(
        pair in 0..OBJECTS.len(),
        damage in prop::collection::vec((0usize..1024, 0u8..40), 1..4),
    ) {
        // the tables of sections and symbols are at the end
        let [one, other] = OBJECTS[pair];
        let mut data = joined(one, other);
        for (at, byte) in damage {
            let at = data.len() - 1 - at;
            data[at] = byte;
        }
        linker::run(&data);
    }
}
