//! Uprobes: programs that run at an instruction of a program or library, or where a function
//! returns.

use super::perf::{self, PerfForm, ProbeForm, ProbeType};
use super::{AttachError, Link};
use crate::symbols::{Binary, search};
use crate::tracefs::{ProbeKind, TraceFs};
use bpfsys::ProgFd;
use bpfsys::sys::perf_event::{PerfEvent, Target};
use std::ffi::{CString, OsStr};
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// A place in a program or library, or the return of a function, in all processes that run it or
/// in one.
///
/// Events of the kernel's own type are used where it has them, and otherwise a line in tracefs;
/// programs are put on them by links or by the events ([`PerfForm`]).
///
/// ```no_run
/// # fn attach(program: &bpfsys::ProgFd) -> Result<(), loader::attach::AttachError> {
/// use loader::attach::Uprobe;
///
/// let link = Uprobe::new("libc.so.6").symbol("malloc").attach(program)?;
/// # drop(link);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[doc(alias = "bpf_program__attach_uprobe_opts")]
pub struct Uprobe {
    file: UserFile,
    place: Place,
    more: u64,
    returns: bool,
    ref_ctr_offset: u64,
    cookie: u64,
    probe: ProbeForm,
    perf: PerfForm,
}

/// The file that a probe is in, and in which processes.
#[derive(Clone, Debug)]
pub(super) struct UserFile {
    pub(super) path: PathBuf,
    /// Whether the path is one that the process calls the file.
    mapped: bool,
    pub(super) pid: Option<u32>,
}

impl UserFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            mapped: false,
            pid: None,
        }
    }

    pub(super) fn mapped(pid: u32, name: &OsStr) -> Self {
        Self {
            path: name.into(),
            mapped: true,
            pid: Some(pid),
        }
    }

    /// The file with its symbols.
    pub(super) fn open(&self) -> Result<Binary, AttachError> {
        Ok(match self.pid {
            Some(pid) if self.mapped => Binary::mapped(pid, self.path.as_os_str())?,
            _ => Binary::open(&self.path)?,
        })
    }

    /// What the kernel is told, where no symbol is needed.
    pub(super) fn kernel_path(&self) -> Result<PathBuf, AttachError> {
        let missing = |source| AttachError::from(crate::symbols::BinaryError::Search(source));
        match self.pid {
            Some(pid) if self.mapped => search::mapped(pid, self.path.as_os_str()).map_err(missing),
            _ if self.path.as_os_str().as_bytes().contains(&b'/') => Ok(self.path.clone()),
            _ => search::Places::of_system()
                .find(self.path.as_os_str())
                .map_err(missing),
        }
    }
}

/// Where in a file.
#[derive(Clone, Debug)]
enum Place {
    None,
    Symbol(String),
    Offset(u64),
    Line(String, u64),
}

