//! How recipients are left out of a job because they must not be sent to, and how they wait again when that is over.

use super::{Audience, Job, Schedule, Wish};
use crate::domain::{
    recipient::RecipientState,
    suppression::{SuppressedBy, SuppressedMailbox, SuppressionKey},
    time::Timestamp,
};

impl Job {
    /// Leaves recipients of a plain job out, and says which: those that wait. A job of which nobody waits any more is not tried
    /// again. For merge jobs see [`MergeProgress::leave_out`](crate::domain::merge::progress::MergeProgress::leave_out).
    pub fn leave_out(&mut self, omitted: impl IntoIterator<Item = (u32, SuppressedBy)>, at: Timestamp) -> Vec<u32> {
        let Audience::Together(recipients) = &mut self.audience else { return Vec::new() };
        let mut left = Vec::new();
        for (index, by) in omitted {
            let recipient = usize::try_from(index).ok().and_then(|index| recipients.get_mut(index));
            if let Some(recipient) = recipient.filter(|recipient| recipient.state.is_pending()) {
                recipient.state = RecipientState::Suppressed { at, by: Box::new(by) };
                left.push(index);
            }
        }
        if !recipients.iter().any(|recipient| recipient.state.is_pending()) {
            self.schedule = Schedule::Idle;
        }
        left
    }

    /// Lets the recipients of a plain job wait again that the suppression of this key held back, and says how many there are.
    /// They are due with those that wait already; when nobody does, now.
    pub fn readmit(&mut self, key: &SuppressionKey, now: Timestamp) -> u32 {
        if self.is_over(now) {
            return 0;
        }
        let Audience::Together(recipients) = &mut self.audience else { return 0 };
        let mut readmitted = 0;
        for recipient in recipients {
            let RecipientState::Suppressed { by, .. } = &recipient.state else { continue };
            if by.scope == key.scope && SuppressedMailbox::of(&recipient.address) == key.mailbox {
                recipient.state = RecipientState::Pending { deferral: None };
                readmitted += 1;
            }
        }
        if readmitted > 0 && self.schedule == Schedule::Idle {
            self.schedule = Schedule::Waiting { due: now };
            // As with a retry, the old deadlines would end the job at once.
            self.first_attempt_at = None;
        }
        readmitted
    }

    /// Whether it was withdrawn or its time has run out, so that nothing more of it may go.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        let has_ended = match &self.audience {
            Audience::Each(progress) => progress.has_ended(),
            Audience::Together(recipients) => {
                let ended = |state: &RecipientState| {
                    matches!(state, RecipientState::Cancelled { .. } | RecipientState::Expired { .. })
                };
                matches!(self.wish, Some(Wish::Cancel | Wish::Expire))
                    || recipients.iter().any(|recipient| ended(&recipient.state))
            }
        };
        has_ended || self.has_expired(now)
    }
}
