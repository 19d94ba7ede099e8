//! Accounts, on sled.

use std::ops::Bound;

use async_trait::async_trait;

use super::{
    SledStore, disk,
    keys::{Family, Key},
    routing,
    tally::AccountEntry,
    tokens,
    txn::{META_NEXT_ACCOUNT, Txn},
    writer::{Patience, Weight},
};
use crate::{
    domain::{
        account::Account,
        event::{Event, EventKind},
        ids::{AccountId, Etag},
        parking::Standing,
        time::Timestamp,
        tokens::Tokens,
    },
    storage::{
        AccountRecord, AccountStore, CreateAccountError, DeleteAccountError, PAGE_MAX, StorageError, Tenure,
        TenureError, UpdateAccountError,
        records::{account::AccountRow, standing::StandingRow, tokens::TokensRow},
    },
};

/// About how many bytes a change of an account takes.
const ACCOUNT_WEIGHT: Weight = Weight { changes: 1, bytes: 4_096 };
/// How heavy it is when an account goes, or some of its list.
const DELETE_WEIGHT: Weight = Weight { changes: 256, bytes: 16_384 };
/// About how many bytes an account's tokens take.
const TOKENS_WEIGHT: Weight = Weight { changes: 1, bytes: 8_192 };

#[async_trait]
impl AccountStore for SledStore {
    async fn create_account(&self, account: Account) -> Result<(), CreateAccountError> {
        let row = AccountRow::new(&account, &self.sealer);
        // A crash may have left some of the list of an account that had this name.
        self.forget_leftovers(&account.id).await?;
        self.writer.commit(ACCOUNT_WEIGHT, Patience::Refuse, move |txn| create(txn, &account, &row)).await?
    }

    async fn account(&self, id: &AccountId) -> Result<Option<AccountRecord>, StorageError> {
        self.disk.failure.check()?;
        match self.entry_of(id) {
            Some(entry) => {
                let record = self.known.get(id, || self.read_account(&entry))?;
                Ok(record.map(|record| AccountRecord { open_jobs: entry.open_jobs, ..record }))
            }
            None => Ok(None),
        }
    }

    async fn accounts(&self, after: Option<&AccountId>, limit: usize) -> Result<Vec<AccountRecord>, StorageError> {
        let after = after.cloned();
        self.in_background(move |store| store.read_accounts(after.as_ref(), limit.min(PAGE_MAX))).await
    }

    async fn update_account(&self, account: Account, expected: Etag) -> Result<(), UpdateAccountError> {
        let row = AccountRow::new(&account, &self.sealer);
        self.writer.commit(ACCOUNT_WEIGHT, Patience::Refuse, move |txn| update(txn, &account, &row, expected)).await?
    }

    async fn delete_account(
        &self,
        id: &AccountId,
        expected: Option<Etag>,
        now: Timestamp,
    ) -> Result<(), DeleteAccountError> {
        let (store, id) = (self.clone(), id.clone());
        self.to_the_end(async move {
            let of = id.clone();
            let delete = move |txn: &mut Txn| delete(txn, &of, expected, now);
            store.writer.commit(DELETE_WEIGHT, Patience::Refuse, delete).await??;
            store.forget_leftovers(&id).await?;
            Ok::<_, DeleteAccountError>(())
        })
        .await
    }

    async fn set_standing(&self, id: &AccountId, standing: Standing, now: Timestamp) -> Result<(), StorageError> {
        let id = id.clone();
        // Parking must not fail because clients submit much.
        self.writer.commit(ACCOUNT_WEIGHT, Patience::Wait, move |txn| stand(txn, &id, &standing, now)).await
    }

    async fn tokens(&self, id: &AccountId) -> Result<Option<Tokens>, StorageError> {
        self.disk.failure.check()?;
        self.read_tokens(id)
    }

