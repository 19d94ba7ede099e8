//! One message of a merge job to come, as it would be sent.

use hikyaku_proto::v1;

use super::{MergeIntake, Opening, desk::Desk};
use crate::{
    compose::{
        dkim::sign,
        identity::{ComposeError, Identity},
        merge::render,
    },
    domain::{ids::MessageKey, merge::MergeTemplate},
    service::{
        convert::{draft::to_merge_order, limits::MESSAGE_BYTES_MAX},
        jobs::attached::Attached,
        status::Refusal,
        visibility::Visitor,
    },
};

impl MergeIntake {
    /// The message that a recipient would get, with the files that the job names; nothing is stored. Fields are named as in a stream of which this is the first
    /// recipient.
    pub(in crate::service::jobs) async fn preview(
        &self,
        job: Option<v1::JobDraft>,
        recipient: Option<v1::MergeRecipient>,
        attached: &Attached,
        visitor: Visitor,
    ) -> Result<v1::PreviewJobResponse, Refusal> {
        let mut order = to_merge_order(v1::MergeHead { job, idempotency_key: String::new(), dry_run: true })?;
        let recipient = recipient.ok_or_else(|| Refusal::field("recipients", "is required"))?;
        let now = self.clock.now();
        attached.check(&order, MESSAGE_BYTES_MAX)?;
        attached.fetch(&self.storage, visitor.caller(), &mut order, now).await?;
        let (id, proof) = self.new_id(now);
        let opening = Opening { order, visitor, id, proof, now, hash: None };
        let routing = self.storage.routing().await?;
        let mut desk = Desk::open(&self.storage, &self.signers, &opening, &routing).await?;
        let (_, taken) = desk.take(vec![recipient]).await?;
        let outcome = desk.finish()?;
        let recipient = taken.into_iter().next().ok_or(Refusal::Internal("a recipient was lost on the way"))?;

        let MergeTemplate { draft, .. } = &outcome.template;
        let sender = outcome.routed.record.account.settings.results.sender_of(&draft.from.address);
        let first = MessageKey { job: id, index: 0 };
        let identity = Identity::of_merge(first, opening.proof.clone(), &draft.from.address, now);
        let recipients = vec![recipient.address.as_str().to_owned()];
        let template = outcome.template;
        let keys = self.signers.of_template(&template).await?;
        let rendering = move || Ok(sign(render(&template, &recipient, &identity)?, &keys, now));
        let rendered: Result<Result<_, ComposeError>, _> = tokio::task::spawn_blocking(rendering).await;
        let rendered = rendered.map_err(|_| Refusal::Internal("the message could not be composed"))?;
        let message = rendered.map_err(|error| Refusal::field(&error.field, error.reason))?;
        let sender = sender.as_str().to_owned();
        Ok(v1::PreviewJobResponse { message: message.bytes, sender, recipients, warnings: outcome.warnings })
    }
}
