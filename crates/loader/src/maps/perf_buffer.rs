//! Perf buffers: one ring for each CPU, behind an array of perf events.

use super::error::{AccessCause, AccessError, Named};
use super::perf_event::PerfEvent;
use super::protocol::perf::{Found, Walk, Words};
use super::record::Record;
use super::ringbuf::damaged;
use super::wait::Waiter;
use bpfsys::cmd::{MapDeleteElem, MapUpdateElem};
use bpfsys::sys::mmap::{Access, Mapping, page_size};
use bpfsys::sys::perf_event::{PerfEvent as EventFd, Target};
use bpfsys::uapi::perf::{
    FLAG_WATERMARK, MMAP_DATA_HEAD, MMAP_DATA_TAIL, PerfEventAttr, SAMPLE_RAW, SAMPLE_TIME,
    SW_BPF_OUTPUT, TYPE_SOFTWARE,
};
use bpfsys::{ErrorKind, MapFd, MapType, cpus};
use core::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

/// How a perf buffer is made.
#[derive(Clone, Debug)]
#[must_use]
pub struct PerfBufferOptions {
    pages: usize,
    wakeup: Wakeup,
    times: bool,
    cpus: Option<Vec<(u32, u32)>>,
}

/// When a reader that waits is woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wakeup {
    /// After this many events; 0 is as 1.
    Events(u32),
    /// Once this many bytes wait to be read; 0 is half of the ring.
    Bytes(u32),
}

impl Default for PerfBufferOptions {
    fn default() -> Self {
        Self {
            pages: 64,
            wakeup: Wakeup::Events(1),
            times: false,
            cpus: None,
        }
    }
}

impl PerfBufferOptions {
    /// 64 pages for each CPU that runs, a wake-up for each event, no times.
    pub fn new() -> Self {
        Self::default()
    }

    /// Pages of each ring, a power of two.
    pub fn pages(mut self, pages: usize) -> Self {
        self.pages = pages;
        self
    }

    /// When a reader that waits is woken.
    pub fn wakeup(mut self, wakeup: Wakeup) -> Self {
        self.wakeup = wakeup;
        self
    }

    /// Whether events have a time.
    pub fn times(mut self, times: bool) -> Self {
        self.times = times;
        self
    }

    /// These CPUs only, each with the element of the map where its ring goes. All of them must
    /// run.
    pub fn cpus(mut self, cpus: Vec<(u32, u32)>) -> Self {
        self.cpus = Some(cpus);
        self
    }

    fn attr(&self) -> PerfEventAttr {
        let mut attr = PerfEventAttr::new(TYPE_SOFTWARE, SW_BPF_OUTPUT);
        attr.sample_type = SAMPLE_RAW;
        if self.times {
            attr.sample_type |= SAMPLE_TIME;
        }
        attr.sample_period = 1;
        match self.wakeup {
            Wakeup::Events(count) => attr.wakeup = count.max(1),
            Wakeup::Bytes(bytes) => {
                attr.flags |= FLAG_WATERMARK;
                attr.wakeup = bytes;
            }
        }
        attr
    }
}

/// The reading end of a map of type `perf_event_array` that programs write events to.
///
/// The rings are the map's elements for as long as this lives. CPUs that do not run have none:
/// programs on a CPU that starts later are refused.
///
/// ```no_run
/// use loader::maps::{PerfBuffer, PerfBufferOptions, PerfEvent};
/// # fn example(map: &bpfsys::MapFd) -> Result<(), loader::maps::AccessError> {
/// let mut buffer = PerfBuffer::new(map, &PerfBufferOptions::new())?;
/// buffer.poll(None, |cpu, event| match event {
///     PerfEvent::Sample { data, .. } => println!("cpu {cpu}: {} bytes", data.len()),
///     PerfEvent::Lost { count, .. } => println!("cpu {cpu}: {count} events lost"),
///     _ => {}
/// })?;
/// # Ok(())
/// # }
/// ```
#[doc(alias = "perf_buffer__new")]
#[doc(alias = "BPF_MAP_TYPE_PERF_EVENT_ARRAY")]
pub struct PerfBuffer {
    named: Named,
    buffers: Vec<CpuBuffer>,
    waiter: Waiter,
    times: bool,
    scratch: Vec<u8>,
}

