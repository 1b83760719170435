//! Bytes as the shared memory of buffers: walks stay inside and end, whatever positions and
//! lengths say.

use loader::maps::protocol::ring::{OverwriteWalk, OverwriteWords, Walk, Words};
use loader::maps::protocol::{perf, user_ring};
use loader::maps::{PerfEvent, Record};
use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;

/// Bytes of the data of a buffer.
const SIZE: u64 = 512;

/// Three positions, and data.
struct Memory {
    positions: [Cell<u64>; 3],
    data: RefCell<Vec<u8>>,
}

impl Memory {
    fn byte(&self, position: u64) -> u8 {
        let at = usize::try_from(position % SIZE).expect("small");
        self.data.borrow()[at]
    }

    fn bytes<const N: usize>(&self, position: u64) -> [u8; N] {
        let mut at = position;
        [(); N].map(|()| {
            let byte = self.byte(at);
            at = at.wrapping_add(1);
            byte
        })
    }

    fn copy(&self, position: u64, len: usize) -> Vec<u8> {
        assert!(len <= usize::try_from(SIZE).expect("small"), "{len}");
        (0..len as u64)
            .map(|n| self.byte(position.wrapping_add(n)))
            .collect()
    }
}

impl Words for Memory {
    fn producer(&self) -> u64 {
        self.positions[0].get()
    }
    fn consumer(&self) -> u64 {
        self.positions[1].get()
    }
    fn set_consumer(&self, position: u64) {
        self.positions[1].set(position);
    }
    fn header(&self, position: u64) -> u32 {
        u32::from_ne_bytes(self.bytes(position))
    }
    fn fence(&self) {}
}

impl OverwriteWords for Memory {
    fn overwritten(&self) -> u64 {
        self.positions[2].get()
    }
    fn copy(&self, position: u64, to: &mut [u8]) -> bool {
        to.copy_from_slice(&Self::copy(self, position, to.len()));
        true
    }
    fn load_fence(&self) {}
}

impl perf::Words for Memory {
    fn head(&self) -> u64 {
        self.positions[0].get()
    }
    fn tail(&self) -> u64 {
        self.positions[1].get()
    }
    fn set_tail(&self, position: u64) {
        self.positions[1].set(position);
    }
    fn header(&self, offset: u64) -> (u32, u16) {
        assert!(offset + 8 <= SIZE);
        let kind = u32::from_ne_bytes(self.bytes(offset));
        (kind, u16::from_ne_bytes(self.bytes(offset + 6)))
    }
}

impl user_ring::Words for Memory {
    fn consumer(&self) -> u64 {
        self.positions[1].get()
    }
    fn producer(&self) -> u64 {
        self.positions[0].get()
    }
    fn set_producer(&self, position: u64) {
        self.positions[0].set(position);
    }
    fn set_header(&self, position: u64, _header: u32) {
        assert!(position.is_multiple_of(8));
    }
}

pub(crate) fn run(data: &[u8]) {
    let Some((head, rest)) = data.split_first_chunk::<24>() else {
        return;
    };
    let mut bytes = rest.to_vec();
    bytes.resize(usize::try_from(SIZE).expect("small"), 0);
    let position = |n: usize| {
        let word: [u8; 8] = std::array::from_fn(|i| head[n * 8 + i]);
        Cell::new(u64::from_ne_bytes(word))
    };
    let memory = || Memory {
        positions: [position(0), position(1), position(2)],
        data: RefCell::new(bytes.clone()),
    };
    // Every record moves on by 8 bytes at least.
    let most = usize::try_from(SIZE / 8).expect("small");

    let ring = memory();
    if let Ok(mut walk) = Walk::start(&ring, SIZE, 64) {
        let mut count = 0;
        while let Ok(Some(found)) = walk.step() {
            ring.copy(found.position, found.len as usize);
            count += 1;
            assert!(count <= most);
        }
    }
    let (ring, mut count) = (memory(), 0);
    if let Ok(mut walk) = Walk::start(&ring, SIZE, 64) {
        let ran = walk.run(usize::MAX, |found| {
            ring.copy(found.position, found.len as usize);
            count += 1;
            assert!(count <= most);
            ControlFlow::<()>::Continue(())
        });
        assert!(ran.is_err() || ran == Ok((count, None)));
    }
    let ring = memory();
    if let Ok(mut walk) = OverwriteWalk::start(&ring, SIZE) {
        let (mut count, mut copy) = (0, Vec::new());
        while let Ok(true) = walk.step(&mut copy) {
            count += 1;
            assert!(count <= most);
        }
    }
    let ring = memory();
    if let Ok(mut walk) = perf::Walk::start(&ring, SIZE) {
        let mut count = 0;
        while let Ok(Some(found)) = walk.step() {
            assert!(found.offset + u64::from(found.first) <= SIZE);
            assert!(found.first <= found.len);
            let body = ring.copy(found.offset, usize::from(found.len));
            for with_time in [false, true] {
                let event = PerfEvent::parse(found.kind, Record::of(&body), with_time);
                if let Some(PerfEvent::Sample { data, .. }) = event {
                    assert!(data.to_vec().len() <= body.len());
                }
            }
            count += 1;
            assert!(count <= most);
        }
    }
    let ring = memory();
    let len = u32::from_ne_bytes(ring.bytes(0));
    for len in [len, len % 64] {
        if let Ok(user_ring::Reserved::At(at)) = user_ring::reserve(&ring, SIZE, len) {
            let used = ring.positions[0]
                .get()
                .wrapping_sub(ring.positions[1].get());
            assert!(used <= SIZE);
            user_ring::commit(&ring, at, len, false);
        }
    }
}
