//! Clients of network protocols, each on a stream that was dialled.

pub mod dial;
pub mod endpoint;
pub mod mailbox;
pub mod pop3;
pub mod smtp;
pub mod tls;

#[cfg(test)]
mod certificates;
