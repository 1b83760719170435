//! The context of loader programs, as light skeletons share it with them.
//!
//! Not the kernel's: libbpf's `skel_internal.h` lays it out, and skeletons that it made are
//! compiled with it. One [`LoaderCtx`] is followed by a [`LoaderMap`] for each map and a
//! [`LoaderProg`] for each program.

#![allow(
    missing_debug_implementations,
    reason = "the zerocopy derives make hidden types, which the lint takes for ours in macros"
)]

use super::UserPtr;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What comes first.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[doc(alias = "bpf_loader_ctx")]
pub struct LoaderCtx {
    /// Bytes of the whole context.
    pub sz: u32,
    /// 1 where addresses are those of the kernel.
    pub flags: u32,
    /// Level of the log of each load.
    pub log_level: u32,
    /// Bytes of the log's buffer.
    pub log_size: u32,
    /// The log's buffer.
    pub log_buf: UserPtr,
}

/// A map of the context.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[doc(alias = "bpf_map_desc")]
pub struct LoaderMap {
    /// Out: its descriptor.
    pub map_fd: i32,
    /// Entries at most, instead of what the program says; 0 for that.
    pub max_entries: u32,
    /// The value of key 0, instead of what the program says; null for that.
    pub initial_value: UserPtr,
}

/// A program of the context.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[doc(alias = "bpf_prog_desc")]
pub struct LoaderProg {
    /// Out: its descriptor.
    pub prog_fd: i32,
}

const _: () = {
    assert!(size_of::<LoaderCtx>() == 24);
    assert!(size_of::<LoaderMap>() == 16);
    assert!(size_of::<LoaderProg>() == 4);
    assert!(core::mem::offset_of!(LoaderCtx, log_buf) == 16);
    assert!(core::mem::offset_of!(LoaderMap, initial_value) == 8);
};
