//! Programs of user space to look at: compiled for the tests, then started and told to work.
//!
//! Guests have no compiler. There, `RBPF_USER_PROGRAMS` is a folder of what
//! `kernel_uprobe --compile FOLDER` has made on the host.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, Result, bail, ensure};
use rbpftool_tests::compile::call;
use rbpftool_tests::fixture;

/// Where the programs of guests are.
const VARIABLE: &str = "RBPF_USER_PROGRAMS";
/// What a folder of programs must have, since they are told apart by name only.
const TOOLS: [&str; 4] = ["gcc", "objcopy", "strip", "xz"];

/// A folder with the programs.
#[derive(Debug)]
pub(crate) struct Programs {
    dir: PathBuf,
    _made: Option<tempfile::TempDir>,
}

static PROGRAMS: OnceLock<Result<Programs, String>> = OnceLock::new();

/// The programs, compiled on first use where there is a compiler.
pub(crate) fn programs() -> Result<&'static Programs> {
    let made = PROGRAMS.get_or_init(|| find().map_err(|e| format!("{e:#}")));
    match made {
        Ok(programs) => Ok(programs),
        Err(why) => bail!("{why}"),
    }
}

fn find() -> Result<Programs> {
    if let Some(dir) = std::env::var_os(VARIABLE) {
        let dir = PathBuf::from(dir);
        ensure!(dir.join("pie").is_file(), "{} is empty", dir.display());
        return Ok(Programs { dir, _made: None });
    }
    let made = tempfile::tempdir().context("make a directory")?;
    compile(made.path())?;
    Ok(Programs {
        dir: made.path().to_owned(),
        _made: Some(made),
    })
}

impl Programs {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// Makes all of them in a folder.
pub(crate) fn compile(dir: &Path) -> Result<()> {
    for tool in TOOLS {
        let found = Command::new(tool).arg("--version").output();
        ensure!(found.is_ok(), "{tool} is not there");
    }
    let source = |name: &str| fixture("user").join(name);
    let gcc = |out: &str, args: &[&str], sources: &[&str]| {
        let mut cmd = Command::new("gcc");
        cmd.current_dir(dir).args(["-O1", "-g", "-Wall", "-o", out]);
        cmd.args(args);
        cmd.args(sources.iter().map(|name| source(name)));
        if !sources.contains(&"lib.c") && !sources.contains(&"mapper.c") {
            cmd.args(["-L.", "-lprobed", "-Wl,-rpath,$ORIGIN"]);
        }
        call(&mut cmd)
    };
    let versions = format!("-Wl,--version-script={}", source("lib.map").display());
    gcc("libprobed.so", &["-fPIC", "-shared", &versions], &["lib.c"])?;
    gcc("pie", &["-fPIE", "-pie"], &["probed.c"])?;
    gcc("fixed", &["-fno-pie", "-no-pie"], &["probed.c"])?;
    gcc("static", &["-static", "-no-pie"], &["probed.c", "lib.c"])?;
    gcc("mapper", &[], &["mapper.c"])?;
    let tool = |name: &str, args: &[&str]| call(Command::new(name).current_dir(dir).args(args));

    tool("strip", &["-s", "-o", "stripped", "pie"])?;
    // symbols in another file, found by its name and checksum
    let anonymous = "--remove-section=.note.gnu.build-id";
    tool(
        "objcopy",
        &["--only-keep-debug", anonymous, "pie", "linked.debug"],
    )?;
    let link = "--add-gnu-debuglink=linked.debug";
    tool("objcopy", &["-S", anonymous, link, "pie", "linked"])?;
    // compressed line information
    tool(
        "objcopy",
        &["--compress-debug-sections=zlib", "pie", "compressed"],
    )?;
    // symbols packed into the program
    tool(
        "objcopy",
        &[
            "-S",
            "--keep-symbol=work_static",
            "--keep-symbol=work_one",
            "pie",
            "few",
        ],
    )?;
    tool("objcopy", &["--only-keep-debug", "few", "few.debug"])?;
    tool("xz", &["-k", "few.debug"])?;
    tool(
        "objcopy",
        &[
            "-S",
            "--add-section",
            ".gnu_debugdata=few.debug.xz",
            "pie",
            "packed",
        ],
    )?;
    archive(dir)
}

/// An archive with the library, at a place that can be mapped.
fn archive(dir: &Path) -> Result<()> {
    let name = b"lib/libprobed.so";
    let bytes = std::fs::read(dir.join("libprobed.so")).context("read the library")?;
    let size = u32::try_from(bytes.len()).context("a small library")?;
    let name_len = u16::try_from(name.len()).context("a short name")?;
    let start = 30 + name.len();
    let padding = start.next_multiple_of(4096) - start;
    let mut out = b"PK\x03\x04\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    out.extend([size.to_le_bytes(), size.to_le_bytes()].concat());
    out.extend(name_len.to_le_bytes());
    out.extend(u16::try_from(padding).context("a page")?.to_le_bytes());
    out.extend(name);
    out.resize(out.len() + padding, 0);
    out.extend(bytes);
    let list = u32::try_from(out.len()).context("a small archive")?;
    out.extend(b"PK\x01\x02\x0a\0\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0");
    out.extend([size.to_le_bytes(), size.to_le_bytes()].concat());
    out.extend(name_len.to_le_bytes());
    out.extend([0; 16]);
    out.extend(name);
    let len = u32::try_from(out.len()).context("a small archive")? - list;
    out.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    out.extend([len.to_le_bytes(), list.to_le_bytes()].concat());
    out.extend([0, 0]);
    std::fs::write(dir.join("app.apk"), out).context("write the archive")
}

/// A program that runs and waits to be told to work.
pub(crate) struct Running {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Running {
    /// Starts a program and waits until it is ready.
    pub(crate) fn start(path: &Path, args: &[&str]) -> Result<Self> {
        let mut child = Command::new(path)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", path.display()))?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("its output")?);
        let mut this = Self {
            child,
            input,
            output,
        };
        let said = this.line()?;
        ensure!(said == "ready", "{} said '{said}'", path.display());
        Ok(this)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output
            .read_line(&mut line)
            .context("read what it says")?;
        Ok(line.trim_end().to_owned())
    }

    /// Lets it call each of its functions once; whether it saw that somebody looks.
    pub(crate) fn work(&mut self) -> Result<bool> {
        let input = self.input.as_mut().context("its input")?;
        input.write_all(b"\n").context("tell it to work")?;
        let said = self.line()?;
        match said.split_whitespace().next() {
            Some("0") => Ok(false),
            Some("1") => Ok(true),
            _ => bail!("it said '{said}'"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // it ends with its input
        drop(self.input.take());
        let _ended = self.child.wait();
    }
}
