//! What returned mail means: bounces, complaints, automatic replies and receipts, told from all other mail.

mod address;
mod autoreply;
mod complaint;
mod dsn;
mod finding;
mod format;
mod freeform;
mod mail;
mod mime;
mod notification;
mod recognise;
mod returned;
mod signs;

pub use self::{
    finding::{Action, Arrival, Finding, Findings, Kind, Nature, Returned},
    recognise::{MESSAGE_BYTES_MAX, recognise},
};
