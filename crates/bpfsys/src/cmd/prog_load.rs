//! PROG_LOAD.

#![allow(unsafe_code, reason = "makes bpf() calls")]

use super::log_growth::{LogLevel, LogRequest, load};
use super::{c_string, count32, signed, unsigned};
use crate::error::{LoadError, Op, Refusal, SysError};
use crate::fd::{BtfFd, ProgFd, TokenFd};
use crate::insn::Insn;
use crate::log::VerifierLog;
use crate::sys::bpf::bpf_fd;
use crate::uapi::UserPtr;
use crate::uapi::attr::{ProgLoadAttr, obj_name};
use crate::uapi::enums::{AttachType, Cmd, ProgType};
use crate::uapi::flags::ProgLoadFlags;
use crate::uapi::info::{CoreRelo, FuncInfo, LineInfo};
use nix::errno::Errno;
use std::borrow::Cow;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

const CMD: Cmd = Cmd::PROG_LOAD;

/// BPF_PROG_LOAD: verifies a program and loads it. Since Linux 3.18.
///
/// Descriptors inside instructions are numbers to this crate: keep the objects they belong to
/// open until the load has returned.
///
/// Errors: `EINVAL` and `EACCES` when the verifier refuses the program or the kernel does not know
/// a type or field, `E2BIG` when it is too long or too complex, `EPERM` without `CAP_BPF` and,
/// for most types, `CAP_NET_ADMIN` or `CAP_PERFMON`, or over the memory lock limit before 5.11.
#[doc(alias = "BPF_PROG_LOAD")]
#[derive(Clone, Debug)]
#[must_use]
pub struct ProgLoad<'a> {
    attr: ProgLoadAttr,
    insns: &'a [Insn],
    license: &'a [u8],
    name: &'a [u8],
    btf: Option<&'a BtfFd>,
    func_info: &'a [u8],
    line_info: &'a [u8],
    core_relos: &'a [u8],
    attach_to: Option<BorrowedFd<'a>>,
    fd_array: &'a [BorrowedFd<'a>],
    token: Option<&'a TokenFd>,
    signature: &'a [u8],
    log: LogLevel,
}

impl<'a> ProgLoad<'a> {
    /// A program of this type. Its licence is `GPL` unless set.
    pub fn new(prog_type: ProgType, insns: &'a [Insn]) -> Self {
        Self {
            attr: ProgLoadAttr {
                prog_type: prog_type.0,
                ..Default::default()
            },
            insns,
            license: b"GPL",
            name: &[],
            btf: None,
            func_info: &[],
            line_info: &[],
            core_relos: &[],
            attach_to: None,
            fd_array: &[],
            token: None,
            signature: &[],
            log: LogLevel::OnFailure,
        }
    }

    /// The licence; helpers marked so are open to those compatible with the GPL only.
    pub fn license(self, license: &'a str) -> Self {
        self.license_bytes(license.as_bytes())
    }

    /// As [`license`](Self::license), when it is not known to be text.
    pub fn license_bytes(mut self, license: &'a [u8]) -> Self {
        self.license = license;
        self
    }

    /// A name of at most 15 letters, digits, `_` and `.`. Since Linux 4.15.
    pub fn name(mut self, name: &'a str) -> Self {
        self.name = name.as_bytes();
        self
    }

    /// When to ask for the verifier's log.
    pub fn log_level(mut self, level: LogLevel) -> Self {
        self.log = level;
        self
    }

    /// The version of the kernel's headers, which kernels before 5.0 compare with their own for
    /// kprobes.
    pub fn kern_version(mut self, version: u32) -> Self {
        self.attr.kern_version = version;
        self
    }

    /// Flags. The one that announces a token is set with the token.
    pub fn flags(mut self, flags: ProgLoadFlags) -> Self {
        self.attr.prog_flags |= flags.bits();
        self
    }

    /// The interface to offload to, or to bind to. Since Linux 4.15.
    pub fn ifindex(mut self, ifindex: u32) -> Self {
        self.attr.prog_ifindex = ifindex;
        self
    }

    /// The hook it will be attached to, where the verifier must know. Since Linux 4.17.
    pub fn expected_attach_type(mut self, attach_type: AttachType) -> Self {
        self.attr.expected_attach_type = attach_type.0;
        self
    }

