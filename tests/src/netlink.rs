//! Network devices of kinds that the `ip` of the machine may not know.

use std::io::Read as _;

use anyhow::{Context as _, Result};
use nix::net::if_::if_nametoindex;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, SendFlags, SocketType, sendto, socket};

/// `RTM_NEWLINK`
const NEW_LINK: u16 = 16;
/// `NLM_F_REQUEST | NLM_F_ACK | NLM_F_EXCL | NLM_F_CREATE`
const CREATE: u16 = 1 | 4 | 0x200 | 0x400;
/// `NLMSG_ERROR`
const ANSWER: u16 = 2;
/// `IFLA_IFNAME`
const NAME: u16 = 3;
/// `IFLA_LINKINFO`
const INFO: u16 = 18;
/// `IFLA_INFO_KIND`
const KIND: u16 = 1;

/// The number of a device in this network namespace, which is made if there is none of that
/// name and lasts as long as the namespace.
///
/// # Errors
///
/// The kernel's, if it does not know the kind.
pub fn device(kind: &str, name: &str) -> Result<u32> {
    if let Ok(index) = if_nametoindex(name) {
        return Ok(index);
    }
    // The protocol with the number 0 is rtnetlink.
    let socket =
        socket(AddressFamily::NETLINK, SocketType::RAW, None).context("open a netlink socket")?;
    let kernel = SocketAddrNetlink::new(0, 0);
    sendto(&socket, &request(kind, name), SendFlags::empty(), &kernel)
        .context("ask for a device")?;
    let mut answer = [0; 4096];
    let len = std::fs::File::from(socket)
        .read(&mut answer)
        .context("hear about a device")?;
    let code = answer
        .get(..len)
        .filter(|a| a.get(4..6) == Some(&ANSWER.to_ne_bytes()[..]))
        .and_then(|a| a.get(16..)?.first_chunk::<4>())
        .context("an answer that is none")?;
    match i32::from_ne_bytes(*code) {
        0 => if_nametoindex(name).with_context(|| format!("find {name}")),
        code => Err(std::io::Error::from_raw_os_error(-code))
            .with_context(|| format!("make a {kind} device")),
    }
}

fn request(kind: &str, name: &str) -> Vec<u8> {
    let name = attribute(NAME, &[name.as_bytes(), b"\0"].concat());
    let info = attribute(INFO, &attribute(KIND, kind.as_bytes()));
    // An interface of no family, index, type, flags.
    let body = [vec![0; 16], name, info].concat();
    let mut message = Vec::new();
    let len = u32::try_from(16 + body.len()).unwrap_or_default();
    message.extend_from_slice(&len.to_ne_bytes());
    message.extend_from_slice(&NEW_LINK.to_ne_bytes());
    message.extend_from_slice(&CREATE.to_ne_bytes());
    message.extend_from_slice(&[0; 8]);
    message.extend_from_slice(&body);
    message
}

fn attribute(kind: u16, content: &[u8]) -> Vec<u8> {
    let len = u16::try_from(4 + content.len()).unwrap_or_default();
    let mut bytes = [len.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

#[cfg(test)]
mod tests {
    #[test]
    fn attributes_are_padded_but_count_what_is_theirs() {
        assert_eq!(
            super::attribute(3, b"abc"),
            [[7, 0, 3, 0], *b"abc\0"].concat()
        );
        assert_eq!(super::request("netkit", "nk0").len() % 4, 0);
    }
}
