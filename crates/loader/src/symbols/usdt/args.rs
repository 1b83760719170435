//! Arguments of static probes: `SIZE@OPERAND`, where the operand is what the assembler of the
//! machine calls it.

use super::super::SymbolError;
use super::{MAX_ARGUMENTS, registers};
use object::elf;

/// Where an argument is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Location {
    /// It is this number.
    Constant(i64),
    /// In a register, given by its place in `struct pt_regs`.
    Register(u16),
    /// In memory, at a register's value and more.
    Memory {
        /// The register.
        base: u16,
        /// What is added.
        offset: i64,
    },
    /// In memory, at the sum of a register, another times a power of two, and a number.
    Indexed {
        /// The register.
        base: u16,
        /// The other register.
        index: u16,
        /// How far the other is shifted.
        shift: u8,
        /// What is added.
        offset: i64,
    },
}

/// An argument of a static probe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Argument {
    /// Where it is.
    pub location: Location,
    /// Its bytes: 1, 2, 4 or 8.
    pub size: u8,
    /// Whether it can be negative.
    pub signed: bool,
}

/// Reads the arguments of a probe on a machine.
pub(super) fn parse(text: &str, machine: u16, probe: &str) -> Result<Vec<Argument>, SymbolError> {
    let mut text = Text { rest: text };
    let mut found = Vec::new();
    text.blanks();
    while !text.rest.is_empty() {
        if found.len() >= MAX_ARGUMENTS {
            return Err(SymbolError::TooManyArguments {
                probe: probe.to_owned(),
                max: MAX_ARGUMENTS,
            });
        }
        let start = text.rest;
        let argument = operand_of(machine)
            .ok_or(SymbolError::Machine { machine })
            .and_then(|operand| {
                argument(&mut text, machine, operand).map_err(|why| SymbolError::BadArgument {
                    probe: probe.to_owned(),
                    index: found.len(),
                    why,
                    text: start
                        .split_ascii_whitespace()
                        .next()
                        .unwrap_or_default()
                        .to_owned(),
                })
            })?;
        found.push(argument);
        text.blanks();
    }
    Ok(found)
}

type Operand = fn(&mut Text<'_>, u16) -> Result<Location, &'static str>;

fn operand_of(machine: u16) -> Option<Operand> {
    Some(match machine {
        _ if machine == elf::EM_X86_64.0 || machine == elf::EM_386.0 => x86,
        _ if machine == elf::EM_AARCH64.0 || machine == elf::EM_ARM.0 => arm,
        _ if machine == elf::EM_RISCV.0 => riscv,
        _ if machine == elf::EM_S390.0 => s390,
        _ => return None,
    })
}

fn argument(text: &mut Text<'_>, machine: u16, operand: Operand) -> Result<Argument, &'static str> {
    let size = text.number().ok_or("it does not start with a size")?;
    if !text.word('@') {
        return Err("there is no `@` after its size");
    }
    let bytes = match size.unsigned_abs() {
        size @ (1 | 2 | 4 | 8) => u8::try_from(size).unwrap_or_default(),
        _ => return Err("its size is neither 1, 2, 4 nor 8"),
    };
    let location = operand(text, machine)?;
    if !text.rest.is_empty() && !text.before_blank() {
        return Err("something follows it");
    }
    Ok(Argument {
        location,
        size: bytes,
        signed: size < 0,
    })
}

/// What is left of a text; and whether the last thing taken was a blank.
struct Text<'a> {
    rest: &'a str,
}

impl<'a> Text<'a> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Whether a blank is next.
    fn before_blank(&self) -> bool {
        self.rest.starts_with(|c: char| c.is_ascii_whitespace())
    }

    /// Takes a character, after blanks.
    fn word(&mut self, wanted: char) -> bool {
        let rest = self.rest.trim_start().strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Takes a number, after blanks.
    fn number(&mut self) -> Option<i64> {
        let text = self.rest.trim_start();
        let signed = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (digits, radix, sign_and) = match signed.strip_prefix("0x") {
            Some(hex) => (hex, 16, 2),
            None => (signed, 10, 0),
        };
        let len = digits
            .find(|c: char| !c.is_digit(radix))
            .unwrap_or(digits.len());
        let digits = digits.get(..len)?;
        let value = u64::from_str_radix(digits, radix).ok()?;
        let taken = text.len() - signed.len() + sign_and + len;
        let value = match text.starts_with('-') {
            true => 0i64.checked_sub_unsigned(value)?,
            // what has the highest bit is written without a sign, too
            false => value.cast_signed(),
        };
        self.rest = text.get(taken..)?;
        Some(value)
    }

    /// Takes a name of letters and digits, after blanks.
    fn name(&mut self) -> &'a str {
        let text = self.rest.trim_start();
        let end = text
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        self.rest = rest;
        name
    }

    /// Takes a register: `%rax`, `x0`.
    fn register(&mut self, machine: u16, sign: Option<char>) -> Result<u16, &'static str> {
        if let Some(sign) = sign
            && !self.word(sign)
        {
            return Err("there is no register");
        }
        registers::place(machine, self.name()).ok_or("its register is not known")
    }
}

