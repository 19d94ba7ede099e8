//! Pure building of RFC 5322 messages: no tokio, no socket, no clock.

mod charset;
mod check;
pub mod cuts;
pub mod dkim;
mod encode;
mod file_name;
pub mod header_field;
pub mod identity;
pub mod letterhead;
mod list_unsubscribe;
pub mod losses;
pub mod merge;
pub mod message;
mod only_address;
mod plain_text;
pub mod raw;
pub mod renew;
mod template;
mod thread;
