//! What a client submitted, and how it moves from acceptance to its end.
//!
//! A plain job is one message for all its recipients, so its recipients are tried together and share one due time. A
//! merge job is a message for each recipient, and each has a due time of its own.

mod changes;
mod counting;
mod diversion;
mod omission;
mod returns;

pub use self::{counting::Uncounted, diversion::Fallbacks};
use super::{
    address::Address,
    attempt::Attempt,
    ids::{AccountId, Caller, JobId, Label},
    merge::{MergeTally, MessageClass, progress::MergeProgress},
    recipient::Recipient,
    time::Timestamp,
};
pub use super::{
    approval::Approval,
    control::{Control, ControlRefusal, Wish},
    flight::{Flight, Tries},
};

/// Most attempts whose replies a job keeps; older ones are counted only.
pub const ATTEMPTS_KEPT_MAX: usize = 100;
/// Most bytes of replies that a job keeps over all its attempts.
pub const HISTORY_BYTES_MAX: usize = 256 * 1_024;
/// Longest subject that is kept for lists, in bytes.
pub const SUBJECT_KEPT_BYTES_MAX: usize = 200;

/// What a client submitted, without the message's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// The account that sends it.
    pub account: AccountId,
    /// Who submitted it.
    pub caller: Caller,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// The envelope's reverse-path.
    pub sender: Address,
    /// Whom it goes to.
    pub audience: Audience,
    /// The beginning of the subject, for lists.
    pub subject: String,
    /// What the composed message is like; of a merge job only a rough idea.
    pub message: MessageFacts,
    /// How urgent it is.
    pub priority: Priority,
    /// The client's labels; the first one is its lane.
    pub labels: Vec<Label>,
    /// When it is void if it was not sent before.
    pub expires_at: Option<Timestamp>,
    /// When it is tried next.
    pub schedule: Schedule,
    /// How many attempts were made. A merge job counts them by message, and has 0 here.
    pub attempts_made: u32,
    /// When the first attempt began. A merge job notes that by message.
    pub first_attempt_at: Option<Timestamp>,
    /// The latest attempts, oldest first. A merge job keeps none.
    pub attempts: Vec<Attempt>,
    /// What a caller asked for while an attempt was under way; it is done when the attempt ends. A merge job has no
    /// wishes: what is under way ends by itself, and all else obeys at once.
    pub wish: Option<Wish>,
    /// Who may send it instead; nothing once its message was given to a provider, and for a merge job.
    pub fallbacks: Option<Box<Fallbacks>>,
    /// Whether somebody had to approve it; nothing when nobody had to. It is independent of a hold.
    pub approval: Option<Approval>,
    /// The job whose message it sends again, if it does.
    pub resent: Option<JobId>,
    /// Whether its recipients are sent to although they are suppressed.
    pub override_suppression: bool,
}

/// Whom a job goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// A plain job: one message for all of these, in the order of To, Cc and Bcc.
    Together(Vec<Recipient>),
    /// A merge job: a message for each. The recipients are read by page.
    Each(Box<MergeProgress>),
}

/// What the composed message is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageFacts {
    /// The Message-ID with its angle brackets; the same in each attempt.
    pub message_id: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Whether it has bytes beyond ASCII.
    pub is_eight_bit: bool,
}

/// How urgent a job is; the most urgent sorts first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are the order")]
pub enum Priority {
    High,
    #[default]
    Normal,
    Low,
    Bulk,
}

impl Priority {
    /// All priorities, the most urgent first.
    pub const ALL: [Self; 4] = [Self::High, Self::Normal, Self::Low, Self::Bulk];
}

/// When a job is tried next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// At this time or as soon after as its account may send.
    Waiting {
        /// The time.
        due: Timestamp,
    },
    /// Not before a caller releases it, and then not before `due`.
    Held {
        /// The time.
        due: Timestamp,
    },
    /// Never: no recipient is pending.
    Idle,
}

/// The sum of a job's recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobState {
    /// It waits for its release, or for its approval.
    Held,
    /// It waits for the time its client chose.
    Scheduled,
    /// It is due.
    Queued,
    /// An attempt has passed the in-doubt mark.
    Sending,
    /// Some recipients wait for another attempt.
    Deferred,
    /// Some recipients wait for an operator.
    InDoubt,
    /// The provider took all recipients.
    Submitted,
    /// The provider took some recipients, and the others are final too.
    PartlySubmitted,
    /// It was refused.
    Failed,
    /// Its time ran out.
    Expired,
    /// It was withdrawn.
    Cancelled,
    /// It came back from all recipients for whom the provider took it; the others are final too.
    Bounced,
    /// All recipients were left out, because they must not be sent to.
    Suppressed,
}

impl JobState {
    /// Whether nothing will change it any more but a caller's wish.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Submitted
                | Self::PartlySubmitted
                | Self::Failed
                | Self::Expired
                | Self::Cancelled
                | Self::Bounced
                | Self::Suppressed
        )
    }
}

