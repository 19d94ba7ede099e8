//! DKIM keys and rules on the wire.

use hikyaku_proto::v1;

use super::{
    values::{from_time, parse},
    violations::{Violation, Violations},
};
use crate::{
    domain::{
        dkim::{
            BadKeyId, DKIM_PATTERNS_MAX, DKIM_RULES_MAX, DkimAlgorithm, DkimKey, DkimKeyId, DkimRule, DkimRules,
            SIGNATURES_MAX,
        },
        ids::Etag,
        routing::AddressPattern,
        time::Timestamp,
    },
    policy::dkim::record::{txt_record, zone_line},
};

/// Longest private key in PEM, in bytes: twice that of 4,096 bits.
const PEM_BYTES_MAX: usize = 8_192;

/// Which key is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::service) enum NewKey {
    Rsa2048,
    Rsa4096,
    Ed25519,
}

/// A key on the wire.
pub(in crate::service) fn from_key(key: &DkimKey) -> v1::DkimKey {
    let algorithm = match key.algorithm {
        DkimAlgorithm::Rsa { bits: 2_048 } => v1::DkimAlgorithm::Rsa2048,
        DkimAlgorithm::Rsa { bits: 4_096 } => v1::DkimAlgorithm::Rsa4096,
        DkimAlgorithm::Rsa { .. } => v1::DkimAlgorithm::RsaOther,
        DkimAlgorithm::Ed25519 => v1::DkimAlgorithm::Ed25519,
    };
    v1::DkimKey {
        dkim_key_id: key.id.to_string(),
        domain: key.id.domain().to_owned(),
        selector: key.id.selector().to_owned(),
        algorithm: algorithm.into(),
        txt_record: txt_record(key),
        zone_line: zone_line(key),
        created_at: Some(from_time(key.created.at)),
        created_by: key.created.by.to_string(),
    }
}

/// What key a caller wants made.
pub(in crate::service) fn to_new_key(
    wire: &v1::CreateDkimKeyRequest,
    now: Timestamp,
) -> Result<(DkimKeyId, NewKey), Vec<Violation>> {
    let mut violations = Violations::default();
    let algorithm = match v1::DkimAlgorithm::try_from(wire.algorithm) {
        Ok(v1::DkimAlgorithm::Unspecified | v1::DkimAlgorithm::Rsa2048) => Some(NewKey::Rsa2048),
        Ok(v1::DkimAlgorithm::Rsa4096) => Some(NewKey::Rsa4096),
        Ok(v1::DkimAlgorithm::Ed25519) => Some(NewKey::Ed25519),
        Ok(v1::DkimAlgorithm::RsaOther) | Err(_) => {
            violations.add("algorithm", "must be RSA_2048, RSA_4096 or ED25519: other keys can only be imported");
            None
        }
    };
    let selector = if wire.selector.is_empty() { own_selector(now) } else { wire.selector.clone() };
    let id = to_id(&selector, &wire.domain, &mut violations);
    violations.finish(id.zip(algorithm))
}

/// The name of a key that a caller brings, and its PEM.
pub(in crate::service) fn to_import(wire: v1::ImportDkimKeyRequest) -> Result<(DkimKeyId, String), Vec<Violation>> {
    let mut violations = Violations::default();
    let id = to_id(&wire.selector, &wire.domain, &mut violations);
    let pem = wire.private_key_pem;
    if pem.is_empty() {
        violations.add("private_key_pem", "is required");
    } else if pem.len() > PEM_BYTES_MAX {
        violations.add("private_key_pem", format_args!("is longer than {PEM_BYTES_MAX} bytes"));
    }
    violations.finish(id.map(|id| (id, pem)))
}

/// The name of a key that a caller sent.
pub(in crate::service) fn to_key_id(text: &str) -> Result<DkimKeyId, Vec<Violation>> {
    let mut violations = Violations::default();
    let id = parse(text, "dkim_key_id", &mut violations);
    violations.finish(id)
}

/// The selector of a key for which none was chosen: "hikyaku" and the date in UTC.
fn own_selector(now: Timestamp) -> String {
    let millis = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    let date = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    date.to_zoned(jiff::tz::TimeZone::UTC).strftime("hikyaku%Y%m%d").to_string()
}

fn to_id(selector: &str, domain: &str, violations: &mut Violations) -> Option<DkimKeyId> {
    let made = DkimKeyId::new(selector, domain);
    if made == Err(BadKeyId::Domain) && DkimKeyId::new(selector, "example.jp") == Err(BadKeyId::Selector) {
        violations.add("selector", BadKeyId::Selector);
    }
    let field = if made == Err(BadKeyId::Domain) { "domain" } else { "selector" };
    violations.keep(field, made)
}

