//! Machine code as lines of text, for the processors whose instructions are known here.

use std::fmt::Write as _;

use super::{arm64, x86};

/// Bytes of a line where nothing is known of the instructions.
const UNKNOWN_LINE: usize = 4;

/// The instruction set of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arch {
    /// 64-bit x86.
    X86_64,
    /// 64-bit Arm.
    Arm64,
    /// One that there is no disassembler for here: bytes are shown.
    Unknown,
}

impl Arch {
    /// That of a machine, by its name in uname.
    #[must_use]
    pub fn of_machine(machine: &str) -> Self {
        match machine {
            "x86_64" => Self::X86_64,
            "aarch64" => Self::Arm64,
            _ => Self::Unknown,
        }
    }
}

/// An instruction, or bytes that are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Insn {
    /// Where it begins, from the start of the function.
    pub offset: usize,
    /// How many bytes it has.
    pub length: usize,
    /// Mnemonic and operands, with a tab between.
    pub text: String,
}

impl Insn {
    /// The mnemonic, or the prefix in front of it.
    #[must_use]
    pub fn operation(&self) -> &str {
        self.text.split([' ', '\t']).next().unwrap_or_default()
    }

    /// What stands behind the mnemonic, taken apart at blanks, commas and parentheses, as
    /// bpftool does it.
    pub fn operands(&self) -> impl Iterator<Item = &str> {
        self.text
            .split([' ', '\t', ',', '(', ')'])
            .filter(|part| !part.is_empty())
            .skip(1)
    }
}

/// All instructions of `code`, which the processor finds at `address`. Every byte is in one of
/// them, also those that no instruction begins with.
#[must_use]
pub fn disassemble(arch: Arch, code: &[u8], address: u64) -> Vec<Insn> {
    let mut insns = Vec::new();
    let mut offset = 0;
    while let Some(rest) = code.get(offset..).filter(|rest| !rest.is_empty()) {
        let at = address.wrapping_add(offset as u64);
        let (decoded, step) = match arch {
            Arch::X86_64 => (x86::decode(rest, at), 1),
            Arch::Arm64 => (arm64::decode(rest, at), arm64::SIZE),
            Arch::Unknown => (None, UNKNOWN_LINE),
        };
        let (length, text) = decoded.unwrap_or_else(|| {
            let length = step.min(rest.len());
            let mnemonic = match arch {
                Arch::Unknown => ".byte",
                _ => "(bad)",
            };
            (
                length,
                bytes(mnemonic, rest.get(..length).unwrap_or_default()),
            )
        });
        insns.push(Insn {
            offset,
            length,
            text,
        });
        offset += length.max(1);
    }
    insns
}

fn bytes(mnemonic: &str, bytes: &[u8]) -> String {
    let mut text = mnemonic.to_owned();
    let mut separator = "\t";
    for byte in bytes {
        push(&mut text, format_args!("{separator}0x{byte:02x}"));
        separator = ", ";
    }
    text
}

pub(super) fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    // a string takes everything
    let _: Result<(), std::fmt::Error> = text.write_fmt(what);
}
