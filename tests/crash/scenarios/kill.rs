//! What is left after SIGKILL at random moments: while serving, while starting, with each policy for what is in doubt?

use std::{collections::BTreeSet, time::Duration};

use hikyaku_client::proto::{InDoubtPolicy, JobControl};
use tokio::time::{Instant, sleep};

use super::{Faults, Outcome, outcome, progress};
use crate::{
    chance::Chance,
    daemon::Space,
    load::Load,
    options::Options,
    world::{House, Repeated, World, message_ids, steer},
};

/// How long the daemon serves at most before it is killed.
const SERVING_MILLIS_MAX: u64 = 700;
/// One in so many rounds serves so much longer.
const LONG_ONE_IN: u64 = 8;
const LONG_SERVING: Duration = Duration::from_millis(1_500);
/// Leave for submissions between two kills.
const JOBS_A_KILL: u64 = 100;
/// One in so many starts comes to serve while starts are killed.
const SERVING_ONE_IN: u64 = 5;
/// How long clients may take to use up their leave.
const LOAD_END_MAX: Duration = Duration::from_secs(30);
/// Recipients and windows of the account with quotas.
const QUOTAS: [(u32, Duration); 2] = [(10, Duration::from_secs(1)), (30, Duration::from_secs(4))];

/// Kills under load; what is in doubt is sent again.
pub(super) async fn resend(options: &Options) -> anyhow::Result<Outcome> {
    let mut world = world("kill-resend", options, InDoubtPolicy::Resend).await?;
    let kills = kill_under_load(&mut world, options, "kill-resend").await?;
    let (repeated, _) = rest(&mut world).await?;
    let client = world.restart_at_rest().await?;
    let findings = world.check(&client).await?;
    Ok(outcome(&done(kills, repeated), Faults::kills(kills), &findings, world, options))
}

/// Kills under load; what is in doubt is held, and at the end sent again by an operator.
pub(super) async fn hold(options: &Options) -> anyhow::Result<Outcome> {
    let mut world = world("kill-hold", options, InDoubtPolicy::Hold).await?;
    let kills = kill_under_load(&mut world, options, "kill-hold").await?;
    let (repeated, _) = rest(&mut world).await?;
    let client = world.restart_at_rest().await?;
    world.allowed.in_doubt = true;
    world.allowed.doubles = Some(BTreeSet::new());
    let held = world.check(&client).await?;
    let in_doubt = world.in_doubt(&client).await?;

    // A server that takes a message and vanishes may do so when it is retried: hence a second time.
    for _ in 0..2 {
        for job in world.in_doubt(&client).await? {
            steer(&client, JobControl::Retry, job.job_id).await?;
        }
        world.drain(&client).await?;
    }
    world.allowed.in_doubt = false;
    world.allowed.doubles = Some(message_ids(&in_doubt));
    let mut retried = world.check(&client).await?;
    retried.broken.extend(held.broken.into_iter().map(|line| format!("while held, {line}")));
    let done = format!(
        "{}; held {} in doubt with {} duplicates, then retried them",
        done(kills, repeated),
        in_doubt.len(),
        held.duplicates
    );
    Ok(outcome(&done, Faults::kills(kills), &retried, world, options))
}

/// Kills while the daemon starts.
pub(super) async fn open(options: &Options) -> anyhow::Result<Outcome> {
    let mut world = world("kill-open", options, InDoubtPolicy::Resend).await?;
    let mut chance = Chance::new(options.seed, "kill-open");
    let load = Load::begin(&world, options.seed);
    load.allow(1_000);
    sleep(Duration::from_secs(1)).await;
    world.daemon.kill().await?;
    let begin = Instant::now();
    world.daemon.start().await?;
    let start = begin.elapsed();
    world.daemon.kill().await?;
    let kills = options.kills_of("kill-open");
    for round in 0..kills {
        progress("kill-open", round, kills, &world);
        if chance.below(SERVING_ONE_IN) == 0 {
            world.daemon.start().await?;
            load.allow(100);
            sleep(chance.shorter_than(Duration::from_millis(SERVING_MILLIS_MAX))).await;
        } else {
            world.daemon.spawn()?;
            sleep(chance.shorter_than(start * 5 / 4)).await;
        }
        world.daemon.kill().await?;
    }
    world.daemon.start().await?;
    load.end(LOAD_END_MAX).await;
    let (repeated, _) = rest(&mut world).await?;
    let client = world.restart_at_rest().await?;
    let findings = world.check(&client).await?;
    let done = format!("{} (a start takes {} ms)", done(kills, repeated), start.as_millis());
    Ok(outcome(&done, Faults::kills(kills), &findings, world, options))
}

async fn world(name: &str, options: &Options, in_doubt: InDoubtPolicy) -> anyhow::Result<World> {
    World::new(name, options, &House { in_doubt, quotas: &QUOTAS, store: None, space: Space::default() }).await
}

/// Kills and starts again so many times, and leaves the daemon running without load.
async fn kill_under_load(world: &mut World, options: &Options, name: &str) -> anyhow::Result<u64> {
    let mut chance = Chance::new(options.seed, name);
    let load = Load::begin(world, options.seed);
    let kills = options.kills_of(name);
    for round in 0..kills {
        progress(name, round, kills, world);
        load.allow(usize::try_from(chance.below(JOBS_A_KILL)).unwrap_or_default() + 1);
        // An account with quotas rests for a second after a start that left something in doubt: it needs longer rounds.
        let is_long = chance.below(LONG_ONE_IN) == 0;
        let serving = chance.shorter_than(Duration::from_millis(SERVING_MILLIS_MAX));
        sleep(if is_long { serving + LONG_SERVING } else { serving }).await;
        world.daemon.kill().await?;
        world.daemon.start().await?;
    }
    load.end(LOAD_END_MAX).await;
    Ok(kills)
}

/// Lets everything come to its end.
async fn rest(world: &mut World) -> anyhow::Result<(Repeated, hikyaku_client::Client)> {
    let client = world.daemon.serving().await?;
    let repeated = world.tie_up(&client).await?;
    world.drain(&client).await?;
    Ok((repeated, client))
}

fn done(kills: u64, repeated: Repeated) -> String {
    let Repeated { anew, unheard, again } = repeated;
    format!("{kills} kills; repeated: {anew} stored anew, {unheard} stored but unheard, {again} known")
}
