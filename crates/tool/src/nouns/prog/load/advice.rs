//! What a person can do about an object that cannot be loaded.

use loader::elf::ElfError;
use loader::kernel::{Cause, KernelError};
use loader::model::sec_defs::SecDef;
use loader::model::{EditError, ModelError};
use loader::relocate::{ExternError, InsnError, MapError, PlanError, ProgramError};
use loader::target::TargetError;

/// What can be done about a signature that the kernel does not take.
pub(super) const SIGNATURE: &str = "the kernel verifies with the certificate: it must be an X.509 one of the key, with an \
     algorithm that this kernel has";

/// What can be done about a file that cannot be read as an object.
pub(crate) fn for_model(error: &ModelError) -> Option<&'static str> {
    match error {
        ModelError::Elf(
            ElfError::SectionTable { .. }
            | ElfError::SectionBounds { .. }
            | ElfError::Truncated { .. },
        ) => Some("the file is shorter than it says: it was cut, or is being written"),
        ModelError::Elf(_) => Some("an object is what `clang -target bpf -g -O2 -c` writes"),
        ModelError::Map {
            source: loader::model::MapError::Unknown { .. },
            ..
        } => Some("-m passes over members that are not known"),
        _ => None,
    }
}

/// What can be done about an object that cannot be changed so.
pub(crate) fn for_edit(error: &EditError) -> Option<&'static str> {
    match error {
        EditError::NoVariable { .. } => Some(
            "variables are those of .data, .rodata and .bss; options of the kernel are given by \
             `kconfig FILE`",
        ),
        _ => None,
    }
}

/// What can be done about an object that cannot be planned for the kernel.
pub(crate) fn for_plan(error: &PlanError) -> Option<String> {
    let advice = match error {
        PlanError::Program { why, .. } => return for_program(why),
        PlanError::Insn { why, .. } => match &**why {
            InsnError::Extern { name, why } => return for_extern(name, why),
            InsnError::Core { .. } => {
                "guard it with bpf_core_field_exists() or bpf_core_type_exists(), or give types \
                 that have it: kernel_btf FILE"
            }
            _ => return None,
        },
        PlanError::Target { source, .. } => return for_target(source).map(str::to_owned),
        PlanError::Map { why, .. } => match why {
            MapError::NoStruct(_) => {
                "this kernel, or its configuration, is without it; `?` in front of the section's \
                 name leaves the map out unless it is asked for"
            }
            MapError::NoMember { .. } => {
                "declare the member in a flavour of the struct (`___old`) that leaves it out, or \
                 leave it zero"
            }
            _ => return None,
        },
        _ => return None,
    };
    Some(advice.to_owned())
}

fn for_program(why: &ProgramError) -> Option<String> {
    let advice = match why {
        ProgramError::NoType { section } => return Some(for_section(section)),
        ProgramError::NoTarget { .. } => "name it: target FUNC",
        ProgramError::NoProgram => "name it: target prog PROG [func FUNC]",
        ProgramError::TargetMissing { .. } => {
            "name another with `target FUNC`, or load the other programs alone with `only NAME`"
        }
        ProgramError::NoModule(module) => {
            return Some(format!("load the module first: modprobe {module}"));
        }
        _ => return None,
    };
    Some(advice.to_owned())
}

fn for_section(section: &str) -> String {
    let near = SecDef::near(section);
    let instead = "`type TYPE` says what it is, `only NAME` loads other programs alone";
    if near.is_empty() {
        return instead.to_owned();
    }
    format!(
        "did you mean SEC(\"{}\")? Otherwise {instead}",
        near.join("\"), SEC(\"")
    )
}

fn for_extern(name: &str, why: &ExternError) -> Option<String> {
    Some(match why {
        ExternError::NotSet | ExternError::UnknownValue => format!(
            "declare it __weak, to be zero where it is not set, or give its value: a file with \
             the line {name}=VALUE and `kconfig FILE`"
        ),
        ExternError::NoType { .. } => format!(
            "a newer kernel or a module that is not loaded may have it: declare it __weak and ask \
             bpf_ksym_exists({name}) before use"
        ),
        ExternError::NoSymbol => format!(
            "declare it __weak, to be 0 where there is none: extern const void {name} __ksym __weak"
        ),
        ExternError::Incompatible { .. } => {
            "declare it as the kernel does; a suffix `___…` keeps several declarations of one name"
                .to_owned()
        }
        _ => return None,
    })
}

fn for_target(error: &TargetError) -> Option<&'static str> {
    match error {
        TargetError::NoKernelBtf { .. } => {
            Some("give the kernel's types: kernel_btf FILE (for `plan`: btf FILE)")
        }
        TargetError::NoKconfig { .. } => Some("give the configuration: kconfig FILE"),
        TargetError::NotDescribed(_) => Some(
            "types alone do not tell: give the configuration with `kconfig FILE`, or plan without \
             `btf` on the kernel itself",
        ),
        _ => None,
    }
}

/// What can be done about what the kernel refused.
pub(crate) fn for_kernel(error: &KernelError) -> Option<String> {
    let KernelError::Program(error) = error else {
        return None;
    };
    Some(match error.cause.as_ref()? {
        Cause::CoreRelo { .. } => {
            "the verifier got to code that is for other kernels: guard it with \
             bpf_core_field_exists() or bpf_core_type_exists()"
                .to_owned()
        }
        Cause::Kfunc(name) => format!("ask bpf_ksym_exists({name}) before the call"),
        _ => return None,
    })
}
