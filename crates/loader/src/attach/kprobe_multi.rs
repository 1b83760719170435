//! Kprobes of many functions in one link.

use super::functions::{self, Pattern};
use super::{AttachError, Link, glob};
use bpfsys::ProgFd;
use bpfsys::cmd::LinkCreate;
use bpfsys::cmd::link::{KprobeFunctions, LinkTarget};
use bpfsys::uapi::flags::KprobeMultiFlags;
use nix::errno::Errno;
use std::borrow::Cow;
use std::ffi::{CStr, CString};
use std::fmt;

/// Entries, returns or both of any number of functions. Since Linux 5.18; both, as a session,
/// since 6.10.
#[derive(Clone, Debug)]
#[doc(alias = "bpf_program__attach_kprobe_multi_opts")]
pub struct KprobeMulti<'a> {
    functions: Functions<'a>,
    cookies: Cookies<'a>,
    returns: bool,
    session: bool,
    unique: bool,
}

#[derive(Clone, Copy, Debug)]
enum Functions<'a> {
    Matching(&'a str),
    Named(&'a [&'a str]),
    At(&'a [u64]),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Cookies<'a> {
    None,
    Same(u64),
    Each(&'a [u64]),
}

impl<'a> Cookies<'a> {
    /// One for each of so many.
    pub(super) fn list(self, count: usize) -> Cow<'a, [u64]> {
        match self {
            Self::None | Self::Same(0) => Cow::Borrowed(&[]),
            Self::Same(cookie) => Cow::Owned(vec![cookie; count]),
            Self::Each(cookies) => Cow::Borrowed(cookies),
        }
    }
}

impl<'a> KprobeMulti<'a> {
    /// Every function that can be traced and that a pattern fits, of one module for
    /// `MODULE:PATTERN`. A name without `*`, `?` and module is left to the kernel, which takes the
    /// first function of that name.
    #[must_use]
    pub fn matching(pattern: &'a str) -> Self {
        Self::of(Functions::Matching(pattern))
    }

    /// Functions by their names.
    #[must_use]
    pub fn named(names: &'a [&'a str]) -> Self {
        Self::of(Functions::Named(names))
    }

    /// Functions by their addresses.
    #[must_use]
    pub fn at(addresses: &'a [u64]) -> Self {
        Self::of(Functions::At(addresses))
    }

    fn of(functions: Functions<'a>) -> Self {
        Self {
            functions,
            cookies: Cookies::None,
            returns: false,
            session: false,
            unique: false,
        }
    }

    /// What `bpf_get_attach_cookie` gives the program, whichever function it is.
    #[must_use]
    pub fn cookie(mut self, cookie: u64) -> Self {
        self.cookies = Cookies::Same(cookie);
        self
    }

    /// What `bpf_get_attach_cookie` gives the program, for each function by itself.
    #[must_use]
    pub fn cookies(mut self, cookies: &'a [u64]) -> Self {
        self.cookies = Cookies::Each(cookies);
        self
    }

    /// When the functions return.
    #[must_use]
    #[doc(alias = "kretprobe.multi")]
    pub fn returns(mut self) -> Self {
        self.returns = true;
        self
    }

    /// At entries and returns, for programs that were loaded for sessions.
    #[must_use]
    #[doc(alias = "kprobe.session")]
    pub fn session(mut self) -> Self {
        self.session = true;
        self
    }

    /// Only if the pattern fits exactly one function. A plain name is then looked up too.
    #[must_use]
    #[doc(alias = "unique_match")]
    pub fn unique(mut self) -> Self {
        self.unique = true;
        self
    }

    /// Attaches a program.
    ///
    /// # Errors
    /// There is no such function, one cannot be traced, or the program was loaded for something
    /// else.
    pub fn attach(&self, prog: &ProgFd) -> Result<Link, AttachError> {
        if self.returns && self.session {
            return Err(self.options("a session is at returns anyway"));
        }
        match self.functions {
            Functions::Matching(pattern) => {
                if let Cookies::Each(_) = self.cookies {
                    return Err(self.options("a pattern has no order for cookies"));
                }
                if !self.unique && !glob::is_pattern(pattern) && !pattern.contains(':') {
                    return self.by_name(prog, &[pattern]);
                }
                let found = functions::matching(Pattern::new(pattern))?;
                match found.len() {
                    0 => Err(AttachError::Missing {
                        what: "function to trace for",
                        name: pattern.to_owned(),
                    }),
                    count if self.unique && count != 1 => Err(AttachError::Ambiguous {
                        what: "functions for",
                        name: pattern.to_owned(),
                        count: Some(count),
                    }),
                    _ => self.make(prog, KprobeFunctions::Addresses(&found), found.len()),
                }
            }
            _ if self.unique => Err(self.options("only a pattern may fit several functions")),
            Functions::Named(names) => self.by_name(prog, names),
            Functions::At(addresses) => {
                self.make(prog, KprobeFunctions::Addresses(addresses), addresses.len())
            }
        }
    }

    fn by_name(&self, prog: &ProgFd, names: &[&str]) -> Result<Link, AttachError> {
        let owned: Result<Vec<CString>, AttachError> = names
            .iter()
            .map(|name| CString::new(*name).map_err(|_nul| missing(name)))
            .collect();
        let owned = owned?;
        let symbols: Vec<&CStr> = owned.iter().map(CString::as_c_str).collect();
        self.make(prog, KprobeFunctions::Symbols(&symbols), symbols.len())
            .map_err(|error| match (&error, names) {
                (AttachError::Kernel { source, .. }, [name])
                    if source.is(Errno::ESRCH) || source.is(Errno::ENOENT) =>
                {
                    missing(name)
                }
                _ => error,
            })
    }

    fn make(
        &self,
        prog: &ProgFd,
        functions: KprobeFunctions<'_>,
        count: usize,
    ) -> Result<Link, AttachError> {
        if count == 0 {
            return Err(self.options("no function is named"));
        }
        let mut flags = KprobeMultiFlags::empty();
        flags.set(KprobeMultiFlags::RETURN, self.returns);
        let target = LinkTarget::KprobeMulti {
            functions,
            cookies: &self.cookies.list(count),
            flags,
            session: self.session,
        };
        let what = self.to_string();
        match LinkCreate::new(prog, target).run() {
            Ok(link) => Ok(Link::new(what, link)),
            Err(source) => Err(AttachError::kernel(format!("attach to {what}"), source)),
        }
    }

    fn options(&self, why: &'static str) -> AttachError {
        AttachError::Options {
            what: self.to_string(),
            why,
        }
    }
}

fn missing(name: &str) -> AttachError {
    AttachError::Missing {
        what: "function to trace of the name",
        name: name.to_owned(),
    }
}

impl fmt::Display for KprobeMulti<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match (self.session, self.returns) {
            (true, _) => "kprobe.session",
            (false, true) => "kretprobe.multi",
            (false, false) => "kprobe.multi",
        };
        match self.functions {
            Functions::Matching(pattern) => write!(f, "{kind} {pattern}"),
            Functions::Named([name]) => write!(f, "{kind} {name}"),
            Functions::Named(names) => write!(f, "{kind} of {} functions", names.len()),
            Functions::At(addresses) => write!(f, "{kind} of {} addresses", addresses.len()),
        }
    }
}
