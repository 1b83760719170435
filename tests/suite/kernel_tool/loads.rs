//! Objects loaded from command lines, and what is said of those that cannot be.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bpfsys::KernelVersion;
use rbpftool_tests::loaded::{clear, files};
use rbpftool_tests::{Expected, Private, Suite, ensure_eq, fixture, requires, run, run_tool};
use rbpftool_tests::{blessing, tool_path};
use serde_json::Value;

use crate::Place;
use crate::tool::{all_forms, list, number, ok, refused, string, words};

type Test = fn(&Private) -> Result<()>;

pub(crate) fn add(suite: &mut Suite, place: &Place) {
    let tests: [(&str, Test); 20] = [
        ("one_program_is_pinned_and_runs", one_program),
        ("all_programs_and_maps_are_pinned", all_programs),
        ("only_some_programs_are_loaded", only),
        ("variables_are_set_before_loading", set),
        ("options_of_the_kernel_are_given", kconfig),
        ("maps_that_are_there_are_used", replacements),
        ("programs_are_of_another_type", types),
        ("logs_go_where_they_should", logs),
        ("what_fails_leaves_nothing", nothing_is_left),
        ("links_are_pinned_where_programs_attach", autoattach),
        ("trampolines_are_attached", trampolines),
        ("what_cannot_be_attached_is_refused", not_attached),
        ("another_target_of_the_kernel", target),
        ("another_function_to_trace", traced),
        ("a_program_as_target", target_program),
        ("struct_ops_are_registered_and_go_again", struct_ops),
        ("a_batch_loads", batch),
        ("plans_need_no_privilege", plans),
        ("a_program_loads_the_others", light),
        ("that_program_is_signed", signed),
    ];
    for (name, test) in tests {
        crate::add(suite, format!("load::{name}"), place, move |private| {
            let result = test(private);
            clear(&top(private), true)?;
            result
        });
    }
    for error in ERRORS {
        crate::add(
            suite,
            format!("load::error::{}", error.name),
            place,
            move |private| {
                std::fs::create_dir(top(private)).context("make a directory")?;
                let result = error.check(private);
                clear(&top(private), true)?;
                result
            },
        );
    }
}

fn top(private: &Private) -> PathBuf {
    private.bpffs().join("loads")
}

fn object(name: &str) -> String {
    fixture(&format!("bpf/{name}.bpf.o")).display().to_string()
}

/// `prog loadall OBJ DIR WORDS` in a place of its own; where that is.
fn load_all(private: &Private, name: &str, words: &str) -> Result<PathBuf> {
    let top = top(private);
    if !top.exists() {
        std::fs::create_dir(&top).context("make a directory")?;
    }
    let dir = top.join(name);
    let line = format!("prog loadall {} {} {words}", object(name), dir.display());
    let out = ok(line.trim_end())?;
    ensure!(out.stdout.is_empty(), "it printed {}", out.out());
    Ok(dir)
}

/// What is pinned in a directory.
fn pins(dir: &Path) -> Result<BTreeSet<String>> {
    let names = files(dir)?;
    let names = names.iter().filter_map(|path| path.strip_prefix(dir).ok());
    Ok(names.map(|path| path.display().to_string()).collect())
}

fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

/// Runs a pinned program on an empty packet; what it returns.
fn returns(private: &Private, pin: &Path) -> Result<u64> {
    let input = private.dir().join("packet");
    std::fs::write(&input, [0; 64]).context("write a packet")?;
    let run = format!(
        "prog run pinned {} data_in {}",
        pin.display(),
        input.display()
    );
    number(&ok(&format!("-j {run}"))?.json()?, "retval")
}

fn one_program(private: &Private) -> Result<()> {
    let top = top(private);
    std::fs::create_dir(&top).context("make a directory")?;
    let pin = top.join("pass");
    let line = format!("prog load {} {}", object("minimal"), pin.display());
    let out = ok(&format!("-j {line}"))?;
    ensure_eq!(out.out(), "null\n");
    ensure_eq!(returns(private, &pin)?, 7);
    let (_, shown) = all_forms(&format!("prog show pinned {}", pin.display()))?;
    ensure_eq!(string(&shown, "name")?, "pass");
    ensure_eq!(string(&shown, "type")?, "sched_cls");
    // what is there is not replaced
    refused(&line, "already exists")?;
    // the first of several, although all are loaded
    let first = top.join("first");
    ok(&format!(
        "prog load {} {}",
        object("subprogs"),
        first.display()
    ))?;
    let (_, shown) = all_forms(&format!("prog show pinned {}", first.display()))?;
    ensure_eq!(string(&shown, "name")?, "calls");
    Ok(())
}

