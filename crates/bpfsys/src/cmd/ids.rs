//! The commands that walk ids and turn them into descriptors.

#![allow(unsafe_code, reason = "makes bpf() calls")]

use crate::error::SysError;
use crate::fd::{BtfFd, LinkFd, MapFd, ProgFd, TokenFd};
use crate::ids::{BtfId, LinkId, MapId, ProgId};
use crate::sys::bpf::{bpf_fd, bpf_unit};
use crate::uapi::attr::{FdByIdAttr, NextIdAttr};
use crate::uapi::enums::Cmd;
use crate::uapi::flags::MapFlags;
use core::iter::FusedIterator;
use std::os::fd::OwnedFd;

/// The next id after `start`, or `None` at the end.
fn next_id(cmd: Cmd, start: u32) -> Result<Option<u32>, SysError> {
    let mut attr = NextIdAttr {
        start_id: start,
        next_id: 0,
    };
    // SAFETY: no pointer fields, so nothing but the attribute is read or written; the command
    // returns 0.
    match unsafe { bpf_unit(cmd, &mut attr) } {
        Ok(()) => Ok(Some(attr.next_id)),
        Err(error) if error.is(nix::errno::Errno::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A descriptor of the object with this id.
///
/// # Safety
/// `cmd` is one of the four *_GET_FD_BY_ID commands.
unsafe fn fd_by_id(
    cmd: Cmd,
    id: u32,
    open_flags: u32,
    token: Option<&TokenFd>,
) -> Result<OwnedFd, SysError> {
    let mut attr = FdByIdAttr {
        id,
        next_id: 0,
        open_flags,
        token_fd: 0,
    };
    if let Some(token) = token {
        attr.open_flags |= MapFlags::TOKEN_FD.bits();
        attr.token_fd = super::signed(Some(std::os::fd::AsFd::as_fd(token)));
    }
    // SAFETY: no pointer fields, so nothing but the attribute is read; these commands return a
    // new descriptor.
    unsafe { bpf_fd(cmd, &mut attr, None) }
}

/// The ids of one kind of object, in ascending order.
///
/// Objects come and go during the walk; one that appears behind the cursor is not seen. An error
/// other than the end of the list is yielded once, and then the walk ends.
#[derive(Debug)]
struct Ids<T> {
    cmd: Cmd,
    last: u32,
    done: bool,
    make: fn(u32) -> Option<T>,
}

impl<T> Iterator for Ids<T> {
    type Item = Result<T, SysError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        match next_id(self.cmd, self.last) {
            Ok(Some(id)) if id > self.last => {
                self.last = id;
                (self.make)(id).map(Ok)
            }
            // The kernel's list ascends; an id that does not would make us walk in circles.
            Ok(_) => {
                self.done = true;
                None
            }
            Err(error) => {
                self.done = true;
                Some(Err(error))
            }
        }
    }
}

impl<T> FusedIterator for Ids<T> {}

impl<T> Ids<T> {
    fn new(cmd: Cmd, make: fn(u32) -> Option<T>) -> Self {
        Self {
            cmd,
            last: 0,
            done: false,
            make,
        }
    }
}

/// BPF_PROG_GET_NEXT_ID: the ids of all programs of this kernel. Since Linux 4.13.
///
/// Errors, as an item: `EPERM` without `CAP_SYS_ADMIN`, `EINVAL` on older kernels.
#[doc(alias = "BPF_PROG_GET_NEXT_ID")]
pub fn prog_ids() -> impl FusedIterator<Item = Result<ProgId, SysError>> {
    Ids::new(Cmd::PROG_GET_NEXT_ID, ProgId::new)
}

/// BPF_MAP_GET_NEXT_ID: the ids of all maps of this kernel. Since Linux 4.13.
///
/// Errors, as an item: `EPERM` without `CAP_SYS_ADMIN`, `EINVAL` on older kernels.
#[doc(alias = "BPF_MAP_GET_NEXT_ID")]
pub fn map_ids() -> impl FusedIterator<Item = Result<MapId, SysError>> {
    Ids::new(Cmd::MAP_GET_NEXT_ID, MapId::new)
}

/// BPF_BTF_GET_NEXT_ID: the ids of all BTF objects of this kernel. Since Linux 5.4.
///
/// Errors, as an item: `EPERM` without `CAP_SYS_ADMIN`, `EINVAL` on older kernels.
#[doc(alias = "BPF_BTF_GET_NEXT_ID")]
pub fn btf_ids() -> impl FusedIterator<Item = Result<BtfId, SysError>> {
    Ids::new(Cmd::BTF_GET_NEXT_ID, BtfId::new)
}

/// BPF_LINK_GET_NEXT_ID: the ids of all links of this kernel. Since Linux 5.8.
///
/// Errors, as an item: `EPERM` without `CAP_SYS_ADMIN`, `EINVAL` on older kernels.
#[doc(alias = "BPF_LINK_GET_NEXT_ID")]
pub fn link_ids() -> impl FusedIterator<Item = Result<LinkId, SysError>> {
    Ids::new(Cmd::LINK_GET_NEXT_ID, LinkId::new)
}

/// The objects of one kind, opened one after another.
struct Opened<T, O> {
    cmd: Cmd,
    last: u32,
    /// Whether the last id followed the one before without a gap.
    dense: bool,
    done: bool,
    open: O,
    opens: core::marker::PhantomData<fn() -> T>,
}

impl<T, O: FnMut(u32) -> Option<Result<T, SysError>>> Opened<T, O> {
    fn new(cmd: Cmd, open: O) -> Self {
        Self {
            cmd,
            last: 0,
            dense: true,
            done: false,
            open,
            opens: core::marker::PhantomData,
        }
    }

    /// Opens the object with this id; `None` when there is none.
    fn try_open(&mut self, id: u32) -> Option<Result<T, SysError>> {
        use nix::errno::Errno;
        match (self.open)(id)? {
            // EAGAIN: a link whose creation has not ended
            Err(error) if error.is(Errno::ENOENT) || error.is(Errno::EAGAIN) => None,
            Err(error) => {
                self.done = true;
                Some(Err(error))
            }
            opened => {
                self.last = id;
                Some(opened)
            }
        }
    }
}

impl<T, O: FnMut(u32) -> Option<Result<T, SysError>>> Iterator for Opened<T, O> {
    type Item = Result<T, SysError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.done {
            // Ids are given out in a row: opening the next one at once often saves a call.
            if self.dense
                && let Some(id) = self.last.checked_add(1)
                && let Some(opened) = self.try_open(id)
            {
                return Some(opened);
            }
            match next_id(self.cmd, self.last) {
                Ok(Some(id)) if id > self.last => {
                    self.dense = id == self.last.saturating_add(1);
                    if let Some(opened) = self.try_open(id) {
                        return Some(opened);
                    }
                    self.last = id;
                }
                Ok(_) => self.done = true,
                Err(error) => {
                    self.done = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

impl<T, O: FnMut(u32) -> Option<Result<T, SysError>>> FusedIterator for Opened<T, O> {}

/// All programs of this kernel, opened, in the order of their ids. Since Linux 4.13.
///
/// Those that are gone before they can be opened are passed over. An error other than that is
/// yielded once, and then the walk ends.
///
/// Errors: as [`prog_ids`] and [`ProgFd::by_id`].
pub fn progs() -> impl FusedIterator<Item = Result<ProgFd, SysError>> {
    Opened::new(Cmd::PROG_GET_NEXT_ID, |id| {
        ProgId::new(id).map(ProgFd::by_id)
    })
}

/// All maps of this kernel, opened with access as `flags` say; otherwise as [`progs`].
pub fn maps(flags: MapFlags) -> impl FusedIterator<Item = Result<MapFd, SysError>> {
    Opened::new(Cmd::MAP_GET_NEXT_ID, move |id| {
        MapId::new(id).map(|id| MapFd::by_id(id, flags))
    })
}

/// All links of this kernel, opened; otherwise as [`progs`]. Since Linux 5.8.
pub fn links() -> impl FusedIterator<Item = Result<LinkFd, SysError>> {
    Opened::new(Cmd::LINK_GET_NEXT_ID, |id| {
        LinkId::new(id).map(LinkFd::by_id)
    })
}

/// All BTF objects of this kernel, opened; otherwise as [`progs`]. Since Linux 5.4.
pub fn btfs() -> impl FusedIterator<Item = Result<BtfFd, SysError>> {
    Opened::new(Cmd::BTF_GET_NEXT_ID, |id| BtfId::new(id).map(BtfFd::by_id))
}

impl ProgFd {
    /// BPF_PROG_GET_FD_BY_ID: opens a program by its id. Since Linux 4.13.
    ///
    /// # Errors
    /// `ENOENT` when it is gone, `EPERM` without `CAP_SYS_ADMIN`.
    #[doc(alias = "BPF_PROG_GET_FD_BY_ID")]
    pub fn by_id(id: ProgId) -> Result<Self, SysError> {
        // SAFETY: the command opens programs.
        let fd = unsafe { fd_by_id(Cmd::PROG_GET_FD_BY_ID, id.get(), 0, None) }?;
        Ok(Self::from_kernel(fd))
    }
}

impl MapFd {
    /// BPF_MAP_GET_FD_BY_ID: opens a map by its id, with [`MapFlags::RDONLY`],
    /// [`MapFlags::WRONLY`] or neither. Since Linux 4.13.
    ///
    /// # Errors
    /// `ENOENT` when it is gone, `EPERM` without `CAP_SYS_ADMIN`.
    #[doc(alias = "BPF_MAP_GET_FD_BY_ID")]
    pub fn by_id(id: MapId, flags: MapFlags) -> Result<Self, SysError> {
        // SAFETY: the command opens maps.
        let fd = unsafe { fd_by_id(Cmd::MAP_GET_FD_BY_ID, id.get(), flags.bits(), None) }?;
        Ok(Self::from_kernel(fd))
    }
}

impl BtfFd {
    /// BPF_BTF_GET_FD_BY_ID: opens a BTF object by its id. Since Linux 4.18.
    ///
    /// # Errors
    /// `ENOENT` when it is gone, `EPERM` without `CAP_SYS_ADMIN`.
    #[doc(alias = "BPF_BTF_GET_FD_BY_ID")]
    pub fn by_id(id: BtfId) -> Result<Self, SysError> {
        // SAFETY: the command opens BTF objects.
        let fd = unsafe { fd_by_id(Cmd::BTF_GET_FD_BY_ID, id.get(), 0, None) }?;
        Ok(Self::from_kernel(fd))
    }

    /// As [`by_id`](Self::by_id), with the rights of a token. Since Linux 6.15.
    ///
    /// # Errors
    /// As [`by_id`](Self::by_id); `EINVAL` on older kernels.
    pub fn by_id_with_token(id: BtfId, token: &TokenFd) -> Result<Self, SysError> {
        // SAFETY: the command opens BTF objects.
        let fd = unsafe { fd_by_id(Cmd::BTF_GET_FD_BY_ID, id.get(), 0, Some(token)) }?;
        Ok(Self::from_kernel(fd))
    }
}

impl LinkFd {
    /// BPF_LINK_GET_FD_BY_ID: opens a link by its id. Since Linux 5.8.
    ///
    /// # Errors
    /// `ENOENT` when it is gone, `EAGAIN` while it is being made, `EPERM` without
    /// `CAP_SYS_ADMIN`.
    #[doc(alias = "BPF_LINK_GET_FD_BY_ID")]
    pub fn by_id(id: LinkId) -> Result<Self, SysError> {
        // SAFETY: the command opens links.
        let fd = unsafe { fd_by_id(Cmd::LINK_GET_FD_BY_ID, id.get(), 0, None) }?;
        Ok(Self::from_kernel(fd))
    }
}
