//! JobService: submitting jobs, asking about them and steering them.

mod compose;
mod control;
mod gate;
mod intake;
mod list;
mod merge;
mod outlook;
mod recipients;
pub(super) mod service;
mod stream;
mod watch;
