//! What a client submitted, and how it moves from acceptance to its end.
//!
//! A plain job is one message for all its recipients, so its recipients are tried together and share one due time.

use super::{
    address::Address,
    attempt::{Attempt, Fate},
    ids::{AccountId, Caller, JobId, Label},
    recipient::{Deferral, Recipient, RecipientState},
    time::Timestamp,
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
    /// Its recipients, in the order of To, Cc and Bcc.
    pub recipients: Vec<Recipient>,
    /// The beginning of the subject, for lists.
    pub subject: String,
    /// What the composed message is like.
    pub message: MessageFacts,
    /// How urgent it is.
    pub priority: Priority,
    /// The client's labels; the first one is its lane.
    pub labels: Vec<Label>,
    /// When it is void if it was not sent before.
    pub expires_at: Option<Timestamp>,
    /// When it is tried next.
    pub schedule: Schedule,
    /// How many attempts were made.
    pub attempts_made: u32,
    /// When the first attempt began.
    pub first_attempt_at: Option<Timestamp>,
    /// The latest attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// What a caller asked for while an attempt was under way; it is done when the attempt ends.
    pub wish: Option<Wish>,
}

/// What decides about a message's next try.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tries {
    /// How many attempts were made.
    pub made: u32,
    /// When the first one began.
    pub first_at: Option<Timestamp>,
    /// When the job is void.
    pub expires_at: Option<Timestamp>,
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

/// What is done to a job when the attempt under way ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the calls")]
pub enum Wish {
    Cancel,
    Hold,
}

/// What a caller may do to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Withdraw every recipient that is not final.
    Cancel,
    /// Try nothing until it is released.
    Hold,
    /// End a hold.
    Release,
    /// Try all recipients that are deferred, in doubt, failed or expired again, now.
    Retry,
}

/// Whether an attempt has passed the point from which the provider may take the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flight {
    /// No attempt is under way, or it is still safe to withdraw.
    Grounded,
    /// The in-doubt mark is set.
    UnderWay,
}

/// Why a control call does nothing to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlRefusal {
    /// Nothing of it can be withdrawn, held or tried any more.
    #[error("the job has no recipient that this could concern")]
    NothingToDo,
    /// It must be released first.
    #[error("the job is held: release it first")]
    IsHeld,
    /// An attempt is under way.
    #[error("an attempt is under way: repeat the call when it has ended")]
    UnderWay,
}

/// The sum of a job's recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobState {
    /// It waits for its release.
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
}

impl JobState {
    /// Whether nothing will change it any more but a caller's wish.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Submitted | Self::PartlySubmitted | Self::Failed | Self::Expired | Self::Cancelled)
    }
}

impl Job {
    /// The sum of its recipients' states at `now`.
    #[must_use]
    pub fn state(&self, flight: Flight, now: Timestamp) -> JobState {
        match self.schedule {
            Schedule::Waiting { .. } if flight == Flight::UnderWay => JobState::Sending,
            Schedule::Waiting { due } if due > now && self.attempts_made > 0 => JobState::Deferred,
            Schedule::Waiting { due } if due > now => JobState::Scheduled,
            Schedule::Waiting { .. } => JobState::Queued,
            Schedule::Held { .. } => JobState::Held,
            Schedule::Idle => self.idle_state(),
        }
    }

    fn idle_state(&self) -> JobState {
        let any = |wanted: fn(&RecipientState) -> bool| self.recipients.iter().any(|r| wanted(&r.state));
        let submitted = |state: &RecipientState| matches!(state, RecipientState::Submitted { .. });
        if any(|state| matches!(state, RecipientState::InDoubt { .. })) {
            JobState::InDoubt
        } else if self.recipients.iter().all(|r| submitted(&r.state)) {
            JobState::Submitted
        } else if any(submitted) {
            JobState::PartlySubmitted
        } else if any(|state| matches!(state, RecipientState::Failed { .. })) {
            JobState::Failed
        } else if any(|state| matches!(state, RecipientState::Expired { .. })) {
            JobState::Expired
        } else {
            JobState::Cancelled
        }
    }

