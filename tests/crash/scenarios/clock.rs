//! Does the queue go on, and does each quota hold, when the wall clock is set forward and back?

use std::time::Duration;

use anyhow::Context as _;
use hikyaku_client::{Client, proto::InDoubtPolicy};
use tokio::time::{Instant, sleep, timeout};

use super::{Faults, Outcome, outcome};
use crate::{
    chance::Chance,
    daemon::Space,
    options::Options,
    recorder::most_in_window,
    told::{Plan, Submission},
    wallclock::WallClock,
    world::{FREE_ACCOUNTS, House, TIGHT_ACCOUNT, World},
};

/// Recipients and windows of the account with quotas.
const QUOTAS: [(u32, Duration); 2] = [(6, Duration::from_secs(3)), (15, Duration::from_secs(10))];
/// Leaps are chosen among these, and made longer or shorter by up to a quarter. None may reach the age at which finished
/// jobs are removed.
const LEAPS_MILLIS: [u64; 6] = [400, 2_500, 9_000, 60_000, 3_600_000, 15 * 86_400_000];
/// Mails of the account with quotas after each leap, and of one without.
const MAILS: [(&str, u64); 2] = [(TIGHT_ACCOUNT, 5), (FREE_ACCOUNTS[0], 3)];
/// How long after a leap a mail without quotas may take: a worker that sleeps looks at the clock every minute.
const FREE_WAIT: Duration = Duration::from_secs(75);
/// How long a reply's settlement may take to be stored.
const STORED: Duration = Duration::from_millis(500);
/// How long it serves between two leaps.
const SERVING: Duration = Duration::from_millis(1_500);
/// Two windows of the longest quota, and time to send in.
const DRAIN_WAIT: Duration = Duration::from_secs(180);

/// How far the clock is off, and whether that comes while the daemon runs.
struct Jumps<'w> {
    wall: &'w WallClock,
    chance: Chance,
    ahead: i64,
}

impl Jumps<'_> {
    /// Sets the clock: off by a random leap in either direction, or right again.
    fn leap(&mut self) -> anyhow::Result<i64> {
        let pick = usize::try_from(self.chance.below(LEAPS_MILLIS.len() as u64)).unwrap_or_default();
        let length = LEAPS_MILLIS[pick];
        let length = i64::try_from(length - length / 4 + self.chance.below(length / 2 + 1))?;
        let from = self.ahead;
        self.ahead = match self.chance.below(3) {
            0 if self.ahead != 0 => 0,
            0 | 1 => self.ahead + length,
            _ => self.ahead - length,
        };
        self.wall.set_ahead(self.ahead).context("cannot set the clock")?;
        Ok(self.ahead - from)
    }
}

/// Sets the clock while the daemon runs, and, back only, while it is down: a clock that is wrong at the start cannot be
/// known to be so.
pub(super) async fn jumps(options: &Options) -> anyhow::Result<Outcome> {
    let folder = tempfile::Builder::new().prefix("hikyaku-clock-").tempdir().context("no temporary folder")?;
    let wall = match WallClock::build(folder.path())? {
        Ok(wall) => wall,
        Err(why) => return Ok(Outcome::Skipped(format!("the settable clock cannot be built: {why}"))),
    };
    let house = House { in_doubt: InDoubtPolicy::Resend, quotas: &QUOTAS, store: None, space: Space::default() };
    let mut world = World::new("clock", options, &house).await?;
    world.daemon.kill().await?;
    world.daemon.set_environment(wall.environment());
    world.daemon.start().await?;
    let mut jumps = Jumps { wall: &wall, chance: Chance::new(options.seed, "clock"), ahead: 0 };
    let (mut running, mut down, mut number) = ((0, 0), 0, 0);
    let mut slowest = Duration::ZERO;
    for round in 0..options.kills {
        let client = world.daemon.serving().await?;
        for (account, mails) in MAILS {
            for _ in 0..mails {
                number += 1;
                submit(&world, &client, account, &format!("{account}-{number}")).await?;
            }
        }
        sleep(jumps.chance.shorter_than(SERVING)).await;
        if round % 4 == 3 {
            // Back, or right again, while it is down. What a leap has moved in the ledger is stored with the account's next
            // settlement: until then a crash forgets it.
            sent(&world, &client, TIGHT_ACCOUNT, &format!("stored-{round}")).await?;
            sleep(STORED).await;
            world.daemon.kill().await?;
            jumps.ahead = jumps.ahead.min(0) - i64::try_from(jumps.chance.below(20_000))?;
            wall.set_ahead(jumps.ahead).context("cannot set the clock")?;
            world.daemon.start().await?;
            down += 1;
        } else if jumps.leap()? > 0 {
            running.0 += 1;
        } else {
            running.1 += 1;
        }
        let client = world.daemon.serving().await?;
        slowest = slowest.max(sent(&world, &client, FREE_ACCOUNTS[1], &format!("after-{round}")).await?);
    }
    wall.set_ahead(0).context("cannot set the clock")?;
    let client = world.daemon.serving().await?;
    timeout(DRAIN_WAIT, world.drain(&client)).await.context("after all leaps the queue stalls")??;
    let findings = world.check(&client).await?;
    let deliveries = world.deliveries()?;
    let sender = world.allowed.quotas.first().map(|quota| quota.sender.clone()).unwrap_or_default();
    let most =
        QUOTAS.map(|(limit, window)| format!("{}/{limit} in {window:?}", most_in_window(&deliveries, &sender, window)));
    let done = format!(
        "the clock was set forward {} times and back {} times while it ran, and {down} times while it was down; most {}; \
         a mail without quotas took {} ms at most",
        running.0,
        running.1,
        most.join(" and "),
        slowest.as_millis()
    );
    let faults = Faults { others: "clock leaps", ..Faults::kills(down) };
    Ok(outcome(&done, faults, &findings, world, options))
}

async fn submit(world: &World, client: &Client, account: &str, key: &str) -> anyhow::Result<()> {
    let recipients = vec![format!("{key}@rcpt.test")];
    let submission = Submission { key: key.to_owned(), account: account.to_owned(), recipients, plan: Plan::Send };
    world.told.offer(&submission);
    let stored = client.submit(submission.request()).await.with_context(|| format!("{key} is refused"))?;
    world.told.acknowledge(key, &stored.job_id);
    Ok(())
}

/// How long a mail takes; an error when it does not come.
async fn sent(world: &World, client: &Client, account: &str, key: &str) -> anyhow::Result<Duration> {
    let begin = Instant::now();
    submit(world, client, account, key).await?;
    let recipient = format!("{key}@rcpt.test");
    while !world.deliveries()?.iter().any(|one| one.recipient == recipient) {
        anyhow::ensure!(begin.elapsed() < FREE_WAIT, "after a leap of the clock {key} is not sent");
        sleep(Duration::from_millis(20)).await;
    }
    Ok(begin.elapsed())
}
