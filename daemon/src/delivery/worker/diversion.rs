//! Jobs that go over to other accounts while this one cannot send.

use std::{collections::HashMap, time::Duration};

use super::{Worker, WorkerError};
use crate::{
    domain::{
        ids::{AccountId, JobId, MessageKey},
        job::{Flight, Job},
        time::Timestamp,
    },
    policy::diversion::{Heir, heir, is_out},
    storage::{AccountRecord, StorageError, settlement::Diversion},
};

/// Jobs that are looked at together.
const PAGE_JOBS: usize = 64;
/// When jobs are looked at again that nobody could take over, in seconds: other accounts come back without this one being
/// told.
const LOOK_AGAIN_SECONDS: u64 = 60;

/// The accounts that were looked up for one round; nothing for one that is gone or unreadable.
type Known = HashMap<AccountId, Option<AccountRecord>>;

impl Worker {
    /// Notes that there may be something to give away.
    pub(super) const fn reconsider_diversion(&mut self) {
        self.divert_at = Some(Timestamp::EPOCH);
    }

    /// The next look at what others may take over; nothing while the account can send or has nothing for others.
    pub(super) fn diversion_due(&self) -> Option<Timestamp> {
        self.divert_at.filter(|_| is_out(self.standing.standing(), self.context.clock.now()))
    }

    /// Gives the jobs that are due, have fallbacks and were never given to the provider to the first fallback that can send
    /// them, when this account cannot for long. What couriers are out with stays: it is looked at when they are back.
    pub(super) async fn divert(&mut self) -> Result<(), WorkerError> {
        let now = self.context.clock.now();
        if self.diversion_due().is_none_or(|at| at > now) {
            return Ok(());
        }
        let (mut known, mut after, mut is_left) = (Known::new(), None, false);
        let next_due = loop {
            let page = self.context.storage.divertible(&self.tenure.account, after, PAGE_JOBS, now).await?;
            let last = page.jobs.last();
            after = last.and_then(|job| Some((job.divertible_since(Flight::Grounded)?, job.id)));
            is_left |= !self.divert_page(&page.jobs, &mut known, now).await?;
            if page.jobs.len() < PAGE_JOBS || after.is_none() {
                break page.next_due;
            }
        };
        let again = is_left.then(|| now.after(Duration::from_secs(LOOK_AGAIN_SECONDS)));
        self.divert_at = [again, next_due].into_iter().flatten().min();
        Ok(())
    }

    /// Moves what it can of some jobs, and says whether all of them went. An account that takes one no more, as its queue is
    /// full, is asked no more in this round: the next fallback of such jobs is.
    async fn divert_page(&mut self, jobs: &[Job], known: &mut Known, now: Timestamp) -> Result<bool, WorkerError> {
        let mut left: Vec<&Job> = jobs.iter().collect();
        loop {
            let mut moves = Vec::new();
            for job in &left {
                moves.extend(self.diversion(job, known, now).await?);
            }
            if moves.is_empty() {
                return Ok(left.is_empty());
            }
            let refused = self.give_away(moves.clone()).await?;
            left.retain(|job| refused.contains(&job.id) || moves.iter().all(|one| one.job != job.id));
            for one in moves.into_iter().filter(|one| refused.contains(&one.job)) {
                known.insert(one.to, None);
            }
        }
    }

    /// Moves jobs, and says which did not go.
    async fn give_away(&mut self, moves: Vec<Diversion>) -> Result<Vec<JobId>, WorkerError> {
        let told: Vec<_> = moves.iter().map(|to| (to.job, to.to.clone())).collect();
        let done = self.context.storage.divert(&self.tenure, moves).await?;
        self.window.distrust();
        let mut refused = Vec::new();
        for ((job, to), done) in told.into_iter().zip(done) {
            if done {
                tracing::info!(%job, account = %self.tenure.account, %to, "the job goes by a fallback account");
            } else {
                refused.push(job);
            }
        }
        Ok(refused)
    }

    /// Where a job goes, if anywhere.
    async fn diversion(&self, job: &Job, known: &mut Known, now: Timestamp) -> Result<Option<Diversion>, StorageError> {
        let Some(fallbacks) = job.fallbacks.as_deref().filter(|_| !self.window.is_busy_with(MessageKey::only(job.id)))
        else {
            return Ok(None);
        };
        for id in &fallbacks.accounts {
            let found = match known.get(id) {
                Some(_) => continue,
                None => self.look_up(id).await?,
            };
            known.insert(id.clone(), found);
        }
        let heirs: Vec<_> = fallbacks.accounts.iter().filter_map(|id| known.get(id)?.as_ref()).map(as_heir).collect();
        let chosen = heir(job, &heirs, now);
        Ok(chosen.map(|(to, sender)| Diversion { job: job.id, to: to.clone(), sender, now }))
    }

    async fn look_up(&self, id: &AccountId) -> Result<Option<AccountRecord>, StorageError> {
        match self.context.storage.account(id).await {
            Err(StorageError::Damaged(_)) => Ok(None),
            found => found,
        }
    }
}

fn as_heir(record: &AccountRecord) -> Heir<'_> {
    Heir { id: &record.account.id, settings: &record.account.settings, standing: &record.standing }
}
