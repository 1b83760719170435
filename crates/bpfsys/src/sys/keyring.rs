//! Keys of the kernel, as far as signatures of programs need them.

#![allow(unsafe_code, reason = "makes system calls")]

use crate::error::{Op, SysError};
use core::ffi::CStr;

/// A keyring by its number; special ones have negative numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keyring(pub i32);

impl Keyring {
    /// That of this thread.
    #[doc(alias = "KEY_SPEC_THREAD_KEYRING")]
    pub const THREAD: Self = Self(-1);
    /// That of this process.
    #[doc(alias = "KEY_SPEC_PROCESS_KEYRING")]
    pub const PROCESS: Self = Self(-2);
    /// That of this session.
    #[doc(alias = "KEY_SPEC_SESSION_KEYRING")]
    pub const SESSION: Self = Self(-3);
    /// That of this user.
    #[doc(alias = "KEY_SPEC_USER_KEYRING")]
    pub const USER: Self = Self(-4);
}

/// Adds a certificate to a keyring, with which the kernel then verifies signatures. Gives the
/// key's number. `description` is for people.
///
/// # Errors
/// `EBADMSG` when it is no X.509 certificate in DER, `ENOPKG` when the kernel lacks its algorithm,
/// `ENODEV` without `CONFIG_ASYMMETRIC_KEY_TYPE`, `EDQUOT` when there are too many keys.
#[doc(alias = "add_key")]
pub fn add_certificate(keyring: Keyring, description: &CStr, der: &[u8]) -> Result<i32, SysError> {
    let kind: &CStr = c"asymmetric";
    // SAFETY: both strings end with a zero, and `der` is read for its length; the call keeps no
    // address.
    let key = unsafe {
        libc::syscall(
            libc::SYS_add_key,
            kind.as_ptr(),
            description.as_ptr(),
            der.as_ptr(),
            der.len(),
            keyring.0,
        )
    };
    if key < 0 {
        let errno = nix::errno::Errno::last();
        return Err(SysError::from_errno(Op::AddKey, errno));
    }
    // Serial numbers of keys are positive and have 32 bits.
    Ok(i32::try_from(key).unwrap_or(i32::MAX))
}
