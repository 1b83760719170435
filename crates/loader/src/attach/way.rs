//! What the name of a section says that its programs attach to.

use super::AttachError;
use crate::model::sec_defs::{AutoAttach, SecDef};

/// How a program attaches by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way<'s> {
    /// Its section does not say to what.
    Open,
    /// `kprobe/FUNCTION+OFFSET`
    Kprobe {
        function: &'s str,
        offset: u64,
        returns: bool,
    },
    /// `ksyscall/NAME`
    Ksyscall { name: &'s str, returns: bool },
    /// `kprobe.multi/PATTERN`, `kprobe.session/PATTERN`
    KprobeMulti {
        pattern: &'s str,
        returns: bool,
        session: bool,
    },
    /// `tp/CATEGORY/NAME`
    Tracepoint { category: &'s str, name: &'s str },
    /// `raw_tp/NAME`
    RawTracepoint(&'s str),
    /// What the load resolved: `fentry/FUNCTION`, `lsm/HOOK`
    Resolved,
    /// `iter/KIND`
    Iter,
    /// `fentry.multi/MODULE:PATTERN`
    TracingMulti {
        module: Option<&'s str>,
        pattern: &'s str,
    },
    /// `uprobe/PATH:FUNCTION+OFFSET`
    Uprobe {
        path: &'s str,
        function: &'s str,
        offset: u64,
        returns: bool,
    },
    /// `uprobe.multi/PATH:PATTERN`, `uprobe.session/PATH:PATTERN`
    UprobeMulti {
        path: &'s str,
        pattern: &'s str,
        returns: bool,
        session: bool,
    },
    /// `usdt/PATH:PROVIDER:NAME`
    Usdt {
        path: &'s str,
        provider: &'s str,
        name: &'s str,
    },
}

/// Reads a section's name, without `?`.
pub(super) fn way(section: &str) -> Result<Way<'_>, AttachError> {
    let Some(auto) = SecDef::find(section).and_then(|def| def.auto_attach) else {
        return Ok(Way::Open);
    };
    let (word, target) = section.split_once('/').unwrap_or((section, ""));
    // What the load resolved need not be in the name.
    match auto {
        AutoAttach::Trace | AutoAttach::Lsm => return Ok(Way::Resolved),
        AutoAttach::Iter => return Ok(Way::Iter),
        _ if !section.contains('/') => return Ok(Way::Open),
        _ => {}
    }
    let form = |what| AttachError::Form {
        target: target.to_owned(),
        what,
    };
    let returns = word.starts_with("kret") || word.starts_with("uret");
    match auto {
        AutoAttach::Kprobe => {
            let (function, offset) = function_and_offset(target)?;
            Ok(Way::Kprobe {
                function,
                offset,
                returns,
            })
        }
        AutoAttach::Ksyscall => {
            if target.is_empty() || !target.bytes().all(is_name) {
                return Err(form("name of a system call"));
            }
            Ok(Way::Ksyscall {
                name: target,
                returns,
            })
        }
        AutoAttach::KprobeMulti | AutoAttach::KprobeSession => {
            if !is_pattern(target) {
                return Err(form("pattern of functions"));
            }
            Ok(Way::KprobeMulti {
                pattern: target,
                returns,
                session: auto == AutoAttach::KprobeSession,
            })
        }
        AutoAttach::Tracepoint => {
            let split = target.split_once('/');
            let filled = split.filter(|(category, name)| !category.is_empty() && !name.is_empty());
            let (category, name) = filled.ok_or_else(|| form("CATEGORY/NAME"))?;
            Ok(Way::Tracepoint { category, name })
        }
        AutoAttach::RawTracepoint if target.is_empty() => Err(form("name of a tracepoint")),
        AutoAttach::RawTracepoint => Ok(Way::RawTracepoint(target)),
        AutoAttach::TracingMulti => {
            if !is_pattern(target) {
                return Err(form("pattern of functions"));
            }
            Ok(match target.split_once(':') {
                Some((module, pattern)) => Way::TracingMulti {
                    module: Some(module),
                    pattern,
                },
                None => Way::TracingMulti {
                    module: None,
                    pattern: target,
                },
            })
        }
        AutoAttach::Uprobe => {
            let (path, at) = in_file(target).ok_or_else(|| form("PATH:FUNCTION+OFFSET"))?;
            // A name may have a plus, and then no number behind it.
            let (function, offset) = place(at).unwrap_or((at, 0));
            Ok(Way::Uprobe {
                path,
                function,
                offset,
                returns,
            })
        }
        AutoAttach::UprobeMulti => {
            let (path, pattern) = in_file(target).ok_or_else(|| form("PATH:PATTERN"))?;
            Ok(Way::UprobeMulti {
                path,
                pattern,
                returns,
                session: word.starts_with("uprobe.session"),
            })
        }
        AutoAttach::Usdt => {
            let (path, probe) = in_file(target).ok_or_else(|| form("PATH:PROVIDER:NAME"))?;
            let (provider, name) = in_file(probe).ok_or_else(|| form("PATH:PROVIDER:NAME"))?;
            Ok(Way::Usdt {
                path,
                provider,
                name,
            })
        }
        AutoAttach::Trace | AutoAttach::Lsm | AutoAttach::Iter => Ok(Way::Resolved),
    }
}

