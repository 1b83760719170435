//! Descriptors of all processes to views.

use bpfsys::cmd::TaskFdQuery;
use bpfsys::cmd::task_fd::TaskFd;
use bpfsys::uapi::enums::TaskFdType;
use bpfsys::{ErrorKind, SysError};
use nix::errno::Errno;

use super::view::{PerfView, Place};
use crate::failure::{Failure, Result};
use crate::holders::descriptors;
use crate::kernel::Kernel;
use crate::nouns::NameOrNumber;
use crate::render::escape::Text;

/// What programs are behind descriptors, by process and descriptor. Descriptors that are closed
/// meanwhile, and those of processes that this user may not look into, are passed over.
pub fn all(kernel: &Kernel) -> Result<Vec<PerfView>> {
    let mut views = Vec::new();
    for (pid, fd) in descriptors(kernel, may_have_program) {
        match TaskFdQuery::new(pid, fd).run() {
            Ok(found) => views.push(view(pid, fd, found)),
            Err(error) if has_none(&error) => {}
            Err(error) => {
                return Err(Failure::because(
                    format_args!("can't ask what is behind descriptor {fd} of process {pid}"),
                    error,
                ));
            }
        }
    }
    if views.is_empty() {
        // where nothing was found nobody has said yet whether it may be asked for
        match TaskFdQuery::new(std::process::id(), u32::MAX).run() {
            Err(error) if !has_none(&error) => {
                return Err(Failure::because(
                    "can't ask what is behind descriptors",
                    error,
                ));
            }
            _ => {}
        }
    }
    Ok(views)
}

/// Whether the link of a descriptor leaves it open that there is a program: perf events, raw
/// tracepoints of old kernels, and links.
fn may_have_program(target: &[u8]) -> bool {
    let name = target.strip_prefix(b"anon_inode:").unwrap_or_default();
    [
        b"[perf_event]".as_slice(),
        b"bpf-raw-tracepoint",
        b"bpf_link",
        b"bpf-link",
    ]
    .contains(&name)
}

/// Whether an answer says that there is no program, or no such descriptor any more.
fn has_none(error: &SysError) -> bool {
    error.kind() == ErrorKind::Unsupported
        || [Errno::ENOENT, Errno::EBADF, Errno::ESRCH, Errno::EINVAL]
            .iter()
            .any(|errno| error.is(*errno))
}

fn view(pid: u32, fd: u32, found: TaskFd) -> PerfView {
    let (name, offset) = (Text(found.name), found.probe_offset);
    let place = match found.fd_type {
        TaskFdType::RAW_TRACEPOINT | TaskFdType::TRACEPOINT => {
            Place::Tracepoint { tracepoint: name }
        }
        TaskFdType::KPROBE | TaskFdType::KRETPROBE if name.0.is_empty() => Place::Address {
            addr: found.probe_addr,
        },
        TaskFdType::KPROBE | TaskFdType::KRETPROBE => Place::Function { func: name, offset },
        TaskFdType::UPROBE | TaskFdType::URETPROBE => Place::File {
            filename: name,
            offset,
        },
        _ => Place::Unknown {},
    };
    PerfView {
        pid,
        fd,
        prog_id: found.prog_id.map_or(0, bpfsys::ProgId::get),
        fd_type: NameOrNumber::new(found.fd_type.name(), found.fd_type.0),
        place,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_descriptors_that_can_have_a_program_are_asked_about() {
        for (target, expected) in [
            ("anon_inode:[perf_event]", true),
            ("anon_inode:bpf-raw-tracepoint", true),
            ("anon_inode:bpf_link", true),
            ("anon_inode:bpf-map", false),
            ("[perf_event]", false),
            ("/tmp/anon_inode:bpf_link", false),
            ("socket:[7]", false),
        ] {
            assert_eq!(may_have_program(target.as_bytes()), expected, "{target}");
        }
    }
}
