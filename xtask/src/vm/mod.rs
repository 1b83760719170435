//! `cargo xtask vm`: the kernel suites on other kernels, under emulation.

mod cpio;
mod guest;
mod kernels;
mod modules;
mod payload;

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use guest::{Files, Limits, Story};
use kernels::{Kernel, MATRIX};
use payload::{Job, Payload};

use crate::apt::{self, Need};
use crate::ctx::Ctx;
use crate::run;
use crate::totals::Outcome;

const NEEDS: &[Need] = &[
    Need {
        what: "qemu-system-x86_64",
        found: || run::on_path(guest::QEMU),
        packages: &["qemu-system-x86"],
    },
    Need {
        what: "xz",
        found: || run::on_path("xz"),
        packages: &["xz-utils"],
    },
    Need {
        what: "dpkg-deb and apt-get",
        found: || run::on_path("dpkg-deb") && run::on_path("apt-get"),
        packages: &["dpkg", "apt"],
    },
    Need {
        what: "jq",
        found: || run::on_path("jq"),
        packages: &["jq"],
    },
    Need {
        what: "ip",
        found: || run::on_path("ip"),
        packages: &["iproute2"],
    },
];

/// Emulation is some twenty times slower than the machine, and the machine
/// may have other work.
const LIMITS: Limits = Limits {
    whole: Duration::from_secs(1500),
    silence: Duration::from_secs(240),
};

/// What a command line asks for.
#[derive(Debug, Default)]
struct Asked {
    labels: Vec<String>,
    image: Option<PathBuf>,
    suites: Vec<String>,
    command: Option<String>,
    shell: bool,
    self_test: bool,
    args: Vec<String>,
}

impl Asked {
    fn parse(args: &[String]) -> Result<Self> {
        let mut asked = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--" => {
                    asked.args = args.cloned().collect();
                    break;
                }
                "--kernel" => asked.image = Some(PathBuf::from(value()?)),
                "--suite" => asked.suites.push(value()?.clone()),
                "--run" => asked.command = Some(value()?.clone()),
                "--shell" => asked.shell = true,
                "--self-test" => asked.self_test = true,
                label if MATRIX.iter().any(|k| k.label == label) => {
                    asked.labels.push(label.to_owned());
                }
                other => bail!(
                    "'{other}' is neither an option of this task nor one of the kernels {}",
                    MATRIX
                        .iter()
                        .map(|k| k.label)
                        .collect::<Vec<_>>()
                        .join(", ")
                ),
            }
        }
        Ok(asked)
    }

    fn kernels(&self, ctx: &Ctx) -> Result<Vec<Kernel>> {
        if let Some(image) = &self.image {
            return Ok(vec![Kernel::from_image(image)?]);
        }
        MATRIX
            .iter()
            .filter(|k| self.labels.is_empty() || self.labels.iter().any(|l| l == k.label))
            .map(|k| kernels::obtain(ctx, k).with_context(|| format!("Linux {}", k.label)))
            .collect()
    }
}

/// `cargo xtask vm`
pub(crate) fn task(ctx: &Ctx, args: &[String]) -> Result<()> {
    let asked = Asked::parse(args)?;
    apt::ensure(ctx, NEEDS).map_err(anyhow::Error::msg)?;
    let payload = Payload::build(ctx)?;
    let kernels = asked.kernels(ctx)?;
    if asked.shell {
        let kernel = kernels.last().context("no kernel")?;
        return shell(ctx, &payload, kernel);
    }
    if asked.self_test {
        let kernel = kernels.first().context("no kernel")?;
        return self_test(ctx, &payload, kernel);
    }
    if let Some(line) = &asked.command {
        for kernel in &kernels {
            command(ctx, &payload, kernel, line)?;
        }
        return Ok(());
    }
    let names: Vec<&str> = payload
        .suites()
        .filter(|s| asked.suites.is_empty() || asked.suites.iter().any(|a| a == s))
        .collect();
    if names.is_empty() {
        bail!("there is no suite of that name");
    }
    let mut all = Vec::new();
    for kernel in &kernels {
        let story = suites(ctx, &payload, kernel, &names, &asked.args)?;
        all.extend(told(kernel, story, &names));
    }
    if crate::totals::report(&all, ctx.strict) {
        Ok(())
    } else {
        bail!("there are failures; the logs are in target/vm/run/KERNEL");
    }
}

