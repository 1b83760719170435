//! Declarators: a chain of types around a name, inside out.

use super::names::Label;
use super::{Declarations, Stop, Writer};
use crate::types::{FuncProto, Type};
use crate::{BtfError, TypeId};

impl<'a> Declarations<'a> {
    /// Writes `name` with its type; an anonymous struct or enumeration is spelled out, indented
    /// by `level`.
    pub(super) fn declare(
        &mut self,
        w: &mut Writer<'_>,
        id: TypeId,
        name: Label<'_>,
        level: u32,
        depth: u32,
    ) -> Result<(), Stop> {
        self.step_down(id, depth)?;
        // BTF goes from the name to what a value of it consists of; the text starts there
        let frame = self.stack.len();
        let mut id = id;
        loop {
            let ty = self.btf.type_by_id(id)?;
            if !(self.strip_modifiers && ty.kind().is_modifier()) {
                self.stack.push(id);
            }
            id = match ty {
                Type::Ptr(t)
                | Type::Volatile(t)
                | Type::Const(t)
                | Type::Restrict(t)
                | Type::TypeTag(t) => t.type_id(),
                Type::Array(t) => t.elem_type(),
                Type::FuncProto(t) => t.return_type(),
                _ => break,
            };
            self.step(id)?;
        }
        let result = self.chain(w, frame, name, level, depth);
        self.stack.truncate(frame);
        result
    }

    /// Writes the types on the stack from `frame` on, last first, around `name`.
    fn chain(
        &mut self,
        w: &mut Writer<'_>,
        frame: usize,
        name: Label<'_>,
        level: u32,
        depth: u32,
    ) -> Result<(), Stop> {
        // A pointer to a function or array is inside parentheses, with no space in front.
        let mut after_ptr = true;
        while let Some(id) = self.pop(frame) {
            let ty = self.btf.type_by_id(id)?;
            let is_ptr = matches!(ty, Type::Ptr(_));
            match ty {
                Type::Ptr(_) => w.text(if after_ptr { "*" } else { " *" }),
                Type::Volatile(_) => w.text(" volatile"),
                Type::Const(_) => w.text(" const"),
                Type::Restrict(_) => w.text(" restrict"),
                Type::TypeTag(t) => {
                    self.qualifiers(w, frame)?;
                    let name = t.name().bytes()?;
                    if t.kind_flag() {
                        w.text(" __attribute__((");
                        w.label(Label::plain(name));
                        w.text("))");
                    } else {
                        w.text(" __attribute__((btf_type_tag(\"");
                        w.literal(name);
                        w.text("\")))");
                    }
                }
                Type::Array(t) => {
                    // compilers add the qualifiers of the elements to the array
                    self.drop_modifiers(frame)?;
                    match self.peek(frame).map(|id| self.btf.type_by_id(id)) {
                        None => w.name(name, after_ptr),
                        Some(inner) => {
                            let several = matches!(inner?, Type::Array(_));
                            if !name.is_empty() && !after_ptr {
                                w.text(" ");
                            }
                            if !several {
                                w.text("(");
                            }
                            self.inner(w, frame, name, level, depth)?;
                            if !several {
                                w.text(")");
                            }
                        }
                    }
                    w.text("[");
                    w.number(t.len());
                    w.text("]");
                    return Ok(());
                }
                Type::FuncProto(t) => {
                    // compilers say "volatile" for functions that do not return
                    self.drop_modifiers(frame)?;
                    if self.peek(frame).is_some() {
                        w.text(" (");
                        self.inner(w, frame, name, level, depth)?;
                        w.text(")");
                    } else {
                        w.name(name, after_ptr);
                    }
                    return self.params(w, &t, level, depth);
                }
                _ => {
                    self.qualifiers(w, frame)?;
                    self.terminal(w, id, &ty, level, depth)?;
                }
            }
            after_ptr = is_ptr;
        }
        w.name(name, after_ptr);
        Ok(())
    }

    /// The rest of the chain, inside parentheses or in front of a further dimension.
    fn inner(
        &mut self,
        w: &mut Writer<'_>,
        frame: usize,
        name: Label<'_>,
        level: u32,
        depth: u32,
    ) -> Result<(), Stop> {
        let id = self.peek(frame).unwrap_or_default();
        self.step_down(id, depth + 1)?;
        self.chain(w, frame, name, level, depth + 1)
    }

