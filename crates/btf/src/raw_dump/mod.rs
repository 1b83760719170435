//! `btf dump … format raw`: one line per type, one more per element.

pub mod label;

use core::convert::Infallible;

use crate::raw::strings::escape_into;
use crate::text::{copy_name, number};
use crate::types::{Enumerator, Name, Type};
use crate::{Btf, BtfError, Kind, TypeId};

/// Appends the text of one type, with the line end after it, as bpftool 7.8 prints it.
/// Control characters and bytes that are not UTF-8 become `\xNN`; a kind that this crate does
/// not know shows its number and the common words of its record.
///
/// Elements of a type may share their names, so the text of a hostile type can be far longer
/// than the type: [`write_types`] hands on what it has before that is a burden.
///
/// # Errors
/// [`BtfError::NoSuchType`]; `out` is then as before.
pub fn write_type(out: &mut Vec<u8>, btf: &Btf<'_>, id: impl Into<TypeId>) -> Result<(), BtfError> {
    let id = id.into();
    let ty = btf.type_by_id(id)?;
    let Ok(()) = write(out, id, &ty, |_| Ok::<(), Infallible>(()));
    Ok(())
}

/// Appends the texts of the types with these ids; ids without a type are left out.
///
/// Whenever there are `limit` bytes or more, within a type too, `full` gets them all and `out`
/// is emptied: it never holds more than `limit` bytes and one line. What is left stays in `out`.
///
/// # Errors
/// The first error of `full`.
pub fn write_types<E>(
    out: &mut Vec<u8>,
    btf: &Btf<'_>,
    ids: impl IntoIterator<Item = impl Into<TypeId>>,
    limit: usize,
    mut full: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut settle = |out: &mut Vec<u8>| {
        if out.len() < limit {
            return Ok(());
        }
        full(out)?;
        out.clear();
        Ok(())
    };
    for id in ids {
        let id = id.into();
        if let Ok(ty) = btf.type_by_id(id) {
            write(out, id, &ty, &mut settle)?;
            settle(out)?;
        }
    }
    Ok(())
}

/// Hands the text of all own types to `sink`, in blocks of about 64 KiB.
///
/// # Errors
/// The first error of `sink`.
pub fn write_all<E>(btf: &Btf<'_>, mut sink: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    const BLOCK: usize = 64 << 10;
    let mut out = Vec::with_capacity(BLOCK + (8 << 10));
    write_types(&mut out, btf, btf.start_id()..btf.len(), BLOCK, &mut sink)?;
    if out.is_empty() { Ok(()) } else { sink(&out) }
}