    async fn put_tokens(&self, id: &AccountId, tokens: Tokens) -> Result<(), StorageError> {
        let row = TokensRow::new(id, &tokens, &self.sealer);
        let id = id.clone();
        // A refresh token that is not stored is lost, however much clients submit.
        self.writer.commit(TOKENS_WEIGHT, Patience::Wait, move |txn| tokens::put(txn, &id, &row)).await
    }
}

fn create(txn: &mut Txn, account: &Account, row: &AccountRow) -> Result<Result<(), CreateAccountError>, StorageError> {
    if txn.accounts.contains_key(&account.id) {
        return Ok(Err(CreateAccountError::Exists));
    }
    // What came since the leftovers went.
    txn.forget_list(&account.id)?;
    let number = txn.next_account;
    txn.next_account += 1;
    let (key, value) = super::codec::single(&META_NEXT_ACCOUNT, &txn.next_account.to_be_bytes());
    txn.put(key, value);
    txn.put_row(|chunk| Key::Account { account: number, chunk }, row, 0);
    txn.accounts.insert(account.id.clone(), AccountEntry::new(number, account.etag));
    note(txn, &account.id, account.created.at, EventKind::AccountCreated);
    Ok(Ok(()))
}

fn update(
    txn: &mut Txn,
    account: &Account,
    row: &AccountRow,
    expected: Etag,
) -> Result<Result<(), UpdateAccountError>, StorageError> {
    let Some(entry) = txn.accounts.get(&account.id).copied() else {
        return Ok(Err(UpdateAccountError::Unknown));
    };
    if entry.etag != expected {
        return Ok(Err(UpdateAccountError::Stale { current: entry.etag }));
    }
    let key = |chunk| Key::Account { account: entry.number, chunk };
    let old_frames = match txn.row::<AccountRow>(key) {
        Ok(stored) => stored.map_or(0, |stored| stored.frames),
        // New settings mend a damaged row.
        Err(StorageError::Damaged(_)) => 0,
        Err(error) => return Err(error),
    };
    txn.put_row(key, row, old_frames);
    txn.accounts.insert(account.id.clone(), AccountEntry { etag: account.etag, ..entry });
    note(txn, &account.id, account.updated.at, EventKind::AccountUpdated);
    Ok(Ok(()))
}

fn delete(
    txn: &mut Txn,
    id: &AccountId,
    expected: Option<Etag>,
    now: Timestamp,
) -> Result<Result<(), DeleteAccountError>, StorageError> {
    let Some(entry) = txn.accounts.get(id).copied() else {
        return Ok(Err(DeleteAccountError::Unknown));
    };
    if expected.is_some_and(|expected| expected != entry.etag) {
        return Ok(Err(DeleteAccountError::Stale { current: entry.etag }));
    }
    if entry.open_jobs > 0 {
        return Ok(Err(DeleteAccountError::OpenJobs(entry.open_jobs)));
    }
    if let Some(rule) = routing::naming(txn, id)? {
        return Ok(Err(DeleteAccountError::Routed(rule)));
    }
    let account = entry.number;
    txn.forget_list(id)?;
    txn.forget_ledger(account)?;
    for family in [Family::Account, Family::Standing, Family::Tokens] {
        for key in txn.keys_with(&family.of_account(account))? {
            txn.remove(key);
        }
    }
    txn.remove_key(&Key::Tally { account });
    txn.end_tenure(id);
    txn.accounts.remove(id);
    note(txn, id, now, EventKind::AccountDeleted);
    Ok(Ok(()))
}

