//! How do a daemon, its accounts, a recorder and the clients' book come together, to rest, and under the checker?

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use futures_util::{StreamExt as _, TryStreamExt as _};
use hikyaku_client::{
    Client, Code,
    proto::{
        AccountSettings, Encryption, InDoubtPolicy, Job, JobControl, JobFilter, JobState, Limits, Mailbox, Quota,
        QuotaUnit, Retry, Server, SuppressionRules, Timeouts, job_selector::Selection, quota::Window,
    },
};
use tempfile::TempDir;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    checker::{self, Allowed, Books, Findings},
    daemon::{Daemon, Space},
    faulty::Book,
    options::Options,
    recorder::Recorder,
    told::{Entry, Plan, Told},
    witness,
};

/// How long the queue may take to drain.
const DRAIN_SECONDS_MAX: u64 = 600;
/// How long is waited for an outside recorder, which may write a line a little after its reply.
const RECORD_WAIT_MILLIS: u64 = 300;
/// How long what a start sends wrongly may take to arrive.
const SETTLE_MILLIS: u64 = 500;
/// How many calls are under way at a time at the end.
const CALLS_AT_ONCE: usize = 16;
/// How many acknowledged submissions are repeated at the end.
const REPEATED_MAX: usize = 200;
/// Accounts without quotas.
pub(crate) const FREE_ACCOUNTS: [&str; 3] = ["ada", "ben", "cho"];
/// The account with quotas.
pub(crate) const TIGHT_ACCOUNT: &str = "tight";

/// One scenario's setting.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) daemon: Daemon,
    pub(crate) recorder: Recorder,
    pub(crate) told: Arc<Told>,
    pub(crate) allowed: Allowed,
    /// What servers besides the recorder took.
    pub(crate) aside: Arc<Book>,
    domain: String,
    pub(crate) folder: TempDir,
    _watching: JoinSet<()>,
}

impl World {
    /// A running daemon with its accounts; its store is in `store`, or in a temporary folder.
    pub(crate) async fn new(name: &str, options: &Options, house: &House<'_>) -> anyhow::Result<Self> {
        let mut folder = tempfile::Builder::new().prefix("hikyaku-crash-").tempdir().context("no temporary folder")?;
        folder.disable_cleanup(options.keep);
        let inside = folder.path().join("store");
        let daemon = Daemon::new(folder.path(), house.store.unwrap_or(&inside), house.space)?;
        let recorder = options.recorder().await?;
        let domain = format!("@{name}-{}-{}.test", options.seed, std::process::id());
        let quota = |&(limit, window): &(u32, Duration)| checker::Quota {
            sender: format!("{TIGHT_ACCOUNT}{domain}"),
            limit,
            // Two notes may be nearer to each other than what they tell of.
            window: window.saturating_sub(recorder.lateness()),
        };
        let quotas = house.quotas.iter().map(quota);
        let lateness_millis = u64::try_from(recorder.lateness().as_millis()).unwrap_or(u64::MAX);
        let allowed = Allowed { quotas: quotas.collect(), lateness_millis, ..Allowed::default() };
        let told = Arc::new(Told::default());
        let mut watching = JoinSet::new();
        watching.spawn(witness::follow(daemon.endpoint(), Arc::clone(&told)));
        let mut world =
            Self { daemon, recorder, told, allowed, aside: Arc::default(), domain, folder, _watching: watching };
        let client = world.daemon.start().await?;
        for account in FREE_ACCOUNTS {
            let settings = world.settings(account, house.in_doubt, &[]);
            client.create_account(account, settings).await.context("cannot make an account")?;
        }
        let settings = world.settings(TIGHT_ACCOUNT, house.in_doubt, house.quotas);
        client.create_account(TIGHT_ACCOUNT, settings).await.context("cannot make an account")?;
        Ok(world)
    }

    fn settings(&self, account: &str, in_doubt: InDoubtPolicy, quotas: &[(u32, Duration)]) -> AccountSettings {
        self.settings_at(account, in_doubt, quotas, self.recorder.address())
    }

