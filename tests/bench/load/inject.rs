//! How fast does the daemon accept jobs?

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use anyhow::Context as _;
use clap::Args;
use futures_util::{StreamExt as _, stream as streams};
use hikyaku_client::{Access, Client, Endpoint, proto::SubmitJobRequest};
use tokio::task::JoinSet;

use crate::{
    mail,
    result::{say, say_rate},
};

/// What is submitted to whom.
#[derive(Args, Clone, Debug)]
pub(crate) struct Load {
    /// Where hikyakud listens
    #[arg(long, env = "HIKYAKU_ENDPOINT")]
    pub(crate) endpoint: Endpoint,
    /// The account that shall send
    #[arg(long, default_value = "bench")]
    pub(crate) account: String,
    /// Jobs in all
    #[arg(long, default_value_t = 10_000)]
    pub(crate) count: u64,
    /// Bytes of text in each
    #[arg(long, default_value_t = 1_024)]
    pub(crate) size: usize,
}

/// How single calls are made.
#[derive(Args, Clone, Debug)]
pub(crate) struct UnaryOptions {
    #[command(flatten)]
    load: Load,
    /// Calls under way at once
    #[arg(long, default_value_t = 64)]
    callers: usize,
    /// Connections that the callers share
    #[arg(long, default_value_t = 4)]
    connections: usize,
}

/// How streams are fed.
#[derive(Args, Clone, Debug)]
pub(crate) struct StreamOptions {
    #[command(flatten)]
    load: Load,
    /// Streams at once, each on a connection of its own
    #[arg(long, default_value_t = 4)]
    streams: usize,
}

/// Submits with single calls.
pub(crate) async fn unary(options: UnaryOptions) -> anyhow::Result<()> {
    let UnaryOptions { load, callers, connections } = options;
    let clients = connect(&load.endpoint, connections.clamp(1, callers.max(1))).await?;
    let request = Arc::new(request(&load));
    let left = Arc::new(AtomicU64::new(load.count));
    let begin = Instant::now();
    let mut calls = JoinSet::new();
    for caller in 0..callers {
        let (client, left, request) =
            (clients[caller % clients.len()].clone(), Arc::clone(&left), Arc::clone(&request));
        calls.spawn(async move {
            while take(&left) {
                client.submit(SubmitJobRequest::clone(&request)).await.context("a job was refused")?;
            }
            anyhow::Ok(())
        });
    }
    finish(calls, load.count, begin).await
}

/// Submits through streams.
pub(crate) async fn stream(options: StreamOptions) -> anyhow::Result<()> {
    let StreamOptions { load, streams } = options;
    let clients = connect(&load.endpoint, streams).await?;
    let request = Arc::new(request(&load));
    let left = Arc::new(AtomicU64::new(load.count));
    let begin = Instant::now();
    let mut calls = JoinSet::new();
    for client in clients {
        let (left, request) = (Arc::clone(&left), Arc::clone(&request));
        calls.spawn(async move {
            let requests = std::iter::from_fn(move || take(&left).then(|| SubmitJobRequest::clone(&request)));
            let mut answers = client.submit_all(streams::iter(requests)).await.context("no stream")?;
            while let Some(answer) = answers.next().await {
                answer.context("the stream broke")?.outcome.context("a job was refused")?;
            }
            anyhow::Ok(())
        });
    }
    finish(calls, load.count, begin).await
}

pub(crate) async fn connect(endpoint: &Endpoint, connections: usize) -> anyhow::Result<Vec<Client>> {
    let mut clients = Vec::new();
    for _ in 0..connections {
        clients.push(Client::connect(endpoint, Access::default()).await.context("cannot reach hikyakud")?);
    }
    Ok(clients)
}

fn request(load: &Load) -> SubmitJobRequest {
    mail::draft(&load.account, &mail::text(load.size)).into()
}

/// Whether there is one more to submit, which is the caller's then.
fn take(left: &AtomicU64) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}

async fn finish(mut calls: JoinSet<anyhow::Result<()>>, count: u64, begin: Instant) -> anyhow::Result<()> {
    let mut failures = 0_u64;
    while let Some(ended) = calls.join_next().await {
        if let Err(error) = ended.context("a caller broke down")? {
            failures += 1;
            say("refused", format!("{error:#}"));
        }
    }
    say_rate(count, begin.elapsed());
    anyhow::ensure!(failures == 0, "{failures} callers were refused: the rate above is wrong");
    Ok(())
}
