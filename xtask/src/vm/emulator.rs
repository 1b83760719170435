//! Which QEMU the guests run on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::apt::{self, PrivateApt};
use crate::ctx::Ctx;
use crate::run;

/// How the emulator is called where it is installed.
pub(super) const QEMU: &str = "qemu-system-x86_64";

/// The emulation of older ones ends Linux 6.12 with a double fault.
const RELIABLE: u32 = 9;

/// A QEMU that can be run.
#[derive(Debug, Clone)]
pub(super) struct Emulator {
    program: PathBuf,
    /// Where it looks for firmware, if not where it was built to look.
    firmware: Vec<PathBuf>,
}

impl Emulator {
    /// The installed one, or a newer one of the release's backports.
    pub(super) fn obtain(ctx: &Ctx) -> Result<Self> {
        let installed = Self {
            program: QEMU.into(),
            firmware: Vec::new(),
        };
        let version = installed.version()?;
        if version >= RELIABLE {
            return Ok(installed);
        }
        match backported(ctx) {
            Ok(newer) => Ok(newer),
            Err(e) => {
                println!("   QEMU {version} is too old for some kernels, and no newer one: {e:#}");
                Ok(installed)
            }
        }
    }

    /// The command with what every guest is given, but not the serial ports.
    ///
    /// Plain emulation: `/dev/kvm` may be there and still end in a crash.
    pub(super) fn command(&self, image: &Path, initramfs: &Path) -> Command {
        let mut cmd = Command::new(&self.program);
        for dir in &self.firmware {
            cmd.arg("-L").arg(dir);
        }
        cmd.args(["-accel", "tcg,thread=multi"])
            .args(["-cpu", "max", "-smp", "2", "-m", "1536"])
            .args(["-nodefaults", "-no-user-config", "-no-reboot"])
            .args(["-display", "none", "-monitor", "none"])
            .arg("-kernel")
            .arg(image)
            .arg("-initrd")
            .arg(initramfs)
            .args([
                "-append",
                // The soft lockup detector measures time that an emulated CPU
                // may not have been given.
                "console=ttyS0 quiet panic=-1 oops=panic nowatchdog",
            ]);
        cmd
    }

    /// The major version.
    fn version(&self) -> Result<u32> {
        let said = run::stdout_of(Command::new(&self.program).arg("--version"))?;
        said.split_whitespace()
            .filter_map(|w| w.split('.').next())
            .find_map(|w| w.parse().ok())
            .with_context(|| format!("what version is '{}'?", said.trim()))
    }
}

/// Fetched and unpacked, not installed: the packages of the installed one have
/// brought the libraries.
fn backported(ctx: &Ctx) -> Result<Emulator> {
    let top = ctx.target.join("vm");
    let dir = top.join("qemu");
    let emulator = Emulator {
        program: dir.join("usr/bin").join(QEMU),
        firmware: vec![dir.join("usr/share/qemu"), "/usr/share/seabios".into()],
    };
    if emulator.version().is_ok_and(|v| v >= RELIABLE) {
        return Ok(emulator);
    }
    let release = fs::read_to_string("/etc/os-release").context("read /etc/os-release")?;
    let codename = release
        .lines()
        .find_map(|l| l.strip_prefix("VERSION_CODENAME="))
        .context("a system without a code name")?;
    let suite = format!("{codename}-backports");
    let mirror = apt::mirror().context("apt is configured with no Debian mirror")?;
    let apt = PrivateApt::new(ctx, &top, &mirror, &suite)?;
    if dir.exists() {
        fs::remove_dir_all(&dir).context("remove an unusable emulator")?;
    }
    for package in ["qemu-system-x86", "qemu-system-common", "qemu-system-data"] {
        let deb = apt.download(package)?;
        let mut unpack = Command::new("dpkg-deb");
        unpack.arg("-x").arg(&deb).arg(&dir);
        run::must(&mut unpack, &ctx.log("vm-unpack"))?;
        fs::remove_file(&deb).context("remove the package after use")?;
    }
    let version = emulator.version().context("run the backported emulator")?;
    if version < RELIABLE {
        bail!("{suite} has only version {version}");
    }
    Ok(emulator)
}
