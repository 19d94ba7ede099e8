//! What becomes of messages in doubt, by what their Sent folder holds.

use std::sync::{
    Mutex,
    atomic::{AtomicU32, Ordering},
};

use async_trait::async_trait;
use tokio::{task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    sent::{NoAnswer, SentCopy, SentFolder},
    *,
};
use crate::{
    accounts::{signers::Signers, tokens::TokenKeeper},
    domain::{
        account::{Encryption, IncomingMailbox, Server},
        attempt::Fate,
        ids::MessageKey,
        job::{Flight, JobState},
        time::Clock,
    },
    platform::{clock::VirtualClock, entropy::SeededEntropy},
    policy::{classify::rules::Rules, verp::VerpKey},
    storage::{SharedStorage, Tenure, contract::samples, memory::MemoryStore},
    wire::{dial::TcpDialer, oauth::TokenClient},
};

/// A Sent folder for tests.
#[derive(Debug, Default)]
struct Folder {
    /// The marks of the copies in it; nothing while it cannot be opened.
    copies: Mutex<Option<Vec<String>>>,
    looks: AtomicU32,
}

impl Folder {
    fn fill(&self, copies: Option<Vec<String>>) {
        *self.copies.lock().expect("no panic") = copies;
    }
}

#[derive(Debug)]
struct Folders(Arc<Folder>);

#[async_trait]
impl SentFolders for Folders {
    async fn open(&self, _: &Arc<Account>) -> Result<Box<dyn SentFolder>, NoAnswer> {
        self.0.looks.fetch_add(1, Ordering::SeqCst);
        match &*self.0.copies.lock().expect("no panic") {
            Some(_) => Ok(Box::new(Open(Arc::clone(&self.0)))),
            None => Err(NoAnswer::NoFolder),
        }
    }
}

struct Open(Arc<Folder>);

#[async_trait]
impl SentFolder for Open {
    async fn holds(&mut self, copy: &SentCopy) -> Result<bool, NoAnswer> {
        let copies = self.0.copies.lock().expect("no panic");
        Ok(copies.iter().flatten().any(|mark| *mark == copy.mark || *mark == copy.message_id))
    }

    async fn leave(self: Box<Self>) {}
}

/// A store with an account whose doubts are looked after.
struct Scene {
    storage: SharedStorage,
    clock: Arc<VirtualClock>,
    folder: Arc<Folder>,
    tenure: Tenure,
    stopping: CancellationToken,
    running: Option<JoinHandle<Result<(), ReconcileError>>>,
}

impl Scene {
    async fn new() -> Self {
        let storage: SharedStorage = MemoryStore::new();
        let mut account = samples::sample_account("sales");
        account.settings.in_doubt = InDoubtPolicy::Reconcile;
        account.settings.mailbox = Some(imap());
        storage.create_account(account).await.expect("it is new");
        let tenure = storage.take_tenure(&samples::account_id("sales")).await.expect("an answer");
        let clock = Arc::new(VirtualClock::starting_at(samples::at(1_000)));
        Self { storage, clock, folder: Arc::default(), tenure, stopping: CancellationToken::new(), running: None }
    }

    fn start(&mut self) {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let issuer = Arc::new(TokenClient::default());
        let context = Context {
            storage: Arc::clone(&self.storage),
            rules: Arc::new(Rules::built_in()),
            dial: Arc::new(TcpDialer),
            tokens: TokenKeeper::new(Arc::clone(&self.storage), issuer, Arc::clone(&clock)),
            clock,
            entropy: Arc::new(SeededEntropy::new(1)),
            verp: verp(),
            signers: Signers::new(&self.storage),
            folder: std::path::PathBuf::new(),
            reading_max: 1,
            stopping: self.stopping.clone(),
        };
        self.running = Some(tokio::spawn(run_with(context, Arc::new(Folders(Arc::clone(&self.folder))))));
    }

    /// Leaves the message of a new job in doubt, now.
    async fn doubt(&self, number: u32) -> MessageKey {
        let job = samples::sample_job("sales", number);
        samples::accept(&self.storage, job.clone()).await;
        let now = self.clock.now();
        let marks = vec![samples::mark(&job, now)];
        self.storage.mark_in_doubt(&self.tenure, marks).await.expect("it is ours");
        let attempt = samples::attempt(1, &[Fate::LeftInDoubt], now);
        let settlement = samples::settlement(job.id, Some(attempt), now);
        self.storage.settle(&self.tenure, vec![settlement]).await.expect("it is ours");
        MessageKey::only(job.id)
    }

    async fn state(&self, message: MessageKey) -> JobState {
        let job = self.storage.job(message.job).await.expect("an answer").expect("it is there").job;
        job.state(Flight::Grounded, self.clock.now())
    }

    fn looks(&self) -> u32 {
        self.folder.looks.load(Ordering::SeqCst)
    }

    async fn stop(mut self) {
        self.stopping.cancel();
        let running = self.running.take().expect("it was started");
        running.await.expect("no panic").expect("the store is well");
    }
}

fn verp() -> VerpKey {
    VerpKey::new([7; 32])
}

fn imap() -> IncomingMailbox {
    let host = "imap.example.jp".parse().expect("a host");
    let port = std::num::NonZeroU16::new(143).expect("not zero");
    IncomingMailbox {
        protocol: MailboxProtocol::Imap,
        server: Server::new(host, port, Encryption::None),
        ..crate::storage::contract::unusual::incoming()
    }
}

