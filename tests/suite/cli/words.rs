//! Splitting a command line as a shell would, quotes only.

use anyhow::{Context as _, Result, bail};

/// The words of `line`: plain, `'…'`, `"…"` and `$'…'` with `\xNN \n \t \e \\ \'`.
pub(crate) fn split(line: &str) -> Result<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut rest = line.bytes().peekable();
    while let Some(b) = rest.next() {
        match b {
            b' ' => words.extend(word.take()),
            b'$' if rest.peek() == Some(&b'\'') => {
                rest.next();
                ansi(&mut rest, word.get_or_insert_default())?;
            }
            b'\'' | b'"' => {
                let to = word.get_or_insert_default();
                loop {
                    match rest.next().context("a quote is not closed")? {
                        end if end == b => break,
                        other => to.push(other),
                    }
                }
            }
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

fn ansi(rest: &mut impl Iterator<Item = u8>, to: &mut Vec<u8>) -> Result<()> {
    loop {
        match rest.next().context("a quote is not closed")? {
            b'\'' => return Ok(()),
            b'\\' => to.push(match rest.next().context("a quote is not closed")? {
                b'n' => b'\n',
                b't' => b'\t',
                b'e' => 0x1b,
                b'x' => {
                    let mut digit = || rest.next().map(char::from).and_then(|c| c.to_digit(16));
                    let (high, low) = (digit().context("not hex")?, digit().context("not hex")?);
                    u8::try_from(high * 16 + low).context("not hex")?
                }
                same @ (b'\\' | b'\'') => same,
                other => bail!("\\{} is not known here", char::from(other)),
            }),
            other => to.push(other),
        }
    }
}
