//! The objects of `tests/fixtures/bpf` are what their sources make.
//!
//! The first lines of a source that begin with `//` say how it is compiled:
//!
//! ```text
//! // flags: -mcpu=v4         instead of -mcpu=v3
//! // targets: bpfel bpfeb    NAME.bpf.o and NAME.eb.bpf.o, instead of the first alone
//! // needs: REASON           what a kernel must have to load it
//! // libbpf: REASON          why libbpf refuses it
//! ```
//!
//! `LOCK` has the hashes of the sources and of the objects, for machines without the compiler.
//! `RBPF_BLESS=1` compiles everything anew and writes it.

#[path = "fixtures/compile.rs"]
mod compile;
#[path = "fixtures/lock.rs"]
mod lock;
#[path = "fixtures/source.rs"]
mod source;

use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use rbpftool_tests::{Suite, ensure_eq, fixture, requires};
use source::Source;

/// The largest object, and all of them together.
const LARGEST: u64 = 64 << 10;
const WHOLE: u64 = 2 << 20;

fn main() -> ExitCode {
    let suite = Suite::new("fixtures");
    if rbpftool_tests::blessing()
        && let Err(e) = bless()
    {
        return suite.test("compile", move || Err(e)).run();
    }
    suite
        .test("objects_are_what_the_compiler_makes", compiled)
        .test("sources_and_objects_are_those_of_the_lock", locked)
        .test("every_file_belongs_to_a_source", no_orphans)
        .test("the_table_has_every_source", described)
        .test("nothing_is_large", small)
        .run()
}

fn bless() -> Result<()> {
    let sources = Source::all()?;
    for source in &sources {
        compile::source(source, &fixture("bpf"))?;
    }
    std::fs::write(fixture("bpf/LOCK"), lock::text(&sources)?).context("write LOCK")
}

/// Byte by byte, where the compiler is.
fn compiled() -> Result<()> {
    for tool in [compile::CLANG, compile::STRIP] {
        requires!(compile::is_there(tool), "{tool} is not there");
    }
    let dir = tempfile::tempdir().context("make a directory")?;
    for source in Source::all()? {
        compile::source(&source, dir.path())?;
        for (_, object) in source.objects() {
            let made = std::fs::read(dir.path().join(&object))?;
            let kept = fixture("bpf").join(&object);
            let kept = std::fs::read(&kept).with_context(|| format!("read {}", kept.display()))?;
            ensure!(
                made == kept,
                "{object} is not what its source makes; RBPF_BLESS=1 compiles it anew"
            );
        }
    }
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
        known.extend(source.objects().map(|(_, object)| object));
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

fn small() -> Result<()> {
    let mut whole = 0;
    for source in Source::all()? {
        for (_, object) in source.objects() {
            let len = std::fs::metadata(fixture("bpf").join(&object))?.len();
            ensure!(len <= LARGEST, "{object} has {len} bytes");
            whole += len;
        }
    }
    ensure!(whole <= WHOLE, "the objects have {whole} bytes");
    ensure!(whole > 0, "there are objects");
    Ok(())
}
