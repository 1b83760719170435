//! Typed file descriptors of BPF objects.
//!
//! A typed descriptor can only be made where the kind is known: by a command that returns that
//! kind, or from an [`OwnedFd`] whose link in `/proc/self/fd` names it. The kernel writes that
//! name when it makes the descriptor and no user can choose it: files of real file systems show
//! there with an absolute path. So GET_INFO is never asked for the wrong structure, and the
//! [`MapShape`] of a map is the kernel's own.

use crate::cpus;
use crate::error::{Op, Refusal, SysError};
use crate::sys::fd::{number, raise};
use crate::uapi::enums::MapType;
use crate::uapi::flags::ElemFlags;
use crate::uapi::info::MapInfo;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

/// The sizes of a map's elements, as the kernel moves them.
///
/// Most commands on elements carry no length: the kernel reads and writes as much as the map says.
/// So every command checks its buffers against this.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub struct MapShape {
    /// The map's type.
    pub map_type: MapType,
    /// Bytes of a key; 0 for maps without keys.
    pub key_size: u32,
    /// Bytes of a value, for one CPU.
    pub value_size: u32,
    /// Largest number of elements.
    pub max_entries: u32,
    /// Bytes the kernel moves for a value: those of all possible CPUs, each rounded up to 8, for
    /// per-CPU maps.
    pub value_buf_len: usize,
}

impl MapShape {
    pub(crate) fn from_info(info: &MapInfo) -> Result<Self, SysError> {
        Self::compute(info, cpus::possible)
    }

    fn compute(
        info: &MapInfo,
        cpus: impl FnOnce() -> Result<usize, SysError>,
    ) -> Result<Self, SysError> {
        let map_type = info.type_();
        let refused = |refusal| SysError::cmd(crate::Cmd::OBJ_GET_INFO_BY_FD, refusal);
        if map_type.name().is_none() {
            // A type of the future may move more bytes than its value size says.
            return Err(refused(Refusal::UnknownMapType));
        }
        let value_buf_len = if map_type.is_per_cpu() {
            (info.value_size as usize)
                .checked_next_multiple_of(8)
                .and_then(|slot| slot.checked_mul(cpus().ok()?))
        } else if map_type.is_fd_map() {
            // The kernel moves exactly one descriptor or id, whatever the size says.
            Some(4)
        } else {
            Some(info.value_size as usize)
        };
        let value_buf_len = match value_buf_len {
            Some(len) => len,
            None => return Err(SysError::refused(Op::PossibleCpus, Refusal::NoCpuList)),
        };
        Ok(Self {
            map_type,
            key_size: info.key_size,
            value_size: info.value_size,
            max_entries: info.max_entries,
            value_buf_len,
        })
    }

    /// Bytes the kernel moves for a value when a command has these flags: with
    /// [`CPU`](ElemFlags::CPU) or [`ALL_CPUS`](ElemFlags::ALL_CPUS) it is one CPU's value, not
    /// rounded.
    #[must_use]
    pub fn value_len(&self, flags: ElemFlags) -> usize {
        if self.map_type.is_per_cpu() && flags.intersects(ElemFlags::CPU | ElemFlags::ALL_CPUS) {
            self.value_size as usize
        } else {
            self.value_buf_len
        }
    }

    /// Bytes between the values of two CPUs in an element of a per-CPU map.
    #[must_use]
    pub fn cpu_stride(&self) -> usize {
        (self.value_size as usize).next_multiple_of(8)
    }
}

/// What a file descriptor is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum FdKind {
    /// A program.
    Prog,
    /// A map.
    Map,
    /// A link.
    Link,
    /// A BTF object.
    Btf,
    /// An iterator to read from.
    Iter,
    /// A token.
    Token,
    /// What keeps run statistics on.
    Stats,
    /// Something else.
    Other,
}

impl FdKind {
    /// The kind of an open descriptor.
    ///
    /// # Errors
    /// That of reading the link in `/proc/self/fd`, which needs `/proc`.
    pub fn of(fd: &impl AsFd) -> Result<Self, SysError> {
        let path = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
        let link = nix::fcntl::readlink(&*path)
            .map_err(|errno| SysError::from_errno(Op::FdKind, errno))?;
        Ok(Self::from_link(link.as_encoded_bytes()))
    }

