//! What is said about programs, in the order of the JSON keys.

use serde::Serialize;

use crate::holders::Holder;
use crate::netdev::DevView;
use crate::nouns::NameOrNumber;
use crate::render::escape::Text;
use crate::render::json::HexBytes;
use crate::render::tree::Tree;

/// The keys that name a program; they also head its listing in a dump of several.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
pub struct ProgHeader {
    /// The program's id.
    pub id: u32,
    /// Its type.
    pub r#type: NameOrNumber,
    /// Its name, in full where BTF has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// The hash of its instructions as loaded, 16 hexadecimal digits.
    pub tag: String,
    /// Whether its licence lets it call GPL-only helpers.
    pub gpl_compatible: bool,
    /// Nanoseconds run, while statistics were on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_time_ns: Option<u64>,
    /// Runs, while statistics were on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_cnt: Option<u64>,
    /// Runs left out because the program was already running on that CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recursion_misses: Option<u64>,
}

/// One program of `prog show`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
pub struct ProgView {
    /// What names it.
    #[serde(flatten)]
    pub header: ProgHeader,
    /// The device it was offloaded to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dev: Option<DevView>,
    /// When it was loaded, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loaded_at: Option<i64>,
    /// The user who loaded it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Whether its device is gone.
    pub orphaned: bool,
    /// Bytes of instructions after verification.
    pub bytes_xlated: u32,
    /// Whether it was compiled.
    pub jited: bool,
    /// Bytes of machine code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_jited: Option<u32>,
    /// Bytes of kernel memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_memlock: Option<u64>,
    /// The maps it uses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub map_ids: Vec<u32>,
    /// Its BTF.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub btf_id: Option<u32>,
    /// Where it is pinned; absent unless asked for and anything is pinned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinned: Option<Vec<Text>>,
    /// The processes that hold it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pids: Vec<Holder>,
    /// The variables named `bpf_metadata_…` in its read-only data.
    #[serde(default, skip_serializing_if = "Tree::is_empty")]
    pub metadata: Tree,
}

/// What a run of a program gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "golden", derive(serde::Deserialize))]
pub struct RunView {
    /// The packet or buffer after the run, when it was asked for on standard output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_out: Option<Vec<u8>>,
    /// The context after the run, when it was asked for on standard output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ctx_out: Option<Vec<u8>>,
    /// The program's return value.
    pub retval: u32,
    /// Nanoseconds of one run, or the average of several.
    pub duration: u32,
    /// Whether `duration` is an average; text says so.
    #[serde(skip)]
    pub average: bool,
}

/// A program in `prog dump` of several.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ListingView<I> {
    /// What names it.
    #[serde(flatten)]
    pub header: ProgHeader,
    /// Its instructions.
    pub insns: I,
}

/// One instruction of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InsnView {
    /// The prototype of the function that begins here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proto: Option<Text>,
    /// The source line that begins here.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceView>,
    /// `(95) exit`
    pub disasm: String,
    /// The bytes, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opcodes: Option<OpcodesView>,
    /// Its slot; text numbers the lines.
    #[serde(skip)]
    pub index: usize,
}

/// A source line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceView {
    /// Its text.
    pub src: Text,
    /// The file, when line numbers are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<Text>,
    /// Line number, when asked for and known.
    #[serde(skip_serializing_if = "is_none_or_zero")]
    pub line_num: Option<u32>,
    /// Column, when asked for and known.
    #[serde(skip_serializing_if = "is_none_or_zero")]
    pub line_col: Option<u32>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_none_or_zero(number: &Option<u32>) -> bool {
    number.unwrap_or_default() == 0
}

/// The bytes of an instruction: hexadecimal numbers and bytes in memory order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpcodesView {
    /// Operation.
    pub code: String,
    /// Source register.
    pub src_reg: String,
    /// Destination register.
    pub dst_reg: String,
    /// Offset.
    pub off: HexBytes<Vec<u8>>,
    /// Immediate, with the whole second slot of a 64-bit load behind it.
    pub imm: HexBytes<Vec<u8>>,
    /// All bytes of all slots; text shows them in a row.
    #[serde(skip)]
    pub slots: Vec<[u8; 8]>,
}

/// The machine code of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum CodeView {
    /// By functions.
    Functions(Vec<FunctionView>),
    /// In a row, where the kernel does not tell where functions begin.
    Insns(Vec<MachineInsnView>),
}

/// The machine code of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FunctionView {
    /// Its prototype, where BTF has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proto: Option<Text>,
    /// Its symbol, or its address.
    pub name: Text,
    /// Its instructions.
    pub insns: Vec<MachineInsnView>,
}

/// An instruction of a processor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MachineInsnView {
    /// The source line that begins here.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceView>,
    /// Where it is in the function, as a hexadecimal number.
    pub pc: String,
    /// The mnemonic.
    pub operation: String,
    /// What is behind it; one `null` where there is nothing.
    pub operands: Vec<Option<String>>,
    /// The bytes, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opcodes: Option<HexBytes<Vec<u8>>>,
    /// Where it is, as text shows it.
    #[serde(skip)]
    pub offset: usize,
    /// All of it, as text shows it.
    #[serde(skip)]
    pub text: String,
}
