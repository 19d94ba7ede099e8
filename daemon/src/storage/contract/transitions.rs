//! What comes back of a job, and what is found out, tried on jobs alone.

use super::samples::{also_to, at, attempt, attempt_of, report, sample_job, sample_merge};
use crate::domain::{
    attempt::Fate,
    inbound::Effect,
    job::{Control, Flight, Job, JobState, Schedule},
    merge::{MergeTally, progress::MergeOutcome},
    recipient::RecipientState,
    report::{Report, ReportKind},
};

fn tried(fates: &[Fate]) -> Job {
    let mut job = sample_job("sales", 1);
    (1..fates.len()).for_each(|number| also_to(&mut job, &format!("user{number}@example.com")));
    job.settle(attempt(1, fates, at(10)), at(70));
    job
}

#[track_caller]
fn check_report(fate: Option<Fate>, kind: ReportKind, expected: Effect, state: JobState) {
    let mut job = fate.map_or_else(|| sample_job("sales", 1), |fate| tried(&[fate]));
    let before = job.clone();
    assert_eq!(job.report(0, report(kind)), expected);
    assert_eq!(job.state(Flight::Grounded, at(100)), state);
    if !matches!(expected, Effect::Bounced | Effect::Complained) {
        assert_eq!(job, before);
    }
    let again = job.report(0, report(ReportKind::Soft));
    if matches!(expected, Effect::Bounced | Effect::Complained) {
        assert_eq!(again, Effect::Repeated);
    }
}

#[test]
fn only_what_was_taken_comes_back() {
    let sent = Some(Fate::Submitted);
    check_report(sent, ReportKind::Hard, Effect::Bounced, JobState::Bounced);
    check_report(sent, ReportKind::Soft, Effect::Bounced, JobState::Bounced);
    check_report(sent, ReportKind::Complaint, Effect::Complained, JobState::Submitted);
    check_report(sent, ReportKind::Delayed, Effect::Noted, JobState::Submitted);
    check_report(Some(Fate::LeftInDoubt), ReportKind::Hard, Effect::Bounced, JobState::Bounced);
    check_report(Some(Fate::LeftInDoubt), ReportKind::Delayed, Effect::Noted, JobState::InDoubt);
    check_report(Some(Fate::Failed), ReportKind::Hard, Effect::None, JobState::Failed);
    check_report(Some(Fate::Deferred), ReportKind::Hard, Effect::None, JobState::Queued);
    check_report(None, ReportKind::Hard, Effect::None, JobState::Queued);
    assert_eq!(tried(&[Fate::Submitted]).report(7, report(ReportKind::Hard)), Effect::None);
}

#[test]
fn a_job_never_finishes_before_it_did() {
    let mut job = tried(&[Fate::Submitted]);
    let early = Report { at: at(3), ..report(ReportKind::Hard) };
    assert_eq!(job.report(0, early), Effect::Bounced);
    assert_eq!(job.finished_at(), Some(at(10)));
}

#[test]
fn what_is_found_is_submitted_and_what_is_not_waits_again() {
    let mut found = tried(&[Fate::LeftInDoubt, Fate::Failed]);
    let mut lost = found.clone();
    assert_eq!(found.doubtful_since(Flight::Grounded), Some(at(10)));
    assert!(!found.resolve_doubt(true, Flight::UnderWay, at(30)));
    assert!(found.resolve_doubt(true, Flight::Grounded, at(30)));
    assert_eq!(found.recipients()[0].state, RecipientState::Submitted { at: at(30), reply: None });
    assert_eq!((found.schedule, found.finished_at()), (Schedule::Idle, Some(at(30))));
    assert!(!found.resolve_doubt(true, Flight::Grounded, at(31)), "it is out of doubt");
    assert!(lost.resolve_doubt(false, Flight::Grounded, at(30)));
    assert_eq!((lost.due(), lost.pending()), (Some(at(30)), vec![0]));
    assert_eq!(lost.doubtful_since(Flight::Grounded), None);
}

fn merged(fates: &[Fate]) -> (Job, Vec<MergeOutcome>) {
    let mut job = sample_merge("sales", 1, u32::try_from(fates.len()).unwrap());
    let settle = |(index, fate)| {
        let met = attempt_of(index, 1, fate, at(10));
        job.settle_message(index, None, Flight::Grounded, &met, at(70)).unwrap()
    };
    let known = (0..).zip(fates.iter().copied()).map(settle).collect();
    job.reschedule_merge(None);
    (job, known)
}

#[test]
fn a_merge_counts_what_comes_back_once() {
    let (mut job, mut known) = merged(&[Fate::Submitted, Fate::LeftInDoubt, Fate::Submitted, Fate::Failed]);
    let kinds = [ReportKind::Hard, ReportKind::Soft, ReportKind::Complaint, ReportKind::Hard];
    let effects = [Effect::Bounced, Effect::Bounced, Effect::Complained, Effect::None];
    for _ in 0..2 {
        for ((known, kind), effect) in known.iter_mut().zip(kinds).zip(effects) {
            let met = job.report_message(known, report(kind));
            assert!(met == effect || met == Effect::Repeated, "{met:?}");
        }
        let tally = job.merge().unwrap().tally;
        assert_eq!(tally, MergeTally { bounced: 2, complained: 1, failed: 1, ..MergeTally::default() });
    }
    assert_eq!(job.finished_at(), Some(at(100)));
}

#[test]
fn a_message_of_a_merge_that_was_not_found_waits_again() {
    let (mut job, mut known) = merged(&[Fate::LeftInDoubt, Fate::LeftInDoubt]);
    assert_eq!(job.schedule, Schedule::Idle);
    assert!(job.resolve_message(&mut known[0], true, at(30)));
    assert!(job.resolve_message(&mut known[1], false, at(31)));
    assert!(!job.resolve_message(&mut known[1], false, at(31)), "it is out of doubt");
    assert_eq!((job.schedule, known[1].due), (Schedule::Waiting { due: at(31) }, at(31)));
    let tally = job.merge().unwrap().tally;
    assert_eq!(tally, MergeTally { submitted: 1, waiting: 1, ..MergeTally::default() });
}

#[test]
fn what_was_withdrawn_in_doubt_stays_withdrawn() {
    let (mut job, mut known) = merged(&[Fate::LeftInDoubt]);
    job.control(Control::Cancel, Flight::Grounded, at(20)).unwrap();
    let tally = job.merge().unwrap().tally;
    assert!(!job.resolve_message(&mut known[0], false, at(30)));
    assert_eq!(job.report_message(&mut known[0], report(ReportKind::Hard)), Effect::None);
    assert_eq!(job.merge().unwrap().tally, tally);
}
