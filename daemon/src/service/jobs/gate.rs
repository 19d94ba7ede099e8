//! Whether an account's hours and quotas take a job now: what REJECT refuses, and of what WARN warns.
//!
//! Only jobs that would go at once are held against the quotas: what is held, or scheduled for later, can wait for room. What
//! waits already counts as if it went first. Two that are submitted in one moment may both be taken when there is room for
//! one: the other then waits. An account in which more messages wait than are counted takes no job that would go at once.

use std::collections::HashSet;

use crate::{
    domain::{
        ids::{AccountId, MessageKey},
        job::Job,
        limits::OverQuota,
        quiet::QuietWindow,
        time::Timestamp,
    },
    policy::{
        quiet,
        quota::{ledger::Ledger, permit::Need},
    },
    service::status::Refusal,
    storage::{AccountRecord, PAGE_MAX, SharedStorage},
};

/// Most waiting messages that are counted.
const WAITING_COUNTED_MAX: usize = 10_000;

/// The warnings of the windows in which a job would be sent. One that is held, or awaits approval, without a time is sent nobody
/// knows when.
///
/// # Errors
/// When one of the windows refuses it.
pub(super) fn check_hours(
    windows: &[QuietWindow],
    send_at: Option<Timestamp>,
    waits_for_somebody: bool,
    now: Timestamp,
) -> Result<Vec<String>, Refusal> {
    let later = send_at.filter(|at| *at > now);
    if waits_for_somebody && later.is_none() {
        return Ok(Vec::new());
    }
    let at = later.unwrap_or(now);
    match quiet::refused_until(windows, at) {
        Some(end) => Err(Refusal::QuietWindow(end.time())),
        None => Ok(quiet::warnings(windows, at)),
    }
}

/// Sees that the quotas of an account that takes only what goes at once let a job go.
///
/// # Errors
/// When they do not, or the store fails.
pub(super) async fn check_quotas(
    storage: &SharedStorage,
    account: &AccountRecord,
    job: &Job,
    now: Timestamp,
) -> Result<(), Refusal> {
    let limits = &account.account.settings.limits;
    let goes_at_once = job.due().is_some_and(|due| due <= now);
    if limits.over_quota == OverQuota::Queue || limits.quotas.is_empty() || !goes_at_once {
        return Ok(());
    }
    // In this order, what is sent meanwhile is counted twice and not never.
    let waiting = waiting(storage, &job.account, now).await?;
    let usage = storage.usage(&job.account).await?;
    match Ledger::new(limits, usage, now).refusal(waiting, need_of(job), job.priority, now) {
        None => Ok(()),
        Some(exhausted) => {
            let until = (!exhausted.is_for_ever()).then_some(exhausted.until);
            Err(Refusal::OverQuota { until, now })
        }
    }
}

/// What all messages of a job need.
fn need_of(job: &Job) -> Need {
    let bytes = job.message_bytes_max();
    match job.merge() {
        // Those that are left out need nothing.
        None => Need::message_to(u32::try_from(job.pending().len()).unwrap_or(u32::MAX)).of_bytes(bytes),
        Some(progress) => {
            let messages = progress.messages;
            Need { messages, recipients: messages, bytes: bytes.saturating_mul(messages.into()) }
        }
    }
}

/// What the messages need that are due and wait; more than any quota has when they are too many to be counted.
async fn waiting(storage: &SharedStorage, account: &AccountId, now: Timestamp) -> Result<Need, Refusal> {
    let (mut seen, mut sum) = (HashSet::<MessageKey>::new(), Need::default());
    loop {
        let page = storage.ready(account, &seen, PAGE_MAX, now).await?.messages;
        for message in &page {
            sum = sum.plus(Need::message_to(message.recipients).of_bytes(message.bytes));
        }
        if page.len() < PAGE_MAX {
            return Ok(sum);
        }
        seen.extend(page.iter().map(|message| message.message));
        if seen.len() >= WAITING_COUNTED_MAX {
            return Ok(Need { messages: u32::MAX, recipients: u32::MAX, bytes: u64::MAX / 4 });
        }
    }
}
