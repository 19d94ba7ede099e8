//! The wire and the domain: the only parser of what callers send. It collects all mistakes of a request at once, each
//! with the path of its field.

pub(super) mod account;
pub(super) mod account_filter;
mod content;
pub(super) mod dkim;
pub(super) mod draft;
pub(super) mod event;
pub(super) mod filing;
pub(super) mod filter;
pub(super) mod finding;
mod hours;
pub(super) mod inbound;
pub(super) mod job;
pub(super) mod limits;
mod mail_headers;
mod mailbox;
pub(super) mod names;
mod oauth2;
mod pop_before_smtp;
pub(super) mod preset;
mod proxy;
mod results;
mod retry;
pub(super) mod routing;
mod secrets;
pub(super) mod server;
mod sign_in;
pub(super) mod statistics;
pub(super) mod suppression;
mod suppression_rules;
mod tls;
pub(super) mod trial;
pub(super) mod values;
pub(super) mod violations;
