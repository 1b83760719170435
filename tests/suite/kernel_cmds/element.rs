//! Elements of maps, singly and in batches.

use anyhow::{Result, ensure};
use bpfsys::cmd::{
    BatchCursor, MapCreate, MapDeleteBatch, MapDeleteElem, MapGetNextKey, MapLookupAndDelete,
    MapLookupAndDeleteBatch, MapLookupBatch, MapLookupElem, MapUpdateBatch, MapUpdateElem,
};
use bpfsys::uapi::flags::ElemFlags;
use bpfsys::{ErrorKind, MapFd, MapType};
use rbpftool_tests::{Private, ensure_eq};

use crate::support::{Bench, only_since, refused};

pub(crate) fn add(bench: &mut Bench) {
    bench.cmd("map_lookup_elem", lookup, lookup_errors);
    bench.one("map_lookup_elem::per_cpu", lookup_per_cpu);
    bench.cmd("map_update_elem", update, update_errors);
    bench.cmd("map_delete_elem", delete, delete_errors);
    bench.cmd("map_get_next_key", next_key, next_key_errors);
    bench.cmd("map_lookup_and_delete_elem", pop, pop_errors);
    bench.one("map_lookup_and_delete_elem::hash", pop_of_a_hash);
    bench.cmd("map_lookup_batch", lookup_batch, lookup_batch_errors);
    bench.cmd("map_lookup_and_delete_batch", drain, drain_errors);
    bench.cmd("map_update_batch", update_batch, update_batch_errors);
    bench.cmd("map_delete_batch", delete_batch, delete_batch_errors);
}

fn hash(entries: u32) -> Result<MapFd> {
    Ok(MapCreate::new(MapType::HASH, 4, 8, entries).run()?)
}

/// A hash of `n` elements; the value is the key, twice.
fn filled(n: u32) -> Result<MapFd> {
    let map = hash(n.max(1))?;
    for key in 0..n {
        let key = key.to_ne_bytes();
        MapUpdateElem::new(&map, &key, &[key, key].concat()).run()?;
    }
    Ok(map)
}

fn count(map: &MapFd) -> Result<usize> {
    let mut key = None::<[u8; 4]>;
    let mut n = 0;
    loop {
        let mut next = [0; 4];
        if !MapGetNextKey::new(map, key.as_ref().map(|k| &k[..])).run(&mut next)? {
            return Ok(n);
        }
        key = Some(next);
        n += 1;
    }
}

fn lookup(_: &Private) -> Result<()> {
    let map = filled(3)?;
    let mut value = [0; 8];
    MapLookupElem::new(&map, &2_u32.to_ne_bytes()).run(&mut value)?;
    ensure_eq!(value[..4], 2_u32.to_ne_bytes());
    Ok(())
}

fn lookup_per_cpu(_: &Private) -> Result<()> {
    let cpus = bpfsys::cpus::possible()?;
    let map = MapCreate::new(MapType::PERCPU_ARRAY, 4, 12, 1).run()?;
    let len = map.shape()?.value_buf_len;
    ensure_eq!(len, 16 * cpus, "12 bytes take 16 on each CPU");
    let written: Vec<u8> = (0..len)
        .map(|i| if i % 16 < 12 { i.to_le_bytes()[0] } else { 0 })
        .collect();
    MapUpdateElem::new(&map, &[0; 4], &written).run()?;
    let mut read = vec![0; len];
    MapLookupElem::new(&map, &[0; 4]).run(&mut read)?;
    ensure_eq!(read, written);
    // What would overflow a buffer made for one CPU is refused before the call.
    let small = MapLookupElem::new(&map, &[0; 4]).run(&mut [0; 12]);
    refused("a buffer for one CPU", small, ErrorKind::Invalid)
}

fn lookup_errors(_: &Private) -> Result<()> {
    let map = filled(1)?;
    let mut value = [0; 8];
    let missing = MapLookupElem::new(&map, &[9; 4]).run(&mut value);
    refused("a key that is not there", missing, ErrorKind::NotFound)?;
    let short = MapLookupElem::new(&map, &[0; 3]).run(&mut value);
    refused("a short key", short, ErrorKind::Invalid)?;
    let small = MapLookupElem::new(&map, &[0; 4]).run(&mut [0; 7]);
    refused("a small buffer", small, ErrorKind::Invalid)?;
    let flag = ElemFlags::from_bits_retain(1 << 20);
    let flagged = MapLookupElem::new(&map, &[0; 4])
        .flags(flag)
        .run(&mut value);
    refused("an unknown flag", flagged, ErrorKind::Invalid)
}

fn update(_: &Private) -> Result<()> {
    let map = hash(2)?;
    MapUpdateElem::new(&map, &[1; 4], &[1; 8])
        .flags(ElemFlags::NOEXIST)
        .run()?;
    MapUpdateElem::new(&map, &[1; 4], &[2; 8])
        .flags(ElemFlags::EXIST)
        .run()?;
    let mut value = [0; 8];
    MapLookupElem::new(&map, &[1; 4]).run(&mut value)?;
    ensure_eq!(value, [2; 8]);
    Ok(())
}

