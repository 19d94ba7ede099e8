//! Attempts, what they met, and what the rules say of it, on the wire.

use hikyaku_proto::v1;

use super::values::from_time;
use crate::domain::{
    attempt::{Attempt, Finding},
    reply::Reply,
    verdict::{Blame, ParkCause, Phase, Verdict},
};

/// An attempt on the wire.
pub(in crate::service) fn from_attempt(attempt: &Attempt) -> v1::Attempt {
    let outcomes = attempt.outcomes.iter().map(|outcome| v1::Outcome {
        recipients: outcome.recipients.clone(),
        finding: Some(from_finding(&outcome.finding)),
    });
    v1::Attempt {
        number: attempt.number,
        started_at: Some(from_time(attempt.started)),
        ended_at: Some(from_time(attempt.ended)),
        outcomes: outcomes.collect(),
    }
}

/// What was met, on the wire.
pub(in crate::service) fn from_finding(finding: &Finding) -> v1::Finding {
    let reply = finding.response.reply();
    v1::Finding {
        phase: finding.phase.as_str().to_owned(),
        code: reply.map_or(0, |reply| u32::from(reply.code())),
        enhanced_code: reply.and_then(Reply::enhanced).map(|code| code.to_string()).unwrap_or_default(),
        text: finding.response.text().to_owned(),
        verdict: from_verdict(finding.verdict).into(),
        blame: from_blame(finding.blame).into(),
    }
}

/// The reply by which the provider took a message, on the wire.
pub(in crate::service) fn from_acceptance(reply: &Reply) -> v1::Finding {
    v1::Finding {
        phase: Phase::EndOfData.as_str().to_owned(),
        code: u32::from(reply.code()),
        enhanced_code: reply.enhanced().map(|code| code.to_string()).unwrap_or_default(),
        text: reply.text().to_owned(),
        verdict: v1::Verdict::Accepted.into(),
        blame: v1::Blame::Unspecified.into(),
    }
}

/// A verdict on the wire.
pub(in crate::service) const fn from_verdict(verdict: Verdict) -> v1::Verdict {
    match verdict {
        Verdict::Accepted => v1::Verdict::Accepted,
        Verdict::RetryLater => v1::Verdict::RetryLater,
        Verdict::RetrySlower => v1::Verdict::RetrySlower,
        Verdict::RejectRecipient => v1::Verdict::RejectRecipient,
        Verdict::RejectMessage => v1::Verdict::RejectMessage,
        Verdict::ParkAccount(ParkCause::Quota) => v1::Verdict::ParkAccountQuota,
        Verdict::ParkAccount(ParkCause::SignIn) => v1::Verdict::ParkAccountSignIn,
        Verdict::ParkAccount(ParkCause::Suspended) => v1::Verdict::ParkAccountSuspended,
        Verdict::RetryOnNewConnection => v1::Verdict::RetryOnNewConnection,
        Verdict::InDoubt => v1::Verdict::InDoubt,
    }
}

/// Who is to blame, on the wire.
pub(in crate::service) const fn from_blame(blame: Option<Blame>) -> v1::Blame {
    match blame {
        None => v1::Blame::Unspecified,
        Some(Blame::Recipient) => v1::Blame::Recipient,
        Some(Blame::Message) => v1::Blame::Message,
        Some(Blame::Account) => v1::Blame::Account,
        Some(Blame::Provider) => v1::Blame::Provider,
        Some(Blame::Us) => v1::Blame::Us,
    }
}
