//! Every section that says to what its programs attach.

use anyhow::{Context as _, Result, bail, ensure};
use loader::attach::{Link, Links};
use nix::errno::Errno;
use rbpftool_tests::{Private, ensure_eq, requires};
use serde_json::{Value, json};

use crate::support::{
    Bench, Fire, counted, gone, guest_only, load, load_with, older_than, program, shown, since,
    since_fprobe,
};

/// Since ever, as far as this toolkit is concerned.
const ALWAYS: (u16, u16) = (5, 10);
/// Links of perf events, and what these are of, as links say it.
const PERF_LINK: (u16, u16) = (5, 15);
const PERF_INFO: (u16, u16) = (6, 6);

/// What a link says about itself, from this kernel on.
type Says = ((u16, u16), &'static [(&'static str, fn() -> Value)]);

struct Form {
    program: &'static str,
    since: (u16, u16),
    guest: bool,
    fire: Fire,
    /// Since when there is a link, and of what type.
    link: ((u16, u16), &'static str),
    says: Says,
}

const fn form(
    program: &'static str,
    since: (u16, u16),
    fire: Fire,
    link: ((u16, u16), &'static str),
    says: Says,
) -> Form {
    Form {
        program,
        since,
        guest: true,
        fire,
        link,
        says,
    }
}

impl Form {
    /// It disturbs nobody where it is attached.
    const fn here(self) -> Self {
        Self {
            guest: false,
            ..self
        }
    }
}

const KPROBE: ((u16, u16), &str) = (PERF_LINK, "perf_event");
const MULTI: ((u16, u16), &str) = (ALWAYS, "kprobe_multi");
const RAW: ((u16, u16), &str) = (ALWAYS, "raw_tracepoint");
const TRACING: ((u16, u16), &str) = (ALWAYS, "tracing");
const TRACING_MULTI: ((u16, u16), &str) = (ALWAYS, "tracing_multi");

const SAYS_SLEEP: Says = (
    PERF_INFO,
    &[
        ("retprobe", || json!(false)),
        ("func", || json!("do_nanosleep")),
        ("offset", || json!(0)),
    ],
);
const SAYS_SLEPT: Says = (
    PERF_INFO,
    &[
        ("retprobe", || json!(true)),
        ("func", || json!("do_nanosleep")),
    ],
);
const SAYS_CALL: Says = (PERF_INFO, &[("retprobe", || json!(false))]);
const SAYS_RETURN: Says = (PERF_INFO, &[("retprobe", || json!(true))]);
const SAYS_MULTI: Says = (
    PERF_INFO,
    &[("retprobe", || json!(false)), ("func_cnt", || json!(1))],
);
const SAYS_MULTI_RETURN: Says = (
    PERF_INFO,
    &[("retprobe", || json!(true)), ("func_cnt", || json!(1))],
);
const SAYS_EVENT: Says = (PERF_INFO, &[("tracepoint", || json!("bpf_test_finish"))]);
const SAYS_CALL_EVENT: Says = (PERF_INFO, &[("tracepoint", || json!("sys_enter_getpgid"))]);
const SAYS_RAW: Says = (ALWAYS, &[("tp_name", || json!("bpf_test_finish"))]);
const SAYS_RAW_CALL: Says = (ALWAYS, &[("tp_name", || json!("sys_enter"))]);
const SAYS_ITER: Says = (ALWAYS, &[("target_name", || json!("task"))]);
const SAYS_ENTRY: Says = (ALWAYS, &[("attach_type", || json!("trace_fentry"))]);
const SAYS_EXIT: Says = (ALWAYS, &[("attach_type", || json!("trace_fexit"))]);
const SAYS_MODIFY: Says = (ALWAYS, &[("attach_type", || json!("modify_return"))]);
const SAYS_SESSION: Says = (ALWAYS, &[("attach_type", || json!("trace_fsession"))]);
const SAYS_BTF_TP: Says = (ALWAYS, &[("tp_name", || json!("bpf_test_finish"))]);
const SAYS_NOTHING: Says = (ALWAYS, &[]);

const FORMS: [Form; 38] = [
    form("kprobe", ALWAYS, Fire::Sleep, KPROBE, SAYS_SLEEP),
    form("kprobe_offset", ALWAYS, Fire::Sleep, KPROBE, SAYS_SLEEP),
    form("kretprobe", ALWAYS, Fire::Sleep, KPROBE, SAYS_SLEPT),
    form("ksyscall", ALWAYS, Fire::Getpgid, KPROBE, SAYS_CALL),
    form("kretsyscall", ALWAYS, Fire::Getpgid, KPROBE, SAYS_RETURN),
    form("kprobe_multi", (5, 18), Fire::Sleep, MULTI, SAYS_MULTI),
    form("kprobe_multi_name", (5, 18), Fire::Sleep, MULTI, SAYS_MULTI),
    form(
        "kretprobe_multi",
        (5, 18),
        Fire::Sleep,
        MULTI,
        SAYS_MULTI_RETURN,
    ),
    form("kprobe_session", (6, 10), Fire::Sleep, MULTI, SAYS_NOTHING),
    form("tracepoint", ALWAYS, Fire::TestRun, KPROBE, SAYS_EVENT).here(),
    form("tp", ALWAYS, Fire::TestRun, KPROBE, SAYS_EVENT).here(),
    form(
        "tracepoint_s",
        (7, 2),
        Fire::Getpgid,
        KPROBE,
        SAYS_CALL_EVENT,
    ),
    form("tp_s", (7, 2), Fire::Getpgid, KPROBE, SAYS_CALL_EVENT),
    form("raw_tracepoint", ALWAYS, Fire::TestRun, RAW, SAYS_RAW).here(),
    form("raw_tp", ALWAYS, Fire::TestRun, RAW, SAYS_RAW).here(),
    form(
        "raw_tracepoint_s",
        (7, 2),
        Fire::Getpgid,
        RAW,
        SAYS_RAW_CALL,
    ),
    form("raw_tp_s", (7, 2), Fire::Getpgid, RAW, SAYS_RAW_CALL),
    form("raw_tracepoint_w", ALWAYS, Fire::TestRun, RAW, SAYS_RAW).here(),
    form("raw_tp_w", ALWAYS, Fire::TestRun, RAW, SAYS_RAW).here(),
    form("tp_btf", ALWAYS, Fire::TestRun, RAW, SAYS_BTF_TP).here(),
    form("tp_btf_s", (7, 2), Fire::Getpgid, RAW, SAYS_RAW_CALL),
    form("fentry", ALWAYS, Fire::Sleep, TRACING, SAYS_ENTRY),
    form("fexit", ALWAYS, Fire::Sleep, TRACING, SAYS_EXIT),
    // before, only kernels built with error injection let programs sleep in system calls
    form("fentry_s", (7, 2), Fire::Getpgid, TRACING, SAYS_ENTRY),
    form("fexit_s", (7, 2), Fire::Getpgid, TRACING, SAYS_EXIT),
    form("fmod_ret", ALWAYS, Fire::Getpgid, TRACING, SAYS_MODIFY),
    form("fmod_ret_s", (6, 3), Fire::Test1, TRACING, SAYS_MODIFY),
    form("fsession", (7, 0), Fire::Sleep, TRACING, SAYS_SESSION),
    form("fsession_s", (7, 0), Fire::Getpgid, TRACING, SAYS_SESSION),
    form(
        "fentry_multi",
        (7, 2),
        Fire::Sleep,
        TRACING_MULTI,
        SAYS_NOTHING,
    ),
    form(
        "fexit_multi",
        (7, 2),
        Fire::Sleep,
        TRACING_MULTI,
        SAYS_NOTHING,
    ),
    form(
        "fsession_multi",
        (7, 2),
        Fire::Sleep,
        TRACING_MULTI,
        SAYS_NOTHING,
    ),
    form(
        "fentry_multi_s",
        (7, 2),
        Fire::Getpgid,
        TRACING_MULTI,
        SAYS_NOTHING,
    ),
    form(
        "fexit_multi_s",
        (7, 2),
        Fire::Getpgid,
        TRACING_MULTI,
        SAYS_NOTHING,
    ),
    form(
        "fsession_multi_s",
        (7, 2),
        Fire::Getpgid,
        TRACING_MULTI,
        SAYS_NOTHING,
    ),
    form("iter", ALWAYS, Fire::Read, (ALWAYS, "iter"), SAYS_ITER).here(),
    form("iter_s", (5, 18), Fire::Read, (ALWAYS, "iter"), SAYS_ITER).here(),
    form("lsm_s", (5, 11), Fire::Open, TRACING, SAYS_NOTHING),
];

/// Programs of the object that are not among these: in tests of their own, or that attach to
/// nothing.
const ELSEWHERE: [&str; 10] = [
    "lsm",
    "perf_event",
    "runs",
    "calls_test1",
    "fentry_multi_module",
    "kprobe_missing",
    "kprobe_multi_missing",
    "tp_missing",
    "raw_tp_missing",
    "kprobe_malformed",
];

pub(crate) fn add(bench: &mut Bench) {
    for form in &FORMS {
        let name = format!("section::{}", form.program);
        bench.one(name, move |private| one(private, form));
    }
    bench.guest("section::lsm_denies", denies);
    bench.guest("section::fentry_multi_of_a_module", module);
    bench.one("section::every_one_has_a_test", |_| every_one());
}

fn one(private: &Private, form: &Form) -> Result<()> {
    if form.guest {
        guest_only()?;
    }
    if form.program.starts_with("lsm") {
        requires!(bpf_is_asked(), "bpf is not among the security modules");
    }
    let loaded = match load("attach", &[form.program]) {
        Ok(loaded) => loaded,
        Err(e) => return Err(since(form.since, e)),
    };
    let links = match loaded.attach() {
        Ok(links) => links,
        Err(e) => return Err(since_fprobe(form.since, e.into())),
    };
    let link = only(links)?;
    form.fire.run(&loaded, &link)?;
    let seen = counted(&loaded, 0)?;
    ensure!(seen > 0, "it does not run");
    let (with_link, link_type) = form.link;
    if older_than(with_link)? {
        ensure!(link.fd().is_none(), "older than was thought");
        link.detach()?;
    } else {
        let fd = link.fd().context("no link")?;
        let id = fd.info()?.id;
        let value = shown(fd)?;
        ensure_eq!(value["type"], json!(link_type));
        let prog = program(&loaded, form.program)?.fd().context("no fd")?;
        ensure_eq!(value["prog_id"], json!(prog.info()?.id));
        let (told, says) = form.says;
        if !older_than(told)? {
            for (key, expect) in says {
                ensure_eq!(value[*key], expect());
            }
        }
        pinned(private, link)?;
        gone(id)?;
    }
    let seen = counted(&loaded, 0)?;
    match form.fire {
        Fire::Read => {}
        fire => {
            // nothing of this needs the link
            let none = Link::group("nothing", Vec::new());
            fire.run(&loaded, &none)?;
            ensure_eq!(counted(&loaded, 0)?, seen);
        }
    }
    Ok(())
}

fn only(links: Links) -> Result<Link> {
    let mut links = links.take();
    ensure_eq!(links.len(), 1);
    links.pop().context("no link")
}

/// A link stays by its pin, and goes with it.
fn pinned(private: &Private, mut link: Link) -> Result<()> {
    let path = private.bpffs().join("attached");
    link.pin(&path)?;
    let id = link.fd().context("no link")?.info()?.id;
    drop(link);
    let mut link = Link::open_pinned(&path)?;
    ensure_eq!(link.pinned_at(), Some(path.as_path()));
    ensure_eq!(link.fd().context("no link")?.info()?.id, id);
    link.unpin()?;
    ensure!(!path.exists(), "the pin is still there");
    link.detach()?;
    Ok(())
}

/// Whether the kernel asks BPF programs for security decisions.
fn bpf_is_asked() -> bool {
    let modules = std::fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
    modules.trim().split(',').any(|module| module == "bpf")
}

/// A system call is denied, and allowed again.
fn denies(_: &Private) -> Result<()> {
    requires!(bpf_is_asked(), "bpf is not among the security modules");
    let loaded = load_with("attach", &["lsm"], &[("verdict", "-1")])?;
    let group = || nix::unistd::getpgid(Some(nix::unistd::getpid()));
    group()?;
    let links = loaded.attach()?;
    ensure_eq!(group(), Err(Errno::EPERM));
    ensure!(counted(&loaded, 0)? > 0, "it does not run");
    links.detach()?;
    group()?;
    Ok(())
}

/// Functions of a module, which the program was loaded for.
fn module(_: &Private) -> Result<()> {
    let loaded = match load("attach", &["fentry_multi_module"]) {
        Ok(loaded) => loaded,
        Err(e) => return Err(since((7, 2), e)),
    };
    ensure_eq!(
        program(&loaded, "fentry_multi_module")?.module(),
        Some("dummy")
    );
    let link = only(loaded.attach()?)?;
    let value = shown(link.fd().context("no link")?)?;
    ensure_eq!(value["type"], json!("tracing_multi"));
    let id = link.fd().context("no link")?.info()?.id;
    drop(link);
    gone(id)
}

fn every_one() -> Result<()> {
    let path = rbpftool_tests::fixture("bpf/attach.bpf.o");
    let object = loader::open(&path)?;
    let known =
        |name: &str| FORMS.iter().any(|form| form.program == name) || ELSEWHERE.contains(&name);
    for program in object.programs() {
        if !known(&program.name) {
            bail!("program {} is not attached by a test", program.name);
        }
    }
    ensure_eq!(
        object.programs().len(),
        FORMS.len() + ELSEWHERE.len(),
        "programs that are not there"
    );
    Ok(())
}
