//! Cancel, hold, release and retry: for one job, or for all that match a filter.

use hikyaku_proto::v1;

use super::service::Jobs;
use crate::{
    domain::{ids::JobId, job::Control, time::Timestamp},
    service::{
        convert::{
            filter::{Selected, to_selection},
            job::flight_of,
        },
        status::Refusal,
        visibility::{View, Visitor},
    },
    storage::{Controlled, JobFilter, JobRecord, Page},
};

/// Jobs that are steered in one commit.
const PAGE_JOBS: usize = 500;

/// Whether something is done or only counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Do,
    DryRun,
}

impl Jobs {
    /// Does what a caller asks of the jobs it selected, and says of how many.
    pub(super) async fn steer(
        &self,
        selector: Option<v1::JobSelector>,
        control: Control,
        dry_run: bool,
        visitor: &Visitor,
    ) -> Result<v1::ControlSummary, Refusal> {
        let mode = if dry_run { Mode::DryRun } else { Mode::Do };
        let summary = match to_selection(selector)? {
            Selected::One(id) => self.steer_one(id, control, mode, visitor).await?,
            Selected::Matching(filter) => self.steer_matching(&filter, control, mode, visitor).await?,
        };
        if mode == Mode::Do {
            let v1::ControlSummary { matched, changed, refused } = summary;
            tracing::debug!(caller = %visitor.caller(), ?control, matched, changed, refused, "jobs steered");
        }
        Ok(summary)
    }

    async fn steer_one(
        &self,
        id: JobId,
        control: Control,
        mode: Mode,
        visitor: &Visitor,
    ) -> Result<v1::ControlSummary, Refusal> {
        let now = self.clock.now();
        let record = visitor.job(&self.storage, id).await?.ok_or(Refusal::NoJob(id))?;
        let controlled = match mode {
            Mode::Do => self.storage.control(vec![id], control, now).await?.first().copied(),
            Mode::DryRun => Some(foretell(&record, control, now)),
        };
        match controlled {
            Some(Controlled::Done) => Ok(v1::ControlSummary { matched: 1, changed: 1, refused: 0 }),
            Some(Controlled::Refused(refusal)) => Err(refusal.into()),
            Some(Controlled::Unknown) | None => Err(Refusal::NoJob(id)),
        }
    }

    async fn steer_matching(
        &self,
        filter: &JobFilter,
        control: Control,
        mode: Mode,
        visitor: &Visitor,
    ) -> Result<v1::ControlSummary, Refusal> {
        // One time for all pages: a job whose state changes by our doing is behind us by then.
        let now = self.clock.now();
        let mut view = View::new(visitor, &self.storage);
        let mut summary = v1::ControlSummary::default();
        let mut after = None;
        loop {
            let page = self.storage.list(filter, Page { after, limit: PAGE_JOBS, now }).await?;
            let mut seen = Vec::with_capacity(page.jobs.len());
            for record in page.jobs {
                if view.sees_job(&record).await? {
                    seen.push(record);
                }
            }
            let controlled = match mode {
                Mode::Do if seen.is_empty() => Vec::new(),
                Mode::Do => {
                    let ids = seen.iter().map(|record| record.job.id).collect();
                    self.storage.control(ids, control, now).await?
                }
                Mode::DryRun => seen.iter().map(|record| foretell(record, control, now)).collect(),
            };
            count(&controlled, &mut summary);
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(summary),
            }
        }
    }
}

/// What a control call would do to a job.
fn foretell(record: &JobRecord, control: Control, now: Timestamp) -> Controlled {
    match record.job.clone().control(control, flight_of(record), now) {
        Ok(_) => Controlled::Done,
        Err(refusal) => Controlled::Refused(refusal),
    }
}

/// Adds up what was done. A job that went meanwhile was not selected.
fn count(controlled: &[Controlled], summary: &mut v1::ControlSummary) {
    for one in controlled {
        match one {
            Controlled::Done => summary.changed += 1,
            Controlled::Refused(_) => summary.refused += 1,
            Controlled::Unknown => {}
        }
    }
    summary.matched = summary.changed + summary.refused;
}
