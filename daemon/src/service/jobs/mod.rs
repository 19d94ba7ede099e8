//! JobService: submitting jobs, asking about them and steering them.

mod asked;
mod attached;
mod compose;
mod control;
mod gate;
mod hindrances;
mod intake;
mod list;
mod merge;
mod outlook;
mod planner;
mod preview;
mod recipients;
mod resend;
pub(super) mod route;
mod scan;
pub(super) mod service;
mod stream;
mod suppressed;
mod warnings;
mod watch;
