//! The gRPC API: what callers see. It reads and writes the wire; what is done is decided below it.

mod accounts;
pub mod api_keys;
mod blobs;
mod classification;
mod convert;
mod dkim;
pub mod guard;
mod inbound;
mod jobs;
pub mod load;
pub mod mailboxes;
pub mod paging;
pub mod parts;
mod places;
mod providers;
pub mod routes;
mod routing;
mod statistics;
mod status;
mod store;
mod suppressions;
mod unread;
mod visibility;
mod watching;

#[cfg(test)]
mod tests;
