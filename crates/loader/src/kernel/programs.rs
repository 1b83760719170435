//! Loading programs.

use super::error::{KernelError, Pinned};
use super::log_reading;
use super::maps::{self, MadeMap, display_name};
use crate::relocate::{AttachPlan, LoadPlan, MapAction, ModuleIdx, OperandKind, ProgPlan};
use bpfsys::cmd::{LogLevel, ProgBindMap, ProgLoad};
use bpfsys::insn::Insn;
use bpfsys::uapi::info::{FuncInfo, LineInfo};
use bpfsys::{BtfFd, MapFd, ProgFd, TokenFd, VerifierLog};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// What all programs of an object have in common.
pub(super) struct Loader<'a> {
    pub(super) plan: &'a LoadPlan,
    pub(super) token: Option<&'a TokenFd>,
    pub(super) btf: Option<&'a BtfFd>,
    pub(super) modules: &'a [BtfFd],
    pub(super) maps: &'a [MadeMap],
    pub(super) log: LogLevel,
    pub(super) notes: &'a mut Vec<String>,
}

impl Loader<'_> {
    /// Loads one program; with what the verifier wrote, if it was asked to.
    pub(super) fn one(&mut self, plan: &ProgPlan) -> Result<(ProgFd, VerifierLog), KernelError> {
        let tables = self.jump_tables(plan)?;
        let mut insns = plan.insns.clone();
        self.patch(&mut insns, plan, &tables)?;
        let func_info: Vec<FuncInfo> = plan
            .func_info
            .iter()
            .map(|info| FuncInfo {
                insn_off: info.insn,
                type_id: info.type_id.0,
            })
            .collect();
        let line_info: Vec<LineInfo> = plan
            .line_info
            .iter()
            .map(|info| LineInfo {
                insn_off: info.insn,
                file_name_off: info.file_name_off,
                line_off: info.line_off,
                line_col: info.line_col,
            })
            .collect();
        let fds = self.fd_array(plan)?;
        let mut load = ProgLoad::new(plan.prog_type, &insns)
            .license_bytes(&self.plan.license)
            .kern_version(self.plan.kern_version)
            .flags(plan.flags)
            .ifindex(plan.ifindex)
            .fd_array(&fds)
            .maybe_token(self.token)
            .log_level(level(self.log, plan.log_level));
        if let Some(attach_type) = plan.expected_attach_type {
            load = load.expected_attach_type(attach_type);
        }
        if plan.named
            && let Some(name) = maps::kernel_name(&plan.name)
        {
            load = load.name(name);
        }
        // Types and lines go together: without BTF neither means anything.
        if let Some(btf) = self.btf
            && !func_info.is_empty()
        {
            load = load.btf(btf).func_info(&func_info).line_info(&line_info);
        } else if let Some(btf) = self.btf {
            load = load.btf(btf);
        }
        load = match &plan.attach {
            AttachPlan::None => load,
            AttachPlan::Kernel { btf_id } => load.attach_btf_id(btf_id.0),
            AttachPlan::Module { module, btf_id } => load
                .attach_btf_obj(self.module(*module)?)
                .attach_btf_id(btf_id.0),
            AttachPlan::Prog { prog, btf_id } => load.attach_prog(prog).attach_btf_id(btf_id.0),
        };
        let types = self.plan.btf.as_ref().map(|btf| &*btf.data);
        let (fd, log) = load.run_with_log().map_err(|error| {
            KernelError::Program(Box::new(log_reading::explain(plan, types, &error)))
        })?;
        self.bind(plan, &fd);
        Ok((fd, log))
    }

    fn jump_tables(&self, plan: &ProgPlan) -> Result<Vec<MapFd>, KernelError> {
        let tables = plan.jump_tables.iter().map(|table| {
            maps::jump_table(&table.entries, self.token).map_err(|source| KernelError::JumpTable {
                program: plan.name.clone(),
                table: table.name.clone(),
                source,
            })
        });
        tables.collect()
    }

    /// Writes descriptors into instructions.
    fn patch(
        &self,
        insns: &mut [Insn],
        plan: &ProgPlan,
        tables: &[MapFd],
    ) -> Result<(), KernelError> {
        patch_modules(insns, plan, self.modules);
        for operand in &plan.operands {
            let fd = match operand.kind {
                OperandKind::ModuleBtf(module) => {
                    self.module(module)?;
                    continue;
                }
                OperandKind::Map(map) => {
                    let made = self.maps.get(map.index()).and_then(|made| made.fd.as_ref());
                    made.ok_or_else(|| self.missing(plan, map.index()))?
                        .as_raw_fd()
                }
                OperandKind::JumpTable(table) => {
                    let table = tables.get(table as usize).ok_or_else(|| {
                        KernelError::Plan(format!(
                            "program '{}' has no jump table {table}",
                            plan.name
                        ))
                    })?;
                    table.as_raw_fd()
                }
            };
            let insn = insns.get_mut(operand.insn as usize).ok_or_else(|| {
                KernelError::Plan(format!(
                    "program '{}' has no instruction {}",
                    plan.name, operand.insn
                ))
            })?;
            insn.imm = fd;
        }
        Ok(())
    }

    fn missing(&self, plan: &ProgPlan, map: usize) -> KernelError {
        let map = self.plan.maps.get(map);
        KernelError::NoMap {
            user: Pinned::Program(plan.name.clone()),
            map: map.map_or("?", display_name).to_owned(),
            why: match map.map(|map| &map.action) {
                Some(MapAction::Skip(why)) => why.clone(),
                _ => "the plan does not have it".to_owned(),
            },
        }
    }

    fn module(&self, module: ModuleIdx) -> Result<&BtfFd, KernelError> {
        let found = self.modules.get(module.0 as usize);
        found.ok_or_else(|| KernelError::Plan(format!("there is no module {}", module.0)))
    }

    /// Descriptors of the modules that the program calls functions of. The first is never looked
    /// at: number 0 means the kernel proper.
    fn fd_array(&self, plan: &ProgPlan) -> Result<Vec<BorrowedFd<'_>>, KernelError> {
        let mut fds = Vec::with_capacity(plan.fd_array.len().saturating_add(1));
        for module in &plan.fd_array {
            let fd = self.module(*module)?.as_fd();
            if fds.is_empty() {
                fds.push(fd);
            }
            fds.push(fd);
        }
        Ok(fds)
    }

    /// Keeps maps for as long as the program. Those that cannot be are not needed to run it.
    fn bind(&mut self, plan: &ProgPlan, prog: &ProgFd) {
        for map in &plan.bind {
            let Some(fd) = self.maps.get(map.index()).and_then(|made| made.fd.as_ref()) else {
                continue;
            };
            match ProgBindMap::new(prog, fd).run() {
                Ok(()) => {}
                Err(error) if maps::unknown_to_kernel(&error) => {}
                Err(error) => {
                    let map = self.plan.maps.get(map.index());
                    self.notes.push(format!(
                        "map '{}' was not bound to program '{}': {}",
                        map.map_or("?", display_name),
                        plan.name,
                        error.reason()
                    ));
                }
            }
        }
    }
}

