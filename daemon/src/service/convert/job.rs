//! Jobs and their recipients on the wire.

use hikyaku_proto::v1;

use super::{
    finding::{from_acceptance, from_attempt, from_finding},
    suppression::from_suppressed_by,
    values::from_time,
};
use crate::{
    domain::{
        job::{Approval, Flight, Job, JobState, Priority, Schedule},
        merge::{MergeTally, MessageClass},
        recipient::{Recipient, RecipientField, RecipientState},
        report::Report,
        time::Timestamp,
    },
    storage::{JobRecord, MergeMessage},
};

/// Whether a job's attempts are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::service) enum Detail {
    /// Without its attempts.
    Summary,
    /// With them.
    Full,
}

/// A job on the wire, as it stands at `now`.
pub(in crate::service) fn from_job(record: &JobRecord, detail: Detail, now: Timestamp) -> v1::Job {
    let job = &record.job;
    let flight = flight_of(record);
    let due = match job.schedule {
        Schedule::Waiting { due } | Schedule::Held { due } => Some(due),
        Schedule::Idle => None,
    };
    let attempts = match detail {
        Detail::Summary => Vec::new(),
        Detail::Full => job.attempts.iter().map(from_attempt).collect(),
    };
    let recipients = (0..).zip(job.recipients());
    v1::Job {
        job_id: job.id.to_string(),
        account_id: job.account.as_str().to_owned(),
        state: from_state(job.state(flight, now)).into(),
        recipients: recipients.map(|(index, recipient)| from_recipient(job, index, recipient, flight, now)).collect(),
        sender: job.sender.as_str().to_owned(),
        subject: job.subject.clone(),
        message_id: job.message.message_id.clone(),
        message_bytes: job.message.bytes,
        priority: from_priority(job.priority).into(),
        labels: job.labels.iter().map(|label| label.as_str().to_owned()).collect(),
        accepted_at: Some(from_time(job.accepted_at)),
        accepted_by: job.caller.as_str().to_owned(),
        due_at: due.map(from_time),
        expires_at: job.expires_at.map(from_time),
        attempts_made: job.attempts_made,
        attempts,
        merge: job.merge().is_some(),
        tally: Some(tally_of(job)),
        approval: job.approval.as_ref().map(from_approval),
        resent_job_id: job.resent.map(|id| id.to_string()).unwrap_or_default(),
    }
}

fn from_approval(approval: &Approval) -> v1::Approval {
    match approval {
        Approval::Awaited => v1::Approval::default(),
        Approval::Given { at, by } => {
            v1::Approval { approved_at: Some(from_time(*at)), approved_by: by.as_str().to_owned() }
        }
    }
}

/// Whether an attempt of the job is past its in-doubt mark.
pub(in crate::service) const fn flight_of(record: &JobRecord) -> Flight {
    if record.marked { Flight::UnderWay } else { Flight::Grounded }
}

/// One recipient of a plain job on the wire.
pub(in crate::service) fn from_recipient(
    job: &Job,
    index: u32,
    recipient: &Recipient,
    flight: Flight,
    now: Timestamp,
) -> v1::Recipient {
    let Fate { state, since, finding, report, suppressed_by } =
        from_fate(&recipient.state, |deferred| match job.schedule {
            Schedule::Held { .. } => v1::RecipientState::Held,
            Schedule::Waiting { .. } if job.awaits_approval() => v1::RecipientState::Held,
            Schedule::Waiting { due } => waiting_state(due, deferred, flight, now),
            Schedule::Idle => v1::RecipientState::Queued,
        });
    let remembered = || {
        let latest = job.attempts.iter().rev().find_map(|attempt| attempt.outcome_of(index));
        latest.map(|outcome| from_finding(&outcome.finding))
    };
    v1::Recipient {
        address: recipient.address.as_str().to_owned(),
        field: match recipient.field {
            RecipientField::To => v1::RecipientField::To,
            RecipientField::Cc => v1::RecipientField::Cc,
            RecipientField::Bcc => v1::RecipientField::Bcc,
        }
        .into(),
        state: state.into(),
        since: since.map(from_time),
        finding: finding.or_else(remembered),
        report,
        suppressed_by,
    }
}

