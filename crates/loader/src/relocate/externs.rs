//! What the object expects from the kernel: symbols, variables and functions with types, and
//! options of its configuration.

use super::error::{ExternError, InsnError, PlanError};
use super::kconfig;
use super::kernel_types::{Found, KernelTypes, Query, Scope};
use super::options::PlanOptions;
use super::uses::Uses;
use super::{ModuleIdx, lacks};
use crate::model::{Extern, ExternIdx, ExternKind, KconfigType, MapIdx, MapOrigin, Object};
use crate::target::{Feature, Symbol, Target};
use btf::core_reloc::{essential_name, spell, types_fit};
use btf::{Btf, Kind, Type, TypeId};
use std::collections::HashMap;

/// What an instruction that refers to an extern gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resolved {
    /// A place in the map of options.
    Option { map: MapIdx, offset: u32 },
    /// An address; 0 for what is not there.
    Address(u64),
    /// A variable or function by its type.
    Type {
        id: TypeId,
        module: Option<ModuleIdx>,
        /// `off` of calls.
        slot: i16,
    },
    /// A function that is not there.
    Absent,
    /// Something that whoever loads looks for.
    Late,
}

/// Options that a map of them may have room for at most; the largest kernel configuration is far
/// below.
const MAX_OPTIONS: u64 = 16 << 20;

/// Modules that calls can name.
const MAX_MODULES: usize = i16::MAX as usize;

/// The externs of an object, those that are used resolved.
#[derive(Debug, Default)]
pub(super) struct Externs {
    resolved: HashMap<ExternIdx, Resolved>,
    /// Modules whose functions are called, by slot.
    pub(super) fd_array: Vec<ModuleIdx>,
    /// What the map of options holds.
    pub(super) options: Option<Vec<u8>>,
}

impl Externs {
    pub(super) fn get(&self, extern_: ExternIdx) -> Option<Resolved> {
        self.resolved.get(&extern_).copied()
    }
}

/// An extern with a type, and what to look for.
struct Typed<'o> {
    at: ExternIdx,
    extern_: &'o Extern,
    /// Its type in the object.
    local: TypeId,
    kind: Kind,
}

impl<'o> Typed<'o> {
    fn of(at: ExternIdx, extern_: &'o Extern) -> Option<Self> {
        let (local, kind) = match extern_.kind {
            ExternKind::Ksym { type_id } => (type_id, Kind::Var),
            ExternKind::Kfunc { proto } => (proto, Kind::Func),
            _ => return None,
        };
        Some(Self {
            at,
            extern_,
            local,
            kind,
        })
    }

    /// Functions may have a flavour, variables have none.
    fn name(&self) -> &[u8] {
        let name = self.extern_.name.as_bytes();
        match self.kind {
            Kind::Func => essential_name(name),
            _ => name,
        }
    }
}

/// What is looked for in the kernel's types, of those externs that are used.
pub(super) fn queries(object: &Object, uses: &Uses) -> Vec<Query> {
    typed(object, uses)
        .map(|typed| Query {
            name: typed.name().to_vec(),
            kind: typed.kind,
            scope: Scope::Any,
        })
        .collect()
}

fn typed<'o>(object: &'o Object, uses: &'o Uses) -> impl Iterator<Item = Typed<'o>> {
    uses.externs.keys().filter_map(|at| {
        let extern_ = object.externs.get(at.index())?;
        Typed::of(*at, extern_)
    })
}

/// Resolves all externs that are used; `found` are the answers to [`queries`].
pub(super) fn resolve<'t>(
    object: &Object,
    target: &'t dyn Target,
    kernel: &KernelTypes<'t>,
    options: &PlanOptions,
    uses: &Uses,
    found: &[Option<Found<'t>>],
) -> Result<Externs, PlanError> {
    let (stage, mut externs) = Stage::begin(object, target, kernel, options, uses)?;
    stage.addresses(&mut externs)?;
    for (typed, found) in typed(object, uses).zip(found) {
        let resolved = stage
            .typed(&typed, *found, &mut externs.fd_array)
            .map_err(|why| stage.error(typed.at, why))?;
        externs.resolved.insert(typed.at, resolved);
    }
    Ok(externs)
}

