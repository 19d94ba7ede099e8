//! Variable envelope return paths: an address for each message, by which its bounces are known and cannot be forged. And a
//! proof in each message of a merge job, for servers that bring back the message but not its address.
//!
//! A tag is the message's key and the beginning of a keyed hash over it, in base 32 (RFC 4648 6) of lower case, because
//! some servers change the case of local parts. It stands after a `+` in the local part of the account's bounce address,
//! where servers deliver to what stands before it (RFC 5233 calls that a subaddress).

use std::str::FromStr;

use crate::domain::{
    address::{Address, LOCAL_PART_BYTES_MAX},
    ids::{JobId, MessageKey},
};

/// Bytes of the keyed hash in a tag: who guesses has one chance in 2^64.
const PROOF_BYTES: usize = 8;
/// How long a proof in a header is, in bytes.
pub const HEADER_PROOF_BYTES: usize = (PROOF_BYTES * 8).div_ceil(5);
const HEADER_CONTEXT: &[u8] = b"X-Hikyaku-Job:";
const JOB_BYTES: usize = 16;
const INDEX_BYTES_MAX: usize = 4;
/// Longest local part that leaves room for `+` and any tag, in bytes.
pub const BASE_LOCAL_PART_BYTES_MAX: usize =
    LOCAL_PART_BYTES_MAX - 1 - ((JOB_BYTES + INDEX_BYTES_MAX + PROOF_BYTES) * 8).div_ceil(5);

const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The key with which tags are signed.
#[derive(Clone)]
pub struct VerpKey([u8; 32]);

impl std::fmt::Debug for VerpKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VerpKey(..)")
    }
}

impl VerpKey {
    /// The key made of these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The address to which bounces of a message come back: `base` with the message's tag. `base` itself when its local
    /// part leaves no room; see [`BASE_LOCAL_PART_BYTES_MAX`].
    #[must_use]
    pub fn address(&self, base: &Address, message: MessageKey) -> Address {
        let tagged = format!("{}+{}@{}", base.local_part(), self.tag(message), base.domain());
        Address::from_str(&tagged).unwrap_or_else(|_| base.clone())
    }

    /// The message whose tag is in the local part of an address; nothing when there is none that we signed.
    #[must_use]
    pub fn message(&self, address: &Address) -> Option<MessageKey> {
        let (_, tag) = address.local_part().rsplit_once('+')?;
        let bytes = from_base32(tag)?;
        let (key, proof) = bytes.split_at_checked(bytes.len().checked_sub(PROOF_BYTES)?)?;
        let (job, index) = key.split_first_chunk::<JOB_BYTES>()?;
        let index = index.iter().try_fold(0_u32, |sum, byte| sum.checked_mul(256)?.checked_add((*byte).into()))?;
        let message = MessageKey { job: JobId::from_bytes(*job), index };
        // A second way to write the same key would be no tag of ours.
        let is_ours = key == key_bytes(message) && self.proof(key) == proof;
        is_ours.then_some(message)
    }

    /// What stands behind a message's number in its X-Hikyaku-Job; always [`HEADER_PROOF_BYTES`] long. It is for the messages of
    /// merge jobs: who got one of them knows the job's id, and could otherwise write bounces that name the others.
    #[must_use]
    pub fn proof_of(&self, message: MessageKey) -> String {
        // What is signed for one purpose must not serve the other: tags are signed without these words.
        to_base32(&self.proof(&[HEADER_CONTEXT, &key_bytes(message)].concat()))
    }

    /// The message that the value of an X-Hikyaku-Job names, and whether a proof of ours stands in it.
    ///
    /// Without a proof it may be a plain job's, which writes its id alone: that has 74 random bits, so who knows it has seen the
    /// message. Of a merge job an id alone, or with a wrong proof, says nothing.
    #[must_use]
    pub fn verify_header(&self, value: &str) -> Option<(MessageKey, bool)> {
        let mut parts = value.trim().split('/');
        let job = parts.next()?.parse().ok()?;
        let index = parts.next().map(str::parse).transpose().ok()?.unwrap_or_default();
        let message = MessageKey { job, index };
        let proof = parts.next();
        let is_ours = proof.is_some_and(|proof| proof.eq_ignore_ascii_case(&self.proof_of(message)));
        parts.next().is_none().then_some((message, is_ours))
    }

    fn tag(&self, message: MessageKey) -> String {
        let mut bytes = key_bytes(message);
        bytes.extend(self.proof(&bytes));
        to_base32(&bytes)
    }

    fn proof(&self, key: &[u8]) -> [u8; PROOF_BYTES] {
        let hash = blake3::keyed_hash(&self.0, key);
        *hash.as_bytes().first_chunk().expect("a hash is longer than its beginning")
    }
}

/// The job's id and the index without its leading zeros, so that a plain job's tag is short.
fn key_bytes(message: MessageKey) -> Vec<u8> {
    let index = message.index.to_be_bytes();
    let zeros = index.iter().take_while(|byte| **byte == 0).count();
    [&message.job.to_bytes()[..], &index[zeros..]].concat()
}

