//! The smallest programs of each type, and the ways they must be loaded.

use crate::cmd::{LogLevel, ProgLoad};
use crate::error::LoadError;
use crate::fd::ProgFd;
use crate::insn::{Insn, Reg, asm};
use crate::uapi::enums::{AttachType, ProgType};
use crate::uapi::flags::ProgLoadFlags;

/// Returns 0, as programs on many functions must.
pub(super) const RETURN_0: [Insn; 2] = [asm::mov64_imm(Reg::R0, 0), asm::exit()];

/// Returns 1.
pub(super) const RETURN_1: [Insn; 2] = [asm::mov64_imm(Reg::R0, 1), asm::exit()];

/// A load of this type with everything the type cannot do without.
pub(super) fn request(prog_type: ProgType, insns: &[Insn]) -> ProgLoad<'_> {
    let load = ProgLoad::new(prog_type, insns).log_level(LogLevel::Off);
    match prog_type {
        ProgType::CGROUP_SOCK_ADDR => load.expected_attach_type(AttachType::CGROUP_INET4_CONNECT),
        ProgType::CGROUP_SOCKOPT => load.expected_attach_type(AttachType::CGROUP_GETSOCKOPT),
        ProgType::SK_LOOKUP => load.expected_attach_type(AttachType::SK_LOOKUP),
        ProgType::LIRC_MODE2 => load.expected_attach_type(AttachType::LIRC_MODE2),
        ProgType::NETFILTER => load.expected_attach_type(AttachType::NETFILTER),
        ProgType::SK_REUSEPORT => load.expected_attach_type(AttachType::SK_REUSEPORT_SELECT),
        ProgType::SYSCALL => load.flags(ProgLoadFlags::SLEEPABLE),
        // BTF type 1 of the kernel is never one to attach to; the verifier says so, and thereby
        // that it knows the program's type.
        ProgType::TRACING => load
            .expected_attach_type(AttachType::TRACE_RAW_TP)
            .attach_btf_id(1),
        ProgType::LSM => load
            .expected_attach_type(AttachType::LSM_MAC)
            .attach_btf_id(1),
        ProgType::EXT => load.attach_btf_id(1),
        ProgType::KPROBE => load.kern_version(kern_version()),
        _ => load,
    }
}

/// Loads one of the smallest programs, for use with an attach command.
pub(super) fn smallest(prog_type: ProgType) -> Result<ProgFd, LoadError> {
    request(prog_type, &RETURN_1).run()
}

/// `LINUX_VERSION_CODE` of the running kernel, which kernels before 5.0 compare. 0 where it
/// cannot be told.
fn kern_version() -> u32 {
    crate::KernelVersion::running().map_or(0, |version| {
        u32::from(version.major) << 16
            | u32::from(version.minor) << 8
            | u32::from(version.patch.min(255))
    })
}
