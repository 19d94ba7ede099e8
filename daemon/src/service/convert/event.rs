//! What happened to jobs, on the wire.

use hikyaku_proto::v1::{self, watch_jobs_response::Change};

use super::{job::from_state, values::from_time};
use crate::domain::{
    event::{Cursor, Event, EventKind, JobChange},
    job::Control,
    report::ReportKind,
};

/// An event about a job on the wire; nothing for one about an account.
pub(in crate::service) fn from_event(cursor: Cursor, event: &Event) -> Option<v1::WatchJobsResponse> {
    let EventKind::Job { id, change, state } = &event.kind else {
        return None;
    };
    Some(v1::WatchJobsResponse {
        cursor: cursor.0.to_string(),
        at: Some(from_time(event.at)),
        account_id: event.account.as_str().to_owned(),
        job_id: id.to_string(),
        state: from_state(*state).into(),
        change: Some(from_change(change)),
    })
}

fn from_change(change: &JobChange) -> Change {
    match change {
        JobChange::Accepted => Change::Accepted(v1::JobAccepted {}),
        &JobChange::Attempted { message, attempt, submitted, deferred, failed, in_doubt } => {
            Change::Attempted(v1::JobAttempted { attempt, submitted, deferred, failed, in_doubt, recipient: message })
        }
        JobChange::Controlled(control) => {
            let control = match control {
                Control::Cancel => v1::JobControl::Cancel,
                Control::Hold => v1::JobControl::Hold,
                Control::Release => v1::JobControl::Release,
                Control::Retry => v1::JobControl::Retry,
                Control::Expire => v1::JobControl::Expire,
            };
            Change::Controlled(v1::JobControlled { control: control as i32 })
        }
        JobChange::Approved => Change::Controlled(v1::JobControlled { control: v1::JobControl::Approve as i32 }),
        JobChange::Expired => Change::Expired(v1::JobExpired {}),
        JobChange::Reported { recipient, kind, reason } => {
            let state = match kind {
                ReportKind::Hard | ReportKind::Soft => v1::RecipientState::Bounced,
                ReportKind::Complaint => v1::RecipientState::Complained,
                ReportKind::Delayed => v1::RecipientState::Submitted,
            };
            Change::Reported(v1::JobReported {
                recipient: *recipient,
                state: state.into(),
                kind: kind.as_str().to_owned(),
                reason: reason.as_str().to_owned(),
            })
        }
        JobChange::Suppressed { recipients } => {
            Change::Suppressed(v1::JobSuppressed { recipients: recipients.clone() })
        }
        &JobChange::Reconciled { message, found } => {
            Change::Reconciled(v1::JobReconciled { recipient: message, found })
        }
        JobChange::Diverted { from } => Change::Diverted(v1::JobDiverted { from_account_id: from.to_string() }),
    }
}
