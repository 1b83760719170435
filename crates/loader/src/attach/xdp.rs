//! XDP: programs that see packets as they arrive at an interface.

use super::{AttachError, Link, Part};
use crate::netlink::{NetlinkError, Route, XdpExpect, XdpMode};
use bpfsys::ProgFd;
use bpfsys::cmd::LinkCreate;
use bpfsys::cmd::link::LinkTarget;
use std::os::fd::AsFd;

/// The receive path of an interface.
#[derive(Clone, Copy, Debug)]
#[doc(alias = "bpf_program__attach_xdp")]
pub struct Xdp<'a> {
    ifindex: u32,
    mode: Option<XdpMode>,
    expect: Expect<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Expect<'a> {
    Anything,
    Nothing,
    Prog(&'a ProgFd),
}

impl<'a> Xdp<'a> {
    /// The interface with this number in the network namespace of the caller, with whatever mode
    /// its driver has.
    #[must_use]
    pub fn new(ifindex: u32) -> Self {
        Self {
            ifindex,
            mode: None,
            expect: Expect::Nothing,
        }
    }

    /// Only in this mode.
    #[must_use]
    pub fn mode(mut self, mode: XdpMode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// Takes the place of whatever program is there. Only for
    /// [`attach_netlink`](Self::attach_netlink).
    #[must_use]
    pub fn overwrite(mut self) -> Self {
        self.expect = Expect::Anything;
        self
    }

    /// Takes the place of this program, if that is the one that is there. Since Linux 5.7; only
    /// for [`attach_netlink`](Self::attach_netlink), links have [`Link::update`].
    #[must_use]
    #[doc(alias = "XDP_FLAGS_REPLACE")]
    pub fn replace(mut self, prog: &'a ProgFd) -> Self {
        self.expect = Expect::Prog(prog);
        self
    }

    fn what(&self) -> String {
        let mode = self.mode.map_or("", |mode| match mode {
            XdpMode::Generic => "generic ",
            XdpMode::Driver => "driver ",
            XdpMode::Offload => "offloaded ",
        });
        format!("{mode}XDP of interface {}", self.ifindex)
    }

    /// Attaches a program by a link. Since Linux 5.9.
    ///
    /// # Errors
    /// A program is there already, there is no such interface, its driver has not got the mode,
    /// or replacing was asked for.
    pub fn attach(&self, prog: &ProgFd) -> Result<Link, AttachError> {
        let what = self.what();
        if !matches!(self.expect, Expect::Nothing) {
            return Err(AttachError::Options {
                what,
                why: "a link cannot replace a program",
            });
        }
        let target = LinkTarget::Xdp {
            ifindex: self.ifindex,
            flags: self.mode.map_or(0, XdpMode::flag),
        };
        match LinkCreate::new(prog, target).run() {
            Ok(link) => Ok(Link::new(what, link)),
            Err(source) => Err(AttachError::kernel(format!("attach to {what}"), source)),
        }
    }

    /// Attaches a program without a link: it stays when this process ends, and can be replaced by
    /// others.
    ///
    /// # Errors
    /// A program is there already, or another one than expected, there is no such interface, or
    /// its driver has not got the mode.
    #[doc(alias = "bpf_xdp_attach")]
    pub fn attach_netlink(&self, prog: &ProgFd) -> Result<Link, AttachError> {
        let what = self.what();
        let own = prog.try_clone();
        let own = own.map_err(|e| AttachError::kernel(format!("attach to {what}"), e))?;
        let expect = match self.expect {
            Expect::Anything => XdpExpect::Anything,
            Expect::Nothing => XdpExpect::Nothing,
            Expect::Prog(old) => XdpExpect::Prog(old.as_fd()),
        };
        let attach = || -> Result<Route, NetlinkError> {
            let mut route = Route::open()?;
            route.set_xdp(self.ifindex, Some(prog.as_fd()), self.mode, expect)?;
            Ok(route)
        };
        let route = attach().map_err(|e| AttachError::netlink(format!("attach to {what}"), e))?;
        Ok(Link::without_fd(
            what.clone(),
            Attached {
                what,
                ifindex: self.ifindex,
                mode: self.mode,
                prog: own,
                route,
            },
        ))
    }
}

/// A program on an interface, and the namespace of that.
#[derive(Debug)]
struct Attached {
    what: String,
    ifindex: u32,
    mode: Option<XdpMode>,
    prog: ProgFd,
    route: Route,
}

impl Part for Attached {
    fn undo(&mut self) -> Result<(), AttachError> {
        // another program by now is not ours to take away
        let ours = XdpExpect::Prog(self.prog.as_fd());
        self.route
            .set_xdp(self.ifindex, None, self.mode, ours)
            .map_err(|error| AttachError::netlink(format!("detach from {}", self.what), error))
    }

    /// The kernel keeps it.
    fn leave(self: Box<Self>) {}
}
