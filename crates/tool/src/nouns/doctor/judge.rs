//! Facts to findings: nothing here asks the machine.

use std::path::Path;

use bpfsys::probe::Support;
use loader::machine::{Lockdown, cap, no_such};
use nix::errno::Errno;

use super::gather::Facts;
use super::mechanisms::{Mechanism, Need};
use super::view::{Area, Check, DoctorView, State};

pub(super) fn report(facts: &Facts) -> DoctorView {
    let mut checks = access(facts);
    checks.extend(settings(facts));
    checks.extend(file_systems(facts));
    checks.extend(types(facts));
    let mechanisms = facts.mechanisms.iter();
    checks.extend(mechanisms.map(|(mechanism, answer)| attaches(facts, mechanism, *answer)));
    DoctorView {
        kernel: facts.kernel.clone(),
        checks,
    }
}

fn access(facts: &Facts) -> Vec<Check> {
    let area = Area::Access;
    let machine = &facts.machine;
    let mut checks = vec![syscall(facts), load(facts)];
    for (name, needs, what) in [
        ("objects by id", cap::SYS_ADMIN, "CAP_SYS_ADMIN"),
        ("tracing", cap::PERFMON | cap::SYS_ADMIN, "CAP_PERFMON"),
        (
            "networking",
            cap::NET_ADMIN | cap::SYS_ADMIN,
            "CAP_NET_ADMIN",
        ),
    ] {
        let check = Check::works(area, name);
        checks.push(if machine.has(needs) {
            check
        } else {
            check
                .but(State::No, format!("this process has no {what}"))
                .remedy(with_capabilities(facts))
        });
    }
    let others = Check::works(area, "keeping others out");
    checks.extend(machine.unprivileged_bpf_disabled.map(|disabled| {
        match disabled {
            0 => others
                .but(
                    State::Limited,
                    "any user may load programs that filter sockets",
                )
                .remedy("sysctl -w kernel.unprivileged_bpf_disabled=1"),
            1 => others.detail("kernel.unprivileged_bpf_disabled is 1, until the next start"),
            _ => others,
        }
    }));
    checks.extend(machine.lockdown.map(|mode| {
        let check = Check::works(area, "kernel lockdown").detail(mode.to_string());
        match mode {
            Lockdown::None => check,
            Lockdown::Integrity => check.but(State::Limited, "bpf_probe_write_user is forbidden"),
            Lockdown::Confidentiality => check.but(
                State::Limited,
                "programs must not read the kernel's memory, and write to nobody's",
            ),
        }
    }));
    checks.extend(machine.memlock.map(|limit| {
        Check::works(area, "locked memory")
            .detail(format!("{} KiB", limit / 1024))
            .but(
                State::Limited,
                "this kernel counts maps and programs against the limit",
            )
            .remedy("ulimit -l unlimited")
    }));
    checks
}

fn syscall(facts: &Facts) -> Check {
    let check = Check::works(Area::Access, "bpf()");
    match facts.syscall {
        Some(Support::No) => no_syscall(check),
        Some(Support::Unknown(error)) if error.is(Errno::ENOSYS) => no_syscall(check),
        _ => check,
    }
}

fn no_syscall(check: Check) -> Check {
    check
        .but(
            State::No,
            "the kernel has no such system call, or a filter hides it",
        )
        .remedy("a kernel with CONFIG_BPF_SYSCALL=y")
}

fn load(facts: &Facts) -> Check {
    let check = Check::works(Area::Access, "loading");
    let error = match facts.loads {
        None | Some(Support::Yes) => return check,
        Some(Support::No) => return check.but(State::No, "the simplest program is refused"),
        Some(Support::Unknown(error)) => error,
    };
    let machine = &facts.machine;
    let why = machine.explain(&error, "");
    let check = check.but(State::No, why.unwrap_or_else(|| error.reason().to_string()));
    if !machine.has(cap::BPF | cap::SYS_ADMIN) {
        check.remedy(with_capabilities(facts))
    } else if machine.in_user_namespace {
        check.remedy(
            "mount -t bpf -o delegate_cmds=any,delegate_maps=any,delegate_progs=any,\
             delegate_attachs=any bpf DIR (from outside, for this namespace)",
        )
    } else {
        check
    }
}

fn with_capabilities(facts: &Facts) -> String {
    let file = facts.executable.as_deref().unwrap_or(Path::new("rbpftool"));
    format!(
        "run as root, or: setcap cap_bpf,cap_perfmon,cap_net_admin,cap_sys_admin+ep {}",
        file.display()
    )
}

fn settings(facts: &Facts) -> Vec<Check> {
    let area = Area::Settings;
    let machine = &facts.machine;
    let mut checks = Vec::new();
    let jit = Check::works(area, "machine code");
    checks.push(match machine.jit_enable {
        None => jit.but(State::Unknown, "net.core.bpf_jit_enable cannot be read"),
        Some(0) if is_off(facts, "CONFIG_BPF_JIT") => jit
            .but(State::No, "programs are interpreted")
            .remedy("a kernel with CONFIG_BPF_JIT=y"),
        Some(0) => jit
            .but(
                State::No,
                "programs are interpreted: net.core.bpf_jit_enable is 0",
            )
            .remedy("sysctl -w net.core.bpf_jit_enable=1"),
        Some(1) => jit,
        Some(other) => jit
            .but(
                State::Limited,
                format!("net.core.bpf_jit_enable is {other}: code is written to the kernel's log"),
            )
            .remedy("sysctl -w net.core.bpf_jit_enable=1"),
    });
    let addresses = Check::works(area, "names of the kernel's functions");
    checks.push(match machine.hides_addresses() {
        None => addresses,
        Some(why) => addresses.but(State::Limited, why),
    });
    let code = Check::works(area, "instructions of programs");
    checks.push(match machine.hides_instructions() {
        None => code,
        Some(why) => code.but(State::Limited, why),
    });
    let stats = Check::works(area, "run times");
    checks.extend(facts.stats.map(|on| {
        match on {
            0 => stats
                .but(
                    State::No,
                    "they are counted only when asked for, for they cost time",
                )
                .remedy("sysctl -w kernel.bpf_stats_enabled=1"),
            _ => stats.detail("kernel.bpf_stats_enabled is 1, which costs each program some time"),
        }
    }));
    checks
}

