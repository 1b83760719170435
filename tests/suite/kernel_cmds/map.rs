//! Making and freezing maps, finding them by id.

use anyhow::{Context as _, Result, ensure};
use bpfsys::cmd::{MapCreate, MapFreeze, MapLookupElem, MapUpdateElem};
use bpfsys::sys::mmap::{Access, Mapping};
use bpfsys::uapi::flags::MapFlags;
use bpfsys::{ErrorKind, MapFd, MapId, MapType};
use rbpftool_tests::state::maps::recipes;
use rbpftool_tests::state::types::Types;
use rbpftool_tests::{Private, ensure_eq};

use crate::support::{Bench, older_than, refused};

pub(crate) fn add(bench: &mut Bench) {
    bench.cmd("map_create", create, create_errors);
    bench.one("map_create::every_type", create_every_type);
    bench.cmd("map_freeze", freeze, freeze_errors);
    bench.cmd("map_get_next_id", next_id, next_id_ends);
    bench.cmd("map_get_fd_by_id", by_id, by_id_errors);
}

fn create(_: &Private) -> Result<()> {
    let types = Types::load()?;
    let map = MapCreate::new(MapType::HASH, 4, 8, 100)
        .name("made_here")
        .flags(MapFlags::NO_PREALLOC)
        .btf(&types.fd, types.int, types.pair)
        .run()?;
    let info = map.info()?;
    ensure_eq!(info.type_(), MapType::HASH);
    ensure_eq!(
        (info.key_size, info.value_size, info.max_entries),
        (4, 8, 100)
    );
    ensure_eq!(info.name(), b"made_here");
    ensure_eq!(info.flags(), MapFlags::NO_PREALLOC);
    ensure_eq!(
        (info.btf_key_type_id, info.btf_value_type_id),
        (types.int, types.pair)
    );
    ensure_eq!(info.btf_id(), types.fd.info()?.id());
    Ok(())
}

fn create_every_type(_: &Private) -> Result<()> {
    let types = Types::load()?;
    let mut failed = Vec::new();
    for recipe in recipes() {
        let made = recipe.make("every_type", &types);
        if recipe.too_new()?.is_some() {
            ensure!(
                made.is_err(),
                "{} is older than was thought",
                recipe.map_type
            );
            continue;
        }
        match made {
            Err(e) => failed.push(format!("{}: {e:#}", recipe.map_type)),
            Ok(map) => {
                ensure_eq!(map.info()?.type_(), recipe.map_type);
                ensure_eq!(map.shape()?.map_type, recipe.map_type);
            }
        }
    }
    ensure!(failed.is_empty(), "{}", failed.join("; "));
    Ok(())
}

fn create_errors(_: &Private) -> Result<()> {
    let create = |map_type, key| MapCreate::new(map_type, key, 8, 4);
    refused(
        "a hash without key",
        create(MapType::HASH, 0).run(),
        ErrorKind::Invalid,
    )?;
    refused(
        "an unknown type",
        create(MapType(4000), 4).run(),
        ErrorKind::Invalid,
    )?;
    let unknown = MapFlags::from_bits_retain(1 << 30);
    let flagged = create(MapType::HASH, 4).flags(unknown).run();
    refused("an unknown flag", flagged, ErrorKind::Invalid)?;
    let long = create(MapType::HASH, 4).name("sixteen_letters_").run();
    refused("a name of 16 letters", long, ErrorKind::Invalid)?;
    let odd = create(MapType::HASH, 4).name("a b").run();
    refused("a name with a blank", odd, ErrorKind::Invalid)?;
    let huge = MapCreate::new(MapType::ARRAY, 4, 1 << 30, u32::MAX).run();
    ensure!(huge.is_err(), "an array larger than memory was made");
    Ok(())
}

fn freeze(_: &Private) -> Result<()> {
    let map = MapCreate::new(MapType::ARRAY, 4, 4, 1).run()?;
    MapUpdateElem::new(&map, &[0; 4], &[1; 4]).run()?;
    MapFreeze::new(&map).run()?;
    let late = MapUpdateElem::new(&map, &[0; 4], &[2; 4]).run();
    refused("an update after freezing", late, ErrorKind::Denied)?;
    let mut value = [0; 4];
    MapLookupElem::new(&map, &[0; 4]).run(&mut value)?;
    ensure_eq!(value, [1; 4]);
    Ok(())
}

fn freeze_errors(_: &Private) -> Result<()> {
    let map = MapCreate::new(MapType::ARRAY, 4, 4, 1)
        .flags(MapFlags::MMAPABLE)
        .run()?;
    let written = Mapping::new(&map, 4096, 0, Access::ReadWrite)?;
    refused(
        "a map that is mapped for writing",
        MapFreeze::new(&map).run(),
        ErrorKind::Busy,
    )?;
    drop(written);
    MapFreeze::new(&map).run()?;
    // Before 5.11 it is called busy.
    let twice = MapFreeze::new(&map).run().err().context("frozen twice")?;
    ensure!(
        matches!(twice.kind(), ErrorKind::Denied | ErrorKind::Busy),
        "freezing twice: {twice}"
    );
    let queue = MapCreate::new(MapType::QUEUE, 0, 4, 1)
        .flags(MapFlags::RDONLY)
        .run()?;
    let frozen = MapFreeze::new(&queue).run();
    if older_than((6, 5))? {
        // Whoever had the capability could, then.
        return Ok(frozen?);
    }
    refused("a read-only descriptor", frozen, ErrorKind::Denied)
}

fn next_id(_: &Private) -> Result<()> {
    let map = MapCreate::new(MapType::ARRAY, 4, 4, 1).run()?;
    let id = map.info()?.id().context("no id")?;
    let ids: Vec<MapId> = bpfsys::map_ids().collect::<Result<_, _>>()?;
    ensure!(ids.contains(&id), "map {id} is not among {} ids", ids.len());
    ensure!(ids.is_sorted(), "the ids are not ascending");
    Ok(())
}

fn next_id_ends(_: &Private) -> Result<()> {
    let mut ids = bpfsys::map_ids();
    while ids.next().transpose()?.is_some() {}
    ensure!(ids.next().is_none(), "the walk went on after its end");
    Ok(())
}

fn by_id(_: &Private) -> Result<()> {
    let map = MapCreate::new(MapType::ARRAY, 4, 4, 1)
        .name("by_id")
        .run()?;
    let id = map.info()?.id().context("no id")?;
    let again = MapFd::by_id(id, MapFlags::RDONLY)?;
    ensure_eq!(again.info()?.name(), b"by_id");
    let write = MapUpdateElem::new(&again, &[0; 4], &[1; 4]).run();
    refused(
        "a write through a read-only descriptor",
        write,
        ErrorKind::Denied,
    )
}

fn by_id_errors(_: &Private) -> Result<()> {
    let none = MapId::new(u32::MAX - 1).context("not zero")?;
    refused(
        "an id that is not used",
        MapFd::by_id(none, MapFlags::empty()),
        ErrorKind::NotFound,
    )?;
    let map = MapCreate::new(MapType::ARRAY, 4, 4, 1).run()?;
    let id = map.info()?.id().context("no id")?;
    let unknown = MapFd::by_id(id, MapFlags::from_bits_retain(1 << 30));
    refused("an unknown open flag", unknown, ErrorKind::Invalid)
}
