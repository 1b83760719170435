//! Settings of the machine and options of its kernel.

use loader::target::{Running, Target};

use super::view::SystemConfig;

/// Files with the settings, in the order of [`SYSCTLS`](super::view::SYSCTLS).
const FILES: [&str; 5] = [
    "/proc/sys/kernel/unprivileged_bpf_disabled",
    "/proc/sys/net/core/bpf_jit_enable",
    "/proc/sys/net/core/bpf_jit_harden",
    "/proc/sys/net/core/bpf_jit_kallsyms",
    "/proc/sys/net/core/bpf_jit_limit",
];

/// Options of the kernel that decide what BPF can do.
const OPTIONS: [&str; 33] = [
    "CONFIG_BPF",
    "CONFIG_BPF_SYSCALL",
    "CONFIG_HAVE_EBPF_JIT",
    "CONFIG_BPF_JIT",
    "CONFIG_BPF_JIT_ALWAYS_ON",
    "CONFIG_DEBUG_INFO_BTF",
    "CONFIG_DEBUG_INFO_BTF_MODULES",
    "CONFIG_CGROUPS",
    "CONFIG_CGROUP_BPF",
    "CONFIG_CGROUP_NET_CLASSID",
    "CONFIG_SOCK_CGROUP_DATA",
    "CONFIG_BPF_EVENTS",
    "CONFIG_KPROBE_EVENTS",
    "CONFIG_UPROBE_EVENTS",
    "CONFIG_TRACING",
    "CONFIG_FTRACE_SYSCALLS",
    "CONFIG_FUNCTION_ERROR_INJECTION",
    "CONFIG_BPF_KPROBE_OVERRIDE",
    "CONFIG_NET",
    "CONFIG_XDP_SOCKETS",
    "CONFIG_LWTUNNEL_BPF",
    "CONFIG_NET_ACT_BPF",
    "CONFIG_NET_CLS_BPF",
    "CONFIG_NET_CLS_ACT",
    "CONFIG_NET_SCH_INGRESS",
    "CONFIG_XFRM",
    "CONFIG_IP_ROUTE_CLASSID",
    "CONFIG_IPV6_SEG6_BPF",
    "CONFIG_BPF_LIRC_MODE2",
    "CONFIG_BPF_STREAM_PARSER",
    "CONFIG_NETFILTER_XT_MATCH_BPF",
    "CONFIG_TEST_BPF",
    "CONFIG_HZ",
];

/// Reads them; what stands in the way of the options is added to `remarks`.
pub(super) fn read(remarks: &mut Vec<String>) -> SystemConfig {
    let has_procfs = nix::sys::statfs::statfs("/proc")
        .is_ok_and(|stat| stat.filesystem_type() == nix::sys::statfs::PROC_SUPER_MAGIC);
    if !has_procfs {
        remarks.push("/proc is not mounted: its settings are not known".to_owned());
    }
    let options = match Running::new().kconfig(&OPTIONS) {
        Ok(values) => Some(OPTIONS.into_iter().zip(values).collect()),
        Err(error) => {
            remarks.push(format!("skipping kernel config: {error}"));
            None
        }
    };
    SystemConfig {
        sysctls: has_procfs.then(|| FILES.map(number)),
        options,
    }
}

/// The number in a file, -1 where it cannot be read.
fn number(path: &str) -> i64 {
    let text = std::fs::read_to_string(path).ok();
    text.and_then(|text| text.trim_ascii_end().parse().ok())
        .unwrap_or(-1)
}
