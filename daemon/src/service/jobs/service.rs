//! JobService as callers reach it: each call, and the part that does it.

use std::sync::Arc;

use futures_util::{StreamExt, stream::BoxStream};
use hikyaku_proto::v1::{self, job_service_server::JobService};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::{asked::Asked, intake::Intake, merge::MergeIntake, planner::Planner, stream::answers, watch::Wanted};
use crate::{
    domain::{
        ids::{AccountId, JobId},
        job::Control,
        time::Clock,
    },
    policy::verp::VerpKey,
    service::{
        convert::job::{Detail, from_job},
        guard::{caller_of, visitor_of},
        paging::PageSeal,
        parts::Parts,
        places::place,
        status::Refusal,
        visibility::Visitor,
        watching::{Watcher, check_account, events},
    },
    storage::{JobRecord, SharedStorage},
};

/// Most streams of each kind at once, over all callers.
const SUBMIT_STREAMS_MAX: usize = 64;
const MERGE_STREAMS_MAX: usize = 8;
const WATCHES_MAX: usize = 1_000;

/// The service.
#[derive(Debug)]
pub(in crate::service) struct Jobs {
    pub(super) storage: SharedStorage,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) planner: Planner,
    pub(super) intake: Intake,
    pub(super) merges: MergeIntake,
    /// Proves which message of a merge job a message is.
    pub(super) verp: VerpKey,
    pub(super) pages: PageSeal,
    shutdown: CancellationToken,
    submit_streams: Arc<Semaphore>,
    merge_streams: Arc<Semaphore>,
    watches: Arc<Semaphore>,
}

impl Jobs {
    pub(in crate::service) fn new(parts: &Parts) -> Self {
        let planner = Planner::new(&parts.storage);
        Self {
            storage: Arc::clone(&parts.storage),
            clock: Arc::clone(&parts.clock),
            intake: Intake::new(parts, planner.clone()),
            merges: MergeIntake::new(parts, planner.clone()),
            verp: parts.verp.clone(),
            pages: parts.pages.clone(),
            planner,
            shutdown: parts.shutdown.clone(),
            submit_streams: Arc::new(Semaphore::new(SUBMIT_STREAMS_MAX)),
            merge_streams: Arc::new(Semaphore::new(MERGE_STREAMS_MAX)),
            watches: Arc::new(Semaphore::new(WATCHES_MAX)),
        }
    }

    async fn get(&self, job_id: &str, visitor: &Visitor) -> Result<v1::Job, Refusal> {
        let record = self.record(job_id, visitor).await?;
        Ok(from_job(&record, Detail::Full, self.clock.now()))
    }

    /// The job that a request names, if the caller sees it.
    pub(super) async fn record(&self, job_id: &str, visitor: &Visitor) -> Result<JobRecord, Refusal> {
        let id = job_id.parse::<JobId>().map_err(|error| Refusal::field("job_id", error.to_string()))?;
        visitor.job(&self.storage, id).await?.ok_or(Refusal::NoJob(id))
    }

    /// Refuses an account that the caller does not see.
    async fn check_account(&self, account_id: &str, visitor: &Visitor) -> Result<(), Refusal> {
        let id = account_id.parse::<AccountId>().map_err(|error| Refusal::field("account_id", error.to_string()))?;
        let found = visitor.account(&self.storage, &id).await?;
        found.map(drop).ok_or_else(|| Refusal::no_account(id))
    }

    /// Refuses what would begin while the daemon stops.
    pub(super) fn check_open(&self) -> Result<(), Refusal> {
        if self.shutdown.is_cancelled() { Err(Refusal::ShuttingDown) } else { Ok(()) }
    }
}

#[tonic::async_trait]
impl JobService for Jobs {
    type SubmitJobsStream = BoxStream<'static, Result<v1::SubmitJobsResponse, Status>>;
    type WatchJobsStream = BoxStream<'static, Result<v1::WatchJobsResponse, Status>>;

    async fn submit_job(
        &self,
        request: Request<v1::SubmitJobRequest>,
    ) -> Result<Response<v1::SubmitJobResponse>, Status> {
        self.check_open()?;
        let visitor = visitor_of(&request)?;
        Ok(Response::new(self.intake.submit(request.into_inner(), visitor).await?))
    }

    async fn submit_jobs(
        &self,
        request: Request<Streaming<v1::SubmitJobsRequest>>,
    ) -> Result<Response<Self::SubmitJobsStream>, Status> {
        self.check_open()?;
        let visitor = visitor_of(&request)?;
        let place = place(&self.submit_streams, "streams of submissions")?;
        let answers = answers(self.intake.clone(), visitor, request.into_inner(), self.shutdown.clone());
        // The place is free again when the stream is dropped.
        let answers = answers.map(move |answer| {
            let _held = &place;
            answer
        });
        Ok(Response::new(answers.boxed()))
    }

    async fn submit_merge(
        &self,
        request: Request<Streaming<v1::SubmitMergeRequest>>,
    ) -> Result<Response<v1::SubmitMergeResponse>, Status> {
        self.check_open()?;
        let visitor = visitor_of(&request)?;
        let place = place(&self.merge_streams, "merge jobs")?;
        Ok(Response::new(self.merges.submit(request.into_inner(), visitor, place).await?))
    }

    async fn get_job(&self, request: Request<v1::GetJobRequest>) -> Result<Response<v1::GetJobResponse>, Status> {
        let visitor = visitor_of(&request)?;
        let job = self.get(&request.into_inner().job_id, &visitor).await?;
        Ok(Response::new(v1::GetJobResponse { job: Some(job) }))
    }

