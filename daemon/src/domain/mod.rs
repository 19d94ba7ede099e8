//! Nouns, their states and their parsers: what Hikyaku talks about, with no I/O and no clock.

pub mod account;
pub mod address;
pub mod approval;
pub mod attempt;
pub mod backlog;
pub mod charset;
pub mod control;
pub mod dkim;
pub mod event;
pub mod flight;
pub mod folder;
pub mod ids;
pub mod inbound;
pub mod job;
pub mod ledger;
pub mod limits;
pub mod mail;
pub mod merge;
pub mod parking;
pub mod quiet;
pub mod recipient;
pub mod report;
pub mod reserves;
pub mod routing;
pub mod secret;
pub mod statistics;
pub mod suppression;
pub mod time;
pub mod tokens;

// What replies are and mean lives in a crate of its own, which the command line shares.
pub use hikyaku_recognition::{classify::reason, reply, verdict};
