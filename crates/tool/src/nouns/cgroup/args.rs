//! The words of `cgroup`.

use std::os::fd::AsFd;

use bpfsys::cmd::Anchor;
use bpfsys::uapi::flags::AttachFlags;
use bpfsys::{AttachType, ProgFd};

use crate::failure::{Failure, Result};
use crate::handle::ProgHandle;
use crate::words::{Words, is_prefix, shown};

/// Reads an attach type: its full name, or any prefix of its short name (of its full name where it
/// has no other); the first that fits, in numeric order.
pub fn attach_type(words: &mut Words<'_>) -> Result<AttachType> {
    let word = words.take("an attach type")?;
    let mut all = AttachType::ALL.iter();
    let exact = all.find(|own| own.name().is_some_and(|name| word == name));
    let mut all = AttachType::ALL.iter();
    exact
        .or_else(|| all.find(|own| short_name(**own).is_some_and(|name| is_prefix(word, name))))
        .copied()
        .ok_or_else(|| Failure::new(format_args!("invalid attach type: {}", shown(word))))
}

/// The name by which people called it before it had one of its own.
fn short_name(attach_type: AttachType) -> Option<&'static str> {
    Some(match attach_type {
        AttachType::CGROUP_INET_INGRESS => "ingress",
        AttachType::CGROUP_INET_EGRESS => "egress",
        AttachType::CGROUP_INET_SOCK_CREATE => "sock_create",
        AttachType::CGROUP_INET_SOCK_RELEASE => "sock_release",
        AttachType::CGROUP_SOCK_OPS => "sock_ops",
        AttachType::CGROUP_DEVICE => "device",
        AttachType::CGROUP_INET4_BIND => "bind4",
        AttachType::CGROUP_INET6_BIND => "bind6",
        AttachType::CGROUP_INET4_CONNECT => "connect4",
        AttachType::CGROUP_INET6_CONNECT => "connect6",
        AttachType::CGROUP_INET4_POST_BIND => "post_bind4",
        AttachType::CGROUP_INET6_POST_BIND => "post_bind6",
        AttachType::CGROUP_INET4_GETPEERNAME => "getpeername4",
        AttachType::CGROUP_INET6_GETPEERNAME => "getpeername6",
        AttachType::CGROUP_INET4_GETSOCKNAME => "getsockname4",
        AttachType::CGROUP_INET6_GETSOCKNAME => "getsockname6",
        AttachType::CGROUP_UDP4_SENDMSG => "sendmsg4",
        AttachType::CGROUP_UDP6_SENDMSG => "sendmsg6",
        AttachType::CGROUP_UDP4_RECVMSG => "recvmsg4",
        AttachType::CGROUP_UDP6_RECVMSG => "recvmsg6",
        AttachType::CGROUP_SYSCTL => "sysctl",
        AttachType::CGROUP_GETSOCKOPT => "getsockopt",
        AttachType::CGROUP_SETSOCKOPT => "setsockopt",
        AttachType::TRACE_RAW_TP => "raw_tp",
        AttachType::TRACE_FENTRY => "fentry",
        AttachType::TRACE_FEXIT => "fexit",
        AttachType::MODIFY_RETURN => "mod_ret",
        AttachType::TRACE_FSESSION => "fsession",
        AttachType::SK_REUSEPORT_SELECT => "sk_skb_reuseport_select",
        AttachType::SK_REUSEPORT_SELECT_OR_MIGRATE => "sk_skb_reuseport_select_or_migrate",
        other => return other.name(),
    })
}

/// Reads `[effective]`.
pub fn effective(words: &mut Words<'_>) -> Result<bool> {
    let mut effective = false;
    while let Some(word) = words.peek() {
        if !words.accept("effective") {
            return Err(Failure::new(format_args!(
                "expected no more arguments, 'effective', got: '{}'?",
                shown(word)
            )));
        }
        if effective {
            return Err(Failure::new(format_args!(
                "duplicated argument: {}",
                shown(word)
            )));
        }
        effective = true;
    }
    Ok(effective)
}

