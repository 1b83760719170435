//! Variables in memory that programs share.

use anyhow::{Context as _, Result, bail, ensure};
use bpfsys::cmd::{MapCreate, MapFreeze, MapLookupElem};
use bpfsys::uapi::flags::MapFlags;
use bpfsys::{MapType, probe};
use loader::maps::{AccessCause, Arena, Globals};
use rbpftool_tests::{ensure_eq, requires};

use crate::support::{Bench, globals, in_guest, load, loaded, map, object, run};

pub(crate) fn add(bench: &mut Bench) {
    bench.one("globals::programs_and_readers_share_them", share);
    bench.one("globals::constants_can_only_be_read", constants);
    bench.one("globals::numbers_are_never_torn", torn);
    bench.one("globals::both_sides_add", add_up);
    bench.one("globals::places_and_names_are_checked", checked);
    bench.one("globals::any_array_can_be_mapped", arrays);
    bench.one("arena::variables_of_the_object", variables);
    bench.one("arena::pointers_of_programs_are_followed", pointers);
    bench.one("arena::what_would_end_the_process_is_refused", faults);
}

fn share() -> Result<()> {
    let loaded = loaded("consume")?;
    let (data, zeros) = (globals(&loaded, ".data")?, globals(&loaded, ".bss")?);
    let names: Vec<_> = data
        .variables()
        .iter()
        .map(|own| own.name.as_str())
        .collect();
    ensure_eq!(names, ["goal", "len"]);
    ensure_eq!(data.variable::<u64>("goal")?.get(), 8);
    data.variable::<u64>("goal")?.set(&3)?;
    // The kernel sees what was written, by its own means as well.
    let mut value = vec![0; usize::try_from(map(&loaded, ".data")?.shape()?.value_size)?];
    MapLookupElem::new(map(&loaded, ".data")?, &[0; 4]).run(&mut value)?;
    let at = usize::try_from(data.variable::<u64>("goal")?.offset())?;
    ensure_eq!(value.get(at..at + 8), Some(&3_u64.to_ne_bytes()[..]));
    run(&loaded, "produce_a", 10)?;
    let numbers: [u64; 16] = zeros.variable("numbers")?.get();
    ensure_eq!(numbers[0], 3);
    zeros.variable::<u64>("written")?.set(&77)?;
    run(&loaded, "writes", 1)?;
    ensure_eq!(zeros.variable::<u64>("written")?.get(), 78);
    let mut bytes = [0; 8];
    let at = zeros.variable::<[u8; 2048]>("bytes")?.offset();
    zeros.read_bytes(at, &mut bytes)?;
    ensure_eq!(bytes, 77_u64.to_ne_bytes());
    // The same names without the kernel's help.
    let object = object("consume")?;
    let index = object.map_index(".bss").context("the section")?;
    let same = Globals::of_object(map(&loaded, ".bss")?, &object, index)?;
    ensure_eq!(same.variable::<u64>("written")?.get(), 78);
    ensure_eq!(
        same.variable::<u64>("written")?.offset(),
        zeros.variable::<u64>("written")?.offset()
    );
    Ok(())
}

fn constants() -> Result<()> {
    let loaded = loaded("consume")?;
    let constants = globals(&loaded, ".rodata")?;
    ensure!(!constants.is_writable(), "constants are frozen");
    let factor = constants.variable::<u32>("factor")?;
    ensure_eq!(factor.get(), 3);
    let error = factor.set(&4).err().context("nothing was refused")?;
    ensure_eq!(error.cause(), &AccessCause::ReadOnly);
    Ok(())
}