fn stand(txn: &mut Txn, id: &AccountId, standing: &Standing, now: Timestamp) -> Result<(), StorageError> {
    let Some(account) = txn.accounts.get(id).map(|entry| entry.number) else {
        return Ok(());
    };
    let key = |chunk| Key::Standing { account, chunk };
    let row = StandingRow::from(standing);
    let (old, old_frames) = match txn.row::<StandingRow>(key) {
        Ok(stored) => stored.map_or((StandingRow::default(), 0), |stored| (stored.value, stored.frames)),
        Err(StorageError::Damaged(_)) => (StandingRow::default(), 0),
        Err(error) => return Err(error),
    };
    if old == row {
        return Ok(());
    }
    let kind = match standing {
        Standing::Active => {
            txn.remove_frames(key, 0..old_frames.max(1));
            EventKind::AccountResumed
        }
        Standing::Parked(parking) => {
            txn.put_row(key, &row, old_frames);
            EventKind::AccountParked(parking.clone())
        }
    };
    note(txn, id, now, kind);
    Ok(())
}

/// Sets what a worker found, unless an operator's pause stands. Answers with what stands then.
pub(super) fn report(
    txn: &mut Txn,
    tenure: &Tenure,
    standing: Standing,
    now: Timestamp,
) -> Result<Result<Standing, TenureError>, StorageError> {
    let account = match txn.admit(tenure) {
        Ok(account) => account,
        Err(lost) => return Ok(Err(lost)),
    };
    let stored = match txn.row::<StandingRow>(|chunk| Key::Standing { account, chunk }) {
        Ok(stored) => stored.and_then(|stored| Standing::try_from(stored.value).ok()).unwrap_or_default(),
        Err(StorageError::Damaged(_)) => Standing::Active,
        Err(error) => return Err(error),
    };
    if matches!(&stored, Standing::Parked(parking) if parking.is_paused_at(now)) {
        return Ok(Ok(stored));
    }
    stand(txn, &tenure.account, &standing, now)?;
    Ok(Ok(standing))
}

fn note(txn: &mut Txn, id: &AccountId, at: Timestamp, kind: EventKind) {
    txn.made.entries.insert(id.clone());
    txn.made.changed.insert(id.clone());
    txn.made.rewritten.insert(id.clone());
    txn.event(Event { at, account: id.clone(), kind });
}

impl SledStore {
    /// Forgets what is left of the suppressions and runs of an account that is gone, step by step.
    async fn forget_leftovers(&self, id: &AccountId) -> Result<(), StorageError> {
        loop {
            let id = id.clone();
            let forget =
                move |txn: &mut Txn| if txn.accounts.contains_key(&id) { Ok(false) } else { txn.forget_list(&id) };
            if !self.writer.commit(DELETE_WEIGHT, Patience::Wait, forget).await? {
                return Ok(());
            }
        }
    }

    fn read_accounts(&self, after: Option<&AccountId>, limit: usize) -> Result<Vec<AccountRecord>, StorageError> {
        let start = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.clone()));
        let entries: Vec<_> = {
            let directory = self.directory();
            directory.range((start, Bound::Unbounded)).take(limit).map(|(_, entry)| *entry).collect()
        };
        let mut records = Vec::with_capacity(entries.len());
        for entry in entries {
            match self.read_account(&entry) {
                Ok(record) => records.extend(record),
                Err(StorageError::Damaged(why)) => {
                    tracing::warn!(reason = %why, "a list leaves a damaged account out");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(records)
    }

    fn read_account(&self, entry: &AccountEntry) -> Result<Option<AccountRecord>, StorageError> {
        let account = entry.number;
        let Some(row) = disk::read_row::<AccountRow>(&self.disk, |chunk| Key::Account { account, chunk })? else {
            return Ok(None);
        };
        let standing = disk::read_row::<StandingRow>(&self.disk, |chunk| Key::Standing { account, chunk })?;
        let id = row.value.id.clone();
        let damaged = |error| StorageError::Damaged(format!("account {id}: {error}"));
        let account = row.value.into_account(&self.sealer).map_err(damaged)?;
        let standing = standing.map_or(Ok(Standing::Active), |stored| stored.value.try_into()).map_err(damaged)?;
        Ok(Some(AccountRecord { account, standing, open_jobs: entry.open_jobs }))
    }
}
