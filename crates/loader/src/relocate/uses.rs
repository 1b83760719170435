//! Which parts of an object its selected programs consist of and refer to.

use super::error::{InsnError, Place, PlanError};
use crate::model::{ExternIdx, FuncIdx, Function, Object, ProgIdx, RefTarget};
use std::collections::{BTreeMap, HashMap};

/// Instructions that a program may have; the verifier walks no more.
#[doc(alias = "BPF_COMPLEXITY_LIMIT_INSNS")]
const MAX_INSNS: usize = 1_000_000;

/// What all programs of an object weigh together, whatever the object's size, and for each
/// instruction of it. Functions may call one another in more ways than there is memory for.
const MAX_TOTAL: usize = 4 * MAX_INSNS;
const MAX_EACH: usize = 64;

/// The instruction that uses something first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) prog: ProgIdx,
    pub(super) func: FuncIdx,
    pub(super) insn: u32,
}

impl Use {
    pub(super) fn error(self, object: &Object, why: InsnError) -> PlanError {
        let program = object.programs.get(self.prog.index());
        let program = program.map_or("", |program| &program.name);
        PlanError::Insn {
            at: Box::new(Place::new(object, program, self.func, self.insn)),
            why: Box::new(why),
        }
    }
}

/// The functions of a program, in the order in which they stand in it, and where they begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) prog: ProgIdx,
    pub(super) parts: Vec<(FuncIdx, u32)>,
    /// Instructions in all.
    pub(super) len: usize,
}

/// What selected programs need.
#[derive(Debug, Default)]
pub(super) struct Uses {
    /// Of each selected program, in the object's order.
    pub(super) layouts: Vec<Layout>,
    /// Functions that any of them has, with the first that has it.
    pub(super) functions: BTreeMap<FuncIdx, ProgIdx>,
    /// Externs that any of them refers to, with the first place.
    pub(super) externs: BTreeMap<ExternIdx, Use>,
}

impl Uses {
    /// Of these programs, each with the function that runs after an exception.
    pub(super) fn of(
        object: &Object,
        programs: &[(ProgIdx, Option<FuncIdx>)],
    ) -> Result<Self, PlanError> {
        let mut uses = Self::default();
        let insns: usize = object.functions.iter().map(|f| f.insns.len()).sum();
        let limit = insns.saturating_mul(MAX_EACH).saturating_add(MAX_TOTAL);
        let weights: Vec<usize> = object.functions.iter().map(|f| weight(object, f)).collect();
        let mut total = 0usize;
        for (prog, exception) in programs {
            let Some(program) = object.programs.get(prog.index()) else {
                continue;
            };
            let layout = layout(object, *prog, program.func, *exception)?;
            total = total.saturating_add(object.maps.len());
            for (func, _) in &layout.parts {
                uses.functions.entry(*func).or_insert(*prog);
                let weight = weights.get(func.index()).copied().unwrap_or(0);
                total = total.saturating_add(weight);
            }
            if total > limit {
                return Err(PlanError::TooLarge { limit });
            }
            uses.layouts.push(layout);
        }
        for (func, prog) in &uses.functions {
            let Some(function) = object.functions.get(func.index()) else {
                continue;
            };
            for code_ref in &function.refs {
                if let RefTarget::Extern(extern_) = code_ref.target {
                    let place = Use {
                        prog: *prog,
                        func: *func,
                        insn: code_ref.insn,
                    };
                    uses.externs.entry(extern_).or_insert(place);
                }
            }
        }
        Ok(uses)
    }
}

/// What a function adds to each program that has it: instructions, what is known of them, names.
fn weight(object: &Object, function: &Function) -> usize {
    let tables = function.refs.iter().map(|code_ref| match code_ref.target {
        RefTarget::JumpTable(at) => object
            .jump_tables
            .get(at.index())
            .map_or(0, |table| table.entries.len() + table.name.len() / 8),
        _ => 0,
    });
    16 + function.insns.len()
        + function.refs.len()
        + function.func_info.len()
        + function.line_info.len()
        + function.core_relos.len()
        + (function.name.len() + function.section.len()) / 8
        + tables.sum::<usize>()
}

/// Puts the functions of a program one behind the other: its own, then each where it is called
/// first, with all that it calls in turn before anything else.
fn layout(
    object: &Object,
    prog: ProgIdx,
    main: FuncIdx,
    exception: Option<FuncIdx>,
) -> Result<Layout, PlanError> {
    let mut layout = Layout {
        prog,
        parts: Vec::new(),
        len: 0,
    };
    let mut placed: HashMap<FuncIdx, ()> = HashMap::new();
    for root in std::iter::once(main).chain(exception) {
        let from = Use {
            prog,
            func: root,
            insn: 0,
        };
        // Functions that are walked, and the next of the references of each.
        let mut walk = Vec::new();
        if placed.insert(root, ()).is_none() {
            layout.push(object, root, from)?;
            walk.push((root, 0));
        }
        while let Some((func, next)) = walk.last_mut() {
            let function = object.functions.get(func.index());
            let Some(code_ref) = function.and_then(|function| function.refs.get(*next)) else {
                walk.pop();
                continue;
            };
            *next += 1;
            let (RefTarget::Call(to) | RefTarget::FuncAddr(to)) = code_ref.target else {
                continue;
            };
            let from = Use {
                prog,
                func: *func,
                insn: code_ref.insn,
            };
            if placed.insert(to, ()).is_none() {
                layout.push(object, to, from)?;
                walk.push((to, 0));
            }
        }
    }
    Ok(layout)
}

impl Layout {
    fn push(&mut self, object: &Object, func: FuncIdx, from: Use) -> Result<(), PlanError> {
        let Some(function) = object.functions.get(func.index()) else {
            let why = InsnError::NoTarget {
                what: "function",
                index: func.0,
            };
            return Err(from.error(object, why));
        };
        let start = u32::try_from(self.len).unwrap_or(u32::MAX);
        self.len = self.len.saturating_add(function.insns.len());
        if self.len > MAX_INSNS {
            return Err(from.error(object, InsnError::TooLong { limit: MAX_INSNS }));
        }
        self.parts.push((func, start));
        Ok(())
    }
}
