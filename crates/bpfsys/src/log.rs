//! What the verifier wrote.

use core::fmt;

/// The log of a load: bytes as the kernel wrote them, shown lossily as text.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct VerifierLog {
    text: String,
    true_size: u32,
    truncated: bool,
}

impl VerifierLog {
    /// A log from the buffer given to the kernel, the size the kernel says the whole log has
    /// (0 if it does not say), and whether it said the buffer was too small.
    #[must_use]
    pub fn from_buffer(buffer: &[u8], true_size: u32, truncated: bool) -> Self {
        let written = buffer.split(|b| *b == 0).next().unwrap_or(buffer);
        Self {
            text: String::from_utf8_lossy(written).into_owned(),
            true_size,
            truncated,
        }
    }

    /// The whole text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// Whether the log is incomplete: it did not fit the largest buffer that was tried.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// Bytes the whole log needs, with its zero; 0 on kernels before 6.4, which do not say.
    #[must_use]
    pub fn true_size(&self) -> u32 {
        self.true_size
    }

    /// The lines, without the spaces at their ends.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.text.lines().map(str::trim_end)
    }

    /// What newer verifiers say in sections about the failure.
    #[must_use]
    pub fn diagnosis(&self) -> Option<Diagnosis> {
        Diagnosis::parse(&self.text)
    }

    /// What went wrong, in one line: what the diagnosis says where there is one, else the last
    /// message, with the one above it where that is what it
    /// continues. Empty when the log is.
    #[must_use]
    pub fn summary(&self) -> String {
        if let Some(diagnosis) = self.diagnosis() {
            return diagnosis.summary();
        }
        let useful = |line: &&str| !line.trim().is_empty() && !is_bookkeeping(line.trim());
        let mut lines = self.lines().rev().filter(useful).peekable();
        let last_of_all = lines.peek().copied().unwrap_or_default();
        // Register states and code after the message only repeat where it happened.
        let mut messages = lines.filter(|line| is_message(line.trim()));
        let Some(last) = messages.next() else {
            return last_of_all.trim().to_owned();
        };
        match messages.next() {
            Some(above) if continues(last) => format!("{}: {}", above.trim(), last.trim()),
            _ => last.trim().to_owned(),
        }
    }
}

/// What newer verifiers (Linux 7.3) say about a failure, in sections below the log as it used to
/// be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnosis {
    /// The class of the failure: `Register Type Safety`.
    pub category: String,
    /// What is wrong: `Unreadable register`. Empty when only the class is told.
    pub problem: String,
    /// Why, in sentences; empty when it does not say.
    pub reason: String,
    /// Where: `function @ file.c:12:5`, when the program has source lines.
    pub source: Option<String>,
    /// The instruction, counted from the start of the program.
    pub insn: Option<u32>,
    /// What led there, as it was written; empty when it does not say.
    pub causal_path: String,
    /// What could be done; empty when it does not say.
    pub suggestion: String,
}

impl Diagnosis {
    /// The text at the start of the first line of a diagnosis.
    const START: &str = "Verification failed: ";

