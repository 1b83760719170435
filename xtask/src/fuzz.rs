//! `cargo xtask fuzz`: the fuzz targets, on the stable toolchain.
//!
//! Coverage comes from the compiler's own pass, which stable accepts; the
//! address sanitizer is left out, because the targets hold no unsafe code.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, bail};

use crate::ctx::Ctx;
use crate::suites::names_in;
use crate::totals::Outcome;
use crate::{apt, run};

const FLAGS: &[&str] = &[
    "--cfg fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cdebug-assertions",
    "-Coverflow-checks",
    "-Cpanic=abort",
];

const NEEDS: &[apt::Need] = &[apt::Need {
    what: "a C++ compiler (for libFuzzer)",
    found: || run::on_path("c++"),
    packages: &["g++"],
}];

/// The target that reads objects, of which there are fixtures.
const OBJECTS: &str = "elf_object";

/// How long `cargo xtask test` runs each target.
const SMOKE_SECONDS: u64 = 10;

pub(crate) fn task(ctx: &Ctx, args: &[String]) -> Result<()> {
    let mut seconds = 60;
    let mut only = None;
    for arg in args {
        match arg.parse() {
            Ok(n) => seconds = n,
            Err(_) => only = Some(arg.as_str()),
        }
    }
    apt::ensure(ctx, NEEDS).map_err(anyhow::Error::msg)?;
    let targets = targets(ctx)?;
    if let Some(name) = only
        && !targets.iter().any(|t| t == name)
    {
        bail!(
            "there is no fuzz target '{name}', only {}",
            targets.join(", ")
        );
    }
    let dir = build(ctx)?;
    for target in targets
        .iter()
        .filter(|t| only.is_none_or(|o| o == t.as_str()))
    {
        let runs = run_one(ctx, &dir, target, seconds)?;
        println!("{target}: {seconds} s, {runs} runs, no finding");
    }
    Ok(())
}

/// Builds all targets, ahead of [`smoke`].
pub(crate) fn build_ahead(ctx: &Ctx) -> Result<()> {
    apt::ensure(ctx, NEEDS).map_err(anyhow::Error::msg)?;
    build(ctx).map(drop)
}

/// Every target for a few seconds: that they build, start and survive their seeds.
pub(crate) fn smoke(ctx: &Ctx) -> Outcome {
    let step = "fuzz targets";
    if let Err(lacking) = apt::ensure(ctx, NEEDS) {
        return Outcome::skipped(step, &lacking);
    }
    let all = targets(ctx).and_then(|t| Ok((t, build(ctx)?)));
    let (targets, dir) = match all {
        Ok(all) => all,
        Err(e) => return crate::suites::failed(step, &e),
    };
    let mut out = Outcome::new(step);
    for result in on_all_cpus(&targets, |target| run_one(ctx, &dir, target, SMOKE_SECONDS)) {
        match result {
            Ok(_) => out.passed += 1,
            Err(e) => {
                let why = format!("{e:#}");
                println!("{why}");
                out.failed += 1;
                out.failures.push(why);
            }
        }
    }
    out
}

/// As many at a time as there are CPUs: a target keeps one busy.
fn on_all_cpus(targets: &[String], run: impl Fn(&str) -> Result<u64> + Sync) -> Vec<Result<u64>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let take = || targets.get(next.fetch_add(1, Ordering::Relaxed));
        let mut done = Vec::new();
        while let Some(target) = take() {
            done.push(run(target));
        }
        done
    };
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cpus).map(|_| scope.spawn(work)).collect();
        let join = |worker: std::thread::ScopedJoinHandle<'_, Vec<_>>| {
            let panicked = |_panic| vec![Err(anyhow::anyhow!("the thread of a target panicked"))];
            worker.join().unwrap_or_else(panicked)
        };
        workers.into_iter().flat_map(join).collect()
    })
}

/// Bytes of an input at most: whole objects and programs are larger than what other targets read.
fn max_len(target: &str) -> u32 {
    match target {
        OBJECTS | "elf_symbols" | "usdt_notes" => 16384,
        _ => 4096,
    }
}

fn targets(ctx: &Ctx) -> Result<Vec<String>> {
    let names = names_in(&ctx.root.join("fuzz/Cargo.toml"), "[[bin]]")?;
    if names.is_empty() {
        bail!("fuzz/Cargo.toml declares no target");
    }
    Ok(names)
}

/// Builds all targets; the directory they are in.
fn build(ctx: &Ctx) -> Result<PathBuf> {
    let triple = ctx.host_triple()?;
    let target_dir = ctx.target.join("fuzz");
    // --target keeps the flags away from build scripts.
    run::must(
        ctx.cargo(&[
            "build",
            "--release",
            "--locked",
            "--manifest-path",
            "fuzz/Cargo.toml",
        ])
        .args(["--target", &triple])
        .env("CARGO_TARGET_DIR", &target_dir)
        .env("RUSTFLAGS", FLAGS.join(" ")),
        &ctx.log("fuzz-build"),
    )?;
    Ok(target_dir.join(triple).join("release"))
}

/// Runs one target; how many inputs it tried.
fn run_one(ctx: &Ctx, dir: &std::path::Path, target: &str, seconds: u64) -> Result<u64> {
    let fuzz = ctx.root.join("fuzz");
    let corpus = fuzz.join("corpus").join(target);
    let artifacts = fuzz.join("artifacts").join(target);
    for made in [&corpus, &artifacts] {
        fs::create_dir_all(made).with_context(|| format!("create {}", made.display()))?;
    }
    let mut cmd = Command::new(dir.join(target));
    cmd.arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .args(["-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1"])
        .arg(format!("-max_len={}", max_len(target)))
        .arg(&corpus);
    // Committed inputs are read, never written.
    let seeds = fuzz.join("seeds").join(target);
    if seeds.is_dir() {
        cmd.arg(seeds);
    }
    if target == OBJECTS {
        cmd.arg(ctx.root.join("tests/fixtures/bpf"));
    }
    let mut runs = 0;
    let log = ctx.log(&format!("fuzz-{target}"));
    let status = run::logged(&mut cmd, &log, |line| {
        if let Some(n) = line.strip_prefix("stat::number_of_executed_units:") {
            runs = n.trim().parse().unwrap_or(0);
        }
    })?;
    if !status.success() {
        bail!(
            "{target} found something ({status}): see {} and {}",
            artifacts.display(),
            log.display()
        );
    }
    if runs == 0 {
        bail!(
            "{target} ended without trying an input: see {}",
            log.display()
        );
    }
    Ok(runs)
}
