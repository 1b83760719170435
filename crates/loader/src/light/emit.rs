//! Instructions of a loader program.
//!
//! Register 6 holds the context and register 7 the answer of the last command. Everything else
//! that lives longer than a step is in the blob, which is the only map of the program.

use super::blob::Place;
use super::{LightError, layout::Layout};
use bpfsys::Cmd;
use bpfsys::insn::asm::{
    Builder, Label, R0, R1, R2, R3, R4, R6, R7, R8, Reg, alu64_imm, alu64_reg, call_helper, exit,
    ld_imm64, ld_map_idx, ld_map_idx_value, ldx, mov64_imm, mov64_reg, st, stx,
};
use bpfsys::insn::{AluOp, Insn, JmpOp, Size};
use bpfsys::uapi::helpers::HelperId;

/// Slots between two places from which the failing end can be reached. A jump reaches 32767, and
/// one step is far shorter than the rest.
const HOP: usize = 28_000;

/// Puts the program together.
#[derive(Debug)]
pub(super) struct Emitter {
    code: Builder,
    len: usize,
    /// Where a step that failed goes: the end, or a place that leads there.
    fail: Label,
    last_hop: usize,
}

impl Emitter {
    pub(super) fn new() -> Self {
        let mut code = Builder::new();
        let fail = code.label();
        let mut emitter = Self {
            code,
            len: 0,
            fail,
            last_hop: 0,
        };
        emitter.push(mov64_reg(R6, R1));
        emitter
    }

    pub(super) fn push(&mut self, insns: impl AsRef<[Insn]>) {
        self.len += insns.as_ref().len();
        self.code.push(insns);
    }

    pub(super) fn label(&mut self) -> Label {
        self.code.label()
    }

    pub(super) fn place(&mut self, label: Label) {
        self.code.place(label);
    }

    pub(super) fn jump(&mut self, to: Label) {
        self.len += 1;
        self.code.jump(to);
    }

    pub(super) fn jump_if(&mut self, op: JmpOp, dst: Reg, imm: i32, to: Label) {
        self.len += 1;
        self.code.jump_if(op, dst, imm, to);
    }

    pub(super) fn jump_if_reg(&mut self, op: JmpOp, dst: Reg, src: Reg, to: Label) {
        self.len += 1;
        self.code.jump_if(op, dst, src, to);
    }

    /// The place that failures go to.
    pub(super) const fn fail(&self) -> Label {
        self.fail
    }

    /// Begins a step: notes its number for whoever reads the blob after a failure.
    pub(super) fn begin_step(&mut self, progress: Place, number: i32) {
        self.lay_path();
        self.address(R1, progress);
        self.push(st(Size::W, R1, 0, number));
    }

    /// Lays a path to the failing end where the last one gets out of reach. Whatever is repeated
    /// inside a step calls it.
    pub(super) fn lay_path(&mut self) {
        if self.len - self.last_hop > HOP {
            let (over, next) = (self.label(), self.label());
            self.jump(over);
            self.place(self.fail);
            self.jump(next);
            self.place(over);
            self.fail = next;
            self.last_hop = self.len;
        }
    }

    /// `reg = address of the place`
    pub(super) fn address(&mut self, reg: Reg, place: Place) {
        self.push(ld_map_idx_value(reg, 0, place.imm()));
    }

    /// Puts the address of a place into a field. Changes registers 0 and 1.
    pub(super) fn put_address(&mut self, field: Place, of: Place) {
        self.address(R0, of);
        self.address(R1, field);
        self.push(stx(Size::Dw, R1, R0, 0));
    }

    /// Copies four bytes. Changes registers 0 and 1.
    pub(super) fn copy(&mut self, from: Place, to: Place) {
        self.address(R1, from);
        self.push(ldx(Size::W, R0, R1, 0));
        self.address(R1, to);
        self.push(stx(Size::W, R1, R0, 0));
    }

    /// Copies a field of the context. Changes registers 0 and 1.
    pub(super) fn copy_from_ctx(&mut self, size: Size, from: i16, to: Place) {
        self.push(ldx(size, R0, R6, from));
        self.address(R1, to);
        self.push(stx(size, R1, R0, 0));
    }

    /// Copies a field of the context unless it is zero. Changes registers 0 and 1.
    pub(super) fn copy_from_ctx_if_set(&mut self, size: Size, from: i16, to: Place) {
        let unset = self.label();
        self.push(ldx(size, R0, R6, from));
        self.jump_if(JmpOp::Eq, R0, 0, unset);
        self.address(R1, to);
        self.push(stx(size, R1, R0, 0));
        self.place(unset);
    }

