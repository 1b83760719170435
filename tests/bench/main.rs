//! The measuring half of `cargo xtask bench`: makes kernel state in namespaces
//! of its own, then times both tools on it, in turn.
//!
//! Started by the task, which builds everything and passes the paths in the
//! environment. `rbpf-bench --rss PROGRAM ARG…` runs one program and prints
//! the most memory it had, in KiB.
#![expect(clippy::print_stdout, reason = "its output is its purpose")]

mod measure;
mod objects;
mod rows;
mod state;
mod symbol;
mod types;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use rbpftool_tests::Private;

/// The programs compared.
struct Programs {
    ours: PathBuf,
    theirs: PathBuf,
    lookup: PathBuf,
    lookup_c: PathBuf,
    names: PathBuf,
    dedup_c: PathBuf,
    resolve_c: PathBuf,
    symbol_c: PathBuf,
    load: PathBuf,
    load_c: PathBuf,
    plan: PathBuf,
    fixtures: PathBuf,
}

impl Programs {
    fn from_env() -> Result<Self> {
        let path = |key: &str| -> Result<PathBuf> {
            let path: PathBuf = std::env::var_os(key)
                .with_context(|| format!("{key} is not set; run `cargo xtask bench`"))?
                .into();
            ensure!(path.exists(), "{} does not exist", path.display());
            Ok(path)
        };
        Ok(Self {
            ours: path("RBPFTOOL")?,
            theirs: path("RBPF_ORACLE")?,
            lookup: path("RBPF_LOOKUP")?,
            lookup_c: path("RBPF_LOOKUP_C")?,
            names: path("RBPF_NAMES")?,
            dedup_c: path("RBPF_DEDUP_C")?,
            resolve_c: path("RBPF_RESOLVE_C")?,
            symbol_c: path("RBPF_SYMBOL_C")?,
            load: path("RBPF_LOAD")?,
            load_c: path("RBPF_LOAD_C")?,
            plan: path("RBPF_PLAN")?,
            fixtures: path("RBPF_FIXTURES")?,
        })
    }
}

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let first = args.next();
    let result = match first.as_deref().and_then(|f| f.to_str()) {
        Some("--rss") => measure::child_rss(args.collect()).map(|()| true),
        Some("--hold") => hold(args).map(|()| true),
        Some("--dedup") => said(types::dedup(&args.collect::<Vec<_>>())),
        Some("--resolve") => said(types::resolve(&args.collect::<Vec<_>>())),
        Some("--symbol") => said(symbol::find(&args.collect::<Vec<_>>())),
        filter => bench(filter.unwrap_or_default()),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            println!("rbpf-bench: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn said(numbers: Result<String>) -> Result<bool> {
    println!("{}", numbers?);
    Ok(true)
}

fn bench(filter: &str) -> Result<bool> {
    let programs = Programs::from_env()?;
    let private = Private::enter()?;
    rows::run(&programs, &private, filter)
}

fn hold(mut args: impl Iterator<Item = std::ffi::OsString>) -> Result<()> {
    let bpffs = args.next().context("--hold needs a bpffs")?;
    let len = args
        .next()
        .and_then(|n| n.to_str()?.parse().ok())
        .context("--hold needs a count")?;
    state::hold(bpffs.as_ref(), len)
}
