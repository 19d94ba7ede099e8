//! Suppressions on the wire.

use std::fmt::Display;

use hikyaku_proto::v1::{self, suppression_scope::Scope};

use super::{
    values::{from_time, parse, to_time},
    violations::Violations,
};
use crate::domain::{
    address::Address,
    ids::{AccountId, Caller, JobId, Label, MessageKey},
    suppression::{
        EVIDENCE_BYTES_MAX, SuppressedBy, Suppression, SuppressionKey, SuppressionReason, SuppressionScope,
        SuppressionSource,
    },
    time::Timestamp,
};

/// How a suppression that a caller sends comes into the list.
#[derive(Clone, Debug)]
pub(in crate::service) struct Origin {
    /// By which kind of call.
    pub(in crate::service) source: SuppressionSource,
    /// By whose.
    pub(in crate::service) caller: Caller,
    /// When.
    pub(in crate::service) now: Timestamp,
}

/// A suppression on the wire.
pub(in crate::service) fn from_suppression(suppression: &Suppression) -> v1::Suppression {
    let source = match suppression.source {
        SuppressionSource::Bounce => v1::SuppressionSource::Bounce,
        SuppressionSource::Reply => v1::SuppressionSource::Reply,
        SuppressionSource::Feedback => v1::SuppressionSource::Feedback,
        SuppressionSource::Call => v1::SuppressionSource::Call,
        SuppressionSource::Import => v1::SuppressionSource::Import,
    };
    v1::Suppression {
        scope: Some(from_scope(&suppression.key.scope)),
        address: suppression.address.as_str().to_owned(),
        reason: from_reason(suppression.reason).into(),
        source: source.into(),
        added_at: Some(from_time(suppression.added_at)),
        added_by: suppression.added_by.as_ref().map(|by| by.as_str().to_owned()).unwrap_or_default(),
        expires_at: suppression.expires_at.map(from_time),
        evidence: suppression.evidence.to_string(),
        message: suppression.message.map(|message| message.to_string()).unwrap_or_default(),
    }
}

/// What suppressed a recipient, on the wire.
pub(in crate::service) fn from_suppressed_by(by: &SuppressedBy) -> v1::SuppressedBy {
    v1::SuppressedBy { scope: Some(from_scope(&by.scope)), reason: from_reason(by.reason).into() }
}

/// A scope on the wire.
pub(in crate::service) fn from_scope(scope: &SuppressionScope) -> v1::SuppressionScope {
    let scope = match scope {
        SuppressionScope::Global => Scope::Global(true),
        SuppressionScope::Account(account) => Scope::AccountId(account.to_string()),
        SuppressionScope::Label(label) => Scope::Label(label.to_string()),
    };
    v1::SuppressionScope { scope: Some(scope) }
}

/// A reason on the wire.
pub(in crate::service) const fn from_reason(reason: SuppressionReason) -> v1::SuppressionReason {
    match reason {
        SuppressionReason::HardBounce => v1::SuppressionReason::HardBounce,
        SuppressionReason::SoftBounces => v1::SuppressionReason::SoftBounces,
        SuppressionReason::Complaint => v1::SuppressionReason::Complaint,
        SuppressionReason::Unsubscribed => v1::SuppressionReason::Unsubscribed,
        SuppressionReason::Manual => v1::SuppressionReason::Manual,
    }
}

/// A suppression that a caller sent. When it was added is taken from the caller only for an import, and only when it is past.
pub(in crate::service) fn to_suppression(
    wire: Option<v1::Suppression>,
    origin: &Origin,
    violations: &mut Violations,
) -> Option<Suppression> {
    let Some(wire) = wire else {
        violations.add("suppression", "is required");
        return None;
    };
    let scope = to_scope(wire.scope, "suppression.scope", violations);
    let address = to_suppressed(&wire.address, "suppression.address", violations);
    let reason = to_reason(wire.reason, "suppression.reason", violations);
    let expires_at = to_end(wire.expires_at, origin.now, violations);
    let added_at = to_beginning(wire.added_at, origin, violations);
    if wire.evidence.len() > EVIDENCE_BYTES_MAX {
        violations.add("suppression.evidence", format_args!("is longer than {EVIDENCE_BYTES_MAX} bytes"));
    }
    let message = to_message(&wire.message, violations);
    let (scope, address) = (scope?, address?);
    Some(Suppression {
        key: SuppressionKey::new(scope, &address),
        address,
        reason: reason?.unwrap_or(SuppressionReason::Manual),
        source: origin.source,
        added_at: added_at?,
        added_by: Some(origin.caller.clone()),
        expires_at: expires_at?,
        evidence: wire.evidence.into(),
        message: message?,
    })
}