    /// Copies four bytes into the context. Changes registers 0 and 1.
    pub(super) fn copy_to_ctx(&mut self, from: Place, to: i16) {
        self.lay_path();
        self.address(R1, from);
        self.push(ldx(Size::W, R0, R1, 0));
        self.push(stx(Size::W, R6, R0, to));
    }

    /// The fields of the context that say where logs go, to those of an attribute.
    pub(super) fn copy_log(&mut self, level: Place, size: Place, buf: Place) {
        self.copy_from_ctx(Size::W, Layout::LOG_LEVEL, level);
        self.copy_from_ctx(Size::W, Layout::LOG_SIZE, size);
        self.copy_from_ctx(Size::Dw, Layout::LOG_BUF, buf);
    }

    /// Makes a command, whose answer is in register 7.
    pub(super) fn command(&mut self, cmd: Cmd, attr: Place, attr_size: usize) {
        self.push(mov64_imm(R1, cmd.0.cast_signed()));
        self.address(R2, attr);
        self.push(mov64_imm(R3, i32::try_from(attr_size).unwrap_or(i32::MAX)));
        self.call(HelperId::SYS_BPF);
        self.push(mov64_reg(R7, R0));
    }

    pub(super) fn call(&mut self, helper: HelperId) {
        self.push(call_helper(helper));
    }

    /// Gives up when register 7 says so.
    pub(super) fn check(&mut self) {
        let fail = self.fail;
        self.jump_if(JmpOp::Slt, R7, 0, fail);
    }

    /// Gives up with an error of our own.
    pub(super) fn fail_with(&mut self, errno: i32) {
        let fail = self.fail;
        self.push(mov64_imm(R7, -errno));
        self.jump(fail);
    }

    /// Keeps the descriptor in register 7. Changes register 1.
    pub(super) fn keep(&mut self, slot: Place) {
        self.address(R1, slot);
        self.push(stx(Size::W, R1, R7, 0));
    }

    /// Looks a type of the kernel up: its id is then in register 7, the descriptor of the module
    /// that has it above.
    pub(super) fn find_type(&mut self, name: (Place, i32), kind: btf::Kind) {
        self.address(R1, name.0);
        self.push(mov64_imm(R2, name.1));
        self.push(mov64_imm(R3, i32::from(kind.raw())));
        self.push(mov64_imm(R4, 0));
        self.call(HelperId::BTF_FIND_BY_NAME_KIND);
        self.push(mov64_reg(R7, R0));
    }

    /// Looks an address of the kernel up; the answer is in register 7, the address at the place.
    pub(super) fn find_address(&mut self, name: (Place, i32), result: Place) {
        self.address(R1, name.0);
        self.push(mov64_imm(R2, name.1));
        self.push(mov64_imm(R3, 0));
        self.address(R4, result);
        self.call(HelperId::KALLSYMS_LOOKUP_NAME);
        self.push(mov64_reg(R7, R0));
    }

    /// Closes the descriptors of an array of `count`, and clears it. Keeps registers 6 and 7.
    pub(super) fn close_all(&mut self, array: Place, count: u32) {
        if count == 0 {
            return;
        }
        let (again, skip) = (self.label(), self.label());
        self.push(mov64_imm(R8, 0));
        self.place(again);
        self.address(R2, array);
        self.push(alu64_reg(AluOp::Add, R2, R8));
        self.push(ldx(Size::W, R1, R2, 0));
        // Zero is no descriptor of ours.
        self.len += 1;
        self.code.jump32_if(JmpOp::Sle, R1, 0, skip);
        self.push(st(Size::W, R2, 0, 0));
        self.call(HelperId::SYS_CLOSE);
        self.place(skip);
        self.push(alu64_imm(AluOp::Add, R8, 4));
        let end = count.saturating_mul(4).cast_signed();
        self.jump_if(JmpOp::Lt, R8, end, again);
    }

    /// Compares eight bytes of the hash that the kernel keeps of the blob with a number that is
    /// filled in later. Gives the slot of that number.
    pub(super) fn compare_hash(&mut self, offset: i16) -> usize {
        let fail = self.fail;
        self.push(ld_map_idx(R1, 0));
        self.push(ldx(Size::Dw, R2, R1, offset));
        let slot = self.len;
        self.push(ld_imm64(R3, 0));
        self.jump_if_reg(JmpOp::Ne, R2, R3, fail);
        slot
    }

    /// The end of what succeeds.
    pub(super) fn succeed(&mut self) {
        self.push(mov64_imm(R0, 0));
        self.push(exit());
    }

    /// The end of what fails, with the answer in register 7: closes descriptors and returns it.
    pub(super) fn finish(mut self, slots: Place, count: u32) -> Result<Vec<Insn>, LightError> {
        self.place(self.fail);
        self.close_all(slots, count);
        self.push(mov64_reg(R0, R7));
        self.push(exit());
        Ok(self.code.finish()?)
    }
}