    /// The BTF that the infos below refer to. Since Linux 4.20.
    pub fn btf(mut self, btf: &'a BtfFd) -> Self {
        self.btf = Some(btf);
        self
    }

    /// Types of the functions. Since Linux 4.20.
    pub fn func_info(self, records: &'a [FuncInfo]) -> Self {
        self.func_info_raw(zerocopy::IntoBytes::as_bytes(records), 8)
    }

    /// Types of the functions, in records of a given size that begin like [`FuncInfo`]. A kernel
    /// that knows less refuses what it does not know unless it is zero.
    pub fn func_info_raw(mut self, records: &'a [u8], rec_size: u32) -> Self {
        self.func_info = records;
        self.attr.func_info_rec_size = rec_size;
        self
    }

    /// Source lines. Since Linux 5.0.
    pub fn line_info(self, records: &'a [LineInfo]) -> Self {
        self.line_info_raw(zerocopy::IntoBytes::as_bytes(records), 16)
    }

    /// Source lines, in records of a given size that begin like [`LineInfo`].
    pub fn line_info_raw(mut self, records: &'a [u8], rec_size: u32) -> Self {
        self.line_info = records;
        self.attr.line_info_rec_size = rec_size;
        self
    }

    /// CO-RE relocations for the kernel to apply. Since Linux 5.17.
    pub fn core_relos(self, records: &'a [CoreRelo]) -> Self {
        self.core_relos_raw(zerocopy::IntoBytes::as_bytes(records), 16)
    }

    /// CO-RE relocations, in records of a given size that begin like [`CoreRelo`].
    pub fn core_relos_raw(mut self, records: &'a [u8], rec_size: u32) -> Self {
        self.core_relos = records;
        self.attr.core_relo_rec_size = rec_size;
        self
    }

    /// The kernel function or type it attaches to, by BTF id. Since Linux 5.5.
    pub fn attach_btf_id(mut self, type_id: u32) -> Self {
        self.attr.attach_btf_id = type_id;
        self
    }

    /// The program it attaches to. Since Linux 5.5.
    pub fn attach_prog(mut self, prog: &'a ProgFd) -> Self {
        self.attach_to = Some(prog.as_fd());
        self
    }

    /// The module whose BTF the attach id is in. Since Linux 5.11.
    pub fn attach_btf_obj(mut self, btf: &'a BtfFd) -> Self {
        self.attach_to = Some(btf.as_fd());
        self
    }

