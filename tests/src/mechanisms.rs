//! What attaches programs, and by which test a kernel shows that it can: the table in
//! `docs/kernel-support.md`.

/// How one test of a suite ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Passed,
    Skipped,
    Failed,
}

/// Suite, mechanism, the test in which it is attached, seen to run and detached.
const MECHANISMS: &[(&str, &str, &str)] = &[
    ("kernel_attach", "kprobe", "section::kprobe"),
    ("kernel_attach", "kretprobe", "section::kretprobe"),
    (
        "kernel_attach",
        "kprobe_by_tracefs",
        "kprobe::tracefs_and_event",
    ),
    ("kernel_attach", "ksyscall", "section::ksyscall"),
    ("kernel_attach", "kprobe.multi", "section::kprobe_multi"),
    ("kernel_attach", "kprobe.session", "section::kprobe_session"),
    ("kernel_attach", "tracepoint", "section::tracepoint"),
    ("kernel_attach", "raw_tp", "section::raw_tp"),
    ("kernel_attach", "raw_tp.w", "section::raw_tp_w"),
    ("kernel_attach", "raw_tp.s", "section::raw_tp_s"),
    ("kernel_attach", "tp_btf", "section::tp_btf"),
    ("kernel_attach", "fentry", "section::fentry"),
    ("kernel_attach", "fexit", "section::fexit"),
    ("kernel_attach", "fmod_ret", "section::fmod_ret"),
    ("kernel_attach", "fsession", "section::fsession"),
    ("kernel_attach", "fentry.multi", "section::fentry_multi"),
    ("kernel_attach", "fexit.multi", "section::fexit_multi"),
    ("kernel_attach", "fsession.multi", "section::fsession_multi"),
    (
        "kernel_attach",
        "freplace",
        "freplace::at_load_and_elsewhere",
    ),
    ("kernel_attach", "lsm", "section::lsm_denies"),
    ("kernel_attach", "lsm.s", "section::lsm_s"),
    (
        "kernel_attach",
        "perf_event",
        "perf_event::clock_of_this_thread",
    ),
    ("kernel_attach", "iter", "section::iter"),
    ("kernel_attach", "iter.s", "section::iter_s"),
    ("kernel_attach", "struct_ops", "struct_ops::plain"),
    (
        "kernel_attach",
        "struct_ops.link",
        "struct_ops::link_and_update",
    ),
    ("kernel_cmds", "syscall", "prog_test_run::syscall"),
    ("kernel_consume", "iter/task", "iter::tasks_are_text"),
    (
        "kernel_consume",
        "iter/bpf_map_elem",
        "iter::elements_are_text",
    ),
    ("kernel_attach", "iter/task_file", "iter::task_file"),
    ("kernel_attach", "iter/task_vma", "iter::task_vma"),
    ("kernel_attach", "iter/bpf_map", "iter::bpf_map"),
    ("kernel_attach", "iter/bpf_prog", "iter::bpf_prog"),
    ("kernel_attach", "iter/bpf_link", "iter::bpf_link"),
    ("kernel_attach", "iter/cgroup", "iter::cgroup"),
    ("kernel_attach", "iter/ksym", "iter::ksym"),
    ("kernel_attach", "iter/kmem_cache", "iter::kmem_cache"),
    ("kernel_attach", "iter/tcp", "iter::tcp"),
    ("kernel_attach", "iter/udp", "iter::udp"),
    ("kernel_attach", "iter/unix", "iter::unix"),
    ("kernel_attach", "iter/netlink", "iter::netlink"),
    ("kernel_attach", "iter/sockmap", "iter::sockmap"),
    ("kernel_net", "xdp_by_link", "xdp::link"),
    ("kernel_net", "xdp_by_netlink", "xdp::netlink"),
    ("kernel_net", "tc_clsact", "tc::ingress"),
    ("kernel_net", "tcx", "tcx::order"),
    ("kernel_net", "netkit", "netkit"),
    ("kernel_net", "cgroup_by_link", "cgroup::link"),
    ("kernel_net", "cgroup_without_link", "cgroup::without_link"),
    ("kernel_net", "lsm_cgroup", "cgroup::security_hook"),
    ("kernel_net", "sk_lookup", "sk_lookup"),
    ("kernel_net", "flow_dissector", "flow_dissector"),
    ("kernel_net", "netfilter", "netfilter"),
    ("kernel_net", "sockmap", "sockmap::verdict"),
    ("kernel_net", "lirc", "lirc"),
    ("kernel_uprobe", "uprobe", "uprobe::pie"),
    ("kernel_uprobe", "uretprobe", "uretprobe::pie"),
    ("kernel_uprobe", "uprobe.multi", "multi::pattern"),
    ("kernel_uprobe", "uprobe.session", "session::both_ends"),
    ("kernel_uprobe", "usdt", "usdt::arguments::pie"),
];

/// Mechanisms whose test a suite has not got.
pub(crate) fn untested<'a>(
    suite: &'a str,
    has: impl Fn(&str) -> bool + 'a,
) -> impl Iterator<Item = &'static (&'static str, &'static str, &'static str)> + 'a {
    let all = MECHANISMS.iter().filter(move |(of, ..)| *of == suite);
    all.filter(move |(.., test)| !has(test))
}

/// Lines for `docs/kernel-support.md`, of what has run. Where the kernel is not ours to change, a
/// test that was skipped tells nothing of it.
pub(crate) fn lines<'a>(
    suite: &'a str,
    guest: bool,
    ended: impl Fn(&str) -> Option<Ended> + 'a,
) -> impl Iterator<Item = String> + 'a {
    let all = MECHANISMS.iter().filter(move |(of, ..)| *of == suite);
    all.filter_map(move |(_, mechanism, test)| {
        let said = match ended(test)? {
            Ended::Passed => "yes",
            Ended::Skipped if guest => "no",
            Ended::Skipped | Ended::Failed => "unknown",
        };
        Some(format!("FEATURE mechanism {mechanism} {said}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_mechanism_is_said_once() {
        let names: BTreeSet<&str> = MECHANISMS.iter().map(|(_, name, _)| *name).collect();
        assert_eq!(names.len(), MECHANISMS.len());
        assert!(names.iter().all(|name| !name.contains(' ')));
    }

    #[test]
    fn what_was_skipped_is_lacking_only_in_a_guest() {
        let said = |guest, how| {
            let ended = move |test: &str| (test == "usdt::arguments::pie").then_some(how);
            lines("kernel_uprobe", guest, ended).collect::<Vec<_>>()
        };
        for (guest, how, answer) in [
            (true, Ended::Passed, "yes"),
            (false, Ended::Passed, "yes"),
            (true, Ended::Skipped, "no"),
            (false, Ended::Skipped, "unknown"),
            (true, Ended::Failed, "unknown"),
        ] {
            assert_eq!(
                said(guest, how),
                [format!("FEATURE mechanism usdt {answer}")]
            );
        }
    }

    #[test]
    fn a_test_that_is_gone_is_noticed() {
        let gone: Vec<_> = untested("kernel_uprobe", |test| test != "uprobe::pie").collect();
        assert_eq!(gone, [&("kernel_uprobe", "uprobe", "uprobe::pie")]);
    }
}