    fn from_link(link: &[u8]) -> Self {
        let Some(name) = link.strip_prefix(b"anon_inode:") else {
            return match link {
                // Tokens live on a bpffs without a path.
                b"bpf-token" | b"/bpf-token" => Self::Token,
                _ => Self::Other,
            };
        };
        match name {
            b"bpf-prog" => Self::Prog,
            b"bpf-map" => Self::Map,
            b"bpf-link" | b"bpf_link" => Self::Link,
            b"btf" => Self::Btf,
            b"bpf_iter" => Self::Iter,
            b"bpf-token" => Self::Token,
            b"bpf-stats" => Self::Stats,
            _ => Self::Other,
        }
    }

    fn require(self, fd: &OwnedFd) -> Result<(), SysError> {
        if Self::of(fd)? == self {
            Ok(())
        } else {
            Err(SysError::refused(Op::FdKind, Refusal::WrongKind))
        }
    }
}

macro_rules! typed_fd {
    ($(
        $(#[$meta:meta])*
        $name:ident: $kind:ident
    )*) => {$(
        $(#[$meta])*
        #[derive(Debug)]
        pub struct $name(OwnedFd);

        impl $name {
            /// Wraps a descriptor of a command that returns this kind.
            pub(crate) fn from_kernel(fd: OwnedFd) -> Self {
                Self(fd)
            }

            /// Another descriptor of the same object.
            ///
            /// # Errors
            /// `EMFILE` when the process has too many.
            pub fn try_clone(&self) -> Result<Self, SysError> {
                let fd = self.0.try_clone().map_err(|error| SysError::from_io(Op::Dup, &error))?;
                raise(fd).map(Self)
            }

            /// The number, as attribute structures hold it.
            #[allow(dead_code, reason = "not every kind is passed to a command")]
            pub(crate) fn number(&self) -> u32 {
                number(&self.0)
            }
        }

        fd_traits!($name, 0);

        impl TryFrom<OwnedFd> for $name {
            type Error = SysError;

            /// Takes a descriptor that came from elsewhere, after checking its kind through
            /// `/proc/self/fd`.
            fn try_from(fd: OwnedFd) -> Result<Self, SysError> {
                FdKind::$kind.require(&fd)?;
                raise(fd).map(Self)
            }
        }
    )*};
}

macro_rules! fd_traits {
    ($name:ident, $field:tt) => {
        impl AsFd for $name {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.$field.as_fd()
            }
        }

        impl AsRawFd for $name {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                self.$field.as_raw_fd()
            }
        }

        impl From<$name> for OwnedFd {
            fn from(fd: $name) -> Self {
                fd.$field.into()
            }
        }
    };
}

typed_fd! {
    /// A loaded program.
    ProgFd: Prog
    /// A link between a program and its hook. Dropping the last descriptor of a link that is not
    /// pinned detaches it.
    LinkFd: Link
    /// A loaded BTF object.
    BtfFd: Btf
    /// A token, which carries the right to use chosen commands.
    TokenFd: Token
    /// Keeps run statistics on for as long as it is open.
    StatsFd: Stats
}

/// A map, with the sizes of its elements once they have been asked for.
#[derive(Debug)]
pub struct MapFd {
    fd: OwnedFd,
    /// Sizes and type of a map never change.
    shape: OnceLock<MapShape>,
}

fd_traits!(MapFd, fd);

impl MapFd {
    /// Wraps a descriptor of a command that returns maps.
    pub(crate) fn from_kernel(fd: OwnedFd) -> Self {
        Self {
            fd,
            shape: OnceLock::new(),
        }
    }

    /// Another descriptor of the same map.
    ///
    /// # Errors
    /// `EMFILE` when the process has too many.
    pub fn try_clone(&self) -> Result<Self, SysError> {
        let fd = self
            .fd
            .try_clone()
            .map_err(|error| SysError::from_io(Op::Dup, &error))?;
        Ok(Self {
            fd: raise(fd)?,
            shape: self.shape.clone(),
        })
    }

