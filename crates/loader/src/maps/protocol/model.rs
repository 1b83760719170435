//! The walks against a model of the kernel's half, in one thread.

use super::Damage;
use super::perf;
use super::ring::{BUSY, DISCARD, Found, HEADER, OverwriteWalk, OverwriteWords, Walk, Words, room};
use super::user_ring::{self, Reserved};
use proptest::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ops::ControlFlow;

/// Memory of a ring buffer, with the kernel's way to fill it.
struct Ring {
    size: u64,
    producer: Cell<u64>,
    consumer: Cell<u64>,
    overwritten: Cell<u64>,
    data: RefCell<Vec<u8>>,
    stores: Cell<u32>,
    /// Reserved in the middle of the next copy, as another CPU would.
    intruders: RefCell<VecDeque<Vec<u8>>>,
}

impl Ring {
    fn new(size: u64) -> Self {
        Self {
            size,
            producer: Cell::new(0),
            consumer: Cell::new(0),
            overwritten: Cell::new(0),
            data: RefCell::new(vec![0; size.try_into().unwrap()]),
            stores: Cell::new(0),
            intruders: RefCell::default(),
        }
    }

    fn at(position: u64, size: u64) -> usize {
        (position % size).try_into().unwrap()
    }

    fn put(&self, position: u64, bytes: &[u8]) {
        let mut data = self.data.borrow_mut();
        for (n, byte) in (0..).zip(bytes) {
            data[Self::at(position.wrapping_add(n), self.size)] = *byte;
        }
    }

    fn get(&self, found: Found) -> Vec<u8> {
        let data = self.data.borrow();
        (0..u64::from(found.len))
            .map(|n| data[Self::at(found.position.wrapping_add(n), self.size)])
            .collect()
    }

    fn reserve(&self, len: u32, overwrite: bool) -> Option<u64> {
        let at = self.producer.get();
        let end = at + room(len);
        if room(len) > self.size {
            return None;
        }
        if overwrite {
            let mut over = self.overwritten.get();
            while end - over > self.size - 1 {
                let header = self.header(over);
                assert_eq!(header & BUSY, 0, "the model commits before it reserves");
                over += room(header & !DISCARD);
            }
            self.overwritten.set(over);
        } else if end - self.consumer.get() > self.size - 1 {
            return None;
        }
        self.put(at, &(len | BUSY).to_ne_bytes());
        self.put(at + 4, &[0xee; 4]);
        self.producer.set(end);
        Some(at)
    }

    fn commit(&self, at: u64, bytes: &[u8], discard: bool) {
        self.put(at + HEADER, bytes);
        let len = u32::try_from(bytes.len()).unwrap();
        let bit = if discard { DISCARD } else { 0 };
        self.put(at, &(len | bit).to_ne_bytes());
    }

    fn output(&self, bytes: &[u8], overwrite: bool) -> bool {
        let len = u32::try_from(bytes.len()).unwrap();
        let at = self.reserve(len, overwrite);
        at.is_some_and(|at| {
            self.commit(at, bytes, false);
            true
        })
    }
}

impl Words for Ring {
    fn producer(&self) -> u64 {
        self.producer.get()
    }

    fn consumer(&self) -> u64 {
        self.consumer.get()
    }

    fn set_consumer(&self, position: u64) {
        self.stores.set(self.stores.get() + 1);
        self.consumer.set(position);
    }

    fn header(&self, position: u64) -> u32 {
        let data = self.data.borrow();
        let byte = |n| data[Self::at(position.wrapping_add(n), self.size)];
        u32::from_ne_bytes([byte(0), byte(1), byte(2), byte(3)])
    }

    fn fence(&self) {}
}

impl OverwriteWords for Ring {
    fn overwritten(&self) -> u64 {
        self.overwritten.get()
    }

    fn copy(&self, position: u64, to: &mut [u8]) -> bool {
        let len = u32::try_from(to.len()).unwrap();
        let bytes = self.get(Found { position, len });
        to.copy_from_slice(&bytes);
        let intruder = self.intruders.borrow_mut().pop_front();
        if let Some(intruder) = intruder {
            assert!(self.output(&intruder, true));
        }
        true
    }

    fn load_fence(&self) {}
}

fn drain(ring: &Ring, hold: u64) -> Vec<Vec<u8>> {
    let mut walk = Walk::start(ring, ring.size, hold).unwrap();
    let mut out = Vec::new();
    let ran = walk.run(usize::MAX, |found| {
        out.push(ring.get(found));
        ControlFlow::<()>::Continue(())
    });
    assert_eq!(ran, Ok((out.len(), None)));
    out
}

