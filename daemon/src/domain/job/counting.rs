//! What is counted of a job that changes otherwise than by what its attempts met?

use super::{Audience, Job};
use crate::domain::{
    attempt::{Attempt, Fate},
    recipient::RecipientState,
    statistics::{
        Counted, Counts,
        sums::{Sums, with_totals},
    },
};

/// What a job was like before a change, as far as it tells what the change is to be counted as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Uncounted {
    /// A plain job: the places of the recipients that were not final.
    Recipients(Vec<u32>),
    /// A merge job.
    Messages {
        /// How many had expired.
        expired: u32,
        /// How many were submitted.
        submitted: u32,
    },
}

impl Job {
    /// What may come to be counted when the job changes.
    #[must_use]
    pub fn uncounted(&self) -> Uncounted {
        match &self.audience {
            Audience::Together(recipients) => {
                let open = (0..).zip(recipients).filter(|(_, recipient)| !recipient.state.is_final());
                Uncounted::Recipients(open.map(|(place, _)| place).collect())
            }
            Audience::Each(progress) => {
                Uncounted::Messages { expired: progress.tally.expired, submitted: progress.tally.submitted }
            }
        }
    }

    /// What is counted of the change since `before`: whose time ran out, or was ended by a caller, and whose message was found at
    /// the provider. What `attempt` met is counted with the attempt, and not here. Of a merge job, no domains are counted.
    #[must_use]
    pub fn counted_since(&self, before: &Uncounted, attempt: Option<&Attempt>) -> Vec<Counted> {
        match (&self.audience, before) {
            (Audience::Together(_), Uncounted::Recipients(open)) => self.ended_of(open, attempt),
            (Audience::Each(progress), Uncounted::Messages { expired, submitted }) => {
                let more = |now: u32, before: u32, fate| {
                    u64::from(now.saturating_sub(before)).saturating_sub(met(attempt, fate))
                };
                let counts = Counts {
                    expired: more(progress.tally.expired, *expired, Fate::GivenUp),
                    submitted: more(progress.tally.submitted, *submitted, Fate::Submitted),
                    ..Counts::default()
                };
                if counts.all() == 0 { Vec::new() } else { with_totals(Vec::new(), counts, &self.labels) }
            }
            _ => Vec::new(),
        }
    }

    fn ended_of(&self, open: &[u32], attempt: Option<&Attempt>) -> Vec<Counted> {
        let mut sums = Sums::default();
        let mut is_counted = false;
        for place in open {
            let recipient = usize::try_from(*place).ok().and_then(|place| self.recipients().get(place));
            let Some(recipient) = recipient else { continue };
            let was_given_up = || {
                let outcome = attempt.and_then(|attempt| attempt.outcome_of(*place));
                outcome.is_some_and(|outcome| outcome.fate == Fate::GivenUp)
            };
            match &recipient.state {
                RecipientState::Expired { .. } if !was_given_up() => {
                    sums.note(Some(&recipient.address), |counts| counts.expired += 1);
                }
                // Only what was found bears no reply.
                RecipientState::Submitted { reply: None, .. } => {
                    sums.note(Some(&recipient.address), |counts| counts.submitted += 1);
                }
                _ => continue,
            }
            is_counted = true;
        }
        if is_counted { sums.finish(&self.labels) } else { Vec::new() }
    }
}

/// For how many recipients an attempt came to this.
fn met(attempt: Option<&Attempt>, fate: Fate) -> u64 {
    let outcomes = attempt.map_or(&[][..], |attempt| &attempt.outcomes);
    outcomes.iter().filter(|outcome| outcome.fate == fate).map(|outcome| outcome.recipients.len() as u64).sum()
}
