//! Network devices by name, and the device a program or map was offloaded to.

use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;

use serde::Serialize;

use crate::render::escape::Text;

/// The device an object was offloaded to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
pub struct DevView {
    /// Its number in its network namespace.
    pub ifindex: u32,
    /// The device number of the namespace's file.
    pub ns_dev: u64,
    /// The inode of the namespace's file.
    pub ns_inode: u64,
    /// Its name, when the namespace is ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ifname: Option<Text>,
}

impl DevView {
    /// The device with these numbers; `None` when the object is not offloaded.
    #[must_use]
    pub fn of(ifindex: u32, ns_dev: u64, ns_inode: u64) -> Option<Self> {
        if ifindex == 0 {
            return None;
        }
        let here = std::fs::metadata("/proc/self/ns/net")
            .is_ok_and(|meta| meta.dev() == ns_dev && meta.ino() == ns_inode);
        Some(Self {
            ifindex,
            ns_dev,
            ns_inode,
            ifname: here.then(|| name_of(ifindex)).flatten(),
        })
    }

    /// The part of a header line that names the device.
    pub fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        match &self.ifname {
            Some(name) => write!(out, "  offloaded_to {name}"),
            None => write!(
                out,
                "  offloaded_to ifindex {} ns_dev {} ns_ino {}",
                self.ifindex, self.ns_dev, self.ns_inode
            ),
        }
    }
}

/// The name of a device in this network namespace.
#[must_use]
pub fn name_of(ifindex: u32) -> Option<Text> {
    nix::net::if_::if_indextoname(ifindex)
        .ok()
        .map(|name| Text(name.into_bytes()))
}
