//! Readers with mailboxes that a script plays, on a paused clock.

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    Context,
    status::{self, Mailboxes, NotReadNow, ReadNow},
    supervisor::{InboundError, run_with},
};
use crate::{
    accounts::{signers::Signers, tokens::TokenKeeper},
    domain::{
        account::{
            Credentials, Encryption, Host, InboundMarks, IncomingMailbox, MailboxProtocol, MailboxSignIn, Server,
        },
        attempt::Fate,
        event::{Cursor, EventKind},
        ids::{AccountId, Etag, MessageKey},
        inbound::{Correlation, Effect, InboundMail, MailboxChange, Nature},
        job::Job,
        recipient::RecipientState,
        secret::Secret,
        time::Clock,
    },
    platform::{clock::VirtualClock, entropy::SeededEntropy},
    policy::{classify::rules::Rules, verp::VerpKey},
    storage::{InboundFilter, PAGE_MAX, SharedStorage, Tenure, contract::samples, memory::MemoryStore},
    wire::{dial::TcpDialer, oauth::fake::FakeIssuer},
};

mod server;
mod stuck;

use server::{FakeServer, bounce, vacation};

const KEY: [u8; 32] = [7; 32];

/// A store, an account whose mailbox is on the fake server, and readers that may be killed.
struct Scene {
    store: SharedStorage,
    server: Arc<FakeServer>,
    clock: Arc<VirtualClock>,
    tenure: Tenure,
    folder: tempfile::TempDir,
}

/// Readers at work.
struct Running {
    mailboxes: Mailboxes,
    stopping: CancellationToken,
    task: JoinHandle<Result<(), InboundError>>,
}

fn account() -> AccountId {
    samples::account_id("sales")
}

fn mailbox(protocol: MailboxProtocol) -> IncomingMailbox {
    let host: Host = "mail.example.jp".parse().expect("a host");
    let credentials = Credentials { user: "sales@example.jp".into(), password: Secret::new("p".into()) };
    IncomingMailbox {
        protocol,
        server: Server::new(host, std::num::NonZeroU16::new(995).expect("not zero"), Encryption::Tls),
        sign_in: Some(MailboxSignIn { credentials, apop: false, allow_plaintext: false }),
        interval: Duration::from_secs(300),
        delete_after_fetch: false,
        all_folders: false,
        unseen_only: false,
        all_mail: false,
        archive_folder: None,
        message_bytes_max: 100_000,
        warn_messages: 10_000,
        errors_to: None,
        attachments_folder: None,
        keep_duplicates: false,
        no_idle: false,
        marks_to: InboundMarks::default(),
        marks_cc: InboundMarks::default(),
        marks_from: InboundMarks::default(),
    }
}

impl Scene {
    async fn new(settings: IncomingMailbox) -> Self {
        let store: SharedStorage = MemoryStore::new();
        let clock = Arc::new(VirtualClock::starting_at(samples::at(1_000)));
        let tenure = samples::open_account(&store, "sales").await;
        let scene = Self {
            server: Arc::new(FakeServer::new(settings.protocol)),
            store,
            clock,
            tenure,
            folder: tempfile::tempdir().expect("a folder"),
        };
        scene.set(Some(settings)).await;
        scene
    }

    /// Changes the account's mailbox.
    async fn set(&self, mailbox: Option<IncomingMailbox>) {
        let mut account = self.store.account(&account()).await.expect("an answer").expect("it is there").account;
        let before = account.etag;
        account.settings.mailbox = mailbox;
        account.etag = Etag(before.0 + 1);
        self.store.update_account(account, before).await.expect("it is updated");
    }

    /// Stores a job that was taken by the provider.
    async fn submitted(&self, job: Job) -> MessageKey {
        let (id, now) = (job.id, self.clock.now());
        let fates = vec![Fate::Submitted; job.pending().len()];
        samples::accept(&self.store, job).await;
        let settled = samples::settlement(id, Some(samples::attempt(1, &fates, now)), now);
        self.store.settle(&self.tenure, vec![settled]).await.expect("it is settled");
        MessageKey::only(id)
    }

    /// The address to which the bounces of a message come.
    fn tag(&self, message: MessageKey) -> String {
        let base = "bounces@example.jp".parse().expect("an address");
        VerpKey::new(KEY).address(&base, message).as_str().to_owned()
    }

