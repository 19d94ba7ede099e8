//! Whether every record can be read and what is derived agrees; what cannot be read moves to quarantine.
//!
//! The check reads in the background; the committer looks again at what it changes, so the store may be in use.

use std::collections::HashMap;

use ::sled::IVec;

use super::{
    SledStore,
    blob_store::check_claim,
    care, codec,
    disk::{self, View},
    dkim,
    held_keys::held_keys,
    jobs,
    keys::{Family, Key},
    list_check,
    merge::verify::{check_outcomes, check_retry},
    quarantine::{quarantine, restore_derived, take_out_of_queue},
    record_keys::is_record,
    referred::Referred,
    returns, routing,
    txn::Txn,
    writer::{Patience, Weight},
    wrong::{Wrong, unreadable},
};
use crate::{
    domain::{
        backlog::{Backlog, Queued},
        ids::{JobId, MessageKey},
        job::Flight,
    },
    storage::{
        Findings, Progress, StorageError,
        records::{
            account::AccountRow, event::EventsRow, idempotency::IdempotencyRow, job::Location, ledger::MarkRow,
            ledger::UsageRow, merge::PartRow, standing::StandingRow, tokens::TokensRow,
        },
    },
};

/// Most findings that are told one by one.
const FINDINGS_TOLD_MAX: usize = 100;
/// After how many keys progress is told, and the next part is read.
const KEYS_PER_PART: usize = 2_000;
/// How heavy a part of the check is for the committer.
const PART_WEIGHT: Weight = Weight { changes: 1, bytes: 64 * 1_024 };

impl SledStore {
    pub(super) async fn verify_all(&self, progress: &dyn Progress) -> Result<Findings, StorageError> {
        self.sound.forget_all();
        let mut findings = Findings::default();
        let mut after: Vec<u8> = Vec::new();
        let total = u64::try_from(self.in_background(|store| Ok(store.disk.tree.len())).await?).unwrap_or(u64::MAX);
        let mut done = 0;
        loop {
            let start = after.clone();
            let part = self.in_background(move |store| store.read_part(&start)).await?;
            let Some(last) = part.last() else { break };
            after = [last.as_ref(), &[0]].concat();
            done += part.len() as u64;
            // What looks wrong here is looked at again by the committer, where entries agree with each other.
            let (records, wrong) = self.in_background(move |store| check_part(&store.disk, store, &part)).await?;
            findings.records += records;
            for (key, _) in wrong {
                self.mend(key, &mut findings).await?;
            }
            progress.report(done, total.max(done));
        }
        self.known.forget_all();
        self.sound.forget_all();
        self.mend_tallies(&mut findings).await?;
        self.collect_files().await?;
        Ok(findings)
    }

    fn read_part(&self, start: &[u8]) -> Result<Vec<IVec>, StorageError> {
        self.disk.tree.range(start..).keys().take(KEYS_PER_PART).map(|key| self.disk.checked(key)).collect()
    }

    async fn mend(&self, key: IVec, findings: &mut Findings) -> Result<(), StorageError> {
        let store = self.clone();
        let mended = move |txn: &mut Txn| {
            txn.flush_merges()?;
            let wrong = check(txn, &store, &key)?;
            match &wrong {
                None => {}
                Some(Wrong::LeftOver) => txn.remove(key),
                Some(Wrong::Missing(ready, value)) => txn.put(ready.clone(), value.clone()),
                Some(Wrong::Unreadable(_)) => {
                    quarantine(txn, &key)?;
                    restore_derived(txn, &store, &key)?;
                }
                Some(Wrong::Mute(_)) => take_out_of_queue(txn, &key)?,
            }
            Ok(wrong)
        };
        match self.writer.commit(PART_WEIGHT, Patience::Wait, mended).await? {
            None => {}
            Some(Wrong::LeftOver | Wrong::Missing(..)) => findings.mended += 1,
            Some(Wrong::Unreadable(why) | Wrong::Mute(why)) => {
                tracing::error!(reason = %why, "a damaged record was set aside");
                findings.quarantined_count += 1;
                if findings.quarantined.len() < FINDINGS_TOLD_MAX {
                    findings.quarantined.push(why);
                }
            }
        }
        Ok(())
    }