/// Resolves options of the configuration, and leaves symbols to whoever loads.
pub(super) fn defer<'t>(
    object: &Object,
    target: &'t dyn Target,
    kernel: &KernelTypes<'t>,
    options: &PlanOptions,
    uses: &Uses,
) -> Result<Externs, PlanError> {
    let (_stage, mut externs) = Stage::begin(object, target, kernel, options, uses)?;
    for at in uses.externs.keys() {
        externs.resolved.entry(*at).or_insert(Resolved::Late);
    }
    Ok(externs)
}

struct Stage<'o, 't> {
    object: &'o Object,
    target: &'t dyn Target,
    kernel: &'o KernelTypes<'t>,
    uses: &'o Uses,
}

impl<'o, 't> Stage<'o, 't> {
    /// What needs neither symbols nor types: options of the configuration, and that no extern
    /// that is used makes no sense.
    fn begin(
        object: &'o Object,
        target: &'t dyn Target,
        kernel: &'o KernelTypes<'t>,
        options: &PlanOptions,
        uses: &'o Uses,
    ) -> Result<(Self, Externs), PlanError> {
        let stage = Self {
            object,
            target,
            kernel,
            uses,
        };
        let mut externs = Externs::default();
        stage.options(options, &mut externs)?;
        stage.broken()?;
        Ok((stage, externs))
    }

    /// Refuses externs that make no sense.
    fn broken(&self) -> Result<(), PlanError> {
        for at in self.uses.externs.keys() {
            if let Some(Extern {
                kind: ExternKind::Broken(why),
                ..
            }) = self.object.externs.get(at.index())
            {
                return Err(self.error(*at, ExternError::Broken(why.clone())));
            }
        }
        Ok(())
    }

    /// An error where the extern is used first.
    fn error(&self, at: ExternIdx, why: ExternError) -> PlanError {
        let name = self.object.externs.get(at.index());
        let name = name.map_or_else(String::new, |extern_| extern_.name.clone());
        let why = InsnError::Extern { name, why };
        match self.uses.externs.get(&at) {
            Some(place) => place.error(self.object, why),
            // not used: nothing asks
            None => PlanError::Program {
                program: String::new(),
                why: super::ProgramError::Empty,
            },
        }
    }

    /// Addresses of symbols without a type.
    fn addresses(&self, externs: &mut Externs) -> Result<(), PlanError> {
        let wanted: Vec<(ExternIdx, &Extern)> = self
            .uses
            .externs
            .keys()
            .filter_map(|at| Some((*at, self.object.externs.get(at.index())?)))
            .filter(|(_, extern_)| extern_.kind == ExternKind::KsymAddr)
            .collect();
        let Some((_, first)) = wanted.first() else {
            return Ok(());
        };
        let names: Vec<&str> = wanted.iter().map(|(_, e)| e.name.as_str()).collect();
        let symbols = self
            .target
            .kallsyms(&names)
            .map_err(|source| PlanError::Target {
                needed: format!("the address of the kernel's symbol '{}'", first.name),
                source,
            })?;
        let symbols = symbols.into_iter().map(Some).chain(std::iter::repeat(None));
        for ((at, extern_), symbol) in wanted.iter().zip(symbols) {
            let address = match symbol.unwrap_or(Symbol::Missing) {
                Symbol::At(address) => address,
                Symbol::Missing | Symbol::Hidden if extern_.weak => 0,
                Symbol::Hidden => return Err(self.error(*at, ExternError::HiddenSymbol)),
                Symbol::Missing => return Err(self.error(*at, ExternError::NoSymbol)),
                Symbol::Ambiguous(first, second) => {
                    return Err(self.error(*at, ExternError::Ambiguous { first, second }));
                }
            };
            externs.resolved.insert(*at, Resolved::Address(address));
        }
        Ok(())
    }

    /// A variable or function with a type.
    fn typed(
        &self,
        typed: &Typed<'_>,
        found: Option<Found<'_>>,
        fd_array: &mut Vec<ModuleIdx>,
    ) -> Result<Resolved, ExternError> {
        let weak = typed.extern_.weak;
        let absent = match typed.kind {
            Kind::Func => Resolved::Absent,
            _ => Resolved::Address(0),
        };
        let Some(found) = found else {
            return if weak {
                Ok(absent)
            } else {
                let name = String::from_utf8_lossy(typed.name()).into_owned();
                let what = match typed.kind {
                    Kind::Func => "function",
                    _ => "variable",
                };
                Err(ExternError::NoType { what, name })
            };
        };
        let Some(local) = self.object.btf.as_deref() else {
            return Err(ExternError::Broken(
                "it has a type, and the object has none".to_owned(),
            ));
        };
        let (there, fits) = compare(local, typed.local, &found).map_err(ExternError::Compare)?;
        if !fits {
            // a weak function of another signature is one that is not there
            if weak && typed.kind == Kind::Func {
                return Ok(absent);
            }
            return Err(ExternError::Incompatible {
                local: spell_type(local, typed.local),
                place: self.kernel.place(found.module),
                there: spell_type(found.btf, there),
            });
        }
        let module = found.module.map(|module| self.kernel.refer(module));
        let slot = match (module, typed.kind) {
            (Some(module), Kind::Func) => slot(fd_array, module)?,
            _ => 0,
        };
        Ok(Resolved::Type {
            id: found.id,
            module,
            slot,
        })
    }

