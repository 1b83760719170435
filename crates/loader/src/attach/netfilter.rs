//! Netfilter: programs at the hooks of a protocol family, among the other users of these.

use super::{AttachError, Link};
use bpfsys::ProgFd;
use bpfsys::cmd::{LinkCreate, LinkTarget};
use bpfsys::uapi::flags::NetfilterFlags;

/// Where a packet is on its way through the machine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u32)]
pub enum NetfilterHook {
    /// It has arrived.
    #[doc(alias = "NF_INET_PRE_ROUTING")]
    PreRouting = 0,
    /// It is for this machine.
    #[doc(alias = "NF_INET_LOCAL_IN")]
    Input = 1,
    /// It is for another one.
    #[doc(alias = "NF_INET_FORWARD")]
    Forward = 2,
    /// It is from this machine.
    #[doc(alias = "NF_INET_LOCAL_OUT")]
    Output = 3,
    /// It is about to leave.
    #[doc(alias = "NF_INET_POST_ROUTING")]
    PostRouting = 4,
}

/// A netfilter hook of the caller's network namespace. Since Linux 6.4.
#[derive(Clone, Copy, Debug)]
#[doc(alias = "bpf_program__attach_netfilter")]
pub struct Netfilter {
    pf: u32,
    hook: NetfilterHook,
    priority: i32,
    flags: NetfilterFlags,
}

impl Netfilter {
    /// Packets of IPv4.
    #[must_use]
    #[doc(alias = "NFPROTO_IPV4")]
    pub fn ipv4(hook: NetfilterHook) -> Self {
        Self::new(2, hook)
    }

    /// Packets of IPv6.
    #[must_use]
    #[doc(alias = "NFPROTO_IPV6")]
    pub fn ipv6(hook: NetfilterHook) -> Self {
        Self::new(10, hook)
    }

    fn new(pf: u32, hook: NetfilterHook) -> Self {
        Self {
            pf,
            hook,
            priority: 0,
            flags: NetfilterFlags::empty(),
        }
    }

    /// Lower ones go first. The lowest and the highest are not to be had.
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Puts fragments together first, for which the priority must be above -400. Since Linux 6.6.
    #[must_use]
    #[doc(alias = "BPF_F_NETFILTER_IP_DEFRAG")]
    pub fn defragment(mut self) -> Self {
        self.flags |= NetfilterFlags::IP_DEFRAG;
        self
    }

    /// Attaches a program.
    ///
    /// # Errors
    /// Somebody has the priority, the program does not fit, or the kernel has no such hook.
    pub fn attach(&self, prog: &ProgFd) -> Result<Link, AttachError> {
        let family = if self.pf == 2 { "IPv4" } else { "IPv6" };
        let what = format!(
            "netfilter hook {:?} of {family} with priority {}",
            self.hook, self.priority
        );
        let target = LinkTarget::Netfilter {
            pf: self.pf,
            hooknum: self.hook as u32,
            priority: self.priority,
            flags: self.flags,
        };
        match LinkCreate::new(prog, target).run() {
            Ok(link) => Ok(Link::new(what, link)),
            Err(source) => Err(AttachError::kernel(format!("attach to {what}"), source)),
        }
    }
}
