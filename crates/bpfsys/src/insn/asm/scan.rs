//! Reading one line of text: positions, words, numbers and registers.

use super::text::AsmError;
use crate::insn::{Operand, Reg, Width};

pub(super) const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

pub(super) const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// What was expected at which byte of the line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) expected: &'static str,
}

impl Fault {
    pub(super) fn at_line(self, line: usize, text: &str) -> AsmError {
        const SHOWN: usize = 24;
        let (before, rest) = text.split_at_checked(self.at).unwrap_or((text, ""));
        let word = rest.split([' ', '\t', '\r']).next().unwrap_or("");
        let found = match word {
            "" => "the end of the line".to_owned(),
            word => {
                let shown: String = word.chars().take(SHOWN).collect();
                let more = if shown.len() < word.len() { "…" } else { "" };
                format!("`{}{more}`", shown.escape_debug())
            }
        };
        AsmError {
            line,
            column: before.chars().count() + 1,
            expected: self.expected,
            found,
        }
    }
}

pub(super) type Parsed<T> = Result<T, Fault>;

/// A line and how far it was read.
#[derive(Clone, Copy)]
pub(super) struct Scanner<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Whether this byte comes next, without a blank before it.
    pub(super) fn next_is(&self, byte: u8) -> bool {
        self.text.as_bytes().get(self.at) == Some(&byte)
    }

    /// What is left, after blanks.
    pub(super) fn rest(&mut self) -> &'a str {
        let rest = self.text.get(self.at..).unwrap_or("");
        let blanks = rest.bytes().take_while(|byte| is_blank(*byte)).count();
        self.at += blanks;
        rest.get(blanks..).unwrap_or("")
    }

    pub(super) fn fault<T>(&mut self, expected: &'static str) -> Parsed<T> {
        self.rest();
        Err(Fault {
            at: self.at,
            expected,
        })
    }

    /// Takes punctuation if it comes next.
    pub(super) fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    pub(super) fn want(&mut self, token: &str, expected: &'static str) -> Parsed<()> {
        if self.eat(token) {
            Ok(())
        } else {
            self.fault(expected)
        }
    }

    /// The run of bytes that comes next.
    pub(super) fn run(&mut self, wanted: impl Fn(u8) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.bytes().take_while(|byte| wanted(*byte)).count();
        rest.get(..length).unwrap_or("")
    }

    /// The word that comes next, still there.
    pub(super) fn word(&mut self) -> &'a str {
        self.run(is_word)
    }

    /// Takes a whole word if it comes next.
    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        let found = self.word() == word;
        if found {
            self.at += word.len();
        }
        found
    }

    /// Takes a decimal number, with whatever sign `T` and `sign` allow.
    pub(super) fn number<T: std::str::FromStr>(
        &mut self,
        sign: Sign,
        expected: &'static str,
    ) -> Parsed<T> {
        let rest = self.rest();
        let signs = usize::from(match sign {
            Sign::Negative => rest.starts_with('-'),
            Sign::Always => rest.starts_with(['+', '-']),
        });
        let digits = rest
            .bytes()
            .skip(signs)
            .take_while(|byte| is_word(*byte))
            .count();
        let number = match sign {
            Sign::Always if signs == 0 => None,
            _ => rest
                .get(..signs + digits)
                .and_then(|text| text.parse().ok()),
        };
        match number {
            Some(number) => {
                self.at += signs + digits;
                Ok(number)
            }
            None => self.fault(expected),
        }
    }

    pub(super) fn imm(&mut self) -> Parsed<i32> {
        self.number(Sign::Negative, "a decimal number of 32 bits")
    }

    /// `0x…`
    pub(super) fn hex<T: TryFrom<u64>>(&mut self, expected: &'static str) -> Parsed<T> {
        let word = self.word();
        let value = word
            .strip_prefix("0x")
            .and_then(|digits| u64::from_str_radix(digits, 16).ok())
            .and_then(|value| T::try_from(value).ok());
        match value {
            Some(value) => {
                self.at += word.len();
                Ok(value)
            }
            None => self.fault(expected),
        }
    }

    /// Takes a register of either width if one comes next.
    pub(super) fn eat_reg(&mut self) -> Option<(Width, Reg)> {
        let word = self.word();
        let (width, number) = match word.split_at_checked(1)? {
            ("r", number) => (Width::W64, number),
            ("w", number) => (Width::W32, number),
            _ => return None,
        };
        let reg = Reg::new(number.parse().ok()?)?;
        self.at += word.len();
        Some((width, reg))
    }

    pub(super) fn reg(&mut self, width: Width) -> Parsed<Reg> {
        let start = *self;
        match self.eat_reg() {
            Some((found, reg)) if found == width => Ok(reg),
            _ => {
                *self = start;
                self.fault(match width {
                    Width::W64 => "a register",
                    Width::W32 => "a 32-bit register",
                })
            }
        }
    }

    /// A register, or a decimal number.
    pub(super) fn operand(&mut self, width: Width) -> Parsed<Operand> {
        if self.word().starts_with(['r', 'w']) {
            return self.reg(width).map(Operand::Reg);
        }
        let imm = self.number(Sign::Negative, "a register or a decimal number of 32 bits")?;
        Ok(Operand::Imm(imm))
    }

    /// The register that stood before must stand here again.
    pub(super) fn same_reg(&mut self, width: Width, reg: Reg) -> Parsed<()> {
        let start = *self;
        if self.reg(width)? == reg {
            return Ok(());
        }
        *self = start;
        self.fault("the register of the left side")
    }

    /// `pc+5`, without limits on the number.
    pub(super) fn target<T: std::str::FromStr>(&mut self, expected: &'static str) -> Parsed<T> {
        let start = *self;
        if self.eat("pc")
            && let Ok(distance) = self.number(Sign::Always, expected)
        {
            return Ok(distance);
        }
        *self = start;
        self.fault(expected)
    }

    pub(super) fn target16(&mut self) -> Parsed<i16> {
        self.target("a target such as `pc+1`, within 16 bits")
    }

    pub(super) fn target32(&mut self) -> Parsed<i32> {
        self.target("a target such as `pc+1`, within 32 bits")
    }
}

/// Which signs a number may have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// A minus or none.
    Negative,
    /// Plus or minus, one of them.
    Always,
}
