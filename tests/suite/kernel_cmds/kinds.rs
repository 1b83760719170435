//! Each kind of link: made, asked about, and shown by the tool with every field it has.

use std::fmt;
use std::sync::LazyLock;

use anyhow::{Context as _, Result, ensure};
use bpfsys::cmd::{LinkKind, MapCreate};
use bpfsys::{BtfFd, LinkType, MapType};
use rbpftool_tests::state::Needs;
use rbpftool_tests::state::links::{Ground, Held, LinkRecipe, link_recipes};
use rbpftool_tests::state::types::Types;
use rbpftool_tests::{Output, Private, Skip, ensure_eq, run_tool, skip};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Value, json};

use crate::support::{Bench, configured, kernel_refused, older_than};

pub(crate) fn add(bench: &mut Bench) {
    for recipe in link_recipes() {
        let name = format!("link_kind::{}", recipe.label.replace(' ', "_"));
        bench.with(&name, move |private| kind(private, &recipe));
    }
}

/// The types of the running kernel, which take a while to read under emulation.
static KERNEL: LazyLock<Result<btf::Btf<'static>, String>> = LazyLock::new(|| {
    let bytes = std::fs::read("/sys/kernel/btf/vmlinux").map_err(|e| e.to_string())?;
    btf::Btf::parse(bytes).map_err(|e| e.to_string())
});

fn kind(private: &Private, recipe: &LinkRecipe) -> Result<()> {
    let kernel = KERNEL.as_ref().map_err(|e| anyhow::anyhow!("{e}"))?;
    let ground = Ground {
        private,
        kernel,
        types: &Types::load()?,
        map: &MapCreate::new(MapType::HASH, 4, 8, 4).run()?,
    };
    let held = match recipe.make(&ground) {
        Ok(held) => held,
        Err(e) => return Err(why_not(recipe, e)),
    };
    let needs = Needs(recipe.since);
    ensure!(
        recipe.backported || !needs.newer(),
        "{} is older than was thought",
        recipe.label
    );
    known(&held)?;
    shown(&held)
}

/// A skip, if the kernel is too old or built without it, or else the error.
fn why_not(recipe: &LinkRecipe, error: anyhow::Error) -> anyhow::Error {
    if let Some(reason) = error.downcast_ref::<Skip>() {
        return skip(reason.reason());
    }
    if Needs(recipe.since).newer() {
        // Refused by the kernel, not by a mistake on the way there.
        return if kernel_refused(&error) {
            skip(format!("{error:#}"))
        } else {
            error
        };
    }
    match recipe.config.map(|option| (option, configured(option))) {
        Some((option, Some(false))) => skip(format!(
            "this kernel is built without {option}: {:#}",
            error.root_cause()
        )),
        // Where there is no list, the kernel is believed.
        Some((option, None)) if kernel_refused(&error) => skip(format!(
            "needs {option}, says this kernel: {:#}",
            error.root_cause()
        )),
        _ => error,
    }
}

/// What `bpfsys` is told about it.
fn known(held: &Held) -> Result<()> {
    let info = held.link.info()?;
    if let Some(prog) = &held.prog {
        ensure_eq!(info.prog_id, prog.info()?.id());
    }
    let name = info.type_.name().context("a link type without name")?;
    ensure_eq!(Some(name), held.label.split(' ').next());
    ensure!(!matches!(info.kind, LinkKind::Other), "not understood");
    Ok(())
}

