//! The protocols under every order in which two or three threads can run, and every value that a
//! load may give.
//!
//! The threads that play the kernel do what `kernel/bpf/ringbuf.c` does, with its orderings: the
//! lock, the release of the producer's position, the exchange of the header, which is a full
//! barrier, and the acquire of the consumer's position. Bytes of records are relaxed atomics, so a
//! load that nothing orders gives old values. Checks are also run without the ordering that they
//! are there for, and must fail then; all but that of the consumer's position, since no load here
//! comes after a store that follows it.

use super::ring::{self, BUSY, DISCARD, Walk, room};
use super::user_ring::{self, Reserved};
use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
use loom::sync::{Arc, Mutex};
use loom::thread;
use std::ops::ControlFlow;

const SIZE: u64 = 64;
const SLOTS: usize = 8;

/// What is left out, to see that it is needed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Without {
    Nothing,
    /// The barrier before the last look.
    Fence,
    /// The release of headers and of the producer's position.
    Release,
    /// The acquire of headers.
    Acquire,
}

/// A ring of 64 bytes: headers and first words of content, by their place.
struct Shared {
    producer: AtomicU64,
    consumer: AtomicU64,
    headers: [AtomicU32; SLOTS],
    content: [AtomicU32; SLOTS],
    lock: Mutex<()>,
    woken: AtomicBool,
    without: Without,
}

fn slot(position: u64) -> usize {
    usize::try_from(position % SIZE / 8).unwrap()
}

impl Shared {
    fn new(without: Without) -> Arc<Self> {
        Arc::new(Self {
            producer: AtomicU64::new(0),
            consumer: AtomicU64::new(0),
            headers: Default::default(),
            content: Default::default(),
            lock: Mutex::new(()),
            woken: AtomicBool::new(false),
            without,
        })
    }

    /// The kernel: room for a record of 8 bytes.
    fn reserve(&self, capacity: u64) -> Option<u64> {
        let consumer = self.consumer.load(Ordering::Acquire);
        let _turn = self.lock.lock().unwrap();
        let at = self.producer.load(Ordering::Relaxed);
        let end = at + room(8);
        if end - consumer > capacity {
            return None;
        }
        self.headers[slot(at)].store(8 | BUSY, Ordering::Relaxed);
        self.producer.store(end, Ordering::Release);
        Some(at)
    }

    /// The kernel: hands a record over, and wakes whoever waits for it.
    fn commit(&self, at: u64, value: u32, discard: bool) {
        self.content[slot(at + 8)].store(value, Ordering::Relaxed);
        let header = if discard { 8 | DISCARD } else { 8 };
        self.headers[slot(at)].swap(header, Ordering::AcqRel);
        fence(Ordering::SeqCst);
        if self.consumer.load(Ordering::Acquire) == at {
            self.woken.store(true, Ordering::Relaxed);
        }
    }
}

impl ring::Words for Shared {
    fn producer(&self) -> u64 {
        self.producer.load(Ordering::Acquire)
    }

    fn consumer(&self) -> u64 {
        self.consumer.load(Ordering::Acquire)
    }

    fn set_consumer(&self, position: u64) {
        self.consumer.store(position, Ordering::Release);
    }

    fn header(&self, position: u64) -> u32 {
        let order = match self.without {
            Without::Acquire => Ordering::Relaxed,
            _ => Ordering::Acquire,
        };
        self.headers[slot(position)].load(order)
    }

    fn fence(&self) {
        if self.without != Without::Fence {
            fence(Ordering::SeqCst);
        }
    }
}

/// Runs a model in which threads are interrupted this often at most; without a bound three
/// threads take minutes.
fn check(preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(model);
}

fn drain(shared: &Shared) -> Vec<u32> {
    let mut walk = Walk::start(shared, SIZE, 0).unwrap();
    let mut values = Vec::new();
    let ran = walk.run(usize::MAX, |found| {
        assert_eq!(found.len, 8);
        values.push(shared.content[slot(found.position)].load(Ordering::Relaxed));
        ControlFlow::<()>::Continue(())
    });
    assert!(ran.is_ok());
    values
}

/// Two programs write at once: whatever is consumed is whole, and in the end nothing is missing
/// or twice.
fn two_producers(without: Without) {
    check(Some(2), move || {
        let shared = Shared::new(without);
        let programs = [1, 2].map(|value| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let at = shared.reserve(SIZE - 1).unwrap();
                shared.commit(at, value, false);
            })
        });
        let reader = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || drain(&shared))
        };
        let mut values = reader.join().unwrap();
        for program in programs {
            program.join().unwrap();
        }
        values.extend(drain(&shared));
        values.sort_unstable();
        assert_eq!(values, [1, 2]);
    });
}

#[test]
fn records_are_whole() {
    two_producers(Without::Nothing);
}