    /// Maps, and BTF objects of modules, that instructions name by index. Since Linux 5.14.
    pub fn fd_array(mut self, fds: &'a [BorrowedFd<'a>]) -> Self {
        self.fd_array = fds;
        self.attr.fd_array_cnt = 0;
        self
    }

    /// As [`fd_array`](Self::fd_array), and binds all of the maps to the program even where it
    /// does not use them. Since Linux 6.14.
    pub fn fd_array_bound(mut self, fds: &'a [BorrowedFd<'a>]) -> Self {
        self.fd_array = fds;
        self.attr.fd_array_cnt = u32::MAX;
        self
    }

    /// Acts with the rights of a token. Since Linux 6.9.
    pub fn token(self, token: &'a TokenFd) -> Self {
        self.maybe_token(Some(token))
    }

    /// As [`token`](Self::token), if there is one.
    pub fn maybe_token(mut self, token: Option<&'a TokenFd>) -> Self {
        self.token = token;
        self
    }

    /// A PKCS#7 signature of the instructions, to be verified with a keyring. Since Linux 6.18.
    pub fn signature(mut self, signature: &'a [u8], keyring_id: i32) -> Self {
        self.signature = signature;
        self.attr.keyring_id = keyring_id;
        self
    }

    /// Loads the program.
    ///
    /// # Errors
    /// See the type; with the verifier's log as far as it was asked for. Refused when the name
    /// breaks the rules or an instruction's index is outside the array of descriptors.
    pub fn run(&self) -> Result<ProgFd, LoadError> {
        self.run_with_log().map(|(prog, _log)| prog)
    }

    /// As [`run`](Self::run), with the log of a load that succeeded: empty unless a level was
    /// set.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_with_log(&self) -> Result<(ProgFd, VerifierLog), LoadError> {
        load(self.log, |log| self.call(log))
    }

    fn call(&self, mut log: Option<LogRequest<'_>>) -> Result<ProgFd, SysError> {
        let mut func_info = Records::new(self.func_info, self.attr.func_info_rec_size);
        let mut line_info = Records::new(self.line_info, self.attr.line_info_rec_size);
        loop {
            let mut attr = self.attr;
            let result = self.attempt(&mut attr, &func_info, &line_info, log.as_mut());
            // A kernel whose records are shorter refuses bytes it does not know, and says how many
            // it does.
            let refused = matches!(&result, Err(error) if error.is(Errno::E2BIG));
            let shorter = refused
                && (func_info.shorten(attr.func_info_rec_size)
                    | line_info.shorten(attr.line_info_rec_size));
            if !shorter {
                return result;
            }
        }
    }

    fn attempt(
        &self,
        attr: &mut ProgLoadAttr,
        func_info: &Records<'_>,
        line_info: &Records<'_>,
        log: Option<&mut LogRequest<'_>>,
    ) -> Result<ProgFd, SysError> {
        let license = c_string(CMD, self.license)?;
        let fds: Vec<i32> = self.fd_array.iter().map(AsRawFd::as_raw_fd).collect();
        check_indices(self.insns, fds.len())?;
        attr.insn_cnt = count32(CMD, self.insns.len())?;
        attr.insns = UserPtr::from_slice(self.insns);
        attr.license = UserPtr::from_cstr(&license);
        attr.prog_name = obj_name(self.name).ok_or(SysError::cmd(CMD, Refusal::Name))?;
        attr.prog_btf_fd = self.btf.map_or(0, BtfFd::number);
        attr.func_info_rec_size = func_info.size;
        attr.func_info_cnt = record_count(&func_info.bytes, func_info.size)?;
        attr.func_info = UserPtr::from_slice(&func_info.bytes);
        attr.line_info_rec_size = line_info.size;
        attr.line_info_cnt = record_count(&line_info.bytes, line_info.size)?;
        attr.line_info = UserPtr::from_slice(&line_info.bytes);
        attr.core_relo_cnt = record_count(self.core_relos, attr.core_relo_rec_size)?;
        attr.core_relos = UserPtr::from_slice(self.core_relos);
        attr.attach_fd = unsigned(self.attach_to);
        attr.fd_array = UserPtr::from_slice(&fds);
        attr.fd_array_cnt = attr.fd_array_cnt.min(count32(CMD, fds.len())?);
        if let Some(token) = self.token {
            attr.prog_token_fd = signed(Some(token.as_fd()));
            attr.prog_flags |= ProgLoadFlags::TOKEN_FD.bits();
        }
        attr.signature = UserPtr::from_slice(self.signature);
        attr.signature_size = count32(CMD, self.signature.len())?;
        let mut true_size = None;
        if let Some(request) = log {
            attr.log_level = request.level;
            attr.log_size = count32(CMD, request.buffer.len())?;
            attr.log_buf = UserPtr::from_mut_slice(request.buffer);
            true_size = Some(&mut *request.true_size);
        }
        // SAFETY: `license` and `fd_array` are backed by locals, `log_buf`, `func_info` and
        // `line_info` by the arguments, all others by `self`. The kernel reads each array for the count and record size beside it,
        // the licence up to its zero, and `fd_array` at the indices that instructions hold, which
        // were checked; it writes only to `log_buf`, `log_size` bytes at most. It returns a new
        // descriptor, of a program.
        let result = unsafe { bpf_fd(CMD, attr, None) };
        if let Some(true_size) = true_size {
            *true_size = attr.log_true_size;
        }
        result.map(ProgFd::from_kernel)
    }
}

/// An array of records, as long as the caller made them or as short as the kernel wants them.
struct Records<'a> {
    bytes: Cow<'a, [u8]>,
    size: u32,
}

impl<'a> Records<'a> {
    fn new(bytes: &'a [u8], size: u32) -> Self {
        Self {
            bytes: Cow::Borrowed(bytes),
            size,
        }
    }

