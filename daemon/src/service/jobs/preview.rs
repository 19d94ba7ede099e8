//! The exact bytes that would be sent: of a draft, of one message of a merge job to come, or of a stored job.

use hikyaku_proto::v1::{self, preview_job_request::What};
use prost::Message as _;

use super::{attached::Attached, intake::Entry, service::Jobs};
use crate::{
    compose::{
        dkim::sign,
        identity::{ComposeError, Identity},
        merge::render,
    },
    domain::{
        ids::MessageKey,
        job::Job,
        mail::Message,
        recipient::{Recipient, RecipientState},
    },
    service::{
        convert::{draft::to_order, violations::Violation},
        status::{NotResent, Refusal},
        visibility::Visitor,
    },
    storage::{RecipientPage, StorageError},
};

impl Jobs {
    /// What would be sent; nothing is stored.
    pub(super) async fn preview(
        &self,
        request: v1::PreviewJobRequest,
        visitor: Visitor,
    ) -> Result<v1::PreviewJobResponse, Refusal> {
        match request.what {
            Some(What::Draft(draft)) => {
                let answer = Box::pin(self.preview_draft(draft, visitor)).await;
                answer.map_err(|refusal| told_of(refusal, &[("job", "draft")]))
            }
            Some(What::Merge(merge)) => {
                let answer = Box::pin(self.preview_merge(merge, visitor)).await;
                let paths =
                    [("job", "merge.job"), ("recipients[0]", "merge.recipient"), ("recipients", "merge.recipient")];
                answer.map_err(|refusal| told_of(refusal, &paths))
            }
            Some(What::JobId(id)) => {
                let job = self.record(&id, &visitor).await?.job;
                match job.merge() {
                    None => self.preview_plain(&job).await,
                    Some(_) => self.preview_message(&job, request.recipient).await,
                }
            }
            None => Err(Refusal::field("what", "is required: a draft, a merge or a job_id")),
        }
    }

    async fn preview_draft(&self, draft: v1::JobDraft, visitor: Visitor) -> Result<v1::PreviewJobResponse, Refusal> {
        let attached = Attached::look_up(&self.storage, visitor.caller(), Some(&draft)).await?;
        let bytes = draft.encoded_len().saturating_add(attached.bytes());
        let _room = self.intake.room(bytes).await?;
        let request = v1::SubmitJobRequest { job: Some(draft), ..v1::SubmitJobRequest::default() };
        let entry = self.intake.entry_of(to_order(request)?, &attached, visitor, bytes, self.clock.now()).await?;
        let Entry { job, message, warnings, .. } = entry;
        Ok(v1::PreviewJobResponse { warnings, ..of_plain(&job, message) })
    }

    async fn preview_merge(
        &self,
        merge: v1::MergePreview,
        visitor: Visitor,
    ) -> Result<v1::PreviewJobResponse, Refusal> {
        let attached = Attached::look_up(&self.storage, visitor.caller(), merge.job.as_ref()).await?;
        let _room = self.intake.room(merge.encoded_len().saturating_add(attached.bytes())).await?;
        Box::pin(self.merges.preview(merge.job, merge.recipient, &attached, visitor)).await
    }

    async fn preview_plain(&self, job: &Job) -> Result<v1::PreviewJobResponse, Refusal> {
        let _room = self.intake.room(usize::try_from(job.message.bytes).unwrap_or(usize::MAX)).await?;
        let message = self.storage.message(job.id).await?.ok_or(NotResent::Forgotten)?;
        Ok(of_plain(job, message))
    }

    /// One message of a stored merge job, made as when it is sent.
    async fn preview_message(&self, job: &Job, index: u32) -> Result<v1::PreviewJobResponse, Refusal> {
        let messages = job.merge().map_or(0, |progress| progress.messages);
        if index >= messages {
            return Err(Refusal::field(
                "recipient",
                format!("must be below {messages}: the job has so many recipients"),
            ));
        }
        let _room = self.intake.room(usize::try_from(job.message_bytes_max()).unwrap_or(usize::MAX)).await?;
        let page = RecipientPage { after: index.checked_sub(1), limit: 1, classes: Vec::new() };
        let found = self.storage.merge_recipients(job.id, page).await?.ok_or(NotResent::Forgotten)?;
        let recipient = found.messages.into_iter().next().ok_or(NotResent::Forgotten)?.recipient;
        let template = self.storage.template(job.id).await?.ok_or(NotResent::Forgotten)?;
        let key = MessageKey { job: job.id, index };
        let identity = Identity::of_merge(key, self.verp.proof_of(key), &template.draft.from.address, job.accepted_at);
        let address = recipient.address.as_str().to_owned();
        let keys = self.intake.signers.of_template(&template).await?;
        let date = job.accepted_at;
        let rendering = move || Ok(sign(render(&template, &recipient, &identity)?, &keys, date));
        let rendered: Result<Result<_, ComposeError>, _> = tokio::task::spawn_blocking(rendering).await;
        let rendered = rendered.map_err(|_| Refusal::Internal("the message could not be composed"))?;
        let message = rendered.map_err(|error| StorageError::Damaged(format!("message {key}: {error}")))?;
        let sender = job.sender.as_str().to_owned();
        Ok(v1::PreviewJobResponse { message: message.bytes, sender, recipients: vec![address], warnings: Vec::new() })
    }
}

fn of_plain(job: &Job, message: Message) -> v1::PreviewJobResponse {
    // Those that are left out are in no envelope.
    let is_left_out = |recipient: &&Recipient| matches!(recipient.state, RecipientState::Suppressed { .. });
    let recipients = job.recipients().iter().filter(|recipient| !is_left_out(recipient));
    v1::PreviewJobResponse {
        message: message.bytes,
        sender: job.sender.as_str().to_owned(),
        recipients: recipients.map(|recipient| recipient.address.as_str().to_owned()).collect(),
        warnings: Vec::new(),
    }
}

/// The refusal of a submission in the words of a preview: each path that begins with one name begins with another there.
fn told_of(refusal: Refusal, paths: &[(&str, &str)]) -> Refusal {
    let renamed = |field: &str| {
        let mut found = paths.iter().filter_map(|(from, to)| {
            let rest = field.strip_prefix(from)?;
            (rest.is_empty() || rest.starts_with(['.', '['])).then(|| format!("{to}{rest}"))
        });
        found.next().unwrap_or_else(|| field.to_owned())
    };
    match refusal {
        Refusal::Invalid(violations) => {
            let told = violations.into_iter().map(|violation| {
                let field = renamed(&violation.field);
                Violation { field, ..violation }
            });
            Refusal::Invalid(told.collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_submission_are_named_as_in_a_preview() {
        let paths = [("job", "merge.job"), ("recipients[0]", "merge.recipient"), ("recipients", "merge.recipient")];
        for (field, expected) in [
            ("job", "merge.job"),
            ("job.mail.subject", "merge.job.mail.subject"),
            ("jobs", "jobs"),
            ("recipients[0].address", "merge.recipient.address"),
            ("recipients", "merge.recipient"),
        ] {
            let Refusal::Invalid(told) = told_of(Refusal::field(field, "is wrong"), &paths) else { panic!("{field}") };
            assert_eq!(told[0].field, expected);
        }
    }
}
