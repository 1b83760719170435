//! Maps: what the kernel reads and writes, and how it refuses.

use super::{require_bpf, skip};
use crate::cmd::{
    BatchCursor, MapCreate, MapDeleteBatch, MapDeleteElem, MapFreeze, MapGetNextKey,
    MapLookupAndDelete, MapLookupAndDeleteBatch, MapLookupBatch, MapLookupElem, MapUpdateBatch,
    MapUpdateElem,
};
use crate::error::{ErrorKind, Refusal};
use crate::fd::{AnyFd, MapFd};
use crate::uapi::enums::MapType;
use crate::uapi::flags::{ElemFlags, MapFlags};
use nix::errno::Errno;
use std::os::fd::{AsRawFd, OwnedFd};

const KEY: [u8; 4] = [1, 0, 0, 0];
const CANARY: u8 = 0xa5;

fn hash(value_size: u32) -> MapFd {
    MapCreate::new(MapType::HASH, 4, value_size, 4096)
        .name("bpfsys_test")
        .run()
        .unwrap()
}

#[test]
fn hash_elements_come_and_go() {
    require_bpf!();
    let map = hash(6);
    assert!(map.as_raw_fd() >= 3);
    let mut value = [CANARY; 8];
    let missing = MapLookupElem::new(&map, &KEY).run(&mut value).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    MapUpdateElem::new(&map, &KEY, b"abcdef").run().unwrap();
    let exists = MapUpdateElem::new(&map, &KEY, b"abcdef")
        .flags(ElemFlags::NOEXIST)
        .run()
        .unwrap_err();
    assert_eq!(exists.kind(), ErrorKind::Exists);
    MapLookupElem::new(&map, &KEY).run(&mut value).unwrap();
    assert_eq!(&value, b"abcdef\xa5\xa5");
    let mut next = [0; 4];
    assert!(MapGetNextKey::new(&map, None).run(&mut next).unwrap());
    assert_eq!(next, KEY);
    assert!(!MapGetNextKey::new(&map, Some(&KEY)).run(&mut next).unwrap());
    let mut taken = [0; 6];
    MapLookupAndDelete::new(&map, &KEY).run(&mut taken).unwrap();
    assert_eq!(&taken, b"abcdef");
    let gone = MapDeleteElem::new(&map, &KEY).run().unwrap_err();
    assert!(gone.is(Errno::ENOENT));
}

#[test]
fn short_buffers_are_refused_before_the_call() {
    require_bpf!();
    let map = hash(6);
    let refusal = |result: Result<(), crate::SysError>| result.unwrap_err().refusal();
    let mut short = [0; 5];
    assert_eq!(
        refusal(MapLookupElem::new(&map, &KEY).run(&mut short)),
        Some(Refusal::ValueSize)
    );
    assert_eq!(
        refusal(MapLookupElem::new(&map, &KEY[..3]).run(&mut [0; 8])),
        Some(Refusal::KeySize)
    );
    assert_eq!(
        refusal(MapUpdateElem::new(&map, &KEY, &short).run()),
        Some(Refusal::ValueSize)
    );
    assert_eq!(
        refusal(MapDeleteElem::new(&map, &[]).run()),
        Some(Refusal::KeySize)
    );
    let next = MapGetNextKey::new(&map, None).run(&mut [0; 3]).unwrap_err();
    assert_eq!(next.refusal(), Some(Refusal::KeySize));
}

#[test]
fn per_cpu_value_fills_exactly_its_buffer() {
    require_bpf!();
    for map_type in [
        MapType::PERCPU_HASH,
        MapType::LRU_PERCPU_HASH,
        MapType::PERCPU_ARRAY,
    ] {
        let map = MapCreate::new(map_type, 4, 5, 16).run().unwrap();
        let shape = map.shape().unwrap();
        assert_eq!(shape.value_buf_len, 8 * crate::cpus::possible().unwrap());
        let all = vec![0x11; shape.value_buf_len];
        MapUpdateElem::new(&map, &KEY, &all).run().unwrap();
        let mut value = vec![CANARY; shape.value_buf_len + 64];
        MapLookupElem::new(&map, &KEY).run(&mut value).unwrap();
        let (inside, outside) = value.split_at(shape.value_buf_len);
        assert!(outside.iter().all(|b| *b == CANARY), "{map_type}");
        for cpu in inside.chunks(8) {
            assert_eq!(cpu[..5], [0x11; 5], "{map_type}");
        }
        assert_ne!(inside.last(), Some(&CANARY), "{map_type}");
        let short = &mut value[..shape.value_buf_len - 1];
        let error = MapLookupElem::new(&map, &KEY).run(short).unwrap_err();
        assert_eq!(error.refusal(), Some(Refusal::ValueSize));
    }
}

