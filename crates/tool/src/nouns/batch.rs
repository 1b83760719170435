//! `batch file FILE`: one command a line.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::command::Context;
use crate::failure::{Failure, Result};
use crate::render::escape::{Escaped, JsonText};
use crate::words::{Words, shown};

/// bpftool's bounds, in bytes and words.
const LINE_MAX: usize = 65536;
const WORDS_MAX: usize = 4096;

/// `batch file FILE`, where `-` is standard input. The first command that fails ends it.
pub fn run(context: &mut Context<'_, '_>, mut words: Words<'_>) -> Result<()> {
    if context.in_batch {
        // a file that runs itself would never end
        return Err(Failure::new("a batch file cannot run another"));
    }
    if words.len() < 2 {
        return Err(Failure::new("too few parameters for batch"));
    }
    if words.len() > 2 {
        return Err(Failure::new("too many parameters for batch"));
    }
    if !words.accept("file") {
        let got = words.peek().unwrap_or_default();
        return Err(Failure::new(format_args!(
            "expected 'file', got: {}",
            shown(got)
        )));
    }
    let path = words.take_path("a file")?;
    let reader: Box<dyn Read> = if path.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path).map_err(|error| {
            let path = Escaped(path.as_os_str().as_bytes());
            Failure::because(format_args!("can't open file ({path})"), error)
        })?)
    };
    let mut lines = Lines {
        reader: BufReader::new(reader),
        number: 0,
        is_live: path.as_os_str() == "-",
    };

    let json = context.output.is_json();
    if json {
        context.output.json().begin_array()?;
    }
    context.in_batch = true;
    let result = run_lines(context, &mut lines);
    // the array is closed whatever happened, so that the document stays whole
    match result {
        Ok(count) => {
            if json {
                context.output.json().end_array()?;
            } else {
                use std::io::Write;
                writeln!(context.output.text(), "processed {count} commands")?;
            }
            Ok(())
        }
        Err(failure) => {
            let status = failure.status();
            if failure.message().is_some() {
                crate::report(context, failure, &[]);
            }
            if json {
                context.output.json().end_array()?;
            }
            Err(Failure::shown(status))
        }
    }
}

fn run_lines<R: BufRead>(context: &mut Context<'_, '_>, lines: &mut Lines<R>) -> Result<u64> {
    let mut count = 0;
    while let Some(line) = lines.next_command()? {
        let words = split(&line)
            .map_err(|error| Failure::new(format_args!("line {}: {error}", lines.number)))?;
        if words.is_empty() {
            continue;
        }
        if context.output.is_json() {
            run_as_json(context, &words)?;
        } else {
            crate::dispatch(context, Words::new(&words))
                .map_err(|failure| Failure::shown(crate::report(context, failure, &words)))?;
        }
        count += 1;
        // whoever types the commands, or pipes them in one by one, waits for each answer
        if lines.is_live {
            context.output.flush()?;
        }
    }
    Ok(count)
}

/// Runs a command as `{"command": […], "output": …}`; a failure is part of the output.
fn run_as_json(context: &mut Context<'_, '_>, words: &[OsString]) -> Result<()> {
    let json = context.output.json();
    json.begin_object()?;
    let shown: Vec<_> = words.iter().map(|word| JsonText(word.as_bytes())).collect();
    json.field("command", &shown)?;
    json.key("output")?;
    let result = answer(context, words);
    context.output.json().end_object()?;
    result
}

/// Runs a command as the value of a key; a failure is a value too.
pub(super) fn answer(context: &mut Context<'_, '_>, words: &[OsString]) -> Result<()> {
    let before = context.output.values();
    let result = crate::dispatch(context, Words::new(words));
    let result = result.map_err(|failure| Failure::shown(crate::report(context, failure, words)));
    // a key must have a value, whatever the command did
    if context.output.values() == before {
        context.output.done()?;
    }
    result
}

