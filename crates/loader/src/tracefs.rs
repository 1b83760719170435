//! Files of tracefs: the numbers of events, probes that are made by writing a line, lists of
//! functions.

use crate::attach::{AttachError, Part};
use nix::sys::statfs::{TRACEFS_MAGIC, statfs};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Where it is mounted, in the order in which it is looked for. Looking at the second one mounts
/// it there, when debugfs is.
const USUAL: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// The longest name of an event, without its zero byte (`MAX_EVENT_NAME_LEN`).
const NAME_MAX: usize = 63;

/// Tells apart the probes of this process.
static COUNTER: AtomicU32 = AtomicU32::new(0);

/// A mounted tracefs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceFs {
    root: PathBuf,
}

impl TraceFs {
    /// Finds it: at its usual places, or wherever it is mounted.
    ///
    /// # Errors
    /// It is not mounted.
    pub fn find() -> Result<Self, AttachError> {
        let usual = USUAL.iter().map(PathBuf::from);
        let mounts = std::fs::read("/proc/self/mounts").unwrap_or_default();
        usual
            .chain(mount_points(&mounts))
            .find(|root| is_tracefs(root))
            .map(|root| Self { root })
            .ok_or(AttachError::NoTraceFs)
    }

    /// The one that is mounted there.
    #[must_use]
    pub fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// Where a file of it is.
    #[must_use]
    pub fn path(&self, file: &str) -> PathBuf {
        self.root.join(file)
    }

    /// Opens a file to read it.
    ///
    /// # Errors
    /// There is none, or it may not be read.
    pub fn open(&self, file: &str) -> Result<File, AttachError> {
        let path = self.path(file);
        File::open(&path).map_err(|source| AttachError::File {
            what: "read".into(),
            path,
            source,
        })
    }

    /// The number that perf events know an event by.
    ///
    /// # Errors
    /// There is no such event, or nobody but root may see it.
    #[doc(alias = "determine_tracepoint_id")]
    pub fn event_id(&self, category: &str, name: &str) -> Result<u64, AttachError> {
        let missing = || AttachError::Missing {
            what: "tracepoint",
            name: format!("{category}/{name}"),
        };
        let plain = |word: &str| !word.is_empty() && !word.contains('/') && !word.starts_with('.');
        if !plain(category) || !plain(name) {
            return Err(missing());
        }
        let path = self.path(&format!("events/{category}/{name}/id"));
        let failed = |source| AttachError::File {
            what: format!("read the number of tracepoint {category}/{name}"),
            path: path.clone(),
            source,
        };
        let text = std::fs::read_to_string(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => missing(),
            _ => failed(error),
        })?;
        let id = text.trim().parse();
        id.map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error)))
    }

    /// Makes a probe: an event that `place` says the place of, in the words of the file
    /// (`do_nanosleep+4`, `/bin/sh:0x1234(0x20)`). It goes when it is undone, and not by itself:
    /// neither when it is dropped nor when this process ends.
    ///
    /// # Errors
    /// The kernel has no such file, or refuses the place.
    pub fn add_probe(
        &self,
        kind: ProbeKind,
        label: &str,
        place: &str,
        max_active: Option<u32>,
    ) -> Result<ProbeEvent, AttachError> {
        let name = self.unused_name(kind, label);
        let event = ProbeEvent {
            tracefs: self.clone(),
            kind,
            name,
        };
        event.write(&event.definition(place, max_active))?;
        Ok(event)
    }

    /// A name that no event has: the kernel would add the place to that one.
    fn unused_name(&self, kind: ProbeKind, label: &str) -> String {
        loop {
            let count = COUNTER.fetch_add(1, Ordering::Relaxed);
            let name = event_name(std::process::id(), count, label);
            let path = self.path(&format!("events/{}/{name}", kind.group()));
            if !path.exists() {
                return name;
            }
        }
    }
}

/// What kind of probe an event is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProbeKind {
    /// At a place in the kernel.
    Kprobe,
    /// Where a function of the kernel returns.
    Kretprobe,
    /// At a place in a file.
    Uprobe,
    /// Where a function in a file returns.
    Uretprobe,
}

impl ProbeKind {
    /// The file that makes them.
    const fn file(self) -> &'static str {
        match self {
            Self::Kprobe | Self::Kretprobe => "kprobe_events",
            Self::Uprobe | Self::Uretprobe => "uprobe_events",
        }
    }

    /// The category of these events.
    const fn group(self) -> &'static str {
        match self {
            Self::Kprobe | Self::Kretprobe => "kprobes",
            Self::Uprobe | Self::Uretprobe => "uprobes",
        }
    }

    /// How a definition begins.
    const fn letter(self) -> char {
        match self {
            Self::Kprobe | Self::Uprobe => 'p',
            Self::Kretprobe | Self::Uretprobe => 'r',
        }
    }
}

/// A probe in tracefs, which stays until it is undone.
#[derive(Debug)]
pub struct ProbeEvent {
    tracefs: TraceFs,
    kind: ProbeKind,
    name: String,
}

impl ProbeEvent {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number that perf events know it by.
    ///
    /// # Errors
    /// Somebody has removed it.
    pub fn id(&self) -> Result<u64, AttachError> {
        self.tracefs.event_id(self.kind.group(), &self.name)
    }

