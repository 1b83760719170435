//! Adding tests of a command, and telling a refusal from another.

use anyhow::{Result, bail};
use bpfsys::{ErrorKind, KernelVersion, SysError};
use rbpftool_tests::{Place, Private, Suite, skip};

/// The suite being filled, and the place its tests work in.
pub(crate) struct Bench {
    pub(crate) suite: Suite,
    pub(crate) place: Place,
}

/// A test that knows where it may work.
pub(crate) type Test = fn(&Private) -> Result<()>;

impl Bench {
    /// The two tests of a command.
    pub(crate) fn cmd(&mut self, name: &str, success: Test, errors: Test) {
        self.one(&format!("{name}::success"), success);
        self.one(&format!("{name}::errors"), errors);
    }

    /// One more test.
    pub(crate) fn one(&mut self, name: &str, test: Test) {
        self.with(name, test);
    }

    /// One more test, which has been told more.
    pub(crate) fn with(
        &mut self,
        name: &str,
        test: impl FnOnce(&Private) -> Result<()> + Send + 'static,
    ) {
        self.suite.add(name, self.place.test(test));
    }
}

/// Fails unless `result` is an error of this kind.
pub(crate) fn refused<T>(what: &str, result: Result<T, SysError>, kind: ErrorKind) -> Result<()> {
    match result {
        Ok(_) => bail!("{what} worked"),
        Err(e) if e.kind() == kind => Ok(()),
        Err(e) => bail!("{what}: {e} is {:?}, not {kind:?}", e.kind()),
    }
}

/// A command newer than the running kernel must be refused as unknown to it; the
/// rest of its test is a skip that names the version.
pub(crate) fn only_since<T>(
    version: (u16, u16),
    what: &str,
    result: Result<T, SysError>,
) -> Result<T> {
    let running = KernelVersion::running()?;
    match result {
        Ok(done) => Ok(done),
        Err(e) if (running.major, running.minor) >= version => bail!("{what}: {e}"),
        Err(e) if matches!(e.kind(), ErrorKind::Invalid | ErrorKind::Unsupported) => {
            Err(skip(format!(
                "{what} needs Linux {}.{}; this one ({}.{}) answers as it should: {e}",
                version.0, version.1, running.major, running.minor
            )))
        }
        Err(e) => bail!("{what} is unknown to this kernel, which answers {e}"),
    }
}

/// Is the running kernel older than this?
pub(crate) fn older_than(version: (u16, u16)) -> Result<bool> {
    let running = KernelVersion::running()?;
    Ok((running.major, running.minor) < version)
}

/// Is a call's answer the root of this error, or a type that the kernel's BTF lacks?
pub(crate) fn kernel_refused(error: &anyhow::Error) -> bool {
    let unsupported = |e: &std::io::Error| e.kind() == std::io::ErrorKind::Unsupported;
    error.chain().any(|e| {
        e.is::<SysError>()
            || e.is::<bpfsys::LoadError>()
            || e.is::<rbpftool_tests::state::Lacking>()
            || e.downcast_ref().is_some_and(unsupported)
    })
}

/// A kernel's refusal as the end of a test: a skip where the kernel is too old.
pub(crate) fn since(version: (u16, u16), error: anyhow::Error) -> anyhow::Error {
    let (major, minor) = version;
    match older_than(version) {
        Ok(true) if kernel_refused(&error) => {
            skip(format!("needs Linux {major}.{minor}: {error:#}"))
        }
        _ => error,
    }
}

/// Is the running kernel built with this option? `None` if that cannot be known.
pub(crate) fn configured(option: &str) -> Option<bool> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    let path = format!("/boot/config-{}", release.trim());
    let config = std::fs::read_to_string(path).ok()?;
    let wanted = option.split_once('=').map_or(option, |(name, _)| name);
    let line = config
        .lines()
        .find(|l| l.strip_prefix(wanted).is_some_and(|r| r.starts_with('=')));
    Some(line.is_some_and(|line| line == option || !option.contains('=')))
}
