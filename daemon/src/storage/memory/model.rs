//! What a store holds, and what becomes of its accounts.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    dkim::DkimModel,
    holdings::{CountModel, Returns, SuppressionModel},
    uploaded::{Part, Whole},
};
use crate::{
    domain::{
        account::Account,
        event::{Cursor, Event, EventKind},
        ids::{AccountId, Caller, Etag, IdempotencyKey, JobId},
        job::Job,
        ledger::{ObservedLimit, QuotaKey},
        mail::Message,
        merge::{MergeRecipient, MergeTemplate, progress::MergeOutcome},
        parking::Standing,
        routing::Routing,
        time::Timestamp,
        tokens::Tokens,
    },
    storage::{
        AccountRecord, CreateAccountError, DeleteAccountError, PAGE_MAX, SetRoutingError, UpdateAccountError,
        blobs::FileHash, settlement::Mark,
    },
};

/// All that a store holds.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) accounts: BTreeMap<AccountId, (Account, Standing)>,
    pub(super) tokens: BTreeMap<AccountId, Tokens>,
    pub(super) jobs: BTreeMap<JobId, StoredJob>,
    pub(super) keys: BTreeMap<(String, String), UsedKey>,
    pub(super) ledger: BTreeMap<(AccountId, QuotaKey, u64), u64>,
    pub(super) observed: BTreeMap<(AccountId, QuotaKey), ObservedLimit>,
    /// How often each account was taken over. An account that is deleted keeps its number, so that no tenure of it is
    /// ever valid again.
    pub(super) epochs: BTreeMap<AccountId, u64>,
    /// Each event under the cursor that comes after it.
    pub(super) events: BTreeMap<Cursor, Event>,
    pub(super) head: Cursor,
    /// The cursor after the newest event that was pruned.
    pub(super) pruned: Cursor,
    /// Accounts whose change has not been told yet.
    pub(super) touched: BTreeSet<AccountId>,
    /// Most open jobs of one account; no bound when not set.
    pub(super) open_jobs_max: Option<u64>,
    pub(super) closed: bool,
    /// The routing rules.
    pub(super) routing: Arc<Routing>,
    /// DKIM keys and rules.
    pub(super) dkim: DkimModel,
    /// Who must not be sent to.
    pub(super) suppressions: SuppressionModel,
    /// What was counted.
    pub(super) counts: CountModel,
    /// What came back.
    pub(super) returns: Returns,
    /// Recipients of merge jobs to come.
    pub(super) staged: BTreeMap<JobId, Vec<MergeRecipient>>,
    /// Files that are being uploaded.
    pub(super) uploads: Vec<Part>,
    /// Files that were uploaded, and by whom.
    pub(super) blobs: BTreeMap<(FileHash, Caller), Whole>,
}

/// A job with what belongs to it.
#[derive(Debug)]
pub(super) struct StoredJob {
    pub(super) job: Job,
    pub(super) content: Stored,
    /// The marks of its messages.
    pub(super) marks: BTreeMap<u32, Mark>,
}

/// What a job says.
#[derive(Debug)]
pub(super) enum Stored {
    /// The message of a plain job.
    Plain(Message),
    /// What a merge job is made of, and what is known of its messages.
    Merge { template: Arc<MergeTemplate>, recipients: Vec<MergeRecipient>, outcomes: BTreeMap<u32, MergeOutcome> },
}

/// What an idempotency key was used for.
#[derive(Debug)]
pub(super) struct UsedKey {
    pub(super) job: JobId,
    pub(super) payload_hash: [u8; 32],
    pub(super) at: Timestamp,
}

/// Whether a message of a job waits, due or not yet.
fn is_waiting(stored: &StoredJob) -> bool {
    stored.job.due().is_some() && stored.waiting().next().is_some()
}

pub(super) fn key_of(caller: &Caller, key: &IdempotencyKey) -> (String, String) {
    (caller.as_str().to_owned(), key.as_str().to_owned())
}

impl Model {
    pub(super) fn create_account(&mut self, account: Account) -> Result<(), CreateAccountError> {
        if self.accounts.contains_key(&account.id) {
            return Err(CreateAccountError::Exists);
        }
        self.suppressions.forget_account(&account.id);
        self.note(account.created.at, &account.id, EventKind::AccountCreated);
        self.touch(&account.id);
        self.accounts.insert(account.id.clone(), (account, Standing::Active));
        Ok(())
    }

    pub(super) fn account(&self, id: &AccountId) -> Option<AccountRecord> {
        let (account, standing) = self.accounts.get(id)?;
        let open_jobs = self.open_jobs(id);
        Some(AccountRecord { account: account.clone(), standing: standing.clone(), open_jobs })
    }

