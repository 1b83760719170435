//! What a person can do about a refusal.

use super::{KernelError, MapStep};
use crate::machine::{Machine, no_such};
use bpfsys::probe;
use bpfsys::{AttachType, ProgType, SysError};
use nix::errno::Errno;

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
        Machine::ask()
            .with_memlock()
            .explain(&sys, log)
            .or_else(|| self.lacking(&sys))
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

fn by_trampoline(prog_type: ProgType, attach: Option<AttachType>) -> bool {
    let attach = attach.unwrap_or_default();
    matches!(prog_type, ProgType::LSM | ProgType::EXT)
        || prog_type == ProgType::TRACING
            && !matches!(attach, AttachType::TRACE_RAW_TP | AttachType::TRACE_ITER)
}
