//! What a worker does when a quiet window begins and ends.

use super::Worker;
use crate::domain::time::Timestamp;

impl Worker {
    /// When a quiet window begins, the couriers finish what is past its final dot and give the rest back.
    pub(super) fn follow_hours(&mut self) {
        let stretch = self.quiet.stretch(self.context.clock.now());
        if stretch.is_quiet && !self.was_quiet {
            let until = stretch.until.map(|until| until.to_string());
            tracing::debug!(account = %self.tenure.account, until, "a quiet window: nothing is sent");
            self.roster.dismiss();
        }
        self.was_quiet = stretch.is_quiet;
    }

    /// When the next quiet window begins, if something is under way that must be recalled then.
    pub(super) fn quiet_begins(&mut self) -> Option<Timestamp> {
        if self.window.underway() == 0 {
            return None;
        }
        let stretch = self.quiet.stretch(self.context.clock.now());
        stretch.until.filter(|_| !stretch.is_quiet)
    }
}
