//! Skeletons: the text, that compilers take it, and that the programs they make of it work.

#[path = "skeleton/c.rs"]
mod c;
#[path = "skeleton/golden.rs"]
mod golden;
#[path = "skeleton/members.rs"]
mod members;
#[path = "skeleton/rust.rs"]
mod rust;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use loader::model::{Object, ParseOptions};
use rbpftool_tests::{Place, Suite, fixture, run_tool};

fn main() -> ExitCode {
    let place = Place::enter();
    let mut suite = Suite::new("skeleton").serial();
    golden::add(&mut suite);
    members::add(&mut suite);
    c::add(&mut suite, &place);
    rust::add(&mut suite, &place);
    suite.run()
}

/// An object of the fixtures.
fn object_path(name: &str) -> PathBuf {
    fixture(&format!("bpf/{name}.bpf.o"))
}

/// The object, under the name that its skeleton has.
fn object(name: &str) -> Result<Object> {
    let path = object_path(name);
    let bytes = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    let skeleton = loader::skeleton::name_of_file(&path.to_string_lossy());
    Ok(Object::parse(&bytes, &ParseOptions::named(skeleton))?)
}

/// What the tool writes.
fn written(args: &[&str], name: &str) -> Result<String> {
    let path = object_path(name);
    let path = path.to_str().context("a path that is no text")?;
    let (front, back) = args.split_at(args.iter().take_while(|arg| arg.starts_with('-')).count());
    let all = front.iter().copied().chain(["gen"]);
    let all = all.chain(back.iter().take(1).copied()).chain([path]);
    let output = run_tool(all.chain(back.iter().skip(1).copied()))?;
    ensure!(output.status == 0, "{name}: {}", output.err());
    Ok(output.out())
}

/// Names of the objects that have a skeleton, without `.bpf.o`.
fn names() -> Result<Vec<String>> {
    let dir = fixture("bpf");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&dir).with_context(|| format!("read {}", dir.display()))? {
        let file = entry?.file_name().to_string_lossy().into_owned();
        if let Some(name) = file.strip_suffix(".bpf.o")
            && object(name).is_ok()
        {
            names.push(name.to_owned());
        }
    }
    names.sort();
    ensure!(names.len() > 80, "there are {} objects", names.len());
    Ok(names)
}
