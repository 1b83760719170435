//! A tarball and a Debian package, the same bytes whenever and wherever they are made.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use super::tree::{self, DOC, File, MANUAL};
use crate::ctx::Ctx;
use crate::run;

/// What is meant although a checker of packages would warn of it.
const OVERRIDES: &str = "\
# The names of functions stay, so that the report of a crash tells where it was.
rbpftool: unstripped-binary-or-object [usr/bin/rbpftool]
# It is no library, but a static program that may be loaded at any address.
rbpftool: shared-library-lacks-prerequisites [usr/bin/rbpftool]
";

/// What packages are called, and when they were made.
pub(super) struct Release {
    version: String,
    /// The first part of the triple.
    machine: String,
    /// Seconds since 1970: `SOURCE_DATE_EPOCH`, or when the last commit was made.
    time: String,
    /// Who makes it, with an address.
    who: String,
}

impl Release {
    pub(super) fn of(ctx: &Ctx) -> Result<Self> {
        let triple = ctx.host_triple()?;
        let git = |format: &str| {
            let mut cmd = Command::new("git");
            cmd.current_dir(&ctx.root).args(["log", "-1", format]);
            run::stdout_of(&mut cmd).map(|said| said.trim().to_owned())
        };
        let var = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let who = match (var("DEBFULLNAME"), var("DEBEMAIL")) {
            (Some(name), Some(address)) => format!("{name} <{address}>"),
            _ => git("--format=%an <%ae>").context("who makes this? set DEBFULLNAME, DEBEMAIL")?,
        };
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            machine: triple.split('-').next().unwrap_or_default().to_owned(),
            time: match var("SOURCE_DATE_EPOCH") {
                Some(time) => time,
                None => git("--format=%ct").context("when is this? set SOURCE_DATE_EPOCH")?,
            },
            who,
        })
    }

    /// What Debian calls the machine.
    fn debian(&self) -> Result<&'static str> {
        Ok(match self.machine.as_str() {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "riscv64gc" => "riscv64",
            "s390x" => "s390x",
            "powerpc64le" => "ppc64el",
            other => bail!("what does Debian call {other}?"),
        })
    }

    /// `root/DIR/…` in a tarball.
    pub(super) fn tarball(&self, files: &[File], dist: &Path) -> Result<PathBuf> {
        let name = format!("rbpftool-{}-{}-linux", self.version, self.machine);
        let stage = dist.join("tarball");
        tree::write(files, &stage, &name)?;
        let to = dist.join(format!("{name}.tar.gz"));
        let mut tar = Command::new("tar");
        tar.current_dir(&stage)
            .args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner"])
            .args(["--format=gnu", "--use-compress-program=gzip -9n"])
            .arg(format!("--mtime=@{}", self.time))
            .args(["--create", "--file"])
            .arg(&to)
            .arg(&name);
        run::stdout_of(&mut tar).context("make a tarball")?;
        Ok(to)
    }

    /// A package of what belongs below `/usr`.
    pub(super) fn package(&self, files: &[File], dist: &Path) -> Result<PathBuf> {
        let stage = dist.join("debian");
        tree::write(&self.for_debian(files)?, &stage, "usr")?;
        let to = dist.join(format!("rbpftool_{}_{}.deb", self.version, self.debian()?));
        let installed: u64 = files.iter().map(|file| file.bytes.len() as u64).sum();
        let control = stage.join("DEBIAN");
        fs::create_dir(&control).context("create DEBIAN")?;
        let write = |name: &str, text: &str| {
            fs::write(control.join(name), text).with_context(|| format!("write {name}"))
        };
        write("control", &self.control(installed.div_ceil(1024))?)?;
        let mut sums = Command::new("sh");
        sums.current_dir(&stage)
            .args(["-c", "find usr -type f | LC_ALL=C sort | xargs md5sum"]);
        write("md5sums", &run::stdout_of(&mut sums).context("add up")?)?;
        let mut make = Command::new("dpkg-deb");
        make.env("SOURCE_DATE_EPOCH", &self.time)
            .args(["--root-owner-group", "-Zxz", "--build"])
            .args([&stage, &to]);
        run::stdout_of(&mut make).context("make a package")?;
        Ok(to)
    }

    /// The same files where Debian has them, and in the form that it has them in.
    fn for_debian(&self, files: &[File]) -> Result<Vec<File>> {
        let mut all = Vec::new();
        for file in files {
            let mut file = file.clone();
            let name = file.path.rsplit('/').next().unwrap_or_default().to_owned();
            if file.path.starts_with(MANUAL) {
                file.path.push_str(".gz");
                file.bytes = gzip(&file.bytes)?;
            } else if name == "CHANGELOG.md" {
                file.path = format!("{DOC}/NEWS.gz");
                file.bytes = gzip(&file.bytes)?;
            } else if name.starts_with("LICENSE") {
                // in the file `copyright`, or where Debian has it
                continue;
            }
            all.push(file);
        }
        let mit = files.iter().find(|file| file.path.ends_with("LICENSE-MIT"));
        let mit = mit.context("no LICENSE-MIT")?;
        let copyright = copyright(&String::from_utf8_lossy(&mit.bytes));
        all.push(File::new(format!("{DOC}/copyright"), copyright));
        all.push(File::new("share/lintian/overrides/rbpftool", OVERRIDES));
        let changelog = gzip(self.changelog()?.as_bytes())?;
        all.push(File::new(format!("{DOC}/changelog.gz"), changelog));
        Ok(all)
    }

    fn control(&self, kib: u64) -> Result<String> {
        Ok(format!(
            "Package: rbpftool\n\
             Version: {}\n\
             Architecture: {}\n\
             Maintainer: {}\n\
             Installed-Size: {kib}\n\
             Section: utils\n\
             Priority: optional\n\
             Description: inspect and change BPF objects of the kernel\n \
             Shows programs, maps, links and types that the Linux kernel holds, loads and\n \
             attaches programs, reads and changes maps, and tells what the kernel can do.\n \
             Its command lines, text and JSON are those of bpftool. It is one static binary\n \
             and needs no other package.\n",
            self.version,
            self.debian()?,
            self.who,
        ))
    }

    fn changelog(&self) -> Result<String> {
        let mut date = Command::new("date");
        date.env("LC_ALL", "C")
            .args(["--utc", "--rfc-email"])
            .arg(format!("--date=@{}", self.time));
        let date = run::stdout_of(&mut date).context("write the date")?;
        Ok(format!(
            "rbpftool ({}) unstable; urgency=medium\n\n  \
             * NEWS.gz beside this file tells what is new.\n\n \
             -- {}  {}\n",
            self.version,
            self.who,
            date.trim(),
        ))
    }
}

