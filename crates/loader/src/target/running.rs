//! The kernel this runs on.

use super::{Feature, ModuleBtf, Symbol, Target, TargetError};
use super::{features, kallsyms, kconfig, module_btf, version, vmlinux};
use bpfsys::TokenFd;
use bpfsys::probe::Support;
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
/// let kernel = Running::new().with_kconfig("CONFIG_HZ=1000\n");
/// let hz = kernel.kconfig(&["CONFIG_HZ"])?;
/// assert_eq!(hz, [Some("1000".to_owned())]);
/// # Ok::<(), loader::target::TargetError>(())
/// ```
#[derive(Debug, Default)]
pub struct Running {
    core_path: Option<PathBuf>,
    kconfig: Option<String>,
    token: Option<Arc<TokenFd>>,
    vmlinux: OnceLock<Arc<Btf<'static>>>,
    core: OnceLock<Btf<'static>>,
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

    /// Resolves CO-RE relocations against the types in a file, raw or ELF, instead of those of
    /// the kernel and its modules. What programs attach to, and which functions and variables of
    /// the kernel they use, is still looked up in the kernel's own.
    #[must_use]
    pub fn with_btf(mut self, path: impl Into<PathBuf>) -> Self {
        self.core_path = Some(path.into());
        self
    }

    /// What configuration options are, whatever the kernel's own configuration says: lines of
    /// the form `CONFIG_NAME=value`.
    #[must_use]
    pub fn with_kconfig(mut self, text: impl Into<String>) -> Self {
        self.kconfig = Some(text.into());
        self
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

    fn core_types(&self) -> Result<Option<&Btf<'static>>, TargetError> {
        let Some(path) = &self.core_path else {
            return Ok(None);
        };
        if let Some(known) = self.core.get() {
            return Ok(Some(known));
        }
        let read = vmlinux::from_file(path)?;
        Ok(Some(self.core.get_or_init(|| read)))
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
        if let Some(given) = &self.kconfig {
            let read = options.read(given.as_bytes(), "the given configuration");
            read.map_err(|error| at("the given configuration".as_ref(), error))?;
        }
        if !options.complete() {
            let boot = PathBuf::from(format!("/boot/config-{}", release()));
            let (path, file) = open_config(boot)?;
            let text = kconfig::inflate(file).map_err(|source| TargetError::Read {
                path: path.clone(),
                source,
            })?;
            let read = options.read(text, &path.display().to_string());
            read.map_err(|error| at(&path, error))?;
        }
        Ok(options.finish())
    }

    fn has(&self, feature: Feature) -> Support {
        let Some(token) = self.token() else {
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

fn at(path: &Path, error: kconfig::ReadError) -> TargetError {
    match error {
        kconfig::ReadError::Line(error) => error,
        kconfig::ReadError::Io(source) => TargetError::Read {
            path: path.to_owned(),
            source,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_options_need_no_file() {
        let kernel = Running::new().with_kconfig("CONFIG_A=y\nCONFIG_B=\"b\"\n");
        let found = kernel.kconfig(&["CONFIG_B", "CONFIG_A"]).unwrap();
        assert_eq!(found, [Some("\"b\"".into()), Some("y".into())]);
        let error = Running::new()
            .with_kconfig("CONFIG_A\n")
            .kconfig(&["CONFIG_A"])
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the given configuration, line 1: `CONFIG_A` is no option with its value"
        );
    }

    #[test]
    fn machine_has_a_page_size_and_a_version() {
        let kernel = Running::new();
        assert!(kernel.page_size().is_power_of_two());
        assert!(kernel.version() >= 4 << 16, "{:#x}", kernel.version());
        assert!(kernel.possible_cpus().is_ok_and(|cpus| cpus > 0));
        assert!(kernel.kallsyms(&[]).is_ok_and(|none| none.is_empty()));
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
