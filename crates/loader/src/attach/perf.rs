//! Programs on perf events: what probes, tracepoints and counters have in common.

use super::{AttachError, Link};
use crate::tracefs::ProbeEvent;
use bpfsys::cmd::LinkCreate;
use bpfsys::cmd::link::LinkTarget;
use bpfsys::sys::perf_event::{PerfEvent, Target};
use bpfsys::uapi::perf::{PerfEventAttr, TYPE_TRACEPOINT};
use bpfsys::{LinkFd, LinkType, ProgFd, cpus, probe};
use nix::errno::Errno;
use std::os::fd::AsFd as _;
use std::path::Path;

/// By what a program is put on a perf event.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum PerfForm {
    /// A link where the kernel has it, else as before.
    #[default]
    Best,
    /// A BPF link. Since Linux 5.15.
    Link,
    /// The event itself, which has the program until it is closed, and no cookie.
    #[doc(alias = "force_ioctl_attach")]
    Ioctl,
}

/// By what a probe becomes a perf event.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[doc(alias = "probe_attach_mode")]
pub enum ProbeForm {
    /// The kernel's own type of event where it has it, else tracefs.
    #[default]
    Best,
    /// A type of event for probes, which goes with its last descriptor. Since Linux 4.17.
    #[doc(alias = "PMU")]
    Event,
    /// A line in tracefs, which stays until somebody removes it.
    #[doc(alias = "PROBE_ATTACH_MODE_LEGACY")]
    TraceFs,
}

/// A type of perf event that makes probes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProbeType {
    number: u32,
    retprobe: Option<u32>,
    counter: Option<u32>,
}

impl ProbeType {
    /// The one for places in the kernel, if there is one.
    #[must_use]
    pub fn kprobe() -> Option<Self> {
        Self::read("/sys/bus/event_source/devices/kprobe".as_ref())
    }

    /// The one for places in files, if there is one.
    #[must_use]
    pub fn uprobe() -> Option<Self> {
        Self::read("/sys/bus/event_source/devices/uprobe".as_ref())
    }

    fn read(device: &Path) -> Option<Self> {
        let read = |file: &str| std::fs::read_to_string(device.join(file)).ok();
        let bit = |file: &str| first_bit(read(file)?.trim());
        Some(Self {
            number: read("type")?.trim().parse().ok()?,
            retprobe: bit("format/retprobe"),
            counter: bit("format/ref_ctr_offset"),
        })
    }

    /// What to open: at the return of a function, or with a counter of users at an offset in the
    /// file.
    ///
    /// # Errors
    /// The kernel's events cannot say that.
    pub fn attr(&self, ret: bool, counter: u64) -> Result<PerfEventAttr, AttachError> {
        let lacking = |what: &str| AttachError::Unsupported {
            what: format!("open probe events {what}"),
            hint: None,
        };
        let mut config = 0;
        if ret {
            let bit = self.retprobe.and_then(|bit| 1u64.checked_shl(bit));
            config |= bit.ok_or_else(|| lacking("at returns"))?;
        }
        if counter != 0 {
            let first = self
                .counter
                .ok_or_else(|| lacking("with counters of users"))?;
            let shifted = counter.checked_shl(first);
            let fits = shifted.filter(|shifted| shifted >> first == counter);
            config |= fits.ok_or_else(|| lacking("with counters that far in a file"))?;
        }
        Ok(PerfEventAttr::new(self.number, config))
    }
}

/// The lowest bit of a field: `config:0`, `config:32-63`.
fn first_bit(format: &str) -> Option<u32> {
    let bits = format.strip_prefix("config:")?;
    let first = bits.split_once('-').map_or(bits, |(first, _)| first);
    first.parse().ok().filter(|bit| *bit < u64::BITS)
}

/// Puts a program on an event and lets it run.
///
/// # Errors
/// The program does not fit, or the kernel cannot do what is asked: a cookie before 5.15.
pub fn on_event(
    event: PerfEvent,
    prog: &ProgFd,
    form: PerfForm,
    cookie: u64,
    what: impl Into<String>,
) -> Result<Link, AttachError> {
    let what = what.into();
    let failed = |source| AttachError::kernel(format!("attach to {what}"), source);
    let link = match form {
        PerfForm::Ioctl => None,
        PerfForm::Link | PerfForm::Best => link(&event, prog, form, cookie).map_err(failed)?,
    };
    match link {
        Some(link) => {
            event.enable().map_err(failed)?;
            // The link keeps the event.
            Ok(Link::new(what, link))
        }
        None if cookie != 0 => Err(AttachError::Unsupported {
            what: format!("attach to {what} with a cookie"),
            hint: Some("Linux 5.15 brought cookies, with links of perf events".into()),
        }),
        None => {
            event.set_bpf(prog).map_err(failed)?;
            event.enable().map_err(failed)?;
            Ok(Link::without_fd(what, event))
        }
    }
}