fn update_errors(_: &Private) -> Result<()> {
    let map = hash(1)?;
    let update =
        |key: &[u8], value: &[u8], flags| MapUpdateElem::new(&map, key, value).flags(flags).run();
    let none = ElemFlags::empty();
    refused(
        "EXIST of none",
        update(&[1; 4], &[0; 8], ElemFlags::EXIST),
        ErrorKind::NotFound,
    )?;
    update(&[1; 4], &[0; 8], none)?;
    refused(
        "NOEXIST of one",
        update(&[1; 4], &[0; 8], ElemFlags::NOEXIST),
        ErrorKind::Exists,
    )?;
    refused(
        "one too many",
        update(&[2; 4], &[0; 8], none),
        ErrorKind::TooBig,
    )?;
    refused(
        "a short value",
        update(&[1; 4], &[0; 4], none),
        ErrorKind::Invalid,
    )?;
    refused(
        "a long key",
        update(&[1; 5], &[0; 8], none),
        ErrorKind::Invalid,
    )?;
    let unknown = ElemFlags::from_bits_retain(1 << 20);
    refused(
        "an unknown flag",
        update(&[1; 4], &[0; 8], unknown),
        ErrorKind::Invalid,
    )
}

fn delete(_: &Private) -> Result<()> {
    let map = filled(2)?;
    MapDeleteElem::new(&map, &1_u32.to_ne_bytes()).run()?;
    ensure_eq!(count(&map)?, 1);
    Ok(())
}

fn delete_errors(_: &Private) -> Result<()> {
    let map = filled(1)?;
    refused(
        "none",
        MapDeleteElem::new(&map, &[9; 4]).run(),
        ErrorKind::NotFound,
    )?;
    refused(
        "a short key",
        MapDeleteElem::new(&map, &[0; 2]).run(),
        ErrorKind::Invalid,
    )?;
    let array = MapCreate::new(MapType::ARRAY, 4, 8, 1).run()?;
    refused(
        "of an array",
        MapDeleteElem::new(&array, &[0; 4]).run(),
        ErrorKind::Invalid,
    )
}

fn next_key(_: &Private) -> Result<()> {
    ensure_eq!(count(&filled(5)?)?, 5);
    ensure_eq!(count(&filled(0)?)?, 0);
    Ok(())
}

fn next_key_errors(_: &Private) -> Result<()> {
    let map = filled(2)?;
    let small = MapGetNextKey::new(&map, None).run(&mut [0; 3]);
    refused("a small buffer", small, ErrorKind::Invalid)?;
    let short = MapGetNextKey::new(&map, Some(&[0; 3])).run(&mut [0; 4]);
    refused("a short key", short, ErrorKind::Invalid)?;
    let queue = MapCreate::new(MapType::QUEUE, 0, 4, 2).run()?;
    let keyless = MapGetNextKey::new(&queue, None).run(&mut []);
    ensure!(keyless.is_err(), "a queue has keys");
    Ok(())
}

fn pop(_: &Private) -> Result<()> {
    let queue = MapCreate::new(MapType::QUEUE, 0, 4, 4).run()?;
    for n in 1..=2_u8 {
        MapUpdateElem::new(&queue, &[], &[n; 4]).run()?;
    }
    let mut value = [0; 4];
    MapLookupAndDelete::new(&queue, &[]).run(&mut value)?;
    ensure_eq!(value, [1; 4]);
    Ok(())
}

fn pop_of_a_hash(_: &Private) -> Result<()> {
    let map = filled(1)?;
    let mut value = [1; 8];
    let done = MapLookupAndDelete::new(&map, &[0; 4]).run(&mut value);
    only_since((5, 14), "MAP_LOOKUP_AND_DELETE_ELEM of a hash", done)?;
    ensure_eq!(value, [0; 8]);
    ensure_eq!(count(&map)?, 0);
    Ok(())
}

fn pop_errors(_: &Private) -> Result<()> {
    let queue = MapCreate::new(MapType::QUEUE, 0, 4, 4).run()?;
    let empty = MapLookupAndDelete::new(&queue, &[]).run(&mut [0; 4]);
    refused("an empty queue", empty, ErrorKind::NotFound)?;
    let small = MapLookupAndDelete::new(&queue, &[]).run(&mut [0; 3]);
    refused("a small buffer", small, ErrorKind::Invalid)?;
    let array = MapCreate::new(MapType::ARRAY, 4, 8, 1).run()?;
    let fixed = MapLookupAndDelete::new(&array, &[0; 4]).run(&mut [0; 8]);
    refused("of an array", fixed, ErrorKind::Unsupported)
}

