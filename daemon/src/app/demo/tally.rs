//! How do an account's jobs stand?

use hikyaku_client::proto::JobState;

/// Jobs by what has become of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) sent: usize,
    pub(super) failed: usize,
    /// To be sent at a later time that the client chose.
    pub(super) scheduled: usize,
    /// The daemon cannot know whether the server took it, and sends no second copy unasked.
    pub(super) in_doubt: usize,
    /// Refused for now, to be tried again.
    pub(super) deferred: usize,
    /// To be sent as soon as the quota allows.
    pub(super) queued: usize,
    /// In a state that nothing in the demo leads to.
    pub(super) strange: usize,
}

impl Tally {
    pub(super) fn of(states: impl IntoIterator<Item = JobState>) -> Self {
        let mut tally = Self::default();
        for state in states {
            let count = match state {
                JobState::Submitted => &mut tally.sent,
                JobState::Failed => &mut tally.failed,
                JobState::Scheduled => &mut tally.scheduled,
                JobState::InDoubt => &mut tally.in_doubt,
                JobState::Deferred => &mut tally.deferred,
                JobState::Queued | JobState::Sending => &mut tally.queued,
                JobState::Unspecified
                | JobState::Held
                | JobState::PartlySubmitted
                | JobState::Expired
                | JobState::Cancelled
                | JobState::Bounced
                | JobState::Suppressed => &mut tally.strange,
            };
            *count += 1;
        }
        tally
    }

    /// Jobs that are not final.
    pub(super) fn waiting(&self) -> usize {
        self.scheduled + self.in_doubt + self.deferred + self.queued
    }

    /// Whether nothing more happens by itself today.
    pub(super) fn is_settled(&self) -> bool {
        self.deferred + self.queued == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_counted_once() {
        let all = (0..=11).map(|state| JobState::try_from(state).unwrap());
        let tally = Tally::of(all);
        assert_eq!((tally.sent, tally.failed, tally.waiting(), tally.strange), (1, 1, 5, 5));
        assert!(!tally.is_settled());
        assert!(Tally::of([JobState::Submitted, JobState::Scheduled, JobState::InDoubt]).is_settled());
    }
}
