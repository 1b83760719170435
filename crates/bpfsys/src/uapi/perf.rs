//! `struct perf_event_attr` and the constants that go with it.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What to open with `perf_event_open`, in the 112-byte layout of Linux 4.16 (`PERF_ATTR_SIZE_VER5`),
/// which has every field BPF attachment needs and is understood by all supported kernels.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
#[expect(missing_docs, reason = "fields carry the kernel's names and meaning")]
pub struct PerfEventAttr {
    /// `PERF_TYPE_*` or a number from `/sys/bus/event_source/devices/*/type`.
    pub type_: u32,
    /// Size of this structure.
    pub size: u32,
    pub config: u64,
    /// Period, or frequency when [`FLAG_FREQ`] is set.
    pub sample_period: u64,
    pub sample_type: u64,
    pub read_format: u64,
    /// The bit fields, see `FLAG_*`.
    pub flags: u64,
    /// Events or bytes before a reader is woken.
    pub wakeup: u32,
    pub bp_type: u32,
    /// Also `bp_addr`, `kprobe_func`, `uprobe_path`.
    pub config1: u64,
    /// Also `bp_len`, `kprobe_addr`, `probe_offset`.
    pub config2: u64,
    pub branch_sample_type: u64,
    pub sample_regs_user: u64,
    pub sample_stack_user: u32,
    pub clockid: i32,
    pub sample_regs_intr: u64,
    pub aux_watermark: u32,
    pub sample_max_stack: u16,
    pub reserved_2: u16,
}

const _: () = assert!(size_of::<PerfEventAttr>() == 112);

impl PerfEventAttr {
    /// An event of this type and configuration; everything else zero.
    #[must_use]
    pub fn new(type_: u32, config: u64) -> Self {
        let mut attr: Self = zerocopy::FromZeros::new_zeroed();
        attr.type_ = type_;
        attr.size = 112;
        attr.config = config;
        attr
    }
}

/// Hardware counters.
pub const TYPE_HARDWARE: u32 = 0;
/// Software counters.
pub const TYPE_SOFTWARE: u32 = 1;
/// Tracepoints; `config` is the id from tracefs.
pub const TYPE_TRACEPOINT: u32 = 2;
/// Generic cache events.
pub const TYPE_HW_CACHE: u32 = 3;
/// Raw counters.
pub const TYPE_RAW: u32 = 4;
/// Breakpoints.
pub const TYPE_BREAKPOINT: u32 = 5;

/// Names `bpftool` prints for the event types 0–5.
pub const TYPE_NAMES: [&str; 6] = [
    "hardware",
    "software",
    "tracepoint",
    "hw-cache",
    "raw",
    "breakpoint",
];

/// Names `bpftool` prints for hardware events.
pub const HW_NAMES: [&str; 10] = [
    "cpu-cycles",
    "instructions",
    "cache-references",
    "cache-misses",
    "branch-instructions",
    "branch-misses",
    "bus-cycles",
    "stalled-cycles-frontend",
    "stalled-cycles-backend",
    "ref-cycles",
];

/// Names `bpftool` prints for software events.
pub const SW_NAMES: [&str; 11] = [
    "cpu-clock",
    "task-clock",
    "page-faults",
    "context-switches",
    "cpu-migrations",
    "minor-faults",
    "major-faults",
    "alignment-faults",
    "emulation-faults",
    "dummy",
    "bpf-output",
];

/// Software event: CPU clock.
pub const SW_CPU_CLOCK: u64 = 0;
/// Software event that never fires.
pub const SW_DUMMY: u64 = 9;
/// Software event fed by `bpf_perf_event_output`.
pub const SW_BPF_OUTPUT: u64 = 10;

/// `disabled`: do not count until enabled.
pub const FLAG_DISABLED: u64 = 1 << 0;
/// `inherit`: children are counted too.
pub const FLAG_INHERIT: u64 = 1 << 1;
/// `freq`: the period is a frequency.
pub const FLAG_FREQ: u64 = 1 << 10;
/// `watermark`: `wakeup` counts bytes.
pub const FLAG_WATERMARK: u64 = 1 << 14;

/// Sample type: the time of the event, before raw data.
pub const SAMPLE_TIME: u64 = 1 << 2;
/// Sample type: raw data, what `bpf_perf_event_output` writes.
pub const SAMPLE_RAW: u64 = 1 << 10;

/// `perf_event_open` flag: close on exec.
pub const FLAG_FD_CLOEXEC: u64 = 1 << 3;

/// Record in a buffer of events: how many events found no room.
pub const RECORD_LOST: u32 = 2;
/// Record in a buffer of events: one event.
pub const RECORD_SAMPLE: u32 = 9;

/// Where the first page of a buffer of events has the end of what was written (`data_head`).
pub const MMAP_DATA_HEAD: usize = 1024;
/// Where it has the end of what was read (`data_tail`).
pub const MMAP_DATA_TAIL: usize = 1032;
