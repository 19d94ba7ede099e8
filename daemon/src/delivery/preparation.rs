//! From the queue to the couriers: messages are read, handed out, and marked together in one commit.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot};

use super::{
    Context,
    errand::{Errand, ErrandResult, MarkStage, Return},
    omission::leave_out_suppressed,
};
use crate::{
    accounts::signers::Signers,
    compose::{
        dkim::{SigningKey, sign},
        identity::{ComposeError, Identity},
        merge::{Renderer, Renderers},
    },
    domain::{
        account::InDoubtPolicy,
        address::Address,
        ids::{JobId, MessageKey},
        ledger::Charge,
        mail::Message,
        merge::MergeTemplate,
    },
    policy::{quota::permit::measured, verp::VerpKey},
    storage::{
        Consignment, Content, JobRecord, StorageError, Tenure, TenureError,
        settlement::{Mark, MarkOutcome},
    },
};

/// A message that a courier is to carry.
#[derive(Debug)]
pub(super) struct Assignment {
    pub(super) message: MessageKey,
    /// How many recipients its permit is for.
    pub(super) recipients: u32,
    /// What its mark charges to the quotas.
    pub(super) charges: Vec<Charge>,
    /// Where the courier takes errands.
    pub(super) courier: mpsc::Sender<Errand>,
}

/// Messages that are handed out together.
#[derive(Debug)]
pub(super) struct Preparation {
    pub(super) context: Context,
    pub(super) tenure: Arc<Tenure>,
    pub(super) policy: InDoubtPolicy,
    pub(super) assignments: Vec<Assignment>,
    /// The reverse-path that each message has in a form of its own, if the account wants that.
    pub(super) verp_base: Option<Address>,
    /// What composes the messages of merge jobs.
    pub(super) renderers: Arc<Mutex<Renderers>>,
}

impl Preparation {
    /// Hands the messages to their couriers, and answers with those that did not get there.
    pub(super) async fn run(self) -> Result<Vec<Return>, TenureError> {
        let Self { context, tenure, policy, assignments, verp_base, renderers } = self;
        let started = context.clock.now();
        let (mut marks, mut answers) = (Vec::new(), Vec::new());
        let (mut stranded, mut returns) = (Vec::new(), Vec::new());
        let mut keys = BatchKeys::new(&context);
        let mut found = join_all(assignments.iter().map(|assignment| consignment(&context, assignment))).await;
        leave_out(&context, &tenure, &mut found).await?;
        for (assignment, found) in assignments.into_iter().zip(found) {
            let consignment = match found {
                Ok(consignment) => consignment,
                Err(Refused::Store(error)) => return Err(error.into()),
                Err(Refused::Errand(result)) => {
                    returns.push(Return { message: assignment.message, bytes: None, marked: false, result });
                    continue;
                }
            };
            let Consignment { key, tries, recipients, mut envelope, content, labels, override_suppression } =
                consignment;
            let message = match message_of(content, key, &renderers, &mut keys).await {
                Ok(message) => message,
                Err(error) if error.is_fatal() => return Err(error.into()),
                Err(error) => {
                    let result = ErrandResult::Unreadable(error);
                    returns.push(Return { message: key, bytes: None, marked: false, result });
                    continue;
                }
            };
            // A job that was accepted before the account wanted tags keeps the sender that it was given.
            if verp_base.as_ref() == Some(&envelope.sender) {
                envelope.sender = context.verp.address(&envelope.sender, key);
            }
            // Of a merge job it was only known how long its messages are at most.
            let charges = measured(assignment.charges, message.bytes.len() as u64);
            let mark = MarkStage::Due(Vec::new());
            let mut errand =
                Errand { key, tries, recipients, envelope, message, labels, override_suppression, started, mark };
            errand.mark = match policy {
                // To send again what was never sent harms nobody: the mark is written while the envelope travels.
                InDoubtPolicy::Resend => {
                    marks.push(errand.mark_with(charges, context.clock.now()));
                    let (answer, coming) = oneshot::channel();
                    answers.push(answer);
                    MarkStage::Coming(coming)
                }
                InDoubtPolicy::Hold | InDoubtPolicy::Reconcile => MarkStage::Due(charges),
            };
            if let Err(refused) = assignment.courier.try_send(errand) {
                // The courier has just ended.
                stranded.push(refused.into_inner());
            }
        }
        set_marks(&context, &tenure, marks, answers).await?;
        for errand in stranded {
            returns.push(errand.returned(ErrandResult::Recalled).await);
        }
        Ok(returns)
    }
}

