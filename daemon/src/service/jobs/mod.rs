//! JobService: submitting jobs, asking about them and steering them.

mod compose;
mod control;
mod intake;
mod list;
pub(super) mod service;
mod stream;
mod watch;
