//! Jobs of the made-up daemon.

use hikyaku_client::proto::*;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::{Answer, Answers, Fake, PAGE, State, time};

/// What the provider is made to say; some of it would act upon a terminal.
const REPLY: &str = "250-2.0.0 Ok\n250 2.0.0 queued \u{1b}[31mas\u{9b}2J 7";
impl Fake {
    fn store(&self, request: SubmitJobRequest) -> Result<SubmitJobResponse, Status> {
        let mut draft = request.job.unwrap();
        // A job that names no account goes by the shop, and is planned.
        let routed = draft.account_id.is_empty();
        if routed {
            draft.account_id = "shop".to_owned();
        }
        check(&draft, &self.state())?;
        if request.dry_run {
            return Ok(SubmitJobResponse { message_bytes: 400, ..SubmitJobResponse::default() });
        }
        let mut state = self.state();
        if let Some(job_id) = state.keys.get(&request.idempotency_key) {
            return Ok(SubmitJobResponse { job_id: job_id.clone(), existing: true, ..SubmitJobResponse::default() });
        }
        let job_id = format!("job-{}", state.jobs.len() + 1);
        if !request.idempotency_key.is_empty() {
            state.keys.insert(request.idempotency_key, job_id.clone());
        }
        let job = taken(&job_id, draft);
        let event = WatchJobsResponse {
            cursor: state.jobs.len().to_string(),
            at: Some(time(2)),
            account_id: job.account_id.clone(),
            job_id: job_id.clone(),
            state: job.state,
            change: Some(watch_jobs_response::Change::Attempted(JobAttempted {
                attempt: 1,
                submitted: 1,
                ..JobAttempted::default()
            })),
        };
        state.jobs.insert(job_id.clone(), job);
        let _ = self.events.send(event);
        Ok(SubmitJobResponse {
            job_id,
            message_bytes: 400,
            warnings: vec!["it is late".to_owned()],
            planned: routed.then(|| PlannedTimes { first_at: Some(time(5)), last_at: Some(time(9)) }),
            routed_account_id: if routed { "shop".to_owned() } else { String::new() },
            ..SubmitJobResponse::default()
        })
    }

    /// Keeps a merge job; the first of its recipients is submitted, the others wait.
    fn store_merge(&self, head: MergeHead, recipients: Vec<MergeRecipient>) -> SubmitMergeResponse {
        let count = u32::try_from(recipients.len()).unwrap();
        let answer = SubmitMergeResponse { recipients: count, message_bytes: 300, ..SubmitMergeResponse::default() };
        if head.dry_run {
            return answer;
        }
        let mut state = self.state();
        let job_id = format!("job-{}", state.jobs.len() + 1);
        let listed = (0..).zip(recipients).map(|(index, MergeRecipient { address, name, variables })| {
            let state = if index == 0 { RecipientState::Submitted } else { RecipientState::Queued };
            let text = format!("250 {name} {variables:?}");
            let finding = Some(Finding { code: 250, text, ..Finding::default() });
            let recipient = Recipient { address, field: 1, state: state.into(), finding, ..Recipient::default() };
            ListedRecipient { index, recipient: Some(recipient), attempts_made: u32::from(index == 0), due_at: None }
        });
        state.merges.insert(job_id.clone(), listed.collect());
        let tally = RecipientTally { waiting: count - 1, submitted: 1, ..RecipientTally::default() };
        let draft = head.job.unwrap();
        let job = Job {
            state: JobState::Queued.into(),
            message_id: String::new(),
            message_bytes: 300,
            attempts: Vec::new(),
            merge: true,
            tally: Some(tally),
            ..taken(&job_id, draft)
        };
        state.jobs.insert(job_id.clone(), job);
        SubmitMergeResponse { job_id, warnings: vec!["it is late".to_owned()], ..answer }
    }

