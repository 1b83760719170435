//! Views both ways: `tests/golden/NOUN/CASE.json` is what `-j` printed, and the
//! text made from it must be `CASE.txt`.
//!
//! The JSON is read back into the view and written again: it must come out byte
//! for byte, so a key that is unknown, missing or in another place is seen. Where
//! there is a `CASE.pretty.json`, it must be the output of `-p`. `RBPF_BLESS=1`
//! rewrites the `.txt` and `.pretty.json` files, never the `.json`; `cargo xtask
//! golden NOUN …` records a new case from the running kernel.
//!
//! The small BTF files under `tests/fixtures/btf` are made here too.

#[path = "golden/blobs.rs"]
mod blobs;
#[path = "golden/case.rs"]
mod case;
#[path = "golden/coverage.rs"]
mod coverage;
#[path = "golden/forge.rs"]
mod forge;
#[path = "golden/hostile.rs"]
mod hostile;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};
use rbpftool_tests::{Suite, root};

fn main() -> ExitCode {
    // Times are shown in the local zone, which is read once.
    if std::env::var_os("TZ").is_none_or(|zone| zone != "UTC") {
        return in_utc().unwrap_or(ExitCode::FAILURE);
    }
    let mut suite = Suite::new("golden");
    match cases() {
        Ok(cases) => {
            for (name, json) in cases {
                let (noun, case) = (name.0.clone(), name.1.clone());
                suite.add(format!("{noun}/{case}"), move || {
                    case::check(&noun, &case, &json)
                });
            }
        }
        Err(e) => suite.add("cases", move || Err(e)),
    }
    suite
        .test("fixtures_are_what_the_forge_makes", blobs::check)
        .test("every_kind_of_link_has_a_case", coverage::links)
        .test("every_view_has_a_case", coverage::nouns)
        .test("optional_keys_are_there_and_absent", coverage::keys)
        .test("names_keep_their_bytes", case::names_keep_their_bytes)
        .test("errors_are_documents", hostile::errors_are_documents)
        .test("batches_are_documents", hostile::batches_are_documents)
        .test("cut_blobs_are_refused", hostile::cut_blobs_are_refused)
        .test(
            "flipped_blobs_are_answered",
            hostile::flipped_blobs_are_answered,
        )
        .run()
}

/// The same again, in another zone.
fn in_utc() -> Result<ExitCode> {
    let me = std::env::current_exe().context("find this executable")?;
    let status = Command::new(me)
        .args(std::env::args_os().skip(1))
        .env("TZ", "UTC")
        .status()
        .context("start this executable again")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Noun, case and file of every case.
fn cases() -> Result<Vec<((String, String), PathBuf)>> {
    let mut cases = Vec::new();
    for noun in list(&root().join("tests/golden"))? {
        for file in list(&noun)? {
            let name = file_name(&file);
            if let Some(case) = name.strip_suffix(".json")
                && !case.ends_with(".pretty")
            {
                cases.push(((file_name(&noun), case.to_owned()), file));
            }
        }
    }
    ensure!(!cases.is_empty(), "there is no case in tests/golden");
    Ok(cases)
}

fn list(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = std::fs::read_dir(dir)
        .with_context(|| format!("read {}", dir.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
