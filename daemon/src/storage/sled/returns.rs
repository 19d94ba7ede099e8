//! What comes back, on sled: mail and what was read of mailboxes, names by which messages are found, and doubts.

pub(super) mod doubts;
pub(super) mod ingest;
pub(super) mod lines;
pub(super) mod mails;
pub(super) mod names;
pub(super) mod old;
#[cfg(test)]
mod tests;
pub(super) mod verify;
