//! What callers are told of mail that came in and of the mailboxes, over a real connection.

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use hikyaku_proto::v1::inbound_service_client::InboundServiceClient;
use v1::watch_inbound_response::Change;

use super::{
    visibility::{Office, by},
    *,
};
use crate::{
    domain::{
        ids::AccountId,
        inbound::{
            Effect, InboundAttachment, InboundContent, InboundFinding, InboundId, InboundMail, Kind, MailboxChange,
            MailboxId, Nature, ReadMark,
        },
        reason::Reason,
    },
    service::mailboxes::{MailboxStatus, NotRead},
    storage::{InboundStore as _, Ingested, Ingestion},
};

/// A mailbox in which two mails wait, but for that of the account `broken`.
#[derive(Debug)]
struct TwoNew;

#[async_trait]
impl MailboxDesk for TwoNew {
    async fn status(&self, _account: &AccountId) -> MailboxStatus {
        MailboxStatus { looked_at: Some(Timestamp::from_millis(BEGIN_MS)), messages: 7, ..MailboxStatus::default() }
    }

    async fn read_now(&self, account: &AccountId) -> Result<u64, NotRead> {
        match account.as_str() {
            "broken" => Err(NotRead::Failed("-ERR [AUTH] no".into())),
            _ => Ok(2),
        }
    }
}

fn client(api: &Api) -> InboundServiceClient<Channel> {
    InboundServiceClient::new(api.channel.clone())
}

async fn create(api: &Api, account_id: &str) {
    let mailbox = v1::IncomingMailbox {
        protocol: v1::MailboxProtocol::Imap.into(),
        server: Some(v1::Server { host: "imap.example.jp".into(), ..v1::Server::default() }),
        all_mail: true,
        attachments_folder: "files".into(),
        ..v1::IncomingMailbox::default()
    };
    let settings = v1::AccountSettings { mailbox: Some(mailbox), ..settings() };
    let request =
        v1::CreateAccountRequest { account_id: account_id.into(), settings: Some(settings), ..Default::default() };
    api.accounts().create_account(request).await.expect("a good account");
}

/// Lets a mail come into the mailbox of an account.
async fn arrive(api: &Api, account: &str, nature: Nature, files: &[&str]) -> String {
    let now = api.clock.now();
    let id = InboundId::new(now, [7; 10]);
    let attachment = |name: &&str| InboundAttachment {
        saved_as: Some((*name).into()),
        file_name: "letter.pdf".into(),
        media_type: "application/pdf".into(),
        bytes: 5,
    };
    let content = InboundContent {
        text: "Good day.".into(),
        attachments: files.iter().map(attachment).collect(),
        ..InboundContent::default()
    };
    let finding = InboundFinding {
        recipient: Some("taro@example.com".into()),
        kind: Kind::Hard,
        reason: Some(Reason::UserUnknown),
        action: None,
        status: "5.1.1".parse().ok(),
        diagnostic: "550 5.1.1 no such user".into(),
        reporting_server: None,
        subject: None,
        effect: Effect::None,
    };
    let is_bounce = nature == Nature::Bounce;
    let mail = InboundMail {
        id,
        account: account.parse().expect("an id"),
        arrived_at: now,
        nature,
        date: None,
        from: Some("hanako@example.com".into()),
        subject: Some("Hello".into()),
        message_id: None,
        bytes: 12_345,
        folder: Some("INBOX".into()),
        findings: is_bounce.then_some(finding).into_iter().collect(),
        content: (!is_bounce).then(|| Box::new(content)),
        archived_as: None,
    };
    let ingestion = Ingestion {
        account: mail.account.clone(),
        mailbox: MailboxId::new([1; 16]),
        mark: ReadMark::Message(id.to_bytes()),
        fingerprint: None,
        mail: Some(Box::new(mail)),
        consequences: Vec::new(),
        skipped: None,
        now,
    };
    assert!(matches!(api.storage.ingest(ingestion).await.expect("it is taken in"), Ingested::Done(_)));
    id.to_string()
}

async fn get(api: &Api, id: &str) -> Result<v1::InboundMail, Status> {
    let request = v1::GetInboundRequest { inbound_id: id.into() };
    Ok(client(api).get_inbound(request).await?.into_inner().mail.expect("the mail"))
}