/// The lines of a batch file with comments removed and continued lines joined.
struct Lines<R> {
    reader: R,
    number: u64,
    /// Whether the lines come from somebody who may be waiting for the answers.
    is_live: bool,
}

impl<R: BufRead> Lines<R> {
    fn next_command(&mut self) -> Result<Option<Vec<u8>>> {
        let mut command = Vec::new();
        let Some(mut continued) = self.append_line(&mut command)? else {
            return Ok(None);
        };
        while continued {
            continued = self.append_line(&mut command)?.ok_or_else(|| {
                Failure::new(format_args!(
                    "missing continuation line after line {}",
                    self.number
                ))
            })?;
        }
        Ok(Some(command))
    }

    /// Appends one line without its newline and comment; whether the next line continues it.
    fn append_line(&mut self, command: &mut Vec<u8>) -> Result<Option<bool>> {
        let mut line = Vec::new();
        let limit = LINE_MAX.saturating_sub(command.len());
        let count = (&mut self.reader)
            .take(limit as u64 + 1)
            .read_until(b'\n', &mut line)
            .map_err(|error| Failure::because("reading batch file failed", error))?;
        if count == 0 {
            return Ok(None);
        }
        self.number += 1;
        if count > limit {
            return Err(Failure::new(format_args!(
                "line {} is too long: more than {LINE_MAX} bytes",
                self.number
            )));
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        if let Some(comment) = memchr::memchr(b'#', &line) {
            line.truncate(comment);
        }
        let continued = line.last() == Some(&b'\\');
        if continued {
            line.pop();
        }
        command.extend_from_slice(&line);
        Ok(Some(continued))
    }
}

/// Splits a line at blanks; a word that begins with a quote reaches to the next one.
fn split(line: &[u8]) -> std::result::Result<Vec<OsString>, String> {
    let mut words = Vec::new();
    let mut rest = line.trim_ascii_start();
    while let Some((first, tail)) = rest.split_first() {
        if words.len() + 1 >= WORDS_MAX {
            return Err(format!("too many arguments: more than {WORDS_MAX}"));
        }
        let (word, after) = if matches!(first, b'\'' | b'"') {
            let end = memchr::memchr(*first, tail).ok_or("unterminated quoted string")?;
            (tail.get(..end), tail.get(end + 1..))
        } else {
            let end = rest
                .iter()
                .position(|byte| b" \t\r\n".contains(byte))
                .unwrap_or(rest.len());
            (rest.get(..end), rest.get(end..))
        };
        words.push(OsString::from_vec(word.unwrap_or_default().to_vec()));
        rest = after.unwrap_or_default().trim_ascii_start();
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(text: &str) -> std::result::Result<Vec<Vec<OsString>>, String> {
        let mut lines = Lines {
            reader: text.as_bytes(),
            number: 0,
            is_live: false,
        };
        let mut all = Vec::new();
        loop {
            match lines.next_command() {
                Ok(Some(line)) => all.push(split(&line)?),
                Ok(None) => return Ok(all),
                Err(failure) => return Err(failure.message().unwrap()),
            }
        }
    }

    #[test]
    fn lines_are_joined_and_words_quoted() {
        let found = commands("prog show # all\nmap \\\n  show id 1\n\n'a b' \"\" c'd\n").unwrap();
        let expected: [&[&str]; 4] = [
            &["prog", "show"],
            &["map", "show", "id", "1"],
            &[],
            &["a b", "", "c'd"],
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn broken_lines_are_refused() {
        assert_eq!(commands("'a").unwrap_err(), "unterminated quoted string");
        assert_eq!(
            commands("a \\\n").unwrap_err(),
            "missing continuation line after line 1"
        );
        let long = "x".repeat(LINE_MAX + 1);
        assert_eq!(
            commands(&long).unwrap_err(),
            "line 1 is too long: more than 65536 bytes"
        );
    }
}
