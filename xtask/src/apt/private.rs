//! Another suite's packages, without touching the system's apt.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::Mirror;
use crate::ctx::Ctx;
use crate::run;

/// apt with lists, cache and sources of its own: nothing of the system's changes.
pub(crate) struct PrivateApt<'a> {
    ctx: &'a Ctx,
    dir: PathBuf,
    suite: &'a str,
}

impl<'a> PrivateApt<'a> {
    /// Reads the lists of `suite`, into `dir`.
    pub(crate) fn new(ctx: &'a Ctx, dir: &Path, mirror: &Mirror, suite: &'a str) -> Result<Self> {
        let dir = dir.join("apt").join(suite);
        for sub in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(dir.join(sub)).context("make a private apt directory")?;
        }
        let mut text = format!(
            "Types: deb\nURIs: {}\nSuites: {suite}\nComponents: main\n",
            mirror.uri
        );
        if let Some(key) = &mirror.signed_by {
            text.push_str(&format!("Signed-By: {key}\n"));
        }
        fs::write(dir.join("private.sources"), text).context("write a private apt source")?;
        let apt = Self { ctx, dir, suite };
        run::must(
            apt.command("apt-get").arg("update"),
            &ctx.log(&format!("apt-{suite}")),
        )
        .with_context(|| format!("read the package lists of {suite}"))?;
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut cmd = Command::new(program);
        let path = |sub: &str| self.dir.join(sub).display().to_string();
        for option in [
            format!("Dir::Etc::sourcelist={}", path("private.sources")),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            format!("Dir::State::lists={}", path("lists")),
            format!("Dir::Cache={}", path("cache")),
            "Acquire::Languages=none".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
            "Acquire::Retries=3".to_owned(),
            "APT::Sandbox::User=".to_owned(),
            "APT::Update::Post-Invoke::=true".to_owned(),
        ] {
            cmd.args(["-o", &option]);
        }
        cmd
    }

    /// The names of all packages that match a regular expression.
    pub(crate) fn search(&self, names: &str) -> Result<Vec<String>> {
        let said =
            run::stdout_of(
                self.command("apt-cache")
                    .args(["search", "--names-only", names]),
            )?;
        Ok(said
            .lines()
            .filter_map(|l| l.split_whitespace().next())
            .map(str::to_owned)
            .collect())
    }

    /// The packages that `package` depends on, without alternatives.
    pub(crate) fn depends(&self, package: &str) -> Result<Vec<String>> {
        let said = run::stdout_of(self.command("apt-cache").args(["depends", package]))?;
        Ok(said
            .lines()
            .filter_map(|l| l.trim().strip_prefix("Depends: "))
            .map(str::to_owned)
            .collect())
    }

    /// Fetches a package, checked by apt against the signed lists; its file.
    pub(crate) fn download(&self, package: &str) -> Result<PathBuf> {
        let into = self.dir.join("deb");
        if into.exists() {
            fs::remove_dir_all(&into).context("empty the download directory")?;
        }
        fs::create_dir_all(&into).context("make a download directory")?;
        println!("   fetching {package} of {}", self.suite);
        let mut cmd = self.command("apt-get");
        cmd.args(["download", package]).current_dir(&into);
        run::must(&mut cmd, &self.ctx.log("apt-download"))?;
        fs::read_dir(&into)
            .context("read the download directory")?
            .flatten()
            .map(|e| e.path())
            .find(|p| p.extension().is_some_and(|e| e == "deb"))
            .with_context(|| format!("apt-get download {package} left no package"))
    }
}
