//! What a command that takes long is at: one line on a terminal, gone when the command ends.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Nothing is shown of what is done sooner.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the line is renewed.
const EVERY: Duration = Duration::from_millis(250);
/// To the first column, and nothing from there on.
const ERASE: &str = "\r\x1b[K";

/// Shown until it is dropped; or never, where nobody sees it.
#[derive(Debug, Default)]
pub struct Progress {
    done: Arc<AtomicU64>,
    shown: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// Shows on standard error that `what` goes on, and how many `units` of it are done.
    #[must_use]
    pub fn begin(what: impl Into<String>, units: &'static str) -> Self {
        let what = what.into();
        let done = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&done);
        let (end, ended) = channel();
        let show = move || {
            let since = Instant::now();
            let mut wait = PATIENCE;
            let mut shown = false;
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(wait) {
                let line = line(&what, seen.load(Ordering::Relaxed), units, since.elapsed());
                // a terminal that went away is no reason to stop
                let _written = write!(std::io::stderr(), "{ERASE}{line}");
                (shown, wait) = (true, EVERY);
            }
            if shown {
                let _written = write!(std::io::stderr(), "{ERASE}");
            }
        };
        let thread = std::thread::Builder::new().name("progress".to_owned());
        // without a thread there is no line, and everything else as before
        let shown = thread.spawn(show).ok().map(|thread| (end, thread));
        Self { done, shown }
    }

    /// Something more is done.
    #[inline]
    pub fn step(&self) {
        if self.shown.is_some() {
            self.done.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.shown.take() {
            drop(end);
            // it says nothing of itself that could fail
            let _ended = thread.join();
        }
    }
}

fn line(what: &str, done: u64, units: &str, time: Duration) -> String {
    let seconds = time.as_secs();
    match done {
        0 => format!("{what}: {seconds} s"),
        done => format!("{what}: {done} {units}, {seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_what_is_done() {
        let time = Duration::from_millis(3999);
        assert_eq!(
            line("map 7", 12, "elements", time),
            "map 7: 12 elements, 3 s"
        );
        assert_eq!(line("loading x", 0, "", time), "loading x: 3 s");
    }

    #[test]
    fn what_nobody_sees_counts_nothing() {
        let progress = Progress::default();
        progress.step();
        assert_eq!(progress.done.load(Ordering::Relaxed), 0);
    }
}
