//! The kernels of the matrix: which package of which suite, fetched and unpacked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::apt::{self, PrivateApt};
use crate::ctx::Ctx;
use crate::run;

/// A row of the matrix.
#[derive(Debug)]
pub(super) struct Wanted {
    /// What it is called on the command line and in tables.
    pub(super) label: &'static str,
    /// The kernel version, without the stable release.
    version: &'static str,
    suite: &'static str,
    /// How the names of its packages end.
    flavour: &'static str,
    /// (suite, what the names of its tests have in them): all that is run of that suite.
    parts: &'static [(&'static str, &'static str)],
}

/// Oldest first.
pub(super) const MATRIX: &[Wanted] = &[
    Wanted {
        label: "5.10",
        version: "5.10",
        suite: "bullseye",
        flavour: "cloud-amd64",
        parts: &[],
    },
    Wanted {
        label: "6.1",
        version: "6.1",
        suite: "bookworm",
        flavour: "cloud-amd64",
        parts: &[],
    },
    Wanted {
        label: "6.12",
        version: "6.12",
        suite: "trixie",
        flavour: "cloud-amd64",
        parts: &[],
    },
    Wanted {
        label: "7.2",
        version: "7.2",
        suite: "sid",
        flavour: "cloud-amd64",
        parts: &[],
    },
    Wanted {
        label: "7.2-full",
        version: "7.2",
        suite: "sid",
        flavour: "amd64",
        // The same source as the row above: what the two tools say differs only where something
        // else can be made.
        parts: &[("oracle_bpftool", "state::")],
    },
];

/// A kernel that can be booted.
#[derive(Debug, Clone)]
pub(super) struct Kernel {
    pub(super) label: String,
    pub(super) image: PathBuf,
    /// Where its modules are, if it came with any.
    pub(super) modules: Option<PathBuf>,
    pub(super) config: Option<PathBuf>,
    /// As in [`Wanted`].
    pub(super) parts: &'static [(&'static str, &'static str)],
}

impl Kernel {
    /// A kernel image of the user's own.
    pub(super) fn from_image(path: &Path) -> Result<Self> {
        if !path.is_file() {
            bail!("{} is not a file", path.display());
        }
        let name = path.file_name().unwrap_or_default();
        Ok(Self {
            label: name.to_string_lossy().into_owned(),
            image: path.to_owned(),
            modules: None,
            config: None,
            parts: &[],
        })
    }
}

/// How long what was fetched is taken as the newest of its suite.
const FRESH: Duration = Duration::from_secs(7 * 24 * 3600);

/// The kernel of a row, from the cache or from its suite.
pub(super) fn obtain(ctx: &Ctx, wanted: &Wanted) -> Result<Kernel> {
    let top = ctx.target.join("vm");
    let dir = top.join(wanted.label);
    if let Some(kernel) = cached(wanted, &dir)
        && is_fresh(&dir)
    {
        return Ok(kernel);
    }
    match fetch(ctx, wanted, &top, &dir) {
        Ok(()) => {}
        Err(e) if cached(wanted, &dir).is_some() => {
            println!("   {}: using the one fetched before: {e:#}", wanted.label);
        }
        Err(e) => return Err(e),
    }
    cached(wanted, &dir).with_context(|| {
        format!(
            "the packages of {} in {} hold no kernel image",
            wanted.version, wanted.suite
        )
    })
}

fn is_fresh(dir: &Path) -> bool {
    fs::metadata(dir.join("packages"))
        .and_then(|m| m.modified())
        .is_ok_and(|at| at.elapsed().is_ok_and(|age| age < FRESH))
}