    async fn list_jobs(&self, request: Request<v1::ListJobsRequest>) -> Result<Response<v1::ListJobsResponse>, Status> {
        let visitor = visitor_of(&request)?;
        Ok(Response::new(self.page(request.into_inner(), &visitor).await?))
    }

    async fn list_recipients(
        &self,
        request: Request<v1::ListRecipientsRequest>,
    ) -> Result<Response<v1::ListRecipientsResponse>, Status> {
        let visitor = visitor_of(&request)?;
        Ok(Response::new(self.recipients(request.into_inner(), &visitor).await?))
    }

    async fn cancel_jobs(
        &self,
        request: Request<v1::CancelJobsRequest>,
    ) -> Result<Response<v1::CancelJobsResponse>, Status> {
        let visitor = visitor_of(&request)?;
        let v1::CancelJobsRequest { selector, dry_run } = request.into_inner();
        let summary = self.steer(selector, Asked::Control(Control::Cancel), dry_run, &visitor).await?;
        Ok(Response::new(v1::CancelJobsResponse { summary: Some(summary) }))
    }

    async fn hold_jobs(&self, request: Request<v1::HoldJobsRequest>) -> Result<Response<v1::HoldJobsResponse>, Status> {
        let visitor = visitor_of(&request)?;
        let v1::HoldJobsRequest { selector, dry_run } = request.into_inner();
        let summary = self.steer(selector, Asked::Control(Control::Hold), dry_run, &visitor).await?;
        Ok(Response::new(v1::HoldJobsResponse { summary: Some(summary) }))
    }

    async fn release_jobs(
        &self,
        request: Request<v1::ReleaseJobsRequest>,
    ) -> Result<Response<v1::ReleaseJobsResponse>, Status> {
        let visitor = visitor_of(&request)?;
        let v1::ReleaseJobsRequest { selector, dry_run } = request.into_inner();
        let summary = self.steer(selector, Asked::Control(Control::Release), dry_run, &visitor).await?;
        Ok(Response::new(v1::ReleaseJobsResponse { summary: Some(summary) }))
    }

    async fn retry_jobs(
        &self,
        request: Request<v1::RetryJobsRequest>,
    ) -> Result<Response<v1::RetryJobsResponse>, Status> {
        let visitor = visitor_of(&request)?;
        let v1::RetryJobsRequest { selector, dry_run } = request.into_inner();
        let summary = self.steer(selector, Asked::Control(Control::Retry), dry_run, &visitor).await?;
        Ok(Response::new(v1::RetryJobsResponse { summary: Some(summary) }))
    }

    async fn approve_jobs(
        &self,
        request: Request<v1::ApproveJobsRequest>,
    ) -> Result<Response<v1::ApproveJobsResponse>, Status> {
        let visitor = visitor_of(&request)?;
        let v1::ApproveJobsRequest { selector, dry_run } = request.into_inner();
        let summary = self.steer(selector, Asked::Approve, dry_run, &visitor).await?;
        Ok(Response::new(v1::ApproveJobsResponse { summary: Some(summary) }))
    }

    async fn expire_jobs(
        &self,
        request: Request<v1::ExpireJobsRequest>,
    ) -> Result<Response<v1::ExpireJobsResponse>, Status> {
        let visitor = visitor_of(&request)?;
        let v1::ExpireJobsRequest { selector, dry_run } = request.into_inner();
        let summary = self.steer(selector, Asked::Control(Control::Expire), dry_run, &visitor).await?;
        Ok(Response::new(v1::ExpireJobsResponse { summary: Some(summary) }))
    }

    async fn resend_job(
        &self,
        request: Request<v1::ResendJobRequest>,
    ) -> Result<Response<v1::ResendJobResponse>, Status> {
        self.check_open()?;
        let visitor = visitor_of(&request)?;
        let submission = self.intake.resend(request.into_inner(), visitor).await?;
        Ok(Response::new(v1::ResendJobResponse { submission: Some(submission) }))
    }

    async fn preview_job(
        &self,
        request: Request<v1::PreviewJobRequest>,
    ) -> Result<Response<v1::PreviewJobResponse>, Status> {
        let visitor = visitor_of(&request)?;
        Ok(Response::new(self.preview(request.into_inner(), visitor).await?))
    }

    async fn watch_jobs(
        &self,
        request: Request<v1::WatchJobsRequest>,
    ) -> Result<Response<Self::WatchJobsStream>, Status> {
        self.check_open()?;
        let visitor = visitor_of(&request)?;
        let place = place(&self.watches, "watches")?;
        let head = *self.storage.head().borrow();
        let (start, wanted) = Wanted::read(request.into_inner(), head).map_err(Refusal::from)?;
        check_account(wanted.account(), &visitor, &self.storage).await?;
        start.check(&self.storage).await?;
        let (storage, shutdown) = (Arc::clone(&self.storage), self.shutdown.clone());
        let events = events(Watcher { storage, visitor, shutdown, place }, start, wanted);
        Ok(Response::new(events.boxed()))
    }

    async fn explain_job(
        &self,
        request: Request<v1::ExplainJobRequest>,
    ) -> Result<Response<v1::ExplainJobResponse>, Status> {
        let caller = caller_of(&request)?;
        self.record(&request.get_ref().job_id, &visitor_of(&request)?).await?;
        Ok(Response::new(self.explain(request.into_inner(), &caller).await?))
    }

    async fn estimate_completion(
        &self,
        request: Request<v1::EstimateCompletionRequest>,
    ) -> Result<Response<v1::EstimateCompletionResponse>, Status> {
        let caller = caller_of(&request)?;
        self.check_account(&request.get_ref().account_id, &visitor_of(&request)?).await?;
        Ok(Response::new(self.estimate(request.into_inner(), &caller).await?))
    }
}
