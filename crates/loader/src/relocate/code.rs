//! Functions with all that does not depend on where they stand in a program, and programs made of
//! them.

use super::error::InsnError;
use super::externs::{Externs, Resolved};
use super::uses::{Layout, Use, Uses};
use super::{
    CoreNote, ExternNote, JumpTablePlan, Late, Operand, OperandKind, Part, PlanError, Poison,
    Poisoned, core_reloc, short,
};
use crate::model::{ExternIdx, ExternKind, FuncIdx, Function, MapIdx, Object, RefTarget, TableIdx};
use bpfsys::insn::opcode::split_imm64;
use bpfsys::insn::{CallKind, Insn, Pseudo, opcode};
use btf::core_reloc::CoreRelo;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// First number of helpers that calls stand for which name maps that were not made. libbpf's
/// numbers, which readers of verifier logs know.
#[doc(alias = "POISON_LDIMM64_MAP_BASE")]
pub(super) const POISON_MAP: i32 = 2_001_000_000;

/// The same for kernel functions that are not there.
#[doc(alias = "POISON_CALL_KFUNC_BASE")]
pub(super) const POISON_KFUNC: i32 = 2_002_000_000;

/// A function, relocated but for its place in a program.
#[derive(Clone, Debug, Default)]
pub(super) struct Code {
    pub(super) insns: Vec<Insn>,
    pub(super) operands: Vec<Operand>,
    pub(super) core: Vec<CoreNote>,
    pub(super) poisoned: Vec<Poisoned>,
    pub(super) externs: Vec<ExternNote>,
    /// Instructions that call or take the address of a function.
    links: Vec<(u32, FuncIdx)>,
    /// Instructions that name a jump table.
    tables: Vec<(u32, TableIdx)>,
    /// Maps it refers to.
    pub(super) maps: BTreeSet<MapIdx>,
    /// Whether it calls functions of modules.
    pub(super) module_calls: bool,
    /// What is left to whoever loads.
    pub(super) late: Late,
}

/// What references become.
pub(super) struct Refs<'o> {
    pub(super) object: &'o Object,
    pub(super) externs: &'o Externs,
    /// Why maps are not made, of those that are not.
    pub(super) skipped: &'o HashMap<MapIdx, String>,
    /// What is added to places in an arena.
    pub(super) arenas: &'o HashMap<MapIdx, u64>,
    /// Whether to note what externs are called.
    pub(super) explain: bool,
}

/// All functions that are used, relocated.
pub(super) fn relocate(
    refs: &Refs<'_>,
    uses: &Uses,
    core: &mut core_reloc::Stage<'_>,
) -> Result<BTreeMap<FuncIdx, Code>, PlanError> {
    let mut all = BTreeMap::new();
    for (func, prog) in &uses.functions {
        let Some(function) = refs.object.functions.get(func.index()) else {
            continue;
        };
        let mut code = Code {
            insns: function.insns.clone(),
            ..Code::default()
        };
        let at = |insn| Use {
            prog: *prog,
            func: *func,
            insn,
        };
        for relo in &function.core_relos {
            core.apply(*relo, &mut code)
                .map_err(|(insn, why)| at(insn).error(refs.object, why))?;
        }
        for code_ref in &function.refs {
            refs.apply(code_ref.insn, &code_ref.target, &mut code)
                .map_err(|why| at(code_ref.insn).error(refs.object, why))?;
        }
        code.poisoned.sort_by_key(|poisoned| poisoned.insn);
        code.core.sort_by_key(|note| note.insn);
        if let Some(insn) = loose(function) {
            return Err(at(insn).error(refs.object, InsnError::UnknownCall));
        }
        all.insert(*func, code);
    }
    Ok(all)
}

/// The first instruction that names a function of the program without a reference that says
/// which.
fn loose(function: &Function) -> Option<u32> {
    let mut refs = function.refs.iter().peekable();
    for (at, insn) in (0..).zip(&function.insns) {
        while refs.next_if(|code_ref| code_ref.insn < at).is_some() {}
        let names =
            insn.call_kind() == Some(CallKind::Local) || insn.pseudo() == Some(Pseudo::Func);
        if names && refs.peek().is_none_or(|code_ref| code_ref.insn != at) {
            return Some(at);
        }
    }
    None
}

impl Code {
    /// Both slots of a wide load.
    fn wide(&mut self, insn: u32, what: &'static str) -> Result<&mut [Insn; 2], InsnError> {
        let slots = self.insns.get_mut(insn as usize..);
        let slots = slots.and_then(<[Insn]>::first_chunk_mut::<2>);
        slots
            .filter(|[first, _]| first.is_wide())
            .ok_or(InsnError::Opcode {
                what,
                must: "a load of 64 bits",
            })
    }

    fn call(&mut self, insn: u32, what: &'static str) -> Result<&mut Insn, InsnError> {
        let slot = self.insns.get_mut(insn as usize);
        slot.filter(|slot| slot.code == opcode::code::CALL)
            .ok_or(InsnError::Opcode {
                what,
                must: "a call",
            })
    }