fn file_systems(facts: &Facts) -> Vec<Check> {
    let mounted = |name, points: &[std::path::PathBuf], why: &str, remedy: &str| {
        let check = Check::works(Area::FileSystems, name);
        if points.is_empty() {
            check.but(State::No, why).remedy(remedy)
        } else {
            let points: Vec<_> = points.iter().map(|p| p.display().to_string()).collect();
            check.detail(points.join(", "))
        }
    };
    vec![
        mounted(
            "bpf",
            &facts.bpf_mounts,
            "nothing can be pinned",
            "mount -t bpf bpf /sys/fs/bpf",
        ),
        mounted(
            "tracefs",
            &facts.tracefs_mounts,
            "tracepoints have no numbers, and nothing is read of what bpf_printk writes",
            "mount -t tracefs tracefs /sys/kernel/tracing",
        ),
        mounted(
            "cgroup2",
            facts.cgroup2_mount.as_slice(),
            "programs cannot be attached to cgroups",
            "mount -t cgroup2 cgroup2 /sys/fs/cgroup",
        ),
    ]
}

fn types(facts: &Facts) -> Vec<Check> {
    let area = Area::Types;
    let kernel = Check::works(area, "of the kernel");
    let kernel = match facts.kernel_btf {
        Some(bytes) => kernel.detail(format!("{} KiB", bytes / 1024)),
        None => kernel
            .but(State::No, "fields of the kernel cannot be found by name")
            .remedy("a kernel with CONFIG_DEBUG_INFO_BTF=y, or types from a file: kernel_btf FILE"),
    };
    let modules = Check::works(area, "of modules");
    let modules = match facts.module_btf {
        0 if is_off(facts, "CONFIG_DEBUG_INFO_BTF_MODULES") => modules
            .but(State::No, "modules come without types")
            .remedy("a kernel with CONFIG_DEBUG_INFO_BTF_MODULES=y"),
        0 => modules.detail("no module is loaded that has types"),
        count => modules.detail(format!("{count} modules")),
    };
    let options = Check::works(area, "options of the kernel");
    let options = match &facts.options {
        Some(Err(error)) => options
            .but(
                State::Limited,
                format!("CONFIG_ variables of objects are not known: {error}"),
            )
            .remedy("give them to a load: kconfig FILE"),
        _ => options,
    };
    vec![kernel, modules, options]
}

fn attaches(facts: &Facts, mechanism: &Mechanism, answer: Support) -> Check {
    let check = Check::works(Area::Programs, mechanism.name);
    let without_types = facts.kernel_btf.is_none()
        && matches!(
            mechanism.needs,
            Need::Btf | Need::Trampoline | Need::SecurityModule
        );
    match answer {
        Support::Yes => needs(facts, mechanism, check),
        _ if without_types => check
            .but(State::No, "the kernel has no types of its own")
            .remedy("a kernel with CONFIG_DEBUG_INFO_BTF=y"),
        Support::No => {
            let why = no_such("way to attach", &mechanism.name, mechanism.ask.since());
            let check = check.but(State::No, why);
            if is_off(facts, mechanism.option) {
                check.remedy(format!("a kernel with {}=y", mechanism.option))
            } else {
                check
            }
        }
        Support::Unknown(_) if is_off(facts, mechanism.option) => check
            .but(
                State::No,
                format!("the kernel was built without {}", mechanism.option),
            )
            .remedy(format!("a kernel with {}=y", mechanism.option)),
        Support::Unknown(error) => {
            let trampoline = matches!(mechanism.needs, Need::Trampoline | Need::SecurityModule);
            match facts.machine.explain(&error, "") {
                Some(why) => check.but(State::Unknown, why),
                None if trampoline && error.is(Errno::EPERM) => check.but(
                    State::No,
                    "this kernel forbids programs that run by a trampoline, whoever asks",
                ),
                None => check.but(State::Unknown, error.reason().to_string()),
            }
        }
    }
}

/// What must be there besides what the kernel answered yes to.
fn needs(facts: &Facts, mechanism: &Mechanism, check: Check) -> Check {
    match mechanism.needs {
        Need::Event(name) if !facts.events.contains(&name) => check
            .but(
                State::No,
                format!("the kernel has no events of type {name}"),
            )
            .remedy(format!("a kernel with {}=y", mechanism.option)),
        Need::TraceFs if facts.tracefs_mounts.is_empty() => check
            .but(State::No, "tracefs is not mounted")
            .remedy("mount -t tracefs tracefs /sys/kernel/tracing"),
        Need::SecurityModule => match &facts.security_modules {
            Some(modules) if !modules.iter().any(|name| name == "bpf") => check
                .but(
                    State::No,
                    "programs load, and are never called: bpf is no security module",
                )
                .remedy(format!(
                    "start the kernel with lsm={},bpf",
                    modules.join(",")
                )),
            _ => check,
        },
        _ => check,
    }
}

/// Whether the kernel is known to be built without an option.
fn is_off(facts: &Facts, option: &str) -> bool {
    match &facts.options {
        Some(Ok(options)) => matches!(options.get(option), Some(None)),
        _ => false,
    }
}
