//! A model and a target to a plan.
//!
//! What happens, in this order, and only for what selected programs need:
//!
//! 1. which programs are loaded, and the functions each consists of (`uses`);
//! 2. names that are looked for in the kernel's types, all in one pass (`kernel_types`): externs,
//!    types that struct_ops maps implement, what programs attach to;
//! 3. externs (`externs`, `kconfig`), struct_ops maps (`struct_ops`);
//! 4. each function once: CO-RE (`core_reloc`), references to maps and externs (`code`);
//! 5. programs put together from functions (`code`), their records of functions and lines;
//! 6. the object's types as this kernel takes them (`types`);
//! 7. maps (`maps`).
//!
//! What the kernel lacks is asked for only where the object has it: each answer may cost a probe.
//! Whatever is done about it is written down ([`LoadPlan::downgrades`]).

mod attach;
mod code;
mod core_reloc;
mod error;
mod externs;
mod kconfig;
mod kernel_types;
mod late;
mod maps;
mod options;
mod plan;
mod struct_ops;
mod text;
mod types;
mod uses;

pub(crate) use late::Late;

pub use error::{ExternError, InsnError, MapError, Place, PlanError, ProgramError, SourceLine};
pub use options::PlanOptions;
pub use plan::*;

use crate::model::{FuncIdx, FuncInfo, LineInfo, MapIdx, MapOrigin, Object, ProgIdx, Program};
use crate::target::{Feature, Target};
use bpfsys::uapi::helpers::HelperId;
use bpfsys::{AttachType, ProgType};
use code::{Linked, Refs};
use kernel_types::{Found, KernelTypes, Query};
use std::borrow::Cow;
use std::collections::HashSet;
use types::Seen;
use uses::{Layout, Uses};

/// Whether the target is known to lack a feature. Where it is not known, the kernel is asked for
/// what the object says, and answers for itself.
fn lacks(target: &dyn Target, feature: Feature) -> bool {
    target.has(feature).is_no()
}

/// Bytes of a name that stands in many places; no symbol of the kernel is longer.
#[doc(alias = "KSYM_NAME_LEN")]
const LONGEST_NAME: usize = 512;

/// A name that is repeated, cut where it is longer than any that is of use.
fn short(name: &str) -> String {
    let end = (0..=name.len().min(LONGEST_NAME))
        .rev()
        .find(|at| name.is_char_boundary(*at));
    name.get(..end.unwrap_or(0)).unwrap_or_default().to_owned()
}

/// A name, or words with names in them, fit to be shown.
fn shown(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    btf::escape(bytes.get(..LONGEST_NAME).unwrap_or(bytes))
}

/// What the kernel gets instead of what the object says, each once.
#[derive(Debug, Default)]
struct Downgrades {
    list: Vec<Downgrade>,
    seen: HashSet<(Feature, String)>,
}

impl Downgrades {
    fn add(&mut self, feature: Feature, what: String) {
        if self.seen.insert((feature, what.clone())) {
            self.list.push(Downgrade { feature, what });
        }
    }
}

impl LoadPlan {
    /// Everything that loading the object's selected programs and its maps asks of the target.
    ///
    /// What no selected program needs never fails: broken references, unknown sections, missing
    /// symbols.
    ///
    /// # Errors
    /// The first thing that selected programs or maps need and cannot have, with its place.
    #[doc(alias = "bpf_object__load")]
    pub fn new(
        object: &Object,
        target: &dyn Target,
        options: &PlanOptions,
    ) -> Result<Self, PlanError> {
        Stage {
            object,
            target,
            options,
            kernel: KernelTypes::new(target),
            defer: false,
            downgrades: Downgrades::default(),
            notes: object.notes.clone(),
        }
        .run()
        .map(|(plan, _late)| plan)
    }

    /// As [`new`](Self::new) without knowing the kernel's types and symbols: relocations by type,
    /// symbols, and what programs attach to are left to whoever loads, and are beside the plan,
    /// one for each of its programs.
    pub(crate) fn deferred(
        object: &Object,
        target: &dyn Target,
        options: &PlanOptions,
    ) -> Result<(Self, Vec<Late>), PlanError> {
        Stage {
            object,
            target,
            options,
            kernel: KernelTypes::new(target),
            defer: true,
            downgrades: Downgrades::default(),
            notes: object.notes.clone(),
        }
        .run()
    }
}

