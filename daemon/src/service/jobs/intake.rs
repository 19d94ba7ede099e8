//! How one submission is taken in: checked, composed, stored, answered.

use std::sync::Arc;

use hikyaku_proto::v1;
use prost::Message as _;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{
    attached::Attached,
    compose::{Birth, Made, job_of, keys_for},
    gate::{check_hours, check_quotas},
    planner::Planner,
    route::{Routed, Standbys, route},
    scan::{Scanning, Suspect, heed_standbys, suspects_of},
    suppressed::{check_override, counted, leave_out},
    warnings,
};
use crate::{
    accounts::signers::Signers,
    compose::dkim::SigningKey,
    domain::{
        ids::JobId,
        job::Job,
        mail::Message,
        time::{Clock, Timestamp},
    },
    platform::entropy::Entropy,
    policy::admission::message_bytes_max,
    service::{
        convert::draft::{Order, to_order},
        parts::Parts,
        status::Refusal,
        visibility::Visitor,
    },
    storage::{Acceptance, AccountRecord, Idempotency, SharedStorage, Submission},
};

/// Submissions that are composed at once may hold this much, over all callers, in KiB.
const UNDER_WAY_KIB_MAX: u32 = 512 * 1_024;
/// Submissions of this size, and those that are signed, are composed on a thread of their own, in bytes: it takes
/// milliseconds.
pub(super) const COMPOSED_ASIDE_BYTES: usize = 256 * 1_024;

/// Takes submissions in.
#[derive(Clone, Debug)]
pub(super) struct Intake {
    pub(super) storage: SharedStorage,
    pub(super) clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    planner: Planner,
    scanning: Scanning,
    pub(super) signers: Signers,
    room: Arc<Semaphore>,
}

/// A job that may be stored, with what is said of it.
pub(super) struct Entry {
    pub(super) account: AccountRecord,
    pub(super) job: Job,
    pub(super) message: Message,
    /// What a virus scanner may have to see.
    pub(super) suspects: Vec<Suspect>,
    /// Who may come to send it, and what they allow.
    pub(super) standbys: Standbys,
    pub(super) warnings: Vec<String>,
    /// The account, when routing chose it; empty otherwise.
    pub(super) routed_account_id: String,
    pub(super) idempotency: Option<Idempotency>,
}

impl Intake {
    pub(super) fn new(parts: &Parts, planner: Planner) -> Self {
        Self {
            storage: Arc::clone(&parts.storage),
            clock: Arc::clone(&parts.clock),
            entropy: Arc::clone(&parts.entropy),
            planner,
            scanning: Scanning::new(parts.scanner.clone()),
            signers: parts.signers.clone(),
            room: Arc::new(Semaphore::new(UNDER_WAY_KIB_MAX as usize)),
        }
    }

    /// Takes one submission in; it is on stable storage when this returns.
    pub(super) async fn submit(
        &self,
        request: v1::SubmitJobRequest,
        visitor: Visitor,
    ) -> Result<v1::SubmitJobResponse, Refusal> {
        let name = visitor.caller().clone();
        let answer = self.try_submit(request, visitor).await;
        match &answer {
            Ok(answer) => {
                let v1::SubmitJobResponse { job_id, existing, message_bytes, .. } = answer;
                tracing::debug!(caller = %name, job = job_id, existing, message_bytes, "job accepted");
            }
            Err(refusal) => tracing::debug!(caller = %name, reason = %refusal, "job refused"),
        }
        answer
    }

    async fn try_submit(
        &self,
        request: v1::SubmitJobRequest,
        visitor: Visitor,
    ) -> Result<v1::SubmitJobResponse, Refusal> {
        // What it says of its files is told after what is wrong with the rest, and never of what was accepted before.
        let attached = Attached::look_up(&self.storage, visitor.caller(), request.job.as_ref()).await;
        let bytes = request.encoded_len().saturating_add(attached.as_ref().map_or(0, Attached::bytes));
        let _room = self.room(bytes).await?;
        let payload_hash = payload_hash(&request);
        let mut order = to_order(request)?;
        let key = order.key.take();
        let idempotency = key.map(|key| Idempotency { caller: visitor.caller().clone(), key, payload_hash });
        let repeated = idempotency.clone().filter(|_| !order.dry_run);
        let answer = self.take(order, attached, idempotency, visitor, bytes).await;
        self.or_earlier(answer, repeated).await
    }

    /// The answer, or what was accepted once under the same key, even when it could not be accepted any more.
    pub(super) async fn or_earlier(
        &self,
        answer: Result<v1::SubmitJobResponse, Refusal>,
        repeated: Option<Idempotency>,
    ) -> Result<v1::SubmitJobResponse, Refusal> {
        let (Err(_), Some(idempotency)) = (&answer, repeated) else { return answer };
        match self.storage.submitted(&idempotency).await? {
            Some(Acceptance::Existing(id)) => {
                Ok(v1::SubmitJobResponse { job_id: id.to_string(), existing: true, ..Default::default() })
            }
            _ => answer,
        }
    }

    async fn take(
        &self,
        order: Order,
        attached: Result<Attached, Refusal>,
        idempotency: Option<Idempotency>,
        visitor: Visitor,
        bytes: usize,
    ) -> Result<v1::SubmitJobResponse, Refusal> {
        let attached = attached?;
        let dry_run = order.dry_run;
        let now = self.clock.now();
        let mut entry = self.entry_of(order, &attached, visitor, bytes, now).await?;
        self.scan(&mut entry).await?;
        self.enter(Entry { idempotency, ..entry }, dry_run, now).await
    }

