//! Which accounts, and with them which jobs, does a caller see? Only this file knows the rule: a personal account is there
//! for its owner and for admins, and for nobody else.

use std::collections::{HashMap, hash_map::Entry};

use super::{api_keys::Role, status::Refusal};
use crate::{
    domain::{
        account::AccountSettings,
        ids::{AccountId, Caller, JobId},
        inbound::InboundId,
        job::Job,
        time::Timestamp,
    },
    storage::{AccountRecord, JobRecord, SharedStorage, StorageError},
};

/// A caller with its role, as the guard has noted both.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    caller: Caller,
    role: Role,
}

impl Visitor {
    /// This caller in this role.
    pub(super) const fn new(caller: Caller, role: Role) -> Self {
        Self { caller, role }
    }

    /// Who it is.
    pub(super) const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Who it is, for good.
    pub(super) fn into_caller(self) -> Caller {
        self.caller
    }

    /// Whether an account with these settings is there for it.
    pub(super) fn sees(&self, settings: &AccountSettings) -> bool {
        self.is_admin() || settings.owner.as_ref().is_none_or(|owner| *owner == self.caller)
    }

    /// Refuses settings by which it would give the account to somebody else.
    pub(super) fn check_owner(&self, settings: &AccountSettings) -> Result<(), Refusal> {
        if self.sees(settings) {
            return Ok(());
        }
        Err(Refusal::NotAllowed("only admins may name another owner of an account than themselves"))
    }

    /// The account of this id, if one is there for it.
    pub(super) async fn account(
        &self,
        storage: &SharedStorage,
        id: &AccountId,
    ) -> Result<Option<AccountRecord>, StorageError> {
        Ok(storage.account(id).await?.filter(|record| self.sees(&record.account.settings)))
    }

    /// The job of this id, if one is there for it.
    pub(super) async fn job(&self, storage: &SharedStorage, id: JobId) -> Result<Option<JobRecord>, StorageError> {
        let Some(record) = storage.job(id).await? else { return Ok(None) };
        let is_seen = View::new(self, storage).sees_job(&record).await?;
        Ok(is_seen.then_some(record))
    }

    /// Whether it may approve a job that it sees: not one that it submitted itself, unless it is an admin.
    pub(super) fn may_approve(&self, job: &Job) -> bool {
        self.is_admin() || job.caller != self.caller
    }

    /// Whether it may do all.
    pub(super) const fn is_admin(&self) -> bool {
        matches!(self.role, Role::Admin)
    }
}

/// What a caller sees of many jobs: it looks each account up once.
#[derive(Debug)]
pub(super) struct View<'a> {
    visitor: &'a Visitor,
    storage: &'a SharedStorage,
    known: HashMap<AccountId, Sight>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sight {
    /// Whatever it is: to an admin.
    Seen,
    /// Created then, and whether it is there for the caller.
    Since(Timestamp, bool),
    /// It was deleted: its jobs are left to who submitted them.
    Gone,
}

impl<'a> View<'a> {
    pub(super) fn new(visitor: &'a Visitor, storage: &'a SharedStorage) -> Self {
        Self { visitor, storage, known: HashMap::new() }
    }

    /// Whether a job is there for the caller.
    pub(super) async fn sees_job(&mut self, record: &JobRecord) -> Result<bool, StorageError> {
        Ok(match self.sight(&record.job.account).await? {
            Sight::Seen => true,
            Sight::Since(created, seen) if record.job.accepted_at >= created => seen,
            // It is the job of an account that was deleted, if another has its name now.
            Sight::Since(..) | Sight::Gone => record.job.caller == self.visitor.caller,
        })
    }

    /// Whether a job is there for the caller of which only the names are known.
    pub(super) async fn sees_job_of(&mut self, account: &AccountId, id: JobId) -> Result<bool, StorageError> {
        Ok(match self.sight(account).await? {
            Sight::Seen => true,
            // The id of a job begins with the time of its acceptance.
            Sight::Since(created, seen) if id >= JobId::first_at(created) => seen,
            Sight::Since(..) | Sight::Gone => {
                let record = self.storage.job(id).await?;
                record.is_some_and(|record| record.job.caller == self.visitor.caller)
            }
        })
    }

    /// Whether what is left of an account is there for the caller. Of one that was deleted it is there for admins only.
    pub(super) async fn sees_account(&mut self, account: &AccountId) -> Result<bool, StorageError> {
        Ok(matches!(self.sight(account).await?, Sight::Seen | Sight::Since(_, true)))
    }

    /// Whether an account exists and is there for the caller.
    pub(super) async fn finds_account(&mut self, account: &AccountId) -> Result<bool, StorageError> {
        Ok(matches!(self.look_up(account).await?, Sight::Since(_, true)))
    }

    /// Whether a mail is there for the caller that came into the mailbox of an account. What came before the account was created
    /// came to another one of its name.
    pub(super) async fn sees_mail_of(&mut self, account: &AccountId, id: InboundId) -> Result<bool, StorageError> {
        Ok(match self.sight(account).await? {
            Sight::Seen => true,
            Sight::Since(created, seen) => seen && id >= InboundId::first_at(created),
            Sight::Gone => false,
        })
    }

    async fn sight(&mut self, id: &AccountId) -> Result<Sight, StorageError> {
        if self.visitor.is_admin() { Ok(Sight::Seen) } else { self.look_up(id).await }
    }

    async fn look_up(&mut self, id: &AccountId) -> Result<Sight, StorageError> {
        let place = match self.known.entry(id.clone()) {
            Entry::Occupied(known) => return Ok(*known.get()),
            Entry::Vacant(place) => place,
        };
        let sight = match self.storage.account(id).await {
            Ok(Some(record)) => Sight::Since(record.account.created.at, self.visitor.sees(&record.account.settings)),
            // Of a damaged account nobody knows whose it is.
            Err(StorageError::Damaged(_)) => Sight::Since(Timestamp::EPOCH, false),
            Ok(None) => Sight::Gone,
            Err(error) => return Err(error),
        };
        Ok(*place.insert(sight))
    }
}
