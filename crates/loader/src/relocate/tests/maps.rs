//! Maps as the kernel gets them.

use super::*;
use crate::model::{Slot, SlotValue};
use crate::target::{ModuleBtf, Symbol, TargetError};
use bpfsys::probe::Support;

#[test]
fn sizes_that_the_loader_chooses() {
    let mut object = empty();
    let of = |map_type, max_entries| Map {
        spec: MapSpec {
            map_type,
            max_entries,
            key_type: TypeId(1),
            value_type: TypeId(1),
            ..hash("m").spec
        },
        ..hash("m")
    };
    object.add_map(of(MapType::PERF_EVENT_ARRAY, 0));
    object.add_map(of(MapType::PERF_EVENT_ARRAY, 2));
    object.add_map(of(MapType::RINGBUF, 5000));
    object.add_map(of(MapType::ARRAY, 0));
    object.add_map(Map {
        inner: Some(Box::new(MapSpec {
            numa_node: Some(0),
            key_type: TypeId(1),
            value_type: TypeId(1),
            ..MapSpec::new(MapType::PERF_EVENT_ARRAY, 4, 4, 0)
        })),
        ..of(MapType::ARRAY_OF_MAPS, 3)
    });
    object.btf = Some(Arc::new(types(|b| {
        b.add_int(b"int", 4, 1);
    })));
    let target = Described {
        cpus: 12,
        ..Described::default()
    };
    let plan = planned(&object, &target);
    let got: Vec<(u32, u32)> = plan
        .maps
        .iter()
        .map(|map| (map.spec.max_entries, map.spec.value_type.0))
        .collect();
    // types that take no types of keys and values get none
    assert_eq!(got, [(12, 0), (2, 0), (8192, 1), (0, 1), (3, 0)]);
    let inner = plan.maps[4].inner.as_ref().unwrap();
    assert_eq!((inner.max_entries, inner.key_type), (12, TypeId::VOID));
    assert_eq!(inner.numa_node, Some(0));
}

#[test]
fn sections_are_filled_and_constants_frozen() {
    let mut object = empty();
    object.add_map(section(".data", MapOrigin::Data, &[1, 2, 3]));
    object.add_map(section(".rodata", MapOrigin::Constants, &[4]));
    object.add_map(Map {
        data: Vec::new(),
        spec: MapSpec {
            value_size: 100,
            ..section(".bss", MapOrigin::Data, &[]).spec
        },
        ..section(".bss", MapOrigin::Data, &[])
    });
    let plan = planned(&object, &Described::default());
    let got: Vec<_> = plan
        .maps
        .iter()
        .map(|map| (map.value.as_deref(), map.freeze, map.spec.flags))
        .collect();
    assert_eq!(
        got,
        [
            (Some(&[1, 2, 3][..]), false, MapFlags::empty()),
            (Some(&[4][..]), true, MapFlags::empty()),
            (None, false, MapFlags::empty()),
        ]
    );
    // a longer value has zeros at its end
    object.maps[0].spec.value_size = 5;
    let plan = planned(&object, &Described::default());
    assert_eq!(plan.maps[0].value.as_deref(), Some(&[1, 2, 3, 0, 0][..]));
}

#[test]
fn arenas_have_their_data_at_the_end_where_that_works() {
    let mut object = empty();
    let main = object.add("a", ProgType::SYSCALL, "r1 = 0x0\nexit");
    let main = object.main(main);
    let arena = object.add_map(Map {
        data: vec![7; 5000],
        spec: MapSpec {
            map_type: MapType::ARENA,
            max_entries: 1 << 20,
            ..hash("arena").spec
        },
        ..hash("arena")
    });
    object.refer(
        main,
        0,
        RefTarget::MapValue {
            map: arena,
            offset: 8,
        },
    );
    let mut target = Described::default();
    let plan = planned(&object, &target);
    let end = (1u64 << 32) - 8192;
    assert_eq!(plan.maps[0].arena_data, Some((end, vec![7; 5000])));
    let insns = &plan.programs[0].insns;
    assert_eq!((insns[0].src(), insns[1].imm), (2, -8192 + 8));
    assert!(plan.maps[0].value.is_none());

    target.missing.insert(Feature::FullRangeMapValue);
    let plan = planned(&object, &target);
    assert_eq!(plan.maps[0].arena_data.as_ref().unwrap().0, 0);
    assert_eq!(plan.programs[0].insns[1].imm, 8);

    object.maps[0].spec.max_entries = 1;
    fails(
        &object,
        &target,
        "map 'arena': an arena of 1 pages is too small for 5000 bytes of variables",
    );
    object.maps[0].autocreate = false;
    planned(&object, &target);
}

