//! The words of `net`.

use std::ffi::OsStr;
use std::os::fd::AsFd;

use bpfsys::cmd::Anchor;
use bpfsys::{AttachType, ProgFd};
use loader::netlink::{TcHandle, XdpMode};

use crate::failure::{Failure, Result};
use crate::handle::ProgHandle;
use crate::words::{Words, parse_number, shown};

/// Where a program goes on an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// The receive path.
    Xdp(Option<XdpMode>),
    /// One with an ordered list of programs.
    List(AttachType),
    /// One with filters.
    Filter(TcHandle),
}

/// The hooks by name, in the order in which prefixes are tried: bpftool's come first.
const HOOKS: [(&str, Hook); 10] = [
    ("xdp", Hook::Xdp(None)),
    ("xdpgeneric", Hook::Xdp(Some(XdpMode::Generic))),
    ("xdpdrv", Hook::Xdp(Some(XdpMode::Driver))),
    ("xdpoffload", Hook::Xdp(Some(XdpMode::Offload))),
    ("tcx_ingress", Hook::List(AttachType::TCX_INGRESS)),
    ("tcx_egress", Hook::List(AttachType::TCX_EGRESS)),
    ("netkit_primary", Hook::List(AttachType::NETKIT_PRIMARY)),
    ("netkit_peer", Hook::List(AttachType::NETKIT_PEER)),
    ("clsact_ingress", Hook::Filter(TcHandle::INGRESS)),
    ("clsact_egress", Hook::Filter(TcHandle::EGRESS)),
];

/// Reads a hook; its full name comes too.
pub fn hook(words: &mut Words<'_>) -> Result<(&'static str, Hook)> {
    for (name, hook) in HOOKS {
        if words.accept(name) {
            return Ok((name, hook));
        }
    }
    let word = words.take("an attach type")?;
    Err(Failure::new(format_args!(
        "invalid net attach/detach type: {}",
        shown(word)
    )))
}

/// Reads `dev NAME`; the interface's number.
pub fn device(words: &mut Words<'_>) -> Result<u32> {
    if !words.accept("dev") {
        let word = words.peek().unwrap_or(OsStr::new(""));
        return Err(Failure::new(format_args!(
            "expected 'dev', got: '{}'?",
            shown(word)
        )));
    }
    let name = words.take("the name of an interface")?;
    nix::net::if_::if_nametoindex(name)
        .map_err(|_none| Failure::new(format_args!("invalid devname {}", shown(name))))
}

/// Where among the programs of a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Before all others.
    First,
    /// Before one of them.
    Before(ProgHandle),
    /// After one of them.
    After(ProgHandle),
}

/// How `net attach` attaches.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct How {
    /// In place of whatever is there.
    pub overwrite: bool,
    /// In place of this program.
    pub replace: Option<ProgHandle>,
    /// Where among the others.
    pub place: Option<Place>,
    /// Only at this revision of the hook.
    pub revision: Option<u64>,
    /// The filter's place among the others.
    pub priority: Option<u16>,
    /// The filter's number.
    pub handle: Option<u32>,
}

impl How {
    /// Reads it, for a hook.
    pub fn parse(words: &mut Words<'_>, hook: Hook) -> Result<Self> {
        let mut how = Self::default();
        let only = |fits: bool, word: &str, types: &str| {
            let message = || Failure::new(format_args!("'{word}' is only supported for {types}"));
            if fits { Ok(()) } else { Err(message()) }
        };
        let (xdp, list, filter) = (
            matches!(hook, Hook::Xdp(_)),
            matches!(hook, Hook::List(_)),
            matches!(hook, Hook::Filter(_)),
        );
        while words.option().is_some() {
            if words.accept("overwrite") {
                only(xdp, "overwrite", "xdp types")?;
                how.overwrite = true;
            } else if words.accept("prepend") {
                only(list, "prepend", "tcx_ingress/tcx_egress and netkit types")?;
                how.placed(Place::First)?;
            } else if words.accept("replace") {
                only(!filter, "replace", "xdp, tcx and netkit types")?;
                how.replace = Some(ProgHandle::parse(words)?);
            } else if words.accept("before") {
                only(list, "before", "tcx and netkit types")?;
                how.placed(Place::Before(ProgHandle::parse(words)?))?;
            } else if words.accept("after") {
                only(list, "after", "tcx and netkit types")?;
                how.placed(Place::After(ProgHandle::parse(words)?))?;
            } else if words.accept("revision") {
                only(list, "revision", "tcx and netkit types")?;
                how.revision = Some(number(words, "a revision")?);
            } else if words.accept("priority") {
                only(filter, "priority", "clsact types")?;
                how.priority = Some(number(words, "a priority")?);
            } else if words.accept("handle") {
                only(filter, "handle", "clsact types")?;
                how.handle = Some(number(words, "a handle")?);
            } else {
                let word = words.peek().unwrap_or_default();
                return Err(Failure::new(format_args!(
                    "expected 'overwrite', 'prepend', 'replace', 'before', 'after', 'revision', \
                     'priority' or 'handle', got: '{}'?",
                    shown(word)
                )));
            }
        }
        Ok(how)
    }

