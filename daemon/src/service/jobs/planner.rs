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
        backlog::{Backlog, Queued},
        ids::{AccountId, Etag},
        job::{Job, Priority},
        ledger::Usage,
        time::Timestamp,
    },
    policy::outlook::{Circumstances, Plan, Portion, Service, Times, plan},
    service::convert::values::from_time,
    storage::{AccountRecord, SharedStorage, StorageError},
};

/// How long a connection is taken to need for a message: a usual provider's answers to MAIL, RCPT and DATA.
pub(super) const MESSAGE_SECONDS_ASSUMED: f64 = 0.5;
/// How long what was read serves those who submit after it.
const KEPT: Duration = Duration::from_secs(2);
/// Most accounts of which something is kept; beyond it all are forgotten.
const ACCOUNTS_KEPT_MAX: usize = 1_024;
/// From so many messages ahead on, a plan is used again for the next ones, as long as they are fewer than this part of it.
const LONG_PLAN_MESSAGES: u64 = 1_000;
const DRIFT_SHARE: u64 = 100;
/// From so many messages ahead on it is looked at which of them are due later.
const LATER_MATTERS_MESSAGES: u64 = 100;

/// Plans the mail of accounts.
#[derive(Clone, Debug)]
pub(super) struct Planner {
    storage: SharedStorage,
    kept: Arc<Mutex<HashMap<AccountId, Kept>>>,
}

/// What was read of an account a moment ago.
#[derive(Clone, Debug)]
struct Kept {
    made: Timestamp,
    etag: Etag,
    usage: Arc<[Usage]>,
    /// What is due later; not known where little waits.
    later: Option<Backlog>,
    /// For one message of each priority at the end of a long queue: how much was ahead, and when it goes.
    plans: [Option<(u64, Times)>; Priority::ALL.len()],
}

/// What goes before some mail.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ahead {
    /// By priority.
    pub(super) classes: [Queued; Priority::ALL.len()],
}

impl Ahead {
    /// All that waits of a priority and of those that are more urgent.
    fn of(backlog: &Backlog, priority: Priority) -> Self {
        let mut ahead = Self::default();
        let first = Priority::ALL.into_iter().take_while(|class| *class <= priority);
        first.for_each(|class| ahead.classes[class as usize] = backlog.of(class));
        ahead
    }

    /// The same without what is due later.
    fn without(mut self, later: &Backlog) -> Self {
        for class in Priority::ALL {
            let queued = &mut self.classes[class as usize];
            *queued = without(*queued, later.of(class));
        }
        self
    }

    /// All of it.
    pub(super) fn all(&self) -> Queued {
        self.classes.iter().fold(Queued::default(), |sum, queued| sum.plus(*queued))
    }
}

impl Planner {
    pub(super) fn new(storage: &SharedStorage) -> Self {
        Self { storage: Arc::clone(storage), kept: Arc::default() }
    }

    /// When a job that is about to be accepted goes; nothing while it is held or awaits approval, or when it never goes.
    pub(super) async fn of_new(
        &self,
        account: &AccountRecord,
        job: &Job,
        now: Timestamp,
    ) -> Result<Option<v1::PlannedTimes>, StorageError> {
        let Some(due) = job.due() else { return Ok(None) };
        let (own, class, due) = (Queued::of_job(job), job.priority, due.max(now));
        let mut ahead = Ahead::of(&self.storage.backlog(&job.account).await?, class);
        let waiting = ahead.all().messages;
        let kept = self.recent(account, waiting, now).await?;
        if let Some(later) = &kept.later {
            ahead = ahead.without(later);
        }
        let is_next = own.messages == 1 && due <= now && waiting >= LONG_PLAN_MESSAGES;
        if is_next && let Some((planned_for, times)) = kept.plans[class as usize] {
            let drift = waiting.abs_diff(planned_for);
            if drift <= planned_for / DRIFT_SHARE {
                return Ok(Some(from_times(drawn_out(times, kept.made, planned_for, waiting))));
            }
        }
        let plan = plan_of(account, &kept.usage, &ahead, (class, own, due), now);
        let times = plan.times.last().copied().flatten();
        if is_next && let Some(times) = times {
            let mut known = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(kept) = known.get_mut(&job.account) {
                kept.plans[class as usize] = Some((waiting, times));
            }
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
        let later = self.storage.backlog_after(account, due).await?;
        Ok(Ahead::of(&backlog, priority).without(&later))
    }

    /// What was read of an account a moment ago, or is read now.
    async fn recent(&self, account: &AccountRecord, waiting: u64, now: Timestamp) -> Result<Kept, StorageError> {
        let (id, etag) = (&account.account.id, account.account.etag);
        let has_quotas = !account.account.settings.limits.quotas.is_empty();
        let needs_later = waiting >= LATER_MATTERS_MESSAGES;
        let nothing = Kept { made: now, etag, usage: Arc::default(), later: None, plans: Default::default() };
        if !has_quotas && !needs_later {
            return Ok(nothing);
        }
        let known = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        let is_good = |kept: &Kept| {
            let is_fresh = kept.made <= now && now.since(kept.made) < KEPT;
            is_fresh && kept.etag == etag && (kept.later.is_some() || !needs_later)
        };
        if let Some(kept) = known.filter(is_good) {
            return Ok(kept);
        }
        let usage = if has_quotas { self.storage.usage(id).await?.into() } else { Arc::default() };
        let later = if needs_later { Some(self.storage.backlog_after(id, now).await?) } else { None };
        let read = Kept { usage, later, ..nothing };
        let mut known = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= ACCOUNTS_KEPT_MAX {
            known.clear();
        }
        known.insert(id.clone(), read.clone());
        Ok(read)
    }
}

/// Plans what is ahead and, as the last portion, mail of a priority that is due at some time.
pub(super) fn plan_of(
    account: &AccountRecord,
    usage: &[Usage],
    ahead: &Ahead,
    (priority, own, due): (Priority, Queued, Timestamp),
    now: Timestamp,
) -> Plan {
    let settings = &account.account.settings;
    let circumstances = Circumstances {
        now,
        limits: &settings.limits,
        quiet: &settings.quiet_windows,
        standing: &account.standing,
        usage,
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
    let mut portions: Vec<Portion> = before.filter(|portion| portion.messages > 0).collect();
    portions.push(portion(priority, own, due));
    plan(&circumstances, &portions)
}

/// When a message goes that has a little more or less ahead of it than the one for which a plan was made.
fn drawn_out(times: Times, made: Timestamp, planned_for: u64, ahead: u64) -> Times {
    let each = times.last_at.since(made) / u32::try_from(planned_for.max(1)).unwrap_or(u32::MAX);
    let drift = each * u32::try_from(ahead.abs_diff(planned_for)).unwrap_or(u32::MAX);
    let moved = |at: Timestamp| if ahead >= planned_for { at.after(drift) } else { at.before(drift).max(made) };
    Times { first_at: moved(times.first_at), last_at: moved(times.last_at) }
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
