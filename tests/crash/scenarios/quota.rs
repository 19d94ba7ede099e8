//! Does no window ever hold more than its quota, and is it used well, while the daemon is restarted?

use std::time::Duration;

use hikyaku_client::proto::InDoubtPolicy;
use tokio::time::sleep;

use super::{Faults, Outcome, outcome};
use crate::{
    chance::Chance,
    daemon::Space,
    options::Options,
    recorder::most_in_window,
    told::{Plan, Submission},
    world::{House, TIGHT_ACCOUNT, World},
};

/// Quotas, mails and restarts of one length.
struct Size {
    quotas: [(u32, Duration); 2],
    mails: u64,
    restarts: u64,
}

/// Restarts, by SIGKILL and SIGTERM in turn, while an account sends at its limits.
pub(super) async fn restarts(options: &Options) -> anyhow::Result<Outcome> {
    let seconds = Duration::from_secs;
    let size = if options.long {
        Size { quotas: [(7, seconds(10)), (20, seconds(60))], mails: 200, restarts: 10 }
    } else {
        Size { quotas: [(7, seconds(2)), (20, seconds(12))], mails: 60, restarts: 6 }
    };
    let house = House { in_doubt: InDoubtPolicy::Resend, quotas: &size.quotas, store: None, space: Space::default() };
    let mut world = World::new("quota-restarts", options, &house).await?;
    let client = world.daemon.serving().await?;
    for number in 0..size.mails {
        let key = format!("q-{number}");
        let recipients = vec![format!("{key}@rcpt.test")];
        let submission = Submission { key, account: TIGHT_ACCOUNT.to_owned(), recipients, plan: Plan::Send };
        world.told.offer(&submission);
        let stored = client.submit(submission.request()).await?;
        world.told.acknowledge(&submission.key, &stored.job_id);
    }
    let least = least_time(&size);
    let mut chance = Chance::new(options.seed, "quota-restarts");
    for round in 0..size.restarts {
        let part = least / u32::try_from(size.restarts).unwrap_or(1);
        sleep(part / 2 + chance.shorter_than(part)).await;
        if round % 2 == 0 {
            world.daemon.kill().await?;
        } else {
            world.daemon.stop().await?;
        }
        world.daemon.start().await?;
    }
    let client = world.daemon.serving().await?;
    world.drain(&client).await?;
    let findings = world.check(&client).await?;
    let done = told(&world, &size, least)?;
    let faults = Faults { kills: size.restarts.div_ceil(2), others: "SIGTERMs", ..Faults::default() };
    Ok(outcome(&done, faults, &findings, world, options))
}

fn told(world: &World, size: &Size, least: Duration) -> anyhow::Result<String> {
    let deliveries = world.deliveries()?;
    let times = || deliveries.iter().map(|one| one.at_millis);
    let took = times().max().unwrap_or_default().saturating_sub(times().min().unwrap_or_default());
    let share = least.as_millis() * 100 / u128::from(took.max(1));
    let sender = deliveries.first().map(|one| one.sender.clone()).unwrap_or_default();
    let most: Vec<String> = size
        .quotas
        .iter()
        .map(|&(limit, window)| format!("{}/{limit} in {window:?}", most_in_window(&deliveries, &sender, window)))
        .collect();
    Ok(format!(
        "{} restarts, most {}; {} mails took {}.{} s, {share} % of the rate that the quotas allow",
        size.restarts,
        most.join(" and "),
        size.mails,
        took / 1_000,
        took % 1_000 / 100
    ))
}

/// The shortest time from the first mail to the last that the quotas allow.
fn least_time(size: &Size) -> Duration {
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..size.mails {
        let free = |&(limit, window): &(u32, Duration)| {
            let before = times.len().checked_sub(usize::try_from(limit).unwrap_or(usize::MAX));
            before.and_then(|at| times.get(at)).map_or(Duration::ZERO, |at| *at + window)
        };
        let next = size.quotas.iter().map(free).max().unwrap_or_default();
        times.push(next);
    }
    times.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_time_follows_all_quotas() {
        let seconds = Duration::from_secs;
        let least =
            |mails| least_time(&Size { quotas: [(7, seconds(10)), (20, seconds(60))], mails, restarts: 0 }).as_secs();
        assert_eq!([least(7), least(8), least(20), least(21), least(200)], [0, 10, 20, 60, 560]);
    }
}