/// What all steps work on.
struct Stage<'t> {
    object: &'t Object,
    target: &'t dyn Target,
    options: &'t PlanOptions,
    kernel: KernelTypes<'t>,
    /// Whether what the kernel's types and symbols say is left to whoever loads.
    defer: bool,
    downgrades: Downgrades,
    notes: Vec<String>,
}

/// A program before the types and maps are known.
struct Draft {
    at: ProgIdx,
    linked: Linked,
    func_info: Vec<FuncInfo>,
    line_info: Vec<LineInfo>,
    attach: AttachPlan,
    expected_attach_type: Option<AttachType>,
}

impl<'t> Stage<'t> {
    fn run(mut self) -> Result<(LoadPlan, Vec<Late>), PlanError> {
        let (object, target) = (self.object, self.target);
        let selected = self.select()?;
        let uses = Uses::of(object, &selected)?;
        let (externs_found, ops_found, attach_found) = self.names(&uses)?;

        let externs = if self.defer {
            externs::defer(object, target, &self.kernel, self.options, &uses)?
        } else {
            externs::resolve(
                object,
                target,
                &self.kernel,
                self.options,
                &uses,
                &externs_found,
            )?
        };
        let ops = struct_ops::resolve(object, &self.kernel, &ops_found)?;

        let skipped = maps::skipped(object, target, &mut self.downgrades);
        let arenas = maps::arenas(object, target, &skipped)?;
        let mut core = if self.defer {
            core_reloc::Stage::deferred(object)
        } else {
            core_reloc::Stage::new(
                object,
                target,
                self.options.core_btf.as_deref(),
                &uses,
                self.options.explain,
            )?
        };
        let refs = Refs {
            object,
            externs: &externs,
            skipped: &skipped,
            arenas: &arenas,
            explain: self.options.explain,
        };
        let mut functions = code::relocate(&refs, &uses, &mut core)?;
        for code in functions.values_mut() {
            self.read_helpers(&mut code.insns);
        }

        let seen = object.btf.as_deref().map(Seen::of).unwrap_or_default();
        let with_info = object.btf.is_some() && !seen.lacks_funcs(target);
        let mut drafts = Vec::with_capacity(uses.layouts.len());
        for (layout, found) in uses.layouts.iter().zip(attach_found) {
            let linked = code::link(object, layout, &functions)?;
            drafts.push(self.draft(layout, linked, found, &ops, with_info)?);
        }

        let required = !ops.maps.is_empty();
        let mut infos: Vec<types::Program<'_>> = drafts
            .iter_mut()
            .filter_map(|draft| {
                let program = object.programs.get(draft.at.index())?;
                Some(types::Program {
                    prog_type: program.prog_type,
                    func_info: &mut draft.func_info,
                })
            })
            .collect();
        let btf = types::plan(
            object,
            target,
            &seen,
            &mut infos,
            required,
            &mut self.downgrades,
        )?;

        let fd_array = externs.fd_array.clone();
        let stage = maps::Stage {
            object,
            target,
            skipped,
            arenas,
            struct_ops: ops.maps,
            externs,
            programs: drafts.iter().map(|draft| draft.at).collect(),
            types: btf.is_some(),
        };
        let maps = stage.plan(&mut self.downgrades, &mut self.notes)?;
        let late = drafts
            .iter_mut()
            .map(|draft| std::mem::take(&mut draft.linked.code.late))
            .collect();
        let programs = self.programs(drafts, &maps, &fd_array, btf.is_some());

        let plan = LoadPlan {
            object: object.name.clone(),
            endian: object.endian,
            license: object.license.clone(),
            kern_version: object.kern_version.unwrap_or_else(|| target.version()),
            btf,
            modules: self.kernel.plans(),
            maps,
            programs,
            downgrades: self.downgrades.list,
            notes: self.notes,
        };
        Ok((plan, late))
    }

    /// Programs that are loaded, with the function that runs after an exception.
    fn select(&mut self) -> Result<Vec<(ProgIdx, Option<FuncIdx>)>, PlanError> {
        let mut selected = Vec::new();
        let mut no_tags = None;
        for at in struct_ops::selected(self.object) {
            let Some(program) = self.object.programs.get(at.index()) else {
                continue;
            };
            let error = |why| PlanError::Program {
                program: program.name.clone(),
                why,
            };
            if program.prog_type == ProgType::UNSPEC {
                let section = program.section.clone();
                return Err(error(ProgramError::NoType { section }));
            }
            let function = self.object.functions.get(program.func.index());
            if function.is_none_or(|function| function.insns.is_empty()) {
                return Err(error(ProgramError::Empty));
            }
            let mut exception = program.exception_callback;
            if exception.is_some()
                && *no_tags.get_or_insert_with(|| lacks(self.target, Feature::BtfDeclTag))
            {
                exception = None;
                let what = format!("program '{}' has no exception callback", program.name);
                self.downgrades.add(Feature::BtfDeclTag, what);
            }
            selected.push((at, exception));
        }
        Ok(selected)
    }

