//! Why the content of a map cannot be reached.

use bpfsys::{MapFd, MapType, SysError};
use core::fmt;

/// Why the content of a map cannot be reached: the map, and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessError(Box<(String, AccessCause)>);

/// What is wrong with an access.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccessCause {
    /// The map is of another type.
    #[error("it is of type {found}, which is no {wanted}")]
    Kind {
        /// Its type.
        found: MapType,
        /// What it should be.
        wanted: &'static str,
    },
    /// A type here and the map's elements differ in size.
    #[error("its {what} has {real} bytes, the type given for it {given}")]
    Size {
        /// Which part of an element.
        what: &'static str,
        /// The size of the type.
        given: usize,
        /// The size in the map.
        real: usize,
    },
    /// A system call failed.
    #[error("cannot {step}")]
    Sys {
        /// What was being done.
        step: &'static str,
        /// Why it failed.
        #[source]
        source: SysError,
    },
    /// What others have written to shared memory breaks its rules.
    #[error("damaged at position {position}: {what}")]
    Damaged {
        /// Bytes written before.
        position: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The keys changed faster than they could be walked.
    #[error("it changes faster than it can be walked")]
    Unsettled,
    /// There are not as many values as CPUs.
    #[error("an element has a value for each of {cpus} cpus, not {given}")]
    CpuCount {
        /// Values given.
        given: usize,
        /// Values wanted.
        cpus: usize,
    },
    /// A CPU that is none.
    #[error("there is no cpu {cpu}")]
    NoCpu {
        /// Which.
        cpu: u32,
    },
    /// A place outside.
    #[error("{len} bytes at {offset} are not inside of its {size} bytes")]
    Outside {
        /// Where.
        offset: u64,
        /// How many.
        len: usize,
        /// How many there are.
        size: usize,
    },
    /// Only to be read.
    #[error("it can only be read")]
    ReadOnly,
    /// No variable of that name.
    #[error("it has no variable '{0}'")]
    NoVariable(String),
    /// A type here and a variable differ in size.
    #[error("variable '{name}' has {real} bytes, the type given for it {given}")]
    VariableSize {
        /// The variable.
        name: String,
        /// The size of the type.
        given: usize,
        /// The size of the variable.
        real: usize,
    },
    /// Its types cannot be read.
    #[error("its types cannot be read")]
    Types(#[source] btf::BtfError),
    /// It is not made to be used this way.
    #[error("{0}")]
    Unsuited(&'static str),
}

impl AccessError {
    pub(super) fn new(map: &str, cause: AccessCause) -> Self {
        Self(Box::new((map.to_owned(), cause)))
    }

    pub(super) fn sys(map: &str, step: &'static str, source: SysError) -> Self {
        Self::new(map, AccessCause::Sys { step, source })
    }

    /// The map's name in the kernel, or its number where it has none.
    #[must_use]
    pub fn map(&self) -> &str {
        &self.0.0
    }

    /// What is wrong.
    #[must_use]
    pub fn cause(&self) -> &AccessCause {
        &self.0.1
    }

    /// The answer of the kernel, if there was one.
    #[must_use]
    pub fn sys_error(&self) -> Option<SysError> {
        match self.cause() {
            AccessCause::Sys { source, .. } => Some(*source),
            _ => None,
        }
    }
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "map '{}': {}", self.0.0, self.0.1)
    }
}

impl std::error::Error for AccessError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.1.source()
    }
}

/// A map, what it is called in errors, and what the kernel says of it.
pub(super) struct Named {
    pub(super) map: MapFd,
    pub(super) name: Box<str>,
    pub(super) info: bpfsys::uapi::info::MapInfo,
}

impl Named {
    /// Another descriptor of the same open map.
    ///
    /// It is a duplicate on purpose: what is tied to the life of the descriptor that made it, such
    /// as the elements of arrays of perf events, lives as long as both.
    pub(super) fn duplicate(map: &MapFd) -> Result<Self, AccessError> {
        let (name, info) = describe(map)?;
        let map = map
            .try_clone()
            .map_err(|error| AccessError::sys(&name, "duplicate its descriptor", error))?;
        Ok(Self { map, name, info })
    }

    pub(super) fn require(&self, wanted: MapType, what: &'static str) -> Result<(), AccessError> {
        let found = self.info.type_();
        if found == wanted {
            return Ok(());
        }
        let cause = AccessCause::Kind {
            found,
            wanted: what,
        };
        Err(AccessError::new(&self.name, cause))
    }

    pub(super) fn sys(&self, step: &'static str) -> impl FnOnce(SysError) -> AccessError + use<> {
        let name = self.name.clone();
        move |error| AccessError::sys(&name, step, error)
    }
}

/// What a map is called, and what the kernel says of it.
pub(super) fn describe(
    map: &MapFd,
) -> Result<(Box<str>, bpfsys::uapi::info::MapInfo), AccessError> {
    let info = map
        .info()
        .map_err(|error| AccessError::sys("?", "ask the kernel about it", error))?;
    let name = match String::from_utf8_lossy(info.name()) {
        name if name.is_empty() => info.id.to_string(),
        name => name.into_owned(),
    };
    Ok((name.into_boxed_str(), info))
}