fn to_base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity((bytes.len() * 8).div_ceil(5));
    let (mut buffer, mut bits) = (0_u32, 0);
    for byte in bytes {
        buffer = buffer << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(DIGITS[(buffer >> bits) as usize & 31]));
        }
    }
    if bits > 0 {
        text.push(char::from(DIGITS[(buffer << (5 - bits)) as usize & 31]));
    }
    text
}

fn from_base32(text: &str) -> Option<Vec<u8>> {
    if text.len() > LOCAL_PART_BYTES_MAX {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    let (mut buffer, mut bits) = (0_u32, 0);
    for digit in text.bytes() {
        let digit = digit.to_ascii_lowercase();
        let value = DIGITS.iter().position(|known| *known == digit)?;
        buffer = buffer << 5 | u32::try_from(value).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((buffer >> bits & 255) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> VerpKey {
        VerpKey::new([7; 32])
    }

    fn base() -> Address {
        "bounces@example.jp".parse().expect("an address")
    }

    proptest! {
        #[test]
        fn a_tag_names_its_message_in_any_case(job: [u8; 16], index: u32) {
            let message = MessageKey { job: JobId::from_bytes(job), index };
            let address = key().address(&base(), message);
            prop_assert!(address.local_part().len() <= LOCAL_PART_BYTES_MAX);
            prop_assert_eq!(key().message(&address), Some(message));
            let upper = address.as_str().to_ascii_uppercase().parse().expect("an address");
            prop_assert_eq!(key().message(&upper), Some(message));
            prop_assert_eq!(VerpKey::new([8; 32]).message(&address), None, "another key signed nothing");
        }

        #[test]
        fn what_we_did_not_sign_names_nothing(local in "[a-z2-7+=.]{1,60}") {
            if let Ok(address) = format!("{local}@example.jp").parse() {
                prop_assert_eq!(key().message(&address), None);
            }
        }
    }

    #[test]
    fn a_header_is_proven_for_its_own_message_only() {
        let job = JobId::new(crate::domain::time::Timestamp::from_millis(1_700_000_000_000), [7; 10]);
        let message = MessageKey { job, index: 12 };
        let proof = key().proof_of(message);
        assert_eq!(proof.len(), HEADER_PROOF_BYTES);
        let plain = MessageKey::only(job);
        for (value, expected) in [
            (format!("{job}/12/{proof}"), Some((message, true))),
            (format!(" {job}/12/{} ", proof.to_ascii_uppercase()), Some((message, true))),
            (format!("{job}/13/{proof}"), Some((MessageKey { job, index: 13 }, false))),
            (format!("{job}/12/"), Some((message, false))),
            (format!("{job}/12"), Some((message, false))),
            (format!("{job}"), Some((plain, false))),
            (format!("{job}/0/{}", key().proof_of(plain)), Some((plain, true))),
            (format!("{job}/12/{proof}/x"), None),
            (format!("{job}/twelve/{proof}"), None),
            (format!("{job}/4294967296/{proof}"), None),
            ("42/1".into(), None),
            (String::new(), None),
        ] {
            assert_eq!(key().verify_header(&value), expected, "{value}");
        }
        let other = VerpKey::new([8; 32]);
        assert_eq!(other.verify_header(&format!("{job}/12/{proof}")), Some((message, false)));
        // A tag's proof, which stands in the envelope, is none of a header.
        let tag = key().address(&base(), message);
        let proof =
            &to_base32(&from_base32(tag.local_part().rsplit_once('+').expect("a tag").1).expect("base 32")[17..]);
        assert_eq!(key().verify_header(&format!("{job}/12/{proof}")), Some((message, false)));
    }

    #[test]
    fn a_changed_tag_names_nothing() {
        let message = MessageKey { job: JobId::from_bytes([1; 16]), index: 5 };
        let address = key().address(&base(), message).as_str().to_owned();
        let begin = "bounces+".len();
        for at in begin..address.find('@').expect("an address") {
            let mut changed = address.clone().into_bytes();
            changed[at] = if changed[at] == b'a' { b'b' } else { b'a' };
            let changed = String::from_utf8(changed).expect("ASCII").parse().expect("an address");
            let found = key().message(&changed);
            // The last digit may hold bits that mean nothing.
            assert!(found.is_none() || found == Some(message), "{at}");
        }
    }

    #[test]
    fn a_long_base_is_left_alone() {
        let message = MessageKey::only(JobId::from_bytes([1; 16]));
        let long: Address = format!("{}@example.jp", "x".repeat(40)).parse().expect("an address");
        assert_eq!(key().address(&long, message), long);
        let longest: Address =
            format!("{}@example.jp", "x".repeat(BASE_LOCAL_PART_BYTES_MAX)).parse().expect("it fits");
        let last = MessageKey { job: JobId::from_bytes([255; 16]), index: u32::MAX };
        assert_eq!(key().message(&key().address(&longest, last)), Some(last));
    }
}
