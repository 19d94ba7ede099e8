//! The command line, one file per question.

pub(crate) mod account;
pub(crate) mod account_args;
pub(crate) mod account_settings;
pub(crate) mod account_view;
pub(crate) mod args;
pub(crate) mod classify;
pub(crate) mod duration_text;
pub(crate) mod escape;
pub(crate) mod failure;
pub(crate) mod filter_args;
pub(crate) mod follow;
pub(crate) mod job;
pub(crate) mod job_args;
pub(crate) mod job_view;
pub(crate) mod media_type;
pub(crate) mod output;
pub(crate) mod pair_text;
pub(crate) mod progress;
pub(crate) mod quota_text;
pub(crate) mod run;
pub(crate) mod store;
pub(crate) mod submission;
pub(crate) mod submit;
pub(crate) mod table;
pub(crate) mod time_text;
pub(crate) mod wait;