/// Walks a map in steps of `at_once`; the elements seen.
fn walk(map: &MapFd, at_once: usize, take: bool) -> Result<Vec<u32>> {
    let mut cursor = BatchCursor::new(map)?;
    let (mut keys, mut values) = (vec![0; at_once * 4], vec![0; at_once * 8]);
    let mut seen = Vec::new();
    for _ in 0..1000 {
        let step = if take {
            MapLookupAndDeleteBatch::new(map, &mut cursor, &mut keys, &mut values).run()?
        } else {
            MapLookupBatch::new(map, &mut cursor, &mut keys, &mut values).run()?
        };
        for (key, value) in keys.chunks(4).zip(values.chunks(8)).take(step.count) {
            ensure_eq!(&value[..4], key);
            seen.push(u32::from_ne_bytes(key.try_into()?));
        }
        if step.done {
            seen.sort_unstable();
            return Ok(seen);
        }
    }
    anyhow::bail!("the walk did not end")
}

fn lookup_batch(_: &Private) -> Result<()> {
    let map = filled(100)?;
    for at_once in [64, 100, 1000] {
        ensure_eq!(walk(&map, at_once, false)?, (0..100).collect::<Vec<u32>>());
    }
    ensure_eq!(count(&map)?, 100);
    ensure_eq!(walk(&filled(0)?, 10, false)?, Vec::<u32>::new());
    Ok(())
}

fn lookup_batch_errors(_: &Private) -> Result<()> {
    let map = filled(4)?;
    let mut cursor = BatchCursor::new(&map)?;
    let odd = MapLookupBatch::new(&map, &mut cursor, &mut [0; 3], &mut [0; 16]).run();
    refused("room for less than one key", odd, ErrorKind::Invalid)?;
    let unknown = ElemFlags::from_bits_retain(1 << 20);
    let flagged = MapLookupBatch::new(&map, &mut cursor, &mut [0; 16], &mut [0; 32])
        .elem_flags(unknown)
        .run();
    refused("an unknown flag", flagged, ErrorKind::Invalid)?;
    // Elements of one bucket come together: room for one is too little when
    // a bucket has two, and the cursor stays for a second try.
    let queue = MapCreate::new(MapType::QUEUE, 0, 4, 2).run()?;
    let keyless = BatchCursor::new(&queue).and_then(|mut cursor| {
        MapLookupBatch::new(&queue, &mut cursor, &mut [], &mut [0; 8]).run()
    });
    ensure!(keyless.is_err(), "a queue has batches");
    Ok(())
}

fn drain(_: &Private) -> Result<()> {
    let map = filled(50)?;
    ensure_eq!(walk(&map, 64, true)?, (0..50).collect::<Vec<u32>>());
    ensure_eq!(count(&map)?, 0);
    Ok(())
}

fn drain_errors(_: &Private) -> Result<()> {
    let array = MapCreate::new(MapType::ARRAY, 4, 8, 4).run()?;
    let mut cursor = BatchCursor::new(&array)?;
    let fixed = MapLookupAndDeleteBatch::new(&array, &mut cursor, &mut [0; 16], &mut [0; 32]).run();
    refused("of an array", fixed, ErrorKind::Unsupported)
}

fn update_batch(_: &Private) -> Result<()> {
    let map = hash(8)?;
    let keys: Vec<u8> = (0..8_u32).flat_map(u32::to_ne_bytes).collect();
    let values: Vec<u8> = (0..8_u32)
        .flat_map(|n| [n.to_ne_bytes(), n.to_ne_bytes()].concat())
        .collect();
    ensure_eq!(MapUpdateBatch::new(&map, &keys, &values).run()?, 8);
    ensure_eq!(walk(&map, 64, false)?, (0..8).collect::<Vec<u32>>());
    Ok(())
}

fn update_batch_errors(_: &Private) -> Result<()> {
    let map = hash(2)?;
    let uneven = MapUpdateBatch::new(&map, &[0; 8], &[0; 8]).run();
    refused("two keys, one value", uneven, ErrorKind::Invalid)?;
    let keys: Vec<u8> = (0..3_u32).flat_map(u32::to_ne_bytes).collect();
    let (written, result) = MapUpdateBatch::new(&map, &keys, &[0; 24]).run_partial();
    refused("three into two", result, ErrorKind::TooBig)?;
    ensure_eq!(written, 2);
    Ok(())
}

fn delete_batch(_: &Private) -> Result<()> {
    let map = filled(4)?;
    let keys: Vec<u8> = [0, 2_u32].into_iter().flat_map(u32::to_ne_bytes).collect();
    ensure_eq!(MapDeleteBatch::new(&map, &keys).run()?, 2);
    ensure_eq!(walk(&map, 64, false)?, vec![1, 3]);
    Ok(())
}

fn delete_batch_errors(_: &Private) -> Result<()> {
    let map = filled(1)?;
    let keys: Vec<u8> = [0, 7_u32].into_iter().flat_map(u32::to_ne_bytes).collect();
    let (gone, result) = MapDeleteBatch::new(&map, &keys).run_partial();
    refused("a key that is not there", result, ErrorKind::NotFound)?;
    ensure_eq!(gone, 1);
    refused(
        "half a key",
        MapDeleteBatch::new(&map, &[0; 6]).run(),
        ErrorKind::Invalid,
    )
}
