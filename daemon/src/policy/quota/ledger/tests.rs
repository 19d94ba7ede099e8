//! What the ledger counts, and when it lets go.

use std::{num::NonZeroU32, time::Duration};

use super::*;
use crate::domain::limits::{CalendarSpan, QuotaUnit, QuotaWindow};

const NORMAL: Priority = Priority::Normal;

const T0: u64 = 1_700_000_000_000;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(T0 + millis)
}

fn quota(limit: u32, unit: QuotaUnit, window: QuotaWindow) -> Quota {
    Quota { limit: NonZeroU32::new(limit).expect("not zero").into(), unit, window }
}

fn per_seconds(limit: u32, seconds: u64) -> Quota {
    quota(limit, QuotaUnit::Messages, QuotaWindow::Sliding(Duration::from_secs(seconds)))
}

fn per_day(limit: u32) -> Quota {
    let window = QuotaWindow::Calendar { span: CalendarSpan::Day, zone: "Asia/Tokyo".to_owned() };
    quota(limit, QuotaUnit::Recipients, window)
}

fn limits(quotas: &[Quota]) -> Limits {
    Limits { quotas: quotas.to_vec(), ..Limits::default() }
}

fn send(ledger: &mut Ledger, recipients: u32, now: Timestamp) -> Vec<Charge> {
    let permit = ledger.permit(Need::message_to(recipients), NORMAL, now).expect("has room");
    ledger.settle(permit, now)
}

#[test]
fn all_quotas_hold_or_nothing_is_counted() {
    let mut ledger = Ledger::new(&limits(&[per_seconds(10, 60), per_day(5)]), Vec::new(), at(0));
    let _ = send(&mut ledger, 4, at(0));
    let exhausted = ledger.permit(Need::message_to(2), NORMAL, at(1)).expect_err("five a day");
    assert_eq!(exhausted.key.unit, QuotaUnit::Recipients);
    // 2023-11-15 00:00 in Tokyo.
    assert_eq!(exhausted.until.to_string(), "2023-11-15T15:00:00.000Z");
    let left: Vec<u64> = ledger.usage(at(1)).iter().map(|status| status.left).collect();
    assert_eq!(left, [9, 1]);
    assert_eq!(ledger.permits(), 0);
}

#[test]
fn an_exhausted_quota_has_room_at_the_very_time_it_names() {
    let mut ledger = Ledger::new(&limits(&[per_seconds(2, 60)]), Vec::new(), at(0));
    let _ = send(&mut ledger, 1, at(10));
    let _ = send(&mut ledger, 1, at(30_000));
    let until = ledger.permit(Need::message_to(1), NORMAL, at(31_000)).expect_err("two are used").until;
    assert!(until > at(60_010) && until <= at(60_600), "{until}");
    assert!(ledger.permit(Need::message_to(1), NORMAL, until.before(Duration::from_millis(1))).is_err());
    let permit = ledger.permit(Need::message_to(1), NORMAL, until).expect("the first has left");
    let _ = ledger.give_back(permit);
}

#[test]
fn what_is_in_flight_counts_however_long_it_takes() {
    let mut ledger = Ledger::new(&limits(&[per_seconds(1, 1)]), Vec::new(), at(0));
    let permit = ledger.permit(Need::message_to(1), NORMAL, at(0)).expect("has room");
    assert!(ledger.permit(Need::message_to(1), NORMAL, at(600_000)).is_err());
    let _ = ledger.settle(permit, at(600_000));
    assert!(ledger.permit(Need::message_to(1), NORMAL, at(601_000)).is_err());
    assert_eq!(ledger.next_free(Need::message_to(1), NORMAL, at(601_100)), at(601_100));
}

#[test]
fn a_settlement_moves_the_mark_to_the_bucket_of_the_reply() {
    let mut ledger = Ledger::new(&limits(&[per_seconds(9, 60), per_day(9)]), Vec::new(), at(0));
    let mut permit = ledger.permit(Need::message_to(3), NORMAL, at(0)).expect("has room");
    let mark = ledger.mark(&mut permit, at(100));
    assert_eq!(mark.iter().map(|charge| charge.amount).collect::<Vec<_>>(), [1, 3]);
    // It is still the same day.
    let moved = ledger.settle(permit, at(5_000));
    assert_eq!(moved.iter().map(|charge| charge.amount).collect::<Vec<_>>(), [-1, 1]);
    assert_eq!(moved[0].bucket, mark[0].bucket);
    assert!(moved[1].bucket > mark[0].bucket);
}

