//! What the brain says to each scene.

use std::{num::NonZeroU32, time::Duration};

use super::*;
use crate::domain::{
    ids::JobId,
    limits::{CalendarSpan, Limits, Pace, Quota, QuotaUnit, QuotaWindow},
};

/// 2023-11-15 00:00:00 in Tokyo is a day, an hour and a minute that begins.
const MIDNIGHT_MS: u64 = 1_700_060_400_000 - 86_400_000;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(MIDNIGHT_MS + seconds * 1_000)
}

fn number(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).expect("not zero")
}

/// A normal job of lane 0 to one recipient, due since `at(0)`.
fn job(serial: u8) -> Candidate {
    Candidate {
        message: MessageKey::only(JobId::new(at(0), [serial; 10])),
        priority: Priority::Normal,
        lane: Lane(0),
        due: at(0),
        recipients: 1,
        bytes: 1_000,
        expires_at: None,
    }
}

fn parked(cause: ParkingCause, until: Option<Timestamp>) -> Standing {
    let reason = "a test".to_owned();
    Standing::Parked(Parking { cause, reason, reply: None, since: at(0), until, strikes: 1 })
}

fn daily(limit: u32) -> (Limits, WaitReason) {
    let window = QuotaWindow::Calendar { span: CalendarSpan::Day, zone: "Asia/Tokyo".to_owned() };
    let key = QuotaKey { unit: QuotaUnit::Recipients, window: window.clone() };
    let quotas = vec![Quota { limit: number(limit).into(), unit: key.unit, window }];
    (Limits { quotas, ..Limits::default() }, WaitReason::Quota(key))
}

/// An account at `at(100)`, which has sent `used` messages at `at(90)`.
struct Scene {
    stage: Stage,
    standing: Standing,
    quiet: Option<QuietEnd>,
    jobs: Vec<Candidate>,
    shares: FairShare,
    limits: Limits,
    used: u32,
    connections: Connections,
    in_flight: u32,
    chance: f64,
}

/// One that could send at once, to be changed for each row.
fn scene() -> Scene {
    Scene {
        stage: Stage::Running,
        standing: Standing::Active,
        quiet: None,
        jobs: vec![job(1)],
        shares: FairShare::default(),
        limits: Limits::default(),
        used: 0,
        connections: Connections { idle: 1, open: 1, max: 2, ahead: 0 },
        in_flight: 0,
        chance: 0.0,
    }
}

#[track_caller]
fn check(scene: Scene, expected: Next) {
    let mut ledger = Ledger::new(&scene.limits, Vec::new(), at(0));
    for _ in 0..scene.used {
        let permit = ledger.permit(Need::message_to(1), Priority::High, at(90)).expect("has room");
        let _ = ledger.settle(permit, at(90));
    }
    let mut pacing = Pacing::new(&scene.limits, at(0));
    if scene.used > 0 {
        pacing.begin(at(90));
        pacing.sent(at(90));
    }
    let Scene { stage, standing, quiet, jobs, shares, connections, in_flight, chance, .. } = &scene;
    let (stage, quiet, connections, in_flight, chance) = (*stage, *quiet, *connections, *in_flight, *chance);
    let (now, ledger, pacing) = (at(100), &mut ledger, &mut pacing);
    let view = View { now, stage, standing, quiet, jobs, shares, ledger, pacing, connections, in_flight, chance };
    assert_eq!(next(view), expected);
}

#[test]
fn a_worker_waits_for_new_work_or_a_due_time_and_never_polls() {
    check(scene(), Next::Send(0));
    check(Scene { jobs: Vec::new(), ..scene() }, Next::WaitForWork);
    let later = vec![Candidate { due: at(300), ..job(1) }, Candidate { due: at(200), ..job(2) }];
    check(Scene { jobs: later, ..scene() }, Next::WaitUntil { at: at(200), reason: WaitReason::Due });
}

#[test]
fn priority_comes_first_then_shares_then_due_time() {
    let bulk = Candidate { priority: Priority::Bulk, ..job(1) };
    let reset = Candidate { priority: Priority::High, due: at(99), ..job(9) };
    check(Scene { jobs: vec![bulk, reset], ..scene() }, Next::Send(1));

    let mut shares = FairShare::default();
    shares.served(Priority::Normal, Lane(7), 50);
    let jobs = vec![Candidate { lane: Lane(7), ..job(1) }, Candidate { lane: Lane(8), due: at(99), ..job(2) }];
    check(Scene { jobs, shares, ..scene() }, Next::Send(1));

    let jobs = vec![Candidate { due: at(50), ..job(1) }, Candidate { due: at(40), ..job(2) }];
    check(Scene { jobs, ..scene() }, Next::Send(1));
    // An urgent job that is not due yet holds up nobody.
    let jobs = vec![Candidate { priority: Priority::High, due: at(101), ..job(1) }, job(2)];
    check(Scene { jobs, ..scene() }, Next::Send(1));
}

#[test]
fn connections_are_bounded() {
    let full = Connections { idle: 0, open: 2, max: 2, ahead: 0 };
    check(Scene { connections: full, in_flight: 2, ..scene() }, Next::WaitForConnection);
    check(Scene { connections: Connections { ahead: 1, ..full }, in_flight: 2, ..scene() }, Next::Send(0));
    check(Scene { connections: Connections { open: 1, ..full }, in_flight: 1, ..scene() }, Next::Send(0));
    check(Scene { connections: Connections { idle: 1, ..full }, in_flight: 1, ..scene() }, Next::Send(0));
}

