//! Externs: what the object expects from the kernel, and where values of options are.

use super::data::{internal_name, map};
use super::fixup::MAX_SAME;
use super::map_defs::Maps;
use super::source::{Log, Source, shown};
use super::types::{datasec, kind_text};
use super::{ModelError, ParseOptions};
use crate::elf::Binding;
use crate::model::{Extern, ExternIdx, ExternKind, KconfigType, MapOrigin};
use bpfsys::uapi::flags::MapFlags;
use btf::{Btf, Kind, Type, TypeId, encoding};
use std::collections::HashMap;

/// Externs, and what is known of them.
#[derive(Debug, Default)]
pub(super) struct Externs {
    pub(super) externs: Vec<Extern>,
    by_symbol: HashMap<u32, ExternIdx>,
    /// Bytes of the `.kconfig` map.
    pub(super) kconfig_size: u32,
}

impl Externs {
    /// The extern that a symbol names.
    pub(super) fn of_symbol(&self, symbol: u32) -> Option<ExternIdx> {
        self.by_symbol.get(&symbol).copied()
    }

    /// Whether there are options.
    pub(super) fn has_kconfig(&self) -> bool {
        self.externs
            .iter()
            .any(|ext| matches!(ext.kind, ExternKind::Kconfig { .. }))
    }
}

/// An extern and what its place in the list depends on.
struct Found {
    symbol: u32,
    ext: Extern,
    align: u32,
}

/// Externs in the order that libbpf gives them: options by alignment, size and name, then symbols
/// of the kernel by name.
pub(super) fn collect(source: &Source<'_>, log: &mut Log) -> Result<Externs, ModelError> {
    let mut found = Vec::new();
    let types = source.btf().map(|btf| Declared::new(btf, source));
    for (number, symbol) in (0u32..).zip(source.elf.symbols()) {
        let Some(name) = symbol.name.filter(|name| !name.is_empty()) else {
            continue;
        };
        if !symbol.is_extern() {
            continue;
        }
        let mut ext = Extern {
            name: log.own(name)?,
            weak: symbol.binding == Binding::Weak,
            btf_id: None,
            kind: ExternKind::Broken("the object has no BTF that says what it is".to_owned()),
        };
        let mut align = 0;
        if let Some(types) = &types {
            match types.kind(name, log)? {
                Ok((id, kind, needs)) => {
                    ext.btf_id = Some(id);
                    ext.kind = kind;
                    align = needs;
                }
                Err(why) => ext.kind = ExternKind::Broken(why),
            }
        }
        if let ExternKind::Broken(why) = &ext.kind {
            log.note(|| format!("extern '{}': {why}", shown(name)));
        }
        found.push(Found {
            symbol: number,
            ext,
            align,
        });
    }
    found.sort_by(|one, other| one.order().cmp(&other.order()));

    let mut out = Externs::default();
    for (at, mut found) in (0u32..).zip(found) {
        if let ExternKind::Kconfig { size, offset, .. } = &mut found.ext.kind {
            let place = out
                .kconfig_size
                .checked_next_multiple_of(found.align)
                .and_then(|place| Some((place, place.checked_add(*size)?)));
            if let Some((place, end)) = place {
                *offset = place;
                out.kconfig_size = end;
            } else {
                found.ext.kind =
                    ExternKind::Broken("options take more than 4 GiB in all".to_owned());
            }
        }
        out.by_symbol.insert(found.symbol, ExternIdx(at));
        out.externs.push(found.ext);
    }
    Ok(out)
}

impl Found {
    fn order(&self) -> (u8, std::cmp::Reverse<u32>, u32, &str) {
        let (class, size) = match self.ext.kind {
            ExternKind::Kconfig { size, .. } => (0, size),
            ExternKind::Broken(_) => (2, 0),
            _ => (1, 0),
        };
        (class, std::cmp::Reverse(self.align), size, &self.ext.name)
    }
}

/// What the types declare.
struct Declared<'b> {
    btf: &'b Btf<'b>,
    /// The first variable and function of each name.
    first: HashMap<&'b [u8], [Option<TypeId>; 2]>,
    /// Whether a declaration is in `.kconfig` or `.ksyms`.
    kconfig: HashMap<TypeId, bool>,
}

impl<'b> Declared<'b> {
    fn new(btf: &'b Btf<'b>, source: &'b Source<'_>) -> Self {
        let names = source
            .elf
            .symbols()
            .iter()
            .filter(|symbol| symbol.is_extern())
            .filter_map(|symbol| symbol.name)
            .filter(|name| !name.is_empty());
        let queries: Vec<_> = names
            .flat_map(|name| [(name, Some(Kind::Var)), (name, Some(Kind::Func))])
            .collect();
        let answers = btf.find_many(&queries);
        let (pairs, _) = answers.as_chunks::<2>();
        let first = queries
            .iter()
            .step_by(2)
            .map(|(name, _)| *name)
            .zip(pairs.iter().copied())
            .collect();
        let mut kconfig = HashMap::new();
        if !queries.is_empty() {
            for (name, is) in [(&b".ksyms"[..], false), (b".kconfig", true)] {
                if let Some((_, section)) = datasec(btf, name) {
                    kconfig.extend(section.vars().map(|var| (var.type_id, is)));
                }
            }
        }
        Self {
            btf,
            first,
            kconfig,
        }
    }

