//! Does a backup that was made at work bring back all that was acknowledged before it, after the store was damaged?

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use futures_util::StreamExt as _;
use hikyaku_client::{Client, proto::InDoubtPolicy};
use hikyaku_daemon::{domain::time::Clock as _, platform::clock::SystemClock};
use tokio::time::sleep;

use super::{Faults, Outcome, outcome};
use crate::{
    checker::{self, Allowed, Books, Findings},
    daemon::Space,
    load::Load,
    options::Options,
    recorder::{Delivery, bare},
    told::{Ending, Entry},
    world::{House, World},
};

/// Submissions before the backup, while it is made, and after it.
const JOBS: usize = 250;
/// What a store that does not open must say, so that its owner knows what to do.
const CLEAR_WORDS: [&str; 2] = ["damaged", "store restore"];

/// What is known at the moment at which a backup begins.
struct Before {
    at_millis: u64,
    told: Vec<Entry>,
    endings: BTreeMap<String, Ending>,
}

/// Backs a working store up, damages it, restores the backup, and goes on with it.
pub(super) async fn restore(options: &Options) -> anyhow::Result<Outcome> {
    let house = House { in_doubt: InDoubtPolicy::Resend, quotas: &[], store: None, space: Space::default() };
    let mut world = World::new("restore", options, &house).await?;
    let load = Load::begin(&world, options.seed);
    load.allow(JOBS);
    sleep(Duration::from_secs(2)).await;
    load.allow(JOBS);
    let client = world.daemon.serving().await?;
    let backup = world.folder.path().join("backup");
    let before =
        Before { at_millis: SystemClock.now().as_millis(), told: world.told.entries(), endings: world.told.endings() };
    back_up(&client, &backup).await?;
    load.allow(JOBS);
    load.end(Duration::from_secs(30)).await;
    world.tie_up(&client).await?;
    world.drain(&client).await?;
    let whole = world.check(&client).await?;
    world.daemon.stop().await?;

    let mut broken: Vec<String> = whole.broken;
    let store = world.daemon.store().to_owned();
    let refusals = refuse_damaged(&mut world, &mut broken).await?;
    half_a_backup(&world, &backup, &mut broken).await?;
    fs::rename(&store, world.folder.path().join("damaged")).context("cannot put the damaged store aside")?;
    let restored_at = SystemClock.now().as_millis();
    let said = world.daemon.command(&["store", "restore"], &[&backup]).await?;
    ensure!(said.status.success(), "the backup is not restored: {}", String::from_utf8_lossy(&said.stderr));
    let client = world.daemon.start().await?;
    world.tie_up_known(&client).await?;
    world.drain(&client).await?;
    let (mut findings, after) = compare(&world, &client, &before, restored_at).await?;
    findings.broken.extend(broken);
    let kept = before.told.iter().filter(|entry| entry.job_id.is_some()).count();
    let done = format!(
        "backed up under load; {refusals} damaged stores refused with a clear text; restored: all {kept} jobs acknowledged \
         before the backup are there, and {after} of those acknowledged while it was made"
    );
    let faults = Faults { others: "damage, restore", ..Faults::default() };
    Ok(outcome(&done, faults, &findings, world, options))
}

async fn back_up(client: &Client, backup: &Path) -> anyhow::Result<()> {
    let path = backup.to_str().context("the path is not UTF-8")?;
    let mut steps = client.backup_store(path).await.context("the backup is refused")?;
    let mut is_complete = false;
    while let Some(step) = steps.next().await {
        is_complete = step.context("the backup failed")?.complete;
    }
    ensure!(is_complete, "the backup ended early");
    Ok(())
}

/// Damages the store in several ways, each of which must be refused at the start; the last one stays.
async fn refuse_damaged(world: &mut World, broken: &mut Vec<String>) -> anyhow::Result<usize> {
    let db = world.daemon.store().join("db").join("db");
    let whole = fs::read(&db).context("cannot read the store")?;
    let used = whole.iter().rposition(|byte| *byte != 0).unwrap_or_default();
    // sled uses its file again from the beginning: half of a small log may be garbage, without which it is as good as whole.
    let kept = used / 16;
    let mut scrambled = whole.clone();
    scrambled[kept..].fill(0x5a);
    let ways = [("its log ends early", whole[..kept].to_vec()), ("its log is scrambled", scrambled)];
    let snapshots = world.daemon.store().join("db");
    for (what, bytes) in &ways {
        fs::write(&db, bytes).context("cannot damage the store")?;
        for entry in fs::read_dir(&snapshots).context("cannot read the store")? {
            let path = entry.context("cannot read the store")?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("snap.")) {
                fs::remove_file(&path).context("cannot damage the store")?;
            }
        }
        let heard = world.daemon.log().len();
        match world.daemon.start().await {
            Ok(_) => {
                broken.push(format!("served: a store although {what}"));
                world.daemon.kill().await?;
            }
            Err(error) => {
                let text = format!("{error:#}{}", &world.daemon.log()[heard..]);
                if !CLEAR_WORDS.iter().all(|word| text.contains(word)) {
                    broken.push(format!("unclear: a store although {what}: {text}"));
                }
            }
        }
    }
    Ok(ways.len())
}