/// The ring of one CPU.
pub struct CpuBuffer {
    // Unmapped before the event is closed.
    memory: Memory,
    event: EventFd,
    cpu: u32,
    index: u32,
    lost: u64,
}

/// The page of positions, and the ring behind it.
struct Memory {
    mapping: Mapping,
    page: usize,
    size: u64,
}

impl Memory {
    fn offset(&self, offset: u64) -> usize {
        usize::try_from(offset).map_or(usize::MAX, |at| self.page.saturating_add(at))
    }

    /// The bytes of a record, out of one piece; copied if they are two.
    fn body<'a>(&'a self, found: Found, scratch: &'a mut Vec<u8>) -> Option<Record<'a>> {
        let (len, first) = (usize::from(found.len), usize::from(found.first));
        let start = self.offset(found.offset);
        if first == len {
            return Some(Record::shared(&self.mapping, start, len));
        }
        scratch.resize(len, 0);
        let (head, tail) = scratch.split_at_mut_checked(first)?;
        self.mapping.read(start, head)?;
        self.mapping.read(self.offset(0), tail)?;
        Some(Record::of(scratch))
    }
}

impl Words for Memory {
    fn head(&self) -> u64 {
        self.mapping.load_u64(MMAP_DATA_HEAD).unwrap_or(0)
    }

    fn tail(&self) -> u64 {
        self.mapping.load_u64(MMAP_DATA_TAIL).unwrap_or(0)
    }

    fn set_tail(&self, position: u64) {
        // Mapped for writing, and the page has that word.
        let _stored = self.mapping.store_u64(MMAP_DATA_TAIL, position);
    }

    fn header(&self, offset: u64) -> (u32, u16) {
        let mut header = [0; 8];
        // Offsets are below the size and multiples of 8; a header of zeros is an impossible one.
        let _read = self.mapping.read(self.offset(offset), &mut header);
        let [a, b, c, d, _, _, e, f] = header;
        (u32::from_ne_bytes([a, b, c, d]), u16::from_ne_bytes([e, f]))
    }
}