    /// All names in the kernel's types: of externs, of struct_ops maps, of what each program
    /// attaches to.
    #[expect(clippy::type_complexity, reason = "three answers of one kind")]
    fn names(
        &self,
        uses: &Uses,
    ) -> Result<
        (
            Vec<Option<Found<'t>>>,
            Vec<Option<Found<'t>>>,
            Vec<Option<Found<'t>>>,
        ),
        PlanError,
    > {
        if self.defer {
            let none = uses.layouts.iter().map(|_| None).collect();
            return Ok((Vec::new(), Vec::new(), none));
        }
        let externs = externs::queries(self.object, uses);
        let ops = struct_ops::queries(self.object);
        let attach: Vec<Option<Query>> = uses
            .layouts
            .iter()
            .map(|layout| {
                let program = self.object.programs.get(layout.prog.index())?;
                attach::query(program)
            })
            .collect();
        let needed = if externs.is_empty() && ops.is_empty() {
            "the kernel's types, which have what programs attach to"
        } else {
            "the kernel's types, which have what the object refers to"
        };
        let (of_externs, of_ops) = (externs.len(), ops.len());
        let mut queries = externs;
        queries.extend(ops);
        queries.extend(attach.iter().flatten().cloned());
        let found = self
            .kernel
            .find(&queries)
            .map_err(|source| PlanError::Target {
                needed: needed.to_owned(),
                source,
            })?;
        let mut found = found.into_iter();
        let externs = found.by_ref().take(of_externs).collect();
        let ops = found.by_ref().take(of_ops).collect();
        let attach = attach
            .iter()
            .map(|query| query.as_ref().and_then(|_| found.next().flatten()))
            .collect();
        Ok((externs, ops, attach))
    }

    /// Kernels that do not tell kernel memory from that of processes have one helper for both.
    fn read_helpers(&mut self, insns: &mut [bpfsys::insn::Insn]) {
        for insn in insns {
            let call = insn.call_kind() == Some(bpfsys::insn::CallKind::Helper);
            let to = match HelperId(insn.imm.cast_unsigned()) {
                HelperId::PROBE_READ_KERNEL | HelperId::PROBE_READ_USER => HelperId::PROBE_READ,
                HelperId::PROBE_READ_KERNEL_STR | HelperId::PROBE_READ_USER_STR => {
                    HelperId::PROBE_READ_STR
                }
                _ => continue,
            };
            if call && insn.dst() == 0 && lacks(self.target, Feature::ProbeReadKernel) {
                let name = |helper: HelperId| helper.bpf_name().unwrap_or("a helper");
                let what = format!(
                    "{} becomes {}",
                    name(HelperId(insn.imm.cast_unsigned())),
                    name(to)
                );
                self.downgrades.add(Feature::ProbeReadKernel, what);
                insn.imm = to.0.cast_signed();
            }
        }
    }

    fn draft(
        &mut self,
        layout: &Layout,
        linked: Linked,
        found: Option<Found<'t>>,
        ops: &struct_ops::Resolved,
        with_info: bool,
    ) -> Result<Draft, PlanError> {
        let at = layout.prog;
        let Some(program) = self.object.programs.get(at.index()) else {
            // selected programs are there
            return Err(PlanError::Program {
                program: String::new(),
                why: ProgramError::Empty,
            });
        };
        let (attach, expected_attach_type) = match ops.hooks.get(&at) {
            Some(hook) => (hook.attach.clone(), Some(hook.member)),
            None if program.prog_type == ProgType::STRUCT_OPS => {
                return Err(PlanError::Program {
                    program: program.name.clone(),
                    why: ProgramError::UnusedStructOps,
                });
            }
            None if self.defer => (AttachPlan::None, self.attach_type(program)),
            None => (
                attach::resolve(self.object, at, &self.kernel, found)?,
                self.attach_type(program),
            ),
        };
        let (func_info, line_info) = if with_info {
            self.info(program, layout)
        } else {
            (Vec::new(), Vec::new())
        };
        Ok(Draft {
            at,
            linked,
            func_info,
            line_info,
            attach,
            expected_attach_type,
        })
    }

