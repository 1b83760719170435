use super::*;

/// The names in libbpf 1.8, in its order.
const LIBBPF: &str = "
socket sk_reuseport/migrate sk_reuseport kprobe+ uprobe+ uprobe.s+ kretprobe+ uretprobe+
uretprobe.s+ kprobe.multi+ kretprobe.multi+ kprobe.session+ uprobe.multi+ uretprobe.multi+
uprobe.session+ uprobe.multi.s+ uretprobe.multi.s+ uprobe.session.s+ ksyscall+ kretsyscall+
usdt+ usdt.s+ tc/ingress tc/egress tcx/ingress tcx/egress tc classifier action
netkit/primary netkit/peer tracepoint+ tp+ tracepoint.s+ tp.s+ raw_tracepoint+ raw_tp+
raw_tracepoint.s+ raw_tp.s+ raw_tracepoint.w+ raw_tp.w+ tp_btf+ tp_btf.s+ fentry+ fmod_ret+
fexit+ fentry.s+ fmod_ret.s+ fexit.s+ fsession+ fsession.s+ fsession.multi+
fsession.multi.s+ fentry.multi+ fexit.multi+ fentry.multi.s+ fexit.multi.s+ freplace+ lsm+
lsm.s+ lsm_cgroup+ iter+ iter.s+ syscall xdp.frags/devmap xdp/devmap xdp.frags/cpumap
xdp/cpumap xdp.frags xdp perf_event lwt_in lwt_out lwt_xmit lwt_seg6local sockops
sk_skb/stream_parser sk_skb/stream_verdict sk_skb/verdict sk_skb sk_msg lirc_mode2
flow_dissector cgroup_skb/ingress cgroup_skb/egress cgroup/skb cgroup/sock_create
cgroup/sock_release cgroup/sock cgroup/post_bind4 cgroup/post_bind6 cgroup/bind4
cgroup/bind6 cgroup/connect4 cgroup/connect6 cgroup/connect_unix cgroup/sendmsg4
cgroup/sendmsg6 cgroup/sendmsg_unix cgroup/recvmsg4 cgroup/recvmsg6 cgroup/recvmsg_unix
cgroup/getpeername4 cgroup/getpeername6 cgroup/getpeername_unix cgroup/getsockname4
cgroup/getsockname6 cgroup/getsockname_unix cgroup/sysctl cgroup/getsockopt
cgroup/setsockopt cgroup/dev struct_ops+ struct_ops.s+ sk_lookup netfilter
";

#[test]
fn the_table_is_that_of_libbpf() {
    let ours: Vec<_> = SEC_DEFS.iter().map(|def| def.pattern).collect();
    let theirs: Vec<_> = LIBBPF.split_whitespace().collect();
    assert_eq!(ours.len(), 116);
    assert_eq!(ours, theirs);
}

#[test]
fn names_match_as_words() {
    let check = |section: &str, pattern: Option<&str>| {
        let found = SecDef::find(section).map(|def| def.pattern);
        assert_eq!(found, pattern, "{section}");
    };
    check("kprobe", Some("kprobe+"));
    check("kprobe/", Some("kprobe+"));
    check("kprobe/do_unlinkat", Some("kprobe+"));
    check("kprobes", None);
    check("kprobe.multi/tcp_*", Some("kprobe.multi+"));
    check("kprobe.multix", None);
    check("fentry.s/vfs_read", Some("fentry.s+"));
    check("xdp", Some("xdp"));
    check("xdp/devmap", Some("xdp/devmap"));
    check("xdp/eth0", None);
    check("xdpfoo", None);
    check("xdp.frags/cpumap", Some("xdp.frags/cpumap"));
    check("tc/ingress", Some("tc/ingress"));
    check("tc/other", None);
    check("cgroup/sock", Some("cgroup/sock"));
    check("cgroup/sock_create", Some("cgroup/sock_create"));
    check("struct_ops/init", Some("struct_ops+"));
    check("?tc", None);
    check("", None);
}

#[test]
fn a_pattern_that_ends_in_a_slash_wants_more() {
    let def = SecDef {
        pattern: "tp/",
        ..PLAIN
    };
    assert!(def.matches("tp/sched"));
    assert!(!def.matches("tp"));
}

#[test]
fn flags_go_with_names() {
    for def in SEC_DEFS {
        let word = def.pattern.trim_end_matches('+');
        let sleeps = word.ends_with(".s") || word == "syscall";
        assert_eq!(def.sleepable, sleeps, "{word}");
        assert_eq!(def.frags, word.starts_with("xdp.frags"), "{word}");
        assert_eq!(def.usdt, word.starts_with("usdt"), "{word}");
        assert!(def.attachable || !def.attach_type_optional, "{word}");
        assert!(
            !def.attachable || def.attach_type != NONE || word == "cgroup_skb/ingress",
            "{word}"
        );
        if def.needs_btf {
            let typed = [ProgType::TRACING, ProgType::LSM, ProgType::EXT];
            assert!(typed.contains(&def.prog_type), "{word}");
        }
        if def.auto_attach.is_some() {
            assert!(def.pattern.ends_with('+'), "{word}");
        }
    }
}
