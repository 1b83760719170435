//! Maps whose elements have types.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use bpfsys::cmd::{MapCreate, MapDeleteElem, MapUpdateElem};
use bpfsys::uapi::flags::{ElemFlags, MapFlags};
use bpfsys::{ErrorKind, KernelVersion, MapFd, MapType, cpus, probe};
use loader::maps::{
    AccessCause, BloomFilter, Entries, PerCpuMap, PerCpuValues, Queue, TypedMap, WalkError,
};
use rbpftool_tests::{ensure_eq, requires};

use crate::support::Bench;

pub(crate) fn add(bench: &mut Bench) {
    for kind in [
        MapType::HASH,
        MapType::LRU_HASH,
        MapType::ARRAY,
        MapType::LPM_TRIE,
        MapType::RHASH,
    ] {
        bench.one(&format!("typed::{kind}"), move || typed(kind));
    }
    for kind in [
        MapType::PERCPU_HASH,
        MapType::LRU_PERCPU_HASH,
        MapType::PERCPU_ARRAY,
    ] {
        bench.one(&format!("typed::{kind}"), move || per_cpu(kind));
    }
    bench.one("typed::queue", || queue(MapType::QUEUE));
    bench.one("typed::stack", || queue(MapType::STACK));
    bench.one("typed::bloom_filter", bloom);
    bench.one("typed::one_cpu_of_many", one_cpu);
    bench.one("typed::sizes_and_kinds_are_compared", sizes);
    bench.one("walk::large_maps_are_walked_in_batches", large);
    bench.one("walk::maps_that_change_are_walked_to_the_end", changing);
    bench.one(
        "walk::keys_deleted_behind_do_not_start_it_over",
        deleted_behind,
    );
    bench.one("walk::maps_without_elements_say_so", without);
}

const NONE: ElemFlags = ElemFlags::empty();

/// A map with keys of 4 and values of 8 bytes.
fn make(kind: MapType, entries: u32) -> Result<MapFd> {
    requires!(
        !probe::map_type(kind).is_no(),
        "this kernel has no maps of type {kind}"
    );
    let preallocated = [MapType::LPM_TRIE, MapType::RHASH].contains(&kind);
    let flags = match preallocated {
        true => MapFlags::NO_PREALLOC,
        false => MapFlags::empty(),
    };
    // The key of a trie is the length of a prefix and its bytes.
    let key = if kind == MapType::LPM_TRIE { 8 } else { 4 };
    let map = MapCreate::new(kind, key, 8, entries).flags(flags);
    Ok(map.name("typed").run()?)
}

fn typed(kind: MapType) -> Result<()> {
    // CPUs keep hundreds of free elements to themselves, and others are thrown out for want of one.
    let entries = if kind == MapType::LRU_HASH { 4096 } else { 8 };
    let map = make(kind, entries)?;
    match kind {
        MapType::LPM_TRIE => {
            let key = |n: u32| [32_u32, n];
            elements(TypedMap::new(map)?, key, false)
        }
        MapType::ARRAY => elements(TypedMap::new(map)?, |n| n, true),
        _ => elements(TypedMap::new(map)?, |n| n, false),
    }
}