#[test]
#[should_panic(expected = "left == right")]
fn records_are_whole_only_with_an_acquire() {
    two_producers(Without::Acquire);
}

/// A reader that waits for edges drains once per edge: what it does not see when it looks, it
/// must be woken for.
fn edges(without: Without) {
    check(None, move || {
        let shared = Shared::new(without);
        let program = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                for value in [1, 2] {
                    let at = shared.reserve(SIZE - 1).unwrap();
                    shared.commit(at, value, false);
                }
            })
        };
        let mut values = Vec::new();
        // The edge of what came before the look is spent by it.
        shared.woken.swap(false, Ordering::Relaxed);
        values.extend(drain(&shared));
        program.join().unwrap();
        if values != [1, 2] {
            let woken = shared.woken.load(Ordering::Relaxed);
            assert!(woken, "no edge, and {values:?} of [1, 2] seen");
        }
        values.extend(drain(&shared));
        assert_eq!(values, [1, 2]);
    });
}

#[test]
fn no_wakeup_is_missed() {
    edges(Without::Nothing);
}

#[test]
#[should_panic(expected = "no edge")]
fn wakeups_are_missed_without_the_barrier() {
    edges(Without::Fence);
}

/// A ring with room for one record: the program writes over the first when it was given back.
#[test]
fn lent_records_stay() {
    check(None, move || {
        let shared = Shared::new(Without::Nothing);
        let at = shared.reserve(room(8)).unwrap();
        shared.commit(at, 1, false);
        let program = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                // As long as the record is not given back there is no room.
                if let Some(at) = shared.reserve(room(8)) {
                    // The same bytes, as in a ring that is one record long.
                    shared.content[1].store(2, Ordering::Relaxed);
                    shared.headers[slot(at)].swap(8 | DISCARD, Ordering::AcqRel);
                }
            })
        };
        let mut walk = Walk::start(&*shared, SIZE, 0).unwrap();
        let found = walk.step().unwrap().unwrap();
        assert_eq!(found.position, 8);
        let value = shared.content[1].load(Ordering::Relaxed);
        assert_eq!(value, 1, "a record changed while it was lent");
        drop(walk);
        program.join().unwrap();
    });
}

impl user_ring::Words for Shared {
    fn consumer(&self) -> u64 {
        self.consumer.load(Ordering::Acquire)
    }

    fn producer(&self) -> u64 {
        self.producer.load(Ordering::Acquire)
    }

    fn set_producer(&self, position: u64) {
        let order = match self.without {
            Without::Release => Ordering::Relaxed,
            _ => Ordering::Release,
        };
        self.producer.store(position, order);
    }

    fn set_header(&self, position: u64, header: u32) {
        let order = match self.without {
            Without::Release => Ordering::Relaxed,
            _ => Ordering::Release,
        };
        self.headers[slot(position)].store(header, order);
    }
}

/// Two threads write, a program drains: it never meets a header that was not written, and what it
/// gets is whole.
fn user(without: Without) {
    check(Some(2), move || {
        let shared = Shared::new(without);
        // What a ring that was used before has there.
        for header in &shared.headers {
            header.store(99, Ordering::Relaxed);
        }
        let writers = [1, 2].map(|value| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let turn = shared.lock.lock().unwrap();
                let reserved = user_ring::reserve(&*shared, SIZE, 8).unwrap();
                drop(turn);
                let Reserved::At(at) = reserved else {
                    panic!("there is room for both");
                };
                shared.content[slot(at + 8)].store(value, Ordering::Relaxed);
                user_ring::commit(&*shared, at, 8, false);
            })
        });
        let program = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || kernel_drains(&shared))
        };
        let mut values = program.join().unwrap();
        for writer in writers {
            writer.join().unwrap();
        }
        values.extend(kernel_drains(&shared));
        values.sort_unstable();
        assert_eq!(values, [1, 2]);
    });
}

/// What `bpf_user_ringbuf_drain` does.
fn kernel_drains(shared: &Shared) -> Vec<u32> {
    let mut values = Vec::new();
    loop {
        let producer = shared.producer.load(Ordering::Acquire);
        let consumer = shared.consumer.load(Ordering::Acquire);
        if consumer >= producer {
            return values;
        }
        let header = shared.headers[slot(consumer)].load(Ordering::Acquire);
        assert_eq!(header & !(BUSY | DISCARD), 8, "an old header");
        if header & BUSY != 0 {
            return values;
        }
        values.push(shared.content[slot(consumer + 8)].load(Ordering::Relaxed));
        let next = consumer + room(8);
        shared.consumer.store(next, Ordering::Release);
    }
}

#[test]
fn user_records_are_whole() {
    user(Without::Nothing);
}

#[test]
#[should_panic(expected = "left == right")]
fn user_records_are_whole_only_with_a_release() {
    user(Without::Release);
}
