//! Pure decisions: what to do next, given the facts. No I/O, no clock, no chance of its own.

pub mod admission;
pub mod assess;
pub mod classify;
pub mod dispatch;
pub mod fair_share;
pub mod learning;
pub mod outlook;
pub mod pacing;
pub mod parking;
pub mod quiet;
pub mod quota;
#[cfg(test)]
mod rehearsal;
pub mod retry_schedule;

#[cfg(test)]
mod year;
