//! Counting: what passed, what failed, what was skipped and why.

use std::collections::BTreeMap;
use std::time::Duration;

/// What one step of `cargo xtask test` came to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) step: String,
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    /// The tests that failed by name, or why the step as a whole did.
    pub(crate) failures: Vec<String>,
    /// (test, reason)
    pub(crate) skips: Vec<(String, String)>,
    pub(crate) took: Duration,
    /// What the probes said, a line each: `FEATURE ...`.
    pub(crate) features: Vec<String>,
}

impl Outcome {
    pub(crate) fn new(step: &str) -> Self {
        Self {
            step: step.to_owned(),
            ..Self::default()
        }
    }

    /// A step that counts as one test and failed.
    pub(crate) fn failed(step: &str, why: &str) -> Self {
        let mut out = Self::new(step);
        out.failed = 1;
        out.failures.push(why.to_owned());
        out
    }

    /// A step that counts as one test and did not run.
    pub(crate) fn skipped(step: &str, reason: &str) -> Self {
        let mut out = Self::new(step);
        out.skips.push((step.to_owned(), reason.to_owned()));
        out
    }
}

/// Reads the lines of `cargo test` as they come.
///
/// Two harnesses are heard: libtest, where a test that skips itself prints
/// `SKIP name: reason` and then counts as passed, and ours, which says the
/// same line and counts it as ignored.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    passed: usize,
    failed: usize,
    ignored: usize,
    failures: Vec<String>,
    skips: Vec<(String, String)>,
    /// `test x ... ignored, reason` of libtest's `#[ignore]`
    ignored_named: Vec<(String, String)>,
    results: usize,
}

impl Reader {
    pub(crate) fn line(&mut self, line: &str) {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("SKIP ") {
            let (test, reason) = rest.split_once(": ").unwrap_or((rest, "no reason given"));
            self.skips.push((test.to_owned(), reason.to_owned()));
        } else if let Some(rest) = line.strip_prefix("test result: ") {
            self.results += 1;
            for part in rest.split([';', '.']) {
                let mut words = part.split_whitespace();
                let (Some(number), Some(what)) = (words.next(), words.next()) else {
                    continue;
                };
                let Ok(number) = number.parse::<usize>() else {
                    continue;
                };
                match what {
                    "passed" => self.passed += number,
                    "failed" => self.failed += number,
                    "ignored" => self.ignored += number,
                    _ => {}
                }
            }
        } else if let Some(rest) = line.strip_prefix("test ")
            && let Some((test, verdict)) = rest.split_once(" ... ")
        {
            let test = test.trim_end().to_owned();
            if verdict.starts_with("FAILED") {
                self.failures.push(test);
            } else if let Some(reason) = verdict.strip_prefix("ignored") {
                let reason = match reason.trim_start_matches([',', ' ']) {
                    "" => "marked #[ignore]",
                    reason => reason,
                };
                self.ignored_named.push((test, reason.to_owned()));
            }
        }
    }

    /// The counts, where `own_harness` says which of the two spoke.
    pub(crate) fn finish(self, step: &str, own_harness: bool, ok: bool) -> Outcome {
        let mut out = Outcome::new(step);
        out.failed = self.failed;
        out.failures = self.failures;
        if own_harness {
            out.passed = self.passed;
            out.skips = self.skips;
        } else {
            out.passed = self.passed.saturating_sub(self.skips.len());
            out.skips = self.skips;
            out.skips.extend(self.ignored_named);
        }
        // A build error or a crash of the harness has no line of its own, and
        // a step in which nothing ran has proved nothing.
        if (!ok && out.failed == 0) || self.results == 0 {
            out.failed += 1;
            out.failures.push("ended without saying why".to_owned());
        }
        out
    }
}

/// Prints the table, the skips by reason and the closing line; true if all is well.
pub(crate) fn report(all: &[Outcome], strict: bool) -> bool {
    println!(
        "\n{:<28} {:>7} {:>7} {:>8} {:>8}",
        "step", "passed", "failed", "skipped", "seconds"
    );
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for o in all {
        println!(
            "{:<28} {:>7} {:>7} {:>8} {:>8.1}",
            o.step,
            o.passed,
            o.failed,
            o.skips.len(),
            o.took.as_secs_f64()
        );
        passed += o.passed;
        failed += o.failed;
        skipped += o.skips.len();
        for (test, reason) in &o.skips {
            by_reason.entry(reason).or_default().push(test);
        }
    }
    if !by_reason.is_empty() {
        println!("\nskipped, by reason:");
        for (reason, tests) in &by_reason {
            println!("  {:>4}  {reason}", tests.len());
            for test in tests {
                println!("          {test}");
            }
        }
    }
    // Last, where it is found in a log of which only the end is kept.
    if failed > 0 {
        println!("\nfailed:");
        for o in all.iter().filter(|o| o.failed > 0) {
            println!("  {}: {}", o.step, o.failed);
            for failure in &o.failures {
                println!("          {failure}");
            }
        }
    }
    if strict && skipped > 0 {
        println!("\nRBPF_STRICT=1: the {skipped} skipped count as failed");
        failed += skipped;
        skipped = 0;
    }
    println!("\ntest result: {passed} passed, {failed} failed, {skipped} skipped");
    failed == 0
}

#[cfg(test)]
mod tests {
    use super::Reader;

    fn read(text: &str, own: bool, ok: bool) -> (usize, usize, usize) {
        let mut r = Reader::default();
        text.lines().for_each(|l| r.line(l));
        let o = r.finish("x", own, ok);
        (o.passed, o.failed, o.skips.len())
    }

    #[test]
    fn libtest_skip_is_taken_off_the_passed() {
        let text = "test a ... ok\nSKIP b: needs root\ntest c ... ignored, slow\n\
                    test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out";
        assert_eq!(read(text, false, true), (1, 0, 2));
    }

    #[test]
    fn own_harness_skips_are_counted_once() {
        let text = "test b ... ignored, needs root\nSKIP b: needs root\n\
                    test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured";
        assert_eq!(read(text, true, true), (2, 0, 1));
    }

    #[test]
    fn failures_have_names() {
        let text = "test a::b ... ok\ntest a::long      ... FAILED\ntest c ... FAILED (2.1 s)\n\
                    test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured";
        let mut reader = Reader::default();
        text.lines().for_each(|line| reader.line(line));
        let out = reader.finish("x", true, false);
        assert_eq!((out.passed, out.failed), (1, 2));
        assert_eq!(out.failures, ["a::long", "c"]);
    }

    #[test]
    fn silence_and_unexplained_exit_are_failures() {
        assert_eq!(read("", true, true), (0, 1, 0));
        assert_eq!(
            read("test result: ok. 2 passed; 0 failed;", true, false),
            (2, 1, 0)
        );
    }
}
