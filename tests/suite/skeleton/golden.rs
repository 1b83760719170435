//! Whole skeletons, without the bytes of the object: `tests/golden/skeleton`.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use rbpftool_tests::{Expected, Suite, ensure_eq, root};

use crate::written;

/// Where the texts are.
const TEXTS: &str = "tests/golden/skeleton";

/// Files, and what makes them.
const CASES: &[(&str, &[&str], &str)] = &[
    ("arena.rs", &["--lang=rust", "skeleton"], "arena"),
    ("arena.skel.h", &["skeleton"], "arena"),
    ("kconfig.rs", &["--lang=rust", "skeleton"], "kconfig"),
    ("kconfig.subskel.h", &["subskeleton"], "kconfig"),
    ("minimal.lskel.h", &["-L", "skeleton"], "minimal"),
    ("minimal.rs", &["--lang=rust", "skeleton"], "minimal"),
    ("skeleton.lskel.h", &["-L", "skeleton"], "skeleton"),
    ("skeleton.rs", &["--lang=rust", "skeleton"], "skeleton"),
    ("skeleton.skel.h", &["skeleton"], "skeleton"),
    ("skeleton.subskel.h", &["subskeleton"], "skeleton"),
    ("struct_ops.rs", &["--lang=rust", "skeleton"], "struct_ops"),
    ("struct_ops.skel.h", &["skeleton"], "struct_ops"),
    ("struct_ops.subskel.h", &["subskeleton"], "struct_ops"),
];

pub(crate) fn add(suite: &mut Suite) {
    for (file, args, name) in CASES {
        suite.add(format!("golden/{file}"), move || {
            let text = without_bytes(&written(args, name)?);
            Expected::at(format!("{TEXTS}/{file}")).check(&text)
        });
    }
    suite.add("golden/no_more_texts", no_more_texts);
    suite.add("golden/words", words);
}

/// The text with the lines of long literals left out.
fn without_bytes(text: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for line in text.lines() {
        let opens = line.ends_with("\"\\");
        let closes = line.starts_with('"');
        if inside && !closes {
            continue;
        }
        out.push_str(line);
        out.push('\n');
        inside = opens;
        if opens {
            out.push_str("(bytes)\\\n");
        }
    }
    out
}

fn no_more_texts() -> Result<()> {
    let dir = root().join(TEXTS);
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(&dir).with_context(|| format!("read {}", dir.display()))? {
        found.insert(entry?.file_name().to_string_lossy().into_owned());
    }
    let known = CASES.iter().map(|(file, ..)| (*file).to_owned()).collect();
    ensure_eq!(found, known);
    Ok(())
}

/// All spellings of one skeleton, and words that make none.
fn words() -> Result<()> {
    let rust = written(&["--lang=rust", "skeleton"], "minimal")?;
    ensure_eq!(written(&["skeleton", "lang", "rust"], "minimal")?, rust);
    let named = written(
        &["skeleton", "name", "else-where", "lang", "rust"],
        "minimal",
    )?;
    ensure!(named.contains("pub struct ElseWhereSkel {"), "{named}");
    let included = written(&["--lang=rust", "skeleton", "include", "a b.o"], "minimal")?;
    ensure!(
        included.contains("pub const OBJECT: &[u8] = include_bytes!(\"a b.o\");"),
        "{included}"
    );
    ensure!(included.len() < rust.len(), "the object is still in it");
    let json = written(&["-j", "--lang=rust", "skeleton"], "minimal")?;
    ensure_eq!(serde_json::from_str::<String>(&json)?, rust);
    Ok(())
}
