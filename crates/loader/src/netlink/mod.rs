//! The part of rtnetlink that programs are attached through: interfaces with their XDP programs,
//! and traffic control.
//!
//! Every call sends one request and waits for the whole answer. [`attach`](crate::attach) is
//! built on it; by itself it lists what is attached, whoever did it:
//!
//! ```no_run
//! use loader::netlink::{Route, TcHandle};
//!
//! let mut route = Route::open()?;
//! for device in route.devices()? {
//!     for (mode, id) in &device.xdp.attached {
//!         println!("{}: {} {id}", device.ifindex, mode.name());
//!     }
//!     for filter in route.filters(device.ifindex, TcHandle::INGRESS)? {
//!         println!("{}: {:?}", device.ifindex, filter.bpf);
//!     }
//! }
//! # Ok::<(), loader::netlink::NetlinkError>(())
//! ```

mod attributes;
mod device;
mod error;
mod socket;
mod traffic;

pub use device::{Device, XdpExpect, XdpMode, XdpPrograms};
pub use error::NetlinkError;
pub use socket::Route;
pub use traffic::{BpfAction, BpfFilter, Filter, NewFilter, Qdisc, TcHandle};