    pub(super) fn accounts_after(&self, after: Option<&AccountId>, limit: usize) -> Vec<AccountRecord> {
        let ids = self.accounts.keys().filter(|id| after.is_none_or(|after| *id > after));
        ids.take(limit.min(PAGE_MAX)).filter_map(|id| self.account(id)).collect()
    }

    pub(super) fn update_account(&mut self, account: Account, expected: Etag) -> Result<(), UpdateAccountError> {
        let (stored, _) = self.accounts.get_mut(&account.id).ok_or(UpdateAccountError::Unknown)?;
        if stored.etag != expected {
            return Err(UpdateAccountError::Stale { current: stored.etag });
        }
        *stored = account.clone();
        self.note(account.updated.at, &account.id, EventKind::AccountUpdated);
        self.touch(&account.id);
        Ok(())
    }

    pub(super) fn delete_account(
        &mut self,
        id: &AccountId,
        expected: Option<Etag>,
        now: Timestamp,
    ) -> Result<(), DeleteAccountError> {
        let (stored, _) = self.accounts.get(id).ok_or(DeleteAccountError::Unknown)?;
        if expected.is_some_and(|expected| expected != stored.etag) {
            return Err(DeleteAccountError::Stale { current: stored.etag });
        }
        let open_jobs = self.open_jobs(id);
        if open_jobs > 0 {
            return Err(DeleteAccountError::OpenJobs(open_jobs));
        }
        if let Some(rule) = self.routing.names(id) {
            return Err(DeleteAccountError::Routed(rule.to_owned()));
        }
        self.accounts.remove(id);
        self.tokens.remove(id);
        self.returns.forget_account(id);
        self.suppressions.forget_account(id);
        self.ledger.retain(|(account, ..), _| account != id);
        self.observed.retain(|(account, _), _| account != id);
        self.counts.retain(|(account, ..), _| account != id);
        self.begin_epoch(id);
        self.note(now, id, EventKind::AccountDeleted);
        self.touch(id);
        Ok(())
    }

    pub(super) fn set_routing(&mut self, routing: Routing, expected: Etag) -> Result<(), SetRoutingError> {
        let current = self.routing.etag;
        if current != expected {
            return Err(SetRoutingError::Stale { current });
        }
        if let Some(unknown) = routing.accounts().find(|account| !self.accounts.contains_key(*account)) {
            return Err(SetRoutingError::UnknownAccount(unknown.clone()));
        }
        self.routing = Arc::new(routing);
        Ok(())
    }

    pub(super) fn set_standing(&mut self, id: &AccountId, standing: Standing, now: Timestamp) {
        let Some((_, stored)) = self.accounts.get_mut(id).filter(|(_, stored)| *stored != standing) else {
            return;
        };
        *stored = standing.clone();
        let kind = match standing {
            Standing::Active => EventKind::AccountResumed,
            Standing::Parked(parking) => EventKind::AccountParked(parking),
        };
        self.note(now, id, kind);
        self.touch(id);
    }

    /// Begins the account's next tenure, which ends the one before.
    pub(super) fn begin_epoch(&mut self, id: &AccountId) -> u64 {
        let epoch = self.epochs.entry(id.clone()).or_default();
        *epoch += 1;
        *epoch
    }

    pub(super) fn open_jobs(&self, account: &AccountId) -> u64 {
        let open = self.jobs.values().filter(|stored| stored.job.account == *account && stored.job.is_open());
        open.count() as u64
    }

    pub(super) fn accounts_with_work(&self) -> Vec<AccountId> {
        let working = self.jobs.values().filter(|stored| is_waiting(stored) || !stored.marks.is_empty());
        working.map(|stored| stored.job.account.clone()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    pub(super) fn events_after(&self, after: Cursor, limit: usize) -> Vec<(Cursor, Event)> {
        let later = self.events.iter().filter(|(cursor, _)| **cursor > after);
        later.take(limit.min(PAGE_MAX)).map(|(cursor, event)| (*cursor, event.clone())).collect()
    }

    /// Appends an event.
    pub(super) fn note(&mut self, at: Timestamp, account: &AccountId, kind: EventKind) {
        self.head = Cursor(self.head.0 + 1);
        self.events.insert(self.head, Event { at, account: account.clone(), kind });
    }

    /// Remembers that the supervisor has to look at the account.
    pub(super) fn touch(&mut self, account: &AccountId) {
        self.touched.insert(account.clone());
    }
}