/// A program adds while a reader looks: the number only grows, and is never half of two.
fn torn() -> Result<()> {
    let rounds = if in_guest() { 20 } else { 500 };
    let loaded = loaded("consume")?;
    let (data, zeros) = (globals(&loaded, ".data")?, globals(&loaded, ".bss")?);
    data.variable::<u64>("goal")?.set(&u64::MAX)?;
    let numbers = zeros.variable::<[u64; 16]>("numbers")?;
    // The lower half runs over now and then.
    let start = u64::from(u32::MAX) - 1000;
    let mut first = [0; 16];
    first[8] = start;
    numbers.set(&first)?;
    let mut ring = loader::maps::RingBuffer::new(map(&loaded, "ring")?)?;
    let mut last = start;
    std::thread::scope(|scope| -> Result<()> {
        let program = scope.spawn(|| -> Result<()> {
            for _ in 0..rounds {
                run(&loaded, "produce_b", 1000)?;
            }
            Ok(())
        });
        while !program.is_finished() {
            ring.consume_at_most(10_000, |_record| ())?;
            for _ in 0..100 {
                let now = numbers.get()[8];
                ensure!(
                    now >= last && now - last < 1 << 30,
                    "{now:#x} after {last:#x}"
                );
                last = now;
            }
        }
        match program.join() {
            Ok(result) => result,
            Err(_) => bail!("the program's thread panicked"),
        }
    })?;
    ensure!(last > u64::from(u32::MAX), "{last:#x} did not run over");
    Ok(())
}

/// A program that finds no room counts it with an atomic instruction, and so does a reader.
fn add_up() -> Result<()> {
    let rounds = if in_guest() { 20 } else { 300 };
    let loaded = loaded("consume")?;
    let zeros = globals(&loaded, ".bss")?;
    run(&loaded, "writes", 1000)?;
    let full = zeros.variable::<u64>("full")?;
    let before = full.get();
    std::thread::scope(|scope| -> Result<()> {
        let program = scope.spawn(|| -> Result<()> {
            for _ in 0..rounds {
                run(&loaded, "writes", 1000)?;
            }
            Ok(())
        });
        for _ in 0..100_000 {
            full.fetch_add(1)?;
        }
        match program.join() {
            Ok(result) => result,
            Err(_) => bail!("the program's thread panicked"),
        }
    })?;
    ensure_eq!(full.get(), before + 100_000 + 1000 * rounds);
    Ok(())
}

fn checked() -> Result<()> {
    let loaded = loaded("consume")?;
    let data = globals(&loaded, ".data")?;
    let error = data
        .variable::<u64>("no_such")
        .err()
        .context("nothing was refused")?;
    ensure_eq!(error.cause(), &AccessCause::NoVariable("no_such".into()));
    let error = data
        .variable::<u32>("goal")
        .err()
        .context("nothing was refused")?;
    ensure_eq!(
        error.to_string(),
        "map 'consume.data': variable 'goal' has 8 bytes, the type given for it 4"
    );
    let end = u64::try_from(data.size())?;
    ensure!(data.read::<u64>(end - 8).is_ok(), "the last");
    for offset in [end - 7, end, u64::MAX] {
        let error = data
            .read::<u64>(offset)
            .err()
            .context("nothing was refused")?;
        ensure!(
            matches!(error.cause(), AccessCause::Outside { .. }),
            "{error}"
        );
        let error = data
            .write::<u64>(offset, &1)
            .err()
            .context("nothing was refused")?;
        ensure!(
            matches!(error.cause(), AccessCause::Outside { .. }),
            "{error}"
        );
    }
    let error = Globals::open(map(&loaded, "ring")?)
        .err()
        .context("nothing was refused")?;
    ensure!(matches!(error.cause(), AccessCause::Kind { .. }), "{error}");
    Ok(())
}

fn arrays() -> Result<()> {
    let plain = MapCreate::new(MapType::ARRAY, 4, 12, 3).run()?;
    let error = Globals::open(&plain).err().context("nothing was refused")?;
    ensure!(matches!(error.cause(), AccessCause::Unsuited(_)), "{error}");
    let map = MapCreate::new(MapType::ARRAY, 4, 12, 1000)
        .flags(MapFlags::MMAPABLE)
        .run()?;
    let memory = Globals::open(&map)?;
    ensure_eq!(memory.size(), 16_000);
    ensure!(memory.variables().is_empty(), "it has no types");
    memory.write(16 * 999, &[1_u32, 2, 3])?;
    let mut value = [0; 12];
    MapLookupElem::new(&map, &999_u32.to_ne_bytes()).run(&mut value)?;
    ensure_eq!(value[4..8], 2_u32.to_ne_bytes());
    drop(memory);
    MapFreeze::new(&map).run()?;
    let memory = Globals::open(&map)?;
    ensure!(!memory.is_writable(), "it is frozen");
    ensure_eq!(memory.read::<u32>(16 * 999 + 8)?, 3);
    Ok(())
}

