//! Why something cannot be signed.

/// Why something cannot be signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// A file that is neither PEM nor DER.
    #[error("no {what} in it, neither as PEM nor as DER")]
    Nothing {
        /// What it should have held.
        what: &'static str,
    },
    /// PEM of another kind.
    #[error("no {what} in it, but {found}")]
    Other {
        /// What it should have held.
        what: &'static str,
        /// The label of what it holds.
        found: String,
    },
    /// PEM that makes no sense.
    #[error("the PEM cannot be decoded: {0}")]
    Pem(der::pem::Error),
    /// A certificate that makes no sense.
    #[error("the certificate cannot be decoded: {0}")]
    Certificate(der::Error),
    /// A key that makes no sense, or is of a kind that is not known.
    #[error("the private key is neither RSA nor ECDSA on P-256 or P-384")]
    KeyKind,
    /// A key that needs a passphrase.
    #[error("the private key is encrypted")]
    Encrypted,
    /// A key whose certificate is another.
    #[error("the private key is not that of the certificate")]
    OtherKey,
    /// The signature could not be made.
    #[error("signing failed: {0}")]
    Failed(String),
}