#[test]
fn what_is_given_back_was_never_used() {
    let mut ledger = Ledger::new(&limits(&[per_seconds(1, 60)]), Vec::new(), at(0));
    let mut permit = ledger.permit(Need::message_to(1), NORMAL, at(0)).expect("has room");
    let mark = ledger.mark(&mut permit, at(0));
    let back = ledger.give_back(permit);
    assert_eq!(back, [Charge { amount: -1, ..mark[0].clone() }]);
    assert_eq!(ledger.usage(at(0))[0].left, 1);
}

#[test]
fn a_refused_recipient_is_not_counted() {
    let mut ledger = Ledger::new(&limits(&[per_day(5)]), Vec::new(), at(0));
    let mut permit = ledger.permit(Need::message_to(5), NORMAL, at(0)).expect("has room");
    ledger.narrow(&mut permit, 2);
    assert_eq!(ledger.mark(&mut permit, at(0))[0].amount, 2);
    let _ = ledger.settle(permit, at(0));
    assert_eq!(ledger.usage(at(0))[0].left, 3);
}

#[test]
fn a_changed_limit_keeps_the_history() {
    let mut ledger = Ledger::new(&limits(&[per_seconds(5, 60)]), Vec::new(), at(0));
    let _ = send(&mut ledger, 1, at(0));
    ledger.reconfigure(&limits(&[]), at(1));
    ledger.reconfigure(&limits(&[per_seconds(2, 60)]), at(2));
    assert_eq!(ledger.usage(at(2))[0].left, 1);
}

#[test]
fn more_than_a_whole_quota_never_fits() {
    let mut ledger = Ledger::new(&limits(&[per_day(5)]), Vec::new(), at(0));
    let exhausted = ledger.permit(Need::message_to(6), NORMAL, at(0)).expect_err("five at most");
    assert!(exhausted.is_for_ever());
}

#[test]
fn what_left_its_window_a_window_ago_is_taken_out_of_the_store() {
    let mut ledger = Ledger::new(&limits(&[per_seconds(5, 1)]), Vec::new(), at(0));
    let old = send(&mut ledger, 1, at(0));
    assert_eq!(send(&mut ledger, 1, at(1_990)).len(), 1);
    let new = send(&mut ledger, 1, at(2_020));
    assert_eq!(new[0], Charge { amount: -1, ..old[0].clone() });
    assert_eq!(new.len(), 2);
}

#[test]
fn a_mark_that_is_found_at_the_start_counts_as_made_now() {
    let mut before = Ledger::new(&limits(&[per_seconds(1, 60)]), Vec::new(), at(0));
    let mut permit = before.permit(Need::message_to(1), NORMAL, at(0)).expect("has room");
    let mark = before.mark(&mut permit, at(0));
    let stored = mark.iter().map(|Charge { key, bucket, .. }| Usage { key: key.clone(), bucket: *bucket, amount: 1 });
    let mut after = Ledger::new(&limits(&[per_seconds(1, 60)]), stored.collect(), at(50_000));
    let moved = after.recover(&mark, at(50_000));
    assert_eq!(moved.iter().map(|charge| charge.amount).collect::<Vec<_>>(), [-1, 1]);
    assert!(after.next_free(Need::message_to(1), NORMAL, at(50_000)) > at(110_000));
}

#[test]
fn a_clock_that_was_wrong_for_years_blocks_for_two_windows_only() {
    let years = Duration::from_secs(14 * 365 * 24 * 3_600);
    let mut ledger = Ledger::new(&limits(&[per_seconds(1, 60)]), Vec::new(), at(0).after(years));
    let _ = send(&mut ledger, 1, at(0).after(years));
    let until = ledger.next_free(Need::message_to(1), NORMAL, at(0));
    assert!(until >= at(119_000) && until <= at(121_000));
    assert_eq!(ledger.next_free(Need::message_to(1), NORMAL, until), until);
}

