//! What the made-up daemon shows of messages, and how it sends one again.

use hikyaku_client::{proto::*, show_mailbox};
use tonic::Status;

use super::{Fake, State};

impl Fake {
    pub(super) fn preview(&self, request: PreviewJobRequest) -> Result<PreviewJobResponse, Status> {
        use preview_job_request::What;
        let (draft, recipient) = match request.what.unwrap() {
            What::Draft(draft) => (draft, None),
            What::Merge(MergePreview { job, recipient }) => (job.unwrap(), recipient),
            What::JobId(id) => {
                let message = format!("X-Hikyaku-Job: {id}\r\n\r\nfor {}\r\n", request.recipient);
                return Ok(PreviewJobResponse { message: message.into(), ..PreviewJobResponse::default() });
            }
        };
        let message = match draft.content.clone().unwrap() {
            job_draft::Content::Raw(raw) => raw.to_vec(),
            job_draft::Content::Mail(mail) => message(&draft, &mail, recipient.as_ref(), &self.state()).into_bytes(),
        };
        let all = [&draft.to, &draft.cc, &draft.bcc].into_iter().flatten().map(|one| one.address.clone());
        Ok(PreviewJobResponse {
            message: message.into(),
            sender: draft.from.map(|from| from.address).unwrap_or_default(),
            recipients: all.chain(recipient.map(|one| one.address)).collect(),
            warnings: vec!["it is late\u{7}".to_owned()],
        })
    }

    pub(super) fn resend(&self, request: ResendJobRequest) -> Result<SubmitJobResponse, Status> {
        let ResendJobRequest { job_id, states, addresses, idempotency_key, dry_run } = request;
        if !self.state().jobs.contains_key(&job_id) {
            return Err(Status::not_found("there is no such job"));
        }
        Ok(SubmitJobResponse {
            job_id: if dry_run { String::new() } else { format!("{job_id}-again") },
            warnings: vec![format!("{states:?} {addresses:?} {idempotency_key}")],
            message_bytes: 400,
            ..SubmitJobResponse::default()
        })
    }
}

/// Something like the message, with what there is to see of each field.
fn message(draft: &JobDraft, mail: &MailContent, recipient: Option<&MergeRecipient>, state: &State) -> String {
    let filled = |text: &str| {
        let variables = recipient.iter().flat_map(|one| &one.variables);
        variables.fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{{ {name} }}}}"), value))
    };
    let mut lines = Vec::new();
    for (name, list) in [("Reply-To", &draft.reply_to), ("To", &draft.to), ("Cc", &draft.cc), ("Bcc", &draft.bcc)] {
        lines.extend(list.iter().map(|one| format!("{name}: {}", show_mailbox(one))));
    }
    lines.push(format!("Subject: {}", filled(&mail.subject)));
    lines.extend(mail.headers.iter().map(|one| format!("{}: {}", one.name, one.value)));
    lines.push(format!("In-Reply-To: {} {:?}", mail.in_reply_to, mail.references));
    if let Some(ListUnsubscribe { url, mailto, one_click }) = &mail.list_unsubscribe {
        lines.push(format!("List-Unsubscribe: {} {mailto} {one_click}", filled(url)));
    }
    lines.push(format!("Kind: {} {} {:?}", mail.auto_submitted, draft.priority, draft.labels));
    lines.push(format!("Terms: {} {} {:?}", draft.hold, draft.approval_required, draft.send_at.map(|at| at.seconds)));
    for one in &mail.attachments {
        let bytes = state.blobs.get(&one.blob_id).map_or(one.content.len() as u64, |blob| blob.size_bytes);
        lines.push(format!(
            "File: {} {} {} {bytes} {}",
            one.file_name,
            one.media_type,
            one.content_id,
            one.blob_id.len()
        ));
    }
    lines.extend([String::new(), filled(&mail.text), filled(&mail.html)]);
    lines.join("\r\n") + "\r\n"
}