    /// The type that a chain ends with.
    fn terminal(
        &mut self,
        w: &mut Writer<'_>,
        id: TypeId,
        ty: &Type<'a>,
        level: u32,
        depth: u32,
    ) -> Result<(), Stop> {
        match ty {
            Type::Void => w.text("void"),
            Type::Int(t) => w.label(Label::of(t.name())?),
            Type::Float(t) => w.label(Label::of(t.name())?),
            Type::Struct(t) | Type::Union(t) if t.name().offset() == 0 => {
                self.definition(w, t, level, depth)?;
            }
            Type::Enum(_) | Type::Enum64(_)
                if ty.record().is_some_and(|r| r.name().offset() == 0) =>
            {
                self.enumeration(w, ty, level)?;
            }
            Type::Struct(_) | Type::Union(_) | Type::Enum(_) | Type::Enum64(_) | Type::Fwd(_) => {
                self.reference(w, ty)?;
            }
            Type::Typedef(t) => {
                let name = self.ident(t)?;
                w.label(name);
            }
            other => {
                let kind = other.kind();
                return Err(BtfError::NoDeclaration { id, kind }.into());
            }
        }
        Ok(())
    }

    /// `struct name`, `enum name`
    pub(super) fn reference(&mut self, w: &mut Writer<'_>, ty: &Type<'a>) -> Result<(), Stop> {
        let Some(record) = ty.record() else {
            return Ok(());
        };
        let (keyword, name) = match ty {
            Type::Fwd(t) => {
                let keyword = if t.is_union() { "union" } else { "struct" };
                (keyword, Label::of(t.name())?)
            }
            Type::Union(_) => ("union", self.tag(record)?),
            Type::Struct(_) => ("struct", self.tag(record)?),
            // declared only, as far as is known here: it may be the first of several
            Type::Enum(t) if t.vlen() == 0 => ("enum", Label::of(t.name())?),
            _ => ("enum", self.tag(record)?),
        };
        w.text(keyword);
        w.text(" ");
        w.label(name);
        Ok(())
    }

    fn params(
        &mut self,
        w: &mut Writer<'_>,
        t: &FuncProto<'a>,
        level: u32,
        depth: u32,
    ) -> Result<(), Stop> {
        let mut params = t.params().peekable();
        w.text("(");
        // some compilers give a function without parameters one of type void
        if t.vlen() == 1 && params.peek().is_some_and(|p| p.type_id.is_void()) {
            params.next();
        }
        if params.peek().is_none() {
            w.text("void)");
            return Ok(());
        }
        while let Some(param) = params.next() {
            if params.peek().is_none() && param.type_id.is_void() {
                w.text("...");
                break;
            }
            self.declare(w, param.type_id, Label::of(param.name)?, level, depth + 1)?;
            if params.peek().is_some() {
                w.text(", ");
            }
            w.settle()?;
        }
        w.text(")");
        Ok(())
    }

    /// Qualifiers in front of a type that is not a pointer.
    fn qualifiers(&mut self, w: &mut Writer<'_>, frame: usize) -> Result<(), Stop> {
        while let Some(id) = self.peek(frame) {
            w.text(match self.btf.type_by_id(id)? {
                Type::Volatile(_) => "volatile ",
                Type::Const(_) => "const ",
                Type::Restrict(_) => "restrict ",
                _ => break,
            });
            self.stack.pop();
        }
        Ok(())
    }

    fn drop_modifiers(&mut self, frame: usize) -> Result<(), Stop> {
        while let Some(id) = self.peek(frame) {
            if !self.btf.kind_of(id)?.is_modifier() {
                break;
            }
            self.stack.pop();
        }
        Ok(())
    }

    fn peek(&self, frame: usize) -> Option<TypeId> {
        self.stack.get(frame..)?.last().copied()
    }

    fn pop(&mut self, frame: usize) -> Option<TypeId> {
        if self.stack.len() > frame {
            self.stack.pop()
        } else {
            None
        }
    }
}

impl Writer<'_> {
    #[inline]
    fn name(&mut self, name: Label<'_>, after_ptr: bool) {
        if !name.is_empty() {
            if !after_ptr {
                self.text(" ");
            }
            self.label(name);
        }
    }

    /// The inside of a string literal.
    fn literal(&mut self, text: &[u8]) {
        for part in text.split_inclusive(|b| matches!(b, b'"' | b'\\')) {
            match part.split_last() {
                Some((special @ (b'"' | b'\\'), front)) => {
                    self.label(Label::plain(front));
                    self.out.extend_from_slice(&[b'\\', *special]);
                }
                _ => self.label(Label::plain(part)),
            }
        }
    }
}