    /// The values of all options; what goes wrong counts where an option is used.
    fn options(&self, options: &PlanOptions, externs: &mut Externs) -> Result<(), PlanError> {
        let all: Vec<Opt<'_>> = (0..)
            .map(ExternIdx)
            .zip(&self.object.externs)
            .filter_map(|(at, extern_)| Opt::of(at, extern_))
            .collect();
        let map = self
            .object
            .maps
            .iter()
            .position(|map| map.origin == MapOrigin::Kconfig);
        let used = |option: &&Opt<'_>| self.uses.externs.contains_key(&option.at);
        let Some(map) = map.and_then(|at| u32::try_from(at).ok()) else {
            return match all.iter().find(used) {
                Some(option) => Err(self.error(option.at, ExternError::NoKconfigMap)),
                None => Ok(()),
            };
        };
        let end = all
            .iter()
            .map(|o| u64::from(o.offset) + u64::from(o.size))
            .max();
        let size = self
            .object
            .maps
            .get(map as usize)
            .map_or(0, |map| map.spec.value_size);
        let size = end.unwrap_or(0).max(u64::from(size));
        if size > MAX_OPTIONS {
            return Err(PlanError::Map {
                map: ".kconfig".to_owned(),
                why: super::MapError::ValueTooLarge { size },
            });
        }
        let values = self.values(&all, options)?;
        let mut data = vec![0; usize::try_from(size).unwrap_or_default()];
        for (option, value) in all.iter().zip(values) {
            match value {
                Ok(bytes) => {
                    let place = data.get_mut(option.offset as usize..).unwrap_or_default();
                    for (to, from) in place.iter_mut().zip(bytes) {
                        *to = from;
                    }
                }
                Err(why) if used(&option) => return Err(self.error(option.at, why)),
                Err(_) => {}
            }
            let place = Resolved::Option {
                map: MapIdx(map),
                offset: option.offset,
            };
            externs.resolved.insert(option.at, place);
        }
        externs.options = Some(data);
        Ok(())
    }

    /// The bytes of each option.
    fn values(
        &self,
        all: &[Opt<'_>],
        options: &PlanOptions,
    ) -> Result<Vec<Result<Vec<u8>, ExternError>>, PlanError> {
        let given = options.kconfig.as_deref().map(lines).unwrap_or_default();
        let is_open = |option: &Opt<'_>| {
            option.name.starts_with("CONFIG_") && !given.contains_key(option.name)
        };
        let asked: Vec<&str> = all.iter().filter(|o| is_open(o)).map(|o| o.name).collect();
        let mut told: HashMap<&str, String> = HashMap::new();
        let needed = all
            .iter()
            .find(|o| is_open(o) && self.uses.externs.contains_key(&o.at));
        if !asked.is_empty() {
            match (self.target.kconfig(&asked), needed) {
                (Ok(answers), _) => {
                    let pairs = asked.iter().zip(answers);
                    told.extend(pairs.filter_map(|(name, text)| Some((*name, text?))));
                }
                (Err(source), Some(option)) => {
                    return Err(PlanError::Target {
                        needed: format!("the value of option '{}'", option.name),
                        source,
                    });
                }
                (Err(_), None) => {}
            }
        }
        let value = |option: &Opt<'_>| {
            let text = given.get(option.name).copied();
            match text.or_else(|| told.get(option.name).map(String::as_str)) {
                Some(text) if option.name.starts_with("CONFIG_") => {
                    kconfig::parse(option.ty, option.size, self.object.endian, text)
                        .map_err(|why| value_error(text, why))
                }
                _ => self.made(option),
            }
        };
        Ok(all.iter().map(value).collect())
    }

    /// An option that no configuration has: one of those that loaders know, or nothing.
    fn made(&self, option: &Opt<'_>) -> Result<Vec<u8>, ExternError> {
        let yes = |feature| u64::from(!lacks(self.target, feature));
        let value = match option.name {
            "LINUX_KERNEL_VERSION" => u64::from(self.target.version()),
            "LINUX_HAS_BPF_COOKIE" => yes(Feature::BpfCookie),
            "LINUX_HAS_SYSCALL_WRAPPER" => yes(Feature::SyscallWrapper),
            name if name.starts_with("CONFIG_") => {
                return if option.weak {
                    Ok(Vec::new())
                } else {
                    Err(ExternError::NotSet)
                };
            }
            name if name.starts_with("LINUX_") && option.weak => 0,
            _ => return Err(ExternError::UnknownValue),
        };
        kconfig::number(option.ty, option.size, self.object.endian, value)
            .map_err(|why| value_error(&value.to_string(), why))
    }
}