    fn control(&self, selector: Option<JobSelector>) -> Result<Option<ControlSummary>, Status> {
        let matched = match selector.and_then(|selector| selector.selection) {
            Some(job_selector::Selection::JobId(id)) => u64::from(self.state().jobs.contains_key(&id)),
            Some(job_selector::Selection::Filter(filter)) => {
                self.state().jobs.values().filter(|job| job.account_id == filter.account_id).count() as u64
            }
            None => return Err(Status::invalid_argument("no selection")),
        };
        if matched == 0 {
            return Err(Status::not_found("there is no such job"));
        }
        // Everything has been sent already, but for the first job.
        Ok(Some(ControlSummary { matched, changed: u64::from(matched > 1), refused: matched - u64::from(matched > 1) }))
    }
}

fn check(draft: &JobDraft, state: &State) -> Result<(), Status> {
    let mut details = ErrorDetails::new();
    if !state.accounts.contains_key(&draft.account_id) {
        details.add_bad_request_violation("job.account_id", "there is no such account");
    }
    for (index, mailbox) in draft.to.iter().enumerate() {
        if !mailbox.address.contains('@') {
            let what = format!("\"{}\" has no @", mailbox.address);
            details.add_bad_request_violation(format!("job.to[{index}].address"), what);
        }
    }
    if matches!(&draft.content, Some(job_draft::Content::Mail(mail)) if mail.subject == "mail 13") {
        details.add_bad_request_violation("job.mail.subject", "it is unlucky");
    }
    if let Some(job_draft::Content::Mail(mail)) = &draft.content {
        for (index, one) in mail.attachments.iter().enumerate() {
            if !one.blob_id.is_empty() && !state.blobs.contains_key(&one.blob_id) {
                details.add_bad_request_violation(format!("job.mail.attachments[{index}].blob_id"), "is not there");
            }
        }
    }
    if details.bad_request().is_none() {
        return Ok(());
    }
    Err(Status::with_error_details(Code::InvalidArgument, "the job is refused", details))
}

fn check_merge(recipient: &MergeRecipient, index: usize) -> Result<(), Status> {
    if recipient.address.contains('@') && !recipient.address.starts_with("unlucky") {
        return Ok(());
    }
    let mut details = ErrorDetails::new();
    details.add_bad_request_violation(format!("recipients[{index}].address"), "is unlucky");
    Err(Status::with_error_details(Code::InvalidArgument, "the job is refused", details))
}

fn taken(job_id: &str, draft: JobDraft) -> Job {
    let finding = Finding {
        phase: "end-of-data".to_owned(),
        code: 250,
        enhanced_code: "2.0.0".to_owned(),
        text: REPLY.to_owned(),
        verdict: Verdict::Accepted.into(),
        blame: 0,
    };
    let subject = match draft.content {
        Some(job_draft::Content::Mail(mail)) => mail.subject,
        Some(job_draft::Content::Raw(raw)) => format!("raw of {} bytes", raw.len()),
        None => String::new(),
    };
    let recipients = draft.to.into_iter().map(|mailbox| Recipient {
        address: mailbox.address,
        field: RecipientField::To.into(),
        state: RecipientState::Submitted.into(),
        since: Some(time(2)),
        finding: Some(finding.clone()),
        ..Recipient::default()
    });
    Job {
        job_id: job_id.to_owned(),
        account_id: draft.account_id,
        state: JobState::Submitted.into(),
        recipients: recipients.collect(),
        subject,
        message_id: "<1@example.jp>".to_owned(),
        message_bytes: 400,
        priority: draft.priority,
        labels: draft.labels,
        accepted_at: Some(time(1)),
        accepted_by: "tester".to_owned(),
        attempts_made: 1,
        attempts: vec![Attempt {
            number: 1,
            started_at: Some(time(1)),
            ended_at: Some(time(2)),
            outcomes: vec![Outcome { recipients: vec![0], finding: Some(finding) }],
        }],
        ..Job::default()
    }
}

#[tonic::async_trait]
impl job_service_server::JobService for Fake {
    type SubmitJobsStream = Answers<SubmitJobsResponse>;
    type WatchJobsStream = Answers<WatchJobsResponse>;

    async fn submit_job(&self, request: Request<SubmitJobRequest>) -> Answer<SubmitJobResponse> {
        Ok(Response::new(self.store(request.into_inner())?))
    }

