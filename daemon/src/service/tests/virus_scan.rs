//! What happens to jobs of accounts that want files scanned for viruses.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixListener,
};
use v1::job_draft::Content;

use super::{
    merges::{head, recipients, templates},
    *,
};
use crate::{domain::ids::AccountId, storage::JobStore, wire::clamd::ScannerPlace};

/// A scanner that knows one virus, takes files of up to 100 bytes, and counts what it scanned.
struct Scanner {
    place: ScannerPlace,
    scanned: Arc<AtomicU64>,
    _folder: tempfile::TempDir,
    tasks: JoinSet<()>,
}

impl Scanner {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("clamd.ctl");
        let listener = UnixListener::bind(&path).expect("a socket");
        let scanned = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&scanned);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                let mut file = Vec::new();
                stream.read_exact(&mut [0; 10]).await.expect("a command");
                while let Ok(length @ 1..) = stream.read_u32().await {
                    let start = file.len();
                    file.resize(start + length as usize, 0);
                    stream.read_exact(&mut file[start..]).await.expect("a piece");
                }
                counter.fetch_add(1, Ordering::Relaxed);
                let reply: &[u8] = match file.len() {
                    101.. => b"INSTREAM size limit exceeded. ERROR\0",
                    _ if file.windows(4).any(|part| part == b"evil") => b"stream: Test.Evil-1 (x) FOUND\0",
                    _ => b"stream: OK\0",
                };
                stream.write_all(reply).await.expect("somebody listens");
            }
        });
        Self { place: ScannerPlace::Unix(path), scanned, _folder: folder, tasks }
    }

    /// An API that has files scanned by it, with an account that wants that.
    async fn api(&self, may_fail: bool) -> Api {
        let api = Api::scanned_by(Clamd::new(self.place.clone(), Duration::from_secs(60), 2)).await;
        let rules = v1::ContentRules {
            virus_scan_required: true,
            virus_scan_may_fail: may_fail,
            ..v1::ContentRules::default()
        };
        let settings = v1::AccountSettings { content: Some(rules), ..settings() };
        let request =
            v1::CreateAccountRequest { account_id: "sales".into(), settings: Some(settings), ..Default::default() };
        api.accounts().create_account(request).await.expect("a good account");
        api
    }

    fn scanned(&self) -> u64 {
        self.scanned.load(Ordering::Relaxed)
    }
}

fn files(contents: &[&str]) -> Vec<v1::Attachment> {
    let file = |(index, content): (usize, &&str)| v1::Attachment {
        file_name: format!("{index}.txt"),
        content: content.as_bytes().to_vec().into(),
        ..v1::Attachment::default()
    };
    contents.iter().enumerate().map(file).collect()
}

fn with_files(mut draft: v1::JobDraft, contents: &[&str]) -> v1::JobDraft {
    if let Some(Content::Mail(mail)) = &mut draft.content {
        mail.attachments = files(contents);
    }
    draft
}

fn mail(contents: &[&str]) -> v1::JobDraft {
    with_files(draft("sales", "a@example.jp"), contents)
}

fn raw(text: &str) -> v1::JobDraft {
    let message = format!("From: sales@example.jp\r\nSubject: x\r\n\r\n{text}\r\n");
    v1::JobDraft { content: Some(Content::Raw(message.into_bytes().into())), ..draft("sales", "a@example.jp") }
}

#[tokio::test]
async fn what_is_infected_is_refused_by_its_field() {
    let scanner = Scanner::start();
    let api = scanner.api(true).await;
    let accepted = api.submit(mail(&["good", "good", "better"])).await.expect("nothing is wrong");
    assert_eq!((accepted.warnings.len(), scanner.scanned()), (0, 2), "each content once");
    let refused = api.submit(mail(&["good", "evil", "better", "evil"])).await;
    let message = refused.as_ref().expect_err("infected").message().to_owned();
    assert!(message.contains("is infected: the virus scanner calls it Test.Evil-1 (x)"), "{message}");
    let fields = ["job.mail.attachments[1]", "job.mail.attachments[3]"];
    check_refused(refused, Code::InvalidArgument, "INVALID_FIELDS", &fields);
    check_refused(api.submit(raw("evil")).await, Code::InvalidArgument, "INVALID_FIELDS", &["job.raw"]);
    assert!(api.submit(raw("good")).await.is_ok());
    let dry = v1::SubmitJobRequest { job: Some(mail(&["evil"])), dry_run: true, ..v1::SubmitJobRequest::default() };
    let dry = api.jobs().submit_job(dry).await;
    check_refused(dry, Code::InvalidArgument, "INVALID_FIELDS", &["job.mail.attachments[0]"]);
    let list = api.jobs().list_jobs(v1::ListJobsRequest::default()).await.expect("a list").into_inner();
    assert_eq!(list.jobs.len(), 2);
    assert!(api.submit(draft("sales", "a@example.jp")).await.is_ok_and(|answer| answer.warnings.is_empty()));
}