    fn is_extern(&self, id: TypeId) -> bool {
        match self.btf.type_by_id(id) {
            Ok(Type::Var(var)) => var.linkage() == 2,
            Ok(Type::Func(func)) => func.linkage() == 2,
            _ => false,
        }
    }

    /// The declaration of a name, what it is, and its alignment; or why it makes no sense.
    fn kind(
        &self,
        name: &[u8],
        log: &mut Log,
    ) -> Result<Result<(TypeId, ExternKind, u32), String>, ModelError> {
        log.count(name)?;
        let first = self.first.get(name).copied().unwrap_or_default();
        let mut declared = first.into_iter().flatten().filter(|id| self.is_extern(*id));
        let id = declared.next().or_else(|| {
            let mut same = self.btf.find_by_name(name).take(MAX_SAME);
            same.find(|id| first != [None; 2] && self.is_extern(*id))
        });
        let Some(id) = id else {
            let why = match first.into_iter().flatten().next() {
                Some(_) => "the BTF says that it is defined here",
                None => "the BTF does not say what it is",
            };
            return Ok(Err(why.to_owned()));
        };
        Ok(self.judge(id).map(|(kind, align)| (id, kind, align)))
    }

    fn judge(&self, id: TypeId) -> Result<(ExternKind, u32), String> {
        let ty = self.btf.type_by_id(id).map_err(|error| error.to_string())?;
        match (ty, self.kconfig.get(&id)) {
            (_, None) => Err("it is neither in section '.ksyms' nor in '.kconfig'".to_owned()),
            (Type::Func(_), Some(true)) => Err("an option is no function".to_owned()),
            (Type::Func(func), Some(false)) => {
                let proto = func.proto();
                Ok((ExternKind::Kfunc { proto }, 0))
            }
            (Type::Var(var), Some(false)) => {
                let resolved = self.btf.resolve(var.type_id());
                let (type_id, _) = resolved.map_err(|error| error.to_string())?;
                Ok(if type_id.is_void() {
                    (ExternKind::KsymAddr, 0)
                } else {
                    (ExternKind::Ksym { type_id }, 0)
                })
            }
            (Type::Var(var), Some(true)) => {
                let type_id = var.type_id();
                let size = self
                    .btf
                    .size_of(type_id)
                    .map_err(|error| error.to_string())?;
                let size = u32::try_from(size).ok().filter(|size| *size != 0);
                let size = size.ok_or("its size is not that of an option")?;
                let align = self
                    .btf
                    .align_of(type_id)
                    .map_err(|error| error.to_string())?;
                let ty = kconfig_type(self.btf, type_id)
                    .ok_or_else(|| format!("no option is {}", kind_text(self.btf, type_id)))?;
                let kind = ExternKind::Kconfig {
                    ty,
                    size,
                    offset: 0,
                };
                Ok((kind, align.max(1)))
            }
            _ => Err("it is no variable and no function".to_owned()),
        }
    }
}

/// How the value of an option of this type is written; `None` for types that no option has.
fn kconfig_type(btf: &Btf<'_>, id: TypeId) -> Option<KconfigType> {
    let (_, ty) = btf.resolve(id).ok()?;
    Some(match ty {
        Type::Int(int) if int.encoding() & encoding::BOOL != 0 => {
            (int.size() == 1).then_some(KconfigType::Bool)?
        }
        Type::Int(int) if int.size() == 1 => KconfigType::Char,
        Type::Int(int) => matches!(int.size(), 2 | 4 | 8).then_some(KconfigType::Int {
            signed: int.is_signed(),
        })?,
        Type::Enum(of) if of.size() == 4 && of.name().is(b"libbpf_tristate") => {
            KconfigType::Tristate
        }
        Type::Enum64(of) if of.name().is(b"libbpf_tristate") => KconfigType::Tristate,
        Type::Array(array) if !array.is_empty() => match btf.resolve(array.elem_type()).ok()?.1 {
            Type::Int(int) if int.size() == 1 && int.encoding() & encoding::BOOL == 0 => {
                KconfigType::CharArray
            }
            _ => return None,
        },
        _ => return None,
    })
}

/// The map that holds the values of options, if there are any.
pub(super) fn kconfig_map(
    externs: &Externs,
    btf: Option<&Btf<'_>>,
    options: &ParseOptions,
    maps: &mut Maps,
) {
    if !externs.has_kconfig() {
        return;
    }
    let mut new = map(
        MapOrigin::Kconfig,
        internal_name(&options.name, b".kconfig"),
        ".kconfig",
    );
    new.spec.value_size = externs.kconfig_size;
    new.spec.flags = MapFlags::RDONLY_PROG;
    if let Some((id, _)) = btf.and_then(|btf| datasec(btf, b".kconfig")) {
        new.spec.value_type = id;
        new.spec.flags |= MapFlags::MMAPABLE;
    }
    maps.push(new);
}
