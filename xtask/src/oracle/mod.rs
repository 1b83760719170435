//! The reference bpftool, built from Debian's kernel source into `target/oracle`.
//!
//! Nothing of it is installed, linked or committed: it is run beside ours to
//! compare what the two print and how long they take.

mod source;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::apt::{self, Need};
use crate::ctx::Ctx;
use crate::run;

/// The bpftool version the contract was written from.
pub(crate) const VERSION: &str = "7.8";

/// Compilers that can build the reference's own BPF programs, best first.
const CLANGS: &[(&str, &str, &str)] = &[
    ("clang-19", "llvm-strip-19", "llvm-config-19"),
    ("clang-20", "llvm-strip-20", "llvm-config-20"),
    ("clang-18", "llvm-strip-18", "llvm-config-18"),
    ("clang-17", "llvm-strip-17", "llvm-config-17"),
    ("clang", "llvm-strip", "llvm-config"),
];

fn compiler() -> Option<&'static (&'static str, &'static str, &'static str)> {
    CLANGS
        .iter()
        .find(|(clang, strip, _)| run::on_path(clang) && run::on_path(strip))
}

fn header(path: &str) -> bool {
    Path::new("/usr/include").join(path).is_file()
}

const NEEDS: &[Need] = &[
    Need {
        what: "clang with llvm-strip",
        found: || compiler().is_some(),
        packages: &["clang-19", "llvm-19"],
    },
    Need {
        what: "gcc and make",
        found: || run::on_path("gcc") && run::on_path("make"),
        packages: &["gcc", "libc6-dev", "make"],
    },
    Need {
        what: "libelf headers",
        found: || header("libelf.h"),
        packages: &["libelf-dev"],
    },
    Need {
        what: "zlib headers",
        found: || header("zlib.h"),
        packages: &["zlib1g-dev"],
    },
    Need {
        what: "openssl headers",
        found: || header("openssl/opensslv.h"),
        packages: &["libssl-dev"],
    },
    Need {
        what: "python3",
        found: || run::on_path("python3"),
        packages: &["python3-minimal"],
    },
    Need {
        what: "xz",
        found: || run::on_path("xz"),
        packages: &["xz-utils"],
    },
    Need {
        what: "apt-get and dpkg-deb",
        found: || run::on_path("apt-get") && run::on_path("dpkg-deb"),
        packages: &["apt", "dpkg"],
    },
];

const NEED_LLVM: &[Need] = &[Need {
    what: "LLVM headers",
    found: || compiler().is_some_and(|(_, _, config)| run::on_path(config)),
    packages: &["llvm-19-dev"],
}];

/// `cargo xtask oracle`
pub(crate) fn task(ctx: &Ctx, args: &[String]) -> Result<()> {
    let mut llvm = false;
    let mut test = None;
    let mut args = args.iter().peekable();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--llvm" => llvm = true,
            "--test" => test = Some(args.next().map(String::as_str).unwrap_or_default()),
            other => bail!("'{other}' is not an option of this task"),
        }
    }
    let built = build(ctx, llvm)?;
    println!("{}", built.display());
    if let Some(filter) = test {
        crate::suites::build_tool(ctx)?;
        let status = crate::suites::suite_command(ctx, &["oracle_bpftool"], filter)
            .status()
            .context("start cargo")?;
        if !status.success() {
            bail!("the comparison failed ({status})");
        }
    }
    Ok(())
}

/// Builds the reference where it is not built yet; the path of the program.
///
/// Without LLVM, because the LLVM build takes ten times as long to start and
/// would flatter every comparison.
pub(crate) fn build(ctx: &Ctx, llvm: bool) -> Result<PathBuf> {
    let dir = ctx.oracle_dir();
    let name = if llvm { "bpftool-llvm" } else { "bpftool" };
    let program = dir.join(name);
    if version_of(&program).is_some() {
        return Ok(program);
    }
    apt::ensure(ctx, NEEDS).map_err(anyhow::Error::msg)?;
    if llvm {
        apt::ensure(ctx, NEED_LLVM).map_err(anyhow::Error::msg)?;
    }
    let tree = source::obtain(ctx, &dir)?;
    println!("   building bpftool {VERSION} ({name})");
    let out = dir.join(format!("{name}-build"));
    std::fs::create_dir_all(&out).with_context(|| format!("create {}", out.display()))?;
    let (clang, strip, config) = *compiler().context("no clang was found")?;
    let jobs = std::thread::available_parallelism().map_or(2, usize::from);
    let mut make = Command::new("make");
    // The compiler goes through the environment and not as make variables:
    // the feature checks run in a `$(shell)`, which older makes give the
    // environment only, and with no clang there the skeletons are left out
    // without a word.
    make.env("CLANG", clang)
        .env("LLVM_STRIP", strip)
        .env("LLVM_CONFIG", config)
        .env_remove("MAKEFLAGS")
        .env_remove("MAKELEVEL")
        .env_remove("CFLAGS")
        .args(["-s", &format!("-j{jobs}"), "-C"])
        .arg(tree.join("tools/bpf/bpftool"))
        .arg("SKIP_LIBBFD=1")
        .arg(format!("OUTPUT={}/", out.display()));
    if !llvm {
        make.arg("SKIP_LLVM=1");
    }
    run::must(&mut make, &ctx.log(&format!("oracle-{name}")))?;
    let built = out.join("bpftool");
    let said = version_of(&built).context("the bpftool just built is not the expected version")?;
    for feature in ["skeletons"].into_iter().chain(llvm.then_some("llvm")) {
        if !said.contains(feature) {
            bail!("the bpftool just built lacks '{feature}': {said}");
        }
    }
    // Last, so that a half-built one is never taken for the real one.
    std::fs::copy(&built, &program).with_context(|| format!("copy to {}", program.display()))?;
    Ok(program)
}

/// What `program version` says, if it runs and is the version compared with.
fn version_of(program: &Path) -> Option<String> {
    let said = run::stdout_of(Command::new(program).arg("version")).ok()?;
    said.contains(&format!("bpftool v{VERSION}."))
        .then(|| said.replace('\n', " "))
}
