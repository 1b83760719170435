//! The elements of a map: what the loader's walk over them may fail with, in words.

use bpfsys::uapi::info::MapInfo;
use bpfsys::{ErrorKind, MapFd, SysError};
use loader::maps::{Entries, WalkError};
use nix::errno::Errno;

use crate::failure::{Failure, Result, errno_status};

/// Starts a walk, so that a map that cannot be read fails here.
pub fn open<'m>(map: &'m MapFd, info: &MapInfo) -> Result<Entries<'m>> {
    Entries::open(map).map_err(|error| match error {
        WalkError::Start(error) => cannot_dump(info, error),
        error => error.into(),
    })
}

impl From<WalkError> for Failure {
    fn from(error: WalkError) -> Self {
        match error {
            WalkError::Shape(error) => Self::because("can't get map info", error),
            WalkError::Piece(error) => Self::because("can't read the map's elements", error),
            WalkError::NextKey(error) => Self::because("can't get next key", error),
            WalkError::Unsettled => {
                Self::new("the map changes faster than it can be read: gave up")
            }
            error => Self::because("can't read the map", error),
        }
    }
}

/// Says which types of maps have no elements that could be listed.
fn cannot_dump(info: &MapInfo, error: SysError) -> Failure {
    let status = errno_status(&error);
    let unsupported = error.kind() == ErrorKind::Unsupported || error.is(Errno::EINVAL);
    let kind = info.type_();
    let what = format!("can't dump map {} of type {kind}", info.id);
    let failure = if unsupported {
        Failure::because(format_args!("{what}: its elements cannot be listed"), error)
    } else {
        Failure::because(what, error)
    };
    failure.with_status(status)
}
