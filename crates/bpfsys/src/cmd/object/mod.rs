//! Pinning, opening what is pinned, and asking objects about themselves.

#![allow(unsafe_code, reason = "makes bpf() calls")]

mod link_info;
mod pin;
mod prog_info;

pub use link_info::{IterTarget, LinkDetails, LinkKind, PerfEventLink};
pub use pin::{ObjGet, ObjPin};
pub use prog_info::{ProgDetails, ProgParts};

use super::count32;
use crate::error::{ErrorKind, Refusal, SysError};
use crate::fd::{BtfFd, MapFd, MapShape, TokenFd};
use crate::ids::BtfId;
use crate::sys::bpf::bpf_unit;
use crate::uapi::UserPtr;
use crate::uapi::attr::ObjGetInfoAttr;
use crate::uapi::enums::Cmd;
use crate::uapi::info::{BtfInfo, MapInfo, TokenInfo};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

const CMD: Cmd = Cmd::OBJ_GET_INFO_BY_FD;

/// How often an object that grows between the call that asks for sizes and the one that asks for
/// content is asked again.
const ROUNDS: u32 = 8;

/// Longest name of a BTF object, which is that of a module: 56 bytes in today's kernels.
const BTF_NAME_ROOM: usize = 64;

/// BPF_OBJ_GET_INFO_BY_FD: fills in an information structure.
///
/// # Safety
/// `T` is the structure of the kind of object `fd` is, and its pointer fields are null or hold
/// room for as much as the count fields beside them say.
unsafe fn get_info<T>(fd: u32, info: &mut T) -> Result<(), SysError>
where
    T: FromBytes + IntoBytes + Immutable + KnownLayout,
{
    let mut attr = ObjGetInfoAttr {
        bpf_fd: fd,
        info_len: count32(CMD, size_of::<T>())?,
        info: UserPtr::from_mut(info),
    };
    // SAFETY: `info` is backed by the argument and the kernel reads and writes `info_len` bytes
    // of it at most; for the pointers in it the caller answers. It returns 0.
    unsafe { bpf_unit(CMD, &mut attr) }
}

/// What the kernel says about a map.
pub(crate) fn map_info(map: &MapFd) -> Result<MapInfo, SysError> {
    let mut info = MapInfo::default();
    // SAFETY: a `MapFd` is a map, and all pointers are null.
    unsafe { get_info(map.number(), &mut info) }?;
    Ok(info)
}

impl MapFd {
    /// BPF_OBJ_GET_INFO_BY_FD of a map. Since Linux 4.13.
    ///
    /// # Errors
    /// `ENODEV` for an offloaded map whose device is gone.
    #[doc(alias = "BPF_OBJ_GET_INFO_BY_FD")]
    pub fn info(&self) -> Result<MapInfo, SysError> {
        let info = map_info(self)?;
        // A map whose shape cannot be told has information all the same.
        let _: Result<MapShape, SysError> = self.shape_from(&info);
        Ok(info)
    }

    /// The SHA-256 of a frozen array's content, which signatures cover. Since Linux 6.18.
    ///
    /// # Errors
    /// `EPERM` when the map is not frozen, `EINVAL` when its type has no hash, `E2BIG` on older
    /// kernels.
    pub fn hash(&self) -> Result<[u8; 32], SysError> {
        let mut hash = [0; 32];
        let mut info = MapInfo {
            hash: UserPtr::from_mut_slice(&mut hash),
            hash_size: 32,
            ..Default::default()
        };
        // SAFETY: a `MapFd` is a map; the kernel writes `hash_size` bytes to `hash`, if any.
        unsafe { get_info(self.number(), &mut info) }?;
        Ok(hash)
    }
}

/// What the kernel says about a BTF object.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BtfDetails {
    /// The numbers.
    pub info: BtfInfo,
    /// `vmlinux`, the name of a module, or empty for BTF loaded from user space.
    pub name: Vec<u8>,
}

impl BtfDetails {
    /// The object's id.
    #[must_use]
    pub const fn id(&self) -> Option<BtfId> {
        BtfId::new(self.info.id)
    }

