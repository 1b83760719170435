//! One x86-64 instruction in AT&T syntax, spelled as LLVM's disassembler spells it: sizes at the
//! end of mnemonics, decimal immediates, absolute addresses as targets of jumps and calls.

use iced_x86::{Code, Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};

use super::disasm::push;

/// The lock prefix; it has a line of its own.
const LOCK: u8 = 0xf0;

/// The first instruction of `bytes`, which the processor finds at `address`: its length and
/// text. `None` when there is none.
pub(super) fn decode(bytes: &[u8], address: u64) -> Option<(usize, String)> {
    if bytes.first() == Some(&LOCK) {
        return Some((1, "lock".to_owned()));
    }
    let insn = Decoder::with_ip(64, bytes, address, DecoderOptions::NONE).decode();
    if insn.is_invalid() {
        return None;
    }
    Some((insn.len(), text(&insn)))
}

fn text(insn: &Instruction) -> String {
    let mut text = String::new();
    if insn.has_lock_prefix() {
        text.push_str("lock\t\t");
    } else if insn.has_repne_prefix() {
        text.push_str("repne\t\t");
    } else if insn.has_rep_prefix() || insn.has_repe_prefix() {
        text.push_str("rep\t\t");
    }
    text.push_str(&mnemonic(insn));
    let mut separator = "\t";
    for operand in order(insn) {
        text.push_str(separator);
        push_operand(&mut text, insn, operand);
        separator = ", ";
    }
    text
}

/// The operands in the order they are written: sources before the destination.
fn order(insn: &Instruction) -> Vec<u32> {
    let mut operands: Vec<u32> = match insn.mnemonic() {
        Mnemonic::Xlatb => Vec::new(),
        // Two registers are exchanged in the order of the encoding.
        Mnemonic::Xchg if insn.op_kind(0) == OpKind::Register => vec![0, 1],
        Mnemonic::Enter => vec![0, 1],
        Mnemonic::Reservednop => vec![0],
        _ => (0..insn.op_count()).rev().collect(),
    };
    if shifts_by_one(insn) {
        operands.retain(|&operand| operand == 0);
    }
    operands
}

/// Is it a shift whose encoding has no number?
fn shifts_by_one(insn: &Instruction) -> bool {
    matches!(
        insn.code(),
        Code::Rol_rm8_1
            | Code::Rol_rm16_1
            | Code::Rol_rm32_1
            | Code::Rol_rm64_1
            | Code::Ror_rm8_1
            | Code::Ror_rm16_1
            | Code::Ror_rm32_1
            | Code::Ror_rm64_1
            | Code::Rcl_rm8_1
            | Code::Rcl_rm16_1
            | Code::Rcl_rm32_1
            | Code::Rcl_rm64_1
            | Code::Rcr_rm8_1
            | Code::Rcr_rm16_1
            | Code::Rcr_rm32_1
            | Code::Rcr_rm64_1
            | Code::Shl_rm8_1
            | Code::Shl_rm16_1
            | Code::Shl_rm32_1
            | Code::Shl_rm64_1
            | Code::Shr_rm8_1
            | Code::Shr_rm16_1
            | Code::Shr_rm32_1
            | Code::Shr_rm64_1
            | Code::Sar_rm8_1
            | Code::Sar_rm16_1
            | Code::Sar_rm32_1
            | Code::Sar_rm64_1
    )
}

fn mnemonic(insn: &Instruction) -> String {
    let size = |operand| suffix(size_of(insn, operand));
    let fixed = match insn.mnemonic() {
        Mnemonic::Movzx => return format!("movz{}{}", size(1), size(0)),
        Mnemonic::Movsx => return format!("movs{}{}", size(1), size(0)),
        Mnemonic::Mov if is_movabs(insn) => return format!("movabs{}", moved(insn)),
        Mnemonic::Mov => return format!("mov{}", moved(insn)),
        Mnemonic::Crc32 | Mnemonic::Out => return format!("{}{}", plain(insn), size(1)),
        Mnemonic::Jmp | Mnemonic::Call if !is_direct(insn) => {
            return format!("{}{}", plain(insn), size(0));
        }
        Mnemonic::Reservednop => return format!("nop{}", size(0)),
        Mnemonic::Jmp => "jmp",
        Mnemonic::Call => "callq",
        Mnemonic::Ret => "retq",
        Mnemonic::Nop if insn.op_count() == 0 => "nop",
        Mnemonic::Movsxd => "movslq",
        Mnemonic::Cbw => "cbtw",
        Mnemonic::Cwde => "cwtl",
        Mnemonic::Cdqe => "cltq",
        Mnemonic::Cwd => "cwtd",
        Mnemonic::Cdq => "cltd",
        Mnemonic::Cqo => "cqto",
        Mnemonic::Iretd => "iretl",
        Mnemonic::Sysret => "sysretl",
        Mnemonic::Movsd if is_string(insn) => "movsl",
        Mnemonic::Cmpsd if is_string(insn) => "cmpsl",
        Mnemonic::Lodsd => "lodsl",
        Mnemonic::Scasd => "scasl",
        Mnemonic::Stosd => "stosl",
        sized if has_size(sized) => return format!("{}{}", plain(insn), size(0)),
        _ => return plain(insn),
    };
    fixed.to_owned()
}

