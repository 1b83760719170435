//! Probes at places of programs: seen to fire, and gone when they are detached.

use std::path::Path;

use anyhow::{Result, ensure};
use bpfsys::probe::Feature;
use bpfsys::{AttachType, LinkType, probe};
use loader::attach::{AttachError, Link, PerfForm, ProbeForm, Uprobe, UprobeMulti};
use rbpftool_tests::{ensure_eq, requires};

use crate::Bench;
use crate::counter::{Counter, has_cookies};
use crate::programs::{Running, programs};

pub(crate) fn add(bench: &mut Bench) {
    for name in ["pie", "fixed", "static"] {
        bench.one(&format!("uprobe::{name}"), move |_| {
            single(name, "work_one")
        });
        bench.one(&format!("uprobe::static_function::{name}"), move |_| {
            single(name, "work_static")
        });
        bench.one(&format!("uretprobe::{name}"), move |_| returns(name));
    }
    bench.one("uprobe::no_symbols", |_| stripped());
    for name in ["linked", "packed"] {
        bench.one(&format!("uprobe::symbols_elsewhere::{name}"), move |_| {
            single(name, "work_static")
        });
    }
    bench.one("uprobe::build_id", |_| build_id());
    bench.one("uprobe::inside_of_a_function", |_| inside());
    bench.one("uprobe::line", |_| line("pie"));
    bench.one("uprobe::line_of_compressed_sections", |_| {
        line("compressed")
    });
    bench.one("uprobe::library_of_a_process", |_| mapped());
    bench.one("uprobe::deleted_library", |_| deleted());
    bench.one("uprobe::versions", |_| versions());
    bench.one("uprobe::archive", |_| archive());
    bench.one("uprobe::one_process", |_| one_process());
    bench.one("uprobe::cookies", |_| cookies());
    bench.one("uprobe::counter_of_users", |_| semaphore());
    bench.one("uprobe::forms", |_| forms());
    bench.one("uprobe::tracefs", tracefs);
    bench.one("uprobe::what_is_not_there", |_| missing());
    bench.one("multi::pattern", |_| multi_pattern());
    bench.one("multi::returns", |_| multi_returns());
    bench.one("multi::symbols_and_cookies", |_| multi_symbols());
    bench.one("multi::one_process", |_| multi_process());
    bench.one("session::both_ends", |_| session());
}

/// Attached, it counts; detached, it does not.
fn fires(
    counter: &Counter,
    running: &mut Running,
    each: u64,
    attach: impl FnOnce(&Counter) -> Result<Link, AttachError>,
) -> Result<()> {
    let before = counter.total()?;
    let link = attach(counter)?;
    for _ in 0..3 {
        running.work()?;
    }
    ensure_eq!(counter.total()? - before, 3 * each, "while it is attached");
    link.detach()?;
    running.work()?;
    ensure_eq!(counter.total()? - before, 3 * each, "after it was detached");
    Ok(())
}

fn started(name: &str) -> Result<(std::path::PathBuf, Running)> {
    let path = programs()?.path(name);
    let running = Running::start(&path, &[])?;
    Ok((path, running))
}

fn single(name: &str, symbol: &str) -> Result<()> {
    let (path, mut running) = started(name)?;
    fires(&Counter::new()?, &mut running, 1, |counter| {
        Uprobe::new(&path).symbol(symbol).attach(&counter.prog)
    })
}

fn returns(name: &str) -> Result<()> {
    let (path, mut running) = started(name)?;
    fires(&Counter::new()?, &mut running, 1, |counter| {
        Uprobe::new(&path)
            .symbol("work_two")
            .returns()
            .attach(&counter.prog)
    })
}