#[test]
fn a_clock_set_back_and_forth_forgets_nothing() {
    let mut ledger = Ledger::new(&limits(&[per_seconds(1, 3_600)]), Vec::new(), at(1_800_000));
    let _ = send(&mut ledger, 1, at(1_800_000));
    assert!(ledger.next_free(Need::message_to(1), NORMAL, at(0)) > at(5_400_000));
    assert!(ledger.next_free(Need::message_to(1), NORMAL, at(5_000_000)) > at(5_400_000));
}

#[test]
fn a_clock_set_back_over_midnight_does_not_empty_the_new_day() {
    let midnight = Timestamp::from_millis(1_700_060_400_000); // 2023-11-16 00:00 in Tokyo
    let mut ledger = Ledger::new(&limits(&[per_day(1)]), Vec::new(), midnight);
    let _ = send(&mut ledger, 1, midnight.after(Duration::from_secs(60)));
    let back = midnight.before(Duration::from_secs(3_600));
    let until = ledger.next_free(Need::message_to(1), NORMAL, back);
    assert_eq!(until, midnight.after(Duration::from_secs(24 * 3_600)));
}

#[test]
fn a_quota_that_the_provider_calls_empty_is_empty() {
    let mut ledger = Ledger::new(&limits(&[per_day(500)]), Vec::new(), at(0));
    let key = QuotaKey { unit: QuotaUnit::Recipients, window: per_day(500).window };
    assert_eq!(ledger.exhaust(&key, at(0))[0].amount, 500);
    assert!(ledger.permit(Need::message_to(1), NORMAL, at(1)).is_err());
}

#[test]
fn what_is_left_is_what_the_most_urgent_mail_may_use() {
    let reserves = Reserves::new(20, &[(Priority::High, 40)]).expect("something is left");
    let mut ledger = Ledger::new(&Limits { reserves, ..limits(&[per_day(10)]) }, Vec::new(), at(0));
    let _ = send(&mut ledger, 3, at(0));
    assert_eq!((ledger.usage(at(0))[0].used, ledger.usage(at(0))[0].left), (3, 5));
    assert!(ledger.permit(Need::message_to(2), NORMAL, at(0)).is_err());
    ledger.reconfigure(&limits(&[per_day(10)]), at(0));
    assert_eq!(ledger.next_free(Need::message_to(7), NORMAL, at(0)), at(0));
}

#[test]
fn a_leap_ahead_frees_nothing_while_the_process_runs() {
    let mut ledger = Ledger::new(&limits(&[per_seconds(1, 60)]), Vec::new(), at(0));
    let sent = send(&mut ledger, 1, at(0));
    let moved = ledger.leapt(Duration::from_secs(45), at(55_000));
    assert_eq!(moved.iter().map(|charge| charge.amount).collect::<Vec<_>>(), [-1, 1]);
    assert_eq!(moved[0].bucket, sent[0].bucket);
    // Ten seconds have passed, and fifty are left.
    let until = ledger.next_free(Need::message_to(1), NORMAL, at(55_000));
    assert!(until >= at(105_000) && until <= at(106_000), "{until}");
    let _ = ledger.leapt(Duration::from_secs(3_600), at(3_655_000));
    let until = ledger.next_free(Need::message_to(1), NORMAL, at(3_655_000));
    assert!(until >= at(3_705_000) && until <= at(3_707_000), "{until}");
}

#[test]
fn a_leap_over_midnight_does_not_empty_the_new_day() {
    let midnight = Timestamp::from_millis(1_700_060_400_000); // 2023-11-16 00:00 in Tokyo
    let before = midnight.before(Duration::from_secs(60));
    let mut ledger = Ledger::new(&limits(&[per_day(1)]), Vec::new(), before);
    let _ = send(&mut ledger, 1, before);
    let after = midnight.after(Duration::from_secs(60));
    let moved = ledger.leapt(Duration::from_secs(120), after);
    assert_eq!(moved.last().map(|charge| charge.bucket), Some(midnight.as_millis()));
    let until = ledger.next_free(Need::message_to(1), NORMAL, after);
    assert_eq!(until, midnight.after(Duration::from_secs(24 * 3_600)));
}

