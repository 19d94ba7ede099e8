//! How what happens to jobs is shown.

use hikyaku_client::proto::{JobControl, JobReported, WatchJobsResponse, watch_jobs_response::Change};
use serde::Serialize;

use super::{
    escape::escape,
    job_view::{bare, state_name},
    output::Show,
    time_text::show_time,
};

/// One event.
#[derive(Debug, Serialize)]
pub(crate) struct EventView {
    cursor: String,
    at: Option<String>,
    account_id: String,
    job_id: String,
    state: &'static str,
    change: &'static str,
    attempt: Option<AttemptCounts>,
    control: Option<&'static str>,
    /// What else there is to say.
    note: Option<String>,
}

#[derive(Debug, Serialize)]
struct AttemptCounts {
    number: u32,
    submitted: u32,
    deferred: u32,
    failed: u32,
    in_doubt: u32,
}

impl From<WatchJobsResponse> for EventView {
    fn from(event: WatchJobsResponse) -> Self {
        let (mut attempt, mut control, mut note) = (None, None, None);
        let state = state_name(event.state());
        let change = match event.change {
            None => "UNKNOWN",
            Some(Change::Accepted(_)) => "ACCEPTED",
            Some(Change::Expired(_)) => "EXPIRED",
            Some(Change::Diverted(_)) => "DIVERTED",
            Some(Change::Reported(reported)) => {
                let JobReported { recipient, kind, reason, .. } = reported;
                note = Some(format!("recipient {recipient}: {kind}, {reason}"));
                "REPORTED"
            }
            Some(Change::Suppressed(suppressed)) => {
                let places: Vec<_> = suppressed.recipients.iter().map(u32::to_string).collect();
                note = Some(format!("left out: recipients {}", places.join(", ")));
                "SUPPRESSED"
            }
            Some(Change::Reconciled(reconciled)) => {
                note = Some(match reconciled.found {
                    true => format!("message {} is in the Sent folder", reconciled.recipient),
                    false => format!("message {} is not in the Sent folder: sent again", reconciled.recipient),
                });
                "RECONCILED"
            }
            Some(Change::Controlled(controlled)) => {
                control = Some(bare(JobControl::as_str_name(&controlled.control()), "JOB_CONTROL_"));
                "CONTROLLED"
            }
            Some(Change::Attempted(counts)) => {
                attempt = Some(AttemptCounts {
                    number: counts.attempt,
                    submitted: counts.submitted,
                    deferred: counts.deferred,
                    failed: counts.failed,
                    in_doubt: counts.in_doubt,
                });
                "ATTEMPTED"
            }
        };
        let at = event.at.map(show_time);
        Self {
            cursor: event.cursor,
            at,
            account_id: event.account_id,
            job_id: event.job_id,
            state,
            change,
            attempt,
            control,
            note,
        }
    }
}

impl Show for EventView {
    fn text(&self) -> String {
        let what = match (&self.attempt, self.control) {
            (Some(attempt), _) => {
                let AttemptCounts { number, submitted, deferred, failed, in_doubt } = attempt;
                format!(
                    "attempt {number}: {submitted} submitted, {deferred} deferred, {failed} failed, {in_doubt} in doubt"
                )
            }
            (None, Some(control)) => format!("{} was asked for", control.to_lowercase()),
            (None, None) => match &self.note {
                Some(note) => format!("{}: {}", self.change.to_lowercase(), escape(note)),
                None => self.change.to_lowercase(),
            },
        };
        let at = self.at.as_deref().unwrap_or("-");
        format!("{at}  {}  {}  {}  {what}", escape(&self.account_id), escape(&self.job_id), self.state)
    }
}