/// A program without symbols says so, and its library has those of the dynamic linker still.
fn stripped() -> Result<()> {
    let (path, mut running) = started("stripped")?;
    let counter = Counter::new()?;
    let probe = Uprobe::new(&path).symbol("work_static");
    let error = probe.attach(&counter.prog).err();
    let Some(AttachError::Binary(error)) = error else {
        anyhow::bail!("{error:?}");
    };
    let chain = format!("{:#}", anyhow::Error::from(error));
    ensure!(
        chain.ends_with("there is no function `work_static`; the symbols are stripped"),
        "{chain}"
    );
    fires(&counter, &mut running, 1, |counter| {
        let library = programs().map(|p| p.path("libprobed.so"));
        let library = library.unwrap_or_default();
        Uprobe::new(library).symbol("lib_add").attach(&counter.prog)
    })
}

/// The debug file is found below a root by the build id.
fn build_id() -> Result<()> {
    use loader::symbols::{Binary, debug_file};

    let path = programs()?.path("stripped");
    let binary = Binary::open(&path)?;
    let id = debug_file::build_id(binary.file());
    let id = id.ok_or_else(|| anyhow::anyhow!("no build id"))?;
    let root = tempfile::tempdir()?;
    let wanted = debug_file::candidates(&path, Some(&id), None, root.path());
    for at in &wanted {
        std::fs::create_dir_all(at.parent().unwrap_or(at))?;
        std::fs::copy(programs()?.path("pie"), at)?;
    }
    ensure!(binary.offset("work_static").is_err(), "found without");
    let binary = Binary::open(&path)?.debug_root(root.path());
    let found = binary.offset("work_static")?;
    let same = Binary::open(&programs()?.path("pie"))?.offset("work_static")?;
    ensure_eq!(found.address, same.address);
    let named = binary.symbolize(found.offset)?;
    ensure_eq!(named.function.as_deref(), Some("work_static"));
    let file = named.line.as_ref().map(|line| line.file.as_str());
    ensure!(
        file.is_some_and(|file| file.ends_with("user/probed.c")),
        "{named:?}"
    );
    ensure!(binary.line("probed.c", 21).is_ok(), "a line of it");
    let mut running = Running::start(&path, &[])?;
    fires(&Counter::new()?, &mut running, 1, |counter| {
        Uprobe::new(&path)
            .offset(found.offset)
            .attach(&counter.prog)
    })
}

/// At a later instruction: where a line of source begins, said as bytes from the start.
fn inside() -> Result<()> {
    use loader::symbols::Binary;

    let (path, mut running) = started("pie")?;
    let binary = Binary::open(&path)?;
    let start = binary.offset("in_memory")?;
    // the `nop` of a static probe
    let probes = binary.static_probes()?;
    let probe = probes.iter().find(|probe| probe.name == "memory");
    let probe = probe.ok_or_else(|| anyhow::anyhow!("no such probe"))?;
    let more = probe.address - start.address;
    ensure!(more > 0, "it is at the start");
    fires(&Counter::new()?, &mut running, 1, |counter| {
        Uprobe::new(&path)
            .symbol(format!("in_memory+{more:#x}"))
            .attach(&counter.prog)
    })?;
    fires(&Counter::new()?, &mut running, 1, |counter| {
        Uprobe::new(&path)
            .symbol("in_memory")
            .plus(more)
            .attach(&counter.prog)
    })
}

fn line(name: &str) -> Result<()> {
    use loader::symbols::Binary;

    let (path, mut running) = started(name)?;
    let binary = Binary::open(&path)?;
    let places = binary.line("user/probed.c", 21)?;
    ensure_eq!(places.len(), 1);
    let named = binary.symbolize(places.first().map_or(0, |place| place.offset))?;
    ensure_eq!(named.function.as_deref(), Some("work_two"));
    ensure_eq!(named.line.map(|line| line.line), Some(21));
    let error = binary.line("probed.c", 9999).err();
    ensure!(error.is_some(), "a line after the last");
    fires(&Counter::new()?, &mut running, 1, |counter| {
        Uprobe::new(&path)
            .line("probed.c", 21)
            .attach(&counter.prog)
    })
}

