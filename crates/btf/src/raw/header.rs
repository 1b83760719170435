//! `struct btf_header`: where the three sections of a blob are.

use core::ops::Range;

use super::cursor::Endian;
use crate::{BtfError, error::Section};

pub(crate) const MAGIC: u16 = 0xeb9f;
/// Header without, and with, the layout fields.
pub(crate) const OLD_LEN: usize = 24;
pub(crate) const NEW_LEN: usize = 32;

/// The checked header: every range lies inside the blob.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    /// Bytes of the header itself.
    pub(crate) len: usize,
    pub(crate) endian: Endian,
    pub(crate) flags: u8,
    pub(crate) types: Range<usize>,
    pub(crate) layout: Range<usize>,
    pub(crate) strings: Range<usize>,
    /// Bytes beyond the known fields hold something.
    pub(crate) unknown_tail: bool,
}

impl Header {
    pub(crate) fn parse(data: &[u8]) -> Result<Self, BtfError> {
        let have = data.len() as u64;
        let short = |need: u64| BtfError::HeaderTruncated { need, have };
        let fixed: &[u8; OLD_LEN] = data.first_chunk().ok_or(short(OLD_LEN as u64))?;
        let [m0, m1, version, flags, ..] = *fixed;
        let endian = match [m0, m1] {
            [0x9f, 0xeb] => Endian::Little,
            [0xeb, 0x9f] => Endian::Big,
            other => {
                return Err(BtfError::Magic {
                    found: u16::from_le_bytes(other),
                });
            }
        };
        debug_assert_eq!(endian.u16([m0, m1]), MAGIC);
        if version != 1 {
            return Err(BtfError::Version { found: version });
        }
        let field = |off| u64::from(endian.u32_at(data, off).unwrap_or(0));
        let hdr_len = field(4);
        if hdr_len < OLD_LEN as u64 {
            return Err(BtfError::HeaderLen {
                found: endian.u32_at(data, 4).unwrap_or(0),
            });
        }
        let header = usize::try_from(hdr_len)
            .ok()
            .and_then(|len| data.get(..len))
            .ok_or(short(hdr_len))?;
        // A header of a length in between has the offset but not the length: no layout.
        let (layout_off, layout_len) = if header.len() >= NEW_LEN {
            (field(24), field(28))
        } else {
            (0, 0)
        };

        let range = |section, off: u64, len: u64| {
            let offset = hdr_len + off;
            let bounds = BtfError::SectionBounds {
                section,
                offset,
                len,
                have,
            };
            let end = offset + len;
            // Type offsets are kept in 32 bits.
            if end > have || end > u64::from(u32::MAX) {
                return Err(bounds);
            }
            match (usize::try_from(offset), usize::try_from(end)) {
                (Ok(start), Ok(end)) => Ok(start..end),
                _ => Err(bounds),
            }
        };
        let in_front = |section, start: usize, end: usize| {
            if start < end {
                Err(BtfError::SectionOverlap {
                    section,
                    offset: start as u64,
                    end: end as u64,
                })
            } else {
                Ok(())
            }
        };
        let aligned = |section, off: u64| {
            if off.is_multiple_of(4) {
                Ok(())
            } else {
                Err(BtfError::SectionAlign {
                    section,
                    offset: hdr_len + off,
                })
            }
        };

        let types = range(Section::Types, field(8), field(12))?;
        let strings = range(Section::Strings, field(16), field(20))?;
        aligned(Section::Types, field(8))?;
        in_front(Section::Strings, strings.start, types.end)?;
        let layout = if layout_len == 0 {
            0..0
        } else {
            let layout = range(Section::Layout, layout_off, layout_len)?;
            aligned(Section::Layout, layout_off)?;
            in_front(Section::Layout, layout.start, types.end)?;
            in_front(Section::Strings, strings.start, layout.end)?;
            if layout_len % 4 != 0 {
                return Err(BtfError::LayoutLen {
                    offset: hdr_len + layout_off,
                    len: layout_len,
                });
            }
            layout
        };
        let unknown_tail = header
            .get(NEW_LEN..)
            .is_some_and(|t| t.iter().any(|b| *b != 0));
        Ok(Self {
            len: header.len(),
            endian,
            flags,
            types,
            layout,
            strings,
            unknown_tail,
        })
    }
}