fn all_programs(private: &Private) -> Result<()> {
    let maps = top(private).join("maps");
    let words = format!("pinmaps {}", maps.display());
    let dir = load_all(private, "data", &words)?;
    ensure_eq!(pins(&dir)?, names(["reads", "sums", "writes"]));
    let expected = names([
        "_bss_empty",
        "_data_special",
        "_rodata_fixed",
        "data_bss",
        "data_data",
        "data_rodata",
    ]);
    ensure_eq!(pins(&maps)?, expected);
    for (name, returned) in [("reads", 0), ("writes", 0), ("sums", 7)] {
        ensure_eq!(returns(private, &dir.join(name))?, returned, "{name}");
    }
    let rodata = maps.join("data_rodata");
    let (_, shown) = all_forms(&format!("map show pinned {}", rodata.display()))?;
    ensure_eq!(number(&shown, "frozen")?, 1);
    Ok(())
}

fn only(private: &Private) -> Result<()> {
    let dir = load_all(private, "subprogs", "only alone,elsewhere")?;
    ensure_eq!(pins(&dir)?, names(["alone", "elsewhere"]));
    clear(&dir, true)?;
    let dir = load_all(private, "subprogs", "only calls only alone")?;
    ensure_eq!(pins(&dir)?, names(["alone", "calls"]));
    clear(&dir, true)?;
    // what would fail is left out, what is not loaded by itself is
    load_all(private, "err_section", "only whole")?;
    let dir = load_all(private, "sections_off", "")?;
    ensure!(!pins(&dir)?.contains("off"), "{:?}", pins(&dir)?);
    clear(&dir, true)?;
    let dir = load_all(private, "sections_off", "only off")?;
    ensure_eq!(pins(&dir)?, names(["off"]));
    let line = format!(
        "prog loadall {} {} only alon",
        object("subprogs"),
        dir.display()
    );
    refused(&line, "no program 'alon', did you mean 'alone'?")
}

fn set(private: &Private) -> Result<()> {
    let words = "only sums set flag=true set u8_value=9 set s16_value=0x10 set enum_value=BLUE \
                 set point.x=100 set array[0]=2";
    let dir = load_all(private, "data", words)?;
    // 7 with nothing set: 1, 1, 32, -6, 99 and 1 more
    ensure_eq!(returns(private, &dir.join("sums"))?, 135);
    let line = |what: &str| format!("prog load {} /nowhere/x set {what}", object("data"));
    refused(&line("flag=2"), "/nowhere")?;
    let line = |what: &str| {
        format!(
            "prog load {} {} set {what}",
            object("data"),
            top(private).join("x").display()
        )
    };
    refused(&line("u8_value=256"), "does not fit")?;
    refused(&line("point.z=1"), "point")?;
    refused(&line("nothing=1"), "no variable 'nothing'")?;
    refused(&line("text=much_too_long_for_it"), "do not fit in 16 bytes")
}

fn kconfig(private: &Private) -> Result<()> {
    let config = private.dir().join("config");
    std::fs::write(&config, "CONFIG_HZ=777\n").context("write a configuration")?;
    let maps = top(private).join("maps");
    let words = format!("kconfig {} pinmaps {}", config.display(), maps.display());
    load_all(private, "kconfig", &words)?;
    let map = maps.join("kconfig_kconfig");
    let (_, dump) = all_forms(&format!("map dump pinned {}", map.display()))?;
    let text = dump.to_string();
    ensure!(text.contains("{\"CONFIG_HZ\":777}"), "{text}");
    Ok(())
}

