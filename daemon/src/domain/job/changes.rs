//! How a job changes: what attempts, time and callers make of it.

use super::{
    ATTEMPTS_KEPT_MAX, Approval, Audience, Control, ControlRefusal, Flight, HISTORY_BYTES_MAX, Job, Schedule, Wish,
};
use crate::domain::{
    attempt::Attempt,
    ids::Caller,
    merge::progress::{Again, MergeOutcome},
    recipient::{Deferral, Recipient, RecipientState},
    time::Timestamp,
};

impl Job {
    /// Writes an attempt's outcomes into the recipients and does what a caller wished meanwhile.
    ///
    /// Recipients that are deferred are due again at `retry_at`, and those who wait with them; when it left nobody waiting,
    /// others who came to wait meanwhile are due at once. An outcome for a recipient that is not pending
    /// changes nothing: what is final stays final. For plain jobs; see [`Job::settle_message`].
    pub fn settle(&mut self, attempt: Attempt, retry_at: Timestamp) {
        let Audience::Together(recipients) = &mut self.audience else { return };
        self.attempts_made = self.attempts_made.max(attempt.number);
        self.first_attempt_at.get_or_insert(attempt.started);
        let mut due = attempt.ended;
        for outcome in &attempt.outcomes {
            for &index in &outcome.recipients {
                let recipient = usize::try_from(index).ok().and_then(|index| recipients.get_mut(index));
                let Some(recipient) = recipient.filter(|recipient| recipient.state.is_pending()) else {
                    continue;
                };
                recipient.state = RecipientState::after(outcome, &attempt);
                if recipient.state.is_pending() {
                    due = retry_at;
                }
            }
        }
        self.remember(attempt);
        self.reschedule(due);
        let at = self.attempts.last().map_or(retry_at, |attempt| attempt.ended);
        self.fulfil_wish(at);
    }

    /// Does what a caller wished while an attempt was under way that has now ended, and says what that was.
    pub fn fulfil_wish(&mut self, at: Timestamp) -> Option<Control> {
        let control = match self.wish.take()? {
            Wish::Cancel => Control::Cancel,
            Wish::Hold => Control::Hold,
            Wish::Expire => Control::Expire,
        };
        // A wish that finds nothing left to do has come true by itself.
        self.control(control, Flight::Grounded, at).ok().map(|_| control)
    }

    /// Writes what an attempt met into what is known of one message of a merge job. Nothing when there is nothing to be
    /// known. [`Job::reschedule_merge`] comes after it.
    pub fn settle_message(
        &mut self,
        index: u32,
        known: Option<MergeOutcome>,
        flight: Flight,
        attempt: &Attempt,
        retry_at: Timestamp,
    ) -> Option<MergeOutcome> {
        let Audience::Each(progress) = &mut self.audience else { return None };
        progress.settle(index, known, flight, attempt, retry_at)
    }

    /// Brings a merge job's due time to the earliest of its messages that bear no mark; `first_retry` is that of those
    /// that were tried.
    pub fn reschedule_merge(&mut self, first_retry: Option<Timestamp>) {
        let Audience::Each(progress) = &self.audience else { return };
        if progress.has_ended() || progress.tally.waiting == 0 {
            self.schedule = Schedule::Idle;
            return;
        }
        let untouched = (!progress.untouched.is_empty()).then_some(progress.due);
        let first = [untouched, first_retry].into_iter().flatten().min();
        if let (Schedule::Waiting { due } | Schedule::Held { due }, Some(first)) = (&mut self.schedule, first) {
            *due = first;
        }
    }

    /// Ends every pending recipient because the client's time for the job has run out. False when nothing was pending
    /// of a merge job but what is under way.
    pub fn expire(&mut self, now: Timestamp) -> bool {
        let recipients = match &mut self.audience {
            Audience::Together(recipients) => recipients,
            Audience::Each(progress) => {
                let has_ended = progress.expire(now);
                if has_ended {
                    self.schedule = Schedule::Idle;
                }
                return has_ended;
            }
        };
        for recipient in recipients.iter_mut().filter(|recipient| recipient.state.is_pending()) {
            recipient.state = recipient.state.expired(now);
        }
        self.reschedule(now);
        true
    }

    /// Does what a caller asks.
    ///
    /// When a merge job is to be tried again, the answer says how its messages that were tried and bear no mark are to
    /// be opened again: see [`MergeProgress::reopen`](crate::domain::merge::progress::MergeProgress::reopen).
    ///
    /// # Errors
    /// When it would change nothing, or cannot be done now.
    pub fn control(
        &mut self,
        control: Control,
        flight: Flight,
        now: Timestamp,
    ) -> Result<Option<Again>, ControlRefusal> {
        if flight == Flight::UnderWay && self.merge().is_none() {
            return self.wish_for(control).map(|()| None);
        }
        let done = match control {
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
            Control::Retry => return self.retry(now),
            Control::Expire => self.end(now),
        };
        done.map(|()| None)
    }