    /// Counts the open jobs of all accounts and the messages of all segments anew, in the committer: the counts must agree with each other.
    async fn mend_tallies(&self, findings: &mut Findings) -> Result<(), StorageError> {
        let counted = self.writer.commit(PART_WEIGHT, Patience::Wait, |txn: &mut Txn| {
            txn.flush_merges()?;
            let (mut open, mut referred) = (HashMap::new(), HashMap::<u32, Referred>::new());
            for key in txn.keys_with(&Family::Job.prefix())? {
                let Some(Key::Job { job, chunk: 0 }) = Key::parse(&key) else { continue };
                let stored = match jobs::load(txn, job) {
                    Ok(Some(stored)) => stored,
                    Ok(None) | Err(StorageError::Damaged(_)) => continue,
                    Err(error) => return Err(error),
                };
                if let Location::Spool(place) = stored.body.location {
                    referred.entry(place.segment).or_default().0 += 1;
                }
                if stored.job.is_open() {
                    let (count, backlog): &mut (u64, Backlog) = open.entry(stored.job.account.clone()).or_default();
                    *count += 1;
                    let queued = backlog.of_mut(stored.job.priority);
                    *queued = queued.plus(Queued::of_job(&stored.job));
                }
            }
            let mut mended: u64 = 0;
            for (id, entry) in &mut txn.accounts {
                let right = open.get(id).copied().unwrap_or_default();
                if (entry.open_jobs, entry.backlog) != right {
                    (entry.open_jobs, entry.backlog) = right;
                    txn.made.entries.insert(id.clone());
                    mended += 1;
                }
            }
            for (segment, right) in referred {
                let stored = txn.referred(segment)?;
                mended += u64::from(*stored != right);
                *stored = right;
            }
            Ok(mended)
        });
        findings.mended += counted.await?;
        Ok(())
    }

    async fn collect_files(&self) -> Result<(), StorageError> {
        self.in_background(|store| {
            match store.shelves.files.all() {
                Ok(all) => all.iter().for_each(|hash| care::collect_file(&store.disk, &store.shelves.files, hash)),
                Err(error) => tracing::warn!(%error, "cannot list the files of messages"),
            }
            Ok(())
        })
        .await
    }
}

type Checked = (u64, Vec<(IVec, Wrong)>);

fn check_part(view: &impl View, store: &SledStore, part: &[IVec]) -> Result<Checked, StorageError> {
    let mut wrong = Vec::new();
    let mut records = 0;
    for key in part {
        records += u64::from(is_record(key));
        wrong.extend(check(view, store, key)?.map(|what| (key.clone(), what)));
    }
    Ok((records, wrong))
}

/// What is wrong with the entry of this key, if anything is.
fn check(view: &impl View, store: &SledStore, key: &[u8]) -> Result<Option<Wrong>, StorageError> {
    if view.get(key)?.is_none() {
        return Ok(None);
    }
    let Some(parsed) = Key::parse(key) else {
        return Ok(Some(Wrong::Unreadable(format!("key {}: belongs to no family", hex(key)))));
    };
    let read = match parsed.clone() {
        Key::Account { account, chunk: 0 } => {
            disk::read_row::<AccountRow>(view, |chunk| Key::Account { account, chunk })
                .and_then(|row| bad(row.map(|row| row.value.into_account(&store.sealer))))
        }
        Key::Standing { account, chunk: 0 } => {
            disk::read_row::<StandingRow>(view, |chunk| Key::Standing { account, chunk })
                .and_then(|row| bad(row.map(|row| crate::domain::parking::Standing::try_from(row.value))))
        }
        Key::Tokens { account, chunk: 0 } => {
            disk::read_row::<TokensRow>(view, |chunk| Key::Tokens { account, chunk }).map(drop)
        }
        Key::Routing { chunk: 0 } => routing::check(view),
        Key::Dkim { hash, chunk: 0 } => dkim::check_key(view, hash, &store.sealer),
        Key::DkimRules { chunk: 0 } => dkim::check_rules(view),
        Key::Job { job, chunk: 0 } => return check_job(view, store, job),
        Key::Mark { account, job, index, chunk: 0 } => {
            disk::read_row::<MarkRow>(view, |chunk| Key::Mark { account, job, index, chunk })
                .and_then(|row| bad(row.map(|row| row.value.into_mark(MessageKey { job, index }))))
        }
        Key::Recipients { job, first, chunk: 0 } => {
            disk::read_row::<PartRow>(view, |chunk| Key::Recipients { job, first, chunk }).map(drop)
        }
        Key::Outcomes { job, page, chunk: 0 } => return check_outcomes(view, store, job, page),
        Key::Retry { job, due, index } => return check_retry(view, store, MessageKey { job, index }, due),
        Key::Body { job, chunk: 0 } => disk::read(view, |chunk| Key::Body { job, chunk }).map(drop),
        Key::Events { seq, chunk: 0 } => disk::read_row::<EventsRow>(view, |chunk| Key::Events { seq, chunk })
            .and_then(|row| bad(row.map(|row| row.value.into_events()))),
        Key::Idempotency { hash } => disk::read_row::<IdempotencyRow>(view, |_| Key::Idempotency { hash })
            .and_then(|row| bad(row.map(|row| row.value.job_id()))),
        Key::Bucket { account, quota, bucket } => {
            disk::read_row::<UsageRow>(view, |_| Key::Bucket { account, quota, bucket })
                .and_then(|row| bad(row.map(|row| row.value.into_usage(bucket))))
        }
        Key::FileEdge { file, job } => disk::read(view, |_| Key::FileEdge { file, job }).map(drop),
        Key::Blob { file, .. } => check_claim(view, store, &parsed, &file),
        Key::List(key) => return list_check::check(view, &key),
        Key::Expiry { job, .. } => {
            let stored = disk::readable(jobs::load(view, job))?;
            let is_expected = stored.is_some_and(|stored| jobs::expiry_key(&stored.job).as_ref() == Some(&parsed));
            return Ok((!is_expected).then_some(Wrong::LeftOver));
        }
        Key::Divertible { account, job, .. } => {
            let expected = match disk::readable(jobs::load(view, job))? {
                Some(stored) => expected_divert(view, account, &stored)?,
                None => None,
            };
            return Ok((expected.as_ref() != Some(&parsed)).then_some(Wrong::LeftOver));
        }
        Key::Return(key) => return returns::verify::check(view, &key),
        Key::Ready { account, job, .. } => return check_ready(view, &parsed, account, job),
        _ => Ok(()),
    };
    unreadable(read)
}