fn elements<K>(map: TypedMap<K, u64>, key: impl Fn(u32) -> K, fixed: bool) -> Result<()>
where
    K: loader::maps::Plain + Ord + Copy + std::fmt::Debug,
{
    let before = if fixed { Some(0) } else { None };
    ensure_eq!(map.get(&key(1))?, before);
    map.insert(&key(1), &10, NONE)?;
    map.insert(&key(1), &11, NONE)?;
    ensure_eq!(map.get(&key(1))?, Some(11));
    match map.insert(&key(1), &12, ElemFlags::NOEXIST) {
        Err(again) => {
            let kind = again.sys_error().map(|error| error.kind());
            ensure_eq!(kind, Some(ErrorKind::Exists));
        }
        Ok(()) => {
            // Tries did not look at the flag before Linux 6.13 and its contemporaries.
            let trie = map.map().shape()?.map_type == MapType::LPM_TRIE;
            let old = KernelVersion::running()? < KernelVersion::new(6, 13, 0);
            ensure!(trie && old, "an element was made twice");
            ensure_eq!(map.get(&key(1))?, Some(12));
            map.insert(&key(1), &11, NONE)?;
        }
    }
    map.insert(&key(2), &20, NONE)?;
    map.insert(&key(3), &30, NONE)?;
    let found: BTreeMap<K, u64> = map.iter()?.collect::<Result<_, _>>()?;
    let mut expect = BTreeMap::from([(key(1), 11), (key(2), 20), (key(3), 30)]);
    if fixed {
        expect.extend([0, 4, 5, 6, 7].map(|n| (key(n), 0)));
    }
    ensure_eq!(found, expect);
    let mut keys: Vec<K> = map.keys()?.collect::<Result<_, _>>()?;
    keys.sort_unstable();
    ensure_eq!(keys, expect.keys().copied().collect::<Vec<_>>());
    let count = map.insert_many(&[key(4), key(5)], &[40, 50], NONE)?;
    ensure_eq!(count, 2);
    ensure_eq!((map.get(&key(4))?, map.get(&key(5))?), (Some(40), Some(50)));
    let odd = map
        .insert_many(&[key(4)], &[], NONE)
        .err()
        .context("nothing was refused")?;
    ensure!(matches!(odd.cause(), AccessCause::Unsuited(_)), "{odd}");
    if fixed {
        let error = map.remove(&key(1)).err().context("nothing was refused")?;
        let kind = error.sys_error().map(|error| error.kind());
        ensure_eq!(kind, Some(ErrorKind::Invalid));
        let error = map.get(&key(8))?;
        ensure_eq!(error, None, "past the end");
        return Ok(());
    }
    ensure!(map.remove(&key(1))?, "it was there");
    ensure!(!map.remove(&key(1))?, "it is gone");
    ensure_eq!(map.remove_many(&[key(2), key(3)])?, 2);
    let error = map
        .remove_many(&[key(2)])
        .err()
        .context("nothing was refused")?;
    let kind = error.sys_error().map(|error| error.kind());
    ensure_eq!(kind, Some(ErrorKind::NotFound));
    match map.take(&key(4)) {
        Ok(value) => {
            ensure_eq!(value, Some(40));
            ensure_eq!(map.take(&key(4))?, None);
        }
        Err(error) => {
            // Tries have no such command, hashes not always had it.
            let kind = error.sys_error().map(|error| error.kind());
            let old = KernelVersion::running()? < KernelVersion::new(5, 14, 0);
            let trie = map.map().shape()?.map_type == MapType::LPM_TRIE;
            ensure!(
                kind == Some(ErrorKind::Unsupported) && (old || trie),
                "{error}"
            );
        }
    }
    let left: Vec<_> = map.iter()?.collect::<Result<_, _>>()?;
    ensure!(left.contains(&(key(5), 50)), "{left:?}");
    Ok(())
}

fn per_cpu(kind: MapType) -> Result<()> {
    let map = PerCpuMap::<u32, u64>::new(make(kind, 8)?)?;
    let cpus = u64::try_from(cpus::possible()?)?;
    let values = PerCpuValues::new((0..cpus).map(|n| n + 100).collect::<Vec<_>>())?;
    map.insert(&3, &values, NONE)?;
    ensure_eq!(map.get(&3)?, Some(values.clone()));
    let first = *cpus::possible_list()?.first().context("a cpu")?;
    ensure_eq!(values.of_cpu(first), Some(&100));
    map.insert(&4, &PerCpuValues::all(&7)?, NONE)?;
    let found: BTreeMap<u32, Vec<u64>> = map
        .iter()?
        .map(|entry| entry.map(|(key, values)| (key, values.to_vec())))
        .collect::<Result<_, _>>()?;
    ensure_eq!(found.get(&3).map(Vec::as_slice), Some(&*values));
    ensure_eq!(found.get(&4), Some(&vec![7; cpus::possible()?]));
    if kind == MapType::PERCPU_ARRAY {
        ensure_eq!(found.len(), 8);
        return Ok(());
    }
    ensure_eq!(found.len(), 2);
    match map.take(&3) {
        Ok(taken) => ensure_eq!(taken, Some(values)),
        Err(error) => {
            let kind = error.sys_error().map(|error| error.kind());
            let old = KernelVersion::running()? < KernelVersion::new(5, 14, 0);
            ensure!(kind == Some(ErrorKind::Unsupported) && old, "{error}");
            ensure!(map.remove(&3)?, "it was there");
        }
    }
    ensure_eq!(map.get(&3)?, None);
    ensure!(map.remove(&4)?, "it was there");
    ensure!(!map.remove(&4)?, "it is gone");
    Ok(())
}

