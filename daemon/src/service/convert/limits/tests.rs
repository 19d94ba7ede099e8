//! How limits on the wire are checked.

use super::*;

fn seconds(seconds: i64) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos: 0 }
}

fn quota(limit: u32, window: Window) -> v1::Quota {
    v1::Quota { limit: limit.into(), unit: v1::QuotaUnit::Messages.into(), window: Some(window) }
}

fn calendar(zone: &str) -> Window {
    Window::Calendar(v1::CalendarWindow { span: v1::CalendarSpan::Day.into(), zone: zone.into() })
}

#[track_caller]
fn check(wire: v1::Limits, expected: &[&str]) {
    let mut violations = Violations::default();
    let made = to_limits(Some(wire), "l", &mut violations);
    let found = violations.finish(made).err().unwrap_or_default();
    let fields: Vec<_> = found.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(fields, expected);
}

#[track_caller]
fn check_quota(wire: v1::Quota, expected: &[&str]) {
    check(v1::Limits { quotas: vec![wire], ..v1::Limits::default() }, expected);
}

#[test]
fn what_is_unset_takes_its_default() {
    let made = to_limits(None, "l", &mut Violations::default());
    assert_eq!(made, Some(Limits::default()));
}

#[test]
fn quotas_are_checked_one_by_one() {
    check_quota(quota(1, Window::Sliding(seconds(1))), &[]);
    check_quota(quota(1, Window::Sliding(seconds(31 * 24 * 3_600))), &[]);
    check_quota(quota(0, Window::Sliding(seconds(60))), &["l.quotas[0].limit"]);
    check_quota(quota(1, Window::Sliding(seconds(0))), &["l.quotas[0].sliding"]);
    check_quota(quota(1, Window::Sliding(seconds(31 * 24 * 3_600 + 1))), &["l.quotas[0].sliding"]);
    check_quota(quota(1, calendar("Asia/Tokyo")), &[]);
    check_quota(quota(1, calendar("")), &[]);
    check_quota(quota(1, calendar("Mars/Olympus")), &["l.quotas[0].calendar.zone"]);
    check_quota(v1::Quota::default(), &["l.quotas[0].limit", "l.quotas[0].unit", "l.quotas[0].window"]);
    let spanless = Window::Calendar(v1::CalendarWindow { span: 0, zone: "UTC".into() });
    check_quota(quota(1, spanless), &["l.quotas[0].calendar.span"]);
}

#[test]
fn quotas_of_one_unit_and_window_are_refused() {
    let twins = vec![quota(5, calendar("Asia/Tokyo")), quota(9, calendar("asia/tokyo"))];
    check(v1::Limits { quotas: twins, ..v1::Limits::default() }, &["l.quotas[1].window"]);
    let many = (1..=17).map(|length| quota(5, Window::Sliding(seconds(length)))).collect();
    check(v1::Limits { quotas: many, ..v1::Limits::default() }, &["l.quotas"]);
}

#[test]
fn other_bounds_are_told_with_their_field() {
    let usual = v1::Limits::default;
    check(v1::Limits { interval: Some(seconds(24 * 3_600 + 1)), ..usual() }, &["l.interval"]);
    check(v1::Limits { pace: Some(v1::Pace::default()), ..usual() }, &["l.pace.messages_per_minute"]);
    check(v1::Limits { batch: Some(v1::BatchPause::default()), ..usual() }, &["l.batch.messages", "l.batch.pause"]);
    check(v1::Limits { connections_max: 101, ..usual() }, &["l.connections_max"]);
    check(v1::Limits { messages_per_connection_max: 100_001, ..usual() }, &["l.messages_per_connection_max"]);
    check(v1::Limits { recipients_per_job_max: 1_001, ..usual() }, &["l.recipients_per_job_max"]);
    check(v1::Limits { message_bytes_max: MESSAGE_BYTES_MAX + 1, ..usual() }, &["l.message_bytes_max"]);
    check(v1::Limits { message_bytes_max: 1, ..usual() }, &["l.message_bytes_max"]);
    check(v1::Limits { message_bytes_max: MESSAGE_BYTES_MAX, connections_max: 100, ..usual() }, &[]);
}

#[test]
fn reserves_leave_something_and_name_each_priority_once() {
    let reserve = |priority: v1::Priority, percent| v1::Reserve { priority: priority.into(), percent };
    let with = |reserve_for_humans, reserves: &[v1::Reserve]| v1::Limits {
        reserve_for_humans,
        reserves: reserves.to_vec(),
        ..v1::Limits::default()
    };
    let (high, low) = (reserve(v1::Priority::High, 20), reserve(v1::Priority::Low, 70));
    check(with(9, &[low, high]), &[]);
    check(with(10, &[low, high]), &["l.reserves"]);
    check(with(99, &[]), &[]);
    check(with(100, &[]), &["l.reserve_for_humans"]);
    check(with(0, &[high, high]), &["l.reserves[1].priority"]);
    check(with(0, &[reserve(v1::Priority::Bulk, 20)]), &["l.reserves[0].priority"]);
    check(with(0, &[reserve(v1::Priority::Unspecified, 20)]), &["l.reserves[0].priority"]);
    check(with(0, &[reserve(v1::Priority::High, 0)]), &["l.reserves[0].percent"]);
    check(with(0, &[reserve(v1::Priority::High, 100)]), &["l.reserves[0].percent"]);
}

#[test]
fn jobs_over_quota_are_queued_unless_told_otherwise() {
    let with = |over_quota| v1::Limits { over_quota, ..v1::Limits::default() };
    check(with(9), &["l.over_quota"]);
    for (wire, expected) in [(0, OverQuota::Queue), (1, OverQuota::Queue), (2, OverQuota::Reject)] {
        let made = to_limits(Some(with(wire)), "l", &mut Violations::default()).expect("it is good");
        assert_eq!(made.over_quota, expected);
    }
}