    fn wish_for(&mut self, control: Control) -> Result<(), ControlRefusal> {
        match (control, self.wish) {
            (Control::Cancel, _) => self.wish = Some(Wish::Cancel),
            (Control::Expire, None | Some(Wish::Hold)) => self.wish = Some(Wish::Expire),
            (Control::Hold, None) => self.wish = Some(Wish::Hold),
            (Control::Release, Some(Wish::Hold)) => self.wish = None,
            (Control::Hold | Control::Release | Control::Expire, _) => return Err(ControlRefusal::NothingToDo),
            (Control::Retry, _) => return Err(ControlRefusal::UnderWay),
        }
        Ok(())
    }

    /// Withdraws what is not final, and who was left out.
    fn cancel(&mut self, now: Timestamp) -> Result<(), ControlRefusal> {
        let recipients = match &mut self.audience {
            Audience::Together(recipients) => recipients,
            Audience::Each(progress) => {
                progress.cancel(now)?;
                self.schedule = Schedule::Idle;
                return Ok(());
            }
        };
        // Those who were left out would wait again when their suppression is lifted.
        let is_open = |state: &RecipientState| !state.is_final() || matches!(state, RecipientState::Suppressed { .. });
        let open = recipients.iter_mut().filter(|recipient| is_open(&recipient.state));
        let withdrawn = open.map(|recipient| recipient.state = RecipientState::Cancelled { at: now }).count();
        self.schedule = Schedule::Idle;
        if withdrawn == 0 { Err(ControlRefusal::NothingToDo) } else { Ok(()) }
    }

    /// Ends what is not final, what is in doubt included.
    fn end(&mut self, now: Timestamp) -> Result<(), ControlRefusal> {
        let recipients = match &mut self.audience {
            Audience::Together(recipients) => recipients,
            Audience::Each(progress) => {
                progress.end(now)?;
                self.schedule = Schedule::Idle;
                return Ok(());
            }
        };
        let open = recipients.iter_mut().filter(|recipient| !recipient.state.is_final());
        let ended = open.map(|recipient| recipient.state = recipient.state.expired(now)).count();
        self.schedule = Schedule::Idle;
        if ended == 0 { Err(ControlRefusal::NothingToDo) } else { Ok(()) }
    }

    /// Notes that somebody approved the job, which may go then unless it is held.
    ///
    /// # Errors
    /// When it does not wait for that, or nothing of it waits any more.
    pub fn approve(&mut self, by: &Caller, now: Timestamp) -> Result<(), ControlRefusal> {
        if !self.awaits_approval() {
            return Err(ControlRefusal::NoApprovalAwaited);
        }
        if self.schedule == Schedule::Idle {
            return Err(ControlRefusal::NothingToDo);
        }
        self.approval = Some(Approval::Given { at: now, by: by.clone() });
        Ok(())
    }

    fn retry(&mut self, now: Timestamp) -> Result<Option<Again>, ControlRefusal> {
        if matches!(self.schedule, Schedule::Held { .. }) {
            return Err(ControlRefusal::IsHeld);
        }
        if self.awaits_approval() {
            return Err(ControlRefusal::AwaitsApproval);
        }
        let again = match &mut self.audience {
            Audience::Together(recipients) => reopen(recipients).map(|()| None),
            Audience::Each(progress) => progress.retry(now).map(Some),
        }?;
        // A caller who asks again sets the clocks back: the old deadlines would end the job at once.
        self.first_attempt_at = None;
        self.expires_at = self.expires_at.filter(|expiry| *expiry > now);
        self.schedule = Schedule::Waiting { due: now };
        Ok(again)
    }

    fn reschedule(&mut self, due: Timestamp) {
        if !self.recipients().iter().any(|recipient| recipient.state.is_pending()) {
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

/// Makes recipients of a plain job wait again.
fn reopen(recipients: &mut [Recipient]) -> Result<(), ControlRefusal> {
    for recipient in &mut *recipients {
        let again = match &recipient.state {
            RecipientState::Failed { at, finding } => Some(Deferral { at: *at, finding: finding.clone() }),
            RecipientState::Expired { .. } | RecipientState::InDoubt { .. } => None,
            _ => continue,
        };
        recipient.state = RecipientState::Pending { deferral: again };
    }
    let some_wait = recipients.iter().any(|recipient| recipient.state.is_pending());
    if some_wait { Ok(()) } else { Err(ControlRefusal::NothingToDo) }
}
