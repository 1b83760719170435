//! Files that hold DER, plain or as PEM.

use super::SignError;
use der::pem::Decoder;

/// Something in a file, and what PEM says it is.
pub(super) struct Found {
    pub(super) label: Option<String>,
    pub(super) der: Vec<u8>,
}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";

/// The first thing in a file that `wanted` accepts by its label: PEM may hold several, with text
/// between them. A file without PEM is DER.
pub(super) fn read(
    bytes: &[u8],
    what: &'static str,
    wanted: fn(&str) -> bool,
) -> Result<Found, SignError> {
    // A sequence is what keys and certificates are.
    const SEQUENCE: u8 = 0x30;
    if bytes.first() == Some(&SEQUENCE) {
        return Ok(Found {
            label: None,
            der: bytes.to_vec(),
        });
    }
    let text = String::from_utf8_lossy(bytes);
    let mut rest = &*text;
    let mut other = None;
    while let Some(start) = rest.find(BEGIN) {
        let block = rest.get(start..).unwrap_or_default();
        let label = block.get(BEGIN.len()..).unwrap_or_default();
        let label = label.split("-----").next().unwrap_or_default().to_owned();
        let end = block.find(END).and_then(|end| {
            let line = block.get(end..)?.find('\n');
            line.map_or(Some(block.len()), |line| Some(end + line + 1))
        });
        let end = end.unwrap_or(block.len());
        let (block, behind) = block.split_at_checked(end).unwrap_or((block, ""));
        if wanted(&label) {
            return Ok(Found {
                der: decode(block)?,
                label: Some(label),
            });
        }
        other.get_or_insert(label);
        rest = behind;
    }
    Err(match other {
        Some(found) => SignError::Other { what, found },
        None => SignError::Nothing { what },
    })
}

fn decode(block: &str) -> Result<Vec<u8>, SignError> {
    let mut decoder = Decoder::new(block.as_bytes()).map_err(SignError::Pem)?;
    let mut der = Vec::new();
    decoder.decode_to_end(&mut der).map_err(SignError::Pem)?;
    Ok(der)
}
