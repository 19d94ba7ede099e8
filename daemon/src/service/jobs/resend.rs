//! How a finished job's message is sent again, as a job of its own.

use std::sync::Arc;

use hikyaku_proto::v1;
use prost::Message as _;

use super::{
    compose::{Composed, Sealed, Signing, seal},
    gate::check_hours,
    intake::{Entry, Intake, aside, effort},
    route::standbys,
    scan::Suspect,
    suppressed::leave_out,
    warnings,
};
use crate::{
    compose::{dkim::SigningKey, identity::Identity, raw::from_of_raw, renew::renew},
    domain::{
        account::AccountSettings,
        ids::{Caller, IdempotencyKey, JobId},
        job::{Approval, Audience, Job, Schedule},
        mail::{Mailbox, Message},
        recipient::{Recipient, RecipientState},
    },
    policy::{
        admission::{Content, Submission, check_again},
        routing::{Kind, Matching, Way},
    },
    service::{
        convert::{
            filter::as_kept,
            values::parse,
            violations::{Violation, Violations},
        },
        status::{NotResent, Refusal},
        visibility::Visitor,
    },
    storage::Idempotency,
};

/// Most addresses that one call names.
const ADDRESSES_MAX: usize = 1_000;

/// What a caller wants to have sent again.
struct Wanted {
    id: JobId,
    /// Any when empty.
    states: Vec<v1::RecipientState>,
    /// Any when empty.
    addresses: Vec<String>,
    key: Option<IdempotencyKey>,
    dry_run: bool,
}

/// A job that is sent again, and by which name.
struct Again {
    first: Job,
    recipients: Vec<Recipient>,
    id: JobId,
    caller: Caller,
    signing: Signing,
}

impl Intake {
    /// Takes a finished job's message in once more; it is on stable storage when this returns.
    pub(super) async fn resend(
        &self,
        request: v1::ResendJobRequest,
        visitor: Visitor,
    ) -> Result<v1::SubmitJobResponse, Refusal> {
        let name = visitor.caller().clone();
        let payload_hash = payload_hash(&request);
        let wanted = Wanted::read(request)?;
        let key = wanted.key.clone();
        let idempotency = key.map(|key| Idempotency { caller: name.clone(), key, payload_hash });
        let repeated = idempotency.clone().filter(|_| !wanted.dry_run);
        let first = wanted.id;
        let answer = Box::pin(self.send_again(wanted, idempotency, visitor)).await;
        let answer = self.or_earlier(answer, repeated).await;
        match &answer {
            Ok(answer) => {
                let v1::SubmitJobResponse { job_id, existing, .. } = answer;
                tracing::debug!(caller = %name, job = job_id, existing, %first, "job sent again");
            }
            Err(refusal) => tracing::debug!(caller = %name, reason = %refusal, %first, "job not sent again"),
        }
        answer
    }

    async fn send_again(
        &self,
        wanted: Wanted,
        idempotency: Option<Idempotency>,
        visitor: Visitor,
    ) -> Result<v1::SubmitJobResponse, Refusal> {
        let now = self.clock.now();
        let first = visitor.job(&self.storage, wanted.id).await?.ok_or(Refusal::NoJob(wanted.id))?.job;
        if first.merge().is_some() {
            return Err(NotResent::Merge.into());
        }
        if first.is_open() {
            return Err(NotResent::Open.into());
        }
        let recipients = wanted.choose(first.recipients())?;
        let account = visitor.account(&self.storage, &first.account).await?;
        let account = account.ok_or_else(|| Refusal::NoAccount { id: first.account.clone(), field: "job_id" })?;
        let bytes = usize::try_from(first.message.bytes).unwrap_or(usize::MAX);
        let _room = self.room(bytes).await?;
        let message = self.storage.message(first.id).await?.ok_or(NotResent::Forgotten)?;

        let settings = account.account.settings.clone();
        let mut warnings = warnings::of_account(&account, now);
        warnings.extend(check_hours(&settings.quiet_windows, None, first.approval.is_some(), now)?);
        let keys = self.keys_for_again(&first, &recipients, &message).await?;
        let effort = effort(bytes, &keys);
        let signing = Signing { keys, now };
        let again = Again { first, recipients, id: self.new_id(now), caller: visitor.into_caller(), signing };
        let (mut job, message) = aside(effort, move || again.job_of(&message, &settings)).await??;
        if job.awaits_approval() {
            warnings
                .push("the job awaits approval, as the first one did: it goes when somebody approves it".to_owned());
        }
        warnings.extend(leave_out(&self.storage, &mut job, now).await?);
        // What was sent before there was a scanner, or by a rule that asked for none, is looked at as a whole.
        let suspects = vec![Suspect::message("job_id", message.bytes.clone())];
        let standbys = match &job.fallbacks {
            Some(fallbacks) => standbys(&self.storage, fallbacks).await?,
            None => Vec::new(),
        };
        let routed_account_id = String::new();
        let mut entry = Entry { account, job, message, suspects, standbys, warnings, routed_account_id, idempotency };
        self.scan(&mut entry).await?;
        self.enter(entry, wanted.dry_run, now).await
    }