#[test]
fn one_cpu_is_read_and_written_where_known() {
    require_bpf!();
    let map = MapCreate::new(MapType::PERCPU_ARRAY, 4, 5, 4)
        .run()
        .unwrap();
    let cpu = crate::cpus::possible_list().unwrap()[0];
    let update = MapUpdateElem::new(&map, &KEY, b"abcde")
        .flags(ElemFlags::on_cpu(cpu))
        .run();
    match update {
        Ok(()) => {
            let mut value = [CANARY; 16];
            MapLookupElem::new(&map, &KEY)
                .flags(ElemFlags::on_cpu(cpu))
                .run(&mut value)
                .unwrap();
            assert_eq!(&value[..5], b"abcde");
            assert!(value[5..].iter().all(|b| *b == CANARY));
        }
        Err(error) => {
            // A kernel that does not know the flag refuses it, and reads no further than it may.
            assert!(error.is(Errno::EINVAL), "{error}");
        }
    }
}

#[test]
fn keyless_maps_take_empty_keys() {
    require_bpf!();
    for (map_type, first) in [(MapType::QUEUE, 1), (MapType::STACK, 2)] {
        let map = MapCreate::new(map_type, 0, 4, 4).run().unwrap();
        for value in [1u32, 2] {
            MapUpdateElem::new(&map, &[], &value.to_ne_bytes())
                .run()
                .unwrap();
        }
        let mut value = [0; 4];
        MapLookupElem::new(&map, &[]).run(&mut value).unwrap();
        assert_eq!(u32::from_ne_bytes(value), first);
        MapLookupAndDelete::new(&map, &[]).run(&mut value).unwrap();
        assert_eq!(u32::from_ne_bytes(value), first);
        assert_eq!(map.shape().unwrap().key_size, 0);
    }
    let bloom = MapCreate::new(MapType::BLOOM_FILTER, 0, 4, 100)
        .map_extra(3)
        .run()
        .unwrap();
    MapUpdateElem::new(&bloom, &[], &KEY).run().unwrap();
    let mut asked = KEY;
    MapLookupElem::new(&bloom, &[]).run(&mut asked).unwrap();
    let absent = MapLookupElem::new(&bloom, &[])
        .run(&mut [9, 9, 9, 9])
        .unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::NotFound);
    assert_eq!(bloom.info().unwrap().map_extra, 3);
}

#[test]
fn map_of_maps_holds_descriptors_and_gives_ids() {
    require_bpf!();
    let inner = MapCreate::new(MapType::ARRAY, 4, 8, 1).run().unwrap();
    let outer = MapCreate::new(MapType::HASH_OF_MAPS, 4, 4, 4)
        .inner_map(&inner)
        .run()
        .unwrap();
    let fd = inner.as_raw_fd().to_ne_bytes();
    MapUpdateElem::new(&outer, &KEY, &fd).run().unwrap();
    let mut id = [0; 4];
    MapLookupElem::new(&outer, &KEY).run(&mut id).unwrap();
    assert_eq!(u32::from_ne_bytes(id), inner.info().unwrap().id);
}