    /// Settings of an account that sends through another server.
    pub(crate) fn settings_at(
        &self,
        account: &str,
        in_doubt: InDoubtPolicy,
        quotas: &[(u32, Duration)],
        (host, port): (String, u16),
    ) -> AccountSettings {
        let quota = |&(limit, window): &(u32, Duration)| Quota {
            limit: limit.into(),
            unit: QuotaUnit::Recipients.into(),
            window: window.try_into().ok().map(Window::Sliding),
        };
        let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
        let timeouts = Timeouts {
            connect: seconds(2),
            greeting: seconds(2),
            command: seconds(2),
            data: seconds(2),
            end_of_data: seconds(4),
        };
        AccountSettings {
            from: Some(Mailbox { address: format!("{account}{}", self.domain), ..Mailbox::default() }),
            server: Some(Server {
                host,
                port: port.into(),
                encryption: Encryption::None.into(),
                ehlo_name: "crash.test".to_owned(),
                timeouts: Some(timeouts),
                ..Server::default()
            }),
            limits: Some(Limits {
                quotas: quotas.iter().map(quota).collect(),
                connections_max: 3,
                ..Limits::default()
            }),
            retry: Some(Retry { first_delay: seconds(1), multiplier: 1.0, delay_max: seconds(1), ..Retry::default() }),
            in_doubt: in_doubt.into(),
            // The books expect every recipient to be tried, whatever was said of the address before.
            suppression: Some(SuppressionRules { ignore_replies: true, ..SuppressionRules::default() }),
            ..AccountSettings::default()
        }
    }

    /// Repeats what was not acknowledged and some of what was, cancels and releases what was planned.
    pub(crate) async fn tie_up(&self, client: &Client) -> anyhow::Result<Repeated> {
        let entries = self.told.entries();
        let every = entries.len() / REPEATED_MAX + 1;
        let chosen = entries.into_iter().enumerate();
        let chosen = chosen.filter(|(index, entry)| entry.job_id.is_none() || index % every == 0);
        let repeating = futures_util::stream::iter(chosen.map(|(_, entry)| self.repeat(client, entry)));
        let outcomes: Vec<Repeated> = repeating.buffer_unordered(CALLS_AT_ONCE).try_collect().await?;
        let repeated = outcomes.iter().fold(Repeated::default(), |sum, one| Repeated {
            anew: sum.anew + one.anew,
            unheard: sum.unheard + one.unheard,
            again: sum.again + one.again,
        });
        let entries = self.told.entries();
        let open = entries.iter().filter(|entry| !entry.cancelled);
        let concluding = futures_util::stream::iter(open.map(|entry| self.conclude(client, entry)));
        concluding.buffer_unordered(CALLS_AT_ONCE).try_collect::<()>().await?;
        Ok(repeated)
    }

    /// Repeats one submission.
    async fn repeat(&self, client: &Client, entry: Entry) -> anyhow::Result<Repeated> {
        let mut repeated = Repeated::default();
        let key = &entry.submission.key;
        let stored = client.submit(entry.submission.request()).await;
        let stored = stored.with_context(|| format!("the repeated submission {key} is refused"))?;
        match &entry.job_id {
            Some(_) if !stored.existing => self.told.complain(format!("{key} was forgotten: stored anew")),
            Some(_) => repeated.again += 1,
            None if stored.existing => repeated.unheard += 1,
            None => repeated.anew += 1,
        }
        self.told.acknowledge(key, &stored.job_id);
        Ok(repeated)
    }

    /// Cancels and releases what was planned, as far as the store knows of it.
    pub(crate) async fn tie_up_known(&self, client: &Client) -> anyhow::Result<()> {
        let jobs: Vec<Job> = client.list_jobs(JobFilter::default()).try_collect().await.context("cannot list")?;
        let known: BTreeSet<&str> = jobs.iter().map(|job| job.job_id.as_str()).collect();
        for entry in self.told.entries() {
            if entry.job_id.as_deref().is_some_and(|id| known.contains(id)) {
                self.conclude(client, &entry).await?;
            }
        }
        Ok(())
    }

    async fn conclude(&self, client: &Client, entry: &Entry) -> anyhow::Result<()> {
        let Some(id) = entry.job_id.clone() else { return Ok(()) };
        match entry.submission.plan {
            Plan::Cancel => {
                steer(client, JobControl::Cancel, id).await?;
                self.told.cancelled(&entry.submission.key);
            }
            Plan::Release => steer(client, JobControl::Release, id).await?,
            Plan::Send => {}
        }
        Ok(())
    }

