//! What each section is for.

use super::source::Log;
use crate::elf::consts::{
    SHT_LLVM_ADDRSIG, SHT_NOBITS, SHT_PROGBITS, SHT_REL, SHT_RELA, SHT_STRTAB, SHT_SYMTAB,
};
use crate::elf::{Elf, Section};

/// What a section is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing.
    None,
    /// Functions that are programs.
    Programs,
    /// Functions that programs call.
    Subprograms,
    /// Variables.
    Data,
    /// Constants.
    Constants,
    /// Variables that are zero.
    Zeros,
    /// Global data of an arena.
    Arena,
    /// Map definitions by types.
    Maps,
    /// Map definitions by numbers.
    LegacyMaps,
    /// Values of types of the kernel.
    StructOps,
    /// Places to jump to.
    JumpTables,
    /// The licence.
    License,
    /// The kernel's version.
    Version,
    /// Types.
    Btf,
    /// What the compiler says about instructions.
    BtfExt,
}

impl Role {
    /// Whether functions are there.
    pub(super) const fn is_code(self) -> bool {
        matches!(self, Self::Programs | Self::Subprograms)
    }

    /// Whether a map holds the section.
    pub(super) const fn is_data(self) -> bool {
        matches!(self, Self::Data | Self::Constants | Self::Zeros)
    }
}

/// Whether the name is `word`, or `word` with more behind a dot.
fn is_or_dotted(name: &[u8], word: &[u8]) -> bool {
    name.strip_prefix(word)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"."))
}

/// What a section is for, by name and type.
fn role(section: &Section<'_>) -> Role {
    let name = section.name;
    match name {
        b"license" => return Role::License,
        b"version" => return Role::Version,
        b".maps" => return Role::Maps,
        _ if section.kind == SHT_NOBITS => {
            return if is_or_dotted(name, b".bss") {
                Role::Zeros
            } else {
                Role::None
            };
        }
        _ if section.kind != SHT_PROGBITS => return Role::None,
        b".BTF" => return Role::Btf,
        b".BTF.ext" => return Role::BtfExt,
        _ => {}
    }
    if section.is_code() {
        return if is_or_dotted(name, b".text") {
            Role::Subprograms
        } else {
            Role::Programs
        };
    }
    if name == b"maps" || name.starts_with(b"maps/") {
        return Role::LegacyMaps;
    }
    if section.size == 0 {
        return Role::None;
    }
    match name {
        b".struct_ops" | b".struct_ops.link" | b"?.struct_ops" | b"?.struct_ops.link" => {
            Role::StructOps
        }
        b".addr_space.1" => Role::Arena,
        b".jumptables" => Role::JumpTables,
        _ if is_or_dotted(name, b".data") => Role::Data,
        _ if is_or_dotted(name, b".rodata") => Role::Constants,
        _ => Role::None,
    }
}

/// Whether a section without a role is worth no word.
fn is_usual(section: &Section<'_>) -> bool {
    let name = section.name;
    section.index == 0
        || matches!(
            section.kind,
            SHT_STRTAB | SHT_SYMTAB | SHT_LLVM_ADDRSIG | SHT_REL | SHT_RELA
        )
        || section.size == 0
        || name.starts_with(b".debug_")
        || name.starts_with(b".rel")
        || matches!(name, b".eh_frame" | b".comment" | b".note.GNU-stack")
}

/// What each section is for, by number.
pub(super) fn roles(elf: &Elf<'_>, log: &mut Log) -> Vec<Role> {
    let mut roles = Vec::with_capacity(elf.sections().len());
    for section in elf.sections() {
        let role = if section.index == 0 {
            Role::None
        } else {
            role(section)
        };
        if role == Role::None && !is_usual(section) {
            log.note(|| {
                let name = super::source::shown(section.name);
                format!(
                    "section {} '{name}' is of no kind that is known, it is left out",
                    section.index
                )
            });
        }
        roles.push(role);
    }
    roles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotted_names() {
        for (name, word, is) in [
            (".data", ".data", true),
            (".data.custom", ".data", true),
            (".data_more", ".data", false),
            (".rodata.str1.1", ".rodata", true),
            (".bs", ".bss", false),
        ] {
            assert_eq!(is_or_dotted(name.as_bytes(), word.as_bytes()), is, "{name}");
        }
    }
}
