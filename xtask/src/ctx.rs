//! Where things are, and what this run may do.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

/// Facts every task needs, gathered once.
#[derive(Debug, Clone)]
pub(crate) struct Ctx {
    /// The root of the checkout.
    pub(crate) root: PathBuf,
    /// Cargo's target directory.
    pub(crate) target: PathBuf,
    /// May packages be installed and BPF objects be loaded?
    pub(crate) is_root: bool,
    /// `RBPF_STRICT=1`: a skip is a failure.
    pub(crate) strict: bool,
    /// `CI=true`: nobody reads what was skipped.
    pub(crate) is_ci: bool,
    cargo: OsString,
    patient: bool,
}

impl Ctx {
    pub(crate) fn new() -> Result<Self> {
        let manifest =
            std::env::var_os("CARGO_MANIFEST_DIR").context("run this as `cargo xtask`")?;
        let root = Path::new(&manifest)
            .parent()
            .context("the manifest directory has no parent")?
            .to_owned();
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(dir) => root.join(dir),
            None => root.join("target"),
        };
        std::fs::create_dir_all(&target).with_context(|| format!("create {}", target.display()))?;
        let uid = std::fs::metadata("/proc/self")
            .context("read /proc/self")?
            .uid();
        Ok(Self {
            root,
            target,
            is_root: uid == 0,
            is_ci: std::env::var_os("CI").is_some_and(|v| v == "true"),
            strict: std::env::var_os("RBPF_STRICT").is_some_and(|v| v == "1"),
            cargo: std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()),
            patient: false,
        })
    }

    /// The same, but its cargo commands take what CPU time others leave.
    pub(crate) fn with_patience(&self) -> Self {
        Self {
            patient: true,
            ..self.clone()
        }
    }

    /// A cargo command in the root of the checkout.
    pub(crate) fn cargo(&self, args: &[&str]) -> Command {
        let mut cmd = if self.patient {
            let mut nice = Command::new("nice");
            nice.args(["-n", "10"]).arg(&self.cargo);
            nice
        } else {
            Command::new(&self.cargo)
        };
        cmd.current_dir(&self.root)
            .args(args)
            .env("CARGO_TARGET_DIR", &self.target);
        // What `cargo run` set for this process is not true of its children.
        for (key, _) in std::env::vars_os() {
            if key.to_string_lossy().starts_with("CARGO_PKG_") {
                cmd.env_remove(key);
            }
        }
        cmd.env_remove("CARGO_MANIFEST_DIR")
            .env_remove("CARGO_MANIFEST_PATH");
        cmd
    }

    /// Where the reference bpftool is built.
    pub(crate) fn oracle_dir(&self) -> PathBuf {
        self.target.join("oracle")
    }

    /// Where a step's whole output is kept.
    pub(crate) fn log(&self, step: &str) -> PathBuf {
        self.target.join("xtask-logs").join(format!("{step}.log"))
    }

    /// The triple cargo builds for here.
    pub(crate) fn host_triple(&self) -> Result<String> {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let said = crate::run::stdout_of(Command::new(rustc).arg("-vV"))?;
        said.lines()
            .find_map(|l| l.strip_prefix("host: "))
            .map(str::to_owned)
            .context("rustc -vV names no host")
    }
}
