//! The example loader with objects that nobody here wrote: those of bcc's libbpf-tools, which the
//! directory `RBPF_CORPUS` has. Each is loaded and attached as it is, something happens that it
//! watches, and the example must print that.

#[path = "kernel_example/acts.rs"]
mod acts;
#[path = "kernel_example/rows.rs"]
mod rows;
#[path = "kernel_example/session.rs"]
mod session;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use rbpftool_tests::{Place, Private, Suite, requires, skip};

use rows::{ROWS, Row};
use session::{Ended, Session};

fn main() -> ExitCode {
    let place = Place::enter();
    let mut suite = Suite::new("kernel_example").serial();
    match corpus() {
        Ok(dir) => {
            for row in ROWS {
                let dir = dir.clone();
                suite.add(
                    row.name(),
                    place.test(move |private| check(row, &dir, private)),
                );
            }
        }
        Err(e) => suite.add("objects", move || Err(e)),
    }
    suite.run()
}

/// Where the objects are.
fn corpus() -> Result<PathBuf> {
    let dir = std::env::var_os("RBPF_CORPUS").map(PathBuf::from);
    let dir = dir.ok_or_else(|| skip("RBPF_CORPUS names no directory of objects"))?;
    requires!(
        std::env::var_os("RBPF_GUEST").is_some(),
        "is attached to the kernel itself: guests only"
    );
    Ok(dir)
}

fn check(row: &Row, corpus: &Path, private: &Private) -> Result<()> {
    let object = find(corpus, row.object)?;
    if let Some(why) = (row.unfit)()? {
        return Err(skip(format!("the object {why}")));
    }
    let mut words: Vec<String> = row.words.split_whitespace().map(str::to_owned).collect();
    if let Some(record) = &row.record {
        let file = private.dir().join("types");
        std::fs::write(&file, record.btf()?).context("write the types")?;
        words.extend(["types".to_owned(), file.display().to_string()]);
    }
    let mut session = Session::start(&object, &words)?;
    session.wait_for(&["attached ".to_owned()])?;
    let expect = (row.act)(private)?;
    session.wait_for(&expect)?;
    session.end(match words.iter().any(|word| word == "seconds") {
        true => Ended::Itself,
        false => Ended::Killed,
    })
}

/// The object of a tool: by its name, or with `bcc-` in front of it.
fn find(corpus: &Path, tool: &str) -> Result<PathBuf> {
    let names = [format!("{tool}.bpf.o"), format!("bcc-{tool}.bpf.o")];
    let mut paths = names.iter().map(|name| corpus.join(name));
    paths
        .find(|path| path.is_file())
        .ok_or_else(|| skip(format!("RBPF_CORPUS has no {tool}.bpf.o")))
}
