//! The model as a store: a lock around it, and news of what changed.

use std::{
    collections::{BTreeSet, HashSet},
    io::{BufRead, Write},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use prost::Message as _;
use tokio::sync::{Notify, watch};

use super::model::{Model, StoredJob};
use crate::{
    domain::{
        account::Account,
        backlog::Backlog,
        event::Cursor,
        ids::{AccountId, Caller, Etag, JobId, MessageKey},
        job::Control,
        ledger::{ObservedLimit, QuotaKey, Usage},
        mail::Message,
        merge::{MergeRecipient, MergeTemplate},
        parking::Standing,
        routing::Routing,
        time::Timestamp,
        tokens::Tokens,
    },
    storage::{
        Acceptance, AccountRecord, AccountStore, Consignment, Controlled, CreateAccountError, DeleteAccountError,
        Divertible, Findings, Idempotency, JobFilter, JobPage, JobRecord, JobStore, MergeMessages, MergeStore,
        MergeSubmission, Page, Progress, Queue, ROUTING_BYTES_MAX, Ready, RecipientPage, RoutingStore, SetRoutingError,
        StorageError, StoreCare, Submission, Tenure, TenureError, UpdateAccountError,
        records::routing::RoutingRow,
        settlement::{Diversion, Doubt, Expiry, Mark, MarkOutcome, Omission, Settlement},
    },
};

const NOT_KEPT: &str = "a store in memory keeps no files";

/// A store that is gone when the process ends.
#[derive(Debug)]
pub struct MemoryStore {
    model: Mutex<Model>,
    pub(super) head: watch::Sender<Cursor>,
    touched: Notify,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Self::holding(Model::default())
    }

    /// An empty store that takes no more jobs of an account once this many of them are open.
    #[must_use]
    pub fn with_open_jobs_max(open_jobs_max: u64) -> Arc<Self> {
        Self::holding(Model { open_jobs_max: Some(open_jobs_max), ..Model::default() })
    }

    fn holding(model: Model) -> Arc<Self> {
        let head = watch::Sender::new(model.head);
        Arc::new(Self { model: Mutex::new(model), head, touched: Notify::new() })
    }

    pub(super) fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a change, then tells of it.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Model) -> T) -> Result<T, StorageError> {
        let mut model = self.model();
        if model.closed {
            return Err(closed());
        }
        let answer = change(&mut model);
        if *self.head.borrow() != model.head {
            self.head.send_replace(model.head);
        }
        if !model.touched.is_empty() {
            self.touched.notify_one();
        }
        Ok(answer)
    }

    /// Makes a change of the worker that shows `tenure`, if that is still the last one.
    fn work<T>(&self, tenure: &Tenure, work: impl FnOnce(&mut Model) -> T) -> Result<T, TenureError> {
        self.change(|model| model.check_tenure(tenure).map(|()| work(model)))?
    }
}

fn closed() -> StorageError {
    StorageError::Failed("it was closed".to_owned())
}

fn not_kept() -> StorageError {
    StorageError::Failed(NOT_KEPT.to_owned())
}

#[async_trait]
impl AccountStore for MemoryStore {
    async fn create_account(&self, account: Account) -> Result<(), CreateAccountError> {
        self.change(|model| model.create_account(account))?
    }

    async fn account(&self, id: &AccountId) -> Result<Option<AccountRecord>, StorageError> {
        Ok(self.model().account(id))
    }

    async fn accounts(&self, after: Option<&AccountId>, limit: usize) -> Result<Vec<AccountRecord>, StorageError> {
        Ok(self.model().accounts_after(after, limit))
    }

    async fn update_account(&self, account: Account, expected: Etag) -> Result<(), UpdateAccountError> {
        self.change(|model| model.update_account(account, expected))?
    }

    async fn delete_account(
        &self,
        id: &AccountId,
        expected: Option<Etag>,
        now: Timestamp,
    ) -> Result<(), DeleteAccountError> {
        self.change(|model| model.delete_account(id, expected, now))?
    }

    async fn set_standing(&self, id: &AccountId, standing: Standing, now: Timestamp) -> Result<(), StorageError> {
        self.change(|model| model.set_standing(id, standing, now))
    }

    async fn tokens(&self, id: &AccountId) -> Result<Option<Tokens>, StorageError> {
        Ok(self.model().tokens.get(id).cloned())
    }

    async fn put_tokens(&self, id: &AccountId, tokens: Tokens) -> Result<(), StorageError> {
        self.change(|model| {
            if model.accounts.contains_key(id) {
                model.tokens.insert(id.clone(), tokens);
            }
        })
    }
}

