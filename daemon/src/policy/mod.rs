//! Pure decisions: what to do next, given the facts. No I/O, no clock, no chance of its own.

pub mod admission;
pub mod assess;
pub mod consequences;
pub mod correlation;
pub mod diagnosis;
pub mod discovery;
pub mod dispatch;
pub mod diversion;
pub mod dkim;
pub mod fair_share;
pub mod learning;
pub mod oauth;
pub mod outlook;
pub mod pacing;
pub mod parking;
pub mod presets;
pub mod provider_id;
pub mod quiet;
pub mod quota;
pub mod reconcile;
pub mod retry_schedule;
pub mod routing;
pub mod sent_folder;
pub mod statistics;
pub mod suppression;
pub mod tried;
pub mod verp;

// Recognition is a crate of its own, which the command line shares.
pub use hikyaku_recognition::{bounce, classify};

#[cfg(test)]
mod rehearsal;
#[cfg(test)]
mod year;
