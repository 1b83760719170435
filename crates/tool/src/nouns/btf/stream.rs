//! Formats many types on two threads and hands the text on in the order of the ids.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use crate::failure::{Failure, Result};

/// How many types make a block: 30 KiB of text, more or less.
const BLOCK: u32 = 256;
/// Fewer types than this are formatted before a thread has started.
const FEW: u32 = 32 * BLOCK;
/// How many blocks may wait for their turn in each thread.
const AHEAD: usize = 8;
/// A text of more bytes than this is handed on in pieces.
pub(super) const LIMIT: usize = 512 * 1024;

/// No larger buffer is kept: one line more than [`LIMIT`], and room to grow.
const KEPT: usize = 2 * LIMIT;

/// Takes what a formatter has when that is more than [`LIMIT`] bytes.
pub(super) type Full<'f> = dyn FnMut(&[u8]) -> std::result::Result<(), Stop> + 'f;
/// What a formatter returns.
pub(super) type Formatted = std::result::Result<(), Stop>;

/// Why a formatter is to go no further.
#[derive(Debug)]
pub(super) enum Stop {
    /// The text is too long to be kept until its turn comes.
    TooLong,
    /// The text could not be handed on.
    Failed(Failure),
}

/// Hands texts on in pieces: calls `format` with a buffer and with what takes the full one.
pub(super) fn in_pieces(
    text: &mut Vec<u8>,
    format: impl FnOnce(&mut Vec<u8>, &mut Full<'_>) -> Formatted,
    mut each: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    text.clear();
    let mut full = |piece: &[u8]| each(piece).map_err(Stop::Failed);
    match format(text, &mut full) {
        Err(Stop::Failed(failure)) => Err(failure),
        // nobody but `full` says that it stops
        Ok(()) | Err(Stop::TooLong) => each(text),
    }
}

/// Calls `format` for every block of `ids`, and `each` for the texts in order.
///
/// Blocks are formatted by whoever is free, so at most a few of them are in memory, however
/// slowly `each` takes them. A text that turns out to be too long to wait is thrown away, and
/// made again when its turn comes, in pieces.
pub(super) fn in_order(
    ids: Range<u32>,
    format: impl Fn(Range<u32>, &mut Vec<u8>, &mut Full<'_>) -> Formatted + Sync,
    mut each: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let blocks = Blocks {
        next: AtomicU32::new(0),
        ids,
    };
    let count = blocks.count();
    if blocks.ids.len() < FEW as usize || !has_two_cpus() {
        let mut text = fresh();
        for n in 0..count {
            in_pieces(
                &mut text,
                |text, full| format(blocks.get(n), text, full),
                &mut each,
            )?;
        }
        return Ok(());
    }
    std::thread::scope(|scope| {
        let (done, finished) = sync_channel(AHEAD);
        let (give_back, spare) = channel();
        let (blocks, format) = (&blocks, &format);
        // without another thread this one formats everything
        drop(
            std::thread::Builder::new()
                .spawn_scoped(scope, move || help(blocks, format, &spare, &done)),
        );
        let mut merge = Merge {
            finished,
            give_back,
            early: BTreeMap::new(),
            spare: Vec::new(),
        };
        for n in 0..count {
            let text = match merge.next(n, blocks, format) {
                Some(text) => {
                    each(&text)?;
                    text
                }
                None => {
                    let mut text = merge.buffer();
                    in_pieces(
                        &mut text,
                        |text, full| format(blocks.get(n), text, full),
                        &mut each,
                    )?;
                    text
                }
            };
            merge.reuse(text);
        }
        Ok(())
    })
}

fn has_two_cpus() -> bool {
    std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() > 1)
}

/// The blocks of a range, dealt out one by one.
struct Blocks {
    next: AtomicU32,
    ids: Range<u32>,
}

impl Blocks {
    fn count(&self) -> u32 {
        self.ids.end.saturating_sub(self.ids.start).div_ceil(BLOCK)
    }

    fn get(&self, n: u32) -> Range<u32> {
        let start = self.ids.start.saturating_add(n.saturating_mul(BLOCK));
        start..start.saturating_add(BLOCK).min(self.ids.end)
    }

    /// A block that nobody has formatted.
    fn take(&self) -> Option<u32> {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        (n < self.count()).then_some(n)
    }
}

/// A block and its text, if that may be kept.
type Numbered = (u32, Option<Vec<u8>>);

/// A buffer that need not grow for most blocks.
fn fresh() -> Vec<u8> {
    Vec::with_capacity(64 * 1024)
}

/// The text of a block whose turn has not come, unless it is too long.
fn ahead(
    ids: Range<u32>,
    mut text: Vec<u8>,
    format: &impl Fn(Range<u32>, &mut Vec<u8>, &mut Full<'_>) -> Formatted,
) -> Option<Vec<u8>> {
    text.clear();
    format(ids, &mut text, &mut |_| Err(Stop::TooLong)).ok()?;
    (text.capacity() <= KEPT).then_some(text)
}

/// The other thread: formats until there is nothing left, or nobody listens.
fn help(
    blocks: &Blocks,
    format: &(impl Fn(Range<u32>, &mut Vec<u8>, &mut Full<'_>) -> Formatted + Sync),
    spare: &Receiver<Vec<u8>>,
    done: &SyncSender<Numbered>,
) {
    while let Some(n) = blocks.take() {
        let text = spare.try_recv().unwrap_or_else(|_| fresh());
        if done.send((n, ahead(blocks.get(n), text, format))).is_err() {
            return;
        }
    }
}

/// This thread: formats too, and puts the texts in order.
struct Merge {
    finished: Receiver<Numbered>,
    give_back: Sender<Vec<u8>>,
    /// Texts that came before their turn.
    early: BTreeMap<u32, Option<Vec<u8>>>,
    spare: Vec<Vec<u8>>,
}

impl Merge {
    /// The text of block `n`; `None` when it is still to be made.
    ///
    /// While it is not there other blocks are formatted. This never waits: on a busy machine the
    /// other thread may not run for long, and then its block is formatted here too.
    fn next(
        &mut self,
        n: u32,
        blocks: &Blocks,
        format: &impl Fn(Range<u32>, &mut Vec<u8>, &mut Full<'_>) -> Formatted,
    ) -> Option<Vec<u8>> {
        loop {
            if let Some(text) = self.early.remove(&n) {
                return text;
            }
            // only as many as are needed: taking one lets the other thread go on
            match self.finished.try_recv() {
                Ok((at, text)) if at < n => {
                    self.reuse(text.unwrap_or_default());
                    continue;
                }
                Ok((at, text)) => {
                    self.early.insert(at, text);
                    continue;
                }
                Err(_) => {}
            }
            if self.early.len() >= AHEAD {
                return None;
            }
            match blocks.take() {
                Some(own) if own != n => {
                    let text = self.buffer();
                    self.early.insert(own, ahead(blocks.get(own), text, format));
                }
                _ => return None,
            }
        }
    }

    fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_else(fresh)
    }

    /// Keeps a buffer for later, unless a long text made it large.
    fn reuse(&mut self, text: Vec<u8>) {
        if text.capacity() == 0 || text.capacity() > KEPT {
            return;
        }
        if self.spare.len() < AHEAD {
            self.spare.push(text);
        } else {
            // the other thread may have ended
            drop(self.give_back.send(text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;

    fn write(ids: Range<u32>, text: &mut Vec<u8>, _: &mut Full<'_>) -> Formatted {
        for id in ids {
            text.extend_from_slice(&id.to_ne_bytes());
        }
        Ok(())
    }

    fn all(ids: Range<u32>) -> Vec<u8> {
        let mut text = Vec::new();
        write(ids, &mut text, &mut |_| Ok(())).unwrap();
        text
    }

    #[test]
    fn texts_come_in_order_for_any_number_of_ids() {
        for ids in [1..1, 1..2, 1..1025, 5..FEW, 5..FEW * 3 + 7] {
            let mut got = Vec::new();
            in_order(ids.clone(), write, |text| {
                got.extend_from_slice(text);
                Ok(())
            })
            .unwrap();
            assert!(got == all(ids.clone()), "{ids:?}");
        }
    }

    #[test]
    fn a_failing_reader_ends_it() {
        let mut calls = 0;
        let result = in_order(1..FEW * 50, write, |_| {
            calls += 1;
            if calls < 3 {
                Ok(())
            } else {
                Err(Failure::shown(7))
            }
        });
        assert_eq!(result.unwrap_err().status(), 7);
        assert_eq!(calls, 3);
    }

    #[test]
    fn long_texts_come_in_pieces() {
        // one id in a thousand has a long text
        let long = |id: u32| if id % 1000 == 7 { LIMIT * 3 } else { 4 };
        let format = |ids: Range<u32>, text: &mut Vec<u8>, full: &mut Full<'_>| {
            for id in ids {
                for byte in id.to_ne_bytes().into_iter().cycle().take(long(id)) {
                    text.push(byte);
                    if text.len() >= LIMIT {
                        full(text)?;
                        text.clear();
                    }
                }
            }
            Ok(())
        };
        for ids in [0..FEW - 1, 0..FEW + 1000] {
            let mut at = ids.clone().flat_map(|id| {
                let bytes = id.to_ne_bytes().into_iter();
                bytes.cycle().take(long(id))
            });
            in_order(ids, format, |text| {
                assert!(text.len() <= LIMIT, "{}", text.len());
                assert!(text.iter().all(|byte| at.next() == Some(*byte)));
                Ok(())
            })
            .unwrap();
            assert_eq!(at.next(), None);
        }
    }
}
