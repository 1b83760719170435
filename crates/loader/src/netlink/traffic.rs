//! Traffic control: disciplines, classes, and filters that are programs.

use super::attributes::{Attribute, Attributes, attributes};
use super::socket::Message;
use super::{NetlinkError, Route};
use bpfsys::ProgId;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_ECHO, NLM_F_EXCL, NLM_F_REPLACE};
use nix::errno::Errno;
use std::os::fd::{AsRawFd, BorrowedFd};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

const RTM_NEWQDISC: u16 = 36;
const RTM_DELQDISC: u16 = 37;
const RTM_GETQDISC: u16 = 38;
const RTM_NEWTCLASS: u16 = 40;
const RTM_GETTCLASS: u16 = 42;
const RTM_NEWTFILTER: u16 = 44;
const RTM_DELTFILTER: u16 = 45;
const RTM_GETTFILTER: u16 = 46;

const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;

const TCA_BPF_ACT: u16 = 1;
const TCA_BPF_FD: u16 = 6;
const TCA_BPF_NAME: u16 = 7;
const TCA_BPF_FLAGS: u16 = 8;
const TCA_BPF_ID: u16 = 11;

const TCA_ACT_KIND: u16 = 1;
const TCA_ACT_OPTIONS: u16 = 2;

const TCA_ACT_BPF_NAME: u16 = 6;
const TCA_ACT_BPF_ID: u16 = 9;

/// `TCA_BPF_FLAG_ACT_DIRECT`
const ACT_DIRECT: u32 = 1;
/// `ETH_P_ALL`, as it goes over the wire.
const ALL_PROTOCOLS: u16 = 3_u16.to_be();

/// `struct tcmsg`
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct TcMsg {
    family: u8,
    pad: [u8; 3],
    ifindex: i32,
    handle: u32,
    parent: u32,
    info: u32,
}

/// A discipline, class or hook of an interface: two numbers, `MAJOR:MINOR`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TcHandle(pub u32);

impl TcHandle {
    /// What has no parent.
    #[doc(alias = "TC_H_ROOT")]
    pub const ROOT: Self = Self(u32::MAX);
    /// The discipline with the two hooks.
    #[doc(alias = "TC_H_CLSACT")]
    pub const CLSACT: Self = Self(0xffff_0000);
    /// Packets that arrive.
    #[doc(alias = "TC_H_MIN_INGRESS")]
    pub const INGRESS: Self = Self(0xffff_fff2);
    /// Packets that leave.
    #[doc(alias = "TC_H_MIN_EGRESS")]
    pub const EGRESS: Self = Self(0xffff_fff3);

    /// `MAJOR:MINOR`
    #[must_use]
    pub const fn new(major: u16, minor: u16) -> Self {
        Self((major as u32) << 16 | minor as u32)
    }
}

impl std::fmt::Display for TcHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::ROOT => f.write_str("root"),
            Self::INGRESS => f.write_str("clsact/ingress"),
            Self::EGRESS => f.write_str("clsact/egress"),
            Self(handle) => write!(f, "{:x}:{:x}", handle >> 16, handle & 0xffff),
        }
    }
}

/// A discipline, or a class of one.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Qdisc {
    /// The interface.
    pub ifindex: u32,
    /// `clsact`, `htb`, …
    pub kind: Vec<u8>,
    /// Its own number; 0 when it has none.
    pub handle: TcHandle,
    /// What it belongs to.
    pub parent: TcHandle,
}

/// A filter.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Filter {
    /// `bpf`, `u32`, …
    pub kind: Vec<u8>,
    /// What it belongs to.
    pub parent: TcHandle,
    /// Its number among those of its priority; 0 for the priority itself.
    pub handle: u32,
    /// Lower ones go first.
    pub priority: u16,
    /// The program, when it is one.
    pub bpf: Option<BpfFilter>,
}

/// What a filter says that is a program.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct BpfFilter {
    /// What whoever attached it called it.
    pub name: Option<Vec<u8>>,
    /// The program. Since Linux 4.13.
    pub prog_id: Option<ProgId>,
    /// Whether what the program returns says what becomes of the packet.
    pub direct_action: bool,
    /// Programs that are actions of it, if it has any actions.
    pub actions: Option<Vec<BpfAction>>,
}