/// In the form that machines read.
fn copyright(mit: &str) -> String {
    let indented = |text: &str| {
        let lines = text.trim().lines().map(|line| match line.trim_end() {
            "" => " .\n".to_owned(),
            line => format!(" {line}\n"),
        });
        lines.collect::<String>()
    };
    let owner = mit
        .lines()
        .find_map(|line| line.strip_prefix("Copyright (c) "));
    format!(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\
         Upstream-Name: rbpftool\n\
         Comment: The crates in the binary and their licences are listed in crates.txt.\n\n\
         Files: *\n\
         Copyright: {}\n\
         License: Expat or Apache-2.0\n\n\
         License: Expat\n{}\n\
         License: Apache-2.0\n \
         On Debian systems, the text is in /usr/share/common-licenses/Apache-2.0.\n",
        owner.unwrap_or("the authors of rbpftool"),
        indented(mit),
    )
}

/// Without name and time.
fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    use std::io::Write as _;
    use std::process::Stdio;
    let mut child = Command::new("gzip")
        .args(["-9", "-n"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("start gzip")?;
    let mut to = child.stdin.take().context("no way to gzip")?;
    // what goes in is small, and what comes out is smaller than a pipe
    to.write_all(bytes).context("write to gzip")?;
    drop(to);
    let output = child.wait_with_output().context("wait for gzip")?;
    ensure!(output.status.success(), "gzip: {}", output.status);
    Ok(output.stdout)
}

/// `SHA256SUMS` of what was made.
pub(super) fn sums(made: &[PathBuf], dist: &Path) -> Result<()> {
    let names = made.iter().filter_map(|path| path.file_name());
    let mut cmd = Command::new("sha256sum");
    cmd.current_dir(dist).args(names);
    let said = run::stdout_of(&mut cmd).context("add up")?;
    fs::write(dist.join("SHA256SUMS"), said).context("write SHA256SUMS")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences_are_indented_for_machines() {
        let text = copyright("MIT License\n\nCopyright (c) 2026 somebody\n\nPermission is\n");
        assert!(text.contains("\nCopyright: 2026 somebody\n"), "{text}");
        assert!(
            text.contains("\nLicense: Expat\n MIT License\n .\n"),
            "{text}"
        );
    }

    #[test]
    fn debian_has_its_own_places() {
        let release = Release {
            version: "1.2.3".into(),
            machine: "x86_64".into(),
            time: "0".into(),
            who: "a <b@c>".into(),
        };
        let files = [
            File::new(format!("{MANUAL}/x.8"), "page"),
            File::new(format!("{DOC}/CHANGELOG.md"), "news"),
            File::new(format!("{DOC}/LICENSE-MIT"), "Copyright (c) 2026 x"),
        ];
        let all = release.for_debian(&files).unwrap();
        let paths: Vec<_> = all.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "share/man/man8/x.8.gz",
                "share/doc/rbpftool/NEWS.gz",
                "share/doc/rbpftool/copyright",
                "share/lintian/overrides/rbpftool",
                "share/doc/rbpftool/changelog.gz",
            ]
        );
        assert!(
            release
                .changelog()
                .unwrap()
                .ends_with("Thu, 01 Jan 1970 00:00:00 +0000\n")
        );
        assert!(
            release
                .control(5)
                .unwrap()
                .contains("\nArchitecture: amd64\n")
        );
    }
}
