//! When the mail of an account goes, for those who submit and those who ask.
//!
//! A plan is made of counters that the store keeps in memory, so a submission does not read the queue. Only where quotas
//! bound an account, its ledger is read and played forward; that is remembered for a moment, because what is submitted in
//! one second goes much like what was submitted just before.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hikyaku_proto::v1;

use crate::{
    domain::{
        backlog::Queued,
        ids::{AccountId, Etag},
        job::{Job, Priority, Schedule},
        parking::Standing,
        time::Timestamp,
    },
    policy::outlook::{Circumstances, Plan, Portion, Service, Times, plan},
    service::convert::values::from_time,
    storage::{AccountRecord, SharedStorage, StorageError},
};

/// How long a connection is taken to need for a message: a usual provider's answers to MAIL, RCPT and DATA.
pub(super) const MESSAGE_SECONDS_ASSUMED: f64 = 0.5;
/// How long a plan serves those who submit after it.
const PLAN_KEPT: Duration = Duration::from_secs(2);
/// Most plans that are kept; beyond it all are forgotten.
const PLANS_KEPT_MAX: usize = 1_024;
/// By how much the backlog may have changed since a plan that is used again: a part of it, and so many messages.
const BACKLOG_DRIFT_SHARE: u64 = 20;
const BACKLOG_DRIFT_MESSAGES: u64 = 20;
/// From so many messages ahead on it is looked at which of them are due later.
const LATER_MATTERS_MESSAGES: u64 = 100;

/// Plans the mail of accounts.
#[derive(Clone, Debug)]
pub(super) struct Planner {
    storage: SharedStorage,
    plans: Arc<Mutex<HashMap<(AccountId, Priority), Kept>>>,
}

/// A plan for one message at the end of the queue.
#[derive(Clone, Copy, Debug)]
struct Kept {
    made: Timestamp,
    etag: Etag,
    is_active: bool,
    ahead: u64,
    due: Timestamp,
    times: Times,
}

/// What goes before some mail.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ahead {
    /// By priority.
    pub(super) classes: [Queued; Priority::ALL.len()],
}

impl Ahead {
    /// All of it.
    pub(super) fn all(&self) -> Queued {
        self.classes.iter().fold(Queued::default(), |sum, queued| sum.plus(*queued))
    }
}

impl Planner {
    pub(super) fn new(storage: &SharedStorage) -> Self {
        Self { storage: Arc::clone(storage), plans: Arc::default() }
    }

    /// When a job that is about to be accepted goes; nothing while it is held, or when it never goes.
    pub(super) async fn of_new(
        &self,
        account: &AccountRecord,
        job: &Job,
        now: Timestamp,
    ) -> Result<Option<v1::PlannedTimes>, StorageError> {
        let Schedule::Waiting { due } = job.schedule else { return Ok(None) };
        let own = Queued::of_job(job);
        let backlog = self.storage.backlog(&job.account).await?;
        let waiting: u64 = up_to(job.priority).map(|priority| backlog.of(priority).messages).sum();
        let is_plain = is_plain(account);
        let key = (job.account.clone(), job.priority);
        if !is_plain
            && own.messages == 1
            && let Some(times) = self.recall(&key, account, waiting, due.max(now), now)
        {
            return Ok(Some(from_times(times)));
        }
        let ahead = self.ahead(&job.account, job.priority, Queued::default(), due.max(now)).await?;
        let plan = self.plan(account, &ahead, job.priority, own, due.max(now), now).await?;
        let times = plan.times.last().copied().flatten();
        if let Some(times) = times.filter(|_| !is_plain && own.messages == 1) {
            let (etag, is_active) = (account.account.etag, account.standing == Standing::Active);
            self.keep(key, Kept { made: now, etag, is_active, ahead: waiting, due: due.max(now), times });
        }
        Ok(times.map(from_times))
    }

    /// What goes before mail of a priority that is due at `due`, without `own`, which is in the queue itself.
    pub(super) async fn ahead(
        &self,
        account: &AccountId,
        priority: Priority,
        own: Queued,
        due: Timestamp,
    ) -> Result<Ahead, StorageError> {
        let mut backlog = self.storage.backlog(account).await?;
        let counted = backlog.of_mut(priority);
        *counted = counted.minus(own);
        let mut ahead = Ahead::default();
        up_to(priority).for_each(|class| ahead.classes[class as usize] = backlog.of(class));
        if ahead.all().messages < LATER_MATTERS_MESSAGES {
            return Ok(ahead);
        }
        let later = self.storage.backlog_after(account, due).await?;
        for class in up_to(priority) {
            let queued = &mut ahead.classes[class as usize];
            *queued = without(*queued, later.of(class));
        }
        Ok(ahead)
    }

