//! Sockets: socket maps, filters, those that share a port, infrared receivers.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bpfsys::cmd::{MapCreate, MapDeleteElem, MapUpdateElem, ProgQuery};
use bpfsys::{AttachType, MapFd, MapType, ProgType, probe};
use loader::attach::{Lirc, Socket, Sockmap};
use rbpftool_tests::{Private, ensure_eq, skip};
use rustix::net::{AddressFamily, SocketType, bind, socket, sockopt};
use serde_json::json;

use crate::support::{Counter, Test, change, loopback, received, refused, shown};

pub(crate) const TESTS: &[Test] = &[
    ("sockmap::redirect", redirect),
    ("sockmap::verdict", verdict),
    ("socket::filter", filter),
    ("socket::reuseport", reuseport),
    ("lirc", lirc),
];

/// A connection to ourselves.
fn connection() -> Result<(TcpStream, TcpStream)> {
    loopback()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let near = TcpStream::connect(listener.local_addr()?)?;
    let (far, _) = listener.accept()?;
    for stream in [&near, &far] {
        stream.set_read_timeout(Some(Duration::from_millis(400)))?;
    }
    Ok((near, far))
}

fn sockmap(sockets: &[&TcpStream]) -> Result<MapFd> {
    let map = MapCreate::new(MapType::SOCKMAP, 4, 8, 4)
        .name("n_sockets")
        .run()?;
    for (key, socket) in (0_u32..).zip(sockets) {
        let fd = u64::try_from(socket.as_raw_fd())?;
        MapUpdateElem::new(&map, &key.to_ne_bytes(), &fd.to_ne_bytes()).run()?;
    }
    Ok(map)
}

/// What one socket sends is received by another that nobody wrote to.
fn redirect(_: &Private) -> Result<()> {
    let (one, one_far) = connection()?;
    let (two, _two_far) = connection()?;
    // A program that takes the map must come before the map has sockets.
    let map = sockmap(&[])?;
    // bpf_msg_redirect_map to the sockets' receive side
    let end = format!(
        "r1 = r6\nr2 = map[id:{}]\nr3 = 1\nr4 = 1\ncall bpf_msg_redirect_map#60\nexit",
        map.as_raw_fd()
    );
    let redirects = Counter::with(ProgType::SK_MSG, None, &end)?;
    let hook = Sockmap::new(&map, AttachType::SK_MSG_VERDICT);
    let link = hook.attach(&redirects.prog)?;
    for (key, socket) in [(0_u32, &one), (1, &two)] {
        let fd = u64::try_from(socket.as_raw_fd())?;
        MapUpdateElem::new(&map, &key.to_ne_bytes(), &fd.to_ne_bytes()).run()?;
    }
    (&one).write_all(b"over there")?;
    let mut buffer = [0; 10];
    (&two).read_exact(&mut buffer).context("nothing came")?;
    ensure_eq!(&buffer, b"over there");
    ensure!((&one_far).read(&mut buffer).is_err(), "it went both ways");
    ensure!(redirects.hits()? > 0);
    if link.fd().is_some() {
        let id = map.info()?.id;
        shown(
            &link,
            redirects.id()?,
            &json!({"type": "sockmap", "map_id": id, "attach_type": "sk_msg_verdict"}),
        )?;
        let other = Counter::new(ProgType::SK_MSG, None, 1)?;
        refused(hook.attach_prog(&other.prog), "EBUSY")?;
        link.update(&other.prog, Some(&redirects.prog))?;
    }
    link.detach()?;
    let unfit = Counter::new(ProgType::XDP, None, 2)?;
    refused(hook.attach(&unfit.prog), "attach to sk_msg_verdict")
}

/// Without a link, through the tool as well.
fn verdict(_: &Private) -> Result<()> {
    let (near, far) = connection()?;
    let map = sockmap(&[])?;
    let passes = Counter::new(ProgType::SK_SKB, None, 1)?;
    let drops = Counter::new(ProgType::SK_SKB, None, 0)?;
    let hook = Sockmap::new(&map, AttachType::SK_SKB_STREAM_VERDICT);
    let link = hook.attach_prog(&passes.prog)?;
    let fd = u64::try_from(far.as_raw_fd())?;
    MapUpdateElem::new(&map, &[0; 4], &fd.to_ne_bytes()).run()?;
    let mut buffer = [0; 4];
    let mut arrives = |program: &Counter| -> Result<bool> {
        let before = program.hits()?;
        (&near).write_all(b"1234")?;
        let read = (&far).read(&mut buffer).is_ok();
        ensure!(program.hits()? > before, "it did not run");
        Ok(read)
    };
    ensure!(arrives(&passes)?, "lost");
    // it takes the other one's place
    change(&format!(
        "prog attach id {} sk_skb_stream_verdict id {}",
        drops.id()?,
        map.info()?.id
    ))?;
    // sockets in the map keep the program with which they came
    MapDeleteElem::new(&map, &[0; 4]).run()?;
    MapUpdateElem::new(&map, &[0; 4], &fd.to_ne_bytes()).run()?;
    ensure!(!arrives(&drops)?, "what is dropped arrived");
    ensure!(link.detach().is_err(), "detached what is replaced");
    change(&format!(
        "prog detach id {} stream_verdict id {}",
        drops.id()?,
        map.info()?.id
    ))
}

