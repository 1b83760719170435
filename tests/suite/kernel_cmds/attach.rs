//! Attaching without links: cgroups, socket maps, network namespaces.

use std::fs::File;

use anyhow::{Context as _, Result, ensure};
use bpfsys::cmd::{MapCreate, ProgAttach, ProgDetach, ProgLoad, ProgQuery, RawTracepointOpen};
use bpfsys::uapi::flags::{AttachFlags, QueryFlags};
use bpfsys::{AttachType, ErrorKind, MapType, ProgType};
use rbpftool_tests::state::links::QUIET_TRACEPOINT;
use rbpftool_tests::state::progs::{asm, simple_of};
use rbpftool_tests::{Private, ensure_eq, skip};

use crate::support::{Bench, configured, only_since, refused};

pub(crate) fn add(bench: &mut Bench) {
    bench.cmd("prog_attach", attach, attach_errors);
    bench.one("prog_attach::sockmap", attach_sockmap);
    bench.one("prog_attach::infrared", attach_infrared);
    bench.cmd("prog_detach", detach, detach_errors);
    bench.cmd("prog_query", query, query_errors);
    bench.one("prog_query::sockmap", query_sockmap);
    bench.cmd("raw_tracepoint_open", raw_tracepoint, raw_tracepoint_errors);
}

const EGRESS: AttachType = AttachType::CGROUP_INET_EGRESS;

fn cgroup(private: &Private) -> Result<File> {
    File::open(private.cgroup()?).context("open our cgroup")
}

fn attach(private: &Private) -> Result<()> {
    let dir = cgroup(private)?;
    let prog = simple_of(ProgType::CGROUP_SKB)?;
    ProgAttach::new(&dir, &prog, EGRESS)
        .flags(AttachFlags::ALLOW_MULTI)
        .run()?;
    let found = ProgQuery::new(&dir, EGRESS).run()?;
    ProgDetach::new(&dir, EGRESS).prog(&prog).run()?;
    ensure_eq!(
        found
            .progs
            .iter()
            .map(|p| Some(p.prog_id))
            .collect::<Vec<_>>(),
        [prog.info()?.id()]
    );
    Ok(())
}

fn attach_sockmap(_: &Private) -> Result<()> {
    let map = MapCreate::new(MapType::SOCKMAP, 4, 4, 1).run()?;
    let prog = simple_of(ProgType::SK_SKB)?;
    let at = AttachType::SK_SKB_STREAM_VERDICT;
    ProgAttach::new(&map, &prog, at).run()?;
    ProgDetach::new(&map, at).prog(&prog).run()?;
    let twice = ProgDetach::new(&map, at).prog(&prog).run();
    refused("what is not attached", twice, ErrorKind::NotFound)
}

fn attach_infrared(_: &Private) -> Result<()> {
    let device = match File::open("/dev/lirc0") {
        Ok(device) => device,
        Err(e) => {
            return Err(skip(format!(
                "no infrared device (module rc-loopback): {e}"
            )));
        }
    };
    let insns = asm("r0 = 0\nexit")?;
    let prog = match ProgLoad::new(ProgType::LIRC_MODE2, &insns).run() {
        Err(e) if configured("CONFIG_BPF_LIRC_MODE2") == Some(false) => {
            return Err(skip(format!(
                "this kernel is built without CONFIG_BPF_LIRC_MODE2: {e}"
            )));
        }
        made => made?,
    };
    let at = AttachType::LIRC_MODE2;
    ProgAttach::new(&device, &prog, at).run()?;
    let found = ProgQuery::new(&device, at).run()?;
    ProgDetach::new(&device, at).prog(&prog).run()?;
    ensure_eq!(found.progs.first().map(|p| p.prog_id), prog.info()?.id());
    Ok(())
}

fn query_sockmap(_: &Private) -> Result<()> {
    let map = MapCreate::new(MapType::SOCKMAP, 4, 4, 1).run()?;
    let prog = simple_of(ProgType::SK_SKB)?;
    let at = AttachType::SK_SKB_STREAM_VERDICT;
    ProgAttach::new(&map, &prog, at).run()?;
    let found = ProgQuery::new(&map, at).run();
    ProgDetach::new(&map, at).prog(&prog).run()?;
    let found = only_since((5, 17), "PROG_QUERY of a socket map", found)?;
    ensure_eq!(found.progs.first().map(|p| p.prog_id), prog.info()?.id());
    Ok(())
}

