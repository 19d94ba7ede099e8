//! Plays a script's steps on one store and writes its answers down.

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Debug,
    time::Duration,
};

use bytes::Bytes;

use super::{
    samples::{
        account_id, at, attempt, attempt_of, caller, charge, idempotency, label,
        lists::{accepted, suppression},
        mark, mark_of, merge_recipient, merge_submission, parked, per_minute, recipient, sample_account, sample_job,
        settlement_of, submission,
    },
    step::{NewJob, Step},
};
use crate::{
    domain::{
        address::Address,
        attempt::Fate,
        ids::{AccountId, Etag, JobId, MessageKey},
        job::{Approval, Audience, Fallbacks, Job, Schedule},
        merge::progress::MergeProgress,
        parking::{ParkingCause, Standing},
        statistics::StatisticsGroup,
        suppression::SuppressionScope,
        time::Timestamp,
    },
    storage::{
        JobStore, MergeSubmission, Ready, SharedStorage, Submission, Tenure, TenureError,
        settlement::{Aftermath, Diversion, Expiry, Mark, Settlement},
    },
};

mod lists;
mod reading;
mod returning;

const ACCOUNTS: [&str; 3] = ["a", "b", "c"];

/// A store, and what is known to whoever calls it.
pub(super) struct Player {
    store: SharedStorage,
    now: Timestamp,
    submitted: Vec<JobId>,
    /// How many mails came.
    given_back: u8,
    /// The tenure before the last, and the last.
    tenures: BTreeMap<u8, (Tenure, Tenure)>,
}

fn account(number: u8) -> AccountId {
    account_id(ACCOUNTS[usize::from(number)])
}

/// An answer that both stores must give. Which tenure was lost is all that an error may say.
fn told<T: Debug>(answer: Result<T, TenureError>) -> String {
    match answer {
        Ok(answer) => format!("{answer:?}"),
        Err(TenureError::Lost(account)) => format!("lost {account}"),
        Err(TenureError::Storage(error)) => panic!("the store failed: {error}"),
    }
}

/// The heads of a queue. When there may be more of them, the next due time is not promised.
fn heads(ready: &Ready, limit: usize) -> String {
    let next_due = ready.next_due.filter(|_| ready.messages.len() < limit);
    format!("{:?} {next_due:?}", ready.messages)
}

impl Player {
    pub(super) fn new(store: SharedStorage) -> Self {
        Self { store, now: at(0), submitted: Vec::new(), given_back: 0, tenures: BTreeMap::new() }
    }

    /// The same caller after a restart. Tenures end with the process.
    pub(super) async fn reopened(self, reopen: impl AsyncFn(SharedStorage) -> SharedStorage) -> Self {
        Self { store: reopen(self.store).await, tenures: BTreeMap::new(), ..self }
    }

    /// Makes a step's calls and writes down their answers.
    pub(super) async fn play(&mut self, step: &Step) -> String {
        match step {
            Step::Wait { seconds } => {
                self.now = self.now.after(Duration::from_secs(*seconds));
                String::new()
            }
            Step::CreateAccount { .. } | Step::UpdateAccount { .. } | Step::DeleteAccount { .. } => {
                self.change_account(step).await
            }
            Step::SetStanding { account: id, standing } => {
                let causes = [None, Some(ParkingCause::Paused), Some(ParkingCause::Throttled)];
                let cause = causes[usize::from(*standing)];
                let standing = cause.map_or(Standing::Active, |cause| parked(cause, at(0)));
                self.store.set_standing(&account(*id), standing, self.now).await.expect("an answer");
                String::new()
            }
            Step::Accept { jobs } => {
                let submissions = jobs.iter().map(|job| self.submission(job)).collect();
                let answers = JobStore::accept(&*self.store, submissions).await.expect("an answer");
                format!("{answers:?}")
            }
            Step::AcceptMerge { job, messages, surplus } => self.accept_merge(job, *messages, *surplus).await,
            Step::Control { jobs, control } => {
                let ids = jobs.iter().map(|job| self.id(*job)).collect();
                format!("{:?}", self.store.control(ids, *control, self.now).await.expect("an answer"))
            }
            Step::Approve { jobs } => {
                let ids = jobs.iter().map(|job| self.id(*job)).collect();
                format!("{:?}", self.store.approve(ids, &caller(), self.now).await.expect("an answer"))
            }
            Step::Prune { finished_seconds_ago } => {
                let before = self.now.before(Duration::from_secs(*finished_seconds_ago));
                while self.store.prune(before, 3, self.now).await.expect("an answer") > 0 {}
                String::new()
            }
            Step::Suppress { .. } | Step::Lift { .. } | Step::LeaveOut { .. } => self.change_lists(step).await,
            Step::ExpireOverdue { limit } => {
                format!("{:?}", self.store.expire_overdue(self.now, *limit).await.expect("an answer"))
            }
            Step::Ingest { .. } | Step::ForgetRead { .. } | Step::ResolveDoubt { .. } => self.give_back(step).await,
            _ => self.work(step).await,
        }
    }

