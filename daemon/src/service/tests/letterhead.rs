//! What an account adds to its jobs, and what it forbids them.

use v1::{envelope_sender::Sender, job_draft::Content};

use super::*;
use crate::storage::JobStore;

async fn api_with(change: impl FnOnce(&mut v1::AccountSettings)) -> Api {
    let api = Api::start().await;
    let mut settings = settings();
    change(&mut settings);
    let request =
        v1::CreateAccountRequest { account_id: "sales".into(), settings: Some(settings), ..Default::default() };
    Box::pin(api.accounts().create_account(request)).await.expect("a good account");
    api
}

async fn message_of(api: &Api, draft: v1::JobDraft) -> (v1::Job, String) {
    let answer = api.submit(draft).await.expect("a good job");
    let message = api.storage.message(answer.job_id.parse().expect("an id")).await.expect("read").expect("a message");
    (api.job(&answer.job_id).await, String::from_utf8_lossy(&message.bytes).into_owned())
}

fn with_file(account: &str) -> v1::JobDraft {
    let mut draft = draft(account, "a@example.jp");
    if let Some(Content::Mail(mail)) = &mut draft.content {
        mail.attachments = vec![v1::Attachment { file_name: "a.txt".into(), ..v1::Attachment::default() }];
    }
    draft
}

#[tokio::test]
async fn jobs_get_the_signature_and_the_recipients_of_their_account() {
    let api = api_with(|settings| {
        settings.signature = Some(v1::Signature { text: "The Shop".into(), html: String::new() });
        settings.default_cc = vec![mailbox("cc@example.jp")];
        settings.default_bcc = vec![mailbox("log@example.jp"), mailbox("cc@example.jp")];
        settings.content = Some(v1::ContentRules { omit_recipient_names: true, ..v1::ContentRules::default() });
    })
    .await;
    let mut draft = draft("sales", "a@example.jp");
    draft.to[0].name = "Taro".into();
    let (job, message) = message_of(&api, draft).await;
    let recipients: Vec<_> = job.recipients.iter().map(|one| (one.address.as_str(), one.field())).collect();
    use v1::RecipientField::{Bcc, Cc, To};
    assert_eq!(recipients, [("a@example.jp", To), ("cc@example.jp", Cc), ("log@example.jp", Bcc)]);
    assert!(message.contains("To: a@example.jp\r\nCc: cc@example.jp\r\n"), "{message}");
    assert!(message.contains("\r\n-- \r\nThe Shop") && !message.contains("log@"), "{message}");
}

#[tokio::test]
async fn jobs_are_written_in_the_charset_of_their_account() {
    let write = |charset: v1::Charset| async move {
        let rules = v1::ContentRules { charset: charset.into(), ..v1::ContentRules::default() };
        let api = api_with(|settings| settings.content = Some(rules)).await;
        let draft_of = |subject: &str| {
            let mut draft = draft("sales", "a@example.jp");
            if let Some(Content::Mail(mail)) = &mut draft.content {
                mail.subject = subject.into();
                mail.text = "日本語".into();
            }
            draft
        };
        let (_, inside) = message_of(&api, draft_of("飛脚")).await;
        (inside, api.submit(draft_of("①")).await.map(|_| ()))
    };
    let (utf8, _) = write(v1::Charset::Unspecified).await;
    assert!(utf8.contains("=?utf-8?b?") && utf8.contains("charset=utf-8"), "{utf8}");
    let (japanese, other) = write(v1::Charset::Iso2022JpReject).await;
    assert!(japanese.contains("=?ISO-2022-JP?B?") && japanese.contains("\u{1b}$BF|K\\8l\u{1b}(B"), "{japanese}");
    check_refused(other, Code::InvalidArgument, "INVALID_FIELDS", &["job.mail.subject"]);
    assert!(write(v1::Charset::Iso2022Jp).await.1.is_ok(), "it goes in UTF-8");
}

#[tokio::test]
async fn what_an_account_forbids_is_refused() {
    let rules = v1::ContentRules { no_attachments: true, ..v1::ContentRules::default() };
    let api = api_with(|settings| settings.content = Some(rules)).await;
    let refused = api.submit(with_file("sales")).await;
    check_refused(refused, Code::InvalidArgument, "INVALID_FIELDS", &["job.mail.attachments"]);
    let rules = v1::ContentRules { virus_scan_required: true, ..v1::ContentRules::default() };
    let api = api_with(|settings| settings.content = Some(rules)).await;
    let refused = api.submit(with_file("sales")).await;
    check_refused(refused, Code::FailedPrecondition, "NO_VIRUS_SCANNER", &[]);
    assert!(api.submit(draft("sales", "a@example.jp")).await.is_ok(), "nothing can be infected");
}

#[tokio::test]
async fn bounces_go_where_the_account_says() {
    let sender = |sender| v1::Results {
        envelope_sender: Some(v1::EnvelopeSender { sender: Some(sender) }),
        ..v1::Results::default()
    };
    for given in [Sender::Address("bounce@example.jp".into()), Sender::Verp("bounce@example.jp".into())] {
        let api = api_with(|settings| settings.results = Some(sender(given))).await;
        let (job, message) = message_of(&api, draft("sales", "a@example.jp")).await;
        assert_eq!(job.sender, "bounce@example.jp");
        assert!(message.contains("From: sales@example.jp"), "{message}");
    }
}

#[tokio::test]
async fn a_signature_is_no_template_of_a_merge_job() {
    let api = api_with(|settings| {
        settings.signature = Some(v1::Signature { text: "{{ of.nobody }} {%".into(), html: "{#sig{}}".into() });
    })
    .await;
    let requests = vec![merges::head(merges::templates(), ""), merges::recipients(0..2)];
    assert_eq!(merges::submit(&api, requests).await.expect("a merge job").recipients, 2);
}
