//! One instruction of 64-bit Arm, spelled as LLVM's disassembler spells it. The decoder's crate
//! knows names, aliases and operands; numbers and targets are written anew here.

use std::borrow::Cow;

use yaxpeax_arch::{Decoder, U8Reader};
use yaxpeax_arm::armv8::a64::InstDecoder;

use super::disasm::push;

/// Bytes of every instruction.
pub(super) const SIZE: usize = 4;

/// Hints that the crate knows as numbers only.
const HINTS: &[(&str, &str)] = &[
    ("#0x16", "clrbhb"),
    ("#0x20", "bti"),
    ("#0x22", "bti\tc"),
    ("#0x24", "bti\tj"),
    ("#0x26", "bti\tjc"),
];

/// System registers by encoding: those that compiled programs use.
const REGISTERS: &[(&str, &str)] = &[
    ("s3_0_c4_c1_0", "SP_EL0"),
    ("s3_0_c13_c0_4", "TPIDR_EL1"),
    ("s3_4_c13_c0_2", "TPIDR_EL2"),
];

/// Instructions whose numbers are bits, or codes that something else looks up.
const HEXADECIMAL: &[&str] = &[
    "and", "ands", "brk", "eor", "hlt", "hvc", "orr", "smc", "svc", "tst",
];

/// Instructions whose target is an address, whatever the distance.
const JUMPS: &[&str] = &["adrp", "b", "bl", "cbnz", "cbz", "tbnz", "tbz"];

/// The first instruction of `bytes`, which the processor finds at `address`: its length and
/// text. `None` when there is none.
pub(super) fn decode(bytes: &[u8], address: u64) -> Option<(usize, String)> {
    let word = bytes.get(..SIZE)?;
    let insn = InstDecoder::default()
        .decode(&mut U8Reader::new(word))
        .ok()?;
    let said = insn.to_string();
    // what the crate calls so has no mnemonic
    (!said.starts_with("invalid")).then(|| (SIZE, text(&said, address)))
}

/// LLVM's spelling of what the crate says.
fn text(said: &str, address: u64) -> String {
    let (mnemonic, operands) = said.split_once(' ').unwrap_or((said, ""));
    let mut text = mnemonic.to_owned();
    match mnemonic {
        _ if operands.is_empty() => return text,
        "hint" => {
            if let Some((_, name)) = HINTS.iter().find(|(number, _)| *number == operands) {
                return (*name).to_owned();
            }
        }
        "mrs" => {
            if let Some((to, register)) = operands.split_once(", ") {
                push(&mut text, format_args!("\t{to}, {}", system(register)));
                return text;
            }
        }
        // other forms name a bit of the state
        "msr" => {
            if let Some((register, from)) = operands.split_once(", ")
                && !from.starts_with('#')
            {
                push(&mut text, format_args!("\t{}, {from}", system(register)));
                return text;
            }
        }
        _ => {}
    }
    text.push('\t');
    let mut rest = operands;
    while let Some(at) = rest.find(['#', '$']) {
        let (before, number) = rest.split_at(at);
        text.push_str(before);
        let end = number.find([',', ']', ' ']).unwrap_or(number.len());
        let (number, behind) = number.split_at(end);
        push_number(&mut text, mnemonic, operands, number, address);
        rest = behind;
    }
    text.push_str(rest);
    // an index register that is extended and not shifted
    if let Some(plain) = text.strip_suffix("xtw #0]") {
        return format!("{plain}xtw]");
    }
    text
}

fn system(register: &str) -> Cow<'_, str> {
    REGISTERS
        .iter()
        .find(|(encoding, _)| *encoding == register)
        .map_or_else(
            || Cow::Owned(register.to_ascii_uppercase()),
            |(_, name)| Cow::Borrowed(*name),
        )
}

/// `#0x10`, `#-0x10` or the distance `$+0x10`, as LLVM writes it in this instruction.
fn push_number(text: &mut String, mnemonic: &str, operands: &str, number: &str, address: u64) {
    let Some((value, distance)) = value_of(number) else {
        // no number: a name, a vector's or one that is decimal already
        text.push_str(number);
        return;
    };
    if distance && (JUMPS.contains(&mnemonic) || mnemonic.starts_with("b.")) {
        let from = match mnemonic {
            // counts pages
            "adrp" => address & !0xfff,
            _ => address,
        };
        push(text, format_args!("{:#x}", from.wrapping_add_signed(value)));
    } else if HEXADECIMAL.contains(&mnemonic) && value != 0 {
        push(text, format_args!("#{value:#x}"));
    } else if mnemonic == "mov" && operands.starts_with('w') {
        // the low half is the number
        let bytes = value.to_le_bytes();
        let low = bytes.first_chunk().copied().unwrap_or_default();
        push(text, format_args!("#{}", i32::from_le_bytes(low)));
    } else {
        push(text, format_args!("#{value}"));
    }
}

/// The number, and whether it is a distance.
fn value_of(number: &str) -> Option<(i64, bool)> {
    let (number, distance) = match (number.strip_prefix('#'), number.strip_prefix('$')) {
        (Some(number), _) => (number, false),
        (_, Some(distance)) => (distance, true),
        _ => return None,
    };
    let (negative, number) = match (number.strip_prefix('-'), number.strip_prefix('+')) {
        (Some(number), _) => (true, number),
        (_, Some(number)) => (false, number),
        _ => (false, number),
    };
    let value = u64::from_str_radix(number.strip_prefix("0x")?, 16).ok()?;
    let value = value.cast_signed();
    Some((
        if negative {
            value.wrapping_neg()
        } else {
            value
        },
        distance,
    ))
}
