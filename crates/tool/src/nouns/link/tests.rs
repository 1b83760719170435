//! Text and JSON of every type of link, from views.

use serde_json::json;

use super::gather::functions;
use super::view::*;
use crate::holders::Holder;
use crate::nouns::NameOrNumber;
use crate::render::View;
use crate::xlated::symbols::KernelSymbols;

fn link(r#type: &'static str, target: Target) -> LinkView {
    LinkView {
        id: 7,
        r#type: named(r#type),
        prog_id: 3,
        target,
        pinned: None,
        bpf_cookie: None,
        pids: Vec::new(),
    }
}

fn named(name: &'static str) -> NameOrNumber {
    NameOrNumber::Name(name.into())
}

fn text(view: &LinkView) -> String {
    let mut out = Vec::new();
    view.text(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Checks a link of a type against the text behind its header and the keys behind `prog_id`.
#[track_caller]
fn check(r#type: &'static str, target: Target, tail: &str, keys: &str) {
    let view = link(r#type, target);
    assert_eq!(text(&view), format!("7: {type}  prog 3  {tail}\n"));
    let json = serde_json::to_string(&view).unwrap();
    let head = format!(r#"{{"id":7,"type":"{type}","prog_id":3"#);
    assert_eq!(json, format!("{head}{keys}}}"));
    serde_json::from_str::<serde_json::Value>(&json).unwrap();
}

#[test]
fn raw_tracepoints() {
    let target = |cookie| {
        Target::RawTracepoint(RawTracepointView {
            tp_name: "sched_switch".into(),
            cookie,
        })
    };
    check(
        "raw_tracepoint",
        target(0),
        "\n\ttp 'sched_switch'  ",
        r#","tp_name":"sched_switch","cookie":0"#,
    );
    check(
        "raw_tracepoint",
        target(u64::MAX),
        "\n\ttp 'sched_switch'  cookie 18446744073709551615  ",
        r#","tp_name":"sched_switch","cookie":18446744073709551615"#,
    );
}

#[test]
fn tracing() {
    let view = TracingView {
        prog_type: Some(named("tracing")),
        attach_type: named("trace_fentry"),
        target_obj_id: 1,
        target_btf_id: 200,
        cookie: 9,
    };
    check(
        "tracing",
        Target::Tracing(view.clone()),
        "\n\tprog_type tracing  attach_type trace_fentry  \n\ttarget_obj_id 1  target_btf_id 200  \n\tcookie 9  ",
        r#","prog_type":"tracing","attach_type":"trace_fentry","target_obj_id":1,"target_btf_id":200,"cookie":9"#,
    );
    // the program could not be opened; a type of the future
    check(
        "tracing",
        Target::Tracing(TracingView {
            prog_type: None,
            attach_type: NameOrNumber::Number(99),
            target_obj_id: 0,
            target_btf_id: 0,
            cookie: 0,
        }),
        "\n\tattach_type 99  ",
        r#","attach_type":99,"target_obj_id":0,"target_btf_id":0,"cookie":0"#,
    );
}

#[test]
fn tracing_of_many_functions() {
    let view = TracingMultiView {
        attach_type: named("trace_fentry_multi"),
        func_cnt: 2,
        btf_obj_id: 1,
        funcs: vec![
            TracingFuncView {
                btf_id: 31,
                addr: Some(0xffff_ffff_8100_0010),
                func: Some("vfs_read".into()),
                cookie: 0xbeef,
            },
            TracingFuncView {
                btf_id: 32,
                addr: None,
                func: None,
                cookie: 0,
            },
        ],
    };
    check(
        "tracing_multi",
        Target::TracingMulti(view),
        "\n\tattach_type trace_fentry_multi  func_cnt 2  btf_obj_id 1  \
         \n\taddr             cookie           btf_id func\
         \n\tffffffff81000010 beef             31 vfs_read  \
         \n\t0000000000000000 0                32 (unknown)  ",
        r#","attach_type":"trace_fentry_multi","func_cnt":2,"btf_obj_id":1,"funcs":[{"btf_id":31,"addr":18446744071578845200,"func":"vfs_read","cookie":48879},{"btf_id":32,"cookie":0}]"#,
    );
}

#[test]
fn kprobes_of_many_functions() {
    let view = KprobeMultiView {
        retprobe: true,
        func_cnt: 2,
        missed: 4,
        funcs: vec![
            KprobeFuncView {
                addr: 0x10,
                func: Some("vfs_read".into()),
                module: None,
                cookie: 0xbeef,
            },
            KprobeFuncView {
                addr: 0x20,
                func: Some("ext4_sync".into()),
                module: Some("ext4".into()),
                cookie: 0,
            },
        ],
    };
    check(
        "kprobe_multi",
        Target::KprobeMulti(view),
        "\n\tkretprobe.multi  func_cnt 2  missed 4  \
         \n\taddr             cookie           func [module]\
         \n\t0000000000000010 beef             vfs_read  \
         \n\t0000000000000020 0                ext4_sync [ext4]  ",
        r#","retprobe":true,"func_cnt":2,"missed":4,"funcs":[{"addr":16,"func":"vfs_read","module":null,"cookie":48879},{"addr":32,"func":"ext4_sync","module":"ext4","cookie":0}]"#,
    );
    check(
        "kprobe_multi",
        Target::KprobeMulti(KprobeMultiView {
            retprobe: false,
            func_cnt: 0,
            missed: 0,
            funcs: Vec::new(),
        }),
        "",
        r#","retprobe":false,"func_cnt":0,"missed":0,"funcs":[]"#,
    );
}

#[test]
fn functions_are_named_at_their_address_or_behind_a_landing_instruction() {
    let symbols = KernelSymbols::parse(
        b"0000000000000008 T __bpf_call_base\n\
          0000000000000100 t plain\n\
          0000000000000200 T landing\n\
          0000000000000300 T early\n\
          0000000000000304 T exact\t[mod]\n\
          0000000000000304 T alias\n"
            .to_vec(),
    );
    let rows = functions(&[0x304, 0x204, 0x999, 0x100, 0], &[5, 4], &symbols);
    let shown: Vec<_> = rows
        .iter()
        .map(|row| {
            let name = row.func.as_ref().map(ToString::to_string);
            let module = row.module.as_ref().map(ToString::to_string);
            (row.addr, name, module, row.cookie)
        })
        .collect();
    let name = |name: &str| Some(name.to_owned());
    assert_eq!(
        shown,
        [
            (0, None, None, 0),
            (0x100, name("plain"), None, 0),
            (0x204, name("landing"), None, 4),
            (0x304, name("exact"), name("mod"), 5),
            (0x999, None, None, 0),
        ]
    );
    let view = link(
        "kprobe_multi",
        Target::KprobeMulti(KprobeMultiView {
            retprobe: false,
            func_cnt: 5,
            missed: 0,
            funcs: rows,
        }),
    );
    assert!(text(&view).ends_with("\n\t0000000000000999 0                (unknown)  \n"));
}

#[test]
fn uprobes_of_many_places() {
    let view = |retprobe, pid| {
        Target::UprobeMulti(UprobeMultiView {
            retprobe,
            path: "/bin/a".into(),
            func_cnt: 1,
            pid,
            funcs: vec![UprobeFuncView {
                offset: 0x6a90,
                ref_ctr_offset: 0,
                cookie: u64::MAX,
            }],
        })
    };
    let table = "\n\toffset             ref_ctr_offset     cookies         \
                 \n\t0x6a90             0x0                0xffffffffffffffff";
    let places = r#""funcs":[{"offset":27280,"ref_ctr_offset":0,"cookie":18446744073709551615}]"#;
    check(
        "uprobe_multi",
        view(false, 0),
        &format!("\n\tuprobe.multi  path /bin/a  func_cnt 1  {table}"),
        &format!(r#","retprobe":false,"path":"/bin/a","func_cnt":1,"pid":0,{places}"#),
    );
    check(
        "uprobe_multi",
        view(true, 44),
        &format!("\n\turetprobe.multi  path /bin/a  func_cnt 1  pid 44  {table}"),
        &format!(r#","retprobe":true,"path":"/bin/a","func_cnt":1,"pid":44,{places}"#),
    );
}

#[test]
fn perf_events_on_kprobes() {
    let view = KprobeView {
        retprobe: false,
        addr: 0xabc,
        func: "f".into(),
        offset: 0x12,
        missed: 2,
        cookie: 3,
    };
    check(
        "perf_event",
        Target::Kprobe(view.clone()),
        "\n\tkprobe abc f+0x12  missed 2  cookie 3  ",
        r#","retprobe":false,"addr":2748,"func":"f","offset":18,"missed":2,"cookie":3"#,
    );
    let bare = KprobeView {
        retprobe: true,
        addr: 0,
        offset: 0,
        missed: 0,
        cookie: 0,
        ..view
    };
    check(
        "perf_event",
        Target::Kprobe(bare.clone()),
        "\n\tkretprobe f  ",
        r#","retprobe":true,"addr":0,"func":"f","offset":0,"missed":0,"cookie":0"#,
    );
    let nothing = KprobeView {
        func: "".into(),
        ..bare
    };
    assert_eq!(
        text(&link("perf_event", Target::Kprobe(nothing))),
        "7: perf_event  prog 3  \n"
    );
}

#[test]
fn perf_events_on_uprobes() {
    let view = UprobeView {
        retprobe: true,
        file: "/bin/a".into(),
        offset: 0x6a90,
        cookie: 11,
        ref_ctr_offset: 0x30,
    };
    check(
        "perf_event",
        Target::Uprobe(view.clone()),
        "\n\turetprobe /bin/a+0x6a90  cookie 11  ref_ctr_offset 0x30  ",
        r#","retprobe":true,"file":"/bin/a","offset":27280,"cookie":11,"ref_ctr_offset":48"#,
    );
    let start = UprobeView {
        retprobe: false,
        offset: 0,
        cookie: 0,
        ref_ctr_offset: 0,
        ..view
    };
    check(
        "perf_event",
        Target::Uprobe(start),
        "\n\tuprobe /bin/a+0  ",
        r#","retprobe":false,"file":"/bin/a","offset":0,"cookie":0,"ref_ctr_offset":0"#,
    );
}

#[test]
fn perf_events_on_tracepoints() {
    let target = |cookie| {
        Target::Tracepoint(TracepointView {
            tracepoint: "sched_switch".into(),
            cookie,
        })
    };
    check(
        "perf_event",
        target(0),
        "\n\ttracepoint sched_switch  ",
        r#","tracepoint":"sched_switch","cookie":0"#,
    );
    check(
        "perf_event",
        target(5),
        "\n\ttracepoint sched_switch  cookie 5  ",
        r#","tracepoint":"sched_switch","cookie":5"#,
    );
}

#[test]
fn perf_events_on_counters() {
    check(
        "perf_event",
        Target::Event(EventView {
            event_type: "software".into(),
            event_config: "cpu-clock".into(),
            cookie: 5,
        }),
        "\n\tevent software:cpu-clock  cookie 5  ",
        r#","event_type":"software","event_config":"cpu-clock","cookie":5"#,
    );
    check(
        "perf_event",
        Target::Event(EventView {
            event_type: TextOrNumber::Number(12),
            event_config: TextOrNumber::Number(0),
            cookie: 0,
        }),
        "\n\tevent 12 :0  ",
        r#","event_type":12,"event_config":0,"cookie":0"#,
    );
}

#[test]
fn cgroups_and_namespaces() {
    check(
        "cgroup",
        Target::Cgroup(CgroupView {
            cgroup_id: 25,
            attach_type: named("cgroup_inet_egress"),
        }),
        "\n\tcgroup_id 25  attach_type cgroup_inet_egress  ",
        r#","cgroup_id":25,"attach_type":"cgroup_inet_egress""#,
    );
    check(
        "netns",
        Target::Netns(NetnsView {
            netns_ino: 4_026_532_178,
            attach_type: named("sk_lookup"),
        }),
        "\n\tnetns_ino 4026532178  attach_type sk_lookup  ",
        r#","netns_ino":4026532178,"attach_type":"sk_lookup""#,
    );
}

#[test]
fn iterators() {
    let name = |name: &str| IterView {
        target_name: name.into(),
        ..IterView::default()
    };
    let cases = [
        (name("tcp"), "target_name tcp  ", r#""target_name":"tcp""#),
        (
            IterView {
                map_id: Some(5),
                ..name("bpf_map_elem")
            },
            "target_name bpf_map_elem  map_id 5  ",
            r#""target_name":"bpf_map_elem","map_id":5"#,
        ),
        (
            IterView {
                tid: Some(9),
                ..name("task")
            },
            "target_name task  tid 9 ",
            r#""target_name":"task","tid":9"#,
        ),
        (
            IterView {
                pid: Some(9),
                ..name("task_vma")
            },
            "target_name task_vma  pid 9 ",
            r#""target_name":"task_vma","pid":9"#,
        ),
        (
            IterView {
                cgroup_id: Some(25),
                order: Some(named("children")),
                ..name("cgroup")
            },
            "target_name cgroup  cgroup_id 25  order children  ",
            r#""target_name":"cgroup","cgroup_id":25,"order":"children""#,
        ),
    ];
    for (view, tail, keys) in cases {
        check("iter", Target::Iter(view), tail, &format!(",{keys}"));
    }
}

#[test]
fn devices() {
    let device = |devname: &str, ifindex, attach_type: Option<&'static str>| {
        Target::Device(DeviceView {
            devname: devname.into(),
            ifindex,
            attach_type: attach_type.map(named),
        })
    };
    check(
        "xdp",
        device("v0", 3, None),
        "\n\tifindex v0(3)  ",
        r#","devname":"v0","ifindex":3"#,
    );
    check(
        "tcx",
        device("(detached)", 0, Some("tcx_ingress")),
        "\n\tifindex (detached)  attach_type tcx_ingress  ",
        r#","devname":"(detached)","ifindex":0,"attach_type":"tcx_ingress""#,
    );
    check(
        "netkit",
        device("(unknown)", 9, Some("netkit_peer")),
        "\n\tifindex (unknown)  attach_type netkit_peer  ",
        r#","devname":"(unknown)","ifindex":9,"attach_type":"netkit_peer""#,
    );
}

#[test]
fn netfilter_hooks() {
    let cases = [
        ((2, 1, -5, 0), "ip input prio -5"),
        ((10, 4, 100, 1), "ip6 postrouting prio 100 flags 0x1"),
        ((1, 0, 0, 0), "inet prerouting prio 0"),
        ((3, 1, 0, 0), "arp output prio 0"),
        ((7, 2, 0, 0), "bridge forward prio 0"),
        ((5, 0, 0, 0), "netdev, hook 0, prio 0"),
        ((2, 5, 0, 0), "ip, hook 5, prio 0"),
        ((12, 1, 0, 0), "pf: 12, hook 1, prio 0"),
    ];
    for ((pf, hook, prio, flags), tail) in cases {
        check(
            "netfilter",
            Target::Netfilter(NetfilterView {
                pf,
                hook,
                prio,
                flags,
            }),
            &format!("\n\t{tail}"),
            &format!(r#","pf":{pf},"hook":{hook},"prio":{prio},"flags":{flags}"#),
        );
    }
}

#[test]
fn maps() {
    check(
        "sockmap",
        Target::Sockmap(SockmapView {
            map_id: 5,
            attach_type: named("sk_skb_verdict"),
        }),
        "\n\tmap_id 5  attach_type sk_skb_verdict  ",
        r#","map_id":5,"attach_type":"sk_skb_verdict""#,
    );
    let mut view = link("struct_ops", Target::StructOps(StructOpsView { map_id: 5 }));
    view.prog_id = 0;
    assert_eq!(text(&view), "7: struct_ops  map 5  \n");
    assert_eq!(
        serde_json::to_value(&view).unwrap(),
        json!({"id": 7, "type": "struct_ops", "prog_id": 0, "map_id": 5})
    );
}

#[test]
fn types_of_the_future_are_numbers_and_names_are_made_safe() {
    let mut view = link("", Target::Other {});
    view.r#type = NameOrNumber::Number(77);
    view.pinned = Some(vec!["/bpf/a\x1b".into(), "/bpf/b".into()]);
    view.pids = vec![
        Holder {
            pid: 5,
            comm: "sh".into(),
        },
        Holder {
            pid: 6,
            comm: "x".into(),
        },
    ];
    assert_eq!(
        text(&view),
        "7: type 77  prog 3  \n\tpinned /bpf/a\\x1b\n\tpinned /bpf/b\n\tpids sh(5), x(6)\n"
    );
    assert_eq!(
        serde_json::to_string(&view).unwrap(),
        r#"{"id":7,"type":77,"prog_id":3,"pinned":["/bpf/a\u001b","/bpf/b"],"pids":[{"pid":5,"comm":"sh"},{"pid":6,"comm":"x"}]}"#
    );
}