impl Job {
    /// The recipients of a plain job; none of a merge job.
    #[must_use]
    pub fn recipients(&self) -> &[Recipient] {
        match &self.audience {
            Audience::Together(recipients) => recipients,
            Audience::Each(_) => &[],
        }
    }

    /// How far a merge job has come; nothing of a plain job.
    #[must_use]
    pub fn merge(&self) -> Option<&MergeProgress> {
        match &self.audience {
            Audience::Together(_) => None,
            Audience::Each(progress) => Some(progress),
        }
    }

    /// The sum of its recipients' states at `now`. A merge job is in flight when one of its messages is.
    #[must_use]
    pub fn state(&self, flight: Flight, now: Timestamp) -> JobState {
        match self.schedule {
            Schedule::Waiting { .. } | Schedule::Held { .. } if self.awaits_approval() => JobState::Held,
            Schedule::Waiting { .. } if flight == Flight::UnderWay => JobState::Sending,
            Schedule::Idle if self.merge().is_some() && flight == Flight::UnderWay => JobState::Sending,
            Schedule::Waiting { due } if due > now && self.was_tried() => JobState::Deferred,
            Schedule::Waiting { due } if due > now => JobState::Scheduled,
            Schedule::Waiting { .. } => JobState::Queued,
            Schedule::Held { .. } => JobState::Held,
            Schedule::Idle => self.idle_state(),
        }
    }

    fn was_tried(&self) -> bool {
        let some_were = |progress: &MergeProgress| progress.untouched.count() < progress.messages;
        self.merge().map_or(self.attempts_made > 0, some_were)
    }

    fn idle_state(&self) -> JobState {
        if let Some(progress) = self.merge() {
            return sum_of(&progress.tally);
        }
        let mut tally = MergeTally::default();
        for recipient in self.recipients() {
            tally.count(MessageClass::of(&recipient.state));
        }
        sum_of(&tally)
    }

    /// Whether some recipient is not final, so that the job must be kept.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match &self.audience {
            Audience::Together(all) => all.iter().any(|recipient| !recipient.state.is_final()),
            Audience::Each(progress) => progress.is_open(),
        }
    }

    /// When its last recipient became final; nothing while the job is open.
    #[must_use]
    pub fn finished_at(&self) -> Option<Timestamp> {
        if let Some(progress) = self.merge() {
            let end = progress.last_end_at.unwrap_or(self.accepted_at).max(self.accepted_at);
            return (!progress.is_open()).then_some(end);
        }
        let ends: Option<Vec<_>> = self.recipients().iter().map(|recipient| recipient.state.final_at()).collect();
        ends.map(|ends| ends.into_iter().fold(self.accepted_at, Timestamp::max))
    }

    /// What decides about the next try.
    #[must_use]
    pub const fn tries(&self) -> Tries {
        Tries { made: self.attempts_made, first_at: self.first_attempt_at, expires_at: self.expires_at }
    }

    /// The indexes of the recipients that the next attempt of a plain job is for.
    #[must_use]
    pub fn pending(&self) -> Vec<u32> {
        (0..).zip(self.recipients()).filter(|(_, r)| r.state.is_pending()).map(|(index, _)| index).collect()
    }

    /// How many bytes each of its messages has at most.
    #[must_use]
    pub fn message_bytes_max(&self) -> u64 {
        self.merge().map_or(self.message.bytes, |progress| progress.message_bytes_max.max(self.message.bytes))
    }

    /// When the job is due, if it is waiting: neither held nor without an approval that it needs.
    #[must_use]
    pub const fn due(&self) -> Option<Timestamp> {
        match self.schedule {
            Schedule::Waiting { due } if !self.awaits_approval() => Some(due),
            Schedule::Waiting { .. } | Schedule::Held { .. } | Schedule::Idle => None,
        }
    }

    /// Whether nothing of it may go before somebody approves it.
    #[must_use]
    pub const fn awaits_approval(&self) -> bool {
        matches!(self.approval, Some(Approval::Awaited))
    }

    /// Whether its client's time for it has run out.
    #[must_use]
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|expiry| expiry <= now)
    }
}

/// What recipients of whom none waits add up to. A complaint is about a message that arrived.
const fn sum_of(tally: &MergeTally) -> JobState {
    let arrived = tally.submitted + tally.complained;
    if tally.in_doubt > 0 {
        JobState::InDoubt
    } else if arrived > 0 && tally.failed + tally.expired + tally.cancelled + tally.bounced + tally.suppressed == 0 {
        JobState::Submitted
    } else if arrived > 0 {
        JobState::PartlySubmitted
    } else if tally.bounced > 0 {
        JobState::Bounced
    } else if tally.failed > 0 {
        JobState::Failed
    } else if tally.expired > 0 {
        JobState::Expired
    } else if tally.suppressed > 0 && tally.cancelled == 0 {
        JobState::Suppressed
    } else {
        JobState::Cancelled
    }
}
