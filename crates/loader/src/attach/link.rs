//! Something that is attached, as a value.

use super::AttachError;
use bpfsys::cmd::{LinkDetach, LinkUpdate, ObjGet, ObjPin};
use bpfsys::sys::perf_event::PerfEvent;
use bpfsys::{AnyFd, LinkFd, MapFd, ProgFd};
use nix::errno::Errno;
use std::fmt;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

/// A program that is attached. Dropping it detaches the program, unless it is pinned or forgotten.
///
/// Behind it is a BPF link where the kernel has them for the mechanism, and otherwise what the
/// mechanism had before there were links.
#[must_use = "dropping a link detaches its program"]
pub struct Link {
    what: String,
    link: Option<LinkFd>,
    /// What is undone after the link is closed, the last one first.
    parts: Vec<Box<dyn Part>>,
    pin: Option<PathBuf>,
}

/// What an attachment is made of besides a link, and how to take it away. One that is dropped and
/// not undone leaves it, as far as the kernel does without this process.
pub trait Part: fmt::Debug + Send + Sync {
    /// Takes it away. It is called once.
    ///
    /// # Errors
    /// It cannot be taken away.
    fn undo(&mut self) -> Result<(), AttachError>;

    /// Leaves it as it is. Whoever needs no descriptor of this process for that closes them.
    fn leave(self: Box<Self>) {
        std::mem::forget(self);
    }
}

/// A program on a perf event goes when the event is closed, which follows.
impl Part for PerfEvent {
    fn undo(&mut self) -> Result<(), AttachError> {
        self.disable()
            .map_err(|source| AttachError::kernel("disable a perf event", source))
    }
}

impl Part for Link {
    fn undo(&mut self) -> Result<(), AttachError> {
        self.undo_all()
    }

    fn leave(self: Box<Self>) {
        self.forget();
    }
}

impl Link {
    /// What a BPF link keeps attached; `what` names the place for people: `tracepoint x/y`.
    pub fn new(what: impl Into<String>, link: LinkFd) -> Self {
        Self {
            what: what.into(),
            link: Some(link),
            parts: Vec::new(),
            pin: None,
        }
    }

    /// What is attached without a BPF link.
    pub fn without_fd(what: impl Into<String>, part: impl Part + 'static) -> Self {
        Self {
            what: what.into(),
            link: None,
            parts: vec![Box::new(part)],
            pin: None,
        }
    }

    /// Several places that are one to whoever attached them.
    pub fn group(what: impl Into<String>, links: Vec<Self>) -> Self {
        let parts = links
            .into_iter()
            .map(|link| Box::new(link) as Box<dyn Part>);
        Self {
            what: what.into(),
            link: None,
            parts: parts.collect(),
            pin: None,
        }
    }

    /// Keeps something until after the link is closed, then undoes it.
    pub fn with_part(mut self, part: impl Part + 'static) -> Self {
        self.parts.push(Box::new(part));
        self
    }

    /// Keeps something that all the rest stands on: it is undone last.
    pub fn with_base(mut self, part: impl Part + 'static) -> Self {
        self.parts.insert(0, Box::new(part));
        self
    }

    /// Takes over a link that is pinned.
    ///
    /// # Errors
    /// Nothing is pinned there, or no link.
    #[doc(alias = "bpf_link__open")]
    pub fn open_pinned(path: &Path) -> Result<Self, AttachError> {
        let shown = path.display();
        let opened = ObjGet::new(path).run();
        match opened
            .map_err(|source| AttachError::kernel(format!("open the pin {shown}"), source))?
        {
            AnyFd::Link(link) => Ok(Self {
                what: format!("the link at {shown}"),
                link: Some(link),
                parts: Vec::new(),
                pin: Some(path.to_owned()),
            }),
            _ => Err(AttachError::Form {
                target: shown.to_string(),
                what: "pin of a link",
            }),
        }
    }

    /// What it is attached to, for people.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The BPF link, if there is one behind it.
    #[must_use]
    pub fn fd(&self) -> Option<&LinkFd> {
        self.link.as_ref()
    }

    /// Where it is pinned, as far as this value knows.
    #[must_use]
    pub fn pinned_at(&self) -> Option<&Path> {
        self.pin.as_deref()
    }

    fn linked(&self, action: &'static str) -> Result<&LinkFd, AttachError> {
        self.link.as_ref().ok_or_else(|| AttachError::NotALink {
            what: self.what.clone(),
            action,
        })
    }

    /// Pins it in a bpf file system, so that it outlives this process. What was made beside the
    /// link stays then too.
    ///
    /// # Errors
    /// There is no BPF link behind it, or it cannot be pinned there.
    #[doc(alias = "bpf_link__pin")]
    pub fn pin(&mut self, path: &Path) -> Result<(), AttachError> {
        let link = self.linked("pinned")?;
        let pinned = ObjPin::new(link, path).run();
        pinned.map_err(|source| {
            AttachError::kernel(format!("pin {} at {}", self.what, path.display()), source)
        })?;
        self.pin = Some(path.to_owned());
        Ok(())
    }

    /// Removes its pin; it is then attached as long as this value lives.
    ///
    /// # Errors
    /// It is not pinned, or the pin cannot be removed.
    #[doc(alias = "bpf_link__unpin")]
    pub fn unpin(&mut self) -> Result<(), AttachError> {
        let Some(path) = self.pin.take() else {
            return Err(AttachError::Missing {
                what: "pin of",
                name: self.what.clone(),
            });
        };
        std::fs::remove_file(&path).map_err(|source| AttachError::File {
            what: format!("unpin {}", self.what),
            path,
            source,
        })
    }

