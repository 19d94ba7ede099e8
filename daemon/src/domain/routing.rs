//! Which account sends a job that names none.

use std::{fmt, str::FromStr};

use super::{
    address::{ADDRESS_BYTES_MAX, Address, BadAddress, ascii_domain, is_same_domain},
    ids::{AccountId, Caller, Etag},
    time::Timestamp,
};

/// Most rules.
pub const ROUTING_RULES_MAX: usize = 1_000;
/// Most patterns of each condition of a rule.
pub const ROUTING_PATTERNS_MAX: usize = 100;
/// Most fallback accounts of a rule.
pub const FALLBACKS_MAX: usize = 10;

/// All routing rules: one document, so that their order is never in question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routing {
    /// The rules, tried in this order.
    pub rules: Vec<RoutingRule>,
    /// The account for jobs that no rule matches.
    pub default_account: Option<AccountId>,
    /// The version, 0 before the first change; one more with each.
    pub etag: Etag,
    /// When it was changed last, and by whom.
    pub updated: Option<(Timestamp, Caller)>,
}

impl Routing {
    /// Every account that it names, some more than once.
    pub fn accounts(&self) -> impl Iterator<Item = &AccountId> {
        let of_rules = self.rules.iter().flat_map(RoutingRule::accounts);
        of_rules.chain(&self.default_account)
    }

    /// What names this account: a rule, or `default` for the default account.
    #[must_use]
    pub fn names(&self, account: &AccountId) -> Option<&str> {
        let rule = self.rules.iter().find(|rule| rule.accounts().any(|named| named == account));
        let default = || (self.default_account.as_ref() == Some(account)).then_some(DEFAULT_RULE);
        rule.map(|rule| rule.name.as_str()).or_else(default)
    }
}

/// What the default account is called among the rules.
pub const DEFAULT_RULE: &str = "default";

/// One rule. It matches when its From condition and its recipient condition both hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutingRule {
    /// Its name, unique among the rules, written like an account id.
    pub name: AccountId,
    /// Patterns of which From must match one; any From when empty.
    pub from: Vec<AddressPattern>,
    /// Patterns of which every recipient must match one; any recipients when empty.
    pub recipients: Vec<AddressPattern>,
    /// The account that sends.
    pub account: AccountId,
    /// Accounts that are used instead, in this order.
    pub fallbacks: Vec<AccountId>,
    /// Whether merge jobs that match are refused.
    pub forbid_merge: bool,
    /// Whether DKIM signatures are left out.
    pub forbid_dkim: bool,
}

impl RoutingRule {
    /// The account and the fallbacks.
    pub fn accounts(&self) -> impl Iterator<Item = &AccountId> {
        std::iter::once(&self.account).chain(&self.fallbacks)
    }
}

/// Some addresses. Case does not matter, nor whether an internationalised domain is written in U-labels or A-labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressPattern {
    /// One address.
    Address(Address),
    /// All of a domain, written as `@example.jp`.
    Domain(String),
    /// All of a domain and of those below it, written as `*.example.jp`.
    Subdomains(String),
}

impl AddressPattern {
    /// Whether `address` is meant.
    #[must_use]
    pub fn matches(&self, address: &Address) -> bool {
        match self {
            Self::Address(own) => is_same(own.as_str(), address.as_str()),
            Self::Domain(own) => is_same_domain(own, address.domain()),
            Self::Subdomains(own) => is_at_or_below(address.domain(), own),
        }
    }
}

/// Whether two texts are the same but for case.
fn is_same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other) || !one.is_ascii() && one.to_lowercase() == other.to_lowercase()
}

fn is_at_or_below(domain: &str, own: &str) -> bool {
    let (Some(domain), Some(own)) = (ascii_domain(domain), ascii_domain(own)) else { return false };
    let Some(start) = domain.len().checked_sub(own.len()) else { return false };
    domain[start..].eq_ignore_ascii_case(&own) && (start == 0 || domain.as_bytes()[start - 1] == b'.')
}

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    /// It is none of the three kinds.
    #[error("must be an address, @ and a domain, or *. and a domain")]
    Kind,
    /// What stands for an address is none.
    #[error("is no address: it {0}")]
    Address(BadAddress),
    /// What stands for a domain is none.
    #[error("names no domain: labels of 1 to 63 letters, digits and inner hyphens, joined by dots")]
    Domain,
}

