//! Runs the instructions that a compiler makes of straight-line C: no calls, no maps.

use anyhow::{Result, bail, ensure};
use btf::Endian;
use btf::core_reloc::{Insn, POISON_HELPER};

/// Instructions that a program may take.
const STEPS: usize = 100_000;
const STACK: u64 = 512;

/// How a program ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// What it returned.
    Exit(u64),
    /// It got to a poisoned instruction.
    Poisoned(usize),
}

/// Memory that the program may use: where it starts, and its bytes.
type Region = (u64, Vec<u8>);

/// A program's registers and memory.
pub(crate) struct Machine {
    endian: Endian,
    regs: [u64; 16],
    regions: Vec<Region>,
}

impl Machine {
    /// With pointers to copies of `args` in the registers of arguments, and a stack.
    pub(crate) fn new(endian: Endian, args: &[&[u8]]) -> Self {
        let mut machine = Self {
            endian,
            regs: [0; 16],
            regions: Vec::new(),
        };
        for (bytes, reg) in args.iter().zip(1u64..) {
            let start = reg << 32;
            machine.regions.push((start, bytes.to_vec()));
            machine.set(reg, start);
        }
        let bottom = 10 << 32;
        machine.regions.push((bottom, vec![0; 512]));
        machine.set(10, bottom + STACK);
        machine
    }

    fn set(&mut self, reg: u64, value: u64) {
        let reg = usize::try_from(reg & 15).unwrap_or_default();
        if let Some(place) = self.regs.get_mut(reg) {
            *place = value;
        }
    }

    fn get(&self, reg: u8) -> u64 {
        self.regs
            .get(usize::from(reg & 15))
            .copied()
            .unwrap_or_default()
    }

    fn bytes(&mut self, addr: u64, len: u64) -> Result<&mut [u8]> {
        for (start, bytes) in &mut self.regions {
            let Some(at) = addr.checked_sub(*start) else {
                continue;
            };
            if let (Ok(at), Ok(len)) = (usize::try_from(at), usize::try_from(len))
                && let Some(range) = bytes.get_mut(at..at.saturating_add(len))
            {
                return Ok(range);
            }
        }
        bail!("access of {len} bytes at {addr:#x}")
    }

    fn load(&mut self, addr: u64, len: u64) -> Result<u64> {
        let endian = self.endian;
        let bytes = self.bytes(addr, len)?;
        let join = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        Ok(match endian {
            Endian::Big => bytes.iter().fold(0, join),
            Endian::Little => bytes.iter().rev().fold(0, join),
        })
    }

    fn store(&mut self, addr: u64, len: u64, value: u64) -> Result<()> {
        let endian = self.endian;
        let bytes = self.bytes(addr, len)?;
        let from = value.to_le_bytes();
        match endian {
            Endian::Big => bytes.iter_mut().rev().zip(from).for_each(|(b, v)| *b = v),
            Endian::Little => bytes.iter_mut().zip(from).for_each(|(b, v)| *b = v),
        }
        Ok(())
    }

    /// Runs from the first instruction until the program ends.
    pub(crate) fn run(&mut self, program: &[[u8; 8]]) -> Result<End> {
        let mut at = 0usize;
        let fetch = |at: usize| {
            let bytes = program.get(at).copied();
            bytes.map(|bytes| Insn::decode(bytes, self.endian))
        };
        let all: Vec<Insn> = (0..program.len()).filter_map(fetch).collect();
        for _ in 0..STEPS {
            let Some(insn) = all.get(at).copied() else {
                bail!("left the program at {at}");
            };
            at += 1;
            let dst = u64::from(insn.dst);
            match insn.code & 7 {
                4 | 7 => {
                    let value = self.arithmetic(&insn)?;
                    self.set(dst, value);
                }
                5 | 6 => match insn.code {
                    0x95 => return Ok(End::Exit(self.get(0))),
                    0x85 if insn.imm == POISON_HELPER => return Ok(End::Poisoned(at - 1)),
                    0x85 | 0x8d => bail!("call at {}", at - 1),
                    _ if self.jumps(&insn)? => {
                        let to = i64::try_from(at)? + i64::from(insn.off);
                        at = usize::try_from(to)?;
                    }
                    _ => {}
                },
                0 => {
                    ensure!(insn.code == 0x18 && insn.src == 0, "load at {}", at - 1);
                    let high = all.get(at).map_or(0, |next| next.imm);
                    at += 1;
                    let low = u64::from(insn.imm.cast_unsigned());
                    self.set(dst, u64::from(high.cast_unsigned()) << 32 | low);
                }
                class => self.memory(class, &insn)?,
            }
        }
        bail!("the program does not end")
    }

    fn memory(&mut self, class: u8, insn: &Insn) -> Result<()> {
        ensure!(insn.code & 0xe0 == 0x60, "opcode {:#x}", insn.code);
        let len = match insn.code & 0x18 {
            0x00 => 4,
            0x08 => 2,
            0x10 => 1,
            _ => 8,
        };
        let base = self.get(if class == 1 { insn.src } else { insn.dst });
        let addr = base.wrapping_add_signed(insn.off.into());
        match class {
            1 => {
                let value = self.load(addr, len)?;
                self.set(insn.dst.into(), value);
                Ok(())
            }
            2 => self.store(addr, len, i64::from(insn.imm).cast_unsigned()),
            _ => self.store(addr, len, self.get(insn.src)),
        }
    }