    /// Opens the program that it is placed by.
    pub fn relative(&self) -> Result<Option<ProgFd>> {
        match &self.place {
            Some(Place::Before(handle) | Place::After(handle)) => handle.open_one().map(Some),
            Some(Place::First) | None => Ok(None),
        }
    }

    /// The place, with what [`relative`](Self::relative) opened.
    #[must_use]
    pub fn anchor<'a>(&self, relative: Option<&'a ProgFd>) -> Option<Anchor<'a>> {
        match (&self.place, relative) {
            (Some(Place::First), _) => Some(Anchor::First),
            (Some(Place::Before(_)), Some(prog)) => Some(Anchor::BeforeProg(prog.as_fd())),
            (Some(Place::After(_)), Some(prog)) => Some(Anchor::AfterProg(prog.as_fd())),
            _ => None,
        }
    }

    fn placed(&mut self, place: Place) -> Result<()> {
        match self.place.replace(place) {
            None => Ok(()),
            Some(_) => Err(Failure::new("there can be only one place for a program")),
        }
    }
}

fn number<T: TryFrom<u64>>(words: &mut Words<'_>, what: &str) -> Result<T> {
    let word = words.take(what)?;
    parse_number(word, 0)
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| Failure::new(format_args!("can't parse {} as {what}", shown(word))))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn with<T>(line: &str, read: impl FnOnce(&mut Words<'_>) -> Result<T>) -> Result<T> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        read(&mut Words::new(&words))
    }

    #[test]
    fn prefixes_find_what_they_find_in_bpftool() {
        for (word, name) in [
            ("x", "xdp"),
            ("xdpg", "xdpgeneric"),
            ("t", "tcx_ingress"),
            ("tc", "tcx_ingress"),
            ("tcx_e", "tcx_egress"),
            ("netkit_pe", "netkit_peer"),
            ("c", "clsact_ingress"),
        ] {
            assert_eq!(with(word, hook).unwrap().0, name, "{word}");
        }
        let error = with("tcy", hook).unwrap_err();
        assert_eq!(
            error.message().unwrap(),
            "invalid net attach/detach type: tcy"
        );
    }

    #[test]
    fn words_that_do_not_fit_the_hook_are_refused() {
        let xdp = Hook::Xdp(None);
        let tcx = Hook::List(AttachType::TCX_INGRESS);
        let clsact = Hook::Filter(TcHandle::INGRESS);
        for (line, hook, message) in [
            (
                "overwrite",
                tcx,
                "'overwrite' is only supported for xdp types",
            ),
            (
                "prepend",
                xdp,
                "'prepend' is only supported for tcx_ingress/tcx_egress and netkit types",
            ),
            (
                "priority 1",
                tcx,
                "'priority' is only supported for clsact types",
            ),
            ("priority 65536", clsact, "can't parse 65536 as a priority"),
            (
                "prepend before id 1",
                tcx,
                "there can be only one place for a program",
            ),
        ] {
            let error = with(line, |words| How::parse(words, hook)).unwrap_err();
            assert_eq!(error.message().unwrap(), message);
        }
        let how = with("priority 7 handle 0x2", |words| How::parse(words, clsact)).unwrap();
        assert_eq!((how.priority, how.handle), (Some(7), Some(2)));
    }
}
