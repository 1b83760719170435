//! What comes out of a perf or ring buffer.

use serde::Serialize;

/// An event of a perf buffer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventView {
    /// The record's type, `PERF_RECORD_*`.
    pub r#type: u32,
    /// The CPU it is of.
    pub cpu: u32,
    /// The element of the map it came through.
    pub index: u32,
    /// When it was written, in nanoseconds since the machine started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<u64>,
    /// What was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Vec<u8>>,
    /// What found no room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<LostView>,
    /// Bytes of a record of another type.
    #[serde(skip)]
    pub size: usize,
}

/// Events that found no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LostView {
    /// The number of the perf event.
    pub id: u64,
    /// How many.
    pub count: u64,
}

/// A record of a ring buffer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordView {
    /// How many came before it, since the command began.
    pub record: u64,
    /// What was written.
    pub data: Vec<u8>,
    /// Bytes that were written over, since the one before, before they could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overwritten: Option<u64>,
}
