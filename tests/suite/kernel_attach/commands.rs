//! `link create` on what is traced: seen to run, shown by `link show`, gone with its pin.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bpfsys::cmd::ProgTestRun;
use loader::attach::Link;
use loader::kernel::{LoadOptions, Loaded};
use rbpftool_tests::{Private, ends, ensure_eq, fixture, link_create, run_tool, skip};
use serde_json::{Value, json};

use crate::support::{
    Bench, Fire, counted, gone, guest_only, lacks, load, older_than, program, since,
};

const COOKIE: u64 = 0x1122_3344_5566_7788;

/// What a link says about itself.
type Says = &'static [(&'static str, fn() -> Value)];

struct Row {
    program: &'static str,
    /// Since when there are links.
    since: (u16, u16),
    guest: bool,
    fire: Fire,
    place: &'static str,
    link_type: &'static str,
    /// What a link says, from some kernel on.
    says: ((u16, u16), Says),
    /// Since when programs can be given a cookie.
    cookie: Option<(u16, u16)>,
}

const fn row(
    program: &'static str,
    since: (u16, u16),
    fire: Fire,
    place: &'static str,
    link_type: &'static str,
) -> Row {
    Row {
        program,
        since,
        guest: true,
        fire,
        place,
        link_type,
        says: ((5, 10), &[]),
        cookie: None,
    }
}

impl Row {
    const fn here(mut self) -> Self {
        self.guest = false;
        self
    }

    const fn says(mut self, since: (u16, u16), says: Says) -> Self {
        self.says = (since, says);
        self
    }

    const fn cookie(mut self, since: (u16, u16)) -> Self {
        self.cookie = Some(since);
        self
    }
}

const PERF: (u16, u16) = (5, 15);
const INFO: (u16, u16) = (6, 6);

const ROWS: [Row; 18] = [
    row(
        "kprobe",
        PERF,
        Fire::Sleep,
        "kprobe do_nanosleep",
        "perf_event",
    )
    .says(
        INFO,
        &[
            ("func", || json!("do_nanosleep")),
            ("retprobe", || json!(false)),
        ],
    )
    .cookie(PERF),
    row(
        "kretprobe",
        PERF,
        Fire::Sleep,
        "kprobe do_nanosleep return",
        "perf_event",
    )
    .says(
        INFO,
        &[
            ("func", || json!("do_nanosleep")),
            ("retprobe", || json!(true)),
        ],
    )
    .cookie(PERF),
    row(
        "ksyscall",
        PERF,
        Fire::Getpgid,
        "ksyscall getpgid",
        "perf_event",
    )
    .says(INFO, &[("retprobe", || json!(false))])
    .cookie(PERF),
    row(
        "kretsyscall",
        PERF,
        Fire::Getpgid,
        "ksyscall getpgid return",
        "perf_event",
    )
    .says(INFO, &[("retprobe", || json!(true))]),
    row(
        "kprobe_multi",
        (5, 18),
        Fire::Sleep,
        "kprobe_multi do_nanosle?p",
        "kprobe_multi",
    )
    .says(
        INFO,
        &[("func_cnt", || json!(1)), ("retprobe", || json!(false))],
    )
    .cookie((5, 18)),
    row(
        "kretprobe_multi",
        (5, 18),
        Fire::Sleep,
        "kprobe_multi do_nanosleep return",
        "kprobe_multi",
    )
    .says(
        INFO,
        &[("func_cnt", || json!(1)), ("retprobe", || json!(true))],
    ),
    row(
        "kprobe_session",
        (6, 10),
        Fire::Sleep,
        "kprobe_multi do_nanosleep session",
        "kprobe_multi",
    )
    .cookie((6, 10)),
    row(
        "tp",
        PERF,
        Fire::TestRun,
        "tracepoint bpf_test_run/bpf_test_finish",
        "perf_event",
    )
    .here()
    .says(INFO, &[("tracepoint", || json!("bpf_test_finish"))])
    .cookie(PERF),
    row(
        "raw_tp",
        (5, 10),
        Fire::TestRun,
        "raw_tp bpf_test_finish",
        "raw_tracepoint",
    )
    .here()
    .says((5, 10), &[("tp_name", || json!("bpf_test_finish"))])
    .cookie((6, 10)),
    row(
        "tp_btf",
        (5, 10),
        Fire::TestRun,
        "tracing",
        "raw_tracepoint",
    )
    .here()
    .says((5, 10), &[("tp_name", || json!("bpf_test_finish"))])
    .cookie((6, 10)),
    row("fentry", (5, 10), Fire::Sleep, "tracing", "tracing")
        .says((5, 10), &[("attach_type", || json!("trace_fentry"))])
        .cookie((5, 19)),
    row("fexit", (5, 10), Fire::Sleep, "tracing", "tracing")
        .says((5, 10), &[("attach_type", || json!("trace_fexit"))])
        .cookie((5, 19)),
    row("fmod_ret", (5, 10), Fire::Getpgid, "tracing", "tracing")
        .says((5, 10), &[("attach_type", || json!("modify_return"))]),
    row("fsession", (7, 0), Fire::Sleep, "tracing", "tracing")
        .says((5, 10), &[("attach_type", || json!("trace_fsession"))]),
    row("lsm_s", (5, 11), Fire::Open, "tracing", "tracing")
        .says((5, 10), &[("attach_type", || json!("lsm_mac"))]),
    row(
        "fentry_multi",
        (7, 2),
        Fire::Sleep,
        "tracing_multi do_nanosleep",
        "tracing_multi",
    )
    .cookie((7, 2)),
    row("iter", (5, 10), Fire::Read, "iter", "iter")
        .here()
        .says((5, 10), &[("target_name", || json!("task"))]),
    row(
        "perf_event",
        PERF,
        Fire::Spin,
        "perf_event software task-clock period 1000000 pid TID",
        "perf_event",
    )
    .here()
    .says(
        INFO,
        &[
            ("event_type", || json!("software")),
            ("event_config", || json!("task-clock")),
        ],
    ),
];