    fn poison(&mut self, insn: u32, slots: u32, helper: i32, why: Poison) {
        for at in insn..insn.saturating_add(slots) {
            if let Some(slot) = self.insns.get_mut(at as usize) {
                *slot = Insn::new(opcode::code::CALL, 0, 0, 0, helper);
            }
        }
        self.poisoned.push(Poisoned { insn, why });
    }
}

impl Refs<'_> {
    fn apply(&self, insn: u32, to: &RefTarget, code: &mut Code) -> Result<(), InsnError> {
        match to {
            RefTarget::Call(func) => {
                let slot = code.call(insn, "a function of the object")?;
                slot.set_src(CallKind::Local as u8);
                code.links.push((insn, *func));
                Ok(())
            }
            RefTarget::FuncAddr(func) => {
                let [first, second] = code.wide(insn, "the address of a function")?;
                first.set_src(Pseudo::Func as u8);
                second.imm = 0;
                code.links.push((insn, *func));
                Ok(())
            }
            RefTarget::Map(map) => self.map(insn, *map, None, code),
            RefTarget::MapValue { map, offset } => {
                let base = self.arenas.get(map).copied().unwrap_or(0);
                // places in an arena have 32 bits, and so wrap where the arena has 4 GiB
                #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
                let offset = base.wrapping_add(u64::from(*offset)) as u32;
                self.map(insn, *map, Some(offset), code)
            }
            RefTarget::Extern(extern_) => self.extern_(insn, *extern_, code),
            RefTarget::JumpTable(table) => {
                let [first, second] = code.wide(insn, "a jump table")?;
                first.set_src(Pseudo::MapValue as u8);
                (first.imm, first.off, second.imm) = (0, 0, 0);
                code.tables.push((insn, *table));
                Ok(())
            }
            RefTarget::Broken(why) => Err(InsnError::Broken(why.clone())),
        }
    }

    /// A map, or a place in its value.
    fn map(
        &self,
        insn: u32,
        map: MapIdx,
        offset: Option<u32>,
        code: &mut Code,
    ) -> Result<(), InsnError> {
        let Some(known) = self.object.maps.get(map.index()) else {
            return Err(InsnError::NoTarget {
                what: "map",
                index: map.0,
            });
        };
        let [first, second] = code.wide(insn, "a map")?;
        if self.skipped.contains_key(&map) {
            let helper = POISON_MAP.saturating_add_unsigned(map.0);
            code.poison(insn, 2, helper, Poison::Map(short(&known.name)));
            return Ok(());
        }
        let pseudo = match offset {
            None => Pseudo::MapFd,
            Some(_) => Pseudo::MapValue,
        };
        first.set_src(pseudo as u8);
        first.imm = 0;
        second.imm = offset.unwrap_or(0).cast_signed();
        code.operands.push(Operand {
            insn,
            kind: OperandKind::Map(map),
        });
        code.maps.insert(map);
        Ok(())
    }

    fn extern_(&self, insn: u32, at: ExternIdx, code: &mut Code) -> Result<(), InsnError> {
        let (Some(extern_), Some(resolved)) =
            (self.object.externs.get(at.index()), self.externs.get(at))
        else {
            return Err(InsnError::NoTarget {
                what: "extern",
                index: at.0,
            });
        };
        if self.explain {
            let name = short(&extern_.name);
            code.externs.push(ExternNote { insn, name });
        }
        let is_call = code
            .insns
            .get(insn as usize)
            .is_some_and(|slot| slot.code == opcode::code::CALL);
        if !is_call {
            return self.address(insn, at, resolved, code);
        }
        let is_function = matches!(extern_.kind, ExternKind::Kfunc { .. });
        let call = code.call(insn, "a function of the kernel")?;
        match resolved {
            Resolved::Type { id, slot, .. } if is_function => {
                *call = Insn::new(
                    opcode::code::CALL,
                    0,
                    CallKind::Kfunc as u8,
                    slot,
                    id.0.cast_signed(),
                );
                code.module_calls |= slot != 0;
                Ok(())
            }
            Resolved::Absent => {
                let helper = POISON_KFUNC.saturating_add_unsigned(at.0);
                code.poison(insn, 1, helper, Poison::Kfunc(short(&extern_.name)));
                Ok(())
            }
            Resolved::Late if is_function => {
                *call = Insn::new(opcode::code::CALL, 0, CallKind::Kfunc as u8, 0, 0);
                code.late.symbols.push((insn, at));
                Ok(())
            }
            _ => Err(InsnError::Opcode {
                what: "a variable of the kernel",
                must: "a load of 64 bits",
            }),
        }
    }

    /// The address of an extern.
    fn address(
        &self,
        insn: u32,
        at: ExternIdx,
        resolved: Resolved,
        code: &mut Code,
    ) -> Result<(), InsnError> {
        let [first, second] = code.wide(insn, "a symbol of the kernel")?;
        match resolved {
            Resolved::Option { map, offset } => {
                return self.map(insn, map, Some(offset), code);
            }
            Resolved::Address(address) => {
                first.set_src(Pseudo::Number as u8);
                (first.imm, second.imm) = split_imm64(address);
            }
            Resolved::Absent => {
                first.set_src(Pseudo::Number as u8);
                (first.imm, second.imm) = (0, 0);
            }
            Resolved::Late => {
                first.set_src(Pseudo::Number as u8);
                (first.imm, second.imm) = (0, 0);
                code.late.symbols.push((insn, at));
            }
            Resolved::Type { id, module, .. } => {
                first.set_src(Pseudo::BtfId as u8);
                (first.imm, second.imm) = (id.0.cast_signed(), 0);
                if let Some(module) = module {
                    code.operands.push(Operand {
                        insn,
                        kind: OperandKind::ModuleBtf(module),
                    });
                }
            }
        }
        Ok(())
    }
}

