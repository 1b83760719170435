//! Pins, information, BTF objects, tokens.

use std::fs::File;
use std::os::fd::OwnedFd;

use anyhow::{Context as _, Result, bail, ensure};
use bpfsys::cmd::{BtfLoad, MapCreate, ObjGet, ObjPin};
use bpfsys::uapi::flags::MapFlags;
use bpfsys::{AnyFd, BtfFd, BtfId, ErrorKind, LinkFd, MapFd, MapType, ProgFd, ProgType};
use rbpftool_tests::forge::BtfForge;
use rbpftool_tests::state::progs::simple_of;
use rbpftool_tests::state::types::Types;
use rbpftool_tests::{Private, ensure_eq};

use crate::support::{Bench, only_since, refused};

pub(crate) fn add(bench: &mut Bench) {
    bench.cmd("obj_pin", pin, pin_errors);
    bench.cmd("obj_get", get, get_errors);
    bench.one("obj_get::path_fd", get_at);
    bench.cmd("obj_get_info_by_fd", info, wrong_kinds);
    bench.cmd("btf_load", btf_load, btf_load_errors);
    bench.cmd("btf_get_fd_by_id", btf_by_id, btf_by_id_errors);
    bench.cmd("btf_get_next_id", btf_next_id, btf_next_id_ends);
}

fn pin(private: &Private) -> Result<()> {
    let path = private.bpffs().join("pinned_map");
    let map = MapCreate::new(MapType::ARRAY, 4, 4, 1)
        .name("pinned")
        .run()?;
    ObjPin::new(&map, &path).run()?;
    let id = map.info()?.id();
    drop(map);
    let again = ObjGet::new(&path).run()?;
    std::fs::remove_file(&path).context("unpin")?;
    let AnyFd::Map(again) = again else {
        bail!("{again:?} is no map")
    };
    ensure_eq!(again.info()?.id(), id);
    Ok(())
}

fn pin_errors(private: &Private) -> Result<()> {
    let map = MapCreate::new(MapType::ARRAY, 4, 4, 1).run()?;
    let path = private.bpffs().join("twice");
    ObjPin::new(&map, &path).run()?;
    let twice = ObjPin::new(&map, &path).run();
    std::fs::remove_file(&path).context("unpin")?;
    refused("the same path twice", twice, ErrorKind::Exists)?;
    let dotted = ObjPin::new(&map, &private.bpffs().join("with.dot")).run();
    refused("a name with a dot", dotted, ErrorKind::Denied)?;
    let missing = ObjPin::new(&map, &private.bpffs().join("no/such")).run();
    refused("a missing directory", missing, ErrorKind::NotFound)?;
    let elsewhere = ObjPin::new(&map, &private.dir().join("plain")).run();
    ensure!(elsewhere.is_err(), "pinned outside a bpffs");
    let file = File::open("/proc/self/status").context("open a file")?;
    let no_object = ObjPin::new(&file, &private.bpffs().join("file")).run();
    ensure!(no_object.is_err(), "pinned a plain file");
    Ok(())
}

fn get(private: &Private) -> Result<()> {
    let dir = private.bpffs();
    let (prog, map) = (
        simple_of(ProgType::XDP)?,
        MapCreate::new(MapType::ARRAY, 4, 4, 1).run()?,
    );
    ObjPin::new(&prog, &dir.join("get_prog")).run()?;
    ObjPin::new(&map, &dir.join("get_map")).run()?;
    let got = (
        ObjGet::new(&dir.join("get_prog")).run(),
        ObjGet::new(&dir.join("get_map")).run(),
    );
    for name in ["get_prog", "get_map"] {
        std::fs::remove_file(dir.join(name)).context("unpin")?;
    }
    ensure!(
        matches!(got, (Ok(AnyFd::Prog(_)), Ok(AnyFd::Map(_)))),
        "{got:?}"
    );
    Ok(())
}

fn get_at(private: &Private) -> Result<()> {
    let dir = private.bpffs();
    let map = MapCreate::new(MapType::ARRAY, 4, 4, 1).run()?;
    ObjPin::new(&map, &dir.join("get_at")).run()?;
    let root = File::open(&dir).context("open the bpffs")?;
    let relative = ObjGet::new("get_at".as_ref()).path_fd(&root).run();
    std::fs::remove_file(dir.join("get_at")).context("unpin")?;
    let got = only_since((6, 5), "a path below a directory", relative)?;
    ensure!(matches!(got, AnyFd::Map(_)), "{got:?}");
    Ok(())
}

