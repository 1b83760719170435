//! Attributes: values with a number and a length, one behind the other, some made of others.

use super::NetlinkError;
use netlink_packet_core::{DefaultNla, Emitable, NLA_F_NESTED, NlasIterator};

/// Attributes to be sent.
#[derive(Default)]
pub(super) struct Attributes(Vec<DefaultNla>);

impl Attributes {
    pub(super) fn bytes(mut self, kind: u16, value: impl Into<Vec<u8>>) -> Self {
        self.0.push(DefaultNla::new(kind, value.into()));
        self
    }

    pub(super) fn u32(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, value.to_ne_bytes())
    }

    /// A text with the zero byte behind it.
    pub(super) fn text(self, kind: u16, text: impl Into<Vec<u8>>) -> Self {
        let mut text = text.into();
        text.push(0);
        self.bytes(kind, text)
    }

    pub(super) fn nested(self, kind: u16, inner: Self) -> Result<Self, NetlinkError> {
        let inner = inner.encode()?;
        Ok(self.bytes(kind | NLA_F_NESTED, inner))
    }

    pub(super) fn encode(self) -> Result<Vec<u8>, NetlinkError> {
        // the library cuts lengths that do not fit
        let fits = |nla: &DefaultNla| u16::try_from(nla.buffer_len()).is_ok();
        if !self.0.iter().all(fits) {
            return Err(NetlinkError::TooLong);
        }
        let attributes = self.0.as_slice();
        let mut bytes = vec![0; attributes.buffer_len()];
        attributes.emit(&mut bytes);
        Ok(bytes)
    }
}

/// One attribute that was received.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attribute<'a> {
    pub(super) kind: u16,
    pub(super) value: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// Shorter than a number: what the kernel never sends.
    pub(super) fn u32(&self) -> Result<u32, NetlinkError> {
        let bytes = self.value.first_chunk();
        bytes.copied().map(u32::from_ne_bytes).ok_or_else(|| {
            let (kind, len) = (self.kind, self.value.len());
            NetlinkError::Malformed(format!("attribute {kind} has {len} bytes for a number"))
        })
    }

    /// A text up to its zero byte.
    pub(super) fn text(&self) -> &'a [u8] {
        let end = self.value.iter().position(|byte| *byte == 0);
        self.value
            .get(..end.unwrap_or(self.value.len()))
            .unwrap_or_default()
    }
}

/// The attributes in `bytes`.
pub(super) fn attributes(bytes: &[u8]) -> Result<Vec<Attribute<'_>>, NetlinkError> {
    let malformed =
        |error: netlink_packet_core::DecodeError| NetlinkError::Malformed(error.to_string());
    let mut found = Vec::new();
    let mut rest = bytes;
    // the library lends values for as long as its own buffer only, so they are taken from ours
    for attribute in NlasIterator::new(bytes) {
        let attribute = attribute.map_err(malformed)?;
        let end = usize::from(attribute.length());
        let value = rest.get(netlink_packet_core::NLA_HEADER_SIZE..end);
        found.push(Attribute {
            kind: attribute.kind(),
            value: value.unwrap_or_default(),
        });
        rest = rest.get(end.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let inner = Attributes::default().u32(7, 9).text(8, "abc");
        let bytes = Attributes::default()
            .text(1, "x")
            .nested(2, inner)
            .unwrap()
            .encode()
            .unwrap();
        let outer = attributes(&bytes).unwrap();
        assert_eq!(outer.iter().map(|a| a.kind).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(outer[0].text(), b"x");
        let inner = attributes(outer[1].value).unwrap();
        assert_eq!(inner[0].u32().unwrap(), 9);
        assert_eq!(inner[1].text(), b"abc");
    }

    #[test]
    fn broken_lengths_are_errors() {
        for bytes in [&[3, 0, 1, 0][..], &[8, 0, 1, 0, 1], &[0, 0], &[4, 0, 1]] {
            assert!(attributes(bytes).is_err(), "{bytes:?}");
        }
        let short = Attribute {
            kind: 5,
            value: &[1, 2],
        };
        assert_eq!(
            short.u32().unwrap_err().to_string(),
            "malformed answer: attribute 5 has 2 bytes for a number"
        );
        let long = Attributes::default().bytes(1, vec![0; 70_000]);
        assert!(matches!(long.encode(), Err(NetlinkError::TooLong)));
    }
}