#[test]
fn records_come_in_the_order_of_reservation() {
    let ring = Ring::new(256);
    let first = ring.reserve(3, false).unwrap();
    let second = ring.reserve(5, false).unwrap();
    ring.commit(second, b"12345", false);
    assert!(drain(&ring, 0).is_empty());
    ring.commit(first, b"abc", false);
    assert_eq!(drain(&ring, 0), [b"abc".to_vec(), b"12345".to_vec()]);
    assert_eq!(ring.consumer.get(), ring.producer.get());
}

#[test]
fn discarded_records_are_skipped_and_given_back() {
    let ring = Ring::new(256);
    let at = ring.reserve(9, false).unwrap();
    ring.commit(at, b"discarded", true);
    assert!(drain(&ring, 0).is_empty());
    assert_eq!(ring.consumer.get(), 24);
    assert!(ring.output(b"", false));
    assert_eq!(drain(&ring, 0), [b"".to_vec()]);
    assert_eq!(ring.consumer.get(), 32);
}

#[test]
fn a_position_is_stored_for_many_records() {
    let ring = Ring::new(4096);
    for _ in 0..100 {
        assert!(ring.output(b"12345678", false));
    }
    let mut walk = Walk::start(&ring, ring.size, 512).unwrap();
    let mut before = 0;
    while walk.step().unwrap().is_some() {
        // What is handed out is not given back yet.
        assert!(ring.consumer.get() < walk.position());
        assert!(walk.position() - ring.consumer.get() <= 512 + 16);
        before = ring.consumer.get();
    }
    drop(walk);
    assert!(before < 1600);
    assert_eq!(ring.consumer.get(), 1600);
    assert_eq!(ring.stores.get(), 4);
}

#[test]
fn a_walk_that_ends_early_gives_back_what_it_handed_out() {
    let ring = Ring::new(256);
    for byte in 0..4 {
        assert!(ring.output(&[byte], false));
    }
    let mut walk = Walk::start(&ring, ring.size, 1 << 20).unwrap();
    assert!(walk.step().unwrap().is_some());
    assert!(walk.step().unwrap().is_some());
    assert_eq!(ring.consumer.get(), 0);
    drop(walk);
    assert_eq!(ring.consumer.get(), 32);
    assert_eq!(drain(&ring, 0), [[2], [3]]);
}

#[test]
fn a_run_ends_where_it_is_told() {
    let ring = Ring::new(256);
    for byte in 0..6 {
        assert!(ring.output(&[byte], false));
    }
    let discarded = ring.reserve(1, false).unwrap();
    ring.commit(discarded, &[6], true);
    assert!(ring.output(&[7], false));
    let go = |limit, stop: Option<u8>| {
        let mut walk = Walk::start(&ring, ring.size, 64).unwrap();
        let mut seen = Vec::new();
        let ran = walk.run(limit, |found| {
            seen.extend(ring.get(found));
            match seen.last() == stop.as_ref() {
                true => ControlFlow::Break("enough"),
                false => ControlFlow::Continue(()),
            }
        });
        (seen, ran.unwrap())
    };
    assert_eq!(go(0, None), (vec![], (0, None)));
    assert_eq!(go(2, None), (vec![0, 1], (2, None)));
    assert_eq!(ring.consumer.get(), 32);
    assert_eq!(go(9, Some(3)), (vec![2, 3], (2, Some("enough"))));
    assert_eq!(ring.consumer.get(), 64);
    assert_eq!(go(3, Some(7)), (vec![4, 5, 7], (3, Some("enough"))));
    assert_eq!(go(3, None), (vec![], (0, None)));
    assert_eq!(ring.consumer.get(), ring.producer.get());
}

#[test]
fn damage_is_told_once_a_step() {
    let damage = |ring: &Ring| -> Damage {
        let mut walk = match Walk::start(ring, ring.size, 0) {
            Ok(walk) => walk,
            Err(damage) => return damage,
        };
        loop {
            match walk.step() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("no damage"),
                Err(damage) => return damage,
            }
        }
    };
    let ring = Ring::new(256);
    assert!(ring.output(b"12345678", false));
    ring.put(0, &9_u32.to_ne_bytes());
    assert_eq!(damage(&ring).position, 0);
    ring.put(0, &(BUSY - 1).to_ne_bytes());
    ring.put(0, &(DISCARD - 1).to_ne_bytes());
    assert_eq!(
        damage(&ring).what,
        "a record is longer than what was written"
    );
    ring.consumer.set(4);
    assert_eq!(damage(&ring).what, "the consumer's position is odd");
    ring.consumer.set(24);
    assert_eq!(damage(&ring).position, 24);
    ring.consumer.set(0);
    ring.producer.set(257 * 8);
    assert_eq!(damage(&ring).position, 0);
    ring.producer.set(12);
    assert_eq!(damage(&ring).position, 12);
}

