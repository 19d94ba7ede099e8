//! Who is left out of a job and waits again, tried on jobs alone.

use super::samples::{also_to, at, attempt, sample_job};
use crate::domain::{
    attempt::Fate,
    job::{Approval, Control, ControlRefusal, Flight, Job, JobState},
    suppression::{SuppressedBy, SuppressionKey, SuppressionReason, SuppressionScope},
};

fn by() -> SuppressedBy {
    SuppressedBy { scope: SuppressionScope::Global, reason: SuppressionReason::Manual }
}

fn key(address: &str) -> SuppressionKey {
    SuppressionKey::new(SuppressionScope::Global, &address.parse().unwrap())
}

fn job() -> Job {
    let mut job = sample_job("sales", 1);
    also_to(&mut job, "Hanako@example.com");
    job
}

#[test]
fn others_wait_on_when_one_is_left_out() {
    let mut job = job();
    assert_eq!(job.leave_out([(1, by()), (7, by())], at(2)), [1]);
    assert_eq!(job.leave_out([(1, by())], at(3)), [0_u32; 0], "it was left out before");
    assert_eq!((job.pending(), job.due()), (vec![0], Some(at(1))));
    assert_eq!(job.leave_out([(0, by())], at(4)), [0]);
    assert_eq!((job.due(), job.finished_at()), (None, Some(at(4))));
    assert_eq!(job.state(Flight::Grounded, at(5)), JobState::Suppressed);
}

#[test]
fn who_is_let_in_again_waits_with_the_others_or_at_once() {
    let mut first = job();
    first.leave_out([(1, by())], at(2));
    assert_eq!(first.readmit(&key("taro@example.com"), at(9)), 0, "somebody else");
    assert_eq!(first.readmit(&key("hanako@EXAMPLE.com"), at(9)), 1);
    assert_eq!(first, job());
    let mut second = job();
    second.leave_out([(0, by()), (1, by())], at(2));
    assert_eq!(second.readmit(&key("hanako@example.com"), at(9)), 1);
    assert_eq!((second.pending(), second.due()), (vec![1], Some(at(9))));
    second.approval = Some(Approval::Awaited);
    assert_eq!(second.due(), None, "it still has to be approved");
}

#[test]
fn what_is_over_takes_nobody_back() {
    let mut given = job();
    given.leave_out([(1, by())], at(2));
    let mut cancelled = given.clone();
    cancelled.control(Control::Cancel, Flight::Grounded, at(3)).unwrap();
    let mut wished = given.clone();
    wished.control(Control::Cancel, Flight::UnderWay, at(3)).unwrap();
    let mut ended = given.clone();
    ended.control(Control::Expire, Flight::Grounded, at(3)).unwrap();
    let late = Job { expires_at: Some(at(9)), ..given.clone() };
    for mut job in [cancelled, wished, ended, late] {
        assert_eq!(job.readmit(&key("hanako@example.com"), at(9)), 0, "{job:?}");
    }
    assert_eq!(given.readmit(&key("hanako@example.com"), at(9)), 1);
}

#[test]
fn who_is_let_in_again_during_an_attempt_is_due_when_it_has_ended() {
    let after = |fate| {
        let mut job = job();
        job.leave_out([(1, by())], at(2));
        assert_eq!(job.readmit(&key("hanako@example.com"), at(3)), 1);
        job.settle(attempt(1, &[fate], at(4)), at(64));
        (job.pending(), job.due())
    };
    assert_eq!(after(Fate::Submitted), (vec![1], Some(at(4))));
    assert_eq!(after(Fate::Deferred), (vec![0, 1], Some(at(64))), "it goes with the other one");
}

#[test]
fn who_was_left_out_can_be_withdrawn() {
    let mut job = job();
    job.leave_out([(0, by()), (1, by())], at(2));
    job.control(Control::Cancel, Flight::Grounded, at(3)).unwrap();
    assert_eq!((job.state(Flight::Grounded, at(4)), job.finished_at()), (JobState::Cancelled, Some(at(3))));
    assert_eq!(job.readmit(&key("hanako@example.com"), at(9)), 0);
    assert_eq!(job.control(Control::Cancel, Flight::Grounded, at(5)), Err(ControlRefusal::NothingToDo));
}
