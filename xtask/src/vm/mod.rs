//! `cargo xtask vm`: the kernel suites on other kernels, under emulation.

pub(crate) mod btf;
mod cpio;
mod emulator;
mod guest;
mod kernels;
mod modules;
mod payload;

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use emulator::Emulator;
use guest::{Files, Limits, Story};
use kernels::{Kernel, MATRIX};
pub(crate) use payload::SUITES;
use payload::{Job, Payload};

use crate::apt::{self, Need};
use crate::ctx::Ctx;
use crate::kernel_support;
use crate::run;
use crate::totals::Outcome;

const NEEDS: &[Need] = &[
    Need {
        what: "qemu-system-x86_64",
        found: || run::on_path(emulator::QEMU),
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
    files: Vec<PathBuf>,
    shell: bool,
    self_test: bool,
    btf: bool,
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
                "--file" => asked.files.push(PathBuf::from(value()?)),
                "--shell" => asked.shell = true,
                "--self-test" => asked.self_test = true,
                "--btf" => asked.btf = true,
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
            .map(|k| {
                let kernel =
                    kernels::obtain(ctx, k).with_context(|| format!("Linux {}", k.label))?;
                // Who names suites means the whole of them.
                let parts = if self.suites.is_empty() {
                    kernel.parts
                } else {
                    &[]
                };
                Ok(Kernel { parts, ..kernel })
            })
            .collect()
    }
}

/// What every guest needs, made once.
struct Bench<'a> {
    ctx: &'a Ctx,
    emulator: Emulator,
    payload: Payload,
}

impl<'a> Bench<'a> {
    fn new(ctx: &'a Ctx) -> Result<Self> {
        apt::ensure(ctx, NEEDS).map_err(anyhow::Error::msg)?;
        Ok(Self {
            ctx,
            emulator: Emulator::obtain(ctx)?,
            payload: Payload::build(ctx)?,
        })
    }
}

/// `cargo xtask vm`
pub(crate) fn task(ctx: &Ctx, args: &[String]) -> Result<()> {
    let asked = Asked::parse(args)?;
    if asked.btf {
        return btf::extract(ctx);
    }
    let mut bench = Bench::new(ctx)?;
    for path in &asked.files {
        bench.payload.add(path)?;
    }
    let kernels = asked.kernels(ctx)?;
    if asked.shell {
        let kernel = kernels.last().context("no kernel")?;
        return shell(&bench, kernel);
    }
    if asked.self_test {
        let kernel = kernels.first().context("no kernel")?;
        return self_test(&bench, kernel);
    }
    if let Some(line) = &asked.command {
        for kernel in &kernels {
            command(&bench, kernel, line)?;
        }
        return Ok(());
    }
    let names: Vec<&str> = bench
        .payload
        .suites()
        .filter(|s| asked.suites.is_empty() || asked.suites.iter().any(|a| a == s))
        .collect();
    if names.is_empty() {
        bail!("there is no suite of that name");
    }
    let rows = guests(&bench, &kernels, &names, &asked.args, &|| {});
    table(&rows);
    let all: Vec<Outcome> = rows.into_iter().flat_map(|r| r.outcomes).collect();
    if crate::totals::report(&all, ctx.strict) {
        Ok(())
    } else {
        bail!("there are failures; the logs are in target/vm/run/KERNEL");
    }
}

/// What one kernel of the matrix came to.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) label: String,
    /// `uname -r`, empty if it never got so far.
    pub(crate) release: String,
    pub(crate) outcomes: Vec<Outcome>,
    /// What the probes said, a line each.
    pub(crate) features: Vec<String>,
}

impl Row {
    /// The suites as they went on this machine's own kernel.
    pub(crate) fn of_this_machine(mut outcomes: Vec<Outcome>) -> Self {
        let features = outcomes.iter_mut().flat_map(|o| o.features.drain(..));
        let features = features.collect();
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let release = release.trim();
        let version: Vec<&str> = release.splitn(3, '.').take(2).collect();
        Self {
            label: version.join("."),
            release: release.to_owned(),
            outcomes,
            features,
        }
    }