fn replacements(private: &Private) -> Result<()> {
    let maps = top(private).join("maps");
    let dir = load_all(private, "maps", &format!("pinmaps {}", maps.display()))?;
    let map = maps.join("typed");
    let id = |pin: &Path| -> Result<u64> {
        number(
            &ok(&format!("-j map show pinned {}", pin.display()))?.json()?,
            "id",
        )
    };
    let (first, pinned) = (id(&map)?, map.display().to_string());
    let uses = |dir: &Path| -> Result<bool> {
        let shown = ok(&format!(
            "-j prog show pinned {}",
            dir.join("uses").display()
        ))?;
        let shown = shown.json()?;
        let ids = list(&shown, "map_ids")?;
        Ok(ids.iter().any(|id| id.as_u64() == Some(first)))
    };
    ensure!(uses(&dir)?, "the program does not use its own map");
    for (n, which) in ["name typed", "idx 0", "idx 0x0"].iter().enumerate() {
        let dir = top(private).join(format!("again{n}"));
        let line = format!(
            "prog loadall {} {} map {which} pinned {pinned}",
            object("maps"),
            dir.display()
        );
        ok(&line)?;
        ensure!(uses(&dir)?, "{which}: another map is used");
    }
    let line = |words: &str| {
        let pin = top(private).join("x");
        format!("prog load {} {} {words}", object("maps"), pin.display())
    };
    let pinned = format!("pinned {pinned}");
    refused(
        &line(&format!("map name nope {pinned}")),
        "unable to find map 'nope'",
    )?;
    refused(
        &line(&format!("map idx 99 {pinned}")),
        "map idx '99' not used",
    )?;
    refused(
        &line(&format!("map idx 0 {pinned} map name typed {pinned}")),
        "replacement for map idx 0 specified more than once",
    )
}

fn types(private: &Private) -> Result<()> {
    for (word, shown) in [
        ("socket", "socket_filter"),
        ("classifier", "sched_cls"),
        ("action", "sched_act"),
        ("xdp", "xdp"),
        ("sk_skb/stream_verdict", "sk_skb"),
        ("lwt_in", "lwt_in"),
    ] {
        let dir = load_all(private, "minimal", &format!("type {word}"))?;
        let prog = dir.join("pass").display().to_string();
        let shows = ok(&format!("-j prog show pinned {prog}"))?.json()?;
        ensure_eq!(string(&shows, "type")?, shown, "type {word}");
        clear(&dir, true)?;
    }
    let line = format!(
        "prog load {} {} type nothing",
        object("minimal"),
        top(private).join("x").display()
    );
    refused(&line, "'nothing' is no type of program")
}

fn logs(private: &Private) -> Result<()> {
    let file = private.dir().join("log");
    let read = || std::fs::read_to_string(&file).context("read the log");
    let shown = file.display();
    let dir = load_all(private, "minimal", &format!("log {shown}"))?;
    ensure!(read()?.contains("processed 2 insns"), "{}", read()?);
    ensure!(read()?.contains("program pass (tc)"), "{}", read()?);
    clear(&dir, true)?;
    let quiet = load_all(private, "minimal", &format!("log {shown} log 0"))?;
    ensure_eq!(read()?, "");
    clear(&quiet, true)?;
    let fails = format!(
        "prog loadall {} {}",
        object("err_verifier"),
        top(private).join("x").display()
    );
    let out = run_tool(words(&fails))?;
    ensure!(out.err().lines().count() == 2, "not short: {}", out.err());
    let out = run_tool(words(&format!("{fails} log {shown}")))?;
    ensure!(out.err().lines().count() == 2, "not short: {}", out.err());
    ensure!(
        out.err().contains("\nHint: called from 'finds' at "),
        "{}",
        out.err()
    );
    let kept = read()?;
    ensure!(kept.contains("unbounded memory access"), "{kept}");
    ensure!(kept.lines().count() > 10, "{kept}");
    // bpftool's way: all of it, where it can be seen
    let out = run_tool(words(&format!("-d {fails}")))?;
    ensure!(out.err().lines().count() > 10, "{}", out.err());
    let out = run_tool(words(&format!("-j -d {fails}")))?;
    let said: Value = serde_json::from_slice(&out.stdout).context("no JSON")?;
    ensure!(said.get("error").is_some(), "{said}");
    Ok(())
}

fn nothing_is_left(private: &Private) -> Result<()> {
    let top = top(private);
    std::fs::create_dir(&top).context("make a directory")?;
    let (progs, maps) = (top.join("progs"), top.join("maps"));
    let line = |name: &str| {
        let name = object(name);
        format!(
            "prog loadall {name} {} pinmaps {}",
            progs.display(),
            maps.display()
        )
    };
    for (name, why) in [
        ("err_verifier", "unbounded"),
        ("err_map", "no_keys"),
        ("err_kfunc", "bpf_function_of_no_kernel"),
    ] {
        refused(&line(name), why)?;
        ensure!(
            !progs.exists() && !maps.exists(),
            "{name} leaves a directory"
        );
    }
    // a pin that cannot be made takes the others back
    std::fs::create_dir(&progs).context("make a directory")?;
    ok(&format!(
        "prog load {} {}",
        object("minimal"),
        progs.join("writes").display()
    ))?;
    refused(&line("data"), "already exists")?;
    ensure_eq!(pins(&progs)?, names(["writes"]));
    ensure!(!maps.exists(), "maps are pinned");
    clear(&progs, false)?;
    std::fs::create_dir(&maps).context("make a directory")?;
    ok(&format!(
        "prog load {} {}",
        object("minimal"),
        maps.join("data_rodata").display()
    ))?;
    refused(&line("data"), "failed to pin all maps")?;
    ensure_eq!(pins(&maps)?, names(["data_rodata"]));
    ensure_eq!(pins(&progs)?, names([]));
    Ok(())
}