#[test]
fn slots_of_what_is_not_loaded_stay_empty() {
    let mut object = empty();
    object.add("a", ProgType::XDP, "exit");
    object.add("b", ProgType::XDP, "exit");
    object.programs[1].autoload = false;
    let slots = |values: &[SlotValue]| -> Vec<Slot> {
        (0..)
            .zip(values)
            .map(|(index, value)| Slot {
                index,
                value: *value,
            })
            .collect()
    };
    object.add_map(Map {
        slots: slots(&[SlotValue::Prog(ProgIdx(0)), SlotValue::Prog(ProgIdx(1))]),
        ..hash("jumps")
    });
    object.add_map(Map {
        slots: slots(&[SlotValue::Map(MapIdx(2)), SlotValue::Map(MapIdx(0))]),
        ..hash("outer")
    });
    object.add_map(Map {
        autocreate: false,
        ..hash("off")
    });
    let plan = planned(&object, &Described::default());
    assert_eq!(plan.maps[0].slots, slots(&[SlotValue::Prog(ProgIdx(0))]));
    assert_eq!(plan.maps[1].slots[0].index, 1);
    assert_eq!(
        plan.notes,
        [
            "map 'jumps': slot 1 stays empty, program 'b' is not loaded",
            "map 'outer': slot 0 stays empty, map 'off' is not loaded",
        ]
    );
}

#[test]
fn exclusive_maps_need_their_program() {
    let mut object = empty();
    object.add("a", ProgType::XDP, "exit");
    object.add_map(Map {
        exclusive: Some(ProgIdx(0)),
        ..hash("m")
    });
    let plan = planned(&object, &Described::default());
    assert_eq!(plan.maps[0].exclusive, Some(ProgIdx(0)));
    object.programs[0].autoload = false;
    fails(
        &object,
        &Described::default(),
        "map 'm': it is for program a only, which is not loaded",
    );
    object.maps[0].autocreate = false;
    planned(&object, &Described::default());
}

#[test]
fn constants_are_held_by_programs_that_do_not_name_them() {
    let mut object = empty();
    let main = object.add("a", ProgType::XDP, "r1 = 0x0\nexit");
    object.add("b", ProgType::XDP, "exit");
    let one = object.add_map(section(".rodata", MapOrigin::Constants, &[1]));
    let two = object.add_map(section(".rodata.x", MapOrigin::Constants, &[1]));
    object.add_map(Map {
        autocreate: false,
        ..section(".rodata.y", MapOrigin::Constants, &[1])
    });
    let main = object.main(main);
    object.refer(
        main,
        0,
        RefTarget::MapValue {
            map: one,
            offset: 0,
        },
    );
    let plan = planned(&object, &Described::default());
    assert_eq!(plan.programs[0].bind, [two]);
    assert_eq!(plan.programs[1].bind, [one, two]);
}