/// `$5`, `%rax`, `-8(%rbp)`, `(%rsp)`, `-96(%rbp,%rax,8)`.
fn x86(text: &mut Text<'_>, machine: u16) -> Result<Location, &'static str> {
    if text.word('$') {
        let number = text.number().ok_or("there is no number after the `$`")?;
        return Ok(Location::Constant(number));
    }
    let offset = text.number();
    if !text.word('(') {
        if offset.is_some() {
            return Err("it is at an address of its own");
        }
        return text.register(machine, Some('%')).map(Location::Register);
    }
    let offset = offset.unwrap_or(0);
    let base = text.register(machine, Some('%'))?;
    if !text.word(',') {
        return close(text, ')', Location::Memory { base, offset });
    }
    let index = text.register(machine, Some('%'))?;
    let shift = match text.word(',') {
        false => 0,
        true => match text.number() {
            Some(1) => 0,
            Some(2) => 1,
            Some(4) => 2,
            Some(8) => 3,
            _ => return Err("its scale is neither 1, 2, 4 nor 8"),
        },
    };
    let location = Location::Indexed {
        base,
        index,
        shift,
        offset,
    };
    close(text, ')', location)
}

/// `5` or `#5`, `x0`, `[sp]`, `[sp, 96]`, `[fp, #96]`.
fn arm(text: &mut Text<'_>, machine: u16) -> Result<Location, &'static str> {
    if text.word('[') {
        let base = text.register(machine, None)?;
        let offset = match text.word(',') {
            false => 0,
            true => {
                let _sign = text.word('#');
                text.number().ok_or("its offset is no number")?
            }
        };
        return close(text, ']', Location::Memory { base, offset });
    }
    let _sign = text.word('#');
    match text.number() {
        Some(number) => Ok(Location::Constant(number)),
        None => text.register(machine, None).map(Location::Register),
    }
}

/// `5`, `a0`, `-88(s0)`.
fn riscv(text: &mut Text<'_>, machine: u16) -> Result<Location, &'static str> {
    number_or_memory(text, machine, None)
}

/// `5`, `%r0`, `-28(%r15)`.
fn s390(text: &mut Text<'_>, machine: u16) -> Result<Location, &'static str> {
    number_or_memory(text, machine, Some('%'))
}

fn number_or_memory(
    text: &mut Text<'_>,
    machine: u16,
    sign: Option<char>,
) -> Result<Location, &'static str> {
    let Some(offset) = text.number() else {
        return text.register(machine, sign).map(Location::Register);
    };
    if !text.word('(') {
        return Ok(Location::Constant(offset));
    }
    let base = text.register(machine, sign)?;
    close(text, ')', Location::Memory { base, offset })
}

fn close(text: &mut Text<'_>, bracket: char, location: Location) -> Result<Location, &'static str> {
    match text.word(bracket) {
        true => Ok(location),
        false => Err("its bracket does not end"),
    }
}
