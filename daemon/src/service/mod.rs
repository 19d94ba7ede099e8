//! The gRPC API: what callers see. It reads and writes the wire; what is done is decided below it.

mod accounts;
pub mod api_keys;
mod blobs;
mod classification;
mod convert;
mod dkim;
pub mod guard;
mod jobs;
pub mod load;
mod paging;
pub mod parts;
mod providers;
pub mod routes;
mod routing;
mod status;
mod store;
mod visibility;

#[cfg(test)]
mod tests;