fn one_cpu() -> Result<()> {
    let map = PerCpuMap::<u32, u64>::new(make(MapType::PERCPU_ARRAY, 4)?)?;
    let cpu = *cpus::possible_list()?.last().context("a cpu")?;
    match map.insert_on(&1, cpu, &9) {
        Ok(()) => {}
        Err(error) => {
            let kind = error.sys_error().map(|error| error.kind());
            let old = KernelVersion::running()? < KernelVersion::new(7, 0, 0);
            ensure!(kind == Some(ErrorKind::Invalid) && old, "{error}");
            requires!(false, "values of one cpu need Linux 7.0");
        }
    }
    ensure_eq!(map.get_on(&1, cpu)?, Some(9));
    let all = map.get(&1)?.context("the element")?;
    ensure_eq!(all.of_cpu(cpu), Some(&9));
    ensure_eq!(all.iter().sum::<u64>(), 9);
    Ok(())
}

fn queue(kind: MapType) -> Result<()> {
    let map = MapCreate::new(kind, 0, 8, 3).name("typed").run()?;
    let queue = Queue::<u64>::new(map)?;
    ensure_eq!((queue.peek()?, queue.pop()?), (None, None));
    for n in 1..=3 {
        queue.push(&n, NONE)?;
    }
    let error = queue.push(&4, NONE).err().context("nothing was refused")?;
    let too_big = error.sys_error().map(|error| error.kind());
    ensure_eq!(too_big, Some(ErrorKind::TooBig));
    queue.push(&4, ElemFlags::EXIST)?;
    let expect = match kind {
        MapType::QUEUE => [2, 3, 4],
        // A stack that makes room loses what is at its bottom.
        _ => [4, 3, 2],
    };
    for n in expect {
        ensure_eq!(queue.peek()?, Some(n));
        ensure_eq!(queue.pop()?, Some(n));
    }
    ensure_eq!(queue.pop()?, None);
    Ok(())
}

fn bloom() -> Result<()> {
    requires!(
        !probe::map_type(MapType::BLOOM_FILTER).is_no(),
        "this kernel has no bloom filters"
    );
    let map = MapCreate::new(MapType::BLOOM_FILTER, 0, 8, 100).name("typed");
    let filter = BloomFilter::<u64>::new(map.run()?)?;
    ensure!(!filter.may_contain(&5)?, "nothing was put in");
    for n in 0..50 {
        filter.insert(&n)?;
    }
    for n in 0..50 {
        ensure!(filter.may_contain(&n)?, "{n} was put in");
    }
    let wrong = (1000..2000).filter(|n| matches!(filter.may_contain(n), Ok(true)));
    ensure!(wrong.count() < 500, "it knows next to nothing");
    Ok(())
}

fn sizes() -> Result<()> {
    let hash = || make(MapType::HASH, 8);
    let cause = |result: Result<(), loader::maps::AccessError>| match result {
        Ok(()) => bail!("it was taken"),
        Err(error) => Ok(error.cause().clone()),
    };
    let size = |what, given, real| AccessCause::Size { what, given, real };
    let wrong = cause(TypedMap::<u64, u64>::new(hash()?).map(drop))?;
    ensure_eq!(wrong, size("key", 8, 4));
    let wrong = cause(TypedMap::<u32, [u8; 9]>::new(hash()?).map(drop))?;
    ensure_eq!(wrong, size("value", 9, 8));
    let wrong = cause(PerCpuMap::<u32, u64>::new(hash()?).map(drop))?;
    ensure!(matches!(wrong, AccessCause::Kind { .. }), "{wrong}");
    let wrong = cause(Queue::<u64>::new(hash()?).map(drop))?;
    ensure!(matches!(wrong, AccessCause::Kind { .. }), "{wrong}");
    let wrong = cause(BloomFilter::<u64>::new(hash()?).map(drop))?;
    ensure!(matches!(wrong, AccessCause::Kind { .. }), "{wrong}");
    for kind in [MapType::PROG_ARRAY, MapType::PERF_EVENT_ARRAY] {
        let map = MapCreate::new(kind, 4, 4, 4).run()?;
        let wrong = cause(TypedMap::<u32, u32>::new(map).map(drop))?;
        ensure!(matches!(wrong, AccessCause::Kind { .. }), "{wrong}");
    }
    let queue = MapCreate::new(MapType::QUEUE, 0, 8, 4).run()?;
    let wrong = cause(TypedMap::<(), u64>::new(queue).map(drop))?;
    ensure!(matches!(wrong, AccessCause::Kind { .. }), "{wrong}");
    Ok(())
}

