//! Names in the types of the kernel and its modules.

use super::{ModuleIdx, ModulePlan};
use crate::target::{ModuleBtf, Target, TargetError};
use btf::{Btf, Kind, TypeId};
use std::cell::RefCell;

/// Where to look for a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// In the kernel proper, then in all modules.
    Any,
    /// In the kernel proper.
    Kernel,
    /// In the module of this name.
    Module(String),
}

/// A name to look for.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub(super) name: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) scope: Scope,
}

/// A type of the kernel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'t> {
    pub(super) btf: &'t Btf<'static>,
    /// Which of the target's modules has it.
    pub(super) module: Option<usize>,
    pub(super) id: TypeId,
}

/// The target's types, and which of its modules a plan refers to.
pub(super) struct KernelTypes<'t> {
    target: &'t dyn Target,
    used: RefCell<Vec<usize>>,
}

impl<'t> KernelTypes<'t> {
    pub(super) fn new(target: &'t dyn Target) -> Self {
        Self {
            target,
            used: RefCell::default(),
        }
    }

    pub(super) fn modules(&self) -> Result<&'t [ModuleBtf], TargetError> {
        self.target.modules()
    }

    /// Name of a module, or of the kernel proper.
    pub(super) fn place(&self, module: Option<usize>) -> String {
        let named = module.and_then(|at| self.modules().ok()?.get(at));
        named.map_or_else(
            || "the kernel".to_owned(),
            |module| format!("module '{}'", module.name),
        )
    }

    /// Which of the target's modules has this name.
    pub(super) fn module_named(&self, name: &str) -> Result<Option<usize>, TargetError> {
        let modules = self.modules()?;
        Ok(modules.iter().position(|module| module.name == name))
    }

    /// The number of a module in the plan.
    pub(super) fn refer(&self, module: usize) -> ModuleIdx {
        let mut used = self.used.borrow_mut();
        let at = used.iter().position(|known| *known == module);
        let at = at.unwrap_or_else(|| {
            used.push(module);
            used.len() - 1
        });
        ModuleIdx(u32::try_from(at).unwrap_or(u32::MAX))
    }

    /// All modules that were referred to.
    pub(super) fn plans(&self) -> Vec<ModulePlan> {
        let used = self.used.borrow();
        if used.is_empty() {
            // Nobody need look for modules, which takes the kernel's types.
            return Vec::new();
        }
        let modules = self.modules().unwrap_or_default();
        used.iter()
            .filter_map(|at| modules.get(*at))
            .map(|module| ModulePlan {
                name: module.name.clone(),
                btf_id: module.id,
            })
            .collect()
    }

    /// The first type of each name and kind: of the kernel, else of the first module that has
    /// one. Modules are asked for only when a name needs them.
    pub(super) fn find(&self, queries: &[Query]) -> Result<Vec<Option<Found<'t>>>, TargetError> {
        let mut found: Vec<Option<Found<'t>>> = vec![None; queries.len()];
        self.find_in_kernel(queries, &mut found)?;
        let open = |found: &[Option<Found<'_>>]| -> Vec<usize> {
            let all = queries.iter().zip(found).enumerate();
            all.filter(|(_, (query, found))| found.is_none() && query.scope != Scope::Kernel)
                .map(|(at, _)| at)
                .collect()
        };
        let mut left = open(&found);
        if left.is_empty() {
            return Ok(found);
        }
        for (number, module) in self.modules()?.iter().enumerate() {
            let here: Vec<(usize, &Query)> = left
                .iter()
                .filter_map(|at| Some((*at, queries.get(*at)?)))
                .filter(|(_, query)| match &query.scope {
                    Scope::Module(name) => *name == module.name,
                    _ => true,
                })
                .collect();
            let asked: Vec<(&[u8], Option<Kind>)> = here
                .iter()
                .map(|(_, query)| (query.name.as_slice(), Some(query.kind)))
                .collect();
            let ids = module.btf.find_many_own(&asked);
            for ((at, _), id) in here.iter().zip(ids) {
                if let (Some(slot), Some(id)) = (found.get_mut(*at), id) {
                    *slot = Some(Found {
                        btf: &module.btf,
                        module: Some(number),
                        id,
                    });
                }
            }
            left = open(&found);
            if left.is_empty() {
                break;
            }
        }
        Ok(found)
    }

    fn find_in_kernel(
        &self,
        queries: &[Query],
        found: &mut [Option<Found<'t>>],
    ) -> Result<(), TargetError> {
        let here: Vec<usize> = queries
            .iter()
            .enumerate()
            .filter(|(_, query)| !matches!(query.scope, Scope::Module(_)))
            .map(|(at, _)| at)
            .collect();
        if here.is_empty() {
            return Ok(());
        }
        let btf = self.target.vmlinux()?;
        let asked: Vec<(&[u8], Option<Kind>)> = here
            .iter()
            .filter_map(|at| queries.get(*at))
            .map(|query| (query.name.as_slice(), Some(query.kind)))
            .collect();
        for (at, id) in here.iter().zip(btf.find_many(&asked)) {
            if let (Some(slot), Some(id)) = (found.get_mut(*at), id) {
                *slot = Some(Found {
                    btf,
                    module: None,
                    id,
                });
            }
        }
        Ok(())
    }
}