fn autoattach(private: &Private) -> Result<()> {
    requires!(
        has_syscall_programs(),
        "needs Linux 5.14, for syscall programs"
    );
    let words = "autoattach only on_iter_task";
    let dir = load_all(private, "sections_btf", words)?;
    let link = dir.join("on_iter_task").display().to_string();
    let (_, shown) = all_forms(&format!("link show pinned {link}"))?;
    ensure_eq!(string(&shown, "type")?, "iter");
    ensure_eq!(string(&shown, "target_name")?, "task");
    clear(&dir, true)?;
    // a trace point that nothing but test runs pass
    let words = "autoattach only on_raw_tp_w_bpf_test_finish,on_raw_tp_w,on_syscall";
    let line = format!(
        "prog loadall {} {} {words}",
        object("sections_trace"),
        dir.display()
    );
    let said = ok(&line)?.err();
    for name in ["on_raw_tp_w", "on_syscall"] {
        let fallback =
            format!("Program {name} does not support autoattach, falling back to pinning\n");
        ensure!(said.contains(&fallback), "{said}");
        let pin = dir.join(name).display().to_string();
        all_forms(&format!("prog show pinned {pin}"))?;
    }
    let link = dir
        .join("on_raw_tp_w_bpf_test_finish")
        .display()
        .to_string();
    let (_, shown) = all_forms(&format!("link show pinned {link}"))?;
    ensure_eq!(string(&shown, "type")?, "raw_tracepoint");
    ensure_eq!(string(&shown, "tp_name")?, "bpf_test_finish");
    Ok(())
}

/// Loads programs that run by a trampoline and attaches them; skips where the kernel has none, or
/// nobody may.
fn trampolined(line: &str) -> Result<()> {
    requires!(
        std::env::var_os("RBPF_GUEST").is_some(),
        "they are attached to the kernel itself: guests only"
    );
    let out = run_tool(words(line))?;
    let forbidden = out.err().contains("(EPERM)") || out.err().contains("(ENOTSUPP)");
    let older = KernelVersion::running()? < KernelVersion::new(6, 12, 0);
    requires!(
        out.status == 0 || !(forbidden || older),
        "this kernel takes no such programs: {}",
        out.err()
    );
    ensure!(out.status == 0, "{line}: {}", out.err());
    Ok(())
}

fn trampolines(private: &Private) -> Result<()> {
    let top = top(private);
    std::fs::create_dir(&top).context("make a directory")?;
    let dir = top.join("links");
    // which system calls may sleep is not the same everywhere
    let kinds = [
        ("on_fentry_do_nanosleep", "trace_fentry"),
        ("on_fexit_do_nanosleep", "trace_fexit"),
        ("on_fmod_ret_security_file_permission", "modify_return"),
        ("on_lsm_file_open", "lsm_mac"),
        ("on_lsm_s_file_open", "lsm_mac"),
    ];
    let of_cgroups = "on_lsm_cgroup_socket_bind";
    let selected = kinds.map(|(name, _)| format!("only {name}")).join(" ");
    trampolined(&format!(
        "prog loadall {} {} autoattach {selected} only {of_cgroups}",
        object("sections_trampoline"),
        dir.display()
    ))?;
    for (name, attach) in kinds {
        let link = dir.join(name).display().to_string();
        let (_, shown) = all_forms(&format!("link show pinned {link}"))?;
        ensure_eq!(string(&shown, "type")?, "tracing", "{name}");
        ensure_eq!(string(&shown, "attach_type")?, attach, "{name}");
    }
    // its section does not say to which
    let pin = dir.join(of_cgroups).display().to_string();
    let (_, shown) = all_forms(&format!("prog show pinned {pin}"))?;
    ensure_eq!(string(&shown, "type")?, "lsm");
    Ok(())
}

