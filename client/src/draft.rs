//! How a submission is written, step by step.

use std::time::SystemTime;

use crate::{
    mailbox::parse_mailbox,
    proto::{
        Attachment, AutoSubmitted, Header, JobDraft, ListUnsubscribe, MailContent, Mailbox, MergeHead, Priority,
        SubmitJobRequest, job_draft::Content,
    },
};

/// A submission in the making. Each method adds to it; the daemon checks it as a whole.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Draft {
    job: JobDraft,
    mail: MailContent,
    raw: Option<Vec<u8>>,
    idempotency_key: String,
    dry_run: bool,
}

impl Draft {
    /// A submission to be sent by `account_id`.
    pub fn new(account_id: impl Into<String>) -> Self {
        Self {
            job: JobDraft { account_id: account_id.into(), ..JobDraft::default() },
            mail: MailContent::default(),
            raw: None,
            idempotency_key: String::new(),
            dry_run: false,
        }
    }

    /// Who it is from, as `address` or `Name <address>`; the account's own From when never called.
    pub fn from(mut self, mailbox: &str) -> Self {
        self.job.from = Some(parse_mailbox(mailbox));
        self
    }

    /// Where answers go.
    pub fn reply_to(mut self, mailbox: &str) -> Self {
        self.job.reply_to.push(parse_mailbox(mailbox));
        self
    }

    /// Adds a recipient named in To, as `address` or `Name <address>`.
    pub fn to(mut self, mailbox: &str) -> Self {
        self.job.to.push(parse_mailbox(mailbox));
        self
    }

    /// Adds a recipient named in Cc.
    pub fn cc(mut self, mailbox: &str) -> Self {
        self.job.cc.push(parse_mailbox(mailbox));
        self
    }

    /// Adds a recipient named in no header.
    pub fn bcc(mut self, mailbox: &str) -> Self {
        self.job.bcc.push(parse_mailbox(mailbox));
        self
    }

    /// Adds a recipient named in To whose name and address are at hand.
    pub fn recipient(mut self, name: impl Into<String>, address: impl Into<String>) -> Self {
        self.job.to.push(Mailbox { name: name.into(), address: address.into() });
        self
    }

    /// The subject.
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.mail.subject = subject.into();
        self
    }

    /// The plain text.
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.mail.text = text.into();
        self
    }

    /// The HTML.
    pub fn html(mut self, html: impl Into<String>) -> Self {
        self.mail.html = html.into();
        self
    }

    /// Adds a header field.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.mail.headers.push(Header { name: name.into(), value: value.into() });
        self
    }

    /// Attaches a file; an empty `media_type` leaves it to the daemon.
    pub fn attach(self, name: impl Into<String>, media_type: impl Into<String>, content: Vec<u8>) -> Self {
        self.inline(name, media_type, "", content)
    }

    /// Adds a file that the HTML shows as `cid:content_id`.
    pub fn inline(
        mut self,
        name: impl Into<String>,
        media_type: impl Into<String>,
        content_id: impl Into<String>,
        content: Vec<u8>,
    ) -> Self {
        self.mail.attachments.push(Attachment {
            file_name: name.into(),
            media_type: media_type.into(),
            content: content.into(),
            content_id: content_id.into(),
            ..Attachment::default()
        });
        self
    }

    /// Attaches a file that [`Client::upload`](crate::Client::upload) brought before.
    pub fn attach_blob(
        self,
        name: impl Into<String>,
        media_type: impl Into<String>,
        blob_id: impl Into<String>,
    ) -> Self {
        self.attachment(Attachment {
            file_name: name.into(),
            media_type: media_type.into(),
            blob_id: blob_id.into(),
            ..Attachment::default()
        })
    }

    /// Adds an attached or inline file of any kind.
    pub fn attachment(mut self, attachment: Attachment) -> Self {
        self.mail.attachments.push(attachment);
        self
    }

    /// The Message-ID that it answers.
    pub fn in_reply_to(mut self, message_id: impl Into<String>) -> Self {
        self.mail.in_reply_to = message_id.into();
        self
    }

    /// Adds a Message-ID of the conversation, the oldest first.
    pub fn reference(mut self, message_id: impl Into<String>) -> Self {
        self.mail.references.push(message_id.into());
        self
    }

    /// How readers leave the list that it is sent to (RFC 2369, RFC 8058).
    pub fn list_unsubscribe(mut self, way: ListUnsubscribe) -> Self {
        self.mail.list_unsubscribe = Some(way);
        self
    }

    /// That a program sends it by itself (RFC 3834).
    pub fn auto_submitted(mut self, kind: AutoSubmitted) -> Self {
        self.mail.auto_submitted = kind.into();
        self
    }

    /// Sends this RFC 5322 message as it is, instead of composing one from subject, text, HTML, headers and files.
    pub fn raw(mut self, message: Vec<u8>) -> Self {
        self.raw = Some(message);
        self
    }

    /// How urgent it is.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.job.priority = priority.into();
        self
    }

    /// Adds a word to find it by; the first one also names its lane.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.job.labels.push(label.into());
        self
    }

    /// Not before this time.
    pub fn send_at(mut self, time: SystemTime) -> Self {
        self.job.send_at = Some(time.into());
        self
    }

    /// Not after this time.
    pub fn expires_at(mut self, time: SystemTime) -> Self {
        self.job.expires_at = Some(time.into());
        self
    }

    /// Store it, but wait for its release.
    pub fn hold(mut self) -> Self {
        self.job.hold = true;
        self
    }

    /// Store it, but wait until somebody approves it.
    pub fn approval_required(mut self) -> Self {
        self.job.approval_required = true;
        self
    }

    /// Send to recipients although they are suppressed; for admins.
    pub fn override_suppression(mut self) -> Self {
        self.job.override_suppression = true;
        self
    }

    /// The caller's own name for this submission, which makes it safe to repeat.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = key.into();
        self
    }

    /// Check and compose only; store nothing.
    pub fn dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }
}

