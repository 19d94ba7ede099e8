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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            job::{Approval, Control, Flight, JobState},
            suppression::{SuppressionReason, SuppressionScope},
        },
        storage::contract::samples::{also_to, at, sample_job},
    };

    fn by() -> SuppressedBy {
        SuppressedBy { scope: SuppressionScope::Global, reason: SuppressionReason::Manual }
    }

    fn key(address: &str) -> SuppressionKey {
        SuppressionKey::new(SuppressionScope::Global, &address.parse().unwrap())
    }

    fn job() -> Job {
        let mut job = sample_job("sales", 1);
        also_to(&mut job, "Hanako@example.com");
        job
    }

    #[test]
    fn others_wait_on_when_one_is_left_out() {
        let mut job = job();
        assert_eq!(job.leave_out([(1, by()), (7, by())], at(2)), [1]);
        assert_eq!(job.leave_out([(1, by())], at(3)), [0_u32; 0], "it was left out before");
        assert_eq!((job.pending(), job.due()), (vec![0], Some(at(1))));
        assert_eq!(job.leave_out([(0, by())], at(4)), [0]);
        assert_eq!((job.due(), job.finished_at()), (None, Some(at(4))));
        assert_eq!(job.state(Flight::Grounded, at(5)), JobState::Suppressed);
    }

    #[test]
    fn who_is_let_in_again_waits_with_the_others_or_at_once() {
        let mut first = job();
        first.leave_out([(1, by())], at(2));
        assert_eq!(first.readmit(&key("taro@example.com"), at(9)), 0, "somebody else");
        assert_eq!(first.readmit(&key("hanako@EXAMPLE.com"), at(9)), 1);
        assert_eq!(first, job());
        let mut second = job();
        second.leave_out([(0, by()), (1, by())], at(2));
        assert_eq!(second.readmit(&key("hanako@example.com"), at(9)), 1);
        assert_eq!((second.pending(), second.due()), (vec![1], Some(at(9))));
        second.approval = Some(Approval::Awaited);
        assert_eq!(second.due(), None, "it still has to be approved");
    }

    #[test]
    fn what_is_over_takes_nobody_back() {
        let mut given = job();
        given.leave_out([(1, by())], at(2));
        let mut cancelled = given.clone();
        cancelled.control(Control::Cancel, Flight::Grounded, at(3)).unwrap();
        let mut wished = given.clone();
        wished.control(Control::Cancel, Flight::UnderWay, at(3)).unwrap();
        let mut ended = given.clone();
        ended.control(Control::Expire, Flight::Grounded, at(3)).unwrap();
        let late = Job { expires_at: Some(at(9)), ..given.clone() };
        for mut job in [cancelled, wished, ended, late] {
            assert_eq!(job.readmit(&key("hanako@example.com"), at(9)), 0, "{job:?}");
        }
        assert_eq!(given.readmit(&key("hanako@example.com"), at(9)), 1);
    }
}
