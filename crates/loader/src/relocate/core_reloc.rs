//! Applies CO-RE relocations to functions.

use super::code::Code;
use super::error::{InsnError, PlanError};
use super::uses::Uses;
use super::{CoreNote, Poison, Poisoned};
use crate::model::Object;
use crate::target::{Target, TargetError};
use btf::core_reloc::{CoreRelo, Module, Patched, RelocKind, Resolver, patch};
use btf::{Btf, Endian};
use std::cell::RefCell;
use std::rc::Rc;
use zerocopy::IntoBytes as _;

/// The byte order of instructions in the model.
const HOST: Endian = if cfg!(target_endian = "little") {
    Endian::Little
} else {
    Endian::Big
};

/// Bytes of what is told about all relocations. Names may be as long as the object, and each be
/// in all of them.
const MAX_TOLD: usize = 8 << 20;

/// Answers the relocations of one object.
pub(super) struct Stage<'t> {
    /// Where there are types of the object.
    resolver: Option<Resolver<'t>>,
    explain: bool,
    told: usize,
    /// Whether whoever loads answers them, with the object's types.
    defer: bool,
}

impl<'t> Stage<'t> {
    /// Looks for the types of all relocations that are used, in one pass over the target's; those
    /// are asked for only when a relocation needs them.
    pub(super) fn new(
        object: &'t Object,
        target: &'t dyn Target,
        core_btf: Option<&'t Btf<'static>>,
        uses: &Uses,
        explain: bool,
    ) -> Result<Self, PlanError> {
        let relos: Vec<CoreRelo> = uses
            .functions
            .keys()
            .filter_map(|func| object.functions.get(func.index()))
            .flat_map(|function| function.core_relos.iter().copied())
            .collect();
        let Some(local) = object.btf.as_deref().filter(|_| !relos.is_empty()) else {
            return Ok(Self {
                resolver: None,
                explain,
                told: 0,
                defer: false,
            });
        };
        let foreign = relos
            .iter()
            .find(|relo| relo.kind != RelocKind::TypeIdLocal);
        let failed: Rc<RefCell<Option<TargetError>>> = Rc::default();
        let mut resolver = match (foreign, core_btf) {
            // ids of the object's own types need no others
            (None, _) => Resolver::new(local, local),
            (Some(_), Some(given)) => Resolver::new(local, given),
            (Some(_), None) => {
                let kernel = target.vmlinux().map_err(|source| PlanError::Target {
                    needed: "the kernel's types for core relocations".to_owned(),
                    source,
                })?;
                let failed = Rc::clone(&failed);
                Resolver::new(local, kernel).modules(move || match target.modules() {
                    Ok(modules) => modules
                        .iter()
                        .map(|module| Module {
                            name: &module.name,
                            btf: &module.btf,
                        })
                        .collect(),
                    Err(error) => {
                        *failed.borrow_mut() = Some(error);
                        Vec::new()
                    }
                })
            }
        };
        resolver.prepare(relos);
        if let Some(source) = failed.take() {
            return Err(PlanError::Target {
                needed: "the types of modules for core relocations".to_owned(),
                source,
            });
        }
        Ok(Self {
            resolver: Some(resolver),
            explain,
            told: 0,
            defer: false,
        })
    }

    /// Leaves all relocations to whoever loads; without types of the object nobody can.
    pub(super) fn deferred(object: &Object) -> Self {
        Self {
            resolver: None,
            explain: false,
            told: 0,
            defer: object.btf.is_some(),
        }
    }

    /// Changes the instruction that the relocation is of.
    pub(super) fn apply(
        &mut self,
        relo: CoreRelo,
        code: &mut Code,
    ) -> Result<(), (u32, InsnError)> {
        let insn = relo.insn_off / 8;
        let len = code.insns.len();
        if !relo.insn_off.is_multiple_of(8) || insn as usize >= len {
            let offset = relo.insn_off;
            return Err((insn, InsnError::NoInsn { offset, len }));
        }
        if self.defer {
            code.late.core_relos.push(relo);
            return Ok(());
        }
        let Some(resolver) = &mut self.resolver else {
            let what = "a core relocation";
            return Err((insn, InsnError::NoTypes { what }));
        };
        let fixup = match resolver.resolve(&relo) {
            Ok(fixup) => fixup,
            Err(source) => {
                let what = resolver.describe(&relo);
                return Err((insn, InsnError::Core { what, source }));
            }
        };
        let (slots, _) = code
            .insns
            .as_mut_slice()
            .as_mut_bytes()
            .as_chunks_mut::<8>();
        let patched = match patch(slots, insn as usize, HOST, &fixup) {
            Ok(patched) => patched,
            Err(source) => {
                let what = resolver.describe(&relo);
                return Err((insn, InsnError::Patch { what, source }));
            }
        };
        let poisoned = matches!(patched, Patched::Poisoned { .. });
        if !poisoned && !self.explain {
            return Ok(());
        }
        let (what, why) = if self.told < MAX_TOLD {
            (resolver.describe(&relo), resolver.explain(&relo, &fixup))
        } else {
            (format!("<{}> [{}]", relo.kind, relo.type_id), None)
        };
        self.told += what.len() + why.as_ref().map_or(0, String::len);
        if poisoned {
            let why = Poison::CoreRelo {
                what: what.clone(),
                why: why.clone().unwrap_or_default(),
            };
            code.poisoned.push(Poisoned { insn, why });
        }
        if self.explain {
            let mut done = done(&patched);
            if let Some(why) = why {
                let why = why.replace('\n', "; ");
                done = format!("{done}: {why}");
            }
            code.core.push(CoreNote { insn, what, done });
        }
        Ok(())
    }
}

/// What was done, in short.
fn done(patched: &Patched) -> String {
    match patched {
        Patched::Imm { from, to } => format!("{from} -> {to}"),
        Patched::Offset {
            from,
            to,
            width: None,
        } => format!("{from} -> {to}"),
        Patched::Offset {
            from,
            to,
            width: Some((before, after)),
        } => format!("{from} -> {to}, {before} -> {after} bytes"),
        Patched::Imm64 { from, to } => format!("{from} -> {to}"),
        Patched::Poisoned { .. } => "must not be reached".to_owned(),
        _ => "changed".to_owned(),
    }
}
