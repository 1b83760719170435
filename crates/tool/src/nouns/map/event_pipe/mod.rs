//! `map event_pipe`: what programs write to a perf or ring buffer, until a signal comes.

mod text;
pub mod view;

use std::os::fd::AsFd;

use bpfsys::uapi::flags::MapFlags;
use bpfsys::uapi::perf::{RECORD_LOST, RECORD_SAMPLE};
use bpfsys::{MapFd, MapType};
use loader::maps::{AccessError, PerfBuffer, PerfBufferOptions, PerfEvent, RingBuffer};

use self::view::{EventView, LostView, RecordView};
use super::gather;
use crate::command::Context;
use crate::failure::{Failure, Result};
use crate::handle::MapHandle;
use crate::interrupt::{Interrupt, Wake};
use crate::render::{Output, View};
use crate::words::{Words, shown};

/// Pages of the ring of each CPU, as bpftool has them.
const PAGES: usize = 16;

/// Records of a ring buffer that are taken before they are shown, so that a writer that never
/// rests does not keep a signal from being seen.
const AT_ONCE: usize = 4096;

/// `map event_pipe MAP [cpu N index M]`
pub(super) fn run(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    words.require(2)?;
    let handle = MapHandle::parse(&mut words)?;
    let place = place(&mut words)?;
    let map = handle.open_one(MapFlags::empty())?;
    let output = &mut *context.output;
    match (gather::info(&map)?.type_(), place) {
        (MapType::PERF_EVENT_ARRAY, place) => events(output, &map, place),
        (MapType::RINGBUF, None) => records(output, &map),
        (MapType::RINGBUF, Some(_)) => Err(Failure::new(
            "a ring buffer is one for all cpus: cpu and index are for perf event arrays",
        )),
        (kind, _) => Err(Failure::new(format_args!(
            "map is neither a perf event array nor a ring buffer, but of type {kind}"
        ))),
    }
}

/// Reads `cpu N` and `index M`, both or none.
fn place(words: &mut Words<'_>) -> Result<Option<(u32, u32)>> {
    let (mut cpu, mut index) = (None, None);
    while let Some(word) = words.peek() {
        if words.accept("cpu") {
            words.require(1)?;
            cpu = Some(words.take_u32("CPU ID")?);
        } else if words.accept("index") {
            words.require(1)?;
            index = Some(words.take_u32("index")?);
        } else {
            return Err(Failure::new(format_args!("what is '{}'?", shown(word))));
        }
    }
    match (cpu, index) {
        (Some(cpu), Some(index)) => Ok(Some((cpu, index))),
        (None, None) => Ok(None),
        _ => Err(Failure::new("cpu and index must be specified together")),
    }
}

fn events(output: &mut Output<'_>, map: &MapFd, place: Option<(u32, u32)>) -> Result<()> {
    let mut options = PerfBufferOptions::new().pages(PAGES).times(true);
    if let Some(place) = place {
        options = options.cpus(vec![place]);
    }
    let mut buffer = PerfBuffer::new(map, &options)
        .map_err(|error| failed("failed to create perf buffer", error))?;
    let index = place.map(|(_cpu, index)| index);
    stream(output, |output, interrupt| {
        loop {
            if interrupt.wait(buffer.as_fd())? == Wake::Interrupted {
                return Ok(());
            }
            let mut result = Ok(());
            // Not `poll`: an event that was waited for is not told of a second time.
            let read = buffer.consume(|cpu, event| {
                if result.is_ok() {
                    result = one(output, &event_view(cpu, index.unwrap_or(cpu), &event));
                }
            });
            read.map_err(|error| failed("perf buffer polling failed", error))?;
            result?;
            output.flush()?;
        }
    })
}

fn event_view(cpu: u32, index: u32, event: &PerfEvent<'_>) -> EventView {
    let mut view = EventView {
        r#type: RECORD_SAMPLE,
        cpu,
        index,
        timestamp: None,
        data: None,
        lost: None,
        size: event.record_size(),
    };
    match event {
        PerfEvent::Sample { time, data } => {
            view.timestamp = *time;
            view.data = Some(data.to_vec());
        }
        PerfEvent::Lost { id, count } => {
            view.r#type = RECORD_LOST;
            view.lost = Some(LostView {
                id: *id,
                count: *count,
            });
        }
        PerfEvent::Other { kind, .. } => view.r#type = *kind,
        _ => {}
    }
    view
}

fn records(output: &mut Output<'_>, map: &MapFd) -> Result<()> {
    let fail = |error| failed("failed to read ring buffer", error);
    let mut ring =
        RingBuffer::new(map).map_err(|error| failed("failed to open ring buffer", error))?;
    let mut number = 0;
    stream(output, |output, interrupt| {
        loop {
            if interrupt.wait(ring.as_fd())? == Wake::Interrupted {
                return Ok(());
            }
            let before = ring.overwritten();
            let mut taken = Vec::new();
            ring.consume_at_most(AT_ONCE, |record| taken.push(record.to_vec()))
                .map_err(fail)?;
            let mut lost = ring.overwritten().wrapping_sub(before);
            for data in taken {
                let view = RecordView {
                    record: number,
                    data,
                    overwritten: (lost > 0).then_some(lost),
                };
                lost = 0;
                number += 1;
                one(output, &view)?;
            }
            output.flush()?;
        }
    })
}

/// Shows what `each` shows, until it ends; an array in JSON, closed whatever happens.
fn stream(
    output: &mut Output<'_>,
    each: impl FnOnce(&mut Output<'_>, &Interrupt) -> Result<()>,
) -> Result<()> {
    let interrupt = Interrupt::catch()?;
    if output.is_json() {
        output.json().begin_array()?;
    }
    output.flush()?;
    let result = each(output, &interrupt);
    if output.is_json() {
        // What went wrong is the last element: the array must end before anything else is said.
        let result = match result {
            Err(failure) => Err(super::dump::error_element(output, failure)?),
            result => result,
        };
        output.json().end_array()?;
        return result.inspect(|()| output.remark("Stopping..."));
    }
    result.inspect(|()| output.remark("Stopping..."))
}

fn one(output: &mut Output<'_>, view: &impl View) -> Result<()> {
    if output.is_json() {
        output.json().value(view)?;
    } else {
        view.text(output.text())?;
    }
    Ok(())
}

fn failed(what: &str, error: AccessError) -> Failure {
    Failure::because(what, error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;

    fn parse(words: &[&str]) -> std::result::Result<Option<(u32, u32)>, String> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        place(&mut Words::new(&words)).map_err(|failure| failure.message().unwrap_or_default())
    }

    #[test]
    fn cpu_and_index_go_together() {
        assert_eq!(parse(&[]), Ok(None));
        assert_eq!(parse(&["cpu", "1", "index", "0x2"]), Ok(Some((1, 2))));
        assert_eq!(parse(&["i", "3", "c", "0"]), Ok(Some((0, 3))));
        let together = "cpu and index must be specified together";
        assert_eq!(parse(&["cpu", "1"]), Err(together.into()));
        assert_eq!(parse(&["index", "1"]), Err(together.into()));
        assert_eq!(parse(&["cpu", "x"]), Err("can't parse x as CPU ID".into()));
        assert_eq!(parse(&["on", "1"]), Err("what is 'on'?".into()));
    }
}