fn attach_errors(private: &Private) -> Result<()> {
    let dir = cgroup(private)?;
    let prog = simple_of(ProgType::CGROUP_SKB)?;
    let unfit = ProgAttach::new(&dir, &prog, AttachType::CGROUP_DEVICE).run();
    refused("a program of another type", unfit, ErrorKind::Invalid)?;
    let flags = AttachFlags::from_bits_retain(1 << 30);
    let flagged = ProgAttach::new(&dir, &prog, EGRESS).flags(flags).run();
    refused("an unknown flag", flagged, ErrorKind::Invalid)?;
    let file = File::open("/proc/self/status").context("open a file")?;
    let nowhere = ProgAttach::new(&file, &prog, EGRESS).run();
    ensure!(nowhere.is_err(), "attached to a plain file");
    let map = MapCreate::new(MapType::ARRAY, 4, 4, 1).run()?;
    let verdict = simple_of(ProgType::SK_SKB)?;
    let no_sockets = ProgAttach::new(&map, &verdict, AttachType::SK_SKB_STREAM_VERDICT).run();
    ensure!(no_sockets.is_err(), "attached to an array");
    Ok(())
}

fn detach(private: &Private) -> Result<()> {
    let dir = cgroup(private)?;
    let prog = simple_of(ProgType::CGROUP_SKB)?;
    ProgAttach::new(&dir, &prog, EGRESS)
        .flags(AttachFlags::ALLOW_MULTI)
        .run()?;
    ProgDetach::new(&dir, EGRESS).prog(&prog).run()?;
    ensure!(
        ProgQuery::new(&dir, EGRESS).run()?.progs.is_empty(),
        "still attached"
    );
    Ok(())
}

fn detach_errors(private: &Private) -> Result<()> {
    let dir = cgroup(private)?;
    let prog = simple_of(ProgType::CGROUP_SKB)?;
    let none = ProgDetach::new(&dir, EGRESS).prog(&prog).run();
    refused("what is not attached", none, ErrorKind::NotFound)?;
    let file = File::open("/proc/self/status").context("open a file")?;
    ensure!(
        ProgDetach::new(&file, EGRESS).run().is_err(),
        "detached from a plain file"
    );
    Ok(())
}

fn query(private: &Private) -> Result<()> {
    let dir = cgroup(private)?;
    let first = simple_of(ProgType::CGROUP_SKB)?;
    let second = simple_of(ProgType::CGROUP_SKB)?;
    for prog in [&first, &second] {
        ProgAttach::new(&dir, prog, EGRESS)
            .flags(AttachFlags::ALLOW_MULTI)
            .run()?;
    }
    let found = ProgQuery::new(&dir, EGRESS).run()?;
    let effective = ProgQuery::new(&dir, EGRESS)
        .flags(QueryFlags::EFFECTIVE)
        .run()?;
    for prog in [&first, &second] {
        ProgDetach::new(&dir, EGRESS).prog(prog).run()?;
    }
    let ids: Vec<_> = found.progs.iter().map(|p| Some(p.prog_id)).collect();
    ensure_eq!(ids, [first.info()?.id(), second.info()?.id()]);
    ensure!(
        found.attach_flags.contains(AttachFlags::ALLOW_MULTI),
        "{found:?}"
    );
    ensure!(effective.progs.len() >= 2, "{effective:?}");
    Ok(())
}

fn query_errors(private: &Private) -> Result<()> {
    let dir = cgroup(private)?;
    let unknown = ProgQuery::new(&dir, AttachType(4000)).run();
    refused("an unknown attach type", unknown, ErrorKind::Invalid)?;
    let flags = QueryFlags::from_bits_retain(1 << 30);
    let flagged = ProgQuery::new(&dir, EGRESS).flags(flags).run();
    refused("an unknown flag", flagged, ErrorKind::Invalid)
}

fn raw_tracepoint(_: &Private) -> Result<()> {
    let prog = simple_of(ProgType::RAW_TRACEPOINT)?;
    let link = RawTracepointOpen::new(Some(QUIET_TRACEPOINT), &prog).run()?;
    ensure_eq!(link.info()?.prog_id, prog.info()?.id());
    Ok(())
}

fn raw_tracepoint_errors(_: &Private) -> Result<()> {
    let prog = simple_of(ProgType::RAW_TRACEPOINT)?;
    let none = RawTracepointOpen::new(Some("no_such_tracepoint"), &prog).run();
    refused("no such tracepoint", none, ErrorKind::NotFound)?;
    let other = simple_of(ProgType::XDP)?;
    let unfit = RawTracepointOpen::new(Some(QUIET_TRACEPOINT), &other).run();
    refused("a program of another type", unfit, ErrorKind::Invalid)?;
    let unnamed = RawTracepointOpen::new(None, &prog).run();
    ensure!(unnamed.is_err(), "a raw tracepoint without name");
    Ok(())
}
