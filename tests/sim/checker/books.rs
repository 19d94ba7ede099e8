//! Do the three books agree: told, taken, and stored?

use std::collections::BTreeMap;

use hikyaku_daemon::domain::{job::Job, recipient::RecipientState, verdict::Verdict};

use super::Evidence;

/// Each acknowledged recipient is in exactly one final state, some time after the last fault.
pub(super) fn every_job_has_ended(evidence: &Evidence<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for (number, entry) in evidence.book.entries.iter().enumerate() {
        let Some(job) = &entry.last else {
            found.push(format!("job {number} was acknowledged and never seen to end"));
            continue;
        };
        if job.recipients().len() != entry.told.recipients {
            found.push(format!(
                "job {number} has {} recipients, not {}",
                job.recipients().len(),
                entry.told.recipients
            ));
        }
        if job.is_open() {
            let calm = evidence.ended_at.since(evidence.calm_from).as_secs();
            let schedule = job.schedule;
            found.push(format!("job {number} of {} is open {calm} s after the last fault: {schedule:?}", job.account));
        }
    }
    found
}

/// A recipient that the store calls submitted was taken by the provider, and its message as it was submitted.
pub(super) fn what_is_submitted_was_taken(evidence: &Evidence<'_>) -> Vec<String> {
    let taken = times_taken(evidence);
    let mut found = Vec::new();
    for (number, entry) in evidence.book.entries.iter().enumerate() {
        let Some(job) = &entry.last else { continue };
        for (index, recipient) in job.recipients().iter().enumerate() {
            let is_submitted = matches!(recipient.state, RecipientState::Submitted { .. });
            if is_submitted && !taken.contains_key(&(number, index)) {
                found.push(format!("job {number}, recipient {index}: submitted, but no provider took it"));
            }
        }
    }
    for taken in &evidence.seen.taken {
        let entry = evidence.book.entries.get(taken.job);
        if entry.is_none_or(|entry| entry.told.digest != taken.digest) {
            found.push(format!("at {}: a provider took other bytes than job {} has", taken.at, taken.job));
        }
    }
    found
}

/// A recipient that a provider took is submitted, and was taken once; each further time, and each other end, stands in
/// the job's history as an attempt in doubt.
pub(super) fn what_was_taken_is_submitted_once(evidence: &Evidence<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for ((number, index), times) in times_taken(evidence) {
        let Some(job) = evidence.book.entries.get(number).and_then(|entry| entry.last.as_ref()) else {
            continue;
        };
        let doubts = doubts(job, index);
        let is_submitted =
            job.recipients().get(index).is_some_and(|r| matches!(r.state, RecipientState::Submitted { .. }));
        let explained = doubts + usize::from(is_submitted);
        if times > explained {
            let state = job.recipients().get(index).map(|recipient| &recipient.state);
            found.push(format!(
                "job {number} of {}, recipient {index}: taken {times} times, {doubts} attempts in doubt, now {state:?}",
                job.account
            ));
        }
    }
    found
}

/// Nobody is suppressed here but by replies, so a recipient that was left out was refused before as unknown.
pub(super) fn only_dead_addresses_are_left_out(evidence: &Evidence<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for (number, entry) in evidence.book.entries.iter().enumerate() {
        let Some(job) = &entry.last else { continue };
        for (index, recipient) in job.recipients().iter().enumerate() {
            let is_left_out = matches!(recipient.state, RecipientState::Suppressed { .. });
            if is_left_out && !was_unknown(job, index) {
                found.push(format!(
                    "job {number}, recipient {index}: left out, but nobody said that its address is dead"
                ));
            }
        }
    }
    found
}

fn was_unknown(job: &Job, recipient: usize) -> bool {
    let recipient = u32::try_from(recipient).unwrap_or(u32::MAX);
    let mut outcomes = job.attempts.iter().filter_map(|attempt| attempt.outcome_of(recipient));
    outcomes.any(|outcome| outcome.finding.response.text().starts_with("550 5.1.1"))
}

fn times_taken(evidence: &Evidence<'_>) -> BTreeMap<(usize, usize), usize> {
    let mut times = BTreeMap::new();
    for taken in &evidence.seen.taken {
        for &recipient in &taken.recipients {
            *times.entry((taken.job, recipient)).or_default() += 1;
        }
    }
    times
}

/// How many attempts left a recipient in doubt.
fn doubts(job: &Job, recipient: usize) -> usize {
    let recipient = u32::try_from(recipient).unwrap_or(u32::MAX);
    let outcomes = job.attempts.iter().filter_map(|attempt| attempt.outcome_of(recipient));
    outcomes.filter(|outcome| outcome.finding.verdict == Verdict::InDoubt).count()
}
