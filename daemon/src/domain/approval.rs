//! Whether somebody must look at a job before it goes, and who did.

use super::{ids::Caller, time::Timestamp};

/// Whether a job that needs approval has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Approval {
    /// Nobody has approved it yet: nothing of it is tried.
    Awaited,
    /// It may go.
    Given {
        /// When it was approved.
        at: Timestamp,
        /// Who approved it.
        by: Caller,
    },
}
