//! What `doctor` asks of the kernel and of the machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bpfsys::probe::{self, Support};
use bpfsys::{Cmd, ProgType};
use loader::machine::Machine;
use loader::target::{Running, Target};

use super::mechanisms::{MECHANISMS, Mechanism, Need};
use super::view::KernelView;
use crate::kernel::Kernel;
use crate::procfs;

/// Everything that the judgement is made of.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) kernel: KernelView,
    pub(super) machine: Machine,
    /// Whether there is a system call.
    pub(super) syscall: Option<Support>,
    /// Whether the simplest program loads.
    pub(super) loads: Option<Support>,
    /// `kernel.bpf_stats_enabled`
    pub(super) stats: Option<i64>,
    /// Where they are mounted.
    pub(super) bpf_mounts: Vec<PathBuf>,
    pub(super) tracefs_mounts: Vec<PathBuf>,
    pub(super) cgroup2_mount: Option<PathBuf>,
    /// Bytes of the kernel's types.
    pub(super) kernel_btf: Option<u64>,
    /// How many modules have types.
    pub(super) module_btf: usize,
    /// Options of the kernel that were asked for; an error where they cannot be read.
    pub(super) options: Option<Result<BTreeMap<String, Option<String>>, String>>,
    /// Security modules in use, in order.
    pub(super) security_modules: Option<Vec<String>>,
    /// Event sources that are there.
    pub(super) events: Vec<&'static str>,
    pub(super) mechanisms: Vec<(&'static Mechanism, Support)>,
    /// This tool's file, for commands that change it.
    pub(super) executable: Option<PathBuf>,
}

const BTF: &str = "/sys/kernel/btf";

/// Options that no mechanism stands for.
pub(super) const OPTIONS: [&str; 4] = [
    "CONFIG_BPF_SYSCALL",
    "CONFIG_BPF_JIT",
    "CONFIG_DEBUG_INFO_BTF",
    "CONFIG_DEBUG_INFO_BTF_MODULES",
];

pub(super) fn all(kernel: &Kernel) -> Facts {
    let proc_root = kernel.proc_root();
    let syscall = probe::command(Cmd::PROG_LOAD);
    Facts {
        kernel: uname(),
        machine: Machine::ask().with_memlock(),
        syscall: Some(syscall),
        loads: Some(probe::prog_type(ProgType::SOCKET_FILTER)),
        stats: number("/proc/sys/kernel/bpf_stats_enabled"),
        bpf_mounts: procfs::bpf_mounts(proc_root).unwrap_or_default(),
        tracefs_mounts: procfs::mounts(proc_root, b"tracefs").unwrap_or_default(),
        cgroup2_mount: procfs::cgroup2_mount(proc_root),
        kernel_btf: std::fs::metadata(Path::new(BTF).join("vmlinux"))
            .ok()
            .map(|file| file.len()),
        module_btf: std::fs::read_dir(BTF).map_or(0, |dir| dir.count().saturating_sub(1)),
        options: Some(options()),
        security_modules: std::fs::read_to_string("/sys/kernel/security/lsm")
            .ok()
            .map(|names| names.trim().split(',').map(str::to_owned).collect()),
        events: MECHANISMS
            .iter()
            .filter_map(|mechanism| match mechanism.needs {
                Need::Event(name) => Some(name),
                _ => None,
            })
            .filter(|name| {
                Path::new("/sys/bus/event_source/devices")
                    .join(name)
                    .exists()
            })
            .collect(),
        mechanisms: MECHANISMS
            .iter()
            .map(|mechanism| (mechanism, mechanism.ask.answer()))
            .collect(),
        executable: std::env::current_exe().ok(),
    }
}

fn uname() -> KernelView {
    let Ok(name) = nix::sys::utsname::uname() else {
        return KernelView::default();
    };
    KernelView {
        release: name.release().to_string_lossy().into_owned(),
        machine: name.machine().to_string_lossy().into_owned(),
    }
}

fn options() -> Result<BTreeMap<String, Option<String>>, String> {
    let mut names: Vec<&str> = MECHANISMS
        .iter()
        .map(|mechanism| mechanism.option)
        .collect();
    names.extend(OPTIONS);
    names.sort_unstable();
    names.dedup();
    let values = Running::new()
        .kconfig(&names)
        .map_err(|error| error.to_string())?;
    Ok(names.into_iter().map(str::to_owned).zip(values).collect())
}

fn number(path: &str) -> Option<i64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}
