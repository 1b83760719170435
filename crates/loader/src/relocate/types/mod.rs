//! The object's types as the kernel takes them. No type gets another id: programs, maps and
//! records of instructions refer to them by it.

mod arg_ctx;
mod externs;
mod resize;
mod sanitize;

use super::error::PlanError;
use super::{BtfPlan, Downgrades, lacks};
use crate::model::{FuncIdx, FuncInfo, Linkage, MapIdx, Object};
use crate::target::{Feature, Target};
use bpfsys::ProgType;
use btf::build::Builder;
use btf::{Btf, BtfError, Kind, TypeId};
use std::collections::{BTreeMap, HashSet};

/// Linkage of functions and variables in BTF.
const STATIC: u32 = 0;
const GLOBAL: u32 = 1;

/// Types that are changed, once the first change is made.
struct Edit<'o> {
    from: &'o Btf<'static>,
    builder: Option<Builder<'o>>,
}

impl<'o> Edit<'o> {
    const fn new(from: &'o Btf<'static>) -> Self {
        Self {
            from,
            builder: None,
        }
    }

    fn builder(&mut self) -> Result<&mut Builder<'o>, BtfError> {
        let builder = match self.builder.take() {
            Some(builder) => builder,
            None => Builder::from_btf(self.from)?,
        };
        Ok(self.builder.insert(builder))
    }

    /// The bytes, and whether any differ.
    fn finish(self) -> Result<Vec<u8>, BtfError> {
        match self.builder {
            None => Ok(self.from.data().to_vec()),
            Some(builder) => builder.finish(),
        }
    }
}

/// Records of a program's functions that may have to name other types.
pub(super) struct Program<'p> {
    pub(super) prog_type: ProgType,
    pub(super) func_info: &'p mut Vec<FuncInfo>,
}

/// What is made of the types.
#[derive(Debug, Default)]
pub(super) struct Types {
    pub(super) plan: Option<BtfPlan>,
    /// Data maps whose size the types do not have.
    pub(super) unfit: HashSet<MapIdx>,
}

/// Makes the types for the kernel; `functions` are those that are used.
pub(super) fn plan(
    object: &Object,
    target: &dyn Target,
    seen: &Seen,
    functions: &BTreeMap<FuncIdx, super::code::Code>,
    programs: &mut [Program<'_>],
    required: bool,
    downgrades: &mut Downgrades,
) -> Result<Types, PlanError> {
    let Some(btf) = object.btf.as_deref() else {
        return Ok(Types::default());
    };
    if !seen.implies_btf(target) && lacks(target, Feature::Btf) {
        downgrades.add(Feature::Btf, "types are not loaded".to_owned());
        return Ok(Types::default());
    }
    let mut edit = Edit::new(btf);
    let mut unfit = HashSet::new();
    let mut run = || -> Result<(), BtfError> {
        externs::change(object, btf, &mut edit)?;
        hide(object, functions, btf, &mut edit)?;
        unfit = resize::change(object, btf, &mut edit)?;
        arg_ctx::change(btf, seen, target, programs, &mut edit, downgrades)?;
        sanitize::change(btf, seen, target, &mut edit, downgrades)
    };
    run().map_err(PlanError::Types)?;
    let data = edit.finish().map_err(PlanError::Types)?;
    Ok(Types {
        plan: Some(BtfPlan { data, required }),
        unfit,
    })
}

/// Hidden functions are global for the linker only: the verifier is to take them for static,
/// which it verifies with what their callers know.
fn hide<'o>(
    object: &Object,
    functions: &BTreeMap<FuncIdx, super::code::Code>,
    btf: &'o Btf<'static>,
    edit: &mut Edit<'o>,
) -> Result<(), BtfError> {
    let entries: HashSet<FuncIdx> = object.programs.iter().map(|program| program.func).collect();
    for func in functions.keys().filter(|func| !entries.contains(func)) {
        let Some(function) = object.functions.get(func.index()) else {
            continue;
        };
        let first = function.func_info.first().filter(|info| info.insn == 0);
        let (Linkage::Hidden, Some(info)) = (function.linkage, first) else {
            continue;
        };
        if let Ok(btf::Type::Func(t)) = btf.type_by_id(info.type_id)
            && t.linkage() == GLOBAL
            && let Some(mut record) = edit.builder()?.record_mut(info.type_id)
        {
            record.set_kind(Kind::Func, false, STATIC);
        }
    }
    Ok(())
}

/// Kinds of types that not every kernel takes, and where they are.
#[derive(Debug, Default)]
pub(super) struct Seen {
    funcs: bool,
    global_funcs: bool,
    datasecs: bool,
    /// Sections whose name begins with `?`.
    qmark: bool,
    floats: bool,
    decl_tags: bool,
    type_tags: bool,
    /// 64-bit enumerations and signed ones.
    enums: bool,
    layout: bool,
    /// Tags that say that a parameter is the context.
    ctx_tags: Vec<TypeId>,
}

/// The tag of parameters that are the context.
const CTX_TAG: &[u8] = b"arg:ctx";

impl Seen {
    pub(super) fn of(btf: &Btf<'_>) -> Self {
        use btf::Type;
        let mut seen = Self {
            layout: btf.has_layout(),
            ..Self::default()
        };
        for (id, ty) in btf.types() {
            match ty {
                Type::Func(t) => {
                    seen.funcs = true;
                    seen.global_funcs |= t.linkage() != STATIC;
                }
                Type::FuncProto(_) => seen.funcs = true,
                Type::Var(_) => seen.datasecs = true,
                Type::Datasec(t) => {
                    seen.datasecs = true;
                    seen.qmark |= t.name().or_empty().first() == Some(&b'?');
                }
                Type::Float(_) => seen.floats = true,
                Type::DeclTag(t) => {
                    seen.decl_tags = true;
                    if t.name().is(CTX_TAG) {
                        seen.ctx_tags.push(id);
                    }
                }
                Type::TypeTag(_) => seen.type_tags = true,
                Type::Enum(t) => seen.enums |= t.is_signed(),
                Type::Enum64(_) => seen.enums = true,
                _ => {}
            }
        }
        seen
    }

    /// Whether a feature that has to be asked for anyway is there, and with it types at all.
    fn implies_btf(&self, target: &dyn Target) -> bool {
        let yes = |seen, feature| seen && target.has(feature).is_yes();
        yes(self.global_funcs, Feature::BtfGlobalFunc)
            || yes(self.funcs, Feature::BtfFunc)
            || yes(self.datasecs, Feature::BtfDatasec)
    }

    /// Whether the kernel takes functions' types: so if it takes those of global ones.
    pub(super) fn lacks_funcs(&self, target: &dyn Target) -> bool {
        let global = self.global_funcs && target.has(Feature::BtfGlobalFunc).is_yes();
        !global && lacks(target, Feature::BtfFunc)
    }
}
