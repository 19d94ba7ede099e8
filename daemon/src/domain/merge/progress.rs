//! How far a merge job has come, and how each change of one message moves it. What is known of a single message stands
//! beside it, message by message, and is brought along by whoever keeps it.

use super::{MergeTally, MessageClass, untouched::Untouched};
use crate::domain::{
    attempt::Attempt,
    control::ControlRefusal,
    flight::{Flight, Tries},
    inbound::Effect,
    recipient::{Deferral, RecipientState},
    report::Report,
    time::Timestamp,
};

/// How far a merge job has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeProgress {
    /// How many messages it has, one for each recipient.
    pub messages: u32,
    /// How many bytes each of them has at most, as was proven when they were taken.
    pub message_bytes_max: u64,
    /// How many of them have come how far.
    pub tally: MergeTally,
    /// When the untouched messages are due.
    pub due: Timestamp,
    /// Those that were never tried.
    pub untouched: Untouched,
    /// How many bear an in-doubt mark.
    pub underway: u32,
    /// That the job's time ran out, or a caller ended it so. What waited then has expired; what was under way ends by
    /// itself.
    pub expired: Option<RestExpired>,
    /// When it was withdrawn. What waited or was in doubt then is cancelled; what was under way ends by itself.
    pub cancelled_at: Option<Timestamp>,
    /// When the last message that is final became so.
    pub last_end_at: Option<Timestamp>,
}

/// That the time of a merge job ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestExpired {
    /// When.
    pub at: Timestamp,
    /// How many messages that ended.
    pub messages: u32,
    /// How many that were in doubt it ended too, as a caller asked for it; nothing when what is in doubt stays so.
    pub doubts: Option<u32>,
}

/// What is known of a message that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeOutcome {
    /// What has become of it, unless the job's end came before: see [`MergeProgress::state_of`].
    pub state: RecipientState,
    /// When it is tried again, while it waits.
    pub due: Timestamp,
    /// How many attempts were made.
    pub attempts_made: u32,
    /// When the first attempt began.
    pub first_attempt_at: Option<Timestamp>,
}

/// A caller's wish that messages wait again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Again {
    /// Since when they are due.
    pub now: Timestamp,
    /// Whether those that waited had expired with the job.
    pub had_expired: bool,
}

impl MergeProgress {
    /// So many messages, all of them due then.
    #[must_use]
    pub fn new(messages: u32, due: Timestamp) -> Self {
        Self {
            messages,
            message_bytes_max: 0,
            tally: MergeTally { waiting: messages, ..MergeTally::default() },
            due,
            untouched: Untouched::all(messages),
            underway: 0,
            expired: None,
            cancelled_at: None,
            last_end_at: None,
        }
    }

    /// The same, whose messages have so many bytes at most.
    #[must_use]
    pub const fn with_message_bytes_max(mut self, bytes: u64) -> Self {
        self.message_bytes_max = bytes;
        self
    }

    /// Whether a message is under way.
    #[must_use]
    pub const fn flight(&self) -> Flight {
        if self.underway > 0 { Flight::UnderWay } else { Flight::Grounded }
    }

