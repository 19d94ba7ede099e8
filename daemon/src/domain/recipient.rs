//! One address of a job, and its fate.

use super::{
    address::Address,
    attempt::{Attempt, Fate, Finding, Outcome},
    inbound::Effect,
    reply::Reply,
    report::{Report, ReportKind},
    suppression::SuppressedBy,
    time::Timestamp,
};

/// One address of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The address.
    pub address: Address,
    /// The header field it stands in.
    pub field: RecipientField,
    /// What has become of it.
    pub state: RecipientState,
}

/// The header field a recipient stands in; Bcc is never written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the name of a header field")]
pub enum RecipientField {
    To,
    Cc,
    Bcc,
}

/// What has become of a recipient. Each state holds only its own facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecipientState {
    /// It waits for an attempt; `deferral` is what the last one met, if there was one.
    Pending {
        /// What the last attempt met.
        deferral: Option<Deferral>,
    },
    /// The provider took it, which is not yet "delivered".
    Submitted {
        /// When the reply came, or when it was found in the Sent folder.
        at: Timestamp,
        /// The reply to the final dot; nothing when it was not read, and the message was found in the Sent folder.
        reply: Option<Reply>,
    },
    /// It was refused for good.
    Failed {
        /// When.
        at: Timestamp,
        /// What refused it.
        finding: Finding,
    },
    /// It may or may not have been taken, and the account's policy leaves that to an operator.
    InDoubt {
        /// When the mark was set, before the final dot.
        since: Timestamp,
    },
    /// Its time ran out before the provider took it.
    Expired {
        /// When.
        at: Timestamp,
        /// What the last attempt met, if there was one.
        last: Option<Finding>,
    },
    /// A caller withdrew it before it was sent.
    Cancelled {
        /// When.
        at: Timestamp,
    },
    /// The provider took it, and it came back.
    Bounced {
        /// The reply to the final dot, if it was read.
        reply: Option<Reply>,
        /// What came back.
        report: Box<Report>,
    },
    /// The provider took it, and its reader complained of it.
    Complained {
        /// The reply to the final dot, if it was read.
        reply: Option<Reply>,
        /// The complaint.
        report: Box<Report>,
    },
    /// It was left out, because it must not be sent to.
    Suppressed {
        /// When.
        at: Timestamp,
        /// What suppressed it.
        by: Box<SuppressedBy>,
    },
}

impl RecipientState {
    /// What an outcome makes of a recipient that was pending.
    #[must_use]
    pub fn after(outcome: &Outcome, attempt: &Attempt) -> Self {
        let finding = outcome.finding.clone();
        let at = attempt.ended;
        match (outcome.fate, outcome.finding.response.reply()) {
            (Fate::Submitted, Some(reply)) => Self::Submitted { at, reply: Some(reply.clone()) },
            // Without the provider's word nothing counts as submitted.
            (Fate::Submitted, None) | (Fate::LeftInDoubt, _) => Self::InDoubt { since: attempt.started },
            (Fate::Deferred, _) => Self::Pending { deferral: Some(Deferral { at, finding }) },
            (Fate::Failed, _) => Self::Failed { at, finding },
            (Fate::GivenUp, _) => Self::Expired { at, last: Some(finding) },
        }
    }

    /// Writes down what a mail says that came back, and answers what that did. Only of a recipient that the provider took, or may
    /// have taken, something comes back. What it is about a message whose reply is not recorded yet says nothing: should the address
    /// be dead, the next message says so again. The report bears no earlier time than what it ends, so that a job never finishes
    /// before it did.
    pub fn report(&mut self, report: Report) -> Effect {
        let (since, reply) = match self {
            Self::Submitted { at, reply } => (*at, reply.clone()),
            Self::InDoubt { since } => (*since, None),
            Self::Bounced { .. } | Self::Complained { .. } => return Effect::Repeated,
            Self::Pending { .. }
            | Self::Failed { .. }
            | Self::Expired { .. }
            | Self::Cancelled { .. }
            | Self::Suppressed { .. } => return Effect::None,
        };
        let kind = report.kind;
        let report = Box::new(Report { at: report.at.max(since), ..report });
        match kind {
            ReportKind::Hard | ReportKind::Soft => {
                *self = Self::Bounced { reply, report };
                Effect::Bounced
            }
            ReportKind::Complaint => {
                *self = Self::Complained { reply, report };
                Effect::Complained
            }
            ReportKind::Delayed => Effect::Noted,
        }
    }

    /// What a recipient that was in doubt comes to when it was found out whether the provider took its message; nothing for one
    /// that is not in doubt. What was not taken waits again.
    #[must_use]
    pub fn reconciled(&self, found: bool, now: Timestamp) -> Option<Self> {
        match self {
            Self::InDoubt { since } if found => Some(Self::Submitted { at: now.max(*since), reply: None }),
            Self::InDoubt { .. } => Some(Self::Pending { deferral: None }),
            _ => None,
        }
    }

    /// Since when it is in doubt, if it is.
    #[must_use]
    pub const fn doubtful_since(&self) -> Option<Timestamp> {
        match self {
            Self::InDoubt { since } => Some(*since),
            _ => None,
        }
    }

    /// The state of the same recipient when its time ran out at `at`.
    #[must_use]
    pub fn expired(&self, at: Timestamp) -> Self {
        let last = match self {
            Self::Pending { deferral } => deferral.as_ref().map(|deferral| deferral.finding.clone()),
            _ => None,
        };
        Self::Expired { at, last }
    }

    /// Whether nothing will change it any more but a caller's wish.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        !matches!(self, Self::Pending { .. } | Self::InDoubt { .. })
    }

    /// When it became final, if it is.
    #[must_use]
    pub const fn final_at(&self) -> Option<Timestamp> {
        match self {
            Self::Submitted { at, .. }
            | Self::Failed { at, .. }
            | Self::Expired { at, .. }
            | Self::Cancelled { at }
            | Self::Suppressed { at, .. } => Some(*at),
            Self::Bounced { report, .. } | Self::Complained { report, .. } => Some(report.at),
            Self::Pending { .. } | Self::InDoubt { .. } => None,
        }
    }

    /// Whether it waits for an attempt.
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        matches!(self, Self::Pending { .. })
    }
}

/// What made a recipient wait for another attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deferral {
    /// When.
    pub at: Timestamp,
    /// What was met.
    pub finding: Finding,
}