fn traced(private: &Private) -> Result<()> {
    let top = top(private);
    std::fs::create_dir(&top).context("make a directory")?;
    let pin = top.join("link");
    let line = format!(
        "prog load {} {} only on_fentry_do_nanosleep target hrtimer_nanosleep autoattach",
        object("sections_trampoline"),
        pin.display()
    );
    trampolined(&line)?;
    let (_, shown) = all_forms(&format!("link show pinned {}", pin.display()))?;
    ensure_eq!(string(&shown, "type")?, "tracing");
    let types = std::fs::read("/sys/kernel/btf/vmlinux").context("the kernel's types")?;
    let types = btf::Btf::parse(types)?;
    let id = types.find_by_name_kind(b"hrtimer_nanosleep", btf::Kind::Func);
    let id = id.context("no such function")?;
    ensure_eq!(number(&shown, "target_btf_id")?, told(u64::from(id.0))?);
    std::fs::remove_file(&pin).context("unpin")?;
    refused(
        &line.replace("hrtimer_nanosleep", "function_of_no_kernel"),
        "there is no function 'function_of_no_kernel' to attach to",
    )
}

fn not_attached(private: &Private) -> Result<()> {
    let top = top(private);
    std::fs::create_dir(&top).context("make a directory")?;
    let dir = top.join("x");
    let line = format!(
        "prog loadall {} {} autoattach \
         only on_kprobe_do_nanosleep,on_usdt__proc_self_exe_provider_probe",
        object("sections_probe"),
        dir.display()
    );
    // The first where there are no kprobes; otherwise the second, for there is no such probe.
    // Before there were links of perf events, what is attached cannot be pinned.
    let why = match KernelVersion::running()? < KernelVersion::new(5, 15, 0) {
        true => "attaches to kprobe do_nanosleep without a link",
        false => "failed to attach program",
    };
    refused(&line, why)?;
    ensure!(!dir.exists(), "it leaves a directory");
    let links: Result<Vec<_>, _> = bpfsys::link_ids().collect();
    let before = links?;
    refused(&line, why)?;
    let links: Result<Vec<_>, _> = bpfsys::link_ids().collect();
    ensure_eq!(links?, before, "links that are left");
    Ok(())
}

fn target(private: &Private) -> Result<()> {
    let words = "only on_tp_btf_task_newtask target xdp_exception autoattach";
    let dir = load_all(private, "sections_btf", words)?;
    let link = dir.join("on_tp_btf_task_newtask").display().to_string();
    let (_, shown) = all_forms(&format!("link show pinned {link}"))?;
    ensure_eq!(string(&shown, "type")?, "raw_tracepoint");
    ensure_eq!(string(&shown, "tp_name")?, "xdp_exception");
    let line = |name: &str, words: &str| {
        let pin = top(private).join("x");
        format!("prog load {} {} {words}", object(name), pin.display())
    };
    refused(
        &line(
            "sections_btf",
            "only on_tp_btf_task_newtask target nothing_like_it",
        ),
        "nothing_like_it",
    )?;
    refused(
        &line("minimal", "target xdp_exception"),
        "no program that is loaded attaches to a function",
    )
}

fn target_program(private: &Private) -> Result<()> {
    let dir = load_all(private, "target", "")?;
    let prog = dir.join("program").display().to_string();
    let pin = top(private).join("x");
    let line = format!(
        "prog load {} {} target prog pinned {prog} func subject",
        object("replaces_unnamed"),
        pin.display()
    );
    let plan = format!(
        "plan {} target prog pinned {prog} func subject",
        object("replaces_unnamed")
    );
    let (text, plan) = all_forms(&plan)?;
    ensure!(text.contains("of a program\n"), "{text}");
    let target = plan.pointer("/programs/0/target/prog");
    ensure_eq!(target, Some(&Value::Bool(true)), "{plan}");
    let wrong = line.replace("func subject", "func nothing");
    refused(&wrong, "no function 'nothing'")?;
    let without = line.split(" target ").next().unwrap_or_default();
    refused(
        without,
        "the program that has the function to replace is not given",
    )?;
    let out = run_tool(words(&line))?;
    requires!(
        out.status == 0 || !out.err().contains("(EPERM)"),
        "this kernel lets nobody replace functions of programs: {}",
        out.err()
    );
    ensure!(out.status == 0, "{}", out.err());
    let (_, shown) = all_forms(&format!("prog show pinned {}", pin.display()))?;
    ensure_eq!(string(&shown, "type")?, "ext");
    // and attached, in its place
    std::fs::remove_file(&pin).context("unpin")?;
    ok(&format!("{line} autoattach"))?;
    let (_, shown) = all_forms(&format!("link show pinned {}", pin.display()))?;
    ensure_eq!(string(&shown, "type")?, "tracing");
    let (_, target) = all_forms(&format!("prog show pinned {prog}"))?;
    ensure_eq!(
        number(&shown, "target_obj_id")?,
        told(number(&target, "id")?)?,
        "{shown}"
    );
    Ok(())
}

