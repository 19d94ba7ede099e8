//! How a merge job is taken in: its head is checked, its recipients are staged as they come, and all of it is accepted
//! at the end, or forgotten.
//!
//! What is held in memory of a stream is its content, two batches, and eight bytes for each recipient.

mod content;
mod desk;
mod incoming;
mod preview;

use std::{future, sync::Arc, time::Duration};

use futures_util::{FutureExt, Stream, StreamExt, future::BoxFuture};
use hikyaku_proto::v1::{self, submit_merge_request::Part};
use tokio::time::{Instant, timeout_at};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::Status;

use self::{
    desk::{Desk, Outcome},
    incoming::PayloadHash,
};
use super::{
    attached::Attached,
    gate::check_quotas,
    planner::Planner,
    scan::{Scanning, suspects_of},
    warnings,
};
use crate::{
    accounts::signers::Signers,
    domain::{
        ids::{JobId, MessageKey},
        time::{Clock, Timestamp},
    },
    platform::entropy::Entropy,
    policy::verp::VerpKey,
    service::{
        convert::{
            draft::{Order, to_merge_order},
            limits::MESSAGE_BYTES_MAX,
        },
        parts::Parts,
        status::Refusal,
        visibility::Visitor,
    },
    storage::{Acceptance, AccountRecord, Idempotency, MergeSubmission, SharedStorage, StorageError},
};

/// Longest time in which a stream has to end. Less than a call may take, so that the caller is told why.
const STREAM_DURATION_MAX: Duration = Duration::from_secs(570);

/// Takes merge jobs in.
#[derive(Clone, Debug)]
pub(super) struct MergeIntake {
    storage: SharedStorage,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    planner: Planner,
    scanning: Scanning,
    signers: Signers,
    verp: VerpKey,
    shutdown: CancellationToken,
    /// The streams under way. Each has a task of its own, which tidies up even when its caller has left.
    streams: TaskTracker,
}

/// What is known of a stream once its head has been read.
struct Opening {
    order: Order,
    visitor: Visitor,
    id: JobId,
    /// What proves that a message is the first one of the job.
    proof: String,
    now: Timestamp,
    hash: Option<PayloadHash>,
}

impl MergeIntake {
    pub(super) fn new(parts: &Parts, planner: Planner) -> Self {
        Self {
            storage: Arc::clone(&parts.storage),
            clock: Arc::clone(&parts.clock),
            entropy: Arc::clone(&parts.entropy),
            planner,
            scanning: Scanning::new(parts.scanner.clone()),
            signers: parts.signers.clone(),
            verp: parts.verp.clone(),
            shutdown: parts.shutdown.clone(),
            streams: TaskTracker::new(),
        }
    }

    /// Takes one merge job in; it is on stable storage when this returns. `place` is held as long as the stream is read.
    pub(super) async fn submit(
        &self,
        requests: impl Stream<Item = Result<v1::SubmitMergeRequest, Status>> + Send + 'static,
        visitor: Visitor,
        place: impl Send + 'static,
    ) -> Result<v1::SubmitMergeResponse, Status> {
        let intake = self.clone();
        let stream = self.streams.spawn(async move {
            let name = visitor.caller().clone();
            let answer = Box::pin(intake.take(requests.boxed(), visitor)).await;
            drop(place);
            match &answer {
                Ok(answer) => {
                    let v1::SubmitMergeResponse { job_id, existing, recipients, .. } = answer;
                    tracing::debug!(caller = %name, job = job_id, existing, recipients, "merge job accepted");
                }
                Err(status) => {
                    tracing::debug!(caller = %name, code = ?status.code(), reason = status.message(), "merge job refused");
                }
            }
            answer
        });
        stream.await.map_err(|_| Refusal::Internal("the stream met a bug"))?
    }