impl FromStr for AddressPattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        if let Some(domain) = text.strip_prefix('@') {
            return domain_of(domain).map(Self::Domain);
        }
        if let Some(domain) = text.strip_prefix("*.") {
            return domain_of(domain).map(Self::Subdomains);
        }
        if !text.contains('@') || text.starts_with('*') {
            return Err(BadPattern::Kind);
        }
        // Whether it may be sent to is the account's business.
        Address::from_lenient(text).map(Self::Address).map_err(BadPattern::Address)
    }
}

fn domain_of(text: &str) -> Result<String, BadPattern> {
    let bytes_max = ADDRESS_BYTES_MAX - 2;
    let is_domain = text.len() <= bytes_max && !text.starts_with('[') && format!("x@{text}").parse::<Address>().is_ok();
    if is_domain { Ok(text.to_owned()) } else { Err(BadPattern::Domain) }
}

impl fmt::Display for AddressPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Domain(domain) => write!(f, "@{domain}"),
            Self::Subdomains(domain) => write!(f, "*.{domain}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, address: &str, expected: bool) {
        let parsed: AddressPattern = pattern.parse().expect(pattern);
        assert_eq!(parsed.to_string(), pattern);
        assert_eq!(parsed.matches(&address.parse().expect(address)), expected, "{pattern} {address}");
    }

    #[test]
    fn a_pattern_is_an_address_a_domain_or_all_below_it() {
        check("shop@example.jp", "SHOP@Example.JP", true);
        check("shop@example.jp", "shop2@example.jp", false);
        check("@example.jp", "any@EXAMPLE.jp", true);
        check("@example.jp", "any@mail.example.jp", false);
        check("@example.jp", "any@badexample.jp", false);
        check("*.fw.rakuten.ne.jp", "x@pc.fw.rakuten.ne.jp", true);
        check("*.fw.rakuten.ne.jp", "x@a.b.FW.Rakuten.ne.jp", true);
        check("*.fw.rakuten.ne.jp", "x@fw.rakuten.ne.jp", true);
        check("*.fw.rakuten.ne.jp", "x@rakuten.ne.jp", false);
        check("*.fw.rakuten.ne.jp", "x@evilfw.rakuten.ne.jp", false);
        check("*.jp", "x@[192.0.2.1]", false);
        check("*.例え.jp", "x@あ.例え.JP", true);
        check("@ÉCOLE.fr", "x@école.fr", true);
        check("*.école.fr", "x@mail.ÉCOLE.fr", true);
        check("*.例え.jp", "太郎@あ.例え.JP", true);
        check("*.例え.jp", "x@xn--l8j.xn--r8jz45g.jp", true);
        check("@xn--r8jz45g.jp", "太郎@例え.jp", true);
        check("@例え.jp", "x@あ例え.jp", false);
        check("\"a..b\"@docomo.ne.jp", "\"a..b\"@docomo.ne.jp", true);
    }

    #[track_caller]
    fn check_bad(pattern: &str, expected: BadPattern) {
        assert_eq!(pattern.parse::<AddressPattern>(), Err(expected), "{pattern:?}");
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        check_bad("", BadPattern::Kind);
        check_bad("example.jp", BadPattern::Kind);
        check_bad("*", BadPattern::Kind);
        check_bad("*@example.jp", BadPattern::Kind);
        check_bad("@", BadPattern::Domain);
        check_bad("*.", BadPattern::Domain);
        check_bad("@a@b.jp", BadPattern::Domain);
        check_bad("@[192.0.2.1]", BadPattern::Domain);
        check_bad("*.x..jp", BadPattern::Domain);
        check_bad("a b@example.jp", BadPattern::Address(BadAddress::LocalPart));
    }
}
