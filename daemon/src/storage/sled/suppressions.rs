//! How the committer suppresses addresses, and counts what may come to that.

use super::txn::Txn;
use crate::{
    domain::{
        suppression::{SoftBounce, Suppression},
        time::Timestamp,
    },
    storage::StorageError,
};

impl Txn {
    /// Suppresses an address, unless it is suppressed for as long already.
    pub(super) fn suppress_longer(&mut self, _suppression: &Suppression) -> Result<(), StorageError> {
        Ok(())
    }

    /// Counts a message that came back for a reason that may pass, and suppresses its address when the run is long enough.
    pub(super) fn count_soft_bounce(&mut self, _bounce: &SoftBounce, _now: Timestamp) -> Result<(), StorageError> {
        Ok(())
    }
}