    /// The sizes of the map's elements. Asks the kernel the first time only.
    ///
    /// # Errors
    /// That of asking; [`Refusal::UnknownMapType`] for a type this build does not know; that of
    /// [`cpus::possible`] for a per-CPU map.
    pub fn shape(&self) -> Result<MapShape, SysError> {
        match self.shape.get() {
            Some(shape) => Ok(*shape),
            None => {
                let info = crate::cmd::object::map_info(self)?;
                self.shape_from(&info)
            }
        }
    }

    /// Fills the cache from what the kernel has just said about this very map.
    pub(crate) fn shape_from(&self, info: &MapInfo) -> Result<MapShape, SysError> {
        let shape = MapShape::from_info(info)?;
        Ok(*self.shape.get_or_init(|| shape))
    }

    /// The number, as attribute structures hold it.
    pub(crate) fn number(&self) -> u32 {
        number(&self.fd)
    }
}

impl TryFrom<OwnedFd> for MapFd {
    type Error = SysError;

    /// Takes a descriptor that came from elsewhere, after checking its kind through
    /// `/proc/self/fd`.
    fn try_from(fd: OwnedFd) -> Result<Self, SysError> {
        FdKind::Map.require(&fd)?;
        raise(fd).map(Self::from_kernel)
    }
}

/// An iterator: read it to the end for one walk over its objects.
#[derive(Debug)]
pub struct IterFd(File);

fd_traits!(IterFd, 0);

impl IterFd {
    pub(crate) fn from_kernel(fd: OwnedFd) -> Self {
        Self(fd.into())
    }
}

impl Read for IterFd {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl TryFrom<OwnedFd> for IterFd {
    type Error = SysError;

    /// Takes a descriptor that came from elsewhere, after checking its kind through
    /// `/proc/self/fd`.
    fn try_from(fd: OwnedFd) -> Result<Self, SysError> {
        FdKind::Iter.require(&fd)?;
        raise(fd).map(Self::from_kernel)
    }
}

/// A descriptor of a kind that is known only at run time, such as that of a pinned object.
#[derive(Debug)]
pub enum AnyFd {
    /// A program.
    Prog(ProgFd),
    /// A map.
    Map(MapFd),
    /// A link.
    Link(LinkFd),
    /// A BTF object.
    Btf(BtfFd),
    /// Something else.
    Other(OwnedFd),
}

impl AnyFd {
    /// The kind.
    #[must_use]
    pub fn kind(&self) -> FdKind {
        match self {
            Self::Prog(_) => FdKind::Prog,
            Self::Map(_) => FdKind::Map,
            Self::Link(_) => FdKind::Link,
            Self::Btf(_) => FdKind::Btf,
            Self::Other(_) => FdKind::Other,
        }
    }
}

impl TryFrom<OwnedFd> for AnyFd {
    type Error = SysError;

    /// Asks `/proc/self/fd` for the kind.
    fn try_from(fd: OwnedFd) -> Result<Self, SysError> {
        let kind = FdKind::of(&fd)?;
        let fd = raise(fd)?;
        Ok(match kind {
            FdKind::Prog => Self::Prog(ProgFd::from_kernel(fd)),
            FdKind::Map => Self::Map(MapFd::from_kernel(fd)),
            FdKind::Link => Self::Link(LinkFd::from_kernel(fd)),
            FdKind::Btf => Self::Btf(BtfFd::from_kernel(fd)),
            FdKind::Iter | FdKind::Token | FdKind::Stats | FdKind::Other => Self::Other(fd),
        })
    }
}

impl AsFd for AnyFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Prog(fd) => fd.as_fd(),
            Self::Map(fd) => fd.as_fd(),
            Self::Link(fd) => fd.as_fd(),
            Self::Btf(fd) => fd.as_fd(),
            Self::Other(fd) => fd.as_fd(),
        }
    }
}

