//! DKIM keys, and which of them sign which messages (RFC 6376, RFC 8463).

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use super::{
    account::Stamp,
    address::Address,
    ids::{Caller, Etag},
    routing::AddressPattern,
    time::Timestamp,
};

/// Most keys of a store.
pub const DKIM_KEYS_MAX: usize = 1_000;
/// Most rules.
pub const DKIM_RULES_MAX: usize = 1_000;
/// Most patterns of a rule.
pub const DKIM_PATTERNS_MAX: usize = 100;
/// Most signatures of one message.
pub const SIGNATURES_MAX: usize = 4;
/// Longest selector, in bytes.
pub const SELECTOR_BYTES_MAX: usize = 63;

/// What stands between selector and domain in the name of a key's record (RFC 6376 3.6.2.1).
const INFIX: &str = "._domainkey.";
/// Longest name in the name system, in bytes, without the dot at its end (RFC 1035 3.1).
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// The name of a key, which is the name of its record: selector, `._domainkey.`, domain. Sorts by domain, then selector.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DkimKeyId {
    domain: Arc<str>,
    selector: Arc<str>,
}

impl DkimKeyId {
    /// The key of a selector at a domain. Case does not matter; U-labels become A-labels.
    ///
    /// # Errors
    /// What is none of the two, or is too long together.
    pub fn new(selector: &str, domain: &str) -> Result<Self, BadKeyId> {
        let domain = a_labels(domain).ok_or(BadKeyId::Domain)?;
        let selector = selector.to_ascii_lowercase();
        if selector.len() > SELECTOR_BYTES_MAX || !is_name(&selector) {
            return Err(BadKeyId::Selector);
        }
        if selector.len() + INFIX.len() + domain.len() > NAME_BYTES_MAX {
            return Err(BadKeyId::TooLong);
        }
        Ok(Self { domain: domain.into(), selector: selector.into() })
    }

    /// The domain that signs (d=), in A-labels.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The selector (s=).
    #[must_use]
    pub fn selector(&self) -> &str {
        &self.selector
    }
}

impl fmt::Display for DkimKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{INFIX}{}", self.selector, self.domain)
    }
}

impl fmt::Debug for DkimKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for DkimKeyId {
    type Err = BadKeyId;

    fn from_str(text: &str) -> Result<Self, BadKeyId> {
        let text = text.to_lowercase();
        let (selector, domain) = text.split_once(INFIX).ok_or(BadKeyId::Form)?;
        Self::new(selector, domain)
    }
}

/// Why a text names no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKeyId {
    /// It has no `._domainkey.` in it.
    #[error("must be a selector, \"._domainkey.\" and a domain, such as s2026._domainkey.example.jp")]
    Form,
    /// The selector is none.
    #[error("is no selector: at most 63 bytes of labels of a-z, 0-9 and inner hyphens, joined by dots")]
    Selector,
    /// The domain is none.
    #[error("names no domain: labels of 1 to 63 letters, digits and inner hyphens, joined by dots")]
    Domain,
    /// The whole does not fit into the name system.
    #[error("is too long: selector, \"._domainkey.\" and domain have at most 253 bytes together")]
    TooLong,
}

/// A domain in A-labels and lower case (RFC 5890); nothing when it is none.
#[must_use]
pub fn a_labels(domain: &str) -> Option<String> {
    // The length is bounded first: long labels are slow to convert.
    let short = Some(domain).filter(|domain| domain.len() <= 4 * NAME_BYTES_MAX)?;
    let ascii = idna::domain_to_ascii(short).ok()?;
    (ascii.len() <= NAME_BYTES_MAX && is_name(&ascii)).then_some(ascii)
}

/// The domain of an address in A-labels; nothing for an address literal.
#[must_use]
pub fn domain_of(address: &Address) -> Option<String> {
    a_labels(address.domain())
}

fn is_name(name: &str) -> bool {
    name.split('.').all(|label| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    })
}

/// How a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DkimAlgorithm {
    /// rsa-sha256 with a modulus of so many bits.
    Rsa {
        /// 2,048 to 4,096.
        bits: u16,
    },
    /// ed25519-sha256 (RFC 8463).
    Ed25519,
}

