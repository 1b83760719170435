//! Modules in the hands of rustfmt and of the compiler, in a project whose build script makes
//! them; and of what that makes in the hands of the kernel.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, Result, ensure};
use rbpftool_tests::{Place, Suite, fixture, requires, root, run};

use crate::{names, written};

/// Tests of `tests/fixtures/skeleton/main.rs`.
const TESTS: [&str; 5] = ["arena", "live", "registered", "struct_ops", "variables"];

pub(crate) fn add(suite: &mut Suite, place: &Place) {
    suite.add("rust/formatted", formatted);
    suite.add("rust/compiles", || program().map(drop));
    for test in TESTS {
        suite.add(
            format!("rust/{test}"),
            place.test(move |_| {
                let output = run(Command::new(program()?).arg(test), b"")?;
                ensure!(output.status == 0, "{}", output.err());
                Ok(())
            }),
        );
    }
}

/// rustfmt has nothing to change.
fn formatted() -> Result<()> {
    let rustfmt = cargo()?.with_file_name("rustfmt");
    requires!(rustfmt.is_file(), "this toolchain has no rustfmt");
    let dir = tempfile::tempdir()?;
    let mut command = Command::new(rustfmt);
    command.args(["--edition", "2024", "--check", "--config", "max_width=100"]);
    for name in names()? {
        let path = dir.path().join(format!("{name}.rs"));
        std::fs::write(&path, written(&["--lang=rust", "skeleton"], &name)?)?;
        command.arg(path);
    }
    let output = run(&mut command, b"")?;
    ensure!(output.status == 0, "{}{}", output.out(), output.err());
    Ok(())
}

/// The cargo that runs this; beside it are the other tools.
fn cargo() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").context("not run by cargo")?;
    Ok(cargo.into())
}

/// The program of all skeletons, made once.
fn program() -> Result<PathBuf> {
    static MADE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let made = MADE.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    made.clone().map_err(|error| anyhow::anyhow!(error))
}

fn build() -> Result<PathBuf> {
    let me = std::env::current_exe().context("find this executable")?;
    // A suite is target/PROFILE/deps/SUITE-HASH.
    let target = me.ancestors().nth(3).context("not in a target directory")?;
    let dir = target.join("skeleton-user");
    std::fs::create_dir_all(dir.join("bin"))?;
    let crates = root().join("crates");
    let crates = crates.to_str().context("a path that is no text")?;
    let manifest = format!(
        "[package]
name = \"skeleton-user\"
version = \"0.0.0\"
edition = \"2024\"

[dependencies]
bpfsys = {{ path = \"{crates}/bpfsys\" }}
bpfsys-loader = {{ path = \"{crates}/loader\" }}

[build-dependencies]
bpfsys-loader = {{ path = \"{crates}/loader\" }}

[[bin]]
name = \"skeleton-user\"
path = \"main.rs\"

[workspace]

[profile.dev]
debug = false

[profile.dev.build-override]
opt-level = 0
debug = false
"
    );
    write(&dir.join("Cargo.toml"), manifest.as_bytes())?;
    for file in ["build.rs", "main.rs"] {
        let source = fixture("skeleton").join(file);
        write(&dir.join(file), &std::fs::read(source)?)?;
    }
    // The versions that everything here is built with, so that nothing is fetched.
    write(
        &dir.join("Cargo.lock"),
        &std::fs::read(root().join("Cargo.lock"))?,
    )?;
    let cargo = cargo()?;
    let mut command = Command::new(&cargo);
    command
        .current_dir(&dir)
        .args(["build", "--offline", "--quiet"])
        .env("CARGO_TARGET_DIR", dir.join("target"))
        .env("OBJECTS", fixture("bpf"))
        .env("RUSTFLAGS", "-D warnings")
        .env("PATH", path(&dir.join("bin"))?);
    let rustc = cargo.with_file_name("rustc");
    if rustc.is_file() {
        command.env("RUSTC", rustc);
    }
    let output = command.output().context("start cargo")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(dir.join("target/debug/skeleton-user"))
}

/// Writes what is not there already, so that cargo sees no change where there is none.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if std::fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    std::fs::write(path, bytes).with_context(|| format!("write {}", path.display()))
}

/// A search path with a linker and nothing else.
fn path(dir: &Path) -> Result<PathBuf> {
    let search = std::env::var_os("PATH").context("no PATH")?;
    for tool in ["cc", "ld", "as"] {
        let found = std::env::split_paths(&search)
            .map(|dir| dir.join(tool))
            .find(|path| path.is_file());
        let link = dir.join(tool);
        if let Some(found) = found
            && !link.exists()
        {
            std::os::unix::fs::symlink(&found, &link)
                .with_context(|| format!("link {}", link.display()))?;
        }
    }
    Ok(dir.to_owned())
}
