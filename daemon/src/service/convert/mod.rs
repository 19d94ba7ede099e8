//! The wire and the domain: the only parser of what callers send. It collects all mistakes of a request at once, each
//! with the path of its field.

pub(super) mod account;
pub(super) mod draft;
pub(super) mod event;
pub(super) mod filter;
pub(super) mod finding;
pub(super) mod job;
pub(super) mod limits;
pub(super) mod routing;
pub(super) mod server;
pub(super) mod sign_in;
pub(super) mod values;
pub(super) mod violations;
