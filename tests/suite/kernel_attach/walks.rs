//! Iterators: as many elements as there are of what each walks.

use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::net::UnixListener;

use anyhow::{Context as _, Result, ensure};
use bpfsys::cmd::{IterTargetSpec, MapCreate, MapUpdateElem};
use bpfsys::uapi::enums::CgroupIterOrder;
use bpfsys::{MapType, ProgFd};
use loader::attach::Iter;
use loader::kernel::LoadOptions;
use loader::streams::IterReader;
use nix::sys::socket::{
    AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, socket,
};
use rbpftool_tests::{Private, ensure_eq, fixture};

use crate::support::{Bench, program, since};

/// What is walked, since which kernel.
const WALKS: [(&str, (u16, u16)); 14] = [
    ("task", (5, 8)),
    ("task_file", (5, 8)),
    ("task_vma", (5, 12)),
    ("bpf_map", (5, 8)),
    ("bpf_prog", (5, 9)),
    ("bpf_link", (5, 19)),
    ("cgroup", (6, 1)),
    ("ksym", (6, 0)),
    ("kmem_cache", (6, 15)),
    ("tcp", (5, 9)),
    ("udp", (5, 9)),
    ("unix", (5, 15)),
    ("netlink", (5, 8)),
    ("sockmap", (5, 10)),
];

pub(crate) fn add(bench: &mut Bench) {
    for (name, version) in WALKS {
        bench.one(format!("iter::{name}"), move |private| {
            walk(private, name).map_err(|error| since(version, error))
        });
    }
}

fn walk(private: &Private, name: &str) -> Result<()> {
    let mut object = loader::open(&fixture("bpf/iterates_any.bpf.o"))?;
    let walker = object.program_mut(name).context("no such iterator")?;
    walker.autoload = true;
    let loaded = object.load(&LoadOptions::new())?;
    let prog = program(&loaded, name)?.fd().context("fd")?;
    let any = IterTargetSpec::All;
    let here = || "0.0.0.0:0".parse::<std::net::SocketAddr>();
    match name {
        "cgroup" => {
            let top = private.cgroup()?;
            let below = ["one", "two"].map(|name| top.join(name));
            for path in &below {
                std::fs::create_dir(path).context("make a cgroup")?;
            }
            let opened = std::fs::File::open(&top).context("open a cgroup")?;
            let target = |order| IterTargetSpec::Cgroup {
                cgroup: Some(opened.as_fd()),
                order,
            };
            let itself = elements(prog, target(CgroupIterOrder::SELF_ONLY));
            let all = elements(prog, target(CgroupIterOrder::DESCENDANTS_PRE));
            for path in &below {
                std::fs::remove_dir(path).context("remove a cgroup")?;
            }
            ensure_eq!((itself?, all?), (1, 3));
        }
        "sockmap" => {
            let map = MapCreate::new(MapType::SOCKMAP, 4, 4, 4).run()?;
            ensure_eq!(elements(prog, IterTargetSpec::Map(&map))?, 0);
            let sockets = [UdpSocket::bind(here()?)?, UdpSocket::bind(here()?)?];
            for (at, socket) in (1_u32..).zip(&sockets) {
                let fd = socket.as_raw_fd().to_ne_bytes();
                MapUpdateElem::new(&map, &at.to_ne_bytes(), &fd).run()?;
            }
            ensure_eq!(elements(prog, IterTargetSpec::Map(&map))?, 2);
        }
        "tcp" => more_with(prog, || Ok(TcpListener::bind(here()?)?))?,
        "udp" => more_with(prog, || Ok(UdpSocket::bind(here()?)?))?,
        "unix" => {
            let path = private.dir().join("walked");
            more_with(prog, || Ok(UnixListener::bind(&path)?))?;
            std::fs::remove_file(&path).context("remove a socket")?;
        }
        "netlink" => more_with(prog, || {
            let family = AddressFamily::Netlink;
            let route = Some(SockProtocol::NetlinkRoute);
            let made = socket(family, SockType::Raw, SockFlag::empty(), route)?;
            bind(made.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
            Ok(made)
        })?,
        "bpf_map" => more_with(prog, || Ok(MapCreate::new(MapType::ARRAY, 4, 4, 1).run()?))?,
        _ => ensure!(elements(prog, any)? > 0, "nothing is walked"),
    }
    Ok(())
}

/// One more is walked when there is one more.
fn more_with<T>(prog: &ProgFd, make: impl FnOnce() -> Result<T>) -> Result<()> {
    let before = elements(prog, IterTargetSpec::All)?;
    let made = make()?;
    let after = elements(prog, IterTargetSpec::All)?;
    drop(made);
    ensure!(after > before, "there were {before}, there are {after}");
    Ok(())
}

/// How many bytes an iterator that writes one for each element has written.
fn elements(prog: &ProgFd, target: IterTargetSpec<'_>) -> Result<usize> {
    let link = Iter::over(target).attach(prog)?;
    let reader = IterReader::new(link.fd().context("a link")?)?;
    let text = std::io::read_to_string(reader).context("read it")?;
    ensure!(text.bytes().all(|byte| byte == b'.'), "{text}");
    Ok(text.len())
}
