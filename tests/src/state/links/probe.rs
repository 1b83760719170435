//! Probes: of the kernel and of this executable, singly by perf events and many at once.

use std::ffi::{CStr, CString};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use bpfsys::cmd::{KprobeFunctions, LinkCreate, LinkTarget, ProgLoad};
use bpfsys::sys::perf_event::{PerfEvent, Target};
use bpfsys::uapi::flags::{KprobeMultiFlags, UprobeMultiFlags};
use bpfsys::uapi::perf::{self, PerfEventAttr};
use bpfsys::{AttachType, ProgFd, ProgType};

use super::trace::{QUIET_FUNCTIONS, QUIET_MODULE};
use super::{Held, LinkRecipe, QUIET_TRACEPOINT, link};
use crate::Private;
use crate::state::progs::{asm, simple_of};

pub(super) const RECIPES: [LinkRecipe; 14] = [
    link("perf_event tracepoint", (5, 15), |g| tracepoint(g.private)),
    link("perf_event event", (5, 15), |_| software_event()),
    link("perf_event uprobe", (5, 15), |_| uprobe(0, 0xabcd)),
    link("perf_event uretprobe", (5, 15), |_| uprobe(RETURN, 0)),
    link("perf_event uprobe with counter", (5, 15), |_| {
        uprobe(counter()? << 32, 1)
    }),
    link("perf_event kprobe", (5, 15), |_| kprobe(0, 0xc00c1e)).whole_machine(),
    link("perf_event kretprobe", (5, 15), |_| kprobe(RETURN, 0)).whole_machine(),
    link("uprobe_multi", (6, 6), |_| {
        let flags = UprobeMultiFlags::empty();
        uprobe_multi(AttachType::TRACE_UPROBE_MULTI, flags, 1)
    }),
    link("uprobe_multi return", (6, 6), |_| {
        let flags = UprobeMultiFlags::RETURN;
        uprobe_multi(AttachType::TRACE_UPROBE_MULTI, flags, 2)
    }),
    link("uprobe_multi session", (6, 13), |_| {
        let flags = UprobeMultiFlags::empty();
        uprobe_multi(AttachType::TRACE_UPROBE_SESSION, flags, 1)
    }),
    link("kprobe_multi", (5, 18), |_| {
        let at = AttachType::TRACE_KPROBE_MULTI;
        kprobe_multi(at, KprobeMultiFlags::empty(), &test_functions()?)
    })
    .config("CONFIG_FPROBE")
    .whole_machine(),
    link("kprobe_multi return", (5, 18), |_| {
        let at = AttachType::TRACE_KPROBE_MULTI;
        kprobe_multi(at, KprobeMultiFlags::RETURN, &test_functions()?)
    })
    .config("CONFIG_FPROBE")
    .whole_machine(),
    link("kprobe_multi session", (6, 10), |_| {
        let at = AttachType::TRACE_KPROBE_SESSION;
        kprobe_multi(at, KprobeMultiFlags::empty(), &test_functions()?)
    })
    .config("CONFIG_FPROBE")
    .whole_machine(),
    link("kprobe_multi module", (5, 18), |_| {
        let at = AttachType::TRACE_KPROBE_MULTI;
        let name = CString::new(QUIET_MODULE.1).context("a name")?;
        kprobe_multi(at, KprobeMultiFlags::empty(), &[name])
    })
    .config("CONFIG_FPROBE")
    .whole_machine(),
];

/// This process, on any CPU.
const SELF: Target = Target { pid: 0, cpu: -1 };
/// Every process, on the first CPU: what a kprobe is seen on.
const FIRST_CPU: Target = Target { pid: -1, cpu: 0 };
/// The bit of a probe's configuration that puts it at the return.
const RETURN: u64 = 1;

fn on_event(event: PerfEvent, prog_type: ProgType, cookie: u64) -> Result<Held> {
    let prog = simple_of(prog_type)?;
    let target = LinkTarget::PerfEvent {
        event: event.as_fd(),
        cookie,
    };
    let link = LinkCreate::new(&prog, target).run()?;
    Ok(Held::new(link, prog).with(event))
}

fn tracepoint(private: &Private) -> Result<Held> {
    let path = private
        .tracefs()
        .join("events/xdp")
        .join(QUIET_TRACEPOINT)
        .join("id");
    let id: u64 = std::fs::read_to_string(&path)
        .with_context(|| format!("read {}", path.display()))?
        .trim()
        .parse()
        .context("a tracepoint's id")?;
    let attr = PerfEventAttr::new(perf::TYPE_TRACEPOINT, id);
    let event = PerfEvent::open(attr, SELF)?;
    on_event(event, ProgType::TRACEPOINT, 0x77)
}

fn software_event() -> Result<Held> {
    let mut attr = PerfEventAttr::new(perf::TYPE_SOFTWARE, perf::SW_CPU_CLOCK);
    attr.sample_period = 1 << 40;
    let event = PerfEvent::open(attr, SELF)?;
    on_event(event, ProgType::PERF_EVENT, 0)
}