/// Appends the text of a type; `settle` is called before each of its elements.
fn write<E>(
    out: &mut Vec<u8>,
    id: TypeId,
    ty: &Type<'_>,
    mut settle: impl FnMut(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    out.push(b'[');
    number(out, id.0);
    out.extend_from_slice(b"] ");
    text(out, ty.kind().name());
    if let Kind::Unknown(raw) = ty.kind() {
        field(out, "(kind=", u32::from(raw));
        out.push(b')');
    }
    out.push(b' ');
    match ty.record() {
        Some(record) => quoted(out, record.name()),
        None => text(out, "'(anon)'"),
    }
    match ty {
        Type::Void => {}
        Type::Int(t) => {
            field(out, " size=", t.size());
            field(out, " bits_offset=", t.bit_offset());
            field(out, " nr_bits=", t.bits());
            text(out, " encoding=");
            text(out, label::int_encoding(t.encoding()));
        }
        Type::Ptr(t)
        | Type::Const(t)
        | Type::Volatile(t)
        | Type::Restrict(t)
        | Type::Typedef(t)
        | Type::TypeTag(t) => field(out, " type_id=", t.type_id().0),
        Type::Array(t) => {
            field(out, " type_id=", t.elem_type().0);
            field(out, " index_type_id=", t.index_type().0);
            field(out, " nr_elems=", t.len());
        }
        Type::Struct(t) | Type::Union(t) => {
            field(out, " size=", t.size());
            field(out, " vlen=", t.vlen());
            for member in t.members() {
                settle(out)?;
                out.extend_from_slice(b"\n\t");
                quoted(out, member.name);
                field(out, " type_id=", member.type_id.0);
                field(out, " bits_offset=", member.bit_offset);
                if member.bitfield_size != 0 {
                    field(out, " bitfield_size=", member.bitfield_size);
                }
            }
        }
        Type::Enum(t) => {
            enum_head(out, t.is_signed(), t.size(), t.vlen());
            for e in t.enumerators() {
                settle(out)?;
                enumerator(out, &e);
            }
        }
        Type::Enum64(t) => {
            enum_head(out, t.is_signed(), t.size(), t.vlen());
            for e in t.enumerators() {
                settle(out)?;
                enumerator(out, &e);
                text(out, if t.is_signed() { "LL" } else { "ULL" });
            }
        }
        Type::Fwd(t) => {
            text(out, " fwd_kind=");
            text(out, label::fwd_kind(t.is_union()));
        }
        Type::Func(t) => {
            field(out, " type_id=", t.proto().0);
            text(out, " linkage=");
            text(out, label::linkage(t.linkage()));
        }
        Type::FuncProto(t) => {
            field(out, " ret_type_id=", t.return_type().0);
            field(out, " vlen=", t.vlen());
            for param in t.params() {
                settle(out)?;
                out.extend_from_slice(b"\n\t");
                quoted(out, param.name);
                field(out, " type_id=", param.type_id.0);
            }
        }
        Type::Var(t) => {
            field(out, " type_id=", t.type_id().0);
            text(out, ", linkage=");
            text(out, label::linkage(t.linkage()));
        }
        Type::Datasec(t) => {
            field(out, " size=", t.size());
            field(out, " vlen=", t.vlen());
            for var in t.vars() {
                settle(out)?;
                field(out, "\n\ttype_id=", var.type_id.0);
                field(out, " offset=", var.offset);
                field(out, " size=", var.size);
                if let Some((kind, name)) = var.target() {
                    text(out, " (");
                    text(out, kind.name());
                    out.push(b' ');
                    quoted(out, name);
                    out.push(b')');
                }
            }
        }
        Type::Float(t) => field(out, " size=", t.size()),
        Type::DeclTag(t) => {
            field(out, " type_id=", t.type_id().0);
            text(out, " component_idx=");
            if t.component_idx() < 0 {
                out.push(b'-');
            }
            number(out, t.component_idx().unsigned_abs());
        }
        Type::Unknown(t) => {
            field(out, " size/type=", t.size_or_type());
            field(out, " vlen=", t.vlen());
        }
    }
    out.push(b'\n');
    Ok(())
}

fn enum_head(out: &mut Vec<u8>, signed: bool, size: u32, vlen: u32) {
    text(out, " encoding=");
    text(out, label::enum_encoding(signed));
    field(out, " size=", size);
    field(out, " vlen=", vlen);
}

fn enumerator(out: &mut Vec<u8>, e: &Enumerator<'_>) {
    out.extend_from_slice(b"\n\t");
    quoted(out, e.name);
    text(out, " val=");
    match (u32::try_from(e.value), e.value < 0) {
        (Ok(small), _) => number(out, small),
        // An enumerator has at most 64 bits.
        (_, true) => {
            let mut buf = itoa::Buffer::new();
            text(out, buf.format(i64::try_from(e.value).unwrap_or(0)));
        }
        (_, false) => {
            let mut buf = itoa::Buffer::new();
            text(out, buf.format(u64::try_from(e.value).unwrap_or(0)));
        }
    }
}

#[inline]
fn text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

#[inline]
fn field(out: &mut Vec<u8>, label: &str, value: u32) {
    text(out, label);
    number(out, value);
}

#[inline]
fn quoted(out: &mut Vec<u8>, name: Name<'_>) {
    out.push(b'\'');
    if !name.tail().is_some_and(|tail| copy_name(out, tail)) {
        escape_into(out, name.label());
    }
    out.push(b'\'');
}

#[cfg(test)]
mod tests;