    async fn take(&self, requests: Requests, visitor: Visitor) -> Result<v1::SubmitMergeResponse, Status> {
        let deadline = Instant::now() + STREAM_DURATION_MAX;
        let mut source = Source { requests, deadline, shutdown: self.shutdown.clone() };
        let head = source.head().await?;
        let attached = Attached::look_up(&self.storage, visitor.caller(), head.job.as_ref()).await;
        let hash = (!head.idempotency_key.is_empty() && !head.dry_run).then(|| PayloadHash::new(&head));
        let order = to_merge_order(head).map_err(Refusal::from)?;
        let now = self.clock.now();
        let (id, proof) = self.new_id(now);
        let mut opening = Opening { order, visitor, id, proof, now, hash };
        // What was accepted once is answered again, even when it could not be accepted any more.
        let known = match (&opening.order.key, &opening.hash) {
            (Some(_), Some(_)) => self.storage.submitted(&opening.idempotency([0; 32])).await.map_err(Refusal::from)?,
            _ => None,
        };
        if known.is_some() {
            return self.compare(opening, source).await;
        }
        let attached = attached?;
        attached.check(&opening.order, MESSAGE_BYTES_MAX)?;
        attached.fetch(&self.storage, opening.visitor.caller(), &mut opening.order, now).await?;
        let id = opening.id;
        let answer = Box::pin(self.stage(opening, source)).await;
        if answer.is_err()
            && let Err(error) = self.storage.discard(id).await
        {
            tracing::debug!(job = %id, %error, "staged recipients are left to be pruned");
        }
        answer
    }

    /// Reads a stream whose idempotency key is known, only to see whether it is the same.
    async fn compare(&self, mut opening: Opening, mut source: Source) -> Result<v1::SubmitMergeResponse, Status> {
        let mut hash = opening.hash.take().unwrap_or_default();
        let mut recipients = 0_u32;
        while let Some(batch) = source.batch().await? {
            recipients = recipients.saturating_add(u32::try_from(batch.len()).unwrap_or(u32::MAX));
            batch.iter().for_each(|recipient| hash.add(recipient));
        }
        let known = self.storage.submitted(&opening.idempotency(hash.finish())).await.map_err(Refusal::from)?;
        match known {
            Some(Acceptance::Existing(id)) => Ok(existing(id, recipients)),
            Some(Acceptance::KeyReused(id)) => Err(Refusal::KeyReused(id).into()),
            _ => Err(Refusal::Storage(StorageError::Overloaded("the key was forgotten meanwhile")).into()),
        }
    }

    async fn stage(&self, mut opening: Opening, mut source: Source) -> Result<v1::SubmitMergeResponse, Status> {
        let id = opening.id;
        let mut hash = opening.hash.take();
        let routing = self.storage.routing().await.map_err(Refusal::from)?;
        let mut desk = Desk::open(&self.storage, &self.signers, &opening, &routing).await?;
        // Before a million recipients are read, if the account is known; else by the one that is left.
        let scanned = match desk.named() {
            Some(record) => Some(self.scan(&opening, record).await?),
            None => None,
        };

        // While a batch is being stored, the next one is read and checked.
        let mut storing: BoxFuture<'_, Result<(), StorageError>> = future::ready(Ok(())).boxed();
        loop {
            let next = async {
                let Some(batch) = source.batch().await? else { return Ok(None) };
                if let Some(hash) = &mut hash {
                    batch.iter().for_each(|recipient| hash.add(recipient));
                }
                Ok::<_, Status>(Some(desk.take(batch).await?))
            };
            let (stored, next) = futures_util::future::join(storing, next).await;
            stored.map_err(Refusal::from)?;
            let Some((first, recipients)) = next? else { break };
            storing = match opening.order.dry_run {
                true => future::ready(Ok(())).boxed(),
                false => self.storage.stage(id, first, recipients),
            };
        }
        let mut outcome = desk.finish()?;
        outcome.warnings.extend(match scanned {
            Some(warnings) => warnings,
            None => self.scan(&opening, &outcome.routed.record).await?,
        });
        self.accept(opening, outcome, hash).await
    }

    async fn scan(&self, opening: &Opening, record: &AccountRecord) -> Result<Vec<String>, Refusal> {
        self.scanning.check(&record.account.settings.content, suspects_of(&opening.order)).await
    }

