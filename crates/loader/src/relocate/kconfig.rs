//! Values of configuration options as variables have them.

use crate::model::KconfigType;
use btf::{Endian, escape};

/// `enum libbpf_tristate`: no, yes, module.
const TRISTATE: [(u8, u64); 3] = [(b'n', 0), (b'y', 1), (b'm', 2)];

/// The bytes of an option from the text behind `=`, or why its type does not hold that.
pub(super) fn parse(
    ty: KconfigType,
    size: u32,
    endian: Endian,
    text: &str,
) -> Result<Vec<u8>, String> {
    let text = text.trim_end_matches(['\r', '\n']);
    let implies = |types: &str| Err(format!("only {types} can have it"));
    match text.as_bytes() {
        [] => Err("there is none".to_owned()),
        [first @ (b'y' | b'n' | b'm'), ..] => match ty {
            KconfigType::Bool if *first == b'm' => implies("tristates and characters"),
            KconfigType::Bool | KconfigType::Tristate => {
                let value = TRISTATE.iter().find(|(letter, _)| letter == first);
                Ok(bytes(value.map_or(0, |(_, value)| *value), size, endian))
            }
            KconfigType::Char => Ok(bytes(u64::from(*first), size, endian)),
            KconfigType::Int { .. } | KconfigType::CharArray => {
                implies("truth values, tristates and characters")
            }
        },
        [b'"', rest @ ..] => {
            if ty != KconfigType::CharArray {
                return implies("arrays of characters");
            }
            let Some(text) = rest.strip_suffix(b"\"") else {
                return Err("the quote at its end is missing".to_owned());
            };
            // what is too long is cut, and the zero stays
            let size = size as usize;
            let mut out = text
                .get(..text.len().min(size.saturating_sub(1)))
                .unwrap_or_default()
                .to_vec();
            out.resize(size, 0);
            Ok(out)
        }
        _ => {
            let Some(value) = unsigned(text) else {
                return Err(format!("'{}' is no integer", escape(text.as_bytes())));
            };
            match ty {
                KconfigType::Int { .. } | KconfigType::Char => number(ty, size, endian, value),
                _ => implies("integers and characters"),
            }
        }
    }
}

/// The bytes of a number, or why its type does not hold it.
pub(super) fn number(
    ty: KconfigType,
    size: u32,
    endian: Endian,
    value: u64,
) -> Result<Vec<u8>, String> {
    let signed = match ty {
        KconfigType::Int { signed } => signed,
        KconfigType::Char => false,
        KconfigType::Bool if value > 1 => return Err("it is no truth value".to_owned()),
        KconfigType::Bool => false,
        KconfigType::Tristate | KconfigType::CharArray => {
            return Err("only integers, characters and truth values can have it".to_owned());
        }
    };
    let bits = match size {
        1 | 2 | 4 | 8 => size * 8,
        _ => return Err(format!("no integer has {size} bytes")),
    };
    let fits = match bits {
        64 => true,
        _ if signed => {
            // both ends of the range, moved to zero
            value.wrapping_add(1 << (bits - 1)) < 1 << bits
        }
        _ => value >> bits == 0,
    };
    if fits {
        Ok(bytes(value, size, endian))
    } else {
        Err(format!("it does not fit in {size} bytes"))
    }
}

/// The low bytes of a number.
fn bytes(value: u64, size: u32, endian: Endian) -> Vec<u8> {
    let mut out = value.to_le_bytes().to_vec();
    out.resize(size.min(64) as usize, 0);
    if endian == Endian::Big {
        out.reverse();
    }
    out
}

