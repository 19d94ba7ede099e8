//! The gRPC API: what callers see. It reads and writes the wire; what is done is decided below it.

pub mod accounts;
pub mod api_keys;
pub mod classification;
mod convert;
pub mod guard;
pub mod jobs;
mod paging;
pub mod routes;
mod status;
pub mod store;

#[cfg(test)]
mod tests;