/// What links tell of their targets: nothing before Linux 5.13.
fn told(id: u64) -> Result<u64> {
    let tells = KernelVersion::running()? >= KernelVersion::new(5, 13, 0);
    Ok(if tells { id } else { 0 })
}

fn struct_ops(private: &Private) -> Result<()> {
    let top = top(private);
    std::fs::create_dir(&top).context("make a directory")?;
    let dir = top.join("links");
    let line = format!("struct_ops register {}", object("struct_ops"));
    let out = run_tool(words(&format!("{line} {}", dir.display())))?;
    let by_link = KernelVersion::running()? >= KernelVersion::new(6, 4, 0);
    requires!(
        out.status == 0 || by_link,
        "registering by a link needs Linux 6.4: {}",
        out.err()
    );
    ensure!(out.status == 0, "{}", out.err());
    let said = out.err();
    let lines: Vec<&str> = said.lines().collect();
    ensure!(
        lines.len() == 2
            && lines
                .iter()
                .all(|l| l.starts_with("Registered tcp_congestion_ops "))
            && said.contains(" linked map id ")
            && said.contains(" kept id "),
        "{said}"
    );
    let result = registered(&dir);
    // the one that no link holds lives until it is told
    let gone = ok("struct_ops unregister name kept");
    result?;
    let gone = gone?.err();
    ensure!(
        gone.starts_with("Unregistered tcp_congestion_ops kept id "),
        "{gone}"
    );
    clear(&top, false)?;
    // the kernel takes it out of use when nobody can be in it any more
    let start = Instant::now();
    while run_tool(words("struct_ops show name linked"))?.status == 0 {
        ensure!(start.elapsed() < Duration::from_secs(20), "it does not go");
        std::thread::sleep(Duration::from_millis(50));
    }
    refused(
        "struct_ops show name linked",
        "no struct_ops found for linked",
    )?;
    refused(
        "struct_ops unregister name kept",
        "no struct_ops found for kept",
    )?;
    let line = format!("struct_ops register {}", object("minimal"));
    refused(&line, "no struct_ops found in")
}

fn registered(dir: &Path) -> Result<()> {
    ensure_eq!(pins(dir)?, names(["linked"]));
    let link = dir.join("linked").display().to_string();
    let (_, shown) = all_forms(&format!("link show pinned {link}"))?;
    ensure_eq!(string(&shown, "type")?, "struct_ops");
    for name in ["linked", "kept"] {
        let (text, shown) = all_forms(&format!("struct_ops show name {name}"))?;
        let shown = shown.as_array().and_then(|all| all.first());
        let shown = shown.context("not in the list")?;
        ensure_eq!(string(shown, "kernel_struct_ops")?, "tcp_congestion_ops");
        ensure!(text.contains(&format!(": {name:<15} tcp_")), "{text}");
        let (_, dump) = all_forms_of_dump(name)?;
        let value = dump.to_string();
        ensure!(value.contains("/prog_id:"), "{value}");
    }
    // a link holds it
    let id = number(&shown, "map_id")?;
    let out = run_tool(words(&format!("struct_ops unregister id {id}")))?;
    ensure!(out.status != 0, "unregistered what a link holds");
    ensure!(out.err().contains("Hint: "), "{}", out.err());
    Ok(())
}

/// Text of a dump has the layout of JSON, and is none.
fn all_forms_of_dump(name: &str) -> Result<(String, Value)> {
    let text = ok(&format!("struct_ops dump name {name}"))?.out();
    let value = ok(&format!("-j struct_ops dump name {name}"))?.json()?;
    Ok((text, value))
}

fn batch(private: &Private) -> Result<()> {
    let top = top(private);
    std::fs::create_dir(&top).context("make a directory")?;
    let (a, b) = (top.join("a").display().to_string(), top.join("b"));
    let b = b.display();
    let lines = format!(
        "prog load {} {a} only alone\nprog show pinned {a}\nplan {}\nprog loadall {} {b}\n",
        object("subprogs"),
        object("minimal"),
        object("minimal")
    );
    let mut cmd = Command::new(tool_path()?);
    cmd.args(["-j", "batch", "file", "-"]);
    let out = run(&mut cmd, lines.as_bytes())?;
    let all = out.json()?;
    ensure_eq!(all.as_array().map(Vec::len), Some(4), "{all}");
    ensure_eq!(pins(&top)?, names(["a", "b/pass"]));
    Ok(())
}

