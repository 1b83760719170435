//! Answers in words.

use core::fmt::Write as _;

use super::spec::Spec;
use super::work::Work;
use super::{Candidate, CoreRelo, Fixup, Memory, Resize, Resolver};
use crate::types::{Record, Type};
use crate::{Btf, TypeId};

/// What of a candidate does not fit. Steps count the parts of the path that have a meaning,
/// from 0 on, which is the pointer that it starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mismatch {
    /// The types are not of the same kind, or differ in a way that counts.
    Types {
        /// In the object.
        local: TypeId,
        /// In the target.
        target: TypeId,
    },
    /// The target's type lacks a member or constant of the local one.
    Element {
        /// The struct, union or enumeration in the object.
        local: TypeId,
        /// The one in the target.
        target: TypeId,
        /// Which member or constant of the local one.
        index: u32,
    },
    /// A member of that name is there and has another kind of type.
    Field {
        /// The step.
        step: usize,
        /// The member's type in the object.
        local: TypeId,
        /// The member's type in the target.
        target: TypeId,
    },
    /// There should be a member, and this is no struct or union.
    NotComposite {
        /// The step.
        step: usize,
        /// What is there.
        target: TypeId,
    },
    /// No member has the name.
    NoMember {
        /// The step.
        step: usize,
        /// The struct or union looked through.
        target: TypeId,
    },
    /// There should be an element, and this is no array.
    NotArray {
        /// The step.
        step: usize,
        /// What is there.
        target: TypeId,
    },
    /// The array has fewer elements.
    PastEnd {
        /// The step.
        step: usize,
        /// The array.
        target: TypeId,
        /// The element asked for.
        index: u32,
    },
    /// There should be a constant, and this is no enumeration.
    NotEnum {
        /// What is there.
        target: TypeId,
    },
    /// No constant has the name.
    NoConstant {
        /// The enumeration.
        target: TypeId,
    },
}

/// Types that a type is spelled through.
const DEPTH: u32 = 16;

/// The type as C spells it, near enough: `struct task_struct *`, `char[16]`.
pub fn spell(btf: &Btf<'_>, id: TypeId) -> String {
    spell_in(btf, id, DEPTH)
}

fn spell_in(btf: &Btf<'_>, id: TypeId, depth: u32) -> String {
    let Some(depth) = depth.checked_sub(1) else {
        return "…".into();
    };
    let Ok(ty) = btf.type_by_id(id) else {
        return format!("(no type {id})");
    };
    let name = || match ty.record().map(Record::name) {
        Some(name) if !name.is_empty() => name.to_text().into_owned(),
        _ => "(anon)".into(),
    };
    let inner = |id| spell_in(btf, id, depth);
    match ty {
        Type::Void => "void".into(),
        Type::Struct(_) => format!("struct {}", name()),
        Type::Union(_) => format!("union {}", name()),
        Type::Fwd(t) if t.is_union() => format!("union {}", name()),
        Type::Fwd(_) => format!("struct {}", name()),
        Type::Enum(_) | Type::Enum64(_) => format!("enum {}", name()),
        Type::Ptr(t) => {
            let to = inner(t.type_id());
            let space = if to.ends_with('*') { "" } else { " " };
            format!("{to}{space}*")
        }
        Type::Const(t) => format!("const {}", inner(t.type_id())),
        Type::Volatile(t) => format!("volatile {}", inner(t.type_id())),
        Type::Restrict(t) => format!("restrict {}", inner(t.type_id())),
        Type::TypeTag(t) => inner(t.type_id()),
        Type::Array(t) => {
            // dimensions read from the left
            let elem = inner(t.elem_type());
            match elem.find('[') {
                Some(at) if elem.ends_with(']') => {
                    let (head, tail) = elem.split_at(at);
                    format!("{head}[{}]{tail}", t.len())
                }
                _ => format!("{elem}[{}]", t.len()),
            }
        }
        Type::FuncProto(_) => "function".into(),
        _ => name(),
    }
}

