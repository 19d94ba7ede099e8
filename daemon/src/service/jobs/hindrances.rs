//! What holds a job now, in the order in which it must clear.

use std::time::Duration;

use hikyaku_proto::v1;

use crate::{
    domain::{
        backlog::Queued,
        job::{Job, JobState, Schedule},
        ledger::Usage,
        limits::{CalendarSpan, Limits, Quota, QuotaUnit, QuotaWindow},
        parking::{Parking, ParkingCause, Standing},
        recipient::RecipientState,
        time::Timestamp,
    },
    policy::{
        outlook::Times,
        quiet::{QuietEnd, quiet_until},
        quota::{ledger::Ledger, permit::Need},
    },
    service::convert::{job::flight_of, values::from_time},
    storage::{AccountRecord, JobRecord},
};

/// What is known of a job that waits.
pub(super) struct Scene<'a> {
    pub(super) record: &'a JobRecord,
    pub(super) account: &'a AccountRecord,
    pub(super) usage: Vec<Usage>,
    /// What goes before it.
    pub(super) ahead: Queued,
    /// When it goes.
    pub(super) times: Option<Times>,
    pub(super) now: Timestamp,
}

/// What holds a job that is neither final nor under way.
pub(super) fn hindrances(scene: &Scene<'_>) -> Vec<v1::Hindrance> {
    let mut found = Vec::new();
    found.extend(of_caller(scene));
    found.extend(of_time(scene));
    found.extend(of_account(scene));
    found.extend(of_quiet_window(scene));
    found.extend(of_quotas(scene));
    found.extend(of_pace(scene));
    found.extend(of_backlog(scene));
    if found.is_empty() {
        let max = scene.account.account.settings.limits.connections_max;
        let explanation = format!("It is next and goes as soon as one of at most {max} connections is free.");
        found.push(hindrance("CONNECTION", explanation, scene.times.map(|times| times.first_at), ""));
    }
    found
}

/// Whether only a person can tell when a job goes.
pub(super) fn needs_a_person(scene: &Scene<'_>) -> bool {
    let is_parked = matches!(&scene.account.standing, Standing::Parked(parking) if parking.until.is_none());
    is_parked || scene.record.job.due().is_none()
}

/// A quota in words, such as "500 recipients a day in Asia/Tokyo".
pub(super) fn describe(quota: &Quota) -> String {
    let unit = unit_name(quota.unit);
    match &quota.window {
        QuotaWindow::Sliding(length) => format!("{} {unit} in any {} s", quota.limit, length.as_secs_f64()),
        QuotaWindow::Calendar { span, zone } => {
            let span = match span {
                CalendarSpan::Minute => "minute",
                CalendarSpan::Hour => "hour",
                CalendarSpan::Day => "day",
                CalendarSpan::Month => "month",
            };
            format!("{} {unit} a calendar {span} in {zone}", quota.limit)
        }
    }
}

const fn unit_name(unit: QuotaUnit) -> &'static str {
    match unit {
        QuotaUnit::Messages => "messages",
        QuotaUnit::Recipients => "recipients",
        QuotaUnit::Bytes => "bytes",
    }
}

fn hindrance(
    cause: &str,
    explanation: impl Into<String>,
    until: Option<Timestamp>,
    advice: impl Into<String>,
) -> v1::Hindrance {
    let until = until.map(from_time);
    v1::Hindrance { cause: cause.to_owned(), explanation: explanation.into(), until, advice: advice.into() }
}

/// That somebody has to approve it, to release it or to decide.
fn of_caller(scene: &Scene<'_>) -> Vec<v1::Hindrance> {
    let job = &scene.record.job;
    let mut found = Vec::new();
    if job.awaits_approval() {
        let advice = format!("Let somebody else than {} approve it, or an admin.", job.caller.as_str());
        found.push(hindrance("AWAITS_APPROVAL", "Nobody has approved the job yet.", None, advice));
    }
    if matches!(job.schedule, Schedule::Held { .. }) {
        found.push(hindrance("HELD", "The job is held.", None, "Release it when it may go."));
    }
    found.extend(of_doubt(scene));
    found
}