fn value_error(value: &str, why: String) -> ExternError {
    ExternError::Value {
        value: btf::escape(value.trim().as_bytes()).into_owned(),
        why,
    }
}

/// The number of calls' `off` that stands for a module; 0 stands for the kernel.
fn slot(fd_array: &mut Vec<ModuleIdx>, module: ModuleIdx) -> Result<i16, ExternError> {
    let at = fd_array.iter().position(|known| *known == module);
    let at = at.unwrap_or(fd_array.len());
    let slot = i16::try_from(at + 1)
        .map_err(|_error| ExternError::TooManyModules { limit: MAX_MODULES })?;
    if at == fd_array.len() {
        fd_array.push(module);
    }
    Ok(slot)
}

/// The type that the kernel's variable or function has, and whether the local one fits it.
fn compare(
    local: &Btf<'_>,
    local_id: TypeId,
    found: &Found<'_>,
) -> Result<(TypeId, bool), btf::core_reloc::CoreError> {
    use btf::core_reloc::CoreError;
    let there = match found.btf.type_by_id(found.id) {
        Ok(Type::Func(func)) => func.proto(),
        Ok(Type::Var(var)) => {
            found
                .btf
                .resolve(var.type_id())
                .map_err(CoreError::Target)?
                .0
        }
        Ok(_) => found.id,
        Err(error) => return Err(CoreError::Target(error)),
    };
    let (here, _) = local.resolve(local_id).map_err(CoreError::Local)?;
    Ok((there, types_fit(local, here, found.btf, there)?))
}

/// A type in words; signatures with their parameters.
fn spell_type(btf: &Btf<'_>, id: TypeId) -> String {
    let Ok(Type::FuncProto(proto)) = btf.type_by_id(id) else {
        return spell(btf, id);
    };
    let params: Vec<String> = proto
        .params()
        .take(32)
        .map(|param| spell(btf, param.type_id))
        .collect();
    format!(
        "{} ({})",
        spell(btf, proto.return_type()),
        params.join(", ")
    )
}

/// An option and how it is written.
struct Opt<'o> {
    at: ExternIdx,
    name: &'o str,
    weak: bool,
    ty: KconfigType,
    size: u32,
    offset: u32,
}

impl<'o> Opt<'o> {
    fn of(at: ExternIdx, extern_: &'o Extern) -> Option<Self> {
        let ExternKind::Kconfig { ty, size, offset } = extern_.kind else {
            return None;
        };
        Some(Self {
            at,
            name: &extern_.name,
            weak: extern_.weak,
            ty,
            size,
            offset,
        })
    }
}

/// The lines `NAME=VALUE` of a configuration; the first of each name counts.
fn lines(text: &str) -> HashMap<&str, &str> {
    let mut lines = HashMap::new();
    for line in text.lines() {
        if let Some((name, value)) = line.split_once('=')
            && name.starts_with("CONFIG_")
        {
            lines.entry(name).or_insert(value);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_name_as_many_modules_as_a_signed_half_word_counts() {
        let mut fd_array = Vec::new();
        for module in (0..).map(ModuleIdx).take(MAX_MODULES) {
            slot(&mut fd_array, module).unwrap();
        }
        assert_eq!(slot(&mut fd_array, ModuleIdx(0)).unwrap(), 1);
        assert_eq!(slot(&mut fd_array, ModuleIdx(32766)).unwrap(), i16::MAX);
        let error = slot(&mut fd_array, ModuleIdx(32767)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "functions of more modules than 32767 are called"
        );
    }
}
