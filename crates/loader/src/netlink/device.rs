//! Interfaces, and XDP programs on them.

use super::attributes::{Attribute, Attributes, attributes};
use super::{NetlinkError, Route};
use bpfsys::ProgId;
use std::os::fd::{AsRawFd, BorrowedFd};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_SETLINK: u16 = 19;

const IFLA_IFNAME: u16 = 3;
const IFLA_XDP: u16 = 43;

const IFLA_XDP_FD: u16 = 1;
const IFLA_XDP_ATTACHED: u16 = 2;
const IFLA_XDP_FLAGS: u16 = 3;
const IFLA_XDP_PROG_ID: u16 = 4;
const IFLA_XDP_DRV_PROG_ID: u16 = 5;
const IFLA_XDP_SKB_PROG_ID: u16 = 6;
const IFLA_XDP_HW_PROG_ID: u16 = 7;
const IFLA_XDP_EXPECTED_FD: u16 = 8;

const XDP_FLAGS_UPDATE_IF_NOEXIST: u32 = 1;
const XDP_FLAGS_REPLACE: u32 = 16;

/// `struct ifinfomsg`
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct IfInfo {
    family: u8,
    pad: u8,
    kind: u16,
    index: i32,
    flags: u32,
    change: u32,
}

/// Where in the path of a packet an XDP program runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum XdpMode {
    /// Behind the driver, on any interface; slow.
    #[doc(alias = "XDP_FLAGS_SKB_MODE")]
    Generic,
    /// In the driver, if it can.
    #[doc(alias = "XDP_FLAGS_DRV_MODE")]
    Driver,
    /// On the device.
    #[doc(alias = "XDP_FLAGS_HW_MODE")]
    Offload,
}

impl XdpMode {
    /// Its bit in the `XDP_FLAGS_*`.
    #[must_use]
    pub fn flag(self) -> u32 {
        match self {
            Self::Generic => 1 << 1,
            Self::Driver => 1 << 2,
            Self::Offload => 1 << 3,
        }
    }

    /// Its name, as bpftool says it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::Driver => "driver",
            Self::Offload => "offload",
        }
    }
}

/// What must be there for a change to be made.
#[derive(Clone, Copy, Debug, Default)]
pub enum XdpExpect<'a> {
    /// Whatever there is.
    #[default]
    Anything,
    /// No program.
    #[doc(alias = "XDP_FLAGS_UPDATE_IF_NOEXIST")]
    Nothing,
    /// This program. Since Linux 5.7.
    #[doc(alias = "XDP_FLAGS_REPLACE")]
    Prog(BorrowedFd<'a>),
}

/// An interface.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Device {
    /// Its number.
    pub ifindex: u32,
    /// Its name.
    pub name: Vec<u8>,
    /// The XDP programs on it.
    pub xdp: XdpPrograms,
}

/// The XDP programs of an interface, links included.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct XdpPrograms {
    /// Programs with their modes; several since Linux 4.19.
    pub attached: Vec<(XdpMode, ProgId)>,
    /// Whether the kernel says that there are several, even if it is only one.
    pub several: bool,
}

impl XdpPrograms {
    /// The program in one mode.
    #[must_use]
    pub fn in_mode(&self, mode: XdpMode) -> Option<ProgId> {
        let mut programs = self.attached.iter();
        programs.find(|(own, _)| *own == mode).map(|(_, id)| *id)
    }
}

impl Route {
    /// All interfaces, in the kernel's order.
    ///
    /// # Errors
    /// The kernel's, or its answer cannot be read.
    #[doc(alias = "RTM_GETLINK")]
    pub fn devices(&mut self) -> Result<Vec<Device>, NetlinkError> {
        let messages = self.list(RTM_GETLINK, IfInfo::default().as_bytes())?;
        let messages = messages.iter().filter(|m| m.kind == RTM_NEWLINK);
        messages.map(|message| device(&message.body)).collect()
    }

    /// One interface.
    ///
    /// # Errors
    /// `ENODEV` when there is none with this number, or its answer cannot be read.
    #[doc(alias = "bpf_xdp_query")]
    pub fn device(&mut self, ifindex: u32) -> Result<Device, NetlinkError> {
        let header = header(ifindex)?;
        let messages = self.ask(RTM_GETLINK, header.as_bytes(), Attributes::default())?;
        match messages.iter().find(|m| m.kind == RTM_NEWLINK) {
            Some(message) => device(&message.body),
            None => Err(NetlinkError::errno(nix::errno::Errno::ENODEV)),
        }
    }

    /// Puts an XDP program on an interface, or takes it away with `None`. Without a mode it is
    /// the driver's if there is one, otherwise generic.
    ///
    /// # Errors
    /// `EBUSY` when something is there and nothing was expected, or a link is there, `EEXIST` when
    /// another program is there than expected or one in another mode, `EOPNOTSUPP` when the driver
    /// cannot.
    #[doc(alias = "bpf_xdp_attach")]
    #[doc(alias = "bpf_xdp_detach")]
    pub fn set_xdp(
        &mut self,
        ifindex: u32,
        prog: Option<BorrowedFd<'_>>,
        mode: Option<XdpMode>,
        expect: XdpExpect<'_>,
    ) -> Result<(), NetlinkError> {
        let mut flags = mode.map_or(0, XdpMode::flag);
        let mut xdp = Attributes::default().bytes(IFLA_XDP_FD, number(prog));
        match expect {
            XdpExpect::Anything => {}
            XdpExpect::Nothing => flags |= XDP_FLAGS_UPDATE_IF_NOEXIST,
            XdpExpect::Prog(old) => {
                flags |= XDP_FLAGS_REPLACE;
                xdp = xdp.bytes(IFLA_XDP_EXPECTED_FD, number(Some(old)));
            }
        }
        let body = Attributes::default().nested(IFLA_XDP, xdp.u32(IFLA_XDP_FLAGS, flags))?;
        self.change(RTM_SETLINK, 0, header(ifindex)?.as_bytes(), body)?;
        Ok(())
    }
}

