//! The program `hikyaku` from outside, against a daemon that is made up.

mod accounts;
mod fake;
mod jobs;
mod manners;
mod scene;
