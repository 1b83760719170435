use super::{Certificate, PrivateKey, SignError, sign};
use p256::ecdsa::signature::Verifier as _;

macro_rules! key {
    ($name:literal) => {
        include_bytes!(concat!("../../../../../tests/fixtures/keys/", $name)).as_slice()
    };
}

const DATA: &[u8] = key!("signed.txt");

fn signature(key: &[u8], certificate: &[u8]) -> Vec<u8> {
    let key = PrivateKey::parse(key).unwrap();
    sign(DATA, &key, &Certificate::parse(certificate).unwrap()).unwrap()
}

/// The binary behind PEM.
fn der(pem: &[u8]) -> Vec<u8> {
    super::pem::read(pem, "anything", |_| true).unwrap().der
}

#[test]
fn an_rsa_signature_is_openssls() {
    let expected = key!("rsa.p7s");
    let certificate = key!("rsa.cert.pem");
    assert_eq!(signature(key!("rsa.key.pem"), certificate), expected);
    assert_eq!(signature(key!("rsa.pkcs1.pem"), certificate), expected);
    assert_eq!(signature(&der(key!("rsa.key.pem")), certificate), expected);
    assert_eq!(
        signature(&der(key!("rsa.pkcs1.pem")), &der(certificate)),
        expected
    );
}

#[test]
fn curves_sign_what_their_keys_verify() {
    let made = signature(key!("p256.key.pem"), key!("p256.cert.pem"));
    // The signature is the last element.
    let start = made
        .windows(2)
        .rposition(|pair| pair[0] == 0x30 && pair[1] as usize + 2 < 80);
    let raw = &made[start.unwrap()..];
    let parsed = p256::ecdsa::DerSignature::from_bytes(raw).unwrap();
    let certificate = Certificate::parse(key!("p256.cert.pem")).unwrap();
    let public = <p256::PublicKey as rsa::pkcs8::DecodePublicKey>::from_public_key_der(
        certificate.public_key(),
    )
    .unwrap();
    let verifying = p256::ecdsa::VerifyingKey::from(&public);
    verifying.verify(DATA, &parsed).unwrap();
    assert!(verifying.verify(b"other data", &parsed).is_err());
    // The same each time: no randomness goes in.
    assert_eq!(made, signature(key!("p256.key.pem"), key!("p256.cert.pem")));
    assert!(!signature(key!("p384.key.pem"), key!("p384.cert.pem")).is_empty());
}

#[test]
fn a_signer_without_a_key_id_is_named_by_its_certificate() {
    let made = signature(key!("p256.key.pem"), key!("plain.cert.pem"));
    let issuer = b"without a key id";
    assert!(made.windows(issuer.len()).any(|window| window == issuer));
}

#[test]
fn keys_belong_to_certificates() {
    let key = PrivateKey::parse(key!("p256.key.pem")).unwrap();
    for certificate in [key!("other.cert.pem"), key!("rsa.cert.pem")] {
        let certificate = Certificate::parse(certificate).unwrap();
        assert!(matches!(
            sign(DATA, &key, &certificate),
            Err(SignError::OtherKey)
        ));
    }
}

#[test]
fn a_key_shows_nothing_of_itself() {
    let key = PrivateKey::parse(key!("rsa.key.pem")).unwrap();
    assert_eq!(format!("{key:?}"), "PrivateKey(Rsa)");
}

#[test]
fn files_that_hold_something_else_are_refused() {
    fn check<T>(result: Result<T, SignError>, expected: &str) {
        match result {
            Ok(_) => panic!("accepted"),
            Err(error) => assert_eq!(error.to_string(), expected),
        }
    }
    check(
        PrivateKey::parse(key!("rsa.cert.pem")),
        "no private key in it, but CERTIFICATE",
    );
    check(
        Certificate::parse(key!("p384.key.pem")),
        "no certificate in it, but EC PRIVATE KEY",
    );
    check(
        Certificate::parse(b"nothing"),
        "no certificate in it, neither as PEM nor as DER",
    );
    check(
        PrivateKey::parse(b""),
        "no private key in it, neither as PEM nor as DER",
    );
    check(
        PrivateKey::parse(
            b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n",
        ),
        "the private key is encrypted",
    );
    check(
        PrivateKey::parse(b"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"),
        "the private key is neither RSA nor ECDSA on P-256 or P-384",
    );
    for cut in [2, 40, 300] {
        let der = der(key!("rsa.cert.pem"));
        assert!(matches!(
            Certificate::parse(&der[..cut]),
            Err(SignError::Certificate(_))
        ));
    }
    let broken = b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
    assert!(matches!(Certificate::parse(broken), Err(SignError::Pem(_))));
    let open = b"-----BEGIN CERTIFICATE-----\nMAA=\n";
    assert!(matches!(Certificate::parse(open), Err(SignError::Pem(_))));
}

#[test]
fn the_first_thing_that_fits_is_taken() {
    let mut bundle = b"some text\n".to_vec();
    bundle.extend_from_slice(key!("rsa.key.pem"));
    bundle.extend_from_slice(b"more text\n");
    bundle.extend_from_slice(key!("rsa.cert.pem"));
    bundle.extend_from_slice(key!("other.cert.pem"));
    assert_eq!(signature(&bundle, &bundle), key!("rsa.p7s"));
}
