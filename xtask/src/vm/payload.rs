//! What is in a guest: our programs, theirs, and the files the suites read.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::cpio::Archive;
use super::kernels::Kernel;
use super::modules::{Modules, WANTED};
use crate::ctx::Ctx;
use crate::{dist, oracle, run};

/// The suites that need a kernel, in the order they run.
pub(crate) const SUITES: &[&str] = &[
    "uapi_layout",
    "kernel_probes",
    "kernel_cmds",
    "kernel_load",
    "kernel_attach",
    "kernel_light",
    "kernel_uprobe",
    "kernel_consume",
    "kernel_net",
    "kernel_tool",
    "oracle_bpftool",
];

/// Suites that run only when they are called by a command line, with `--file` and `--run`: they
/// need objects that are not of the checkout.
const BY_HAND: &[&str] = &["corpus", "kernel_example"];

/// Programs of this machine that the suites call, with the libraries they need.
const PROGRAMS: &[&str] = &[
    "bash", "setpriv", "ip", "cat", "ls", "mount", "dmesg", "id", "true", "head", "tail", "setsid",
    "xargs", "mkdir", "sleep", "grep", "env",
];

/// The package of the suites.
const TESTS: &str = "rbpftool-tests";

/// Where the files of the checkout are in a guest.
const ROOT: &str = "rbpftool";

/// What all guests have in common.
#[derive(Debug)]
pub(super) struct Payload {
    archive: Vec<u8>,
    suites: Vec<String>,
}

