//! The types of kernels as files: the running one's, and those of others in the directory
//! `$RBPF_BTF_DIR`, where `cargo xtask vm --btf` puts them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use btf::Btf;

use crate::outcome::skip;
use crate::suite::Suite;

/// Where the running kernel's types are.
pub const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// A file of types.
#[derive(Debug, Clone)]
pub struct Blob {
    /// `vmlinux` for the running kernel's, else `6.12` or `6.12/veth`.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// The file of what they are split from.
    pub base: Option<PathBuf>,
}

impl Blob {
    /// Reads the types, with their base.
    ///
    /// # Errors
    /// A skip if a file cannot be read; types that are not sound.
    pub fn read(&self) -> Result<Btf<'static>> {
        let bytes = |path: &Path| {
            std::fs::read(path).map_err(|e| skip(format!("{} cannot be read: {e}", path.display())))
        };
        let data = bytes(&self.path)?;
        let btf = match &self.base {
            Some(base) => Btf::parse_split(data, Arc::new(Btf::parse(bytes(base)?)?)),
            None => Btf::parse(data),
        };
        btf.with_context(|| self.path.display().to_string())
    }
}

/// All that there are.
#[derive(Debug)]
pub struct Blobs {
    /// Whole kernels, the running one first.
    pub kernels: Vec<Blob>,
    /// Modules, by kernel.
    pub modules: Vec<(String, Vec<Blob>)>,
    /// Kernels that are not there, and why.
    lacking: Vec<(String, String)>,
}

impl Blobs {
    /// Looks for them.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn find() -> Result<Self> {
        let mut found = Self {
            kernels: vec![Blob {
                name: "vmlinux".to_owned(),
                path: VMLINUX.into(),
                base: None,
            }],
            modules: Vec::new(),
            lacking: Vec::new(),
        };
        let Some(dir) = std::env::var_os("RBPF_BTF_DIR") else {
            let why = "the types of other kernels have not been extracted (cargo xtask vm --btf)";
            found
                .lacking
                .push(("other_kernels".to_owned(), why.to_owned()));
            return Ok(found);
        };
        for path in files(Path::new(&dir))? {
            let name = stem(&path);
            if has_extension(&path, "btf") {
                found.kernels.push(Blob {
                    name: name.clone(),
                    path: path.clone(),
                    base: None,
                });
                let modules = modules(Path::new(&dir), &name, &path)?;
                // Before Linux 5.11, modules have no types.
                if !modules.is_empty() {
                    found.modules.push((name, modules));
                }
            } else if has_extension(&path, "lacking") {
                let why = std::fs::read_to_string(&path)
                    .with_context(|| format!("read {}", path.display()))?;
                found.lacking.push((name, why));
            }
        }
        Ok(found)
    }

    /// A skipped test for each kernel that is not there.
    pub fn tell_lacking(&self, suite: &mut Suite) {
        for (name, why) in &self.lacking {
            let why = why.clone();
            suite.add(format!("{name}::types"), move || Err(skip(why)));
        }
    }
}

fn modules(dir: &Path, kernel: &str, vmlinux: &Path) -> Result<Vec<Blob>> {
    let dir = dir.join(format!("modules-{kernel}"));
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let files = files(&dir)?.into_iter().filter(|p| has_extension(p, "btf"));
    Ok(files
        .map(|path| {
            let own = path.with_extension("base");
            Blob {
                name: format!("{kernel}/{}", stem(&path)),
                base: Some(if own.is_file() {
                    own
                } else {
                    vmlinux.to_owned()
                }),
                path,
            }
        })
        .collect())
}

fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(dir).with_context(|| format!("read {}", dir.display()))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    files.sort();
    Ok(files)
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension() == Some(OsStr::new(extension))
}

fn stem(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}
