//! The unsafe mechanism: the system call, file descriptors, mappings, perf events,
//! keyrings and socket options.
//!
//! Nothing here knows what a command means; that is the business of [`cmd`](crate::cmd).

pub(crate) mod bpf;
pub(crate) mod fd;
pub mod kernel_btf;
pub mod keyring;
pub mod mmap;
pub mod perf_event;
pub mod sockopt;
pub(crate) mod uprobe;
