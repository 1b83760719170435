//! Programs that count, packets to be counted, and what is shown of it all.

use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bpfsys::cmd::{MapCreate, MapLookupElem, ProgLoad};
use bpfsys::{AttachType, KernelVersion, MapFd, MapType, ProgFd, ProgType};
use loader::attach::{AttachError, Link};
use rbpftool_tests::kernel::KernelConfig;
use rbpftool_tests::state::progs::asm;
use rbpftool_tests::{Private, ensure_eq, run, run_tool, skip};
use serde_json::Value;

/// A test that knows where it may work.
pub(crate) type Test = (&'static str, fn(&Private) -> Result<()>);

/// No programs.
pub(crate) const NONE: [Value; 0] = [];

/// A program that counts how often it runs.
pub(crate) struct Counter {
    pub(crate) prog: ProgFd,
    hits: MapFd,
}

impl Counter {
    /// One that returns `ret`.
    pub(crate) fn new(kind: ProgType, at: Option<AttachType>, ret: i32) -> Result<Self> {
        Self::with(kind, at, &format!("r0 = {ret}\nexit"))
    }

    /// One that ends so; register 6 has the context.
    pub(crate) fn with(kind: ProgType, at: Option<AttachType>, end: &str) -> Result<Self> {
        Self::load(end, |insns| {
            let load = ProgLoad::new(kind, insns).license("GPL").name("n_counter");
            match at {
                Some(at) => load.expected_attach_type(at),
                None => load,
            }
            .run()
        })
    }

    /// One that is loaded otherwise.
    pub(crate) fn load(
        end: &str,
        load: impl FnOnce(&[bpfsys::insn::Insn]) -> Result<ProgFd, bpfsys::LoadError>,
    ) -> Result<Self> {
        let hits = MapCreate::new(MapType::ARRAY, 4, 8, 1)
            .name("n_hits")
            .run()?;
        let insns = asm(&format!(
            "r6 = r1\nr1 = map[id:{}][0]+0\nr2 = 1\nlock *(u64 *)(r1 +0) += r2\n{end}",
            hits.as_raw_fd()
        ))?;
        let prog = load(&insns).context("load a program that counts")?;
        Ok(Self { prog, hits })
    }

    /// How often it ran.
    pub(crate) fn hits(&self) -> Result<u64> {
        let mut value = [0; 8];
        MapLookupElem::new(&self.hits, &[0; 4]).run(&mut value)?;
        Ok(u64::from_ne_bytes(value))
    }

    pub(crate) fn id(&self) -> Result<u32> {
        Ok(self.prog.info()?.id)
    }

    /// Whether `act` makes it run.
    pub(crate) fn runs(&self, act: impl FnOnce() -> Result<()>) -> Result<bool> {
        let before = self.hits()?;
        act()?;
        Ok(self.hits()? > before)
    }
}

/// The loopback of our own namespace, up.
pub(crate) fn loopback() -> Result<u32> {
    ip("link set lo up")?;
    Ok(1)
}

/// Runs `ip`.
pub(crate) fn ip(line: &str) -> Result<()> {
    let mut command = Command::new("ip");
    command.args(line.split(' '));
    let out = run(&mut command, b"")?;
    ensure!(out.status == 0, "$ ip {line}\n{}", out.err());
    Ok(())
}

/// The number of an interface.
pub(crate) fn ifindex(name: &str) -> Result<u32> {
    nix::net::if_::if_nametoindex(name).with_context(|| format!("find {name}"))
}

/// Two interfaces that are one cable, for as long as this lives.
pub(crate) struct Veth;

impl Veth {
    /// `n_a` has an address of a network whose other addresses are nobody's.
    pub(crate) fn new() -> Result<Self> {
        ip("link add n_a type veth peer name n_b")?;
        let this = Self;
        ip("link set n_a up")?;
        ip("link set n_b up")?;
        ip("addr add 10.77.0.1/24 dev n_a")?;
        Ok(this)
    }
}

impl Drop for Veth {
    fn drop(&mut self) {
        let _gone_with_the_namespace = ip("link del n_a");
    }
}

/// Sends a packet to an address of a network.
pub(crate) fn send_to(address: &str) -> Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket
        .send_to(b"x", address)
        .with_context(|| format!("send to {address}"))?;
    // the kernel may let another processor do it
    std::thread::sleep(Duration::from_millis(50));
    Ok(())
}