#[test]
fn positions_may_run_over() {
    let ring = Ring::new(256);
    let start = u64::MAX - 15;
    ring.producer.set(start);
    ring.consumer.set(start);
    ring.put(start, &4_u32.to_ne_bytes());
    ring.put(start + 8, b"last");
    ring.put(0, &5_u32.to_ne_bytes());
    ring.put(8, b"first");
    ring.producer.set(16);
    assert_eq!(drain(&ring, 0), [b"last".to_vec(), b"first".to_vec()]);
    assert_eq!(ring.consumer.get(), 16);
}

fn drain_copies(ring: &Ring) -> (Vec<Vec<u8>>, u64) {
    let mut walk = OverwriteWalk::start(ring, ring.size).unwrap();
    let (mut out, mut copy) = (Vec::new(), Vec::new());
    while walk.step(&mut copy).unwrap() {
        out.push(copy.clone());
    }
    (out, walk.lost())
}

#[test]
fn the_newest_are_kept_when_old_ones_are_overwritten() {
    let ring = Ring::new(128);
    for byte in 0..20_u8 {
        assert!(ring.output(&[byte; 8], true));
    }
    // 8 records of 16 bytes, but for one whose room is never all used.
    let (records, lost) = drain_copies(&ring);
    assert_eq!(records, (13..20).map(|n| vec![n; 8]).collect::<Vec<_>>());
    assert_eq!(lost, 13 * 16);
    assert_eq!(drain_copies(&ring), (Vec::new(), 0));
    assert!(ring.output(b"one more", true));
    assert_eq!(drain_copies(&ring), (vec![b"one more".to_vec()], 0));
}

#[test]
fn a_copy_that_was_overwritten_does_not_count() {
    let ring = Ring::new(128);
    for byte in 0..7_u8 {
        assert!(ring.output(&[byte; 8], true));
    }
    // While the first is copied, one is written over it; then two more, of other lengths.
    let mut intruders = ring.intruders.borrow_mut();
    intruders.push_back(vec![100; 8]);
    intruders.push_back(vec![101; 40]);
    drop(intruders);
    let (records, lost) = drain_copies(&ring);
    let mut expect: Vec<_> = (4..7_u8).map(|n| vec![n; 8]).collect();
    expect.extend([vec![100; 8], vec![101; 40]]);
    assert_eq!(records, expect);
    assert_eq!(lost, 4 * 16);
}

#[test]
fn impossible_overwritten_positions_end() {
    let ring = Ring::new(128);
    ring.overwritten.set(1 << 20);
    let mut walk = OverwriteWalk::start(&ring, ring.size).unwrap();
    let damage = walk.step(&mut Vec::new()).unwrap_err();
    assert_eq!(damage.what, "more was overwritten than written");
}

#[derive(Clone, Debug)]
enum Step {
    Reserve(u8),
    Commit(prop::sample::Index, bool),
    Consume(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        any::<u8>().prop_map(Step::Reserve),
        (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(n, d)| Step::Commit(n, d)),
        any::<u8>().prop_map(Step::Consume),
    ];
    prop::collection::vec(step, 0..200)
}

/// Words that say anything, for a while.
struct Anything {
    words: RefCell<VecDeque<u64>>,
}

impl Anything {
    fn any(&self) -> u64 {
        self.words.borrow_mut().pop_front().unwrap_or(0)
    }
}

impl Words for Anything {
    fn producer(&self) -> u64 {
        self.any()
    }
    fn consumer(&self) -> u64 {
        self.any()
    }
    fn set_consumer(&self, _position: u64) {}
    fn header(&self, _position: u64) -> u32 {
        u32::try_from(self.any() & 0xffff_ffff).unwrap()
    }
    fn fence(&self) {}
}

impl OverwriteWords for Anything {
    fn overwritten(&self) -> u64 {
        self.any()
    }
    fn copy(&self, _position: u64, to: &mut [u8]) -> bool {
        assert!(to.len() <= 4096);
        true
    }
    fn load_fence(&self) {}
}

impl perf::Words for Anything {
    fn head(&self) -> u64 {
        self.any()
    }
    fn tail(&self) -> u64 {
        self.any()
    }
    fn set_tail(&self, _position: u64) {}
    fn header(&self, offset: u64) -> (u32, u16) {
        assert!(offset.is_multiple_of(8) && offset < 4096);
        let word = self.any();
        (1, u16::try_from(word & 0xffff).unwrap())
    }
}

