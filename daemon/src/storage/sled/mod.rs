//! The embedded engine: sled 0.34.7 behind a fence.
//!
//! A store is a directory: `db/` is sled's, `spool/` holds messages, `files/` large ones and the files that were cut out of
//! them, `uploads/` parts of such files, `ballast` is given up when the disk is nearly
//! full, `lock` keeps a second daemon out, `format` says that there is a store. What sled cannot be trusted with is done here: one thread writes (`writer`),
//! our own descriptor is synced after each commit, no value is longer than 4,000 bytes (`codec`), opening is guarded
//! (`open`), and the first error stops the store (`disk`).

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard},
};

use tokio::sync::{Notify, watch};

use crate::{
    domain::{event::Cursor, ids::AccountId, time::Clock},
    platform::sealing::Sealer,
    storage::{StorageError, uploads::Uploads},
};

mod accept;
mod account_store;
mod attempts;
mod backup;
mod blob_store;
#[cfg(test)]
mod blob_tests;
mod care;
#[cfg(test)]
mod care_tests;
mod codec;
mod count_book;
mod disk;
mod divert;
mod dkim;
mod event_log;
mod expiry;
mod held_keys;
mod holding;
mod inbound_store;
mod job_store;
mod jobs;
mod journal;
mod kept_file;
mod keys;
#[cfg(test)]
mod killing;
mod known;
mod list_check;
#[cfg(test)]
mod list_tests;
mod loaded;
#[cfg(test)]
mod measure;
mod merge;
mod open;
mod open_error;
mod pruning;
mod quarantine;
mod queue;
mod ready;
mod record_keys;
mod referred;
mod returns;
mod rewrite;
mod routing;
mod scope_kind;
mod seal;
mod segments;
mod settings;
#[cfg(test)]
mod settings_tests;
mod shelving;
mod space;
mod statistics;
mod statistics_store;
mod suppression_store;
mod suppressions;
mod tally;
mod tip;
mod tokens;
mod transfer;
mod txn;
mod verify;
mod writer;
mod wrong;

pub use backup::{RestoreError, restore};
pub use open_error::OpenError;
pub use settings::SledSettings;

use disk::Disk;
use jobs::Shelves;
use known::KnownAccounts;
use merge::{
    read::{PageRead, TemplateRead},
    recent::Recent,
};
use shelving::SoundFiles;
use space::Space;
use tally::AccountEntry;
use tip::Tip;
use txn::{Made, Txn};
use writer::{Audience, Writer};

type Directory = Arc<RwLock<BTreeMap<AccountId, AccountEntry>>>;

/// A store on sled.
#[derive(Clone, Debug)]
pub struct SledStore {
    writer: Arc<Writer>,
    disk: Disk,
    shelves: Shelves,
    uploads: Uploads,
    sound: SoundFiles,
    known: Arc<KnownAccounts>,
    routing: routing::KnownRouting,
    dkim: dkim::KnownDkim,
    lists: suppressions::KnownLists,
    space: Space,
    directory: Directory,
    changed: Arc<Changed>,
    head: watch::Sender<Cursor>,
    sealer: Arc<Sealer>,
    settings: Arc<SledSettings>,
    staging: Arc<merge::staging::Staging>,
    templates: Arc<Recent<TemplateRead>>,
    pages: Arc<Recent<PageRead>>,
    _clock: Arc<dyn Clock>,
    _lock: Arc<std::fs::File>,
}

impl SledStore {
    /// Opens a store, or makes one where there is none. Blocks; many jobs take seconds, which is said in the log.
    ///
    /// # Errors
    /// When another process uses the store, it cannot be read, or its format is another one.
    pub fn open(
        path: &Path,
        settings: SledSettings,
        sealer: Sealer,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, OpenError> {
        open::open(path, settings, sealer, clock)
    }

    /// Waits until the store has stopped by itself, and says why. The daemon must end then.
    pub async fn failed(&self) -> String {
        self.disk.failure.wait().await
    }

    fn directory(&self) -> RwLockReadGuard<'_, BTreeMap<AccountId, AccountEntry>> {
        self.directory.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry_of(&self, id: &AccountId) -> Option<AccountEntry> {
        self.directory().get(id).copied()
    }

    fn number_of(&self, id: &AccountId) -> Option<u32> {
        self.entry_of(id).map(|entry| entry.number)
    }

    fn all_entries(&self) -> Vec<(AccountId, AccountEntry)> {
        self.directory().iter().map(|(id, entry)| (id.clone(), *entry)).collect()
    }

    /// Does what takes several commits to its end, whether or not the caller waits for that.
    async fn to_the_end<T, E>(&self, steps: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        match tokio::spawn(steps).await {
            Ok(done) => done,
            Err(error) => Err(self.disk.failure.record(format_args!("a change of the store panicked: {error}")).into()),
        }
    }

    /// Does blocking work on a thread that may block.
    async fn in_background<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        self.disk.failure.check()?;
        let store = self.clone();
        match tokio::task::spawn_blocking(move || work(&store)).await {
            Ok(result) => result,
            Err(error) => Err(self.disk.failure.record(format_args!("reading the store panicked: {error}"))),
        }
    }
}

