//! Whole objects: what they attach to by themselves and by a target, all of it or nothing.

use std::collections::BTreeSet;
use std::os::fd::AsFd as _;

use anyhow::{Context as _, Result, ensure};
use bpfsys::cmd::{MapCreate, ProgTestRun};
use bpfsys::{LinkFd, LinkId, MapType, ProgFd};
use btf::Btf;
use loader::attach::{
    AttachError, AttachOptions, AttachTarget, AutoOptions, Iter, Link, Netfilter, NetfilterHook,
    auto, auto_with,
};
use loader::kernel::{LoadOptions, Loaded};
use loader::model::Object;
use rbpftool_tests::{Private, ensure_eq, fixture, requires, run_tool};
use serde_json::json;
use std::sync::Arc;

use crate::support::{Bench, Fire, counted, gone, lacks, load, older_than, program, shown, since};

pub(crate) fn add(bench: &mut Bench) {
    bench.one("object::all_or_nothing", rollback);
    bench.one("object::some_are_left", |_| left());
    bench.one("object::links_go_with_it", |_| dropped());
    bench.one("link::update", |_| update());
    bench.one("struct_ops::link_and_update", struct_ops_link);
    bench.one("struct_ops::plain", struct_ops_plain);
    bench.guest("freplace::at_load_and_elsewhere", freplace);
    bench.one("target::interface", interface);
    bench.one("target::cgroup", cgroup);
    bench.one("target::network_namespace", netns);
    bench.one("target::sockets", |_| sockets());
    bench.one("target::netfilter", |_| netfilter());
    bench.one("target::of_another_kind", |_| misfit());
    bench.one("tool::autoattach", autoattach);
    bench.guest("tool::autoattach_to_functions", autoattach_functions);
}

fn ids() -> Result<BTreeSet<u32>> {
    let ids: Result<BTreeSet<u32>, _> = bpfsys::link_ids().map(|id| id.map(LinkId::get)).collect();
    Ok(ids?)
}

/// Links whose programs are those of an object.
fn links_of(loaded: &Loaded) -> Result<usize> {
    let mut progs = BTreeSet::new();
    for program in loaded.programs() {
        progs.insert(program.fd().context("fd")?.info()?.id());
    }
    let mut count = 0;
    for id in bpfsys::link_ids() {
        // one that went meanwhile is not ours
        let info = LinkFd::by_id(id?).and_then(|link| link.info());
        count += usize::from(info.is_ok_and(|info| progs.contains(&info.prog_id)));
    }
    Ok(count)
}