    /// The second operand, extended to 64 bits.
    fn operand(&self, insn: &Insn) -> u64 {
        if insn.code & 8 != 0 {
            self.get(insn.src)
        } else {
            i64::from(insn.imm).cast_unsigned()
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "32-bit operations")]
    fn arithmetic(&self, insn: &Insn) -> Result<u64> {
        let wide = insn.code & 7 == 7;
        let (mut a, mut b) = (self.get(insn.dst), self.operand(insn));
        if !wide {
            (a, b) = (u64::from(a as u32), u64::from(b as u32));
        }
        ensure!(insn.off == 0, "opcode {:#x} with an offset", insn.code);
        let bits = if wide { 63 } else { 31 };
        let value = match insn.code & 0xf0 {
            0x00 => a.wrapping_add(b),
            0x10 => a.wrapping_sub(b),
            0x20 => a.wrapping_mul(b),
            0x30 => a.checked_div(b).unwrap_or(0),
            0x40 => a | b,
            0x50 => a & b,
            0x60 => a << (b & bits),
            0x70 => a >> (b & bits),
            0x80 => a.wrapping_neg(),
            0x90 => a.checked_rem(b).unwrap_or(a),
            0xa0 => a ^ b,
            0xb0 => b,
            0xc0 if wide => (a.cast_signed() >> (b & bits)).cast_unsigned(),
            0xc0 => ((a as u32).cast_signed() >> (b & bits))
                .cast_unsigned()
                .into(),
            _ => bail!("opcode {:#x}", insn.code),
        };
        Ok(if wide { value } else { u64::from(value as u32) })
    }

    #[expect(clippy::cast_possible_truncation, reason = "32-bit operations")]
    fn jumps(&self, insn: &Insn) -> Result<bool> {
        let (mut a, mut b) = (self.get(insn.dst), self.operand(insn));
        let (mut sa, mut sb) = (a.cast_signed(), b.cast_signed());
        if insn.code & 7 == 6 {
            (a, b) = (u64::from(a as u32), u64::from(b as u32));
            (sa, sb) = (
                i64::from((a as u32).cast_signed()),
                i64::from((b as u32).cast_signed()),
            );
        }
        Ok(match insn.code & 0xf0 {
            0x00 => true,
            0x10 => a == b,
            0x20 => a > b,
            0x30 => a >= b,
            0x40 => a & b != 0,
            0x50 => a != b,
            0x60 => sa > sb,
            0x70 => sa >= sb,
            0xa0 => a < b,
            0xb0 => a <= b,
            0xc0 => sa < sb,
            0xd0 => sa <= sb,
            _ => bail!("opcode {:#x}", insn.code),
        })
    }
}

/// `r1 + 8` and back, in the interpreter itself.
pub(crate) fn knows_its_instructions() -> Result<()> {
    for endian in [Endian::Little, Endian::Big] {
        let insn = |code, dst, src, off, imm| {
            let insn = Insn {
                code,
                dst,
                src,
                off,
                imm,
            };
            insn.encode(endian)
        };
        let number = 0x0102_0304_0506_0708u64;
        let bytes = match endian {
            Endian::Little => number.to_le_bytes(),
            Endian::Big => number.to_be_bytes(),
        };
        let half = if endian == Endian::Little {
            0x0708
        } else {
            0x0102
        };
        for (program, expect) in [
            (vec![insn(0x79, 0, 1, 0, 0)], number),
            (vec![insn(0x69, 0, 1, 0, 0)], half),
            // -8 >> 1, with the sign and without
            (
                vec![insn(0xb7, 0, 0, 0, -8), insn(0xc7, 0, 0, 0, 1)],
                u64::MAX - 3,
            ),
            (
                vec![insn(0xb4, 0, 0, 0, -8), insn(0x74, 0, 0, 0, 1)],
                0x7fff_fffc,
            ),
            // a store to the stack, read back
            (
                vec![
                    insn(0x7a, 10, 0, -8, 0x55),
                    insn(0x79, 0, 10, -8, 0),
                    insn(0x15, 0, 0, 1, 0x55),
                    insn(0xb7, 0, 0, 0, 1),
                ],
                0x55,
            ),
            (
                vec![insn(0x18, 0, 0, 0, -1), insn(0, 0, 0, 0, 7)],
                0x7_ffff_ffff,
            ),
        ] {
            let mut program = program;
            program.push(insn(0x95, 0, 0, 0, 0));
            let end = Machine::new(endian, &[&bytes]).run(&program)?;
            ensure!(end == End::Exit(expect), "{end:?}, not {expect:#x}");
        }
        let outside =
            Machine::new(endian, &[&bytes]).run(&[insn(0x79, 0, 1, 1, 0), insn(0x95, 0, 0, 0, 0)]);
        ensure!(outside.is_err(), "a load past the end");
        let poison = Machine::new(endian, &[]).run(&[insn(0x85, 0, 0, 0, POISON_HELPER)])?;
        ensure!(poison == End::Poisoned(0), "{poison:?}");
    }
    Ok(())
}