/// Where among the programs of a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Before one of them.
    Before(ProgHandle),
    /// After one of them.
    After(ProgHandle),
}

/// How `cgroup attach` attaches.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct How {
    /// What is allowed below, and the order.
    pub flags: AttachFlags,
    /// In place of this program.
    pub replace: Option<ProgHandle>,
    /// Where among the others.
    pub place: Option<Place>,
}

impl How {
    /// Reads it.
    pub fn parse(words: &mut Words<'_>) -> Result<Self> {
        let mut how = Self::default();
        while let Some(word) = words.option() {
            if words.accept("multi") {
                how.flags |= AttachFlags::ALLOW_MULTI;
            } else if words.accept("override") {
                how.flags |= AttachFlags::ALLOW_OVERRIDE;
            } else if words.accept("preorder") {
                how.flags |= AttachFlags::PREORDER;
            } else if words.accept("replace") {
                how.replace = Some(ProgHandle::parse(words)?);
            } else if words.accept("before") {
                how.placed(Place::Before(ProgHandle::parse(words)?))?;
            } else if words.accept("after") {
                how.placed(Place::After(ProgHandle::parse(words)?))?;
            } else {
                return Err(Failure::new(format_args!(
                    "unknown option: {}",
                    shown(word)
                )));
            }
        }
        Ok(how)
    }

    /// Opens the program that it is placed by.
    pub fn relative(&self) -> Result<Option<ProgFd>> {
        match &self.place {
            Some(Place::Before(handle) | Place::After(handle)) => handle.open_one().map(Some),
            None => Ok(None),
        }
    }

    /// The place, with what [`relative`](Self::relative) opened.
    #[must_use]
    pub fn anchor<'a>(&self, relative: Option<&'a ProgFd>) -> Option<Anchor<'a>> {
        match (&self.place, relative) {
            (Some(Place::Before(_)), Some(prog)) => Some(Anchor::BeforeProg(prog.as_fd())),
            (Some(Place::After(_)), Some(prog)) => Some(Anchor::AfterProg(prog.as_fd())),
            _ => None,
        }
    }

    fn placed(&mut self, place: Place) -> Result<()> {
        match self.place.replace(place) {
            None => Ok(()),
            Some(_) => Err(Failure::new("there can be only one place for a program")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn with<T>(line: &str, read: impl FnOnce(&mut Words<'_>) -> Result<T>) -> Result<T> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        read(&mut Words::new(&words))
    }

    #[test]
    fn attach_types_are_found_as_bpftool_finds_them() {
        for (word, found) in [
            ("cgroup_inet_egress", AttachType::CGROUP_INET_EGRESS),
            ("in", AttachType::CGROUP_INET_INGRESS),
            ("e", AttachType::CGROUP_INET_EGRESS),
            ("conn", AttachType::CGROUP_INET4_CONNECT),
            ("connect6", AttachType::CGROUP_INET6_CONNECT),
            ("sysctl", AttachType::CGROUP_SYSCTL),
            ("lsm_c", AttachType::LSM_CGROUP),
            ("cgroup_unix_c", AttachType::CGROUP_UNIX_CONNECT),
        ] {
            assert_eq!(with(word, attach_type).unwrap(), found, "{word}");
        }
        // a full name must be whole where there is a short one
        let error = with("cgroup_inet", attach_type).unwrap_err();
        assert_eq!(error.message().unwrap(), "invalid attach type: cgroup_inet");
    }

    #[test]
    fn flags_add_up() {
        let how = with("mu over", How::parse).unwrap();
        let both = AttachFlags::ALLOW_MULTI | AttachFlags::ALLOW_OVERRIDE;
        assert_eq!(how.flags, both);
        let error = with("multi x", How::parse).unwrap_err();
        assert_eq!(error.message().unwrap(), "unknown option: x");
        let error = with("eff effective", effective).unwrap_err();
        assert_eq!(error.message().unwrap(), "duplicated argument: effective");
    }
}
