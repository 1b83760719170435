//! Struct_ops: programs that stand in for the operations of a type of the kernel.

use super::{AttachError, Link, Part};
use crate::kernel::{Loaded, LoadedMap};
use bpfsys::MapFd;
use bpfsys::cmd::{LinkCreate, MapDeleteElem, MapUpdateElem};
use nix::errno::Errno;

/// The key of the only element of such a map.
const KEY: [u8; 4] = [0; 4];

/// Operations that are registered: by a link if the map was made for one (since Linux 6.4), or
/// by filling the map alone (since 5.6).
#[derive(Clone, Debug)]
#[doc(alias = "bpf_map__attach_struct_ops")]
pub struct StructOps<'a> {
    name: String,
    map: &'a MapFd,
    value: Vec<u8>,
    by_link: bool,
}

impl<'a> StructOps<'a> {
    /// The operations in a map, and the value to fill it with, as
    /// [`Loaded::struct_ops_value`] gives it.
    pub fn new(name: impl Into<String>, map: &'a MapFd, value: Vec<u8>) -> Self {
        Self {
            name: name.into(),
            map,
            value,
            by_link: false,
        }
    }

    /// The map was made to be registered by a link.
    #[must_use]
    #[doc(alias = "BPF_F_LINK")]
    pub fn by_link(mut self) -> Self {
        self.by_link = true;
        self
    }

    /// Registers the operations.
    ///
    /// # Errors
    /// The kernel refuses them, or has others of the same name.
    pub fn attach(&self) -> Result<Link, AttachError> {
        self.fill()?;
        let what = self.what();
        if self.by_link {
            return match LinkCreate::struct_ops(self.map).run() {
                Ok(link) => Ok(Link::new(what, link)),
                Err(source) => Err(self.failed(source)),
            };
        }
        let registered = self.map.try_clone();
        match registered {
            Ok(map) => Ok(Link::without_fd(what.clone(), Registered { what, map })),
            Err(source) => {
                let _as_it_was = MapDeleteElem::new(self.map, &KEY).run();
                Err(self.failed(source))
            }
        }
    }

    /// Lets these operations take over from those of a link.
    ///
    /// # Errors
    /// The link is not of operations of this type, or the type has no update.
    pub fn replace(&self, link: &Link) -> Result<(), AttachError> {
        self.fill()?;
        link.update_map(self.map)
    }

    fn fill(&self) -> Result<(), AttachError> {
        match MapUpdateElem::new(self.map, &KEY, &self.value).run() {
            // One that a link was made of before is filled, and cannot change.
            Err(error) if self.by_link && error.is(Errno::EBUSY) => Ok(()),
            filled => filled.map_err(|source| self.failed(source)),
        }
    }

    fn what(&self) -> String {
        format!("struct_ops {}", self.name)
    }

    fn failed(&self, source: bpfsys::SysError) -> AttachError {
        AttachError::kernel(format!("register {}", self.what()), source)
    }
}

/// Operations that stay registered until their element is deleted.
#[derive(Debug)]
struct Registered {
    what: String,
    map: MapFd,
}

impl Part for Registered {
    fn undo(&mut self) -> Result<(), AttachError> {
        MapDeleteElem::new(&self.map, &KEY)
            .run()
            .map_err(|source| AttachError::kernel(format!("unregister {}", self.what), source))
    }
}

impl Loaded {
    /// The operations in a map of this object, to register them.
    ///
    /// # Errors
    /// There is no such map, it implements nothing, or one of its programs was not loaded or was
    /// taken.
    pub fn struct_ops(&self, map: &str) -> Result<StructOps<'_>, AttachError> {
        let value = self
            .struct_ops_value(map)
            .map_err(|error| AttachError::Loaded(Box::new(error)))?;
        let found = self.map(map);
        let Some(fd) = found.and_then(LoadedMap::fd) else {
            return Err(AttachError::Missing {
                what: "struct_ops map",
                name: map.to_owned(),
            });
        };
        let ops = StructOps::new(map, fd, value);
        Ok(match found.is_some_and(LoadedMap::is_registered_by_link) {
            true => ops.by_link(),
            false => ops,
        })
    }
}
