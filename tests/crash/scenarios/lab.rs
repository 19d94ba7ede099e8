//! What becomes of mail that goes through every fault of an outside laboratory, while the daemon is killed?
//!
//! The laboratory's server has one fault a port (BASE+600 and up) and, on the first of them, one an address. It never
//! recovers: at the end an operator cancels what is left.

use std::{collections::BTreeMap, fs, time::Duration};

use anyhow::Context as _;
use futures_util::TryStreamExt as _;
use hikyaku_client::{
    Client,
    proto::{
        AccountSettings, Encryption, InDoubtPolicy, JobControl, JobFilter, JobState, PasswordSignIn, SignIn,
        sign_in::Method,
    },
};
use tokio::time::sleep;

use super::{Faults, Outcome, outcome, progress};
use crate::{
    chance::Chance,
    daemon::Space,
    options::Options,
    told::{Plan, Submission},
    world::{House, World, steer},
};

/// Ports of the laboratory's server, from its first.
const PORTS: u16 = 30;
/// Ports that want STARTTLS, TLS from the first byte, and a sign-in.
const STARTTLS_PORTS: [u16; 6] = [8, 9, 10, 11, 13, 21];
const TLS_PORTS: [u16; 2] = [14, 15];
const SIGN_IN_PORTS: [u16; 3] = [18, 19, 27];
/// What an address makes the server do, with each of the stages.
const VERBS: [&str; 12] =
    ["drop", "bye", "hang", "slow", "multi", "garbage", "long", "bin", "ctl", "lf", "mixed", "split"];
const STAGES: [&str; 4] = ["mail", "rcpt", "data", "dot"];
/// Addresses besides.
const ADDRESSES: [&str; 6] =
    ["lost-dot", "drop-body", "first-2-rcpt-451-4.7.1", "first-1-dot-451-4.3.0", "rcpt-550-5.1.1", "dot-554-5.7.1"];
const JOBS_AN_ACCOUNT: u64 = 2;
const SERVING_MILLIS: (u64, u64) = (800, 2_500);
const LAST_SERVING: Duration = Duration::from_secs(10);

/// Sends through all faults of the laboratory in this folder.
pub(super) async fn faults(options: &Options) -> anyhow::Result<Outcome> {
    let Some(lab) = &options.lab else {
        return Ok(Outcome::Skipped("no laboratory was named: --lab HOST:PORT, its first port, and --records".into()));
    };
    let ca = options.lab_ca.as_deref().map(fs::read_to_string).transpose().context("cannot read the CA")?;
    let house = House { in_doubt: InDoubtPolicy::Resend, quotas: &[], store: None, space: Space::default() };
    let mut world = World::new("lab", options, &house).await?;
    let client = world.daemon.serving().await?;
    let mut accounts = Vec::new();
    for offset in 0..PORTS {
        let mut settings = settings(&world, &format!("p{offset}"), lab, offset);
        let server = settings.server.get_or_insert_default();
        server.encryption = encryption(offset).into();
        server.custom_ca_pem = ca.clone().filter(|_| encryption(offset) != Encryption::None).unwrap_or_default();
        settings.sign_in = SIGN_IN_PORTS.contains(&offset).then(sign_in);
        client.create_account(&format!("p{offset}"), settings).await.with_context(|| format!("account p{offset}"))?;
        accounts.push((format!("p{offset}"), String::new()));
    }
    let scripted = VERBS.iter().flat_map(|verb| STAGES.map(|stage| script(verb, stage)));
    for (index, script) in scripted.chain(ADDRESSES.map(str::to_owned)).enumerate() {
        let id = format!("a{index}");
        client.create_account(&id, settings(&world, &id, lab, 0)).await.with_context(|| format!("account {id}"))?;
        accounts.push((id, script));
    }
    for number in 0..JOBS_AN_ACCOUNT {
        for (account, script) in &accounts {
            submit(&world, &client, account, &format!("{account}-{number}"), script).await?;
        }
    }
    let mut chance = Chance::new(options.seed, "lab");
    for round in 0..options.kills {
        progress("lab", round, options.kills, &world);
        let (least, most) = SERVING_MILLIS;
        sleep(Duration::from_millis(least + chance.below(most - least))).await;
        world.daemon.kill().await?;
        world.daemon.start().await?;
    }
    sleep(LAST_SERVING).await;
    let client = world.daemon.serving().await?;
    let left = give_up(&world, &client).await?;
    world.drain(&client).await?;
    let client = world.restart_at_rest().await?;
    world.allowed.may_refuse = accounts.iter().map(|(account, _)| account.clone()).collect();
    world.allowed.given_up = true;
    let findings = world.check(&client).await?;
    let done = format!(
        "{} ports and {} addresses with a fault each, {} kills; states before the operator gave up: {left}",
        PORTS,
        accounts.len() - usize::from(PORTS),
        options.kills
    );
    let faults = Faults { others: "laboratory", ..Faults::kills(options.kills) };
    Ok(outcome(&done, faults, &findings, world, options))
}

fn settings(world: &World, id: &str, (host, first): &(String, u16), offset: u16) -> AccountSettings {
    world.settings_at(id, InDoubtPolicy::Resend, &[], (host.clone(), first + offset))
}

fn encryption(offset: u16) -> Encryption {
    match offset {
        _ if STARTTLS_PORTS.contains(&offset) => Encryption::Starttls,
        _ if TLS_PORTS.contains(&offset) => Encryption::Tls,
        _ => Encryption::None,
    }
}

fn sign_in() -> SignIn {
    let password = PasswordSignIn {
        user: "taro".into(),
        password: "secret".into(),
        allow_plaintext: true,
        ..PasswordSignIn::default()
    };
    SignIn { method: Some(Method::Password(password)) }
}

/// What the laboratory reads in a local part.
fn script(verb: &str, stage: &str) -> String {
    match verb {
        "slow" => format!("slow-{stage}-1"),
        "multi" => format!("multi-{stage}-{}", if stage == "data" { "354" } else { "250" }),
        _ => format!("{verb}-{stage}"),
    }
}

async fn submit(world: &World, client: &Client, account: &str, key: &str, script: &str) -> anyhow::Result<()> {
    let local = if script.is_empty() { key.to_owned() } else { format!("{script}+{key}") };
    let recipients = vec![format!("{local}@rcpt.test")];
    let submission = Submission { key: key.to_owned(), account: account.to_owned(), recipients, plan: Plan::Send };
    world.told.offer(&submission);
    let stored = client.submit(submission.request()).await.with_context(|| format!("{key} is refused"))?;
    world.told.acknowledge(key, &stored.job_id);
    Ok(())
}

/// Cancels what is left; tells which states there were.
async fn give_up(world: &World, client: &Client) -> anyhow::Result<String> {
    let jobs: Vec<_> = client.list_jobs(JobFilter::default()).try_collect().await.context("cannot list")?;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for job in &jobs {
        *counts.entry(job.state().as_str_name().trim_start_matches("JOB_STATE_")).or_default() += 1;
        let is_open = matches!(
            job.state(),
            JobState::Queued | JobState::Deferred | JobState::Sending | JobState::Scheduled | JobState::InDoubt
        );
        if is_open {
            steer(client, JobControl::Cancel, job.job_id.clone()).await?;
        }
    }
    anyhow::ensure!(jobs.len() >= world.told.entries().len(), "jobs are missing");
    Ok(counts.iter().map(|(state, count)| format!("{count} {state}")).collect::<Vec<_>>().join(", "))
}