#[test]
fn maps_of_every_plain_type_have_the_shape_asked_for() {
    require_bpf!();
    let prealloc = MapFlags::NO_PREALLOC;
    let none = MapFlags::empty();
    for (map_type, key, value, max, flags) in [
        (MapType::ARRAY, 4, 12, 3, none),
        (MapType::PROG_ARRAY, 4, 4, 3, none),
        (MapType::PERF_EVENT_ARRAY, 4, 4, 3, none),
        (MapType::CGROUP_ARRAY, 4, 4, 3, none),
        (MapType::STACK_TRACE, 4, 8 * 127, 3, none),
        (MapType::LRU_HASH, 7, 9, 3, none),
        (MapType::LPM_TRIE, 8, 9, 3, prealloc),
        (MapType::RINGBUF, 0, 0, 4096, none),
        (MapType::SOCKHASH, 4, 8, 3, none),
        (MapType::SOCKMAP, 4, 4, 3, none),
        (MapType::CPUMAP, 4, 4, 3, none),
        (MapType::DEVMAP, 4, 8, 3, none),
    ] {
        let map = match MapCreate::new(map_type, key, value, max).flags(flags).run() {
            Ok(map) => map,
            Err(error) if error.kind() == ErrorKind::Invalid => {
                skip(&format!("no {map_type} maps"));
                continue;
            }
            Err(error) => panic!("{map_type}: {error}"),
        };
        let shape = map.shape().unwrap();
        assert_eq!(
            (shape.key_size, shape.value_size),
            (key, value),
            "{map_type}"
        );
        assert_eq!(shape.value_buf_len, value as usize, "{map_type}");
    }
}

#[test]
fn batches_walk_everything_once() {
    require_bpf!();
    let map = hash(8);
    let keys: Vec<u8> = (0..1000u32).flat_map(u32::to_ne_bytes).collect();
    let values: Vec<u8> = (0..1000u64).flat_map(u64::to_ne_bytes).collect();
    let done = match MapUpdateBatch::new(&map, &keys, &values).run() {
        Err(error) if error.kind() == ErrorKind::Invalid => return skip("no batches"),
        result => result.unwrap(),
    };
    assert_eq!(done, 1000);
    let mut cursor = BatchCursor::new(&map).unwrap();
    let mut room = 1;
    let mut seen = Vec::new();
    loop {
        let (mut keys, mut values) = (vec![0; room * 4], vec![0; room * 8 + 7]);
        let step = match MapLookupBatch::new(&map, &mut cursor, &mut keys, &mut values).run() {
            Ok(step) => step,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::NoSpace);
                room *= 2;
                continue;
            }
        };
        for i in 0..step.count {
            let key = u32::from_ne_bytes(keys[i * 4..][..4].try_into().unwrap());
            let value = u64::from_ne_bytes(values[i * 8..][..8].try_into().unwrap());
            assert_eq!(u64::from(key), value);
            seen.push(key);
        }
        if step.done {
            break;
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..1000).collect::<Vec<_>>());
    assert_eq!(MapDeleteBatch::new(&map, &keys[..40]).run().unwrap(), 10);
    let (count, result) = MapDeleteBatch::new(&map, &keys[36..48]).run_partial();
    assert_eq!(count, 0);
    assert!(result.unwrap_err().is(Errno::ENOENT));
    let mut cursor = BatchCursor::new(&map).unwrap();
    let (mut keys, mut values) = (vec![0; 4000], vec![0; 8000]);
    let step = MapLookupAndDeleteBatch::new(&map, &mut cursor, &mut keys, &mut values)
        .run()
        .unwrap();
    assert_eq!(step.count, 990);
    let mut next = [0; 4];
    assert!(!MapGetNextKey::new(&map, None).run(&mut next).unwrap());
}

#[test]
fn per_cpu_batch_stays_inside_its_buffers() {
    require_bpf!();
    let map = MapCreate::new(MapType::PERCPU_HASH, 4, 5, 64)
        .run()
        .unwrap();
    let each = map.shape().unwrap().value_buf_len;
    for key in 0..10u32 {
        MapUpdateElem::new(&map, &key.to_ne_bytes(), &vec![0x11; each])
            .run()
            .unwrap();
    }
    let mut cursor = BatchCursor::new(&map).unwrap();
    let mut seen = 0;
    loop {
        // Room for one value less than for keys, and a bit.
        let (mut keys, mut values) = (vec![CANARY; 4 * 9], vec![CANARY; each * 8 + each / 2]);
        let step = match MapLookupBatch::new(&map, &mut cursor, &mut keys, &mut values).run() {
            Ok(step) => step,
            Err(error) => return skip(&error.to_string()),
        };
        assert!(step.count <= 8);
        assert!(keys[step.count * 4..].iter().all(|b| *b == CANARY));
        assert!(values[step.count * each..].iter().all(|b| *b == CANARY));
        assert!(
            values[..step.count * each]
                .chunks(8)
                .all(|cpu| cpu[..5] == [0x11; 5])
        );
        seen += step.count;
        if step.done {
            break;
        }
    }
    assert_eq!(seen, 10);
}

