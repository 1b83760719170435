//! What is said about programs on the network, in the order of the JSON keys.

use serde::Serialize;

use crate::nouns::link::view::NetfilterView;
use crate::render::escape::Text;

/// `net show`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
#[cfg_attr(feature = "golden", serde(deny_unknown_fields))]
pub struct NetView {
    /// Programs on the receive paths of interfaces.
    pub xdp: Vec<XdpView>,
    /// Programs of traffic control, netkit devices included.
    pub tc: Vec<TcView>,
    /// The one program that takes packets apart.
    pub flow_dissector: Vec<FlowDissectorView>,
    /// Programs on netfilter hooks.
    pub netfilter: Vec<NetfilterProgView>,
}

/// The XDP programs of an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
#[cfg_attr(feature = "golden", serde(deny_unknown_fields))]
pub struct XdpView {
    /// The interface's name.
    pub devname: Text,
    /// The interface's number.
    pub ifindex: u32,
    /// Where it runs: `generic`, `driver`, `offload`; when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Text>,
    /// The program, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    /// The programs, when there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multi_attachments: Option<Vec<XdpModeView>>,
}

/// One of several XDP programs of an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
#[cfg_attr(feature = "golden", serde(deny_unknown_fields))]
pub struct XdpModeView {
    /// Where it runs.
    pub mode: Text,
    /// The program.
    pub id: u32,
}

/// A program of traffic control.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
#[serde(untagged)]
pub enum TcView {
    /// One of the ordered list of a hook.
    Listed(ListedView),
    /// A filter.
    Filter(FilterView),
}

/// A program of tcx or of a netkit device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
#[cfg_attr(feature = "golden", serde(deny_unknown_fields))]
pub struct ListedView {
    /// The interface's name.
    pub devname: Text,
    /// The interface's number.
    pub ifindex: u32,
    /// The hook: `tcx/ingress`.
    pub kind: Text,
    /// The program's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// The program.
    pub prog_id: u32,
    /// The bits of the flags it was attached with.
    pub prog_flags: Vec<u32>,
    /// The link that it is attached by, 0 without one.
    pub link_id: u32,
    /// The bits of the flags of that.
    pub link_flags: Vec<u32>,
}

/// A program that is a filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
#[cfg_attr(feature = "golden", serde(deny_unknown_fields))]
pub struct FilterView {
    /// The interface's name.
    pub devname: Text,
    /// The interface's number.
    pub ifindex: u32,
    /// The hook, or the kind of the discipline: `clsact/ingress`, `htb`.
    pub kind: Text,
    /// What whoever attached it called it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// The program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    /// Programs that are its actions, if it has actions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub act: Option<Vec<ActionView>>,
}

/// A program that is an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
#[cfg_attr(feature = "golden", serde(deny_unknown_fields))]
pub struct ActionView {
    /// What whoever attached it called it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// The program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
}

/// The flow dissector of the network namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
#[cfg_attr(feature = "golden", serde(deny_unknown_fields))]
pub struct FlowDissectorView {
    /// The program.
    pub id: u32,
}

/// A program on a netfilter hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
pub struct NetfilterProgView {
    /// The hook.
    #[serde(flatten)]
    pub hook: NetfilterView,
    /// The program.
    pub id: u32,
}
