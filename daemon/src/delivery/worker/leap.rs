//! What a worker does when the wall clock was set forward.

use super::Worker;

impl Worker {
    /// Tells the ledger when the wall clock was set forward, before anything else reads the clock after it.
    pub(super) fn follow_clock(&mut self) {
        let Some(by) = self.clock.leap() else { return };
        self.leapt_at = self.context.clock.now();
        let charges = self.ledger.leapt(by, self.leapt_at);
        self.owes_at_once |= !charges.is_empty();
        self.owe(charges);
        self.window.distrust();
    }
}
