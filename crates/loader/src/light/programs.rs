//! Steps that load programs.

use super::LightError;
use super::blob::Place;
use super::generate::{Generator, Selected};
use super::maps::object_name;
use super::step::Step;
use super::symbols::{Lookup, Symbol};
use crate::model::{AttachTo, Program};
use crate::relocate::{JumpTablePlan, Late, Operand, OperandKind, ProgPlan};
use bpfsys::insn::asm::{R1, R2, R7, R9, alu64_imm, ldx, mov64_reg, st, stx};
use bpfsys::insn::{AluOp, ByteOrder, Insn, JmpOp, Pseudo, Size, stream};
use bpfsys::uapi::attr::ProgLoadAttr;
use bpfsys::{AttachType, Cmd, MapType, ProgType};
use btf::{Endian, Kind};
use nix::errno::Errno;
use std::mem::offset_of;

/// Up to the last field that a loader program sets, so that older kernels take it too.
const ATTR_SIZE: usize = offset_of!(ProgLoadAttr, core_relo_rec_size) + size_of::<u32>();
/// Where fields of an instruction are.
const INSN_REGS: i16 = 1;
const INSN_OFF: i16 = 2;
const INSN_IMM: i16 = 4;
/// The same of the second slot of a wide load.
const NEXT_IMM: i16 = 12;
/// `sizeof(struct bpf_insn_array_value)`.
const INSN_VALUE: u32 = 16;

