//! The services over a real connection, with the store in memory.

use std::{
    path::PathBuf,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::{StreamExt, stream};
use hikyaku_proto::v1::{
    self, account_service_client::AccountServiceClient, job_service_client::JobServiceClient,
    route_service_client::RouteServiceClient,
};
use hyper_util::rt::TokioIo;
use tokio::{io::DuplexStream, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt;

use super::{
    guard::Guard,
    load::Load,
    mailboxes::{MailboxDesk, NoMailboxes},
    paging::PageSeal,
    parts::Parts,
    routes::{Health, routes, server},
};
use crate::{
    accounts::{signers::Signers, tokens::TokenKeeper},
    delivery::desk,
    domain::time::{Clock, Timestamp},
    platform::entropy::SeededEntropy,
    policy::{classify::rules::Rules, verp::VerpKey},
    storage::{SharedStorage, memory::MemoryStore},
    wire::{
        clamd::Clamd,
        dial::TcpDialer,
        dns::NameServers,
        oauth::{Issuer, TokenClient},
    },
};

mod access;
mod accounts;
mod addresses;
mod approvals;
mod blobs;
mod consent;
mod control;
mod dkim;
mod gate;
mod inbound;
mod jobs;
mod letterhead;
mod load;
mod merges;
mod others;
mod outlook;
mod pages;
mod previews;
mod reflection;
mod refusals;
mod resending;
mod routing;
mod settings;
mod statistics;
mod suppressed;
mod suppressions;
mod testing;
mod virus_scan;
mod visibility;
mod watch;

/// Goes on by a millisecond whenever it is asked, so that ids follow the order of the calls.
#[derive(Debug)]
struct TickingClock(AtomicU64);

/// Compiled once for all tests: that takes a while.
static RULES: LazyLock<Arc<Rules>> = LazyLock::new(|| Arc::new(Rules::built_in()));

const BEGIN_MS: u64 = 1_700_000_000_000;

impl Clock for TickingClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// A served API and a connection to it.
struct Api {
    channel: Channel,
    storage: Arc<MemoryStore>,
    health: Health,
    clock: Arc<TickingClock>,
    shutdown: CancellationToken,
    _server: JoinSet<()>,
}

/// What the services meet.
struct Scenery {
    issuer: Arc<dyn Issuer>,
    scanner: Option<Arc<Clamd>>,
    guard: Guard,
    storage: Arc<MemoryStore>,
    load: Load,
    mailboxes: Arc<dyn MailboxDesk>,
    inbound_folder: Option<PathBuf>,
}

impl Default for Scenery {
    fn default() -> Self {
        Self {
            issuer: Arc::new(TokenClient::default()),
            scanner: None,
            guard: Guard::Local,
            storage: MemoryStore::new(),
            load: Load::default(),
            mailboxes: Arc::new(NoMailboxes),
            inbound_folder: None,
        }
    }
}

impl Api {
    async fn start() -> Self {
        Self::guarded(Guard::Local, MemoryStore::new()).await
    }

    async fn guarded(guard: Guard, storage: Arc<MemoryStore>) -> Self {
        Self::loaded(guard, storage, Load::default()).await
    }

    async fn loaded(guard: Guard, storage: Arc<MemoryStore>, load: Load) -> Self {
        Self::issued_by(Arc::new(TokenClient::default()), guard, storage, load).await
    }

    async fn issued_by(issuer: Arc<dyn Issuer>, guard: Guard, storage: Arc<MemoryStore>, load: Load) -> Self {
        Self::with(Scenery { issuer, guard, storage, load, ..Scenery::default() }).await
    }

    async fn scanned_by(scanner: Clamd) -> Self {
        Self::with(Scenery { scanner: Some(Arc::new(scanner)), ..Scenery::default() }).await
    }

    async fn with(scenery: Scenery) -> Self {
        let Scenery { issuer, scanner, guard, storage, load, mailboxes, inbound_folder } = scenery;
        let shutdown = CancellationToken::new();
        let clock = Arc::new(TickingClock(AtomicU64::new(BEGIN_MS)));
        let told: Arc<dyn Clock> = Arc::<TickingClock>::clone(&clock);
        let tokens = TokenKeeper::new(Arc::<MemoryStore>::clone(&storage), issuer, Arc::clone(&told));
        let shared: SharedStorage = Arc::<MemoryStore>::clone(&storage);
        let parts = Parts {
            storage: Arc::<MemoryStore>::clone(&storage),
            clock: told,
            entropy: Arc::new(SeededEntropy::new(1)),
            rules: Arc::clone(&RULES),
            dns: Arc::new(NameServers::new(None)),
            tokens,
            signers: Signers::new(&shared),
            verp: VerpKey::new([7; 32]),
            pages: PageSeal::new([8; 32]),
            desk: desk::open().0,
            mailboxes,
            inbound_folder,
            dial: Arc::new(TcpDialer),
            scanner,
            host_name: "client.test".parse().expect("a name"),
            shutdown: shutdown.clone(),
        };
        let (routes, health) = routes(parts).await;
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let incoming = stream::iter([Ok::<_, std::io::Error>(theirs)]).chain(stream::pending());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            server(guard, load).add_routes(routes).serve_with_incoming(incoming).await.expect("a served connection");
        });
        Self { channel: connect(ours).await, storage, health, clock, shutdown, _server: tasks }
    }

    fn jobs(&self) -> JobServiceClient<Channel> {
        JobServiceClient::new(self.channel.clone())
    }

    fn routing(&self) -> RouteServiceClient<Channel> {
        RouteServiceClient::new(self.channel.clone())
    }

    fn accounts(&self) -> AccountServiceClient<Channel> {
        AccountServiceClient::new(self.channel.clone())
    }

    async fn create_account(&self, account_id: &str) -> v1::Account {
        let request = v1::CreateAccountRequest {
            account_id: account_id.into(),
            settings: Some(settings()),
            ..Default::default()
        };
        let answer = self.accounts().create_account(request).await.expect("a good account");
        answer.into_inner().account.expect("the account")
    }

    async fn submit(&self, draft: v1::JobDraft) -> Result<v1::SubmitJobResponse, Status> {
        let request = v1::SubmitJobRequest { job: Some(draft), ..v1::SubmitJobRequest::default() };
        Ok(self.jobs().submit_job(request).await?.into_inner())
    }

    async fn job(&self, job_id: &str) -> v1::Job {
        let request = v1::GetJobRequest { job_id: job_id.into() };
        self.jobs().get_job(request).await.expect("a job").into_inner().job.expect("the job")
    }
}