fn words() -> impl Strategy<Value = VecDeque<u64>> {
    let word = prop_oneof![
        0_u64..64,
        (0_u64..520).prop_map(|n| n * 8),
        any::<u64>(),
        Just(u64::from(BUSY) | 8),
        Just(u64::from(DISCARD) | 8),
        Just(u64::MAX - 7),
    ];
    prop::collection::vec(word, 1..60).prop_map(VecDeque::from)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_committed_is_what_is_consumed(steps in steps(), hold in 0_u64..300) {
        let ring = Ring::new(256);
        let mut open = Vec::new();
        let mut written: VecDeque<(u64, Option<Vec<u8>>)> = VecDeque::new();
        let mut count = 0_u8;
        for step in steps {
            match step {
                Step::Reserve(len) => {
                    if let Some(at) = ring.reserve(u32::from(len), false) {
                        count = count.wrapping_add(1);
                        let bytes = vec![count; usize::from(len)];
                        written.push_back((at, None));
                        open.push((at, bytes));
                    }
                }
                Step::Commit(which, discard) if !open.is_empty() => {
                    let (at, bytes) = open.remove(which.index(open.len()));
                    ring.commit(at, &bytes, discard);
                    let mine = written.iter().position(|(own, _)| *own == at).unwrap();
                    match discard {
                        true => written[mine].1 = Some(vec![0xdd]),
                        false => written[mine].1 = Some([&[0][..], &bytes].concat()),
                    }
                }
                Step::Commit(..) => {}
                Step::Consume(limit) => {
                    let mut walk = Walk::start(&ring, ring.size, hold).unwrap();
                    for _ in 0..limit {
                        // What is expected next: discarded ones do not count.
                        while written.front().is_some_and(|(_, b)| *b == Some(vec![0xdd])) {
                            written.pop_front();
                        }
                        let Some(found) = walk.step().unwrap() else {
                            prop_assert!(written.front().is_none_or(|(_, b)| b.is_none()));
                            break;
                        };
                        let (at, bytes) = written.pop_front().unwrap();
                        prop_assert_eq!(found.position, at + HEADER);
                        let expect = bytes.unwrap();
                        prop_assert_eq!(ring.get(found), &expect[1..]);
                    }
                }
            }
        }
    }

    #[test]
    fn walks_of_anything_end_inside(words in words()) {
        let anything = Anything { words: RefCell::new(words) };
        if let Ok(mut walk) = Walk::start(&anything, 4096, 64) {
            for _ in 0..1000 {
                match walk.step() {
                    Ok(Some(found)) => prop_assert!(u64::from(found.len) <= 4096),
                    Ok(None) | Err(_) => break,
                }
            }
        }
        if let Ok(mut walk) = OverwriteWalk::start(&anything, 4096) {
            let mut copy = Vec::new();
            for _ in 0..1000 {
                match walk.step(&mut copy) {
                    Ok(true) => prop_assert!(copy.len() <= 4096),
                    Ok(false) | Err(_) => break,
                }
            }
        }
        if let Ok(mut walk) = perf::Walk::start(&anything, 4096) {
            for _ in 0..1000 {
                match walk.step() {
                    Ok(Some(found)) => {
                        prop_assert!(found.first <= found.len && found.offset < 4096);
                        prop_assert!(found.offset + u64::from(found.first) <= 4096);
                        prop_assert!(u64::from(found.len) <= 4096);
                    }
                    Ok(None) | Err(_) => break,
                }
            }
        }
    }

    #[test]
    fn user_records_are_what_the_kernel_peeks(lens in prop::collection::vec(0_u32..300, 0..40)) {
        let ring = Ring::new(256);
        for len in lens {
            let reserved = user_ring::reserve(&ring, ring.size, len).unwrap();
            if room(len) > ring.size {
                prop_assert_eq!(reserved, Reserved::TooLong);
                continue;
            }
            let Reserved::At(at) = reserved else {
                // The kernel drains everything.
                prop_assert_eq!(reserved, Reserved::Full);
                ring.consumer.set(ring.producer.get());
                continue;
            };
            prop_assert_eq!(Words::header(&ring, at), len | BUSY);
            prop_assert!(ring.producer.get() - ring.consumer.get() <= ring.size);
            user_ring::commit(&ring, at, len, len % 3 == 0);
            let bit = if len % 3 == 0 { DISCARD } else { 0 };
            prop_assert_eq!(Words::header(&ring, at), len | bit);
        }
    }
}

impl user_ring::Words for Ring {
    fn consumer(&self) -> u64 {
        self.consumer.get()
    }
    fn producer(&self) -> u64 {
        self.producer.get()
    }
    fn set_producer(&self, position: u64) {
        self.producer.set(position);
    }
    fn set_header(&self, position: u64, header: u32) {
        self.put(position, &header.to_ne_bytes());
    }
}

#[test]
fn positions_that_are_not_of_one_ring_are_damage() {
    let ring = Ring::new(256);
    ring.producer.set(512);
    assert!(user_ring::reserve(&ring, ring.size, 8).is_err());
    ring.producer.set(4);
    assert!(user_ring::reserve(&ring, ring.size, 8).is_err());
    let too_long = user_ring::reserve(&ring, ring.size, BUSY).unwrap();
    assert_eq!(too_long, Reserved::TooLong);
}
