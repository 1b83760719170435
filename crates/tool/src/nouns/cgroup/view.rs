//! What is said about programs of cgroups, in the order of the JSON keys.

use serde::{Serialize, Serializer};

use crate::nouns::NameOrNumber;
use crate::render::escape::Text;

/// A program at a hook of a cgroup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
#[cfg_attr(feature = "golden", serde(deny_unknown_fields))]
pub struct ProgramView {
    /// The program's id.
    pub id: u32,
    /// The hook.
    pub attach_type: NameOrNumber,
    /// How it was attached; unknown of what is inherited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attach_flags: Option<Text>,
    /// The program's name.
    pub name: Text,
    /// The security hook, for programs at those of the kernel itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attach_btf_name: Option<Text>,
    /// The types that the hook's function is in; 0 where there is none.
    pub attach_btf_obj_id: u32,
    /// The function in these types.
    pub attach_btf_id: u32,
}

/// `cgroup show`: the programs of one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProgramsView(pub Vec<ProgramView>);

impl Serialize for ProgramsView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// A cgroup of a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
#[cfg_attr(feature = "golden", serde(deny_unknown_fields))]
pub struct CgroupView {
    /// Its path.
    pub cgroup: Text,
    /// Its programs, at least one.
    pub programs: Vec<ProgramView>,
}

/// `cgroup tree`: those that have programs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TreeView {
    /// Where it begins.
    pub root: Text,
    /// Whether inherited programs are told too.
    pub effective: bool,
    /// The cgroups, each before those below it.
    pub cgroups: Vec<CgroupView>,
}

impl Serialize for TreeView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.cgroups.serialize(serializer)
    }
}
