//! One emulated machine: started, listened to, ended.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::emulator::Emulator;
use crate::totals::{Outcome, Reader};

/// How long a guest may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// From start to power-off.
    pub(super) whole: Duration,
    /// Without a word.
    pub(super) silence: Duration,
}

/// What the kernel writes to its console when it cannot go on.
const FATAL: &[&str] = &[
    "Kernel panic",
    "BUG: unable to handle",
    "BUG: kernel NULL pointer",
    "general protection fault",
    "Oops:",
];

/// A guest's story.
#[derive(Debug, Default)]
pub(super) struct Story {
    /// What `uname -r` says there.
    pub(super) release: Option<String>,
    /// One for each suite that was begun.
    pub(super) outcomes: Vec<Outcome>,
    /// What could not be mounted or loaded.
    pub(super) lacks: Vec<String>,
    /// Every line that is for machines: `FEATURE ...`.
    pub(super) features: Vec<String>,
    /// Why it ended otherwise than by switching itself off.
    pub(super) died: Option<String>,
    pub(super) took: Duration,
}

/// Where a guest's files are.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) initramfs: PathBuf,
    /// What the kernel said.
    pub(super) console: PathBuf,
    /// What the suites said.
    pub(super) log: PathBuf,
}

impl Files {
    /// Names in `dir`, which is made.
    pub(super) fn in_dir(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        Ok(Self {
            initramfs: dir.join("initramfs"),
            console: dir.join("console.log"),
            log: dir.join("suites.log"),
        })
    }
}

/// Boots `image` and tells each line of its results to `each`.
pub(super) fn run(
    emulator: &Emulator,
    image: &Path,
    files: &Files,
    limits: Limits,
    mut each: impl FnMut(&str),
) -> Result<Story> {
    let start = Instant::now();
    // What an earlier one said must not be taken for this one's last words.
    match fs::remove_file(&files.console) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(e).context("remove an old console log");
        }
        _ => {}
    }
    let mut cmd = emulator.command(image, &files.initramfs);
    cmd.arg("-serial")
        .arg(format!("file:{}", files.console.display()))
        .args(["-serial", "stdio"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut machine = Machine(cmd.spawn().context("start the emulator")?);
    let out = machine.0.stdout.take().context("no stdout")?;
    let err = machine.0.stderr.take().context("no stderr")?;
    let (tell, hear) = mpsc::channel();
    let complaints = std::thread::spawn(move || std::io::read_to_string(err).unwrap_or_default());
    std::thread::spawn(move || {
        let mut out = BufReader::new(out);
        let mut line = Vec::new();
        while out.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            if tell.send(text).is_err() {
                return;
            }
            line.clear();
        }
    });
    let mut log =
        File::create(&files.log).with_context(|| format!("create {}", files.log.display()))?;
    let mut listener = Listener::default();
    let mut heard = Instant::now();
    let died = loop {
        match hear.recv_timeout(Duration::from_secs(1)) {
            Ok(line) => {
                heard = Instant::now();
                writeln!(log, "{line}").context("write a log")?;
                listener.line(&line);
                each(&line);
            }
            Err(RecvTimeoutError::Disconnected) => {
                break listener
                    .unfinished()
                    .map(|why| died_of(&files.console).unwrap_or(why));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Some(why) = died_of(&files.console) {
            break Some(why);
        }
        if heard.elapsed() > limits.silence {
            break Some(format!("silent for {} s", limits.silence.as_secs()));
        }
        if start.elapsed() > limits.whole {
            break Some(format!("still running after {} s", limits.whole.as_secs()));
        }
    };
    drop(machine);
    let mut story = listener.story;
    let said = complaints.join().unwrap_or_default();
    story.died = died.map(|why| match said.trim() {
        "" => why,
        said => format!("{why} ({})", said.replace('\n', "; ")),
    });
    if let Some((name, reader, since)) = listener.current {
        // Begun and never ended: what it printed so far counts, and the end is
        // a failure of its own.
        let mut outcome = reader.finish(&name, true, false);
        outcome.took = since.elapsed();
        story.outcomes.push(outcome);
    }
    story.took = start.elapsed();
    Ok(story)
}

/// The emulator's process; ended when dropped.
#[derive(Debug)]
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// What the kernel's last words were, if it has said them.
fn died_of(console: &Path) -> Option<String> {
    let text = fs::read(console).ok()?;
    let text = String::from_utf8_lossy(&text);
    let line = text
        .lines()
        .find(|l| FATAL.iter().any(|words| l.contains(words)))?;
    Some(format!("its kernel died: {}", line.trim()))
}

/// Understands what the first process and the suites say.
#[derive(Default)]
struct Listener {
    story: Story,
    current: Option<(String, Reader, Instant)>,
    off: bool,
}

impl Listener {
    fn line(&mut self, line: &str) {
        let Some(said) = line.strip_prefix("@guest ") else {
            if line.starts_with("FEATURE ") {
                self.story.features.push(line.to_owned());
            }
            if let Some((_, reader, _)) = &mut self.current {
                reader.line(line);
            }
            return;
        };
        let (word, rest) = said.split_once(' ').unwrap_or((said, ""));
        match word {
            "up" => self.story.release = Some(rest.to_owned()),
            "lacks" => self.story.lacks.push(rest.to_owned()),
            "start" => {
                self.current = Some((rest.to_owned(), Reader::default(), Instant::now()));
            }
            "end" => {
                let status = rest.rsplit(' ').next().unwrap_or_default();
                if let Some((name, reader, since)) = self.current.take() {
                    let mut outcome = reader.finish(&name, true, status == "0");
                    outcome.took = since.elapsed();
                    self.story.outcomes.push(outcome);
                }
            }
            "off" => self.off = true,
            _ => self.story.lacks.push(said.to_owned()),
        }
    }

    /// Why the end of its output is not the end of its work.
    fn unfinished(&self) -> Option<String> {
        (!self.off).then(|| match &self.current {
            Some((name, ..)) => format!("went away in {name}"),
            None => "went away without a word".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Listener;

    fn listen(text: &str) -> Listener {
        let mut l = Listener::default();
        text.lines().for_each(|line| l.line(line));
        l
    }

    #[test]
    fn a_whole_story() {
        let l = listen(
            "@guest up 6.1.0\n@guest lacks x\n@guest start a\nFEATURE c n yes\n\
             test result: ok. 2 passed; 0 failed; 0 ignored;\n@guest end a 0\n@guest off",
        );
        assert_eq!(l.unfinished(), None);
        assert_eq!(l.story.release.as_deref(), Some("6.1.0"));
        assert_eq!(l.story.outcomes.len(), 1);
        assert_eq!(
            (l.story.outcomes[0].passed, l.story.outcomes[0].failed),
            (2, 0)
        );
        assert_eq!(l.story.features.len(), 1);
    }

    #[test]
    fn a_suite_that_fails_without_saying_so_is_a_failure() {
        let l = listen("@guest start a\ntest result: ok. 2 passed;\n@guest end a 101\n@guest off");
        assert_eq!(l.story.outcomes[0].failed, 1);
    }

    #[test]
    fn a_guest_that_goes_away_is_noticed() {
        let l = listen("@guest up 6.1.0\n@guest start a\ntest x ... ok");
        assert_eq!(l.unfinished().as_deref(), Some("went away in a"));
        assert!(l.current.is_some());
    }
}