/// Sets marks, and answers those who wait for them.
async fn set_marks(
    context: &Context,
    tenure: &Tenure,
    marks: Vec<Mark>,
    answers: Vec<oneshot::Sender<bool>>,
) -> Result<(), TenureError> {
    if marks.is_empty() {
        return Ok(());
    }
    let outcomes = context.storage.mark_in_doubt(tenure, marks).await?;
    for (answer, outcome) in answers.into_iter().zip(outcomes) {
        // A courier that has gone needs no answer.
        let _ = answer.send(outcome == MarkOutcome::Marked);
    }
    Ok(())
}

/// Takes out those of the messages of which recipients are suppressed: they are others than they were when they got their permits,
/// or cannot be changed.
async fn leave_out(
    context: &Context,
    tenure: &Tenure,
    found: &mut [Result<Consignment, Refused>],
) -> Result<(), TenureError> {
    let omitted = leave_out_suppressed(context, tenure, found.iter().flatten()).await?;
    for one in found {
        let Ok(key) = one.as_ref().map(|consignment| consignment.key) else { continue };
        let result = match omitted.get(&key) {
            None => continue,
            Some(true) => ErrandResult::Changed,
            Some(false) => unchanged(context, tenure, key).await?,
        };
        *one = Err(Refused::Errand(result));
    }
    Ok(())
}

/// Why nobody was left out of a message. One that still waits is damaged: it would be asked for again at once.
async fn unchanged(context: &Context, tenure: &Tenure, key: MessageKey) -> Result<ErrandResult, TenureError> {
    let waits = async {
        let record = context.storage.job(key.job).await?;
        let is_ours = |record: &JobRecord| record.job.account == tenure.account && record.job.due().is_some();
        if !record.as_ref().is_some_and(is_ours) {
            return Ok(false);
        }
        let found = context.storage.consign(&[key]).await?;
        Ok::<_, StorageError>(found.iter().any(|consignment| !consignment.recipients.is_empty()))
    };
    match waits.await {
        Ok(true) => {
            let why = format!("{key}: nobody can be left out of it, though somebody must not be sent to");
            Ok(ErrandResult::Unreadable(StorageError::Damaged(why)))
        }
        Ok(false) => Ok(ErrandResult::Changed),
        Err(error) if error.is_fatal() => Err(error.into()),
        Err(error) => Ok(ErrandResult::Unreadable(error)),
    }
}

/// The message that a content is, or becomes. A plain job was signed when it was accepted.
async fn message_of(
    content: Content,
    key: MessageKey,
    renderers: &Arc<Mutex<Renderers>>,
    keys: &mut BatchKeys,
) -> Result<Message, StorageError> {
    let (template, recipient, date) = match content {
        Content::Composed(message) => return Ok(message),
        Content::Merge { template, recipient, date } => (template, recipient, date),
    };
    let proof = keys.verp.proof_of(key);
    let keys = keys.of(key.job, &template).await?;
    let damaged = |error: ComposeError| StorageError::Damaged(error.to_string());
    let identity = Identity::of_merge(key, proof, &template.draft.from.address, date);
    let known = renderers.lock().unwrap_or_else(PoisonError::into_inner).of(key.job);
    if let Some(renderer) = known.as_ref().filter(|renderer| keys.is_empty() && renderer.is_plain()) {
        return renderer.render(&recipient, &identity).map_err(damaged);
    }
    // A signature takes a millisecond, or ten; templates that decide and large files may take longer. The signature bears
    // the message's date, so that each attempt sends the same bytes.
    let renderers = Arc::clone(renderers);
    let composing = move || {
        let renderer = match known {
            Some(renderer) => renderer,
            None => {
                let made = Arc::new(Renderer::new(&template, key.job)?);
                renderers.lock().unwrap_or_else(PoisonError::into_inner).keep(key.job, Arc::clone(&made));
                made
            }
        };
        Ok(sign(renderer.render(&recipient, &identity)?, &keys, date))
    };
    let composed = tokio::task::spawn_blocking(composing).await;
    let composed = composed.map_err(|_| StorageError::Damaged(format!("the message {key} cannot be composed")))?;
    composed.map_err(damaged)
}