/// Writes the descriptors of modules' types into the second slots of their loads.
pub(super) fn patch_modules(insns: &mut [Insn], plan: &ProgPlan, modules: &[BtfFd]) {
    for operand in &plan.operands {
        if let OperandKind::ModuleBtf(module) = operand.kind
            && let Some(fd) = modules.get(module.0 as usize)
            && let Some(slot) = (operand.insn as usize).checked_add(1)
            && let Some(insn) = insns.get_mut(slot)
        {
            insn.imm = fd.as_raw_fd();
        }
    }
}

/// The level of a program's log: what the load and the program ask for together.
fn level(load: LogLevel, program: Option<u32>) -> LogLevel {
    match (load, program) {
        (LogLevel::Level(load), Some(program)) => LogLevel::Level(load | program),
        (_, Some(program)) if program > 0 => LogLevel::Level(program),
        (load, _) => load,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_add_up() {
        let check = |load, program, expect| assert_eq!(level(load, program), expect);
        check(LogLevel::OnFailure, None, LogLevel::OnFailure);
        check(LogLevel::OnFailure, Some(0), LogLevel::OnFailure);
        check(LogLevel::Off, Some(2), LogLevel::Level(2));
        check(LogLevel::Level(1), Some(4), LogLevel::Level(5));
        check(LogLevel::Level(1), None, LogLevel::Level(1));
    }
}
