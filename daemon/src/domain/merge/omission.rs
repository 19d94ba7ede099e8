//! How messages of a merge job are left out because their recipients must not be sent to, and how they wait again.

use super::{
    MessageClass,
    progress::{MergeOutcome, MergeProgress},
};
use crate::domain::{recipient::RecipientState, suppression::SuppressedBy, time::Timestamp};

impl MergeProgress {
    /// Leaves a message out that bears no mark, and says what is known of it then; nothing when it does not wait.
    pub fn leave_out(
        &mut self,
        index: u32,
        known: Option<MergeOutcome>,
        by: SuppressedBy,
        now: Timestamp,
    ) -> Option<MergeOutcome> {
        if !self.waits(index, known.as_ref()) {
            return None;
        }
        let state = RecipientState::Suppressed { at: now, by: Box::new(by) };
        let mut left = known.unwrap_or(MergeOutcome {
            state: RecipientState::Pending { deferral: None },
            due: now,
            attempts_made: 0,
            first_attempt_at: None,
        });
        left.state = state;
        self.untouched.remove(index);
        self.tally.move_one(MessageClass::Waiting, MessageClass::Suppressed);
        self.note_end(Some(now));
        Some(left)
    }

    /// Lets a message wait again that was left out, at once or when the job's messages are due; false when it was not left out, or
    /// nothing of the job is tried any more.
    pub fn readmit(&mut self, known: &mut MergeOutcome, now: Timestamp) -> bool {
        if self.has_ended() || !matches!(known.state, RecipientState::Suppressed { .. }) {
            return false;
        }
        known.state = RecipientState::Pending { deferral: None };
        known.due = now.max(self.due);
        known.first_attempt_at = None;
        self.tally.move_one(MessageClass::Suppressed, MessageClass::Waiting);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        merge::MergeTally,
        suppression::{SuppressionReason, SuppressionScope},
        time::Timestamp,
    };

    const fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn by() -> SuppressedBy {
        SuppressedBy { scope: SuppressionScope::Global, reason: SuppressionReason::Complaint }
    }

    #[test]
    fn a_message_is_left_out_once_and_waits_again() {
        let mut progress = MergeProgress::new(3, at(5));
        let mut known = progress.leave_out(1, None, by(), at(6)).unwrap();
        assert_eq!(progress.leave_out(1, Some(known.clone()), by(), at(6)), None);
        assert_eq!(progress.leave_out(3, None, by(), at(6)), None, "there is no such message");
        assert_eq!(progress.tally, MergeTally { waiting: 2, suppressed: 1, ..MergeTally::default() });
        assert_eq!((progress.untouched.count(), progress.last_end_at), (2, Some(at(6))));
        assert!(progress.readmit(&mut known, at(4)));
        assert_eq!((known.state.is_pending(), known.due), (true, at(5)), "not before the others");
        assert!(!progress.readmit(&mut known, at(9)), "it waits already");
        assert_eq!(progress.tally, MergeTally { waiting: 3, ..MergeTally::default() });
        assert_eq!(progress.untouched.count(), 2, "it counts as looked at");
    }

    #[test]
    fn a_job_that_was_withdrawn_takes_nothing_back() {
        let mut progress = MergeProgress::new(2, at(5));
        let mut known = progress.leave_out(0, None, by(), at(6)).unwrap();
        progress.cancel(at(7)).unwrap();
        assert!(!progress.readmit(&mut known, at(8)));
        assert_eq!(progress.leave_out(1, None, by(), at(8)), None);
    }

    #[test]
    fn a_job_of_which_all_were_left_out_can_be_withdrawn() {
        let mut progress = MergeProgress::new(1, at(5));
        let mut known = progress.leave_out(0, None, by(), at(6)).unwrap();
        progress.cancel(at(7)).unwrap();
        assert!(!progress.readmit(&mut known, at(8)));
        assert!(progress.cancel(at(9)).is_err());
    }
}
