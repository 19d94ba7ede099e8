//! The program `hikyaku` from outside, against a daemon that is made up.
#![expect(clippy::unwrap_used, reason = "a test may panic; clippy sees that in test functions only")]

mod accounts;
mod apply;
mod consents;
mod fake;
mod jobs;
mod manners;
mod merges;
mod outlook;
mod providers;
mod routes;
mod scene;
mod secrets;
mod trials;
