//! Clients of network protocols, each on a stream that was dialled.

pub mod clamd;
pub mod dial;
pub mod dns;
pub mod endpoint;
pub mod imap;
pub mod mailbox;
pub mod oauth;
pub mod pop3;
pub mod sasl;
mod secrets;
pub mod smtp;
pub mod steps;
mod stream;
pub mod tls;

#[cfg(test)]
pub(crate) mod certificates;