fn has_arenas() -> Result<()> {
    requires!(
        !probe::map_type(MapType::ARENA).is_no(),
        "this kernel has no arenas"
    );
    Ok(())
}

fn variables() -> Result<()> {
    has_arenas()?;
    let object = object("arena")?;
    let loaded = load(&object)?;
    let own = loaded.map("arena").context("the arena")?;
    let arena = Arena::of(own, &object)?;
    let total = arena.variable::<u64>("total")?;
    ensure_eq!(total.get(), 40);
    ensure_eq!(run(&loaded, "lists", 1)?, 0);
    ensure_eq!(total.get(), 40);
    // The program checks it first.
    total.set(&41)?;
    ensure!(
        run(&loaded, "lists", 1)? != 0,
        "the program does not see it"
    );
    total.set(&40)?;
    let first = arena.variable::<[u64; 2]>("first")?;
    first.set(&[0, 1])?;
    ensure_eq!(run(&loaded, "lists", 1)?, 0);
    ensure_eq!(arena.size(), 100 * 4096);
    ensure_eq!(arena.address(), 1 << 44);
    let error = arena
        .read::<u64>(100 * 4096 - 4)
        .err()
        .context("nothing was refused")?;
    ensure!(
        matches!(error.cause(), AccessCause::Outside { .. }),
        "{error}"
    );
    Ok(())
}

fn pointers() -> Result<()> {
    has_arenas()?;
    let object = object("arena_plain")?;
    let loaded = load(&object)?;
    let own = loaded.map("arena").context("the arena")?;
    let arena = Arena::of(own, &object)?;
    ensure_eq!(run(&loaded, "takes", 1)?, 0);
    let page = globals(&loaded, ".bss")?.variable::<u64>("page")?.get();
    ensure_eq!(arena.read_at::<u64>(page)?, 5);
    arena.write_at(page + 8, &6_u64)?;
    ensure_eq!(arena.read_at::<[u64; 2]>(page)?, [5, 6]);
    let start = arena.address();
    ensure!(page >= start || page >> 32 == 0, "{page:#x} of {start:#x}");
    ensure!(arena.read_at::<u64>(start + 10 * 4096).is_err(), "outside");
    // Whoever else maps it cannot know where.
    let error = Arena::open(own.fd().context("its descriptor")?)
        .err()
        .context("nothing was refused")?;
    ensure!(error.sys_error().is_some(), "{error}");
    Ok(())
}

fn faults() -> Result<()> {
    has_arenas()?;
    let map = MapCreate::new(MapType::ARENA, 0, 0, 4)
        .flags(MapFlags::MMAPABLE | MapFlags::SEGV_ON_FAULT)
        .run()?;
    let error = Arena::open(&map).err().context("nothing was refused")?;
    ensure!(matches!(error.cause(), AccessCause::Unsuited(_)), "{error}");
    let map = MapCreate::new(MapType::ARENA, 0, 0, 4)
        .flags(MapFlags::MMAPABLE)
        .run()?;
    let arena = Arena::open(&map)?;
    ensure_eq!(arena.read::<u64>(4096)?, 0, "a page that nobody asked for");
    arena.write(4096, &9_u64)?;
    ensure_eq!(arena.read_at::<u64>(arena.address() + 4096)?, 9);
    let array = MapCreate::new(MapType::ARRAY, 4, 8, 4).run()?;
    let error = Arena::open(&array).err().context("nothing was refused")?;
    ensure!(matches!(error.cause(), AccessCause::Kind { .. }), "{error}");
    Ok(())
}