fn bad<T>(read: Option<Result<T, crate::storage::records::BadRow>>) -> Result<(), StorageError> {
    read.transpose().map(drop).map_err(|error| StorageError::Damaged(error.to_string()))
}
fn check_job(view: &impl View, store: &SledStore, id: JobId) -> Result<Option<Wrong>, StorageError> {
    let stored = match jobs::load(view, id) {
        Ok(Some(stored)) => stored,
        Ok(None) => return Ok(None),
        Err(error) => return unreadable(Err(error)),
    };
    let content = match stored.job.merge() {
        Some(_) => store.check_content(&stored),
        None => store.check_parts(&stored),
    };
    match content {
        Ok(()) => {}
        Err(StorageError::Damaged(why)) => return Ok(Some(Wrong::Mute(format!("job {id}: {why}")))),
        Err(error) => return Err(error),
    }
    for cut in &stored.body.cuts {
        let (key, value) = codec::single(&Key::FileEdge { file: cut.file, job: id }, &[]);
        if view.get(&key)?.is_none() {
            return Ok(Some(Wrong::Missing(key, value)));
        }
    }
    let Some(account) = store.number_of(&stored.job.account) else {
        return Ok(None);
    };
    let ready = expected_ready(view, account, &stored)?;
    let missing = match ready {
        Some((key, value)) if view.get(&key)?.as_ref() != Some(&value) => Some(Wrong::Missing(key, value)),
        _ => None,
    };
    if missing.is_some() {
        return Ok(missing);
    }
    let flight = jobs::flight_of(view, account, &stored.job)?;
    let doubt = jobs::doubt_key(account, &stored.job, flight);
    let bare = [jobs::expiry_key(&stored.job), expected_divert(view, account, &stored)?, doubt];
    let bare = bare.into_iter().flatten().map(|key| key.to_bytes());
    for key in bare.chain(held_keys(&stored.job)).map(IVec::from) {
        if view.get(&key)?.is_none() {
            return Ok(Some(Wrong::Missing(key, IVec::default())));
        }
    }
    Ok(None)
}

fn expected_divert(view: &impl View, account: u32, stored: &jobs::StoredJob) -> Result<Option<Key>, StorageError> {
    if stored.job.fallbacks.is_none() {
        return Ok(None);
    }
    let flight = jobs::flight_of(view, account, &stored.job)?;
    Ok(jobs::divert_key(account, &stored.job, flight))
}

fn check_ready(view: &impl View, key: &Key, account: u32, id: JobId) -> Result<Option<Wrong>, StorageError> {
    let expected = match jobs::load(view, id) {
        Ok(Some(stored)) => expected_ready(view, account, &stored)?,
        Ok(None) | Err(StorageError::Damaged(_)) => None,
        Err(error) => return Err(error),
    };
    let is_expected = expected.is_some_and(|(expected, _)| *expected == *key.to_bytes());
    Ok((!is_expected).then_some(Wrong::LeftOver))
}

fn expected_ready(
    view: &impl View,
    account: u32,
    stored: &jobs::StoredJob,
) -> Result<Option<(IVec, IVec)>, StorageError> {
    let flight = jobs::flight_of(view, account, &stored.job)?;
    let may_be_ready = flight == Flight::Grounded || stored.job.merge().is_some();
    Ok(jobs::ready_entry(account, &stored.job).filter(|_| may_be_ready))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
