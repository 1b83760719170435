//! By which calls the verifier came to where it stopped.
//!
//! At level 1 a log is one way through the program, from its start to the failure: what was
//! written of other ways is taken back. At level 2 it has all ways, one after the other, and says
//! `from 12 to 17:` where it takes one up again. Static functions are verified where they are
//! called, each global one by itself.

use super::insn_of_code;
use crate::relocate::Part;
use bpfsys::VerifierLog;
use std::collections::HashMap;

/// Calls that are open, by their instructions, the outermost first.
type Stack = Vec<u32>;

/// No kernel has as many functions open at once: what says so is no log, and is not followed.
#[doc(alias = "MAX_CALL_FRAMES")]
const MAX_FRAMES: usize = 64;

/// How the verifier came to the end of its log.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Calls {
    /// The instructions that call, the innermost first.
    pub(super) sites: Vec<u32>,
    /// Whether it began with a global function instead of the program.
    pub(super) alone: bool,
}

/// Reads the calls that were open when the verifier stopped at an instruction; `None` where the
/// log does not tell.
pub(super) fn read(log: &VerifierLog, parts: &[Part], stopped: u32) -> Option<Calls> {
    let mut walk = Walk {
        parts,
        stack: Some(Vec::new()),
        alone: false,
        last: None,
        at: HashMap::new(),
    };
    for line in log.lines() {
        walk.line(line.trim_start());
    }
    let last = walk.last?;
    if !walk.same_function(last.insn, stopped) {
        return None;
    }
    let mut sites = walk.stack?;
    sites.reverse();
    Some(Calls {
        sites,
        alone: walk.alone,
    })
}

/// The line of code that was read last.
#[derive(Clone, Copy)]
struct Last {
    insn: u32,
    is_call: bool,
    /// Whether the log itself said since then that another function begins or goes on.
    moved: bool,
    /// How many calls are open, as the registers that were written since then show.
    depth: Option<usize>,
}

struct Walk<'p> {
    parts: &'p [Part],
    /// `None` once it is not known.
    stack: Option<Stack>,
    alone: bool,
    last: Option<Last>,
    /// What was open at each instruction, when it was come to last.
    at: HashMap<u32, Option<Stack>>,
}

impl Walk<'_> {
    fn line(&mut self, line: &str) {
        if line.starts_with(';') {
            return;
        }
        if let Some(insn) = insn_of_code(line) {
            self.code(insn, line);
        } else if line == "callee:" {
            self.call();
        } else if line == "returning from callee:" {
            self.returns();
        } else if let Some(ways) = line.strip_prefix("from ") {
            self.resume(ways);
        } else if line.starts_with("Validating ") {
            self.begin(true);
        } else if line.starts_with("Func#") && line.contains(" is safe for any args") {
            self.begin(false);
        } else if line.starts_with(|c: char| c.is_ascii_digit())
            && let Some(depth) = depth(line)
        {
            self.registers(depth);
        }
    }

    /// `12: frame1: R0=…`, before an instruction.
    fn registers(&mut self, depth: usize) {
        if depth == 0 {
            // Nothing is open: newer kernels list the code before they begin.
            self.stack = Some(Vec::new());
            self.moved();
        } else if let Some(last) = &mut self.last {
            last.depth = Some(depth);
        }
    }

    /// A function is verified from its start.
    fn begin(&mut self, alone: bool) {
        self.stack = Some(Vec::new());
        self.alone = alone;
        self.last = None;
    }

    fn call(&mut self) {
        let site = self.last.map(|last| last.insn);
        self.push(site);
        self.moved();
    }

    fn push(&mut self, site: Option<u32>) {
        self.stack = self.stack.take().zip(site).and_then(|(mut stack, site)| {
            stack.push(site);
            (stack.len() < MAX_FRAMES).then_some(stack)
        });
    }

    fn returns(&mut self) {
        self.stack = self.stack.take().and_then(|mut stack| {
            stack.pop()?;
            Some(stack)
        });
        self.moved();
    }

    fn moved(&mut self) {
        if let Some(last) = &mut self.last {
            last.moved = true;
        }
    }

    /// `12 to 17: frame1: R0=…`, `12 to 17 (speculative execution): safe`
    fn resume(&mut self, ways: &str) {
        let Some((ways, state)) = ways.split_once(':') else {
            return;
        };
        let mut words = ways.split(' ');
        let (Some(from), Some("to"), Some(to)) = (words.next(), words.next(), words.next()) else {
            return;
        };
        let depth = depth(state);
        match from.parse::<u32>() {
            Ok(from) => {
                self.stack = self.at.get(&from).cloned().flatten();
                let to = to.parse().unwrap_or(from);
                if !self.same_function(from, to) {
                    self.enter(from, depth);
                }
            }
            // the start, where -1 goes to 0
            Err(_) => self.stack = Some(Vec::new()),
        }
        let known = self.stack.take();
        self.stack = match depth {
            Some(0) => Some(Vec::new()),
            Some(depth) => known.filter(|stack| stack.len() == depth),
            None => known,
        };
        self.moved();
    }

    /// A function begins that was given to a helper: at once, or later, with nothing open.
    fn enter(&mut self, site: u32, depth: Option<usize>) {
        if depth == Some(0) {
            self.stack = Some(Vec::new());
        } else {
            self.push(Some(site));
        }
    }

    fn code(&mut self, insn: u32, line: &str) {
        let depth = depth(line);
        if let Some(last) = self.last
            && !last.moved
            && !self.same_function(last.insn, insn)
        {
            if last.is_call {
                self.enter(last.insn, last.depth.or(depth));
            } else {
                self.stack = None;
            }
        }
        self.at.insert(insn, self.stack.clone());
        self.last = Some(Last {
            insn,
            is_call: line.contains(": (85) call "),
            moved: false,
            depth,
        });
    }

    fn same_function(&self, one: u32, other: u32) -> bool {
        let part = |insn| self.parts.partition_point(|part| part.start <= insn);
        part(one) == part(other)
    }
}

/// How many calls are open where registers are as the line says: `; frame2: R1=ctx()`.
fn depth(line: &str) -> Option<usize> {
    if let Some((_, after)) = line.split_once("frame")
        && let Some((number, _)) = after.split_once(':')
        && let Ok(number) = number.parse()
    {
        return Some(number);
    }
    let mut words = line.split([' ', ';']);
    let shows = |word: &str| {
        let register = word.strip_prefix('R');
        register.is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit()) && r.contains('='))
    };
    words.any(shows).then_some(0)
}

#[cfg(test)]
mod tests;