/// Whether a packet to ourselves arrives.
pub(crate) fn arrives() -> Result<bool> {
    let to = UdpSocket::bind("127.0.0.1:0")?;
    to.set_read_timeout(Some(Duration::from_millis(400)))?;
    let from = UdpSocket::bind("127.0.0.1:0")?;
    received(&from, &to)
}

/// A packet must arrive.
pub(crate) fn must_arrive() -> Result<()> {
    ensure!(arrives()?, "lost");
    Ok(())
}

/// Whether a packet from one socket arrives at another.
pub(crate) fn received(from: &UdpSocket, to: &UdpSocket) -> Result<bool> {
    from.send_to(b"x", to.local_addr()?).context("send")?;
    let mut buffer = [0; 4];
    match to.recv(&mut buffer) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error).context("receive"),
    }
}

/// A mechanism that came with this kernel; older ones must refuse it, newer ones must not.
pub(crate) fn since(version: (u16, u16), made: Result<Link, AttachError>) -> Result<Link> {
    let running = KernelVersion::running()?;
    match made {
        Ok(link) => Ok(link),
        Err(error)
            if (running.major, running.minor) < version
                && (error.sys().is_some() || matches!(error, AttachError::Unsupported { .. })) =>
        {
            Err(skip(format!(
                "needs Linux {}.{}: {:#}",
                version.0,
                version.1,
                anyhow::Error::from(error)
            )))
        }
        Err(error) => Err(error.into()),
    }
}

/// Skips where the kernel was built without something.
pub(crate) fn needs_config(option: &str) -> Result<()> {
    match KernelConfig::running() {
        Ok(config) if !config.is_set(option) => Err(skip(format!(
            "this kernel is built without CONFIG_{option}"
        ))),
        _ => Ok(()),
    }
}

/// Fails unless an attempt fails and says so.
pub(crate) fn refused(made: Result<Link, AttachError>, why: &str) -> Result<()> {
    match made {
        Ok(link) => bail!("{} worked", link.what()),
        Err(error) => {
            let text = format!("{:#}", anyhow::Error::from(error));
            ensure!(text.contains(why), "'{text}' does not say '{why}'");
            Ok(())
        }
    }
}

/// Runs the tool and wants success; its answer as text and as JSON.
pub(crate) fn tool(line: &str) -> Result<(String, Value)> {
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let text = run_tool(words(line))?;
    ensure!(text.status == 0, "$ {line}\n{}", text.err());
    let json = run_tool(words(&format!("-j {line}")))?;
    ensure!(json.status == 0, "$ -j {line}\n{}", json.out());
    let value = json.json().with_context(|| format!("$ -j {line}"))?;
    Ok((text.out(), value))
}

/// Runs the tool once, for a change.
pub(crate) fn change(line: &str) -> Result<()> {
    let out = run_tool(line.split(' '))?;
    ensure!(out.status == 0, "$ {line}\n{}", out.err());
    Ok(())
}

/// Runs the tool and wants an error that says `why`.
pub(crate) fn complains(line: &str, why: &str) -> Result<()> {
    let out = run_tool(line.split(' '))?;
    ensure!(out.status != 0, "$ {line}\nworked");
    ensure!(out.err().contains(why), "$ {line}\n{}", out.err());
    Ok(())
}

/// What `net show` says: one of its four parts.
pub(crate) fn net(part: &str) -> Result<Vec<Value>> {
    let (_, value) = tool("net show")?;
    let all = value.get(0).and_then(|all| all.get(part)?.as_array());
    all.cloned()
        .with_context(|| format!("no {part} in {value}"))
}

/// What `link show` says about a link: it has this program and the fields of `wanted`.
pub(crate) fn shown(link: &Link, program: u32, wanted: &Value) -> Result<()> {
    let id = link.fd().context("no BPF link")?.info()?.id;
    let (_, value) = tool(&format!("link show id {id}"))?;
    ensure_eq!(
        value.get("prog_id").and_then(Value::as_u64),
        Some(program.into())
    );
    contains(&value, wanted)
}

/// Fails unless an object has these fields.
pub(crate) fn contains(value: &Value, wanted: &Value) -> Result<()> {
    let wanted = wanted.as_object().context("no object")?;
    for (key, field) in wanted {
        ensure_eq!(value.get(key), Some(field), "{key} in {value}");
    }
    Ok(())
}