/// A function of the kernel or of a module, and a number of bytes behind its start.
pub(super) fn function_and_offset(target: &str) -> Result<(&str, u64), AttachError> {
    let is_function = |name: &str| name.bytes().all(|byte| is_name(byte) || byte == b':');
    place(target)
        .filter(|(function, _)| is_function(function))
        .ok_or_else(|| AttachError::Form {
            target: target.to_owned(),
            what: "FUNCTION+OFFSET",
        })
}

/// Two words, neither of them empty, around the first colon.
fn in_file(text: &str) -> Option<(&str, &str)> {
    let (path, at) = text.split_once(':')?;
    (!path.is_empty() && !at.is_empty()).then_some((path, at))
}

/// A name and the number of bytes behind its last plus.
fn place(text: &str) -> Option<(&str, u64)> {
    let (name, offset) = match text.rsplit_once('+') {
        Some((name, offset)) => (name, number(offset)?),
        None => (text, 0),
    };
    (!name.is_empty()).then_some((name, offset))
}

/// A number as C has them: `0x10`, `020`, `16`.
fn number(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let (digits, radix) = match lower.strip_prefix("0x") {
        Some(hex) => (hex, 16),
        None if lower.len() > 1 && lower.starts_with('0') => (lower.as_str(), 8),
        None => (lower.as_str(), 10),
    };
    // `from_str_radix` alone would take a sign.
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if plain {
        u64::from_str_radix(digits, radix).ok()
    } else {
        None
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.')
}

/// `PATTERN` or `MODULE:PATTERN`.
fn is_pattern(text: &str) -> bool {
    let (module, pattern) = text.split_once(':').unwrap_or(("vmlinux", text));
    let fits = |byte| is_name(byte) || matches!(byte, b'*' | b'?');
    let is = |word: &str| !word.is_empty() && word.bytes().all(fits);
    is(module) && is(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_say_what_their_programs_attach_to() {
        let kprobe = |function, offset, returns| Way::Kprobe {
            function,
            offset,
            returns,
        };
        let many = |pattern, returns, session| Way::KprobeMulti {
            pattern,
            returns,
            session,
        };
        let file = |function, offset, returns| Way::Uprobe {
            path: "/bin/sh",
            function,
            offset,
            returns,
        };
        let files = |pattern, returns, session| Way::UprobeMulti {
            path: "libc.so.6",
            pattern,
            returns,
            session,
        };
        let traced = |module, pattern| Way::TracingMulti { module, pattern };
        for (section, expect) in [
            ("kprobe", Way::Open),
            ("kprobe/do_nanosleep", kprobe("do_nanosleep", 0, false)),
            ("kprobe/f.isra.0+0x10", kprobe("f.isra.0", 16, false)),
            ("kprobe/f+020", kprobe("f", 16, false)),
            (
                "kprobe/dummy:dummy_xmit+4",
                kprobe("dummy:dummy_xmit", 4, false),
            ),
            ("kretprobe/f", kprobe("f", 0, true)),
            (
                "ksyscall/openat",
                Way::Ksyscall {
                    name: "openat",
                    returns: false,
                },
            ),
            (
                "kretsyscall/openat",
                Way::Ksyscall {
                    name: "openat",
                    returns: true,
                },
            ),
            ("ksyscall", Way::Open),
            ("kprobe.multi/tcp_*", many("tcp_*", false, false)),
            ("kretprobe.multi/a?c", many("a?c", true, false)),
            ("kprobe.session/m:*", many("m:*", false, true)),
            ("kprobe.multi", Way::Open),
            (
                "tp/sched/sched_switch",
                Way::Tracepoint {
                    category: "sched",
                    name: "sched_switch",
                },
            ),
            (
                "tracepoint.s/syscalls/sys_enter_openat",
                Way::Tracepoint {
                    category: "syscalls",
                    name: "sys_enter_openat",
                },
            ),
            ("tp", Way::Open),
            ("raw_tp/sys_enter", Way::RawTracepoint("sys_enter")),
            ("raw_tracepoint.w/x", Way::RawTracepoint("x")),
            ("raw_tp.s/x", Way::RawTracepoint("x")),
            ("raw_tp", Way::Open),
            ("tp_btf/sched_switch", Way::Resolved),
            ("fentry.s/f", Way::Resolved),
            ("fmod_ret/f", Way::Resolved),
            ("fsession/f", Way::Resolved),
            ("freplace", Way::Resolved),
            ("lsm/file_open", Way::Resolved),
            ("lsm_cgroup/file_open", Way::Open),
            ("iter/task", Way::Iter),
            ("iter.s/task", Way::Iter),
            ("fentry.multi/tcp_*", traced(None, "tcp_*")),
            ("fexit.multi.s/nf_nat:*", traced(Some("nf_nat"), "*")),
            ("fsession.multi", Way::Open),
            ("uprobe//bin/sh:main+4", file("main", 4, false)),
            ("uretprobe.s//bin/sh:main", file("main", 0, true)),
            ("uprobe//bin/sh:operator+", file("operator+", 0, false)),
            ("uprobe", Way::Open),
            ("uprobe.multi/libc.so.6:mem*", files("mem*", false, false)),
            (
                "uretprobe.multi.s/libc.so.6:mem*",
                files("mem*", true, false),
            ),
            ("uprobe.session/libc.so.6:mem*", files("mem*", false, true)),
            (
                "usdt//bin/sh:a:b",
                Way::Usdt {
                    path: "/bin/sh",
                    provider: "a",
                    name: "b",
                },
            ),
            ("xdp", Way::Open),
            ("syscall", Way::Open),
            ("unknown", Way::Open),
        ] {
            assert_eq!(way(section).unwrap(), expect, "{section}");
        }
    }

    #[test]
    fn targets_of_another_form_are_refused() {
        for (section, expect) in [
            ("kprobe/", "'' is no FUNCTION+OFFSET"),
            ("kprobe/f+", "'f+' is no FUNCTION+OFFSET"),
            ("kprobe/f+-1", "'f+-1' is no FUNCTION+OFFSET"),
            ("kprobe/f+09", "'f+09' is no FUNCTION+OFFSET"),
            ("kprobe/f(x)", "'f(x)' is no FUNCTION+OFFSET"),
            (
                "kprobe.multi/tcp_[a-z]",
                "'tcp_[a-z]' is no pattern of functions",
            ),
            ("fentry.multi/a:b:c", "'a:b:c' is no pattern of functions"),
            ("ksyscall/", "'' is no name of a system call"),
            ("tp/sched", "'sched' is no CATEGORY/NAME"),
            ("tp/sched/", "'sched/' is no CATEGORY/NAME"),
            ("raw_tp/", "'' is no name of a tracepoint"),
            ("uprobe/main", "'main' is no PATH:FUNCTION+OFFSET"),
            ("uprobe.multi/libc.so.6:", "'libc.so.6:' is no PATH:PATTERN"),
            ("usdt//bin/sh:a", "'/bin/sh:a' is no PATH:PROVIDER:NAME"),
        ] {
            assert_eq!(way(section).unwrap_err().to_string(), expect, "{section}");
        }
    }
}
