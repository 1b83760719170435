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

    /// What went wrong, in one line: the last message, with the one above it where that is what it
    /// continues. Empty when the log is.
    #[must_use]
    pub fn summary(&self) -> String {
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

    #[test]
    fn text_ends_at_zero_and_is_lossy() {
        let log = VerifierLog::from_buffer(b"a\xff\0b", 9, true);
        assert_eq!(log.as_str(), "a\u{fffd}");
        assert!(log.is_truncated());
        assert_eq!(log.to_string(), "a\u{fffd}\n(log truncated)");
        assert_eq!(log.true_size(), 9);
    }
}
