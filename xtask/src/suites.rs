//! `cargo xtask test`: everything, counted.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::apt::{self, Need};
use crate::ctx::Ctx;
use crate::totals::{Outcome, Reader, report};
use crate::{dist, fuzz, kernel_support, oracle, run, vm};

/// The suite that compares with the reference bpftool.
const ORACLE_SUITE: &str = "oracle_bpftool";

/// Programs the suites call; a suite that misses one skips and says so.
const NEEDS: &[Need] = &[
    Need {
        what: "jq",
        found: || run::on_path("jq"),
        packages: &["jq"],
    },
    Need {
        what: "a C compiler (for programs that are probed)",
        found: || run::on_path("gcc") && run::on_path("objcopy"),
        packages: &["gcc", "libc6-dev", "binutils"],
    },
    Need {
        what: "xz",
        found: || run::on_path("xz"),
        packages: &["xz-utils"],
    },
    Need {
        what: "shells to complete words in",
        found: || ["bash", "zsh", "fish"].into_iter().all(run::on_path),
        packages: &["bash", "zsh", "fish"],
    },
    Need {
        what: "mandoc",
        found: || run::on_path("mandoc"),
        packages: &["mandoc"],
    },
    Need {
        what: "ip",
        found: || run::on_path("ip"),
        packages: &["iproute2"],
    },
];

pub(crate) fn task(ctx: &Ctx, args: &[String]) -> Result<()> {
    let mut quick = false;
    for arg in args {
        match arg.as_str() {
            "--quick" => quick = true,
            other => bail!("'{other}' is not an option of this task"),
        }
    }
    if !ctx.is_root {
        println!("not root: tests that load BPF are counted as skipped");
    }
    if let Err(lacking) = apt::ensure(ctx, NEEDS) {
        println!("   {lacking}");
    }
    let mut all = vec![
        timed(|| component(ctx, "fmt", &["fmt", "--all", "--check"], "rustfmt")),
        timed(|| {
            let args = [
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--",
                "-D",
                "warnings",
            ];
            component(ctx, "clippy", &args, "clippy")
        }),
        timed(|| {
            let mut cmd = ctx.cargo(&["doc", "--workspace", "--no-deps", "--locked"]);
            cmd.env("RUSTDOCFLAGS", "-D warnings");
            check(ctx, "doc", &mut cmd)
        }),
        timed(|| {
            let args = [
                "test",
                "--workspace",
                "--locked",
                "--no-fail-fast",
                "--exclude",
            ];
            let mut cmd = ctx.cargo(&args);
            cmd.args(["rbpftool-tests", "--", "--show-output"]);
            counted(ctx, "unit and doc tests", &mut cmd, false)
        }),
    ];
    all.push(timed(|| {
        let mut cmd = ctx.cargo(&["test", "-p", "rbpftool-tests", "--lib", "--locked"]);
        cmd.args(["--", "--show-output"]);
        counted(ctx, "test support", &mut cmd, false)
    }));
    let tool = build_tool(ctx);
    // suites that come before the comparison look for the reference too
    if !quick && let Err(e) = oracle::build(ctx, false) {
        println!("   the reference bpftool: {e:#}");
    }
    // the other one has nothing to compare machine code with
    if !quick && let Err(e) = oracle::build(ctx, true) {
        println!("   the reference bpftool with a disassembler: {e:#}");
    }
    if !quick && let Err(e) = vm::btf::extract(ctx) {
        println!("   the types of other kernels: {e:#}");
    }
    let suites = suite_names(ctx)?;
    std::thread::scope(|scope| {
        if !quick {
            scope.spawn(|| build_ahead(ctx));
        }
        for suite in suites {
            if suite == ORACLE_SUITE {
                if !quick {
                    all.push(timed(|| oracle_suite(ctx)));
                }
                continue;
            }
            all.push(timed(|| match &tool {
                Ok(_) => counted(ctx, &suite, &mut suite_command(ctx, &[&suite], ""), true),
                Err(e) => failed(&suite, e),
            }));
        }
    });
    if quick {
        println!(
            "--quick: the oracle, the static binary, the fuzz targets and the other kernels were left out"
        );
    } else {
        all.push(timed(|| match dist::build(ctx) {
            Ok(_) => passed("static binary"),
            Err(e) => failed("static binary", &e),
        }));
        let fuzzed = OnceLock::new();
        let smoke = || timed(|| fuzz::smoke(ctx));
        let rows = matrix(ctx, &mut all, &|| drop(fuzzed.set(smoke())));
        all.push(fuzzed.into_inner().unwrap_or_else(smoke));
        vm::table(&rows);
        all.extend(rows.into_iter().flat_map(|row| row.outcomes));
    }
    if report(&all, ctx.strict) {
        Ok(())
    } else {
        bail!(
            "there are failures; whole logs are in {}",
            ctx.log("x").with_file_name("").display()
        )
    }
}