/// What a guest is booted for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Job<'a> {
    /// Runs these suites, each with these arguments.
    Suites {
        names: &'a [&'a str],
        args: &'a [String],
    },
    /// A shell on the terminal.
    Shell,
    /// Runs a program with arguments that have no blanks.
    Command(&'a str),
    /// Runs a shell command line.
    Script(&'a str),
}

impl Payload {
    /// Builds everything, statically, and packs it.
    pub(super) fn build(ctx: &Ctx) -> Result<Self> {
        let tool = dist::build(ctx)?;
        let reference = oracle::build(ctx, false).context("the reference bpftool")?;
        let built = suites(ctx)?;
        let mut a = Archive::default();
        for directory in [
            "proc",
            "sys",
            "tmp",
            "run",
            "root",
            "lib/modules",
            "var/tmp",
        ] {
            a.directory(directory)?;
        }
        // The first process starts with these open, or it cannot start at all.
        a.device("dev/console", (5, 1))?;
        a.device("dev/null", (1, 3))?;
        a.file(
            "etc/passwd",
            0o644,
            b"root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/:/bin/false\n",
        )?;
        a.file("etc/group", 0o644, b"root:x:0:\nnogroup:x:65534:\n")?;
        a.link("etc/mtab", "/proc/self/mounts")?;
        a.link("bin/sh", "bash")?;
        let mut packed = BTreeSet::new();
        for program in PROGRAMS {
            if let Some(path) = which(program) {
                with_libraries(&mut a, &format!("bin/{program}"), &path, &mut packed)?;
            }
        }
        with_libraries(&mut a, "bin/bpftool", &reference, &mut packed)?;
        a.copy("bin/rbpftool", &tool)?;
        let mut names = Vec::new();
        user_programs(&mut a, ctx, &built)?;
        for (name, path) in &built {
            match name.as_str() {
                "rbpf-init" => a.copy("init", path)?,
                "example-loader" => a.copy("bin/example-loader", path)?,
                _ => {
                    a.copy(&format!("suites/{name}"), path)?;
                    names.push(name.clone());
                }
            }
        }
        for (name, script) in [
            ("panic.sh", "#!/bin/bash\necho c > /proc/sysrq-trigger\n"),
            ("off.sh", "#!/bin/bash\necho b > /proc/sysrq-trigger\n"),
        ] {
            a.file(&format!("suites/{name}"), 0o755, script.as_bytes())?;
        }
        for file in ["README.md", "Cargo.toml"] {
            a.copy(&format!("{ROOT}/{file}"), &ctx.root.join(file))?;
        }
        for folder in [
            "tests/oracle",
            "tests/fixtures",
            "tests/golden/errors",
            "tests/suite",
        ] {
            tree(&mut a, &ctx.root, Path::new(folder))?;
        }
        Ok(Self {
            archive: a.finish()?,
            suites: names,
        })
    }

    /// Adds a file or a folder of this machine, as `/files/NAME`.
    pub(super) fn add(&mut self, path: &Path) -> Result<()> {
        let name = path
            .file_name()
            .with_context(|| format!("{} has no name", path.display()))?
            .to_string_lossy();
        let mut a = Archive::default();
        below(&mut a, &format!("files/{name}"), path)?;
        // The kernel unpacks one archive after the other.
        self.archive.extend(a.finish()?);
        Ok(())
    }

    /// The names of the suites that were built.
    pub(super) fn suites(&self) -> impl Iterator<Item = &str> {
        SUITES
            .iter()
            .copied()
            .filter(|s| self.suites.iter().any(|have| have == s))
    }

    /// The bytes of the first file system of a guest.
    pub(super) fn initramfs(&self, kernel: &Kernel, job: Job<'_>) -> Result<Vec<u8>> {
        let mut a = Archive::default();
        let mut lines = String::new();
        if let Some(dir) = &kernel.modules {
            for (name, bytes) in Modules::find(dir)?.closure(WANTED)? {
                let path = format!("lib/modules/{name}.ko");
                a.file(&path, 0o644, &bytes)?;
                lines.push_str(&format!("module /{path}\n"));
            }
        }
        if let (Some(config), Some(dir)) = (&kernel.config, &kernel.modules) {
            let release = dir.file_name().unwrap_or_default().to_string_lossy();
            a.copy(&format!("boot/config-{release}"), config)?;
        }
        for (name, value) in [
            ("PATH", "/bin"),
            ("HOME", "/root"),
            ("TERM", "linux"),
            ("CARGO_MANIFEST_DIR", "/rbpftool/tests"),
            ("RBPFTOOL", "/bin/rbpftool"),
            ("RBPF_ORACLE", "/bin/bpftool"),
            ("RBPF_EXAMPLE", "/bin/example-loader"),
            ("RBPF_USER_PROGRAMS", "/user"),
            ("RBPF_GUEST", kernel.label.as_str()),
        ] {
            lines.push_str(&format!("env {name} {value}\n"));
        }
        if let Ok(strict) = std::env::var("RBPF_STRICT") {
            lines.push_str(&format!("env RBPF_STRICT {strict}\n"));
        }
        match job {
            Job::Suites { names, args } => {
                for name in names {
                    let part = kernel.parts.iter().find(|(suite, _)| suite == name);
                    let args = match part {
                        Some((_, part)) if args.is_empty() => (*part).to_owned(),
                        _ => args.join(" "),
                    };
                    lines.push_str(&format!("run {name} /suites/{name} --color never {args}\n"));
                }
            }
            Job::Shell => lines.push_str("shell /bin/setsid -c -w /bin/bash -i\n"),
            Job::Script(line) => {
                let script = format!("#!/bin/bash\n{line}\n");
                a.file("suites/command.sh", 0o755, script.as_bytes())?;
                lines.push_str("run command /suites/command.sh\n");
            }
            Job::Command(line) => lines.push_str(&format!("run command {line}\n")),
        }
        a.file("etc/job", 0o644, lines.as_bytes())?;
        let mut bytes = self.archive.clone();
        bytes.extend(a.finish()?);
        Ok(bytes)
    }
}

/// Adds programs that a suite probes, which it compiles here, because guests have no compiler.
fn user_programs(a: &mut Archive, ctx: &Ctx, built: &[(String, PathBuf)]) -> Result<()> {
    let suite = built.iter().find(|(name, _)| name == "kernel_uprobe");
    let (_, suite) = suite.context("the suite of user probes was not built")?;
    let dir = ctx.target.join("vm/user");
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("empty {}", dir.display()))?;
    }
    fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
    run::must(
        Command::new(suite)
            .arg("--compile")
            .arg(&dir)
            .env("CARGO_MANIFEST_DIR", ctx.root.join("tests")),
        &ctx.log("vm-user"),
    )?;
    below(a, "user", &dir)
}

