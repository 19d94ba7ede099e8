//! What does the daemon do with a store whose files were damaged while it was stopped?

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::Context as _;
use futures_util::TryStreamExt as _;
use hikyaku_client::{
    Client,
    proto::{InDoubtPolicy, Job, JobFilter, JobState},
};
use tokio::{process::Command, time::sleep};

use super::{Faults, Outcome, outcome};
use crate::{
    chance::Chance,
    daemon::{Daemon, Space},
    load::Load,
    options::Options,
    recorder::bare,
    world::{House, World},
};

/// Submissions in the store.
const JOBS: usize = 600;
/// How long a damaged store may be worked on before what is left is looked at.
const WORK_SECONDS: u64 = 1;

/// What became of damaged stores.
#[derive(Debug, Default)]
struct Tally {
    refused: u64,
    /// Served at first, and then stopped with a clear text.
    stopped: u64,
    whole: u64,
    told: u64,
    /// Why it stopped.
    reasons: Vec<String>,
    broken: Vec<String>,
}

/// Damages copies of a store, each in another place, and starts the daemon on each.
pub(super) async fn damage(options: &Options) -> anyhow::Result<Outcome> {
    let house = House { in_doubt: InDoubtPolicy::Resend, quotas: &[], store: None, space: Space::default() };
    let mut world = World::new("damage", options, &house).await?;
    let load = Load::begin(&world, options.seed);
    load.allow(JOBS);
    load.end(Duration::from_secs(60)).await;
    let client = world.daemon.serving().await?;
    world.tie_up(&client).await?;
    world.drain(&client).await?;
    let findings = world.check(&client).await?;
    let known: BTreeMap<String, Job> = jobs(&client).await?.into_iter().map(|job| (job.job_id.clone(), job)).collect();
    world.daemon.stop().await?;

    let mut chance = Chance::new(options.seed, "damage");
    let mut tally = Tally::default();
    for round in 0..options.kills {
        let folder = world.folder.path().join(format!("copy-{round}"));
        let done = break_copy(world.daemon.store(), &folder.join("store"), &mut chance)?;
        // The account passwords' key is not the store's.
        fs::copy(world.folder.path().join("seal.key"), folder.join("seal.key")).context("cannot copy the key")?;
        let broken = tally.broken.len();
        look(&folder, &done, &known, &mut tally).await?;
        if tally.broken.len() == broken && !options.keep {
            fs::remove_dir_all(&folder).context("cannot remove a folder")?;
        }
    }
    let mut findings = findings;
    findings.broken.extend(tally.broken);
    let done = format!(
        "{} damaged stores: {} refused and {} stopped later with a clear text, {} served whole, {} served with the damage \
         told{}",
        options.kills,
        tally.refused,
        tally.stopped,
        tally.whole,
        tally.told,
        tally.reasons.first().map(|why| format!(" (stopped because: {why})")).unwrap_or_default()
    );
    let faults = Faults { others: "damaged files", ..Faults::default() };
    Ok(outcome(&done, faults, &findings, world, options))
}

async fn jobs(client: &Client) -> anyhow::Result<Vec<Job>> {
    client.list_jobs(JobFilter::default()).try_collect().await.context("cannot list")
}

/// Starts the daemon on a damaged store and judges what it does.
async fn look(folder: &Path, done: &str, known: &BTreeMap<String, Job>, tally: &mut Tally) -> anyhow::Result<()> {
    let mut daemon = Daemon::new(folder, &folder.join("store"), Space::default())?;
    let started = daemon.start().await;
    let log = daemon.log();
    let place = folder.display();
    // sled panics on what it does not understand; that is caught, and what follows from it is judged below.
    for line in daemon.panics().into_iter().filter(|line| !line.contains("/sled-0.")) {
        tally.broken.push(format!("panic: {done} in {place}: {line}"));
    }
    let client = match started {
        Ok(client) => client,
        Err(error) => {
            match daemon.ended()? {
                Some(status) if !status.success() && log.lines().any(|line| line.contains("store")) => {
                    tally.refused += 1
                }
                _ => tally.broken.push(format!("unclear: {done} in {place}: {error:#}")),
            }
            return Ok(());
        }
    };
    sleep(Duration::from_secs(WORK_SECONDS)).await;
    let found = jobs(&client).await;
    let verified = verify(&daemon, folder).await?;
    if let Some(status) = daemon.ended()? {
        let log = daemon.log();
        if status.success() || !tells(&log) {
            tally.broken.push(format!("unclear: {done} in {place}: ended by itself, {status}"));
        }
        tally.stopped += 1;
        tally.reasons.extend(log.lines().rev().find(|line| line.starts_with("hikyakud: ")).map(str::to_owned));
        return Ok(());
    }
    let found = found?;
    let spoke = tells(&daemon.log()) || !verified.is_empty();
    let missing = known.len() - known.keys().filter(|id| found.iter().any(|job| job.job_id == **id)).count();
    let changed = found.iter().filter(|job| known.get(&job.job_id).is_none_or(|old| differs(old, job))).count();
    if missing + changed == 0 {
        if spoke { tally.told += 1 } else { tally.whole += 1 }
    } else if spoke {
        tally.told += 1;
    } else {
        let what = format!("{done} in {place}: {missing} jobs gone, {changed} changed, and nothing said");
        tally.broken.push(format!("silent: {what}"));
    }
    daemon.kill().await
}

