//! The objects of `tests/fixtures/bpf` are what their sources make.
//!
//! The first lines of a source that begin with `//` say how it is compiled:
//!
//! ```text
//! // clang: 22             instead of 19
//! // clang: 19 22          and NAME.clang22.bpf.o
//! // flags: -mcpu=v4         instead of -mcpu=v3
//! // targets: bpfel bpfeb    NAME.bpf.o and NAME.eb.bpf.o, instead of the first alone
//! // linked: OTHER           and NAME.linked.bpf.o, with OTHER.bpf.o
//! // needs: REASON           what a kernel must have to load it
//! // libbpf: REASON          why libbpf refuses it
//! ```
//!
//! The reference bpftool links, for there is nothing else to compare a linker with.
//!
//! `LOCK` has the hashes of the sources and of the objects, for machines without the compiler.
//! `RBPF_BLESS=1` compiles everything anew and writes it.

#[path = "fixtures/compile.rs"]
mod compile;
#[path = "fixtures/lock.rs"]
mod lock;
#[path = "fixtures/source.rs"]
mod source;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use rbpftool_tests::compile::{STRIP, is_there};
use rbpftool_tests::{Suite, ensure_eq, fixture, oracle, requires, root, skip};
use source::{CLANGS, Object, Source};

/// What `rbpftool demo` loads; a package has its own copy.
const DEMO: &str = "crates/tool/src/nouns/demo/demo.bpf.o";

/// The largest object, and all of them together.
const LARGEST: u64 = 64 << 10;
const WHOLE: u64 = 2 << 20;

fn main() -> ExitCode {
    let mut suite = Suite::new("fixtures");
    if rbpftool_tests::blessing() {
        match bless() {
            Ok(kept) => {
                for Object { clang, file, .. } in kept {
                    let why = format!("{clang} is not there, the object stays");
                    suite.add(format!("compile/{file}"), move || Err(skip(why)));
                }
            }
            Err(e) => return suite.test("compile", move || Err(e)).run(),
        }
    }
    for clang in CLANGS {
        suite.add(format!("objects_are_what_{clang}_makes"), move || {
            compiled(clang)
        });
    }
    suite
        .test("linked_objects_are_what_the_linker_makes", linked)
        .test("sources_and_objects_are_those_of_the_lock", locked)
        .test("every_file_belongs_to_a_source", no_orphans)
        .test("the_table_has_every_source", described)
        .test("nothing_is_large", small)
        .test("the_tool_has_the_demo", embedded)
        .run()
}

/// Makes everything anew, but for the objects whose compiler is not there: those.
fn bless() -> Result<Vec<Object>> {
    // blessing without it is a failure, not a skip
    let linker = oracle()
        .ok()
        .context("there is no bpftool: `cargo xtask oracle` builds it")?;
    let sources = Source::all()?;
    let mut kept = Vec::new();
    for source in &sources {
        for object in source.compiled() {
            if is_there(&object.clang) {
                compile::source(source, &object, &fixture("bpf"))?;
            } else {
                kept.push(object);
            }
        }
    }
    for source in &sources {
        compile::link(&linker, source, &fixture("bpf"))?;
    }
    std::fs::write(fixture("bpf/LOCK"), lock::text(&sources)?).context("write LOCK")?;
    let demo = std::fs::copy(fixture("bpf/demo.bpf.o"), root().join(DEMO));
    demo.with_context(|| format!("write {DEMO}"))?;
    Ok(kept)
}

/// Byte by byte, where the compiler is.
fn compiled(clang: &str) -> Result<()> {
    for tool in [clang, STRIP] {
        requires!(is_there(tool), "{tool} is not there");
    }
    let dir = tempfile::tempdir().context("make a directory")?;
    let mut seen = 0;
    for source in Source::all()? {
        for object in source.compiled().iter().filter(|o| o.clang == clang) {
            compile::source(&source, object, dir.path())?;
            same(dir.path(), object)?;
            seen += 1;
        }
    }
    ensure!(seen > 0, "something is compiled by {clang}");
    Ok(())
}

/// Of the objects as they are kept, where the linker is.
fn linked() -> Result<()> {
    let linker = oracle()?;
    let dir = tempfile::tempdir().context("make a directory")?;
    let mut seen = 0;
    for source in Source::all()? {
        for object in source.linked() {
            for part in source.parts(&object.target) {
                std::fs::copy(fixture("bpf").join(&part), dir.path().join(&part)).context(part)?;
            }
        }
        compile::link(&linker, &source, dir.path())?;
        for object in source.linked() {
            same(dir.path(), &object)?;
            seen += 1;
        }
    }
    ensure!(seen > 0, "something is linked");
    Ok(())
}

/// What was made in `dir` is what is kept.
fn same(dir: &Path, object: &Object) -> Result<()> {
    let Object { file, .. } = object;
    let made = std::fs::read(dir.join(file)).with_context(|| format!("read {file}"))?;
    let kept = fixture("bpf").join(file);
    let kept = std::fs::read(&kept).with_context(|| format!("read {}", kept.display()))?;
    ensure!(
        made == kept,
        "{file} is not what its source makes; RBPF_BLESS=1 makes it anew"
    );
    Ok(())
}

/// By their hashes, anywhere.
fn locked() -> Result<()> {
    let kept = std::fs::read_to_string(fixture("bpf/LOCK")).context("read LOCK")?;
    let found = lock::text(&Source::all()?)?;
    for (kept, found) in kept.lines().zip(found.lines()) {
        ensure_eq!(
            kept,
            found,
            "a source or an object changed; RBPF_BLESS=1 compiles it anew"
        );
    }
    ensure_eq!(kept.lines().count(), found.lines().count());
    Ok(())
}

/// What is in the folder is a source, an object of one, or known by name.
fn no_orphans() -> Result<()> {
    let mut known = vec![String::from("LOCK"), "README.md".into(), "include".into()];
    for source in Source::all()? {
        known.push(source.file());
        known.extend(source.objects().map(|object| object.file));
    }
    for entry in std::fs::read_dir(fixture("bpf")).context("read the folder")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        ensure!(known.contains(&name), "{name} has no source");
    }
    Ok(())
}

/// README.md has a row for each source, and none besides.
fn described() -> Result<()> {
    let text = std::fs::read_to_string(fixture("bpf/README.md")).context("read README.md")?;
    let rows: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    for source in Source::all()? {
        let found = rows.iter().filter(|row| **row == source.name).count();
        ensure_eq!(found, 1, "rows of {} in README.md", source.name);
    }
    ensure_eq!(rows.len(), Source::all()?.len(), "rows in README.md");
    Ok(())
}

fn embedded() -> Result<()> {
    let kept = std::fs::read(fixture("bpf/demo.bpf.o")).context("read demo.bpf.o")?;
    let own = std::fs::read(root().join(DEMO)).with_context(|| format!("read {DEMO}"))?;
    ensure!(kept == own, "{DEMO} is another; RBPF_BLESS=1 copies it");
    Ok(())
}

fn small() -> Result<()> {
    let mut whole = 0;
    for source in Source::all()? {
        for object in source.objects() {
            let len = std::fs::metadata(fixture("bpf").join(&object.file))?.len();
            ensure!(len <= LARGEST, "{} has {len} bytes", object.file);
            whole += len;
        }
    }
    ensure!(whole <= WHOLE, "the objects have {whole} bytes");
    ensure!(whole > 0, "there are objects");
    Ok(())
}
