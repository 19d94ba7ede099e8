//! The routing rules on the wire.

use std::{collections::HashSet, fmt::Display};

use hikyaku_proto::v1;

use super::{
    values::{from_time, parse},
    violations::{Violation, Violations},
};
use crate::{
    domain::{
        ids::{AccountId, Etag},
        routing::{
            AddressPattern, DEFAULT_RULE, FALLBACKS_MAX, ROUTING_PATTERNS_MAX, ROUTING_RULES_MAX, Routing, RoutingRule,
        },
    },
    policy::routing::RuleVerdict,
};

/// The rules on the wire.
pub(in crate::service) fn from_routing(routing: &Routing) -> v1::Routing {
    v1::Routing {
        rules: routing.rules.iter().map(from_rule).collect(),
        default_account_id: routing.default_account.as_ref().map(ToString::to_string).unwrap_or_default(),
        etag: if routing.etag == Etag(0) { String::new() } else { routing.etag.to_string() },
        updated_at: routing.updated.as_ref().map(|(at, _)| from_time(*at)),
        updated_by: routing.updated.as_ref().map(|(_, by)| by.to_string()).unwrap_or_default(),
    }
}

fn from_rule(rule: &RoutingRule) -> v1::RoutingRule {
    let texts = |patterns: &[AddressPattern]| patterns.iter().map(ToString::to_string).collect();
    v1::RoutingRule {
        name: rule.name.to_string(),
        from: texts(&rule.from),
        recipients: texts(&rule.recipients),
        account_id: rule.account.to_string(),
        fallback_account_ids: rule.fallbacks.iter().map(ToString::to_string).collect(),
        forbid_merge: rule.forbid_merge,
        forbid_dkim: rule.forbid_dkim,
    }
}

/// What the rules say, on the wire.
pub(in crate::service) fn from_verdict(verdict: RuleVerdict) -> v1::RuleVerdict {
    let RuleVerdict { name, matched, reason } = verdict;
    v1::RuleVerdict { name, matched, reason }
}

/// Rules that a caller sent, with the etag that it has seen; `current` is that of the rules as they are.
pub(in crate::service) fn to_routing(
    wire: Option<v1::Routing>,
    current: Etag,
    knows: impl Fn(&AccountId) -> bool,
) -> Result<Routing, Vec<Violation>> {
    let mut violations = Violations::default();
    let Some(wire) = wire else {
        violations.add("routing", "is required");
        return violations.finish(None);
    };
    let etag = match wire.etag.as_str() {
        "" if current == Etag(0) => Some(current),
        "" => {
            violations.add("routing.etag", "is required: give back that of the rules as you have seen them");
            None
        }
        etag => parse::<Etag>(etag, "routing.etag", &mut violations),
    };
    if wire.rules.len() > ROUTING_RULES_MAX {
        violations.add("routing.rules", format_args!("are more than {ROUTING_RULES_MAX}"));
        return violations.finish(None);
    }
    let mut names = HashSet::new();
    let mut rules = Vec::with_capacity(wire.rules.len());
    for (index, rule) in wire.rules.into_iter().enumerate() {
        let at = format!("routing.rules[{index}]");
        let rule = to_rule(rule, &at, &knows, &mut violations);
        if rule.as_ref().is_some_and(|rule| !names.insert(rule.name.clone())) {
            violations.add(format_args!("{at}.name"), "is the name of an earlier rule too");
        }
        rules.push(rule);
    }
    let default_account = match wire.default_account_id.as_str() {
        "" => Some(None),
        id => to_account(id, "routing.default_account_id", &knows, &mut violations).map(Some),
    };
    let rules: Option<Vec<_>> = rules.into_iter().collect();
    let made = rules.zip(default_account).zip(etag);
    let made = made.map(|((rules, default_account), etag)| Routing { rules, default_account, etag, updated: None });
    violations.finish(made)
}

fn to_rule(
    wire: v1::RoutingRule,
    at: &str,
    knows: &impl Fn(&AccountId) -> bool,
    violations: &mut Violations,
) -> Option<RoutingRule> {
    let field = format!("{at}.name");
    let name = match wire.name.parse::<AccountId>() {
        Err(_) => {
            violations.add(field, "must be 1 to 64 of the characters a-z 0-9 . _ -");
            None
        }
        Ok(name) if name.as_str() == DEFAULT_RULE => {
            violations.add(field, "is what the default account is called");
            None
        }
        Ok(name) => Some(name),
    };
    let from = to_patterns(&wire.from, &format!("{at}.from"), violations);
    let recipients = to_patterns(&wire.recipients, &format!("{at}.recipients"), violations);
    let account = to_account(&wire.account_id, format_args!("{at}.account_id"), knows, violations);
    let field = format!("{at}.fallback_account_ids");
    if wire.fallback_account_ids.len() > FALLBACKS_MAX {
        violations.add(&field, format_args!("are more than {FALLBACKS_MAX}"));
        return None;
    }
    let ids = wire.fallback_account_ids.iter().enumerate();
    let fallbacks: Vec<_> =
        ids.map(|(index, id)| to_account(id, format_args!("{field}[{index}]"), knows, violations)).collect();
    let fallbacks: Vec<AccountId> = fallbacks.into_iter().collect::<Option<_>>()?;
    for (index, fallback) in fallbacks.iter().enumerate() {
        if account.as_ref() == Some(fallback) || fallbacks[..index].contains(fallback) {
            violations.add(format_args!("{field}[{index}]"), "is named by the rule already");
        }
    }
    Some(RoutingRule {
        name: name?,
        from: from?,
        recipients: recipients?,
        account: account?,
        fallbacks,
        forbid_merge: wire.forbid_merge,
        forbid_dkim: wire.forbid_dkim,
    })
}

fn to_patterns(texts: &[String], at: &str, violations: &mut Violations) -> Option<Vec<AddressPattern>> {
    if texts.len() > ROUTING_PATTERNS_MAX {
        violations.add(at, format_args!("are more than {ROUTING_PATTERNS_MAX}"));
        return None;
    }
    let texts = texts.iter().enumerate();
    let read: Vec<_> =
        texts.map(|(index, text)| parse::<AddressPattern>(text, format_args!("{at}[{index}]"), violations)).collect();
    read.into_iter().collect()
}

fn to_account(
    id: &str,
    at: impl Display,
    knows: &impl Fn(&AccountId) -> bool,
    violations: &mut Violations,
) -> Option<AccountId> {
    let account = parse::<AccountId>(id, &at, violations)?;
    if !knows(&account) {
        violations.add(at, format_args!("names an account that does not exist: {account}"));
    }
    Some(account)
}

/// Every account that rules on the wire name, as far as they can be read.
pub(in crate::service) fn named_accounts(wire: &v1::Routing) -> HashSet<AccountId> {
    let of_rules =
        wire.rules.iter().flat_map(|rule| std::iter::once(&rule.account_id).chain(&rule.fallback_account_ids));
    of_rules.chain(std::iter::once(&wire.default_account_id)).filter_map(|id| id.parse().ok()).collect()
}