/// The ids of a list, page by page.
async fn listed(api: &Api, request: v1::ListInboundRequest) -> Vec<String> {
    let (mut ids, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListInboundRequest { page_token, ..request.clone() };
        let page = client(api).list_inbound(request).await.expect("a page").into_inner();
        assert!(page.mails.iter().all(|mail| mail.content.is_none()));
        ids.extend(page.mails.into_iter().map(|mail| mail.inbound_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return ids;
        }
    }
}

#[tokio::test]
async fn mailboxes_are_asked_and_read() {
    let api = Api::with(Scenery { mailboxes: Arc::new(TwoNew), ..Scenery::default() }).await;
    create(&api, "sales").await;
    create(&api, "broken").await;
    api.create_account("bare").await;
    let ask = |id: &str| v1::GetMailboxStatusRequest { account_id: id.into() };
    let read = |id: &str| v1::ReadMailboxRequest { account_id: id.into() };
    let status = client(&api).get_mailbox_status(ask("sales")).await.expect("an answer").into_inner().status;
    assert_eq!(status.map(|status| (status.account_id, status.messages)), Some(("sales".into(), 7)));
    let answer = client(&api).read_mailbox(read("sales")).await.expect("an answer").into_inner();
    assert_eq!((answer.read_mails, answer.status.is_some()), (2, true));
    let broken = client(&api).read_mailbox(read("broken")).await;
    assert!(broken.as_ref().is_err_and(|status| status.message().contains("-ERR [AUTH] no")), "{broken:?}");
    check_refused(broken, Code::Unavailable, "MAILBOX_UNREADABLE", &[]);
    let bare = client(&api).get_mailbox_status(ask("bare")).await;
    check_refused(bare, Code::FailedPrecondition, "NO_MAILBOX", &[]);
    check_refused(client(&api).read_mailbox(read("bare")).await, Code::FailedPrecondition, "NO_MAILBOX", &[]);
    let gone = client(&api).read_mailbox(read("gone")).await;
    check_refused(gone, Code::NotFound, "ACCOUNT_NOT_FOUND", &["account_id"]);
    let bad = client(&api).get_mailbox_status(ask("A B")).await;
    check_refused(bad, Code::InvalidArgument, "INVALID_FIELDS", &["account_id"]);
}

#[tokio::test]
async fn requests_for_mail_are_checked() {
    let api = Api::start().await;
    check_refused(get(&api, "x").await, Code::InvalidArgument, "INVALID_FIELDS", &["inbound_id"]);
    let unknown = InboundId::new(Timestamp::from_millis(BEGIN_MS), [0; 10]).to_string();
    check_refused(get(&api, &unknown).await, Code::NotFound, "INBOUND_NOT_FOUND", &[]);
    let bad = v1::ListInboundRequest {
        account_id: "A B".into(),
        nature: 99,
        page_size: 1_001,
        page_token: "x".into(),
        ..v1::ListInboundRequest::default()
    };
    let fields = ["account_id", "nature", "page_size", "page_token"];
    check_refused(client(&api).list_inbound(bad).await, Code::InvalidArgument, "INVALID_FIELDS", &fields);
    let gone = v1::WatchInboundRequest { account_id: "gone".into(), ..v1::WatchInboundRequest::default() };
    check_refused(client(&api).watch_inbound(gone).await, Code::NotFound, "ACCOUNT_NOT_FOUND", &["account_id"]);
    let bad = v1::WatchInboundRequest { cursor: "999".into(), account_id: "A B".into() };
    let fields = ["cursor", "account_id"];
    check_refused(client(&api).watch_inbound(bad).await, Code::InvalidArgument, "INVALID_FIELDS", &fields);
}

#[tokio::test]
async fn mails_are_read_and_listed() {
    let api = Api::start().await;
    create(&api, "sales").await;
    create(&api, "shop").await;
    let bounce = arrive(&api, "sales", Nature::Bounce, &[]).await;
    let letter = arrive(&api, "sales", Nature::Ordinary, &[]).await;
    let other = arrive(&api, "shop", Nature::Ordinary, &[]).await;
    let mail = get(&api, &bounce).await.expect("a mail");
    assert_eq!((mail.nature(), mail.findings[0].kind.as_str()), (v1::InboundNature::Bounce, "hard"));
    let finding = &mail.findings[0];
    assert_eq!((finding.reason.as_str(), finding.status.as_str()), ("user-unknown", "5.1.1"));
    assert_eq!((finding.message.as_str(), finding.correlation()), ("", v1::Correlation::Unspecified));
    assert_eq!(get(&api, &letter).await.expect("a mail").content.map(|one| one.text), Some("Good day.".into()));
    let all = || v1::ListInboundRequest { page_size: 2, ..v1::ListInboundRequest::default() };
    assert_eq!(listed(&api, all()).await, [other.as_str(), &letter, &bounce]);
    let of_sales = v1::ListInboundRequest { account_id: "sales".into(), ..all() };
    assert_eq!(listed(&api, of_sales).await, [letter.as_str(), &bounce]);
    let bounces = v1::ListInboundRequest { nature: v1::InboundNature::Bounce.into(), ..all() };
    assert_eq!(listed(&api, bounces).await, [bounce.as_str()]);
    assert_eq!(listed(&api, v1::ListInboundRequest { uncorrelated: true, ..all() }).await, [bounce.as_str()]);
}

#[tokio::test]
async fn mail_of_a_personal_account_is_for_its_owner() {
    let office = Office::open().await;
    office.create(&office.taro, "own", "taro").await.expect("an account");
    let id = arrive(&office.api, "own", Nature::Ordinary, &["a.pdf"]).await;
    let request = || v1::GetInboundRequest { inbound_id: id.clone() };
    client(&office.api).get_inbound(by(&office.taro, request())).await.expect("his own");
    let refused = client(&office.api).get_inbound(by(&office.jiro, request())).await;
    check_refused(refused, Code::NotFound, "INBOUND_NOT_FOUND", &[]);
    let file = v1::ReadInboundAttachmentRequest { inbound_id: id.clone(), attachment_id: "a.pdf".into() };
    let refused = client(&office.api).read_inbound_attachment(by(&office.jiro, file)).await;
    check_refused(refused, Code::NotFound, "INBOUND_NOT_FOUND", &[]);
    let of_own = v1::ListInboundRequest { account_id: "own".into(), ..v1::ListInboundRequest::default() };
    let refused = client(&office.api).list_inbound(by(&office.jiro, of_own)).await;
    check_refused(refused, Code::NotFound, "ACCOUNT_NOT_FOUND", &["account_id"]);
    for (by_whom, expected) in [(&office.jiro, 0), (&office.taro, 1), (&office.boss, 1)] {
        let list = client(&office.api).list_inbound(by(by_whom, v1::ListInboundRequest::default())).await;
        assert_eq!(list.expect("a list").into_inner().mails.len(), expected);
    }
}

#[tokio::test]
async fn a_watch_tells_what_comes_and_how_mailboxes_are() {
    let api = Api::start().await;
    create(&api, "sales").await;
    create(&api, "shop").await;
    let first = arrive(&api, "sales", Nature::Ordinary, &[]).await;
    let watch =
        |cursor: &str, account: &str| v1::WatchInboundRequest { cursor: cursor.into(), account_id: account.into() };
    let mut all = client(&api).watch_inbound(watch("0", "")).await.expect("a watch").into_inner();
    let mut of_shop = client(&api).watch_inbound(watch("", "shop")).await.expect("a watch").into_inner();
    let told = all.message().await.expect("no error").expect("an event");
    let Some(Change::Mail(mail)) = told.change else { panic!("{told:?}") };
    assert_eq!((mail.inbound_id, mail.content.is_some()), (first, true));
    let failing = MailboxChange::Failing("-ERR no".into());
    for account in ["sales", "shop"] {
        let id = account.parse().expect("an id");
        api.storage.note_mailbox(&id, failing.clone(), api.clock.now()).await.expect("it is noted");
    }
    let told = all.message().await.expect("no error").expect("an event");
    assert_eq!(told.change, Some(Change::Failing(v1::MailboxFailing { error: "-ERR no".into() })));
    let told = of_shop.message().await.expect("no error").expect("an event");
    assert_eq!(told.account_id, "shop");
    let mut again = client(&api).watch_inbound(watch(&told.cursor, "")).await.expect("a watch").into_inner();
    let second = arrive(&api, "shop", Nature::Bounce, &[]).await;
    let told = again.message().await.expect("no error").expect("an event");
    assert!(matches!(&told.change, Some(Change::Mail(mail)) if mail.inbound_id == second), "{told:?}");
    api.shutdown.cancel();
    check_refused(again.message().await, Code::Unavailable, "SHUTTING_DOWN", &[]);
}

async fn file(api: &Api, inbound_id: &str, attachment_id: &str) -> Result<Vec<usize>, Status> {
    let request =
        v1::ReadInboundAttachmentRequest { inbound_id: inbound_id.into(), attachment_id: attachment_id.into() };
    let pieces: Vec<_> = client(api).read_inbound_attachment(request).await?.into_inner().try_collect().await?;
    Ok(pieces.iter().map(|piece| piece.content.len()).collect())
}

#[tokio::test]
async fn attachments_are_read_in_pieces_and_by_their_ids_only() {
    let root = tempfile::tempdir().expect("a folder");
    let files = root.path().join("files");
    std::fs::create_dir(&files).expect("a folder");
    std::fs::write(root.path().join("secret"), "x").expect("written");
    std::fs::write(files.join("other.pdf"), "x").expect("written");
    std::fs::write(files.join("large.pdf"), vec![7; 600 * 1_024]).expect("written");
    std::os::unix::fs::symlink(root.path().join("secret"), files.join("link")).expect("a link");
    let inbound_folder = Some(root.path().to_owned());
    let api = Api::with(Scenery { inbound_folder, ..Scenery::default() }).await;
    create(&api, "sales").await;
    let named = ["large.pdf", "gone.pdf", "../secret", "link", ".", "/etc/passwd"];
    let mail = arrive(&api, "sales", Nature::Ordinary, &named).await;
    assert_eq!(file(&api, &mail, "large.pdf").await.expect("a file"), [262_144, 262_144, 90_112]);
    for id in ["gone.pdf", "../secret", "link", ".", "/etc/passwd", "other.pdf", "files/large.pdf"] {
        check_refused(file(&api, &mail, id).await, Code::NotFound, "ATTACHMENT_NOT_FOUND", &[]);
    }
    check_refused(file(&api, &mail, "").await, Code::InvalidArgument, "INVALID_FIELDS", &["attachment_id"]);
}
