//! Quotas: how much an account may send in a window of time, and what it has sent.

mod history;
pub mod ledger;
pub mod permit;
mod span;

#[cfg(test)]
mod oracle_test;
