//! A made-up daemon: it keeps accounts, routing and jobs in memory and hands every mail to nobody, at once.

mod accounts;
mod jobs;
mod others;
mod settings;

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Mutex, MutexGuard},
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
}

const PAGE: usize = 2;

impl Default for Fake {
    fn default() -> Self {
        Self { state: Mutex::default(), events: broadcast::channel(1_000).0 }
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
