//! How the kernel calls the functions of system calls.

use super::Support;
use crate::error::{Op, Refusal, SysError};
use crate::sys::perf_event::{PerfEvent, Target};
use crate::uapi::perf::{FLAG_DISABLED, PerfEventAttr};
use core::ffi::CStr;
use nix::errno::Errno;
use std::fs::File;
use std::io::{BufRead, BufReader};

/// Where the number of the event type for kernel probes is.
const KPROBE_TYPE: &str = "/sys/bus/event_source/devices/kprobe/type";

/// The wrapper of `bpf()`, on architectures that have wrappers.
const WRAPPER: Option<&CStr> = if cfg!(target_arch = "x86_64") {
    Some(c"__x64_sys_bpf")
} else if cfg!(target_arch = "x86") {
    Some(c"__ia32_sys_bpf")
} else if cfg!(target_arch = "aarch64") {
    Some(c"__arm64_sys_bpf")
} else if cfg!(target_arch = "s390x") {
    Some(c"__s390x_sys_bpf")
} else if cfg!(any(target_arch = "riscv64", target_arch = "riscv32")) {
    Some(c"__riscv_sys_bpf")
} else if cfg!(any(target_arch = "powerpc", target_arch = "powerpc64")) {
    Some(c"__powerpc_sys_bpf")
} else {
    None
};

/// Whether the functions of system calls take a pointer to saved registers.
pub(super) fn probe() -> Support {
    let Some(wrapper) = WRAPPER else {
        return Support::No;
    };
    match by_event(wrapper) {
        Some(Ok(())) => Support::Yes,
        Some(Err(error)) if error.is(Errno::ENOENT) => Support::No,
        // No kernel probes, or no right to them.
        _ => by_symbol(wrapper),
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
fn by_symbol(wrapper: &CStr) -> Support {
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
        if name == Some(wrapper.to_bytes()) {
            return Support::Yes;
        }
    }
    if any {
        Support::No
    } else {
        Support::Unknown(SysError::refused(Op::Symbols, Refusal::BadAnswer))
    }
}
