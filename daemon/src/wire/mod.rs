//! Clients of network protocols, each on a stream that was dialled.

pub mod dial;
pub mod oauth;
pub mod sasl;
pub mod smtp;
pub mod tls;
