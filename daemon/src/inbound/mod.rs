//! Reading the mailboxes of accounts: what came back finds its recipient, and what is not ours stays untouched.
//!
//! The [`supervisor`] keeps a reader for each account with a mailbox. A reader looks in now and then, or when the server says that
//! there is news: what is new by the store's marks is fetched, recognised, tied to a message of ours and taken in, one mail
//! after the other; only then is anything deleted. So a look that is cut off anywhere is made again, and nothing counts twice.
//!
//! Beside the readers, [`reconcile`] asks the Sent folders for messages that are in doubt.

use std::{path::PathBuf, sync::Arc};

use tokio_util::sync::CancellationToken;

use crate::{
    accounts::{signers::Signers, tokens::TokenKeeper},
    domain::time::Clock,
    platform::entropy::Entropy,
    policy::{classify::rules::Rules, verp::VerpKey},
    storage::SharedStorage,
    wire::dial::Dial,
};

mod assay;
mod content;
mod correlate;
mod folder;
mod follow;
mod ingest;
mod look;
mod mailbox;
mod notice;
mod opening;
mod reader;
pub mod reconcile;
pub mod status;
pub mod supervisor;
#[cfg(test)]
mod tests;
mod trouble;

/// What all readers share.
#[derive(Clone, Debug)]
pub struct Context {
    /// The store.
    pub storage: SharedStorage,
    /// What the words of bounces mean.
    pub rules: Arc<Rules>,
    /// How servers are reached.
    pub dial: Arc<dyn Dial>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for jitter and the names of mails.
    pub entropy: Arc<dyn Entropy>,
    /// Knows the tags that we signed.
    pub verp: VerpKey,
    /// The access tokens of accounts that sign in with OAuth 2.
    pub tokens: TokenKeeper,
    /// The keys that sign notices.
    pub signers: Signers,
    /// Below it lie the folders of accounts that archive mail or save attachments.
    pub folder: PathBuf,
    /// Most mailboxes that are read at once.
    pub reading_max: usize,
    /// Cancelled when the daemon stops.
    pub stopping: CancellationToken,
}