async fn pass(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_taken_is_submitted_and_not_sent_again() {
    let mut scene = Scene::new().await;
    scene.start();
    pass(5).await;
    let message = scene.doubt(1).await;
    scene.folder.fill(Some(vec![message.job.to_string()]));
    pass(5).await;
    assert_eq!((scene.state(message).await, scene.looks()), (JobState::InDoubt, 0));
    pass(20).await;
    assert_eq!((scene.state(message).await, scene.looks()), (JobState::Submitted, 1));
    pass(3_600).await;
    assert_eq!(scene.looks(), 1, "nothing is left to look for");
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_not_taken_waits_again_after_its_time() {
    let mut scene = Scene::new().await;
    let message = scene.doubt(1).await;
    scene.folder.fill(Some(vec!["another".into()]));
    // The doubt is older than the process.
    scene.start();
    pass(115).await;
    assert_eq!((scene.state(message).await, scene.looks()), (JobState::InDoubt, 6));
    pass(10).await;
    assert_eq!(scene.state(message).await, JobState::Queued);
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_comes_late_is_found() {
    let mut scene = Scene::new().await;
    let message = scene.doubt(1).await;
    scene.folder.fill(Some(Vec::new()));
    scene.start();
    pass(100).await;
    let message_id = samples::sample_job("sales", 1).message.message_id;
    scene.folder.fill(Some(vec![message_id]));
    pass(25).await;
    assert_eq!(scene.state(message).await, JobState::Submitted);
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn while_the_folder_cannot_be_read_nothing_is_decided() {
    let mut scene = Scene::new().await;
    let message = scene.doubt(1).await;
    scene.start();
    pass(24 * 3_600).await;
    assert_eq!(scene.state(message).await, JobState::InDoubt);
    let looks = scene.looks();
    assert!((10..100).contains(&looks), "{looks} looks in a day");
    scene.folder.fill(Some(vec![message.job.to_string()]));
    pass(1_300).await;
    assert_eq!(scene.state(message).await, JobState::Submitted);
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_of_a_merge_is_known_by_its_proof() {
    let mut scene = Scene::new().await;
    let job = samples::sample_merge("sales", 1, 2);
    samples::accept_merge(&scene.storage, job.clone()).await;
    let message = |index| MessageKey { job: job.id, index };
    for index in 0..2 {
        let now = scene.clock.now();
        let marks = vec![samples::mark_of(message(index), now)];
        scene.storage.mark_in_doubt(&scene.tenure, marks).await.expect("it is ours");
        let attempt = samples::attempt_of(index, 1, Fate::LeftInDoubt, now);
        let settlement = samples::settlement_of(message(index), Some(attempt), now);
        scene.storage.settle(&scene.tenure, vec![settlement]).await.expect("it is ours");
    }
    scene.folder.fill(Some(vec![format!("{}/1/{}", job.id, verp().proof_of(message(1)))]));
    scene.start();
    pass(15).await;
    let tally = async || {
        let job = scene.storage.job(job.id).await.expect("an answer").expect("it is there").job;
        job.merge().expect("a merge").tally
    };
    assert_eq!((tally().await.submitted, tally().await.in_doubt), (1, 1));
    pass(120).await;
    assert_eq!((tally().await.submitted, tally().await.in_doubt, tally().await.waiting), (1, 0, 1));
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn other_accounts_keep_their_doubts() {
    let mut scene = Scene::new().await;
    let message = scene.doubt(1).await;
    scene.folder.fill(Some(vec![message.job.to_string()]));
    let mut account =
        scene.storage.account(&samples::account_id("sales")).await.expect("an answer").expect("it").account;
    account.settings.in_doubt = InDoubtPolicy::Hold;
    let etag = account.etag;
    scene.storage.update_account(account.clone(), etag).await.expect("it is the same");
    scene.start();
    pass(600).await;
    assert_eq!((scene.state(message).await, scene.looks()), (JobState::InDoubt, 0));
    // Somebody sets RECONCILE: it is learnt of from the event log.
    let account = scene.storage.account(&account.id).await.expect("an answer").expect("it is there").account;
    let etag = account.etag;
    let settings =
        crate::domain::account::AccountSettings { in_doubt: InDoubtPolicy::Reconcile, ..account.settings.clone() };
    scene.storage.update_account(Account { settings, ..account }, etag).await.expect("it is the same");
    pass(30).await;
    assert_eq!(scene.state(message).await, JobState::Submitted);
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_another_attempt_may_have_left_in_the_folder_is_left_to_an_operator() {
    for second in [Fate::Submitted, Fate::LeftInDoubt] {
        let mut scene = Scene::new().await;
        let mut job = samples::sample_job("sales", 1);
        samples::also_to(&mut job, "hanako@example.com");
        samples::accept(&scene.storage, job.clone()).await;
        // The first attempt leaves one recipient to the second.
        let attempts = [vec![Fate::LeftInDoubt, Fate::Deferred], vec![second]];
        for (number, fates) in (1..).zip(attempts) {
            let mut attempt = samples::attempt(number, &fates, samples::at(900 + u64::from(number)));
            if let [only] = attempt.outcomes.as_mut_slice() {
                only.recipients = vec![1];
            }
            let settlement = samples::settlement(job.id, Some(attempt), samples::at(950));
            scene.storage.settle(&scene.tenure, vec![settlement]).await.expect("it is ours");
        }
        scene.folder.fill(Some(vec![job.id.to_string()]));
        scene.start();
        pass(3_600).await;
        assert_eq!((scene.state(MessageKey::only(job.id)).await, scene.looks()), (JobState::InDoubt, 0));
        // Others are looked for all the same.
        let other = scene.doubt(2).await;
        scene.folder.fill(Some(vec![job.id.to_string(), other.job.to_string()]));
        pass(60).await;
        assert_eq!((scene.state(other).await, scene.looks()), (JobState::Submitted, 1));
        assert_eq!(scene.state(MessageKey::only(job.id)).await, JobState::InDoubt);
        scene.stop().await;
    }
}
