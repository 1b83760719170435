//! Definitions, each after the declarations that it needs.

use super::{Declarations, Stop, Writer, flag};
use crate::TypeId;
use crate::types::{Record, Type};

/// Types of Arm compilers that other compilers do not have.
const ALIASES: [(&str, &str); 4] = [
    ("unsigned char", "__Poly8_t"),
    ("unsigned short", "__Poly16_t"),
    ("unsigned long long", "__Poly64_t"),
    ("unsigned __int128", "__Poly128_t"),
];

impl<'a> Declarations<'a> {
    /// Writes the definition of a type; or, when `inside` another definition, only what is
    /// needed to name it there.
    pub(super) fn emit(
        &mut self,
        w: &mut Writer<'_>,
        id: TypeId,
        inside: TypeId,
        depth: u32,
    ) -> Result<(), Stop> {
        if self.has(id, flag::EMITTED) {
            return Ok(());
        }
        self.step_down(id, depth)?;
        let top = inside.is_void();
        let ty = self.btf.type_by_id(id)?;
        if self.has(id, flag::EMITTING) {
            return self.emit_early(w, id, inside, &ty);
        }
        match ty {
            Type::Int(t) => {
                self.alias(w, &t)?;
                self.set(id, flag::EMITTED);
            }
            Type::Enum(_) | Type::Enum64(_) => {
                if top {
                    self.enumeration(w, &ty, 0)?;
                    w.text(";\n\n");
                }
                self.set(id, flag::EMITTED);
            }
            Type::Ptr(t)
            | Type::Volatile(t)
            | Type::Const(t)
            | Type::Restrict(t)
            | Type::TypeTag(t) => self.emit(w, t.type_id(), inside, depth + 1)?,
            Type::Array(t) => self.emit(w, t.elem_type(), inside, depth + 1)?,
            Type::Fwd(_) => {
                self.reference(w, &ty)?;
                w.text(";\n\n");
                self.set(id, flag::EMITTED);
            }
            Type::Typedef(t) => {
                self.set(id, flag::EMITTING);
                self.emit(w, t.type_id(), id, depth + 1)?;
                // what it needs may have needed it first
                if !self.has(id, flag::DECLARED) {
                    self.typedef(w, &t)?;
                }
                self.clear(id, flag::EMITTING);
                self.set(id, flag::EMITTED);
            }
            Type::Struct(t) | Type::Union(t) => {
                let named = t.name().offset() != 0;
                self.set(id, flag::EMITTING);
                if top || !named {
                    let inside = if named { id } else { inside };
                    for member in t.members() {
                        self.emit(w, member.type_id, inside, depth + 1)?;
                    }
                } else if !self.has(id, flag::DECLARED) && id != inside {
                    self.reference(w, &ty)?;
                    w.text(";\n\n");
                    self.set(id, flag::DECLARED);
                }
                self.clear(id, flag::EMITTING);
                if top {
                    self.definition(w, &t, 0, depth)?;
                    w.text(";\n\n");
                    self.set(id, flag::EMITTED);
                }
            }
            Type::FuncProto(t) => {
                self.emit(w, t.return_type(), inside, depth + 1)?;
                for param in t.params() {
                    self.emit(w, param.type_id, inside, depth + 1)?;
                }
            }
            Type::Void
            | Type::Float(_)
            | Type::Func(_)
            | Type::Var(_)
            | Type::Datasec(_)
            | Type::DeclTag(_)
            | Type::Unknown(_) => {}
        }
        w.settle()
    }

    /// Something on the way to a definition refers to the type that is defined.
    fn emit_early(
        &mut self,
        w: &mut Writer<'_>,
        id: TypeId,
        inside: TypeId,
        ty: &Type<'a>,
    ) -> Result<(), Stop> {
        if self.has(id, flag::DECLARED) {
            return Ok(());
        }
        match ty {
            // in its own definition a struct has its name already, and one without a name
            // cannot be declared
            Type::Struct(t) | Type::Union(t) if id != inside && t.name().offset() != 0 => {
                self.reference(w, ty)?;
                w.text(";\n\n");
                self.set(id, flag::DECLARED);
            }
            Type::Typedef(t) => {
                self.typedef(w, t)?;
                self.set(id, flag::DECLARED);
            }
            _ => {}
        }
        Ok(())
    }

    /// `typedef … name;`, unless the compiler has it.
    fn typedef(&mut self, w: &mut Writer<'_>, t: &Record<'a>) -> Result<(), Stop> {
        let target = TypeId(t.size_or_type());
        if t.name().is(super::BUILT_IN) {
            return Ok(());
        }
        // old compilers say void
        if target.is_void() && t.name().is(b"__gnuc_va_list") {
            self.ident(t)?;
            w.text("typedef __builtin_va_list __gnuc_va_list;\n\n");
            return Ok(());
        }
        let name = self.ident(t)?;
        w.text("typedef ");
        self.declare(w, target, name, 0, 0)?;
        w.text(";\n\n");
        Ok(())
    }

    /// Defines an integer that other compilers do not have.
    fn alias(&mut self, w: &mut Writer<'_>, t: &Record<'a>) -> Result<(), Stop> {
        // integers take part in the counting of names
        let name = self.tag(t)?;
        if let Some((same, alias)) = ALIASES.iter().find(|(_, alias)| name.is(alias)) {
            for part in ["typedef ", same, " ", alias, ";\n\n"] {
                w.text(part);
            }
        }
        Ok(())
    }
}