    /// The keys that sign a message that is sent again: by the rules as they are now. It is not kept by which route it went
    /// the first time, so a route that would lead it there now decides whether it may be signed.
    async fn keys_for_again(
        &self,
        first: &Job,
        recipients: &[Recipient],
        message: &Message,
    ) -> Result<Vec<Arc<SigningKey>>, Refusal> {
        let unreadable =
            || Refusal::field("job_id", "its message has no From that can be read: it cannot be sent again");
        let from = from_of_raw(&message.bytes).ok_or_else(unreadable)?;
        let routing = self.storage.routing().await?;
        let mut matching = Matching::new(&routing, &from, Kind::Plain);
        recipients.iter().for_each(|recipient| matching.see(&recipient.address));
        let leads_there =
            |way: &Way<'_>| std::iter::once(way.account).chain(way.fallbacks).any(|id| *id == first.account);
        if matching.decide().is_ok_and(|way| way.forbid_dkim && leads_there(&way)) {
            return Ok(Vec::new());
        }
        Ok(self.signers.of(&from).await?)
    }
}

impl Wanted {
    fn read(request: v1::ResendJobRequest) -> Result<Self, Vec<Violation>> {
        let mut violations = Violations::default();
        let id = parse::<JobId>(&request.job_id, "job_id", &mut violations);
        let mut states = Vec::new();
        for (index, number) in request.states.iter().enumerate() {
            use v1::RecipientState as State;
            match State::try_from(*number) {
                Ok(
                    state @ (State::Submitted
                    | State::Failed
                    | State::Expired
                    | State::Cancelled
                    | State::Bounced
                    | State::Complained
                    | State::Suppressed),
                ) => states.push(state),
                _ => violations.add(format_args!("states[{index}]"), "must be a final state of a recipient"),
            }
        }
        if request.addresses.len() > ADDRESSES_MAX {
            violations.add("addresses", format_args!("has more than {ADDRESSES_MAX} entries"));
        }
        let key = match request.idempotency_key.as_str() {
            "" => Some(None),
            key => parse::<IdempotencyKey>(key, "idempotency_key", &mut violations).map(Some),
        };
        let v1::ResendJobRequest { addresses, dry_run, .. } = request;
        let addresses = addresses.into_iter().map(as_kept).collect();
        violations.finish(id.zip(key).map(|(id, key)| Self { id, states, addresses, key, dry_run }))
    }