/// Intel's name.
fn plain(insn: &Instruction) -> String {
    format!("{:?}", insn.mnemonic()).to_ascii_lowercase()
}

/// Moves of 64-bit immediates, and to and from 64-bit addresses.
fn is_movabs(insn: &Instruction) -> bool {
    matches!(
        insn.code(),
        Code::Mov_r64_imm64
            | Code::Mov_AL_moffs8
            | Code::Mov_AX_moffs16
            | Code::Mov_EAX_moffs32
            | Code::Mov_RAX_moffs64
            | Code::Mov_moffs8_AL
            | Code::Mov_moffs16_AX
            | Code::Mov_moffs32_EAX
            | Code::Mov_moffs64_RAX
    )
}

/// The size of what is moved; that of a segment register is that of the other operand.
fn moved(insn: &Instruction) -> &'static str {
    let segment = insn.op_kind(0) == OpKind::Register && insn.op_register(0).is_segment_register();
    suffix(size_of(insn, u32::from(segment)))
}

fn is_string(insn: &Instruction) -> bool {
    insn.op_kinds().any(|kind| string_register(kind).is_some())
}

fn is_direct(insn: &Instruction) -> bool {
    matches!(
        insn.op_kind(0),
        OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64
    )
}

/// Mnemonics of general-purpose instructions, whose end says how much they work on.
fn has_size(mnemonic: Mnemonic) -> bool {
    matches!(
        mnemonic,
        Mnemonic::Adc
            | Mnemonic::Adcx
            | Mnemonic::Add
            | Mnemonic::Adox
            | Mnemonic::And
            | Mnemonic::Andn
            | Mnemonic::Bextr
            | Mnemonic::Blsi
            | Mnemonic::Blsmsk
            | Mnemonic::Blsr
            | Mnemonic::Bsf
            | Mnemonic::Bsr
            | Mnemonic::Bswap
            | Mnemonic::Bt
            | Mnemonic::Btc
            | Mnemonic::Btr
            | Mnemonic::Bts
            | Mnemonic::Bzhi
            | Mnemonic::Cmova
            | Mnemonic::Cmovae
            | Mnemonic::Cmovb
            | Mnemonic::Cmovbe
            | Mnemonic::Cmove
            | Mnemonic::Cmovg
            | Mnemonic::Cmovge
            | Mnemonic::Cmovl
            | Mnemonic::Cmovle
            | Mnemonic::Cmovne
            | Mnemonic::Cmovno
            | Mnemonic::Cmovnp
            | Mnemonic::Cmovns
            | Mnemonic::Cmovo
            | Mnemonic::Cmovp
            | Mnemonic::Cmovs
            | Mnemonic::Cmp
            | Mnemonic::Cmpxchg
            | Mnemonic::Dec
            | Mnemonic::Div
            | Mnemonic::Idiv
            | Mnemonic::Imul
            | Mnemonic::In
            | Mnemonic::Inc
            | Mnemonic::Lea
            | Mnemonic::Lzcnt
            | Mnemonic::Movbe
            | Mnemonic::Movnti
            | Mnemonic::Mul
            | Mnemonic::Mulx
            | Mnemonic::Neg
            | Mnemonic::Nop
            | Mnemonic::Not
            | Mnemonic::Or
            | Mnemonic::Pdep
            | Mnemonic::Pext
            | Mnemonic::Pop
            | Mnemonic::Popcnt
            | Mnemonic::Push
            | Mnemonic::Rcl
            | Mnemonic::Rcr
            | Mnemonic::Rdrand
            | Mnemonic::Rdseed
            | Mnemonic::Rol
            | Mnemonic::Ror
            | Mnemonic::Rorx
            | Mnemonic::Sar
            | Mnemonic::Sarx
            | Mnemonic::Sbb
            | Mnemonic::Shl
            | Mnemonic::Shld
            | Mnemonic::Shlx
            | Mnemonic::Shr
            | Mnemonic::Shrd
            | Mnemonic::Shrx
            | Mnemonic::Sub
            | Mnemonic::Test
            | Mnemonic::Tzcnt
            | Mnemonic::Xadd
            | Mnemonic::Xchg
            | Mnemonic::Xor
    )
}

/// Bytes of an operand.
fn size_of(insn: &Instruction, operand: u32) -> usize {
    match insn.op_kind(operand) {
        OpKind::Register => insn.op_register(operand).size(),
        OpKind::Memory => insn.memory_size().size(),
        // a number that is pushed
        OpKind::Immediate16 | OpKind::Immediate8to16 => 2,
        _ => 8,
    }
}