/// Whoever comes past a probe: those of an event that is opened on one CPU run on all.
#[must_use]
pub fn all_processes() -> Target {
    Target {
        pid: -1,
        cpu: online().first().copied().unwrap_or(0),
    }
}

/// The CPUs on which events can be opened now; none where the kernel does not say.
#[must_use]
pub fn online() -> Vec<i32> {
    let text = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let list = cpus::parse_list(&text).unwrap_or_default();
    list.into_iter()
        .filter_map(|cpu| i32::try_from(cpu).ok())
        .collect()
}

/// Puts a program on a tracepoint, by its number.
///
/// # Errors
/// As [`on_event`].
pub fn on_tracepoint(
    id: u64,
    prog: &ProgFd,
    target: Target,
    form: PerfForm,
    cookie: u64,
    what: impl Into<String>,
) -> Result<Link, AttachError> {
    let what = what.into();
    let event = PerfEvent::open(PerfEventAttr::new(TYPE_TRACEPOINT, id), target)
        .map_err(|source| AttachError::kernel(format!("open the event of {what}"), source))?;
    on_event(event, prog, form, cookie, what)
}

/// Puts a program on a probe in tracefs, which goes with the link, or at once if this fails.
///
/// # Errors
/// As [`on_event`].
pub fn on_probe(
    probe: ProbeEvent,
    prog: &ProgFd,
    target: Target,
    form: PerfForm,
    cookie: u64,
    what: impl Into<String>,
) -> Result<Link, AttachError> {
    let what = what.into();
    let id = probe.id();
    let probe = Link::without_fd(what.clone(), probe);
    on_tracepoint(id?, prog, target, form, cookie, what).map(|link| link.with_base(probe))
}

/// A link; none where the kernel has none and may do without.
fn link(
    event: &PerfEvent,
    prog: &ProgFd,
    form: PerfForm,
    cookie: u64,
) -> Result<Option<LinkFd>, bpfsys::SysError> {
    let target = LinkTarget::PerfEvent {
        event: event.as_fd(),
        cookie,
    };
    match LinkCreate::new(prog, target).run() {
        Ok(link) => Ok(Some(link)),
        Err(error)
            if form == PerfForm::Best
                && (error.is(Errno::EINVAL) || error.is(Errno::E2BIG))
                && probe::link_type(LinkType::PERF_EVENT).is_no() =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_name_their_first_bit() {
        for (format, bit) in [
            ("config:0", Some(0)),
            ("config:32-63", Some(32)),
            ("config1:0", None),
            ("config:", None),
            ("config:64", None),
        ] {
            assert_eq!(first_bit(format), bit, "{format}");
        }
    }

    #[test]
    fn types_say_how_returns_and_counters_are_asked_for() {
        let both = ProbeType {
            number: 9,
            retprobe: Some(0),
            counter: Some(32),
        };
        let attr = both.attr(true, 0x30).unwrap();
        assert_eq!((attr.type_, attr.config), (9, 0x30_0000_0001));
        assert_eq!(both.attr(false, 0).unwrap().config, 0);
        let far = both.attr(false, 1 << 32).unwrap_err();
        assert_eq!(
            far.to_string(),
            "this kernel cannot open probe events with counters that far in a file"
        );
        let neither = ProbeType {
            retprobe: None,
            counter: None,
            ..both
        };
        assert!(neither.attr(true, 0).is_err());
        assert!(neither.attr(false, 8).is_err());
    }

    #[test]
    fn devices_are_read_from_files() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(ProbeType::read(dir.path()), None);
        std::fs::create_dir(dir.path().join("format")).unwrap();
        std::fs::write(dir.path().join("type"), "7\n").unwrap();
        std::fs::write(dir.path().join("format/retprobe"), "config:0\n").unwrap();
        let read = ProbeType::read(dir.path());
        let expect = ProbeType {
            number: 7,
            retprobe: Some(0),
            counter: None,
        };
        assert_eq!(read, Some(expect));
    }
}
