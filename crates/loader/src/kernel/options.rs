//! What a load may be told.

use bpfsys::TokenFd;
use bpfsys::cmd::LogLevel;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a token comes from, which carries the right to load.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum TokenSource {
    /// There is none: the process has the rights itself.
    #[default]
    None,
    /// This one.
    Fd(Arc<TokenFd>),
    /// One made of the bpffs that is mounted here. It is an error when there is none to be had.
    Path(PathBuf),
    /// What libbpf does: `LIBBPF_BPF_TOKEN_PATH` says which bpffs, and nothing at all when it is
    /// empty; without it, one is made of `/sys/fs/bpf` if that can be done.
    Environment,
}

/// Everything that a load may be told. Nothing is taken from the environment unless it is asked
/// for here.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoadOptions {
    /// Below which directory maps are found and pinned by name. Default `/sys/fs/bpf`.
    pub pin_root: PathBuf,
    /// Where a token comes from. Default none.
    pub token: TokenSource,
    /// When to ask for the log of programs and types. Default on failure.
    pub log: LogLevel,
    /// Whether to raise the limit of locked memory on kernels that count maps and programs
    /// against it (before Linux 5.11). Default yes.
    pub raise_memlock: bool,
    /// A file with types that CO-RE relocations are resolved against, instead of the kernel's.
    pub core_btf: Option<PathBuf>,
    /// Configuration options, which go before those of the kernel: lines `CONFIG_NAME=value`.
    pub kconfig: Option<String>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            pin_root: "/sys/fs/bpf".into(),
            token: TokenSource::None,
            log: LogLevel::OnFailure,
            raise_memlock: true,
            core_btf: None,
            kconfig: None,
        }
    }
}

impl LoadOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Below which directory maps are found and pinned by name.
    #[must_use]
    pub fn pin_root(mut self, directory: impl Into<PathBuf>) -> Self {
        self.pin_root = directory.into();
        self
    }

    /// Where a token comes from.
    #[must_use]
    pub fn token(mut self, source: TokenSource) -> Self {
        self.token = source;
        self
    }

    /// When to ask for the log of programs and types.
    #[must_use]
    pub fn log(mut self, level: LogLevel) -> Self {
        self.log = level;
        self
    }

    /// Whether to raise the limit of locked memory where that is needed.
    #[must_use]
    pub fn raise_memlock(mut self, raise: bool) -> Self {
        self.raise_memlock = raise;
        self
    }

    /// A file with types that CO-RE relocations are resolved against.
    #[must_use]
    pub fn core_btf(mut self, path: impl Into<PathBuf>) -> Self {
        self.core_btf = Some(path.into());
        self
    }

    /// Configuration options, which go before those of the kernel.
    #[must_use]
    pub fn kconfig(mut self, text: impl Into<String>) -> Self {
        self.kconfig = Some(text.into());
        self
    }
}
