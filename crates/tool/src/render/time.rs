//! Times for people.

use std::fmt;

/// A time in the local zone, as `date +%FT%T%z` prints it; in seconds where it is out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime(pub i64);

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0) {
            Ok(time) => {
                let zoned = time.to_zoned(jiff::tz::TimeZone::system());
                zoned.strftime("%FT%T%z").fmt(f)
            }
            Err(_) => self.0.fmt(f),
        }
    }
}