    async fn change_account(&self, step: &Step) -> String {
        match step {
            Step::CreateAccount { account: id } => {
                let mut new = sample_account(ACCOUNTS[usize::from(*id)]);
                new.created.at = self.now;
                format!("{:?}", self.store.create_account(new).await.map_err(|error| error.to_string()))
            }
            Step::UpdateAccount { account: id, stale } => {
                let record = self.store.account(&account(*id)).await.expect("an answer");
                let seen = record.map_or(0, |record| record.account.etag.0);
                let mut new = sample_account(ACCOUNTS[usize::from(*id)]);
                new.etag = Etag(seen + 1);
                new.updated.at = self.now;
                let expected = Etag(if *stale { seen + 5 } else { seen });
                format!("{:?}", self.store.update_account(new, expected).await.map_err(|error| error.to_string()))
            }
            Step::DeleteAccount { account: id } => {
                let answer = self.store.delete_account(&account(*id), None, self.now).await;
                format!("{:?}", answer.map_err(|error| error.to_string()))
            }
            _ => unreachable!("play() sends no other step here"),
        }
    }

    async fn work(&mut self, step: &Step) -> String {
        match step {
            Step::TakeTenure { account } => {
                self.tenures.remove(account);
                self.tenure(*account, false).await;
                String::new()
            }
            Step::Mark { account, jobs, stale } => {
                let tenure = self.tenure(*account, *stale).await;
                let mut marks = Vec::new();
                for job in jobs {
                    marks.extend(self.mark(MessageKey::only(self.id(*job))).await);
                }
                told(self.store.mark_in_doubt(&tenure, marks).await)
            }
            Step::Settle { account, job, fates, retry_seconds, stale } => {
                let tenure = self.tenure(*account, *stale).await;
                let retry_at = self.now.after(Duration::from_secs(*retry_seconds));
                let settled = self.settlement(MessageKey::only(self.id(*job)), fates.as_deref()).await;
                told(self.store.settle(&tenure, vec![Settlement { retry_at, ..settled }]).await)
            }
            Step::MarkMessages { account, job, indexes, stale } => {
                let tenure = self.tenure(*account, *stale).await;
                let mut marks = Vec::new();
                for message in self.messages(*job, indexes) {
                    marks.extend(self.mark(message).await);
                }
                told(self.store.mark_in_doubt(&tenure, marks).await)
            }
            Step::SettleMessages { account, job, indexes, fates, retry_seconds } => {
                let tenure = self.tenure(*account, false).await;
                let retry_at = self.now.after(Duration::from_secs(*retry_seconds));
                let mut settlements = Vec::new();
                for message in self.messages(*job, indexes) {
                    let settled = self.settlement(message, fates.as_deref()).await;
                    settlements.push(Settlement { retry_at, ..settled });
                }
                told(self.store.settle(&tenure, settlements).await)
            }
            Step::Expire { account, jobs, stale } => {
                let tenure = self.tenure(*account, *stale).await;
                let expiries = jobs.iter().map(|job| Expiry { job: self.id(*job), now: self.now }).collect();
                told(self.store.expire(&tenure, expiries).await)
            }
            Step::Work { account, limit, settled, fates } => self.send(*account, *limit, *settled, fates).await,
            Step::Divert { account, jobs, to, stale } => {
                let tenure = self.tenure(*account, *stale).await;
                self.divert(&tenure, jobs, *to).await
            }
            Step::ForgetUsage { account, bucket } => {
                let tenure = self.tenure(*account, false).await;
                told(self.store.forget_usage(&tenure, vec![(per_minute(), *bucket)]).await)
            }
            _ => unreachable!("play() makes the other steps itself"),
        }
    }

    async fn divert(&self, tenure: &Tenure, jobs: &[u8], to: u8) -> String {
        let sender: Address = "moved@example.jp".parse().expect("an address");
        let moves = jobs.iter().map(|job| Diversion {
            job: self.id(*job),
            to: account(to),
            sender: sender.clone(),
            now: self.now,
        });
        told(self.store.divert(tenure, moves.collect()).await)
    }

    /// Does what a worker does: takes the heads of the queue, marks them and settles the first of them.
    async fn send(&mut self, number: u8, limit: usize, settled: usize, fates: &[Fate]) -> String {
        let tenure = self.tenure(number, false).await;
        let skip: HashSet<_> = self.submitted.first().copied().map(MessageKey::only).into_iter().collect();
        let ready = self.store.ready(&account(number), &skip, limit, self.now).await.expect("an answer");
        let (mut marks, mut settlements) = (Vec::new(), Vec::new());
        for entry in &ready.messages {
            marks.extend(self.mark(entry.message).await);
            settlements.push(self.settlement(entry.message, Some(fates)).await);
        }
        settlements.truncate(settled);
        let marked = told(self.store.mark_in_doubt(&tenure, marks).await);
        let settled = told(self.store.settle(&tenure, settlements).await);
        format!("{} {marked} {settled}", heads(&ready, limit))
    }

