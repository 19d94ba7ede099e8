//! How what happens to jobs is shown.

use hikyaku_client::proto::{JobControl, WatchJobsResponse, watch_jobs_response::Change};
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
        let (mut attempt, mut control) = (None, None);
        let state = state_name(event.state());
        let change = match event.change {
            None => "UNKNOWN",
            Some(Change::Accepted(_)) => "ACCEPTED",
            Some(Change::Expired(_)) => "EXPIRED",
            Some(Change::Diverted(_)) => "DIVERTED",
            Some(Change::Reported(_)) => "REPORTED",
            Some(Change::Suppressed(_)) => "SUPPRESSED",
            Some(Change::Reconciled(_)) => "RECONCILED",
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
            (None, None) => self.change.to_lowercase(),
        };
        let at = self.at.as_deref().unwrap_or("-");
        format!("{at}  {}  {}  {}  {what}", escape(&self.account_id), escape(&self.job_id), self.state)
    }
}
