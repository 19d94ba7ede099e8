//! What happens in the demo, in which order?

use std::{
    collections::BTreeMap,
    process::ExitCode,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use anyhow::{Context as _, bail, ensure};
use futures_util::{TryStreamExt as _, stream};
use hikyaku_client::{
    Client,
    proto::{Job, JobControl, JobFilter, JobState, SubmitJobRequest, job_selector::Selection},
};
use tokio::{
    net::TcpListener,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    capture::{CaptureServer, Records, Rules},
    child::Daemon,
    folder::Folder,
    plan::{self, SENDERS},
    proof::{Evidence, Proof, bare},
    screen::{Screen, Standing},
    tally::Tally,
};
use crate::{
    domain::time::Clock as _,
    platform::{clock::SystemClock, shutdown::StopSignals},
};

/// How far away the mail server pretends to be.
const ANSWER_AFTER: Duration = Duration::from_millis(20);
/// How often the daemon is asked how its jobs stand.
const REFRESH_EVERY: Duration = Duration::from_millis(200);
/// How long a mail may take on the average before the demo gives up.
const MILLIS_PER_MAIL_MAX: u64 = 500;
/// How long the demo waits for anything at least.
const PATIENCE_SECONDS_MIN: u64 = 60;
const DAY: Duration = Duration::from_secs(86_400);
/// What a shell expects of a program that was interrupted.
const INTERRUPTED: u8 = 130;

/// What the demo does differently on demand.
#[derive(Clone, Debug, clap::Args)]
pub struct DemoOptions {
    /// How many mails are submitted.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(40..=20_000))]
    pub mails: u32,
    /// Keep the folder with the store and the daemon's log.
    #[arg(long)]
    pub keep: bool,
}

/// Plays the demo: a daemon and a mail server on this host, some hundred mails, a crash in the middle, and a proof that
/// nothing was lost, doubled or sent too fast. The status is 0 only if all of it holds.
///
/// # Errors
/// When the demo could not be played to its end.
pub async fn run(options: DemoOptions) -> anyhow::Result<ExitCode> {
    let mut signals = StopSignals::listen().context("cannot listen for signals")?;
    let folder = Folder::create(options.keep)?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("cannot listen on loopback")?;
    let port = listener.local_addr().context("cannot tell the port")?.port();
    let rules = Rules { name: String::from("provider.hikyaku.test"), answer_after: ANSWER_AFTER, ..Rules::default() };
    let server = CaptureServer::new(rules, Arc::new(SystemClock));
    let mails = usize::try_from(options.mails).context("too many mails")?;
    let outcome = tokio::select! {
        outcome = Box::pin(play(&folder, port, server.records(), mails)) => outcome,
        ended = server.listen(listener, CancellationToken::new()) => {
            ended.context("the mail server failed").and_then(|()| bail!("the mail server ended"))
        }
        signal = signals.next() => {
            Screen::open().say(&format!("\nStopped by {signal}; the daemon that was started is killed."));
            Ok(ExitCode::from(INTERRUPTED))
        }
    };
    if options.keep {
        Screen::open().say(&format!("Store and log are kept in {}", folder.path().display()));
    }
    outcome
}

async fn play(folder: &Folder, port: u16, records: Arc<Records>, mails: usize) -> anyhow::Result<ExitCode> {
    let screen = Screen::open();
    screen.say(&introduction(mails));
    let (daemon, client) = Daemon::start(folder.path()).await?;
    screen.say(&format!(
        "{:>5} s  hikyakud serves on a Unix socket; its mail server listens on port {port}",
        screen.elapsed()
    ));
    let deadline = Instant::now()
        + Duration::from_secs(PATIENCE_SECONDS_MIN)
            .max(Duration::from_millis(MILLIS_PER_MAIL_MAX) * u32::try_from(mails).unwrap_or(u32::MAX));
    let mut play = Play {
        folder,
        screen,
        daemon,
        client,
        records,
        deadline,
        acknowledged: vec![Vec::new(); SENDERS.len()],
        jobs: BTreeMap::new(),
        standings: vec![Standing::default(); SENDERS.len()],
    };
    play.create_accounts(port).await?;
    play.submit(mails).await?;
    play.deliver_until(Some(mails / 3)).await?;
    play.crash().await?;
    play.deliver_until(None).await?;
    play.resolve_doubts().await?;
    play.deliver_until(None).await?;
    Ok(play.conclude())
}

/// What is said of mails in doubt, of which the server has some.
fn doubts(taken: usize, lost: usize) -> String {
    let rest = match lost {
        0 => String::from("all of them, so none is sent again"),
        _ => format!("{taken} of them; the other {lost} are retried, as an operator would"),
    };
    format!("{} in doubt because of the crash; the server's records have {rest}", taken + lost)
}

fn introduction(mails: usize) -> String {
    format!(
        "Hikyaku demo: {mails} mails, two accounts, one crash\n\n\
         hikyakud starts on an empty store, beside a mail server that records what it takes; neither is seen outside.\n\
         Two accounts with different quotas send {mails} mails, of which the server refuses some for good and defers others.\n\
         In the middle the daemon is killed (SIGKILL) and started again; then its word is compared with the server's.\n"
    )
}

#[derive(Debug)]
struct Play<'p> {
    folder: &'p Folder,
    screen: Screen,
    daemon: Daemon,
    client: Client,
    records: Arc<Records>,
    deadline: Instant,
    /// The jobs that the daemon said to have stored, by account.
    acknowledged: Vec<Vec<String>>,
    jobs: BTreeMap<String, Job>,
    standings: Vec<Standing>,
}

