//! A random script that drives an engine beside the memory model: both must give the same answers.

use proptest::{collection::vec, option, prelude::*};

use super::{
    player::Player,
    step::{NewJob, Step},
};
use crate::{
    domain::{
        attempt::Fate,
        job::{Control, Priority},
        report::ReportKind,
    },
    storage::{SharedStorage, memory::MemoryStore},
};

/// Any script of up to `steps_max` steps.
pub fn scripts(steps_max: usize) -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 1..steps_max).prop_map(|mut steps| {
        // A script without accounts would meet nothing.
        steps.splice(0..0, (0..2).map(|account| Step::CreateAccount { account }));
        steps
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => account().prop_map(|account| Step::CreateAccount { account }),
        1 => (account(), any::<bool>()).prop_map(|(account, stale)| Step::UpdateAccount { account, stale }),
        1 => account().prop_map(|account| Step::DeleteAccount { account }),
        2 => (account(), 0..3_u8).prop_map(|(account, standing)| Step::SetStanding { account, standing }),
        8 => vec(new_job(), 1..4).prop_map(|jobs| Step::Accept { jobs }),
        3 => (new_job(), 1..100_u8, rarely())
            .prop_map(|(job, messages, surplus)| Step::AcceptMerge { job, messages, surplus }),
        5 => (account(), job(), indexes(), rarely())
            .prop_map(|(account, job, indexes, stale)| Step::MarkMessages { account, job, indexes, stale }),
        7 => (account(), job(), indexes(), option::weighted(0.8, fates()), 0..90_u64).prop_map(
            |(account, job, indexes, fates, retry_seconds)| {
                Step::SettleMessages { account, job, indexes, fates, retry_seconds }
            }
        ),
        6 => (vec(job(), 1..4), control()).prop_map(|(jobs, control)| Step::Control { jobs, control }),
        2 => vec(job(), 1..6).prop_map(|jobs| Step::Approve { jobs }),
        1 => account().prop_map(|account| Step::TakeTenure { account }),
        4 => (account(), vec(job(), 1..4), rarely()).prop_map(|(account, jobs, stale)| Step::Mark { account, jobs, stale }),
        5 => (account(), job(), option::of(fates()), 0..90_u64, rarely())
            .prop_map(|(account, job, fates, retry_seconds, stale)| Step::Settle { account, job, fates, retry_seconds, stale }),
        2 => (account(), vec(job(), 1..6), rarely())
            .prop_map(|(account, jobs, stale)| Step::Expire { account, jobs, stale }),
        6 => (account(), 0..6_usize, 0..6_usize, fates())
            .prop_map(|(account, limit, settled, fates)| Step::Work { account, limit, settled, fates }),
        5 => (account(), vec(job(), 1..6), account(), rarely())
            .prop_map(|(account, jobs, to, stale)| Step::Divert { account, jobs, to, stale }),
        2 => (scope(), vec(0..6_u8, 1..4), option::of(0..200_u64))
            .prop_map(|(scope, addresses, lasts_seconds)| Step::Suppress { scope, addresses, lasts_seconds }),
        5 => (scope(), 0..6_u8, proptest::bool::weighted(0.8))
            .prop_map(|(scope, address, requeue)| Step::Lift { scope, address, requeue }),
        6 => (account(), job(), scope(), indexes(), rarely())
            .prop_map(|(account, job, scope, indexes, stale)| Step::LeaveOut { account, job, scope, indexes, stale }),
        6 => (account(), 0..9_u8, any::<bool>(), option::weighted(0.3, 0..5_u8), reports()).prop_map(
            |(account, uid, imap, fingerprint, reports)| Step::Ingest { account, uid, imap, fingerprint, reports }
        ),
        1 => (account(), vec(0..9_u8, 1..5)).prop_map(|(account, uids)| Step::ForgetRead { account, uids }),
        5 => (account(), job(), prop_oneof![3 => Just(0), 2 => 0..9_u8], any::<bool>())
            .prop_map(|(account, job, index, found)| Step::ResolveDoubt { account, job, index, found }),
        1 => (account(), 0..3_u64).prop_map(|(account, bucket)| Step::ForgetUsage { account, bucket }),
        5 => (0..90_u64).prop_map(|seconds| Step::Wait { seconds }),
        1 => (0..900_000_u64).prop_map(|seconds| Step::Wait { seconds }),
        1 => (0..200_u64).prop_map(|finished_seconds_ago| Step::Prune { finished_seconds_ago }),
        1 => (0..5_usize).prop_map(|limit| Step::ExpireOverdue { limit }),
        1 => Just(Step::Reopen),
    ]
}