impl Uprobe {
    /// In a file: by path, as a member of an archive (`base.apk!/lib/libx.so`), or by a name
    /// without `/`, which is searched for as the shell and the dynamic linker would.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self::of(UserFile::new(path.into()))
    }

    /// In a file that a process has mapped, by its path there or the start of its name (`libc`),
    /// and in that process only.
    pub fn mapped(pid: u32, name: impl AsRef<OsStr>) -> Self {
        Self::of(UserFile::mapped(pid, name.as_ref()))
    }

    fn of(file: UserFile) -> Self {
        Self {
            file,
            place: Place::None,
            more: 0,
            returns: false,
            ref_ctr_offset: 0,
            cookie: 0,
            probe: ProbeForm::Best,
            perf: PerfForm::Best,
        }
    }

    /// What follows `uprobe/` in the name of a section: `PATH:FUNCTION`, `PATH:FUNCTION+OFFSET`.
    ///
    /// # Errors
    /// It has no such form.
    pub fn parse(target: &str) -> Result<Self, AttachError> {
        match target.split_once(':') {
            Some((path, symbol)) if !path.is_empty() && !symbol.is_empty() => {
                Ok(Self::new(path).symbol(symbol))
            }
            _ => Err(AttachError::Form {
                target: target.to_owned(),
                what: "path and function",
            }),
        }
    }

    /// At a function: `f`, `f+0x10`, `f@VERSION`.
    #[must_use]
    pub fn symbol(mut self, symbol: impl Into<String>) -> Self {
        self.place = Place::Symbol(symbol.into());
        self
    }

    /// At an offset in the file.
    #[must_use]
    pub fn offset(mut self, offset: u64) -> Self {
        self.place = Place::Offset(offset);
        self
    }

    /// At a line of source, wherever there is code of it. `file` is the end of its path.
    #[must_use]
    pub fn line(mut self, file: impl Into<String>, line: u64) -> Self {
        self.place = Place::Line(file.into(), line);
        self
    }

    /// So many bytes further, where an instruction begins.
    #[must_use]
    pub fn plus(mut self, bytes: u64) -> Self {
        self.more = bytes;
        self
    }

    /// When the function returns.
    #[must_use]
    #[doc(alias = "uretprobe")]
    pub fn returns(mut self) -> Self {
        self.returns = true;
        self
    }

    /// In one process only.
    #[must_use]
    pub fn pid(mut self, pid: u32) -> Self {
        self.file.pid = Some(pid);
        self
    }

    /// A number of two bytes in the file, which is raised in every process while somebody looks.
    #[must_use]
    #[doc(alias = "semaphore")]
    pub fn ref_ctr_offset(mut self, offset: u64) -> Self {
        self.ref_ctr_offset = offset;
        self
    }

    /// What `bpf_get_attach_cookie` gives the program. Since Linux 5.15.
    #[must_use]
    pub fn cookie(mut self, cookie: u64) -> Self {
        self.cookie = cookie;
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
    /// There is no such file, function or line; no probe can be there; the program does not fit.
    pub fn attach(&self, prog: &ProgFd) -> Result<Link, AttachError> {
        let what = self.to_string();
        let refuse = |why| AttachError::Options {
            what: what.clone(),
            why,
        };
        let resolved = match &self.place {
            Place::None => return Err(refuse("no function, offset or line is named")),
            Place::Offset(offset) => (self.file.kernel_path()?, vec![*offset]),
            Place::Symbol(symbol) => {
                let binary = self.file.open()?;
                let place = binary.offset(symbol)?;
                let inside = crate::symbols::Query::parse(symbol).is_ok_and(|q| q.offset != 0);
                if self.returns && inside {
                    return Err(refuse("a function returns from no place in particular"));
                }
                (binary.path().to_owned(), vec![place.offset])
            }
            Place::Line(file, line) => {
                let binary = self.file.open()?;
                let places = binary.line(file, *line)?;
                let offsets = places.iter().map(|place| place.offset).collect();
                (binary.path().to_owned(), offsets)
            }
        };
        if self.returns && self.more != 0 {
            return Err(refuse("a function returns from no place in particular"));
        }
        let (path, offsets) = resolved;
        let mut links = Vec::with_capacity(offsets.len());
        for offset in offsets {
            let offset = offset
                .checked_add(self.more)
                .ok_or_else(|| refuse("no file is that long"))?;
            links.push(self.at(&path, offset, prog, &what)?);
        }
        match <[Link; 1]>::try_from(links) {
            Ok([link]) => Ok(link),
            Err(links) => Ok(Link::group(what, links)),
        }
    }

    /// Attaches at one place of a file that the kernel can open.
    fn at(&self, path: &Path, offset: u64, prog: &ProgFd, what: &str) -> Result<Link, AttachError> {
        let target = match self.file.pid {
            Some(pid) => Target {
                pid: i32::try_from(pid).map_err(|_too_large| AttachError::Missing {
                    what: "process",
                    name: pid.to_string(),
                })?,
                cpu: -1,
            },
            None => perf::all_processes(),
        };
        let type_ = match self.probe {
            ProbeForm::TraceFs => None,
            ProbeForm::Best | ProbeForm::Event => ProbeType::uprobe(),
        };
        match type_ {
            Some(type_) => {
                let attr = type_.attr(self.returns, self.ref_ctr_offset)?;
                let text = CString::new(path.as_os_str().as_bytes());
                let text = text.map_err(|_zero| AttachError::Missing {
                    what: "file",
                    name: path.display().to_string(),
                })?;
                let event = PerfEvent::open_probe(attr, Some(&text), offset, target)
                    .map_err(|source| AttachError::kernel(format!("make {what}"), source))?;
                perf::on_event(event, prog, self.perf, self.cookie, what)
            }
            None if self.probe == ProbeForm::Event => Err(AttachError::Unsupported {
                what: format!("attach to {what} without tracefs"),
                hint: None,
            }),
            None => {
                let (kind, word) = match self.returns {
                    true => (ProbeKind::Uretprobe, "ret"),
                    false => (ProbeKind::Uprobe, "at"),
                };
                let place = tracefs_place(path, offset, self.ref_ctr_offset)?;
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let label = format!("{word}_{name}_{offset:#x}");
                let probe = TraceFs::find()?.add_probe(kind, &label, &place, None)?;
                perf::on_probe(probe, prog, target, self.perf, self.cookie, what)
            }
        }
    }
}