fn fetch(ctx: &Ctx, wanted: &Wanted, top: &Path, dir: &Path) -> Result<()> {
    let mirror =
        apt::mirror().context("apt is configured with no Debian mirror to fetch kernels from")?;
    let apt = PrivateApt::new(ctx, top, &mirror, wanted.suite)?;
    let packages = resolve(&apt, wanted)?;
    let list = packages.join("\n");
    let stamp = dir.join("packages");
    if fs::read_to_string(&stamp).is_ok_and(|have| have == list) {
        // Still the newest.
        return fs::write(&stamp, list).context("renew the list of packages");
    }
    let partial = top.join(format!("{}.partial", wanted.label));
    for old in [dir, &partial] {
        if old.exists() {
            fs::remove_dir_all(old).with_context(|| format!("remove {}", old.display()))?;
        }
    }
    fs::create_dir_all(&partial).with_context(|| format!("create {}", partial.display()))?;
    for package in &packages {
        let deb = apt.download(package)?;
        let mut unpack = Command::new("dpkg-deb");
        unpack.arg("-x").arg(&deb).arg(&partial);
        run::must(&mut unpack, &ctx.log("vm-unpack"))?;
        fs::remove_file(&deb).context("remove the package after use")?;
    }
    // Last, so that a half-unpacked one is never taken for a whole one.
    fs::write(partial.join("packages"), list).context("write the list of packages")?;
    fs::rename(&partial, dir).context("move the kernel into place")
}

/// The packages that hold the image, the modules and the configuration.
fn resolve(apt: &PrivateApt<'_>, wanted: &Wanted) -> Result<Vec<String>> {
    let prefix = format!("linux-image-{}.", wanted.version);
    let meta = format!("linux-image-{}", wanted.flavour);
    let newest = apt
        .depends(&meta)?
        .into_iter()
        .find(|name| name.starts_with(&prefix));
    let image = match newest {
        Some(name) => name,
        // The suite has moved on, but may still hold the older one.
        None => apt
            .search(&format!("^{}", prefix.replace('.', "\\.")))?
            .into_iter()
            .filter(|name| {
                name.ends_with(&format!("-{}", wanted.flavour)) && is_release(name, wanted)
            })
            .max()
            .with_context(|| {
                format!(
                    "Debian {} has no Linux {} of the flavour {} any more",
                    wanted.suite, wanted.version, wanted.flavour
                )
            })?,
    };
    let parts: Vec<String> = apt
        .depends(&image)?
        .into_iter()
        .filter(|name| {
            ["linux-base-", "linux-binary-", "linux-modules-"]
                .iter()
                .any(|p| name.starts_with(&format!("{p}{}.", wanted.version)))
        })
        .collect();
    // Newer packages are split in parts, older ones are whole.
    Ok(if parts.is_empty() { vec![image] } else { parts })
}

/// `linux-image-6.1.0-50-amd64`, and not `linux-image-6.1.0-50-rt-amd64`.
fn is_release(name: &str, wanted: &Wanted) -> bool {
    let middle = name
        .strip_prefix("linux-image-")
        .and_then(|n| n.strip_suffix(wanted.flavour));
    middle.is_some_and(|m| !m.contains("rt-") && !m.contains("cloud-"))
}

fn cached(wanted: &Wanted, dir: &Path) -> Option<Kernel> {
    if !dir.join("packages").is_file() {
        return None;
    }
    let modules = ["lib/modules", "usr/lib/modules"]
        .iter()
        .map(|sub| dir.join(sub))
        .find_map(|above| only_directory(&above))?;
    let release = modules.file_name()?.to_string_lossy().into_owned();
    let file = |names: &[String]| names.iter().map(|n| dir.join(n)).find(|p| p.is_file());
    let image = file(&[
        format!("boot/vmlinuz-{release}"),
        format!("usr/lib/modules/{release}/vmlinuz"),
    ])?;
    let config = file(&[
        format!("boot/config-{release}"),
        format!("usr/lib/modules/{release}/config"),
        format!("usr/lib/linux-base-{release}/config"),
    ]);
    Some(Kernel {
        label: wanted.label.to_owned(),
        image,
        modules: Some(modules),
        config,
        parts: wanted.parts,
    })
}

fn only_directory(above: &Path) -> Option<PathBuf> {
    let mut inside = fs::read_dir(above).ok()?.flatten().map(|e| e.path());
    inside.find(|p| p.is_dir())
}