    /// The job that an order becomes, with its message; nothing is stored. `bytes` is the size of the request and of what it has
    /// attached.
    pub(super) async fn entry_of(
        &self,
        mut order: Order,
        attached: &Attached,
        visitor: Visitor,
        bytes: usize,
        now: Timestamp,
    ) -> Result<Entry, Refusal> {
        check_override(&order, &visitor)?;
        let routed = route(&self.storage, &order, &visitor, now).await?;
        let routed_account_id = routed.answer();
        let keys = keys_for(&self.signers, &order, &routed).await?;
        let Routed { record, fallbacks, standbys, warning, .. } = routed;
        let mut warnings = warnings::of_account(&record, now);
        warnings.extend(warning);
        let settings = &record.account.settings;
        warnings.extend(check_hours(&settings.quiet_windows, order.send_at, order.waits_for_somebody(), now)?);
        warnings.extend(warnings::of_order(&order, now));
        attached.check(&order, message_bytes_max(&settings.limits, order.priority))?;
        attached.fetch(&self.storage, visitor.caller(), &mut order, now).await?;
        let suspects = suspects_of(&order);
        let account = record.account.id.clone();
        let birth = Birth { id: self.new_id(now), caller: visitor.into_caller(), now, account, fallbacks, keys };
        let (settings, effort) = (settings.clone(), effort(bytes, &birth.keys));
        let Made { mut job, message, warnings: lost } =
            aside(effort, move || job_of(order, &settings, birth)).await??;
        warnings.extend(lost);
        warnings.extend(leave_out(&self.storage, &mut job, now).await?);
        Ok(Entry { account: record, job, message, suspects, standbys, warnings, routed_account_id, idempotency: None })
    }

    /// Has what could be infected scanned as all accounts want it that may come to send the job; those that allow no such files
    /// do not come to send it.
    pub(super) async fn scan(&self, entry: &mut Entry) -> Result<(), Refusal> {
        let own = entry.account.account.settings.content;
        let suspects = std::mem::take(&mut entry.suspects);
        let rules = heed_standbys(own, std::mem::take(&mut entry.standbys), &mut entry.job, &suspects);
        entry.warnings.extend(self.scanning.check(&rules, suspects).await?);
        Ok(())
    }

    /// Stores a job when its account's quotas let it, or only says what would come of that.
    pub(super) async fn enter(
        &self,
        entry: Entry,
        dry_run: bool,
        now: Timestamp,
    ) -> Result<v1::SubmitJobResponse, Refusal> {
        let Entry { account, job, message, mut warnings, routed_account_id, idempotency, .. } = entry;
        check_quotas(&self.storage, &account, &job, now).await?;
        let planned = self.planner.of_new(&account, &job, now).await?;
        warnings.extend(warnings::of_plan(planned.as_ref(), job.expires_at));
        let (id, account, message_bytes) = (job.id, job.account.clone(), job.message.bytes);
        let mut answer = v1::SubmitJobResponse {
            warnings,
            message_bytes,
            routed_account_id,
            planned,
            ..v1::SubmitJobResponse::default()
        };
        if dry_run {
            return Ok(answer);
        }
        let counted = counted(&job);
        let accepted = self.storage.accept(vec![Submission { job, message, idempotency, counted }]).await?;
        match accepted.first() {
            Some(Acceptance::Accepted) => answer.job_id = id.to_string(),
            Some(Acceptance::Existing(first)) => {
                answer.job_id = first.to_string();
                answer.existing = true;
                answer.routed_account_id = self.routed_account(*first, answer.routed_account_id).await?;
                answer.planned = None;
            }
            Some(Acceptance::KeyReused(first)) => return Err(Refusal::KeyReused(*first)),
            Some(Acceptance::UnknownAccount) => {
                return Err(Refusal::NoAccount { id: account, field: "job.account_id" });
            }
            Some(Acceptance::QueueFull) => return Err(Refusal::QueueFull),
            None => return Err(Refusal::Internal("the store gave no answer")),
        }
        Ok(answer)
    }

    /// Room for so many bytes beside those of others; waits until there is.
    pub(super) async fn room(&self, bytes: usize) -> Result<SemaphorePermit<'_>, Refusal> {
        let needed = u32::try_from(bytes / 1_024 + 1).unwrap_or(u32::MAX).min(UNDER_WAY_KIB_MAX);
        self.room.acquire_many(needed).await.map_err(|_| Refusal::ShuttingDown)
    }

    /// The account of a job that was routed before, whatever the rules say now.
    async fn routed_account(&self, id: JobId, now: String) -> Result<String, Refusal> {
        if now.is_empty() {
            return Ok(now);
        }
        Ok(self.storage.job(id).await?.map(|record| record.job.account.to_string()).unwrap_or_default())
    }

    pub(super) fn new_id(&self, now: Timestamp) -> JobId {
        let mut random = [0; 10];
        self.entropy.fill(&mut random);
        JobId::new(now, random)
    }
}

/// Tells different submissions under one idempotency key apart. The encoding has no maps, so it is always the same.
fn payload_hash(request: &v1::SubmitJobRequest) -> [u8; 32] {
    match &request.job {
        Some(job) if !request.idempotency_key.is_empty() => *blake3::hash(&job.encode_to_vec()).as_bytes(),
        _ => [0; 32],
    }
}

/// How many bytes take as long to compose and sign.
pub(super) fn effort(bytes: usize, keys: &[Arc<SigningKey>]) -> usize {
    if keys.is_empty() { bytes } else { bytes.max(COMPOSED_ASIDE_BYTES) }
}

/// Does what takes as long as so many bytes need, on a thread of its own if that is long.
pub(super) async fn aside<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    if bytes < COMPOSED_ASIDE_BYTES {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|_| Refusal::Internal("the message could not be composed"))
}
