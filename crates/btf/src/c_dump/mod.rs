//! `btf dump … format c`: types as C declarations that a compiler accepts.
//!
//! A type comes after everything whose size it needs; what it only points to is declared
//! (`struct x;`) where that suffices. Padding, bit fields and `packed` are put so that sizes and
//! offsets are those of the BTF. Of several types with one name all but the first get `___2`,
//! `___3`, …
//!
//! [`write()`] makes a whole file (`vmlinux.h`), [`Declarations`] one type after the other.
//!
//! The text is bpftool 7.8's, apart from where that is wrong:
//!
//! - the type that comes first when sorted is not lost;
//! - enumerations of 2 bytes have their size;
//! - a struct with a name that is a member without one (kernels from 7.0 on have such) is spelled
//!   out: without `-fms-extensions` a compiler would leave it out;
//! - a `va_list` that is a member has the form it had where the BTF was made;
//! - unions whose size is no multiple of their alignment are packed;
//! - control characters in names become `\xNN`, and quotes in type tags are escaped;
//! - padding of more than 64 KiB is one array, not a line for every 8 bytes;
//! - kinds that this crate does not know are left out, as long as nothing refers to them;
//! - references that lead nowhere, types that contain themselves and the like are an error.
//!
//! Text and work are bounded by a multiple of the blob's size, far above what kernels need.

mod body;
mod decl;
mod emit;
mod file;
mod kfuncs;
mod layout;
mod names;
mod order;
mod sort;

pub use file::{Options, write};
pub use sort::sorted_ids;

use crate::types::Type;
use crate::{Btf, BtfError, TypeId};
use layout::Layouts;
use names::{Label, Names};

/// Types inside types; far above what compilers make.
const MAX_DEPTH: u32 = 256;
/// Steps that any BTF may take.
const STEPS_MIN: u64 = 64 << 10;
/// Steps for each word of the blob; kernels take a fifth of one.
const STEPS_PER_WORD: u64 = 8;
/// Bytes of text that any BTF may have.
const TEXT_MIN: u64 = 4 << 20;
/// Bytes of text for each word of the blob; kernels have two.
const TEXT_PER_WORD: u64 = 64;

/// A typedef that compilers know without being told.
const BUILT_IN: &[u8] = b"__builtin_va_list";

/// Why a dump ended early.
#[derive(Debug, thiserror::Error)]
pub enum DumpError<E> {
    /// The types are defective.
    #[error(transparent)]
    Btf(#[from] BtfError),
    /// The text could not be handed on.
    #[error("the text cannot be handed on")]
    Sink(#[source] E),
}

/// How [`Declarations::write_declarator`] spells a declaration.
#[derive(Clone, Copy, Debug, Default)]
pub struct Declarator<'n> {
    /// What is declared; empty for the type alone, as in a cast.
    pub name: &'n [u8],
    /// Tabs in front of the lines of an anonymous struct.
    pub indent: u32,
    /// Leaves out qualifiers and type tags.
    pub strip_modifiers: bool,
}

/// Declares types one by one, each once, with what they need in front of them.
///
/// After an error the types on the way to the defect may be missing from later texts.
pub struct Declarations<'a> {
    btf: &'a Btf<'a>,
    /// [`flag`]s by type id.
    states: Vec<u8>,
    /// Definitions to write, in this order.
    queue: Vec<TypeId>,
    /// Types of the declarations being written, outermost first.
    stack: Vec<TypeId>,
    names: Names<'a>,
    layouts: Layouts<'a>,
    /// Steps of work, and bytes of text, that are left.
    steps: u64,
    text: u64,
    /// The typedef [`BUILT_IN`], if it says what it stands for.
    built_in: Option<TypeId>,
    strip_modifiers: bool,
}

/// What is known of a type.
mod flag {
    /// What it needs is being looked for.
    pub(super) const ORDERING: u8 = 1;
    /// It is in its place among the definitions.
    pub(super) const ORDERED: u8 = 2;
    /// What it needs is being written.
    pub(super) const EMITTING: u8 = 4;
    /// It is written.
    pub(super) const EMITTED: u8 = 8;
    /// It is declared: enough for a pointer.
    pub(super) const DECLARED: u8 = 16;
    /// It has its name: later ones of the same name must differ.
    pub(super) const NAMED: u8 = 32;
    /// Some type refers to it.
    pub(super) const REFERENCED: u8 = 64;
    /// It is not the first of its name.
    pub(super) const NUMBERED: u8 = 128;
}