#[test]
fn batch_buffers_must_hold_whole_elements() {
    require_bpf!();
    let map = hash(8);
    let refused = MapUpdateBatch::new(&map, &[0; 8], &[0; 8])
        .run()
        .unwrap_err();
    assert_eq!(refused.refusal(), Some(Refusal::BatchSize));
    let refused = MapUpdateBatch::new(&map, &[0; 7], &[0; 8])
        .run()
        .unwrap_err();
    assert_eq!(refused.refusal(), Some(Refusal::BatchSize));
    let mut cursor = BatchCursor::new(&map).unwrap();
    let refused = MapLookupBatch::new(&map, &mut cursor, &mut [0; 3], &mut [0; 8])
        .run()
        .unwrap_err();
    assert_eq!(refused.refusal(), Some(Refusal::BatchSize));
}

#[test]
fn cursor_of_another_map_is_refused_when_short() {
    require_bpf!();
    let small = hash(8);
    let large = MapCreate::new(MapType::ARRAY_OF_MAPS, 4, 4, 4)
        .inner_map(&small)
        .run()
        .unwrap();
    let wide = MapCreate::new(MapType::HASH, 64, 8, 4).run().unwrap();
    let mut cursor = BatchCursor::new(&large).unwrap();
    let refused = MapLookupBatch::new(&wide, &mut cursor, &mut [0; 64], &mut [0; 8])
        .run()
        .unwrap_err();
    assert_eq!(refused.refusal(), Some(Refusal::BatchSize));
}

#[test]
fn frozen_map_refuses_writes_and_has_a_hash() {
    require_bpf!();
    let map = MapCreate::new(MapType::ARRAY, 4, 8, 1).run().unwrap();
    MapFreeze::new(&map).run().unwrap();
    let error = MapUpdateElem::new(&map, &[0; 4], &[0; 8])
        .run()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    let again = MapFreeze::new(&map).run().unwrap_err();
    assert!(matches!(again.kind(), ErrorKind::Busy | ErrorKind::Denied));
    match map.hash() {
        Ok(hash) => assert_ne!(hash, [0; 32]),
        Err(error) => skip(&error.to_string()),
    }
}

#[test]
fn info_and_ids_agree() {
    require_bpf!();
    let map = hash(6);
    let info = map.info().unwrap();
    assert_eq!(info.name(), b"bpfsys_test");
    assert_eq!(info.type_(), MapType::HASH);
    let id = info.id().unwrap();
    assert!(crate::map_ids().any(|found| found.unwrap() == id));
    let again = MapFd::by_id(id, MapFlags::RDONLY).unwrap();
    assert_eq!(again.info().unwrap().id, info.id);
    let error = MapUpdateElem::new(&again, &KEY, &[0; 6]).run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    let clone = map.try_clone().unwrap();
    assert_eq!(clone.shape().unwrap(), map.shape().unwrap());
    let any = AnyFd::try_from(OwnedFd::from(clone)).unwrap();
    assert!(matches!(any, AnyFd::Map(_)));
    drop((map, again, any));
}

#[test]
fn create_reports_what_kernel_refuses() {
    require_bpf!();
    let error = MapCreate::new(MapType::ARRAY, 3, 8, 1).run().unwrap_err();
    assert!(error.is(Errno::EINVAL));
    let error = MapCreate::new(MapType::ARRAY, 3, 8, 1)
        .run_with_log()
        .unwrap_err();
    assert!(error.sys().is(Errno::EINVAL));
    let error = MapCreate::new(MapType(4711), 4, 4, 1).run().unwrap_err();
    assert!(error.is(Errno::EINVAL));
    let error = MapCreate::new(MapType::ARRAY, 4, 4, 1)
        .name("this name is bad")
        .run()
        .unwrap_err();
    assert_eq!(error.refusal(), Some(Refusal::Name));
}