/// One recipient of a merge job on the wire.
pub(in crate::service) fn from_merge_message(job: &Job, message: &MergeMessage, now: Timestamp) -> v1::ListedRecipient {
    let Fate { state, since, finding, report, suppressed_by } =
        from_fate(&message.state, |deferred| match (job.schedule, message.due) {
            // What is under way is not held back any more.
            _ if message.flight == Flight::UnderWay => v1::RecipientState::Sending,
            (Schedule::Held { .. }, _) => v1::RecipientState::Held,
            (Schedule::Waiting { .. }, _) if job.awaits_approval() => v1::RecipientState::Held,
            (_, Some(due)) => waiting_state(due, deferred, message.flight, now),
            (_, None) => v1::RecipientState::Queued,
        });
    let recipient = v1::Recipient {
        address: message.recipient.address.as_str().to_owned(),
        field: v1::RecipientField::To.into(),
        state: state.into(),
        since: since.map(from_time),
        finding,
        report,
        suppressed_by,
    };
    v1::ListedRecipient {
        index: message.index,
        recipient: Some(recipient),
        attempts_made: message.attempts_made,
        due_at: message.due.filter(|_| message.state.is_pending()).map(from_time),
    }
}

/// What has become of a recipient, on the wire.
struct Fate {
    state: v1::RecipientState,
    since: Option<Timestamp>,
    finding: Option<v1::Finding>,
    report: Option<v1::Report>,
    suppressed_by: Option<v1::SuppressedBy>,
}

/// `pending` tells the state of one that waits, by whether it was deferred.
fn from_fate(told: &RecipientState, pending: impl FnOnce(bool) -> v1::RecipientState) -> Fate {
    let (state, since, finding) = match told {
        RecipientState::Pending { deferral } => {
            let met = deferral.as_ref();
            (pending(met.is_some()), met.map(|met| met.at), met.map(|met| from_finding(&met.finding)))
        }
        RecipientState::Submitted { at, reply } => {
            (v1::RecipientState::Submitted, Some(*at), reply.as_ref().map(from_acceptance))
        }
        RecipientState::Failed { at, finding } => (v1::RecipientState::Failed, Some(*at), Some(from_finding(finding))),
        RecipientState::InDoubt { since } => (v1::RecipientState::InDoubt, Some(*since), None),
        RecipientState::Expired { at, last } => {
            (v1::RecipientState::Expired, Some(*at), last.as_ref().map(from_finding))
        }
        RecipientState::Cancelled { at } => (v1::RecipientState::Cancelled, Some(*at), None),
        RecipientState::Bounced { reply, report } => {
            (v1::RecipientState::Bounced, Some(report.at), reply.as_ref().map(from_acceptance))
        }
        RecipientState::Complained { reply, report } => {
            (v1::RecipientState::Complained, Some(report.at), reply.as_ref().map(from_acceptance))
        }
        RecipientState::Suppressed { at, .. } => (v1::RecipientState::Suppressed, Some(*at), None),
    };
    let report = match told {
        RecipientState::Bounced { report, .. } | RecipientState::Complained { report, .. } => Some(from_report(report)),
        _ => None,
    };
    let suppressed_by = match told {
        RecipientState::Suppressed { by, .. } => Some(from_suppressed_by(by)),
        _ => None,
    };
    Fate { state, since, finding, report, suppressed_by }
}

fn waiting_state(due: Timestamp, deferred: bool, flight: Flight, now: Timestamp) -> v1::RecipientState {
    match flight {
        Flight::UnderWay => v1::RecipientState::Sending,
        Flight::Grounded if due > now && deferred => v1::RecipientState::Deferred,
        Flight::Grounded if due > now => v1::RecipientState::Scheduled,
        Flight::Grounded => v1::RecipientState::Queued,
    }
}