impl<'a> Declarations<'a> {
    /// Nothing declared so far.
    pub fn new(btf: &'a Btf<'_>) -> Self {
        let btf: &'a Btf<'a> = btf;
        let mut words = 0;
        let mut blob = Some(btf);
        while let Some(own) = blob {
            words += own.data().len() as u64 / 4;
            blob = own.base();
        }
        let mut states = vec![0; btf.len() as usize];
        if let Some(void) = states.first_mut() {
            *void = flag::ORDERED | flag::EMITTED;
        }
        let mut this = Self {
            btf,
            states,
            queue: Vec::new(),
            stack: Vec::new(),
            names: Names::default(),
            layouts: Layouts::new(btf),
            steps: STEPS_MIN + STEPS_PER_WORD * words,
            text: TEXT_MIN + TEXT_PER_WORD * words,
            built_in: None,
            strip_modifiers: false,
        };
        this.mark_referenced();
        this
    }

    /// Appends the definition of a type after those it needs, unless they were written before.
    /// Kinds that cannot be declared on their own (functions, variables) add nothing.
    ///
    /// # Errors
    /// References that lead nowhere, structs that contain themselves, types that have no C
    /// form or take too much work; `out` is then as before.
    #[doc(alias = "btf_dump__dump_type")]
    pub fn write_type(&mut self, out: &mut Vec<u8>, id: impl Into<TypeId>) -> Result<(), BtfError> {
        let id = id.into();
        self.buffered(out, id, |this, w| this.define(w, id))
    }

    /// Appends a declaration without the definitions it needs: `int (*name)(void)`. Anonymous
    /// structs and enumerations are spelled out.
    ///
    /// # Errors
    /// As [`write_type`](Self::write_type).
    #[doc(alias = "btf_dump__emit_type_decl")]
    pub fn write_declarator(
        &mut self,
        out: &mut Vec<u8>,
        id: impl Into<TypeId>,
        how: Declarator<'_>,
    ) -> Result<(), BtfError> {
        let id = id.into();
        self.strip_modifiers = how.strip_modifiers;
        let result = self.buffered(out, id, |this, w| {
            this.declare(w, id, Label::plain(how.name), how.indent, 0)
        });
        self.strip_modifiers = false;
        result
    }

