//! Bodies of structs, unions and enumerations.

use super::names::Label;
use super::{Declarations, MAX_DEPTH, Stop, Writer};
use crate::TypeId;
use crate::types::{Composite, Enumerator, Member, Type};

/// Padding of more bits than this is an array.
const PADS_MAX: u64 = 8 * (64 << 10);

impl<'a> Declarations<'a> {
    /// `struct name { … }`
    pub(super) fn definition(
        &mut self,
        w: &mut Writer<'_>,
        t: &Composite<'a>,
        level: u32,
        depth: u32,
    ) -> Result<(), Stop> {
        w.text(if t.is_union() { "union" } else { "struct" });
        if t.name().offset() != 0 {
            let name = self.tag(t)?;
            w.text(" ");
            w.label(name);
        }
        self.body(w, t, level, depth)
    }

    /// `{ … }` with all that makes the size and offsets right.
    fn body(
        &mut self,
        w: &mut Writer<'_>,
        t: &Composite<'a>,
        level: u32,
        depth: u32,
    ) -> Result<(), Stop> {
        let layout = self.layouts.of(t.id(), t, depth)?;
        let packed = layout.packed;
        w.text(" {");
        let (mut end, mut after_bitfield) = (0, false);
        for member in t.members() {
            let at = u64::from(member.bit_offset);
            let is_bitfield = member.bitfield_size != 0;
            let align = match packed {
                true => 1,
                false => self.layouts.align(member.type_id, depth)?,
            };
            let gap = Gap {
                from: end,
                to: at,
                align,
                in_bitfields: after_bitfield && is_bitfield,
            };
            self.pad(w, t.id(), gap, level + 1)?;
            w.line(level + 1);
            let name = Label::of(member.name)?;
            match self.embedded(&member)? {
                Some(t) => {
                    self.step_down(member.type_id, depth)?;
                    w.text(if t.is_union() { "union" } else { "struct" });
                    self.body(w, &t, level + 1, depth + 1)?;
                }
                None => {
                    let ty = self.own_form(member.type_id)?;
                    self.declare(w, ty, name, level + 1, depth + 1)?;
                }
            }
            if is_bitfield {
                w.text(": ");
                w.number(member.bitfield_size);
                end = at + u64::from(member.bitfield_size);
            } else {
                end = self
                    .layouts
                    .size(member.type_id)
                    .saturating_mul(8)
                    .saturating_add(at);
            }
            after_bitfield = is_bitfield;
            w.text(";");
            w.settle()?;
        }
        if !t.is_union() {
            let gap = Gap {
                from: end,
                to: u64::from(t.size()) * 8,
                align: layout.align,
                in_bitfields: false,
            };
            self.pad(w, t.id(), gap, level + 1)?;
        }
        if t.vlen() != 0 || t.size() != 0 {
            w.line(level);
        }
        w.text("}");
        if packed {
            w.text(" __attribute__((packed))");
        }
        Ok(())
    }

