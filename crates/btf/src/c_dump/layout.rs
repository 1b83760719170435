//! Alignment, and whether a compiler would lay a struct out as the BTF says.

use super::MAX_DEPTH;
use crate::types::{Composite, Type};
use crate::{Btf, BtfError, TypeId};

/// What is known of a struct or union.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    /// Bytes; 0 when a member has none.
    pub(super) align: u32,
    /// Whether members are off their alignment.
    pub(super) packed: bool,
}

/// The structs and unions seen so far.
pub(super) struct Layouts<'a> {
    btf: &'a Btf<'a>,
    pointer: u32,
    /// By id of any type: [`UNKNOWN`], [`OPEN`], or the alignment and [`PACKED`].
    known: Vec<u8>,
}

const UNKNOWN: u8 = 0xff;
const OPEN: u8 = 0xfe;
const PACKED: u8 = 0x80;

impl<'a> Layouts<'a> {
    pub(super) fn new(btf: &'a Btf<'a>) -> Self {
        Self {
            btf,
            pointer: u32::from(btf.pointer_size()),
            known: vec![UNKNOWN; btf.len() as usize],
        }
    }

    /// Bytes of a pointer.
    pub(super) const fn pointer(&self) -> u32 {
        self.pointer
    }

    /// Bytes of a value; 0 for what has no size.
    pub(super) fn size(&self, id: TypeId) -> u64 {
        match self.btf.type_by_id(id) {
            Ok(Type::Ptr(_)) => u64::from(self.pointer),
            Ok(Type::Int(t)) => u64::from(t.size()),
            Ok(Type::Struct(t) | Type::Union(t)) => u64::from(t.size()),
            _ => self.btf.size_of(id).unwrap_or_default(),
        }
    }

    /// Alignment in bytes; 0 for what has none.
    pub(super) fn align(&mut self, id: TypeId, depth: u32) -> Result<u32, BtfError> {
        match self.known.get(id.0 as usize) {
            None | Some(&UNKNOWN | &OPEN) => {}
            Some(known) => return Ok(u32::from(known & !PACKED)),
        }
        let (inner, ty) = self.element(id)?;
        let align = match ty {
            Type::Int(t) => t.size().min(self.pointer),
            Type::Enum(t) => t.size().min(self.pointer),
            Type::Enum64(t) => t.size().min(self.pointer),
            Type::Float(t) => t.size().min(self.pointer),
            Type::Ptr(_) => self.pointer,
            Type::Struct(t) | Type::Union(t) => {
                let align = self.of(inner, &t, depth)?.align;
                if inner == id {
                    return Ok(align);
                }
                align
            }
            _ => 0,
        };
        self.note(id, u8::try_from(align).unwrap_or_default());
        Ok(align)
    }

    /// What is behind typedefs, qualifiers and arrays.
    fn element(&self, mut id: TypeId) -> Result<(TypeId, Type<'a>), BtfError> {
        for _ in 0..=MAX_DEPTH {
            match self.btf.resolve(id)? {
                (_, Type::Array(array)) => id = array.elem_type(),
                other => return Ok(other),
            }
        }
        Err(BtfError::TooDeep { id })
    }

    /// Layout of a struct or union.
    pub(super) fn of(
        &mut self,
        id: TypeId,
        t: &Composite<'a>,
        depth: u32,
    ) -> Result<Layout, BtfError> {
        match self.known.get(id.0 as usize).copied().unwrap_or(UNKNOWN) {
            UNKNOWN => {}
            OPEN => return Err(BtfError::Cycle { id }),
            known => {
                return Ok(Layout {
                    align: u32::from(known & !PACKED),
                    packed: known & PACKED != 0,
                });
            }
        }
        if depth > MAX_DEPTH {
            return Err(BtfError::TooDeep { id });
        }
        self.note(id, OPEN);
        let (mut max, mut packed, mut none) = (1, false, false);
        for member in t.members() {
            let align = self.align(member.type_id, depth + 1)?;
            none |= align == 0;
            max = max.max(align);
            packed |= member.bitfield_size == 0
                && align != 0
                && u64::from(member.bit_offset) % (8 * u64::from(align)) != 0;
        }
        packed |= !t.size().is_multiple_of(max);
        let align = match (none, packed) {
            (true, _) => 0,
            (_, true) => 1,
            _ => max,
        };
        // no more than a pointer
        let byte = u8::try_from(align).unwrap_or_default();
        self.note(id, byte | if packed { PACKED } else { 0 });
        Ok(Layout { align, packed })
    }

    fn note(&mut self, id: TypeId, what: u8) {
        if let Some(known) = self.known.get_mut(id.0 as usize) {
            *known = what;
        }
    }
}
