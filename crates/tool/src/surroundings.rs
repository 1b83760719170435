//! What is known about objects besides what they say themselves: who holds them, where they are
//! pinned. Gathered beside the listing, because each is a few system calls per object.

use std::sync::OnceLock;
use std::thread;

use crate::holders::{Holder, Holders, Search};
use crate::kernel::{Kernel, ObjectKind};
use crate::pins::Pins;
use crate::procfs::{FdInfo, FdInfoReader};
use crate::render::escape::Text;

/// How many descriptors a listing keeps open until the surroundings are known. A process starts
/// with room for 64; growing that while threads run waits for the kernel's grace periods, which
/// take longer than opening an object again.
const KEPT_OPEN: usize = 32;

/// The surroundings of all objects of one kind.
#[derive(Debug)]
pub struct Surroundings {
    holders: Holders,
    pins: Option<Pins>,
    own: Option<FdInfoReader>,
}

impl Surroundings {
    /// Looks at the processes, and at the pins when `with_pins`, while `list` runs.
    pub fn gather<T>(
        kernel: &Kernel,
        kind: ObjectKind,
        with_pins: bool,
        list: impl FnOnce() -> T,
    ) -> (Self, T) {
        let search = OnceLock::new();
        thread::scope(|scope| {
            let helper = scope.spawn(|| search.get_or_init(|| Search::list(kernel, kind)).run());
            let pins = with_pins.then(|| scope.spawn(|| Pins::gather(kernel, kind)));
            let listed = list();
            // the listing is done: help with what is left of the search
            let mut found = search.get_or_init(|| Search::list(kernel, kind)).run();
            found.extend(helper.join().unwrap_or_default());
            let surroundings = Self {
                holders: Holders::of_found(kernel, found),
                pins: pins.map(|pins| pins.join().unwrap_or_default()),
                own: FdInfoReader::open(&kernel.proc_root().join("self")).ok(),
            };
            (surroundings, listed)
        })
    }

    /// The processes that hold an object.
    #[must_use]
    pub fn holders(&self, id: u32) -> Vec<Holder> {
        self.holders.of(id).to_vec()
    }

    /// The paths of an object; `None` when they were not asked for or nothing is pinned.
    #[must_use]
    pub fn pinned(&self, id: u32) -> Option<Vec<Text>> {
        self.pins.as_ref()?.of(id)
    }

    /// What procfs says about an object: from a process that holds it, or else from the
    /// descriptor that `open` gives.
    pub fn fd_info<F: std::os::fd::AsFd>(
        &mut self,
        id: u32,
        open: impl FnOnce() -> Option<F>,
    ) -> FdInfo {
        if let Some(info) = self.holders.fd_info(id) {
            return info;
        }
        let read = |own: &mut FdInfoReader| own.read_own(&open()?).ok();
        self.own.as_mut().and_then(read).unwrap_or_default()
    }
}

/// Objects that were listed and whose surroundings are still to come: the first ones with their
/// descriptors, the others to be opened again by id.
#[derive(Debug)]
pub struct Listed<V, F> {
    items: Vec<(V, Option<F>)>,
}

impl<V, F> Default for Listed<V, F> {
    fn default() -> Self {
        Self { items: Vec::new() }
    }
}

impl<V, F> Listed<V, F> {
    /// Adds an object.
    pub fn push(&mut self, view: V, fd: F) {
        let fd = (self.items.len() < KEPT_OPEN).then_some(fd);
        self.items.push((view, fd));
    }

    /// The objects in the order they were added.
    pub fn into_items(self) -> impl Iterator<Item = (V, Option<F>)> {
        self.items.into_iter()
    }
}