/// A scope that a caller has to send.
pub(in crate::service) fn to_scope(
    wire: Option<v1::SuppressionScope>,
    at: &str,
    violations: &mut Violations,
) -> Option<SuppressionScope> {
    match wire.and_then(|scope| scope.scope) {
        Some(Scope::AccountId(id)) => {
            parse::<AccountId>(&id, format_args!("{at}.account_id"), violations).map(SuppressionScope::Account)
        }
        Some(Scope::Label(label)) => {
            parse::<Label>(&label, format_args!("{at}.label"), violations).map(SuppressionScope::Label)
        }
        Some(Scope::Global(true)) => Some(SuppressionScope::Global),
        Some(Scope::Global(false)) => {
            violations.add(format_args!("{at}.global"), "must be true when it is set");
            None
        }
        None => {
            violations.add(at, "is required: an account_id, a label or global");
            None
        }
    }
}

/// An address of a list, in any form in which recipients are taken.
pub(in crate::service) fn to_suppressed(text: &str, at: impl Display, violations: &mut Violations) -> Option<Address> {
    violations.keep(at, Address::from_lenient(text))
}

/// A reason that a caller sent; the inner one is nothing when it sent none.
pub(in crate::service) fn to_reason(
    reason: i32,
    at: &str,
    violations: &mut Violations,
) -> Option<Option<SuppressionReason>> {
    let Ok(reason) = v1::SuppressionReason::try_from(reason) else {
        violations.add(at, "must be HARD_BOUNCE, SOFT_BOUNCES, COMPLAINT, UNSUBSCRIBED or MANUAL");
        return None;
    };
    Some(match reason {
        v1::SuppressionReason::Unspecified => None,
        v1::SuppressionReason::HardBounce => Some(SuppressionReason::HardBounce),
        v1::SuppressionReason::SoftBounces => Some(SuppressionReason::SoftBounces),
        v1::SuppressionReason::Complaint => Some(SuppressionReason::Complaint),
        v1::SuppressionReason::Unsubscribed => Some(SuppressionReason::Unsubscribed),
        v1::SuppressionReason::Manual => Some(SuppressionReason::Manual),
    })
}

fn to_end(
    given: Option<prost_types::Timestamp>,
    now: Timestamp,
    violations: &mut Violations,
) -> Option<Option<Timestamp>> {
    let Some(given) = given else { return Some(None) };
    let end = to_time(given, "suppression.expires_at", violations)?;
    if end <= now {
        violations.add("suppression.expires_at", "has passed: such a suppression would hold nobody back");
        return None;
    }
    Some(Some(end))
}

fn to_beginning(
    given: Option<prost_types::Timestamp>,
    origin: &Origin,
    violations: &mut Violations,
) -> Option<Timestamp> {
    match given.filter(|_| origin.source == SuppressionSource::Import) {
        Some(given) => to_time(given, "suppression.added_at", violations).map(|given| given.min(origin.now)),
        None => Some(origin.now),
    }
}

