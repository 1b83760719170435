//! One error for all stages.

use crate::kernel::KernelError;
use crate::model::{ModelError, Object};
use crate::relocate::PlanError;
use crate::target::TargetError;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Which stage an error is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Reading the file.
    File,
    /// Bytes to a model.
    Model,
    /// Facts about the kernel.
    Target,
    /// A model to a plan.
    Plan,
    /// A plan to descriptors.
    Kernel,
}

/// Why an object was not loaded.
///
/// Displays as one line that names the object; `{:#}` adds what is wrong with it, to the end of
/// the verifier's log if there is one.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read.
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no object.
    Model {
        /// The object's name.
        object: String,
        /// Why.
        source: Box<ModelError>,
    },
    /// Something must be known of the kernel that cannot be had.
    Target {
        /// The object's name.
        object: String,
        /// Why.
        source: Box<TargetError>,
    },
    /// The object cannot be relocated for this kernel.
    Plan {
        /// The object's name.
        object: String,
        /// Why.
        source: Box<PlanError>,
    },
    /// The kernel refused something.
    Kernel {
        /// The object's name.
        object: String,
        /// Why.
        source: Box<KernelError>,
    },
}

impl Error {
    /// An error of the kernel stage, with the object it is about.
    #[must_use]
    pub fn kernel_of(object: &Object, source: KernelError) -> Self {
        Self::Kernel {
            object: object.name.clone(),
            source: Box::new(source),
        }
    }

    /// Which stage it is of.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match self {
            Self::File { .. } => Stage::File,
            Self::Model { .. } => Stage::Model,
            Self::Target { .. } => Stage::Target,
            Self::Plan { .. } => Stage::Plan,
            Self::Kernel { .. } => Stage::Kernel,
        }
    }

    /// What can be done about it, when that can be told from the settings of the machine. Reads
    /// them.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Kernel { source, .. } => source.hint(),
            Self::File { .. } | Self::Model { .. } | Self::Target { .. } | Self::Plan { .. } => {
                None
            }
        }
    }

    /// The kernel's part of it.
    #[must_use]
    pub fn kernel(&self) -> Option<&KernelError> {
        match self {
            Self::Kernel { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, .. } => write!(f, "cannot read {}", path.display())?,
            Self::Model { object, .. } => write!(f, "'{object}' is no object to load")?,
            Self::Target { object, .. } => {
                write!(
                    f,
                    "cannot tell what object '{object}' needs to know of the kernel"
                )?;
            }
            Self::Plan { object, .. } => write!(f, "cannot relocate object '{object}'")?,
            Self::Kernel { object, .. } => write!(f, "cannot load object '{object}'")?,
        }
        if f.alternate() {
            let mut next = std::error::Error::source(self);
            while let Some(error) = next {
                next = error.source();
                // The log belongs to the end.
                if next.is_some() {
                    write!(f, ": {error}")?;
                } else {
                    write!(f, ": {error:#}")?;
                }
            }
            if let Some(log) = self.kernel().and_then(KernelError::log) {
                write!(f, "\n{log}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(match self {
            Self::File { source, .. } => source,
            Self::Model { source, .. } => &**source,
            Self::Target { source, .. } => &**source,
            Self::Plan { source, .. } => &**source,
            Self::Kernel { source, .. } => &**source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Pinned;

    #[test]
    fn the_chain_is_told_on_request() {
        let error = Error::Kernel {
            object: "x".into(),
            source: Box::new(KernelError::EmptySlot {
                map: "m".into(),
                index: 3,
                value: Pinned::Program("p".into()),
            }),
        };
        assert_eq!(error.to_string(), "cannot load object 'x'");
        assert_eq!(
            format!("{error:#}"),
            "cannot load object 'x': slot 3 of map 'm' should be program 'p', which was not loaded"
        );
        assert_eq!(error.stage(), Stage::Kernel);
        let missing = crate::open("no such file".as_ref()).unwrap_err();
        assert_eq!(
            format!("{missing:#}"),
            "cannot read no such file: No such file or directory (os error 2)"
        );
    }
}
