//! Pure decisions: what to do next, given the facts. No I/O, no clock, no chance of its own.

pub mod dispatch;
pub mod fair_share;
pub mod pacing;
pub mod quota;