fn get_errors(private: &Private) -> Result<()> {
    let none = ObjGet::new(&private.bpffs().join("none")).run();
    refused("a path that is not there", none, ErrorKind::NotFound)?;
    let map = MapCreate::new(MapType::ARRAY, 4, 4, 1).run()?;
    let path = private.bpffs().join("flagged");
    ObjPin::new(&map, &path).run()?;
    let unknown = ObjGet::new(&path)
        .file_flags(MapFlags::from_bits_retain(1 << 30))
        .run();
    std::fs::remove_file(&path).context("unpin")?;
    refused("an unknown flag", unknown, ErrorKind::Invalid)?;
    ensure!(
        ObjGet::new("/proc/self/status".as_ref()).run().is_err(),
        "a plain file is an object"
    );
    Ok(())
}

/// Two objects in turn: what the first has must not be seen in the second.
fn info(_: &Private) -> Result<()> {
    let types = Types::load()?;
    let with = MapCreate::new(MapType::HASH, 4, 8, 1)
        .btf(&types.fd, types.int, types.u64)
        .run()?;
    let without = MapCreate::new(MapType::HASH, 4, 8, 1).run()?;
    for _ in 0..2 {
        ensure!(with.info()?.btf_id().is_some(), "the map lost its BTF");
        ensure_eq!(without.info()?.btf_id(), None);
    }
    let btf = types.fd.info()?;
    ensure_eq!(usize::try_from(btf.info.btf_size)?, types.bytes.len());
    ensure_eq!(types.fd.data()?, types.bytes);
    Ok(())
}

/// A descriptor of one kind is refused as another before any call is made.
fn wrong_kinds(_: &Private) -> Result<()> {
    let map = || -> Result<OwnedFd> { Ok(MapCreate::new(MapType::ARRAY, 4, 4, 1).run()?.into()) };
    refused(
        "a map as a program",
        ProgFd::try_from(map()?),
        ErrorKind::BadFd,
    )?;
    refused(
        "a map as a link",
        LinkFd::try_from(map()?),
        ErrorKind::BadFd,
    )?;
    refused("a map as BTF", BtfFd::try_from(map()?), ErrorKind::BadFd)?;
    let prog: OwnedFd = simple_of(ProgType::XDP)?.into();
    refused(
        "a program as a map",
        MapFd::try_from(prog),
        ErrorKind::BadFd,
    )?;
    let file: OwnedFd = File::open("/proc/self/status")
        .context("open a file")?
        .into();
    refused("a file as a map", MapFd::try_from(file), ErrorKind::BadFd)
}

fn btf_load(_: &Private) -> Result<()> {
    let types = Types::load()?;
    let details = types.fd.info()?;
    ensure_eq!(details.info.kernel_btf, 0);
    ensure!(details.id().is_some(), "no id");
    Ok(())
}

fn btf_load_errors(_: &Private) -> Result<()> {
    let mut forge = BtfForge::new();
    forge.ptr(99);
    let Err(e) = BtfLoad::new(&forge.bytes()).run() else {
        bail!("a pointer to nothing loaded")
    };
    ensure_eq!(e.kind(), ErrorKind::Invalid);
    ensure!(!e.log().to_string().is_empty(), "the log is empty");
    let empty = BtfLoad::new(&[])
        .run()
        .err()
        .context("nothing was loaded as BTF")?;
    ensure_eq!(empty.kind(), ErrorKind::Invalid);
    let mut cut = Types::load()?.bytes;
    cut.truncate(cut.len() / 2);
    ensure_eq!(
        BtfLoad::new(&cut)
            .run()
            .err()
            .context("half loaded")?
            .kind(),
        ErrorKind::Invalid
    );
    Ok(())
}

fn btf_by_id(_: &Private) -> Result<()> {
    let types = Types::load()?;
    let id = types.fd.info()?.id().context("no id")?;
    ensure_eq!(BtfFd::by_id(id)?.data()?, types.bytes);
    Ok(())
}

fn btf_by_id_errors(_: &Private) -> Result<()> {
    let none = BtfId::new(u32::MAX - 1).context("not zero")?;
    refused(
        "an id that is not used",
        BtfFd::by_id(none),
        ErrorKind::NotFound,
    )
}

fn btf_next_id(_: &Private) -> Result<()> {
    let types = Types::load()?;
    let id = types.fd.info()?.id().context("no id")?;
    let ids: Vec<BtfId> = bpfsys::btf_ids().collect::<Result<_, _>>()?;
    ensure!(ids.contains(&id), "BTF {id} is not listed");
    Ok(())
}

fn btf_next_id_ends(_: &Private) -> Result<()> {
    let mut ids = bpfsys::btf_ids();
    while ids.next().transpose()?.is_some() {}
    ensure!(ids.next().is_none(), "the walk went on after its end");
    Ok(())
}