#[tokio::test]
async fn what_a_fallback_wants_scanned_is_scanned() {
    let scanner = Scanner::start();
    let api = scanner.api(false).await;
    for (id, no_attachments) in [("careless", false), ("textual", true)] {
        let content = Some(v1::ContentRules { no_attachments, ..v1::ContentRules::default() });
        let settings = v1::AccountSettings { content, ..settings() };
        let request =
            v1::CreateAccountRequest { account_id: id.into(), settings: Some(settings), ..Default::default() };
        api.accounts().create_account(request).await.expect("a good account");
    }
    let rule = v1::RoutingRule {
        name: "all".into(),
        account_id: "careless".into(),
        fallback_account_ids: vec!["textual".into(), "sales".into()],
        ..v1::RoutingRule::default()
    };
    let routing = v1::Routing { rules: vec![rule], ..v1::Routing::default() };
    let request = v1::SetRoutingRequest { routing: Some(routing), dry_run: false };
    api.routing().set_routing(request).await.expect("good rules");
    let routed = |contents: &[&str]| v1::JobDraft {
        account_id: String::new(),
        from: Some(mailbox("sales@example.jp")),
        ..mail(contents)
    };
    let refused = api.submit(routed(&["evil"])).await;
    check_refused(refused, Code::InvalidArgument, "INVALID_FIELDS", &["job.mail.attachments[0]"]);
    let accepted = api.submit(routed(&["good"])).await.expect("nothing is wrong");
    let job = api.storage.job(accepted.job_id.parse().expect("an id")).await.expect("read").expect("a job").job;
    let fallbacks = job.fallbacks.expect("one may send it").accounts;
    assert_eq!(fallbacks.iter().map(AccountId::as_str).collect::<Vec<_>>(), ["sales"], "the other allows no files");

    let before = scanner.scanned();
    let cancel = v1::JobSelector { selection: Some(v1::job_selector::Selection::JobId(accepted.job_id.clone())) };
    let cancel = v1::CancelJobsRequest { selector: Some(cancel), dry_run: false };
    api.jobs().cancel_jobs(cancel).await.expect("it waits");
    let again = v1::ResendJobRequest { job_id: accepted.job_id, ..v1::ResendJobRequest::default() };
    let again = api.jobs().resend_job(again).await;
    assert!(scanner.scanned() > before, "what is sent again is scanned for its fallbacks too: {again:?}");
}

#[tokio::test]
async fn a_merge_job_is_scanned_once_and_before_its_recipients() {
    let scanner = Scanner::start();
    let api = scanner.api(false).await;
    let submit = |job: v1::JobDraft| {
        let requests = vec![head(job, ""), recipients(0..2), recipients(2..5)];
        super::merges::submit(&api, requests)
    };
    let accepted = submit(with_files(templates(), &["good"])).await.expect("nothing is wrong");
    assert_eq!((accepted.recipients, scanner.scanned()), (5, 1));
    let infected = submit(with_files(templates(), &["evil"])).await;
    check_refused(infected, Code::InvalidArgument, "INVALID_FIELDS", &["job.mail.attachments[0]"]);
    let head_only = stream::iter([head(with_files(templates(), &["evil"]), "")]).chain(stream::pending());
    let answer = api.jobs().submit_merge(head_only).await.map(drop);
    check_refused(answer, Code::InvalidArgument, "INVALID_FIELDS", &["job.mail.attachments[0]"]);
}

#[tokio::test]
async fn what_could_not_be_scanned_goes_as_the_account_says() {
    let mut scanner = Scanner::start();
    let long = "x".repeat(101);
    let (strict, lenient) = (scanner.api(false).await, scanner.api(true).await);
    check_refused(strict.submit(mail(&[&long])).await, Code::FailedPrecondition, "TOO_LARGE_TO_SCAN", &[]);
    let warnings = lenient.submit(mail(&["good", &long])).await.expect("it may fail").warnings;
    let reason = "the file is larger than the virus scanner takes";
    assert_eq!(warnings, [format!("job.mail.attachments[1] was not scanned for viruses: {reason}")]);
    let infected = lenient.submit(mail(&[&long, "evil"])).await;
    check_refused(infected, Code::InvalidArgument, "INVALID_FIELDS", &["job.mail.attachments[1]"]);

    scanner.tasks.shutdown().await;
    let status = strict.submit(mail(&["good"])).await.expect_err("nobody scans");
    assert!(status.get_error_details().retry_info().is_some_and(|info| info.retry_delay.is_some()));
    check_refused::<()>(Err(status), Code::Unavailable, "VIRUS_SCANNER_AWAY", &[]);
    let warnings = lenient.submit(mail(&["good", "evil"])).await.expect("it may fail").warnings;
    assert_eq!(warnings.len(), 2);
    assert!(warnings[0].contains("was not scanned for viruses: the virus scanner cannot be reached"), "{warnings:?}");
}