/// Builds what later steps need, while suites run that mostly wait. Those steps say what is
/// wrong with it.
fn build_ahead(ctx: &Ctx) {
    let builds: [fn(&Ctx) -> Result<()>; 3] = [
        |ctx| dist::build(ctx).map(drop),
        vm::build,
        fuzz::build_ahead,
    ];
    let ctx = &ctx.with_patience();
    for build in builds {
        drop(build(ctx));
    }
}

/// Builds the tool the suites run; its path.
pub(crate) fn build_tool(ctx: &Ctx) -> Result<PathBuf> {
    run::must(
        &mut ctx.cargo(&["build", "-p", "rbpftool", "--locked"]),
        &ctx.log("build-tool"),
    )?;
    Ok(ctx.target.join("debug/rbpftool"))
}

/// `cargo test` of some suites, told where the tools are.
pub(crate) fn suite_command(ctx: &Ctx, suites: &[&str], filter: &str) -> Command {
    let mut cmd = ctx.cargo(&["test", "-p", "rbpftool-tests", "--locked", "--no-fail-fast"]);
    for suite in suites {
        cmd.args(["--test", suite]);
    }
    cmd.env("RBPFTOOL", ctx.target.join("debug/rbpftool"))
        .env("RBPF_ORACLE", ctx.oracle_dir().join("bpftool"));
    let types = vm::btf::dir(ctx);
    if types.is_dir() {
        cmd.env("RBPF_BTF_DIR", types);
    }
    if !filter.is_empty() {
        cmd.args(["--", filter]);
    }
    cmd
}

fn oracle_suite(ctx: &Ctx) -> Outcome {
    if !ctx.is_root {
        return Outcome::skipped(
            ORACLE_SUITE,
            "needs root, to make what the two tools are shown",
        );
    }
    match oracle::build(ctx, false) {
        Ok(_) => counted(
            ctx,
            ORACLE_SUITE,
            &mut suite_command(ctx, &[ORACLE_SUITE], ""),
            true,
        ),
        Err(e) => {
            let why = e.context(format!("no reference bpftool {}", oracle::VERSION));
            unable(ctx, ORACLE_SUITE, &why)
        }
    }
}

/// The kernel suites on the other kernels, below this machine's own row.
fn matrix(ctx: &Ctx, done: &mut Vec<Outcome>, beside: &(dyn Fn() + Sync)) -> Vec<vm::Row> {
    match vm::matrix(ctx, beside) {
        Ok(rows) => {
            let (ours, others) = done
                .drain(..)
                .partition(|o| vm::SUITES.iter().any(|s| o.step == **s));
            *done = others;
            let here = vm::Row::of_this_machine(ours);
            let mut rows: Vec<vm::Row> = [here].into_iter().chain(rows).collect();
            rows.sort_by_key(vm::Row::order);
            done.push(timed(|| support(ctx, &rows)));
            rows
        }
        Err(e) => {
            done.push(unable(ctx, "other kernels", &e));
            Vec::new()
        }
    }
}

