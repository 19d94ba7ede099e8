//! Who waits for a quota of which something is kept back, and for how long.

use std::{num::NonZeroU32, time::Duration};

use super::*;
use crate::domain::{
    ids::JobId,
    limits::{Limits, Quota, QuotaUnit, QuotaWindow},
    reserves::Reserves,
};

/// Ten recipients in any 128 seconds, so that a bucket of the ledger is a second wide.
const LIMIT: u32 = 10;
const WINDOW_SECONDS: u64 = 128;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + seconds * 1_000)
}

fn window() -> QuotaWindow {
    QuotaWindow::Sliding(Duration::from_secs(WINDOW_SECONDS))
}

/// Of ten recipients one is left to people, and two are kept for HIGH.
fn limits() -> Limits {
    let limit = NonZeroU32::new(LIMIT).expect("not zero");
    let reserves = Reserves::new(10, &[(Priority::High, 20)]).expect("something is left");
    Limits {
        quotas: vec![Quota { limit: limit.into(), unit: QuotaUnit::Recipients, window: window() }],
        reserves,
        ..Limits::default()
    }
}

fn job(priority: Priority, recipients: u32) -> Candidate {
    let (message, lane) = (MessageKey::only(JobId::new(at(0), [0; 10])), Lane(0));
    Candidate { message, priority, lane, due: at(0), recipients, bytes: 1_000, expires_at: None }
}

/// What to do at `at(100)`, when a message was sent at each of these seconds.
#[track_caller]
fn check(sent: &[u64], jobs: &[Candidate], expected: &Next) {
    let limits = limits();
    let mut ledger = Ledger::new(&limits, Vec::new(), at(0));
    for second in sent {
        let permit = ledger.permit(Need::message_to(1), Priority::High, at(*second)).expect("has room");
        let _ = ledger.settle(permit, at(*second));
    }
    let (mut pacing, shares) = (Pacing::new(&limits, at(0)), FairShare::default());
    let next = next(View {
        now: at(100),
        stage: Stage::Running,
        standing: &Standing::Active,
        quiet: None,
        jobs,
        shares: &shares,
        ledger: &mut ledger,
        pacing: &mut pacing,
        connections: Connections { idle: 1, open: 1, max: 1, ahead: 0 },
        in_flight: 0,
        chance: 0.0,
    });
    assert_eq!(next, *expected);
}

fn key() -> QuotaKey {
    QuotaKey { unit: QuotaUnit::Recipients, window: window() }
}

/// The wait until what was sent at this second has left the window.
fn wait_for(second: u64) -> Next {
    Next::WaitUntil { at: at(second + 1 + WINDOW_SECONDS), reason: WaitReason::Quota(key()) }
}

#[test]
fn a_reserve_is_kept_from_less_urgent_jobs_alone() {
    let sent: Vec<u64> = (10..18).collect();
    for priority in [Priority::Normal, Priority::Low, Priority::Bulk] {
        check(&sent[..6], &[job(priority, 1)], &Next::Send(0));
        check(&sent[..7], &[job(priority, 1)], &wait_for(10));
        // There is room for two when the second message has left the window too.
        check(&sent[..7], &[job(priority, 2)], &wait_for(11));
        check(&sent[..8], &[job(priority, 1)], &wait_for(11));
    }
    check(&sent, &[job(Priority::High, 1)], &Next::Send(0));
    check(&sent, &[job(Priority::High, 2)], &wait_for(10));
}

#[test]
fn who_waits_for_a_reserve_blocks_nobody_more_urgent() {
    let sent: Vec<u64> = (10..17).collect();
    let jobs = [job(Priority::Bulk, 1), job(Priority::Normal, 1), job(Priority::High, 2)];
    check(&sent, &jobs, &Next::Send(2));
    check(&sent, &jobs[..2], &wait_for(10));
}

#[test]
fn what_is_left_to_people_is_never_used() {
    let sent: Vec<u64> = (10..19).collect();
    check(&sent, &[job(Priority::High, 1)], &wait_for(10));
}

#[test]
fn a_job_that_is_larger_than_its_share_goes_by_the_quota_alone() {
    check(&[], &[job(Priority::Bulk, 8)], &Next::Send(0));
    check(&[10, 20], &[job(Priority::Bulk, 8)], &Next::Send(0));
    check(&[10, 20, 30], &[job(Priority::Bulk, 8)], &wait_for(10));
    check(&[], &[job(Priority::High, 10)], &Next::Send(0));
    check(&[], &[job(Priority::Bulk, 11)], &Next::TooLarge { index: 0, key: key() });
}
