//! Types of an object as Rust types that any bytes are a value of.
//!
//! - Truth values are bytes ([`Bool`](crate::skeleton::support::Bool)), enumerations are numbers
//!   with names, pointers are numbers.
//! - Structs have their padding spelled out. One whose members are not where their alignment would
//!   put them is packed.
//! - Unions, and structs whose members overlap, are bytes with a function for each member.
//! - Bit fields are functions; their bits are in the padding.
//! - What has no form of its own is an array of bytes.

use super::text::{Code, shown};
use crate::skeleton::names::{Language, Scope};
use btf::types::{Enumerator, Int, Member};
use btf::{Btf, Type, TypeId, encoding};
use std::collections::HashMap;
use std::fmt::Write as _;

/// Structs inside of structs, and arrays of arrays.
const MAX_DEPTH: u32 = 32;
/// Dimensions of an array that are shown as such.
const MAX_DIMENSIONS: u32 = 8;

/// The attributes of every type here.
const PLAIN: [&str; 2] = [
    "#[derive(sk::FromBytes, sk::Immutable, sk::IntoBytes, sk::KnownLayout)]",
    "#[zerocopy(crate = \"loader::skeleton::support::zerocopy\")]",
];

/// A type as it is written, and what it takes.
#[derive(Clone, Debug)]
pub(super) struct Mapped {
    pub(super) text: String,
    pub(super) size: u64,
    /// The most that it may be aligned to, on any machine.
    pub(super) align: u64,
}

impl Mapped {
    fn new(text: impl Into<String>, size: u64, align: u64) -> Self {
        Self {
            text: text.into(),
            size,
            align,
        }
    }

    fn bytes(size: u64) -> Self {
        Self::new(format!("[u8; {size}]"), size, 1)
    }
}

/// Something at a place in a struct.
#[derive(Clone, Debug)]
pub(super) struct Field {
    /// How it is called there.
    pub(super) ident: String,
    /// What it is called in the object.
    pub(super) name: String,
    pub(super) offset: u64,
    pub(super) of: Mapped,
}

/// Some bits of a struct.
struct Bits {
    name: String,
    offset: u64,
    width: u32,
    signed: bool,
    truth: bool,
}

/// The types that are written so far.
pub(super) struct Types<'b> {
    btf: Option<&'b Btf<'b>>,
    known: HashMap<TypeId, Mapped>,
    /// Names that typedefs give to what has none.
    typedefs: HashMap<TypeId, String>,
    scope: Scope,
    /// Definitions, for the module `types`.
    pub(super) code: Code,
}

impl<'b> Types<'b> {
    pub(super) fn new(btf: Option<&'b Btf<'_>>, level: usize) -> Self {
        let mut scope = Scope::new(Language::Rust);
        scope.reserve(&[
            "Self", "bool", "char", "f32", "f64", "i128", "i16", "i32", "i64", "i8", "isize", "sk",
            "str", "types", "u128", "u16", "u32", "u64", "u8", "usize",
        ]);
        let btf = btf.map(|btf| {
            let btf: &'b Btf<'b> = btf;
            btf
        });
        let mut typedefs = HashMap::new();
        for (_, ty) in btf.iter().flat_map(|btf| btf.types()) {
            if let (Type::Typedef(of), Some(btf)) = (ty, btf)
                && matches!(btf.type_by_id(of.type_id()), Ok(named) if named.name().is_empty())
            {
                let name = lossy(of.name().or_empty());
                typedefs.entry(of.type_id()).or_insert(name);
            }
        }
        Self {
            btf,
            known: HashMap::new(),
            typedefs,
            scope,
            code: Code::inside(level),
        }
    }

    /// The type `id`, which takes `size` bytes where it is used. `hint` is its name if it has
    /// none.
    pub(super) fn sized(&mut self, id: TypeId, size: u64, hint: &str) -> Mapped {
        match self.map(id, hint, 0) {
            Some(mapped) if mapped.size == size => mapped,
            _ => self.flexible(id, size, hint),
        }
    }

    /// The type `id`, if it has a size.
    pub(super) fn any(&mut self, id: TypeId, hint: &str) -> Option<Mapped> {
        self.map(id, hint, 0)
    }

    /// An array without a length has as many elements as there is room for.
    fn flexible(&mut self, id: TypeId, size: u64, hint: &str) -> Mapped {
        if let Some(btf) = self.btf
            && let Ok((_, Type::Array(array))) = btf.resolve(id)
            && array.is_empty()
            && let Some(element) = self.map(array.elem_type(), hint, 1)
            && element.size != 0
            && size.is_multiple_of(element.size)
        {
            let text = format!("[{}; {}]", element.text, size / element.size);
            return Mapped::new(text, size, element.align);
        }
        Mapped::bytes(size)
    }

