//! How far the attempts of a message have come.

use super::time::Timestamp;

/// What decides about a message's next try.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tries {
    /// How many attempts were made.
    pub made: u32,
    /// When the first one began.
    pub first_at: Option<Timestamp>,
    /// When the job is void.
    pub expires_at: Option<Timestamp>,
}

/// Whether an attempt has passed the point from which the provider may take the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flight {
    /// No attempt is under way, or it is still safe to withdraw.
    Grounded,
    /// The in-doubt mark is set.
    UnderWay,
}
