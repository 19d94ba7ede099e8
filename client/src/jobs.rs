//! Calls about jobs, one method each.

use futures_util::stream::{Stream, TryStreamExt as _};

use crate::{
    connection::Client,
    error::Error,
    pages::all_pages,
    proto::{
        ApproveJobsRequest, CancelJobsRequest, ControlSummary, ExpireJobsRequest, GetJobRequest, HoldJobsRequest, Job,
        JobControl, JobFilter, JobSelector, ListJobsRequest, PreviewJobRequest, PreviewJobResponse, ReleaseJobsRequest,
        ResendJobRequest, RetryJobsRequest, SubmitJobRequest, SubmitJobResponse, WatchJobsRequest, WatchJobsResponse,
        job_selector::Selection,
    },
};

/// Which events to hear of, and from where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// The cursor of the last event seen, or `"0"` for all that are kept; from now on when empty.
    pub cursor: String,
    /// Only jobs of this account; of all when empty.
    pub account_id: String,
    /// Only these jobs, at most 1,000; all when empty.
    pub job_ids: Vec<String>,
}

/// Jobs asked for at once while a list is read.
const PAGE_JOBS: u32 = 500;

impl Client {
    /// Stores one job; when this returns, it is on stable storage.
    ///
    /// # Errors
    /// [`Error::Refused`] with the violations when the job is wrong; nothing is stored then.
    pub async fn submit(&self, submission: impl Into<SubmitJobRequest>) -> Result<SubmitJobResponse, Error> {
        Ok(self.jobs.clone().submit_job(submission.into()).await?.into_inner())
    }

    /// Sends a finished job's message again, as a new job, to all of its recipients or some.
    ///
    /// # Errors
    /// [`Error::Refused`] with `FailedPrecondition` while the job is open, and with the violations when an address is none
    /// of its recipients.
    pub async fn resend(&self, request: ResendJobRequest) -> Result<SubmitJobResponse, Error> {
        Ok(self.jobs.clone().resend_job(request).await?.into_inner().submission.unwrap_or_default())
    }

    /// The exact bytes that would be sent, of a draft, of one recipient of a merge job, or of a stored job. Nothing is
    /// stored.
    ///
    /// # Errors
    /// [`Error::Refused`] with the violations when the draft is wrong.
    pub async fn preview(&self, request: PreviewJobRequest) -> Result<PreviewJobResponse, Error> {
        Ok(self.jobs.clone().preview_job(request).await?.into_inner())
    }

    /// One job with its recipients' states and what its attempts met.
    ///
    /// # Errors
    /// [`Error::Refused`] with `NotFound` when there is no such job.
    pub async fn get_job(&self, job_id: &str) -> Result<Job, Error> {
        let answer = self.jobs.clone().get_job(GetJobRequest { job_id: job_id.to_owned() }).await?;
        Ok(answer.into_inner().job.unwrap_or_default())
    }

    /// Jobs that match, the youngest first, without their attempts; pages are fetched as the stream is read.
    pub fn list_jobs(&self, filter: JobFilter) -> impl Stream<Item = Result<Job, Error>> + use<> {
        let jobs = self.jobs.clone();
        all_pages(move |page_token| {
            let request = ListJobsRequest { filter: Some(filter.clone()), page_size: PAGE_JOBS, page_token };
            let mut jobs = jobs.clone();
            async move {
                let page = jobs.list_jobs(request).await?.into_inner();
                Ok((page.jobs, page.next_page_token))
            }
        })
    }

    /// Cancels, holds, releases or retries one job or all that match; with `dry_run` only counts them.
    ///
    /// # Errors
    /// [`Error::Refused`] with `NotFound` for an unknown job, and for an empty filter.
    pub async fn control(
        &self,
        control: JobControl,
        selection: Selection,
        dry_run: bool,
    ) -> Result<ControlSummary, Error> {
        let mut jobs = self.jobs.clone();
        let selector = Some(JobSelector { selection: Some(selection) });
        let summary = match control {
            JobControl::Unspecified | JobControl::Cancel => {
                jobs.cancel_jobs(CancelJobsRequest { selector, dry_run }).await?.into_inner().summary
            }
            JobControl::Approve => {
                jobs.approve_jobs(ApproveJobsRequest { selector, dry_run }).await?.into_inner().summary
            }
            JobControl::Expire => jobs.expire_jobs(ExpireJobsRequest { selector, dry_run }).await?.into_inner().summary,
            JobControl::Hold => jobs.hold_jobs(HoldJobsRequest { selector, dry_run }).await?.into_inner().summary,
            JobControl::Release => {
                jobs.release_jobs(ReleaseJobsRequest { selector, dry_run }).await?.into_inner().summary
            }
            JobControl::Retry => jobs.retry_jobs(RetryJobsRequest { selector, dry_run }).await?.into_inner().summary,
        };
        Ok(summary.unwrap_or_default())
    }

    /// What happens to jobs, for as long as the stream is read. Keep the last cursor: after a break, a watch from there
    /// misses nothing.
    ///
    /// # Errors
    /// [`Error::Refused`] when the cursor is unknown.
    pub async fn watch(
        &self,
        watch: Watch,
    ) -> Result<impl Stream<Item = Result<WatchJobsResponse, Error>> + Send + Unpin + use<>, Error> {
        let Watch { cursor, account_id, job_ids } = watch;
        let events = self.jobs.clone().watch_jobs(WatchJobsRequest { cursor, account_id, job_ids }).await?;
        Ok(events.into_inner().map_err(Error::from))
    }
}
