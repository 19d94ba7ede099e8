//! What the services work with.

use std::{path::PathBuf, sync::Arc};

use tokio_util::sync::CancellationToken;

use super::{mailboxes::MailboxDesk, paging::PageSeal};
use crate::{
    accounts::{signers::Signers, tokens::TokenKeeper},
    delivery::desk::Desk,
    domain::{account::EhloName, time::Clock},
    platform::entropy::Entropy,
    policy::{classify::rules::Rules, verp::VerpKey},
    storage::SharedStorage,
    wire::{clamd::Clamd, dial::Dial, dns::Dns},
};

/// What the services work with.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The store.
    pub storage: SharedStorage,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes job ids.
    pub entropy: Arc<dyn Entropy>,
    /// Judge replies.
    pub rules: Arc<Rules>,
    /// Asks the name system.
    pub dns: Arc<dyn Dns>,
    /// The access tokens of accounts that sign in with OAuth 2.
    pub tokens: TokenKeeper,
    /// The keys that sign messages.
    pub signers: Signers,
    /// Proves which message of a merge job a message is.
    pub verp: VerpKey,
    /// Seals page tokens.
    pub pages: PageSeal,
    /// Asks the accounts' workers.
    pub desk: Desk,
    /// Asks those who read the accounts' mailboxes.
    pub mailboxes: Arc<dyn MailboxDesk>,
    /// Below it lie the accounts' folders for inbound mail, if there is a place for them.
    pub inbound_folder: Option<PathBuf>,
    /// How servers are reached that are tested.
    pub dial: Arc<dyn Dial>,
    /// Scans files for viruses, if there is a scanner.
    pub scanner: Option<Arc<Clamd>>,
    /// This host's name, for accounts that set no EHLO name.
    pub host_name: EhloName,
    /// Ends streams and refuses new ones when the daemon stops.
    pub shutdown: CancellationToken,
}
