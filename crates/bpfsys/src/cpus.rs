//! The CPUs the kernel keeps per-CPU values for.
//!
//! The kernel copies one value per *possible* CPU, whatever is online. Only
//! `/sys/devices/system/cpu/possible` tells their number: `/proc/stat`, `/proc/cpuinfo` and the
//! affinity mask list fewer, and a count that is too low would let the kernel write past a
//! buffer. So when that file cannot be read or understood there is no count, only an error, and
//! no element of a per-CPU map can be read. The file must be on sysfs itself: container tools
//! that put their own files over parts of `/sys` show a reduced machine there.

use crate::error::{Op, Refusal, SysError};
use nix::sys::statfs::{SYSFS_MAGIC, fstatfs};
use std::io::Read;
use std::sync::OnceLock;

const PATH: &str = "/sys/devices/system/cpu/possible";
const ONLINE: &str = "/sys/devices/system/cpu/online";

/// More CPUs than any kernel can be built for; bounds what a damaged list can make us allocate.
const LIMIT: usize = 1 << 16;

static POSSIBLE: OnceLock<Box<[u32]>> = OnceLock::new();

/// How many possible CPUs there are: the number of values in an element of a per-CPU map.
///
/// # Errors
/// That of reading the list, or [`Refusal::NoCpuList`] when it is not a list.
pub fn possible() -> Result<usize, SysError> {
    possible_list().map(<[u32]>::len)
}

/// The numbers of the possible CPUs in ascending order, which is the order of the values in an
/// element of a per-CPU map. Read once per process; it cannot change while the kernel runs.
///
/// # Errors
/// As [`possible`].
pub fn possible_list() -> Result<&'static [u32], SysError> {
    if let Some(list) = POSSIBLE.get() {
        return Ok(list);
    }
    let list = read()?;
    Ok(POSSIBLE.get_or_init(|| list.into_boxed_slice()))
}

fn read() -> Result<Vec<u32>, SysError> {
    list(PATH)
}

/// The numbers of the CPUs that run now, in ascending order. Read anew each time: CPUs come and go.
///
/// # Errors
/// As [`possible`].
pub fn online() -> Result<Vec<u32>, SysError> {
    list(ONLINE)
}

fn list(path: &str) -> Result<Vec<u32>, SysError> {
    let io = |error: std::io::Error| SysError::from_io(Op::PossibleCpus, &error);
    let refused = SysError::refused(Op::PossibleCpus, Refusal::NoCpuList);
    let file = std::fs::File::open(path).map_err(io)?;
    let fs = fstatfs(&file).map_err(|errno| SysError::from_errno(Op::PossibleCpus, errno))?;
    if fs.filesystem_type() != SYSFS_MAGIC {
        return Err(refused);
    }
    let mut text = String::new();
    file.take(1 << 16).read_to_string(&mut text).map_err(io)?;
    parse_list(&text).ok_or(refused)
}

/// Reads a CPU list such as `0-3,5,8-11`. `None` when it is empty, out of order, or not one.
#[must_use]
pub fn parse_list(text: &str) -> Option<Vec<u32>> {
    let mut cpus = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(part)?, number(part)?),
        };
        let ordered = cpus.last().is_none_or(|before| *before < first);
        if !ordered || first > last || last as usize >= LIMIT {
            return None;
        }
        cpus.extend(first..=last);
    }
    Some(cpus)
}

/// Decimal digits only: `parse` alone would take a sign.
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_single_numbers_and_ranges() {
        let check = |text, expect: Option<&[u32]>| {
            assert_eq!(parse_list(text).as_deref(), expect, "{text:?}");
        };
        check("0\n", Some(&[0]));
        check("0-3\n", Some(&[0, 1, 2, 3]));
        check("0-1,4,6-7", Some(&[0, 1, 4, 6, 7]));
        check("3-3", Some(&[3]));
        for bad in [
            "",
            "\n",
            "a",
            "-1",
            "0-",
            "1-0",
            "0,,1",
            "0-1,1",
            "2,1",
            "+1",
            "0-4294967295",
            "0-99999",
            "4294967296",
            "0 1",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn machine_has_a_cpu() {
        // Where sysfs is hidden there must be an error, never a guess.
        match possible() {
            Ok(count) => {
                assert!(count >= 1);
                let online = online().unwrap();
                let possible = possible_list().unwrap();
                assert!(!online.is_empty());
                assert!(online.iter().all(|cpu| possible.contains(cpu)));
            }
            Err(error) => assert_eq!(error.op(), Op::PossibleCpus),
        }
    }
}