/// A backup of which a part is missing is refused, and leaves nothing where the store shall be.
async fn half_a_backup(world: &World, backup: &Path, broken: &mut Vec<String>) -> anyhow::Result<()> {
    let half = world.folder.path().join("half");
    copy(backup, &half)?;
    let db = half.join("db").join("db");
    let bytes = fs::read(&db).context("cannot read the backup")?;
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap_or_default();
    let mut torn = bytes;
    torn[used / 3..used * 2 / 3].fill(0x5a);
    fs::write(&db, torn).context("cannot damage the backup")?;
    // The damaged store is still in its place: that is refused first.
    let taken = world.daemon.command(&["store", "restore"], &[backup]).await?;
    if taken.status.success() {
        broken.push("restored: over a store that is there".to_owned());
    }
    let aside = world.folder.path().join("aside");
    let store = world.daemon.store();
    fs::rename(store, &aside).context("cannot put the store aside")?;
    let said = world.daemon.command(&["store", "restore"], &[&half]).await?;
    if said.status.success() || store.exists() {
        broken.push("restored: half a backup".to_owned());
        drop(fs::remove_dir_all(store));
    }
    fs::rename(&aside, store).context("cannot put the store back")
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to).context("cannot make a folder")?;
    for entry in fs::read_dir(from).context("cannot read a folder")? {
        let entry = entry.context("cannot read a folder")?;
        let target: PathBuf = to.join(entry.file_name());
        if entry.file_type().context("no file type")?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target).context("cannot copy a file")?;
        }
    }
    Ok(())
}

/// Compares the books as far as the backup reaches. A job that had ended before it must not be touched again; what ended
/// after it is not known to it, and counts from the restoration on.
async fn compare(
    world: &World,
    client: &Client,
    before: &Before,
    restored_at: u64,
) -> anyhow::Result<(Findings, usize)> {
    let jobs = World::jobs(client).await?;
    let all = world.deliveries()?;
    let is_new = |one: &Delivery| one.at_millis >= restored_at;
    let sent_again: BTreeSet<(&str, &str)> =
        all.iter().filter(|one| is_new(one)).map(|one| (one.message_id.as_str(), one.recipient.as_str())).collect();
    let job_of = |one: &Delivery| jobs.iter().find(|job| bare(&job.message_id) == one.message_id);
    let counts = |one: &Delivery| match job_of(one) {
        None => is_new(one),
        Some(job) if before.endings.contains_key(&job.job_id) => true,
        // What the backup knows as open was sent again, and what was sent before is not in its books.
        Some(_) => is_new(one) || !sent_again.contains(&(one.message_id.as_str(), one.recipient.as_str())),
    };
    let deliveries: Vec<Delivery> = all.iter().filter(|one| counts(one)).cloned().collect();
    let known = |id: &String| jobs.iter().any(|job| job.job_id == *id);
    let early = |id: &String| before.told.iter().any(|entry| entry.job_id.as_ref() == Some(id));
    let mut told = world.told.entries();
    for entry in &mut told {
        // Acknowledged after the backup had begun: it may be in it.
        entry.job_id = entry.job_id.take().filter(|id| early(id) || known(id));
    }
    let after = told.iter().filter(|entry| entry.job_id.as_ref().is_some_and(|id| !early(id))).count();
    let books = Books { told: &told, endings: &before.endings, deliveries: &deliveries, jobs: &jobs };
    let allowed = Allowed { stops: world.daemon.stops().to_vec(), ..world.allowed.clone() };
    let findings = checker::check(&books, &allowed);
    ensure!(before.at_millis < restored_at, "the clock of this host was set back");
    Ok((findings, after))
}
