//! Making tokens.

use super::{KernelError, TokenSource};
use bpfsys::TokenFd;
use bpfsys::cmd::TokenCreate;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

/// Names a bpffs to make tokens of, or none when it is empty.
const VARIABLE: &str = "LIBBPF_BPF_TOKEN_PATH";
/// Where a bpffs usually is.
const USUAL: &str = "/sys/fs/bpf";

impl TokenSource {
    /// The token, if there is to be one.
    ///
    /// # Errors
    /// The bpffs that is named cannot be opened, or delegates nothing to this process.
    pub fn open(&self) -> Result<Option<Arc<TokenFd>>, KernelError> {
        match self {
            Self::None => Ok(None),
            Self::Fd(token) => Ok(Some(Arc::clone(token))),
            Self::Path(path) if path.as_os_str().is_empty() => Ok(None),
            Self::Path(path) => make(path).map(Some),
            Self::Environment => match std::env::var_os(VARIABLE) {
                Some(path) => Self::Path(path.into()).open(),
                // Nobody has asked for one: most bpffs delegate nothing.
                None => Ok(make(USUAL.as_ref()).ok()),
            },
        }
    }
}

fn make(path: &Path) -> Result<Arc<TokenFd>, KernelError> {
    let directory = OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_DIRECTORY)
        .open(path)
        .map_err(|source| KernelError::OpenTokenPath {
            path: path.to_owned(),
            source,
        })?;
    match TokenCreate::new(&directory).run() {
        Ok(token) => Ok(Arc::new(token)),
        Err(source) => Err(KernelError::Token {
            path: path.to_owned(),
            source,
        }),
    }
}