impl PerfBuffer {
    /// Opens a ring for each CPU that runs and that the map has an element for, and puts them
    /// there. The map's descriptor is duplicated.
    ///
    /// # Errors
    /// The map is no array of perf events; the number of pages is no power of two; the kernel
    /// refuses the memory (`EPERM` beyond `perf_event_mlock_kb`) or an event.
    pub fn new(map: &MapFd, options: &PerfBufferOptions) -> Result<Self, AccessError> {
        let named = Named::duplicate(map)?;
        named.require(MapType::PERF_EVENT_ARRAY, "array of perf events")?;
        let unsuited = |why| AccessError::new(&named.name, AccessCause::Unsuited(why));
        if !options.pages.is_power_of_two() {
            return Err(unsuited("the number of pages for it is no power of two"));
        }
        let size = options.pages.checked_mul(page_size());
        let size = size.ok_or_else(|| unsuited("so many pages are larger than memory can be"))?;
        let waiter = Waiter::new().map_err(named.sys("prepare to wait"))?;
        let wanted = match &options.cpus {
            Some(cpus) => cpus.clone(),
            None => {
                let online = cpus::online().map_err(named.sys("list the cpus that run"))?;
                // One element for each CPU, as many as there are.
                let has = |cpu: &u32| *cpu < named.info.max_entries;
                online
                    .into_iter()
                    .filter(has)
                    .map(|cpu| (cpu, cpu))
                    .collect()
            }
        };
        let mut buffer = Self {
            named,
            buffers: Vec::with_capacity(wanted.len()),
            waiter,
            times: options.times,
            scratch: Vec::new(),
        };
        let attr = options.attr();
        for (cpu, index) in wanted {
            match buffer.add(attr, size, cpu, index) {
                Ok(()) => {}
                // Stopped since it was listed.
                Err(error) if options.cpus.is_none() && is_gone(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(buffer)
    }

    fn add(
        &mut self,
        attr: PerfEventAttr,
        size: usize,
        cpu: u32,
        index: u32,
    ) -> Result<(), AccessError> {
        let named = &self.named;
        let no_cpu = || AccessError::new(&named.name, AccessCause::NoCpu { cpu });
        let target = Target {
            pid: -1,
            cpu: i32::try_from(cpu).map_err(|_too_large| no_cpu())?,
        };
        let event = EventFd::open(attr, target).map_err(named.sys(OPEN))?;
        let page = page_size();
        let len = size.checked_add(page).ok_or_else(no_cpu)?;
        let mapping = Mapping::new(&event, len, 0, Access::ReadWrite)
            .map_err(named.sys("map the ring of a cpu"))?;
        event
            .enable()
            .map_err(named.sys("start the events of a cpu"))?;
        let value = event.as_fd().as_raw_fd().to_ne_bytes();
        MapUpdateElem::new(&named.map, &index.to_ne_bytes(), &value)
            .run()
            .map_err(named.sys("put the events of a cpu into it"))?;
        // From here on, dropping this takes the element out again.
        self.buffers.push(CpuBuffer {
            memory: Memory {
                mapping,
                page,
                size: u64::try_from(size).unwrap_or(0),
            },
            event,
            cpu,
            index,
            lost: 0,
        });
        let added = self.buffers.len().saturating_sub(1);
        if let Some(buffer) = self.buffers.last() {
            self.waiter
                .add_readable(&buffer.event, added)
                .map_err(named.sys("wait for events"))?;
        }
        Ok(())
    }

    /// Waits until a CPU has events, as many as the options say, and reads all there are on those
    /// CPUs; how many. `None` waits for ever, and a signal ends the wait.
    ///
    /// The callback gets the number of the CPU.
    ///
    /// # Errors
    /// What is in the shared memory is none of a ring. What waits on that CPU is skipped then.
    #[doc(alias = "perf_buffer__poll")]
    pub fn poll(
        &mut self,
        timeout: Option<Duration>,
        mut each: impl FnMut(u32, PerfEvent<'_>),
    ) -> Result<usize, AccessError> {
        let ready = self
            .waiter
            .wait(timeout)
            .map_err(self.named.sys("wait for events"))?;
        let mut events = 0_usize;
        for at in ready {
            if let Some(buffer) = self.buffers.get_mut(at) {
                let (times, scratch) = (self.times, &mut self.scratch);
                let read = buffer.read(&self.named.name, times, scratch, &mut each)?;
                events = events.saturating_add(read);
            }
        }
        Ok(events)
    }

    /// Reads all events there are on all CPUs, without waiting; how many.
    ///
    /// # Errors
    /// As [`poll`](Self::poll).
    #[doc(alias = "perf_buffer__consume")]
    pub fn consume(
        &mut self,
        mut each: impl FnMut(u32, PerfEvent<'_>),
    ) -> Result<usize, AccessError> {
        let mut events = 0_usize;
        for at in 0..self.buffers.len() {
            let read = self.consume_one(at, &mut each)?;
            events = events.saturating_add(read);
        }
        Ok(events)
    }

    /// Reads all events of one ring, by its place in [`buffers`](Self::buffers); how many.
    ///
    /// # Errors
    /// As [`poll`](Self::poll).
    #[doc(alias = "perf_buffer__consume_buffer")]
    pub fn consume_one(
        &mut self,
        at: usize,
        mut each: impl FnMut(u32, PerfEvent<'_>),
    ) -> Result<usize, AccessError> {
        let (times, scratch) = (self.times, &mut self.scratch);
        match self.buffers.get_mut(at) {
            Some(buffer) => buffer.read(&self.named.name, times, scratch, &mut each),
            None => Ok(0),
        }
    }

    /// The rings.
    #[must_use]
    pub fn buffers(&self) -> &[CpuBuffer] {
        &self.buffers
    }

    /// Events that found no room, as far as the kernel has told: it does with the next event that
    /// finds some.
    #[must_use]
    pub fn lost(&self) -> u64 {
        let lost = self.buffers.iter().map(CpuBuffer::lost);
        lost.fold(0, u64::saturating_add)
    }
}

/// What is being done when a CPU turns out not to run.
const OPEN: &str = "open the events of a cpu";

/// Whether a CPU does not run.
fn is_gone(error: &AccessError) -> bool {
    match error.cause() {
        AccessCause::Sys { step, source } => *step == OPEN && source.kind() == ErrorKind::NotFound,
        _ => false,
    }
}

impl Drop for PerfBuffer {
    fn drop(&mut self) {
        for buffer in &self.buffers {
            // Nobody is there to be told; the element goes with the event anyway when the map's
            // last descriptor of this kind is closed.
            let _gone = MapDeleteElem::new(&self.named.map, &buffer.index.to_ne_bytes()).run();
            let _stopped = buffer.event.disable();
        }
    }
}

impl AsFd for PerfBuffer {
    /// The descriptor of an epoll instance: readable when a CPU has events. The kernel tells of
    /// them once, to whoever looks first, so [`consume`](Self::consume) follows a wait for this
    /// descriptor, not [`poll`](Self::poll).
    #[doc(alias = "perf_buffer__epoll_fd")]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.waiter.as_fd()
    }
}

impl fmt::Debug for PerfBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerfBuffer")
            .field("map", &self.named.name)
            .field("buffers", &self.buffers)
            .finish_non_exhaustive()
    }
}

impl CpuBuffer {
    fn read(
        &mut self,
        name: &str,
        times: bool,
        scratch: &mut Vec<u8>,
        each: &mut impl FnMut(u32, PerfEvent<'_>),
    ) -> Result<usize, AccessError> {
        let wrong = |damage| damaged(name, damage);
        let mut walk = Walk::start(&self.memory, self.memory.size).map_err(wrong)?;
        let mut events = 0_usize;
        while let Some(found) = walk.step().map_err(wrong)? {
            let body = self.memory.body(found, scratch);
            let event = body.and_then(|body| PerfEvent::parse(found.kind, body, times));
            let Some(event) = event else {
                return Err(AccessError::new(
                    name,
                    AccessCause::Damaged {
                        position: found.offset,
                        what: "a record is shorter than its type",
                    },
                ));
            };
            if let PerfEvent::Lost { count, .. } = event {
                self.lost = self.lost.saturating_add(count);
            }
            events = events.saturating_add(1);
            each(self.cpu, event);
        }
        Ok(events)
    }

    /// The CPU.
    #[must_use]
    pub fn cpu(&self) -> u32 {
        self.cpu
    }

    /// The element of the map where the ring is.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Events of this CPU that found no room, as far as the kernel has told.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Bytes that the ring holds.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.memory.size
    }

    /// Keeps programs from writing to the ring, or lets them again.
    ///
    /// # Errors
    /// The kernel's; none is usual.
    pub fn pause(&self, pause: bool) -> Result<(), bpfsys::SysError> {
        self.event.pause_output(pause)
    }
}

impl AsFd for CpuBuffer {
    /// The perf event: readable when the CPU has as many events as the options say.
    #[doc(alias = "perf_buffer__buffer_fd")]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

impl fmt::Debug for CpuBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CpuBuffer")
            .field("cpu", &self.cpu)
            .field("index", &self.index)
            .field("lost", &self.lost)
            .finish_non_exhaustive()
    }
}