fn rollback(private: &Private) -> Result<()> {
    for last in [
        "tp_missing",
        "raw_tp_missing",
        "kprobe_missing",
        "kprobe_malformed",
    ] {
        let loaded = load("attach", &["tp", "raw_tp", "tp_btf", "iter", last])?;
        let error = loaded.attach().err().context("it attaches")?;
        let AttachError::Auto { program, .. } = &error else {
            anyhow::bail!("{error}");
        };
        ensure_eq!(program.as_str(), last);
        ensure!(std::error::Error::source(&error).is_some(), "no cause");
        for _ in 0..200 {
            if links_of(&loaded)? == 0 {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        ensure_eq!(links_of(&loaded)?, 0);
        let none = Link::group("nothing", Vec::new());
        Fire::TestRun.run(&loaded, &none)?;
        ensure_eq!(counted(&loaded, 0)?, 0);
    }
    ensure_eq!(crate::support::our_probes(private)?.len(), 0);
    Ok(())
}

fn left() -> Result<()> {
    let loaded = load("attach", &["tp", "raw_tp", "iter"])?;
    let options = AttachOptions {
        leave: vec!["tp".into(), "iter".into()],
        ..AttachOptions::default()
    };
    let links = loaded.attach_with(&options)?;
    ensure_eq!(links.len(), 1);
    ensure_eq!(
        links.iter().next().map(Link::what),
        Some("raw tracepoint bpf_test_finish")
    );
    let mut options = AttachOptions::default();
    options
        .programs
        .insert("no_such".into(), AutoOptions::default());
    ensure_eq!(
        loaded
            .attach_with(&options)
            .err()
            .context("it attaches")?
            .to_string(),
        "there is no loaded program 'no_such'"
    );
    ensure!(auto(program(&loaded, "runs")?)?.is_none(), "it attaches");
    Ok(())
}

fn dropped() -> Result<()> {
    let loaded = load("attach", &["raw_tp", "tp_btf"])?;
    let links = loaded.attach()?;
    let mut ids = Vec::new();
    for link in &links {
        ids.push(link.fd().context("no link")?.info()?.id);
    }
    ensure_eq!(ids.len(), 2);
    drop(links);
    ids.into_iter().try_for_each(gone)
}

/// Another program takes over, if the expected one runs.
fn update() -> Result<()> {
    let (one, two) = (load("attach", &["iter"])?, load("attach", &["iter"])?);
    let fd = |loaded: &Loaded| -> Result<ProgFd> {
        Ok(program(loaded, "iter")?.fd().context("fd")?.try_clone()?)
    };
    let (first, second) = (fd(&one)?, fd(&two)?);
    let link = Iter::all().attach(&first)?;
    Fire::Read.run(&one, &link)?;
    ensure!(counted(&one, 0)? > 0, "it does not run");
    ensure!(
        link.update(&second, Some(&second)).is_err(),
        "another one runs"
    );
    link.update(&second, Some(&first))?;
    Fire::Read.run(&two, &link)?;
    ensure!(counted(&two, 0)? > 0, "it does not run");
    ensure_eq!(
        link.fd().context("fd")?.info()?.prog_id,
        second.info()?.id()
    );
    let fixed = load("attach", &["raw_tp"])?;
    let link = auto(program(&fixed, "raw_tp")?)?.context("a link")?;
    ensure!(
        link.update(&first, None).is_err(),
        "a raw tracepoint is updated"
    );
    Ok(())
}

fn opened(name: &str) -> Result<Object> {
    loader::open(&fixture(&format!("bpf/{name}.bpf.o"))).with_context(|| name.to_owned())
}

/// The congestion controls that sockets can ask for.
fn controls() -> Result<String> {
    let path = "/proc/sys/net/ipv4/tcp_available_congestion_control";
    std::fs::read_to_string(path).context("read the congestion controls")
}

fn wait_for_controls(name: &str, there: bool) -> Result<()> {
    for _ in 0..500 {
        if controls()?.contains(name) == there {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    anyhow::bail!("{name}: expected {there} of {}", controls()?)
}

fn struct_ops_link(private: &Private) -> Result<()> {
    let load = || {
        opened("struct_ops")?
            .load(&LoadOptions::new())
            .map_err(anyhow::Error::from)
    };
    let loaded = load().map_err(|e| since((6, 4), e))?;
    let mut link = loaded.struct_ops("linked")?.attach()?;
    ensure!(controls()?.contains("rbpf_linked"), "{}", controls()?);
    let value = shown(link.fd().context("no link")?)?;
    ensure_eq!(value["type"], json!("struct_ops"));
    let map = |loaded: &Loaded| -> Result<u32> {
        let map = loaded
            .map("linked")
            .and_then(|map| map.fd())
            .context("a map")?;
        Ok(map.info()?.id)
    };
    ensure_eq!(value["map_id"], json!(map(&loaded)?));
    // the same operations of another load take over
    let other = load()?;
    other.struct_ops("linked")?.replace(&link)?;
    let value = shown(link.fd().context("no link")?)?;
    ensure_eq!(value["map_id"], json!(map(&other)?));
    let path = private.bpffs().join("ops");
    link.pin(&path)?;
    drop(link);
    ensure!(
        controls()?.contains("rbpf_linked"),
        "the pin does not keep it"
    );
    let mut link = Link::open_pinned(&path)?;
    link.unpin()?;
    link.detach()?;
    wait_for_controls("rbpf_linked", false)
}

fn struct_ops_plain(_: &Private) -> Result<()> {
    let mut object = opened("struct_ops")?;
    for map in object.maps_mut() {
        map.autocreate &= map.symbol != "linked";
    }
    let loaded = object.load(&LoadOptions::new());
    let loaded = loaded.map_err(|e| since((5, 13), e.into()))?;
    let link = loaded.struct_ops("kept")?.attach()?;
    ensure!(link.fd().is_none(), "it has a link");
    ensure!(controls()?.contains("rbpf_kept"), "{}", controls()?);
    link.detach()?;
    wait_for_controls("rbpf_kept", false)?;
    // both kinds, with the whole object
    if older_than((6, 4))? {
        return Ok(());
    }
    let loaded = opened("struct_ops")?.load(&LoadOptions::new())?;
    let links = loaded.attach()?;
    ensure_eq!(links.len(), 2);
    ensure!(controls()?.contains("rbpf_kept"), "{}", controls()?);
    drop(links);
    wait_for_controls("rbpf_kept", false)?;
    wait_for_controls("rbpf_linked", false)
}

fn freplace(_: &Private) -> Result<()> {
    let target = || {
        opened("target")?
            .load(&LoadOptions::new())
            .map_err(anyhow::Error::from)
    };
    let (one, two) = (target()?, target()?);
    let run = |loaded: &Loaded| -> Result<u32> {
        let prog = program(loaded, "program")?.fd().context("fd")?;
        Ok(ProgTestRun::new(prog).data_in(&[0; 64]).run()?.retval)
    };
    ensure_eq!(run(&one)?, 1064);
    let prog = Arc::new(program(&one, "program")?.fd().context("fd")?.try_clone()?);
    let types = one.btf().context("types")?.data()?;
    let types = Arc::new(Btf::parse(types)?);
    let mut object = opened("replaces")?;
    for program in object.programs_mut() {
        program.autoload = program.name == "instead";
        if program.autoload {
            let (prog, types) = (Arc::clone(&prog), Arc::clone(&types));
            program.set_target_prog(prog, types, Some("subject"))?;
        }
    }
    let replaces = object.load(&LoadOptions::new())?;
    let instead = program(&replaces, "instead")?;
    let link = auto(instead)?.context("a link")?;
    ensure_eq!(run(&one)?, 1001);
    let value = shown(link.fd().context("no link")?)?;
    ensure_eq!(value["type"], json!("tracing"));
    link.detach()?;
    ensure_eq!(run(&one)?, 1064);
    let how = AutoOptions {
        cookie: 0,
        target: Some(AttachTarget::Program {
            prog: program(&two, "program")?.fd().context("fd")?,
            function: "subject",
        }),
    };
    let link = auto_with(instead, &how)?.context("a link")?;
    ensure_eq!((run(&one)?, run(&two)?), (1064, 1001));
    drop(link);
    ensure_eq!(run(&two)?, 1064);
    let how = AutoOptions {
        cookie: 0,
        target: Some(AttachTarget::Program {
            prog: program(&two, "program")?.fd().context("fd")?,
            function: "function_of_no_program",
        }),
    };
    ensure!(auto_with(instead, &how).is_err(), "it attaches");
    Ok(())
}

/// Loads some programs of an object.
fn some(object: &str, names: &[&str]) -> Result<Loaded> {
    let mut object = opened(object)?;
    for program in object.programs_mut() {
        program.autoload = names.contains(&program.name.as_str());
    }
    Ok(object.load(&LoadOptions::new())?)
}

fn attached(loaded: &Loaded, name: &str, target: AttachTarget<'_>) -> Result<Link> {
    let how = AutoOptions {
        cookie: 0,
        target: Some(target),
    };
    auto_with(program(loaded, name)?, &how)?.context("a link")
}

fn is(link: &Link, kind: &str) -> Result<()> {
    let value = shown(link.fd().with_context(|| format!("{kind} has no link"))?)?;
    ensure_eq!(value["type"], json!(kind));
    Ok(())
}

fn interface(_: &Private) -> Result<()> {
    let loaded = some(
        "sections_net",
        &["on_xdp", "on_tcx_ingress", "on_tcx_egress"],
    )?;
    // each test works in a network namespace of its own, whose loopback nobody uses
    for target in [
        AttachTarget::Interface(1),
        AttachTarget::InterfaceName("lo"),
    ] {
        is(&attached(&loaded, "on_xdp", target)?, "xdp")?;
        for name in ["on_tcx_ingress", "on_tcx_egress"] {
            let link = attached(&loaded, name, target)?;
            if older_than((6, 6))? {
                ensure!(link.fd().is_none(), "tcx on an old kernel");
                link.detach()?;
            } else {
                is(&link, "tcx")?;
            }
        }
    }
    let error = attached(&loaded, "on_xdp", AttachTarget::InterfaceName("none0")).err();
    let error = format!("{:#}", error.context("it attaches")?);
    ensure!(error.contains("there is no interface 'none0'"), "{error}");
    Ok(())
}

fn cgroup(private: &Private) -> Result<()> {
    let names = [
        "on_cgroup_skb_ingress",
        "on_cgroup_connect4",
        "on_cgroup_dev",
    ];
    let loaded = some("sections_cgroup", &names)?;
    let path = private.cgroup()?;
    let dir = std::fs::File::open(&path).context("open a cgroup")?;
    for name in names {
        is(
            &attached(&loaded, name, AttachTarget::CgroupPath(&path))?,
            "cgroup",
        )?;
        is(
            &attached(&loaded, name, AttachTarget::Cgroup(dir.as_fd()))?,
            "cgroup",
        )?;
    }
    Ok(())
}

fn netns(_: &Private) -> Result<()> {
    let names = ["on_sk_lookup", "on_flow_dissector"];
    let loaded = some("sections_net", &names)?;
    let path = std::path::Path::new("/proc/thread-self/ns/net");
    let file = std::fs::File::open(path).context("open a network namespace")?;
    for name in names {
        for target in [
            AttachTarget::CurrentNetns,
            AttachTarget::NetnsPath(path),
            AttachTarget::Netns(file.as_fd()),
        ] {
            is(&attached(&loaded, name, target)?, "netns")?;
        }
    }
    Ok(())
}

fn sockets() -> Result<()> {
    let loaded = some("sections_net", &["on_sk_msg"])?;
    let map = MapCreate::new(MapType::SOCKMAP, 4, 4, 2).run()?;
    let link = attached(&loaded, "on_sk_msg", AttachTarget::Map(&map))?;
    if older_than((6, 10))? {
        link.detach()?;
        return Ok(());
    }
    is(&link, "sockmap")
}

fn netfilter() -> Result<()> {
    let loaded = match some("sections_net", &["on_netfilter"]) {
        Ok(loaded) => loaded,
        Err(e) => return Err(since((6, 4), e)),
    };
    let hook = Netfilter::ipv4(NetfilterHook::Input).priority(-7);
    let link = attached(&loaded, "on_netfilter", AttachTarget::Netfilter(&hook));
    let link = link.map_err(|e| since((6, 4), e))?;
    is(&link, "netfilter")
}

fn misfit() -> Result<()> {
    let loaded = some("sections_net", &["on_xdp", "on_tc"])?;
    let error = attached(&loaded, "on_xdp", AttachTarget::CurrentNetns).err();
    let error = format!("{:#}", error.context("it attaches")?);
    ensure!(
        error.contains("programs of type xdp do not attach to a network namespace"),
        "{error}"
    );
    let error = attached(&loaded, "on_tc", AttachTarget::Interface(1)).err();
    let error = format!("{:#}", error.context("it attaches")?);
    ensure!(error.contains("in which direction"), "{error}");
    ensure!(auto(program(&loaded, "on_xdp")?)?.is_none(), "it attaches");
    Ok(())
}

/// By the tool, which pins the links by the names of their programs.
fn loadall(private: &Private, programs: &str) -> Result<std::path::PathBuf> {
    let dir = private.bpffs().join("auto");
    let object = fixture("bpf/attach.bpf.o").display().to_string();
    let path = dir.display().to_string();
    let args = [
        "prog",
        "loadall",
        &object,
        &path,
        "only",
        programs,
        "autoattach",
    ];
    let out = run_tool(args)?;
    if out.status != 0 {
        ensure!(!dir.exists(), "it leaves a directory");
        let said = out.err();
        anyhow::bail!("{said}");
    }
    Ok(dir)
}

fn autoattach(private: &Private) -> Result<()> {
    let before = ids()?;
    if older_than((5, 15))? {
        let error = loadall(private, "raw_tp,tp")
            .err()
            .context("it pins")?
            .to_string();
        ensure!(error.contains("attaches to tracepoint"), "{error}");
        ensure!(error.contains("without a link"), "{error}");
        ensure_eq!(ids()?, before);
        return Ok(());
    }
    let dir = loadall(private, "raw_tp,tp,iter,runs")?;
    for (name, kind) in [
        ("raw_tp", "raw_tracepoint"),
        ("tp", "perf_event"),
        ("iter", "iter"),
    ] {
        let mut link = Link::open_pinned(&dir.join(name))?;
        is(&link, kind)?;
        link.unpin()?;
        link.detach()?;
    }
    std::fs::remove_file(dir.join("runs")).context("unpin a program")?;
    std::fs::remove_dir(&dir).context("remove the directory")?;
    // the last one fails, and takes the others along
    let error = loadall(private, "raw_tp,tp,tp_missing")
        .err()
        .context("it attaches")?;
    let error = error.to_string();
    ensure!(
        error.contains("failed to attach program tp_missing")
            && error.contains("there is no tracepoint 'bpf_test_run/of_no_kernel'"),
        "{error}"
    );
    Ok(())
}

fn autoattach_functions(private: &Private) -> Result<()> {
    requires!(
        !older_than((5, 15))?,
        "needs Linux 5.15, for links of probes"
    );
    let mut expected = vec![
        ("kprobe", "perf_event"),
        ("kretprobe", "perf_event"),
        ("ksyscall", "perf_event"),
        ("fentry", "tracing"),
    ];
    if !older_than((5, 18))? && !lacks("CONFIG_FPROBE") {
        expected.push(("kprobe_multi", "kprobe_multi"));
    }
    let names: Vec<&str> = expected.iter().map(|(name, _)| *name).collect();
    let dir = loadall(private, &names.join(","))?;
    for (name, kind) in expected {
        let mut link = Link::open_pinned(&dir.join(name))?;
        is(&link, kind)?;
        link.unpin()?;
        link.detach()?;
    }
    std::fs::remove_dir(&dir).context("remove the directory")?;
    Ok(())
}
