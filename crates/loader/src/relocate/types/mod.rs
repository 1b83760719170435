//! The object's types as the kernel takes them. No type gets another id: programs, maps and
//! records of instructions refer to them by it.

mod arg_ctx;
mod sanitize;

use super::error::PlanError;
use super::{BtfPlan, Downgrades, lacks};
use crate::model::{FuncInfo, Object};
use crate::target::{Feature, Target};
use bpfsys::ProgType;
use btf::build::Builder;
use btf::{Btf, BtfError, TypeId};

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

/// Makes the types for the kernel; none where there are none, or the kernel takes none.
pub(super) fn plan(
    object: &Object,
    target: &dyn Target,
    seen: &Seen,
    programs: &mut [Program<'_>],
    required: bool,
    downgrades: &mut Downgrades,
) -> Result<Option<BtfPlan>, PlanError> {
    let Some(btf) = object.btf.as_deref() else {
        return Ok(None);
    };
    if !seen.implies_btf(target) && lacks(target, Feature::Btf) {
        downgrades.add(Feature::Btf, "types are not loaded".to_owned());
        return Ok(None);
    }
    let mut edit = Edit::new(btf);
    arg_ctx::change(btf, seen, target, programs, &mut edit, downgrades)
        .and_then(|()| sanitize::change(btf, seen, target, &mut edit, downgrades))
        .map_err(PlanError::Types)?;
    let data = edit.finish().map_err(PlanError::Types)?;
    Ok(Some(BtfPlan { data, required }))
}

/// Kinds of types that not every kernel takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Kinds {
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
}

/// Which of those kinds there are, and where.
#[derive(Debug, Default)]
pub(super) struct Seen {
    kinds: Kinds,
    /// Tags that say that a parameter is the context.
    ctx_tags: Vec<TypeId>,
}

/// The tag of parameters that are the context.
const CTX_TAG: &[u8] = b"arg:ctx";

impl Seen {
    pub(super) fn of(btf: &Btf<'_>) -> Self {
        use btf::Type;
        let mut seen = Self::default();
        let kinds = &mut seen.kinds;
        kinds.layout = btf.has_layout();
        for (id, ty) in btf.types() {
            match ty {
                Type::Func(t) => {
                    kinds.funcs = true;
                    kinds.global_funcs |= t.linkage() != STATIC;
                }
                Type::FuncProto(_) => kinds.funcs = true,
                Type::Var(_) => kinds.datasecs = true,
                Type::Datasec(t) => {
                    kinds.datasecs = true;
                    kinds.qmark |= t.name().or_empty().first() == Some(&b'?');
                }
                Type::Float(_) => kinds.floats = true,
                Type::DeclTag(t) => {
                    kinds.decl_tags = true;
                    if t.name().is(CTX_TAG) {
                        seen.ctx_tags.push(id);
                    }
                }
                Type::TypeTag(_) => kinds.type_tags = true,
                Type::Enum(t) => kinds.enums |= t.is_signed(),
                Type::Enum64(_) => kinds.enums = true,
                _ => {}
            }
        }
        seen
    }

    /// Whether a feature that has to be asked for anyway is there, and with it types at all.
    fn implies_btf(&self, target: &dyn Target) -> bool {
        let yes = |seen, feature| seen && target.has(feature).is_yes();
        yes(self.kinds.global_funcs, Feature::BtfGlobalFunc)
            || yes(self.kinds.funcs, Feature::BtfFunc)
            || yes(self.kinds.datasecs, Feature::BtfDatasec)
    }

    /// Whether the kernel takes functions' types: so if it takes those of global ones.
    pub(super) fn lacks_funcs(&self, target: &dyn Target) -> bool {
        let global = self.kinds.global_funcs && target.has(Feature::BtfGlobalFunc).is_yes();
        !global && lacks(target, Feature::BtfFunc)
    }
}