pub(crate) fn add(bench: &mut Bench) {
    for row in &ROWS {
        let name = format!("link_create::{}", row.program);
        bench.one(name, move |private| one(private, row));
    }
    bench.one("link_create::iter_of_a_thread", of_a_thread);
    bench.guest("link_create::function_of_a_program", freplace);
    bench.one("link_create::struct_ops", struct_ops);
}

fn one(private: &Private, row: &Row) -> Result<()> {
    if row.guest {
        guest_only()?;
    }
    if row.program.starts_with("lsm") {
        let modules = std::fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
        rbpftool_tests::requires!(
            modules.split(',').any(|name| name.trim() == "bpf"),
            "bpf is not among the security modules"
        );
    }
    let loaded = match load("attach", &[row.program]) {
        Ok(loaded) => loaded,
        Err(error) => return Err(since(row.since, error)),
    };
    let pin = private.bpffs().join("created");
    let place = row.place.replace("TID", &gettid());
    let value = match created(&loaded, row.program, &place, &pin, None)? {
        Ok(value) => value,
        Err(said) => return Err(refused(row, said)?),
    };
    ensure!(!older_than(row.since)?, "older than was thought: {value}");
    ensure_eq!(value["type"], json!(row.link_type));
    let (told, says) = row.says;
    if !older_than(told)? {
        for (key, expect) in says {
            ensure_eq!(value[*key], expect());
        }
    }
    runs_and_goes(&loaded, row.fire, &pin)?;
    match row.cookie {
        Some(version) if !older_than(version)? => with_cookie(row, &place, &pin),
        _ => Ok(()),
    }
}

/// What the tool said where the kernel is too old for it.
fn refused(row: &Row, said: String) -> Result<anyhow::Error> {
    if row.link_type == "kprobe_multi" && lacks("CONFIG_FPROBE") {
        return Ok(skip("this kernel is built without CONFIG_FPROBE"));
    }
    let (major, minor) = row.since;
    Ok(match older_than(row.since)? {
        true => skip(format!("needs Linux {major}.{minor}: {said}")),
        false => anyhow::anyhow!(said),
    })
}

