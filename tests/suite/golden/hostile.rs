//! Whatever is typed or read, the answer is one document and a status.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use rbpftool_tests::ensure_eq;
use serde_json::Value;

use crate::blobs;

/// Words that break what pastes them into JSON or onto a terminal.
const NASTY: &[&[u8]] = &[
    b"a\"b",
    b"a\\b",
    b"\x1b[31m",
    b"\n\t",
    b"\xff",
    b"\\\xff\"",
    "\u{202e}\u{9b}".as_bytes(),
    b"{",
    b"%s%n",
    b"'",
];

/// What may stand before such a word. None of these asks the kernel for anything before the
/// word is looked at.
const BEFORE: &[&str] = &[
    "",
    "prog",
    "prog show",
    "prog show id",
    "prog show tag",
    "prog show tag 1 2",
    "prog dump",
    "prog dump xlated",
    "prog dump xlated id",
    "prog dump xlated id 1",
    "prog dump jited",
    "prog pin",
    "prog pin id",
    "prog attach id 1",
    "prog run id 1 data_in",
    "prog run id 1 data_in x",
    "prog load",
    "map",
    "map show",
    "map show id",
    "map dump",
    "map dump id",
    "map create x type",
    "map create x type hash key 4 value 4 entries 1 name n",
    "map create x type hash key",
    "map update id",
    "map lookup id",
    "map pin id",
    "link",
    "link show",
    "link show id",
    "link detach id",
    "btf",
    "btf show",
    "btf show id",
    "btf dump",
    "btf dump id",
    "btf dump file",
    "btf dump file x format",
    "btf dump file x root_id",
    "btf dump file x",
    "btf dump map id",
    "btf dump prog",
    "batch",
    "batch file",
    "batch file x",
    "cgroup",
    "net",
    "gen",
    "btf dump file x -B",
    "-k",
    "--no-such-option=",
];

/// What the tool did, in this process.
struct Answer {
    status: u8,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

fn run<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> Answer {
    let mut args = vec![OsString::from("rbpftool")];
    args.extend(words.into_iter().map(|word| word.as_ref().to_owned()));
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let status = rbpftool::run(
        &args,
        &mut stdout,
        &mut stderr,
        rbpftool::Terminals::default(),
    );
    Answer {
        status,
        stdout,
        stderr,
    }
}

impl Answer {
    /// The document on stdout, which must be there and alone.
    fn document(&self) -> Result<Value> {
        let text = std::str::from_utf8(&self.stdout).context("stdout is not UTF-8")?;
        ensure!(text.ends_with('\n'), "no line end: {text:?}");
        ensure!(
            !text.chars().any(|c| c.is_control() && c != '\n'),
            "control codes: {text:?}"
        );
        serde_json::from_str(text).with_context(|| format!("not JSON: {text:?}"))
    }