impl From<AnyFd> for OwnedFd {
    fn from(any: AnyFd) -> Self {
        match any {
            AnyFd::Prog(fd) => fd.into(),
            AnyFd::Map(fd) => fd.into(),
            AnyFd::Link(fd) => fd.into(),
            AnyFd::Btf(fd) => fd.into(),
            AnyFd::Other(fd) => fd,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(map_type: MapType, key_size: u32, value_size: u32) -> MapInfo {
        MapInfo {
            type_: map_type.0,
            key_size,
            value_size,
            max_entries: 7,
            ..Default::default()
        }
    }

    fn buf_len(map_type: MapType, value_size: u32) -> usize {
        MapShape::compute(&info(map_type, 4, value_size), || Ok(3))
            .unwrap()
            .value_buf_len
    }

    #[test]
    fn value_buffer_is_what_kernel_moves() {
        assert_eq!(buf_len(MapType::HASH, 5), 5);
        assert_eq!(buf_len(MapType::PERCPU_HASH, 5), 24);
        assert_eq!(buf_len(MapType::PERCPU_ARRAY, 8), 24);
        assert_eq!(buf_len(MapType::LRU_PERCPU_HASH, 9), 48);
        assert_eq!(buf_len(MapType::PERCPU_CGROUP_STORAGE, 1), 24);
        assert_eq!(buf_len(MapType::QUEUE, 12), 12);
        assert_eq!(buf_len(MapType::ARRAY_OF_MAPS, 4), 4);
        assert_eq!(buf_len(MapType::STACK_TRACE, 1016), 1016);
        assert_eq!(buf_len(MapType::SOCKMAP, 8), 8);
        assert_eq!(buf_len(MapType::RINGBUF, 0), 0);
    }

    #[test]
    fn one_cpu_flags_mean_one_value() {
        let shape = MapShape::compute(&info(MapType::PERCPU_HASH, 4, 5), || Ok(3)).unwrap();
        assert_eq!(shape.value_len(ElemFlags::on_cpu(2)), 5);
        assert_eq!(shape.value_len(ElemFlags::ALL_CPUS), 5);
        assert_eq!(shape.value_len(ElemFlags::EXIST), 24);
        assert_eq!(shape.cpu_stride(), 8);
        let shape = MapShape::compute(&info(MapType::HASH, 4, 5), || Ok(3)).unwrap();
        assert_eq!(shape.value_len(ElemFlags::on_cpu(2)), 5);
    }

    #[test]
    fn cpus_are_asked_for_per_cpu_maps_only() {
        let error = SysError::refused(Op::PossibleCpus, Refusal::NoCpuList);
        let shape = |map_type| MapShape::compute(&info(map_type, 4, 8), || Err(error));
        assert!(shape(MapType::HASH).is_ok());
        assert_eq!(shape(MapType::PERCPU_HASH), Err(error));
    }

    #[test]
    fn unknown_types_have_no_shape() {
        let error = MapShape::compute(&info(MapType(999), 4, 8), || Ok(1)).unwrap_err();
        assert_eq!(error.refusal(), Some(Refusal::UnknownMapType));
    }

    #[test]
    fn kind_follows_link_text() {
        let kind = FdKind::from_link;
        assert_eq!(kind(b"anon_inode:bpf-map"), FdKind::Map);
        assert_eq!(kind(b"anon_inode:bpf_link"), FdKind::Link);
        assert_eq!(kind(b"anon_inode:bpf-link"), FdKind::Link);
        assert_eq!(kind(b"/tmp/anon_inode:bpf-map"), FdKind::Other);
        assert_eq!(kind(b"anon_inode:bpf-mapx"), FdKind::Other);
        assert_eq!(kind(b"anon_inode:[eventpoll]"), FdKind::Other);
        assert_eq!(kind(b""), FdKind::Other);
    }

    #[test]
    fn wrong_kinds_are_refused() {
        let null = || OwnedFd::from(File::open("/dev/null").unwrap());
        let error = MapFd::try_from(null()).unwrap_err();
        assert_eq!(error.refusal(), Some(Refusal::WrongKind));
        assert!(ProgFd::try_from(null()).is_err());
        assert!(matches!(AnyFd::try_from(null()), Ok(AnyFd::Other(_))));
    }
}
