//! The program `hikyaku` from outside, against a daemon that is made up.
#![expect(clippy::unwrap_used, reason = "a test may panic; clippy sees that in test functions only")]

mod accounts;
mod apply;
mod blobs;
mod brittle;
mod consents;
mod dkim;
mod fake;
mod job_files;
mod jobs;
mod manners;
mod merge_lists;
mod merges;
mod outlook;
mod previews;
mod providers;
mod returned;
mod routes;
mod scene;
mod secrets;
mod trials;