    fn parse(log: &str) -> Option<Self> {
        let at_line = |at: &usize| *at == 0 || log.as_bytes().get(at - 1) == Some(&b'\n');
        let mut starts = log.rmatch_indices(Self::START).map(|(at, _)| at);
        let start = starts.find(at_line)?;
        let mut lines = log.get(start..)?.lines();
        let head = lines.next()?.strip_prefix(Self::START)?.trim();
        let (category, problem) = head.split_once(": ").unwrap_or((head, ""));
        let mut this = Self {
            category: category.to_owned(),
            problem: problem.to_owned(),
            ..Self::default()
        };
        let mut section = "";
        let mut in_code = false;
        for line in lines {
            let indented = line.starts_with([' ', '\t']);
            let text = line.trim();
            if text.is_empty() {
                continue;
            }
            if !indented {
                match line.trim_end().strip_suffix(':') {
                    Some(name) => (section, in_code) = (name, false),
                    // What follows is no part of it.
                    None => break,
                }
                continue;
            }
            match section {
                "Reason" => append(&mut this.reason, ' ', text),
                "Suggestion" => append(&mut this.suggestion, ' ', text),
                "Causal path" => append(&mut this.causal_path, '\n', line.trim_end()),
                "At" if text == "Instruction context:" => in_code = true,
                "At" => {
                    let marked = text.strip_prefix(">>> ").filter(|_| in_code);
                    if let Some(insn) = marked.or(text.strip_prefix("insn ")) {
                        let digits = insn.split(|c: char| !c.is_ascii_digit()).next();
                        this.insn = digits.and_then(|text| text.parse().ok()).or(this.insn);
                    } else if this.source.is_none() && !in_code && !text.contains('|') {
                        this.source = (text != "Source context:").then(|| text.to_owned());
                    }
                }
                _ => {}
            }
        }
        Some(this)
    }

    /// In one line: what is wrong, and why.
    #[must_use]
    pub fn summary(&self) -> String {
        let what = if self.problem.is_empty() {
            &self.category
        } else {
            &self.problem
        };
        let mut text = String::with_capacity(what.len() + self.reason.len() + 2);
        let mut chars = what.chars();
        if let Some(first) = chars.next() {
            text.extend(first.to_lowercase());
            text.push_str(chars.as_str());
        }
        let reason = self.reason.strip_suffix('.').unwrap_or(&self.reason);
        if !reason.is_empty() {
            text.push_str(": ");
            text.push_str(reason);
        }
        text
    }
}

fn append(text: &mut String, separator: char, more: &str) {
    if !text.is_empty() {
        text.push(separator);
    }
    text.push_str(more);
}

/// Lines the verifier writes at the end of a log, or among the instructions at higher levels.
fn is_bookkeeping(line: &str) -> bool {
    const STARTS: [&str; 11] = [
        "processed ",
        "verification time ",
        "stack depth ",
        "insns processed ",
        "subprog ",
        "-- END ",
        "mark_precise: ",
        "cur state: ",
        "old state: ",
        "Live regs before insn:",
        "func#",
    ];
    STARTS.iter().any(|start| line.starts_with(start))
}

/// A message of the verifier rather than state (`R1=ctx() R10=fp0`), code (`3: (85) call …`), a
/// source line (`; …`), or a change of path (`from 3 to 7: …`).
fn is_message(line: &str) -> bool {
    let code = line
        .split_once(':')
        .is_some_and(|(index, _)| index.bytes().all(|b| b.is_ascii_digit()));
    let state = line.strip_prefix('R').is_some_and(|rest| {
        let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        after.len() < rest.len() && after.starts_with(['=', '_'])
    });
    !(code || state || line.starts_with(';') || line.starts_with("from "))
}

/// Whether a line only ends what the one above it began.
fn continues(line: &str) -> bool {
    line.starts_with('\t') || (line.split_whitespace().count() < 3 && !line.contains('!'))
}

impl fmt::Display for VerifierLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for line in self.lines() {
            if !first {
                f.write_str("\n")?;
            }
            first = false;
            f.write_str(line)?;
        }
        if self.truncated {
            f.write_str("\n(log truncated)")?;
        }
        Ok(())
    }
}