/// This executable and the offsets in the file of its first two instructions: code that has
/// run when any test does, and will not again.
///
/// A place can have one counter of users only, so the first is for probes without.
fn entry_point() -> Result<(PathBuf, [u64; 2])> {
    let path = std::env::current_exe().context("find this executable")?;
    let bytes = std::fs::read(&path).context("read this executable")?;
    let word = |at: usize| -> Result<u64> {
        let b = bytes
            .get(at..)
            .and_then(|b| b.first_chunk::<8>())
            .context("a cut ELF file")?;
        Ok(u64::from_ne_bytes(*b))
    };
    let (entry, headers) = (word(0x18)?, usize::try_from(word(0x20)?)?);
    let count = usize::try_from(word(0x38)? & 0xffff)?;
    for n in 0..count {
        let at = headers + n * 56;
        // PT_LOAD
        if word(at)? & 0xffff_ffff == 1 {
            let (offset, start, len) = (word(at + 8)?, word(at + 16)?, word(at + 32)?);
            if (start..start + len).contains(&entry) {
                let at = entry - start + offset;
                // `endbr64`, or else the register of the outermost frame is cleared.
                let landing = word(usize::try_from(at)?)? & 0xffff_ffff == 0xfa1e_0ff3;
                return Ok((path, [at, at + if landing { 4 } else { 2 }]));
            }
        }
    }
    anyhow::bail!("the entry point of this executable is in no segment")
}

/// The number of a kind of probe among perf events.
fn kind_of(probe: &str) -> Result<u32> {
    std::fs::read_to_string(format!("/sys/bus/event_source/devices/{probe}/type"))
        .with_context(|| format!("the kernel has no {probe} events"))?
        .trim()
        .parse()
        .context("an event type")
}

/// An offset for a counter of users that is in no page the kernel would write to.
fn counter() -> Result<u64> {
    let (_, [first, _]) = entry_point()?;
    Ok(first & !7)
}

fn uprobe(config: u64, cookie: u64) -> Result<Held> {
    let (path, [first, second]) = entry_point()?;
    let offset = if config > RETURN { second } else { first };
    let path = CString::new(path.as_os_str().as_bytes()).context("a path")?;
    let attr = PerfEventAttr::new(kind_of("uprobe")?, config);
    let event = PerfEvent::open_probe(attr, Some(&path), offset, SELF)?;
    on_event(event, ProgType::KPROBE, cookie)
}

fn kprobe(config: u64, cookie: u64) -> Result<Held> {
    let name = CString::new(QUIET_FUNCTIONS[0]).context("a name")?;
    let attr = PerfEventAttr::new(kind_of("kprobe")?, config);
    let event = PerfEvent::open_probe(attr, Some(&name), 0, FIRST_CPU)?;
    on_event(event, ProgType::KPROBE, cookie)
}

fn for_many(at: AttachType) -> Result<ProgFd> {
    let insns = asm("r0 = 0\nexit")?;
    ProgLoad::new(ProgType::KPROBE, &insns)
        .name("l_probes")
        .expected_attach_type(at)
        .run()
        .with_context(|| format!("load a program for {at}"))
}

fn uprobe_multi(at: AttachType, flags: UprobeMultiFlags, places: usize) -> Result<Held> {
    let (path, offsets) = entry_point()?;
    let counters = [0, counter()?];
    let cookies = [0x55, u64::MAX];
    let prog = for_many(at)?;
    let target = LinkTarget::UprobeMulti {
        path: &path,
        offsets: offsets.get(..places).unwrap_or_default(),
        ref_ctr_offsets: if places == 2 { &counters } else { &[] },
        cookies: cookies.get(..places).unwrap_or_default(),
        flags,
        pid: std::process::id(),
        session: at == AttachType::TRACE_UPROBE_SESSION,
    };
    let link = LinkCreate::new(&prog, target).run()?;
    Ok(Held::new(link, prog))
}

fn test_functions() -> Result<Vec<CString>> {
    QUIET_FUNCTIONS
        .iter()
        .map(|name| CString::new(*name).context("a name"))
        .collect()
}

fn kprobe_multi(at: AttachType, flags: KprobeMultiFlags, names: &[CString]) -> Result<Held> {
    let prog = for_many(at)?;
    let names: Vec<&CStr> = names.iter().map(CString::as_c_str).collect();
    let cookies: Vec<u64> = (0x10..).take(names.len()).collect();
    let target = LinkTarget::KprobeMulti {
        functions: KprobeFunctions::Symbols(&names),
        cookies: &cookies,
        flags,
        session: at == AttachType::TRACE_KPROBE_SESSION,
    };
    let link = LinkCreate::new(&prog, target).run()?;
    Ok(Held::new(link, prog))
}