#[async_trait]
impl RoutingStore for MemoryStore {
    async fn routing(&self) -> Result<Arc<Routing>, StorageError> {
        Ok(Arc::clone(&self.model().routing))
    }

    async fn set_routing(&self, routing: Routing, expected: Etag) -> Result<(), SetRoutingError> {
        let bytes = RoutingRow::from(&routing).encoded_len();
        if bytes > ROUTING_BYTES_MAX {
            return Err(SetRoutingError::TooLarge { bytes });
        }
        self.change(|model| model.set_routing(routing, expected))?
    }
}

#[async_trait]
impl JobStore for MemoryStore {
    async fn accept(&self, submissions: Vec<Submission>) -> Result<Vec<Acceptance>, StorageError> {
        self.change(|model| submissions.into_iter().map(|submission| model.accept(submission)).collect())
    }

    async fn submitted(&self, idempotency: &Idempotency) -> Result<Option<Acceptance>, StorageError> {
        Ok(self.model().submitted(idempotency))
    }

    async fn job(&self, id: JobId) -> Result<Option<JobRecord>, StorageError> {
        Ok(self.model().job(id))
    }

    async fn message(&self, id: JobId) -> Result<Option<Message>, StorageError> {
        Ok(self.model().jobs.get(&id).and_then(StoredJob::message))
    }

    async fn list(&self, filter: &JobFilter, page: Page) -> Result<JobPage, StorageError> {
        Ok(self.model().list(filter, page))
    }

    async fn control(
        &self,
        ids: Vec<JobId>,
        control: Control,
        now: Timestamp,
    ) -> Result<Vec<Controlled>, StorageError> {
        self.change(|model| ids.into_iter().map(|id| model.control(id, control, now)).collect())
    }

    async fn approve(&self, ids: Vec<JobId>, by: &Caller, now: Timestamp) -> Result<Vec<Controlled>, StorageError> {
        self.change(|model| ids.into_iter().map(|id| model.approve(id, by, now)).collect())
    }
}

#[async_trait]
impl MergeStore for MemoryStore {
    async fn stage(&self, job: JobId, first: u32, recipients: Vec<MergeRecipient>) -> Result<(), StorageError> {
        self.change(|model| model.stage(job, first, recipients))?
    }

    async fn accept_merge(&self, submission: MergeSubmission) -> Result<Acceptance, StorageError> {
        self.change(|model| model.accept_merge(submission))?
    }

    async fn discard(&self, job: JobId) -> Result<(), StorageError> {
        self.change(|model| drop(model.staged.remove(&job)))
    }

    async fn template(&self, job: JobId) -> Result<Option<Arc<MergeTemplate>>, StorageError> {
        Ok(self.model().jobs.get(&job).and_then(StoredJob::template))
    }

    async fn merge_recipients(&self, job: JobId, page: RecipientPage) -> Result<Option<MergeMessages>, StorageError> {
        Ok(self.model().jobs.get(&job).and_then(|stored| stored.merge_messages(&page)))
    }
}

#[async_trait]
impl Queue for MemoryStore {
    async fn take_tenure(&self, account: &AccountId) -> Result<Tenure, StorageError> {
        let epoch = self.change(|model| model.begin_epoch(account))?;
        Ok(Tenure { account: account.clone(), epoch })
    }

    async fn accounts_with_work(&self) -> Result<Vec<AccountId>, StorageError> {
        Ok(self.model().accounts_with_work())
    }

    async fn changed(&self) -> BTreeSet<AccountId> {
        loop {
            let touched = std::mem::take(&mut self.model().touched);
            if !touched.is_empty() {
                return touched;
            }
            self.touched.notified().await;
        }
    }

