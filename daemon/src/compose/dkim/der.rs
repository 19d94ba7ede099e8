//! How keys are written in DER (RFC 8017 A.1, RFC 5958, RFC 8410).

use zeroize::Zeroizing;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;
/// The AlgorithmIdentifier of rsaEncryption, with its NULL.
const RSA_ENCRYPTION: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
/// The AlgorithmIdentifier of id-Ed25519.
const ED25519: &[u8] = b"\x30\x05\x06\x03\x2b\x65\x70";

/// The numbers of an RSA private key, big-endian (RFC 8017 3.2).
#[derive(Debug)]
#[expect(missing_docs, reason = "the names are those of RFC 8017")]
pub struct RsaParts<'a> {
    pub modulus: &'a [u8],
    pub public_exponent: &'a [u8],
    pub private_exponent: &'a [u8],
    pub prime1: &'a [u8],
    pub prime2: &'a [u8],
    pub exponent1: &'a [u8],
    pub exponent2: &'a [u8],
    pub coefficient: &'a [u8],
}

impl RsaParts<'_> {
    /// The key as PKCS #8.
    #[must_use]
    pub fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        let Self { modulus, public_exponent, private_exponent, .. } = self;
        let Self { prime1, prime2, exponent1, exponent2, coefficient, .. } = self;
        let mut content = Zeroizing::new(Vec::with_capacity(4_096));
        let numbers = [&[0][..], modulus, public_exponent, private_exponent];
        for number in numbers.iter().chain(&[*prime1, prime2, exponent1, exponent2, coefficient]) {
            content.extend_from_slice(&integer(number));
        }
        pkcs8_of_rsa(&value(SEQUENCE, &content))
    }
}

/// An RSAPrivateKey (PKCS #1) as PKCS #8.
#[must_use]
pub fn pkcs8_of_rsa(pkcs1: &[u8]) -> Zeroizing<Vec<u8>> {
    pkcs8(RSA_ENCRYPTION, pkcs1)
}

/// The 32 bytes of an Ed25519 private key as PKCS #8.
#[must_use]
pub fn pkcs8_of_ed25519(seed: &[u8; 32]) -> Zeroizing<Vec<u8>> {
    pkcs8(ED25519, &value(OCTET_STRING, seed))
}

/// An RSAPublicKey as SubjectPublicKeyInfo, which is what records hold.
pub(super) fn spki_of_rsa(public: &[u8]) -> Vec<u8> {
    let bits = value(BIT_STRING, &[&[0], public].concat());
    value(SEQUENCE, &[RSA_ENCRYPTION, &bits].concat()).to_vec()
}

fn pkcs8(algorithm: &[u8], key: &[u8]) -> Zeroizing<Vec<u8>> {
    let key = value(OCTET_STRING, key);
    let content = Zeroizing::new([&*integer(&[0]), algorithm, &key].concat());
    value(SEQUENCE, &content)
}

/// A number that is not negative.
fn integer(number: &[u8]) -> Zeroizing<Vec<u8>> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let significant = &number[zeros.min(number.len().saturating_sub(1))..];
    let sign: &[u8] = if significant.first().is_none_or(|byte| *byte >= 0x80) { &[0] } else { &[] };
    value(INTEGER, &Zeroizing::new([sign, significant].concat()))
}

fn value(tag: u8, content: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(content.len() + 6));
    out.push(tag);
    let length = content.len().to_be_bytes();
    let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    match length {
        [] => out.push(0),
        [short] if *short < 0x80 => out.push(*short),
        long => {
            out.push(0x80 | u8::try_from(long.len()).expect("a length has at most eight bytes"));
            out.extend_from_slice(long);
        }
    }
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_signs_are_written_shortest() {
        assert_eq!(**value(SEQUENCE, &[]), [0x30, 0]);
        assert_eq!(value(SEQUENCE, &[1; 127])[..2], [0x30, 127]);
        assert_eq!(value(SEQUENCE, &[1; 128])[..3], [0x30, 0x81, 128]);
        assert_eq!(value(SEQUENCE, &[1; 300])[..4], [0x30, 0x82, 1, 44]);
        assert_eq!(**integer(&[0]), [2, 1, 0]);
        assert_eq!(**integer(&[]), [2, 1, 0]);
        assert_eq!(**integer(&[0, 0, 0x7f]), [2, 1, 0x7f]);
        assert_eq!(**integer(&[0x80]), [2, 2, 0, 0x80]);
    }
}
