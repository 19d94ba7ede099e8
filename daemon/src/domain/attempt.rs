//! One try to hand a message to the provider, and what it met.

use super::{
    reply::Reply,
    time::Timestamp,
    verdict::{Blame, Phase, Verdict},
};

/// One try to hand a message to the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Counted from 1.
    pub number: u32,
    /// When MAIL was sent.
    pub started: Timestamp,
    /// When the last reply was read, or the connection was given up.
    pub ended: Timestamp,
    /// What it met, recipients that met the same together.
    pub outcomes: Vec<Outcome>,
}

/// What some recipients of an attempt met, and what follows for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Indexes into the job's recipients.
    pub recipients: Vec<u32>,
    /// What was met.
    pub finding: Finding,
    /// What follows.
    pub fate: Fate,
}

/// What an attempt makes of a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The provider took it.
    Submitted,
    /// It is tried again.
    Deferred,
    /// It is refused for good.
    Failed,
    /// It is too old to be tried again.
    GivenUp,
    /// An operator decides whether it is tried again.
    LeftInDoubt,
}

/// What was met in which phase, and what the rules say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The phase in which it was met.
    pub phase: Phase,
    /// The provider's words, or ours where it said nothing.
    pub response: Response,
    /// What the rules made of it.
    pub verdict: Verdict,
    /// Who caused it; nobody when it was accepted.
    pub blame: Option<Blame>,
}

/// The provider's words, or ours where it said nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// A reply.
    Replied(Reply),
    /// No reply: what broke, in our words, such as `connection closed by the server`.
    Broken(String),
}

impl Response {
    /// The words, whoever said them.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Replied(reply) => reply.text(),
            Self::Broken(what) => what,
        }
    }

    /// The reply, if there was one.
    #[must_use]
    pub const fn reply(&self) -> Option<&Reply> {
        match self {
            Self::Replied(reply) => Some(reply),
            Self::Broken(_) => None,
        }
    }
}

impl Attempt {
    /// Roughly how many bytes its texts take.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.outcomes.iter().map(|outcome| outcome.finding.response.text().len() + outcome.recipients.len() * 4).sum()
    }

    /// The outcome of one recipient, if this attempt was for it.
    #[must_use]
    pub fn outcome_of(&self, recipient: u32) -> Option<&Outcome> {
        self.outcomes.iter().find(|outcome| outcome.recipients.contains(&recipient))
    }
}
