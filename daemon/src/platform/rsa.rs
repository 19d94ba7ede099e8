//! How are RSA keys made? Ring signs with them, but makes none.

use std::convert::Infallible;

use crypto_bigint::{
    BoxedUint, ConcatenatingMul, NonZero, Odd, Resize,
    rand_core::{TryCryptoRng, TryRng},
};
use crypto_primes::{
    Flavor,
    hazmat::{SetBits, SmallFactorsSieveFactory},
    is_prime, sieve_and_find,
};
use zeroize::Zeroizing;

use super::entropy::Entropy;
use crate::compose::dkim::RsaParts;

/// The public exponent (RFC 8017 3.1), which all verifiers take.
const PUBLIC_EXPONENT: u32 = 65_537;

/// How long a modulus is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RsaSize {
    /// 2,048 bits: a fraction of a second.
    Bits2048,
    /// 4,096 bits: several seconds.
    Bits4096,
}

/// A new private key as PKCS #8. Computes for as long as the size says: not for a thread that must not block.
#[must_use]
pub fn make_rsa_key(size: RsaSize, entropy: &dyn Entropy) -> Zeroizing<Vec<u8>> {
    let bits = match size {
        RsaSize::Bits2048 => 2_048,
        RsaSize::Bits4096 => 4_096,
    };
    let mut draw = Draw(entropy);
    let one = prime(bits / 2, &mut draw);
    let other = loop {
        let other = prime(bits / 2, &mut draw);
        // FIPS 186-5 A.1.3: primes that are close together are found from their product. By chance that never happens.
        if one.leading_word() != other.leading_word() {
            break other;
        }
    };
    // Ring wants the larger one first.
    let (p, q) = if one.0 > other.0 { (one.0, other.0) } else { (other.0, one.0) };
    key_of(&p, &q)
}

/// A prime of the upper half of those of its length.
struct Prime(BoxedUint);

impl Prime {
    fn leading_word(&self) -> Option<[u8; 8]> {
        self.0.to_be_bytes().first_chunk().copied()
    }
}

/// A prime of `bits` bits whose two highest are set, so that the product of two of them has twice as many; and whose
/// predecessor has no factor in common with the public exponent, which is prime.
fn prime(bits: u32, draw: &mut Draw<'_>) -> Prime {
    let exponent = non_zero(BoxedUint::from(PUBLIC_EXPONENT));
    loop {
        let sieve = SmallFactorsSieveFactory::new(Flavor::Any, bits, SetBits::TwoMsb)
            .expect("there are primes of a thousand bits");
        let found: BoxedUint = sieve_and_find(draw, sieve, |_, candidate| is_prime(Flavor::Any, candidate))
            .expect("there are candidates of a thousand bits")
            .expect("the search ends with a prime only");
        let remainder = found.wrapping_sub(BoxedUint::one()).rem_vartime(&exponent);
        if !bool::from(remainder.is_zero()) {
            return Prime(found);
        }
    }
}

fn key_of(p: &BoxedUint, q: &BoxedUint) -> Zeroizing<Vec<u8>> {
    let one = BoxedUint::one();
    let (before_p, before_q) = (p.wrapping_sub(&one), q.wrapping_sub(&one));
    let modulus = p.concatenating_mul(q);
    let totient = before_p.concatenating_mul(&before_q);
    let exponent = BoxedUint::from(PUBLIC_EXPONENT);
    let inverse = |modulus: &BoxedUint| {
        let exponent = exponent.clone().resize(modulus.bits_precision());
        let inverse = Option::from(exponent.invert_mod(&non_zero(modulus.clone())));
        bytes(&inverse.expect("the exponent is coprime to both primes' predecessors: see prime()"))
    };
    let odd = Option::<Odd<_>>::from(Odd::new(p.clone())).expect("a large prime is odd");
    let coefficient = Option::from(q.invert_odd_mod(&odd)).expect("two primes are coprime");
    RsaParts {
        modulus: &bytes(&modulus),
        public_exponent: &bytes(&exponent),
        private_exponent: &inverse(&totient),
        prime1: &bytes(p),
        prime2: &bytes(q),
        exponent1: &inverse(&before_p),
        exponent2: &inverse(&before_q),
        coefficient: &bytes(&coefficient),
    }
    .to_pkcs8()
}

fn bytes(number: &BoxedUint) -> Zeroizing<Box<[u8]>> {
    Zeroizing::new(number.to_be_bytes())
}

fn non_zero(number: BoxedUint) -> NonZero<BoxedUint> {
    Option::from(NonZero::new(number)).expect("neither the exponent nor a modulus is zero")
}

/// Our entropy in the terms of the search for primes.
struct Draw<'a>(&'a dyn Entropy);

impl TryRng for Draw<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Draw<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        compose::dkim::SigningKey,
        domain::dkim::{DkimAlgorithm, DkimKeyId},
        platform::entropy::SeededEntropy,
    };

    fn made(seed: u64) -> SigningKey {
        let pkcs8 = make_rsa_key(RsaSize::Bits2048, &SeededEntropy::new(seed));
        SigningKey::open(DkimKeyId::new("s1", "example.jp").expect("a name"), &pkcs8).expect("a key that signs")
    }

    #[test]
    fn keys_are_made_of_chance_and_sign() {
        let key = made(1);
        assert_eq!(key.algorithm(), DkimAlgorithm::Rsa { bits: 2_048 });
        assert_eq!(key.public_key(), made(1).public_key(), "chance is an argument");
        assert_ne!(key.public_key(), made(2).public_key());
    }
}