/// A program made of its functions.
#[derive(Debug, Default)]
pub(super) struct Linked {
    pub(super) code: Code,
    pub(super) parts: Vec<Part>,
    pub(super) jump_tables: Vec<JumpTablePlan>,
}

/// Puts the functions of a program together.
pub(super) fn link(
    object: &Object,
    layout: &Layout,
    all: &BTreeMap<FuncIdx, Code>,
) -> Result<Linked, PlanError> {
    let starts: HashMap<FuncIdx, u32> = layout.parts.iter().copied().collect();
    let mut linked = Linked::default();
    let mut tables: HashMap<TableIdx, u32> = HashMap::new();
    linked.code.insns.reserve_exact(layout.len);
    for (func, start) in &layout.parts {
        let (Some(function), Some(code)) = (object.functions.get(func.index()), all.get(func))
        else {
            continue;
        };
        let out = &mut linked.code;
        out.insns.extend_from_slice(&code.insns);
        for (insn, to) in &code.links {
            let at = start + insn;
            let to = starts.get(to).copied().unwrap_or(0);
            if let Some(slot) = out.insns.get_mut(at as usize) {
                slot.imm = to
                    .cast_signed()
                    .wrapping_sub(at.cast_signed())
                    .wrapping_sub(1);
            }
        }
        let moved = code.operands.iter().map(|operand| Operand {
            insn: operand.insn + start,
            ..*operand
        });
        out.operands.extend(moved);
        let moved = code.core.iter().map(|note| CoreNote {
            insn: note.insn + start,
            ..note.clone()
        });
        out.core.extend(moved);
        let moved = code.poisoned.iter().map(|poisoned| Poisoned {
            insn: poisoned.insn + start,
            ..poisoned.clone()
        });
        out.poisoned.extend(moved);
        let moved = code.externs.iter().map(|note| ExternNote {
            insn: note.insn + start,
            ..note.clone()
        });
        out.externs.extend(moved);
        let moved = code.late.symbols.iter();
        out.late
            .symbols
            .extend(moved.map(|(insn, symbol)| (insn + start, *symbol)));
        let moved = code.late.core_relos.iter().map(|relo| CoreRelo {
            insn_off: relo.insn_off.saturating_add(start.saturating_mul(8)),
            ..*relo
        });
        out.late.core_relos.extend(moved);
        out.maps.extend(&code.maps);
        out.module_calls |= code.module_calls;
        for (insn, table) in &code.tables {
            let number = match tables.get(table) {
                Some(number) => *number,
                None => {
                    let at = Use {
                        prog: layout.prog,
                        func: *func,
                        insn: *insn,
                    };
                    let plan = jump_table(object, *table, function, *start)
                        .map_err(|why| at.error(object, why))?;
                    let number = u32::try_from(linked.jump_tables.len()).unwrap_or(u32::MAX);
                    linked.jump_tables.push(plan);
                    tables.insert(*table, number);
                    number
                }
            };
            linked.code.operands.push(Operand {
                insn: start + insn,
                kind: OperandKind::JumpTable(number),
            });
        }
        linked.parts.push(Part {
            start: *start,
            function: function.name.clone(),
            section: function.section.clone(),
            section_off: function.section_off,
        });
    }
    linked.code.operands.sort_by_key(|operand| operand.insn);
    Ok(linked)
}

/// A jump table with places in the whole program: those of its section are moved as the function
/// that jumps was.
fn jump_table(
    object: &Object,
    at: TableIdx,
    function: &Function,
    start: u32,
) -> Result<JumpTablePlan, InsnError> {
    let Some(table) = object.jump_tables.get(at.index()) else {
        return Err(InsnError::NoTarget {
            what: "jump table",
            index: at.0,
        });
    };
    let wrong = |why: String| InsnError::JumpTable {
        table: table.name.clone(),
        why,
    };
    if table.section != function.section {
        let (table, function) = (&table.section, &function.section);
        return Err(wrong(format!(
            "its places are in section '{table}', the function is in '{function}'"
        )));
    }
    let mut entries = Vec::with_capacity(table.entries.len());
    for entry in &table.entries {
        let inside = entry
            .checked_sub(function.section_off)
            .filter(|inside| (*inside as usize) < function.insns.len());
        let Some(inside) = inside else {
            return Err(wrong(format!(
                "instruction {entry} of section '{}' is not in function '{}'",
                table.section, function.name
            )));
        };
        entries.push(start + inside);
    }
    Ok(JumpTablePlan {
        name: table.name.clone(),
        entries,
    })
}
