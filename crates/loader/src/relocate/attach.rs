//! What programs attach to, as far as their load must know.

use super::AttachPlan;
use super::error::{PlanError, ProgramError};
use super::kernel_types::{Found, KernelTypes, Query, Scope};
use crate::model::{AttachTo, Object, ProgIdx, Program};
use bpfsys::{AttachType, ProgType};
use btf::{Kind, TypeId};

/// How the kernel's types name what programs of a kind attach to: kind, prefix, what it is.
#[doc(alias = "btf_get_kernel_prefix_kind")]
const fn naming(attach: AttachType) -> (Kind, &'static str, &'static str) {
    match attach {
        AttachType::TRACE_RAW_TP => (Kind::Typedef, "btf_trace_", "tracepoint"),
        AttachType::LSM_MAC | AttachType::LSM_CGROUP => (Kind::Func, "bpf_lsm_", "security hook"),
        AttachType::TRACE_ITER => (Kind::Func, "bpf_iter_", "iterator"),
        _ => (Kind::Func, "", "function"),
    }
}

/// What the program's target is called in the kernel's types; `None` when it needs none of them.
pub(super) fn query(program: &Program) -> Option<Query> {
    let AttachTo::Kernel { module, name } = &program.attach_to else {
        return None;
    };
    if program.prog_type == ProgType::EXT {
        return None;
    }
    let (kind, prefix, _) = naming(program.expected_attach_type);
    let scope = match module.as_deref() {
        None => Scope::Any,
        Some("vmlinux") => Scope::Kernel,
        Some(module) => Scope::Module(module.to_owned()),
    };
    Some(Query {
        name: format!("{prefix}{name}").into_bytes(),
        kind,
        scope,
    })
}

/// Resolves the target; `found` is the answer to [`query`].
pub(super) fn resolve<'t>(
    object: &Object,
    at: ProgIdx,
    kernel: &KernelTypes<'t>,
    found: Option<Found<'t>>,
) -> Result<AttachPlan, PlanError> {
    let Some(program) = object.programs.get(at.index()) else {
        return Ok(AttachPlan::None);
    };
    let error = |why| PlanError::Program {
        program: program.name.clone(),
        why,
    };
    match &program.attach_to {
        AttachTo::None => Ok(AttachPlan::None),
        AttachTo::Missing if program.prog_type == ProgType::EXT => {
            Err(error(ProgramError::NoProgram))
        }
        AttachTo::Missing => Err(error(ProgramError::NoTarget {
            section: program.section.clone(),
        })),
        AttachTo::Kernel { .. } if program.prog_type == ProgType::EXT => {
            Err(error(ProgramError::NoProgram))
        }
        AttachTo::Kernel { module, name } => match found {
            Some(Found {
                module: None, id, ..
            }) => Ok(AttachPlan::Kernel { btf_id: id }),
            Some(Found {
                module: Some(module),
                id,
                ..
            }) => Ok(AttachPlan::Module {
                module: kernel.refer(module),
                btf_id: id,
            }),
            None => Err(error(missing(program, module.as_deref(), name, kernel))),
        },
        AttachTo::Module(name) if name == "vmlinux" => Ok(AttachPlan::None),
        AttachTo::Module(name) => {
            let module = kernel
                .module_named(name)
                .map_err(|source| PlanError::Target {
                    needed: format!(
                        "module '{name}', to which program '{}' attaches",
                        program.name
                    ),
                    source,
                })?;
            let module = module.ok_or_else(|| error(ProgramError::NoModule(name.clone())))?;
            Ok(AttachPlan::Module {
                module: kernel.refer(module),
                btf_id: TypeId::VOID,
            })
        }
        AttachTo::Prog { prog, btf, func } => {
            let id = match func {
                Some(func) => btf.find_by_name_kind(func.as_bytes(), Kind::Func),
                None => btf
                    .types()
                    .find(|(_, ty)| ty.kind() == Kind::Func)
                    .map(|(id, _)| id),
            };
            let name = func.as_deref().unwrap_or("(the first)");
            let btf_id = id.ok_or_else(|| error(ProgramError::NoFunction(name.to_owned())))?;
            Ok(AttachPlan::Prog {
                prog: prog.clone(),
                btf_id,
            })
        }
    }
}

fn missing(
    program: &Program,
    module: Option<&str>,
    name: &str,
    kernel: &KernelTypes<'_>,
) -> ProgramError {
    let (kind, prefix, what) = naming(program.expected_attach_type);
    let place = match module {
        Some("vmlinux") => "the kernel proper".to_owned(),
        Some(module) => {
            if let Ok(None) = kernel.module_named(module) {
                return ProgramError::NoModule(module.to_owned());
            }
            format!("module '{module}'")
        }
        None => match kernel.modules().map_or(0, <[_]>::len) {
            0 => "the kernel".to_owned(),
            _ => "the kernel and its modules".to_owned(),
        },
    };
    ProgramError::TargetMissing {
        place,
        what,
        name: name.to_owned(),
        kind,
        type_name: format!("{prefix}{name}"),
    }
}