fn plans(private: &Private) -> Result<()> {
    let setpriv = "setpriv --reuid 65534 --regid 65534 --clear-groups";
    let able = run(
        Command::new("bash").args(["-c", &format!("{setpriv} true")]),
        b"",
    );
    requires!(
        able.is_ok_and(|o| o.status == 0),
        "setpriv cannot change to another user"
    );
    let (tool, object) = (private.dir().join("planner"), private.dir().join("o.bpf.o"));
    std::fs::copy(tool_path()?, &tool).context("copy the tool")?;
    std::fs::copy(fixture("bpf/core_kernel.bpf.o"), &object).context("copy an object")?;
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(private.dir(), open).context("open our directory")?;
    let (tool, object) = (tool.display(), object.display());
    for more in ["", " btf /sys/kernel/btf/vmlinux"] {
        let script = format!("{setpriv} {tool} -j plan {object}{more}");
        let out = run(Command::new("bash").args(["-c", &script]), b"")?;
        let plan = out.json()?;
        ensure!(plan.to_string().contains("\"core\":{"), "{plan}");
    }
    Ok(())
}

/// Whether the kernel has programs that are called, and with them all that these need.
fn has_syscall_programs() -> bool {
    bpfsys::probe::prog_type(bpfsys::ProgType::SYSCALL).is_yes()
}

fn light(private: &Private) -> Result<()> {
    requires!(
        has_syscall_programs(),
        "needs Linux 5.14, for syscall programs"
    );
    for name in ["minimal", "maps", "subprogs", "data"] {
        let out = ok(&format!("-L prog load {}", object(name)))?;
        ensure!(out.stdout.is_empty() && out.stderr.is_empty(), "{out:?}");
        ensure_eq!(
            ok(&format!("-j -L prog load {}", object(name)))?.out(),
            "null\n"
        );
    }
    let wrong = format!("-L prog load {}", object("err_verifier"));
    let out = run_tool(words(&wrong))?;
    ensure_eq!(out.status, 243, "{}", out.err());
    ensure!(
        out.err().contains("program 'broken' failed"),
        "{}",
        out.err()
    );
    let file = private.dir().join("light_log");
    run_tool(words(&format!("{wrong} log {}", file.display())))?;
    let kept = std::fs::read_to_string(&file).context("read the log")?;
    ensure!(kept.contains("unbounded memory access"), "{kept}");
    // only what is asked for is loaded
    let some = format!("-L prog load {} only whole", object("err_section"));
    ok(&some)?;
    let path = format!("-L prog load {} /sys/fs/bpf/x", object("minimal"));
    refused(&path, "got: '/sys/fs/bpf/x'?")
}

fn signed(private: &Private) -> Result<()> {
    let dir = private.dir();
    let make = |name: &str| -> Result<(String, String)> {
        let (key, cert) = (
            dir.join(format!("{name}.key")),
            dir.join(format!("{name}.crt")),
        );
        let mut openssl = Command::new("openssl");
        openssl
            .args(["req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes"])
            .args(["-subj", "/CN=test", "-days", "2", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&cert);
        let made = run(&mut openssl, b"");
        requires!(
            made.is_ok_and(|out| out.status == 0),
            "needs openssl, to make a key"
        );
        Ok((key.display().to_string(), cert.display().to_string()))
    };
    let (key, cert) = make("one")?;
    let (other, _) = make("other")?;
    let object = object("minimal");
    refused(
        &format!("-S -k {other} -i {cert} prog load {object}"),
        "the private key is not that of the certificate",
    )?;
    refused(
        &format!("-S -k {key} -i {key} prog load {object}"),
        "failed to use",
    )?;
    let out = run_tool(words(&format!("-S -k {key} -i {cert} prog load {object}")))?;
    requires!(
        out.status == 0 || !out.err().contains("this kernel "),
        "this kernel takes no signatures: {}",
        out.err()
    );
    ensure!(out.status == 0, "{}", out.err());
    Ok(())
}

/// An object that cannot be loaded, and what is said of it.
struct Wrong {
    name: &'static str,
    object: &'static str,
    /// The words are the same whatever the kernel.
    is_everywhere: bool,
    /// What must be in them on any kernel.
    has: &'static [&'static str],
}

