//! The programs around the one that is profiled, and what they keep.
//!
//! Each CPU has one value: how often the program ended, whether its beginning was seen, then
//! for each metric the reading at the beginning and the sum of the differences, each in the three
//! words of `struct bpf_perf_event_value`.

use bpfsys::insn::Insn;
use bpfsys::insn::asm::{
    BuildError, Builder, R0, R1, R2, R3, R4, R6, R7, R10, alu64_imm, alu64_reg, call_helper, exit,
    ld_map_fd, ldx, mov64_imm, mov64_reg, st, stx,
};
use bpfsys::insn::opcode::{AluOp, JmpOp, Size};
use bpfsys::uapi::helpers::HelperId;

use super::view::Reading;

const READING: u32 = 24;
/// Before the readings: how often, and whether the beginning was seen.
const HEAD: u32 = 16;
const SEEN: i16 = 8;

/// How many metrics there are, and up to which CPU.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub(super) metrics: u32,
    pub(super) cpus: u32,
}

/// Descriptors of the maps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Maps {
    pub(super) events: i32,
    pub(super) state: i32,
}

impl Layout {
    pub(super) const fn value_size(self) -> u32 {
        HEAD + 2 * READING * self.metrics
    }

    /// Takes the readings where the program begins.
    pub(super) fn at_entry(self, maps: Maps) -> Result<Vec<Insn>, BuildError> {
        let mut code = Builder::new();
        let out = code.label();
        prologue(&mut code, maps, out);
        code.push(st(Size::Dw, R7, SEEN, 0));
        for row in 0..self.metrics {
            code.push(mov64_reg(R3, R7));
            code.push(alu64_imm(AluOp::Add, R3, number(HEAD + READING * row)));
            self.read(&mut code, maps, row);
            code.jump_if(JmpOp::Ne, R0, 0, out);
        }
        code.push(st(Size::Dw, R7, SEEN, 1));
        epilogue(code, out)
    }

    /// Takes them where it ends, all of them before anything else is done, and adds up.
    pub(super) fn at_exit(self, maps: Maps) -> Result<Vec<Insn>, BuildError> {
        let mut code = Builder::new();
        let out = code.label();
        prologue(&mut code, maps, out);
        for row in 0..self.metrics {
            code.push(mov64_reg(R3, R10));
            code.push(alu64_imm(AluOp::Add, R3, self.on_stack(row)));
            self.read(&mut code, maps, row);
            code.jump_if(JmpOp::Ne, R0, 0, out);
        }
        code.push(ldx(Size::Dw, R1, R7, 0));
        code.push(alu64_imm(AluOp::Add, R1, 1));
        code.push(stx(Size::Dw, R7, R1, 0));
        code.push(ldx(Size::Dw, R1, R7, SEEN));
        code.jump_if(JmpOp::Eq, R1, 0, out);
        code.push(st(Size::Dw, R7, SEEN, 0));
        for row in 0..self.metrics {
            for word in 0..READING / 8 {
                let before = short(number(HEAD + READING * row + 8 * word));
                let sum = short(number(HEAD + READING * (self.metrics + row) + 8 * word));
                let now = short(self.on_stack(row) + number(8 * word));
                code.push(ldx(Size::Dw, R1, R10, now));
                code.push(ldx(Size::Dw, R2, R7, before));
                code.push(alu64_reg(AluOp::Sub, R1, R2));
                code.push(ldx(Size::Dw, R2, R7, sum));
                code.push(alu64_reg(AluOp::Add, R2, R1));
                code.push(stx(Size::Dw, R7, R2, sum));
            }
        }
        epilogue(code, out)
    }

    /// Where a reading is at the end, below the key of the look-up.
    fn on_stack(self, row: u32) -> i32 {
        -8 - number(READING * (self.metrics - row))
    }

    /// Reads an event to where `r3` points; `r6` is the CPU.
    fn read(self, code: &mut Builder, maps: Maps, row: u32) {
        code.push(ld_map_fd(R1, maps.events));
        code.push(mov64_reg(R2, R6));
        code.push(alu64_imm(
            AluOp::Add,
            R2,
            number(self.cpus.saturating_mul(row)),
        ));
        code.push(mov64_imm(R4, number(READING)));
        code.push(call_helper(HelperId::PERF_EVENT_READ_VALUE));
    }

    /// How often the program ran, and what was counted for each metric, on all CPUs.
    pub(super) fn sum(self, values: &[u8]) -> (u64, Vec<Reading>) {
        let rows = usize::try_from(self.metrics).unwrap_or(0);
        let size = usize::try_from(self.value_size()).unwrap_or(usize::MAX);
        let mut runs = 0_u64;
        let mut sums = vec![[0_u64; 3]; rows];
        for value in values.chunks_exact(size) {
            let words: Vec<u64> = value
                .as_chunks()
                .0
                .iter()
                .map(|word| u64::from_ne_bytes(*word))
                .collect();
            runs = runs.wrapping_add(words.first().copied().unwrap_or(0));
            let read = words.get(2 + 3 * rows..).unwrap_or_default();
            for (sum, read) in sums.iter_mut().flatten().zip(read) {
                *sum = sum.wrapping_add(*read);
            }
        }
        (runs, sums.into_iter().map(Reading::from).collect())
    }
}

/// The CPU in `r6`, its value in `r7`.
fn prologue(code: &mut Builder, maps: Maps, out: bpfsys::insn::asm::Label) {
    code.push(call_helper(HelperId::GET_SMP_PROCESSOR_ID));
    code.push(mov64_reg(R6, R0));
    code.push(st(Size::W, R10, -4, 0));
    code.push(mov64_reg(R2, R10));
    code.push(alu64_imm(AluOp::Add, R2, -4));
    code.push(ld_map_fd(R1, maps.state));
    code.push(call_helper(HelperId::MAP_LOOKUP_ELEM));
    code.jump_if(JmpOp::Eq, R0, 0, out);
    code.push(mov64_reg(R7, R0));
}

fn epilogue(mut code: Builder, out: bpfsys::insn::asm::Label) -> Result<Vec<Insn>, BuildError> {
    code.place(out);
    code.push(mov64_imm(R0, 0));
    code.push(exit());
    code.finish()
}

/// Sizes here are those of a few metrics.
fn number(small: u32) -> i32 {
    i32::try_from(small).unwrap_or(i32::MAX)
}

fn short(small: i32) -> i16 {
    i16::try_from(small).unwrap_or(i16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_all_cpus_are_added_up() {
        let layout = Layout {
            metrics: 2,
            cpus: 2,
        };
        let cpu = |runs: u64| [runs, 1, 9, 9, 9, 9, 9, 9, 1, 2, 3, 4, 5, 6];
        let values = [cpu(3), cpu(4)].concat();
        let bytes: Vec<u8> = values.iter().flat_map(|word| word.to_ne_bytes()).collect();
        assert_eq!(bytes.len(), 2 * layout.value_size() as usize);
        let (runs, sums) = layout.sum(&bytes);
        assert_eq!(runs, 7);
        assert_eq!(sums, [Reading::from([2, 4, 6]), Reading::from([8, 10, 12])]);
    }
}