/// A key, without its private half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DkimKey {
    /// Its name.
    pub id: DkimKeyId,
    /// How it signs.
    pub algorithm: DkimAlgorithm,
    /// The public half as the record has it in p=, before it is put into base64: of RSA a SubjectPublicKeyInfo, of
    /// Ed25519 the 32 bytes.
    pub public_key: Vec<u8>,
    /// When it was made or imported, and by whom.
    pub created: Stamp,
}

/// All keys.
pub type DkimKeys = BTreeMap<DkimKeyId, DkimKey>;

/// Which messages are signed by which keys: one document, so that the order of its rules is never in question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DkimRules {
    /// The rules; the first one that matches From applies.
    pub rules: Vec<DkimRule>,
    /// Keys for messages that no rule matches.
    pub default_keys: Vec<DkimKeyId>,
    /// Whether those are signed by all keys of From's domain, and of those above it, too.
    pub sign_own_domains: bool,
    /// The version, 0 before the first change; one more with each.
    pub etag: Etag,
    /// When it was changed last, and by whom.
    pub updated: Option<(Timestamp, Caller)>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DkimRule {
    /// Patterns of which From must match one.
    pub from: Vec<AddressPattern>,
    /// The keys that sign; none when the messages are not to be signed.
    pub keys: Vec<DkimKeyId>,
}

impl DkimRules {
    /// Every key that the rules name, some more than once.
    pub fn keys(&self) -> impl Iterator<Item = &DkimKeyId> {
        self.rules.iter().flat_map(|rule| &rule.keys).chain(&self.default_keys)
    }

    /// What names this key, in words.
    #[must_use]
    pub fn naming(&self, id: &DkimKeyId) -> Option<String> {
        let place = self.rules.iter().position(|rule| rule.keys.contains(id));
        let rule = place.map(|place| format!("rule {}", place + 1));
        rule.or_else(|| self.default_keys.contains(id).then(|| "the list of default keys".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(&str, &str), BadKeyId>) {
        let parsed = text.parse::<DkimKeyId>();
        let parts = parsed.as_ref().map(|id| (id.selector(), id.domain())).map_err(|error| *error);
        assert_eq!(parts, expected, "{text:?}");
    }

    #[test]
    fn a_key_is_named_like_its_record() {
        check("s2026._domainkey.example.jp", Ok(("s2026", "example.jp")));
        check("A.b-1._DomainKey.Example.JP", Ok(("a.b-1", "example.jp")));
        check("s._domainkey.例え.jp", Ok(("s", "xn--r8jz45g.jp")));
        check("example.jp", Err(BadKeyId::Form));
        check("._domainkey.example.jp", Err(BadKeyId::Selector));
        check("a_b._domainkey.example.jp", Err(BadKeyId::Selector));
        check("-a._domainkey.example.jp", Err(BadKeyId::Selector));
        check(&format!("{}._domainkey.example.jp", "a".repeat(64)), Err(BadKeyId::Selector));
        check("s._domainkey.", Err(BadKeyId::Domain));
        check("s._domainkey.a b.jp", Err(BadKeyId::Domain));
        check("s._domainkey.[192.0.2.1]", Err(BadKeyId::Domain));
        check("s._domainkey.example.jp.", Err(BadKeyId::Domain));
        let long = vec!["a".repeat(59); 4].join(".");
        check(&format!("s._domainkey.{long}"), Ok(("s", &long)));
        check(&format!("selector._domainkey.{long}"), Err(BadKeyId::TooLong));
    }

    #[test]
    fn names_survive_their_text() {
        let id = DkimKeyId::new("S1", "例え.jp").expect("a name");
        assert_eq!(id.to_string(), "s1._domainkey.xn--r8jz45g.jp");
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn what_names_a_key_is_told() {
        let id = |text: &str| text.parse::<DkimKeyId>().expect("a name");
        let (a, b, c) = (id("a._domainkey.x.jp"), id("b._domainkey.x.jp"), id("c._domainkey.x.jp"));
        let rule = DkimRule { from: Vec::new(), keys: vec![a.clone()] };
        let rules = DkimRules { rules: vec![rule], default_keys: vec![b.clone()], ..DkimRules::default() };
        assert_eq!(rules.naming(&a).as_deref(), Some("rule 1"));
        assert_eq!(rules.naming(&b).as_deref(), Some("the list of default keys"));
        assert_eq!(rules.naming(&c), None);
    }
}