/// That somebody has to find out what became of it.
fn of_doubt(scene: &Scene<'_>) -> Option<v1::Hindrance> {
    let job = &scene.record.job;
    if job.state(flight_of(scene.record), scene.now) != JobState::InDoubt {
        return None;
    }
    let in_doubt =
        job.recipients().iter().filter(|recipient| matches!(recipient.state, RecipientState::InDoubt { .. }));
    let count = job.merge().map_or(in_doubt.count() as u64, |progress| u64::from(progress.tally.in_doubt));
    let explanation =
        format!("{count} recipients may or may not have got the message, and the account's policy is to hold it.");
    Some(hindrance("IN_DOUBT", explanation, None, "Find out whether it arrived, then retry or cancel the job."))
}

/// That its time has not come.
fn of_time(scene: &Scene<'_>) -> Option<v1::Hindrance> {
    let job = &scene.record.job;
    let due = match job.schedule {
        Schedule::Waiting { due } | Schedule::Held { due } => due,
        Schedule::Idle => return None,
    };
    if due <= scene.now {
        return None;
    }
    match last_words(job) {
        None if job.attempts_made == 0 && job.merge().is_none_or(|progress| progress.due == due) => {
            Some(hindrance("SEND_AT", format!("The client wants it to be sent at {due}."), Some(due), ""))
        }
        words => {
            let attempts = job.attempts_made.max(1);
            let words = words.map(|words| format!(": {words}")).unwrap_or_default();
            let explanation = format!("After {attempts} attempts it waits until {due} for the next one{words}.");
            Some(hindrance("RETRY", explanation, Some(due), "Retry it to have it tried at once."))
        }
    }
}

/// What the server said when it deferred the job.
fn last_words(job: &Job) -> Option<String> {
    let deferral = job.recipients().iter().find_map(|recipient| match &recipient.state {
        RecipientState::Pending { deferral } => deferral.as_ref(),
        _ => None,
    })?;
    let text = deferral.finding.response.text().lines().next().unwrap_or_default().trim_end_matches('.').to_owned();
    Some(text)
}

/// That its account is parked.
fn of_account(scene: &Scene<'_>) -> Option<v1::Hindrance> {
    let Standing::Parked(parking) = &scene.account.standing else { return None };
    if parking.until.is_some_and(|until| until <= scene.now) {
        return None;
    }
    let Parking { cause, reason, reply, until, .. } = parking;
    let reply = reply.as_ref().map(|reply| format!(" The server said: {}", reply.text())).unwrap_or_default();
    let reason = reason.trim_end_matches('.');
    let explanation = format!("The account does not send since {}: {reason}.{reply}", parking.since);
    let advice = match cause {
        ParkingCause::Paused => "Resume the account.",
        ParkingCause::NeedsReauth => {
            "Give the account new credentials or consent, or resume it when the server's side is mended."
        }
        ParkingCause::SuspendedByProvider => "Settle it with the provider, then resume the account.",
        ParkingCause::QuotaExhausted | ParkingCause::Throttled => "",
        ParkingCause::Unreachable => "See that the server can be reached; test the account to find out why it cannot.",
    };
    Some(hindrance("ACCOUNT", explanation, *until, advice))
}

/// That its account is quiet when it could go.
fn of_quiet_window(scene: &Scene<'_>) -> Option<v1::Hindrance> {
    let parked_until = match &scene.account.standing {
        Standing::Parked(parking) => parking.until,
        Standing::Active => None,
    };
    let due = scene.record.job.due().unwrap_or(scene.now);
    let at = parked_until.unwrap_or(scene.now).max(due).max(scene.now);
    let end = quiet_until(&scene.account.account.settings.quiet_windows, at)?;
    Some(match end {
        QuietEnd::At(until) => {
            hindrance("QUIET_WINDOW", format!("At {at} a quiet window is in force, until {until}."), Some(until), "")
        }
        QuietEnd::Never => {
            let explanation = "The quiet windows cover the whole week.";
            hindrance("QUIET_WINDOW", explanation, None, "Leave some time of the week open.")
        }
    })
}

