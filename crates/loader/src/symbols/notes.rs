//! Notes: records with a name, a type and bytes.

use super::read::Numbers;

/// A note.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Note<'a> {
    /// Who defines the type; without the zero at its end.
    pub name: &'a [u8],
    /// The type.
    pub kind: u32,
    /// The bytes.
    pub desc: &'a [u8],
}

/// The notes of a section; the last is the last that is whole. `align` is that of the section.
pub fn notes(data: &[u8], big: bool, align: u64) -> impl Iterator<Item = Note<'_>> {
    let align = if align == 8 { 8 } else { 4 };
    let mut at = 0usize;
    std::iter::from_fn(move || {
        let head = Numbers {
            data: data.get(at..)?,
            big,
            wide: false,
        };
        let size = |at| usize::try_from(head.u32(at)?).ok();
        let (name_size, desc_size, kind) = (size(0)?, size(4)?, head.u32(8)?);
        let desc_at = 12usize
            .checked_add(name_size)?
            .checked_next_multiple_of(align)?;
        let name = head.data.get(12..)?.get(..name_size)?;
        let desc = head.data.get(desc_at..)?.get(..desc_size)?;
        let next = desc_at.checked_add(desc_size)?;
        at = at.checked_add(next.checked_next_multiple_of(align)?)?;
        Some(Note {
            name: name.strip_suffix(b"\0").unwrap_or(name),
            kind,
            desc,
        })
    })
}