    fn buffered(
        &mut self,
        out: &mut Vec<u8>,
        id: TypeId,
        write: impl FnOnce(&mut Self, &mut Writer<'_>) -> Result<(), Stop>,
    ) -> Result<(), BtfError> {
        let before = out.len();
        let mut w = Writer {
            out: core::mem::take(out),
            left: self.text.saturating_add(before as u64),
            root: id,
            full: None,
        };
        let result = write(self, &mut w);
        *out = w.out;
        match result {
            Err(Stop::Btf(error)) => {
                out.truncate(before);
                Err(error)
            }
            // without a sink nobody stops
            Ok(()) | Err(Stop::Sink) => {
                self.text = self.text.saturating_sub((out.len() - before) as u64);
                Ok(())
            }
        }
    }

    /// Writes a type and what it needs.
    fn define(&mut self, w: &mut Writer<'_>, id: TypeId) -> Result<(), Stop> {
        w.root = id;
        self.queue.clear();
        self.order(id, false, 0)?;
        let mut at = 0;
        while let Some(id) = self.queue.get(at).copied() {
            self.emit(w, id, TypeId::VOID, 0)?;
            w.settle()?;
            at += 1;
        }
        Ok(())
    }

    /// The same for types of all kinds: one of an unknown kind is left out.
    fn define_known(&mut self, w: &mut Writer<'_>, id: TypeId) -> Result<(), Stop> {
        match self.btf.type_by_id(id)? {
            Type::Unknown(_) => Ok(()),
            _ => self.define(w, id),
        }
    }

    /// Whether a definition of the type would write nothing, and would not have any effect on
    /// others: all it leads to is in its place. `false` when that is not easily seen.
    fn is_settled(&mut self, id: TypeId, depth: u32) -> bool {
        if self.has(id, flag::ORDERED) {
            return true;
        }
        if depth > 8 || self.step(id).is_err() {
            return false;
        }
        match self.btf.type_by_id(id) {
            Ok(
                Type::Ptr(t)
                | Type::Volatile(t)
                | Type::Const(t)
                | Type::Restrict(t)
                | Type::TypeTag(t),
            ) => self.is_settled(t.type_id(), depth + 1),
            Ok(Type::Array(t)) => self.is_settled(t.elem_type(), depth + 1),
            Ok(Type::FuncProto(t)) => {
                self.is_settled(t.return_type(), depth + 1)
                    && t.params()
                        .all(|param| self.is_settled(param.type_id, depth + 1))
            }
            _ => false,
        }
    }

    fn has(&self, id: TypeId, flag: u8) -> bool {
        self.states
            .get(id.0 as usize)
            .is_some_and(|state| state & flag != 0)
    }

    fn set(&mut self, id: TypeId, flag: u8) {
        if let Some(state) = self.states.get_mut(id.0 as usize) {
            *state |= flag;
        }
    }

    fn clear(&mut self, id: TypeId, flag: u8) {
        if let Some(state) = self.states.get_mut(id.0 as usize) {
            *state &= !flag;
        }
    }

    /// Counts one step of work on a type.
    #[inline]
    fn step(&mut self, id: TypeId) -> Result<(), BtfError> {
        match self.steps.checked_sub(1) {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => Err(BtfError::TooComplex { id }),
        }
    }

    /// The same, at a depth that must stay bounded.
    #[inline]
    fn step_down(&mut self, id: TypeId, depth: u32) -> Result<(), BtfError> {
        if depth > MAX_DEPTH {
            return Err(BtfError::TooDeep { id });
        }
        self.step(id)
    }

    /// An enumeration without a name is written on its own only if no type refers to it.
    fn mark_referenced(&mut self) {
        each_type(self.btf, &mut |id, ty| match ty {
            Type::Array(t) => {
                self.set(t.elem_type(), flag::REFERENCED);
                self.set(t.index_type(), flag::REFERENCED);
            }
            Type::Struct(t) | Type::Union(t) => {
                for member in t.members() {
                    self.set(member.type_id, flag::REFERENCED);
                }
            }
            Type::FuncProto(t) => {
                for param in t.params() {
                    self.set(param.type_id, flag::REFERENCED);
                }
            }
            Type::Datasec(t) => {
                for var in t.vars() {
                    self.set(var.type_id, flag::REFERENCED);
                }
            }
            Type::Typedef(t) => {
                self.set(t.type_id(), flag::REFERENCED);
                if !t.type_id().is_void() && t.name().is(BUILT_IN) {
                    self.built_in = Some(id);
                }
            }
            Type::Ptr(t)
            | Type::Volatile(t)
            | Type::Const(t)
            | Type::Restrict(t)
            | Type::TypeTag(t) => self.set(t.type_id(), flag::REFERENCED),
            Type::Func(t) => self.set(t.proto(), flag::REFERENCED),
            Type::Var(t) => self.set(t.type_id(), flag::REFERENCED),
            Type::DeclTag(t) => self.set(t.type_id(), flag::REFERENCED),
            Type::Void
            | Type::Int(_)
            | Type::Enum(_)
            | Type::Enum64(_)
            | Type::Fwd(_)
            | Type::Float(_)
            | Type::Unknown(_) => {}
        });
    }
}

/// All types in the order of their ids, those of the base first.
fn each_type<'a>(btf: &'a Btf<'a>, visit: &mut impl FnMut(TypeId, Type<'a>)) {
    let mut blobs = vec![btf];
    while let Some(base) = blobs.last().and_then(|btf| btf.base()) {
        blobs.push(base);
    }
    for btf in blobs.into_iter().rev() {
        for (id, ty) in btf.types() {
            visit(id, ty);
        }
    }
}

impl core::fmt::Debug for Declarations<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Declarations")
            .field("btf", self.btf)
            .finish_non_exhaustive()
    }
}

/// Why writing ends early.
enum Stop {
    Btf(BtfError),
    /// The sink has failed, and keeps its error.
    Sink,
}

impl From<BtfError> for Stop {
    fn from(error: BtfError) -> Self {
        Self::Btf(error)
    }
}

/// Takes a full buffer; `false` says that it cannot take more.
type Full<'w> = dyn FnMut(&[u8]) -> bool + 'w;

/// The text so far; what is full goes to a sink, if there is one.
struct Writer<'w> {
    out: Vec<u8>,
    /// Bytes that may be written, those in `out` included.
    left: u64,
    /// The type that it is all about.
    root: TypeId,
    full: Option<&'w mut Full<'w>>,
}

impl Writer<'_> {
    /// Bytes that are handed on at once.
    const LIMIT: usize = 64 << 10;

    #[inline]
    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// A new line, indented.
    #[inline]
    fn line(&mut self, level: u32) {
        // deeper levels look like the deepest
        const TABS: &str = "\n\t\t\t\t\t\t\t\t\t\t\t\t\t";
        let end = (level as usize + 1).min(TABS.len());
        self.text(TABS.get(..end).unwrap_or(TABS));
    }

    #[inline]
    fn settle(&mut self) -> Result<(), Stop> {
        if self.out.len() < Self::LIMIT {
            Ok(())
        } else {
            self.hand_on()
        }
    }

    #[cold]
    fn hand_on(&mut self) -> Result<(), Stop> {
        let Some(left) = self.left.checked_sub(self.out.len() as u64) else {
            return Err(BtfError::TooComplex { id: self.root }.into());
        };
        if let Some(full) = &mut self.full {
            if !full(&self.out) {
                return Err(Stop::Sink);
            }
            self.left = left;
            self.out.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
