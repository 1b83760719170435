//! Private keys.

use super::cms::Algorithm;
use super::{SignError, pem};
use getrandom::SysRng;
use p256::ecdsa::signature::{Signer, rand_core::UnwrapErr};
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs1v15;
use rsa::pkcs8::{DecodePrivateKey, EncodePublicKey};
use rsa::signature::{RandomizedSigner, SignatureEncoding};
use sha2::Sha256;
use std::fmt;

/// A private key.
pub struct PrivateKey(Kind);

enum Kind {
    Rsa(Box<rsa::PrivateKey>),
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
}

/// Says the kind and nothing else.
impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Rsa(_) => "PrivateKey(Rsa)",
            Kind::P256(_) => "PrivateKey(P256)",
            Kind::P384(_) => "PrivateKey(P384)",
        })
    }
}

impl PrivateKey {
    /// Reads a key, PEM or DER: PKCS#8, or what older tools write (PKCS#1 of RSA, SEC1 of curves).
    ///
    /// # Errors
    /// There is none, it is encrypted, or of another kind than RSA, P-256 and P-384.
    pub fn parse(bytes: &[u8]) -> Result<Self, SignError> {
        let found = pem::read(bytes, "private key", |label| label.ends_with("PRIVATE KEY"))?;
        if found.label.as_deref() == Some("ENCRYPTED PRIVATE KEY") {
            return Err(SignError::Encrypted);
        }
        let der = &found.der;
        let rsa = || {
            rsa::PrivateKey::from_pkcs8_der(der)
                .ok()
                .or_else(|| rsa::PrivateKey::from_pkcs1_der(der).ok())
                .map(|key| Kind::Rsa(Box::new(key)))
        };
        let p256 = || {
            p256::SecretKey::from_pkcs8_der(der)
                .ok()
                .or_else(|| p256::SecretKey::from_sec1_der(der).ok())
                .map(|key| Kind::P256(key.into()))
        };
        let p384 = || {
            p384::SecretKey::from_pkcs8_der(der)
                .ok()
                .or_else(|| p384::SecretKey::from_sec1_der(der).ok())
                .map(|key| Kind::P384(key.into()))
        };
        let kind = rsa().or_else(p256).or_else(p384);
        kind.map(Self).ok_or(SignError::KeyKind)
    }

    /// The public key as DER.
    pub(super) fn public_key(&self) -> Result<Vec<u8>, SignError> {
        let public = match &self.0 {
            Kind::Rsa(key) => key.to_public_key().to_public_key_der(),
            Kind::P256(key) => key.verifying_key().to_public_key_der(),
            Kind::P384(key) => key.verifying_key().to_public_key_der(),
        };
        let public = public.map_err(|error| SignError::Failed(error.to_string()))?;
        Ok(public.into_vec())
    }

    pub(super) const fn algorithm(&self) -> Algorithm {
        match self.0 {
            Kind::Rsa(_) => Algorithm::Rsa,
            Kind::P256(_) | Kind::P384(_) => Algorithm::EcdsaWithSha256,
        }
    }

    /// The signature of the SHA-256 of data.
    pub(super) fn sign(&self, data: &[u8]) -> Result<Vec<u8>, SignError> {
        let failed = |error: rsa::signature::Error| SignError::Failed(error.to_string());
        match &self.0 {
            Kind::Rsa(key) => {
                let key = pkcs1v15::SigningKey::<Sha256>::new(key.as_ref().clone());
                // Blinding needs numbers that nobody knows; the signature does not depend on them.
                let mut random = UnwrapErr(SysRng);
                let signature = key.try_sign_with_rng(&mut random, data).map_err(failed)?;
                Ok(signature.to_vec())
            }
            Kind::P256(key) => {
                let signature: p256::ecdsa::DerSignature = key.try_sign(data).map_err(failed)?;
                Ok(signature.as_bytes().to_vec())
            }
            Kind::P384(key) => {
                // The curve's own hash is a longer one.
                use p384::ecdsa::signature::hazmat::PrehashSigner;
                let hash = crate::sha256::sha256(data);
                let signature: p384::ecdsa::DerSignature =
                    key.sign_prehash(&hash).map_err(failed)?;
                Ok(signature.as_bytes().to_vec())
            }
        }
    }
}
