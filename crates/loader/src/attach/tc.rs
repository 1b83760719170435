//! Traffic control by filters: programs at the hooks of an interface's clsact discipline, or in
//! any discipline or class that has filters.

use super::{AttachError, Link, Part};
use crate::netlink::{NetlinkError, NewFilter, Route, TcHandle};
use bpfsys::{ProgFd, ProgId, SysError};
use nix::errno::Errno;
use std::os::fd::AsFd;

/// A filter of an interface. Newer kernels have [`Tcx`](super::Tcx) for the two hooks.
#[derive(Clone, Copy, Debug)]
#[doc(alias = "bpf_tc_attach")]
#[doc(alias = "bpf_tc_hook_create")]
pub struct Tc {
    ifindex: u32,
    parent: TcHandle,
    handle: u32,
    priority: u16,
    replace: bool,
    direct_action: bool,
}

impl Tc {
    /// Packets that arrive at an interface.
    #[must_use]
    pub fn ingress(ifindex: u32) -> Self {
        Self::under(ifindex, TcHandle::INGRESS)
    }

    /// Packets that leave by an interface.
    #[must_use]
    pub fn egress(ifindex: u32) -> Self {
        Self::under(ifindex, TcHandle::EGRESS)
    }

    /// A discipline or class that exists.
    #[must_use]
    pub fn under(ifindex: u32, parent: TcHandle) -> Self {
        Self {
            ifindex,
            parent,
            handle: 0,
            priority: 0,
            replace: false,
            direct_action: true,
        }
    }

    /// Lower ones go first. Without it the kernel gives one before all that it has given.
    #[must_use]
    pub fn priority(mut self, priority: u16) -> Self {
        self.priority = priority;
        self
    }

    /// Its number among those of its priority.
    #[must_use]
    pub fn handle(mut self, handle: u32) -> Self {
        self.handle = handle;
        self
    }

    /// Takes the place of the filter with these numbers, if there is one.
    #[must_use]
    pub fn replace(mut self) -> Self {
        self.replace = true;
        self
    }

    /// Programs that only sort packets into classes: what they return is a class, and not what
    /// becomes of the packet.
    #[must_use]
    pub fn classify_only(mut self) -> Self {
        self.direct_action = false;
        self
    }

    fn what(&self) -> String {
        format!("{} of interface {}", self.parent, self.ifindex)
    }

    /// Attaches a program. The clsact discipline is added where it is missing, and goes with the
    /// link unless somebody else uses it by then.
    ///
    /// # Errors
    /// There is no such interface, discipline or class, a filter with these numbers is there, or
    /// the program is no classifier.
    pub fn attach(&self, prog: &ProgFd) -> Result<Link, AttachError> {
        let what = self.what();
        let failed = |source: SysError| AttachError::kernel(format!("attach to {what}"), source);
        let info = prog.info().map_err(failed)?;
        // libbpf's form, by which people know their programs in lists
        let name = [info.name(), format!(":[{}]", info.id).as_bytes()].concat();
        let attach = || -> Result<Attached, NetlinkError> {
            let mut route = Route::open()?;
            let added = self.add_clsact(&mut route)?;
            let new = NewFilter {
                ifindex: self.ifindex,
                parent: self.parent,
                prog: prog.as_fd(),
                name: &name,
                handle: self.handle,
                priority: self.priority,
                replace: self.replace,
                direct_action: self.direct_action,
            };
            match route.add_filter(&new) {
                Ok(filter) => Ok(Attached {
                    what: what.clone(),
                    ifindex: self.ifindex,
                    parent: self.parent,
                    handle: filter.handle,
                    priority: filter.priority,
                    prog: info.id(),
                    added,
                    route,
                }),
                Err(error) => {
                    if added {
                        // what went wrong first is what is told
                        let _told_to_nobody = remove_unused(&mut route, self.ifindex);
                    }
                    Err(error)
                }
            }
        };
        match attach() {
            Ok(attached) => Ok(Link::without_fd(what, attached)),
            Err(error) => Err(AttachError::netlink(format!("attach to {what}"), error)),
        }
    }

    /// Adds the discipline that this filter needs; whether it was missing.
    fn add_clsact(&self, route: &mut Route) -> Result<bool, NetlinkError> {
        if !matches!(self.parent, TcHandle::INGRESS | TcHandle::EGRESS) {
            return Ok(false);
        }
        match route.add_clsact(self.ifindex) {
            Ok(()) => Ok(true),
            Err(error) if error.is(Errno::EEXIST) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// A filter with the numbers the kernel gave it.
#[derive(Debug)]
struct Attached {
    what: String,
    ifindex: u32,
    parent: TcHandle,
    handle: u32,
    priority: u16,
    prog: Option<ProgId>,
    /// Whether the discipline was added for it.
    added: bool,
    route: Route,
}

impl Part for Attached {
    fn undo(&mut self) -> Result<(), AttachError> {
        let failed = |error| AttachError::netlink(format!("detach from {}", self.what), error);
        let found = self
            .route
            .filter(self.ifindex, self.parent, self.handle, self.priority)
            .map_err(failed)?;
        let ours = found.and_then(|filter| filter.bpf?.prog_id);
        if ours.is_none() || ours != self.prog {
            return Err(AttachError::Missing {
                what: "program of ours at",
                name: self.what.clone(),
            });
        }
        self.route
            .remove_filter(self.ifindex, self.parent, self.handle, self.priority)
            .map_err(failed)?;
        if self.added {
            remove_unused(&mut self.route, self.ifindex).map_err(failed)?;
        }
        Ok(())
    }

    /// The kernel keeps it.
    fn leave(self: Box<Self>) {}
}

/// Removes the clsact discipline if no filter is left.
fn remove_unused(route: &mut Route, ifindex: u32) -> Result<(), NetlinkError> {
    for hook in [TcHandle::INGRESS, TcHandle::EGRESS] {
        if !route.filters(ifindex, hook)?.is_empty() {
            return Ok(());
        }
    }
    route.remove_clsact(ifindex)
}