/// A program that is the action of a filter.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct BpfAction {
    /// What whoever attached it called it.
    pub name: Option<Vec<u8>>,
    /// The program.
    pub prog_id: Option<ProgId>,
}

/// A program to be attached as a filter.
#[derive(Clone, Copy, Debug)]
pub struct NewFilter<'a> {
    /// The interface.
    pub ifindex: u32,
    /// The hook, or a discipline or class.
    pub parent: TcHandle,
    /// The program.
    pub prog: BorrowedFd<'a>,
    /// What it is called in lists.
    pub name: &'a [u8],
    /// Its number; 0 lets the kernel choose.
    pub handle: u32,
    /// Lower ones go first; 0 lets the kernel choose.
    pub priority: u16,
    /// Whether one with these numbers may be there already; it is replaced.
    pub replace: bool,
    /// Whether what the program returns says what becomes of the packet.
    pub direct_action: bool,
}

impl Route {
    /// The disciplines of all interfaces.
    ///
    /// # Errors
    /// The kernel's, or its answer cannot be read.
    #[doc(alias = "RTM_GETQDISC")]
    pub fn qdiscs(&mut self) -> Result<Vec<Qdisc>, NetlinkError> {
        let messages = self.list(RTM_GETQDISC, TcMsg::default().as_bytes())?;
        let messages = messages.iter().filter(|m| m.kind == RTM_NEWQDISC);
        messages.map(qdisc).collect()
    }

    /// The classes of the disciplines of an interface.
    ///
    /// # Errors
    /// The kernel's, or its answer cannot be read.
    #[doc(alias = "RTM_GETTCLASS")]
    pub fn classes(&mut self, ifindex: u32) -> Result<Vec<Qdisc>, NetlinkError> {
        let header = header(ifindex, TcHandle(0))?;
        let messages = self.list(RTM_GETTCLASS, header.as_bytes())?;
        let messages = messages.iter().filter(|m| m.kind == RTM_NEWTCLASS);
        messages.map(qdisc).collect()
    }

    /// The filters of a hook, discipline or class, in the order they run.
    ///
    /// # Errors
    /// `ENODEV` when there is no such interface, or the answer cannot be read.
    #[doc(alias = "RTM_GETTFILTER")]
    pub fn filters(&mut self, ifindex: u32, parent: TcHandle) -> Result<Vec<Filter>, NetlinkError> {
        let header = header(ifindex, parent)?;
        let messages = self.list(RTM_GETTFILTER, header.as_bytes())?;
        let messages = messages.iter().filter(|m| m.kind == RTM_NEWTFILTER);
        messages.map(filter).collect()
    }

    /// Adds the discipline with the two hooks to an interface.
    ///
    /// # Errors
    /// `EEXIST` when it is there, or its elder with one hook.
    #[doc(alias = "bpf_tc_hook_create")]
    pub fn add_clsact(&mut self, ifindex: u32) -> Result<(), NetlinkError> {
        self.change_clsact(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, ifindex)
    }

    /// Removes it, with all filters.
    ///
    /// # Errors
    /// `EINVAL` or `ENOENT` when it is not there.
    #[doc(alias = "bpf_tc_hook_destroy")]
    pub fn remove_clsact(&mut self, ifindex: u32) -> Result<(), NetlinkError> {
        self.change_clsact(RTM_DELQDISC, 0, ifindex)
    }

    fn change_clsact(&mut self, kind: u16, flags: u16, ifindex: u32) -> Result<(), NetlinkError> {
        let header = TcMsg {
            handle: TcHandle::CLSACT.0,
            // which is also the name of the place it is at
            ..header(ifindex, TcHandle(0xffff_fff1))?
        };
        let body = Attributes::default().text(TCA_KIND, "clsact");
        self.change(kind, flags, header.as_bytes(), body)?;
        Ok(())
    }

