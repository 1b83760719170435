//! A bpffs that delegates everything to a user namespace.
//!
//! It takes two processes: the file system must belong to the new user
//! namespace, and only the old one may say what it delegates. They talk over a
//! socket, which is the standard input of the one inside.

use std::io::{IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};
use nix::sched::{CloneFlags, unshare};
use rbpftool_tests::skip;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount,
    fsopen,
};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Set for the process inside: what it is to do.
const INSIDE: &str = "RBPF_TOKEN_INSIDE";

/// What the process inside says first when it may not have a user namespace.
const REFUSED: u8 = b'!';

/// What this process is to do inside, if it is there.
pub(crate) fn task_inside() -> Option<String> {
    std::env::var(INSIDE).ok()
}

/// Runs this program again, inside, with a task; what it wrote to its standard error if it failed.
///
/// # Errors
///
/// A skip where there are no user namespaces.
pub(crate) fn run_inside(task: &str) -> Result<Result<(), String>> {
    let (ours, theirs) = UnixStream::pair().context("make a pair of sockets")?;
    let me = std::env::current_exe().context("find this executable")?;
    let mut child = Command::new(me)
        .env(INSIDE, task)
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("start this program again")?;
    let prepared = prepare(&ours, &child);
    // With nothing more to come it ends, whether or not it got what it waits for.
    drop(ours);
    let mut said = String::new();
    let mut stderr = child.stderr.take().context("no stderr")?;
    stderr.read_to_string(&mut said).context("read stderr")?;
    let status = child.wait().context("wait for a child")?;
    prepared?;
    Ok(if status.success() { Ok(()) } else { Err(said) })
}

fn prepare(mut socket: &UnixStream, child: &Child) -> Result<()> {
    let mut word = [REFUSED];
    socket.read_exact(&mut word).context("hear from inside")?;
    if word == [REFUSED] {
        return Err(skip("user namespaces are not allowed here"));
    }
    let proc = format!("/proc/{}", child.id());
    for (name, text) in [
        ("setgroups", "deny"),
        ("uid_map", "0 0 1"),
        ("gid_map", "0 0 1"),
    ] {
        std::fs::write(format!("{proc}/{name}"), text).with_context(|| format!("write {name}"))?;
    }
    socket.write_all(b"m").context("answer")?;
    let context = receive(socket).context("get the file system's context")?;
    for what in [
        "delegate_cmds",
        "delegate_maps",
        "delegate_progs",
        "delegate_attachs",
    ] {
        fsconfig_set_string(context.as_fd(), what, "any").with_context(|| format!("set {what}"))?;
    }
    fsconfig_create(context.as_fd()).context("make the file system")?;
    let mount = fsmount(
        context.as_fd(),
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::empty(),
    )
    .context("mount it")?;
    send(socket, mount.as_fd())
}

/// Inside: moves to a user namespace; the mount of its bpffs.
pub(crate) fn enter() -> Result<OwnedFd> {
    let stdin = std::io::stdin();
    let socket = stdin.as_fd().try_clone_to_owned().context("our socket")?;
    let mut socket = UnixStream::from(socket);
    let flags = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET;
    if let Err(e) = unshare(flags) {
        socket.write_all(&[REFUSED]).context("say so")?;
        return Err(e).context("make a user namespace");
    }
    socket.write_all(b"n").context("ask for a mapping")?;
    socket.read_exact(&mut [0]).context("wait for a mapping")?;
    let context = fsopen("bpf", FsOpenFlags::FSOPEN_CLOEXEC).context("open bpffs")?;
    send(&socket, context.as_fd())?;
    receive(&socket).context("get the mount")
}

fn send(socket: &UnixStream, fd: BorrowedFd<'_>) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [fd];
    anyhow::ensure!(
        control.push(SendAncillaryMessage::ScmRights(&fds)),
        "no room for a descriptor"
    );
    sendmsg(
        socket,
        &[IoSlice::new(b"x")],
        &mut control,
        SendFlags::empty(),
    )
    .context("send a descriptor")?;
    Ok(())
}

fn receive(socket: &UnixStream) -> Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut byte)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )
    .context("receive")?;
    control
        .drain()
        .find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        })
        .context("no descriptor came")
}