    /// Lets another program take over, without a moment between the two. With `old`, only if that
    /// is the one that runs now.
    ///
    /// # Errors
    /// There is no BPF link behind it, its kind has no update, or another program runs than `old`.
    #[doc(alias = "bpf_link__update_program")]
    pub fn update(&self, new: &ProgFd, old: Option<&ProgFd>) -> Result<(), AttachError> {
        let mut update = LinkUpdate::new(self.linked("updated")?, new);
        if let Some(old) = old {
            update = update.expect_prog(old);
        }
        self.updated(update.run())
    }

    /// Lets the operations of another struct_ops map take over.
    ///
    /// # Errors
    /// There is no BPF link of a struct_ops map behind it, or the type of the kernel has no update.
    #[doc(alias = "bpf_link__update_map")]
    pub fn update_map(&self, new: &MapFd) -> Result<(), AttachError> {
        self.updated(LinkUpdate::with_map(self.linked("updated")?, new).run())
    }

    fn updated(&self, result: Result<(), bpfsys::SysError>) -> Result<(), AttachError> {
        result.map_err(|source| AttachError::kernel(format!("update {}", self.what), source))
    }

    /// Detaches, and says how that went. A pinned link is detached though its pin remains.
    ///
    /// # Errors
    /// It cannot be detached: the link is pinned and of a kind that only goes with its pin, or what
    /// it was attached to is gone or belongs to somebody else by now.
    #[doc(alias = "bpf_link__detach")]
    pub fn detach(mut self) -> Result<(), AttachError> {
        if let (Some(link), Some(path)) = (&self.link, &self.pin) {
            match LinkDetach::new(link).run() {
                Ok(()) => {}
                Err(error) if error.is(Errno::EOPNOTSUPP) || error.is(Errno::EINVAL) => {
                    return Err(AttachError::Unsupported {
                        what: format!("detach {} while it is pinned", self.what),
                        hint: Some(format!("remove {}", path.display())),
                    });
                }
                Err(source) => {
                    return Err(AttachError::kernel(format!("detach {}", self.what), source));
                }
            }
            self.pin = None;
        }
        self.undo_all()
    }

    /// Leaves it attached when this value goes: what was attached without a BPF link stays until
    /// somebody detaches it, a BPF link that is not pinned until this process ends.
    #[doc(alias = "bpf_link__disconnect")]
    pub fn forget(mut self) {
        let _stays_open = ManuallyDrop::new(self.link.take());
        self.parts.drain(..).for_each(Part::leave);
    }

    /// Gives the BPF link away, with the duty to keep it.
    ///
    /// # Errors
    /// There is no BPF link behind it, or not that alone: then it comes back.
    pub fn into_fd(mut self) -> Result<LinkFd, Self> {
        match self.link.take() {
            Some(link) if self.parts.is_empty() => Ok(link),
            link => {
                self.link = link;
                Err(self)
            }
        }
    }

    fn undo_all(&mut self) -> Result<(), AttachError> {
        drop(self.link.take());
        let mut first = Ok(());
        while let Some(mut part) = self.parts.pop() {
            let undone = part.undo();
            if first.is_ok() {
                first = undone;
            }
        }
        first
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if self.pin.is_some() {
            // What the pinned link needs stays with it, because nobody undoes it.
            return;
        }
        // Who wants to know how it went calls `detach`.
        let _told_to_nobody = self.undo_all();
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("what", &self.what)
            .field("link", &self.link)
            .field("parts", &self.parts)
            .field("pin", &self.pin)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Debug)]
    struct Note(u32, Arc<Mutex<Vec<u32>>>);

    impl Part for Note {
        fn undo(&mut self) -> Result<(), AttachError> {
            self.1.lock().unwrap().push(self.0);
            match self.0 {
                2 => Err(AttachError::Missing {
                    what: "place",
                    name: "two".into(),
                }),
                _ => Ok(()),
            }
        }
    }

    #[test]
    fn parts_are_undone_once_from_the_last_to_the_first() {
        let log = Arc::new(Mutex::new(Vec::new()));
        let one = |n| Link::without_fd(format!("place {n}"), Note(n, Arc::clone(&log)));
        let based = one(1).with_part(Note(3, Arc::clone(&log)));
        drop(based.with_base(Note(4, Arc::clone(&log))));
        assert_eq!(*log.lock().unwrap(), [3, 1, 4]);
        log.lock().unwrap().clear();
        let error = Link::group("three places", vec![one(1), one(2), one(3)]).detach();
        assert_eq!(error.unwrap_err().to_string(), "there is no place 'two'");
        assert_eq!(*log.lock().unwrap(), [3, 2, 1]);
        log.lock().unwrap().clear();
        one(1).forget();
        assert!(log.lock().unwrap().is_empty());
    }

    #[test]
    fn what_is_no_link_says_so() {
        let log = Arc::new(Mutex::new(Vec::new()));
        let mut link = Link::without_fd("place 1", Note(1, Arc::clone(&log)));
        assert_eq!(
            link.pin("/nowhere".as_ref()).unwrap_err().to_string(),
            "place 1 is attached without a link: it cannot be pinned"
        );
        assert_eq!(
            link.unpin().unwrap_err().to_string(),
            "there is no pin of 'place 1'"
        );
        assert!(link.into_fd().is_err());
        assert_eq!(*log.lock().unwrap(), [1]);
    }
}