    /// Whether some message is not final.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.tally.waiting > 0 || self.tally.in_doubt > 0
    }

    /// Whether the job was withdrawn or its time ran out, so that nothing of it is tried any more.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.expired.is_some() || self.cancelled_at.is_some()
    }

    /// What has become of a message, of which this is known.
    #[must_use]
    pub fn state_of(&self, known: Option<&MergeOutcome>, flight: Flight) -> RecipientState {
        let state = known.map_or(RecipientState::Pending { deferral: None }, |known| known.state.clone());
        match (state, self.expired, self.cancelled_at) {
            (RecipientState::Pending { deferral }, Some(end), _) if flight == Flight::Grounded => {
                RecipientState::Expired { at: end.at, last: deferral.map(|deferral| deferral.finding) }
            }
            (RecipientState::Pending { .. }, None, Some(at)) if flight == Flight::Grounded => {
                RecipientState::Cancelled { at }
            }
            (RecipientState::InDoubt { .. }, Some(RestExpired { at, doubts: Some(_), .. }), _) => {
                RecipientState::Expired { at, last: None }
            }
            (RecipientState::InDoubt { .. }, _, Some(at)) => RecipientState::Cancelled { at },
            (state, _, _) => state,
        }
    }

    /// What decides about the next try of a message.
    #[must_use]
    pub fn tries_of(known: Option<&MergeOutcome>, expires_at: Option<Timestamp>) -> Tries {
        Tries {
            made: known.map_or(0, |known| known.attempts_made),
            first_at: known.and_then(|known| known.first_attempt_at),
            expires_at,
        }
    }

    /// Whether a message that bears no mark waits for an attempt.
    #[must_use]
    pub fn waits(&self, index: u32, known: Option<&MergeOutcome>) -> bool {
        !self.has_ended() && known.map_or_else(|| self.untouched.contains(index), |known| known.state.is_pending())
    }

    /// Notes that a message that waited bears an in-doubt mark.
    pub fn begin(&mut self, index: u32) {
        self.untouched.remove(index);
        self.underway += 1;
    }

    /// Notes that the mark of a message is gone and no attempt was made.
    pub fn give_back(&mut self, index: u32, known: Option<&MergeOutcome>) {
        self.underway = self.underway.saturating_sub(1);
        if known.is_none() && index < self.messages {
            self.untouched.insert(index);
        }
        let end = match (&mut self.expired, self.cancelled_at) {
            (Some(end), _) => {
                end.messages += 1;
                MessageClass::Expired
            }
            (None, Some(_)) => MessageClass::Cancelled,
            (None, None) => return,
        };
        self.tally.move_one(MessageClass::Waiting, end);
    }

    /// Writes what an attempt met into what is known of a message: as [`Job::settle`](crate::domain::job::Job::settle)
    /// does, what is final stays final. Nothing when there is nothing to be known.
    pub fn settle(
        &mut self,
        index: u32,
        known: Option<MergeOutcome>,
        flight: Flight,
        attempt: &Attempt,
        retry_at: Timestamp,
    ) -> Option<MergeOutcome> {
        let was = self.state_of(known.as_ref(), flight);
        if flight == Flight::UnderWay {
            self.underway = self.underway.saturating_sub(1);
        }
        if index >= self.messages || known.is_none() && !was.is_pending() {
            return None;
        }
        let fresh = || MergeOutcome { state: was.clone(), due: retry_at, attempts_made: 0, first_attempt_at: None };
        let mut known = known.unwrap_or_else(fresh);
        known.attempts_made = known.attempts_made.max(attempt.number);
        known.first_attempt_at.get_or_insert(attempt.started);
        if was.is_pending() {
            self.untouched.remove(index);
            let met = attempt.outcome_of(index).map(|outcome| RecipientState::after(outcome, attempt));
            known.state = self.unless_ended(met.unwrap_or(was), attempt.ended);
            known.due = retry_at;
            self.tally.move_one(MessageClass::Waiting, MessageClass::of(&known.state));
            self.note_end(known.state.final_at());
        }
        Some(known)
    }

    /// Writes down what a mail says that came back about a message: see [`RecipientState::report`].
    pub fn report(&mut self, known: &mut MergeOutcome, report: Report) -> Effect {
        let mut state = self.state_of(Some(known), Flight::Grounded);
        let class = MessageClass::of(&state);
        let effect = state.report(report);
        if matches!(effect, Effect::Bounced | Effect::Complained) {
            self.put(known, class, state);
        }
        effect
    }

    /// Ends the doubt about a message that bears no mark; false when it is not in doubt. One that was not taken waits again unless
    /// the job has ended meanwhile.
    pub fn resolve_doubt(&mut self, known: &mut MergeOutcome, found: bool, now: Timestamp) -> bool {
        let state = self.state_of(Some(known), Flight::Grounded);
        let Some(resolved) = state.reconciled(found, now) else { return false };
        known.due = now;
        let resolved = self.unless_ended(resolved, now);
        self.put(known, MessageClass::InDoubt, resolved);
        true
    }

    /// Whether what is known to be in doubt still is: the job's end may have ended that too.
    #[must_use]
    pub fn keeps_doubts(&self) -> bool {
        self.cancelled_at.is_none() && self.expired.is_none_or(|end| end.doubts.is_none())
    }

    fn put(&mut self, known: &mut MergeOutcome, class: MessageClass, state: RecipientState) {
        self.tally.move_one(class, MessageClass::of(&state));
        self.note_end(state.final_at());
        known.state = state;
    }

    /// What a message comes to that was under way when the job ended.
    fn unless_ended(&self, state: RecipientState, at: Timestamp) -> RecipientState {
        match state {
            RecipientState::Pending { deferral } if self.expired.is_some() => {
                RecipientState::Expired { at, last: deferral.map(|deferral| deferral.finding) }
            }
            RecipientState::Pending { .. } | RecipientState::InDoubt { .. } if self.cancelled_at.is_some() => {
                RecipientState::Cancelled { at }
            }
            RecipientState::InDoubt { .. } if self.expired.is_some_and(|end| end.doubts.is_some()) => {
                RecipientState::Expired { at, last: None }
            }
            state => state,
        }
    }

    /// Ends what waits, because the client's time for it has run out; false when nothing waits.
    pub fn expire(&mut self, now: Timestamp) -> bool {
        let messages = self.tally.waiting - self.underway;
        if messages == 0 || self.has_ended() {
            return false;
        }
        self.tally.waiting -= messages;
        self.tally.expired += messages;
        self.expired = Some(RestExpired { at: now, messages, doubts: None });
        self.note_end(Some(now));
        true
    }

    /// Ends what waits or is in doubt as expired, because a caller wants that. What is under way ends when its attempt
    /// does, unless it is taken.
    ///
    /// # Errors
    /// When there is nothing of that kind, or it was done before, or the job was withdrawn.
    pub fn end(&mut self, now: Timestamp) -> Result<(), ControlRefusal> {
        let (messages, doubts) = (self.tally.waiting - self.underway, self.tally.in_doubt);
        let was_ended = self.expired.is_some_and(|end| end.doubts.is_some()) && messages + doubts == 0;
        if !self.is_open() || self.cancelled_at.is_some() || was_ended {
            return Err(ControlRefusal::NothingToDo);
        }
        self.tally.waiting -= messages;
        self.tally.in_doubt = 0;
        self.tally.expired += messages + doubts;
        let end = self.expired.get_or_insert(RestExpired { at: now, messages: 0, doubts: None });
        end.messages += messages;
        *end.doubts.get_or_insert(0) += doubts;
        self.note_end(Some(now));
        Ok(())
    }

    /// Withdraws what waits or is in doubt. What was left out stays so, and does not wait again when its suppression is lifted.
    ///
    /// # Errors
    /// When there is nothing of that kind, or it was done before.
    pub fn cancel(&mut self, now: Timestamp) -> Result<(), ControlRefusal> {
        let may_wait = self.is_open() || self.tally.suppressed > 0;
        if !may_wait || self.cancelled_at.is_some() {
            return Err(ControlRefusal::NothingToDo);
        }
        let waiting = self.tally.waiting - self.underway;
        self.tally.waiting -= waiting;
        self.tally.cancelled += waiting + self.tally.in_doubt;
        self.tally.in_doubt = 0;
        self.cancelled_at = Some(now);
        self.note_end(Some(now));
        Ok(())
    }

    /// Makes the job wait again; its messages that were tried are to be brought to [`MergeProgress::reopen`].
    ///
    /// # Errors
    /// When nothing of it could be tried again.
    pub fn retry(&mut self, now: Timestamp) -> Result<Again, ControlRefusal> {
        let tally = &mut self.tally;
        if self.cancelled_at.is_some() {
            return Err(ControlRefusal::WasCancelled);
        }
        if tally.waiting - self.underway + tally.failed + tally.in_doubt + tally.expired == 0 {
            return Err(if self.underway > 0 { ControlRefusal::UnderWay } else { ControlRefusal::NothingToDo });
        }
        let had_expired = self.expired.take();
        if let Some(end) = had_expired {
            tally.expired -= end.messages;
            tally.waiting += end.messages;
            let doubts = end.doubts.unwrap_or(0);
            tally.expired -= doubts;
            tally.in_doubt += doubts;
        }
        self.due = now;
        Ok(Again { now, had_expired: had_expired.is_some() })
    }

    /// Makes a message wait again that bears no mark; false when it is left as it is.
    pub fn reopen(&mut self, known: &mut MergeOutcome, again: Again) -> bool {
        let deferral = match &mut known.state {
            RecipientState::Pending { deferral } => deferral.take().filter(|_| !again.had_expired),
            RecipientState::Failed { at, finding } => Some(Deferral { at: *at, finding: finding.clone() }),
            RecipientState::Expired { .. } | RecipientState::InDoubt { .. } => None,
            RecipientState::Submitted { .. }
            | RecipientState::Cancelled { .. }
            | RecipientState::Bounced { .. }
            | RecipientState::Complained { .. }
            | RecipientState::Suppressed { .. } => return false,
        };
        self.tally.move_one(MessageClass::of(&known.state), MessageClass::Waiting);
        known.state = RecipientState::Pending { deferral };
        known.due = again.now;
        // A caller who asks again sets the clock back.
        known.first_attempt_at = None;
        true
    }

    pub(super) fn note_end(&mut self, at: Option<Timestamp>) {
        self.last_end_at = self.last_end_at.max(at);
    }
}
