//! What signs: a private key, ready for use.

use std::fmt;

use ring::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    rsa,
    signature::{ED25519, Ed25519KeyPair, KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey},
};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use zeroize::Zeroizing;

use super::der::{pkcs8_of_rsa, spki_of_rsa};
use crate::domain::dkim::{DkimAlgorithm, DkimKeyId};

/// A key that has signed before, so that it never fails to.
pub struct SigningKey {
    id: DkimKeyId,
    pair: Pair,
}

enum Pair {
    Rsa(Box<rsa::KeyPair>),
    Ed25519(Ed25519KeyPair),
}

/// Why a private key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// It is no PEM, or not that of a private key.
    #[error("is no private key in PEM without a password: PKCS #1 (\"RSA PRIVATE KEY\") or PKCS #8 (\"PRIVATE KEY\")")]
    Form,
    /// It is a key of another kind.
    #[error("is neither an RSA nor an Ed25519 key")]
    Kind,
    /// It is an RSA key of a size that is not used.
    #[error("is an RSA key with fewer than 2,048 bits or more than 4,096")]
    Size,
    /// Its parts do not make a key.
    #[error("cannot be used: {0}")]
    Rejected(String),
}

/// A private key in PEM, as PKCS #8 in DER.
///
/// # Errors
/// When it is none, or is protected by a password.
pub fn read_pem(text: &str) -> Result<Zeroizing<Vec<u8>>, BadKey> {
    match PrivateKeyDer::from_pem_slice(text.as_bytes()) {
        Ok(PrivateKeyDer::Pkcs8(key)) => Ok(Zeroizing::new(key.secret_pkcs8_der().to_vec())),
        Ok(PrivateKeyDer::Pkcs1(key)) => Ok(pkcs8_of_rsa(key.secret_pkcs1_der())),
        Ok(_) => Err(BadKey::Kind),
        Err(_) => Err(BadKey::Form),
    }
}

impl SigningKey {
    /// Makes a key ready: reads it, signs with it, and verifies that.
    ///
    /// # Errors
    /// When it is no key that can be used.
    pub fn open(id: DkimKeyId, pkcs8: &[u8]) -> Result<Self, BadKey> {
        let pair = match Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8) {
            Ok(pair) => Pair::Ed25519(pair),
            Err(_) => Pair::Rsa(Box::new(rsa::KeyPair::from_pkcs8(pkcs8).map_err(|why| rejected(&why))?)),
        };
        pair.prove().map_err(|_| BadKey::Rejected("its parts do not belong together".to_owned()))?;
        Ok(Self { id, pair })
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> &DkimKeyId {
        &self.id
    }

    /// How it signs.
    #[must_use]
    pub fn algorithm(&self) -> DkimAlgorithm {
        match &self.pair {
            Pair::Rsa(pair) => {
                let bits = rsa_bits(pair.public().as_ref(), pair.public().modulus_len());
                DkimAlgorithm::Rsa { bits: u16::try_from(bits).unwrap_or(u16::MAX) }
            }
            Pair::Ed25519(_) => DkimAlgorithm::Ed25519,
        }
    }

    /// The public half as records hold it in p=, before it is put into base64.
    #[must_use]
    pub fn public_key(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(pair) => spki_of_rsa(pair.public().as_ref()),
            Pair::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    /// What a= calls it.
    pub(super) const fn algorithm_name(&self) -> &'static str {
        match &self.pair {
            Pair::Rsa(_) => "rsa-sha256",
            Pair::Ed25519(_) => "ed25519-sha256",
        }
    }

    /// How long its signatures are, in bytes.
    pub(super) fn signature_bytes(&self) -> usize {
        match &self.pair {
            Pair::Rsa(pair) => pair.public().modulus_len(),
            Pair::Ed25519(_) => 64,
        }
    }

    pub(super) fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        self.pair.sign(bytes).expect("a key that is open has signed before")
    }
}

impl Pair {
    fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, ring::error::Unspecified> {
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                // PKCS #1 v1.5 draws no random numbers.
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), bytes, &mut signature)?;
                Ok(signature)
            }
            // RFC 8463 3: what is signed is the hash.
            Self::Ed25519(pair) => Ok(pair.sign(digest(&SHA256, bytes).as_ref()).as_ref().to_vec()),
        }
    }

    /// Ring checks some parts of an RSA key only while it signs.
    fn prove(&self) -> Result<(), ring::error::Unspecified> {
        const PROBE: &[u8] = b"hikyaku";
        let signature = self.sign(PROBE)?;
        match self {
            Self::Rsa(pair) => {
                let public = pair.public().as_ref();
                UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public).verify(PROBE, &signature)
            }
            Self::Ed25519(pair) => {
                let hash = digest(&SHA256, PROBE);
                UnparsedPublicKey::new(&ED25519, pair.public_key()).verify(hash.as_ref(), &signature)
            }
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.id)
    }
}

/// The length of the modulus of an RSAPublicKey in bits; it has `bytes` bytes. From 2,048 bits on both it and the whole
/// have a header of four bytes.
fn rsa_bits(public: &[u8], bytes: usize) -> usize {
    let first = public.iter().skip(8).find(|byte| **byte != 0);
    first.map_or(0, |first| bytes * 8 - first.leading_zeros() as usize)
}

fn rejected(why: &ring::error::KeyRejected) -> BadKey {
    match why.to_string().as_str() {
        "WrongAlgorithm" => BadKey::Kind,
        "TooSmall" | "TooLarge" => BadKey::Size,
        other => BadKey::Rejected(other.to_owned()),
    }
}
