//! The data that a loader program reads and writes: attributes, instructions, strings, values,
//! and the descriptors it made.

use super::LightError;
use btf::Endian;

/// A place in the blob, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u32);

impl Place {
    /// The first byte.
    pub(super) const START: Self = Self(0);

    /// As the immediate of an instruction. A blob is never longer than that can say.
    pub(super) const fn imm(self) -> i32 {
        self.0.cast_signed()
    }

    pub(super) const fn offset(self) -> u32 {
        self.0
    }

    /// So many bytes behind.
    pub(super) const fn plus(self, bytes: u32) -> Self {
        Self(self.0 + bytes)
    }

    /// A field of the structure that is here.
    pub(super) fn field(self, offset: usize) -> Self {
        // Structures of the kernel are shorter than the type's range by far.
        self.plus(u32::try_from(offset).unwrap_or(u32::MAX))
    }

    /// An element of the array that is here.
    pub(super) const fn nth(self, index: u32, size: u32) -> Self {
        self.plus(index * size)
    }
}

/// The bytes, in the order of the machine that will run the program.
#[derive(Clone, Debug)]
pub(super) struct Blob {
    bytes: Vec<u8>,
    endian: Endian,
}

impl Blob {
    pub(super) const fn new(endian: Endian) -> Self {
        Self {
            bytes: Vec::new(),
            endian,
        }
    }

    /// Room for so many bytes, all zero, at a multiple of eight.
    pub(super) fn reserve(&mut self, len: usize) -> Result<Place, LightError> {
        let start = self.bytes.len();
        let end = start
            .checked_add(len)
            .and_then(|end| end.checked_next_multiple_of(8))
            .filter(|end| i32::try_from(*end).is_ok())
            .ok_or(LightError::TooLong)?;
        let place = u32::try_from(start).map_err(|_too_long| LightError::TooLong)?;
        self.bytes.resize(end, 0);
        Ok(Place(place))
    }

    /// These bytes, and zeros up to a multiple of eight.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Result<Place, LightError> {
        let place = self.reserve(bytes.len())?;
        self.write(place, bytes);
        Ok(place)
    }

    /// A string with its zero. Gives its length with that.
    pub(super) fn add_text(&mut self, text: &[u8]) -> Result<(Place, i32), LightError> {
        let len = text.len().checked_add(1).ok_or(LightError::TooLong)?;
        let place = self.reserve(len)?;
        self.write(place, text);
        // Longer than that, there would have been no place.
        Ok((place, i32::try_from(len).unwrap_or(i32::MAX)))
    }

    /// Words of 32 bits.
    pub(super) fn add_words(
        &mut self,
        words: impl IntoIterator<Item = u32>,
    ) -> Result<Place, LightError> {
        let bytes: Vec<u8> = words.into_iter().flat_map(|word| self.word(word)).collect();
        self.add(&bytes)
    }

    pub(super) fn set_u32(&mut self, place: Place, value: u32) {
        self.write(place, &self.word(value));
    }

    pub(super) fn set_u64(&mut self, place: Place, value: u64) {
        let bytes = match self.endian {
            Endian::Little => value.to_le_bytes(),
            Endian::Big => value.to_be_bytes(),
        };
        self.write(place, &bytes);
    }

    /// Bytes into room that was reserved.
    pub(super) fn write(&mut self, place: Place, bytes: &[u8]) {
        let room = self.bytes.get_mut(place.0 as usize..).unwrap_or_default();
        for (to, from) in room.iter_mut().zip(bytes) {
            *to = *from;
        }
    }

    pub(super) const fn endian(&self) -> Endian {
        self.endian
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    const fn word(&self, word: u32) -> [u8; 4] {
        match self.endian {
            Endian::Little => word.to_le_bytes(),
            Endian::Big => word.to_be_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_begin_at_multiples_of_eight() {
        let mut blob = Blob::new(Endian::Big);
        assert_eq!(blob.add(b"abc").unwrap().offset(), 0);
        assert_eq!(blob.add_text(b"1234567").unwrap(), (Place(8), 8));
        let words = blob.add_words([1, 0x0203_0405]).unwrap();
        assert_eq!(words.offset(), 16);
        blob.set_u64(words, 6);
        assert_eq!(
            blob.into_bytes(),
            *b"abc\0\0\0\0\x001234567\0\0\0\0\0\0\0\0\x06"
        );
    }

    #[test]
    fn numbers_are_in_the_order_that_is_asked_for() {
        let mut blob = Blob::new(Endian::Little);
        let place = blob.add_words([0x0102_0304]).unwrap();
        blob.set_u32(place.plus(4), 0x0a0b_0c0d);
        assert_eq!(blob.bytes(), [4, 3, 2, 1, 0xd, 0xc, 0xb, 0xa]);
    }

    #[test]
    fn a_blob_out_of_reach_is_refused() {
        let mut blob = Blob::new(Endian::Little);
        assert!(matches!(blob.reserve(usize::MAX), Err(LightError::TooLong)));
        assert!(matches!(blob.reserve(1 << 31), Err(LightError::TooLong)));
        assert!(blob.bytes().is_empty());
    }
}