/// The static suites, the first process and the example: (name, path).
fn suites(ctx: &Ctx) -> Result<Vec<(String, PathBuf)>> {
    let mut tests = vec!["test", "--no-run", "-p", TESTS];
    tests.extend(SUITES.iter().chain(BY_HAND).flat_map(|s| ["--test", s]));
    let mut built = executables(ctx, &tests)?;
    built.extend(executables(
        ctx,
        &["build", "-p", TESTS, "--bin", "rbpf-init"],
    )?);
    built.extend(executables(ctx, &["build", "-p", "example-loader"])?);
    Ok(built)
}

fn executables(ctx: &Ctx, args: &[&str]) -> Result<Vec<(String, PathBuf)>> {
    let triple = ctx.host_triple()?;
    let mut cmd = ctx.cargo(args);
    cmd.args(["--locked", "--profile", "suite"])
        .args(["--target", &triple])
        .args(["--message-format", "json-render-diagnostics"])
        .env("RUSTFLAGS", dist::FLAGS);
    let mut built = Vec::new();
    let mut said = Vec::new();
    let status = run::logged(
        &mut cmd,
        &ctx.log("vm-build"),
        |line| match serde_json::from_str::<serde_json::Value>(line) {
            Ok(message) => built.extend(executable(&message)),
            Err(_) => said.push(line.to_owned()),
        },
    )?;
    if !status.success() {
        anyhow::bail!("the suites cannot be built:\n{}", said.join("\n"));
    }
    Ok(built)
}

/// What cargo says of a program it has built.
fn executable(message: &serde_json::Value) -> Option<(String, PathBuf)> {
    let path = message.get("executable")?.as_str()?;
    let name = message.get("target")?.get("name")?.as_str()?;
    Some((name.to_owned(), PathBuf::from(path)))
}

fn which(program: &str) -> Option<PathBuf> {
    ["/usr/bin", "/bin", "/usr/sbin", "/sbin"]
        .iter()
        .map(|dir| Path::new(dir).join(program))
        .find(|path| path.is_file())
}

/// Adds a program of this machine and the shared libraries it is linked with,
/// where it looks for them.
fn with_libraries(
    a: &mut Archive,
    at: &str,
    program: &Path,
    packed: &mut BTreeSet<String>,
) -> Result<()> {
    a.copy(at, program)?;
    let said = run::stdout_of(Command::new("ldd").arg(program)).unwrap_or_default();
    // `libz.so.1 => /lib/libz.so.1 (0x7f…)`, or `/lib64/ld-linux.so.2 (0x7f…)`.
    for path in said.split_whitespace().filter(|w| w.starts_with('/')) {
        if packed.insert(path.to_owned()) {
            a.copy(path.trim_start_matches('/'), Path::new(path))?;
        }
    }
    Ok(())
}

/// Adds every file below a folder of the checkout.
fn tree(a: &mut Archive, root: &Path, folder: &Path) -> Result<()> {
    let from = root.join(folder);
    if from.exists() {
        below(a, &format!("{ROOT}/{}", folder.display()), &from)?;
    }
    Ok(())
}

/// Adds a file, or all that is below a folder.
fn below(a: &mut Archive, at: &str, from: &Path) -> Result<()> {
    if !from.is_dir() {
        return a.copy(at, from);
    }
    let mut entries: Vec<_> = fs::read_dir(from)
        .with_context(|| format!("read {}", from.display()))?
        .flatten()
        .collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        below(
            a,
            &format!("{at}/{}", name.to_string_lossy()),
            &entry.path(),
        )?;
    }
    Ok(())
}
