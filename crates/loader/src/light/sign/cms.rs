//! The structure of a signature (RFC 5652), as the kernel and OpenSSL read it.

use super::certificate::Signer;

/// Algorithms of signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// RSA with the padding of PKCS#1 1.5.
    Rsa,
    /// ECDSA with SHA-256.
    EcdsaWithSha256,
}

/// 1.2.840.113549.1.7.2
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
/// 1.2.840.113549.1.7.1
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
/// 2.16.840.1.101.3.4.2.1
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
/// 1.2.840.113549.1.1.1
const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// 1.2.840.10045.4.3.2
const ECDSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const NULL: u8 = 0x05;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// Context-specific 0, in place of the tag of a string.
const IMPLICIT_0: u8 = 0x80;
/// Context-specific 0, around something.
const EXPLICIT_0: u8 = 0xa0;

/// A signature of data that is elsewhere, by one signer, without attributes.
pub(super) fn signed_data(signer: &Signer, algorithm: Algorithm, signature: &[u8]) -> Vec<u8> {
    // The version says how the signer is named.
    let (version, name) = match signer {
        Signer::KeyId(id) => (3, element(IMPLICIT_0, &[id])),
        Signer::Serial { issuer, serial } => (1, element(SEQUENCE, &[issuer, serial])),
    };
    let version = element(INTEGER, &[&[version]]);
    let digest = element(SEQUENCE, &[&element(OID, &[SHA256])]);
    let algorithm = match algorithm {
        Algorithm::Rsa => element(
            SEQUENCE,
            &[&element(OID, &[RSA_ENCRYPTION]), &element(NULL, &[])],
        ),
        Algorithm::EcdsaWithSha256 => element(SEQUENCE, &[&element(OID, &[ECDSA_WITH_SHA256])]),
    };
    let signature = element(OCTET_STRING, &[signature]);
    let info = element(
        SEQUENCE,
        &[&version, &name, &digest, &algorithm, &signature],
    );
    let content = element(SEQUENCE, &[&element(OID, &[DATA])]);
    let signed = element(
        SEQUENCE,
        &[
            &version,
            &element(SET, &[&digest]),
            &content,
            &element(SET, &[&info]),
        ],
    );
    element(
        SEQUENCE,
        &[
            &element(OID, &[SIGNED_DATA]),
            &element(EXPLICIT_0, &[&signed]),
        ],
    )
}

/// An element of DER: tag, length, and the parts of its content.
fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut out = vec![tag];
    let length = content.len().to_be_bytes();
    let significant = length.iter().skip_while(|byte| **byte == 0);
    match u8::try_from(content.len()) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let count = significant.clone().count();
            // A length has eight bytes at most.
            out.push(0x80 | u8::try_from(count).unwrap_or(8));
            out.extend(significant);
        }
    }
    out.extend(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_as_many_bytes_as_they_need() {
        let head = |len: usize| {
            let element = element(OCTET_STRING, &[&vec![7; len]]);
            element[..element.len() - len].to_vec()
        };
        assert_eq!(head(0), [4, 0]);
        assert_eq!(head(0x7f), [4, 0x7f]);
        assert_eq!(head(0x80), [4, 0x81, 0x80]);
        assert_eq!(head(0xff), [4, 0x81, 0xff]);
        assert_eq!(head(0x100), [4, 0x82, 1, 0]);
        assert_eq!(head(0x1_0000), [4, 0x83, 1, 0, 0]);
    }
}
