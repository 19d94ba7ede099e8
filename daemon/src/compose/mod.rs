//! Pure building of RFC 5322 messages: no tokio, no socket, no clock.

mod charset;
mod check;
pub mod dkim;
mod encode;
pub mod identity;
pub mod letterhead;
pub mod merge;
pub mod message;
mod plain_text;
pub mod raw;
mod template;