    /// Attaches a program as a filter; the kernel says with which numbers.
    ///
    /// # Errors
    /// `EINVAL` or `ENOENT` when the hook is not there or the program is no classifier, `EEXIST`
    /// when there is a filter with these numbers.
    #[doc(alias = "bpf_tc_attach")]
    pub fn add_filter(&mut self, new: &NewFilter<'_>) -> Result<Filter, NetlinkError> {
        let header = TcMsg {
            handle: new.handle,
            info: info(new.priority),
            ..header(new.ifindex, new.parent)?
        };
        let flags = if new.direct_action { ACT_DIRECT } else { 0 };
        let options = Attributes::default()
            .bytes(TCA_BPF_FD, new.prog.as_raw_fd().to_ne_bytes())
            .text(TCA_BPF_NAME, new.name)
            .u32(TCA_BPF_FLAGS, flags);
        let body = Attributes::default()
            .text(TCA_KIND, "bpf")
            .nested(TCA_OPTIONS, options)?;
        let unless = if new.replace {
            NLM_F_REPLACE
        } else {
            NLM_F_EXCL
        };
        let flags = NLM_F_CREATE | NLM_F_ECHO | unless;
        let told = self.change(RTM_NEWTFILTER, flags, header.as_bytes(), body)?;
        let told = told.iter().find(|m| m.kind == RTM_NEWTFILTER);
        filter(told.ok_or(NetlinkError::NotTold)?)
    }

    /// One filter that is a program; `None` when there is none with these numbers.
    ///
    /// # Errors
    /// The kernel's, or its answer cannot be read.
    #[doc(alias = "bpf_tc_query")]
    pub fn filter(
        &mut self,
        ifindex: u32,
        parent: TcHandle,
        handle: u32,
        priority: u16,
    ) -> Result<Option<Filter>, NetlinkError> {
        let header = TcMsg {
            handle,
            info: info(priority),
            ..header(ifindex, parent)?
        };
        let body = Attributes::default().text(TCA_KIND, "bpf");
        let told = match self.ask(RTM_GETTFILTER, header.as_bytes(), body) {
            Err(error) if error.is(Errno::ENOENT) => return Ok(None),
            told => told?,
        };
        let mut told = told.iter().filter(|m| m.kind == RTM_NEWTFILTER);
        told.next().map(filter).transpose()
    }

    /// Removes a filter that is a program.
    ///
    /// # Errors
    /// `ENOENT` or `EINVAL` when it is not there.
    #[doc(alias = "bpf_tc_detach")]
    pub fn remove_filter(
        &mut self,
        ifindex: u32,
        parent: TcHandle,
        handle: u32,
        priority: u16,
    ) -> Result<(), NetlinkError> {
        let header = TcMsg {
            handle,
            info: info(priority),
            ..header(ifindex, parent)?
        };
        let body = Attributes::default().text(TCA_KIND, "bpf");
        self.change(RTM_DELTFILTER, 0, header.as_bytes(), body)?;
        Ok(())
    }
}

fn header(ifindex: u32, parent: TcHandle) -> Result<TcMsg, NetlinkError> {
    let index = i32::try_from(ifindex).ok().filter(|index| *index > 0);
    Ok(TcMsg {
        ifindex: index.ok_or_else(|| NetlinkError::errno(Errno::ENODEV))?,
        parent: parent.0,
        ..TcMsg::default()
    })
}

/// Priority and protocol.
fn info(priority: u16) -> u32 {
    u32::from(priority) << 16 | u32::from(ALL_PROTOCOLS)
}

fn split(message: &Message) -> Result<(TcMsg, &[u8]), NetlinkError> {
    TcMsg::read_from_prefix(&message.body)
        .map_err(|_too_short| NetlinkError::Malformed("traffic control without a header".into()))
}

