//! Who submits while the daemon is killed?

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use hikyaku_client::{
    Access, Client, Endpoint, Error,
    proto::{JobControl, SubmitJobResponse, job_selector::Selection},
};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    chance::Chance,
    recorder::Dialect,
    told::{Plan, Submission, Told},
    world::{FREE_ACCOUNTS, TIGHT_ACCOUNT, World},
};

/// Clients with one call at a time.
const UNARY_CLIENTS: u64 = 4;
/// Clients with one stream at a time.
const STREAM_CLIENTS: u64 = 2;
/// Submissions of one stream.
const STREAM_JOBS: u64 = 25;
/// How long a call may take before it is given up.
const CALL_SECONDS_MAX: u64 = 20;
/// How long a client waits before it connects again.
const CONNECT_AGAIN_MILLIS: u64 = 10;
/// Of 100 submissions, how many are of the account with quotas.
const TIGHT_PERCENT: u64 = 4;

/// Clients that submit as long as they have leave to.
#[derive(Debug)]
pub(crate) struct Load {
    leave: Arc<Semaphore>,
    stop: CancellationToken,
    clients: JoinSet<()>,
}

impl Load {
    /// Begins without leave to submit anything.
    pub(crate) fn begin(world: &World, seed: u64) -> Self {
        let (leave, stop) = (Arc::new(Semaphore::new(0)), CancellationToken::new());
        let mut clients = JoinSet::new();
        for number in 0..UNARY_CLIENTS + STREAM_CLIENTS {
            let name = format!("c{number}");
            let client = LoadClient {
                chance: Chance::new(seed, &name),
                name,
                made: 0,
                endpoint: world.daemon.endpoint(),
                dialect: world.recorder.dialect(),
                told: Arc::clone(&world.told),
                leave: Arc::clone(&leave),
            };
            let stop = stop.clone();
            clients.spawn(async move {
                let submitting = async move {
                    if number < UNARY_CLIENTS { client.one_by_one().await } else { client.by_streams().await }
                };
                Box::pin(stop.run_until_cancelled_owned(submitting)).await;
            });
        }
        Self { leave, stop, clients }
    }

    /// Gives leave for so many more submissions.
    pub(crate) fn allow(&self, jobs: usize) {
        self.leave.add_permits(jobs);
    }

    /// Waits until the leave is used up or the time is over, then ends the clients.
    pub(crate) async fn end(mut self, wait: Duration) {
        let used = async {
            while self.leave.available_permits() > 0 {
                sleep(Duration::from_millis(CONNECT_AGAIN_MILLIS)).await;
            }
        };
        // Whatever is not used in time is not submitted.
        drop(timeout(wait, used).await);
        self.stop.cancel();
        while self.clients.join_next().await.is_some() {}
    }
}

struct LoadClient {
    chance: Chance,
    name: String,
    made: u64,
    endpoint: Endpoint,
    dialect: Dialect,
    told: Arc<Told>,
    leave: Arc<Semaphore>,
}

impl LoadClient {
    async fn one_by_one(mut self) {
        loop {
            let client = self.connect().await;
            while let Some(submission) = self.next().await {
                let call = client.submit(submission.request());
                match timeout(Duration::from_secs(CALL_SECONDS_MAX), call).await {
                    Ok(Ok(stored)) => self.stored(&client, &submission, &stored).await,
                    Ok(Err(error)) if error.is_passing() => break,
                    Ok(Err(error)) => self.told.complain(format!("refused: {} because {error}", submission.key)),
                    Err(_) => {
                        self.told.complain(format!("no answer: {} after {CALL_SECONDS_MAX} s", submission.key));
                        break;
                    }
                }
            }
        }
    }

    async fn by_streams(mut self) {
        loop {
            let client = self.connect().await;
            let mut batch = Vec::new();
            for _ in 0..=self.chance.below(STREAM_JOBS) {
                batch.extend(self.next().await);
            }
            let requests: Vec<_> = batch.iter().map(Submission::request).collect();
            let Ok(mut answers) = client.submit_all(stream::iter(requests)).await else { continue };
            while let Some(Ok(answer)) = answers.next().await {
                let Some(submission) = usize::try_from(answer.index).ok().and_then(|index| batch.get(index)) else {
                    self.told.complain(format!("an answer to request {} of {}", answer.index, batch.len()));
                    break;
                };
                match answer.outcome {
                    Ok(stored) => self.stored(&client, submission, &stored).await,
                    Err(error) if error.is_passing() => {}
                    Err(error) => self.told.complain(format!("refused: {} because {error}", submission.key)),
                }
            }
        }
    }

    async fn connect(&self) -> Client {
        loop {
            match Client::connect(&self.endpoint, Access::default()).await {
                Ok(client) => return client,
                Err(_) => sleep(Duration::from_millis(CONNECT_AGAIN_MILLIS)).await,
            }
        }
    }

    /// The next submission, noted before it is made, as soon as there is leave.
    async fn next(&mut self) -> Option<Submission> {
        self.leave.acquire().await.ok()?.forget();
        self.made += 1;
        let key = format!("{}-{}", self.name, self.made);
        let account = if self.chance.below(100) < TIGHT_PERCENT {
            TIGHT_ACCOUNT
        } else {
            let pick = usize::try_from(self.chance.below(FREE_ACCOUNTS.len() as u64)).unwrap_or_default();
            FREE_ACCOUNTS[pick]
        };
        let submission = Submission::random(key, account, self.dialect, &mut self.chance);
        self.told.offer(&submission);
        Some(submission)
    }

    async fn stored(&self, client: &Client, submission: &Submission, stored: &SubmitJobResponse) {
        self.told.acknowledge(&submission.key, &stored.job_id);
        if submission.plan == Plan::Cancel {
            let cancelled: Result<_, Error> =
                client.control(JobControl::Cancel, Selection::JobId(stored.job_id.clone()), false).await;
            if cancelled.is_ok_and(|summary| summary.changed == 1) {
                self.told.cancelled(&submission.key);
            }
        }
    }
}
