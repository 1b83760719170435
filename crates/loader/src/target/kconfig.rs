//! The kernel's configuration: what `.config` was when it was built.

use super::TargetError;
use flate2::read::MultiGzDecoder;
use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read};

/// Longer lines are no options: their rest is passed over.
const LONGEST: u64 = 1 << 16;

/// What options are set to, as far as it is known.
pub(super) struct Options<'n> {
    names: &'n [&'n str],
    /// Where each name is first asked for.
    first: HashMap<&'n [u8], usize>,
    values: Vec<Option<String>>,
}

impl<'n> Options<'n> {
    pub(super) fn new(names: &'n [&'n str]) -> Self {
        let mut first = HashMap::with_capacity(names.len());
        for (at, name) in names.iter().enumerate() {
            first.entry(name.as_bytes()).or_insert(at);
        }
        Self {
            names,
            first,
            values: vec![None; names.len()],
        }
    }

    /// Whether there is nothing left to look for.
    pub(super) fn complete(&self) -> bool {
        self.first
            .values()
            .all(|at| self.values.get(*at).is_some_and(Option::is_some))
    }

    /// Looks for what is not known yet in `text`, whose name is `origin`. What nobody asks for is
    /// not looked at.
    pub(super) fn read(&mut self, text: impl BufRead, origin: &str) -> Result<(), ReadError> {
        let mut text = text;
        let mut line = Vec::new();
        let mut number = 0;
        let mut missing = self.first.len();
        while missing > 0 {
            line.clear();
            number += 1;
            let len = text
                .by_ref()
                .take(LONGEST)
                .read_until(b'\n', &mut line)
                .map_err(ReadError::Io)?;
            if len == 0 {
                return Ok(());
            }
            if len as u64 == LONGEST && !line.ends_with(b"\n") {
                skip_line(&mut text).map_err(ReadError::Io)?;
            }
            let told = self.line(line.trim_ascii_end()).map_err(|NotAnOption| {
                ReadError::Line(TargetError::KconfigLine {
                    origin: origin.to_owned(),
                    line: number,
                    text: String::from_utf8_lossy(line.trim_ascii_end()).into_owned(),
                })
            })?;
            missing -= usize::from(told);
        }
        Ok(())
    }

    /// Whether a line has told something new.
    fn line(&mut self, line: &[u8]) -> Result<bool, NotAnOption> {
        let name_char = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let len = line.iter().take_while(|byte| name_char(byte)).count();
        let (name, rest) = line.split_at(len);
        let Some(value) = self
            .first
            .get(name)
            .and_then(|at| self.values.get_mut(*at))
            .filter(|value| value.is_none())
        else {
            return Ok(false);
        };
        match rest.strip_prefix(b"=") {
            Some(text) if !text.is_empty() => {
                *value = Some(String::from_utf8_lossy(text).into_owned());
                Ok(true)
            }
            _ => Err(NotAnOption),
        }
    }

    /// The answers, one for each name.
    pub(super) fn finish(mut self) -> Vec<Option<String>> {
        let names = self.names;
        for (at, name) in names.iter().enumerate() {
            let first = self.first.get(name.as_bytes()).copied().unwrap_or(at);
            if first != at {
                let value = self.values.get(first).cloned().flatten();
                if let Some(place) = self.values.get_mut(at) {
                    *place = value;
                }
            }
        }
        self.values
    }
}

struct NotAnOption;

/// Why a configuration could not be read.
#[derive(Debug)]
pub(super) enum ReadError {
    Io(io::Error),
    Line(TargetError),
}

fn skip_line(text: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = text.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        match memchr::memchr(b'\n', buffer) {
            Some(at) => {
                text.consume(at + 1);
                return Ok(());
            }
            None => {
                let len = buffer.len();
                text.consume(len);
            }
        }
    }
}

