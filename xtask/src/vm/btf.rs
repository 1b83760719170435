//! The types of the matrix's kernels as files, for the suites that need no guest.
//!
//! `target/vm/btf/LABEL.btf` are a kernel's own; `modules-LABEL/NAME.btf` those
//! of some of its modules, split, with `NAME.base` beside it where the module
//! brings what it is split from. `LABEL.lacking` says why there are none.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use super::kernels::{self, Kernel, MATRIX, Wanted};
use super::modules::Modules;
use crate::apt::{self, Need};
use crate::ctx::Ctx;
use crate::{elf, run};

const NEEDS: &[Need] = &[
    Need {
        what: "xz",
        found: || run::on_path("xz"),
        packages: &["xz-utils"],
    },
    Need {
        what: "lz4",
        found: || run::on_path("lz4"),
        packages: &["lz4"],
    },
    Need {
        what: "zstd",
        found: || run::on_path("zstd"),
        packages: &["zstd"],
    },
    Need {
        what: "dpkg-deb and apt-get",
        found: || run::on_path("dpkg-deb") && run::on_path("apt-get"),
        packages: &["dpkg", "apt"],
    },
];

/// Of each kernel, so many modules with types of their own.
const MODULES: usize = 10;
/// Of each part of the alphabet, so many are looked at: some have no types.
const TRIES: usize = 4;

/// Where the files are.
pub(crate) fn dir(ctx: &Ctx) -> PathBuf {
    ctx.target.join("vm/btf")
}

/// Makes the files of every kernel that can be had. What cannot be is said, and
/// written beside them for the suites.
pub(crate) fn extract(ctx: &Ctx) -> Result<()> {
    let dir = dir(ctx);
    fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
    let tools = apt::ensure(ctx, NEEDS).map_err(anyhow::Error::msg);
    for wanted in MATRIX {
        let lacking = dir.join(format!("{}.lacking", wanted.label));
        let made = match &tools {
            Ok(()) => of_kernel(ctx, wanted, &dir),
            Err(e) => Err(anyhow::anyhow!("{e:#}")),
        };
        match made {
            Ok(()) if lacking.exists() => fs::remove_file(&lacking)
                .with_context(|| format!("remove {}", lacking.display()))?,
            Ok(()) => {}
            Err(e) => {
                println!("   the types of Linux {}: {e:#}", wanted.label);
                fs::write(&lacking, format!("{e:#}"))
                    .with_context(|| format!("write {}", lacking.display()))?;
            }
        }
    }
    Ok(())
}

fn of_kernel(ctx: &Ctx, wanted: &Wanted, dir: &Path) -> Result<()> {
    let kernel = kernels::obtain(ctx, wanted)?;
    let types = dir.join(format!("{}.btf", kernel.label));
    let of_modules = dir.join(format!("modules-{}", kernel.label));
    // The packages that these files are of.
    let stamp = of_modules.join("packages");
    let packages = fs::read(ctx.target.join("vm").join(wanted.label).join("packages"))
        .context("read the list of packages")?;
    if types.is_file() && fs::read(&stamp).is_ok_and(|have| have == packages) {
        return Ok(());
    }
    println!("   extracting the types of Linux {}", kernel.label);
    if of_modules.exists() {
        fs::remove_dir_all(&of_modules).context("remove the types of another kernel")?;
    }
    fs::create_dir_all(&of_modules).context("create the directory of modules")?;
    let image =
        fs::read(&kernel.image).with_context(|| format!("read {}", kernel.image.display()))?;
    let vmlinux = unpacked(&image)?;
    let found = elf::section(&vmlinux, ".BTF")?.context("the kernel has no section .BTF")?;
    fs::write(&types, found).with_context(|| format!("write {}", types.display()))?;
    modules(&kernel, &of_modules)?;
    // Last, so that what is half made is made again.
    fs::write(&stamp, packages).context("write what the types are of")
}