    async fn tenure(&mut self, number: u8, stale: bool) -> Tenure {
        if !self.tenures.contains_key(&number) {
            let old = self.store.take_tenure(&account(number)).await.expect("a tenure");
            let last = self.store.take_tenure(&account(number)).await.expect("a tenure");
            self.tenures.insert(number, (old, last));
        }
        let (old, last) = &self.tenures[&number];
        if stale { old.clone() } else { last.clone() }
    }

    async fn mark(&self, message: MessageKey) -> Option<Mark> {
        let job = self.store.job(message.job).await.expect("an answer")?.job;
        let charges = vec![charge(self.now.as_millis() / 60_000 % 3, 2)];
        let mark = if job.merge().is_some() { mark_of(message, self.now) } else { mark(&job, self.now) };
        Some(Mark { message, charges, ..mark })
    }

    async fn settlement(&self, message: MessageKey, fates: Option<&[Fate]>) -> Settlement {
        let job = self.store.job(message.job).await.expect("an answer").map(|record| record.job);
        let met = fates.map(|fates| match &job {
            Some(job) if job.merge().is_some() => {
                let number = u32::try_from(self.now.as_millis() / 1_000 % 3).expect("at most 2") + 1;
                attempt_of(message.index, number, fates[message.index as usize % fates.len()], self.now)
            }
            job => attempt(job.as_ref().map_or(1, |job| job.attempts_made + 1), fates, self.now),
        });
        let charges = vec![charge(0, -1), charge(1, 1)];
        let provider_id = met.as_ref().map(|met| format!("p{}", (met.number + message.index) % 5).into());
        let refused = met.as_ref().is_some_and(|met| met.number == 2);
        let aftermath = Some(Box::new(Aftermath {
            provider_id,
            counted: vec![accepted(StatisticsGroup::OtherDomains, 1)],
            suppressions: refused
                .then(|| suppression(SuppressionScope::Global, "user2@example.com"))
                .into_iter()
                .collect(),
        }));
        Settlement { charges, aftermath, ..settlement_of(message, met, self.now) }
    }

    fn messages(&self, job: u8, indexes: &[u8]) -> Vec<MessageKey> {
        let job = self.id(job);
        indexes.iter().map(|index| MessageKey { job, index: u32::from(*index) }).collect()
    }

    async fn accept_merge(&mut self, new: &NewJob, messages: u8, surplus: bool) -> String {
        let new = &NewJob { left_out: None, ..new.clone() };
        let Submission { job, idempotency, counted, .. } = self.submission(new);
        let due = self.now.after(Duration::from_secs(new.due_seconds));
        let progress = MergeProgress::new(u32::from(messages), due);
        let job = Job { audience: Audience::Each(Box::new(progress)), ..job };
        let half = u32::from(messages) / 2;
        let end = u32::from(messages) + u32::from(surplus);
        for part in [0..half, half..end] {
            let first = part.start;
            self.store.stage(job.id, first, part.map(merge_recipient).collect()).await.expect("it is staged");
        }
        let mut given = merge_submission(job);
        // Some contents are kept in the store itself, some in files.
        given.template.draft.text = Some("x".repeat(new.bytes));
        let given = MergeSubmission { idempotency, counted, ..given };
        format!("{:?}", self.store.accept_merge(given).await.map_err(|error| error.to_string()))
    }

    /// The id of a job that was submitted, or one that never was.
    fn id(&self, number: u8) -> JobId {
        self.submitted.get(usize::from(number)).copied().unwrap_or(JobId::new(at(0), [0xff; 10]))
    }

    fn submission(&mut self, new: &NewJob) -> Submission {
        let number = u32::try_from(self.submitted.len()).expect("few jobs");
        let mut random = [0; 10];
        random[6..].copy_from_slice(&number.to_be_bytes());
        let due = self.now.after(Duration::from_secs(new.due_seconds));
        let job = Job {
            id: JobId::new(self.now, random),
            accepted_at: self.now,
            audience: Audience::Together(
                (0..new.recipients).map(|index| recipient(&format!("user{index}@example.com"))).collect(),
            ),
            priority: new.priority,
            labels: new.label.map(|number| label(&format!("l{number}"))).into_iter().collect(),
            expires_at: new.expires_seconds.map(|seconds| self.now.after(Duration::from_secs(seconds))),
            schedule: if new.held { Schedule::Held { due } } else { Schedule::Waiting { due } },
            approval: new.approval.then_some(Approval::Awaited),
            fallbacks: new.fallback.map(|number| {
                let from = "a@example.jp".parse().expect("an address");
                Box::new(Fallbacks { from, accounts: vec![account(number), account(0)] })
            }),
            ..sample_job(ACCOUNTS[usize::from(new.account)], number)
        };
        self.submitted.push(job.id);
        let mut submission = submission(job);
        submission.counted = lists::counted(new);
        lists::leave_first_out(&mut submission.job, new.left_out);
        submission.message.bytes = Bytes::from(vec![b'a' + new.recipients; new.bytes]);
        submission.idempotency = new.key.map(|(key, hash)| idempotency("local", &format!("k{key}"), hash));
        submission
    }
}
