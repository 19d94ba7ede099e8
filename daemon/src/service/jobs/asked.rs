//! What a caller may ask of jobs.

use crate::domain::job::Control;

/// What a caller asks of jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// What the job does whoever asks.
    Control(Control),
    /// That it goes, on the word of the caller.
    Approve,
}
