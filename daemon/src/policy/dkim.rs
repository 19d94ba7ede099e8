//! Which keys sign a message, given the rules?

pub mod record;

use std::cmp::Reverse;

use crate::domain::{
    address::Address,
    dkim::{DkimKeyId, DkimKeys, DkimRule, DkimRules, SIGNATURES_MAX, domain_of},
};

/// The keys that sign a message from this address, at most [`SIGNATURES_MAX`], each once. A key that the rules name is
/// among them whether it is there or not.
#[must_use]
pub fn signing_keys(rules: &DkimRules, keys: &DkimKeys, from: &Address) -> Vec<DkimKeyId> {
    let rule = rule_of(rules, from);
    let mut chosen = Vec::new();
    match rule {
        Some(rule) => add(&mut chosen, &rule.keys),
        None => {
            if rules.sign_own_domains {
                add(&mut chosen, own_keys(keys, from));
            }
            add(&mut chosen, &rules.default_keys);
        }
    }
    chosen
}

/// Whether keys sign a message from this address because they are of its domain: one that is missing may be one of them.
#[must_use]
pub fn wants_own_keys(rules: &DkimRules, from: &Address) -> bool {
    rules.sign_own_domains && rule_of(rules, from).is_none()
}

fn rule_of<'a>(rules: &'a DkimRules, from: &Address) -> Option<&'a DkimRule> {
    rules.rules.iter().find(|rule| rule.from.iter().any(|pattern| pattern.matches(from)))
}

/// Whether a signature of this key is the author's own: its domain is that of From (RFC 6376 1 calls others signers of
/// third parties).
#[must_use]
pub fn is_author_signature(key: &DkimKeyId, from: &Address) -> bool {
    domain_of(from).is_some_and(|domain| domain == key.domain())
}

/// The keys of the domain of From and of those above it, the nearest first.
fn own_keys<'a>(keys: &'a DkimKeys, from: &Address) -> Vec<&'a DkimKeyId> {
    let Some(domain) = domain_of(from) else { return Vec::new() };
    let mut own: Vec<_> = keys.keys().filter(|id| is_at_or_below(&domain, id.domain())).collect();
    own.sort_by_key(|id| Reverse(id.domain().len()));
    own
}

fn is_at_or_below(domain: &str, upper: &str) -> bool {
    domain.strip_suffix(upper).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn add<'a>(chosen: &mut Vec<DkimKeyId>, further: impl IntoIterator<Item = &'a DkimKeyId>) {
    for id in further {
        if chosen.len() < SIGNATURES_MAX && !chosen.contains(id) {
            chosen.push(id.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        account::Stamp,
        dkim::{DkimAlgorithm, DkimKey},
        time::Timestamp,
    };

    fn id(text: &str) -> DkimKeyId {
        let (selector, domain) = text.split_once('@').expect("selector@domain");
        DkimKeyId::new(selector, domain).expect("a name")
    }

    fn keys(texts: &[&str]) -> DkimKeys {
        let created = Stamp { at: Timestamp::EPOCH, by: "boss".parse().expect("a name") };
        let key = |text: &&str| DkimKey {
            id: id(text),
            algorithm: DkimAlgorithm::Ed25519,
            public_key: Vec::new(),
            created: created.clone(),
        };
        texts.iter().map(|text| (id(text), key(text))).collect()
    }

    fn rule(from: &[&str], keys: &[&str]) -> DkimRule {
        let from = from.iter().map(|text| text.parse().expect("a pattern")).collect();
        DkimRule { from, keys: keys.iter().map(|text| id(text)).collect() }
    }

    #[track_caller]
    fn check(rules: &DkimRules, from: &str, expected: &[&str]) {
        let keys = keys(&["a@example.jp", "b@example.jp", "m@mail.example.jp", "t@esp.example", "u@xn--r8jz45g.jp"]);
        let chosen = signing_keys(rules, &keys, &from.parse().expect("an address"));
        assert_eq!(chosen, expected.iter().map(|text| id(text)).collect::<Vec<_>>(), "{from}");
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let rules = vec![
            rule(&["quiet@example.jp"], &[]),
            rule(&["@example.jp", "shop@example.com"], &["a@example.jp", "t@esp.example"]),
            rule(&["*.example.jp"], &["m@mail.example.jp"]),
        ];
        let default_keys = vec![id("t@esp.example")];
        let rules = DkimRules { rules, default_keys, sign_own_domains: true, ..DkimRules::default() };
        check(&rules, "quiet@example.jp", &[]);
        check(&rules, "QUIET@Example.JP", &[]);
        check(&rules, "shop@example.jp", &["a@example.jp", "t@esp.example"]);
        check(&rules, "shop@example.com", &["a@example.jp", "t@esp.example"]);
        check(&rules, "shop@x.example.jp", &["m@mail.example.jp"]);
        check(&rules, "shop@example.org", &["t@esp.example"]);
    }

    #[test]
    fn own_domains_sign_before_the_default_keys_and_the_nearest_first() {
        let default_keys = vec![id("t@esp.example"), id("a@example.jp"), id("z@gone.example")];
        let rules = DkimRules { default_keys, sign_own_domains: true, ..DkimRules::default() };
        check(&rules, "a@example.jp", &["a@example.jp", "b@example.jp", "t@esp.example", "z@gone.example"]);
        check(&rules, "a@x.mail.example.jp", &["m@mail.example.jp", "a@example.jp", "b@example.jp", "t@esp.example"]);
        check(&rules, "a@notexample.jp", &["t@esp.example", "a@example.jp", "z@gone.example"]);
        check(&rules, "a@例え.jp", &["u@xn--r8jz45g.jp", "t@esp.example", "a@example.jp", "z@gone.example"]);
        check(&rules, "a@[192.0.2.1]", &["t@esp.example", "a@example.jp", "z@gone.example"]);
        check(&DkimRules::default(), "a@example.jp", &[]);
        let rules = DkimRules { rules: vec![rule(&["@example.jp"], &["a@example.jp"])], ..rules };
        let wants = |rules: &DkimRules, from: &str| wants_own_keys(rules, &from.parse().expect("an address"));
        assert!(wants(&rules, "a@example.com") && !wants(&rules, "a@example.jp"));
        assert!(!wants(&DkimRules { sign_own_domains: false, ..rules }, "a@example.com"));
    }

    #[test]
    fn an_authors_signature_is_of_the_domain_of_from() {
        let from = "a@Example.JP".parse().expect("an address");
        assert!(is_author_signature(&id("a@example.jp"), &from));
        assert!(!is_author_signature(&id("m@mail.example.jp"), &from));
        assert!(!is_author_signature(&id("t@esp.example"), &from));
    }
}
