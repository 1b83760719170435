//! Events and records as text.

use std::io::{self, Write};

use super::view::{EventView, RecordView};
use crate::render::{View, hexdump};

const NANOSECONDS: u64 = 1_000_000_000;

impl View for EventView {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        if let Some(lost) = self.lost {
            return writeln!(out, "lost {} events", lost.count);
        }
        let Some(data) = &self.data else {
            let (kind, size) = (self.r#type, self.size);
            return writeln!(out, "unknown event type={kind} size={size}");
        };
        let time = self.timestamp.unwrap_or(0);
        let (seconds, rest) = (time / NANOSECONDS, time % NANOSECONDS);
        writeln!(
            out,
            "== @{seconds}.{rest:09} CPU: {} index: {} =====",
            self.cpu, self.index
        )?;
        hex(out, data)
    }
}

impl View for RecordView {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        if let Some(overwritten) = self.overwritten {
            writeln!(out, "lost {overwritten} bytes")?;
        }
        let (record, size) = (self.record, self.data.len());
        writeln!(out, "== record: {record} size: {size} =====")?;
        hex(out, &self.data)
    }
}

fn hex(out: &mut dyn Write, data: &[u8]) -> io::Result<()> {
    let mut text = Vec::new();
    hexdump::append(&mut text, data);
    text.push(b'\n');
    out.write_all(&text)
}

#[cfg(test)]
mod tests {
    use super::super::view::LostView;
    use super::*;

    fn text(view: &impl View) -> String {
        let mut out = Vec::new();
        view.text(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn json(view: &impl View) -> String {
        serde_json::to_string(view).unwrap()
    }

    fn event() -> EventView {
        EventView {
            r#type: 9,
            cpu: 1,
            index: 2,
            timestamp: None,
            data: None,
            lost: None,
            size: 16,
        }
    }

    #[test]
    fn events_are_shown_as_bpftool_shows_them() {
        let sample = EventView {
            timestamp: Some(3_000_000_007),
            data: Some((0..9).collect()),
            ..event()
        };
        assert_eq!(
            text(&sample),
            "== @3.000000007 CPU: 1 index: 2 =====\n00 01 02 03 04 05 06 07  08\n"
        );
        assert_eq!(
            json(&sample),
            r#"{"type":9,"cpu":1,"index":2,"timestamp":3000000007,"data":[0,1,2,3,4,5,6,7,8]}"#
        );
        let lost = EventView {
            r#type: 2,
            lost: Some(LostView { id: 5, count: 6 }),
            ..event()
        };
        assert_eq!(text(&lost), "lost 6 events\n");
        assert_eq!(
            json(&lost),
            r#"{"type":2,"cpu":1,"index":2,"lost":{"id":5,"count":6}}"#
        );
        let other = EventView {
            r#type: 4,
            ..event()
        };
        assert_eq!(text(&other), "unknown event type=4 size=16\n");
        assert_eq!(json(&other), r#"{"type":4,"cpu":1,"index":2}"#);
    }

    #[test]
    fn records_have_a_number() {
        let mut record = RecordView {
            record: 7,
            data: vec![255],
            overwritten: None,
        };
        assert_eq!(text(&record), "== record: 7 size: 1 =====\nff\n");
        assert_eq!(json(&record), r#"{"record":7,"data":[255]}"#);
        record.overwritten = Some(64);
        assert_eq!(
            text(&record),
            "lost 64 bytes\n== record: 7 size: 1 =====\nff\n"
        );
        assert_eq!(
            json(&record),
            r#"{"record":7,"data":[255],"overwritten":64}"#
        );
    }
}