/// The text of a file that may be compressed, whatever its name says.
pub(super) fn inflate<'r>(file: impl Read + 'r) -> io::Result<Box<dyn BufRead + 'r>> {
    let mut file = BufReader::new(file);
    let compressed = file.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    Ok(if compressed {
        Box::new(BufReader::new(MultiGzDecoder::new(file)))
    } else {
        Box::new(file)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const CONFIG: &str = "\
#
# Automatically generated file; DO NOT EDIT.
#
CONFIG_BPF=y
CONFIG_BPF_SYSCALL=y
# CONFIG_BPF_PRELOAD is not set
CONFIG_HZ=250
CONFIG_BROKEN
CONFIG_EMPTY=
CONFIG_DEFAULT_HOSTNAME=\"(none)\"
CONFIG_HZ=1000
CONFIG_LAST=m";

    fn ask(text: &str, names: &[&str]) -> Result<Vec<Option<String>>, ReadError> {
        let mut options = Options::new(names);
        options.read(text.as_bytes(), "config")?;
        Ok(options.finish())
    }

    fn check(text: &str, names: &[&str], expect: &[Option<&str>]) {
        let found = ask(text, names).unwrap();
        let found: Vec<_> = found.iter().map(Option::as_deref).collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn options_have_the_text_behind_the_sign() {
        check(
            CONFIG,
            &[
                "CONFIG_LAST",
                "CONFIG_BPF",
                "CONFIG_BPF_PRELOAD",
                "CONFIG_DEFAULT_HOSTNAME",
                "CONFIG_BPF",
            ],
            &[Some("m"), Some("y"), None, Some("\"(none)\""), Some("y")],
        );
        check(CONFIG, &["CONFIG_HZ"], &[Some("250")]);
        check("CONFIG_A=y \r\n", &["CONFIG_A"], &[Some("y")]);
        check("", &["CONFIG_A"], &[None]);
    }

    #[test]
    fn a_line_without_sense_matters_to_those_who_ask() {
        for (name, line) in [("CONFIG_BROKEN", 8), ("CONFIG_EMPTY", 9)] {
            match ask(CONFIG, &["CONFIG_BPF", name]) {
                Err(ReadError::Line(error)) => assert_eq!(
                    error.to_string(),
                    format!(
                        "config, line {line}: '{}' is no option with its value",
                        CONFIG.lines().nth(line - 1).unwrap()
                    )
                ),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn reading_is_over_when_everything_is_known() {
        let names = ["CONFIG_HZ", "CONFIG_BPF"];
        let mut options = Options::new(&names);
        let broken = CONFIG.replace("CONFIG_BROKEN", "CONFIG_BPF");
        options.read(broken.as_bytes(), "config").unwrap();
        assert!(options.complete());
        assert!(Options::new(&[]).complete());
        assert_eq!(options.finish(), [Some("250".into()), Some("y".into())]);
    }

    #[test]
    fn lines_without_end_are_bounded() {
        let mut text = vec![b'x'; 3 << 16];
        text.extend_from_slice(b"\nCONFIG_A=y\n");
        let names = ["CONFIG_A"];
        let mut options = Options::new(&names);
        options.read(&text[..], "config").unwrap();
        assert_eq!(options.finish(), [Some("y".into())]);
    }

    #[test]
    fn content_tells_whether_it_is_compressed() {
        let gz = |text: &[u8]| {
            let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gz.write_all(text).unwrap();
            gz.finish().unwrap()
        };
        let check = |bytes: &[u8], expect: &str| {
            let mut text = String::new();
            inflate(bytes).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, expect);
        };
        check(b"CONFIG_A=y\n", "CONFIG_A=y\n");
        check(b"", "");
        check(&gz(b"CONFIG_A=y\n"), "CONFIG_A=y\n");
        check(
            &[gz(b"CONFIG_A=y\n"), gz(b"CONFIG_B=n\n")].concat(),
            "CONFIG_A=y\nCONFIG_B=n\n",
        );
        let cut = gz(b"CONFIG_A=y\n");
        let mut text = String::new();
        let cut = inflate(&cut[..12]).unwrap().read_to_string(&mut text);
        assert!(cut.is_err());
    }
}
