//! Clients of network protocols, each on a stream that was dialled.

pub mod dial;
pub mod dns;
pub mod oauth;
pub mod smtp;
pub mod steps;
pub mod tls;

#[cfg(test)]
pub(crate) mod certificates;