    /// For the tables of what kernels can do.
    pub(crate) fn support(&self) -> kernel_support::Kernel {
        let sum = |of: fn(&Outcome) -> usize| self.outcomes.iter().map(of).sum();
        kernel_support::Kernel {
            label: self.label.clone(),
            release: self.release.clone(),
            answers: self
                .features
                .iter()
                .filter_map(|line| kernel_support::answer(line))
                .collect(),
            passed: sum(|o| o.passed),
            skipped: sum(|o| o.skips.len()),
            failed: sum(|o| o.failed),
        }
    }

    /// By version; labels that say no more than another come first.
    pub(crate) fn order(&self) -> (Vec<u32>, String) {
        let numbers = self.label.split(['.', '-']).map_while(|n| n.parse().ok());
        (numbers.collect(), self.label.clone())
    }

    /// A row that is one failure.
    fn failed(label: &str, why: &str) -> Self {
        println!("{label}: {why}");
        let outcome = Outcome::failed(&format!("{label} guest"), why);
        Self {
            label: label.to_owned(),
            release: String::new(),
            outcomes: vec![outcome],
            features: Vec::new(),
        }
    }
}

/// Builds what guests run, ahead of [`matrix`], which builds it if this has not.
pub(crate) fn build(ctx: &Ctx) -> Result<()> {
    Payload::build(ctx).map(drop)
}

/// All kernels of the matrix with all suites, after proof that failures are
/// noticed. `beside` is done by the first worker that finds no kernel left. The error says what
/// is missing here to run any of it.
pub(crate) fn matrix(ctx: &Ctx, beside: &(dyn Fn() + Sync)) -> Result<Vec<Row>> {
    let bench = Bench::new(ctx)?;
    let mut rows = Vec::new();
    let mut kernels = Vec::new();
    for wanted in MATRIX {
        match kernels::obtain(ctx, wanted) {
            Ok(kernel) => kernels.push(kernel),
            Err(e) => rows.push(Row::failed(wanted.label, &format!("{e:#}"))),
        }
    }
    if let Some(kernel) = kernels.first()
        && let Err(e) = self_test(&bench, kernel)
    {
        rows.push(Row::failed("self-test", &format!("{e:#}")));
    }
    let names: Vec<&str> = bench.payload.suites().collect();
    rows.extend(guests(&bench, &kernels, &names, &[], beside));
    Ok(rows)
}

/// Runs suites on every kernel, as many guests at a time as there are CPUs:
/// a guest has two, and mostly one of them has nothing to do.
fn guests(
    bench: &Bench<'_>,
    kernels: &[Kernel],
    names: &[&str],
    args: &[String],
    beside: &(dyn Fn() + Sync),
) -> Vec<Row> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut rows = Vec::new();
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            let Some(kernel) = kernels.get(n) else {
                if n == kernels.len() {
                    beside();
                }
                return rows;
            };
            let row = match suites(bench, kernel, names, args) {
                Ok(story) => told(kernel, story, names),
                Err(e) => Row::failed(&kernel.label, &format!("{e:#}")),
            };
            rows.push((n, row));
        }
    };
    let mut rows: Vec<(usize, Row)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers.min(kernels.len()))
            .map(|_| scope.spawn(work))
            .collect();
        let joined = threads.into_iter().map(|t| t.join().unwrap_or_default());
        joined.flatten().collect()
    });
    rows.sort_by_key(|(n, _)| *n);
    rows.into_iter().map(|(_, row)| row).collect()
}

/// Runs suites in one guest, telling each line.
fn suites(bench: &Bench<'_>, kernel: &Kernel, names: &[&str], args: &[String]) -> Result<Story> {
    let job = Job::Suites { names, args };
    let files = prepare(bench, kernel, job)?;
    let label = &kernel.label;
    let boot = || {
        guest::run(&bench.emulator, &kernel.image, &files, LIMITS, |line| {
            if !line.starts_with("FEATURE ") {
                println!("{label:>9} | {line}");
            }
        })
    };
    let mut story = boot()?;
    // A kernel that dies before it runs anything of ours says something of the
    // emulator. Twice is no accident.
    if let (None, Some(why)) = (&story.release, &story.died) {
        println!("{label}: {why}, before its first process; once more");
        story = boot()?;
    }
    fs::remove_file(&files.initramfs).context("remove what was packed")?;
    Ok(story)
}

