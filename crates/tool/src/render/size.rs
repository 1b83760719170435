//! How sizes are written in text: bytes, or what a person reads at a glance.

use std::cell::Cell;
use std::fmt;

thread_local! {
    /// Whether the text that is being written on this thread is for people only.
    static FOR_PEOPLE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `write`, which writes text; sizes in it are rounded if `human`.
pub fn written<T>(human: bool, write: impl FnOnce() -> T) -> T {
    let before = FOR_PEOPLE.replace(human);
    let result = write();
    FOR_PEOPLE.set(before);
    result
}

/// A number of bytes: `4096B`, or `4KiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

/// What it is called for each factor of 1024.
const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(bytes) = *self;
        if !FOR_PEOPLE.get() || bytes < 1024 {
            return write!(f, "{bytes}B");
        }
        let (mut whole, mut rest, mut unit) = (bytes, 0, 0);
        while whole >= 1024 {
            (whole, rest) = (whole / 1024, whole % 1024);
            unit += 1;
        }
        let name = UNITS.get(unit).copied().unwrap_or_default();
        // a tenth says something only of small numbers
        match rest * 10 / 1024 {
            tenths if whole < 10 && tenths > 0 => write!(f, "{whole}.{tenths}{name}"),
            _ => write!(f, "{whole}{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_exact_unless_they_are_for_people() {
        let shown = |bytes| written(true, || Size(bytes).to_string());
        assert_eq!(Size(123_456).to_string(), "123456B");
        for (bytes, text) in [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1KiB"),
            (4096, "4KiB"),
            (5_000, "4.8KiB"),
            (123_456, "120KiB"),
            (3 << 20, "3MiB"),
            (u64::MAX, "15EiB"),
        ] {
            assert_eq!(shown(bytes), text);
        }
        assert_eq!(Size(4096).to_string(), "4096B");
    }
}