fn large() -> Result<()> {
    let map = TypedMap::<u32, u64>::new(make(MapType::HASH, 50_000)?)?;
    let keys: Vec<u32> = (0..40_000).collect();
    let values: Vec<u64> = keys.iter().map(|key| u64::from(*key) * 3).collect();
    ensure_eq!(map.insert_many(&keys, &values, NONE)?, 40_000);
    let found: BTreeMap<u32, u64> = map.iter()?.collect::<Result<_, _>>()?;
    ensure_eq!(found.len(), 40_000);
    ensure!(
        found
            .iter()
            .all(|(key, value)| u64::from(*key) * 3 == *value),
        "values"
    );
    let mut entries = Entries::open(map.map())?;
    let mut count = 0;
    while let Some((_key, value)) = entries.next()? {
        ensure!(value.is_ok(), "an element");
        count += 1;
    }
    ensure_eq!(count, 40_000);
    ensure!(entries.next()?.is_none(), "the end stays the end");
    let mut sum = 0;
    Entries::open(map.map())?.for_each(|(_key, value)| -> Result<()> {
        sum += u64::from_ne_bytes(value?.try_into()?);
        Ok(())
    })?;
    ensure_eq!(sum, values.iter().sum::<u64>());
    Ok(())
}

/// Keys come and go while a map is walked: the walk ends, and what stays is seen.
fn changing() -> Result<()> {
    for kind in [MapType::HASH, MapType::LPM_TRIE] {
        let map = make(kind, 4096)?;
        if kind == MapType::HASH {
            come_and_go(&TypedMap::<u32, u64>::new(map)?, |n| n)?;
        } else {
            // Most significant byte first: what comes and goes has a branch of its own, for the
            // kernel may pass over the neighbours of a key that goes.
            come_and_go(&TypedMap::<[u32; 2], u64>::new(map)?, |n| [32, n.to_be()])?;
        }
    }
    Ok(())
}

fn come_and_go<K>(map: &TypedMap<K, u64>, key: impl Fn(u32) -> K + Sync) -> Result<()>
where
    K: loader::maps::Plain + Ord + Copy + std::fmt::Debug,
{
    for n in 0..500 {
        map.insert(&key(n), &u64::from(n), NONE)?;
    }
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| -> Result<()> {
        let changer = scope.spawn(|| -> Result<()> {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                for n in 1000..1100 {
                    map.insert(&key(n), &1, NONE)?;
                }
                for n in 1000..1100 {
                    map.remove(&key(n))?;
                }
            }
            Ok(())
        });
        let mut result = Ok(());
        let mut ended = 0;
        for _ in 0..20 {
            let mut seen = std::collections::BTreeSet::new();
            let mut gave_up = false;
            for entry in map.iter()? {
                match entry {
                    Ok((key, _value)) => drop(seen.insert(key)),
                    // It starts over when the last keys are gone, and may give up.
                    Err(error) if *error.cause() == AccessCause::Unsettled => gave_up = true,
                    Err(error) => result = Err(error.into()),
                }
            }
            if gave_up {
                continue;
            }
            ended += 1;
            let all = (0..500).all(|n| seen.contains(&key(n)));
            if !all && result.is_ok() {
                result = Err(anyhow::anyhow!("only {} keys were seen", seen.len()));
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        match changer.join() {
            Ok(changed) => changed?,
            Err(_) => bail!("the other thread panicked"),
        }
        ensure!(ended > 0, "all walks gave up");
        result
    })
}

/// The key at hand and the one before it are deleted again and again in a map without batches:
/// the walk does not start over.
fn deleted_behind() -> Result<()> {
    let map = MapCreate::new(MapType::DEVMAP_HASH, 4, 4, 128).run()?;
    for n in 0..100_u32 {
        MapUpdateElem::new(&map, &n.to_ne_bytes(), &1_u32.to_ne_bytes()).run()?;
    }
    let mut walk = Entries::open(&map)?;
    let mut keys = Vec::new();
    while let Some((key, _value)) = walk.next()? {
        keys.push(key.to_vec());
        if keys.len() % 3 == 0 {
            for gone in keys.iter().rev().take(2) {
                MapDeleteElem::new(&map, gone).run()?;
            }
        }
        ensure!(keys.len() <= 100, "the walk started over");
    }
    ensure!(keys.len() == 100, "{} of 100 keys were seen", keys.len());
    Ok(())
}

fn without() -> Result<()> {
    let queue = MapCreate::new(MapType::QUEUE, 0, 8, 4).run()?;
    let error = Entries::open(&queue).err().context("nothing was refused")?;
    ensure!(matches!(error, WalkError::Start(_)), "{error}");
    Ok(())
}
