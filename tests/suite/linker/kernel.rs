//! The result in the running kernel: bpftool loads it, programs return what they should.

use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use bpfsys::cmd::{ObjGet, ProgTestRun};
use bpfsys::{AnyFd, ProgType};
use rbpftool_tests::{Private, ensure_eq, oracle, requires, run};

/// What becomes of an object.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Load {
    /// It has programs that return this.
    Runs(&'static [(&'static str, u32)]),
    /// bpftool says why not.
    Fails(&'static str),
    /// No kernel has what it is for.
    Not,
}

/// Loads the object, with all its maps, and runs its programs.
pub(crate) fn check(private: &Private, load: Load, made: &[u8]) -> Result<()> {
    let dir = tempfile::tempdir().context("make a directory")?;
    let object = dir.path().join("made.o");
    std::fs::write(&object, made)?;
    // names with a dot are not for users there
    let name = dir.path().file_name().context("a name")?;
    let name = name.to_string_lossy().replace('.', "_");
    let pins = private.bpffs().join(name);
    let mut cmd = Command::new(oracle()?);
    cmd.args(["prog", "loadall"]).arg(&object).arg(&pins);
    let said = run(&mut cmd, b"")?;
    requires!(
        !said.err().contains("failed to open system Kconfig"),
        "this kernel does not tell its configuration"
    );
    let runs = match load {
        Load::Runs(runs) => runs,
        Load::Fails(why) => {
            ensure!(said.err().contains(why), "bpftool says: {}", said.err());
            return Ok(());
        }
        Load::Not => &[],
    };
    ensure!(said.status == 0, "bpftool says: {}", said.err());
    for (program, value) in runs {
        let path = pins.join(program);
        let AnyFd::Prog(prog) = ObjGet::new(&path).run()? else {
            bail!("{program} is no program");
        };
        let info = prog.info()?;
        // system calls take no packet
        let packet = [0u8; 64];
        let data: &[u8] = match info.type_() {
            ProgType::SYSCALL => &[],
            _ => &packet,
        };
        let done = ProgTestRun::new(&prog).data_in(data).run();
        let done = done.with_context(|| format!("run {program}"))?;
        ensure_eq!(done.retval, *value, "what {program} returns");
    }
    std::fs::remove_dir_all(&pins).context("remove the pins")
}