#[test]
fn a_used_up_quota_waits_for_its_reset_and_a_little_longer_but_never_less() {
    let (limits, reason) = daily(3);
    let scene = |used, chance, jobs| Scene { limits: limits.clone(), used, chance, jobs, ..scene() };
    let wait = |at| Next::WaitUntil { at, reason: reason.clone() };
    check(scene(2, 0.0, vec![job(1)]), Next::Send(0));
    check(scene(3, 0.0, vec![job(1)]), wait(at(86_400)));
    check(scene(3, 0.5, vec![job(1)]), wait(at(86_401)));
    check(scene(3, -3.0, vec![job(1)]), wait(at(86_400)));
    // What becomes due meanwhile may need less.
    check(scene(3, 0.0, vec![job(1), Candidate { due: at(500), ..job(2) }]), wait(at(500)));
}

#[test]
fn a_job_that_waits_for_room_is_not_overtaken_by_smaller_ones() {
    let (limits, reason) = daily(3);
    let jobs = |recipients| vec![Candidate { recipients, ..job(1) }, job(2)];
    let scene = |recipients| Scene { limits: limits.clone(), used: 1, jobs: jobs(recipients), ..scene() };
    check(scene(2), Next::Send(0));
    check(scene(3), Next::WaitUntil { at: at(86_400), reason: reason.clone() });
    let WaitReason::Quota(key) = reason else { unreachable!("daily() names a quota") };
    check(scene(4), Next::TooLarge { index: 0, key });
}

#[test]
fn nothing_begins_in_a_quiet_window() {
    let quiet = |end, jobs| Scene { quiet: Some(end), jobs, ..scene() };
    let wait = |at| Next::WaitUntil { at, reason: WaitReason::Quiet };
    check(quiet(QuietEnd::At(at(500)), vec![job(1)]), wait(at(500)));
    check(quiet(QuietEnd::Never, vec![job(1)]), Next::WaitForResume);
    // Jobs are void in it as ever, and one without due jobs costs nothing.
    let void = Candidate { expires_at: Some(at(130)), ..job(1) };
    check(quiet(QuietEnd::At(at(500)), vec![void]), wait(at(130)));
    check(quiet(QuietEnd::Never, vec![void]), wait(at(130)));
    check(quiet(QuietEnd::Never, vec![Candidate { expires_at: Some(at(100)), ..job(1) }]), Next::Expire(0));
    check(quiet(QuietEnd::At(at(500)), Vec::new()), Next::WaitForWork);
}

#[test]
fn sends_are_spread_by_interval_and_pace() {
    let spread = Limits { interval: Duration::from_secs(30), ..Limits::default() };
    let wait = || Next::WaitUntil { at: at(120), reason: WaitReason::Pacing };
    check(Scene { limits: spread.clone(), used: 1, ..scene() }, wait());
    check(Scene { limits: spread, in_flight: 1, ..scene() }, Next::WaitForReply);
    let pace = Some(Pace { messages_per_minute: number(2), burst: number(1) });
    check(Scene { limits: Limits { pace, ..Limits::default() }, used: 1, ..scene() }, wait());
}

#[test]
fn a_parked_account_waits_for_its_time_or_for_a_person() {
    let cause = ParkingCause::Throttled;
    let wait = Next::WaitUntil { at: at(400), reason: WaitReason::Parked(cause) };
    check(Scene { standing: parked(cause, Some(at(400))), ..scene() }, wait);
    check(Scene { standing: parked(cause, Some(at(100))), ..scene() }, Next::Send(0));
    check(Scene { standing: parked(ParkingCause::NeedsReauth, None), ..scene() }, Next::WaitForResume);
}

#[test]
fn a_server_that_could_not_be_reached_is_probed_by_one_send_alone() {
    let standing = || parked(ParkingCause::Unreachable, Some(at(100)));
    check(Scene { standing: standing(), ..scene() }, Next::Send(0));
    check(Scene { standing: standing(), in_flight: 1, ..scene() }, Next::WaitForReply);
    check(Scene { standing: standing(), jobs: Vec::new(), ..scene() }, Next::WaitForWork);
}

#[test]
fn a_void_job_ends_even_while_its_account_waits() {
    let void = vec![job(1), Candidate { expires_at: Some(at(100)), ..job(2) }];
    let paused = || parked(ParkingCause::Paused, None);
    check(Scene { jobs: void.clone(), standing: paused(), ..scene() }, Next::Expire(1));
    check(Scene { jobs: void, ..scene() }, Next::Expire(1));
    let soon = vec![Candidate { expires_at: Some(at(130)), ..job(1) }];
    let wait = Next::WaitUntil { at: at(130), reason: WaitReason::Parked(ParkingCause::Paused) };
    check(Scene { jobs: soon, standing: paused(), ..scene() }, wait);
}

#[test]
fn shutdown_takes_no_work_and_ends_when_nothing_is_under_way() {
    check(Scene { stage: Stage::Draining, in_flight: 1, ..scene() }, Next::WaitForReply);
    check(Scene { stage: Stage::Draining, ..scene() }, Next::Stop);
}