    fn map(&mut self, id: TypeId, hint: &str, depth: u32) -> Option<Mapped> {
        let btf = self.btf?;
        let size = btf.size_of(id).ok()?;
        if depth > MAX_DEPTH {
            return Some(Mapped::bytes(size));
        }
        // A typedef gives a name to what has none.
        let mut named = hint.to_owned();
        let (id, ty) = btf.resolve(id).ok()?;
        if ty.name().is_empty()
            && let Some(name) = self.typedefs.get(&id)
        {
            named.clone_from(name);
        }
        if let Some(known) = self.known.get(&id) {
            return Some(known.clone());
        }
        let mapped = match ty {
            Type::Int(int) => integer(&int),
            Type::Ptr(_) => match size {
                4 => Mapped::new("u32", 4, 4),
                _ => Mapped::new("u64", 8, 8),
            },
            Type::Float(_) => match size {
                4 => Mapped::new("f32", 4, 4),
                8 => Mapped::new("f64", 8, 8),
                _ => Mapped::bytes(size),
            },
            Type::Enum(of) => {
                let name = own_name(&ty, &named);
                self.enumeration(&name, size, of.kind_flag(), of.enumerators())
            }
            Type::Enum64(of) => {
                let name = own_name(&ty, &named);
                self.enumeration(&name, size, of.is_signed(), of.enumerators())
            }
            Type::Array(array) => {
                return Some(self.array(
                    array.elem_type(),
                    u64::from(array.len()),
                    size,
                    &named,
                    depth,
                ));
            }
            Type::Struct(of) | Type::Union(of) => {
                // What contains itself finds bytes.
                self.known.insert(id, Mapped::bytes(size));
                let name = own_name(&ty, &named);
                let ident = self.scope.add(&name);
                let is_union = matches!(ty, Type::Union(_));
                let members: Vec<Member<'_>> = of.members().collect();
                let kind = if is_union { "union" } else { "struct" };
                let doc = if ty.name().is_empty() {
                    format!("A {kind} without a name.")
                } else {
                    shown(&format!("{kind} {name}"))
                };
                self.composite(&ident, &doc, size, &members, is_union, depth)
            }
            _ => return None,
        };
        self.known.insert(id, mapped.clone());
        Some(mapped)
    }

    fn array(&mut self, element: TypeId, len: u64, size: u64, hint: &str, depth: u32) -> Mapped {
        let dimensions = |text: &str| text.bytes().take_while(|byte| *byte == b'[').count();
        match self.map(element, hint, depth + 1) {
            Some(of) if dimensions(&of.text) < MAX_DIMENSIONS as usize => {
                Mapped::new(format!("[{}; {len}]", of.text), size, of.align)
            }
            _ => Mapped::bytes(size),
        }
    }

