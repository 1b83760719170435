"""Runs a program in a user namespace, with a bpffs that delegates everything.

    delegate.py PROGRAM ARG...

The directory of that bpffs is open in the program as the descriptor whose
number is in RBPF_TOKEN_DIR. It takes two processes: the mount must belong to
the new user namespace, and only the old one may say what it delegates.
"""
import array
import ctypes
import os
import socket
import sys

libc = ctypes.CDLL(None, use_errno=True)
FSCONFIG, FSMOUNT, FSOPEN = 431, 432, 430
SET_STRING, CREATE = 1, 6
NEWUSER, NEWNS, NEWNET = 0x10000000, 0x00020000, 0x40000000


def call(what, result):
    if result < 0:
        error = ctypes.get_errno()
        sys.exit(f"{what}: {os.strerror(error)}")
    return result


def send(sock, fd):
    sock.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])


def receive(sock):
    _, control, _, _ = sock.recvmsg(1, socket.CMSG_SPACE(4))
    fds = array.array("i")
    fds.frombytes(control[0][2][:4])
    return fds[0]


def child(sock):
    call("unshare", libc.unshare(NEWUSER | NEWNS | NEWNET))
    sock.send(b"n")
    sock.recv(1)
    context = call("fsopen", libc.syscall(FSOPEN, b"bpf", 0))
    send(sock, context)
    mount = receive(sock)
    os.set_inheritable(mount, True)
    os.environ["RBPF_TOKEN_DIR"] = str(mount)
    os.execv(sys.argv[1], sys.argv[1:])


def parent(sock, pid):
    sock.recv(1)
    for name, text in (("setgroups", "deny"), ("uid_map", "0 0 1"), ("gid_map", "0 0 1")):
        with open(f"/proc/{pid}/{name}", "w") as file:
            file.write(text)
    sock.send(b"m")
    context = receive(sock)
    for what in (b"delegate_cmds", b"delegate_maps", b"delegate_progs", b"delegate_attachs"):
        call(what, libc.syscall(FSCONFIG, context, SET_STRING, what, b"any", 0))
    call("create", libc.syscall(FSCONFIG, context, CREATE, None, None, 0))
    send(sock, call("fsmount", libc.syscall(FSMOUNT, context, 0, 0)))
    _, status = os.waitpid(pid, 0)
    sys.exit(os.waitstatus_to_exitcode(status))


ours, theirs = socket.socketpair()
pid = os.fork()
if pid == 0:
    child(theirs)
else:
    theirs.close()
    parent(ours, pid)