/// A place in the words of tracefs, which end at blanks.
fn tracefs_place(path: &Path, offset: u64, ref_ctr_offset: u64) -> Result<String, AttachError> {
    let plain = path
        .to_str()
        .filter(|path| !path.contains(|c: char| c.is_ascii_whitespace() || c == ':'));
    let Some(path) = plain else {
        return Err(AttachError::Unsupported {
            what: format!("name the file {} in tracefs", path.display()),
            hint: Some("a link to it by another name would do".into()),
        });
    };
    let counter = match ref_ctr_offset {
        0 => String::new(),
        offset => format!("({offset:#x})"),
    };
    Ok(format!("{path}:{offset:#x}{counter}"))
}

impl fmt::Display for Uprobe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.returns { "uretprobe" } else { "uprobe" };
        write!(f, "{kind} {}", self.file.path.display())?;
        match &self.place {
            Place::None => {}
            Place::Symbol(symbol) => write!(f, ":{symbol}")?,
            Place::Offset(offset) => write!(f, ":{offset:#x}")?,
            Place::Line(file, line) => write!(f, " at {file}:{line}")?,
        }
        if self.more != 0 {
            write!(f, "+{:#x}", self.more)?;
        }
        match self.file.pid {
            Some(pid) => write!(f, " in process {pid}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_of_sections() {
        let shown = |target| Uprobe::parse(target).map(|probe| probe.to_string());
        assert_eq!(shown("/bin/sh:main+4").unwrap(), "uprobe /bin/sh:main+4");
        assert_eq!(shown("libc:f@V").unwrap(), "uprobe libc:f@V");
        for target in ["", "/bin/sh", ":main", "/bin/sh:"] {
            let error = shown(target).unwrap_err().to_string();
            assert_eq!(error, format!("'{target}' is no path and function"));
        }
    }

    #[test]
    fn probes_are_shown_with_their_place() {
        let probe = Uprobe::mapped(7, "libc").offset(0x10).returns().plus(2);
        assert_eq!(probe.to_string(), "uretprobe libc:0x10+0x2 in process 7");
        let probe = Uprobe::new("/a").line("a.c", 3);
        assert_eq!(probe.to_string(), "uprobe /a at a.c:3");
    }

    #[test]
    fn places_in_the_words_of_tracefs() {
        let place = |path: &str, counter| tracefs_place(path.as_ref(), 16, counter).ok();
        assert_eq!(place("/bin/a", 0).as_deref(), Some("/bin/a:0x10"));
        assert_eq!(place("/bin/a", 32).as_deref(), Some("/bin/a:0x10(0x20)"));
        assert_eq!(place("/my bin/a", 0), None);
    }
}
