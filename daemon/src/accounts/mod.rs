//! Live accounts: settings made ready for use, access tokens, and whether the account may send.

pub mod live;
pub mod mailbox;
pub mod opening;
pub mod pop_gate;
pub mod signers;
pub mod standing;
pub mod tokens;

#[cfg(test)]
mod laboratory;