fn with_cookie(row: &Row, place: &str, pin: &Path) -> Result<()> {
    let loaded = load("attach_cookies", &[row.program])?;
    let value = created(&loaded, row.program, place, pin, Some(COOKIE))?;
    let value = value.map_err(anyhow::Error::msg)?;
    // before, only links of perf events say it
    if !older_than((6, 18))? {
        for key in ["cookie", "bpf_cookie"] {
            let told = &value[key];
            ensure!(told.is_null() || *told == json!(COOKIE), "{value}");
        }
    }
    runs_and_goes(&loaded, row.fire, pin)?;
    ensure_eq!(counted(&loaded, 1)?, COOKIE);
    Ok(())
}

/// The thread that is counted.
fn gettid() -> String {
    nix::unistd::gettid().to_string()
}

fn id(loaded: &Loaded, name: &str) -> Result<u32> {
    Ok(program(loaded, name)?.fd().context("fd")?.info()?.id)
}

/// Makes a link with the tool; what it shows of it, or why not.
fn created(
    loaded: &Loaded,
    name: &str,
    place: &str,
    pin: &Path,
    cookie: Option<u64>,
) -> Result<Result<Value, String>> {
    let cookie = cookie.map(|cookie| format!("cookie {cookie:#x}"));
    link_create(place, id(loaded, name)?, pin, &cookie.unwrap_or_default())
}

/// The program runs while the link is pinned, and no more when it is not.
fn runs_and_goes(loaded: &Loaded, fire: Fire, pin: &Path) -> Result<()> {
    let mut link = Link::open_pinned(pin)?;
    let before = counted(loaded, 0)?;
    fire.run(loaded, &link)?;
    ensure!(counted(loaded, 0)? > before, "it does not run");
    let id = link.fd().context("fd")?.info()?.id;
    link.unpin()?;
    link.detach()?;
    gone(id)?;
    let none = Link::group("nothing", Vec::new());
    ends(|| {
        let before = counted(loaded, 0)?;
        if fire != Fire::Read {
            fire.run(loaded, &none)?;
        }
        Ok(counted(loaded, 0)? == before)
    })
}

fn of_a_thread(private: &Private) -> Result<()> {
    rbpftool_tests::requires!(
        !older_than((6, 1))?,
        "needs Linux 6.1, which walks one task"
    );
    let loaded = load("attach", &["iter"])?;
    let pin = private.bpffs().join("created");
    let place = format!("iter tid {}", gettid());
    let value = created(&loaded, "iter", &place, &pin, None)?.map_err(anyhow::Error::msg)?;
    ensure_eq!(value["tid"].to_string(), gettid());
    runs_and_goes(&loaded, Fire::Read, &pin)?;
    // a number is no use to an iterator
    let refused = created(&loaded, "iter", &place, &pin, Some(1))?;
    let said = refused.err().context("it attaches")?;
    ensure!(said.contains("have no cookie"), "{said}");
    Ok(())
}

fn opened(name: &str) -> Result<loader::model::Object> {
    loader::open(&fixture(&format!("bpf/{name}.bpf.o"))).with_context(|| name.to_owned())
}

