//! Symbols of the kernel that a program refers to: which instructions need which.

use super::LightError;
use crate::model::{Extern, ExternKind, Object};
use crate::relocate::Late;
use btf::Kind;
use btf::core_reloc::essential_name;
use std::collections::BTreeMap;

/// What is known of a symbol once it has been looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lookup {
    /// Its type, and the module that has it.
    Type(SymbolKind),
    /// Its address.
    Address,
}

/// What the type of a symbol is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SymbolKind {
    /// A variable.
    Var,
    /// A function.
    Func,
}

impl SymbolKind {
    pub(super) const fn kind(self) -> Kind {
        match self {
            Self::Var => Kind::Var,
            Self::Func => Kind::Func,
        }
    }
}

/// A symbol and the instructions that need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Symbol {
    /// As the kernel has it.
    pub(super) name: String,
    pub(super) lookup: Lookup,
    /// Whether the program can do without.
    pub(super) weak: bool,
    /// Instructions, ascending.
    pub(super) uses: Vec<u32>,
}

/// The symbols of the kernel that a program refers to, each once, in the order of the first use.
pub(super) fn symbols(
    object: &Object,
    program: &str,
    late: &Late,
) -> Result<Vec<Symbol>, LightError> {
    let mut found: Vec<Symbol> = Vec::new();
    let mut known: BTreeMap<(String, Lookup), usize> = BTreeMap::new();
    for (insn, index) in &late.symbols {
        let broken = |why: String| LightError::Broken {
            program: program.to_owned(),
            why,
        };
        let Some(wanted) = object.externs().get(index.index()) else {
            return Err(broken(format!(
                "refers to extern {}, which is not there",
                index.0
            )));
        };
        let lookup = match &wanted.kind {
            ExternKind::Kconfig { .. } => continue,
            ExternKind::Ksym { .. } => Lookup::Type(SymbolKind::Var),
            ExternKind::Kfunc { .. } => Lookup::Type(SymbolKind::Func),
            ExternKind::KsymAddr => Lookup::Address,
            ExternKind::Broken(why) => {
                return Err(broken(format!("extern '{}' {why}", wanted.name)));
            }
        };
        let name = kernel_name(wanted, lookup);
        let at = *known.entry((name.clone(), lookup)).or_insert_with(|| {
            found.push(Symbol {
                name,
                lookup,
                weak: true,
                uses: Vec::new(),
            });
            found.len() - 1
        });
        if let Some(symbol) = found.get_mut(at) {
            symbol.weak &= wanted.weak;
            symbol.uses.push(*insn);
        }
    }
    Ok(found)
}

/// The name that the kernel has. Flavours of one function differ in their parameters, which a
/// loader program cannot compare: a weak one is taken for missing, so that the program goes the
/// way it has for kernels without. A strong one has to be the function there is.
fn kernel_name(wanted: &Extern, lookup: Lookup) -> String {
    let name = match lookup {
        Lookup::Type(_) if !wanted.weak => essential(&wanted.name),
        Lookup::Type(_) | Lookup::Address => &wanted.name,
    };
    name.to_owned()
}

fn essential(name: &str) -> &str {
    let essential = essential_name(name.as_bytes());
    name.get(..essential.len()).unwrap_or(name)
}