    fn definition(&self, place: &str, max_active: Option<u32>) -> String {
        let (letter, group, name) = (self.kind.letter(), self.kind.group(), &self.name);
        let active = max_active.map_or(String::new(), |count| count.to_string());
        format!("{letter}{active}:{group}/{name} {place}\n")
    }

    fn write(&self, line: &str) -> Result<(), AttachError> {
        let path = self.tracefs.path(self.kind.file());
        let file = OpenOptions::new().append(true).open(&path);
        file.and_then(|mut file| file.write_all(line.as_bytes()))
            .map_err(|source| AttachError::File {
                what: format!("write '{}' to", line.trim_end()),
                path,
                source,
            })
    }
}

impl Part for ProbeEvent {
    fn undo(&mut self) -> Result<(), AttachError> {
        let (group, name) = (self.kind.group(), &self.name);
        self.write(&format!("-:{group}/{name}\n"))
    }
}

/// The name of an event of ours, from what tells it apart and what it is about.
fn event_name(pid: u32, count: u32, label: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let label = label.chars().map(word);
    let name = format!("rbpftool_{pid}_{count}_");
    name.chars().chain(label).take(NAME_MAX).collect()
}

fn is_tracefs(root: &Path) -> bool {
    // Asking about a file in it mounts it where that happens by itself.
    let asked = statfs(&root.join("events")).or_else(|_| statfs(root));
    asked.is_ok_and(|found| found.filesystem_type() == TRACEFS_MAGIC)
}

/// Where tracefs is mounted, from a list of the form of `/proc/self/mounts`.
fn mount_points(mounts: &[u8]) -> impl Iterator<Item = PathBuf> {
    mounts.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut words = line.split(|byte| *byte == b' ');
        let (at, kind) = (words.nth(1)?, words.next()?);
        (kind == b"tracefs").then(|| unescape(at))
    })
}

/// `\040` and its like, for what would end a word.
fn unescape(word: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((first, after)) = rest.split_first() {
        let octal = (*first == b'\\').then(|| after.get(..3)).flatten();
        let octal = octal.and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_found_by_their_type() {
        let mounts = b"proc /proc proc rw 0 0\n\
            tracefs /a\\040place tracefs rw 0 0\n\
            none /tracefs bpf rw 0 0\n\
            x /b\\\\ tracefs\n\
            broken\n";
        let found: Vec<PathBuf> = mount_points(mounts).collect();
        assert_eq!(found, [Path::new("/a place"), Path::new("/b\\\\")]);
    }

    #[test]
    fn names_are_words_of_limited_length() {
        assert_eq!(
            event_name(7, 3, "sys_open+0x4"),
            "rbpftool_7_3_sys_open_0x4"
        );
        assert_eq!(event_name(7, 3, &"x".repeat(99)).len(), NAME_MAX);
        assert_eq!(event_name(1, 0, "/bin/š"), "rbpftool_1_0__bin__");
    }

    /// A folder in place of a tracefs.
    fn folder() -> (tempfile::TempDir, TraceFs) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("events/sched/sched_switch")).unwrap();
        std::fs::write(dir.path().join("events/sched/sched_switch/id"), "314\n").unwrap();
        for file in ["kprobe_events", "uprobe_events"] {
            std::fs::write(dir.path().join(file), "").unwrap();
        }
        let tracefs = TraceFs::at(dir.path().to_owned());
        (dir, tracefs)
    }

    #[test]
    fn probes_are_lines_that_come_and_go() {
        let (dir, tracefs) = folder();
        let said = |file: &str| std::fs::read_to_string(dir.path().join(file)).unwrap();
        let kind = ProbeKind::Kretprobe;
        let mut probe = tracefs.add_probe(kind, "f", "f", Some(9)).unwrap();
        let name = probe.name().to_owned();
        probe.undo().unwrap();
        assert_eq!(
            said("kprobe_events"),
            format!("r9:kprobes/{name} f\n-:kprobes/{name}\n")
        );
        let kind = ProbeKind::Uprobe;
        let probe = tracefs
            .add_probe(kind, "sh", "/bin/sh:0x10(0x20)", None)
            .unwrap();
        let name = probe.name();
        assert_eq!(
            said("uprobe_events"),
            format!("p:uprobes/{name} /bin/sh:0x10(0x20)\n")
        );
        assert!(name.ends_with("_sh"));
        assert_eq!(
            probe.id().unwrap_err().to_string(),
            format!("there is no tracepoint 'uprobes/{name}'")
        );
    }

    #[test]
    fn names_of_others_are_not_taken() {
        let (dir, tracefs) = folder();
        let taken = COUNTER.load(Ordering::Relaxed);
        for count in taken..taken + 50 {
            let name = event_name(std::process::id(), count, "f");
            std::fs::create_dir_all(dir.path().join("events/kprobes").join(name)).unwrap();
        }
        let name = tracefs.unused_name(ProbeKind::Kprobe, "f");
        assert!(!dir.path().join("events/kprobes").join(name).exists());
    }

    #[test]
    fn events_have_numbers() {
        let (_dir, tracefs) = folder();
        assert_eq!(tracefs.event_id("sched", "sched_switch").unwrap(), 314);
        for (category, name) in [
            ("sched", "nothing"),
            ("..", "x"),
            ("sched", ""),
            ("", "a/b"),
        ] {
            assert_eq!(
                tracefs.event_id(category, name).unwrap_err().to_string(),
                format!("there is no tracepoint '{category}/{name}'")
            );
        }
    }
}
