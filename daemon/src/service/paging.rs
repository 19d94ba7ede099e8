//! Page tokens: sealed, as they name what comes last on a page, which the caller perhaps does not see; and good for their own list only.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use prost::Message;

use super::convert::violations::Violations;
use crate::{
    domain::{
        address::ADDRESS_BYTES_MAX,
        ids::{ACCOUNT_ID_BYTES_MAX, AccountId, JobId, LABEL_BYTES_MAX},
        inbound::InboundId,
        suppression::{SuppressedMailbox, SuppressionKey, SuppressionScope},
    },
    platform::sealing::{KEY_BYTES, Sealer},
    storage::PAGE_MAX,
};

/// Entries of a page when the caller does not say.
const PAGE_DEFAULT: usize = 100;
const _: () = assert!(ACCOUNT_ID_BYTES_MAX <= LABEL_BYTES_MAX, "a scope's name has room in a token");
/// Bytes of a suppression in a token: its kind of scope, that scope's name, the address, and what stands between these.
const SUPPRESSION_BYTES: usize = 1 + LABEL_BYTES_MAX + 1 + ADDRESS_BYTES_MAX;

/// How many entries a caller wants.
pub(super) fn page_size(given: u32, violations: &mut Violations) -> Option<usize> {
    match usize::try_from(given) {
        Ok(0) => Some(PAGE_DEFAULT),
        Ok(size) if size <= PAGE_MAX => Some(size),
        _ => {
            violations.add("page_size", format_args!("must be at most {PAGE_MAX}"));
            None
        }
    }
}

/// Seals page tokens. Those of another daemon with the same key are good here too, and so are those of before a restart.
#[derive(Clone, Debug)]
pub struct PageSeal(Arc<Sealer>);

impl PageSeal {
    /// With this key.
    #[must_use]
    pub fn new(key: [u8; KEY_BYTES]) -> Self {
        Self(Arc::new(Sealer::from_key(key)))
    }

    /// The tokens of a list; `list` is what was asked for, without the page that was wanted.
    pub(super) fn tokens<K: PageKey>(&self, list: &impl Message) -> Tokens {
        Tokens { seal: self.clone(), list: [K::LIST.as_bytes(), b"\0", &list.encode_to_vec()].concat() }
    }
}

/// The tokens of one list.
#[derive(Clone, Debug)]
pub(super) struct Tokens {
    seal: PageSeal,
    /// Which list it is: of what, and what was asked for.
    list: Vec<u8>,
}

impl Tokens {
    /// The token for the page after `last`.
    pub(super) fn after<K: PageKey>(&self, last: &K) -> String {
        URL_SAFE_NO_PAD.encode(self.seal.0.seal(&self.list, &last.to_bytes()))
    }

    /// What the page of a token begins after; nothing for an empty token, which is the first page.
    pub(super) fn read<K: PageKey>(&self, token: &str, violations: &mut Violations) -> Option<Option<K>> {
        if token.is_empty() {
            return Some(None);
        }
        let sealed = URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
        let opened = self.seal.0.open(&self.list, &sealed).ok();
        let last = opened.and_then(|bytes| K::from_bytes(&bytes));
        if last.is_none() {
            violations
                .add("page_token", "is none that an earlier answer carried, or belongs to a list with another filter");
        }
        last.map(Some)
    }
}

/// What the entries of a list are named by.
pub(super) trait PageKey: Sized {
    /// Which list.
    const LIST: &'static str;

    /// Always of the same length, which would tell of a name.
    fn to_bytes(&self) -> Vec<u8>;

    /// What gave these bytes.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

impl PageKey for JobId {
    const LIST: &'static str = "jobs";

    fn to_bytes(&self) -> Vec<u8> {
        Self::to_bytes(*self).to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self::from_bytes(bytes.try_into().ok()?))
    }
}

impl PageKey for InboundId {
    const LIST: &'static str = "inbound";

    fn to_bytes(&self) -> Vec<u8> {
        Self::to_bytes(*self).to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self::from_bytes(bytes.try_into().ok()?))
    }
}

/// The index of a recipient.
impl PageKey for u32 {
    const LIST: &'static str = "recipients";

    fn to_bytes(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self::from_be_bytes(bytes.try_into().ok()?))
    }
}

impl PageKey for AccountId {
    const LIST: &'static str = "accounts";

    fn to_bytes(&self) -> Vec<u8> {
        padded(self.as_str().as_bytes().to_vec(), ACCOUNT_ID_BYTES_MAX)
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        unpadded(bytes)?.parse().ok()
    }
}