/// The quotas that have no room for it now, those that have it soonest first.
fn of_quotas(scene: &Scene<'_>) -> Vec<v1::Hindrance> {
    let settings = &scene.account.account.settings;
    let need = next_need(&scene.record.job);
    let mut found: Vec<(Timestamp, v1::Hindrance)> = Vec::new();
    for quota in &settings.limits.quotas {
        let alone = Limits { quotas: vec![quota.clone()], ..settings.limits.clone() };
        let is_its = |usage: &&Usage| usage.key.unit == quota.unit && usage.key.window == quota.window;
        let usage: Vec<Usage> = scene.usage.iter().filter(is_its).cloned().collect();
        let mut ledger = Ledger::new(&alone, usage, scene.now);
        let Some(full) = ledger.obstacle(need, scene.record.job.priority, scene.now) else { continue };
        let used = ledger.usage(scene.now).first().map_or(0, |status| status.used);
        let whole = Limits { reserves: Default::default(), ..alone };
        let is_reserve = Ledger::new(&whole, scene.usage.clone(), scene.now)
            .obstacle(need, scene.record.job.priority, scene.now)
            .is_none_or(|other| other.key.unit != quota.unit || other.key.window != quota.window);
        let (text, unit) = (describe(quota), unit_name(quota.unit));
        let until = (!full.is_for_ever()).then_some(full.until);
        let one = if is_reserve {
            let share = settings.limits.reserves.share(quota.limit, scene.record.job.priority);
            let explanation = format!(
                "Of the quota of {text}, {used} {unit} are used, and this priority may use {share}: the rest is kept for people and more urgent mail."
            );
            hindrance("RESERVE", explanation, until, "Give the job a more urgent priority, or lower the reserve.")
        } else {
            let advice = if until.is_none() {
                "It needs more than the whole quota: raise the quota or split the job."
            } else {
                ""
            };
            hindrance("QUOTA", format!("Of the quota of {text}, {used} {unit} are used."), until, advice)
        };
        found.push((full.until, one));
    }
    found.sort_by_key(|(until, _)| *until);
    found.into_iter().map(|(_, one)| one).collect()
}

/// What the next message of a job needs.
fn next_need(job: &Job) -> Need {
    let recipients = if job.merge().is_some() { 1 } else { u32::try_from(job.pending().len()).unwrap_or(u32::MAX) };
    Need::message_to(recipients).of_bytes(job.message.bytes)
}

/// That its account sends one after the other, or at a pace.
fn of_pace(scene: &Scene<'_>) -> Option<v1::Hindrance> {
    let limits = &scene.account.account.settings.limits;
    let mut parts = Vec::new();
    if limits.interval > Duration::ZERO {
        parts.push(format!("waits {} ms between two messages", limits.interval.as_millis()));
    }
    if let Some(batch) = limits.batch {
        parts.push(format!("pauses for {} s after each {} messages", batch.pause.as_secs_f64(), batch.messages));
    }
    if let Some(pace) = limits.pace {
        parts.push(format!("sends {} messages a minute", pace.messages_per_minute));
    }
    if parts.is_empty() {
        return None;
    }
    Some(hindrance("PACE", format!("The account {}.", parts.join(", ")), None, ""))
}

/// That other mail goes first.
fn of_backlog(scene: &Scene<'_>) -> Option<v1::Hindrance> {
    let Queued { messages, recipients, .. } = scene.ahead;
    if messages == 0 {
        return None;
    }
    let explanation = format!(
        "Up to {messages} messages to {recipients} recipients go first: those that are more urgent, and those of its priority that were there before."
    );
    let until = scene.times.filter(|_| !needs_a_person(scene)).map(|times| times.first_at);
    Some(hindrance("BACKLOG", explanation, until, ""))
}