    async fn ready(
        &self,
        account: &AccountId,
        skip: &HashSet<MessageKey>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Ready, StorageError> {
        Ok(self.model().ready(account, skip, limit, now))
    }

    async fn consign(&self, keys: &[MessageKey]) -> Result<Vec<Consignment>, StorageError> {
        Ok(self.model().consign(keys))
    }

    async fn mark_in_doubt(&self, tenure: &Tenure, marks: Vec<Mark>) -> Result<Vec<MarkOutcome>, TenureError> {
        self.work(tenure, |model| marks.into_iter().map(|mark| model.mark(&tenure.account, mark)).collect())
    }

    async fn settle(&self, tenure: &Tenure, settlements: Vec<Settlement>) -> Result<(), TenureError> {
        self.work(tenure, |model| {
            for settlement in settlements {
                model.settle(&tenure.account, settlement);
            }
        })
    }

    async fn expire(&self, tenure: &Tenure, expiries: Vec<Expiry>) -> Result<(), TenureError> {
        self.work(tenure, |model| {
            for expiry in expiries {
                model.expire(&tenure.account, expiry);
            }
        })
    }

    async fn report_standing(
        &self,
        tenure: &Tenure,
        standing: Standing,
        now: Timestamp,
    ) -> Result<Standing, TenureError> {
        self.work(tenure, |model| model.report_standing(&tenure.account, standing, now))
    }

    async fn divertible(
        &self,
        account: &AccountId,
        after: Option<(Timestamp, JobId)>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Divertible, StorageError> {
        Ok(self.model().divertible(account, after, limit, now))
    }

    async fn divert(&self, tenure: &Tenure, moves: Vec<Diversion>) -> Result<Vec<bool>, TenureError> {
        self.work(tenure, |model| moves.iter().map(|to| model.divert(&tenure.account, to)).collect())
    }

    async fn leave_out(&self, tenure: &Tenure, omissions: Vec<Omission>) -> Result<Vec<bool>, TenureError> {
        self.work(tenure, |model| omissions.iter().map(|omission| model.leave_out(&tenure.account, omission)).collect())
    }

    async fn doubts(&self, account: &AccountId, limit: usize) -> Result<Vec<Doubt>, StorageError> {
        Ok(self.model().doubts(account, limit))
    }

    async fn resolve_doubt(
        &self,
        account: &AccountId,
        doubt: Doubt,
        found: bool,
        now: Timestamp,
    ) -> Result<bool, StorageError> {
        self.change(|model| model.resolve_doubt(account, doubt, found, now))
    }

    async fn in_doubt(&self, account: &AccountId) -> Result<Vec<Mark>, StorageError> {
        Ok(self.model().in_doubt(account))
    }

    async fn backlog(&self, account: &AccountId) -> Result<Backlog, StorageError> {
        Ok(self.model().backlog(account))
    }

    async fn backlog_after(&self, account: &AccountId, at: Timestamp) -> Result<Backlog, StorageError> {
        Ok(self.model().backlog_after(account, at))
    }

    async fn observe_limit(&self, tenure: &Tenure, observed: ObservedLimit) -> Result<(), TenureError> {
        self.work(tenure, |model| {
            model.observed.insert((tenure.account.clone(), observed.key.clone()), observed);
        })
    }

    async fn observed_limits(&self, account: &AccountId) -> Result<Vec<ObservedLimit>, StorageError> {
        Ok(self.model().observed_limits(account))
    }

    async fn usage(&self, account: &AccountId) -> Result<Vec<Usage>, StorageError> {
        Ok(self.model().usage(account))
    }

    async fn forget_usage(&self, tenure: &Tenure, buckets: Vec<(QuotaKey, u64)>) -> Result<(), TenureError> {
        self.work(tenure, |model| {
            for (key, bucket) in buckets {
                model.ledger.remove(&(tenure.account.clone(), key, bucket));
            }
        })
    }
}

#[async_trait]
impl StoreCare for MemoryStore {
    async fn health(&self) -> Result<(), StorageError> {
        if self.model().closed { Err(closed()) } else { Ok(()) }
    }

    async fn prune(&self, finished_before: Timestamp, limit: usize, now: Timestamp) -> Result<u64, StorageError> {
        self.change(|model| model.prune(finished_before, limit, now))
    }

    async fn expire_overdue(&self, now: Timestamp, limit: usize) -> Result<u64, StorageError> {
        self.change(|model| model.expire_overdue(now, limit))
    }

    /// Counts the records: there is nothing that could be damaged and nothing derived.
    async fn verify(&self, progress: &dyn Progress) -> Result<Findings, StorageError> {
        let records = {
            let model = self.model();
            model.accounts.len() + model.jobs.len() + model.keys.len() + model.ledger.len() + model.events.len()
        } as u64;
        progress.report(records, records);
        Ok(Findings { records, ..Findings::default() })
    }

    /// Refused: there are no files to copy.
    async fn backup(&self, _target: &Path, _progress: &dyn Progress) -> Result<u64, StorageError> {
        Err(not_kept())
    }

    /// Refused: what a store in memory holds is not meant to outlive it.
    async fn export(&self, _out: &mut (dyn Write + Send), _progress: &dyn Progress) -> Result<u64, StorageError> {
        Err(not_kept())
    }

    /// Refused, as its opposite is.
    async fn import(&self, _from: &mut (dyn BufRead + Send), _progress: &dyn Progress) -> Result<u64, StorageError> {
        Err(not_kept())
    }

    async fn close(&self) -> Result<(), StorageError> {
        self.model().closed = true;
        Ok(())
    }
}
