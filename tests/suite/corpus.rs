//! Real objects that nobody here wrote: those of the directory `RBPF_CORPUS`, each loaded by both
//! tools. Whatever bpftool loads must load here, and leave the same in the kernel, down to the
//! instructions.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use rbpftool_tests::loaded::{BY_NAME, Left, clear, mount_by_name, pinned, same};
use rbpftool_tests::{Output, Private, Suite, oracle, run, skip, tool_path};

fn main() -> ExitCode {
    let mut suite = Suite::new("corpus").serial();
    match Stage::set() {
        Ok(stage) => {
            let stage = Arc::new(stage);
            for object in stage.objects.clone() {
                let stage = Arc::clone(&stage);
                let name = object.file_stem().unwrap_or_default().to_string_lossy();
                suite.add(name.into_owned(), move || stage.check(&object));
            }
        }
        Err(e) => suite.add("objects", move || Err(e)),
    }
    suite.run()
}

struct Stage {
    objects: Vec<PathBuf>,
    ours: PathBuf,
    theirs: PathBuf,
    /// The namespaces.
    _private: Private,
}

/// What a tool said, and what it left.
struct Loaded {
    said: Output,
    left: Left,
}

impl Stage {
    fn set() -> Result<Self> {
        let dir = std::env::var_os("RBPF_CORPUS")
            .ok_or_else(|| skip("RBPF_CORPUS names no directory of objects"))?;
        let theirs = oracle()?;
        let private = Private::enter()?;
        mount_by_name(&private)?;
        let mut objects = Vec::new();
        for entry in std::fs::read_dir(&dir).context("list RBPF_CORPUS")? {
            let path = entry.context("list RBPF_CORPUS")?.path();
            if path.extension().is_some_and(|e| e == "o") {
                objects.push(path);
            }
        }
        ensure!(!objects.is_empty(), "RBPF_CORPUS has no objects");
        objects.sort();
        Ok(Self {
            objects,
            ours: tool_path()?,
            theirs,
            _private: private,
        })
    }

    fn check(&self, object: &Path) -> Result<()> {
        let theirs = self.load(&self.theirs, object)?;
        let ours = self.load(&self.ours, object)?;
        if theirs.said.status != 0 {
            let why = match ours.said.status {
                0 => format!(
                    "ours loads it here, bpftool does not: {}",
                    theirs.said.err()
                ),
                _ => {
                    let said = ours.said.err();
                    let first = said.lines().next().unwrap_or_default().to_owned();
                    ensure!(first.starts_with("Error: "), "no error is told: {said}");
                    format!("neither loads it here; {first}")
                }
            };
            return Err(skip(why));
        }
        ensure!(
            ours.said.status == 0,
            "bpftool loads it, ours does not: {}",
            ours.said.err()
        );
        ensure!(!ours.left.is_empty(), "nothing was pinned");
        if asks_for_wrapper(object)? && !has_kprobes() {
            return Err(skip(
                "LINUX_HAS_SYSCALL_WRAPPER: bpftool asks with a kprobe, which is missing, and \
                 what the verifier keeps of the programs depends on it",
            ));
        }
        same(&ours.left, &theirs.left)
    }

    fn load(&self, tool: &Path, object: &Path) -> Result<Loaded> {
        let top = Path::new(BY_NAME).join("corpus");
        std::fs::create_dir_all(&top).context("make a directory for pins")?;
        let mut cmd = Command::new(tool);
        cmd.args(["prog", "loadall"])
            .arg(object)
            .arg(top.join("progs"))
            .arg("pinmaps")
            .arg(top.join("maps"));
        let said = run(&mut cmd, b"")?;
        let left = pinned(&top);
        clear(&top, true)?;
        clear(Path::new(BY_NAME), false)?;
        Ok(Loaded { said, left: left? })
    }
}

/// Whether it has that extern.
fn asks_for_wrapper(object: &Path) -> Result<bool> {
    let bytes = std::fs::read(object).context("read the object")?;
    let name = b"LINUX_HAS_SYSCALL_WRAPPER\0";
    Ok(bytes.windows(name.len()).any(|window| window == name))
}

fn has_kprobes() -> bool {
    Path::new("/sys/bus/event_source/devices/kprobe").exists()
}