    /// A struct that has a name as a member that has none. Only compilers with extensions of
    /// Microsoft's know that, which newer kernels use; a body without name is the same to all.
    fn embedded(&self, member: &Member<'a>) -> Result<Option<Composite<'a>>, Stop> {
        if !member.name.is_empty() {
            return Ok(None);
        }
        let ty = match self.btf.strip_modifiers(member.type_id)? {
            (id, Type::Typedef(_)) => self.btf.resolve(id)?.1,
            (_, Type::Struct(t) | Type::Union(t)) if t.name().offset() == 0 => return Ok(None),
            (_, ty) => ty,
        };
        Ok(match ty {
            Type::Struct(t) | Type::Union(t) => Some(t),
            _ => None,
        })
    }

    /// The type itself, but for a `va_list` what it was where the BTF was made: each target has
    /// another one built in.
    fn own_form(&self, id: TypeId) -> Result<TypeId, Stop> {
        let mut at = id;
        for _ in 0..self.built_in.map_or(0, |_| MAX_DEPTH) {
            match self.btf.type_by_id(at)? {
                Type::Typedef(t) if Some(at) == self.built_in => return Ok(t.type_id()),
                Type::Typedef(t) => at = t.type_id(),
                _ => break,
            }
        }
        Ok(id)
    }

    /// Fills a gap with unnamed bit fields, unless the compiler leaves it by itself.
    fn pad(&mut self, w: &mut Writer<'_>, id: TypeId, gap: Gap, level: u32) -> Result<(), Stop> {
        let Gap { from, to, .. } = gap;
        if from >= to {
            return Ok(());
        }
        if to - from > PADS_MAX {
            return self.pad_much(w, id, gap, level);
        }
        let units = [
            ("long", u64::from(self.layouts.pointer()) * 8),
            ("int", 32),
            ("short", 16),
            ("char", 8),
        ];
        // the largest unit that has a boundary in the gap
        let mut at = from;
        let [.., mut unit] = units;
        for candidate in units {
            unit = candidate;
            if from.next_multiple_of(unit.1) <= to {
                break;
            }
        }
        let (name, bits) = unit;
        let boundary = from.next_multiple_of(bits);
        if boundary > from && boundary <= to {
            // A mark is needed where the compiler would not go to the boundary by itself: next
            // to other bit fields, in front of a member of less alignment, or of padding that
            // would fit into the hole.
            let natural = from.next_multiple_of(u64::from(gap.align.max(1)) * 8);
            let fits = boundary != to && to - boundary <= boundary - from;
            if gap.in_bitfields || (boundary == to && natural != boundary) || fits {
                let width = if gap.in_bitfields { boundary - from } else { 0 };
                w.pad(name, width, level);
            }
            at = boundary;
        }
        while at < to {
            self.step(id)?;
            let left = to - at;
            if left >= bits {
                w.pad(name, bits, level);
                at += bits;
                continue;
            }
            let smallest = units.iter().rev().find(|unit| unit.1 >= left);
            w.pad(smallest.map_or("long", |unit| unit.0), left, level);
            at = to;
        }
        w.settle()
    }

    /// A gap that would take thousands of bit fields.
    fn pad_much(
        &mut self,
        w: &mut Writer<'_>,
        id: TypeId,
        gap: Gap,
        level: u32,
    ) -> Result<(), Stop> {
        self.step(id)?;
        let byte = gap.from.next_multiple_of(8);
        if byte != gap.from {
            w.pad("char", byte - gap.from, level);
        }
        w.line(level);
        w.text("char __padding_");
        w.count(byte / 8);
        w.text("[");
        w.count((gap.to - byte) / 8);
        w.text("];");
        let rest = gap.to % 8;
        if rest != 0 {
            w.pad("char", rest, level);
        }
        Ok(())
    }

    /// `enum name { … }`
    pub(super) fn enumeration(
        &mut self,
        w: &mut Writer<'_>,
        ty: &Type<'a>,
        level: u32,
    ) -> Result<(), Stop> {
        let Some(record) = ty.record() else {
            return Ok(());
        };
        if record.vlen() == 0 && record.name().offset() != 0 {
            return self.reference(w, ty);
        }
        w.text("enum");
        if record.name().offset() != 0 {
            let name = self.tag(record)?;
            w.text(" ");
            w.label(name);
        }
        if record.vlen() == 0 {
            return Ok(());
        }
        w.text(" {");
        let mut wide = false;
        match ty {
            Type::Enum(t) => {
                for e in t.enumerators() {
                    self.constant(w, &e, "", level)?;
                }
            }
            Type::Enum64(t) => {
                let suffix = if t.is_signed() { "LL" } else { "ULL" };
                for e in t.enumerators() {
                    wide |= e.raw >> 32 != 0;
                    self.constant(w, &e, suffix, level)?;
                }
            }
            _ => {}
        }
        w.line(level);
        w.text("}");
        match record.size_or_type() {
            1 => w.text(" __attribute__((mode(byte)))"),
            2 => w.text(" __attribute__((mode(HI)))"),
            8 if self.layouts.pointer() == 8 && !wide => w.text(" __attribute__((mode(word)))"),
            _ => {}
        }
        Ok(())
    }

    fn constant(
        &mut self,
        w: &mut Writer<'_>,
        e: &Enumerator<'a>,
        suffix: &str,
        level: u32,
    ) -> Result<(), Stop> {
        let name = self.enumerator(e.name)?;
        w.line(level + 1);
        w.label(name);
        w.text(" = ");
        if e.value < 0 {
            w.text("-");
        }
        // an enumerator has at most 64 bits
        w.count(u64::try_from(e.value.unsigned_abs()).unwrap_or(u64::MAX));
        w.text(suffix);
        w.text(",");
        w.settle()
    }
}

/// Bits between two members, or behind the last.
#[derive(Clone, Copy)]
struct Gap {
    from: u64,
    to: u64,
    /// Alignment in bytes of what comes next.
    align: u32,
    /// Whether there are bit fields on both sides.
    in_bitfields: bool,
}

impl Writer<'_> {
    fn pad(&mut self, unit: &str, bits: u64, level: u32) {
        self.line(level);
        self.text(unit);
        self.text(": ");
        self.count(bits);
        self.text(";");
    }

    fn count(&mut self, value: u64) {
        match u32::try_from(value) {
            Ok(value) => self.number(value),
            Err(_) => self.text(itoa::Buffer::new().format(value)),
        }
    }
}