    /// Cuts the records to `size`. `false` when they are no longer than that.
    fn shorten(&mut self, size: u32) -> bool {
        if self.bytes.is_empty() || size == 0 || size >= self.size {
            return false;
        }
        let (from, to) = (self.size as usize, size as usize);
        let records = self.bytes.chunks_exact(from);
        self.bytes = records
            .flat_map(|record| record.iter().copied().take(to))
            .collect::<Vec<u8>>()
            .into();
        self.size = size;
        true
    }
}

/// The number of records in `bytes`.
fn record_count(bytes: &[u8], rec_size: u32) -> Result<u32, SysError> {
    if bytes.is_empty() {
        return Ok(0);
    }
    let refused = SysError::refused(Op::Bpf(CMD), Refusal::ArrayLength);
    match bytes.len().checked_rem(rec_size as usize) {
        Some(0) => count32(CMD, bytes.len() / rec_size as usize),
        _ => Err(refused),
    }
}

/// Refuses instructions whose index into the array of descriptors is outside of it: kernels
/// before 6.14 are not told its length, and would take whatever follows for a descriptor.
fn check_indices(insns: &[Insn], len: usize) -> Result<(), SysError> {
    const LD_IMM64: u8 = 0x18;
    const CALL: u8 = 0x85;
    const PSEUDO_MAP_IDX: u8 = 5;
    const PSEUDO_MAP_IDX_VALUE: u8 = 6;
    const PSEUDO_KFUNC_CALL: u8 = 2;
    if len == 0 {
        // A null pointer, which the kernel refuses to follow.
        return Ok(());
    }
    for insn in insns {
        // The second half of a wide load has code 0, so looking at every slot is right.
        let index = match (insn.code, insn.src()) {
            (LD_IMM64, PSEUDO_MAP_IDX | PSEUDO_MAP_IDX_VALUE) => i64::from(insn.imm),
            (CALL, PSEUDO_KFUNC_CALL) => i64::from(insn.off),
            _ => continue,
        };
        if !usize::try_from(index).is_ok_and(|index| index < len) {
            return Err(SysError::cmd(CMD, Refusal::ArrayLength));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_outside_descriptors_are_refused() {
        let load = |src, imm| Insn::new(0x18, 1, src, 0, imm);
        assert!(check_indices(&[load(5, 1), Insn::default()], 2).is_ok());
        assert!(check_indices(&[load(5, 2), Insn::default()], 2).is_err());
        assert!(check_indices(&[load(6, -1), Insn::default()], 2).is_err());
        assert!(check_indices(&[load(1, 77), Insn::default()], 2).is_ok());
        assert!(check_indices(&[Insn::new(0x85, 0, 2, 9, 1)], 2).is_err());
        assert!(check_indices(&[Insn::new(0x85, 0, 2, 0, 1)], 2).is_ok());
        assert!(check_indices(&[load(5, 7), Insn::default()], 0).is_ok());
    }

    #[test]
    fn records_are_whole() {
        assert_eq!(record_count(&[0; 24], 8), Ok(3));
        assert_eq!(record_count(&[], 0), Ok(0));
        assert!(record_count(&[0; 7], 8).is_err());
        assert!(record_count(&[0; 8], 0).is_err());
    }

    #[test]
    fn records_get_shorter_only() {
        let bytes: Vec<u8> = (0..24).collect();
        let mut records = Records::new(&bytes, 12);
        assert!(!records.shorten(12));
        assert!(!records.shorten(0));
        assert!(records.shorten(8));
        assert_eq!(
            &*records.bytes,
            [0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 14, 15, 16, 17, 18, 19]
        );
        assert!(!records.shorten(8));
        assert!(!Records::new(&[], 12).shorten(8));
    }

    #[test]
    fn bad_names_are_refused_before_the_call() {
        let insns = [Insn::new(0xb7, 0, 0, 0, 0), Insn::new(0x95, 0, 0, 0, 0)];
        let error = ProgLoad::new(ProgType::SOCKET_FILTER, &insns)
            .name("not a name")
            .run()
            .unwrap_err();
        assert_eq!(error.sys().refusal(), Some(Refusal::Name));
        let error = ProgLoad::new(ProgType::SOCKET_FILTER, &insns)
            .license("G\0L")
            .run()
            .unwrap_err();
        assert_eq!(error.sys().refusal(), Some(Refusal::Nul));
    }
}