    fn run(&self) -> Running {
        let stopping = CancellationToken::new();
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let context = Context {
            storage: Arc::clone(&self.store),
            rules: Arc::new(Rules::built_in()),
            dial: Arc::new(TcpDialer),
            tokens: TokenKeeper::new(Arc::clone(&self.store), Arc::new(FakeIssuer::default()), Arc::clone(&clock)),
            clock,
            entropy: Arc::new(SeededEntropy::new(self.server.openings())),
            verp: VerpKey::new(KEY),
            signers: Signers::new(&self.store),
            folder: self.folder.path().to_owned(),
            reading_max: 2,
            stopping: stopping.clone(),
        };
        let (mailboxes, asks) = status::open();
        let opener = Arc::new(server::FakeOpener(Arc::clone(&self.server)));
        let task = tokio::spawn(run_with(context, opener, mailboxes.clone(), asks));
        Running { mailboxes, stopping, task }
    }

    /// Runs readers until all is read once, and then kills them.
    async fn read_once(&self) -> Result<ReadNow, NotReadNow> {
        let running = self.run();
        let read = running.mailboxes.read_now(&account()).await;
        running.stop().await;
        read
    }

    async fn mails(&self) -> Vec<InboundMail> {
        let mut mails = self.store.list_inbound(&InboundFilter::default(), None, PAGE_MAX).await.expect("mails").mails;
        mails.reverse();
        mails
    }

    /// The states of a job's recipients, in a word.
    async fn states(&self, number: u32) -> Vec<&'static str> {
        let job = samples::stored(&self.store, number).await;
        let crate::domain::job::Audience::Together(recipients) = job.audience else { panic!("a plain job") };
        let state = |recipient: crate::domain::recipient::Recipient| match recipient.state {
            RecipientState::Submitted { .. } => "submitted",
            RecipientState::Bounced { .. } => "bounced",
            RecipientState::Complained { .. } => "complained",
            _ => "other",
        };
        recipients.into_iter().map(state).collect()
    }

    async fn changes(&self) -> Vec<MailboxChange> {
        let events = self.store.events(Cursor::default(), PAGE_MAX).await.expect("events");
        let changes = events.into_iter().filter_map(|(_, event)| match event.kind {
            EventKind::Mailbox(change) if !matches!(change, MailboxChange::Arrived(_)) => Some(change),
            _ => None,
        });
        changes.collect()
    }
}

impl Running {
    async fn stop(self) {
        self.stopping.cancel();
        self.task.await.expect("no panic").expect("it ended well");
    }