    /// Plans what is ahead and, as the last portion, mail of a priority.
    pub(super) async fn plan(
        &self,
        account: &AccountRecord,
        ahead: &Ahead,
        priority: Priority,
        own: Queued,
        due: Timestamp,
        now: Timestamp,
    ) -> Result<Plan, StorageError> {
        let settings = &account.account.settings;
        let usage = match settings.limits.quotas.is_empty() {
            true => Vec::new(),
            false => self.storage.usage(&account.account.id).await?,
        };
        let circumstances = Circumstances {
            now,
            limits: &settings.limits,
            quiet: &settings.quiet_windows,
            standing: &account.standing,
            usage: &usage,
            service: service_of(account),
        };
        let portion = |priority: Priority, queued: Queued, due: Timestamp| Portion {
            priority,
            messages: queued.messages,
            recipients: queued.recipients,
            bytes: queued.bytes,
            due,
        };
        let before = Priority::ALL.into_iter().map(|class| portion(class, ahead.classes[class as usize], now));
        let portions: Vec<Portion> = before
            .chain([portion(priority, own, due)])
            .enumerate()
            .filter(|(index, portion)| portion.messages > 0 || *index == Priority::ALL.len())
            .map(|(_, portion)| portion)
            .collect();
        Ok(plan(&circumstances, &portions))
    }

    fn recall(
        &self,
        key: &(AccountId, Priority),
        account: &AccountRecord,
        ahead: u64,
        due: Timestamp,
        now: Timestamp,
    ) -> Option<Times> {
        let plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = plans.get(key).copied()?;
        drop(plans);
        let is_same = kept.etag == account.account.etag && kept.is_active == (account.standing == Standing::Active);
        let drift = kept.ahead / BACKLOG_DRIFT_SHARE + BACKLOG_DRIFT_MESSAGES;
        let is_near = kept.ahead.abs_diff(ahead) <= drift && ahead >= kept.ahead;
        // What is scheduled has another time of its own.
        let is_due = kept.due <= kept.made && due <= now;
        let is_fresh = kept.made <= now && now.since(kept.made) < PLAN_KEPT;
        if !(is_same && is_near && is_due && is_fresh) || kept.ahead == 0 && ahead > 0 {
            return None;
        }
        let whole = kept.times.last_at.since(kept.made);
        let more = ahead - kept.ahead;
        let further = whole.mul_f64(more as f64 / (kept.ahead + 1) as f64);
        let later = |at: Timestamp| at.after(further).max(now);
        Some(Times { first_at: later(kept.times.first_at), last_at: later(kept.times.last_at) })
    }

    fn keep(&self, key: (AccountId, Priority), kept: Kept) {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if plans.len() >= PLANS_KEPT_MAX {
            plans.clear();
        }
        plans.insert(key, kept);
    }
}

/// How fast an account's server is taken to be.
pub(super) fn service_of(account: &AccountRecord) -> Service {
    Service {
        connections: account.account.settings.limits.connections_max.get(),
        message: Duration::from_secs_f64(MESSAGE_SECONDS_ASSUMED),
    }
}

pub(super) fn from_times(times: Times) -> v1::PlannedTimes {
    v1::PlannedTimes { first_at: Some(from_time(times.first_at)), last_at: Some(from_time(times.last_at)) }
}

/// What is left without what is due later, whose bytes are not told.
pub(super) fn without(all: Queued, later: Queued) -> Queued {
    let messages = all.messages.saturating_sub(later.messages);
    let share = u128::from(messages) * u128::from(all.bytes) / u128::from(all.messages.max(1));
    let recipients = all.recipients.saturating_sub(later.recipients).max(messages);
    Queued { messages, recipients, bytes: u64::try_from(share).unwrap_or(u64::MAX) }
}

/// A priority and those that are more urgent.
fn up_to(priority: Priority) -> impl Iterator<Item = Priority> {
    Priority::ALL.into_iter().take_while(move |class| *class <= priority)
}

/// Whether an account's mail goes as fast as its connections take it, so that a plan costs next to nothing.
fn is_plain(account: &AccountRecord) -> bool {
    let settings = &account.account.settings;
    settings.limits.quotas.is_empty() && settings.quiet_windows.is_empty()
}