    /// Whether some recipient is not final, so that the job must be kept.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.recipients.iter().any(|recipient| !recipient.state.is_final())
    }

    /// When its last recipient became final; nothing while the job is open.
    #[must_use]
    pub fn finished_at(&self) -> Option<Timestamp> {
        let ends: Option<Vec<_>> = self.recipients.iter().map(|recipient| recipient.state.final_at()).collect();
        ends.map(|ends| ends.into_iter().fold(self.accepted_at, Timestamp::max))
    }

    /// What decides about the next try.
    #[must_use]
    pub const fn tries(&self) -> Tries {
        Tries { made: self.attempts_made, first_at: self.first_attempt_at, expires_at: self.expires_at }
    }

    /// The indexes of the recipients that the next attempt is for.
    #[must_use]
    pub fn pending(&self) -> Vec<u32> {
        (0..).zip(&self.recipients).filter(|(_, r)| r.state.is_pending()).map(|(index, _)| index).collect()
    }

    /// When the job is due, if it is waiting.
    #[must_use]
    pub const fn due(&self) -> Option<Timestamp> {
        match self.schedule {
            Schedule::Waiting { due } => Some(due),
            Schedule::Held { .. } | Schedule::Idle => None,
        }
    }

    /// Whether its client's time for it has run out.
    #[must_use]
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|expiry| expiry <= now)
    }

    /// Writes an attempt's outcomes into the recipients and does what a caller wished meanwhile.
    ///
    /// Recipients with [`Fate::Deferred`] are due again at `retry_at`. An outcome for a recipient that is not pending
    /// changes nothing: what is final stays final.
    pub fn settle(&mut self, attempt: Attempt, retry_at: Timestamp) {
        self.attempts_made = self.attempts_made.max(attempt.number);
        self.first_attempt_at.get_or_insert(attempt.started);
        for outcome in &attempt.outcomes {
            for &index in &outcome.recipients {
                let recipient = usize::try_from(index).ok().and_then(|index| self.recipients.get_mut(index));
                let Some(recipient) = recipient.filter(|recipient| recipient.state.is_pending()) else {
                    continue;
                };
                recipient.state = state_after(outcome, &attempt);
            }
        }
        self.remember(attempt);
        self.reschedule(retry_at);
        let at = self.attempts.last().map_or(retry_at, |attempt| attempt.ended);
        self.fulfil_wish(at);
    }

    /// Does what a caller wished while an attempt was under way that has now ended, and says what that was.
    pub fn fulfil_wish(&mut self, at: Timestamp) -> Option<Control> {
        let control = match self.wish.take()? {
            Wish::Cancel => Control::Cancel,
            Wish::Hold => Control::Hold,
        };
        // A wish that finds nothing left to do has come true by itself.
        self.control(control, Flight::Grounded, at).ok().map(|()| control)
    }

    /// Ends every pending recipient because the client's time for the job has run out.
    pub fn expire(&mut self, now: Timestamp) {
        for recipient in &mut self.recipients {
            if let RecipientState::Pending { deferral } = &mut recipient.state {
                let last = deferral.take().map(|deferral| deferral.finding);
                recipient.state = RecipientState::Expired { at: now, last };
            }
        }
        self.reschedule(now);
    }

    /// Does what a caller asks.
    ///
    /// # Errors
    /// When it would change nothing, or cannot be done now.
    pub fn control(&mut self, control: Control, flight: Flight, now: Timestamp) -> Result<(), ControlRefusal> {
        if flight == Flight::UnderWay {
            return self.wish_for(control);
        }
        match control {
            Control::Cancel => self.cancel(now),
            Control::Hold => match self.schedule {
                Schedule::Waiting { due } => {
                    self.schedule = Schedule::Held { due };
                    Ok(())
                }
                Schedule::Held { .. } | Schedule::Idle => Err(ControlRefusal::NothingToDo),
            },
            Control::Release => match self.schedule {
                Schedule::Held { due } => {
                    self.schedule = Schedule::Waiting { due };
                    Ok(())
                }
                Schedule::Waiting { .. } | Schedule::Idle => Err(ControlRefusal::NothingToDo),
            },
            Control::Retry => self.retry(now),
        }
    }

    fn wish_for(&mut self, control: Control) -> Result<(), ControlRefusal> {
        match (control, self.wish) {
            (Control::Cancel, _) => self.wish = Some(Wish::Cancel),
            (Control::Hold, None) => self.wish = Some(Wish::Hold),
            (Control::Release, Some(Wish::Hold)) => self.wish = None,
            (Control::Hold | Control::Release, _) => return Err(ControlRefusal::NothingToDo),
            (Control::Retry, _) => return Err(ControlRefusal::UnderWay),
        }
        Ok(())
    }

    fn cancel(&mut self, now: Timestamp) -> Result<(), ControlRefusal> {
        let open = self.recipients.iter_mut().filter(|recipient| !recipient.state.is_final());
        let withdrawn = open.map(|recipient| recipient.state = RecipientState::Cancelled { at: now }).count();
        self.schedule = Schedule::Idle;
        if withdrawn == 0 { Err(ControlRefusal::NothingToDo) } else { Ok(()) }
    }

    fn retry(&mut self, now: Timestamp) -> Result<(), ControlRefusal> {
        if matches!(self.schedule, Schedule::Held { .. }) {
            return Err(ControlRefusal::IsHeld);
        }
        for recipient in &mut self.recipients {
            let again = match &recipient.state {
                RecipientState::Failed { at, finding } => Some(Deferral { at: *at, finding: finding.clone() }),
                RecipientState::Expired { .. } | RecipientState::InDoubt { .. } => None,
                _ => continue,
            };
            recipient.state = RecipientState::Pending { deferral: again };
        }
        if !self.recipients.iter().any(|recipient| recipient.state.is_pending()) {
            return Err(ControlRefusal::NothingToDo);
        }
        // A caller who asks again sets the clocks back: the old deadlines would end the job at once.
        self.first_attempt_at = None;
        self.expires_at = self.expires_at.filter(|expiry| *expiry > now);
        self.schedule = Schedule::Waiting { due: now };
        Ok(())
    }

    fn reschedule(&mut self, due: Timestamp) {
        if !self.recipients.iter().any(|recipient| recipient.state.is_pending()) {
            self.schedule = Schedule::Idle;
        } else if let Schedule::Waiting { due: old } | Schedule::Held { due: old } = &mut self.schedule {
            *old = due;
        }
    }

    fn remember(&mut self, attempt: Attempt) {
        self.attempts.push(attempt);
        let mut bytes: usize = self.attempts.iter().map(Attempt::text_bytes).sum();
        let mut surplus = 0;
        while surplus + 1 < self.attempts.len()
            && (self.attempts.len() - surplus > ATTEMPTS_KEPT_MAX || bytes > HISTORY_BYTES_MAX)
        {
            bytes -= self.attempts[surplus].text_bytes();
            surplus += 1;
        }
        self.attempts.drain(..surplus);
    }
}

fn state_after(outcome: &super::attempt::Outcome, attempt: &Attempt) -> RecipientState {
    let finding = outcome.finding.clone();
    let at = attempt.ended;
    match (outcome.fate, outcome.finding.response.reply()) {
        (Fate::Submitted, Some(reply)) => RecipientState::Submitted { at, reply: reply.clone() },
        // Without the provider's word nothing counts as submitted.
        (Fate::Submitted, None) | (Fate::LeftInDoubt, _) => RecipientState::InDoubt { since: attempt.started },
        (Fate::Deferred, _) => RecipientState::Pending { deferral: Some(Deferral { at, finding }) },
        (Fate::Failed, _) => RecipientState::Failed { at, finding },
        (Fate::GivenUp, _) => RecipientState::Expired { at, last: Some(finding) },
    }
}
