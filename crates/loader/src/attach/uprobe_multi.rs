//! Uprobes at many places of a file in one link.

use super::uprobe::UserFile;
use super::{AttachError, Link, Uprobe};
use crate::symbols::{Binary, Function, Glob};
use bpfsys::cmd::LinkCreate;
use bpfsys::cmd::link::LinkTarget;
use bpfsys::probe::{self, Feature};
use bpfsys::uapi::flags::UprobeMultiFlags;
use bpfsys::{LinkType, ProgFd};
use nix::errno::Errno;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

/// Entries, returns or both of any number of places in a file. Since Linux 6.6; both, as a
/// session, since 6.13. On kernels before, entries or returns become probes of their own that are
/// detached together.
#[derive(Clone, Debug)]
#[doc(alias = "bpf_program__attach_uprobe_multi")]
pub struct UprobeMulti {
    file: UserFile,
    places: Places,
    ref_ctr_offsets: Vec<u64>,
    cookies: Vec<u64>,
    cookie: u64,
    returns: bool,
    session: bool,
}

#[derive(Clone, Debug)]
enum Places {
    None,
    Matching(String),
    Symbols(Vec<String>),
    Offsets(Vec<u64>),
}

impl UprobeMulti {
    /// In a file, as [`Uprobe::new`].
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self::of(UserFile::new(path.into()))
    }

    /// In a file that a process has mapped, as [`Uprobe::mapped`].
    pub fn mapped(pid: u32, name: impl AsRef<OsStr>) -> Self {
        Self::of(UserFile::mapped(pid, name.as_ref()))
    }

    fn of(file: UserFile) -> Self {
        Self {
            file,
            places: Places::None,
            ref_ctr_offsets: Vec::new(),
            cookies: Vec::new(),
            cookie: 0,
            returns: false,
            session: false,
        }
    }

    /// What follows `uprobe.multi/` in the name of a section: `PATH:PATTERN`.
    ///
    /// # Errors
    /// It has no such form.
    pub fn parse(target: &str) -> Result<Self, AttachError> {
        match target.split_once(':') {
            Some((path, pattern)) if !path.is_empty() && !pattern.is_empty() => {
                Ok(Self::new(path).matching(pattern))
            }
            _ => Err(AttachError::Form {
                target: target.to_owned(),
                what: "path and pattern for functions",
            }),
        }
    }

    /// Every function whose name a pattern fits, each place once.
    #[must_use]
    pub fn matching(mut self, pattern: impl Into<String>) -> Self {
        self.places = Places::Matching(pattern.into());
        self
    }

    /// Functions by their names, as [`Uprobe::symbol`].
    #[must_use]
    pub fn symbols(mut self, symbols: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.places = Places::Symbols(symbols.into_iter().map(Into::into).collect());
        self
    }

    /// Offsets in the file.
    #[must_use]
    pub fn offsets(mut self, offsets: impl Into<Vec<u64>>) -> Self {
        self.places = Places::Offsets(offsets.into());
        self
    }

    /// For each place, the offset of a number that is raised while somebody looks; 0 for none.
    #[must_use]
    pub fn ref_ctr_offsets(mut self, offsets: impl Into<Vec<u64>>) -> Self {
        self.ref_ctr_offsets = offsets.into();
        self
    }

    /// What `bpf_get_attach_cookie` gives the program, for each place by itself.
    #[must_use]
    pub fn cookies(mut self, cookies: impl Into<Vec<u64>>) -> Self {
        self.cookies = cookies.into();
        self
    }

    /// What `bpf_get_attach_cookie` gives the program, whichever place it is.
    #[must_use]
    pub fn cookie(mut self, cookie: u64) -> Self {
        self.cookie = cookie;
        self
    }

    /// When the functions return.
    #[must_use]
    #[doc(alias = "uretprobe.multi")]
    pub fn returns(mut self) -> Self {
        self.returns = true;
        self
    }

    /// At entries and returns, for programs that were loaded for sessions.
    #[must_use]
    #[doc(alias = "uprobe.session")]
    pub fn session(mut self) -> Self {
        self.session = true;
        self
    }

    /// In one process only. Since Linux 6.10 for links; before, the kernel took a thread for it.
    #[must_use]
    pub fn pid(mut self, pid: u32) -> Self {
        self.file.pid = Some(pid);
        self
    }

    /// Attaches a program, which must have been loaded for it.
    ///
    /// # Errors
    /// There is no such file or function, one cannot be probed, or the program was loaded for
    /// something else.
    pub fn attach(&self, prog: &ProgFd) -> Result<Link, AttachError> {
        if self.returns && self.session {
            return Err(self.options("a session is at returns anyway"));
        }
        if !self.cookies.is_empty() && self.cookie != 0 {
            return Err(self.options("there is one cookie, or one for each place"));
        }
        let (path, offsets) = self.resolve()?;
        if offsets.is_empty() {
            return Err(self.options("no place is named"));
        }
        let fits = |other: &[u64]| other.is_empty() || other.len() == offsets.len();
        if !fits(&self.cookies) || !fits(&self.ref_ctr_offsets) {
            return Err(self.options("cookies and counters are as many as places, or none"));
        }
        self.make(prog, &path, &offsets)
    }

    fn resolve(&self) -> Result<(PathBuf, Vec<u64>), AttachError> {
        let opened = || -> Result<Binary, AttachError> { self.file.open() };
        Ok(match &self.places {
            Places::None => return Err(self.options("no place is named")),
            Places::Offsets(offsets) => (self.file.kernel_path()?, offsets.clone()),
            Places::Matching(pattern) => {
                if !self.cookies.is_empty() || !self.ref_ctr_offsets.is_empty() {
                    return Err(self.options("a pattern has no order for cookies and counters"));
                }
                let binary = opened()?;
                let found = binary.functions(&Glob::new(pattern.as_str()))?;
                let offset = |function: Function<'_>| function.offset;
                (binary.path().to_owned(), found.iter().map(offset).collect())
            }
            Places::Symbols(symbols) => {
                let binary = opened()?;
                let offsets = symbols
                    .iter()
                    .map(|symbol| Ok(binary.offset(symbol)?.offset))
                    .collect::<Result<_, AttachError>>()?;
                (binary.path().to_owned(), offsets)
            }
        })
    }

    fn make(&self, prog: &ProgFd, path: &Path, offsets: &[u64]) -> Result<Link, AttachError> {
        let what = self.to_string();
        if self.file.pid.is_some() && lacks_processes() {
            return self.one_by_one(prog, path, offsets, what);
        }
        let mut flags = UprobeMultiFlags::empty();
        flags.set(UprobeMultiFlags::RETURN, self.returns);
        let same;
        let cookies = match self.cookie {
            0 => &self.cookies,
            cookie => {
                same = vec![cookie; offsets.len()];
                &same
            }
        };
        let target = LinkTarget::UprobeMulti {
            path,
            offsets,
            ref_ctr_offsets: &self.ref_ctr_offsets,
            cookies,
            flags,
            pid: self.file.pid.unwrap_or(0),
            session: self.session,
        };
        match LinkCreate::new(prog, target).run() {
            Ok(link) => Ok(Link::new(what, link)),
            Err(error)
                if (error.is(Errno::EINVAL) || error.is(Errno::E2BIG))
                    && !self.session
                    && probe::link_type(LinkType::UPROBE_MULTI).is_no() =>
            {
                self.one_by_one(prog, path, offsets, what)
            }
            Err(source) => Err(AttachError::kernel(format!("attach to {what}"), source)),
        }
    }

    fn one_by_one(
        &self,
        prog: &ProgFd,
        path: &Path,
        offsets: &[u64],
        what: String,
    ) -> Result<Link, AttachError> {
        if self.session {
            return Err(AttachError::Unsupported {
                what: format!("attach to {what}"),
                hint: Some("Linux 6.13 brought sessions of user probes".into()),
            });
        }
        let each = |list: &[u64], index: usize, other| list.get(index).copied().unwrap_or(other);
        let mut links = Vec::with_capacity(offsets.len());
        for (index, offset) in offsets.iter().enumerate() {
            let mut probe = Uprobe::new(path)
                .offset(*offset)
                .ref_ctr_offset(each(&self.ref_ctr_offsets, index, 0))
                .cookie(each(&self.cookies, index, self.cookie));
            if self.returns {
                probe = probe.returns();
            }
            if let Some(pid) = self.file.pid {
                probe = probe.pid(pid);
            }
            links.push(probe.attach(prog)?);
        }
        Ok(Link::group(what, links))
    }

    fn options(&self, why: &'static str) -> AttachError {
        AttachError::Options {
            what: self.to_string(),
            why,
        }
    }
}

/// Whether links of many user probes take a thread for a process, or there are none.
pub(super) fn lacks_processes() -> bool {
    Feature::by_name("uprobe_multi").is_some_and(|feature| feature.probe().is_no())
}

impl fmt::Display for UprobeMulti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match (self.session, self.returns) {
            (true, _) => "uprobe.session",
            (false, true) => "uretprobe.multi",
            (false, false) => "uprobe.multi",
        };
        write!(f, "{kind} {}", self.file.path.display())?;
        match &self.places {
            Places::None => {}
            Places::Matching(pattern) => write!(f, ":{pattern}")?,
            Places::Symbols(symbols) => write!(f, " of {} functions", symbols.len())?,
            Places::Offsets(offsets) => write!(f, " of {} places", offsets.len())?,
        }
        match self.file.pid {
            Some(pid) => write!(f, " in process {pid}"),
            None => Ok(()),
        }
    }
}
