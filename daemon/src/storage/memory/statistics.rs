//! How the model counts.

use super::model::Model;
use crate::domain::{ids::AccountId, statistics::Counted, time::Timestamp};

impl Model {
    /// Adds to what is counted of an account, in the hour of `now`.
    pub(super) fn count(&mut self, _account: &AccountId, _counted: &[Counted], _now: Timestamp) {}
}