    fn enumeration<'e>(
        &mut self,
        name: &str,
        size: u64,
        signed: bool,
        constants: impl Iterator<Item = Enumerator<'e>>,
    ) -> Mapped {
        let number = match (size, signed) {
            (1, false) => "u8",
            (1, true) => "i8",
            (2, false) => "u16",
            (2, true) => "i16",
            (4, false) => "u32",
            (4, true) => "i32",
            (8, false) => "u64",
            (8, true) => "i64",
            _ => return Mapped::bytes(size),
        };
        let ident = self.scope.add(name);
        let code = &mut self.code;
        code.gap();
        code.doc(&format!("{}.", shown(&format!("enum {name}"))));
        code.line("#[derive(Clone, Copy, Debug, PartialEq, Eq)]");
        code.line("#[repr(transparent)]");
        PLAIN.iter().for_each(|line| code.line(line));
        code.line(&format!("pub struct {ident}(pub {number});"));
        let mut scope = Scope::new(Language::Rust);
        let mut any = false;
        for constant in constants {
            if !any {
                code.gap();
                code.open(&format!("impl {ident} {{"));
                any = true;
            }
            // The constant may be wider than the type.
            let bits = 8 * u32::try_from(size).unwrap_or(8);
            let value = narrowed(constant.value, bits, signed);
            let name = scope.add(&constant.name.to_text());
            let value = format!("Self({value});");
            code.pair(&format!("pub const {name}: Self ="), &value);
        }
        if any {
            code.close("}");
        }
        Mapped::new(format!("types::{ident}"), size, size)
    }

    fn composite(
        &mut self,
        ident: &str,
        doc: &str,
        size: u64,
        members: &[Member<'_>],
        is_union: bool,
        depth: u32,
    ) -> Mapped {
        let mut fields = Vec::new();
        let mut bits = Vec::new();
        let mut scope = Scope::new(Language::Rust);
        for (number, member) in members.iter().enumerate() {
            let raw = member.name.or_empty();
            let name = match raw {
                b"" => format!("anon{number}"),
                raw => lossy(raw),
            };
            if let Some((width, skip, int)) = self.bit_field(member) {
                if !raw.is_empty() {
                    bits.push(Bits {
                        name,
                        offset: u64::from(member.bit_offset) + u64::from(skip),
                        width,
                        signed: int.is_signed(),
                        truth: int.encoding() & encoding::BOOL != 0,
                    });
                }
                continue;
            }
            let hint = format!("{ident}_{name}");
            let Some(of) = self.map(member.type_id, &hint, depth + 1) else {
                continue;
            };
            fields.push(Field {
                ident: scope.add(&name),
                name,
                offset: u64::from(member.bit_offset / 8),
                of,
            });
        }
        let mut code = std::mem::take(&mut self.code);
        code.gap();
        code.doc(&format!("{}.", doc.trim_end_matches('.')));
        let place = Place {
            prefix: "types::",
            strip: "types::",
        };
        let mut methods = Scope::new(Language::Rust);
        let mapped = define(
            &mut code,
            ident,
            place,
            size,
            &fields,
            is_union,
            &mut methods,
        );
        functions(&mut code, ident, &bits, &mut methods);
        self.code = code;
        mapped
    }

    /// Width, unused bits in front, and integer of a bit field.
    fn bit_field(&self, member: &Member<'_>) -> Option<(u32, u32, Int<'b>)> {
        let (_, ty) = self.btf?.resolve(member.type_id).ok()?;
        let Type::Int(int) = ty else {
            return None;
        };
        if member.bitfield_size != 0 {
            return Some((member.bitfield_size, 0, int));
        }
        // The old style has the width in the type.
        let odd = int.bit_offset() != 0 || int.bits() != int.size().saturating_mul(8);
        let odd = odd && int.bits() != 0 && int.encoding() & encoding::BOOL == 0;
        odd.then(|| (int.bits(), int.bit_offset(), int))
    }
}

/// Where a struct is defined.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    /// What leads to the type from elsewhere.
    prefix: &'static str,
    /// What is not needed to get from there to other types.
    strip: &'static str,
}

/// Defines a struct, and says what it takes. Where `fields` lie one after the other they are
/// members; elsewhere they are functions.
pub(super) fn define(
    code: &mut Code,
    ident: &str,
    place: Place,
    size: u64,
    fields: &[Field],
    is_union: bool,
    methods: &mut Scope,
) -> Mapped {
    let Place { prefix, strip } = place;
    let here = |text: &str| match strip {
        "" => text.to_owned(),
        strip => text.replace(strip, ""),
    };
    let mut end = 0;
    let apart = fields.iter().all(|field| {
        let next = field.offset.checked_add(field.of.size);
        let apart = field.offset >= end && next.is_some_and(|next| next <= size);
        end = next.unwrap_or(u64::MAX);
        apart
    });
    let as_members = apart && !is_union;
    let align = fields.iter().map(|field| field.of.align).max().unwrap_or(1);
    let aligned = size.is_multiple_of(align)
        && fields
            .iter()
            .all(|field| field.offset.is_multiple_of(field.of.align));
    code.line("#[derive(Clone, Copy, Debug)]");
    code.line(if as_members && !aligned {
        "#[repr(C, packed)]"
    } else {
        "#[repr(C)]"
    });
    PLAIN.iter().for_each(|line| code.line(line));
    let text = format!("{prefix}{ident}");
    if !as_members {
        code.open(&format!("pub struct {ident} {{"));
        code.doc("All of it.");
        code.line(&format!("pub bytes: [u8; {size}],"));
        code.close("}");
        parts(code, ident, fields, &here, methods);
        return Mapped::new(text, size, 1);
    }
    if size == 0 && fields.is_empty() {
        code.line(&format!("pub struct {ident} {{}}"));
        return Mapped::new(text, 0, 1);
    }
    let taken: Vec<&str> = fields.iter().map(|field| field.ident.as_str()).collect();
    let mut scope = Scope::new(Language::Rust);
    scope.reserve(&taken);
    code.open(&format!("pub struct {ident} {{"));
    let mut end = 0;
    let mut gaps = 0;
    for field in fields {
        if end < field.offset {
            let gap = scope.add(&format!("_pad{gaps}"));
            code.line(&format!("pub {gap}: [u8; {}],", field.offset - end));
            gaps += 1;
        }
        if field.ident != field.name {
            code.doc(&format!("{}.", shown(&field.name)));
        }
        let of = format!("{},", here(&field.of.text));
        code.pair(&format!("pub {}:", field.ident), &of);
        end = field.offset.saturating_add(field.of.size);
    }
    if end < size {
        let gap = scope.add(&format!("_pad{gaps}"));
        code.line(&format!("pub {gap}: [u8; {}],", size - end));
    }
    code.close("}");
    Mapped::new(text, size, if aligned { align } else { 1 })
}

