//! Kprobes: programs that run at an instruction of the kernel, or where a function returns.

use super::perf::{self, PerfForm, ProbeForm, ProbeType};
use super::{AttachError, Link};
use crate::target::{Running, Symbol, Target as _};
use crate::tracefs::{ProbeKind, TraceFs};
use bpfsys::ProgFd;
use bpfsys::sys::perf_event::PerfEvent;
use bpfsys::uapi::perf::PerfEventAttr;
use nix::errno::Errno;
use std::ffi::CString;
use std::fmt;

/// A place in the kernel, or the return of a function.
///
/// Events of the kernel's own type are used where it has them, and otherwise a line in tracefs;
/// programs are put on them by links or by the events ([`PerfForm`]).
#[derive(Clone, Debug)]
#[doc(alias = "bpf_program__attach_kprobe_opts")]
pub struct Kprobe {
    place: Place,
    offset: u64,
    returns: bool,
    cookie: u64,
    max_active: Option<u32>,
    probe: ProbeForm,
    perf: PerfForm,
}

#[derive(Clone, Debug)]
enum Place {
    Function(String),
    Address(u64),
}

impl Kprobe {
    /// The first instruction of a function. One of a module may be named `MODULE:FUNCTION`.
    pub fn new(function: impl Into<String>) -> Self {
        Self::of(Place::Function(function.into()))
    }

    /// What follows `kprobe/` in the name of a section: `FUNCTION`, `FUNCTION+OFFSET`.
    ///
    /// # Errors
    /// It has no such form.
    pub fn parse(target: &str) -> Result<Self, AttachError> {
        let (function, offset) = super::way::function_and_offset(target)?;
        Ok(Self::new(function).offset(offset))
    }

    /// The instruction at an address.
    #[must_use]
    pub fn at(address: u64) -> Self {
        Self::of(Place::Address(address))
    }

    fn of(place: Place) -> Self {
        Self {
            place,
            offset: 0,
            returns: false,
            cookie: 0,
            max_active: None,
            probe: ProbeForm::Best,
            perf: PerfForm::Best,
        }
    }

    /// So many bytes further, where an instruction begins.
    #[must_use]
    pub fn offset(mut self, offset: u64) -> Self {
        self.offset = offset;
        self
    }

    /// When the function returns.
    #[must_use]
    #[doc(alias = "kretprobe")]
    pub fn returns(mut self) -> Self {
        self.returns = true;
        self
    }

    /// What `bpf_get_attach_cookie` gives the program. Since Linux 5.15.
    #[must_use]
    pub fn cookie(mut self, cookie: u64) -> Self {
        self.cookie = cookie;
        self
    }

    /// How many calls of the function may be under way at once before returns are missed. Only
    /// tracefs takes it.
    #[must_use]
    pub fn max_active(mut self, count: u32) -> Self {
        self.max_active = Some(count);
        self
    }

    /// By what the probe is made.
    #[must_use]
    pub fn probe_form(mut self, form: ProbeForm) -> Self {
        self.probe = form;
        self
    }

    /// By what the program is put on it.
    #[must_use]
    pub fn perf_form(mut self, form: PerfForm) -> Self {
        self.perf = form;
        self
    }

    /// Attaches a program.
    ///
    /// # Errors
    /// There is no such function, or several; no probe can be there; the program does not fit.
    pub fn attach(&self, prog: &ProgFd) -> Result<Link, AttachError> {
        let what = self.to_string();
        let refuse = |why| AttachError::Options {
            what: what.clone(),
            why,
        };
        if self.returns && self.offset != 0 {
            return Err(refuse("a function returns from no place in particular"));
        }
        if self.max_active.is_some() {
            if !self.returns {
                return Err(refuse("only returns can be limited in number"));
            }
            if self.probe == ProbeForm::Event {
                return Err(refuse("only tracefs takes a number of calls"));
            }
        }
        let type_ = match self.probe {
            ProbeForm::TraceFs => None,
            ProbeForm::Best if self.max_active.is_some() => None,
            ProbeForm::Best | ProbeForm::Event => ProbeType::kprobe(),
        };
        match type_ {
            Some(type_) => {
                let event = self.event(type_.attr(self.returns, 0)?)?;
                perf::on_event(event, prog, self.perf, self.cookie, what)
            }
            None if self.probe == ProbeForm::Event => Err(AttachError::Unsupported {
                what: format!("attach to {what} without tracefs"),
                hint: None,
            }),
            None => self.by_tracefs(prog, what),
        }
    }

    fn event(&self, attr: PerfEventAttr) -> Result<PerfEvent, AttachError> {
        let target = perf::all_processes();
        let opened = match &self.place {
            Place::Address(address) => {
                let place = address.wrapping_add(self.offset);
                PerfEvent::open_probe(attr, None, place, target)
            }
            Place::Function(name) => {
                let name = CString::new(name.as_str()).map_err(|_nul| self.missing())?;
                PerfEvent::open_probe(attr, Some(&name), self.offset, target)
            }
        };
        opened.map_err(|source| {
            let errno = source.errno();
            self.refused(errno)
                .unwrap_or_else(|| AttachError::kernel(format!("make {self}"), source))
        })
    }

    fn by_tracefs(&self, prog: &ProgFd, what: String) -> Result<Link, AttachError> {
        let tracefs = TraceFs::find()?;
        let (kind, label) = if self.returns {
            (ProbeKind::Kretprobe, "ret")
        } else {
            (ProbeKind::Kprobe, "at")
        };
        let place = self.place();
        let label = format!("{label}_{place}");
        let probe = tracefs
            .add_probe(kind, &label, &place, self.max_active)
            .map_err(|error| match &error {
                AttachError::File { source, .. } => {
                    let errno = source.raw_os_error().map(Errno::from_raw);
                    self.refused(errno).unwrap_or(error)
                }
                _ => error,
            })?;
        let target = perf::all_processes();
        perf::on_probe(probe, prog, target, self.perf, self.cookie, what)
    }

    /// What an answer of the kernel means where it says what is wrong with the place.
    fn refused(&self, errno: Option<Errno>) -> Option<AttachError> {
        match (errno?, &self.place) {
            (Errno::ENOENT, Place::Function(_)) => Some(self.missing()),
            (Errno::EADDRNOTAVAIL, Place::Function(name)) => Some(ambiguous(name)),
            // What tracefs says of whatever it cannot read.
            (Errno::EINVAL, Place::Function(name)) => {
                let plain = name
                    .rsplit_once(':')
                    .map_or(name.as_str(), |(_, plain)| plain);
                let found = Running::new().kallsyms(&[plain]).ok()?;
                match found.first()? {
                    Symbol::Missing => Some(self.missing()),
                    Symbol::Ambiguous(..) if plain == name => Some(ambiguous(name)),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn missing(&self) -> AttachError {
        AttachError::Missing {
            what: "function",
            name: match &self.place {
                Place::Function(name) => name.clone(),
                Place::Address(address) => format!("{address:#x}"),
            },
        }
    }

    /// The place, in the words of tracefs.
    fn place(&self) -> String {
        match &self.place {
            Place::Function(name) if self.offset == 0 => name.clone(),
            Place::Function(name) => format!("{name}+{:#x}", self.offset),
            Place::Address(address) => format!("{:#x}", address.wrapping_add(self.offset)),
        }
    }
}

fn ambiguous(name: &str) -> AttachError {
    AttachError::Ambiguous {
        what: "functions",
        name: name.to_owned(),
        count: None,
    }
}

impl fmt::Display for Kprobe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.returns { "kretprobe" } else { "kprobe" };
        write!(f, "{kind} {}", self.place())
    }
}
