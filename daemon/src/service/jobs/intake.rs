//! How one submission is taken in: checked, composed, stored, answered.

use std::sync::Arc;

use hikyaku_proto::v1;
use prost::Message as _;
use tokio::sync::Semaphore;

use super::{
    compose::{Birth, job_of, keys_for},
    gate::{check_hours, check_quotas},
    planner::Planner,
    route::{Routed, route},
};
use crate::{
    accounts::signers::Signers,
    domain::{
        account::AccountSettings,
        ids::JobId,
        job::Job,
        mail::Message,
        parking::Standing,
        time::{Clock, Timestamp},
    },
    platform::entropy::Entropy,
    service::{
        convert::{
            draft::{Order, to_order},
            violations::Violation,
        },
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
const COMPOSED_ASIDE_BYTES: usize = 256 * 1_024;

/// Takes submissions in.
#[derive(Clone, Debug)]
pub(super) struct Intake {
    storage: SharedStorage,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    planner: Planner,
    signers: Signers,
    room: Arc<Semaphore>,
}

impl Intake {
    pub(super) fn new(parts: &Parts, planner: Planner) -> Self {
        Self {
            storage: Arc::clone(&parts.storage),
            clock: Arc::clone(&parts.clock),
            entropy: Arc::clone(&parts.entropy),
            planner,
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
        let bytes = request.encoded_len();
        let needed = u32::try_from(bytes / 1_024 + 1).unwrap_or(u32::MAX).min(UNDER_WAY_KIB_MAX);
        let _room = self.room.acquire_many(needed).await.map_err(|_| Refusal::ShuttingDown)?;
        let payload_hash = payload_hash(&request);
        let mut order = to_order(request)?;
        let key = order.key.take();
        let idempotency = key.map(|key| Idempotency { caller: visitor.caller().clone(), key, payload_hash });
        let repeated = idempotency.clone().filter(|_| !order.dry_run);
        match self.take(order, idempotency, visitor, bytes).await {
            // What was accepted once is answered again, even when it could not be accepted any more.
            Err(refusal) => match self.earlier(repeated).await? {
                Some(Acceptance::Existing(id)) => Ok(v1::SubmitJobResponse {
                    job_id: id.to_string(),
                    existing: true,
                    ..v1::SubmitJobResponse::default()
                }),
                _ => Err(refusal),
            },
            answer => answer,
        }
    }

    async fn earlier(&self, idempotency: Option<Idempotency>) -> Result<Option<Acceptance>, Refusal> {
        match idempotency {
            Some(idempotency) => Ok(self.storage.submitted(&idempotency).await?),
            None => Ok(None),
        }
    }

    async fn take(
        &self,
        order: Order,
        idempotency: Option<Idempotency>,
        visitor: Visitor,
        bytes: usize,
    ) -> Result<v1::SubmitJobResponse, Refusal> {
        let dry_run = order.dry_run;
        let now = self.clock.now();
        let routed = route(&self.storage, &order, &visitor, now).await?;
        let routed_account_id = routed.answer();
        let keys = keys_for(&self.signers, &order, &routed).await?;
        let Routed { record, fallbacks, warning, .. } = routed;
        let mut warnings = warnings(&record, now);
        warnings.extend(warning);
        let settings = &record.account.settings;
        warnings.extend(check_hours(&settings.quiet_windows, order.send_at, order.hold, now)?);
        let account = record.account.id.clone();
        let birth = Birth { id: self.new_id(now), caller: visitor.into_caller(), now, account, fallbacks, keys };
        let (job, message) = compose(order, settings.clone(), birth, bytes).await?;
        check_quotas(&self.storage, &record, &job, now).await?;
        let planned = self.planner.of_new(&record, &job, now).await?;
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
        let accepted = self.storage.accept(vec![Submission { job, message, idempotency }]).await?;
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

    /// The account of a job that was routed before, whatever the rules say now.
    async fn routed_account(&self, id: JobId, now: String) -> Result<String, Refusal> {
        if now.is_empty() {
            return Ok(now);
        }
        Ok(self.storage.job(id).await?.map(|record| record.job.account.to_string()).unwrap_or_default())
    }

    fn new_id(&self, now: Timestamp) -> JobId {
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

async fn compose(
    order: Order,
    settings: AccountSettings,
    birth: Birth,
    bytes: usize,
) -> Result<(Job, Message), Refusal> {
    let made: Result<(Job, Message), Vec<Violation>> = if bytes < COMPOSED_ASIDE_BYTES && birth.keys.is_empty() {
        job_of(order, &settings, birth)
    } else {
        let aside = tokio::task::spawn_blocking(move || job_of(order, &settings, birth));
        aside.await.map_err(|_| Refusal::Internal("the message could not be composed"))?
    };
    Ok(made?)
}

/// What the caller should know although its job is accepted.
pub(super) fn warnings(account: &AccountRecord, now: Timestamp) -> Vec<String> {
    match &account.standing {
        Standing::Parked(parking) if parking.until.is_none_or(|until| until > now) => {
            let until = parking.until.map(|until| format!(" until {until}")).unwrap_or_default();
            vec![format!("the account does not send at present{until}: {}", parking.reason)]
        }
        Standing::Parked(_) | Standing::Active => Vec::new(),
    }
}