fn text(from: &[Attribute<'_>], kind: u16) -> Option<Vec<u8>> {
    find(from, kind).map(|attribute| attribute.text().to_vec())
}

fn prog_id(from: &[Attribute<'_>], kind: u16) -> Result<Option<ProgId>, NetlinkError> {
    match find(from, kind) {
        Some(attribute) => attribute.u32().map(ProgId::new),
        None => Ok(None),
    }
}

fn find<'a, 'b>(from: &'b [Attribute<'a>], kind: u16) -> Option<&'b Attribute<'a>> {
    from.iter().find(|attribute| attribute.kind == kind)
}

fn qdisc(message: &Message) -> Result<Qdisc, NetlinkError> {
    let (tc, rest) = split(message)?;
    Ok(Qdisc {
        ifindex: tc.ifindex.cast_unsigned(),
        kind: text(&attributes(rest)?, TCA_KIND).unwrap_or_default(),
        handle: TcHandle(tc.handle),
        parent: TcHandle(tc.parent),
    })
}

fn filter(message: &Message) -> Result<Filter, NetlinkError> {
    let (tc, rest) = split(message)?;
    let attributes = attributes(rest)?;
    let kind = text(&attributes, TCA_KIND).unwrap_or_default();
    let bpf = match find(&attributes, TCA_OPTIONS) {
        Some(options) if kind == b"bpf" => Some(bpf_filter(options)?),
        _ => None,
    };
    Ok(Filter {
        kind,
        parent: TcHandle(tc.parent),
        handle: tc.handle,
        priority: u16::try_from(tc.info >> 16).unwrap_or_default(),
        bpf,
    })
}

fn bpf_filter(options: &Attribute<'_>) -> Result<BpfFilter, NetlinkError> {
    let options = attributes(options.value)?;
    let flags = match find(&options, TCA_BPF_FLAGS) {
        Some(flags) => flags.u32()?,
        None => 0,
    };
    Ok(BpfFilter {
        name: text(&options, TCA_BPF_NAME),
        prog_id: prog_id(&options, TCA_BPF_ID)?,
        direct_action: flags & ACT_DIRECT != 0,
        actions: find(&options, TCA_BPF_ACT).map(actions).transpose()?,
    })
}

/// The actions that are programs; each is an attribute whose number is its place.
fn actions(all: &Attribute<'_>) -> Result<Vec<BpfAction>, NetlinkError> {
    let mut found = Vec::new();
    for action in attributes(all.value)? {
        let action = attributes(action.value)?;
        if text(&action, TCA_ACT_KIND).as_deref() != Some(b"bpf") {
            continue;
        }
        if let Some(options) = find(&action, TCA_ACT_OPTIONS) {
            let options = attributes(options.value)?;
            found.push(BpfAction {
                name: text(&options, TCA_ACT_BPF_NAME),
                prog_id: prog_id(&options, TCA_ACT_BPF_ID)?,
            });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(options: Attributes) -> Message {
        let body = Attributes::default()
            .text(TCA_KIND, "bpf")
            .nested(TCA_OPTIONS, options)
            .unwrap()
            .encode()
            .unwrap();
        let header = TcMsg {
            handle: 1,
            info: info(49152),
            ..header(5, TcHandle::INGRESS).unwrap()
        };
        Message {
            kind: RTM_NEWTFILTER,
            body: [header.as_bytes(), &body].concat(),
        }
    }

    #[test]
    fn filters_are_read_with_their_actions() {
        let options = Attributes::default()
            .text(TCA_ACT_BPF_NAME, "count:[9]")
            .u32(TCA_ACT_BPF_ID, 9);
        let action = Attributes::default()
            .text(TCA_ACT_KIND, "bpf")
            .nested(TCA_ACT_OPTIONS, options)
            .unwrap();
        let other = Attributes::default().text(TCA_ACT_KIND, "gact");
        let actions = Attributes::default()
            .nested(1, other)
            .and_then(|actions| actions.nested(2, action))
            .unwrap();
        let message = message(
            Attributes::default()
                .text(TCA_BPF_NAME, "drop:[7]")
                .u32(TCA_BPF_ID, 7)
                .u32(TCA_BPF_FLAGS, ACT_DIRECT)
                .nested(TCA_BPF_ACT, actions)
                .unwrap(),
        );
        let read = filter(&message).unwrap();
        assert_eq!((read.handle, read.priority), (1, 49152));
        assert_eq!(read.parent, TcHandle::INGRESS);
        let expected = BpfFilter {
            name: Some(b"drop:[7]".to_vec()),
            prog_id: ProgId::new(7),
            direct_action: true,
            actions: Some(vec![BpfAction {
                name: Some(b"count:[9]".to_vec()),
                prog_id: ProgId::new(9),
            }]),
        };
        assert_eq!(read.bpf, Some(expected));
    }

    #[test]
    fn cut_messages_are_errors_or_less() {
        let whole = message(Attributes::default().u32(TCA_BPF_ID, 7));
        for len in 0..whole.body.len() {
            let cut = Message {
                kind: whole.kind,
                body: whole.body[..len].to_vec(),
            };
            if let Ok(read) = filter(&cut) {
                assert_eq!(read.bpf, None, "{len}");
            }
        }
    }

    #[test]
    fn handles_read_as_tc_writes_them() {
        assert_eq!(TcHandle::new(1, 0x10).to_string(), "1:10");
        assert_eq!(TcHandle::EGRESS.to_string(), "clsact/egress");
        assert_eq!(TcHandle::ROOT.to_string(), "root");
    }
}