fn filter(_: &Private) -> Result<()> {
    loopback()?;
    let to = UdpSocket::bind("127.0.0.1:0")?;
    to.set_read_timeout(Some(Duration::from_millis(400)))?;
    let from = UdpSocket::bind("127.0.0.1:0")?;
    // the bytes that are kept: none
    let drops = Counter::new(ProgType::SOCKET_FILTER, None, 0)?;
    let link = Socket::new(to.as_fd()).attach_filter(&drops.prog)?;
    ensure!(!received(&from, &to)?, "what is dropped arrived");
    ensure!(drops.hits()? > 0);
    link.detach()?;
    ensure!(received(&from, &to)?, "lost");
    let unfit = Counter::new(ProgType::XDP, None, 2)?;
    refused(
        Socket::new(to.as_fd()).attach_filter(&unfit.prog),
        "attach to a socket",
    )
}

/// Two sockets of one port.
fn sharing() -> Result<(UdpSocket, UdpSocket)> {
    let open = |address: SocketAddr| -> Result<UdpSocket> {
        let socket = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
        sockopt::set_socket_reuseport(&socket, true)?;
        bind(&socket, &address)?;
        let socket = UdpSocket::from(socket);
        socket.set_read_timeout(Some(Duration::from_millis(400)))?;
        Ok(socket)
    };
    let one = open(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let two = open(one.local_addr()?)?;
    Ok((one, two))
}

fn reuseport(_: &Private) -> Result<()> {
    loopback()?;
    let (one, two) = sharing()?;
    let from = UdpSocket::bind("127.0.0.1:0")?;
    let came = || -> Result<bool> {
        let first = received(&from, &one)?;
        two.set_read_timeout(Some(Duration::from_millis(50)))?;
        Ok(first || two.recv(&mut [0; 4]).is_ok())
    };
    let at = Some(AttachType::SK_REUSEPORT_SELECT);
    let drops = Counter::new(ProgType::SK_REUSEPORT, at, 0)
        .or_else(|_older| Counter::new(ProgType::SK_REUSEPORT, None, 0))?;
    let link = Socket::new(one.as_fd()).attach_reuseport(&drops.prog)?;
    ensure!(!came()?, "what is dropped arrived");
    ensure!(drops.hits()? > 0);
    link.detach()?;
    ensure!(came()?, "lost");
    let lone = UdpSocket::bind("127.0.0.1:0")?;
    refused(
        Socket::new(lone.as_fd()).attach_reuseport(&drops.prog),
        "sockets of one port",
    )
}

fn lirc(_: &Private) -> Result<()> {
    let Ok(device) = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/lirc0")
    else {
        return Err(skip("there is no infrared receiver"));
    };
    rbpftool_tests::requires!(
        !probe::prog_type(ProgType::LIRC_MODE2).is_no(),
        "this kernel has a receiver, but no programs for it"
    );
    let decodes = Counter::new(ProgType::LIRC_MODE2, None, 0)?;
    let link = Lirc::new(device.as_fd()).attach(&decodes.prog)?;
    let ids = || -> Result<Vec<u32>> {
        let query = ProgQuery::new(&device, AttachType::LIRC_MODE2).run()?;
        Ok(query.progs.iter().map(|p| p.prog_id.get()).collect())
    };
    ensure_eq!(ids()?, [decodes.id()?]);
    refused(Lirc::new(device.as_fd()).attach(&decodes.prog), "EEXIST")?;
    link.detach()?;
    ensure_eq!(ids()?, [0; 0]);
    let id = decodes.id()?;
    change(&format!("prog attach id {id} lirc_mode2 device /dev/lirc0"))?;
    ensure_eq!(ids()?, [id]);
    change(&format!("prog detach id {id} lirc_mode2 device /dev/lirc0"))?;
    ensure_eq!(ids()?, [0; 0]);
    Ok(())
}
