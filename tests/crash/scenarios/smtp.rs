//! What becomes of mail whose servers are slow, drop connections or talk nonsense at every phase, while the daemon is
//! killed?

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use futures_util::TryStreamExt as _;
use hikyaku_client::{
    Client,
    proto::{AccountState, InDoubtPolicy},
};
use hikyaku_daemon::{domain::time::Clock as _, platform::clock::SystemClock};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{Faults, Outcome, outcome, progress};
use crate::{
    chance::Chance,
    checker,
    daemon::Space,
    faulty::{self, Fault, FaultyServer, How, Phase},
    options::Options,
    told::{Plan, Submission},
    world::{FREE_ACCOUNTS, House, World},
};

/// Jobs of each account.
const JOBS_AN_ACCOUNT: u64 = 4;
/// How long the daemon serves between two kills.
const SERVING_MILLIS: (u64, u64) = (800, 1_800);
/// How long the servers stay sick after the last kill.
const LAST_SERVING: Duration = Duration::from_secs(6);
/// How long a mail of a healthy account may take although all others' servers are sick, in milliseconds.
const HEALTHY_MILLIS_MAX: u64 = 15_000;
/// The quota of accounts whose messages are in doubt.
const QUOTA: (u32, Duration) = (2, Duration::from_secs(2));

/// Kills the daemon while every account but one sends through a server with its own fault; then all recover.
pub(super) async fn faults(options: &Options) -> anyhow::Result<Outcome> {
    let house = House { in_doubt: InDoubtPolicy::Resend, quotas: &[], store: None, space: Space::default() };
    let mut world = World::new("smtp-faults", options, &house).await?;
    let (sick, mut serving) = (Arc::new(AtomicBool::new(true)), JoinSet::new());
    let client = world.daemon.serving().await?;
    let all = faulty::all();
    for (index, fault) in all.iter().enumerate() {
        let port = FaultyServer::begin(*fault, &sick, &world.aside, &mut serving).await?;
        add_account(&mut world, &client, &account(index), *fault, port).await?;
    }
    for number in 0..JOBS_AN_ACCOUNT {
        for index in 0..all.len() {
            submit(&world, &client, &account(index), &format!("{}-{number}", account(index))).await?;
        }
    }
    let mut chance = Chance::new(options.seed, "smtp-faults");
    let mut healthy = BTreeMap::new();
    for round in 0..=options.kills {
        progress("smtp-faults", round, options.kills, &world);
        let client = world.daemon.serving().await?;
        let key = format!("healthy-{round}");
        submit(&world, &client, FREE_ACCOUNTS[0], &key).await?;
        healthy.insert(format!("{key}@rcpt.test"), SystemClock.now().as_millis());
        if round == options.kills {
            break;
        }
        let (least, most) = SERVING_MILLIS;
        sleep(Duration::from_millis(least + chance.below(most - least))).await;
        world.daemon.kill().await?;
        world.daemon.start().await?;
    }
    sleep(LAST_SERVING).await;
    let late = slowest(&world, &healthy)?;
    let parked = recover(&mut world, &sick).await?;
    let begin = Instant::now();
    let client = world.daemon.serving().await?;
    world.drain(&client).await?;
    let drained = begin.elapsed();
    let client = world.restart_at_rest().await?;
    let mut findings = world.check(&client).await?;
    if late > HEALTHY_MILLIS_MAX {
        findings.broken.push(format!("held up: a mail of a healthy account took {late} ms"));
    }
    let done = format!(
        "{} servers, each with another fault, and {} kills; a healthy account's slowest mail took {late} ms; of the others \
         {parked}; all at rest {} s after the servers recovered",
        all.len(),
        options.kills,
        drained.as_secs()
    );
    let faults = Faults { others: "sick servers", ..Faults::kills(options.kills) };
    Ok(outcome(&done, faults, &findings, world, options))
}

fn account(index: usize) -> String {
    format!("sick{index}")
}

async fn add_account(world: &mut World, client: &Client, id: &str, fault: Fault, port: u16) -> anyhow::Result<()> {
    let is_counted = fault.at == Phase::Dot;
    let quotas: &[(u32, Duration)] = if is_counted { &[QUOTA] } else { &[] };
    let settings = world.settings_at(id, InDoubtPolicy::Resend, quotas, ("127.0.0.1".to_owned(), port));
    if is_counted {
        let sender = settings.from.as_ref().map(|from| from.address.clone()).unwrap_or_default();
        world.allowed.quotas.push(checker::Quota { sender, limit: QUOTA.0, window: QUOTA.1 });
    }
    if fault.how == How::Mixed {
        world.allowed.may_refuse.insert(id.to_owned());
    }
    client.create_account(id, settings).await.with_context(|| format!("cannot make the account {id} ({fault:?})"))?;
    Ok(())
}

async fn submit(world: &World, client: &Client, account: &str, key: &str) -> anyhow::Result<()> {
    let recipients = vec![format!("{key}@rcpt.test")];
    let submission = Submission { key: key.to_owned(), account: account.to_owned(), recipients, plan: Plan::Send };
    world.told.offer(&submission);
    let stored = client.submit(submission.request()).await.with_context(|| format!("{key} is refused"))?;
    world.told.acknowledge(key, &stored.job_id);
    Ok(())
}

/// How long the slowest mail of the healthy account took until now, in milliseconds.
fn slowest(world: &World, submitted: &BTreeMap<String, u64>) -> anyhow::Result<u64> {
    let deliveries = world.deliveries()?;
    let now = SystemClock.now().as_millis();
    let took = |(recipient, since): (&String, &u64)| {
        let received = deliveries.iter().find(|one| one.recipient == *recipient);
        received.map_or(now, |one| one.at_millis).saturating_sub(*since)
    };
    Ok(submitted.iter().map(took).max().unwrap_or_default())
}

/// Heals all servers, and does what an operator would: resumes accounts that wait for a probe. Tells which there were.
async fn recover(world: &mut World, sick: &AtomicBool) -> anyhow::Result<String> {
    sick.store(false, Ordering::Relaxed);
    let client = world.daemon.serving().await?;
    let accounts: Vec<_> = client.list_accounts().try_collect().await.context("cannot list accounts")?;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for account in &accounts {
        let state = account.standing.as_ref().map(hikyaku_client::proto::AccountStanding::state);
        let state = state.unwrap_or(AccountState::Active);
        *counts.entry(state.as_str_name().trim_start_matches("ACCOUNT_STATE_")).or_default() += 1;
        if state != AccountState::Active {
            client.resume_account(&account.account_id).await.context("cannot resume an account")?;
        }
    }
    let counts: Vec<String> = counts.iter().map(|(state, count)| format!("{count} {state}")).collect();
    Ok(counts.join(", "))
}
