//! Making and freezing maps.

#![allow(unsafe_code, reason = "makes bpf() calls")]

use super::log_growth::LOG_START;
use super::{count32, signed};
use crate::error::{LoadError, Refusal, SysError};
use crate::fd::{BtfFd, MapFd, TokenFd};
use crate::log::VerifierLog;
use crate::sys::bpf::{bpf_fd, bpf_unit, common_attrs_known};
use crate::uapi::UserPtr;
use crate::uapi::attr::{CommonAttr, MapCreateAttr, MapFreezeAttr, obj_name};
use crate::uapi::enums::{Cmd, MapType};
use crate::uapi::flags::MapFlags;
use std::os::fd::AsFd;
use std::sync::OnceLock;

/// BPF_MAP_CREATE: makes a map. Since Linux 3.18.
///
/// Errors: `EINVAL` for a type or flag the kernel does not know or sizes the type does not take,
/// `E2BIG` and `ENOMEM` for sizes out of reach, `EPERM` without `CAP_BPF`.
#[doc(alias = "BPF_MAP_CREATE")]
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct MapCreate<'a> {
    attr: MapCreateAttr,
    name: &'a [u8],
    inner_map: Option<&'a MapFd>,
    btf: Option<&'a BtfFd>,
    value_type_btf: Option<&'a BtfFd>,
    token: Option<&'a TokenFd>,
    excl_prog_hash: &'a [u8],
}

impl<'a> MapCreate<'a> {
    /// A map of this type and these sizes.
    pub fn new(map_type: MapType, key_size: u32, value_size: u32, max_entries: u32) -> Self {
        Self {
            attr: MapCreateAttr {
                map_type: map_type.0,
                key_size,
                value_size,
                max_entries,
                ..Default::default()
            },
            name: &[],
            inner_map: None,
            btf: None,
            value_type_btf: None,
            token: None,
            excl_prog_hash: &[],
        }
    }

    /// A name of at most 15 letters, digits, `_` and `.`. Since Linux 4.15.
    pub fn name(mut self, name: &'a str) -> Self {
        self.name = name.as_bytes();
        self
    }

    /// Flags. Those that announce a field are set with the field.
    pub fn flags(mut self, flags: MapFlags) -> Self {
        self.attr.map_flags |= flags.bits();
        self
    }

    /// The pattern for the maps inside a map of maps. Since Linux 4.12.
    pub fn inner_map(mut self, inner: &'a MapFd) -> Self {
        self.inner_map = Some(inner);
        self
    }

    /// The NUMA node of its memory. Since Linux 4.14.
    pub fn numa_node(mut self, node: u32) -> Self {
        self.attr.numa_node = node;
        self.flags(MapFlags::NUMA_NODE)
    }

    /// The interface to offload it to. Since Linux 4.16.
    pub fn ifindex(mut self, ifindex: u32) -> Self {
        self.attr.map_ifindex = ifindex;
        self
    }

    /// The types of key and value. Since Linux 4.18.
    pub fn btf(mut self, btf: &'a BtfFd, key_type_id: u32, value_type_id: u32) -> Self {
        self.btf = Some(btf);
        self.attr.btf_key_type_id = key_type_id;
        self.attr.btf_value_type_id = value_type_id;
        self
    }

    /// The kernel type a struct_ops map implements, from `vmlinux` or the BTF object of a module
    /// (since Linux 6.9). Since Linux 5.6.
    pub fn vmlinux_value_type(mut self, type_id: u32, module: Option<&'a BtfFd>) -> Self {
        self.attr.btf_vmlinux_value_type_id = type_id;
        self.value_type_btf = module;
        self
    }

    /// What the type makes of it: hash functions of a bloom filter, address of an arena, size
    /// hint of an rhash. Since Linux 5.16.
    pub fn map_extra(mut self, extra: u64) -> Self {
        self.attr.map_extra = extra;
        self
    }

    /// Acts with the rights of a token. Since Linux 6.9.
    pub fn token(self, token: &'a TokenFd) -> Self {
        self.maybe_token(Some(token))
    }

    /// As [`token`](Self::token), if there is one.
    pub fn maybe_token(mut self, token: Option<&'a TokenFd>) -> Self {
        self.token = token;
        self
    }