const ERRORS: &[Wrong] = &[
    Wrong {
        name: "core_relocation",
        object: "err_core",
        is_everywhere: false,
        has: &["of_no_kernel", "err_core.bpf.c:12", "'reads'"],
    },
    Wrong {
        name: "missing_kfunc",
        object: "err_kfunc",
        is_everywhere: true,
        has: &["bpf_function_of_no_kernel", "err_kfunc.bpf.c:10"],
    },
    Wrong {
        name: "missing_kconfig",
        object: "err_kconfig",
        is_everywhere: true,
        has: &["CONFIG_OF_NO_KERNEL", "err_kconfig.bpf.c:11"],
    },
    Wrong {
        name: "section_name",
        object: "err_section",
        is_everywhere: true,
        has: &["kprob/do_nanosleep"],
    },
    Wrong {
        name: "cut_file",
        object: "minimal",
        is_everywhere: true,
        has: &["in the file of 1500 bytes"],
    },
    Wrong {
        name: "verifier",
        object: "err_verifier",
        is_everywhere: false,
        has: &[
            "'picks'",
            "err_verifier.bpf.c:20",
            "return entry->list[at];",
        ],
    },
    Wrong {
        name: "missing_ksym",
        object: "err_ksym",
        is_everywhere: true,
        has: &["symbol_of_no_kernel"],
    },
    Wrong {
        name: "kfunc_shape",
        object: "err_kfunc_shape",
        is_everywhere: false,
        has: &["bpf_rcu_read_lock"],
    },
    Wrong {
        name: "weak_kfunc",
        object: "err_kfunc_weak",
        is_everywhere: false,
        has: &["bpf_function_of_no_kernel", "err_kfunc_weak.bpf.c:10"],
    },
    Wrong {
        name: "missing_target",
        object: "err_target",
        is_everywhere: false,
        has: &["tracepoint_of_no_kernel"],
    },
    Wrong {
        name: "wrong_map",
        object: "err_map",
        is_everywhere: true,
        has: &["'no_keys'"],
    },
    Wrong {
        name: "static_map",
        object: "static_map",
        is_everywhere: true,
        has: &["not_global", "static"],
    },
];

impl Wrong {
    fn check(&self, private: &Private) -> Result<()> {
        requires!(
            !matches!(self.name, "core_relocation" | "weak_kfunc") || has_syscall_programs(),
            "needs Linux 5.14: older kernels refuse the program for something else"
        );
        let file = self.file(private)?;
        let pin = top(private).join("x");
        let line = format!("prog load {} {}", file.display(), pin.display());
        let text = run_tool(words(&line))?;
        ensure_eq!(text.status, 255, "{}", text.err());
        ensure!(!pin.exists() && text.stdout.is_empty(), "{}", text.out());
        let json = run_tool(words(&format!("-j {line}")))?;
        let (said, shown) = (blurred(&text.err(), &file), blurred(&json.out(), &file));
        for words in self.has {
            ensure!(said.contains(words), "'{words}' is not in {said}");
        }
        // The verifier says the same things in other words every few versions.
        let version = KernelVersion::running()?;
        let usual = (version.major, version.minor) == (6, 18);
        if self.is_everywhere || usual || blessing() {
            let of = |extension: &str| {
                Expected::at(format!(
                    "tests/golden/errors/load_{}.{extension}",
                    self.name
                ))
            };
            of("json").check(&shown)?;
            of("txt").check(&said)?;
        }
        Ok(())
    }

    /// The object; part of it, for the one that is cut.
    fn file(&self, private: &Private) -> Result<PathBuf> {
        let whole = fixture(&format!("bpf/{}.bpf.o", self.object));
        if self.name != "cut_file" {
            return Ok(whole);
        }
        let bytes = std::fs::read(&whole).context("read an object")?;
        let cut = private.dir().join("cut.bpf.o");
        let part = bytes.get(..1500).context("it is too short to be cut")?;
        std::fs::write(&cut, part).context("write a part of an object")?;
        Ok(cut)
    }
}

/// Without what differs from run to run: where the object is, and numbers of types and lines
/// that only this kernel and this compiler have.
fn blurred(text: &str, file: &Path) -> String {
    let text = text.replace(&file.display().to_string(), "OBJECT");
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find(['[', ' ']) {
        let (head, tail) = rest.split_at(at + 1);
        let digits = tail.bytes().take_while(u8::is_ascii_digit).count();
        out.push_str(head);
        let ends = tail.get(digits..).unwrap_or_default();
        let is_type = head.ends_with('[') && ends.starts_with(']');
        let is_count = head.ends_with("wrote ") && ends.starts_with(" lines");
        if digits > 0 && (is_type || is_count) {
            out.push('N');
            rest = ends;
        } else {
            rest = tail;
        }
    }
    out.push_str(rest);
    out
}
