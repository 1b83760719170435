//! Certificates, as far as signatures name them.

use super::{SignError, pem};
use der::{Decode, Encode};
use x509_cert::ext::pkix::SubjectKeyIdentifier;

/// A certificate that a signature is verified with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    signer: Signer,
    public_key: Vec<u8>,
}

/// How a signature names its signer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Signer {
    /// By the identifier of the key.
    KeyId(Vec<u8>),
    /// By issuer and serial number, both as DER.
    Serial { issuer: Vec<u8>, serial: Vec<u8> },
}

impl Certificate {
    /// Reads a certificate, PEM or DER.
    ///
    /// # Errors
    /// There is none, or it makes no sense.
    pub fn parse(bytes: &[u8]) -> Result<Self, SignError> {
        let is_certificate = |label: &str| {
            matches!(
                label,
                "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE"
            )
        };
        let der = pem::read(bytes, "certificate", is_certificate)?.der;
        // What OpenSSL trusts has more behind it.
        let (certificate, _) =
            x509_cert::Certificate::from_der_partial(&der).map_err(SignError::Certificate)?;
        let tbs = certificate.tbs_certificate();
        let key_id: Option<(bool, SubjectKeyIdentifier)> =
            tbs.get_extension().map_err(SignError::Certificate)?;
        let signer = match key_id {
            Some((_, id)) => Signer::KeyId(id.0.as_bytes().to_vec()),
            None => Signer::Serial {
                issuer: encode(tbs.issuer())?,
                serial: encode(tbs.serial_number())?,
            },
        };
        Ok(Self {
            signer,
            public_key: encode(tbs.subject_public_key_info())?,
            der: encode(&certificate)?,
        })
    }

    /// The certificate as DER, as keyrings take it.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    pub(super) const fn signer(&self) -> &Signer {
        &self.signer
    }

    /// The public key as DER.
    pub(super) fn public_key(&self) -> &[u8] {
        &self.public_key
    }
}

fn encode(part: &impl Encode) -> Result<Vec<u8>, SignError> {
    part.to_der().map_err(SignError::Certificate)
}
