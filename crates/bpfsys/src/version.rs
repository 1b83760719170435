//! Kernel versions: for messages and tests, never to decide behaviour.

use core::fmt;

/// A kernel version as `major.minor.patch`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KernelVersion {
    /// First number.
    pub major: u16,
    /// Second number.
    pub minor: u16,
    /// Third number, 0 when absent.
    pub patch: u16,
}

impl KernelVersion {
    /// A version from its three numbers.
    #[must_use]
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self {
            major,
            minor,
            patch,
        }
    }

    /// Reads the leading numbers of a release string such as `6.18.44-cloud-amd64`. At least
    /// major and minor are required; whatever follows the numbers is ignored.
    #[must_use]
    pub fn parse(release: &str) -> Option<Self> {
        let mut numbers = release.trim().splitn(3, '.').map(|part| {
            let end = part
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(part.len());
            part.get(..end).and_then(|digits| digits.parse().ok())
        });
        let major = numbers.next()??;
        let minor = numbers.next()??;
        let patch = numbers.next().flatten().unwrap_or(0);
        Some(Self::new(major, minor, patch))
    }

    /// The running kernel's version, from `/proc/sys/kernel/osrelease`.
    ///
    /// # Errors
    /// The error of reading the file; `InvalidData` when it holds no version.
    pub fn running() -> std::io::Result<Self> {
        let text = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
        Self::parse(&text).ok_or_else(|| std::io::ErrorKind::InvalidData.into())
    }
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.patch == 0 {
            write!(f, "{}.{}", self.major, self.minor)
        } else {
            write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
        }
    }
}

impl fmt::Debug for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_takes_leading_numbers() {
        let v = |a, b, c| Some(KernelVersion::new(a, b, c));
        assert_eq!(KernelVersion::parse("6.18.44-fc-v657\n"), v(6, 18, 44));
        assert_eq!(KernelVersion::parse("5.10"), v(5, 10, 0));
        assert_eq!(KernelVersion::parse("7.2-rc1"), v(7, 2, 0));
        assert_eq!(KernelVersion::parse("6.1.0-18-cloud-amd64"), v(6, 1, 0));
        assert_eq!(KernelVersion::parse("linux"), None);
        assert_eq!(KernelVersion::parse("6"), None);
        assert_eq!(KernelVersion::parse("99999999.1"), None);
    }

    #[test]
    fn order_is_numeric() {
        assert!(KernelVersion::new(5, 10, 0) > KernelVersion::new(5, 9, 12));
        assert_eq!(KernelVersion::new(5, 10, 0).to_string(), "5.10");
    }
}
