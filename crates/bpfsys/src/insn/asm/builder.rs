//! Streams with labels.

use std::collections::BTreeMap;

use super::{call_rel, goto, gotol, jump_if, ld_func, may_goto};
use crate::insn::{Insn, JmpOp, Operand, Reg, Width};

/// A place in a stream that is being built, to jump to or call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(usize);

/// Which field of a slot receives the distance to a label.
#[derive(Clone, Copy, Debug)]
enum Field {
    Off,
    Imm,
}

/// A stream that cannot be finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// A label was used and never placed.
    #[error("instruction {at} refers to a label that was never placed")]
    Unplaced {
        /// Slot of the instruction that uses it.
        at: usize,
    },
    /// A jump is farther than its field can say.
    #[error("instruction {at} cannot reach slot {target}")]
    TooFar {
        /// Slot of the jump.
        at: usize,
        /// Slot of the label.
        target: usize,
    },
}

/// Puts instructions in a row and resolves jumps between them.
///
/// ```
/// use bpfsys::insn::asm::{Builder, R0, R1, exit, mov64_imm};
/// use bpfsys::insn::JmpOp;
///
/// let mut program = Builder::new();
/// let out = program.label();
/// program
///     .push(mov64_imm(R0, 0))
///     .jump_if(JmpOp::Eq, R1, 0, out)
///     .push(mov64_imm(R0, 1))
///     .place(out)
///     .push(exit());
/// assert_eq!(program.finish()?.len(), 4);
/// # Ok::<(), bpfsys::insn::asm::BuildError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Builder {
    insns: Vec<Insn>,
    /// Slot of each label that was placed.
    places: BTreeMap<Label, usize>,
    labels: usize,
    uses: Vec<(usize, Label, Field)>,
}

impl Builder {
    /// An empty stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A label of this builder, yet to be [placed](Self::place).
    pub fn label(&mut self) -> Label {
        let label = Label(self.labels);
        self.labels += 1;
        label
    }

    /// Puts a label before the next instruction; a second time moves it.
    pub fn place(&mut self, label: Label) -> &mut Self {
        self.places.insert(label, self.insns.len());
        self
    }

    /// Appends an instruction, a 64-bit load or a ready stream.
    pub fn push(&mut self, insns: impl AsRef<[Insn]>) -> &mut Self {
        self.insns.extend_from_slice(insns.as_ref());
        self
    }

    /// Appends a jump; the label must be within 16 bits.
    pub fn jump(&mut self, to: Label) -> &mut Self {
        self.push_to(to, Field::Off, goto(0))
    }

    /// Appends a jump of any distance. Since Linux 6.6.
    pub fn jump_long(&mut self, to: Label) -> &mut Self {
        self.push_to(to, Field::Imm, gotol(0))
    }

    /// Appends a 64-bit comparison.
    pub fn jump_if(
        &mut self,
        op: JmpOp,
        dst: Reg,
        src: impl Into<Operand>,
        to: Label,
    ) -> &mut Self {
        self.push_to(to, Field::Off, jump_if(Width::W64, op, dst, src.into(), 0))
    }

    /// Appends a 32-bit comparison.
    pub fn jump32_if(
        &mut self,
        op: JmpOp,
        dst: Reg,
        src: impl Into<Operand>,
        to: Label,
    ) -> &mut Self {
        self.push_to(to, Field::Off, jump_if(Width::W32, op, dst, src.into(), 0))
    }

    /// Appends a jump that leaves a long loop. Since Linux 6.9.
    pub fn may_goto(&mut self, to: Label) -> &mut Self {
        self.push_to(to, Field::Off, may_goto(0))
    }

    /// Appends a call of a function in this stream.
    pub fn call(&mut self, to: Label) -> &mut Self {
        self.push_to(to, Field::Imm, call_rel(0))
    }

    /// Appends a load of the address of a function in this stream.
    pub fn ld_func(&mut self, dst: Reg, to: Label) -> &mut Self {
        self.push_to(to, Field::Imm, ld_func(dst, 0))
    }

    /// The stream with every distance filled in.
    ///
    /// # Errors
    ///
    /// A label was never placed, or is out of reach.
    pub fn finish(self) -> Result<Vec<Insn>, BuildError> {
        let Self {
            mut insns,
            places,
            uses,
            ..
        } = self;
        for (at, label, field) in uses {
            let target = *places.get(&label).ok_or(BuildError::Unplaced { at })?;
            let too_far = BuildError::TooFar { at, target };
            let distance = distance(at, target).ok_or(too_far)?;
            let Some(insn) = insns.get_mut(at) else {
                continue;
            };
            match field {
                Field::Off => insn.off = i16::try_from(distance).ok().ok_or(too_far)?,
                Field::Imm => insn.imm = distance,
            }
        }
        Ok(insns)
    }

    fn push_to(&mut self, to: Label, field: Field, insns: impl AsRef<[Insn]>) -> &mut Self {
        self.uses.push((self.insns.len(), to, field));
        self.push(insns)
    }
}

/// Slots from the one after `at` to `target`.
fn distance(at: usize, target: usize) -> Option<i32> {
    let (at, target) = (i64::try_from(at).ok()?, i64::try_from(target).ok()?);
    i32::try_from(target.checked_sub(at)?.checked_sub(1)?).ok()
}

#[cfg(test)]
mod tests {
    use super::super::{R0, R1, R2, assemble, exit, mov64_imm};
    use super::*;

    #[test]
    fn labels_resolve_in_both_directions() {
        let mut program = Builder::new();
        let (top, out, function) = (program.label(), program.label(), program.label());
        program
            .place(top)
            .jump_if(JmpOp::Eq, R1, 0, out)
            .jump32_if(JmpOp::Lt, R1, R2, top)
            .may_goto(out)
            .call(function)
            .ld_func(R1, function)
            .jump_long(top)
            .jump(top)
            .place(out)
            .push(exit())
            .place(function)
            .push(mov64_imm(R0, 0))
            .push(exit());
        let expected = "if r1 == 0x0 goto pc+7\nif w1 < w2 goto pc-2\nmay_goto pc+5\ncall pc+5\n\
                        r1 = subprog[+4]\ngotol pc-7\ngoto pc-8\nexit\nr0 = 0\nexit";
        assert_eq!(program.finish(), Ok(assemble(expected).unwrap()));
    }

    #[test]
    fn unplaced_and_distant_labels_are_errors() {
        let mut program = Builder::new();
        let label = program.label();
        program.push(exit()).jump(label);
        assert_eq!(
            program.clone().finish(),
            Err(BuildError::Unplaced { at: 1 })
        );
        program.push(vec![exit(); 32_768]).place(label);
        let error = program.finish().unwrap_err();
        let expected = BuildError::TooFar {
            at: 1,
            target: 32_770,
        };
        assert_eq!(error, expected);
        assert_eq!(error.to_string(), "instruction 1 cannot reach slot 32770");
    }
}