impl Generator<'_> {
    /// Loads a program.
    pub(super) fn load_program(
        &mut self,
        number: u32,
        selected: &Selected<'_>,
    ) -> Result<(), LightError> {
        let Selected {
            program,
            plan,
            late,
            symbols,
        } = selected;
        let mut temporary = 0;
        for table in &plan.jump_tables {
            self.make_jump_table(program, temporary, table)?;
            temporary += 1;
        }
        let insns = self.resolve(program, plan)?;
        let order = byte_order(self.blob.endian());
        let insns_at = self.blob.add(&stream::encode(&insns, order))?;
        let attr = self.prog_attr(plan, late, insns.len(), insns_at)?;
        if let Some(target) = attach_target(program)? {
            self.find_target(program, &target, attr)?;
        }
        for symbol in symbols {
            self.find_symbol(program, symbol, temporary, &insns, insns_at)?;
            temporary += 1;
        }
        self.begin(Step::LoadProgram(program.name.clone()));
        self.out.command(Cmd::PROG_LOAD, attr, ATTR_SIZE);
        self.out.keep(self.table.prog(number));
        // Loaded or not, modules and tables are not needed any more.
        self.out.close_all(self.table.temporary(0), temporary);
        self.out.close_all(self.table.attach(), 1);
        self.out.check();
        Ok(())
    }

    fn prog_attr(
        &mut self,
        plan: &ProgPlan,
        late: &Late,
        insn_cnt: usize,
        insns_at: Place,
    ) -> Result<Place, LightError> {
        let attr = self.blob.reserve(ATTR_SIZE)?;
        let field = |offset| attr.field(offset);
        let count = |len: usize| u32::try_from(len).map_err(|_too_many| LightError::TooLong);
        for (offset, value) in [
            (offset_of!(ProgLoadAttr, prog_type), plan.prog_type.0),
            (offset_of!(ProgLoadAttr, insn_cnt), count(insn_cnt)?),
            (offset_of!(ProgLoadAttr, prog_flags), plan.flags.bits()),
            (offset_of!(ProgLoadAttr, prog_ifindex), plan.ifindex),
            (
                offset_of!(ProgLoadAttr, expected_attach_type),
                plan.expected_attach_type.map_or(0, |attach| attach.0),
            ),
        ] {
            self.blob.set_u32(field(offset), value);
        }
        let name = field(offset_of!(ProgLoadAttr, prog_name));
        self.blob.write(name, object_name(&plan.name));
        self.out
            .put_address(field(offset_of!(ProgLoadAttr, insns)), insns_at);
        self.out
            .put_address(field(offset_of!(ProgLoadAttr, license)), self.license);
        self.out.put_address(
            field(offset_of!(ProgLoadAttr, fd_array)),
            self.table.start(),
        );
        self.out.copy_log(
            field(offset_of!(ProgLoadAttr, log_level)),
            field(offset_of!(ProgLoadAttr, log_size)),
            field(offset_of!(ProgLoadAttr, log_buf)),
        );
        if self.types {
            self.out.copy(
                self.table.types(),
                field(offset_of!(ProgLoadAttr, prog_btf_fd)),
            );
            let funcs = plan.func_info.iter();
            self.records(
                funcs.flat_map(|info| [info.insn, info.type_id.0]).collect(),
                2,
                field(offset_of!(ProgLoadAttr, func_info)),
                field(offset_of!(ProgLoadAttr, func_info_cnt)),
                field(offset_of!(ProgLoadAttr, func_info_rec_size)),
            )?;
            let lines = plan.line_info.iter();
            self.records(
                lines
                    .flat_map(|line| [line.insn, line.file_name_off, line.line_off, line.line_col])
                    .collect(),
                4,
                field(offset_of!(ProgLoadAttr, line_info)),
                field(offset_of!(ProgLoadAttr, line_info_cnt)),
                field(offset_of!(ProgLoadAttr, line_info_rec_size)),
            )?;
            let relos = late.core_relos.iter();
            self.records(
                relos
                    .flat_map(|relo| {
                        let kind = relo.kind.raw();
                        [relo.insn_off, relo.type_id.0, relo.access_str_off, kind]
                    })
                    .collect(),
                4,
                field(offset_of!(ProgLoadAttr, core_relos)),
                field(offset_of!(ProgLoadAttr, core_relo_cnt)),
                field(offset_of!(ProgLoadAttr, core_relo_rec_size)),
            )?;
        } else if !late.core_relos.is_empty() {
            // Planning refuses it before.
            return Err(LightError::Broken {
                program: plan.name.clone(),
                why: "it has relocations by type and the object no types".to_owned(),
            });
        }
        Ok(attr)
    }

    /// An array of records of so many words, if there are any.
    fn records(
        &mut self,
        words: Vec<u32>,
        each: usize,
        address: Place,
        count: Place,
        rec_size: Place,
    ) -> Result<(), LightError> {
        if words.is_empty() {
            return Ok(());
        }
        let number = |value: usize| u32::try_from(value).map_err(|_too_many| LightError::TooLong);
        self.blob.set_u32(count, number(words.len() / each)?);
        self.blob.set_u32(rec_size, number(each * 4)?);
        let records = self.blob.add_words(words)?;
        self.out.put_address(address, records);
        Ok(())
    }

    /// Looks up what a program attaches to, for the attributes.
    fn find_target(
        &mut self,
        program: &Program,
        target: &AttachTarget,
        attr: Place,
    ) -> Result<(), LightError> {
        self.begin(Step::FindTarget {
            program: program.name.clone(),
            target: target.name.clone(),
        });
        let name = self.blob.add_text(target.name.as_bytes())?;
        self.out.find_type(name, target.kind);
        self.out.check();
        let id = attr.field(offset_of!(ProgLoadAttr, attach_btf_id));
        self.out.keep(id);
        self.out.push(alu64_imm(AluOp::Rsh, R7, 32));
        let module = attr.field(offset_of!(ProgLoadAttr, attach_fd));
        self.out.keep(module);
        self.out.keep(self.table.attach());
        if target.only_vmlinux {
            let here = self.out.label();
            self.out.jump_if(JmpOp::Eq, R7, 0, here);
            self.out.fail_with(Errno::ENOENT as i32);
            self.out.place(here);
        }
        Ok(())
    }

    /// Looks up a symbol and fills in the instructions that use it. Those of a weak one that is
    /// missing stay as they are: they load 0, or call nothing.
    fn find_symbol(
        &mut self,
        program: &Program,
        symbol: &Symbol,
        slot: u32,
        insns: &[Insn],
        insns_at: Place,
    ) -> Result<(), LightError> {
        self.begin(Step::FindSymbol {
            program: program.name.clone(),
            symbol: symbol.name.clone(),
        });
        let name = self.blob.add_text(symbol.name.as_bytes())?;
        let missing = self.out.label();
        match symbol.lookup {
            Lookup::Address => {
                let result = self.blob.reserve(8)?;
                self.out.find_address(name, result);
                if symbol.weak {
                    self.out
                        .jump_if(JmpOp::Eq, R7, -(Errno::ENOENT as i32), missing);
                }
                self.out.check();
                for at in &symbol.uses {
                    self.out.address(R1, result);
                    self.out.push(ldx(Size::W, R2, R1, 0));
                    self.out.push(ldx(Size::W, R9, R1, 4));
                    let (low, high) = match self.blob.endian() {
                        Endian::Little => (R2, R9),
                        Endian::Big => (R9, R2),
                    };
                    self.out.address(R1, insns_at.nth(*at, 8));
                    self.out.push(stx(Size::W, R1, low, INSN_IMM));
                    self.out.push(stx(Size::W, R1, high, NEXT_IMM));
                }
            }
            Lookup::Type(kind) => {
                self.out.find_type(name, kind.kind());
                if symbol.weak {
                    self.out.jump_if(JmpOp::Slt, R7, 0, missing);
                } else {
                    self.out.check();
                }
                self.out.push(mov64_reg(R9, R7));
                self.out.push(alu64_imm(AluOp::Rsh, R9, 32));
                self.out.address(R1, self.table.temporary(slot));
                self.out.push(stx(Size::W, R1, R9, 0));
                for at in &symbol.uses {
                    let insn = insns.get(*at as usize).copied().unwrap_or_default();
                    self.out.address(R1, insns_at.nth(*at, 8));
                    self.out.push(stx(Size::W, R1, R7, INSN_IMM));
                    if insn.is_wide() {
                        // Only now it is the address of a symbol.
                        let typed = insn.with_src(Pseudo::BtfId as u8);
                        let [_, regs, ..] = typed.to_bytes(byte_order(self.blob.endian()));
                        self.out.push(st(Size::B, R1, INSN_REGS, regs.into()));
                        self.out.push(stx(Size::W, R1, R9, NEXT_IMM));
                    } else {
                        let index = self.table.temporary_index(slot);
                        let index = i16::try_from(index).map_err(|_too_many| {
                            LightError::TooManySymbols {
                                program: program.name.clone(),
                                count: slot as usize + 1,
                            }
                        })?;
                        // The kernel proper is told by 0, as it is.
                        let kernel = self.out.label();
                        self.out.jump_if(JmpOp::Eq, R9, 0, kernel);
                        self.out.push(st(Size::H, R1, INSN_OFF, index.into()));
                        self.out.place(kernel);
                    }
                }
            }
        }
        self.out.place(missing);
        Ok(())
    }

    /// The instructions, with maps named by their index in the table.
    fn resolve(&self, program: &Program, plan: &ProgPlan) -> Result<Vec<Insn>, LightError> {
        let mut insns = plan.insns.clone();
        for Operand { insn, kind } in &plan.operands {
            let index = match kind {
                OperandKind::Map(map) => map.0,
                OperandKind::JumpTable(table) => self.table.temporary_index(*table),
                OperandKind::ModuleBtf(_) => {
                    return Err(LightError::Broken {
                        program: program.name.clone(),
                        why: format!("instruction {insn} names a module"),
                    });
                }
            };
            let Some(slot) = insns.get_mut(*insn as usize) else {
                continue;
            };
            let kind = match slot.pseudo() {
                Some(Pseudo::MapFd) => Pseudo::MapIdx,
                _ => Pseudo::MapIdxValue,
            };
            *slot = slot.with_src(kind as u8).with_imm(index.cast_signed());
        }
        Ok(insns)
    }

    /// Makes the map of a jump table.
    fn make_jump_table(
        &mut self,
        program: &Program,
        slot: u32,
        table: &JumpTablePlan,
    ) -> Result<(), LightError> {
        self.begin(Step::JumpTable {
            program: program.name.clone(),
            table: table.name.clone(),
        });
        let entries =
            u32::try_from(table.entries.len()).map_err(|_too_many| LightError::TooLong)?;
        let descriptor = self.table.temporary(slot);
        self.make_array(
            MapType::INSN_ARRAY,
            ".jumptables",
            INSN_VALUE,
            entries,
            descriptor,
        )?;
        for (index, entry) in (0..).zip(&table.entries) {
            let key = self.blob.add_words([index])?;
            let value = self.blob.add_words([*entry, 0, 0, 0])?;
            self.update(descriptor, key, value)?;
        }
        self.freeze(descriptor)
    }
}