/// What the kernels can do is written down as they say it.
fn support(ctx: &Ctx, rows: &[vm::Row]) -> Outcome {
    const STEP: &str = "docs/kernel-support.md";
    let kernels: Vec<_> = rows.iter().map(vm::Row::support).collect();
    let fresh = kernel_support::render(&kernels);
    let kept = ctx.target.join("vm/kernel-support.md");
    let committed = std::fs::read_to_string(ctx.root.join(STEP)).unwrap_or_default();
    let mut wrong = kernel_support::differences(&committed, &fresh);
    if let Err(e) = std::fs::write(&kept, &fresh) {
        wrong.push(format!("cannot write {}: {e}", kept.display()));
    }
    if wrong.is_empty() {
        return passed(STEP);
    }
    println!("{STEP}: this run says otherwise: see {}", kept.display());
    let mut out = Outcome::new(STEP);
    out.failed = 1;
    out.failures = wrong;
    out
}

/// A step whose tools are not to be had. Nobody looks at what CI has skipped.
fn unable(ctx: &Ctx, step: &str, why: &anyhow::Error) -> Outcome {
    if ctx.is_ci {
        return failed(step, why);
    }
    let why = format!("{why:#}");
    Outcome::skipped(step, why.lines().next().unwrap_or_default())
}

/// The `[[test]]` targets of the tests package, in the order of its manifest.
fn suite_names(ctx: &Ctx) -> Result<Vec<String>> {
    names_in(&ctx.root.join("tests/Cargo.toml"), "[[test]]")
}

/// The names declared by every `table` of a manifest.
pub(crate) fn names_in(manifest: &std::path::Path, table: &str) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(manifest)
        .with_context(|| format!("read {}", manifest.display()))?;
    let mut inside = false;
    let mut names = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == table;
        } else if inside && let Some(value) = line.strip_prefix("name = ") {
            names.push(value.trim_matches('"').to_owned());
        }
    }
    Ok(names)
}

fn timed(step: impl FnOnce() -> Outcome) -> Outcome {
    let start = Instant::now();
    let mut out = step();
    out.took = start.elapsed();
    println!(
        "== {}: {} passed, {} failed, {} skipped in {:.1} s",
        out.step,
        out.passed,
        out.failed,
        out.skips.len(),
        out.took.as_secs_f64()
    );
    out
}

pub(crate) fn passed(step: &str) -> Outcome {
    let mut out = Outcome::new(step);
    out.passed = 1;
    out
}

pub(crate) fn failed(step: &str, error: &anyhow::Error) -> Outcome {
    println!("{step}: {error:#}");
    Outcome::failed(step, &format!("{error:#}"))
}

/// A step that is one yes or no.
fn check(ctx: &Ctx, step: &str, cmd: &mut Command) -> Outcome {
    match run::must(cmd, &ctx.log(step)) {
        Ok(()) => passed(step),
        Err(e) => failed(step, &e),
    }
}

/// A check by a rustup component, which is added where it is missing.
fn component(ctx: &Ctx, step: &str, args: &[&str], name: &str) -> Outcome {
    let have = |ctx: &Ctx| run::stdout_of(ctx.cargo(&args[..1]).arg("--version")).is_ok();
    if !have(ctx) && run::on_path("rustup") {
        println!("   rustup component add {name}");
        if let Err(e) = run::stdout_of(Command::new("rustup").args(["component", "add", name])) {
            println!("   {e:#}");
        }
    }
    if !have(ctx) {
        return Outcome::skipped(step, &format!("needs the toolchain component {name}"));
    }
    check(ctx, step, &mut ctx.cargo(args))
}

/// A step that runs tests.
fn counted(ctx: &Ctx, step: &str, cmd: &mut Command, own_harness: bool) -> Outcome {
    let mut reader = Reader::default();
    let mut lines: Vec<String> = Vec::new();
    let mut features: Vec<String> = Vec::new();
    let log = ctx.log(&step.replace(' ', "-"));
    match run::logged(cmd, &log, |line| {
        reader.line(line);
        if line.starts_with("FEATURE ") {
            features.push(line.to_owned());
        } else {
            lines.push(line.to_owned());
        }
    }) {
        Ok(status) => {
            let mut out = reader.finish(step, own_harness, status.success());
            out.features = features;
            if out.failed > 0 {
                let told = lines.len().saturating_sub(400);
                lines.iter().skip(told).for_each(|l| println!("{l}"));
            }
            out
        }
        Err(e) => failed(step, &e),
    }
}
