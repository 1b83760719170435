//! The words of `feature probe`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::failure::{Failure, Result};
use crate::words::{Words, shown};

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Component {
    /// The running kernel.
    Kernel,
    /// A device that programs and maps may be offloaded to.
    Device(u32),
}

/// How `feature probe` asks.
#[derive(Debug, PartialEq, Eq)]
pub struct ProbeArgs {
    /// What is asked.
    pub component: Component,
    /// Also about helpers whose probing leaves lines in the kernel's log.
    pub full: bool,
    /// Without privileges.
    pub unprivileged: bool,
    /// As macros for C, with this in front of their names.
    pub macros: Option<Vec<u8>>,
}

impl ProbeArgs {
    /// Reads all words.
    pub fn parse(mut words: Words<'_>) -> Result<Self> {
        let mut component = None;
        let mut args = Self {
            component: Component::Kernel,
            full: false,
            unprivileged: false,
            macros: None,
        };
        let once = |component: Option<Component>| match component {
            None => Ok(()),
            Some(_) => Err(Failure::new("component to probe already specified")),
        };
        while let Some(word) = words.peek() {
            if words.accept("kernel") {
                once(component)?;
                component = Some(Component::Kernel);
            } else if words.accept("dev") {
                once(component)?;
                words.require(1)?;
                component = Some(Component::Device(device(words.take("a device")?)?));
            } else if words.accept("full") {
                args.full = true;
            } else if args.macros.is_none() && words.accept("macros") {
                args.macros = Some(Vec::new());
            } else if words.accept("prefix") {
                match &args.macros {
                    None => {
                        return Err(Failure::new("'prefix' has a meaning only after 'macros'"));
                    }
                    Some(prefix) if !prefix.is_empty() => {
                        return Err(Failure::new("'prefix' already defined"));
                    }
                    Some(_) => {}
                }
                words.require(1)?;
                args.macros = Some(words.take("a prefix")?.as_bytes().to_vec());
            } else if words.accept("unprivileged") {
                args.unprivileged = true;
            } else {
                return Err(Failure::new(format_args!(
                    "expected no more arguments, 'kernel', 'dev', 'full', 'unprivileged', \
                     'macros' or 'prefix', got: '{}'?",
                    shown(word)
                )));
            }
        }
        args.component = component.unwrap_or(Component::Kernel);
        Ok(args)
    }
}

fn device(name: &OsStr) -> Result<u32> {
    nix::net::if_::if_nametoindex(name).map_err(|errno| {
        Failure::because(
            format_args!("unrecognized netdevice '{}'", shown(name)),
            std::io::Error::from(errno),
        )
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn parse(line: &str) -> std::result::Result<ProbeArgs, String> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        ProbeArgs::parse(Words::new(&words)).map_err(|error| error.message().unwrap())
    }

    #[test]
    fn words_may_come_in_any_order_and_be_shortened() {
        let args = parse("unp f mac pre BPF_ k").unwrap();
        assert!(args.full && args.unprivileged);
        assert_eq!(args.macros.as_deref(), Some(b"BPF_".as_slice()));
        assert_eq!(args.component, Component::Kernel);
        assert_eq!(parse("dev lo").unwrap().component, Component::Device(1));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for (line, words) in [
            ("kernel dev lo", "already specified"),
            ("dev lo dev lo", "already specified"),
            ("prefix X", "only after 'macros'"),
            ("macros prefix A prefix B", "already defined"),
            ("dev", "needs at least 1 argument"),
            ("dev no\u{1b}such", r"no\x1bsuch"),
            ("what", "got: 'what'?"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(words), "{line}: {error}");
        }
    }
}