fn mapped() -> Result<()> {
    let (_, mut running) = started("pie")?;
    let pid = running.pid();
    fires(&Counter::new()?, &mut running, 1, |counter| {
        Uprobe::mapped(pid, "libprobed")
            .symbol("lib_add")
            .attach(&counter.prog)
    })
}

/// A library that was replaced while a process has it.
fn deleted() -> Result<()> {
    let dir = tempfile::tempdir()?;
    for name in ["pie", "libprobed.so"] {
        std::fs::copy(programs()?.path(name), dir.path().join(name))?;
    }
    let mut running = Running::start(&dir.path().join("pie"), &[])?;
    std::fs::remove_file(dir.path().join("libprobed.so"))?;
    std::fs::write(dir.path().join("libprobed.so"), "another")?;
    let pid = running.pid();
    fires(&Counter::new()?, &mut running, 1, |counter| {
        Uprobe::mapped(pid, "libprobed")
            .symbol("lib_add")
            .attach(&counter.prog)
    })
}

fn versions() -> Result<()> {
    let (_, mut running) = started("pie")?;
    let library = programs()?.path("libprobed.so");
    for (symbol, each) in [("api@LIB_1.0", 0), ("api@@LIB_2.0", 1), ("api@LIB_2.0", 1)] {
        fires(&Counter::new()?, &mut running, each, |counter| {
            Uprobe::new(&library).symbol(symbol).attach(&counter.prog)
        })?;
    }
    let counter = Counter::new()?;
    let error = Uprobe::new(&library).symbol("api").attach(&counter.prog);
    let error = error.err().map(|e| format!("{:#}", anyhow::Error::from(e)));
    ensure!(
        error
            .as_ref()
            .is_some_and(|error| error.contains("api@LIB_1.0") && error.contains("api@@LIB_2.0")),
        "{error:?}"
    );
    Ok(())
}

fn archive() -> Result<()> {
    use loader::symbols::Binary;

    let apk = programs()?.path("app.apk");
    let member = format!("{}!/lib/libprobed.so", apk.display());
    let place = Binary::open(Path::new(&member))?.offset("lib_add")?;
    ensure!(place.offset >= 4096, "{place:?}");
    let shown = apk.display().to_string();
    let args = [shown.as_str(), &place.offset.to_string()];
    let mut running = Running::start(&programs()?.path("mapper"), &args)?;
    fires(&Counter::new()?, &mut running, 1, |counter| {
        Uprobe::new(&member).symbol("lib_add").attach(&counter.prog)
    })
}

fn one_process() -> Result<()> {
    let (path, mut one) = started("pie")?;
    let mut other = Running::start(&path, &[])?;
    let counter = Counter::new()?;
    let link = Uprobe::new(&path)
        .symbol("work_one")
        .pid(one.pid())
        .attach(&counter.prog)?;
    other.work()?;
    ensure_eq!(counter.total()?, 0, "by another process");
    one.work()?;
    ensure_eq!(counter.total()?, 1);
    drop(link);
    one.work()?;
    ensure_eq!(counter.total()?, 1);
    Ok(())
}

fn cookies() -> Result<()> {
    let (path, mut running) = started("fixed")?;
    let counter = Counter::new()?;
    let at = |symbol: &str, cookie| {
        Uprobe::new(&path)
            .symbol(symbol)
            .cookie(cookie)
            .attach(&counter.prog)
    };
    if !has_cookies() {
        let error = at("work_one", 1).err();
        ensure!(
            matches!(error, Some(AttachError::Unsupported { .. })),
            "{error:?}"
        );
        return Ok(());
    }
    let links = [at("work_one", 1)?, at("work_two", 2)?];
    running.work()?;
    ensure_eq!(counter.all()?, [0, 1, 1, 0, 0, 0, 0, 0]);
    drop(links);
    Ok(())
}