impl Resolver<'_> {
    /// The relocation as libbpf's messages write it:
    /// `<byte_off> [7] struct task_struct.pid (0:12 @ offset 1256)`.
    #[doc(alias = "bpf_core_format_spec")]
    pub fn describe(&self, relo: &CoreRelo) -> String {
        let btf = self.local;
        let mut out = format!(
            "<{}> [{}] {}",
            relo.kind,
            relo.type_id,
            spell(btf, relo.type_id)
        );
        let Ok(spec) = Spec::parse(btf, relo, &mut Work::new()) else {
            return out;
        };
        if relo.kind.is_enumval() {
            let mut put = |name: &str, value: i128| {
                out += &format!("::{name} = {value}");
            };
            let index = spec.raw.first().map_or(usize::MAX, |raw| *raw as usize);
            match spec.accessors.first().map(|a| btf.type_by_id(a.type_id)) {
                Some(Ok(Type::Enum(t))) => {
                    if let Some(e) = t.enumerators().nth(index) {
                        put(&e.name.to_text(), e.value);
                    }
                }
                Some(Ok(Type::Enum64(t))) => {
                    if let Some(e) = t.enumerators().nth(index) {
                        put(&e.name.to_text(), e.value);
                    }
                }
                _ => {}
            }
        }
        if relo.kind.is_field() {
            out += &path(&spec);
            let raw: Vec<String> = spec.raw.iter().map(u32::to_string).collect();
            let (bytes, bits) = (spec.bit_offset / 8, spec.bit_offset % 8);
            let _ = write!(out, " ({} @ offset {bytes}", raw.join(":"));
            if bits != 0 {
                let _ = write!(out, ".{bits}");
            }
            out.push(')');
        }
        out
    }

    /// Why the instruction cannot run, or why the answer is 0; `None` when the target has what
    /// was asked for. A line for each type that was looked at.
    pub fn explain(&self, relo: &CoreRelo, fixup: &Fixup) -> Option<String> {
        if let Some(Memory {
            local,
            target,
            resize: Resize::Unsafe,
        }) = &fixup.memory
        {
            let there = fixup.candidate.map_or(self.main, |c| self.btf_of(c));
            let field = |btf: &Btf<'_>, field: &super::Field| {
                format!(
                    "'{}' ({} {} bytes)",
                    spell(btf, field.type_id),
                    if field.signed { "signed," } else { "unsigned," },
                    field.size
                )
            };
            return Some(format!(
                "the program loads or stores a {}, the target has a {}: \
                 only pointers and unsigned integers may differ in size",
                field(self.local, local),
                field(there, target)
            ));
        }
        if fixup.candidate.is_some() && fixup.poison {
            return Some("the field has more than 64 bits, no shift gives them".into());
        }
        if fixup.candidate.is_some() || relo.kind == crate::ext::RelocKind::TypeIdLocal {
            return None;
        }
        let spec = Spec::parse(self.local, relo, &mut Work::new()).ok()?;
        if fixup.rejected.is_empty() {
            return Some(format!(
                "the target has no {}",
                spell(self.local, relo.type_id)
            ));
        }
        let mut out = String::new();
        for (candidate, mismatch) in &fixup.rejected {
            if !out.is_empty() {
                out.push('\n');
            }
            let btf = self.btf_of(*candidate);
            let _ = write!(
                out,
                "{} [{}] of {}: ",
                spell(btf, candidate.id),
                candidate.id,
                crate::escape(self.name_of(*candidate).as_bytes())
            );
            self.mismatch(&mut out, &spec, btf, *mismatch);
        }
        let more = fixup.candidates.saturating_sub(fixup.rejected.len());
        if more > 0 {
            let _ = write!(out, "\nand {more} more");
        }
        Some(out)
    }

    fn mismatch(&self, out: &mut String, spec: &Spec<'_>, btf: &Btf<'_>, mismatch: Mismatch) {
        let there = |id| spell(btf, id);
        let here = |id| spell(self.local, id);
        let step_name = |step: usize| {
            spec.accessors
                .get(step)
                .and_then(|a| a.name)
                .map_or_else(String::new, |name| name.to_text().into_owned())
        };
        let text = match mismatch {
            Mismatch::Types { local, target } => {
                format!("'{}' is no '{}'", there(target), here(local))
            }
            Mismatch::Element {
                local,
                target,
                index,
            } => format!(
                "'{}' has no '{}' that matches that of '{}'",
                there(target),
                element_name(self.local, local, index),
                here(local)
            ),
            Mismatch::Field {
                step,
                local,
                target,
            } => format!(
                "member '{}' is a '{}', not a '{}'",
                step_name(step),
                there(target),
                here(local)
            ),
            Mismatch::NotComposite { step, target } => format!(
                "'{}' is no struct or union, it has no member '{}'",
                there(target),
                step_name(step)
            ),
            Mismatch::NoMember { step, target } => {
                format!("'{}' has no member '{}'", there(target), step_name(step))
            }
            Mismatch::NotArray { target, .. } => format!("'{}' is no array", there(target)),
            Mismatch::PastEnd { target, index, .. } => {
                format!("'{}' has no element {index}", there(target))
            }
            Mismatch::NotEnum { target } => format!("'{}' is no enumeration", there(target)),
            Mismatch::NoConstant { target } => {
                format!("'{}' has no constant '{}'", there(target), step_name(0))
            }
        };
        out.push_str(&text);
    }

    fn btf_of(&self, candidate: Candidate) -> &Btf<'_> {
        self.place(candidate).map_or(self.main, |module| module.btf)
    }

    fn name_of(&self, candidate: Candidate) -> &str {
        self.place(candidate)
            .map_or("the target", |module| module.name)
    }
}

/// `.a[3].b`.
fn path(spec: &Spec<'_>) -> String {
    let mut out = String::new();
    for (step, accessor) in spec.accessors.iter().enumerate() {
        match accessor.name {
            Some(name) => {
                let _ = write!(out, ".{}", name.to_text());
            }
            None if step > 0 || accessor.index > 0 => {
                let _ = write!(out, "[{}]", accessor.index);
            }
            None => {}
        }
    }
    out
}

fn element_name(btf: &Btf<'_>, id: TypeId, index: u32) -> String {
    let at = index as usize;
    let name = match btf.type_by_id(id) {
        Ok(Type::Struct(t) | Type::Union(t)) => t.members().nth(at).map(|m| m.name),
        Ok(Type::Enum(t)) => t.enumerators().nth(at).map(|e| e.name),
        Ok(Type::Enum64(t)) => t.enumerators().nth(at).map(|e| e.name),
        _ => None,
    };
    name.map_or_else(String::new, |name| name.to_text().into_owned())
}
