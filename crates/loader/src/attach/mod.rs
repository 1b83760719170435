//! Descriptors to links: programs begin to run.
//!
//! One type for each mechanism, built alike: what it attaches to in `new`, the rest as setters,
//! and `attach` with a program, which gives a [`Link`]. Dropping the link detaches.
//!
//! ```no_run
//! use loader::attach::RawTracepoint;
//! use loader::kernel::LoadOptions;
//!
//! let loaded = loader::open("counter.bpf.o".as_ref())?.load(&LoadOptions::new())?;
//! let program = loaded.program("on_switch").and_then(|program| program.fd());
//! let program = program.ok_or("no such program")?;
//! let mut link = RawTracepoint::new("sched_switch").cookie(7).attach(program)?;
//! link.pin("/sys/fs/bpf/on_switch".as_ref())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod auto;
mod auto_target;
mod cgroup;
mod error;
mod functions;
pub mod glob;
mod iter;
mod kprobe;
mod kprobe_multi;
mod ksyscall;
mod legacy;
mod link;
mod links;
mod lirc;
mod mprog;
mod netfilter;
mod netns;
pub mod perf;
mod perf_event;
mod raw_tracepoint;
mod socket;
mod sockmap;
mod struct_ops;
mod tc;
mod tracepoint;
pub mod tracing;
mod tracing_multi;
mod uprobe;
mod uprobe_multi;
mod usdt;
mod way;
mod xdp;

pub use auto::{AttachOptions, AutoOptions, auto, auto_with};
pub use auto_target::AttachTarget;
pub use cgroup::Cgroup;
pub use error::AttachError;
pub use iter::Iter;
pub use kprobe::Kprobe;
pub use kprobe_multi::KprobeMulti;
pub use ksyscall::Ksyscall;
pub use link::{Link, Part};
pub use links::Links;
pub use lirc::Lirc;
pub use mprog::{Netkit, Tcx};
pub use netfilter::{Netfilter, NetfilterHook};
pub use netns::Netns;
pub use perf::{PerfForm, ProbeForm};
pub use perf_event::{
    Access, Cache, CacheOp, CacheResult, HardwareEvent, PerfConfig, PerfEvents, PerfScope, Sample,
    SoftwareEvent,
};
pub use raw_tracepoint::RawTracepoint;
pub use socket::Socket;
pub use sockmap::Sockmap;
pub use struct_ops::StructOps;
pub use tc::Tc;
pub use tracepoint::Tracepoint;
pub use tracing::Tracing;
pub use tracing_multi::TracingMulti;
pub use uprobe::Uprobe;
pub use uprobe_multi::UprobeMulti;
pub use usdt::{Usdt, UsdtForm, UsdtMaps};
pub use xdp::Xdp;