impl Draft {
    fn content(self) -> JobDraft {
        let content = match self.raw {
            Some(message) => Content::Raw(message.into()),
            None => Content::Mail(self.mail),
        };
        JobDraft { content: Some(content), ..self.job }
    }
}

impl From<Draft> for SubmitJobRequest {
    fn from(draft: Draft) -> Self {
        let (idempotency_key, dry_run) = (draft.idempotency_key.clone(), draft.dry_run);
        Self { job: Some(draft.content()), idempotency_key, dry_run }
    }
}

/// A draft without recipients is the head of a merge job; its subject, text and HTML are templates.
impl From<Draft> for MergeHead {
    fn from(draft: Draft) -> Self {
        let (idempotency_key, dry_run) = (draft.idempotency_key.clone(), draft.dry_run);
        Self { job: Some(draft.content()), idempotency_key, dry_run }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_becomes_the_request_it_describes() {
        let draft = Draft::new("shop")
            .to("Taro <taro@example.jp>")
            .bcc("log@example.jp")
            .subject("hello")
            .text("body")
            .header("X-Order", "7")
            .attach("a.txt", "text/plain", b"abc".to_vec())
            .attach_blob("b.pdf", "", "b3")
            .in_reply_to("1@example.jp")
            .reference("0@example.jp")
            .auto_submitted(AutoSubmitted::Replied)
            .approval_required()
            .label("orders")
            .priority(Priority::High)
            .idempotency_key("order-7")
            .hold();
        let request = SubmitJobRequest::from(draft);
        let job = request.job.unwrap();
        let Some(Content::Mail(mail)) = job.content else { panic!("no mail") };
        assert_eq!((job.to[0].name.as_str(), job.to[0].address.as_str()), ("Taro", "taro@example.jp"));
        assert_eq!(job.bcc.len(), 1);
        assert_eq!((mail.subject.as_str(), mail.attachments[0].content_id.as_str()), ("hello", ""));
        assert_eq!(mail.attachments[1].blob_id, "b3");
        assert_eq!((mail.in_reply_to.as_str(), mail.references.len(), mail.auto_submitted), ("1@example.jp", 1, 2));
        assert_eq!((job.priority, job.hold, job.approval_required), (i32::from(Priority::High), true, true));
        assert_eq!(request.idempotency_key, "order-7");
    }

    #[test]
    fn a_raw_message_takes_the_place_of_composed_content() {
        let request = SubmitJobRequest::from(Draft::new("shop").subject("unused").raw(b"Subject: x\r\n\r\n".to_vec()));
        assert!(matches!(request.job.unwrap().content, Some(Content::Raw(_))));
    }
}
