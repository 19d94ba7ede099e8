//! How the model suppresses addresses, and counts what may come to that.

use super::model::Model;
use crate::domain::{
    suppression::{SoftBounce, Suppression},
    time::Timestamp,
};

impl Model {
    /// Suppresses an address, unless it is suppressed for as long already.
    pub(super) fn suppress_longer(&mut self, _suppression: &Suppression) {}

    /// Counts a message that came back for a reason that may pass, and suppresses its address when the run is long enough.
    pub(super) fn count_soft_bounce(&mut self, _bounce: &SoftBounce, _now: Timestamp) {}
}