/// Functions for members that overlap.
fn parts(
    code: &mut Code,
    ident: &str,
    fields: &[Field],
    here: &dyn Fn(&str) -> String,
    scope: &mut Scope,
) {
    if fields.is_empty() {
        return;
    }
    code.gap();
    code.open(&format!("impl {ident} {{"));
    for (number, field) in fields.iter().enumerate() {
        if number != 0 {
            code.gap();
        }
        let (of, offset) = (here(&field.of.text), field.offset);
        code.doc(&format!("Member {}.", shown(&field.name)));
        let body = format!("sk::part(self, {offset})");
        code.getter(&scope.add(&field.name), &["&self"], &of, &body);
        code.gap();
        code.doc(&format!("Changes member {}.", shown(&field.name)));
        let name = scope.add(&format!("set_{}", field.name));
        let value = format!("value: {of}");
        let body = format!("sk::set_part(self, {offset}, &value);");
        code.getter(&name, &["&mut self", &value], "", &body);
    }
    code.close("}");
}

/// Functions for bit fields.
fn functions(code: &mut Code, ident: &str, bits: &[Bits], scope: &mut Scope) {
    if bits.is_empty() {
        return;
    }
    code.gap();
    code.open(&format!("impl {ident} {{"));
    for (number, field) in bits.iter().enumerate() {
        if number != 0 {
            code.gap();
        }
        let Bits { offset, width, .. } = field;
        let (of, read, given) = match (field.truth, field.signed) {
            (true, _) => (
                "bool",
                format!("sk::bits(self, {offset}, {width}) != 0"),
                "value.into()",
            ),
            (_, true) => (
                "i64",
                format!("sk::signed_bits(self, {offset}, {width})"),
                "value as u64",
            ),
            _ => ("u64", format!("sk::bits(self, {offset}, {width})"), "value"),
        };
        let unit = if *width == 1 { "bit" } else { "bits" };
        code.doc(&format!(
            "Bit field {}: {width} {unit}.",
            shown(&field.name)
        ));
        code.getter(&scope.add(&field.name), &["&self"], of, &read);
        code.gap();
        code.doc(&format!("Changes bit field {}.", shown(&field.name)));
        let name = scope.add(&format!("set_{}", field.name));
        let value = format!("value: {of}");
        let body = format!("sk::set_bits(self, {offset}, {width}, {given});");
        code.getter(&name, &["&mut self", &value], "", &body);
    }
    code.close("}");
}

fn integer(int: &Int<'_>) -> Mapped {
    let size = u64::from(int.size());
    // Text is of bytes, whether the machine's characters have a sign or not.
    let text = int.name().is(b"char") || int.encoding() & encoding::CHAR != 0;
    let sign = if int.is_signed() && !text { 'i' } else { 'u' };
    match size {
        1 if int.encoding() & encoding::BOOL != 0 => Mapped::new("sk::Bool", 1, 1),
        1 | 2 | 4 | 8 | 16 => Mapped::new(format!("{sign}{}", size * 8), size, size),
        _ => Mapped::bytes(size),
    }
}

/// As much of a name as is used.
fn lossy(name: &[u8]) -> String {
    String::from_utf8_lossy(name.get(..256).unwrap_or(name)).into_owned()
}

fn own_name(ty: &Type<'_>, hint: &str) -> String {
    match ty.name() {
        b"" => hint.to_owned(),
        name => lossy(name),
    }
}

/// A number as one of so many bits.
fn narrowed(value: i128, bits: u32, signed: bool) -> String {
    let mut text = String::new();
    let unused = 128 - bits.clamp(1, 64);
    let written = if signed {
        write!(text, "{}", (value << unused) >> unused)
    } else {
        write!(text, "{}", (value.cast_unsigned() << unused) >> unused)
    };
    debug_assert!(written.is_ok());
    text
}
