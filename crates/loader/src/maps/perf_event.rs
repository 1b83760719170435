//! What a record of a perf buffer says.

use super::record::Record;
use bpfsys::uapi::perf::{RECORD_LOST, RECORD_SAMPLE};

/// Bytes of a record's header.
const HEADER: usize = 8;

/// An event of a perf buffer.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum PerfEvent<'a> {
    /// What a program wrote with `bpf_perf_event_output`.
    Sample {
        /// Nanoseconds since the machine started, if times were asked for.
        time: Option<u64>,
        /// What was written, and up to 7 bytes more: the kernel rounds up so that the next event
        /// is aligned.
        data: Record<'a>,
    },
    /// Events for which there was no room.
    Lost {
        /// The number of the perf event they are of.
        id: u64,
        /// How many.
        count: u64,
    },
    /// A record of another type.
    Other {
        /// Its type (`PERF_RECORD_*`).
        kind: u32,
        /// Its bytes behind the header.
        data: Record<'a>,
    },
}

impl<'a> PerfEvent<'a> {
    /// Reads what is behind a record's header. `None` when it is shorter than its type must be.
    #[must_use]
    pub fn parse(kind: u32, body: Record<'a>, with_time: bool) -> Option<Self> {
        match kind {
            RECORD_SAMPLE => {
                let time = match with_time {
                    true => Some(body.read_from(0)?),
                    false => None,
                };
                let start = if with_time { 8 } else { 0 };
                let size: u32 = body.read_from(start)?;
                let data = body.part(start.checked_add(4)?, usize::try_from(size).ok()?)?;
                Some(Self::Sample { time, data })
            }
            RECORD_LOST => Some(Self::Lost {
                id: body.read_from(0)?,
                count: body.read_from(8)?,
            }),
            kind => Some(Self::Other { kind, data: body }),
        }
    }

    /// Bytes of a record of another type, its header included.
    #[must_use]
    pub fn record_size(&self) -> usize {
        match self {
            Self::Sample { time, data } => {
                let before = if time.is_some() { 12 } else { 4 };
                data.len().saturating_add(HEADER).saturating_add(before)
            }
            Self::Lost { .. } => 24,
            Self::Other { data, .. } => data.len().saturating_add(HEADER),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(words: &[&[u8]]) -> Vec<u8> {
        words.concat()
    }

    #[test]
    fn samples_hold_what_their_size_says() {
        let time = 77_u64.to_ne_bytes();
        let size = 4_u32.to_ne_bytes();
        let body = bytes(&[&time, &size, b"abcd"]);
        match PerfEvent::parse(RECORD_SAMPLE, Record::of(&body), true) {
            Some(PerfEvent::Sample { time, data }) => {
                assert_eq!(time, Some(77));
                assert_eq!(data.to_vec(), b"abcd");
            }
            other => panic!("{other:?}"),
        }
        let body = bytes(&[&size, b"abcd"]);
        match PerfEvent::parse(RECORD_SAMPLE, Record::of(&body), false) {
            Some(event @ PerfEvent::Sample { time: None, data }) => {
                assert_eq!(data.to_vec(), b"abcd");
                assert_eq!(event.record_size(), 16);
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn short_records_are_none() {
        for (kind, body, with_time) in [
            (RECORD_SAMPLE, &b""[..], false),
            (RECORD_SAMPLE, b"\0\0\0", false),
            (RECORD_SAMPLE, b"\xff\xff\xff\xff1234", false),
            (RECORD_SAMPLE, b"12345678\0\0\0", true),
            (RECORD_LOST, b"12345678", false),
        ] {
            let event = PerfEvent::parse(kind, Record::of(body), with_time);
            assert!(event.is_none(), "{kind} {body:?} {event:?}");
        }
    }

    #[test]
    fn others_are_told_by_their_type() {
        let body = bytes(&[&5_u64.to_ne_bytes(), &9_u64.to_ne_bytes()]);
        let lost = PerfEvent::parse(RECORD_LOST, Record::of(&body), false);
        assert!(matches!(lost, Some(PerfEvent::Lost { id: 5, count: 9 })));
        let other = PerfEvent::parse(4, Record::of(b"12345678"), false).unwrap();
        assert!(matches!(other, PerfEvent::Other { kind: 4, .. }));
        assert_eq!(other.record_size(), 16);
    }
}