    /// The SHA-256 of the only program that may use the map. Since Linux 6.18.
    pub fn excl_prog_hash(mut self, hash: &'a [u8]) -> Self {
        self.excl_prog_hash = hash;
        self
    }

    /// Makes the map.
    ///
    /// # Errors
    /// See the type; refused when the name breaks the rules.
    pub fn run(&self) -> Result<MapFd, SysError> {
        self.call(None)
    }

    /// As [`run`](Self::run); when it fails and the kernel can say why (since Linux 7.2), tries
    /// once more to get its words.
    ///
    /// # Errors
    /// As [`run`](Self::run), with the log.
    pub fn run_with_log(&self) -> Result<MapFd, LoadError> {
        static KNOWN: OnceLock<bool> = OnceLock::new();
        let first = match self.call(None) {
            Ok(map) => return Ok(map),
            Err(error) => error,
        };
        if first.errno().is_none() || !*KNOWN.get_or_init(common_attrs_known) {
            return Err(first.into());
        }
        let mut buffer = vec![0; LOG_START];
        let mut true_size = 0;
        let result = self.call(Some((&mut buffer, &mut true_size)));
        let truncated = true_size as usize > buffer.len();
        let log = VerifierLog::from_buffer(&buffer, true_size, truncated);
        result.map_err(|error| LoadError::new(error, log))
    }

    fn call(&self, log: Option<(&mut [u8], &mut u32)>) -> Result<MapFd, SysError> {
        let cmd = Cmd::MAP_CREATE;
        let mut attr = self.attr;
        attr.map_name = obj_name(self.name).ok_or(SysError::cmd(cmd, Refusal::Name))?;
        attr.inner_map_fd = self.inner_map.map_or(0, MapFd::number);
        attr.btf_fd = self.btf.map_or(0, BtfFd::number);
        if let Some(btf) = self.value_type_btf {
            attr.value_type_btf_obj_fd = signed(Some(btf.as_fd()));
            attr.map_flags |= MapFlags::VTYPE_BTF_OBJ_FD.bits();
        }
        if let Some(token) = self.token {
            attr.map_token_fd = signed(Some(token.as_fd()));
            attr.map_flags |= MapFlags::TOKEN_FD.bits();
        }
        attr.excl_prog_hash = UserPtr::from_slice(self.excl_prog_hash);
        attr.excl_prog_hash_size = count32(cmd, self.excl_prog_hash.len())?;
        let mut common = CommonAttr::default();
        let mut true_size = None;
        if let Some((buffer, size)) = log {
            common.log_size = count32(cmd, buffer.len())?;
            common.log_buf = UserPtr::from_mut_slice(buffer);
            common.log_level = 1;
            true_size = Some(size);
        }
        let with_log = true_size.is_some().then_some(&mut common);
        // SAFETY: `excl_prog_hash` is backed by `self` and `log_buf` by the argument; the kernel
        // reads the one and writes the other for the size beside each at most. The command
        // returns a new descriptor, of a map.
        let result = unsafe { bpf_fd(cmd, &mut attr, with_log) };
        if let Some(true_size) = true_size {
            *true_size = common.log_true_size;
        }
        result.map(MapFd::from_kernel)
    }
}

/// BPF_MAP_FREEZE: makes a map read-only for system calls, for good. Since Linux 5.2.
///
/// Errors: `EPERM` or `EBUSY` when it is frozen already, `EBUSY` while it is being written or is
/// mapped for writing, `ENOTSUPP` when its values hold
/// spin locks, timers and the like.
#[doc(alias = "BPF_MAP_FREEZE")]
#[derive(Clone, Copy, Debug)]
pub struct MapFreeze<'a> {
    map: &'a MapFd,
}

impl<'a> MapFreeze<'a> {
    /// Freezes `map`.
    #[must_use]
    pub fn new(map: &'a MapFd) -> Self {
        Self { map }
    }

    /// Makes the call.
    ///
    /// # Errors
    /// See the type.
    pub fn run(&self) -> Result<(), SysError> {
        let mut attr = MapFreezeAttr {
            map_fd: self.map.number(),
        };
        // SAFETY: the command has no pointer fields, writes nothing and returns 0.
        unsafe { bpf_unit(Cmd::MAP_FREEZE, &mut attr) }
    }
}