fn freplace(private: &Private) -> Result<()> {
    let target = || -> Result<Loaded> { Ok(opened("target")?.load(&LoadOptions::new())?) };
    let (one, two) = (target()?, target()?);
    let run = |loaded: &Loaded| -> Result<u32> {
        let prog = program(loaded, "program")?.fd().context("fd")?;
        Ok(ProgTestRun::new(prog).data_in(&[0; 64]).run()?.retval)
    };
    let prog = program(&one, "program")?.fd().context("fd")?.try_clone()?;
    let types = btf::Btf::parse(one.btf().context("types")?.data()?)?;
    let (prog, types) = (std::sync::Arc::new(prog), std::sync::Arc::new(types));
    let mut object = opened("replaces")?;
    for program in object.programs_mut() {
        program.autoload = program.name == "instead";
        if program.autoload {
            program.set_target_prog(prog.clone(), types.clone(), Some("subject"))?;
        }
    }
    let replaces = object.load(&LoadOptions::new())?;
    let pin = private.bpffs().join("created");
    let target = format!("tracing target id {} func", id(&two, "program")?);
    for (place, expect) in [
        ("tracing".to_owned(), (1001, 1064)),
        (format!("{target} subject"), (1064, 1001)),
    ] {
        let value = created(&replaces, "instead", &place, &pin, None)?;
        let value = value.map_err(anyhow::Error::msg)?;
        ensure_eq!(value["type"], json!("tracing"));
        ensure_eq!((run(&one)?, run(&two)?), expect);
        std::fs::remove_file(&pin).context("unpin")?;
        let id = value["id"].as_u64().and_then(|id| u32::try_from(id).ok());
        let id = id.and_then(bpfsys::LinkId::new);
        gone(id.context("an id")?)?;
        // the kernel takes the number from a link before it takes the link from its place
        let start = Instant::now();
        while (run(&one)?, run(&two)?) == expect && start.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(5));
        }
        ensure_eq!((run(&one)?, run(&two)?), (1064, 1064));
    }
    let place = format!("{target} function_of_no_program");
    let said = created(&replaces, "instead", &place, &pin, None)?.err();
    let said = said.context("it attaches")?;
    ensure!(said.contains("function_of_no_program"), "{said}");
    Ok(())
}

/// Operations that were registered before are so again, and others take over.
fn struct_ops(private: &Private) -> Result<()> {
    let load = || -> Result<Loaded> { Ok(opened("struct_ops")?.load(&LoadOptions::new())?) };
    let loaded = load().map_err(|error| since((6, 4), error))?;
    let other = load()?;
    let map = |loaded: &Loaded| -> Result<u32> {
        let map = loaded.map("linked").and_then(|map| map.fd());
        Ok(map.context("a map")?.info()?.id)
    };
    let (first, second) = (map(&loaded)?, map(&other)?);
    let pin = private.bpffs().join("created");
    let pin_shown = pin.display();
    let tool = |line: String| run_tool(line.split(' '));
    let create = format!("-j link create struct_ops id {first} pin {pin_shown}");
    let out = tool(create.clone())?;
    ensure!(
        out.status != 0 && out.out().contains("struct_ops register"),
        "a map that is not filled: {}",
        out.out()
    );
    let id = |link: Link| -> Result<bpfsys::LinkId> {
        let id = link.fd().context("a link")?.info()?.id;
        link.detach()?;
        Ok(id)
    };
    gone(id(loaded.struct_ops("linked")?.attach()?)?)?;
    gone(id(other.struct_ops("linked")?.attach()?)?)?;
    let value = tool(create)?.json()?;
    ensure_eq!(value["type"], json!("struct_ops"));
    ensure_eq!(value["map_id"], json!(first));
    let wrong = tool(format!(
        "link update pinned {pin_shown} map id {second} old map id {second}"
    ))?;
    ensure!(wrong.status != 0, "what is expected is not registered");
    let wrong = tool(format!(
        "link update pinned {pin_shown} map id {second} old id {second}"
    ))?;
    ensure!(
        wrong.status != 0 && wrong.err().contains("EPERM"),
        "{}",
        wrong.err()
    );
    let right = tool(format!(
        "link update pinned {pin_shown} map id {second} old id {first}"
    ))?;
    ensure!(right.status == 0, "{}", right.err());
    let value = tool(format!("-j link show pinned {pin_shown}"))?.json()?;
    ensure_eq!(value["map_id"], json!(second));
    let mut link = Link::open_pinned(&pin)?;
    link.unpin()?;
    let id = link.fd().context("fd")?.info()?.id;
    link.detach()?;
    gone(id)
}
