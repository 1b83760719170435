//! The version that programs compare with.
//!
//! Distributions take fixes over without changing the release that `uname -r` tells: Ubuntu and
//! Debian say elsewhere which version theirs is.

use bpfsys::KernelVersion;

/// As `LINUX_KERNEL_VERSION` has it.
pub(super) fn code(version: KernelVersion) -> u32 {
    u32::from(version.major) << 16
        | u32::from(version.minor.min(255)) << 8
        | u32::from(version.patch.min(255))
}

/// The version, from `/proc/version_signature` where there is one, and what `uname` says of
/// version and release. 0 where none of them makes sense.
pub(super) fn find(signature: Option<&str>, version: &str, release: &str) -> u32 {
    signature
        .and_then(of_ubuntu)
        .or_else(|| of_debian(version))
        .or_else(|| KernelVersion::parse(release))
        .map_or(0, code)
}

/// `Ubuntu 5.4.0-12.15-generic 5.4.8`: the third word.
fn of_ubuntu(signature: &str) -> Option<KernelVersion> {
    signature.split_whitespace().nth(2).and_then(full)
}

/// `#1 SMP Debian 4.19.260-1 (2022-09-29)`: what follows the distribution's name.
fn of_debian(version: &str) -> Option<KernelVersion> {
    let (_, after) = version.split_once("Debian ")?;
    full(after)
}

/// A version of three numbers.
fn full(text: &str) -> Option<KernelVersion> {
    let third = text.splitn(3, '.').nth(2)?;
    if !third.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    KernelVersion::parse(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(signature: Option<&str>, version: &str, release: &str, expect: [u32; 3]) {
        let [major, minor, patch] = expect;
        assert_eq!(
            find(signature, version, release),
            major << 16 | minor << 8 | patch,
            "{signature:?} {version:?} {release:?}"
        );
    }

    #[test]
    fn distributions_say_it_elsewhere() {
        let debian = "#1 SMP Debian 4.19.260-1 (2022-09-29)";
        let plain = "#1 SMP PREEMPT_DYNAMIC Mon Nov 24 10:00:00 UTC 2026";
        check(
            Some("Ubuntu 5.4.0-12.15-generic 5.4.8\n"),
            plain,
            "5.4.0-12-generic",
            [5, 4, 8],
        );
        check(None, debian, "4.19.0-22-amd64", [4, 19, 255]);
        check(None, plain, "6.18.44", [6, 18, 44]);
        check(None, plain, "7.2.0-rc1", [7, 2, 0]);
        check(Some("something else"), debian, "4.19.0", [4, 19, 255]);
        check(
            None,
            "#1 SMP PREEMPT_DYNAMIC Debian 7.2-1 (2026-11-01)",
            "7.2.1-amd64",
            [7, 2, 1],
        );
        check(None, "", "unknown", [0, 0, 0]);
    }
}
