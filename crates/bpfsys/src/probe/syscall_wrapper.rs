//! How the kernel calls the functions of system calls.

use super::Support;
use crate::error::{Op, Refusal, SysError};
use crate::sys::perf_event::{PerfEvent, Target};
use crate::uapi::perf::{FLAG_DISABLED, PerfEventAttr};
use core::ffi::CStr;
use nix::errno::Errno;
use std::ffi::CString;
use std::fs::File;
use std::io::{BufRead, BufReader};

/// Where the number of the event type for kernel probes is.
const KPROBE_TYPE: &str = "/sys/bus/event_source/devices/kprobe/type";

/// What begins the names of wrappers, on architectures that have them.
const PREFIX: Option<&str> = if cfg!(target_arch = "x86_64") {
    Some("__x64_sys_")
} else if cfg!(target_arch = "x86") {
    Some("__ia32_sys_")
} else if cfg!(target_arch = "aarch64") {
    Some("__arm64_sys_")
} else if cfg!(target_arch = "s390x") {
    Some("__s390x_sys_")
} else if cfg!(any(target_arch = "riscv64", target_arch = "riscv32")) {
    Some("__riscv_sys_")
} else if cfg!(any(target_arch = "powerpc", target_arch = "powerpc64")) {
    Some("__powerpc_sys_")
} else {
    None
};

/// The function in which the running kernel handles a system call, by the call's name: that of
/// the wrapper where there are wrappers (see the feature `syscall_wrapper`).
#[must_use]
pub fn syscall_function(name: &str) -> String {
    let has = super::Feature::by_name("syscall_wrapper").map(super::Feature::probe);
    match (PREFIX, has) {
        (Some(prefix), Some(Support::Yes | Support::Unknown(_))) => format!("{prefix}{name}"),
        _ => format!("__se_sys_{name}"),
    }
}

/// Whether the functions of system calls take a pointer to saved registers.
pub(super) fn probe() -> Support {
    let Some(prefix) = PREFIX else {
        return Support::No;
    };
    let name = format!("{prefix}bpf");
    let Ok(wrapper) = CString::new(name.as_str()) else {
        return Support::No;
    };
    match by_event(&wrapper) {
        Some(Ok(())) => Support::Yes,
        Some(Err(error)) if error.is(Errno::ENOENT) => Support::No,
        // No kernel probes, or no right to them.
        _ => by_symbol(&name),
    }
}

/// Opens an event on the wrapper, for this process. `None` where there are no such events.
fn by_event(wrapper: &CStr) -> Option<Result<(), SysError>> {
    let number = std::fs::read_to_string(KPROBE_TYPE).ok()?;
    let mut attr = PerfEventAttr::new(number.trim().parse().ok()?, 0);
    attr.flags = FLAG_DISABLED;
    let this = Target { pid: 0, cpu: -1 };
    Some(PerfEvent::open_probe(attr, Some(wrapper), 0, this).map(drop))
}

/// Looks for the wrapper among the kernel's symbols, whose names everybody may see.
fn by_symbol(wrapper: &str) -> Support {
    let io = |error: std::io::Error| SysError::from_io(Op::Symbols, &error);
    let list = match File::open("/proc/kallsyms") {
        Ok(file) => BufReader::with_capacity(1 << 16, file),
        Err(error) => return Support::Unknown(io(error)),
    };
    let mut any = false;
    for line in list.split(b'\n') {
        let line = match line {
            Ok(line) => line,
            Err(error) => return Support::Unknown(io(error)),
        };
        any = true;
        let name = line.split(u8::is_ascii_whitespace).nth(2);
        if name == Some(wrapper.as_bytes()) {
            return Support::Yes;
        }
    }
    if any {
        Support::No
    } else {
        Support::Unknown(SysError::refused(Op::Symbols, Refusal::BadAnswer))
    }
}