    /// As `kill -9` does.
    async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_bounce_finds_its_recipient_once_also_over_a_restart() {
    for protocol in [MailboxProtocol::Pop3, MailboxProtocol::Imap] {
        let scene = Scene::new(mailbox(protocol)).await;
        let message = scene.submitted(samples::sample_job("sales", 1)).await;
        scene.server.put(bounce(&scene.tag(message), "taro@example.com", "5.1.1"));
        let read = scene.read_once().await.expect("it is read");
        assert_eq!((read.read_mails, read.status.bounces, read.status.messages), (1, 1, 1));
        assert_eq!(scene.states(1).await, ["bounced"]);
        let mails = scene.mails().await;
        let [mail] = mails.as_slice() else { panic!("{mails:?}") };
        assert_eq!((mail.nature, mail.findings[0].effect), (Nature::Bounce, Effect::Bounced));
        assert_eq!(mail.findings[0].subject.map(|subject| subject.correlation), Some(Correlation::Verp));
        let again = scene.read_once().await.expect("it is read");
        assert_eq!((again.read_mails, scene.mails().await.len(), scene.server.fetched()), (0, 1, 1));
        assert_eq!(scene.server.left(), 1, "nothing is deleted unasked");
    }
}

#[tokio::test(start_paused = true)]
async fn killed_between_fetch_and_commit_it_is_read_again_and_counts_once() {
    let scene = Scene::new(IncomingMailbox { delete_after_fetch: true, ..mailbox(MailboxProtocol::Pop3) }).await;
    let message = scene.submitted(samples::sample_job("sales", 1)).await;
    scene.server.put(bounce(&scene.tag(message), "taro@example.com", "5.1.1"));
    scene.server.change(|state| state.hang_after_fetch = true);
    let running = scene.run();
    while scene.server.fetched() == 0 {
        sleep(Duration::from_secs(1)).await;
    }
    running.kill().await;
    assert_eq!((scene.states(1).await, scene.server.left()), (vec!["submitted"], 1));
    scene.server.change(|state| state.hang_after_fetch = false);
    // Then between the commit and the deletion.
    scene.server.change(|state| state.fail_close = true);
    let failed = scene.read_once().await;
    assert!(matches!(failed, Err(NotReadNow::Failed(_))), "{failed:?}");
    assert_eq!((scene.states(1).await, scene.server.left()), (vec!["bounced"], 1));
    scene.server.change(|state| state.fail_close = false);
    scene.read_once().await.expect("it is read");
    assert_eq!((scene.mails().await.len(), scene.server.fetched()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn what_a_lost_connection_left_is_deleted_by_the_next_look() {
    let scene = Scene::new(IncomingMailbox { delete_after_fetch: true, ..mailbox(MailboxProtocol::Pop3) }).await;
    let message = scene.submitted(samples::sample_job("sales", 1)).await;
    scene.server.put(bounce(&scene.tag(message), "taro@example.com", "5.1.1"));
    scene.server.put(vacation());
    scene.server.change(|state| state.fail_close = true);
    let running = scene.run();
    assert!(running.mailboxes.read_now(&account()).await.is_err());
    assert_eq!(scene.server.left(), 2);
    scene.server.change(|state| state.fail_close = false);
    running.mailboxes.read_now(&account()).await.expect("it is read");
    assert_eq!(scene.server.left(), 1, "the vacation notice stays");
    assert_eq!(scene.server.fetched(), 2, "nothing is fetched twice");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn only_what_may_be_deleted_is() {
    let stranger = b"From: a@b.example\r\nTo: sales@example.jp\r\nSubject: Hello\r\n\r\nHow are you?\r\n".to_vec();
    for (all_mail, left, kept) in [(false, 2, 1), (true, 0, 3)] {
        let scene =
            Scene::new(IncomingMailbox { delete_after_fetch: true, all_mail, ..mailbox(MailboxProtocol::Imap) });
        let scene = scene.await;
        let message = scene.submitted(samples::sample_job("sales", 1)).await;
        scene.server.put(vacation());
        scene.server.put(bounce(&scene.tag(message), "taro@example.com", "5.1.1"));
        scene.server.put(stranger.clone());
        let read = scene.read_once().await.expect("it is read");
        assert_eq!((read.read_mails, scene.server.left(), scene.mails().await.len()), (3, left, kept));
        assert_eq!(scene.read_once().await.expect("it is read").read_mails, 0);
        let presences = scene.mails().await.into_iter().filter_map(|mail| mail.content.map(|it| it.presences.len()));
        assert_eq!(presences.sum::<usize>(), 0, "the list has no contents");
    }
}

#[tokio::test(start_paused = true)]
async fn a_forged_bounce_changes_nothing_and_is_kept() {
    let scene = Scene::new(mailbox(MailboxProtocol::Pop3)).await;
    let message = scene.submitted(samples::sample_job("sales", 1)).await;
    let forged = VerpKey::new([8; 32]).address(&"bounces@example.jp".parse().expect("an address"), message);
    scene.server.put(bounce(forged.as_str(), "hanako@example.com", "5.1.1"));
    // Signed, but about somebody who never got it, who is one of two.
    let mut two = samples::sample_job("sales", 2);
    samples::also_to(&mut two, "jiro@example.com");
    let two = scene.submitted(two).await;
    scene.server.put(bounce(&scene.tag(two), "hanako@example.com", "5.1.1"));
    scene.read_once().await.expect("it is read");
    assert_eq!(scene.states(1).await, ["submitted"]);
    assert_eq!(scene.states(2).await, ["submitted", "submitted"]);
    let mails = scene.mails().await;
    assert_eq!(mails.len(), 2);
    assert!(mails.iter().all(InboundMail::is_uncorrelated));
}

#[tokio::test(start_paused = true)]
async fn without_a_tag_the_only_message_of_late_is_found() {
    let scene = Scene::new(mailbox(MailboxProtocol::Pop3)).await;
    scene.submitted(samples::sample_job("sales", 1)).await;
    scene.server.put(bounce("sales@example.jp", "TARO@example.com", "5.1.1"));
    scene.read_once().await.expect("it is read");
    assert_eq!(scene.states(1).await, ["bounced"]);
    let subject = scene.mails().await[0].findings[0].subject.expect("it is found");
    assert_eq!(subject.correlation, Correlation::Recipient);
    // Of two, nobody knows which.
    scene.submitted(samples::sample_job("sales", 2)).await;
    scene.submitted(samples::sample_job("sales", 3)).await;
    scene.server.put(bounce("sales@example.jp", "taro@example.com", "5.2.2"));
    scene.read_once().await.expect("it is read");
    assert_eq!((scene.states(2).await, scene.states(3).await), (vec!["submitted"], vec!["submitted"]));
}

#[tokio::test(start_paused = true)]
async fn a_large_mail_is_told_of_once_and_its_people_are_written_to() {
    let errors_to = Some("admin@example.jp".parse().expect("an address"));
    for protocol in [MailboxProtocol::Pop3, MailboxProtocol::Imap] {
        let settings = IncomingMailbox { errors_to: errors_to.clone(), delete_after_fetch: true, ..mailbox(protocol) };
        let scene = Scene::new(settings).await;
        scene.server.put(vec![b'x'; 200_000]);
        // One whose size the server does not tell.
        scene.server.put(vec![b'x'; 300_000]);
        scene.server.change(|state| state.mails[1].is_sized = false);
        for _ in 0..2 {
            let running = scene.run();
            running.mailboxes.read_now(&account()).await.expect("it is read");
            sleep(Duration::from_secs(1_000)).await;
            running.stop().await;
        }
        let skipped = scene.changes().await;
        assert!(
            matches!(skipped.as_slice(), [MailboxChange::Skipped { .. }, MailboxChange::Skipped { .. }]),
            "{skipped:?}"
        );
        assert_eq!(scene.server.left(), 2);
        let jobs = scene.store.list(&crate::storage::JobFilter::default(), page(&scene)).await.expect("jobs").jobs;
        let subjects: Vec<_> = jobs.iter().map(|record| record.job.subject.as_str()).collect();
        assert_eq!(subjects, ["Mail too large in the mailbox of account sales"], "one a day");
    }
}

fn page(scene: &Scene) -> crate::storage::Page {
    crate::storage::Page { after: None, limit: 10, now: scene.clock.now() }
}

#[tokio::test(start_paused = true)]
async fn after_a_new_numbering_nothing_counts_twice() {
    let scene = Scene::new(mailbox(MailboxProtocol::Imap)).await;
    let message = scene.submitted(samples::sample_job("sales", 1)).await;
    scene.server.put(bounce(&scene.tag(message), "taro@example.com", "5.1.1"));
    scene.read_once().await.expect("it is read");
    scene.server.change(|state| state.uid_validity += 1);
    let read = scene.read_once().await.expect("it is read");
    assert_eq!((read.read_mails, scene.mails().await.len(), scene.server.fetched()), (0, 1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_failing_mailbox_is_told_of_once_and_written_of_after_an_hour() {
    let errors_to = Some("admin@example.jp".parse().expect("an address"));
    let scene = Scene::new(IncomingMailbox { errors_to, ..mailbox(MailboxProtocol::Imap) }).await;
    scene.server.change(|state| state.is_down = true);
    let running = scene.run();
    sleep(Duration::from_secs(1_800)).await;
    let jobs = async || scene.store.list(&crate::storage::JobFilter::default(), page(&scene)).await.expect("jobs").jobs;
    assert_eq!(jobs().await.len(), 0);
    let status = running.mailboxes.status(&account()).expect("it has a reader");
    assert!(status.error.is_some() && status.failing_since.is_some(), "{status:?}");
    sleep(Duration::from_secs(4 * 3_600)).await;
    assert_eq!(jobs().await.len(), 1);
    assert!(scene.server.openings() < 40, "{}", scene.server.openings());
    scene.server.change(|state| state.is_down = false);
    running.mailboxes.read_now(&account()).await.expect("it is read");
    let changes = scene.changes().await;
    assert!(matches!(changes.as_slice(), [MailboxChange::Failing(_), MailboxChange::Recovered]), "{changes:?}");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn news_are_read_at_once_where_the_server_tells_of_them() {
    let scene = Scene::new(mailbox(MailboxProtocol::Imap)).await;
    let message = scene.submitted(samples::sample_job("sales", 1)).await;
    let running = scene.run();
    running.mailboxes.read_now(&account()).await.expect("it is read");
    sleep(Duration::from_secs(5)).await;
    assert!(running.mailboxes.status(&account()).expect("it has a reader").idling);
    scene.server.put(bounce(&scene.tag(message), "taro@example.com", "5.1.1"));
    sleep(Duration::from_secs(1)).await;
    assert_eq!((scene.states(1).await, scene.server.openings()), (vec!["bounced"], 1));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn readers_follow_their_accounts() {
    let scene = Scene::new(mailbox(MailboxProtocol::Pop3)).await;
    scene.set(None).await;
    let running = scene.run();
    assert_eq!(running.mailboxes.read_now(&account()).await, Err(NotReadNow::NoMailbox));
    scene.set(Some(mailbox(MailboxProtocol::Pop3))).await;
    sleep(Duration::from_secs(5)).await;
    assert_eq!(scene.server.openings(), 1, "a new mailbox is looked into at once");
    scene.set(None).await;
    sleep(Duration::from_secs(5)).await;
    assert_eq!(running.mailboxes.status(&account()), None);
    sleep(Duration::from_secs(3_600)).await;
    assert_eq!(scene.server.openings(), 1);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_very_large_mailbox_is_read_a_part_at_a_time() {
    for protocol in [MailboxProtocol::Pop3, MailboxProtocol::Imap] {
        let scene = Scene::new(IncomingMailbox { warn_messages: 1_000, ..mailbox(protocol) }).await;
        for number in 0..1_200 {
            let text = format!("From: a@b.example\r\nMessage-ID: <{number}@b.example>\r\nSubject: Hello\r\n\r\nHi\r\n");
            scene.server.put(text.into_bytes());
        }
        let read = scene.read_once().await.expect("it is read");
        assert_eq!((read.read_mails, scene.server.fetched(), scene.server.left()), (1_200, 1_200, 1_200));
        assert!(scene.server.longest_listing() <= super::look::LOOK_MAILS_MAX);
        assert_eq!(scene.changes().await, [MailboxChange::Crowded { messages: 1_200 }]);
        assert_eq!(scene.mails().await, []);
        assert_eq!(scene.read_once().await.expect("it is read").read_mails, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn all_mail_is_kept_with_its_files() {
    let mut settings = IncomingMailbox { all_mail: true, ..mailbox(MailboxProtocol::Imap) };
    (settings.archive_folder, settings.attachments_folder) = (Some("a/raw".into()), Some("a/files".into()));
    settings.marks_to = InboundMarks { labels: vec![samples::label("in")], status: "new".into() };
    let scene = Scene::new(settings).await;
    let raw = b"From: Taro <taro@example.com>\r\nTo: sales@example.jp\r\nMessage-ID: <1@example.com>\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nHello\r\n--x\r\nContent-Type: text/csv; name=a.csv\r\n\
        Content-Disposition: attachment; filename=a.csv\r\n\r\n1,2\r\n--x--\r\n";
    scene.server.put(raw.to_vec());
    scene.server.put(raw.to_vec());
    scene.read_once().await.expect("it is read");
    let listed = scene.mails().await;
    assert_eq!(listed.len(), 1, "the second is the same");
    let mail = scene.store.inbound(listed[0].id).await.expect("an answer").expect("it is kept");
    let content = mail.content.expect("it has one");
    assert_eq!((content.presences[0].status.as_ref(), content.presences.len()), ("new", 1));
    let saved = content.attachments[0].saved_as.as_deref().expect("it is saved");
    assert_eq!(std::fs::read(scene.folder.path().join("a/files").join(saved)).expect("a file"), b"1,2");
    let archived: Vec<_> = std::fs::read_dir(scene.folder.path().join("a/raw")).expect("a folder").collect();
    assert_eq!(archived.len(), 1);
    let path = scene.folder.path().join("a/raw").join(mail.archived_as.as_deref().expect("it is archived"));
    assert_eq!(std::fs::read(path).expect("a file"), raw);
}