/// What makes the messages of a batch ours: the keys that sign them, most of which are of one job.
struct BatchKeys {
    signers: Signers,
    /// Proves which message of a job each is.
    verp: VerpKey,
    /// Those of the job that was asked for last; nothing when they cannot be used.
    known: Option<(JobId, Option<Vec<Arc<SigningKey>>>)>,
    has_told: bool,
}

impl BatchKeys {
    fn new(context: &Context) -> Self {
        Self { signers: context.signers.clone(), verp: context.verp.clone(), known: None, has_told: false }
    }

    /// Keys that cannot be used are no fault of the messages, which wait until somebody has mended them.
    async fn of(&mut self, job: JobId, template: &MergeTemplate) -> Result<Vec<Arc<SigningKey>>, StorageError> {
        let unusable = StorageError::Overloaded("the DKIM keys or rules cannot be used: what they sign waits for them");
        if let Some((_, keys)) = self.known.as_ref().filter(|(known, _)| *known == job) {
            return keys.clone().ok_or(unusable);
        }
        let found = match self.signers.of_template(template).await {
            Ok(keys) => Some(keys),
            Err(error) if error.is_fatal() => return Err(error),
            Err(error) => {
                if !std::mem::replace(&mut self.has_told, true) {
                    tracing::error!(%job, %error, "messages wait until the DKIM keys and rules can be used");
                }
                None
            }
        };
        self.known = Some((job, found.clone()));
        found.ok_or(unusable)
    }
}

enum Refused {
    Store(StorageError),
    Errand(ErrandResult),
}

async fn consignment(context: &Context, assignment: &Assignment) -> Result<Consignment, Refused> {
    let found = context.storage.consign(&[assignment.message]).await.map_err(|error| match error {
        error if error.is_fatal() => Refused::Store(error),
        error => Refused::Errand(ErrandResult::Unreadable(error)),
    })?;
    let is_as_seen = |consignment: &Consignment| consignment.recipients.len() == assignment.recipients as usize;
    found.into_iter().next().filter(is_as_seen).ok_or(Refused::Errand(ErrandResult::Changed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{dkim::DkimRules, ids::Etag},
        storage::{contract::samples, memory::MemoryStore},
    };

    #[tokio::test]
    async fn messages_wait_for_keys_that_cannot_be_used() {
        let storage: crate::storage::SharedStorage = MemoryStore::new();
        let (key, private) = samples::dkim_key("a", "example.jp");
        let id = key.id.clone();
        storage.add_dkim_key(key, private).await.expect("it is new");
        let rules = |etag, default_keys| DkimRules { default_keys, etag: Etag(etag), ..DkimRules::default() };
        storage.set_dkim_rules(rules(1, vec![id]), Etag(0)).await.expect("nobody set any");
        let submission = samples::merge_submission(samples::sample_merge("sales", 1, 2));
        let (job, template) = (submission.job.id, &MergeTemplate { forbid_dkim: false, ..submission.template });
        let verp = VerpKey::new([7; 32]);
        let batch = || BatchKeys { signers: Signers::new(&storage), verp: verp.clone(), known: None, has_told: false };
        let mut keys = batch();
        for _ in 0..2 {
            let error = keys.of(job, template).await.expect_err("it is no key");
            assert!(error.is_passing(), "{error}");
        }
        storage.set_dkim_rules(rules(2, Vec::new()), Etag(1)).await.expect("they are known");
        assert!(batch().of(job, template).await.expect("nothing is to be signed").is_empty());
    }
}