#[test]
fn plans_say_what_is_asked_for() {
    let mut object = empty();
    object.name = "wei\u{1b}rd".into();
    object.license = b"Dual \xff".to_vec();
    object.kern_version = Some(0x0006_0102);
    object.notes.push("section 'x' is not known".into());
    object.add("a", ProgType::XDP, "exit");
    object.programs[0].flags = ProgLoadFlags::SLEEPABLE;
    object.programs[0].ifindex = 2;
    object.programs[0].log_level = Some(4);
    object.add_map(Map {
        name: "short".into(),
        pinning: Pinning::ByName,
        pin_path: Some("/sys/fs/bpf/x".into()),
        spec: MapSpec {
            numa_node: Some(1),
            ifindex: 3,
            map_extra: 5,
            flags: MapFlags::NO_PREALLOC | MapFlags::from_bits_retain(1 << 30),
            ..hash("a_longer_symbol").spec
        },
        ..hash("a_longer_symbol")
    });
    object.add_map(section(".data", MapOrigin::Data, &[1, 2, 0, 0]));
    object.add_map(Map {
        autocreate: false,
        ..hash("off")
    });
    let text = planned(&object, &Described::default()).to_string();
    expect_test::expect![[r#"
        object 'wei\x1brd', license 'Dual \xff', kernel 6.1.2
        no types

        map 0 'a_longer_symbol' named 'short': hash, key 4, value 8, entries 16, no_prealloc, flags 0x40000000, node 1, interface 3, extra 0x5
            pinned by name
            pinned at /sys/fs/bpf/x

        map 1 '.data': array, key 4, value 4, entries 1
            value of 4 bytes: 01 02

        map 2 'off': not made, it is switched off

        program 0 'a', section 'main': xdp, sleepable, interface 2, log level 4
          a:
            0: (95) exit

        notes:
            section 'x' is not known
    "#]]
    .assert_eq(&text);
}

#[test]
fn zeros_in_values_are_left_out() {
    let shown = |data: &[u8]| {
        let mut object = empty();
        object.add_map(section("m", MapOrigin::Data, data));
        let text = planned(&object, &Described::default()).to_string();
        let line = text.lines().find(|line| line.contains("value of"));
        line.unwrap_or_default().trim().to_owned()
    };
    assert_eq!(shown(&[0; 9]), "value of 9 bytes: zeros");
    assert_eq!(shown(&[0; 2]), "value of 2 bytes: zeros");
    assert_eq!(shown(&[0, 0, 1, 0, 2]), "value of 5 bytes: 00 00 01 00 02");
    let mut long = vec![0; 40];
    (long[0], long[20], long[28]) = (1, 2, 3);
    assert_eq!(
        shown(&long),
        "value of 40 bytes: 01 @20 02 00 00 00 00 00 00 00 03"
    );
    let line = shown(&[9; 65]);
    assert!(line.ends_with(" 09 …") && line.matches("09").count() == 64);
}

/// A kernel that does not tell how many CPUs it has.
#[derive(Debug)]
struct NoCpus(Described);

impl Target for NoCpus {
    fn vmlinux(&self) -> Result<&Btf<'static>, TargetError> {
        self.0.vmlinux()
    }

    fn modules(&self) -> Result<&[ModuleBtf], TargetError> {
        self.0.modules()
    }

    fn kallsyms(&self, names: &[&str]) -> Result<Vec<Symbol>, TargetError> {
        self.0.kallsyms(names)
    }

    fn kconfig(&self, names: &[&str]) -> Result<Vec<Option<String>>, TargetError> {
        self.0.kconfig(names)
    }

    fn has(&self, feature: Feature) -> Support {
        self.0.has(feature)
    }

    fn version(&self) -> u32 {
        self.0.version()
    }

    fn possible_cpus(&self) -> Result<u32, TargetError> {
        Err(TargetError::NotDescribed("its cpus".into()))
    }

    fn page_size(&self) -> u32 {
        self.0.page_size()
    }
}

#[test]
fn cpus_are_counted_only_for_maps_that_are_made_and_do_not_say_their_size() {
    let target = NoCpus(Described::default());
    let mut object = empty();
    object.add_map(Map {
        spec: MapSpec::new(MapType::PERF_EVENT_ARRAY, 4, 4, 0),
        ..hash("events")
    });
    fails(
        &object,
        &target,
        "map 'events': the number of cpus for its size: \
         the target's description does not say: its cpus",
    );
    object.maps[0].autocreate = false;
    planned(&object, &target);
    object.maps[0].autocreate = true;
    object.maps[0].spec.max_entries = 2;
    planned(&object, &target);
}
