//! What becomes of a job after the provider took its messages, or may have: what comes back, and what is found out.

use super::{Audience, Flight, Job, Schedule};
use crate::domain::{
    inbound::Effect, merge::progress::MergeOutcome, recipient::RecipientState, report::Report, time::Timestamp,
};

impl Job {
    /// Writes down what a mail says that came back about a recipient of a plain job: see [`RecipientState::report`](crate::domain::recipient::RecipientState::report). Other
    /// recipients may be under way meanwhile.
    pub fn report(&mut self, recipient: u32, report: Report) -> Effect {
        let Audience::Together(recipients) = &mut self.audience else { return Effect::None };
        let recipient = usize::try_from(recipient).ok().and_then(|place| recipients.get_mut(place));
        recipient.map_or(Effect::None, |recipient| recipient.state.report(report))
    }

    /// The same for a message of a merge job of which this is known.
    pub fn report_message(&mut self, known: &mut MergeOutcome, report: Report) -> Effect {
        match &mut self.audience {
            Audience::Each(progress) => progress.report(known, report),
            Audience::Together(_) => Effect::None,
        }
    }

    /// Ends the doubt about the message of a plain job: what the provider took is submitted, what it did not take waits again, due
    /// at `now`. False when no recipient is in doubt, or an attempt for others is under way.
    pub fn resolve_doubt(&mut self, found: bool, flight: Flight, now: Timestamp) -> bool {
        let Audience::Together(recipients) = &mut self.audience else { return false };
        if flight == Flight::UnderWay {
            return false;
        }
        let mut resolved = false;
        for recipient in recipients {
            if let Some(state) = recipient.state.reconciled(found, now) {
                recipient.state = state;
                resolved = true;
            }
        }
        if resolved && !found {
            self.wait_again(now);
        }
        resolved
    }

    /// The same for a message of a merge job of which this is known, and which bears no mark. [`Job::reschedule_merge`] comes after
    /// it.
    pub fn resolve_message(&mut self, known: &mut MergeOutcome, found: bool, now: Timestamp) -> bool {
        let Audience::Each(progress) = &mut self.audience else { return false };
        let resolved = progress.resolve_doubt(known, found, now);
        if resolved && known.state.is_pending() && self.schedule == Schedule::Idle {
            self.schedule = Schedule::Waiting { due: now };
        }
        resolved
    }

    /// Since when recipients of a plain job are in doubt, when no attempt is under way.
    #[must_use]
    pub fn doubtful_since(&self, flight: Flight) -> Option<Timestamp> {
        let doubts = self.recipients().iter().filter_map(|recipient| recipient.state.doubtful_since());
        doubts.min().filter(|_| flight == Flight::Grounded)
    }

    /// Whether a copy of the message among what its account has sent tells whether those in doubt got it. That of a plain job
    /// does not when another attempt may have left one: when it was taken for other recipients before, or when there are doubts
    /// of several attempts.
    #[must_use]
    pub fn is_told_by_copy(&self) -> bool {
        let mut doubts = self.recipients().iter().filter_map(|recipient| recipient.state.doubtful_since());
        let first = doubts.next();
        let was_taken = self.recipients().iter().any(|recipient| {
            use RecipientState::{Bounced, Complained, Submitted};
            matches!(recipient.state, Submitted { .. } | Bounced { .. } | Complained { .. })
        });
        !was_taken && doubts.all(|since| Some(since) == first)
    }

    fn wait_again(&mut self, now: Timestamp) {
        self.schedule = match self.schedule {
            Schedule::Held { .. } => Schedule::Held { due: now },
            Schedule::Waiting { .. } | Schedule::Idle => Schedule::Waiting { due: now },
        };
    }
}
