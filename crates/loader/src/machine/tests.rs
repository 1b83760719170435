use bpfsys::{Cmd, Op, SysError};
use nix::errno::Errno;

use super::ask::lockdown;
use super::{Lockdown, Machine, cap};

fn check(raw: Errno, cmd: Cmd, log: &str, machine: &Machine, expect: Option<&str>) {
    told(
        SysError::from_errno(Op::Bpf(cmd), raw),
        log,
        machine,
        expect,
    );
}

fn told(error: SysError, log: &str, machine: &Machine, expect: Option<&str>) {
    has(machine.explain(&error, log), expect);
}

#[track_caller]
fn has(said: Option<String>, expect: Option<&str>) {
    match (said.as_deref(), expect) {
        (Some(said), Some(words)) => assert!(said.contains(words), "{said}"),
        (said, expect) => assert_eq!(said, expect),
    }
}

#[test]
fn each_cause_of_eperm_has_a_story() {
    let root = Machine {
        capabilities: Some(u64::MAX),
        ..Machine::default()
    };
    let load = Cmd::PROG_LOAD;
    let eperm = Errno::EPERM;
    check(eperm, load, "", &root, None);
    check(Errno::EACCES, load, "R0 !read_ok", &root, None);
    let nobody = Machine {
        capabilities: Some(0),
        ..root.clone()
    };
    check(eperm, load, "", &nobody, Some("CAP_BPF or CAP_SYS_ADMIN"));
    let disabled = Machine {
        unprivileged_bpf_disabled: Some(2),
        ..nobody
    };
    check(
        eperm,
        load,
        "",
        &disabled,
        Some("unprivileged_bpf_disabled"),
    );
    let inside = Machine {
        in_user_namespace: true,
        ..root.clone()
    };
    check(eperm, Cmd::MAP_CREATE, "", &inside, Some("a token"));
    let limited = Machine {
        memlock: Some(64 << 10),
        ..root.clone()
    };
    check(eperm, Cmd::MAP_CREATE, "", &limited, Some("is 64 KiB"));
    let tracer = Machine {
        capabilities: Some(cap::BPF),
        ..root.clone()
    };
    check(eperm, load, "", &tracer, Some("CAP_PERFMON"));
    let net = Machine {
        capabilities: Some(cap::BPF | cap::PERFMON),
        ..root.clone()
    };
    check(eperm, load, "", &net, Some("CAP_NET_ADMIN"));
    let locked = Machine {
        lockdown: Some(Lockdown::Confidentiality),
        ..root.clone()
    };
    check(eperm, load, "", &locked, Some("confidentiality"));
    let integrity = Machine {
        lockdown: Some(Lockdown::Integrity),
        ..root
    };
    check(
        Errno::EINVAL,
        load,
        "program of this type cannot use helper bpf_probe_write_user#36",
        &integrity,
        Some("integrity mode"),
    );
    check(
        Errno::EACCES,
        Cmd::OBJ_PIN,
        "",
        &integrity,
        Some("mode or owner"),
    );
}
#[test]
fn what_reaches_any_object_needs_more() {
    let tracer = Machine {
        capabilities: Some(cap::BPF),
        ..Machine::default()
    };
    check(
        Errno::EPERM,
        Cmd::PROG_GET_NEXT_ID,
        "",
        &tracer,
        Some("by id needs CAP_SYS_ADMIN"),
    );
    check(Errno::EPERM, Cmd::MAP_CREATE, "", &tracer, None);
}

#[test]
fn perf_events_and_netlink_have_stories_of_their_own() {
    let nobody = Machine {
        capabilities: Some(0),
        perf_event_paranoid: Some(3),
        ..Machine::default()
    };
    let denied = |op| SysError::from_errno(op, Errno::EACCES);
    told(
        denied(Op::PerfEventOpen),
        "",
        &nobody,
        Some("perf_event_paranoid is 3"),
    );
    told(denied(Op::Netlink), "", &nobody, Some("CAP_NET_ADMIN"));
    let root = Machine {
        capabilities: Some(u64::MAX),
        ..nobody
    };
    told(denied(Op::PerfEventOpen), "", &root, None);
    told(denied(Op::Netlink), "", &root, None);
}

#[test]
fn addresses_are_hidden_for_a_reason() {
    let machine = |kptr_restrict, paranoid, capabilities| Machine {
        capabilities: Some(capabilities),
        kptr_restrict: Some(kptr_restrict),
        perf_event_paranoid: Some(paranoid),
        jit_harden: Some(2),
        ..Machine::default()
    };
    has(
        machine(2, 1, u64::MAX).hides_addresses(),
        Some("from everybody"),
    );
    has(machine(1, 1, 0).hides_addresses(), Some("CAP_SYSLOG"));
    has(machine(1, 1, cap::SYSLOG).hides_addresses(), None);
    has(machine(0, 1, 0).hides_addresses(), None);
    has(
        machine(0, 2, 0).hides_addresses(),
        Some("is 0: addresses need CAP_SYSLOG"),
    );
    has(
        machine(2, 1, u64::MAX).hides_instructions(),
        Some("bpf_jit_harden is 2"),
    );
    has(machine(0, 1, u64::MAX).hides_instructions(), None);
    has(machine(0, 1, 0).hides_instructions(), Some("CAP_BPF"));
    has(Machine::default().hides_addresses(), None);
}

#[test]
fn a_filter_of_system_calls_is_the_last_suspect() {
    let contained = Machine {
        seccomp: true,
        ..Machine::default()
    };
    check(
        Errno::EPERM,
        Cmd::MAP_CREATE,
        "",
        &contained,
        Some("seccomp"),
    );
    check(
        Errno::EPERM,
        Cmd::MAP_GET_NEXT_ID,
        "",
        &contained,
        Some("seccomp"),
    );
    check(
        Errno::EACCES,
        Cmd::PROG_LOAD,
        "R0 !read_ok",
        &contained,
        None,
    );
}

#[test]
fn the_mode_of_lockdown_is_in_brackets() {
    assert_eq!(
        lockdown("none [integrity] confidentiality\n"),
        Some(Lockdown::Integrity)
    );
    assert_eq!(
        lockdown("[none] integrity confidentiality\n"),
        Some(Lockdown::None)
    );
    for broken in ["", "none", "[none", "[", "[]", "[strange]"] {
        assert_eq!(lockdown(broken), None, "{broken}");
    }
}
