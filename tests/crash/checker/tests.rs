use std::sync::Arc;

use hikyaku_client::proto::{Attempt, Finding, Outcome};

use super::*;
use crate::told::Submission;

fn entry(key: &str, plan: Plan) -> Entry {
    let recipients = vec![format!("{key}@rcpt.test")];
    let submission = Submission { key: key.to_owned(), account: "ada".to_owned(), recipients, plan };
    Entry { submission, job_id: Some(format!("id-{key}")), cancelled: plan == Plan::Cancel }
}

fn job(key: &str, state: RecipientState, doubts: usize) -> Job {
    let recipient = Recipient { address: format!("{key}@rcpt.test"), state: state.into(), ..Recipient::default() };
    let finding = Finding { verdict: Verdict::InDoubt.into(), ..Finding::default() };
    let outcome = Outcome { recipients: vec![0], finding: Some(finding) };
    let attempt = Attempt { outcomes: vec![outcome], ..Attempt::default() };
    let sum = if state == RecipientState::Cancelled { JobState::Cancelled } else { JobState::Submitted };
    Job {
        job_id: format!("id-{key}"),
        subject: key.to_owned(),
        message_id: format!("<{key}@ada.test>"),
        state: sum.into(),
        recipients: vec![recipient],
        attempts: vec![attempt; doubts],
        ..Job::default()
    }
}

fn delivery(key: &str, at_millis: u64) -> Delivery {
    Delivery {
        message_id: format!("{key}@ada.test"),
        sender: "ada@ada.test".to_owned(),
        recipient: format!("{key}@rcpt.test"),
        at_millis,
        answered: true,
        content: Arc::default(),
    }
}

/// The kinds of what is broken, in order.
#[track_caller]
fn verify(told: &[Entry], deliveries: &[Delivery], jobs: &[Job], allowed: &Allowed, expected: &[&str]) {
    let endings = BTreeMap::new();
    let findings = check(&Books { told, endings: &endings, deliveries, jobs }, allowed);
    let kinds: Vec<&str> = findings.broken.iter().map(|line| line.split(':').next().unwrap_or_default()).collect();
    assert_eq!(kinds, expected, "{:?}", findings.broken);
}

#[test]
fn books_that_agree_break_nothing() {
    let told = [entry("a", Plan::Send), entry("b", Plan::Cancel)];
    let jobs = [job("a", RecipientState::Submitted, 0), job("b", RecipientState::Cancelled, 0)];
    verify(&told, &[delivery("a", 1)], &jobs, &Allowed::default(), &[]);
}

#[test]
fn an_acknowledged_job_may_neither_vanish_nor_stay_unsent() {
    let told = [entry("a", Plan::Send)];
    verify(&told, &[], &[], &Allowed::default(), &["lost"]);
    verify(&told, &[], &[job("a", RecipientState::Submitted, 0)], &Allowed::default(), &["wrong end"]);
    verify(&told, &[], &[job("a", RecipientState::Queued, 0)], &Allowed::default(), &["wrong end"]);
    verify(&told, &[delivery("a", 1)], &[job("a", RecipientState::Failed, 0)], &Allowed::default(), &["wrong end"]);
}

#[test]
fn what_was_cancelled_is_never_received() {
    let told = [entry("b", Plan::Cancel)];
    let jobs = [job("b", RecipientState::Cancelled, 0)];
    verify(&told, &[delivery("b", 1)], &jobs, &Allowed::default(), &["wrong end", "resurrected"]);
}

#[test]
fn what_was_received_is_of_a_stored_job() {
    verify(&[], &[delivery("a", 1)], &[], &Allowed::default(), &["resurrected"]);
    verify(&[], &[], &[job("a", RecipientState::Submitted, 0)], &Allowed::default(), &["unknown"]);
}

#[test]
fn each_repetition_needs_a_doubt_in_the_journal() {
    let told = [entry("a", Plan::Send)];
    let twice = [delivery("a", 1), delivery("a", 9)];
    let stopped = Allowed { stops: vec![5], ..Allowed::default() };
    verify(&told, &twice, &[job("a", RecipientState::Submitted, 0)], &stopped, &["repeated"]);
    verify(&told, &twice, &[job("a", RecipientState::Submitted, 1)], &stopped, &[]);
    let on_hold = Allowed { doubles: Some(BTreeSet::new()), ..stopped };
    verify(&told, &twice, &[job("a", RecipientState::Submitted, 1)], &on_hold, &["repeated although on hold"]);
}

#[test]
fn each_repetition_of_what_was_answered_needs_a_stop() {
    let told = [entry("a", Plan::Send)];
    let jobs = [job("a", RecipientState::Submitted, 1)];
    let twice = [delivery("a", 1_000), delivery("a", 9_000)];
    let stopped_at = |stop| Allowed { stops: vec![stop], ..Allowed::default() };
    verify(&told, &twice, &jobs, &stopped_at(9_001), &["repeated"]);
    verify(&told, &twice, &jobs, &stopped_at(1_000 - STOP_LATE_MILLIS - 1), &["repeated"]);
    verify(&told, &twice, &jobs, &stopped_at(5_000), &[]);
    let silent = [Delivery { answered: false, ..delivery("a", 1_000) }, delivery("a", 9_000)];
    verify(&told, &silent, &jobs, &Allowed::default(), &[]);
}

#[test]
fn what_has_ended_stays_so_and_is_not_received_again() {
    let told = [entry("a", Plan::Send)];
    let check_ending = |state, at_millis, expected: &[&str]| {
        let endings = BTreeMap::from([("id-a".to_owned(), Ending { state, at_millis })]);
        let (deliveries, jobs) = ([delivery("a", 100)], [job("a", RecipientState::Submitted, 0)]);
        let books = Books { told: &told, endings: &endings, deliveries: &deliveries, jobs: &jobs };
        let findings = check(&books, &Allowed::default());
        let kinds: Vec<&str> = findings.broken.iter().map(|line| line.split(':').next().unwrap_or_default()).collect();
        assert_eq!(kinds, expected);
        assert_eq!(findings.breaks().resurrected, expected.len());
    };
    check_ending(JobState::Submitted, 100, &[]);
    check_ending(JobState::Submitted, 99, &["resurrected"]);
    check_ending(JobState::Failed, 100, &["resurrected"]);
}

#[test]
fn a_key_makes_one_job() {
    let told = [entry("a", Plan::Send)];
    let jobs = [job("a", RecipientState::Submitted, 0), job("a", RecipientState::Submitted, 0)];
    verify(&told, &[delivery("a", 1)], &jobs, &Allowed::default(), &["stored twice"]);
}

#[test]
fn a_quota_holds_on_the_servers_clock() {
    let told = [entry("a", Plan::Send), entry("c", Plan::Send)];
    let jobs = [job("a", RecipientState::Submitted, 0), job("c", RecipientState::Submitted, 0)];
    let quota = Quota { sender: "ada@ada.test".to_owned(), limit: 1, window: Duration::from_secs(1) };
    let allowed = Allowed { quotas: vec![quota], ..Allowed::default() };
    verify(&told, &[delivery("a", 0), delivery("c", 1_000)], &jobs, &allowed, &[]);
    verify(&told, &[delivery("a", 0), delivery("c", 999)], &jobs, &allowed, &["over-sent"]);
}
