//! What is said about a plan, in the order of the JSON keys.

use serde::Serialize;

use crate::nouns::NameOrNumber;
use crate::nouns::prog::view::SourceView;
use crate::render::escape::Text;
use crate::render::json::HexBytes;

/// Everything that loading an object would ask of the kernel.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanView {
    /// The object's name.
    pub object: Text,
    /// `little` or `big`.
    pub endian: &'static str,
    /// The licence.
    pub license: Text,
    /// The kernel version that programs say they are for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kern_version: Option<u32>,
    /// The object's types.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub btf: Option<BtfView>,
    /// Modules that must be there.
    pub modules: Vec<ModuleView>,
    /// Maps, in the order of the object.
    pub maps: Vec<MapView>,
    /// Programs that were selected.
    pub programs: Vec<ProgramView>,
    /// What this kernel gets instead of what the object says.
    pub downgrades: Vec<DowngradeView>,
    /// What of the object is left out.
    pub notes: Vec<Text>,
}

/// The object's types, as they are loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BtfView {
    /// Their size.
    pub bytes: usize,
    /// Whether nothing can be loaded without.
    pub required: bool,
}

/// A module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModuleView {
    /// Its name.
    pub name: Text,
    /// The id of its types, in a plan for the running kernel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub btf_id: Option<u32>,
}

/// A map.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MapView {
    /// Its name in the kernel.
    pub name: Text,
    /// Its variable or section.
    pub symbol: Text,
    /// `create`, `reuse` or `skip`.
    pub action: &'static str,
    /// Why it is not made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<Text>,
    /// What to make.
    #[serde(flatten)]
    pub spec: SpecView,
    /// The pattern for maps inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inner: Option<SpecView>,
    /// Elements that are known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub slots: Vec<SlotView>,
    /// The value of its only key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<HexBytes<Vec<u8>>>,
    /// Whether it is frozen once it is filled.
    pub frozen: bool,
    /// Whether it is found or pinned by its name.
    pub pinned_by_name: bool,
    /// Where it is found or pinned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin_path: Option<Text>,
    /// The functions in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub struct_ops: Option<StructOpsView>,
    /// Bytes of global data in an arena.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arena_data: Option<ArenaView>,
    /// The only program that may use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclusive: Option<Text>,
}

/// Attributes of a map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SpecView {
    /// Type.
    pub r#type: NameOrNumber,
    /// Flags.
    pub flags: u32,
    /// Bytes of a key.
    pub bytes_key: u32,
    /// Bytes of a value.
    pub bytes_value: u32,
    /// Entries at most.
    pub max_entries: u32,
    /// The NUMA node of its memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numa_node: Option<u32>,
    /// The interface it is offloaded to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ifindex: Option<u32>,
    /// What the type makes of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map_extra: Option<u64>,
    /// Type of keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub btf_key_type_id: Option<u32>,
    /// Type of values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub btf_value_type_id: Option<u32>,
}

/// An element.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SlotView {
    /// The key.
    pub index: u32,
    /// A map.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<Text>,
    /// A program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<Text>,
}

/// Functions that implement a type of the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StructOpsView {
    /// The type of its value in the kernel.
    pub value_type_id: u32,
    /// The module that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<Text>,
    /// The value, all but the programs.
    pub value: HexBytes<Vec<u8>>,
    /// Where in the value programs go.
    pub programs: Vec<MemberView>,
    /// Whether it is registered by a link.
    pub link: bool,
}

/// A program in a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemberView {
    /// Where, in bytes.
    pub offset: u32,
    /// Which.
    pub program: Text,
}

/// Global data of an arena.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArenaView {
    /// Where in the arena it begins.
    pub offset: u64,
    /// The data.
    pub value: HexBytes<Vec<u8>>,
}

/// A program.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProgramView {
    /// Its whole name.
    pub name: Text,
    /// Whether the kernel is told the name.
    pub named: bool,
    /// Its section.
    pub section: Text,
    /// Type.
    pub r#type: NameOrNumber,
    /// The hook it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attach_type: Option<NameOrNumber>,
    /// The member of a struct of the kernel that it implements.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<u32>,
    /// Flags.
    pub flags: u32,
    /// The interface it is bound or offloaded to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ifindex: Option<u32>,
    /// What it attaches to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetView>,
    /// Level of the verifier's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_level: Option<u32>,
    /// Maps that live as long as it does although it may not name them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bind: Vec<Text>,
    /// Modules whose functions it calls.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fd_array: Vec<Text>,
    /// Its functions.
    pub functions: Vec<FunctionView>,
    /// Its jump tables.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub jump_tables: Vec<JumpTableView>,
    /// Functions whose types are told.
    pub func_infos: usize,
    /// Source lines that are told.
    pub line_infos: usize,
    /// Its instructions.
    pub insns: Vec<InsnView>,
}

/// What a program attaches to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TargetView {
    /// The type, of a function or hook.
    pub btf_id: u32,
    /// The module that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<Text>,
    /// Whether it is a function of another program.
    pub prog: bool,
}

/// A function of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FunctionView {
    /// Its first instruction.
    pub start: u32,
    /// Its name.
    pub name: Text,
    /// Its section.
    pub section: Text,
    /// Where in the section it begins, in instructions.
    pub section_offset: u32,
}

/// A jump table of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JumpTableView {
    /// Its name.
    pub name: Text,
    /// Instructions it leads to.
    pub entries: Vec<u32>,
}

/// An instruction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InsnView {
    /// The source line that begins here.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceView>,
    /// Its slot.
    pub index: usize,
    /// Its text.
    pub disasm: String,
    /// What it refers to in the kernel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#extern: Option<Text>,
    /// The map whose descriptor it gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<Text>,
    /// The jump table whose descriptor it gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jump_table: Option<Text>,
    /// The module the descriptor of whose types it gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<Text>,
    /// How it was relocated by types.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub core: Option<CoreView>,
    /// Why the verifier must not reach it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub poisoned: Option<Text>,
}

/// A relocation by types.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CoreView {
    /// The question.
    pub what: Text,
    /// The answer.
    pub done: Text,
}

/// Something the kernel gets instead of what the object says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DowngradeView {
    /// What the kernel lacks.
    pub feature: &'static str,
    /// What was done about it.
    pub what: Text,
}
