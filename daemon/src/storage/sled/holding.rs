//! How recipients are left out of jobs, and found again when what held them back is taken away.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    SledStore,
    disk::readable,
    jobs::{self, Before, job_event},
    keys::{Key, ListKey},
    merge::{book::Opened, open::OpenMerge},
    txn::Txn,
    writer::{Patience, Weight},
};
use crate::{
    domain::{
        event::JobChange,
        ids::{JobId, MessageKey},
        job::{Control, Flight},
        suppression::{SuppressedBy, SuppressionKey},
        time::Timestamp,
    },
    storage::{Lifted, StorageError, Tenure, TenureError, settlement::Omission},
};

/// How many recipients that are held back one step looks at.
const HELD_PER_STEP: usize = 256;
/// How heavy a step is for the committer.
const STEP_WEIGHT: Weight = Weight { changes: 256, bytes: 512 * 1_024 };

/// Leaves recipients out, and says of each omission whether it left out anybody.
pub(super) fn leave_out_all(
    txn: &mut Txn,
    tenure: &Tenure,
    omissions: Vec<Omission>,
) -> Result<Result<Vec<bool>, TenureError>, StorageError> {
    let account = match txn.admit(tenure) {
        Ok(account) => account,
        Err(lost) => return Ok(Err(lost)),
    };
    let mut answers = Vec::with_capacity(omissions.len());
    for omission in omissions {
        let has_left = leave_out_one(txn, account, tenure, &omission)?;
        if has_left {
            txn.count(account, &omission.counted, omission.now);
        }
        answers.push(has_left);
    }
    Ok(Ok(answers))
}

/// Whether anybody was left out.
fn leave_out_one(txn: &mut Txn, account: u32, tenure: &Tenure, omission: &Omission) -> Result<bool, StorageError> {
    let Omission { message, recipients, now, .. } = omission;
    match txn.open_job(message.job, account, &tenure.account)? {
        None => Ok(false),
        Some(Opened::Merge(mut merge)) => {
            let by = recipients.iter().find(|(index, _)| *index == message.index);
            let left = by.map_or(Ok(false), |(index, by)| merge.leave_out(txn, *index, by, *now));
            txn.close_merge(merge);
            Ok(readable(left.map(Some))?.unwrap_or(false))
        }
        Some(Opened::Plain(mut stored)) => {
            if message.index > 0 || jobs::is_marked(txn, account, *message)? {
                return Ok(false);
            }
            let before = Before::of(account, &stored.job, Flight::Grounded);
            let by = recipients.iter().map(|(index, by)| (*index, SuppressedBy::from(by)));
            let left = stored.job.leave_out(by, *now);
            if left.is_empty() {
                return Ok(false);
            }
            txn.replace_job(account, &stored, &before, Flight::Grounded);
            let change = JobChange::Suppressed { recipients: left };
            txn.event(job_event(&stored.job, change, Flight::Grounded, *now));
            Ok(true)
        }
    }
}

impl SledStore {
    pub(super) async fn lift_suppression(
        &self,
        key: &SuppressionKey,
        requeue: bool,
        now: Timestamp,
    ) -> Result<Option<Lifted>, StorageError> {
        let (store, key) = (self.clone(), key.clone());
        self.to_the_end(async move { store.lift_in_steps(key, requeue, now).await }).await
    }

    async fn lift_in_steps(
        &self,
        key: SuppressionKey,
        requeue: bool,
        now: Timestamp,
    ) -> Result<Option<Lifted>, StorageError> {
        let of = key.clone();
        let lift = move |txn: &mut Txn| {
            let suppression = txn.forget_suppression(&of)?;
            let step = if requeue { txn.readmit_some(&of, None, now)? } else { Step::default() };
            Ok((suppression, step))
        };
        let (suppression, step) = self.writer.commit(STEP_WEIGHT, Patience::Refuse, lift).await?;
        let Step { readmitted: mut requeued, mut last } = step;
        while let Some(after) = last {
            let of = key.clone();
            let more = move |txn: &mut Txn| txn.readmit_some(&of, Some(after), now);
            let step = self.writer.commit(STEP_WEIGHT, Patience::Wait, more).await?;
            requeued += step.readmitted;
            last = step.last;
        }
        let is_nothing = suppression.is_none() && requeued == 0;
        Ok((!is_nothing).then_some(Lifted { suppression, requeued }))
    }
}