async fn connect(connection: DuplexStream) -> Channel {
    let connection = Mutex::new(Some(connection));
    let connector = tower::service_fn(move |_| {
        let connection = connection.lock().expect("no panic").take();
        async move { connection.map(TokioIo::new).ok_or(std::io::Error::from(std::io::ErrorKind::NotConnected)) }
    });
    let endpoint = Endpoint::from_static("http://hikyaku.invalid");
    endpoint.connect_with_connector(connector).await.expect("a connection")
}

/// The least that an account needs, with a sign-in.
fn settings() -> v1::AccountSettings {
    let password =
        v1::PasswordSignIn { user: "sales".into(), password: "hunter2".into(), ..v1::PasswordSignIn::default() };
    v1::AccountSettings {
        from: Some(mailbox("sales@example.jp")),
        server: Some(v1::Server { host: "smtp.example.jp".into(), ..v1::Server::default() }),
        sign_in: Some(v1::SignIn { method: Some(v1::sign_in::Method::Password(password)) }),
        ..v1::AccountSettings::default()
    }
}

fn mailbox(address: &str) -> v1::Mailbox {
    v1::Mailbox { name: String::new(), address: address.into() }
}

/// The least that a job needs.
fn draft(account_id: &str, to: &str) -> v1::JobDraft {
    let mail = v1::MailContent { subject: "Hello".into(), text: "World".into(), ..v1::MailContent::default() };
    v1::JobDraft {
        account_id: account_id.into(),
        to: vec![mailbox(to)],
        content: Some(v1::job_draft::Content::Mail(mail)),
        ..v1::JobDraft::default()
    }
}

/// That a call was refused with this code, reason and fields.
#[track_caller]
fn check_refused<T: std::fmt::Debug>(answer: Result<T, Status>, code: Code, reason: &str, fields: &[&str]) {
    let status = answer.expect_err(reason);
    let details = status.get_error_details();
    assert_eq!(status.code(), code, "{status}");
    assert_eq!(details.error_info().map(|info| info.reason.as_str()), Some(reason), "{status}");
    let violations = details.bad_request().map(|request| request.field_violations.clone()).unwrap_or_default();
    let told: Vec<_> = violations.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(told, fields, "{status}");
}