    fn fit_for_terminals(&self) -> Result<()> {
        for stream in [&self.stdout, &self.stderr] {
            let text = std::str::from_utf8(stream).context("not UTF-8")?;
            ensure!(
                !text
                    .chars()
                    .any(|c| (c.is_control() && c != '\n' && c != '\t') || c == '\u{202e}'),
                "codes for the terminal: {text:?}"
            );
        }
        Ok(())
    }
}

/// Every wrong word in every place: JSON says so in a document, text without its codes.
pub(crate) fn errors_are_documents() -> Result<()> {
    for before in BEFORE {
        for nasty in NASTY {
            let words: Vec<_> = before
                .split_whitespace()
                .map(OsStr::new)
                .chain([OsStr::from_bytes(nasty)])
                .collect();
            let at = || format!("{words:?}");
            for format in ["-j", "-p", "-jp"] {
                let answer = run([OsStr::new(format)]
                    .into_iter()
                    .chain(words.iter().copied()));
                let document = answer.document().with_context(at)?;
                ensure!(answer.status != 0, "{words:?} is taken: {document}");
                ensure!(
                    document["error"].as_str().is_some_and(|e| !e.is_empty()),
                    "{words:?}: {document}"
                );
                ensure_eq!(
                    answer.stderr,
                    b"",
                    "{words:?} also says something on stderr"
                );
            }
            let answer = run(&words);
            ensure!(answer.status != 0, "{words:?} is taken");
            ensure_eq!(answer.stdout, b"", "{words:?} is an error, not an answer");
            ensure!(
                answer.stderr.starts_with(b"Error: "),
                "{words:?}: {:?}",
                String::from_utf8_lossy(&answer.stderr)
            );
            answer.fit_for_terminals().with_context(at)?;
        }
    }
    Ok(())
}

/// The same in batch files, where the words are part of the answer too.
pub(crate) fn batches_are_documents() -> Result<()> {
    let dir = tempfile::tempdir().context("make a directory")?;
    let file = dir.path().join("batch");
    let mut lines: Vec<Vec<u8>> = vec![
        b"\"".to_vec(),
        b"'open".to_vec(),
        b"version \\".to_vec(),
        b"version\nbatch file -".to_vec(),
        b"\"\"\"\"''".to_vec(),
        b"\0".to_vec(),
        vec![b'a'; 70_000],
        b"a ".repeat(5_000),
    ];
    for nasty in NASTY {
        for before in ["", "prog show ", "btf dump file "] {
            lines.push([b"version\n", before.as_bytes(), nasty].concat());
        }
    }
    for line in lines {
        std::fs::write(&file, &line).context("write a batch file")?;
        let shown = || String::from_utf8_lossy(line.get(..40).unwrap_or(&line)).into_owned();
        for format in ["-j", "-p"] {
            let answer = run([format, "batch", "file"]
                .map(OsStr::new)
                .into_iter()
                .chain([file.as_os_str()]));
            let document = answer.document().with_context(shown)?;
            ensure!(document.is_array(), "{:?}: {document}", shown());
            let all: Vec<_> = document.as_array().into_iter().flatten().collect();
            // The last element holds the failure, or there is none.
            let failed = all.last().is_some_and(|last| {
                last.get("error").is_some() || last["output"].get("error").is_some()
            });
            ensure_eq!(failed, answer.status != 0, "{:?}: {document}", shown());
        }
        let answer = run([OsStr::new("batch"), OsStr::new("file"), file.as_os_str()]);
        answer.fit_for_terminals().with_context(shown)?;
    }
    Ok(())
}

fn dump(file: &Path, format: &str) -> Answer {
    run([format, "btf", "dump", "file"]
        .map(OsStr::new)
        .into_iter()
        .chain([file.as_os_str()]))
}

/// A part of a blob from its start is no blob.
pub(crate) fn cut_blobs_are_refused() -> Result<()> {
    let dir = tempfile::tempdir().context("make a directory")?;
    let file = dir.path().join("cut");
    for (name, bytes) in blobs::all() {
        if !matches!(name, "kinds.btf" | "kinds-be.btf" | "layout.btf") {
            continue;
        }
        for len in 0..bytes.len() {
            std::fs::write(&file, bytes.get(..len).unwrap_or_default()).context("write")?;
            let answer = dump(&file, "-j");
            let document = answer
                .document()
                .with_context(|| format!("{name}, {len}"))?;
            ensure_eq!(answer.status, 234, "{name}, {len} bytes: {document}");
            ensure!(document["error"].is_string(), "{name}, {len}: {document}");
        }
    }
    Ok(())
}

/// A blob with one byte changed is shown or refused, in whole documents.
pub(crate) fn flipped_blobs_are_answered() -> Result<()> {
    let dir = tempfile::tempdir().context("make a directory")?;
    let file = dir.path().join("flipped");
    let mut taken = 0;
    for (name, bytes) in blobs::all() {
        if !matches!(name, "kinds.btf" | "layout.btf" | "based.o") {
            continue;
        }
        for at in 0..bytes.len() {
            let old = bytes.get(at).copied().unwrap_or_default();
            for new in [old ^ 1, old ^ 0x80, !old] {
                let flipped = crate::forge::patched(bytes.clone(), at, &[new]);
                std::fs::write(&file, flipped).context("write")?;
                let answer = dump(&file, "-j");
                let place = || format!("{name}, byte {at} is {new:#x}");
                let document = answer.document().with_context(place)?;
                let refused = document.get("error").is_some();
                ensure_eq!(refused, answer.status != 0, "{}: {document}", place());
                ensure!(refused || document["types"].is_array(), "{document}");
                taken += u32::from(!refused);
                let answer = dump(&file, "-d");
                answer.fit_for_terminals().with_context(place)?;
            }
        }
    }
    ensure!(taken > 0, "no change was harmless");
    Ok(())
}