/// What the tool shows, as JSON and as text.
fn shown(held: &Held) -> Result<()> {
    let label = held.label;
    let id = held.link.info()?.id;
    let (id, own) = (id.to_string(), std::process::id());
    let show = |flag: &[&str]| -> Result<Output> {
        run_tool([flag, &["link", "show", "id", &id]].concat())
    };
    let json = show(&["-j"])?;
    let value = json.json()?;
    let text = show(&[])?;
    ensure!(text.status == 0 && text.err().is_empty(), "{text:?}");
    let text = text.out();
    let first = label.split(' ').next().unwrap_or_default();
    let silent = is_silent(held)?;

    let keys: Keys = serde_json::from_slice(&json.stdout).context("an object")?;
    let mut wanted = vec!["id", "type", "prog_id"];
    if !silent {
        wanted.extend(keys_of(label));
        wanted.extend((first == "perf_event").then_some("bpf_cookie"));
    }
    wanted.push("pids");
    ensure_eq!(keys.0, wanted, "the keys of {label}: {value}");
    ensure_eq!(value["type"], json!(first));
    ensure!(
        value["pids"]
            .as_array()
            .is_some_and(|all| all.iter().any(|p| p["pid"] == json!(own))),
        "not held by this process: {value}"
    );
    if silent {
        return Ok(());
    }
    if let Some(funcs) = value.get("funcs") {
        let funcs = funcs.as_array().context("functions")?;
        ensure_eq!(json!(funcs.len()), value["func_cnt"], "{value}");
        let all: Funcs = serde_json::from_slice(&json.stdout).context("functions")?;
        for keys in all.funcs {
            ensure_eq!(
                keys.0,
                function_keys(first),
                "the keys of a function: {value}"
            );
        }
    }
    for (pointer, wanted) in values(held)? {
        ensure_eq!(
            value.pointer(pointer),
            Some(&wanted),
            "{pointer} of {value}"
        );
    }
    // The kernel does not always tell what it knows.
    let younger = match label {
        "raw_tracepoint cookie" | "tracing cookie" => (6, 17),
        "perf_event uprobe with counter" => (6, 16),
        _ => (0, 0),
    };
    let phrases = if older_than(younger)? {
        &[]
    } else {
        phrases(label)
    };
    for phrase in phrases {
        ensure!(text.contains(phrase), "'{phrase}' is not in {text}");
    }
    Ok(())
}

/// Does this kernel tell nothing of such links but that they are there?
fn is_silent(held: &Held) -> Result<bool> {
    Ok(held.link.info()?.type_ == LinkType::PERF_EVENT && older_than((6, 6))?)
}

/// The keys between `prog_id` and `pids`, in order.
fn keys_of(label: &str) -> Vec<&'static str> {
    let (first, rest) = label.split_once(' ').unwrap_or((label, ""));
    match (first, rest) {
        ("raw_tracepoint", _) => vec!["tp_name", "cookie"],
        ("tracing", _) => vec![
            "prog_type",
            "attach_type",
            "target_obj_id",
            "target_btf_id",
            "cookie",
        ],
        ("cgroup", _) => vec!["cgroup_id", "attach_type"],
        ("iter", "map" | "socket storage") => vec!["target_name", "map_id"],
        ("iter", "thread") => vec!["target_name", "tid"],
        ("iter", "process" | "memory areas") => vec!["target_name", "pid"],
        ("iter", rest) if rest.starts_with("cgroup") => {
            vec!["target_name", "cgroup_id", "order"]
        }
        ("iter", _) => vec!["target_name"],
        ("netns", _) => vec!["netns_ino", "attach_type"],
        ("xdp", _) => vec!["devname", "ifindex"],
        ("tcx" | "netkit", _) => vec!["devname", "ifindex", "attach_type"],
        ("sockmap", _) => vec!["map_id", "attach_type"],
        ("netfilter", _) => vec!["pf", "hook", "prio", "flags"],
        ("struct_ops", _) => vec!["map_id"],
        ("kprobe_multi", _) => vec!["retprobe", "func_cnt", "missed", "funcs"],
        ("uprobe_multi", _) => vec!["retprobe", "path", "func_cnt", "pid", "funcs"],
        ("tracing_multi", _) => vec!["attach_type", "func_cnt", "btf_obj_id", "funcs"],
        ("perf_event", "kprobe" | "kretprobe") => {
            vec!["retprobe", "addr", "func", "offset", "missed", "cookie"]
        }
        ("perf_event", "tracepoint") => vec!["tracepoint", "cookie"],
        ("perf_event", "event") => vec!["event_type", "event_config", "cookie"],
        ("perf_event", _) => vec!["retprobe", "file", "offset", "cookie", "ref_ctr_offset"],
        _ => Vec::new(),
    }
}

fn function_keys(link_type: &str) -> Vec<&'static str> {
    match link_type {
        "kprobe_multi" => vec!["addr", "func", "module", "cookie"],
        "uprobe_multi" => vec!["offset", "ref_ctr_offset", "cookie"],
        _ => vec!["btf_id", "func", "cookie"],
    }
}

/// The number the kernel gave to the BTF of a module.
fn btf_of(module: &str) -> Result<Value> {
    for id in bpfsys::btf_ids() {
        let id = id?;
        if BtfFd::by_id(id)?
            .info()?
            .name
            .starts_with(module.as_bytes())
        {
            return Ok(json!(id.get()));
        }
    }
    anyhow::bail!("no BTF of {module}")
}

/// A number that kernels before some version keep for themselves.
fn told(since: (u16, u16), number: u64) -> Result<Value> {
    Ok(json!(if older_than(since)? { 0 } else { number }))
}

