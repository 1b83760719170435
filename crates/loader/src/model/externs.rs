//! What an object expects from the kernel or its configuration.

use btf::TypeId;

/// A symbol that is defined elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extern {
    /// The symbol, with its flavour.
    pub name: String,
    /// Whether it may be missing.
    pub weak: bool,
    /// Its `VAR` or `FUNC` in the object's BTF.
    pub btf_id: Option<TypeId>,
    /// What it is.
    pub kind: ExternKind,
}

/// Kinds of externs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExternKind {
    /// An option of the kernel's configuration, or one of the virtual ones (`LINUX_…`).
    Kconfig {
        /// How its value is written.
        ty: KconfigType,
        /// Bytes it takes.
        size: u32,
        /// Where in the `.kconfig` map.
        offset: u32,
    },
    /// A variable of the kernel with a type: its address, checked by the verifier.
    Ksym {
        /// The type it should have, in the object's BTF.
        type_id: TypeId,
    },
    /// The address of any symbol of the kernel (`extern const void NAME __ksym`).
    KsymAddr,
    /// A function of the kernel.
    #[doc(alias = "kfunc")]
    Kfunc {
        /// Its `FUNC_PROTO` in the object's BTF.
        proto: TypeId,
    },
    /// Declared in a way that makes no sense: an error for whoever needs it.
    Broken(String),
}

/// How the value of an option is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KconfigType {
    /// `_Bool`.
    Bool,
    /// One character.
    Char,
    /// An integer.
    Int {
        /// Whether values below zero fit.
        signed: bool,
    },
    /// `enum libbpf_tristate`: no, yes, module.
    Tristate,
    /// An array of characters, ended by a zero.
    CharArray,
}