fn bytes_a_minute(limit: u32) -> Quota {
    quota(limit, QuotaUnit::Bytes, QuotaWindow::Sliding(Duration::from_secs(60)))
}

#[test]
fn bytes_are_reserved_as_they_may_be_and_charged_as_they_are() {
    let mut ledger = Ledger::new(&limits(&[bytes_a_minute(1_000)]), Vec::new(), at(0));
    let letter = |bytes| Need::message_to(1).of_bytes(bytes);
    let mut permit = ledger.permit(letter(900), NORMAL, at(0)).expect("has room");
    let mark = ledger.mark(&mut permit, at(0));
    assert!(ledger.permit(letter(101), NORMAL, at(0)).is_err());
    ledger.measure(&mut permit, 300);
    let stored = super::super::permit::measured(mark, 300);
    assert_eq!(stored.iter().map(|charge| charge.amount).collect::<Vec<_>>(), [300]);
    // The reply came within the bucket of the mark: nothing moves.
    assert_eq!(ledger.settle(permit, at(0)), []);
    let status = &ledger.usage(at(0))[0];
    assert_eq!((status.used, status.left), (300, 700));
    assert!(ledger.permit(letter(1_001), NORMAL, at(0)).expect_err("a whole window is smaller").is_for_ever());
}

#[test]
fn what_others_sent_counts_from_when_they_sent_it() {
    let mut ledger = Ledger::new(&limits(&[per_seconds(3, 60), per_day(9)]), Vec::new(), at(0));
    let used = Need { messages: 5, recipients: 7, bytes: 0 };
    let charges = ledger.report(used, at(0), at(30_000));
    assert_eq!(charges.iter().map(|charge| charge.amount).collect::<Vec<_>>(), [5, 7]);
    let used: Vec<u64> = ledger.usage(at(30_000)).iter().map(|status| status.used).collect();
    assert_eq!(used, [5, 7], "more than the limit, as it was so");
    let free = ledger.next_free(Need::message_to(1), NORMAL, at(30_000));
    assert!(free > at(60_000) && free < at(61_000), "{free}");
}

#[test]
fn a_job_is_refused_when_what_waits_leaves_it_no_room() {
    let mut ledger = Ledger::new(&limits(&[per_seconds(5, 60)]), Vec::new(), at(0));
    let _ = send(&mut ledger, 1, at(0));
    let mut refusal = |waiting, need| ledger.refusal(messages(waiting), messages(need), NORMAL, at(10_000));
    assert_eq!(refusal(0, 4), None);
    assert_eq!(refusal(3, 1), None);
    let when_the_first_has_left = refusal(4, 1).expect("five are spoken for").until;
    assert!(when_the_first_has_left > at(60_000) && when_the_first_has_left < at(61_000));
    let when_what_waits_has_left = refusal(4, 3).expect("it does not fit beside them").until;
    assert!(when_what_waits_has_left > at(70_000) && when_what_waits_has_left < at(71_000));
    assert!(refusal(0, 6).expect("it is larger than the quota").is_for_ever());
    assert!(refusal(u32::MAX, 1).is_some());
}

fn messages(count: u32) -> Need {
    Need { messages: count, recipients: count, bytes: 0 }
}

#[test]
fn a_quota_that_the_provider_calls_used_up_is_free_at_its_reset() {
    let mut ledger = Ledger::new(&limits(&[per_day(9), per_seconds(4, 60)]), Vec::new(), at(0));
    let _ = send(&mut ledger, 2, at(0));
    let [day, minute] = [per_day(9), per_seconds(4, 60)].map(|Quota { unit, window, .. }| QuotaKey { unit, window });
    assert_eq!((ledger.settled(&day, at(1)), ledger.free_at(&day, at(1))), (2, at(1)));
    let charges = ledger.exhaust(&day, at(1));
    assert_eq!(charges.iter().map(|charge| charge.amount).collect::<Vec<_>>(), [7]);
    assert_eq!(ledger.free_at(&day, at(1)).to_string(), "2023-11-15T15:00:00.000Z");
    let _ = ledger.exhaust(&minute, at(30_000));
    // What was sent leaves the window first.
    assert!(ledger.free_at(&minute, at(30_000)) < at(61_000));
}