/// What is known beforehand: places in the JSON, and what is there.
fn values(held: &Held) -> Result<Vec<(&'static str, Value)>> {
    let exe = std::env::current_exe().context("find this executable")?;
    let exe = exe.to_str().context("a path")?;
    let pid = std::process::id();
    let attached = |at: &str| vec![("/attach_type", json!(at))];
    let walks = |target: &str| vec![("/target_name", json!(target))];
    let ordered = |order: &str| vec![("/target_name", json!("cgroup")), ("/order", json!(order))];
    let traced = |prog_type: &str, at: &str| {
        vec![
            ("/prog_type", json!(prog_type)),
            ("/attach_type", json!(at)),
            ("/cookie", json!(0)),
        ]
    };
    Ok(match held.label {
        "raw_tracepoint" | "raw_tracepoint with BTF" => {
            vec![("/tp_name", json!("xdp_exception")), ("/cookie", json!(0))]
        }
        "raw_tracepoint cookie" => vec![("/cookie", told((6, 17), 0x1122)?)],
        "tracing fentry" => traced("tracing", "trace_fentry"),
        "tracing fexit" => traced("tracing", "trace_fexit"),
        "tracing fsession" => traced("tracing", "trace_fsession"),
        "tracing fmod_ret" => traced("tracing", "modify_return"),
        "tracing lsm" => traced("lsm", "lsm_mac"),
        "tracing cookie" => vec![("/cookie", told((6, 17), 0xfeed_beef_cafe)?)],
        "tracing module" if !older_than((5, 13))? => {
            vec![("/target_obj_id", btf_of("dummy")?)]
        }
        "tracing freplace" | "tracing freplace at link" => vec![("/prog_type", json!("ext"))],
        "cgroup" => attached("cgroup_inet_egress"),
        "cgroup before link" => attached("cgroup_inet_ingress"),
        "cgroup lsm" => attached("lsm_cgroup"),
        "iter" => walks("task"),
        "iter map" => walks("bpf_map_elem"),
        "iter socket storage" => walks("bpf_sk_storage_map"),
        "iter process" => [walks("task_file"), vec![("/pid", json!(pid))]].concat(),
        "iter thread" => [walks("task"), vec![("/tid", json!(pid))]].concat(),
        "iter memory areas" => [walks("task_vma"), vec![("/pid", json!(pid))]].concat(),
        "iter cgroup" => ordered("self_only"),
        "iter cgroup pre-order" => ordered("descendants_pre"),
        "iter cgroup post-order" => ordered("descendants_post"),
        "iter cgroup upwards" => ordered("ancestors_up"),
        "iter cgroup children" => ordered("children"),
        "netns" => attached("sk_lookup"),
        "netns flow dissector" => attached("flow_dissector"),
        "xdp" => vec![("/devname", json!("lo")), ("/ifindex", json!(1))],
        "tcx" | "tcx before program" => attached("tcx_ingress"),
        "tcx first" | "tcx after link" => attached("tcx_egress"),
        "netkit" => [
            attached("netkit_primary"),
            vec![("/devname", json!("rbpf_nk"))],
        ]
        .concat(),
        "netkit peer" => attached("netkit_peer"),
        "sockmap" => attached("sk_skb_verdict"),
        "netfilter" => vec![
            ("/pf", json!(2)),
            ("/hook", json!(1)),
            ("/prio", json!(-128)),
            ("/flags", json!(0)),
        ],
        "netfilter defragmented" => vec![
            ("/pf", json!(10)),
            ("/hook", json!(0)),
            ("/prio", json!(100)),
            ("/flags", json!(1)),
        ],
        "struct_ops" => vec![("/prog_id", json!(0))],
        "kprobe_multi" | "kprobe_multi session" => vec![
            ("/retprobe", json!(false)),
            ("/func_cnt", json!(2)),
            ("/missed", json!(0)),
            ("/funcs/0/module", Value::Null),
        ],
        "kprobe_multi return" => vec![("/retprobe", json!(true))],
        "kprobe_multi module" => vec![
            ("/funcs/0/func", json!("dummy_xmit")),
            ("/funcs/0/module", json!("dummy")),
            ("/funcs/0/cookie", json!(0x10)),
        ],
        "uprobe_multi" | "uprobe_multi session" => vec![
            ("/retprobe", json!(false)),
            ("/path", json!(exe)),
            ("/pid", json!(pid)),
            ("/funcs/0/ref_ctr_offset", json!(0)),
        ],
        "uprobe_multi return" => vec![
            ("/retprobe", json!(true)),
            ("/func_cnt", json!(2)),
            ("/funcs/1/cookie", json!(u64::MAX)),
        ],
        "tracing_multi fentry" => vec![
            ("/attach_type", json!("trace_fentry_multi")),
            ("/func_cnt", json!(2)),
        ],
        "tracing_multi fexit" => vec![
            ("/attach_type", json!("trace_fexit_multi")),
            ("/funcs/0/cookie", json!(0)),
        ],
        "tracing_multi fsession" => attached("trace_fsession_multi"),
        "tracing_multi module" => vec![
            ("/btf_obj_id", btf_of("dummy")?),
            ("/funcs/0/func", json!("dummy_xmit")),
            ("/funcs/0/cookie", json!(3)),
        ],
        "perf_event kprobe" => vec![
            ("/retprobe", json!(false)),
            ("/func", json!("bpf_fentry_test1")),
            ("/offset", json!(0)),
            ("/missed", json!(0)),
            ("/cookie", json!(0xc00c1e)),
            ("/bpf_cookie", json!(0xc00c1e)),
        ],
        "perf_event kretprobe" => vec![("/retprobe", json!(true))],
        "perf_event uprobe" => vec![
            ("/retprobe", json!(false)),
            ("/file", json!(exe)),
            ("/cookie", json!(0xabcd)),
            ("/ref_ctr_offset", json!(0)),
        ],
        "perf_event uretprobe" => vec![("/retprobe", json!(true))],
        "perf_event tracepoint" => vec![
            ("/tracepoint", json!("xdp_exception")),
            ("/cookie", json!(0x77)),
        ],
        "perf_event event" => vec![
            ("/event_type", json!("software")),
            ("/event_config", json!("cpu-clock")),
        ],
        _ => Vec::new(),
    })
}