    async fn submit_jobs(&self, request: Request<Streaming<SubmitJobsRequest>>) -> Answer<Self::SubmitJobsStream> {
        let mut requests = request.into_inner();
        let mut answers = Vec::new();
        // The client must not wait for an answer before it has sent its share.
        while let Some(SubmitJobsRequest { sequence, submission }) = requests.message().await? {
            use submit_jobs_response::Result as Outcome;
            let result = self.store(submission.unwrap()).map(Outcome::Accepted).unwrap_or_else(|status| {
                let details = status.get_error_details();
                let bad = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
                let violations = bad.into_iter().map(|one| FieldViolation {
                    field: one.field,
                    description: one.description,
                    recipient: None,
                });
                Outcome::Refused(Refusal {
                    code: status.code().into(),
                    message: status.message().to_owned(),
                    violations: violations.collect(),
                })
            });
            answers.push(Ok(SubmitJobsResponse { sequence, result: Some(result) }));
            if answers.len() == hikyaku_client::IN_FLIGHT_MAX {
                break;
            }
        }
        let first = tokio_stream::iter(answers);
        // What lies within the bound was answered at once; beyond it each request waits for an answer.
        let rest = tokio_stream::StreamExt::map(requests, |request| {
            let result = submit_jobs_response::Result::Accepted(SubmitJobResponse {
                job_id: format!("late-{}", request.as_ref().map_or(0, |request| request.sequence)),
                ..SubmitJobResponse::default()
            });
            request.map(|request| SubmitJobsResponse { sequence: request.sequence, result: Some(result) })
        });
        Ok(Response::new(Box::pin(tokio_stream::StreamExt::chain(first, rest))))
    }

    async fn submit_merge(&self, request: Request<Streaming<SubmitMergeRequest>>) -> Answer<SubmitMergeResponse> {
        use submit_merge_request::Part;
        let mut requests = request.into_inner();
        let mut head = MergeHead::default();
        let mut recipients: Vec<MergeRecipient> = Vec::new();
        while let Some(SubmitMergeRequest { part }) = requests.message().await? {
            match part.unwrap() {
                Part::Head(first) => {
                    check(first.job.as_ref().unwrap(), &self.state())?;
                    head = first;
                }
                Part::Recipients(batch) => {
                    for recipient in batch.recipients {
                        check_merge(&recipient, recipients.len())?;
                        recipients.push(recipient);
                    }
                }
            }
        }
        Ok(Response::new(self.store_merge(head, recipients)))
    }

    async fn list_recipients(&self, request: Request<ListRecipientsRequest>) -> Answer<ListRecipientsResponse> {
        let ListRecipientsRequest { job_id, states, page_token, .. } = request.into_inner();
        let start: usize = page_token.parse().unwrap_or(0);
        let all = self.state().merges.get(&job_id).cloned().ok_or_else(|| Status::not_found("there is no such job"))?;
        let wanted = all.iter().filter(|one| {
            states.is_empty() || states.contains(&one.recipient.as_ref().map_or(0, |recipient| recipient.state))
        });
        let recipients: Vec<_> = wanted.skip(start).take(PAGE).cloned().collect();
        let next_page_token = if recipients.len() == PAGE { (start + PAGE).to_string() } else { String::new() };
        Ok(Response::new(ListRecipientsResponse { recipients, next_page_token }))
    }

    async fn get_job(&self, request: Request<GetJobRequest>) -> Answer<GetJobResponse> {
        let job = self.state().jobs.get(&request.into_inner().job_id).cloned();
        let job = job.ok_or_else(|| Status::not_found("there is no such job"))?;
        Ok(Response::new(GetJobResponse { job: Some(job) }))
    }

    async fn list_jobs(&self, request: Request<ListJobsRequest>) -> Answer<ListJobsResponse> {
        let start: usize = request.into_inner().page_token.parse().unwrap_or(0);
        let all: Vec<Job> = self.state().jobs.values().cloned().collect();
        let next = start + PAGE;
        let next_page_token = if next < all.len() { next.to_string() } else { String::new() };
        let jobs = all.into_iter().skip(start).take(PAGE).collect();
        Ok(Response::new(ListJobsResponse { jobs, next_page_token }))
    }