/// How many recipients of a job have come how far.
fn tally_of(job: &Job) -> v1::RecipientTally {
    if let Some(progress) = job.merge() {
        return from_tally(&progress.tally);
    }
    let mut tally = v1::RecipientTally::default();
    for recipient in job.recipients() {
        let place = match MessageClass::of(&recipient.state) {
            MessageClass::Waiting => &mut tally.waiting,
            MessageClass::Submitted => &mut tally.submitted,
            MessageClass::Failed => &mut tally.failed,
            MessageClass::InDoubt => &mut tally.in_doubt,
            MessageClass::Expired => &mut tally.expired,
            MessageClass::Cancelled => &mut tally.cancelled,
            MessageClass::Bounced => &mut tally.bounced,
            MessageClass::Complained => &mut tally.complained,
            MessageClass::Suppressed => &mut tally.suppressed,
        };
        *place += 1;
    }
    tally
}

const fn from_tally(tally: &MergeTally) -> v1::RecipientTally {
    let MergeTally { waiting, submitted, failed, in_doubt, expired, cancelled, bounced, complained, suppressed } =
        *tally;
    v1::RecipientTally { waiting, submitted, failed, in_doubt, expired, cancelled, bounced, complained, suppressed }
}

fn from_report(report: &Report) -> v1::Report {
    v1::Report {
        at: Some(from_time(report.at)),
        kind: report.kind.as_str().to_owned(),
        reason: report.reason.as_str().to_owned(),
        status: report.status.map(|status| status.to_string()).unwrap_or_default(),
        diagnostic: report.diagnostic.to_string(),
        reporting_server: report.reporting_server.as_deref().unwrap_or_default().to_owned(),
        inbound_id: report.inbound.to_string(),
    }
}

/// A job's state on the wire.
pub(in crate::service) const fn from_state(state: JobState) -> v1::JobState {
    match state {
        JobState::Held => v1::JobState::Held,
        JobState::Scheduled => v1::JobState::Scheduled,
        JobState::Queued => v1::JobState::Queued,
        JobState::Sending => v1::JobState::Sending,
        JobState::Deferred => v1::JobState::Deferred,
        JobState::InDoubt => v1::JobState::InDoubt,
        JobState::Submitted => v1::JobState::Submitted,
        JobState::PartlySubmitted => v1::JobState::PartlySubmitted,
        JobState::Failed => v1::JobState::Failed,
        JobState::Expired => v1::JobState::Expired,
        JobState::Cancelled => v1::JobState::Cancelled,
        JobState::Bounced => v1::JobState::Bounced,
        JobState::Suppressed => v1::JobState::Suppressed,
    }
}

/// A state that a caller filters by; nothing for any state.
pub(in crate::service) const fn to_state(state: v1::JobState) -> Option<JobState> {
    Some(match state {
        v1::JobState::Unspecified => return None,
        v1::JobState::Held => JobState::Held,
        v1::JobState::Scheduled => JobState::Scheduled,
        v1::JobState::Queued => JobState::Queued,
        v1::JobState::Sending => JobState::Sending,
        v1::JobState::Deferred => JobState::Deferred,
        v1::JobState::InDoubt => JobState::InDoubt,
        v1::JobState::Submitted => JobState::Submitted,
        v1::JobState::PartlySubmitted => JobState::PartlySubmitted,
        v1::JobState::Failed => JobState::Failed,
        v1::JobState::Expired => JobState::Expired,
        v1::JobState::Cancelled => JobState::Cancelled,
        v1::JobState::Bounced => JobState::Bounced,
        v1::JobState::Suppressed => JobState::Suppressed,
    })
}

/// A priority on the wire.
pub(in crate::service) const fn from_priority(priority: Priority) -> v1::Priority {
    match priority {
        Priority::High => v1::Priority::High,
        Priority::Normal => v1::Priority::Normal,
        Priority::Low => v1::Priority::Low,
        Priority::Bulk => v1::Priority::Bulk,
    }
}

/// A priority that a caller sent; nothing when there is no such one.
pub(in crate::service) fn to_priority(priority: i32) -> Option<Priority> {
    Some(match v1::Priority::try_from(priority).ok()? {
        v1::Priority::High => Priority::High,
        v1::Priority::Unspecified | v1::Priority::Normal => Priority::Normal,
        v1::Priority::Low => Priority::Low,
        v1::Priority::Bulk => Priority::Bulk,
    })
}

#[cfg(test)]
mod tests;
