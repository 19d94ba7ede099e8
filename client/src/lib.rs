//! A typed client for Hikyaku's gRPC API: connect, submit mail, ask about it and steer it.
//!
//! ```no_run
//! # async fn example() -> Result<(), hikyaku_client::Error> {
//! use hikyaku_client::{Access, Client, Draft, Endpoint};
//!
//! let client = Client::connect(&Endpoint::default(), Access::default()).await?;
//! let draft = Draft::new("shop").to("Taro <taro@example.jp>").subject("Your order").text("It is on its way.");
//! let stored = client.submit(draft).await?;
//! let job = client.get_job(&stored.job_id).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Requests and answers are the generated types of [`proto`]; their comments are the manual of the API.

mod accounts;
mod connection;
mod consents;
mod draft;
mod endpoint;
mod error;
mod jobs;
mod mailbox;
mod merges;
mod outlook;
mod pages;
mod providers;
mod routing;
mod store;
mod submissions;

pub use self::{
    connection::{Access, Client},
    draft::Draft,
    endpoint::{Endpoint, EndpointError},
    error::{Error, Refused, Violation},
    jobs::Watch,
    mailbox::{parse_mailbox, show_mailbox},
    merges::merge_recipient,
    submissions::{Answer, IN_FLIGHT_MAX},
};
pub use hikyaku_proto::v1 as proto;
pub use tonic::Code;