    /// Those of a job's recipients that are meant, as if they had never been tried.
    fn choose(&self, recipients: &[Recipient]) -> Result<Vec<Recipient>, Vec<Violation>> {
        let is = |recipient: &Recipient, address: &String| recipient.address.as_str().eq_ignore_ascii_case(address);
        let mut violations = Violations::default();
        for (index, address) in self.addresses.iter().enumerate() {
            if !recipients.iter().any(|recipient| is(recipient, address)) {
                violations.add(format_args!("addresses[{index}]"), "is none of the job's recipients");
            }
        }
        let is_meant = |recipient: &&Recipient| {
            let named = self.addresses.is_empty() || self.addresses.iter().any(|address| is(recipient, address));
            named
                && (self.states.is_empty() || final_state(recipient).is_some_and(|state| self.states.contains(&state)))
        };
        let fresh = |recipient: &Recipient| Recipient {
            state: RecipientState::Pending { deferral: None },
            ..recipient.clone()
        };
        let chosen: Vec<_> = recipients.iter().filter(is_meant).map(fresh).collect();
        if chosen.is_empty() {
            let field = if self.states.is_empty() { "addresses" } else { "states" };
            violations.add(field, "leave none of the job's recipients");
        }
        violations.finish(Some(chosen))
    }
}

fn final_state(recipient: &Recipient) -> Option<v1::RecipientState> {
    Some(match recipient.state {
        RecipientState::Submitted { .. } => v1::RecipientState::Submitted,
        RecipientState::Failed { .. } => v1::RecipientState::Failed,
        RecipientState::Expired { .. } => v1::RecipientState::Expired,
        RecipientState::Cancelled { .. } => v1::RecipientState::Cancelled,
        RecipientState::Bounced { .. } => v1::RecipientState::Bounced,
        RecipientState::Complained { .. } => v1::RecipientState::Complained,
        RecipientState::Suppressed { .. } => v1::RecipientState::Suppressed,
        RecipientState::Pending { .. } | RecipientState::InDoubt { .. } => return None,
    })
}

impl Again {
    /// The job, in its first state, with its message.
    fn job_of(self, message: &Message, settings: &AccountSettings) -> Result<(Job, Message), Vec<Violation>> {
        let Self { first, recipients, id, caller, signing } = self;
        let now = signing.now;
        let mut violations = Violations::default();
        let mut message_id = String::new();
        let identity = |from: &_| {
            let identity = Identity::of_job(id, from, now);
            message_id.clone_from(&identity.message_id);
            identity
        };
        let renewed = renew(message, identity).map_err(|error| violations.add(error.field, error.reason)).ok();
        let renewed = violations.finish(renewed)?;
        let composed = Composed { message: renewed.message, message_id, subject: first.subject, warnings: Vec::new() };
        let Sealed { message, facts, subject, .. } = seal(composed, &signing);

        let to: Vec<_> = recipients.iter().map(|one| Mailbox { name: None, address: one.address.clone() }).collect();
        let submission = Submission {
            content: Content::Raw { from: &renewed.from },
            to: &to,
            cc: &[],
            bcc: &[],
            message_bytes: Some(facts.bytes),
            send_at: None,
            expires_at: None,
            labels: first.labels.len(),
            priority: first.priority,
        };
        let mut violations = Violations::default();
        for found in check_again(&submission, settings) {
            violations.add("job_id", found.reason);
        }
        let job = Job {
            id,
            account: first.account,
            caller,
            accepted_at: now,
            sender: first.sender,
            audience: Audience::Together(recipients),
            subject,
            message: facts,
            priority: first.priority,
            labels: first.labels,
            expires_at: None,
            schedule: Schedule::Waiting { due: now },
            attempts_made: 0,
            first_attempt_at: None,
            attempts: Vec::new(),
            wish: None,
            fallbacks: first.fallbacks,
            approval: first.approval.map(|_| Approval::Awaited),
            resent: Some(first.id),
            override_suppression: false,
        };
        violations.finish(Some((job, message)))
    }
}

/// Tells different calls under one idempotency key apart. The encoding has no maps, so it is always the same.
fn payload_hash(request: &v1::ResendJobRequest) -> [u8; 32] {
    let payload = v1::ResendJobRequest { idempotency_key: String::new(), dry_run: false, ..request.clone() };
    let mut hasher = blake3::Hasher::new();
    // No plain job's encoding begins like this.
    hasher.update(b"\0resend").update(&payload.encode_to_vec());
    *hasher.finalize().as_bytes()
}