/// The rules on the wire.
pub(in crate::service) fn from_rules(rules: &DkimRules) -> v1::DkimRules {
    let ids = |keys: &[DkimKeyId]| keys.iter().map(ToString::to_string).collect();
    let rule = |rule: &DkimRule| v1::DkimRule {
        from: rule.from.iter().map(ToString::to_string).collect(),
        key_ids: ids(&rule.keys),
    };
    v1::DkimRules {
        rules: rules.rules.iter().map(rule).collect(),
        default_key_ids: ids(&rules.default_keys),
        sign_own_domains: rules.sign_own_domains,
        etag: if rules.etag == Etag(0) { String::new() } else { rules.etag.to_string() },
        updated_at: rules.updated.as_ref().map(|(at, _)| from_time(*at)),
        updated_by: rules.updated.as_ref().map(|(_, by)| by.to_string()).unwrap_or_default(),
    }
}

/// Rules that a caller sent, with the etag that it has seen; `current` is that of the rules as they are.
pub(in crate::service) fn to_rules(
    wire: Option<v1::DkimRules>,
    current: Etag,
    knows: impl Fn(&DkimKeyId) -> bool,
) -> Result<DkimRules, Vec<Violation>> {
    let mut violations = Violations::default();
    let Some(wire) = wire else {
        violations.add("rules", "is required");
        return violations.finish(None);
    };
    let etag = match wire.etag.as_str() {
        "" if current == Etag(0) => Some(current),
        "" => {
            violations.add("rules.etag", "is required: give back that of the rules as you have seen them");
            None
        }
        etag => parse::<Etag>(etag, "rules.etag", &mut violations),
    };
    if wire.rules.len() > DKIM_RULES_MAX {
        violations.add("rules.rules", format_args!("are more than {DKIM_RULES_MAX}"));
        return violations.finish(None);
    }
    let mut rules = Vec::with_capacity(wire.rules.len());
    for (index, rule) in wire.rules.into_iter().enumerate() {
        rules.push(to_rule(&rule, &format!("rules.rules[{index}]"), &knows, &mut violations));
    }
    let default_keys = to_keys(&wire.default_key_ids, "rules.default_key_ids", &knows, &mut violations);
    let rules: Option<Vec<_>> = rules.into_iter().collect();
    let sign_own_domains = wire.sign_own_domains;
    let made = rules.zip(default_keys).zip(etag);
    let made = made.map(|((rules, default_keys), etag)| DkimRules {
        rules,
        default_keys,
        sign_own_domains,
        etag,
        updated: None,
    });
    violations.finish(made)
}

fn to_rule(
    wire: &v1::DkimRule,
    at: &str,
    knows: &impl Fn(&DkimKeyId) -> bool,
    violations: &mut Violations,
) -> Option<DkimRule> {
    let keys = to_keys(&wire.key_ids, &format!("{at}.key_ids"), knows, violations);
    let at = format!("{at}.from");
    match wire.from.len() {
        0 => violations.add(&at, "is required: the addresses that the rule is for"),
        count if count > DKIM_PATTERNS_MAX => {
            violations.add(&at, format_args!("are more than {DKIM_PATTERNS_MAX}"));
            return None;
        }
        _ => {}
    }
    let texts = wire.from.iter().enumerate();
    let from: Vec<_> =
        texts.map(|(index, text)| parse::<AddressPattern>(text, format_args!("{at}[{index}]"), violations)).collect();
    let from: Option<Vec<_>> = from.into_iter().collect();
    Some(DkimRule { from: from?, keys: keys? })
}

fn to_keys(
    texts: &[String],
    at: &str,
    knows: &impl Fn(&DkimKeyId) -> bool,
    violations: &mut Violations,
) -> Option<Vec<DkimKeyId>> {
    if texts.len() > SIGNATURES_MAX {
        violations.add(at, format_args!("are more than {SIGNATURES_MAX}"));
        return None;
    }
    let mut keys = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let at = format!("{at}[{index}]");
        let Some(key) = parse::<DkimKeyId>(text, &at, violations) else { continue };
        if !knows(&key) {
            violations.add(&at, format_args!("names a key that does not exist: {key}"));
        } else if keys.contains(&key) {
            violations.add(&at, "is there twice");
        }
        keys.push(key);
    }
    (keys.len() == texts.len()).then_some(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(domain: &str, selector: &str, expected: Result<&str, &[&str]>) {
        let wire = v1::CreateDkimKeyRequest { domain: domain.into(), selector: selector.into(), algorithm: 0 };
        let made = to_new_key(&wire, Timestamp::from_millis(1_795_340_096_000));
        let made = made.map(|(id, algorithm)| (id.to_string(), algorithm));
        let made = made.map_err(|found| found.into_iter().map(|one| one.field).collect::<Vec<_>>());
        let expected = expected.map(|id| (id.to_owned(), NewKey::Rsa2048));
        let expected = expected.map_err(|fields| fields.iter().map(|field| (*field).to_owned()).collect());
        assert_eq!(made, expected, "{domain:?} {selector:?}");
    }

    #[test]
    fn a_key_is_named_by_its_domain_and_selector_or_the_date() {
        check("Example.JP", "s1", Ok("s1._domainkey.example.jp"));
        check("例え.jp", "", Ok("hikyaku20261122._domainkey.xn--r8jz45g.jp"));
        check("", "s1", Err(&["domain"]));
        check("example.jp", "a_b", Err(&["selector"]));
        check("", "a_b", Err(&["selector", "domain"]));
    }
}
