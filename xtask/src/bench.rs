//! `cargo xtask bench`: builds both sides, then lets `rbpf-bench` measure them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::ctx::Ctx;
use crate::{dist, oracle, run, vm};

pub(crate) fn task(ctx: &Ctx, args: &[String]) -> Result<()> {
    if !ctx.is_root {
        bail!("needs root: the maps and programs that are listed must be made first");
    }
    let theirs = oracle::build(ctx, false).context("the reference bpftool")?;
    println!("   building ours");
    let ours = dist::build(ctx)?;
    let lookup = static_program(ctx, "rbpftool", "--example", "lookup")?;
    let load = static_program(ctx, "example-loader", "--bin", "example-loader")?;
    let plan = static_program(ctx, "bpfsys-loader", "--example", "plan")?;
    let load_c = with_libbpf(ctx, "load")?;
    let lookup_c = with_libbpf(ctx, "lookup")?;
    let dedup_c = with_libbpf(ctx, "dedup")?;
    let resolve_c = with_libbpf(ctx, "resolve")?;
    let symbol_c = with_libbpf(ctx, "symbol")?;
    vm::btf::extract(ctx).context("the types of other kernels")?;
    run::must(
        &mut ctx.cargo(&[
            "build",
            "--release",
            "--locked",
            "-p",
            "rbpftool-tests",
            "--bins",
        ]),
        &ctx.log("bench-build"),
    )?;
    machine();
    let status = Command::new(ctx.target.join("release/rbpf-bench"))
        .args(args)
        .env("RBPFTOOL", ours)
        .env("RBPF_ORACLE", theirs)
        .env("RBPF_LOOKUP", lookup)
        .env("RBPF_LOOKUP_C", lookup_c)
        .env("RBPF_DEDUP_C", dedup_c)
        .env("RBPF_RESOLVE_C", resolve_c)
        .env("RBPF_SYMBOL_C", symbol_c)
        .env("RBPF_LOAD", load)
        .env("RBPF_LOAD_C", load_c)
        .env("RBPF_PLAN", plan)
        .env("RBPF_FIXTURES", ctx.root.join("tests/fixtures/bpf"))
        .env("RBPF_BTF_DIR", vm::btf::dir(ctx))
        .env("RBPF_NAMES", ctx.root.join("xtask/bench/names.txt"))
        .status()
        .context("start rbpf-bench")?;
    if !status.success() {
        bail!("a bound was missed ({status})");
    }
    Ok(())
}

/// A binary or example, built as the tool is.
fn static_program(ctx: &Ctx, package: &str, kind: &str, name: &str) -> Result<PathBuf> {
    let triple = ctx.host_triple()?;
    let args = ["build", "--release", "--locked", "-p", package];
    run::must(
        ctx.cargo(&args)
            .args([kind, name, "--target", &triple])
            .env("RUSTFLAGS", dist::FLAGS),
        &ctx.log(&format!("bench-{name}")),
    )?;
    let built = ctx.target.join(triple).join("release");
    Ok(match kind {
        "--example" => built.join("examples").join(name),
        _ => built.join(name),
    })
}

/// A program of `xtask/bench`, with the libbpf that the reference was built with.
fn with_libbpf(ctx: &Ctx, name: &str) -> Result<PathBuf> {
    let libbpf = ctx.oracle_dir().join("bpftool-build/libbpf");
    // Some of what libbpf shows to bpftool needs these.
    let tools = ctx.oracle_dir().join("source/tools");
    let program = ctx.oracle_dir().join(format!("bench-{name}"));
    run::must(
        Command::new("gcc")
            .args(["-O2", "-o"])
            .arg(&program)
            .arg(ctx.root.join("xtask/bench").join(name).with_extension("c"))
            .arg("-I")
            .arg(libbpf.join("include"))
            .arg("-I")
            .arg(tools.join("include"))
            .arg("-I")
            .arg(tools.join("include/uapi"))
            .arg(libbpf.join("libbpf.a"))
            .args(["-lelf", "-lz"]),
        &ctx.log(&format!("bench-{name}-c")),
    )?;
    Ok(program)
}

/// Says what the numbers were measured on.
fn machine() {
    let read = |path: &str| std::fs::read_to_string(Path::new(path)).unwrap_or_default();
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "Linux {}, {cpus} CPUs",
        read("/proc/sys/kernel/osrelease").trim()
    );
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    if load.parse::<f64>().is_ok_and(|n| n > 1.0) {
        println!("load {load}: something else runs, and costs most where ours uses two CPUs");
    }
}
