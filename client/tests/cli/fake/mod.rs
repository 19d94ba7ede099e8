//! A made-up daemon: it keeps accounts, routing and jobs in memory and hands every mail to nobody, at once.

mod accounts;
mod blobs;
mod dkim;
mod jobs;
mod others;
mod previews;
mod returned;
mod settings;

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, atomic::AtomicBool},
};

use hikyaku_client::proto::*;
use prost_types::Timestamp;
use tokio::sync::broadcast;
use tonic::{Response, Status};

type Answer<T> = Result<Response<T>, Status>;
type Answers<T> = Pin<Box<dyn tokio_stream::Stream<Item = Result<T, Status>> + Send>>;

pub(crate) struct Fake {
    state: Mutex<State>,
    events: broadcast::Sender<WatchJobsResponse>,
    /// Set to break the connection on which the next byte travels.
    pub(crate) breaks: Arc<AtomicBool>,
}

#[derive(Default)]
struct State {
    accounts: BTreeMap<String, Account>,
    /// The settings of accounts with their secrets, which are never told.
    secrets: BTreeMap<String, AccountSettings>,
    /// What was reported of each account.
    reported: BTreeMap<String, u64>,
    /// How often a device was asked for.
    polls: u64,
    routing: Routing,
    jobs: BTreeMap<String, Job>,
    keys: BTreeMap<String, String>,
    /// The recipients of merge jobs.
    merges: BTreeMap<String, Vec<ListedRecipient>>,
    dkim_keys: BTreeMap<String, DkimKey>,
    dkim_rules: DkimRules,
    suppressions: BTreeMap<String, Suppression>,
    blobs: BTreeMap<String, Blob>,
    /// What has come of uploads that are under way.
    uploads: BTreeMap<String, Vec<u8>>,
    /// Whether an upload has met a broken connection.
    has_broken: bool,
}

const PAGE: usize = 2;

impl Default for Fake {
    fn default() -> Self {
        Self { state: Mutex::default(), events: broadcast::channel(1_000).0, breaks: Arc::default() }
    }
}

impl Fake {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn account(&self, id: &str) -> Result<Account, Status> {
        let account = self.state().accounts.get(id).cloned();
        account.ok_or_else(|| Status::not_found(format!("there is no account \"{id}\"")))
    }
}

fn time(seconds: i64) -> Timestamp {
    Timestamp { seconds: 1_700_000_000 + seconds, nanos: 0 }
}