    /// Whether it describes the kernel or a module.
    #[must_use]
    pub const fn is_kernel(&self) -> bool {
        self.info.kernel_btf != 0
    }
}

impl BtfFd {
    /// BPF_OBJ_GET_INFO_BY_FD of a BTF object. Since Linux 4.18; names since 5.11.
    ///
    /// # Errors
    /// The kernel's; none is usual.
    pub fn info(&self) -> Result<BtfDetails, SysError> {
        let mut room = BTF_NAME_ROOM;
        for _ in 0..ROUNDS {
            let mut name = vec![0; room];
            let mut info = BtfInfo {
                name: UserPtr::from_mut_slice(&mut name),
                name_len: count32(CMD, room)?,
                ..Default::default()
            };
            // SAFETY: a `BtfFd` is a BTF object; the kernel writes `name_len` bytes to `name` at
            // most, and `btf` is null.
            match unsafe { get_info(self.number(), &mut info) } {
                Ok(()) => {
                    name.truncate(info.name_len as usize);
                    return Ok(BtfDetails { info, name });
                }
                Err(error) if error.kind() == ErrorKind::NoSpace => {
                    room = (info.name_len as usize)
                        .saturating_add(1)
                        .clamp(room * 2, 1 << 16);
                }
                // Kernels without names refuse the fields they do not know.
                Err(error) if error.kind() == ErrorKind::TooBig => {
                    let info = self.plain_info()?;
                    let name = Vec::new();
                    return Ok(BtfDetails { info, name });
                }
                Err(error) => return Err(error),
            }
        }
        Err(SysError::cmd(CMD, Refusal::KeepsChanging))
    }

    /// Whether this kernel gives BTF objects names, as it does since modules have types.
    pub(crate) fn names_known(&self) -> Result<bool, SysError> {
        let mut name = [0; BTF_NAME_ROOM];
        let mut info = BtfInfo {
            name: UserPtr::from_mut_slice(&mut name),
            name_len: count32(CMD, BTF_NAME_ROOM)?,
            ..Default::default()
        };
        // SAFETY: a `BtfFd` is a BTF object; the kernel writes `name_len` bytes to `name` at most,
        // and `btf` is null.
        match unsafe { get_info(self.number(), &mut info) } {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::TooBig => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn plain_info(&self) -> Result<BtfInfo, SysError> {
        let mut info = BtfInfo::default();
        // SAFETY: a `BtfFd` is a BTF object, and all pointers are null.
        unsafe { get_info(self.number(), &mut info) }?;
        Ok(info)
    }

    /// The raw BTF.
    ///
    /// # Errors
    /// The kernel's; `ENOMEM` and the like.
    pub fn data(&self) -> Result<Vec<u8>, SysError> {
        let size = self.plain_info()?.btf_size;
        let mut data = vec![0; size as usize];
        let mut info = BtfInfo {
            btf: UserPtr::from_mut_slice(&mut data),
            btf_size: size,
            ..Default::default()
        };
        // SAFETY: a `BtfFd` is a BTF object; the kernel writes `btf_size` bytes to `btf` at most,
        // and `name` is null.
        unsafe { get_info(self.number(), &mut info) }?;
        // BTF never changes once loaded.
        if info.btf_size != size {
            return Err(SysError::cmd(CMD, Refusal::KeepsChanging));
        }
        Ok(data)
    }
}

impl TokenFd {
    /// BPF_OBJ_GET_INFO_BY_FD of a token. Since Linux 6.17.
    ///
    /// # Errors
    /// `EINVAL` on older kernels.
    pub fn info(&self) -> Result<TokenInfo, SysError> {
        let mut info = TokenInfo::default();
        // SAFETY: a `TokenFd` is a token, and there are no pointers.
        unsafe { get_info(self.number(), &mut info) }?;
        Ok(info)
    }
}

/// A string the kernel wrote with its zero.
fn c_bytes(mut buffer: Vec<u8>) -> Vec<u8> {
    if let Some(end) = buffer.iter().position(|b| *b == 0) {
        buffer.truncate(end);
    }
    buffer
}
