//! What a mail server received: a capturing SMTP server whose conduct the recipients' addresses script.
//!
//! The local part of a recipient, case ignored, says what becomes of it:
//! `refused…` → 550 at RCPT; `deferred-N…` → 451 at RCPT for its first N tries (one when N is missing), then taken;
//! `dot-refused…` → 554 at the end of data; `drop…` → the message is taken and recorded, but the connection closes
//! instead of the 250, once for each message; any other is taken.

mod command;
mod conduct;
mod records;
mod rules;
mod server;
mod session;

#[cfg(test)]
mod tests;

pub use self::{
    records::{Duplicate, Received, Records, SenderCounts},
    rules::Rules,
    server::CaptureServer,
};
