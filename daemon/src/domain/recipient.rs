//! One address of a job, and its fate.

use super::{
    address::Address,
    attempt::{Attempt, Fate, Finding, Outcome},
    reply::Reply,
    report::Report,
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