/// The kernel in a boot image for x86.
fn unpacked(image: &[u8]) -> Result<Vec<u8>> {
    // The boot protocol's setup header: sectors before the compressed kernel,
    // and where the payload is in what follows them.
    let word = |at: usize| -> Result<usize> {
        let bytes = image.get(at..).and_then(|b| b.first_chunk::<4>());
        let bytes = bytes.context("the image ends in its setup header")?;
        Ok(usize::try_from(u32::from_le_bytes(*bytes))?)
    };
    if image.get(0x202..0x206) != Some(b"HdrS") {
        bail!("the image has no setup header");
    }
    let sectors = match image.get(0x1f1) {
        None | Some(0) => 4,
        Some(n) => usize::from(*n),
    };
    let start = (sectors + 1) * 512 + word(0x248)?;
    let payload = start
        .checked_add(word(0x24c)?)
        .and_then(|end| image.get(start..end))
        .context("the image ends before its payload does")?;
    // All but gzip's end with the unpacked length, which is not the packer's.
    let (body, _length) = payload
        .split_last_chunk::<4>()
        .context("the image has no payload")?;
    match payload {
        [0xfd, b'7', b'z', b'X', b'Z', ..] => filtered("xz", &["-dc", "--single-stream"], body),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => filtered("zstd", &["-dcq"], body),
        [0x02, 0x21, 0x4c, 0x18, ..] => filtered("lz4", &["-dcq"], body),
        [0x1f, 0x8b, ..] => filtered("gzip", &["-dcq"], payload),
        _ => bail!("the kernel in the image is packed in an unknown way"),
    }
}

/// What a program makes of bytes.
fn filtered(program: &str, args: &[&str], bytes: &[u8]) -> Result<Vec<u8>> {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {program}"))?;
    let mut stdin = child.stdin.take().context("no stdin")?;
    let out = std::thread::scope(|scope| {
        // If it does not read all, its status tells more than the broken pipe.
        scope.spawn(move || drop(stdin.write_all(bytes)));
        child.wait_with_output()
    })
    .with_context(|| format!("wait for {program}"))?;
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr);
        bail!("{program} cannot unpack the kernel: {}", said.trim());
    }
    Ok(out.stdout)
}

/// The types of some modules, taken from all over the alphabet.
fn modules(kernel: &Kernel, into: &Path) -> Result<()> {
    let Some(dir) = &kernel.modules else {
        return Ok(());
    };
    let all = Modules::find(dir)?;
    let all: Vec<_> = all.files().collect();
    for part in all.chunks(all.len().div_ceil(MODULES).max(1)) {
        for (name, path) in part.iter().take(TRIES) {
            if module(name, path, into).with_context(|| path.display().to_string())? {
                break;
            }
        }
    }
    Ok(())
}

/// The types of a module, if it has some.
fn module(name: &str, path: &Path, into: &Path) -> Result<bool> {
    let bytes = super::modules::unpacked(path)?;
    let Some(types) = elf::section(&bytes, ".BTF")? else {
        return Ok(false);
    };
    fs::write(into.join(format!("{name}.btf")), types).context("write a module's types")?;
    if let Some(base) = elf::section(&bytes, ".BTF.base")? {
        fs::write(into.join(format!("{name}.base")), base).context("write a module's base")?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::unpacked;

    /// A boot image with one sector of setup and a payload 16 bytes after it.
    fn image(payload: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 1024 + 16];
        image[0x1f1] = 1;
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x248] = 16;
        let length = u32::try_from(payload.len()).expect("a small payload");
        image[0x24c..0x250].copy_from_slice(&length.to_le_bytes());
        image.extend_from_slice(payload);
        image
    }

    #[test]
    fn the_payload_is_found_and_unpacked() {
        // "kernel\n" by gzip -n
        let packed = [
            0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xcb, 0x4e, 0x2d, 0xca, 0x4b, 0xcd, 0xe1, 2, 0,
            0x69, 0xae, 0x8e, 0x73, 7, 0, 0, 0,
        ];
        assert_eq!(unpacked(&image(&packed)).expect("it is whole"), b"kernel\n");
    }

    #[test]
    fn other_images_are_refused() {
        assert!(unpacked(b"").is_err());
        assert!(unpacked(&[0; 4096]).is_err());
        assert!(unpacked(&image(b"unknown")).is_err());
        let mut cut = image(&[0x1f, 0x8b, 8, 0, 0, 0]);
        cut.pop();
        assert!(unpacked(&cut).is_err());
    }
}
