//! What a person can do about a refusal, as far as the settings tell.

use std::fmt::Display;

use bpfsys::{Cmd, ErrorKind, KernelVersion, Op, SysError};
use nix::errno::Errno;

use super::{Lockdown, Machine, cap};

impl Machine {
    /// What can be done about an answer of the kernel. `log` is what the verifier said, if it was
    /// asked to say something.
    #[must_use]
    pub fn explain(&self, error: &SysError, log: &str) -> Option<String> {
        if log.contains("bpf_probe_write_user")
            && let Some(mode) = self.lockdown.filter(|mode| *mode > Lockdown::None)
        {
            return Some(format!(
                "kernel lockdown is in {mode} mode, which forbids bpf_probe_write_user"
            ));
        }
        let denied = error.kind() == ErrorKind::Denied;
        match error.op() {
            Op::Bpf(cmd) if denied || error.is(Errno::ENOMEM) => self.refused(cmd, error, log),
            Op::PerfEventOpen if denied => self.without_perf(),
            Op::Netlink | Op::SocketOption if denied && !self.has(cap::NET_ADMIN) => {
                Some("this needs CAP_NET_ADMIN (root)".into())
            }
            _ => None,
        }
    }

    fn refused(&self, cmd: Cmd, error: &SysError, log: &str) -> Option<String> {
        if matches!(cmd, Cmd::OBJ_GET | Cmd::OBJ_PIN) && error.is(Errno::EACCES) {
            return Some("the mode or owner of the file or its directory forbids it".into());
        }
        if needs_sys_admin(cmd) {
            return self
                .without_sys_admin()
                .or_else(|| self.in_namespace())
                .or_else(|| self.filtered());
        }
        // The verifier says EACCES too: then its log is what helps.
        if error.is(Errno::EACCES) || !log.trim().is_empty() {
            return None;
        }
        self.without_bpf()
            .or_else(|| self.in_namespace())
            .or_else(|| self.limited())
            .or_else(|| (cmd == Cmd::PROG_LOAD).then(|| self.beyond_bpf())?)
            .or_else(|| self.confidential())
            .or_else(|| self.filtered())
    }

    fn filtered(&self) -> Option<String> {
        self.seccomp.then(|| {
            "a seccomp filter is set for this process, as container runtimes do: it may forbid bpf()"
                .into()
        })
    }

    /// What to say to a process without the capabilities that bpf() asks for.
    #[must_use]
    pub fn without_bpf(&self) -> Option<String> {
        let why = match self.unprivileged_bpf_disabled {
            None | Some(0) => "",
            Some(_) => ": kernel.unprivileged_bpf_disabled is set",
        };
        (!self.has(cap::BPF | cap::SYS_ADMIN))
            .then(|| format!("this needs CAP_BPF or CAP_SYS_ADMIN (root){why}"))
    }

    fn without_sys_admin(&self) -> Option<String> {
        (!self.has(cap::SYS_ADMIN))
            .then(|| "listing and opening objects by id needs CAP_SYS_ADMIN (root)".into())
    }

    /// What to say inside a user namespace: its root has all capabilities there, and none for
    /// bpf().
    #[must_use]
    pub fn in_namespace(&self) -> Option<String> {
        self.in_user_namespace.then(|| {
            "inside a user namespace bpf() needs a token (bpffs mounted with delegate_… options) \
             or the capabilities of the initial one"
                .into()
        })
    }

    fn limited(&self) -> Option<String> {
        let limit = self.memlock?;
        Some(format!(
            "the limit of locked memory is {} KiB, and this kernel counts maps and programs \
             against it: raise it (ulimit -l unlimited)",
            limit / 1024
        ))
    }

    /// What CAP_BPF alone does not allow.
    fn beyond_bpf(&self) -> Option<String> {
        if self.has(cap::SYS_ADMIN) {
            return None;
        }
        let missing = if !self.has(cap::PERFMON) {
            "CAP_PERFMON, for programs that trace"
        } else if !self.has(cap::NET_ADMIN) {
            "CAP_NET_ADMIN, for programs of the network"
        } else {
            "CAP_SYS_ADMIN"
        };
        Some(format!("CAP_BPF is not enough for this: {missing}"))
    }

    /// What to say where nobody may read the kernel's memory.
    #[must_use]
    pub fn confidential(&self) -> Option<String> {
        (self.lockdown == Some(Lockdown::Confidentiality)).then(|| {
            "kernel lockdown is in confidentiality mode, which forbids reading kernel memory".into()
        })
    }

    /// What to say where perf events may not be opened.
    #[must_use]
    pub fn without_perf(&self) -> Option<String> {
        if self.has(cap::PERFMON | cap::SYS_ADMIN) {
            return self.confidential();
        }
        let paranoid = self.perf_event_paranoid?;
        Some(format!(
            "kernel.perf_event_paranoid is {paranoid}: this needs CAP_PERFMON or CAP_SYS_ADMIN \
             (root)"
        ))
    }

    /// Why the kernel shows addresses as 0 to this process, and with them hides machine code and
    /// hardened instructions; `None` where it shows them.
    #[must_use]
    pub fn hides_addresses(&self) -> Option<String> {
        let restrict = self.kptr_restrict?;
        if restrict >= 2 {
            return Some(
                "kernel.kptr_restrict is 2, which hides addresses from everybody: \
                 sysctl -w kernel.kptr_restrict=1"
                    .into(),
            );
        }
        let for_all = restrict == 0 && self.perf_event_paranoid.is_none_or(|level| level <= 1);
        (!for_all && !self.has(cap::SYSLOG)).then(|| {
            format!("kernel.kptr_restrict is {restrict}: addresses need CAP_SYSLOG (root)")
        })
    }

    /// Why the kernel does not show the instructions of a program; `None` where there is no reason
    /// to be seen.
    #[must_use]
    pub fn hides_instructions(&self) -> Option<String> {
        self.without_bpf().or_else(|| {
            let hides = self.hides_addresses()?;
            let harden = self.jit_harden.filter(|level| *level > 0)?;
            Some(format!(
                "net.core.bpf_jit_harden is {harden}, which hides instructions with addresses; {hides}"
            ))
        })
    }
}

/// Commands that reach any object of the machine.
fn needs_sys_admin(cmd: Cmd) -> bool {
    matches!(
        cmd,
        Cmd::PROG_GET_NEXT_ID
            | Cmd::MAP_GET_NEXT_ID
            | Cmd::BTF_GET_NEXT_ID
            | Cmd::LINK_GET_NEXT_ID
            | Cmd::PROG_GET_FD_BY_ID
            | Cmd::MAP_GET_FD_BY_ID
            | Cmd::BTF_GET_FD_BY_ID
            | Cmd::LINK_GET_FD_BY_ID
    )
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
