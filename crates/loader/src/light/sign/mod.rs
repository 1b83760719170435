//! Signatures of loader programs.
//!
//! A signature is PKCS#7 (CMS) in DER: detached, over the instructions as they are loaded, with
//! SHA-256, without attributes and without certificates. The kernel verifies it with a key that is
//! in one of its keyrings, see [`bpfsys::sys::keyring`]. The signer is named by the key identifier
//! of the certificate, or by issuer and serial number where it has none.

mod certificate;
mod cms;
mod error;
mod key;
mod pem;
#[cfg(test)]
mod tests;

pub use certificate::Certificate;
pub use error::SignError;
pub use key::PrivateKey;

/// Signs data: the bytes of a loader program.
///
/// # Errors
/// The key is not that of the certificate, or signing failed.
pub fn sign(
    data: &[u8],
    key: &PrivateKey,
    certificate: &Certificate,
) -> Result<Vec<u8>, SignError> {
    if key.public_key()? != certificate.public_key() {
        return Err(SignError::OtherKey);
    }
    let signature = key.sign(data)?;
    Ok(cms::signed_data(
        certificate.signer(),
        key.algorithm(),
        &signature,
    ))
}
