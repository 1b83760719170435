//! What loading each object of `tests/fixtures/bpf` asks of a kernel that is described: the plan
//! as text, in `tests/golden/plan`. Nothing is loaded. Programs that cannot be planned are left out
//! one by one, and the errors come first.

#[path = "plan/kernel.rs"]
mod kernel;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail, ensure};
use loader::model::{Object, ParseOptions};
use loader::relocate::{LoadPlan, PlanError, PlanOptions};
use loader::target::{Described, Feature};
use rbpftool_tests::{Expected, Suite, ensure_eq, fixture, root};

fn main() -> ExitCode {
    let mut suite = Suite::new("plan");
    let names = match names() {
        Ok(names) => names,
        Err(e) => return suite.test("fixtures", move || Err(e)).run(),
    };
    for name in &names {
        let name = name.clone();
        suite.add(format!("object/{name}"), move || golden(&name));
    }
    suite
        .test("old_kernels_get_less", old_kernels)
        .test("plans_are_the_same_each_time", deterministic)
        .test("every_expected_file_has_an_object", move || {
            no_orphans(&names)
        })
        .run()
}

/// Names of the objects, without `.bpf.o`.
fn names() -> Result<BTreeSet<String>> {
    let dir = fixture("bpf");
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(&dir).with_context(|| format!("read {}", dir.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(name) = name.strip_suffix(".bpf.o") {
            names.insert(name.to_owned());
        }
    }
    ensure!(!names.is_empty(), "no objects in {}", dir.display());
    Ok(names)
}

fn parse(name: &str) -> Result<Result<Object, String>> {
    let path = fixture(&format!("bpf/{name}.bpf.o"));
    let bytes = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    let options = ParseOptions::for_file(&format!("{name}.bpf.o"));
    let object = Object::parse(&bytes, &options);
    Ok(object.map_err(|error| chain(&error)))
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text += &format!(": {cause}");
        next = cause.source();
    }
    text
}

/// The plan as text, after what is wrong with programs that are left out.
fn text(name: &str, target: &Described) -> Result<String> {
    let mut object = match parse(name)? {
        Ok(object) => object,
        Err(error) => return Ok(format!("cannot be read: {error}\n")),
    };
    let options = PlanOptions {
        explain: true,
        ..PlanOptions::default()
    };
    let mut text = String::new();
    loop {
        let error = match LoadPlan::new(&object, target, &options) {
            Ok(plan) => return Ok(text + &plan.to_string()),
            Err(error) => error,
        };
        text += &format!("{}\n", chain(&error));
        let program = match &error {
            PlanError::Insn { at, .. } => &at.program,
            PlanError::Program { program, .. } => program,
            _ => return Ok(text),
        };
        match object.program_mut(program) {
            Some(program) if program.autoload => program.autoload = false,
            _ => bail!("'{program}' cannot be left out:\n{text}"),
        }
    }
}

fn golden(name: &str) -> Result<()> {
    let text = text(name, &kernel::kernel()?)?;
    if let Some(odd) = text.chars().find(|c| c.is_control() && *c != '\n') {
        bail!("{name}: {odd:?} in the plan's text");
    }
    Expected::at(format!("tests/golden/plan/{name}.txt")).check(&text)
}

/// A kernel that lacks everything still gets a plan, and is told what it misses.
fn old_kernels() -> Result<()> {
    let mut target = kernel::kernel()?;
    target.missing.extend(Feature::ALL);
    for name in ["minimal", "data", "subprogs", "maps"] {
        let text = text(name, &target)?;
        Expected::at(format!("tests/golden/plan/old/{name}.txt")).check(&text)?;
    }
    Ok(())
}

fn deterministic() -> Result<()> {
    let target = kernel::kernel()?;
    for name in names()? {
        ensure_eq!(text(&name, &target)?, text(&name, &target)?, "{name}");
    }
    Ok(())
}

fn no_orphans(names: &BTreeSet<String>) -> Result<()> {
    let dir = root().join("tests/golden/plan");
    for entry in std::fs::read_dir(&dir).with_context(|| format!("read {}", dir.display()))? {
        let path: PathBuf = entry?.path();
        if path.is_dir() {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        ensure!(
            names.contains(name.as_ref()),
            "{} belongs to no object",
            path.display()
        );
    }
    Ok(())
}