fn suffix(size: usize) -> &'static str {
    match size {
        1 => "b",
        2 => "w",
        4 => "l",
        8 => "q",
        _ => "",
    }
}

fn push_operand(text: &mut String, insn: &Instruction, operand: u32) {
    let kind = insn.op_kind(operand);
    let indirect = matches!(insn.mnemonic(), Mnemonic::Jmp | Mnemonic::Call);
    if indirect && !is_direct(insn) {
        text.push('*');
    }
    match kind {
        OpKind::Register => push_register(text, insn.op_register(operand)),
        OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64 => {
            push(text, format_args!("{:#x}", insn.near_branch_target()));
        }
        OpKind::Memory => push_memory(text, insn),
        _ => match (string_register(kind), insn.try_immediate(operand)) {
            (Some((segment, register)), _) => {
                text.push_str(segment);
                if segment.is_empty() {
                    push_segment(text, insn);
                }
                push(text, format_args!("({register})"));
            }
            (None, Ok(value)) => push(text, format_args!("${}", immediate(insn, operand, value))),
            // no other kind exists in 64-bit code
            (None, Err(_)) => text.push('?'),
        },
    }
}

/// Where string instructions find what they work on: a segment that is always written, and the
/// register.
fn string_register(kind: OpKind) -> Option<(&'static str, &'static str)> {
    Some(match kind {
        OpKind::MemorySegSI => ("", "%si"),
        OpKind::MemorySegESI => ("", "%esi"),
        OpKind::MemorySegRSI => ("", "%rsi"),
        OpKind::MemorySegDI => ("", "%di"),
        OpKind::MemorySegEDI => ("", "%edi"),
        OpKind::MemorySegRDI => ("", "%rdi"),
        OpKind::MemoryESDI => ("%es:", "%di"),
        OpKind::MemoryESEDI => ("%es:", "%edi"),
        OpKind::MemoryESRDI => ("%es:", "%rdi"),
        _ => return None,
    })
}

/// The number that an immediate stands for.
fn immediate(insn: &Instruction, operand: u32, value: u64) -> i64 {
    match insn.op_kind(operand) {
        // numbers to calculate with; others count or choose
        OpKind::Immediate8 if size_of(insn, 0) == 1 && is_calculation(insn.mnemonic()) => {
            i64::from(u8::try_from(value).unwrap_or_default().cast_signed())
        }
        OpKind::Immediate16 if matches!(insn.mnemonic(), Mnemonic::Enter | Mnemonic::Ret) => {
            i64::from(u16::try_from(value).unwrap_or_default().cast_signed())
        }
        _ => value.cast_signed(),
    }
}

fn is_calculation(mnemonic: Mnemonic) -> bool {
    matches!(
        mnemonic,
        Mnemonic::Adc
            | Mnemonic::Add
            | Mnemonic::And
            | Mnemonic::Cmp
            | Mnemonic::Mov
            | Mnemonic::Or
            | Mnemonic::Sbb
            | Mnemonic::Sub
            | Mnemonic::Test
            | Mnemonic::Xor
    )
}

fn push_memory(text: &mut String, insn: &Instruction) {
    push_segment(text, insn);
    let (base, index) = (insn.memory_base(), insn.memory_index());
    let displacement = displacement(insn);
    let registers = base != Register::None || index != Register::None;
    if displacement != 0 || !registers {
        push(text, format_args!("{displacement}"));
    }
    if !registers {
        return;
    }
    text.push('(');
    if base != Register::None {
        push_register(text, base);
    }
    if index != Register::None {
        text.push(',');
        push_register(text, index);
        if insn.memory_index_scale() != 1 {
            push(text, format_args!(",{}", insn.memory_index_scale()));
        }
    }
    text.push(')');
}

/// A segment is written where a prefix says it.
fn push_segment(text: &mut String, insn: &Instruction) {
    if insn.segment_prefix() != Register::None {
        push_register(text, insn.segment_prefix());
        text.push(':');
    }
}

/// The number in the encoding, not the place that it leads to.
fn displacement(insn: &Instruction) -> i64 {
    let value = insn.memory_displacement64();
    match insn.memory_base() {
        Register::RIP => value.wrapping_sub(insn.next_ip()).cast_signed(),
        Register::EIP => i64::from(
            insn.memory_displacement32()
                .wrapping_sub(insn.next_ip32())
                .cast_signed(),
        ),
        base if base.size() == 4 || insn.memory_index().size() == 4 => {
            i64::from(insn.memory_displacement32().cast_signed())
        }
        _ => value.cast_signed(),
    }
}

fn push_register(text: &mut String, register: Register) {
    let name = format!("{register:?}").to_ascii_lowercase();
    // the low bytes of the numbered registers
    match name.strip_suffix('l').filter(|name| name.starts_with('r')) {
        Some(number) => push(text, format_args!("%{number}b")),
        None => push(text, format_args!("%{name}")),
    }
}
