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
//! A large file is uploaded before the job that carries it; [`Client::upload`] goes on where a connection broke:
//!
//! ```no_run
//! # async fn example(client: hikyaku_client::Client) -> Result<(), hikyaku_client::Error> {
//! use hikyaku_client::Draft;
//!
//! let file = client.upload("catalogue.pdf", |sent| eprintln!("{sent} bytes")).await?;
//! let draft = Draft::new("shop")
//!     .to("taro@example.jp")
//!     .subject("Our catalogue")
//!     .text("It is attached.")
//!     .attach_blob("catalogue.pdf", "application/pdf", file.blob_id);
//! let checked = client.submit(draft.clone().dry_run()).await?;
//! println!("{} bytes, {:?}", checked.message_bytes, checked.warnings);
//! client.submit(draft.idempotency_key("catalogue-2026")).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Requests and answers are the generated types of [`proto`]; their comments are the manual of the API.

mod accounts;
mod blobs;
mod connection;
mod consents;
mod dkim;
mod draft;
mod endpoint;
mod error;
mod inbound;
mod jobs;
mod mailbox;
mod merges;
mod outlook;
mod pages;
mod providers;
mod routing;
mod statistics;
mod store;
mod submissions;
mod suppressions;

pub use self::{
    blobs::UPLOAD_PIECE_BYTES,
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
