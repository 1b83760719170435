//! What is done for a tool to see, and what of it must be on a line.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::mount::{MsFlags, mount, umount};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rbpftool_tests::{Private, run};

/// Does something; parts of the line that tells of it.
pub(crate) type Act = fn(&Private) -> Result<Vec<String>>;

macro_rules! parts {
    ($($part:literal $(, $value:expr)?;)*) => {
        Ok(vec![$(format!($part $(, $value)?)),*])
    };
}

fn me() -> u32 {
    std::process::id()
}

/// The name of this thread, as the kernel has it.
fn comm() -> Result<String> {
    let comm = std::fs::read_to_string("/proc/thread-self/comm").context("read the own name")?;
    Ok(comm.trim_end().to_owned())
}

pub(crate) fn executes(_private: &Private) -> Result<Vec<String>> {
    let mut child = Command::new("/bin/true")
        .args(["one", "two"])
        .spawn()
        .context("run true")?;
    let pid = child.id();
    child.wait().context("wait for true")?;
    parts! {
        "pid: {pid}, ppid: {}, uid: 0, retval: 0", me();
        "comm: \"true\"";
        "args: \"/bin/true one two\"";
    }
}

pub(crate) fn exits(_private: &Private) -> Result<Vec<String>> {
    let mut child = Command::new("/bin/bash")
        .args(["-c", "exit 3"])
        .spawn()
        .context("run bash")?;
    let pid = child.id();
    child.wait().context("wait for bash")?;
    parts! {
        "pid: {pid}, tid: {pid}, ppid: {}, sig: 0, exit_code: 3", me();
        "comm: \"bash\"";
    }
}

pub(crate) fn opens(private: &Private) -> Result<Vec<String>> {
    let path = private.dir().join("opened");
    let file = File::create(&path).context("make a file")?;
    parts! {
        "pid: {}, uid: 0", me();
        "ret: {}", file.as_raw_fd();
        "comm: \"{}\"", comm()?;
        "fname: \"{}\"", path.display();
    }
}

pub(crate) fn creates_and_removes(private: &Private) -> Result<Vec<String>> {
    let path = private.dir().join("short_lived");
    drop(File::create(&path).context("make a file")?);
    std::fs::remove_file(&path).context("remove it")?;
    parts! {
        "fname: \"short_lived\"";
        "task: \"{}\"", comm()?;
        "tgid: {}", me();
    }
}

pub(crate) fn mounts(private: &Private) -> Result<Vec<String>> {
    let at = private.dir().join("mounted");
    std::fs::create_dir_all(&at).context("make a directory to mount on")?;
    let none: Option<&str> = None;
    mount(
        Some("from_nowhere"),
        &at,
        Some("tmpfs"),
        MsFlags::empty(),
        none,
    )
    .context("mount")?;
    umount(&at).context("unmount")?;
    parts! {
        "pid: {}", me();
        "ret: 0, op: 1";
        "comm: \"{}\"", comm()?;
        "fs: \"tmpfs\", src: \"from_nowhere\", dest: \"{}\"", at.display();
    }
}

pub(crate) fn asks_for_a_file(private: &Private) -> Result<Vec<String>> {
    let path = private.dir().join("not_there");
    ensure!(!path.exists(), "it is there");
    parts! {
        "pid: {}", me();
        "ret: -2";
        "comm: \"{}\"", comm()?;
        "pathname: \"{}\"", path.display();
    }
}

pub(crate) fn syncs(private: &Private) -> Result<Vec<String>> {
    let file = File::create(private.dir().join("synced")).context("make a file")?;
    file.sync_all().context("sync it")?;
    // The place of `fsync` among the tool's system calls.
    parts! {
        "comm: \"{}\"", comm()?;
        "sys: 2";
    }
}

pub(crate) fn kills(_private: &Private) -> Result<Vec<String>> {
    let mut child = Command::new("/bin/sleep")
        .arg("100")
        .stdout(Stdio::null())
        .spawn()
        .context("run sleep")?;
    let pid = child.id();
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM).context("end it")?;
    child.wait().context("wait for sleep")?;
    parts! {
        "pid: {}, tpid: {pid}, sig: 15, ret: 0", me();
        "comm: \"{}\"", comm()?;
    }
}

/// A connection over the loopback, through which five bytes go; the port that was listened on.
fn connection() -> Result<u16> {
    run(Command::new("ip").args(["link", "set", "lo", "up"]), b"")?;
    let listener = TcpListener::bind("127.0.0.1:0").context("listen")?;
    let at = listener.local_addr().context("ask for the port")?;
    let mut client = TcpStream::connect(at).context("connect")?;
    let (mut server, _from) = listener.accept().context("accept")?;
    client.write_all(b"hello").context("send")?;
    drop(client);
    let mut heard = Vec::new();
    server.read_to_end(&mut heard).context("receive")?;
    ensure!(heard == b"hello", "something else was heard");
    Ok(at.port())
}

pub(crate) fn connects(_private: &Private) -> Result<Vec<String>> {
    let port = connection()?;
    // The address and the port as they are on the wire.
    parts! {
        "daddr_v4: {}", u32::from_ne_bytes([127, 0, 0, 1]);
        "task: \"{}\"", comm()?;
        "af: 2, pid: {}", me();
        "dport: {}", port.to_be();
    }
}

pub(crate) fn connects_in_some_time(_private: &Private) -> Result<Vec<String>> {
    let port = connection()?;
    parts! {
        "comm: \"{}\"", comm()?;
        "tgid: {}, af: 2", me();
        "dport: {}", port.to_be();
    }
}

pub(crate) fn ends_a_connection(_private: &Private) -> Result<Vec<String>> {
    let port = connection()?;
    parts! {
        "pid: {}", me();
        "dport: {port}, family: 2";
        "comm: \"{}\"", comm()?;
    }
}

pub(crate) fn changes_state(_private: &Private) -> Result<Vec<String>> {
    let port = connection()?;
    // From closed to where the first packet is sent.
    parts! {
        "pid: {}, oldstate: 7, newstate: 2, family: 2", me();
        "dport: {port}, task: \"{}\"", comm()?;
    }
}

pub(crate) fn binds(_private: &Private) -> Result<Vec<String>> {
    let port = connection()?;
    parts! {
        "pid: {}", me();
        "ret: 0, port: {port}";
        "task: \"{}\"", comm()?;
    }
}

pub(crate) fn listens(_private: &Private) -> Result<Vec<String>> {
    let port = connection()?;
    parts! {
        "pid: {}", me();
        "ret: 0, port: {port}, task: \"{}\"", comm()?;
    }
}

pub(crate) fn sleeps(_private: &Private) -> Result<Vec<String>> {
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(20));
    }
    parts! {
        "task: \"{}\"", comm()?;
        "pid: {}", me();
    }
}

/// So many directories that nobody else makes as many.
pub(crate) fn makes_directories(private: &Private) -> Result<Vec<String>> {
    let many: Vec<PathBuf> = (0..77)
        .map(|n| private.dir().join(format!("made_{n}")))
        .collect();
    for path in &many {
        std::fs::create_dir(path).context("make a directory")?;
        std::fs::remove_dir(path).context("remove it")?;
    }
    // The last but one of the tool's counters. Removed directories are the last, which stays 0
    // where the compiler of the kernel has inlined the function.
    parts! { ".bss: {{stats: ["; ", 77, "; }
}