    /// Stores what was staged as one job.
    async fn accept(
        &self,
        opening: Opening,
        outcome: Outcome,
        hash: Option<PayloadHash>,
    ) -> Result<v1::SubmitMergeResponse, Status> {
        let Outcome { routed, template, whole, warnings } = outcome;
        let id = opening.id;
        let mut answer = v1::SubmitMergeResponse {
            warnings,
            recipients: whole.recipients,
            message_bytes: whole.first.bytes,
            routed_account_id: routed.answer(),
            ..v1::SubmitMergeResponse::default()
        };
        let (dry_run, now) = (opening.order.dry_run, opening.now);
        let idempotency = hash.map(|hash| opening.idempotency(hash.finish()));
        let job = content::job_of(opening, &routed.record.account, &template, &whole);
        check_quotas(&self.storage, &routed.record, &job, now).await?;
        answer.planned = self.planner.of_new(&routed.record, &job, now).await.map_err(Refusal::from)?;
        answer.warnings.extend(warnings::of_plan(answer.planned.as_ref(), job.expires_at));
        if dry_run {
            return Ok(answer);
        }
        let account = job.account.clone();
        match self
            .storage
            .accept_merge(MergeSubmission { job, template, idempotency, counted: Vec::new() })
            .await
            .map_err(Refusal::from)?
        {
            Acceptance::Accepted => answer.job_id = id.to_string(),
            Acceptance::Existing(first) => return Ok(existing(first, answer.recipients)),
            Acceptance::KeyReused(first) => return Err(Refusal::KeyReused(first).into()),
            Acceptance::UnknownAccount => {
                return Err(Refusal::NoAccount { id: account, field: "job.account_id" }.into());
            }
            Acceptance::QueueFull => return Err(Refusal::QueueFull.into()),
        }
        Ok(answer)
    }

    /// An id for a new job, with the proof of its first message.
    fn new_id(&self, now: Timestamp) -> (JobId, String) {
        let mut random = [0; 10];
        self.entropy.fill(&mut random);
        let job = JobId::new(now, random);
        (job, self.verp.proof_of(MessageKey { job, index: 0 }))
    }
}

impl Opening {
    /// The key with the hash of what was sent under it.
    ///
    /// # Panics
    /// When the order has no key: whoever has a hash has one.
    fn idempotency(&self, payload_hash: [u8; 32]) -> Idempotency {
        let key = self.order.key.clone().expect("a payload is hashed only when there is a key");
        Idempotency { caller: self.visitor.caller().clone(), key, payload_hash }
    }
}

fn existing(id: JobId, recipients: u32) -> v1::SubmitMergeResponse {
    v1::SubmitMergeResponse { job_id: id.to_string(), existing: true, recipients, ..v1::SubmitMergeResponse::default() }
}

type Requests = futures_util::stream::BoxStream<'static, Result<v1::SubmitMergeRequest, Status>>;

/// The requests of one stream, for as long as they may take.
struct Source {
    requests: Requests,
    deadline: Instant,
    shutdown: CancellationToken,
}

impl Source {
    async fn head(&mut self) -> Result<v1::MergeHead, Status> {
        match self.part().await? {
            Some(Part::Head(head)) => Ok(head),
            _ => Err(Refusal::field("head", "is required: the first request of the stream carries it").into()),
        }
    }

    /// The next recipients; nothing when the stream has ended well.
    async fn batch(&mut self) -> Result<Option<Vec<v1::MergeRecipient>>, Status> {
        match self.part().await? {
            None => Ok(None),
            Some(Part::Recipients(batch)) => Ok(Some(batch.recipients)),
            Some(Part::Head(_)) => Err(Refusal::field("head", "came twice: only the first request carries it").into()),
        }
    }

    async fn part(&mut self) -> Result<Option<Part>, Status> {
        let request = tokio::select! {
            () = self.shutdown.cancelled() => return Err(Refusal::ShuttingDown.into()),
            request = timeout_at(self.deadline, self.requests.next()) => request,
        };
        match request {
            Err(_) => Err(Refusal::TooSlow(STREAM_DURATION_MAX).into()),
            Ok(None) => Ok(None),
            Ok(Some(Err(status))) => Err(status),
            Ok(Some(Ok(v1::SubmitMergeRequest { part: None }))) => {
                Err(Refusal::field("part", "is required: a head or recipients").into())
            }
            Ok(Some(Ok(request))) => Ok(request.part),
        }
    }
}