    /// The hook that the verifier is told.
    fn attach_type(&mut self, program: &Program) -> Option<AttachType> {
        if program.usdt && self.target.has(Feature::UprobeMulti).is_yes() {
            return Some(AttachType::TRACE_UPROBE_MULTI);
        }
        if program.attach_type_optional && lacks(self.target, Feature::ExpectedAttachType) {
            let what = format!("program '{}' does not say its attach type", program.name);
            self.downgrades.add(Feature::ExpectedAttachType, what);
            return None;
        }
        Some(program.expected_attach_type)
    }

    /// Types of functions and source lines of the whole program: of all its functions, or none,
    /// since the kernel takes no less.
    fn info(&mut self, program: &Program, layout: &Layout) -> (Vec<FuncInfo>, Vec<LineInfo>) {
        let (mut funcs, mut lines) = (Vec::new(), Vec::new());
        let (mut no_funcs, mut no_lines) = (None, None);
        for (func, start) in &layout.parts {
            let Some(function) = self.object.functions.get(func.index()) else {
                continue;
            };
            if function.func_info.is_empty() {
                no_funcs.get_or_insert(*func);
            }
            if function.line_info.is_empty() {
                no_lines.get_or_insert(*func);
            }
            funcs.extend(function.func_info.iter().map(|info| FuncInfo {
                insn: info.insn.saturating_add(*start),
                ..*info
            }));
            lines.extend(function.line_info.iter().map(|line| LineInfo {
                insn: line.insn.saturating_add(*start),
                ..*line
            }));
        }
        let mut left_out = |missing: Option<FuncIdx>, what: &str, any: bool| {
            if let Some(function) = missing.filter(|_| any) {
                let function = self.object.functions.get(function.index());
                self.notes.push(format!(
                    "program '{}': no {what}, function '{}' has none",
                    short(&program.name),
                    short(function.map_or("", |function| &function.name))
                ));
            }
        };
        left_out(no_funcs, "types of functions", !funcs.is_empty());
        left_out(no_lines, "source lines", !lines.is_empty());
        if no_funcs.is_some() {
            funcs.clear();
        }
        if no_lines.is_some() {
            lines.clear();
        }
        (funcs, lines)
    }

    fn programs(
        &mut self,
        drafts: Vec<Draft>,
        maps: &[MapPlan],
        fd_array: &[ModuleIdx],
        types: bool,
    ) -> Vec<ProgPlan> {
        let constants: Vec<MapIdx> = self
            .object
            .maps
            .iter()
            .zip(maps)
            .filter(|(map, plan)| {
                map.origin == MapOrigin::Constants && !matches!(plan.action, MapAction::Skip(_))
            })
            .map(|(_, plan)| plan.map)
            .collect();
        let named = drafts.is_empty() || !lacks(self.target, Feature::ObjectNames);
        if !named {
            let what = "programs have no names".to_owned();
            self.downgrades.add(Feature::ObjectNames, what);
        }
        let mut programs = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let Some(program) = self.object.programs.get(draft.at.index()) else {
                continue;
            };
            let code = draft.linked.code;
            let mut bind: Vec<MapIdx> = constants
                .iter()
                .filter(|map| !code.maps.contains(map))
                .copied()
                .collect();
            if !bind.is_empty() && lacks(self.target, Feature::ProgBindMap) {
                bind.clear();
                let what = "maps of constants are not bound to programs".to_owned();
                self.downgrades.add(Feature::ProgBindMap, what);
            }
            let none = || (Vec::new(), Vec::new());
            let (func_info, line_info) = if types {
                (draft.func_info, draft.line_info)
            } else {
                none()
            };
            programs.push(ProgPlan {
                prog: draft.at,
                name: program.name.clone(),
                named,
                section: program.section.clone(),
                prog_type: program.prog_type,
                expected_attach_type: draft.expected_attach_type,
                flags: program.flags,
                ifindex: program.ifindex,
                insns: code.insns,
                operands: code.operands,
                fd_array: if code.module_calls {
                    fd_array.to_vec()
                } else {
                    Vec::new()
                },
                func_info,
                line_info,
                attach: draft.attach,
                jump_tables: draft.linked.jump_tables,
                bind,
                log_level: program.log_level,
                parts: draft.linked.parts,
                core: code.core,
                poisoned: code.poisoned,
                externs: code.externs,
            });
        }
        programs
    }
}

#[cfg(test)]
mod tests;