fn semaphore() -> Result<()> {
    use loader::symbols::Binary;

    for name in ["pie", "static"] {
        let (path, mut running) = started(name)?;
        let binary = Binary::open(&path)?;
        let probes = binary.static_probes()?;
        let guarded = probes.iter().find(|probe| probe.name == "guarded");
        let guarded = guarded.ok_or_else(|| anyhow::anyhow!("no such probe"))?;
        let place = guarded.place(binary.file())?;
        let counter = Counter::new()?;
        ensure!(!running.work()?, "nobody looks yet");
        let link = Uprobe::new(&path)
            .offset(place.offset)
            .ref_ctr_offset(place.ref_ctr_offset)
            .attach(&counter.prog)?;
        ensure!(running.work()?, "somebody looks");
        ensure_eq!(counter.total()?, 1);
        link.detach()?;
        ensure!(!running.work()?, "nobody looks any more");
    }
    Ok(())
}

fn forms() -> Result<()> {
    let (path, mut running) = started("pie")?;
    for (probe, perf) in [
        (ProbeForm::Event, PerfForm::Best),
        (ProbeForm::Event, PerfForm::Ioctl),
        (ProbeForm::TraceFs, PerfForm::Best),
        (ProbeForm::TraceFs, PerfForm::Ioctl),
    ] {
        fires(&Counter::new()?, &mut running, 1, |counter| {
            Uprobe::new(&path)
                .symbol("work_one")
                .probe_form(probe)
                .perf_form(perf)
                .attach(&counter.prog)
        })?;
    }
    if probe::link_type(LinkType::PERF_EVENT).is_yes() {
        let counter = Counter::new()?;
        let link = Uprobe::new(&path)
            .symbol("work_one")
            .perf_form(PerfForm::Link)
            .attach(&counter.prog)?;
        ensure!(link.fd().is_some(), "a link is a link");
    }
    Ok(())
}

/// The line in tracefs is there while it is attached, and no longer.
fn tracefs(private: &rbpftool_tests::Private) -> Result<()> {
    let (path, mut running) = started("pie")?;
    let ours = format!("rbpftool_{}_", std::process::id());
    let lines = || -> Result<usize> {
        let text = std::fs::read_to_string(private.tracefs().join("uprobe_events"))?;
        Ok(text.lines().filter(|line| line.contains(&ours)).count())
    };
    for pid in [None, Some(running.pid())] {
        for returns in [false, true] {
            let mut seen = 0;
            fires(&Counter::new()?, &mut running, 1, |counter| {
                let mut probe = Uprobe::new(&path)
                    .symbol("work_one")
                    .probe_form(ProbeForm::TraceFs);
                if returns {
                    probe = probe.returns();
                }
                if let Some(pid) = pid {
                    probe = probe.pid(pid);
                }
                let link = probe.attach(&counter.prog)?;
                seen = lines().unwrap_or(0);
                Ok(link)
            })?;
            ensure_eq!(seen, 1, "while it is attached");
            ensure_eq!(lines()?, 0, "after it was detached");
        }
    }
    Ok(())
}

fn missing() -> Result<()> {
    let path = programs()?.path("pie");
    let counter = Counter::new()?;
    let error = |probe: Uprobe| -> Result<String> {
        let error = probe.attach(&counter.prog).err();
        let error = error.ok_or_else(|| anyhow::anyhow!("{probe} was attached"))?;
        Ok(format!("{:#}", anyhow::Error::from(error)))
    };
    let shown = path.display();
    ensure_eq!(
        error(Uprobe::new(&path).symbol("nothing"))?,
        format!("{shown}: there is no function `nothing`")
    );
    ensure_eq!(
        error(Uprobe::new("/no/such/file").symbol("f"))?,
        "cannot open /no/such/file: No such file or directory (os error 2)"
    );
    ensure_eq!(
        error(Uprobe::new("no-such-program").symbol("f"))?,
        "there is no program or library `no-such-program` where they are looked for"
    );
    let none = error(Uprobe::new(&path))?;
    ensure!(
        none.contains("no function, offset or line is named"),
        "{none}"
    );
    let inside = error(Uprobe::new(&path).symbol("work_one+4").returns())?;
    ensure!(inside.contains("no place in particular"), "{inside}");
    let process = error(Uprobe::mapped(u32::MAX, "libc").symbol("malloc"))?;
    ensure!(process.contains("cannot read the mappings"), "{process}");
    Ok(())
}