impl fmt::Debug for VerifierLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifierLog")
            .field("bytes", &self.text.len())
            .field("true_size", &self.true_size)
            .field("truncated", &self.truncated)
            .field("summary", &self.summary())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(log: &str, expect: &str) {
        assert_eq!(
            VerifierLog::from_buffer(log.as_bytes(), 0, false).summary(),
            expect
        );
    }

    #[test]
    fn summary_is_last_message() {
        check("", "");
        check("\0garbage", "");
        check("0: (95) exit\n", "0: (95) exit");
        check(
            "0: R1=ctx() R10=fp0\n0: (95) exit\nR0 !read_ok\nprocessed 1 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0\n",
            "R0 !read_ok",
        );
        check(
            "0: (85) call bpf_map_lookup_elem#1\nR1 type=ctx expected=map_ptr\nprocessed 1 insns\n",
            "R1 type=ctx expected=map_ptr",
        );
        check("unknown func bpf_nope#999\n", "unknown func bpf_nope#999");
        check(
            "1: (05) goto pc-2\ninfinite loop detected at insn 1\ncur state: R1=ctx() R10=fp0\nold state: R1=ctx() R10=fp0\nprocessed 3 insns\n",
            "infinite loop detected at insn 1",
        );
        check(
            "invalid access to packet, off=14 size=1, R2(id=0,off=14,r=0)\nR2 offset is outside of the packet\n",
            "R2 offset is outside of the packet",
        );
        check(
            "math between pointers\n\tR1 and R2\n",
            "math between pointers: R1 and R2",
        );
        check(
            "[2] FUNC a type_id=9\nInvalid\n",
            "[2] FUNC a type_id=9: Invalid",
        );
    }

    const DIAGNOSED: &str = "\
0: R1=ctx() R10=fp0
0: (95) exit
R0 !read_ok

Verification failed: Register Type Safety: Unreadable register

Reason:
  R0 has never been initialized on this path, so the verifier cannot
  use it as an input.

At:
  insn 0
        | ^-- error: R0 is not readable
  Instruction context:
  >>> 0 | (95) exit

Causal path:
  no retained diagnostic events on this path

Suggestion:
  Initialize R0 on every path before this instruction.

processed 1 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
";

    #[test]
    fn a_diagnosis_has_sections() {
        let log = VerifierLog::from_buffer(DIAGNOSED.as_bytes(), 0, false);
        assert_eq!(
            log.diagnosis().unwrap(),
            Diagnosis {
                category: "Register Type Safety".into(),
                problem: "Unreadable register".into(),
                reason: "R0 has never been initialized on this path, so the verifier cannot use \
                         it as an input."
                    .into(),
                source: None,
                insn: Some(0),
                causal_path: "  no retained diagnostic events on this path".into(),
                suggestion: "Initialize R0 on every path before this instruction.".into(),
            }
        );
        check(
            DIAGNOSED,
            "unreadable register: R0 has never been initialized on this path, so the verifier \
             cannot use it as an input",
        );
        check("Verification failed: Verifier Error\n", "verifier Error");
        check("a Verification failed: x\nR0 !read_ok\n", "R0 !read_ok");
    }

    #[test]
    fn a_diagnosis_may_name_the_source() {
        let log = "\
Verification failed: Memory Safety: Out of bounds

At:
  sub @ x.bpf.c:12:5
  Source context:
        10 | int i;
    >>> 12 | return a[i];
           | ^-- error: out of bounds
  Instruction context:
        16 | (b7) r1 = 0
    >>> 17 | (61) r0 = *(u32 *)(r1 +0)
        18 | (95) exit

Causal path:
  sub @ x.bpf.c:9:1
  Instruction context:
    >>> 12 | (95) exit
";
        let log = VerifierLog::from_buffer(log.as_bytes(), 0, false);
        let found = log.diagnosis().unwrap();
        assert_eq!(found.source.as_deref(), Some("sub @ x.bpf.c:12:5"));
        assert_eq!(found.insn, Some(17));
        assert_eq!(found.summary(), "out of bounds");
    }

    #[test]
    fn text_ends_at_zero_and_is_lossy() {
        let log = VerifierLog::from_buffer(b"a\xff\0b", 9, true);
        assert_eq!(log.as_str(), "a\u{fffd}");
        assert!(log.is_truncated());
        assert_eq!(log.to_string(), "a\u{fffd}\n(log truncated)");
        assert_eq!(log.true_size(), 9);
    }
}
