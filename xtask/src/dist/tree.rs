//! What is in a package, laid out in a directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::ctx::Ctx;
use crate::run;

/// Where the shells look, and what the tool calls them.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "share/bash-completion/completions/rbpftool"),
    ("zsh", "share/zsh/vendor-completions/_rbpftool"),
    ("fish", "share/fish/vendor_completions.d/rbpftool.fish"),
];

/// The directory of manual pages for those who run a machine.
pub(super) const MANUAL: &str = "share/man/man8";
/// The directory of what a package says about itself.
pub(super) const DOC: &str = "share/doc/rbpftool";

/// A file of a package: where it is below the prefix, what is in it, and whether it is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    pub(super) path: String,
    pub(super) bytes: Vec<u8>,
    pub(super) is_program: bool,
}

impl File {
    pub(super) fn new(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.into(),
            bytes: bytes.into(),
            is_program: false,
        }
    }
}

/// Everything that both packages have. The pages and the scripts are the tool's own answers.
pub(super) fn files(ctx: &Ctx, tool: &Path) -> Result<Vec<File>> {
    let ask = |args: &[&str]| {
        let said = run::stdout_of(Command::new(tool).args(args));
        let said = said.with_context(|| format!("ask the tool for {}", args.join(" ")))?;
        ensure!(!said.is_empty(), "the tool says nothing to {args:?}");
        Ok(said)
    };
    let read = |name: &str| {
        let path = ctx.root.join(name);
        fs::read(&path).with_context(|| format!("read {}", path.display()))
    };
    let mut files = vec![File {
        is_program: true,
        // users without privileges have a use for it too: for plans, types and skeletons
        ..File::new(
            "bin/rbpftool",
            fs::read(tool).with_context(|| format!("read {}", tool.display()))?,
        )
    }];
    for page in ask(&["__man"])?.lines() {
        let text = ask(&["__man", page])?;
        files.push(File::new(format!("{MANUAL}/{page}"), text));
    }
    for (shell, path) in COMPLETIONS {
        files.push(File::new(path, ask(&["completion", shell])?));
    }
    for name in ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        files.push(File::new(format!("{DOC}/{name}"), read(name)?));
    }
    files.push(File::new(
        format!("{DOC}/crates.txt"),
        linked(ctx).context("list what is linked into the tool")?,
    ));
    Ok(files)
}

/// The crates in the binary, with their licences.
fn linked(ctx: &Ctx) -> Result<String> {
    let triple = ctx.host_triple()?;
    let said = run::stdout_of(&mut ctx.cargo(&[
        "tree", "--locked", "-p", "rbpftool", "--edges", "normal", "--target", &triple, "--prefix",
        "none", "--format", "{p}\t{l}",
    ]))?;
    Ok(listed(&said))
}

/// Each crate once, sorted; those of this workspace have paths, which are nobody's business.
fn listed(said: &str) -> String {
    let mut lines: Vec<_> = said
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(krate, licence)| {
            let krate: Vec<_> = krate.split(' ').take(2).collect();
            let licence = licence.trim_end_matches(" (*)");
            format!("{}: {licence}\n", krate.join(" "))
        })
        .collect();
    lines.sort();
    lines.dedup();
    format!(
        "Crates in the binary, and their licences:\n\n{}",
        lines.concat()
    )
}

/// Writes the files below a directory, which is made anew.
pub(super) fn write(files: &[File], dir: &Path, prefix: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("remove {}", dir.display()))?;
    }
    let set = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .with_context(|| format!("set the mode of {}", path.display()))
    };
    for file in files {
        let path: PathBuf = dir.join(prefix).join(&file.path);
        let parent = path.parent().context("a file without a directory")?;
        fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
        fs::write(&path, &file.bytes).with_context(|| format!("write {}", path.display()))?;
        set(&path, if file.is_program { 0o755 } else { 0o644 })?;
        for made in parent.ancestors().take_while(|made| made.starts_with(dir)) {
            set(made, 0o755)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_are_listed_once_without_paths() {
        let said = "rbpftool v0.1.0 (/somewhere/crates/tool)\tMIT OR Apache-2.0\n\
                    memchr v2.8.0\tUnlicense OR MIT\n\
                    memchr v2.8.0\tUnlicense OR MIT (*)\n\n";
        assert_eq!(
            listed(said),
            "Crates in the binary, and their licences:\n\n\
             memchr v2.8.0: Unlicense OR MIT\n\
             rbpftool v0.1.0: MIT OR Apache-2.0\n"
        );
    }

    #[test]
    fn files_are_written_with_their_modes() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = std::env::temp_dir().join(format!("rbpftool-tree-{}", std::process::id()));
        let files = [
            File {
                is_program: true,
                ..File::new("bin/tool", "x")
            },
            File::new("share/doc/a", "y"),
        ];
        write(&files, &dir, "usr").unwrap();
        let mode = |path: &str| fs::metadata(dir.join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("usr/bin/tool"), 0o755);
        assert_eq!(mode("usr/share/doc/a"), 0o644);
        assert_eq!(mode("usr/share"), 0o755);
        fs::remove_dir_all(&dir).unwrap();
    }
}