impl PageKey for SuppressionKey {
    const LIST: &'static str = "suppressions";

    fn to_bytes(&self) -> Vec<u8> {
        let (kind, name) = match &self.scope {
            SuppressionScope::Global => (b'g', ""),
            SuppressionScope::Account(account) => (b'a', account.as_str()),
            SuppressionScope::Label(label) => (b'l', label.as_str()),
        };
        // Neither name nor address has a control character.
        padded([&[kind], name.as_bytes(), b"\0", self.mailbox.as_str().as_bytes()].concat(), SUPPRESSION_BYTES)
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (name, address) = unpadded(bytes)?.split_once('\0')?;
        let scope = match name.split_at_checked(1)? {
            ("g", "") => SuppressionScope::Global,
            ("a", account) => SuppressionScope::Account(account.parse().ok()?),
            ("l", label) => SuppressionScope::Label(label.parse().ok()?),
            _ => return None,
        };
        // In lower case it may be longer than an address may be.
        Some(Self { scope, mailbox: SuppressedMailbox::stored(address) })
    }
}

fn padded(mut text: Vec<u8>, bytes: usize) -> Vec<u8> {
    text.resize(bytes.max(text.len()), 0);
    text
}

fn unpadded(bytes: &[u8]) -> Option<&str> {
    Some(std::str::from_utf8(bytes).ok()?.trim_end_matches('\0'))
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use hikyaku_proto::v1;

    use super::*;
    use crate::domain::{address::Address, time::Timestamp};

    fn filter(label: &str) -> v1::JobFilter {
        v1::JobFilter { label: label.into(), ..v1::JobFilter::default() }
    }

    #[track_caller]
    fn check<K: PageKey + PartialEq + Debug>(key: K) {
        let seal = PageSeal::new([7; KEY_BYTES]);
        let mut violations = Violations::default();
        let tokens = seal.tokens::<K>(&filter("a"));
        let token = tokens.after(&key);
        assert_eq!(tokens.read::<K>("", &mut violations), Some(None));
        for bad in ["x", "AQ", "!", &token[1..], &format!("{token}AAAA")] {
            assert_eq!(tokens.read::<K>(bad, &mut violations), None, "{bad}");
        }
        let other_key = PageSeal::new([8; KEY_BYTES]).tokens::<K>(&filter("a"));
        let other_kind = Tokens { list: [b"x", tokens.list.as_slice()].concat(), ..tokens.clone() };
        for other in [seal.tokens::<K>(&filter("b")), other_key, other_kind] {
            assert_eq!(other.read::<K>(&token, &mut violations), None, "{other:?}");
        }
        let after_restart = PageSeal::new([7; KEY_BYTES]).tokens::<K>(&filter("a"));
        assert_eq!(after_restart.read(&token, &mut violations), Some(Some(key)));
    }

    fn suppression(scope: SuppressionScope, address: &str) -> SuppressionKey {
        SuppressionKey::new(scope, &Address::from_lenient(address).expect("an address"))
    }

    #[test]
    fn a_token_is_good_for_its_list_only() {
        check(JobId::new(Timestamp::from_millis(5), [7; 10]));
        check(InboundId::new(Timestamp::from_millis(5), [7; 10]));
        check(777_777_u32);
        check("sales".parse::<AccountId>().expect("an id"));
        check(suppression(SuppressionScope::Global, "A@example.jp"));
        check(suppression(SuppressionScope::Account("sales".parse().expect("an id")), "\"a..b\"@docomo.ne.jp"));
        check(suppression(SuppressionScope::Label("news 飛脚".parse().expect("a label")), "é@例え.jp"));
    }

    #[test]
    fn the_length_of_a_token_tells_nothing() {
        let seal = PageSeal::new([7; KEY_BYTES]);
        let length = |key: &SuppressionKey| seal.tokens::<SuppressionKey>(&filter("a")).after(key).len();
        let long = format!("{}@{}.example", "a".repeat(64), ["b"; 60].concat());
        let long = suppression(SuppressionScope::Label("x".repeat(64).parse().expect("a label")), &long);
        assert_eq!(length(&suppression(SuppressionScope::Global, "a@b.jp")), length(&long));
    }

    #[test]
    fn page_sizes_are_bounded() {
        let mut violations = Violations::default();
        assert_eq!(page_size(0, &mut violations), Some(PAGE_DEFAULT));
        assert_eq!(page_size(1_000, &mut violations), Some(1_000));
        assert_eq!(page_size(1_001, &mut violations), None);
    }
}
