//! Whether what was acknowledged survives `kill -9`: the test starts itself again as a writer and kills that.
//! `HIKYAKU_KILL_ROUNDS` sets how often.

use std::{
    collections::HashSet,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use super::tests::open_plain;
use crate::{
    domain::{
        attempt::Fate,
        ids::{JobId, MessageKey},
        job::Flight,
        job::JobState,
        time::Timestamp,
    },
    storage::{
        AccountStore, JobStore, Progress, Queue, StoreCare, Submission, contract::samples, settlement::Settlement,
    },
};

const PATH_VARIABLE: &str = "HIKYAKU_KILL_PATH";
const ROUND_VARIABLE: &str = "HIKYAKU_KILL_ROUND";
const WRITERS: u64 = 8;

struct Silent;

impl Progress for Silent {
    fn report(&self, _done: u64, _total: u64) {}
}

fn submission(round: u64, writer: u64, number: u64) -> Submission {
    let mut job = samples::sample_job("sales", 1);
    let mut random = [0; 10];
    random[1] = u8::try_from(round).unwrap();
    random[5] = u8::try_from(writer).unwrap();
    random[6..].copy_from_slice(&u32::try_from(number).unwrap().to_be_bytes());
    job.id = JobId::new(job.accepted_at, random);
    let mut given = samples::submission(job);
    // Some messages are cut into frames, some become files.
    let bytes = [500, 5_000, 70_000][usize::try_from(number % 3).unwrap()];
    given.message.bytes = format!("{number:08}").repeat(bytes / 8).into();
    given
}

/// The child: accepts jobs and settles every second one, and says what was acknowledged, until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "is the child of the test below"]
async fn write_until_killed() {
    let path = std::env::var(PATH_VARIABLE).unwrap();
    let round: u64 = std::env::var(ROUND_VARIABLE).unwrap().parse().unwrap();
    let store = open_plain(Path::new(&path));
    // From the second round on it is there already.
    let _ = store.create_account(samples::sample_account("sales")).await;
    let tenure = store.take_tenure(&samples::account_id("sales")).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (store, tenure) = (Arc::clone(&store), tenure.clone());
        tasks.spawn(async move {
            for number in 0.. {
                let given = submission(round, writer, number);
                let id = given.job.id;
                let now = given.job.accepted_at;
                store.accept(vec![given]).await.unwrap();
                say(&format!("accepted {id}"));
                if number % 2 == 0 {
                    let attempt = Some(samples::attempt(1, &[Fate::Submitted], now));
                    let settled = Settlement {
                        message: MessageKey::only(id),
                        attempt,
                        retry_at: now,
                        charges: vec![],
                        now,
                        handed_over: true,
                        aftermath: None,
                    };
                    store.settle(&tenure, vec![settled]).await.unwrap();
                    say(&format!("settled {id}"));
                }
            }
        });
    }
    tasks.join_next().await;
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n@{line}").unwrap();
    out.flush().unwrap();
}

/// Runs the child until it has acknowledged some, kills it, and returns what it said.
fn kill_a_writer(path: &Path, round: u64) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "storage::sled::killing::write_until_killed"])
        .env(PATH_VARIABLE, path)
        .env(ROUND_VARIABLE, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = Vec::new();
    let enough = 50 + 37 * usize::try_from(round % 7).unwrap();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        said.extend(line.unwrap().strip_prefix('@').map(str::to_owned));
        if said.len() == enough {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    // The last line may have been cut by the kill.
    said.retain(|line| line.len() == "settled ".len() + 36 || line.len() == "accepted ".len() + 36);
    said
}

#[tokio::test]
async fn acknowledged_jobs_survive_kills() {
    let dir = tempfile::tempdir().unwrap();
    let rounds = std::env::var("HIKYAKU_KILL_ROUNDS").map_or(5, |rounds| rounds.parse().unwrap());
    let mut accepted = HashSet::new();
    let mut settled = HashSet::new();
    for round in 0..rounds {
        for line in kill_a_writer(dir.path(), round) {
            let (verb, id) = line.split_once(' ').unwrap();
            let id: JobId = id.parse().unwrap();
            if verb == "settled" {
                settled.insert(id)
            } else {
                accepted.insert(id)
            };
        }
        let store = open_plain(dir.path());
        for id in &accepted {
            let record = store.job(*id).await.unwrap().unwrap_or_else(|| panic!("round {round}: {id} is lost"));
            let message = store.message(*id).await.unwrap().unwrap();
            assert!(message.bytes.len() >= 496, "round {round}: the message of {id} is cut");
            let state = record.job.state(Flight::Grounded, Timestamp::from_millis(u64::MAX));
            assert!(!settled.contains(id) || state == JobState::Submitted, "round {round}: {id} is {state:?}");
        }
        let findings = store.verify(&Silent).await.unwrap();
        assert_eq!((findings.quarantined_count, findings.mended), (0, 0), "round {round}: {findings:?}");
        store.close().await.unwrap();
    }
    assert!(!settled.is_empty() && settled.len() < accepted.len());
}
