//! Where registers are among those that the kernel saves: offsets in `struct pt_regs`, or in what
//! user space sees of it, which programs get as their context.

use object::elf;

/// Registers of x86-64 by their places; those with four names have 64, 32, 16 and 8 bits.
const X86: &[(u16, [&str; 4])] = &[
    (0, ["r15", "r15d", "r15w", "r15b"]),
    (8, ["r14", "r14d", "r14w", "r14b"]),
    (16, ["r13", "r13d", "r13w", "r13b"]),
    (24, ["r12", "r12d", "r12w", "r12b"]),
    (32, ["rbp", "ebp", "bp", "bpl"]),
    (40, ["rbx", "ebx", "bx", "bl"]),
    (48, ["r11", "r11d", "r11w", "r11b"]),
    (56, ["r10", "r10d", "r10w", "r10b"]),
    (64, ["r9", "r9d", "r9w", "r9b"]),
    (72, ["r8", "r8d", "r8w", "r8b"]),
    (80, ["rax", "eax", "ax", "al"]),
    (88, ["rcx", "ecx", "cx", "cl"]),
    (96, ["rdx", "edx", "dx", "dl"]),
    (104, ["rsi", "esi", "si", "sil"]),
    (112, ["rdi", "edi", "di", "dil"]),
    (128, ["rip", "eip", "", ""]),
    (152, ["rsp", "esp", "sp", "spl"]),
];

/// Registers of RISC-V in the order of `struct user_regs_struct`, which the program counter leads.
const RISCV: &[&str] = &[
    "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5", "a6",
    "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
];

/// Names of the last registers of 32-bit Arm.
const ARM: &[&str] = &["fp", "ip", "sp", "lr", "pc"];

/// A number after a letter, without a leading zero.
fn numbered(name: &str, letter: char, below: u16) -> Option<u16> {
    let digits = name.strip_prefix(letter)?;
    let number: u16 = digits.parse().ok()?;
    (number < below && (digits.len() == 1 || !digits.starts_with(['0', '+']))).then_some(number)
}

fn at(list: &[&str], name: &str) -> Option<u16> {
    let index = list.iter().position(|known| *known == name)?;
    u16::try_from(index).ok()
}

/// The place of a register by its name, on a machine.
pub(super) fn place(machine: u16, name: &str) -> Option<u16> {
    match machine {
        _ if machine == elf::EM_X86_64.0 || machine == elf::EM_386.0 => {
            let known = X86
                .iter()
                .find(|(_, names)| !name.is_empty() && names.contains(&name));
            known.map(|(place, _)| *place)
        }
        _ if machine == elf::EM_AARCH64.0 => match name {
            "sp" => Some(248),
            _ => numbered(name, 'x', 31)
                .or_else(|| numbered(name, 'w', 31))
                .map(|number| number * 8),
        },
        _ if machine == elf::EM_ARM.0 => numbered(name, 'r', 11)
            .or_else(|| at(ARM, name).map(|index| index + 11))
            .map(|number| number * 4),
        _ if machine == elf::EM_RISCV.0 => at(RISCV, name).map(|index| (index + 1) * 8),
        // an argument and the program status are in front
        _ if machine == elf::EM_S390.0 => numbered(name, 'r', 16).map(|number| 24 + number * 8),
        _ => None,
    }
}