    /// Waits until no job waits for anything but a person.
    pub(crate) async fn drain(&mut self, client: &Client) -> anyhow::Result<()> {
        let open = [JobState::Scheduled, JobState::Queued, JobState::Sending, JobState::Deferred];
        let end = Instant::now() + Duration::from_secs(DRAIN_SECONDS_MAX);
        loop {
            let filter = JobFilter { states: open.map(Into::into).to_vec(), ..JobFilter::default() };
            let mut waiting = Box::pin(client.list_jobs(filter));
            match waiting.next().await {
                None => break,
                Some(Err(error)) if self.daemon.ended()?.is_some() => bail!("hikyakud ended by itself: {error}"),
                Some(job) if Instant::now() > end => bail!("the queue does not drain; left is {:?}", job?),
                Some(_) => sleep(Duration::from_millis(200)).await,
            }
        }
        sleep(Duration::from_millis(RECORD_WAIT_MILLIS)).await;
        Ok(())
    }

    /// All jobs of the store; those with more than one attempt with their attempts.
    pub(crate) async fn jobs(client: &Client) -> anyhow::Result<Vec<Job>> {
        let mut jobs: Vec<Job> = client.list_jobs(JobFilter::default()).try_collect().await.context("cannot list")?;
        let is_of_interest =
            |job: &Job| job.attempts_made > 1 || matches!(job.state(), JobState::Cancelled | JobState::Failed);
        for job in jobs.iter_mut().filter(|job| is_of_interest(job)) {
            *job = client.get_job(&job.job_id).await.context("cannot get a job")?;
        }
        Ok(jobs)
    }

    /// Compares the three books.
    pub(crate) async fn check(&self, client: &Client) -> anyhow::Result<Findings> {
        let jobs = Self::jobs(client).await?;
        let deliveries = self.deliveries()?;
        let (told, endings) = (self.told.entries(), self.told.endings());
        let books = Books { told: &told, endings: &endings, deliveries: &deliveries, jobs: &jobs };
        let allowed = Allowed { stops: self.daemon.stops().to_vec(), ..self.allowed.clone() };
        let mut findings = checker::check(&books, &allowed);
        findings.broken.extend(self.told.complaints());
        findings.broken.extend(self.daemon.panics().into_iter().map(|line| format!("panic: {line}")));
        Ok(findings)
    }

    /// Kills and starts once more when all is at rest, and waits for what may come of it: nothing should.
    pub(crate) async fn restart_at_rest(&mut self) -> anyhow::Result<Client> {
        self.daemon.kill().await?;
        let client = self.daemon.start().await?;
        sleep(Duration::from_millis(SETTLE_MILLIS)).await;
        self.drain(&client).await?;
        Ok(client)
    }

    /// Jobs that rest in doubt.
    pub(crate) async fn in_doubt(&self, client: &Client) -> anyhow::Result<Vec<Job>> {
        let filter = JobFilter { states: vec![JobState::InDoubt.into()], ..JobFilter::default() };
        client.list_jobs(filter).try_collect().await.context("cannot list")
    }

    /// What was taken in this world.
    pub(crate) fn deliveries(&self) -> anyhow::Result<Vec<crate::recorder::Delivery>> {
        let mut deliveries = self.recorder.deliveries(&self.domain)?;
        deliveries.extend(self.aside.deliveries());
        Ok(deliveries)
    }
}

/// Steers one job. That it was done before is no failure: the checker sees what it led to.
pub(crate) async fn steer(client: &Client, control: JobControl, job_id: String) -> anyhow::Result<()> {
    match client.control(control, Selection::JobId(job_id), false).await {
        Err(error) if error.code() != Code::FailedPrecondition => Err(error).with_context(|| format!("{control:?}")),
        _ => Ok(()),
    }
}

/// How a world's daemon and accounts are set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct House<'h> {
    pub(crate) in_doubt: InDoubtPolicy,
    /// Recipients and windows of the tight account.
    pub(crate) quotas: &'h [(u32, Duration)],
    pub(crate) store: Option<&'h Path>,
    pub(crate) space: Space,
}

/// What repeating the submissions showed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Repeated {
    /// Never acknowledged before, stored now.
    pub(crate) anew: usize,
    /// Stored before, although nobody was told.
    pub(crate) unheard: usize,
    /// Acknowledged before, and again.
    pub(crate) again: usize,
}

/// The Message-IDs of jobs, without angle brackets.
pub(crate) fn message_ids(jobs: &[Job]) -> BTreeSet<String> {
    jobs.iter().map(|job| crate::recorder::bare(&job.message_id)).collect()
}
