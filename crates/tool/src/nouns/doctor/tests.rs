use bpfsys::probe::Support;
use bpfsys::{Cmd, Op, SysError};
use loader::machine::{Lockdown, Machine, cap};
use nix::errno::Errno;

use super::gather::Facts;
use super::judge::report;
use super::mechanisms::MECHANISMS;
use super::view::{Check, State};
use crate::render::View as _;

/// A machine on which all works, as far as facts say.
fn healthy() -> Facts {
    let mut machine = Machine::default();
    machine.capabilities = Some(u64::MAX);
    machine.unprivileged_bpf_disabled = Some(2);
    machine.lockdown = Some(Lockdown::None);
    machine.kptr_restrict = Some(1);
    machine.perf_event_paranoid = Some(2);
    machine.jit_enable = Some(1);
    machine.jit_harden = Some(0);
    Facts {
        machine,
        syscall: Some(Support::Yes),
        loads: Some(Support::Yes),
        stats: Some(1),
        bpf_mounts: vec!["/sys/fs/bpf".into()],
        tracefs_mounts: vec!["/sys/kernel/tracing".into()],
        cgroup2_mount: Some("/sys/fs/cgroup".into()),
        kernel_btf: Some(5 << 20),
        module_btf: 3,
        options: Some(Ok(Default::default())),
        security_modules: Some(vec!["capability".into(), "bpf".into()]),
        events: vec!["kprobe", "uprobe"],
        mechanisms: MECHANISMS.iter().map(|m| (m, Support::Yes)).collect(),
        ..Facts::default()
    }
}

fn denied(errno: Errno) -> Support {
    Support::Unknown(SysError::from_errno(Op::Bpf(Cmd::PROG_LOAD), errno))
}

fn find(facts: &Facts, name: &str) -> Check {
    let checks = report(facts).checks;
    checks.into_iter().find(|check| check.name == name).unwrap()
}

/// `change` makes `name` be in `state`, with these words in why or remedy.
#[track_caller]
fn check(name: &str, state: State, words: &str, change: impl FnOnce(&mut Facts)) {
    let mut facts = healthy();
    change(&mut facts);
    let found = find(&facts, name);
    let said = format!("{found:?}");
    assert_eq!(found.state, state, "{said}");
    assert!(said.contains(words), "{said}");
}

#[test]
fn on_a_healthy_machine_all_works() {
    for check in report(&healthy()).checks {
        assert_eq!(check.state, State::Works, "{check:?}");
        assert_eq!((&check.why, &check.remedy), (&None, &None), "{check:?}");
    }
}

#[test]
fn what_is_missing_is_found_with_what_changes_it() {
    use State::{Limited, No, Unknown};
    let lacks = |name: &'static str| {
        move |f: &mut Facts| {
            let found = f.mechanisms.iter_mut().find(|(m, _)| m.name == name);
            found.unwrap().1 = Support::No;
            let options = f.options.as_mut().unwrap().as_mut().unwrap();
            let option = MECHANISMS.iter().find(|m| m.name == name).unwrap().option;
            options.insert(option.into(), None);
        }
    };
    check("bpf()", No, "CONFIG_BPF_SYSCALL=y", |f| {
        f.syscall = Some(denied(Errno::ENOSYS));
    });
    check("loading", No, "setcap", |f| {
        f.machine.capabilities = Some(0);
        f.loads = Some(denied(Errno::EPERM));
    });
    check("loading", No, "delegate_cmds", |f| {
        f.machine.in_user_namespace = true;
        f.loads = Some(denied(Errno::EPERM));
    });
    check("tracing", No, "CAP_PERFMON", |f| {
        f.machine.capabilities = Some(cap::BPF);
    });
    check("objects by id", No, "CAP_SYS_ADMIN", |f| {
        f.machine.capabilities = Some(cap::BPF);
    });
    check("keeping others out", Limited, "sysctl", |f| {
        f.machine.unprivileged_bpf_disabled = Some(0);
    });
    check("kernel lockdown", Limited, "write_user", |f| {
        f.machine.lockdown = Some(Lockdown::Integrity);
    });
    check("locked memory", Limited, "ulimit -l unlimited", |f| {
        f.machine.memlock = Some(64 << 10);
    });
    check("machine code", No, "bpf_jit_enable=1", |f| {
        f.machine.jit_enable = Some(0);
    });
    check(
        "names of the kernel's functions",
        Limited,
        "kptr_restrict=1",
        |f| {
            f.machine.kptr_restrict = Some(2);
        },
    );
    check("run times", No, "bpf_stats_enabled=1", |f| {
        f.stats = Some(0);
    });
    check("bpf", No, "mount -t bpf", |f| f.bpf_mounts.clear());
    check("tracefs", No, "mount -t tracefs", |f| {
        f.tracefs_mounts.clear();
    });
    check("tracepoint", No, "mount -t tracefs", |f| {
        f.tracefs_mounts.clear();
    });
    check("cgroup2", No, "mount -t cgroup2", |f| {
        f.cgroup2_mount = None;
    });
    check("of the kernel", No, "CONFIG_DEBUG_INFO_BTF=y", |f| {
        f.kernel_btf = None;
    });
    check("options of the kernel", Limited, "kconfig FILE", |f| {
        f.options = Some(Err("no such file".into()));
    });
    check("kprobe", No, "CONFIG_KPROBE_EVENTS=y", |f| f.events.clear());
    check("tcx", No, "Linux 6.6", lacks("tcx"));
    check("netkit", No, "CONFIG_NETKIT=y", lacks("netkit"));
    check("lsm", No, "lsm=capability,bpf", |f| {
        f.security_modules = Some(vec!["capability".into()]);
    });
    check("fentry, fexit", No, "whoever asks", |f| {
        f.mechanisms = MECHANISMS
            .iter()
            .map(|m| (m, denied(Errno::EPERM)))
            .collect();
    });
    check("xdp", Unknown, "EPERM", |f| {
        f.mechanisms = MECHANISMS
            .iter()
            .map(|m| (m, denied(Errno::EPERM)))
            .collect();
    });
}

#[test]
fn text_has_a_line_for_each_and_no_codes_of_terminals() {
    let mut facts = healthy();
    facts.kernel.release = "6.12\u{1b}[31m".into();
    facts.bpf_mounts.clear();
    let mut out = Vec::new();
    report(&facts).text(&mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with("Linux 6.12\\x1b[31m"), "{text}");
    assert!(text.contains("why: nothing can be pinned\n"), "{text}");
    assert!(
        text.contains("do: mount -t bpf bpf /sys/fs/bpf\n"),
        "{text}"
    );
}
