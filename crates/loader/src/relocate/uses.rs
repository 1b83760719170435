//! Which parts of an object its selected programs consist of and refer to.

use super::error::{InsnError, Place, PlanError};
use crate::model::{ExternIdx, FuncIdx, Object, ProgIdx, RefTarget};
use std::collections::{BTreeMap, HashMap};

/// Instructions that a program may have; the verifier walks no more.
#[doc(alias = "BPF_COMPLEXITY_LIMIT_INSNS")]
const MAX_INSNS: usize = 1_000_000;

/// Instructions of all programs of an object together.
const MAX_TOTAL: usize = 16 * MAX_INSNS;

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
        let mut total = 0;
        for (prog, exception) in programs {
            let Some(program) = object.programs.get(prog.index()) else {
                continue;
            };
            let layout = layout(object, *prog, program.func, *exception)?;
            total += layout.len.max(layout.parts.len());
            if total > MAX_TOTAL {
                return Err(PlanError::TooLarge { limit: MAX_TOTAL });
            }
            for (func, _) in &layout.parts {
                uses.functions.entry(*func).or_insert(*prog);
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