fn header(ifindex: u32) -> Result<IfInfo, NetlinkError> {
    let index = i32::try_from(ifindex).ok().filter(|index| *index > 0);
    let index = index.ok_or_else(|| NetlinkError::errno(nix::errno::Errno::ENODEV))?;
    Ok(IfInfo {
        index,
        ..IfInfo::default()
    })
}

/// A descriptor as the kernel reads it: -1 for none.
fn number(prog: Option<BorrowedFd<'_>>) -> [u8; 4] {
    prog.map_or(-1, |prog| prog.as_raw_fd()).to_ne_bytes()
}

fn device(body: &[u8]) -> Result<Device, NetlinkError> {
    let (header, rest) = IfInfo::read_from_prefix(body)
        .map_err(|_too_short| NetlinkError::Malformed("an interface without a header".into()))?;
    let attributes = attributes(rest)?;
    let find = |kind| attributes.iter().find(|attribute| attribute.kind == kind);
    Ok(Device {
        ifindex: header.index.cast_unsigned(),
        name: find(IFLA_IFNAME).map_or_else(Vec::new, |name| name.text().to_vec()),
        xdp: match find(IFLA_XDP) {
            Some(xdp) => programs(xdp)?,
            None => XdpPrograms::default(),
        },
    })
}

fn programs(xdp: &Attribute<'_>) -> Result<XdpPrograms, NetlinkError> {
    /// `XDP_ATTACHED_MULTI`
    const SEVERAL: u8 = 4;
    let attributes = attributes(xdp.value)?;
    let id = |kind| match attributes.iter().find(|own| own.kind == kind) {
        Some(attribute) => attribute.u32().map(ProgId::new),
        None => Ok(None),
    };
    let state = attributes
        .iter()
        .find(|attribute| attribute.kind == IFLA_XDP_ATTACHED)
        .and_then(|attribute| attribute.value.first().copied());
    let single = match state {
        Some(1) => Some(XdpMode::Driver),
        Some(2) => Some(XdpMode::Generic),
        Some(3) => Some(XdpMode::Offload),
        _ => None,
    };
    let mut attached = Vec::new();
    match single {
        Some(mode) => attached.extend(id(IFLA_XDP_PROG_ID)?.map(|id| (mode, id))),
        None if state == Some(SEVERAL) => {
            for (mode, kind) in [
                (XdpMode::Generic, IFLA_XDP_SKB_PROG_ID),
                (XdpMode::Driver, IFLA_XDP_DRV_PROG_ID),
                (XdpMode::Offload, IFLA_XDP_HW_PROG_ID),
            ] {
                attached.extend(id(kind)?.map(|id| (mode, id)));
            }
        }
        None => {}
    }
    Ok(XdpPrograms {
        attached,
        several: state == Some(SEVERAL),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(state: u8, ids: &[(u16, u32)]) -> XdpPrograms {
        let mut xdp = Attributes::default().bytes(IFLA_XDP_ATTACHED, [state]);
        for (kind, id) in ids {
            xdp = xdp.u32(*kind, *id);
        }
        let body = Attributes::default()
            .text(IFLA_IFNAME, "eth0")
            .nested(IFLA_XDP, xdp)
            .unwrap()
            .encode()
            .unwrap();
        let header = header(5).unwrap();
        let device = device(&[header.as_bytes(), &body].concat()).unwrap();
        assert_eq!((device.ifindex, &device.name[..]), (5, &b"eth0"[..]));
        device.xdp
    }

    #[test]
    fn programs_come_with_their_modes() {
        let id = |id| ProgId::new(id).unwrap();
        assert_eq!(read(0, &[]), XdpPrograms::default());
        let one = read(2, &[(IFLA_XDP_PROG_ID, 7), (IFLA_XDP_SKB_PROG_ID, 7)]);
        assert_eq!(one.attached, [(XdpMode::Generic, id(7))]);
        assert!(!one.several);
        let two = read(4, &[(IFLA_XDP_HW_PROG_ID, 9), (IFLA_XDP_DRV_PROG_ID, 8)]);
        let expected = [(XdpMode::Driver, id(8)), (XdpMode::Offload, id(9))];
        assert_eq!((&two.attached[..], two.several), (&expected[..], true));
        assert_eq!(two.in_mode(XdpMode::Offload), Some(id(9)));
        assert_eq!(two.in_mode(XdpMode::Generic), None);
    }

    #[test]
    fn short_messages_are_errors() {
        let whole = [header(5).unwrap().as_bytes(), &[8, 0, 3, 0, 0, 0, 0, 0]].concat();
        for len in 0..whole.len() {
            // a message may end behind its header
            assert_eq!(device(&whole[..len]).is_ok(), len == 16, "{len}");
        }
        assert!(header(0).is_err() && header(u32::MAX).is_err());
    }
}