fn account() -> impl Strategy<Value = u8> {
    prop_oneof![6 => Just(0), 3 => Just(1), 1 => Just(2)]
}

/// Everywhere, for an account, or for a label.
fn scope() -> impl Strategy<Value = u8> {
    prop_oneof![6 => Just(0), 1 => Just(1), 1 => Just(2)]
}

fn job() -> impl Strategy<Value = u8> {
    0..24_u8
}

/// Messages of a merge job, often those that come first.
fn indexes() -> impl Strategy<Value = Vec<u8>> {
    let all = || Just((0..100).collect());
    prop_oneof![6 => vec(0..9_u8, 1..6), 2 => vec(0..100_u8, 1..20), 1 => all()]
}

fn rarely() -> impl Strategy<Value = bool> {
    proptest::bool::weighted(0.1)
}

fn control() -> impl Strategy<Value = Control> {
    proptest::sample::select(vec![Control::Cancel, Control::Hold, Control::Release, Control::Retry, Control::Expire])
}

fn reports() -> impl Strategy<Value = Vec<(u8, u8, u8, ReportKind)>> {
    let kinds = vec![ReportKind::Hard, ReportKind::Soft, ReportKind::Complaint, ReportKind::Delayed];
    vec((job(), 0..9_u8, 0..4_u8, proptest::sample::select(kinds)), 0..4)
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let all = vec![Fate::Submitted, Fate::Deferred, Fate::Failed, Fate::GivenUp, Fate::LeftInDoubt];
    vec(proptest::sample::select(all), 1..4)
}

fn new_job() -> impl Strategy<Value = NewJob> {
    let priority = proptest::sample::select(Priority::ALL.to_vec());
    let times = (prop_oneof![3 => Just(0), 1 => 0..90_u64], option::weighted(0.3, 0..90_u64));
    let bytes = prop_oneof![8 => 0..200_usize, 1 => 0..9_000_usize, 1 => 60_000..70_000_usize];
    let rest = (
        option::of(0..3_u8),
        1..4_u8,
        (rarely(), rarely()),
        option::weighted(0.3, (0..4_u8, 0..2_u8)),
        bytes,
        (option::of(account()), option::weighted(0.2, scope())),
    );
    (account(), priority, times, rest).prop_map(|(account, priority, times, rest)| {
        let (due_seconds, expires_seconds) = times;
        let (label, recipients, (held, approval), key, bytes, (fallback, left_out)) = rest;
        NewJob {
            account,
            priority,
            label,
            recipients,
            due_seconds,
            expires_seconds,
            held,
            approval,
            key,
            bytes,
            fallback,
            left_out,
        }
    })
}

/// Plays a script on `engine`, which must be empty, and on the memory model, and compares each answer and at last all
/// that can be read. `reopen` closes the engine and opens what it left.
///
/// # Panics
/// When the two differ.
pub async fn compare(script: &[Step], engine: SharedStorage, reopen: impl AsyncFn(SharedStorage) -> SharedStorage) {
    let mut model = Player::new(MemoryStore::new());
    let mut engine = Player::new(engine);
    for (number, step) in script.iter().enumerate() {
        if matches!(step, Step::Reopen) {
            engine = engine.reopened(&reopen).await;
            model = model.reopened(async |store| store).await;
        } else {
            let expected = model.play(step).await;
            assert_eq!(engine.play(step).await, expected, "step {number}: {step:?}");
        }
    }
    assert_eq!(engine.all().await, model.all().await);
}
