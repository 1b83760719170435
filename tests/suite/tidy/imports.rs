//! Who may use what.

use anyhow::{Context as _, Result, ensure};
use rbpftool_tests::root;

use crate::tree::{files, has_word, none};

/// The only folders with unsafe code: the mechanism, and one call per command.
const ISLANDS: &[&str] = &["crates/bpfsys/src/sys/", "crates/bpfsys/src/cmd/"];

pub(crate) fn unsafe_stays_on_its_islands() -> Result<()> {
    let mut found = Vec::new();
    for under in ["crates", "tests", "xtask", "fuzz"] {
        for file in files(under, &["rs"])? {
            if ISLANDS.iter().any(|i| file.path.starts_with(i)) {
                continue;
            }
            for (number, line) in file.code() {
                if has_word(&line, "unsafe") {
                    found.push(format!("{}:{number}: {}", file.path, line.trim()));
                }
            }
        }
    }
    none(found, "unsafe outside its islands")
}

/// The dependencies named in a manifest's `[dependencies]`.
fn dependencies(krate: &str) -> Result<Vec<String>> {
    let path = root().join("crates").join(krate).join("Cargo.toml");
    let text =
        std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let mut inside = false;
    let mut names = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == "[dependencies]";
        } else if inside
            && let Some(name) = line.split(['.', ' ', '=']).next()
            && !name.is_empty()
            && !name.starts_with('#')
        {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

pub(crate) fn crates_depend_downwards_only() -> Result<()> {
    let ours = ["bpfsys", "btf", "loader", "rbpftool"];
    let tool_only = ["serde", "serde_json", "lexopt", "clap", "anyhow", "jiff"];
    let mut found = Vec::new();
    for (krate, may) in [
        ("bpfsys", &[][..]),
        ("btf", &[][..]),
        ("loader", &["bpfsys", "btf"][..]),
    ] {
        for name in dependencies(krate)? {
            let name = name.as_str();
            if (ours.contains(&name) && !may.contains(&name)) || tool_only.contains(&name) {
                found.push(format!("crates/{krate} uses {name}"));
            }
        }
    }
    ensure!(
        !dependencies("tool")?.is_empty(),
        "the tool's manifest was not understood"
    );
    none(found, "a dependency that points the wrong way")
}

pub(crate) fn views_know_serde_only() -> Result<()> {
    let mut found = Vec::new();
    let mut views = 0;
    for file in files("crates/tool/src", &["rs"])? {
        if !file.path.ends_with("/view.rs") {
            continue;
        }
        views += 1;
        for (number, line) in file.code_before_tests() {
            let bad = ["bpfsys", "btf", "loader", "nix", "anyhow", "lexopt"]
                .iter()
                .any(|krate| line.contains(&format!("{krate}::")) && !line.contains("crate::"));
            if bad {
                found.push(format!("{}:{number}: {}", file.path, line.trim()));
            }
        }
    }
    ensure!(views > 0, "there is no view.rs in the tool");
    none(found, "a view that knows more than serde")
}

/// Where the loader works on what it is given: the same bytes and facts, the same plan.
const PURE: &[&str] = &[
    "crates/loader/src/elf",
    "crates/loader/src/model",
    "crates/loader/src/relocate",
    "crates/loader/src/skeleton/c",
    "crates/loader/src/skeleton/rust",
];

/// What would make an answer depend on the machine.
const ASKING: &[&str] = &[
    "std::fs",
    "std::env",
    "std::process",
    "std::net",
    "std::time",
    "fs::read",
    "bpfsys::cmd",
    "bpfsys::sys",
    "bpfsys::cpus",
    "bpfsys::probe::{",
    "probe::feature",
    "nix::",
    "Running",
];

pub(crate) fn pure_stages_ask_nobody() -> Result<()> {
    let mut found = Vec::new();
    let mut seen = 0;
    for under in PURE {
        for file in files(under, &["rs"])? {
            if file.path.ends_with("tests.rs") || file.path.contains("/tests/") {
                continue;
            }
            seen += 1;
            for (number, line) in file.code_before_tests() {
                if ASKING.iter().any(|what| line.contains(what)) {
                    found.push(format!("{}:{number}: {}", file.path, line.trim()));
                }
            }
        }
    }
    ensure!(seen > 20, "only {seen} files of the pure stages were found");
    none(found, "a pure stage that asks the machine")
}

pub(crate) fn libraries_never_print() -> Result<()> {
    let mut found = Vec::new();
    for krate in ["bpfsys", "btf", "loader"] {
        for file in files(&format!("crates/{krate}/src"), &["rs"])? {
            if file.path.ends_with("tests.rs") || file.path.contains("/tests/") {
                continue;
            }
            for (number, line) in file.code_before_tests() {
                if ["println!", "eprintln!", "print!", "eprint!", "dbg!"]
                    .iter()
                    .any(|m| line.contains(m))
                {
                    found.push(format!("{}:{number}: {}", file.path, line.trim()));
                }
            }
        }
    }
    none(found, "a library that prints")
}

/// Packages whose presence means that C is compiled or linked.
const C_BUILDERS: &[&str] = &["cc", "cmake", "bindgen", "pkg-config", "libbpf-sys"];

pub(crate) fn nothing_compiles_c() -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut cmd = std::process::Command::new(cargo);
    cmd.current_dir(root()).args([
        "tree",
        "--offline",
        "-p",
        "rbpftool",
        "-e",
        "normal,build",
        "--prefix",
        "none",
    ]);
    let got = rbpftool_tests::run(&mut cmd, b"")?;
    ensure!(got.status == 0, "cargo tree failed: {}", got.err());
    let packages = got.out();
    ensure!(
        packages.lines().count() > 5,
        "cargo tree said too little: {packages}"
    );
    let found: Vec<String> = packages
        .lines()
        .filter_map(|l| l.split_whitespace().next())
        .filter(|name| C_BUILDERS.contains(name))
        .map(str::to_owned)
        .collect();
    none(found, "packages that compile or link C")
}