/// An integer as C writes it, in any base; negative ones wrap, as with `strtoull`.
fn unsigned(text: &str) -> Option<u64> {
    let text = text.trim_start();
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (base, digits) = match text.as_bytes() {
        [b'0', b'x' | b'X', _, ..] => (16, text.get(2..)?),
        [b'0', _, ..] => (8, text.get(1..)?),
        _ => (10, text),
    };
    if !digits.bytes().all(|digit| digit.is_ascii_alphanumeric()) {
        return None;
    }
    let value = u64::from_str_radix(digits, base).ok()?;
    Some(if negative {
        value.wrapping_neg()
    } else {
        value
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use KconfigType::{Bool, Char, CharArray, Int, Tristate};

    #[track_caller]
    fn check(ty: KconfigType, size: u32, text: &str, expect: Result<u64, &str>) {
        let value = parse(ty, size, Endian::Little, text).map(|bytes| {
            assert_eq!(bytes.len(), size as usize);
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(&bytes);
            u64::from_le_bytes(word)
        });
        assert_eq!(value, expect.map_err(str::to_owned), "{text}");
    }

    #[test]
    fn letters_are_for_those_that_have_three_states() {
        check(Bool, 1, "y", Ok(1));
        check(Bool, 1, "n", Ok(0));
        check(
            Bool,
            1,
            "m",
            Err("only tristates and characters can have it"),
        );
        check(Tristate, 4, "y", Ok(1));
        check(Tristate, 4, "m", Ok(2));
        check(Tristate, 4, "n", Ok(0));
        check(Char, 1, "m", Ok(b'm'.into()));
        let why = "only truth values, tristates and characters can have it";
        check(Int { signed: true }, 4, "y", Err(why));
        check(CharArray, 8, "y", Err(why));
    }

    #[test]
    fn numbers_have_a_range() {
        let (signed, unsigned) = (Int { signed: true }, Int { signed: false });
        check(signed, 4, "1000", Ok(1000));
        check(signed, 4, "0x10", Ok(16));
        check(signed, 4, "010", Ok(8));
        check(signed, 4, "0", Ok(0));
        check(signed, 1, "127", Ok(127));
        check(signed, 1, "128", Err("it does not fit in 1 bytes"));
        check(signed, 1, "-128", Ok(0x80));
        check(signed, 1, "-129", Err("it does not fit in 1 bytes"));
        check(unsigned, 1, "255", Ok(255));
        check(unsigned, 1, "256", Err("it does not fit in 1 bytes"));
        check(unsigned, 2, "-1", Err("it does not fit in 2 bytes"));
        check(unsigned, 8, "-1", Ok(u64::MAX));
        check(unsigned, 8, "0xffffffffffffffff", Ok(u64::MAX));
        check(
            unsigned,
            8,
            "18446744073709551616",
            Err("'18446744073709551616' is no integer"),
        );
        check(signed, 4, "12k", Err("'12k' is no integer"));
        check(signed, 4, "08", Err("'08' is no integer"));
        check(signed, 3, "1", Err("no integer has 3 bytes"));
        check(Char, 1, "65", Ok(65));
        check(
            Bool,
            1,
            "1",
            Err("only integers and characters can have it"),
        );
        check(signed, 4, "", Err("there is none"));
    }

    #[test]
    fn strings_lose_quotes_and_what_is_too_long() {
        let text = |size, text: &str| parse(CharArray, size, Endian::Big, text);
        assert_eq!(text(8, "\"abc\""), Ok(b"abc\0\0\0\0\0".to_vec()));
        assert_eq!(text(3, "\"abc\""), Ok(b"ab\0".to_vec()));
        assert_eq!(text(1, "\"\""), Ok(b"\0".to_vec()));
        assert!(text(8, "\"abc").is_err());
        assert!(text(8, "\"").is_err());
        assert!(parse(Tristate, 4, Endian::Big, "\"y\"").is_err());
    }

    #[test]
    fn values_that_loaders_make_have_ranges_too() {
        let at = |ty, value| number(ty, 4, Endian::Big, value);
        assert_eq!(at(Int { signed: false }, 0x60102), Ok(vec![0, 6, 1, 2]));
        assert_eq!(number(Bool, 1, Endian::Big, 1), Ok(vec![1]));
        assert!(number(Bool, 1, Endian::Big, 2).is_err());
        assert!(at(Tristate, 1).is_err());
    }
}