/// What a step has done.
#[derive(Debug, Default)]
struct Step {
    /// How many recipients wait again.
    readmitted: u32,
    /// The last entry that was looked at, when there may be more.
    last: Option<Vec<u8>>,
}

impl Txn {
    /// Lets recipients wait again that a suppression held back, beginning after an entry.
    fn readmit_some(
        &mut self,
        key: &SuppressionKey,
        after: Option<Vec<u8>>,
        now: Timestamp,
    ) -> Result<Step, StorageError> {
        self.flush_merges()?;
        let held = self.held_after(key, after.as_deref())?;
        let last = (held.len() == HELD_PER_STEP).then(|| held.last().cloned()).flatten();
        let mut by_job: BTreeMap<JobId, Vec<u32>> = BTreeMap::new();
        for bytes in held {
            if let Some(Key::List(ListKey::Held { message, .. })) = Key::parse(&bytes) {
                by_job.entry(message.job).or_default().push(message.index);
            }
        }
        let mut readmitted = 0;
        for (job, indexes) in by_job {
            readmitted += self.readmit_job(job, &indexes, key, now)?;
        }
        Ok(Step { readmitted, last })
    }

    /// Entries of recipients that a suppression holds back, as this commit will leave them, in their order.
    fn held_after(&self, key: &SuppressionKey, after: Option<&[u8]>) -> Result<Vec<Vec<u8>>, StorageError> {
        let prefix = ListKey::held_by(key);
        let start = after.map_or_else(|| prefix.clone(), |after| [after, &[0]].concat());
        let mut held = BTreeSet::new();
        for entry in self.disk.tree.range(start.clone()..).keys() {
            let entry = self.disk.checked(entry)?;
            if !entry.starts_with(&prefix) || held.len() == HELD_PER_STEP {
                break;
            }
            if self.will_have(&entry) {
                held.insert(entry.to_vec());
            }
        }
        let new = self.overlay.iter().filter(|(entry, value)| value.is_some() && entry.starts_with(&prefix));
        held.extend(new.filter(|(entry, _)| entry.as_ref() >= start.as_slice()).map(|(entry, _)| entry.to_vec()));
        Ok(held.into_iter().take(HELD_PER_STEP).collect())
    }

    fn readmit_job(
        &mut self,
        job: JobId,
        indexes: &[u32],
        key: &SuppressionKey,
        now: Timestamp,
    ) -> Result<u32, StorageError> {
        let Some(mut stored) = readable(jobs::load(self, job))? else { return Ok(0) };
        // Without its account it would wait for ever.
        let Some(account) = self.accounts.get(&stored.job.account).map(|entry| entry.number) else { return Ok(0) };
        if stored.job.merge().is_some() {
            return self.readmit_merge(OpenMerge::new(account, stored), indexes, key, now);
        }
        let flight = jobs::flight_of(self, account, &stored.job)?;
        let before = Before::of(account, &stored.job, flight);
        let readmitted = stored.job.readmit(key, now);
        if readmitted > 0 {
            self.replace_job(account, &stored, &before, flight);
            self.made.changed.insert(stored.job.account.clone());
            self.event(job_event(&stored.job, JobChange::Controlled(Control::Retry), flight, now));
        }
        Ok(readmitted)
    }

    fn readmit_merge(
        &mut self,
        mut merge: OpenMerge,
        indexes: &[u32],
        key: &SuppressionKey,
        now: Timestamp,
    ) -> Result<u32, StorageError> {
        let readmitted = merge.readmit(self, indexes, key, now);
        self.close_merge(merge);
        readmitted
    }

    /// Stores that a message of a merge job is held back, and by which suppression.
    pub(super) fn put_held(&mut self, message: MessageKey, key: &SuppressionKey) {
        let row = crate::storage::records::suppression::SuppressionKeyRow::from(key);
        self.put_row(|_| Key::List(ListKey::HeldBy { message }), &row, 0);
        self.put_bare(&Key::List(ListKey::Held { key: key.clone(), message }));
    }

    /// Forgets that a message of a merge job is held back.
    pub(super) fn remove_held(&mut self, message: MessageKey, key: &SuppressionKey) {
        self.remove_key(&Key::List(ListKey::HeldBy { message }));
        self.remove_key(&Key::List(ListKey::Held { key: key.clone(), message }));
    }
}