impl Play<'_> {
    async fn create_accounts(&self, port: u16) -> anyhow::Result<()> {
        for sender in SENDERS {
            let created = self.client.create_account(sender.id, sender.settings(port)).await;
            created.with_context(|| format!("cannot create the account {}", sender.id))?;
            let quotas: Vec<String> = sender
                .quotas
                .iter()
                .map(|quota| format!("{} {} in any {} s", quota.limit, quota.noun(), quota.seconds))
                .collect();
            self.tell(&format!("account {} may send {}", sender.id, quotas.join(" and ")));
        }
        Ok(())
    }

    /// Submits all mails through one stream.
    async fn submit(&mut self, count: usize) -> anyhow::Result<()> {
        let tomorrow = SystemClock.now().after(DAY);
        let tomorrow = UNIX_EPOCH + Duration::from_millis(tomorrow.as_millis());
        let mails = plan::mails(count, tomorrow);
        let requests: Vec<SubmitJobRequest> = mails.iter().map(|mail| mail.draft.clone().into()).collect();
        let mut answers = self.client.submit_all(stream::iter(requests)).await.context("cannot submit")?;
        while let Some(answer) = answers.try_next().await.context("the daemon took only a part of the mails")? {
            let mail = usize::try_from(answer.index).ok().and_then(|index| mails.get(index));
            let mail = mail.context("the daemon answered what was not asked")?;
            let stored = answer.outcome.context("the daemon refused a mail")?;
            self.acknowledged[mail.sender].push(stored.job_id);
            self.standings[mail.sender].submitted += 1;
        }
        drop(answers);
        let acknowledged: usize = self.acknowledged.iter().map(Vec::len).sum();
        ensure!(acknowledged == mails.len(), "the daemon answered {acknowledged} of {} submissions", mails.len());
        self.tell(&format!("{acknowledged} mails are accepted and on disk, two of them for tomorrow"));
        Ok(())
    }

    /// Shows how the jobs stand until the server has taken so many mails, or else until nothing is left to do.
    async fn deliver_until(&mut self, received: Option<usize>) -> anyhow::Result<()> {
        let mut arrivals = self.records.arrivals();
        loop {
            self.refresh().await?;
            self.screen.show(&self.standings);
            let is_settled = self.standings.iter().all(|standing| standing.tally.is_settled());
            match received {
                None if is_settled => return Ok(()),
                Some(_) if is_settled => bail!("all mails were sent before the daemon could be killed"),
                _ => {}
            }
            ensure!(Instant::now() < self.deadline, "mails are still waiting, which takes too long");
            let enough = received.unwrap_or(usize::MAX);
            tokio::select! {
                () = sleep(REFRESH_EVERY) => {}
                _ = arrivals.wait_for(|count| *count >= enough) => return Ok(()),
            }
        }
    }

    /// Asks how the jobs stand.
    async fn refresh(&mut self) -> anyhow::Result<()> {
        self.daemon.check()?;
        for (place, sender) in SENDERS.iter().enumerate() {
            let filter = JobFilter { account_id: sender.id.to_owned(), ..JobFilter::default() };
            let jobs: Vec<Job> = self.client.list_jobs(filter).try_collect().await.context("cannot list the jobs")?;
            let usage = self.client.account_usage(sender.id).await.context("cannot ask for the quotas")?;
            let standing = &mut self.standings[place];
            standing.tally = Tally::of(jobs.iter().map(Job::state));
            standing.usage = usage;
            self.jobs.extend(jobs.into_iter().map(|job| (job.job_id.clone(), job)));
        }
        Ok(())
    }

    /// Kills the daemon when the server has just taken a message and not yet said so: the worst moment.
    async fn crash(&mut self) -> anyhow::Result<()> {
        let mut arrivals = self.records.arrivals();
        let patience = Duration::from_secs(PATIENCE_SECONDS_MIN);
        timeout(patience, arrivals.changed()).await.context("no more mail arrives")?.context("the records are gone")?;
        self.daemon.kill().await?;
        let count = *arrivals.borrow();
        self.tell(&format!("KILLED hikyakud when the server had taken mail {count}, but not yet said so"));
        let begin = Instant::now();
        (self.daemon, self.client) = Daemon::start(self.folder.path()).await?;
        let seconds = begin.elapsed().as_secs_f64();
        self.tell(&format!("STARTED it again on the same store; it served after {seconds:.1} s"));
        Ok(())
    }

    /// Does what an operator would: looks at the server's log for each mail in doubt, and retries those it does not have.
    async fn resolve_doubts(&mut self) -> anyhow::Result<()> {
        let received: Vec<String> = self.records.accepted().iter().map(|message| bare(&message.message_id)).collect();
        let doubtful = self.jobs.values().filter(|job| job.state() == JobState::InDoubt);
        let (taken, lost): (Vec<&Job>, Vec<&Job>) = doubtful.partition(|job| received.contains(&bare(&job.message_id)));
        if taken.is_empty() && lost.is_empty() {
            return Ok(());
        }
        self.tell(&doubts(taken.len(), lost.len()));
        for job in lost {
            let selection = Selection::JobId(job.job_id.clone());
            self.client.control(JobControl::Retry, selection, false).await.context("cannot retry a mail in doubt")?;
        }
        Ok(())
    }

    fn conclude(mut self) -> ExitCode {
        self.screen.close();
        let Self { acknowledged, jobs, records, screen, .. } = &self;
        let proof = Proof::of(Evidence { acknowledged, jobs, records });
        screen.say(&format!("\n{}\n", proof.table()));
        if proof.holds() {
            let sentence = "nothing was lost, nothing was sent twice, and no quota was exceeded, although the daemon \
                            was killed.";
            screen.say(&format!("It holds after {} s: {sentence}", screen.elapsed()));
            ExitCode::SUCCESS
        } else {
            screen.say(&format!("It does NOT hold: {}.", proof.broken().join("; ")));
            ExitCode::FAILURE
        }
    }

    fn tell(&self, what: &str) {
        self.screen.say(&format!("{:>5} s  {what}", self.screen.elapsed()));
    }
}