fn multi() -> Result<Counter> {
    Counter::of(Some(AttachType::TRACE_UPROBE_MULTI))
}

fn multi_pattern() -> Result<()> {
    for name in ["pie", "fixed", "static"] {
        let (path, mut running) = started(name)?;
        fires(&multi()?, &mut running, 3, |counter| {
            UprobeMulti::new(&path)
                .matching("work_*")
                .attach(&counter.prog)
        })?;
    }
    let counter = multi()?;
    let none = UprobeMulti::new(programs()?.path("pie")).matching("nothing*");
    let error = none.attach(&counter.prog).err();
    let error = error.map(|e| format!("{:#}", anyhow::Error::from(e)));
    ensure!(
        error
            .as_ref()
            .is_some_and(|e| e.ends_with("no function fits `nothing*`")),
        "{error:?}"
    );
    Ok(())
}

fn multi_returns() -> Result<()> {
    let (path, mut running) = started("pie")?;
    fires(&multi()?, &mut running, 2, |counter| {
        UprobeMulti::new(&path)
            .symbols(["work_one", "work_two"])
            .returns()
            .attach(&counter.prog)
    })
}

fn multi_symbols() -> Result<()> {
    requires!(has_cookies(), "no cookies before Linux 5.15");
    let (path, mut running) = started("pie")?;
    let counter = multi()?;
    let link = UprobeMulti::new(&path)
        .symbols(["work_one", "work_static", "fast"])
        .cookies([3, 5, 7])
        .attach(&counter.prog)?;
    running.work()?;
    ensure_eq!(counter.all()?, [0, 0, 0, 1, 0, 1, 0, 1]);
    drop(link);
    let wrong = UprobeMulti::new(&path)
        .symbols(["work_one"])
        .cookies([1, 2]);
    ensure!(wrong.attach(&counter.prog).is_err(), "two cookies for one");
    Ok(())
}

fn multi_process() -> Result<()> {
    let (path, mut one) = started("pie")?;
    let mut other = Running::start(&path, &[])?;
    let counter = multi()?;
    let probes = UprobeMulti::new(&path).matching("work_*").pid(one.pid());
    let link = match probes.attach(&counter.prog) {
        Ok(link) => link,
        // Links of threads only, and the program is for links.
        Err(error)
            if probe::link_type(LinkType::UPROBE_MULTI).is_yes()
                && Feature::by_name("uprobe_multi").is_some_and(|f| f.probe().is_no()) =>
        {
            return Err(rbpftool_tests::skip(format!(
                "this kernel has links of threads: {:#}",
                anyhow::Error::from(error)
            )));
        }
        Err(error) => return Err(error.into()),
    };
    other.work()?;
    ensure_eq!(counter.total()?, 0, "by another process");
    one.work()?;
    ensure_eq!(counter.total()?, 3);
    drop(link);
    Ok(())
}

fn session() -> Result<()> {
    requires!(
        probe::attach_type(AttachType::TRACE_UPROBE_SESSION).is_yes(),
        "no sessions of user probes before Linux 6.13"
    );
    let (path, mut running) = started("pie")?;
    let counter = Counter::of(Some(AttachType::TRACE_UPROBE_SESSION))?;
    fires(&counter, &mut running, 6, |counter| {
        UprobeMulti::new(&path)
            .matching("work_*")
            .session()
            .attach(&counter.prog)
    })
}