    async fn cancel_jobs(&self, request: Request<CancelJobsRequest>) -> Answer<CancelJobsResponse> {
        Ok(Response::new(CancelJobsResponse { summary: self.control(request.into_inner().selector)? }))
    }

    async fn hold_jobs(&self, request: Request<HoldJobsRequest>) -> Answer<HoldJobsResponse> {
        Ok(Response::new(HoldJobsResponse { summary: self.control(request.into_inner().selector)? }))
    }

    async fn release_jobs(&self, request: Request<ReleaseJobsRequest>) -> Answer<ReleaseJobsResponse> {
        Ok(Response::new(ReleaseJobsResponse { summary: self.control(request.into_inner().selector)? }))
    }

    async fn retry_jobs(&self, request: Request<RetryJobsRequest>) -> Answer<RetryJobsResponse> {
        Ok(Response::new(RetryJobsResponse { summary: self.control(request.into_inner().selector)? }))
    }

    async fn approve_jobs(&self, request: Request<ApproveJobsRequest>) -> Answer<ApproveJobsResponse> {
        Ok(Response::new(ApproveJobsResponse { summary: self.control(request.into_inner().selector)? }))
    }

    async fn expire_jobs(&self, request: Request<ExpireJobsRequest>) -> Answer<ExpireJobsResponse> {
        Ok(Response::new(ExpireJobsResponse { summary: self.control(request.into_inner().selector)? }))
    }

    async fn resend_job(&self, request: Request<ResendJobRequest>) -> Answer<ResendJobResponse> {
        Ok(Response::new(ResendJobResponse { submission: Some(self.resend(request.into_inner())?) }))
    }

    async fn preview_job(&self, request: Request<PreviewJobRequest>) -> Answer<PreviewJobResponse> {
        Ok(Response::new(self.preview(request.into_inner())?))
    }

    async fn watch_jobs(&self, _: Request<WatchJobsRequest>) -> Answer<Self::WatchJobsStream> {
        let events = tokio_stream::wrappers::UnboundedReceiverStream::new({
            let mut source = self.events.subscribe();
            let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
            tokio::spawn(async move {
                while let Ok(event) = source.recv().await {
                    if sender.send(Ok(event)).is_err() {
                        return;
                    }
                }
            });
            receiver
        });
        Ok(Response::new(Box::pin(events)))
    }

    async fn explain_job(&self, request: Request<ExplainJobRequest>) -> Answer<ExplainJobResponse> {
        let job_id = request.into_inner().job_id;
        if !self.state().jobs.contains_key(&job_id) {
            return Err(Status::not_found("there is no such job"));
        }
        let hindrance = |cause: &str, explanation: &str, until, advice: &str| Hindrance {
            cause: cause.to_owned(),
            explanation: explanation.to_owned(),
            until,
            advice: advice.to_owned(),
        };
        Ok(Response::new(ExplainJobResponse {
            state: JobState::Queued.into(),
            hindrances: vec![
                hindrance("ACCOUNT", "the account is paused\u{7}", None, "resume it"),
                hindrance("QUOTA", "7 of 7 messages in 10s are used", Some(time(3)), ""),
            ],
            planned: Some(PlannedTimes { first_at: Some(time(5)), last_at: Some(time(5)) }),
        }))
    }

    async fn estimate_completion(
        &self,
        request: Request<EstimateCompletionRequest>,
    ) -> Answer<EstimateCompletionResponse> {
        let EstimateCompletionRequest { account_id, messages, .. } = request.into_inner();
        self.account(&account_id)?;
        Ok(Response::new(EstimateCompletionResponse {
            planned: (messages > 0).then(|| PlannedTimes { first_at: Some(time(5)), last_at: Some(time(9)) }),
            queued_messages: 3,
            messages_per_second: 2.5,
            bound: "the quota 7/10s".to_owned(),
        }))
    }
}
