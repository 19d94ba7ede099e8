//! Do the jobs of `tests/corpus` become the messages that were reviewed? Its README says how jobs are written there.

mod job;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use hikyaku_proto::v1;
use job::{Expected, Job, Jobs, Refused, Setting};

use super::*;
use crate::{
    domain::account::{Encryption, SenderPattern, Server},
    service::convert::draft::to_order,
};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
/// Set to write the snapshots anew; then they have to be reviewed.
const UPDATE: &str = "HIKYAKU_UPDATE_CORPUS";

#[test]
fn every_job_of_the_corpus_becomes_its_reviewed_message() {
    let (mut found, mut wrong) = (BTreeMap::new(), Vec::new());
    for (theme, jobs) in themes() {
        for job in jobs {
            for setting in job.settings() {
                let name = format!("{theme}/{}.{}", job.name, setting.name());
                match (made(&job, setting), &job.expected(setting).refused) {
                    (Ok(made), None) => {
                        check_warnings(&name, &made.warnings, &job.expected(setting), &mut wrong);
                        assert!(found.insert(name.clone(), made.message.bytes).is_none(), "{name} is there twice");
                    }
                    (Ok(_), Some(_)) => wrong.push(format!("{name}: is not refused")),
                    (Err(violations), expected) => check_refusal(&name, &violations, expected.as_ref(), &mut wrong),
                }
            }
        }
    }
    assert!(found.len() >= 200, "{} messages are too few", found.len());
    let folder = corpus().join("snapshots");
    if std::env::var_os(UPDATE).is_some() {
        write(&folder, &found);
    } else {
        compare(&folder, &found, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus")
}

/// The jobs of each file, by its name.
fn themes() -> Vec<(String, Vec<Job>)> {
    let files = fs::read_dir(corpus().join("jobs")).expect("there are jobs");
    let mut files: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    files.sort();
    let read = |file: PathBuf| {
        let text = fs::read_to_string(&file).expect("a text");
        let Jobs { job } = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        (file.file_stem().expect("a name").to_string_lossy().into_owned(), job)
    };
    files.into_iter().map(read).collect()
}

/// What the service makes of a job, for an account with this charset.
fn made(job: &Job, setting: Setting) -> Result<Made, Vec<Violation>> {
    let order = to_order(v1::SubmitJobRequest { job: Some(job.draft()), ..v1::SubmitJobRequest::default() })?;
    let host = "smtp.example.jp".parse().expect("a host");
    let server = Server::new(host, 587.try_into().expect("a port"), Encryption::StartTls);
    let from = Mailbox { name: None, address: "shop@example.jp".parse().expect("an address") };
    let mut settings = AccountSettings::new(from, server);
    settings.may_send_as = order.from.iter().map(|from| SenderPattern::Address(from.address.clone())).collect();
    settings.content.charset = setting.charset();
    settings.limits.recipients_per_job_max = 1_000.try_into().expect("a number");
    let birth = Birth {
        id: JobId::new(NOW, [7; 10]),
        caller: "corpus".parse().expect("a caller"),
        now: NOW,
        account: "shop".parse().expect("an account"),
        fallbacks: None,
        keys: Vec::new(),
    };
    job_of(order, &settings, birth)
}

fn check_warnings(name: &str, found: &[String], expected: &Expected, wrong: &mut Vec<String>) {
    if let Some(warnings) = &expected.warnings
        && warnings != found
    {
        wrong.push(format!("{name}: warns {found:?}"));
    }
}

fn check_refusal(name: &str, found: &[Violation], expected: Option<&Refused>, wrong: &mut Vec<String>) {
    let is_expected = |refused: &Refused| {
        found.iter().any(|one| one.field == refused.field && one.description.contains(&refused.reason))
    };
    if !expected.is_some_and(is_expected) {
        wrong.push(format!("{name}: is refused: {found:?}"));
    }
}

fn write(folder: &Path, found: &BTreeMap<String, bytes::Bytes>) {
    // What is no longer made goes too.
    let _ = fs::remove_dir_all(folder);
    for (name, bytes) in found {
        let file = folder.join(format!("{name}.eml"));
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(file, bytes).expect("it is written");
    }
}

fn compare(folder: &Path, found: &BTreeMap<String, bytes::Bytes>, wrong: &mut Vec<String>) {
    for (name, bytes) in found {
        match fs::read(folder.join(format!("{name}.eml"))) {
            Ok(reviewed) if reviewed == *bytes => {}
            Ok(reviewed) => {
                let line = reviewed.iter().zip(bytes).take_while(|(a, b)| a == b).filter(|(a, _)| **a == b'\n').count();
                wrong.push(format!("{name}: line {} differs from the snapshot", line + 1));
            }
            Err(error) => wrong.push(format!("{name}: its snapshot cannot be read: {error}")),
        }
    }
    let themes = fs::read_dir(folder).expect("there are snapshots").map(|theme| theme.expect("a folder").path());
    let kept = themes.flat_map(|theme| fs::read_dir(theme).expect("a folder")).count();
    if kept != found.len() {
        wrong.push(format!("{kept} snapshots for {} messages; {UPDATE}=1 writes them anew", found.len()));
    }
}