/// Kernel by kernel: passed, skipped, failed.
pub(crate) fn table(rows: &[Row]) {
    println!(
        "\n{:<12} {:<28} {:>7} {:>8} {:>7} {:>8}",
        "kernel", "release", "passed", "skipped", "failed", "seconds"
    );
    for row in rows {
        let sum = |of: fn(&Outcome) -> usize| row.outcomes.iter().map(of).sum::<usize>();
        println!(
            "{:<12} {:<28} {:>7} {:>8} {:>7} {:>8.1}",
            row.label,
            row.release,
            sum(|o| o.passed),
            sum(|o| o.skips.len()),
            sum(|o| o.failed),
            row.outcomes
                .iter()
                .map(|o| o.took.as_secs_f64())
                .sum::<f64>(),
        );
    }
}

/// Packs a guest's file system.
fn prepare(bench: &Bench<'_>, kernel: &Kernel, job: Job<'_>) -> Result<Files> {
    let files = Files::in_dir(&bench.ctx.target.join("vm").join("run").join(&kernel.label))?;
    let bytes = bench.payload.initramfs(kernel, job)?;
    fs::write(&files.initramfs, bytes)
        .with_context(|| format!("write {}", files.initramfs.display()))?;
    Ok(files)
}

/// What a guest did as outcomes; whatever did not happen is a failure.
fn told(kernel: &Kernel, story: Story, names: &[&str]) -> Row {
    let mut outcomes: Vec<Outcome> = Vec::new();
    let failure = |step: &str, why: &str| {
        println!("{}: {step}: {why}", kernel.label);
        Outcome::failed(&format!("{} {step}", kernel.label), why)
    };
    let begun: Vec<String> = story.outcomes.iter().map(|o| o.step.clone()).collect();
    for mut outcome in story.outcomes {
        outcome.step = format!("{} {}", kernel.label, outcome.step);
        for (test, _) in &mut outcome.skips {
            *test = format!("{} {test}", kernel.label);
        }
        outcomes.push(outcome);
    }
    for name in names.iter().filter(|n| !begun.iter().any(|b| b == *n)) {
        outcomes.push(failure(name, "did not run"));
    }
    if let Some(why) = story.died {
        outcomes.push(failure("guest", &why));
    }
    for what in &story.lacks {
        println!("{}: lacks {what}", kernel.label);
    }
    Row {
        label: kernel.label.clone(),
        release: story.release.unwrap_or_default(),
        outcomes,
        features: story.features,
    }
}

/// Becomes the emulator, with the guest's shell on this terminal.
fn shell(bench: &Bench<'_>, kernel: &Kernel) -> Result<()> {
    let files = prepare(bench, kernel, Job::Shell)?;
    println!("Linux {}; `exit` switches it off", kernel.label);
    let mut cmd = bench.emulator.command(&kernel.image, &files.initramfs);
    cmd.args(["-serial", "mon:stdio", "-serial", "null"]);
    Err(cmd.exec()).context("start the emulator")
}

/// Runs one shell command line in a guest; its output is told, and its status
/// is this task's.
fn command(bench: &Bench<'_>, kernel: &Kernel, line: &str) -> Result<()> {
    let files = prepare(bench, kernel, Job::Script(line))?;
    let mut status = None;
    let story = guest::run(
        &bench.emulator,
        &kernel.image,
        &files,
        LIMITS,
        |said| match said.strip_prefix("@guest end command ") {
            Some(number) => status = Some(number.to_owned()),
            None if said.starts_with("@guest ") => {}
            None => println!("{said}"),
        },
    )?;
    match (story.died, status.as_deref()) {
        (None, Some("0")) => Ok(()),
        (None, Some(number)) => bail!("the command's exit status was {number}"),
        (died, _) => bail!("the guest died: {}", died.unwrap_or_default()),
    }
}

/// Proves that a guest that fails, hangs, panics or says nothing is reported.
fn self_test(bench: &Bench<'_>, kernel: &Kernel) -> Result<()> {
    let limits = Limits {
        whole: Duration::from_secs(120),
        silence: Duration::from_secs(10),
    };
    for (what, line, wanted) in TRIALS {
        let files = prepare(bench, kernel, Job::Command(line))?;
        let story = guest::run(&bench.emulator, &kernel.image, &files, limits, |_| {})?;
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
