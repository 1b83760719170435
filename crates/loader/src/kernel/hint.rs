//! What a person can do about a refusal, as far as the machine's settings tell.

use super::{KernelError, MapStep};
use bpfsys::probe::{self, Support};
use bpfsys::uapi::helpers::HelperId;
use bpfsys::{AttachType, Cmd, ErrorKind, KernelVersion, Op, ProgType, SysError};
use nix::errno::Errno;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use std::fmt::Display;

const CAP_NET_ADMIN: u64 = 1 << 12;
const CAP_SYS_ADMIN: u64 = 1 << 21;
const CAP_PERFMON: u64 = 1 << 38;
const CAP_BPF: u64 = 1 << 39;

impl KernelError {
    /// What can be done about it, when that can be told from the settings of the machine. Reads
    /// them.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        if let Self::UnknownModule { .. } = self {
            return Some("load it with CAP_SYS_ADMIN, which ids of types need".into());
        }
        if let Self::Program(error) = self
            && let Some(diagnosis) = error.log.diagnosis()
            && !diagnosis.suggestion.is_empty()
        {
            return Some(diagnosis.suggestion);
        }
        let log = self
            .log()
            .map(bpfsys::VerifierLog::as_str)
            .unwrap_or_default();
        let sys = self.sys()?;
        explain(&sys, log, &Machine::ask().with_memlock()).or_else(|| self.lacking(&sys))
    }

    /// What the kernel does not have at all.
    fn lacking(&self, sys: &SysError) -> Option<String> {
        match self {
            Self::Program(error) if sys.is(Errno::EINVAL) => {
                let prog_type = error.prog_type;
                if probe::prog_type(prog_type).is_no() {
                    return Some(no_such("programs of type", &prog_type, prog_type.since()));
                }
                let attach = error.attach_type?;
                let no = attach.0 != 0 && probe::attach_type(attach).is_no();
                no.then(|| no_such("attach type", &attach, attach.since()))
            }
            Self::Program(error) if sys.is(Errno::EPERM) && error.log.is_empty() => {
                by_trampoline(error.prog_type, error.attach_type).then(|| {
                    "this kernel forbids programs that run by a trampoline (fentry, fexit, \
                     fmod_ret, lsm, freplace), whoever asks"
                        .to_owned()
                })
            }
            Self::Map { map_type, step, .. } if *step == MapStep::Create => {
                let no = sys.is(Errno::EINVAL) && probe::map_type(*map_type).is_no();
                no.then(|| no_such("maps of type", map_type, map_type.since()))
            }
            _ => None,
        }
    }
}

/// Words for what this kernel has not got, and which version brought it.
#[must_use]
pub fn no_such(what: &str, name: &dyn Display, since: Option<KernelVersion>) -> String {
    match since {
        Some(since) => format!(
            "this kernel has no {what} {name}: Linux {}.{} brought it, if configured",
            since.major, since.minor
        ),
        None => format!("this kernel has no {what} {name}"),
    }
}

fn by_trampoline(prog_type: ProgType, attach: Option<AttachType>) -> bool {
    let attach = attach.unwrap_or_default();
    matches!(prog_type, ProgType::LSM | ProgType::EXT)
        || prog_type == ProgType::TRACING
            && !matches!(attach, AttachType::TRACE_RAW_TP | AttachType::TRACE_ITER)
}

/// Settings of a machine that decide who may do what with bpf().
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Effective capabilities; `None` when they cannot be read.
    pub capabilities: Option<u64>,
    /// Whether this is a user namespace inside of the initial one.
    inside: bool,
    /// `kernel.unprivileged_bpf_disabled`.
    unprivileged_disabled: bool,
    /// The mode of kernel lockdown: `none`, `integrity`, `confidentiality`.
    lockdown: Option<String>,
    /// The limit of locked memory, when the kernel counts against it and it is one.
    memlock: Option<u64>,
}

impl Machine {
    /// Reads the settings, all but those that need a probe.
    #[must_use]
    pub fn ask() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).ok();
        let status = read("/proc/self/status").unwrap_or_default();
        let capabilities = status
            .lines()
            .find_map(|line| line.strip_prefix("CapEff:"))
            .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
        let inside = read("/proc/self/uid_map")
            .is_some_and(|map| !map.split_whitespace().eq(["0", "0", "4294967295"]));
        let disabled = read("/proc/sys/kernel/unprivileged_bpf_disabled");
        let lockdown = read("/sys/kernel/security/lockdown");
        let lockdown = lockdown.as_deref().and_then(|modes| {
            let (_, mode) = modes.split_once('[')?;
            mode.split_once(']').map(|(mode, _)| mode.to_owned())
        });
        Self {
            capabilities,
            inside,
            unprivileged_disabled: disabled.is_some_and(|value| value.trim() != "0"),
            lockdown,
            memlock: None,
        }
    }

    fn with_memlock(self) -> Self {
        let by_cgroup = probe::helper(ProgType::SOCKET_FILTER, HelperId::KTIME_GET_COARSE_NS);
        let limit = getrlimit(Resource::RLIMIT_MEMLOCK).ok();
        let limit = limit.map(|(soft, _)| soft);
        Self {
            memlock: limit.filter(|limit| *limit != RLIM_INFINITY && by_cgroup != Support::Yes),
            ..self
        }
    }

    /// What to say to a process without the capabilities that bpf() asks for.
    #[must_use]
    pub fn without_bpf(&self) -> Option<String> {
        let has = self.capabilities.unwrap_or(u64::MAX);
        let why = if self.unprivileged_disabled {
            ": kernel.unprivileged_bpf_disabled is set"
        } else {
            ""
        };
        (has & (CAP_BPF | CAP_SYS_ADMIN) == 0)
            .then(|| format!("this needs CAP_BPF or CAP_SYS_ADMIN (root){why}"))
    }

    /// What to say inside a user namespace: its root has all capabilities there, and none for
    /// bpf().
    #[must_use]
    pub fn in_user_namespace(&self) -> Option<String> {
        self.inside.then(|| {
            "inside a user namespace bpf() needs a token (bpffs mounted with delegate_… options) \
             or the capabilities of the initial one"
                .into()
        })
    }

    /// What to say where nobody may read the kernel's memory.
    #[must_use]
    pub fn confidential(&self) -> Option<String> {
        (self.lockdown.as_deref() == Some("confidentiality")).then(|| {
            "kernel lockdown is in confidentiality mode, which forbids reading kernel memory".into()
        })
    }
}