/// Whether a text tells of damage: anything worth a warning but what is said of ordinary recovery and of full disks.
fn tells(text: &str) -> bool {
    const WORDS: [&str; 5] = ["damaged", "to quarantine", "does not open", "unreadable", "has lost"];
    text.lines().any(|line| {
        let is_raised = line.contains("\"ERROR\"") || line.contains("\"WARN\"") || line.starts_with("hikyakud: ");
        is_raised && WORDS.iter().any(|word| line.contains(word))
    })
}

/// Whether a job that was final came back as something else.
fn differs(old: &Job, new: &Job) -> bool {
    let same = old.subject == new.subject
        && bare(&old.message_id) == bare(&new.message_id)
        && old.state() == new.state()
        && new.state() != JobState::Unspecified
        && old.recipients == new.recipients;
    !same
}

/// What `hikyaku store verify` says of a running daemon; empty when the program is not built.
async fn verify(daemon: &Daemon, folder: &Path) -> anyhow::Result<String> {
    let own = std::env::current_exe().context("cannot find this program's own file")?;
    let program = own.with_file_name("hikyaku");
    if !program.exists() {
        return Ok(String::new());
    }
    let mut command = Command::new(program);
    command.arg("--endpoint").arg(daemon.endpoint().to_string()).args(["--json", "store", "verify"]);
    let output = command.current_dir(folder).stdin(Stdio::null()).output().await.context("cannot run hikyaku")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let clean = text.contains("\"quarantined_count\":0") || text.contains("\"quarantined_count\": 0");
    Ok(if clean { String::new() } else { text })
}

/// Copies a store and damages one of its files; tells where.
fn break_copy(from: &Path, to: &Path, chance: &mut Chance) -> anyhow::Result<String> {
    fs::create_dir_all(to).context("cannot make a folder")?;
    let mut files = Vec::new();
    copy(from, to, &mut files)?;
    files.sort();
    // Large files are where the records are, and yet each file has its turn.
    let by_size = chance.below(2) == 0;
    files.sort_by_key(|(_, bytes)| if by_size { u64::MAX - bytes } else { 0 });
    let pick = if by_size { 0 } else { usize::try_from(chance.below(files.len() as u64)).unwrap_or_default() };
    let (path, bytes) = files.get(pick).context("the store has no files")?.clone();
    let mut file = fs::OpenOptions::new().read(true).write(true).open(&path).context("cannot open a file")?;
    let name = path.strip_prefix(to).unwrap_or(&path).display().to_string();
    if chance.below(3) == 0 {
        let kept = chance.below(bytes);
        file.set_len(kept).context("cannot truncate")?;
        return Ok(format!("{name} cut from {bytes} to {kept} bytes"));
    }
    let mut flipped = Vec::new();
    for _ in 0..=chance.below(8) {
        let at = used(&mut file, bytes, chance)?;
        let mut byte = [0];
        file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut byte)).context("cannot read")?;
        byte[0] ^= 1 << chance.below(8);
        file.seek(SeekFrom::Start(at)).and_then(|_| file.write_all(&byte)).context("cannot write")?;
        flipped.push(at.to_string());
    }
    Ok(format!("{name} of {bytes} bytes flipped at {}", flipped.join(", ")))
}

/// A place in the file that is not within a long run of zeros, if one is soon found.
fn used(file: &mut fs::File, bytes: u64, chance: &mut Chance) -> anyhow::Result<u64> {
    const TRIES: usize = 50;
    let mut at = 0;
    for _ in 0..TRIES {
        at = chance.below(bytes);
        let mut around = [0; 16];
        file.seek(SeekFrom::Start(at)).context("cannot seek")?;
        let read = file.read(&mut around).context("cannot read")?;
        if around[..read].iter().any(|byte| *byte != 0) {
            break;
        }
    }
    Ok(at)
}

/// Copies a folder; lists the copied files that are not empty.
fn copy(from: &Path, to: &Path, files: &mut Vec<(PathBuf, u64)>) -> anyhow::Result<()> {
    for entry in fs::read_dir(from).context("cannot read a folder")? {
        let entry = entry.context("cannot read a folder")?;
        let target = to.join(entry.file_name());
        if entry.file_type().context("no file type")?.is_dir() {
            fs::create_dir_all(&target).context("cannot make a folder")?;
            copy(&entry.path(), &target, files)?;
        } else {
            let bytes = fs::copy(entry.path(), &target).context("cannot copy a file")?;
            if bytes > 0 {
                files.push((target, bytes));
            }
        }
    }
    Ok(())
}