/// What the text has in it.
fn phrases(label: &str) -> &'static [&'static str] {
    match label {
        "raw_tracepoint" => &["\n\ttp 'xdp_exception'  "],
        "raw_tracepoint cookie" => &["  cookie 4386  "],
        "tracing fentry" => &["\n\tprog_type tracing  attach_type trace_fentry  "],
        "tracing lsm" => &["\n\tprog_type lsm  attach_type lsm_mac  "],
        "tracing cookie" => &["\n\tcookie 280297064090366  "],
        "netkit" => &["\n\tifindex rbpf_nk(", ")  attach_type netkit_primary  "],
        "xdp" => &["\n\tifindex lo(1)  "],
        "netfilter" => &["\n\tip input prio -128"],
        "netfilter defragmented" => &["\n\tip6 prerouting prio 100 flags 0x1"],
        "struct_ops" => &["struct_ops  map "],
        "kprobe_multi" => &[
            "\n\tkprobe.multi  func_cnt 2  ",
            "\n\taddr             cookie           func [module]",
            " 10               bpf_fentry_test1  ",
        ],
        "kprobe_multi return" => &["\n\tkretprobe.multi  func_cnt 2  "],
        "kprobe_multi module" => &["dummy_xmit [dummy]"],
        "uprobe_multi" => &["\n\tuprobe.multi  path ", "  func_cnt 1  pid "],
        "uprobe_multi return" => &["\n\turetprobe.multi  path "],
        "tracing_multi fentry" => &[
            "\n\tattach_type trace_fentry_multi  func_cnt 2  btf_obj_id ",
            " bpf_fentry_test1  ",
        ],
        "perf_event kprobe" => &["\n\tkprobe ", " bpf_fentry_test1", "  cookie 12586014  "],
        "perf_event kretprobe" => &["\n\tkretprobe "],
        "perf_event uprobe" => &["\n\tuprobe ", "  cookie 43981  "],
        "perf_event uretprobe" => &["\n\turetprobe "],
        "perf_event uprobe with counter" => &["  ref_ctr_offset 0x"],
        "perf_event tracepoint" => &["\n\ttracepoint xdp_exception  cookie 119  "],
        "perf_event event" => &["\n\tevent software:cpu-clock  "],
        _ => &[],
    }
}

/// The keys of an object, in the order they came.
struct Keys(Vec<String>);

/// The keys of each function.
#[derive(serde::Deserialize)]
struct Funcs {
    funcs: Vec<Keys>,
}

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Seen;
        impl<'de> Visitor<'de> for Seen {
            type Value = Keys;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                let mut keys = Vec::new();
                while let Some((key, IgnoredAny)) = map.next_entry()? {
                    keys.push(key);
                }
                Ok(Keys(keys))
            }
        }
        from.deserialize_map(Seen)
    }
}