pub(crate) fn explain(error: &SysError, log: &str, machine: &Machine) -> Option<String> {
    let locked = machine.lockdown.as_deref();
    if log.contains("bpf_probe_write_user") && locked.is_some_and(|mode| mode != "none") {
        return Some(format!(
            "kernel lockdown is in {} mode, which forbids bpf_probe_write_user",
            locked.unwrap_or_default()
        ));
    }
    if error.kind() != ErrorKind::Denied && !error.is(Errno::ENOMEM) {
        return None;
    }
    let Op::Bpf(cmd) = error.op() else {
        return None;
    };
    if matches!(cmd, Cmd::OBJ_GET | Cmd::OBJ_PIN) && error.is(Errno::EACCES) {
        return Some("the mode or owner of the file or its directory forbids it".into());
    }
    // The verifier says EACCES too: then its log is what helps.
    if error.is(Errno::EACCES) || !log.trim().is_empty() {
        return None;
    }
    if let Some(hint) = machine
        .without_bpf()
        .or_else(|| machine.in_user_namespace())
    {
        return Some(hint);
    }
    if let Some(limit) = machine.memlock {
        return Some(format!(
            "the limit of locked memory is {} KiB, and this kernel counts maps and programs \
             against it: raise it (ulimit -l unlimited)",
            limit / 1024
        ));
    }
    let has = machine.capabilities.unwrap_or(u64::MAX);
    if cmd == Cmd::PROG_LOAD && has & CAP_SYS_ADMIN == 0 {
        let missing = if has & CAP_PERFMON == 0 {
            "CAP_PERFMON, for programs that trace"
        } else if has & CAP_NET_ADMIN == 0 {
            "CAP_NET_ADMIN, for programs of the network"
        } else {
            "CAP_SYS_ADMIN"
        };
        return Some(format!("CAP_BPF is not enough for this: {missing}"));
    }
    machine.confidential()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: Errno, cmd: Cmd, log: &str, machine: &Machine, expect: Option<&str>) {
        let error = SysError::from_errno(Op::Bpf(cmd), raw);
        let said = explain(&error, log, machine);
        match (said.as_deref(), expect) {
            (Some(said), Some(words)) => assert!(said.contains(words), "{said}"),
            (said, expect) => assert_eq!(said, expect),
        }
    }

    #[test]
    fn each_cause_of_eperm_has_a_story() {
        let root = Machine {
            capabilities: Some(u64::MAX),
            ..Machine::default()
        };
        let load = Cmd::PROG_LOAD;
        let eperm = Errno::EPERM;
        check(eperm, load, "", &root, None);
        check(Errno::EACCES, load, "R0 !read_ok", &root, None);
        let nobody = Machine {
            capabilities: Some(0),
            ..root.clone()
        };
        check(eperm, load, "", &nobody, Some("CAP_BPF or CAP_SYS_ADMIN"));
        let disabled = Machine {
            unprivileged_disabled: true,
            ..nobody
        };
        check(
            eperm,
            load,
            "",
            &disabled,
            Some("unprivileged_bpf_disabled"),
        );
        let inside = Machine {
            inside: true,
            ..root.clone()
        };
        check(eperm, Cmd::MAP_CREATE, "", &inside, Some("a token"));
        let limited = Machine {
            memlock: Some(64 << 10),
            ..root.clone()
        };
        check(eperm, Cmd::MAP_CREATE, "", &limited, Some("is 64 KiB"));
        let tracer = Machine {
            capabilities: Some(CAP_BPF),
            ..root.clone()
        };
        check(eperm, load, "", &tracer, Some("CAP_PERFMON"));
        let net = Machine {
            capabilities: Some(CAP_BPF | CAP_PERFMON),
            ..root.clone()
        };
        check(eperm, load, "", &net, Some("CAP_NET_ADMIN"));
        let locked = Machine {
            lockdown: Some("confidentiality".into()),
            ..root.clone()
        };
        check(eperm, load, "", &locked, Some("confidentiality"));
        let integrity = Machine {
            lockdown: Some("integrity".into()),
            ..root
        };
        check(
            Errno::EINVAL,
            load,
            "program of this type cannot use helper bpf_probe_write_user#36",
            &integrity,
            Some("integrity mode"),
        );
        check(
            Errno::EACCES,
            Cmd::OBJ_PIN,
            "",
            &integrity,
            Some("mode or owner"),
        );
    }
}