pub(super) const fn byte_order(endian: Endian) -> ByteOrder {
    match endian {
        Endian::Little => ByteOrder::Little,
        Endian::Big => ByteOrder::Big,
    }
}

/// A type of the kernel that a program attaches to.
#[derive(Debug, PartialEq, Eq)]
struct AttachTarget {
    name: String,
    kind: Kind,
    /// Whether one of a module will not do.
    only_vmlinux: bool,
}

fn attach_target(program: &Program) -> Result<Option<AttachTarget>, LightError> {
    let unsupported = |why| LightError::Unsupported {
        part: format!("program '{}'", program.name),
        why,
    };
    match &program.attach_to {
        AttachTo::None => Ok(None),
        AttachTo::Missing if program.prog_type == ProgType::EXT => Err(unsupported(
            "a loader program cannot load what replaces a function of another program",
        )),
        AttachTo::Missing => Err(LightError::NoAttachTarget {
            program: program.name.clone(),
            section: program.section.clone(),
        }),
        AttachTo::Kernel { module, name } => {
            let only_vmlinux = match module.as_deref() {
                None => false,
                Some("vmlinux") => true,
                Some(_) => {
                    return Err(unsupported(
                        "a loader program cannot look for a function in one module only",
                    ));
                }
            };
            let (prefix, kind) = btf_name(program.expected_attach_type);
            Ok(Some(AttachTarget {
                name: format!("{prefix}{name}"),
                kind,
                only_vmlinux,
            }))
        }
        AttachTo::Module(_) => Err(unsupported(
            "a loader program cannot look for a module without a function",
        )),
        AttachTo::Prog { .. } => Err(unsupported(
            "a loader program cannot name a program that is loaded already",
        )),
    }
}

/// What is in front of a hook's name in the kernel's types, and the kind of the type.
const fn btf_name(attach_type: AttachType) -> (&'static str, Kind) {
    match attach_type {
        AttachType::TRACE_RAW_TP => ("btf_trace_", Kind::Typedef),
        AttachType::LSM_MAC | AttachType::LSM_CGROUP => ("bpf_lsm_", Kind::Func),
        AttachType::TRACE_ITER => ("bpf_iter_", Kind::Func),
        _ => ("", Kind::Func),
    }
}
