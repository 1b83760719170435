//! Where things are in the context of a loader program.

use super::LightError;
use bpfsys::uapi::skeleton::{LoaderCtx, LoaderMap, LoaderProg};
use std::mem::offset_of;

/// Offsets in a context for so many maps and programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    maps: usize,
}

impl Layout {
    pub(super) const LOG_LEVEL: i16 = 8;
    pub(super) const LOG_SIZE: i16 = 12;
    pub(super) const LOG_BUF: i16 = 16;
    pub(super) const FLAGS: i16 = 4;

    /// Fails where an instruction could not reach the last field.
    pub(super) fn new(maps: usize, progs: usize) -> Result<Self, LightError> {
        match i16::try_from(Self::size_of(maps, progs)) {
            Ok(_) => Ok(Self { maps }),
            Err(_) => Err(LightError::TooMany { maps, progs }),
        }
    }

    /// Bytes of a context for so many maps and programs.
    pub(super) const fn size_of(maps: usize, progs: usize) -> usize {
        size_of::<LoaderCtx>()
            .saturating_add(maps.saturating_mul(size_of::<LoaderMap>()))
            .saturating_add(progs.saturating_mul(size_of::<LoaderProg>()))
    }

    pub(super) fn map_fd(self, map: usize) -> i16 {
        Self::off(map_at(map) + offset_of!(LoaderMap, map_fd))
    }

    pub(super) fn max_entries(self, map: usize) -> i16 {
        Self::off(map_at(map) + offset_of!(LoaderMap, max_entries))
    }

    pub(super) fn initial_value(self, map: usize) -> i16 {
        Self::off(map_at(map) + offset_of!(LoaderMap, initial_value))
    }

    pub(super) fn prog_fd(self, prog: usize) -> i16 {
        Self::off(map_at(self.maps) + prog * size_of::<LoaderProg>())
    }

    /// `new` has seen to it that every offset fits.
    fn off(at: usize) -> i16 {
        i16::try_from(at).unwrap_or(i16::MAX)
    }
}

const fn map_at(map: usize) -> usize {
    size_of::<LoaderCtx>() + map * size_of::<LoaderMap>()
}

const _: () = {
    assert!(offset_of!(LoaderCtx, flags) == Layout::FLAGS as usize);
    assert!(offset_of!(LoaderCtx, log_level) == Layout::LOG_LEVEL as usize);
    assert!(offset_of!(LoaderCtx, log_size) == Layout::LOG_SIZE as usize);
    assert!(offset_of!(LoaderCtx, log_buf) == Layout::LOG_BUF as usize);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_is_laid_out_as_skeletons_expect() {
        let layout = Layout::new(2, 3).unwrap();
        assert_eq!(Layout::size_of(2, 3), 24 + 2 * 16 + 3 * 4);
        assert_eq!([layout.map_fd(0), layout.map_fd(1)], [24, 40]);
        assert_eq!([layout.max_entries(0), layout.max_entries(1)], [28, 44]);
        assert_eq!([layout.initial_value(0), layout.initial_value(1)], [32, 48]);
        assert_eq!([layout.prog_fd(0), layout.prog_fd(2)], [56, 64]);
    }

    #[test]
    fn a_context_out_of_reach_is_refused() {
        assert!(Layout::new(2046, 0).is_ok());
        assert!(matches!(
            Layout::new(2047, 0),
            Err(LightError::TooMany { maps: 2047, .. })
        ));
        assert!(Layout::new(usize::MAX, usize::MAX).is_err());
    }
}
