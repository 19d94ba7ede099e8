//! What happens when the store's disk is full?

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    time::Duration,
};

use anyhow::Context as _;
use hikyaku_client::{
    Client, Code, Error,
    proto::{InDoubtPolicy, JobControl},
};
use tokio::time::{Instant, sleep};

use super::{Faults, Outcome, outcome};
use crate::{
    daemon::Space,
    mount::{Mount, cannot_mount},
    options::Options,
    told::{Plan, Submission},
    world::{FREE_ACCOUNTS, House, World, steer},
};

const DISK_BYTES: u64 = 96 << 20;
const SPACE: Space = Space { intake_free_bytes_min: 24 << 20, work_free_bytes_min: 8 << 20, ballast_bytes: 8 << 20 };
/// What is left on the disk at first: too little for intake, enough for work.
const LEFT_BYTES: u64 = 12 << 20;
/// Jobs that wait while the disk fills.
const WAITING: u64 = 300;
/// How long the daemon may take to notice a change.
const NOTICE_SECONDS_MAX: u64 = 30;

/// Fills the disk, first so that work can go on, then to the last byte.
pub(super) async fn full(options: &Options) -> anyhow::Result<Outcome> {
    let folder = tempfile::Builder::new().prefix("hikyaku-disk-").tempdir().context("no temporary folder")?;
    if let Some(why) = cannot_mount(folder.path()) {
        return Ok(Outcome::Skipped(why));
    }
    let disk = Mount::tmpfs(&folder.path().join("disk"), DISK_BYTES)?;
    let store = disk.point().join("store");
    let house = House { in_doubt: InDoubtPolicy::Resend, quotas: &[], store: Some(&store), space: SPACE };
    let mut world = World::new("disk-full", options, &house).await?;
    let client = world.daemon.serving().await?;
    for number in 0..WAITING {
        for name in ["before", "late"] {
            submit(&world, &client, &format!("{name}-{number}"), Plan::Release).await?.context("refused at first")?;
        }
    }

    let filler = disk.point().join("filler");
    let mut broken = Vec::new();
    fill(&filler, free(disk.point())?.saturating_sub(LEFT_BYTES))?;
    let refused = until(&world, &client, "full", false).await?;
    let before = world.deliveries()?.len();
    release(&world, &client).await?;
    world.drain(&client).await?;
    let sent = world.deliveries()?.len() - before;
    if u64::try_from(sent).unwrap_or_default() < WAITING {
        broken.push(format!("delivery stopped: {sent} of {WAITING} were sent while intake was refused"));
    }

    let stopped = to_the_last_byte(&mut world, &client, &filler).await?;
    fs::remove_file(&filler).context("cannot make room")?;
    let client = if stopped { world.daemon.start().await? } else { client };
    let again = until(&world, &client, "again", true).await?;
    let client = world.daemon.serving().await?;
    world.tie_up(&client).await?;
    world.drain(&client).await?;
    let mut findings = world.check(&client).await?;
    findings.broken.extend(broken);
    let done = format!(
        "intake refused after {} ms, {sent} sent meanwhile; at the last byte the daemon {}; intake again {} ms after \
         there was room",
        refused.as_millis(),
        if stopped { "stopped" } else { "went on" },
        again.as_millis()
    );
    let faults = Faults { others: "full disk", ..Faults::default() };
    let outcome = outcome(&done, faults, &findings, world, options);
    drop(disk);
    Ok(outcome)
}

/// Takes all room, while settlements have to be written; whether the daemon stopped of it.
async fn to_the_last_byte(world: &mut World, client: &Client, filler: &Path) -> anyhow::Result<bool> {
    let disk = filler.parent().context("the filler has a folder")?.to_owned();
    fill(filler, free(&disk)?)?;
    for entry in world.told.entries().into_iter().filter(|entry| entry.submission.plan == Plan::Release) {
        // What the ballast has given back is taken too.
        fill(filler, free(&disk)?)?;
        let Some(id) = entry.job_id.filter(|_| entry.submission.key.starts_with("late-")) else { continue };
        match steer(client, JobControl::Release, id).await {
            Err(_) if world.daemon.ended()?.is_some() => break,
            // Refused for want of space or not: it is released again at the end.
            Ok(()) | Err(_) => {}
        }
    }
    sleep(Duration::from_secs(2)).await;
    Ok(world.daemon.ended()?.is_some())
}

/// Submits until it is refused for want of space, or taken; tells how long that took.
async fn until(world: &World, client: &Client, name: &str, taken: bool) -> anyhow::Result<Duration> {
    let begin = Instant::now();
    for number in 0.. {
        let stored = submit(world, client, &format!("{name}-{number}"), Plan::Send).await?;
        if stored.is_some() == taken {
            break;
        }
        let waited = begin.elapsed();
        anyhow::ensure!(waited.as_secs() < NOTICE_SECONDS_MAX, "intake does not change: still taken: {}", !taken);
        sleep(Duration::from_millis(100)).await;
    }
    Ok(begin.elapsed())
}

/// The job's id; none when there was no room for it.
async fn submit(world: &World, client: &Client, key: &str, plan: Plan) -> anyhow::Result<Option<String>> {
    let recipients = vec![format!("{key}@rcpt.test")];
    let submission = Submission { key: key.to_owned(), account: FREE_ACCOUNTS[0].to_owned(), recipients, plan };
    match client.submit(submission.request()).await {
        Ok(stored) => {
            world.told.offer(&submission);
            world.told.acknowledge(key, &stored.job_id);
            Ok(Some(stored.job_id))
        }
        Err(Error::Refused(refused)) if refused.code == Code::ResourceExhausted => Ok(None),
        Err(error) => Err(error).context("refused for another reason than space"),
    }
}

/// Releases what shall be sent while intake is refused.
async fn release(world: &World, client: &Client) -> anyhow::Result<()> {
    for entry in world.told.entries().into_iter().filter(|entry| entry.submission.key.starts_with("before-")) {
        if let Some(id) = entry.job_id {
            steer(client, JobControl::Release, id).await?;
        }
    }
    Ok(())
}

/// Appends so many bytes, or as many as there is room for.
fn fill(path: &Path, bytes: u64) -> anyhow::Result<()> {
    const BLOCK: [u8; 4_096] = [0x5a; 4_096];
    let mut file = File::options().create(true).append(true).open(path).context("cannot fill the disk")?;
    for _ in 0..bytes / 4_096 {
        if file.write_all(&BLOCK).is_err() {
            break;
        }
    }
    Ok(())
}

/// Free bytes of the file system.
fn free(point: &Path) -> anyhow::Result<u64> {
    let output = crate::mount::run(std::process::Command::new("df").args(["--output=avail", "-B1"]).arg(point))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().last().unwrap_or_default().trim().parse().context("df prints no number")
}