/// Runs suites in one guest, telling each line.
fn suites(
    ctx: &Ctx,
    payload: &Payload,
    kernel: &Kernel,
    names: &[&str],
    args: &[String],
) -> Result<Story> {
    let job = Job::Suites { names, args };
    let files = prepare(ctx, payload, kernel, job)?;
    println!("== Linux {}", kernel.label);
    let label = &kernel.label;
    let story = guest::run(&kernel.image, &files, LIMITS, |line| {
        if !line.starts_with("FEATURE ") {
            println!("{label:>9} | {line}");
        }
    })?;
    fs::remove_file(&files.initramfs).context("remove what was packed")?;
    Ok(story)
}

/// Packs a guest's file system.
fn prepare(ctx: &Ctx, payload: &Payload, kernel: &Kernel, job: Job<'_>) -> Result<Files> {
    let files = Files::in_dir(&ctx.target.join("vm").join("run").join(&kernel.label))?;
    for old in [&files.console, &files.log] {
        if old.exists() {
            fs::remove_file(old).with_context(|| format!("remove {}", old.display()))?;
        }
    }
    let bytes = payload.initramfs(kernel, job)?;
    fs::write(&files.initramfs, bytes)
        .with_context(|| format!("write {}", files.initramfs.display()))?;
    Ok(files)
}

/// What a guest did as outcomes; whatever did not happen is a failure.
fn told(kernel: &Kernel, story: Story, names: &[&str]) -> Vec<Outcome> {
    let mut all: Vec<Outcome> = Vec::new();
    let begun: Vec<String> = story.outcomes.iter().map(|o| o.step.clone()).collect();
    for mut outcome in story.outcomes {
        outcome.step = format!("{} {}", kernel.label, outcome.step);
        all.push(outcome);
    }
    for name in names.iter().filter(|n| !begun.iter().any(|b| b == *n)) {
        let mut missing = Outcome::new(&format!("{} {name}", kernel.label));
        missing.failed = 1;
        println!("{}: {name} did not run", kernel.label);
        all.push(missing);
    }
    if let Some(why) = story.died {
        println!("{}: {why}", kernel.label);
        let mut died = Outcome::new(&format!("{} guest", kernel.label));
        died.failed = 1;
        all.push(died);
    }
    all
}

/// Becomes the emulator, with the guest's shell on this terminal.
fn shell(ctx: &Ctx, payload: &Payload, kernel: &Kernel) -> Result<()> {
    let files = prepare(ctx, payload, kernel, Job::Shell)?;
    println!("Linux {}; `exit` switches it off", kernel.label);
    let mut cmd = guest::emulator(&kernel.image, &files.initramfs, true);
    cmd.args(["-serial", "mon:stdio", "-serial", "null"]);
    Err(cmd.exec()).context("start the emulator")
}

/// Runs one shell command line in a guest; its output is told, and its status
/// is this task's.
fn command(ctx: &Ctx, payload: &Payload, kernel: &Kernel, line: &str) -> Result<()> {
    let files = prepare(ctx, payload, kernel, Job::Script(line))?;
    let mut status = None;
    let story = guest::run(&kernel.image, &files, LIMITS, |said| {
        match said.strip_prefix("@guest end command ") {
            Some(number) => status = Some(number.to_owned()),
            None if said.starts_with("@guest ") => {}
            None => println!("{said}"),
        }
    })?;
    match (story.died, status.as_deref()) {
        (None, Some("0")) => Ok(()),
        (None, Some(number)) => bail!("the command's exit status was {number}"),
        (died, _) => bail!("the guest died: {}", died.unwrap_or_default()),
    }
}

/// Proves that a guest that fails, hangs, panics or says nothing is reported.
fn self_test(ctx: &Ctx, payload: &Payload, kernel: &Kernel) -> Result<()> {
    let limits = Limits {
        whole: Duration::from_secs(120),
        silence: Duration::from_secs(20),
    };
    for (what, line, wanted) in TRIALS {
        let files = prepare(ctx, payload, kernel, Job::Command(line))?;
        let story = guest::run(&kernel.image, &files, limits, |_| {})?;
        let died = story.died.clone().unwrap_or_default();
        let failed: usize = story.outcomes.iter().map(|o| o.failed).sum();
        if failed == 0 && died.is_empty() {
            bail!("a guest whose command {what} was reported as a success");
        }
        if !died.contains(wanted) {
            bail!("a guest whose command {what} was reported as '{died}', not '{wanted}'");
        }
        println!("   a command that {what}: {failed} failed, '{died}'");
    }
    Ok(())
}

/// (what the command does, the command, what is said of the guest's death)
const TRIALS: &[(&str, &str, &str)] = &[
    ("fails", "/bin/ls /nowhere", ""),
    ("says nothing of tests", "/bin/true", ""),
    ("hangs", "/bin/sleep 1000", "silent for"),
    (
        "makes the kernel panic",
        "/suites/panic.sh",
        "its kernel died",
    ),
    ("kills the machine", "/suites/off.sh", "went away"),
];
