//! The kernel this runs on.

use super::{Feature, ModuleBtf, Symbol, Target, TargetError};
use super::{features, kallsyms, kconfig, module_btf, version, vmlinux};
use bpfsys::TokenFd;
use bpfsys::probe::{self, Support};
use btf::Btf;
use nix::sys::utsname::{UtsName, uname};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

const KALLSYMS: &str = "/proc/kallsyms";
const PROC_CONFIG: &str = "/proc/config.gz";
const SIGNATURE: &str = "/proc/version_signature";
/// Where a file could be larger than what is wanted of it.
const SMALL: u64 = 4096;

/// The kernel this runs on. Nothing is asked before it is needed, and nothing twice.
///
/// ```no_run
/// use loader::target::{Running, Target};
///
/// let kernel = Running::new();
/// let hz = kernel.kconfig(&["CONFIG_HZ"])?;
/// println!("{hz:?}, {} types", kernel.vmlinux()?.len());
/// # Ok::<(), loader::target::TargetError>(())
/// ```
#[derive(Debug, Default)]
pub struct Running {
    token: Option<Arc<TokenFd>>,
    vmlinux: OnceLock<Arc<Btf<'static>>>,
    modules: OnceLock<Vec<ModuleBtf>>,
    named: module_btf::Named,
    /// Answers that a token was needed for; the others are kept for all by the probes.
    answers: Mutex<HashMap<Feature, Support>>,
}

impl Running {
    /// The kernel this runs on.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the kernel with the rights of a token.
    #[must_use]
    pub fn with_token(mut self, token: Arc<TokenFd>) -> Self {
        self.token = Some(token);
        self
    }

    /// The kernel's types, to share.
    fn vmlinux_arc(&self) -> Result<&Arc<Btf<'static>>, TargetError> {
        if let Some(known) = self.vmlinux.get() {
            return Ok(known);
        }
        let found = vmlinux::find(&release())?;
        Ok(self.vmlinux.get_or_init(|| found))
    }

    fn token(&self) -> Option<&TokenFd> {
        self.token.as_deref()
    }
}

impl Target for Running {
    fn vmlinux(&self) -> Result<&Btf<'static>, TargetError> {
        self.vmlinux_arc().map(|btf| &**btf)
    }

    fn modules(&self) -> Result<&[ModuleBtf], TargetError> {
        if let Some(known) = self.modules.get() {
            return Ok(known);
        }
        let found = module_btf::all(self.vmlinux_arc()?, self.token())?;
        Ok(self.modules.get_or_init(|| found))
    }

    fn module(&self, name: &str) -> Result<Option<&ModuleBtf>, TargetError> {
        if let Some(known) = self.modules.get()
            && let Some(module) = known.iter().find(|module| module.name == name)
        {
            return Ok(Some(module));
        }
        self.named.get_or_open(name, || {
            module_btf::one(name, self.vmlinux_arc()?, self.token())
        })
    }

    fn kallsyms(&self, names: &[&str]) -> Result<Vec<Symbol>, TargetError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let read = |source| TargetError::Read {
            path: KALLSYMS.into(),
            source,
        };
        let file = File::open(KALLSYMS).map_err(read)?;
        kallsyms::lookup(BufReader::with_capacity(1 << 16, file), names).map_err(read)
    }

    fn kconfig(&self, names: &[&str]) -> Result<Vec<Option<String>>, TargetError> {
        let mut options = kconfig::Options::new(names);
        if options.complete() {
            return Ok(Vec::new());
        }
        let boot = PathBuf::from(format!("/boot/config-{}", release()));
        let (path, file) = open_config(boot)?;
        let io = |source| TargetError::Read {
            path: path.clone(),
            source,
        };
        let text = kconfig::inflate(file).map_err(io)?;
        match options.read(text, &path.display().to_string()) {
            Ok(()) => Ok(options.finish()),
            Err(kconfig::ReadError::Line(error)) => Err(error),
            Err(kconfig::ReadError::Io(error)) => Err(io(error)),
        }
    }

    fn has(&self, feature: Feature) -> Support {
        let Some(token) = self.token() else {
            probe::at_once();
            return features::ask(feature, None);
        };
        let lock = || self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().get(&feature).copied();
        known.unwrap_or_else(|| {
            let answer = features::ask(feature, Some(token));
            if !matches!(answer, Support::Unknown(_)) {
                lock().insert(feature, answer);
            }
            answer
        })
    }

    fn version(&self) -> u32 {
        let signature = small_file(SIGNATURE.as_ref()).ok();
        let Ok(names) = uname() else {
            return 0;
        };
        let said: fn(&OsStr) -> std::borrow::Cow<'_, str> = OsStr::to_string_lossy;
        version::find(
            signature.as_deref(),
            &said(names.version()),
            &said(names.release()),
        )
    }

    fn possible_cpus(&self) -> Result<u32, TargetError> {
        let count = bpfsys::cpus::possible().map_err(TargetError::Cpus)?;
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    fn page_size(&self) -> u32 {
        use nix::unistd::{SysconfVar, sysconf};
        let asked = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
        asked.and_then(|size| size.try_into().ok()).unwrap_or(4096)
    }
}

/// The kernel's release, as `uname -r` says it.
fn release() -> String {
    let release = |names: UtsName| names.release().to_string_lossy().into_owned();
    uname().map(release).unwrap_or_default()
}

fn small_file(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(SMALL).read_to_string(&mut text)?;
    Ok(text)
}

/// Opens the kernel's configuration.
fn open_config(boot: PathBuf) -> Result<(PathBuf, File), TargetError> {
    if let Ok(file) = File::open(&boot) {
        return Ok((boot, file));
    }
    match File::open(PROC_CONFIG) {
        Ok(file) => Ok((PROC_CONFIG.into(), file)),
        Err(source) => Err(TargetError::NoKconfig { boot, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_has_a_page_size_and_a_version() {
        let kernel = Running::new();
        assert!(kernel.page_size().is_power_of_two());
        assert!(kernel.version() >= 4 << 16, "{:#x}", kernel.version());
        assert!(kernel.possible_cpus().is_ok_and(|cpus| cpus > 0));
        assert!(kernel.kallsyms(&[]).is_ok_and(|none| none.is_empty()));
        assert!(kernel.kconfig(&[]).is_ok_and(|none| none.is_empty()));
    }

    #[test]
    fn symbols_are_found_or_hidden() {
        let Ok(found) = Running::new().kallsyms(&["_stext", "no such symbol"]) else {
            return;
        };
        assert!(!matches!(found[0], Symbol::Missing), "{found:?}");
        assert_eq!(found[1], Symbol::Missing);
    }

    #[test]
    fn types_are_parsed_once() {
        let kernel = Running::new();
        match kernel.vmlinux() {
            Ok(btf) => {
                assert!(btf.len() > 1000);
                let other = Running::new();
                assert!(std::ptr::eq(btf, other.vmlinux().unwrap()));
            }
            Err(TargetError::NoKernelBtf { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}