/// The accounts whose workers should look again.
#[derive(Debug, Default)]
struct Changed {
    accounts: Mutex<HashSet<AccountId>>,
    news: Notify,
}

impl Changed {
    fn add(&self, accounts: HashSet<AccountId>) {
        if !accounts.is_empty() {
            self.accounts.lock().unwrap_or_else(PoisonError::into_inner).extend(accounts);
            self.news.notify_one();
        }
    }

    async fn take(&self) -> HashSet<AccountId> {
        loop {
            let accounts = std::mem::take(&mut *self.accounts.lock().unwrap_or_else(PoisonError::into_inner));
            if !accounts.is_empty() {
                return accounts;
            }
            self.news.notified().await;
        }
    }
}

/// Tells the rest of the store what each commit made.
struct Publisher {
    directory: Directory,
    changed: Arc<Changed>,
    head: watch::Sender<Cursor>,
    shelves: Shelves,
    uploads: Uploads,
    known: Arc<KnownAccounts>,
    routing: routing::KnownRouting,
    dkim: dkim::KnownDkim,
    lists: suppressions::KnownLists,
    tip: Tip,
}

impl Audience for Publisher {
    fn committed(&mut self, txn: &Txn, made: Made) {
        if !made.entries.is_empty() {
            let mut directory = self.directory.write().unwrap_or_else(PoisonError::into_inner);
            for id in made.entries {
                match txn.accounts.get(&id) {
                    Some(entry) => directory.insert(id, *entry),
                    None => directory.remove(&id),
                };
            }
        }
        self.known.forget(&made.rewritten);
        if let Some(routing) = made.routing {
            self.routing.set(routing);
        }
        for (caller, hash, claim) in made.claims {
            self.uploads.note(caller, hash, claim);
        }
        self.dkim.learn(made.dkim);
        self.lists.look(&txn.disk, &made.scopes);
        for hash in made.loose_files {
            care::collect_file(&txn.disk, &self.shelves.files, &hash);
        }
        for segment in made.empty_segments {
            self.shelves.spool.retire(segment);
        }
        if let Some(head) = made.head {
            if let Err(error) = self.tip.note(txn.next_seq) {
                tracing::warn!(%error, "cannot remember how far the commits have come");
            }
            self.head.send_replace(head);
        }
        self.changed.add(made.changed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        domain::time::Timestamp,
        platform::sealing::KEY_BYTES,
        storage::{
            SharedStorage,
            contract::{self, script},
        },
    };

    #[derive(Debug)]
    struct Still;

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(1_700_000_000_000)
        }
    }

    fn settings() -> SledSettings {
        SledSettings { intake_free_bytes_min: Some(0), ballast_bytes: 0, ..SledSettings::default() }
    }

    pub(super) fn try_open(path: &Path) -> Result<Arc<SledStore>, OpenError> {
        SledStore::open(path, settings(), Sealer::from_key([7; KEY_BYTES]), Arc::new(Still))
    }

    pub(super) fn open_plain(path: &Path) -> Arc<SledStore> {
        try_open(path).unwrap()
    }

    fn open(path: &Path) -> SharedStorage {
        open_plain(path)
    }

    #[tokio::test]
    async fn sled_keeps_every_rule() {
        let dir = tempfile::tempdir().unwrap();
        let number = std::cell::Cell::new(0);
        contract::check_all(async || {
            number.set(number.get() + 1);
            open(&dir.path().join(number.get().to_string()))
        })
        .await;
        let few = SledSettings { open_jobs_per_account_max: 3, ..settings() };
        let sealer = Sealer::from_key([7; KEY_BYTES]);
        let store = SledStore::open(&dir.path().join("few"), few, sealer, Arc::new(Still)).unwrap();
        contract::check_queue_full(store, 3).await;
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn sled_answers_as_the_model_does(script in script::scripts(60)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let dir = tempfile::tempdir().unwrap();
            runtime.block_on(script::compare(&script, open(dir.path()), async |store| {
                drop(store);
                open(dir.path())
            }));
        }
    }
}