/// A message as "job" or "job/index".
fn to_message(text: &str, violations: &mut Violations) -> Option<Option<MessageKey>> {
    if text.is_empty() {
        return Some(None);
    }
    let (job, index) = text.split_once('/').unwrap_or((text, "0"));
    let key = job.parse::<JobId>().ok().zip(index.parse().ok()).map(|(job, index)| MessageKey { job, index });
    if key.is_none() {
        violations.add("suppression.message", "must be a job's id, or that with \"/\" and a recipient's index");
    }
    key.map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn wire() -> v1::Suppression {
        let scope = Some(v1::SuppressionScope { scope: Some(Scope::Global(true)) });
        v1::Suppression { scope, address: "Taro@Example.JP".into(), ..v1::Suppression::default() }
    }

    fn read(wire: v1::Suppression, source: SuppressionSource) -> Result<Suppression, Vec<String>> {
        let origin = Origin { source, caller: "shop".parse().expect("a name"), now: NOW };
        let mut violations = Violations::default();
        let read = to_suppression(Some(wire), &origin, &mut violations);
        violations.finish(read).map_err(|found| found.into_iter().map(|one| one.field).collect())
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut v1::Suppression), expected: &[&str]) {
        let mut given = wire();
        change(&mut given);
        let found = read(given, SuppressionSource::Import).err().unwrap_or_default();
        assert_eq!(found, expected.iter().map(|field| format!("suppression.{field}")).collect::<Vec<_>>());
    }

    fn scope(scope: Scope) -> Option<v1::SuppressionScope> {
        Some(v1::SuppressionScope { scope: Some(scope) })
    }

    #[test]
    fn each_mistake_is_told_with_its_field() {
        let time = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        check(|_| {}, &[]);
        check(|s| s.scope = None, &["scope"]);
        check(|s| s.scope = scope(Scope::Global(false)), &["scope.global"]);
        check(|s| s.scope = scope(Scope::AccountId("A B".into())), &["scope.account_id"]);
        check(|s| s.scope = scope(Scope::Label(String::new())), &["scope.label"]);
        check(|s| s.address = "nobody".into(), &["address"]);
        check(|s| s.address = "a..b@docomo.ne.jp".into(), &[]);
        check(|s| s.reason = 99, &["reason"]);
        check(|s| s.expires_at = time(1_700_000_000), &["expires_at"]);
        check(|s| s.expires_at = time(1_700_000_001), &[]);
        check(|s| s.added_at = time(-1), &["added_at"]);
        check(|s| s.evidence = "x".repeat(2_049), &["evidence"]);
        check(|s| s.message = "x".into(), &["message"]);
        check(|s| (s.scope, s.address, s.reason) = (None, String::new(), -1), &["scope", "address", "reason"]);
    }

    #[test]
    fn an_import_keeps_when_it_was_added_if_that_is_past() {
        let at = |seconds| v1::Suppression { added_at: Some(prost_types::Timestamp { seconds, nanos: 0 }), ..wire() };
        let past = Timestamp::from_millis(1_600_000_000_000);
        let added = |wire, source| read(wire, source).expect("a good one").added_at;
        assert_eq!(added(at(1_600_000_000), SuppressionSource::Import), past);
        assert_eq!(added(at(1_800_000_000), SuppressionSource::Import), NOW);
        assert_eq!(added(at(1_600_000_000), SuppressionSource::Call), NOW);
        assert_eq!(added(wire(), SuppressionSource::Import), NOW);
    }

    #[test]
    fn suppressions_survive_the_wire() {
        let job = JobId::new(NOW, [7; 10]);
        let scopes = [
            SuppressionScope::Global,
            SuppressionScope::Account("sales".parse().expect("an id")),
            SuppressionScope::Label("news".parse().expect("a label")),
        ];
        for (index, scope) in (0..).zip(scopes) {
            let address: Address = "Taro@example.jp".parse().expect("an address");
            let suppression = Suppression {
                key: SuppressionKey::new(scope, &address),
                address,
                reason: SuppressionReason::Complaint,
                source: SuppressionSource::Import,
                added_at: Timestamp::from_millis(1_650_000_000_000),
                added_by: Some("shop".parse().expect("a name")),
                expires_at: Some(Timestamp::from_millis(1_800_000_000_000)),
                evidence: "550 gone".into(),
                message: Some(MessageKey { job, index }),
            };
            assert_eq!(read(from_suppression(&suppression), SuppressionSource::Import), Ok(suppression));
        }
    }
}
