//! Cancel, hold, release, retry, approve and expire: for one job, or for all that match a filter.
//!
//! A filter is followed page by page, each steered in a commit of its own. A caller that leaves ends that: what was done then
//! is done.

use hikyaku_proto::v1;

use super::{asked::Asked, service::Jobs};
use crate::{
    domain::{ids::JobId, time::Timestamp},
    service::{
        convert::{
            filter::{Selected, to_selection},
            job::flight_of,
        },
        status::Refusal,
        visibility::{View, Visitor},
    },
    storage::{Controlled, JobFilter, JobRecord, Page, StorageError},
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
        asked: Asked,
        dry_run: bool,
        visitor: &Visitor,
    ) -> Result<v1::ControlSummary, Refusal> {
        let mode = if dry_run { Mode::DryRun } else { Mode::Do };
        let summary = match to_selection(selector)? {
            Selected::One(id) => self.steer_one(id, asked, mode, visitor).await?,
            Selected::Matching(filter) => self.steer_matching(&filter, asked, mode, visitor).await?,
        };
        if mode == Mode::Do {
            let v1::ControlSummary { matched, changed, refused } = summary;
            tracing::debug!(caller = %visitor.caller(), ?asked, matched, changed, refused, "jobs steered");
        }
        Ok(summary)
    }

    async fn steer_one(
        &self,
        id: JobId,
        asked: Asked,
        mode: Mode,
        visitor: &Visitor,
    ) -> Result<v1::ControlSummary, Refusal> {
        let now = self.clock.now();
        let record = visitor.job(&self.storage, id).await?.ok_or(Refusal::NoJob(id))?;
        if asked == Asked::Approve && !visitor.may_approve(&record.job) {
            return Err(Refusal::NotAllowed(
                "whoever submitted a job may not approve it: another caller or an admin may",
            ));
        }
        let controlled = match mode {
            Mode::Do => self.ask(vec![id], asked, visitor, now).await?.first().copied(),
            Mode::DryRun => Some(foretell(&record, asked, visitor, now)),
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
        asked: Asked,
        mode: Mode,
        visitor: &Visitor,
    ) -> Result<v1::ControlSummary, Refusal> {
        // One time for all pages: a job whose state changes by our doing is behind us by then.
        let now = self.clock.now();
        let mut view = View::new(visitor, &self.storage);
        let mut summary = v1::ControlSummary::default();
        let mut after = None;
        loop {
            self.check_open()?;
            let page = self.storage.list(filter, Page { after, limit: PAGE_JOBS, now }).await?;
            let mut seen = Vec::with_capacity(page.jobs.len());
            for record in page.jobs {
                if !view.sees_job(&record).await? {
                    continue;
                }
                if asked == Asked::Approve && !visitor.may_approve(&record.job) {
                    summary.refused += 1;
                    continue;
                }
                seen.push(record);
            }
            let controlled = match mode {
                Mode::Do if seen.is_empty() => Vec::new(),
                Mode::Do => {
                    let ids = seen.iter().map(|record| record.job.id).collect();
                    self.ask(ids, asked, visitor, now).await?
                }
                Mode::DryRun => seen.iter().map(|record| foretell(record, asked, visitor, now)).collect(),
            };
            count(&controlled, &mut summary);
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(summary),
            }
        }
    }

    async fn ask(
        &self,
        ids: Vec<JobId>,
        asked: Asked,
        visitor: &Visitor,
        now: Timestamp,
    ) -> Result<Vec<Controlled>, StorageError> {
        match asked {
            Asked::Control(control) => self.storage.control(ids, control, now).await,
            Asked::Approve => self.storage.approve(ids, visitor.caller(), now).await,
        }
    }
}

/// What a call would do to a job.
fn foretell(record: &JobRecord, asked: Asked, visitor: &Visitor, now: Timestamp) -> Controlled {
    let mut job = record.job.clone();
    let done = match asked {
        Asked::Control(control) => job.control(control, flight_of(record), now).map(drop),
        Asked::Approve => job.approve(visitor.caller(), now),
    };
    match done {
        Ok(()) => Controlled::Done,
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
