//! Live accounts: settings made ready for use, and whether the account may send.

pub mod live;
pub mod standing;
