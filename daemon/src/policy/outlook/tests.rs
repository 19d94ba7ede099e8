//! Plans beside what really happens when nothing else does.

use std::num::{NonZeroU32, NonZeroU64};

use super::*;
use crate::{
    domain::{
        limits::{BatchPause, CalendarSpan, Pace, QuotaUnit, QuotaWindow},
        parking::Parking,
        quiet::{QuietRule, Weekdays},
        reserves::Reserves,
    },
    policy::rehearsal::{Item, Rehearsal},
};

/// A Wednesday, 2023-11-15 03:20:00 in UTC.
const BEGIN_MS: u64 = 1_700_018_400_000;
const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(BEGIN_MS + seconds * 1_000)
}

fn quota(limit: u64, unit: QuotaUnit, window: QuotaWindow) -> Quota {
    Quota { limit: NonZeroU64::new(limit).expect("not zero"), unit, window }
}

fn sliding(limit: u64, seconds: u64) -> Quota {
    quota(limit, QuotaUnit::Messages, QuotaWindow::Sliding(Duration::from_secs(seconds)))
}

fn calendar(limit: u64, span: CalendarSpan, zone: &str) -> Quota {
    quota(limit, QuotaUnit::Messages, QuotaWindow::Calendar { span, zone: zone.to_owned() })
}

fn with(quotas: &[Quota]) -> Limits {
    Limits { quotas: quotas.to_vec(), ..Limits::default() }
}

fn number(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).expect("not zero")
}

fn portion(priority: Priority, messages: u64) -> Portion {
    Portion { priority, messages, recipients: messages, bytes: messages * 10_000, due: at(0) }
}

const SERVICE: Service = Service { connections: 2, message: Duration::from_millis(500) };

fn nightly(from: u16, to: u16, zone: &str) -> QuietWindow {
    let (from, to) = (from * 60, to * 60);
    QuietWindow { days: Weekdays::ALL, from, to, zone: zone.to_owned(), rule: QuietRule::Defer }
}

/// Plans some portions on an account that has sent `before`, plays them, and compares when each begins and ends: within 5 % of
/// how long it takes from now, and two seconds for the release after a calendar's boundary.
#[track_caller]
fn check(limits: &Limits, quiet: &[QuietWindow], before: u64, portions: &[Portion]) -> Plan {
    let mut rehearsal = Rehearsal::new(limits, quiet, SERVICE, at(0).before(Duration::from_hours(1)), 7);
    let item = |portion: &Portion, index: u64| {
        let share = |total: u64| (total * (index + 1)) / portion.messages - total * index / portion.messages;
        let recipients = u32::try_from(share(portion.recipients)).expect("few");
        Item { priority: portion.priority, due: portion.due, recipients, bytes: share(portion.bytes) }
    };
    for index in 0..before {
        rehearsal.submit(Item {
            due: at(0).before(Duration::from_hours(1)),
            ..item(&portion(Priority::High, before), index)
        });
    }
    rehearsal.run_until(at(0));
    assert_eq!(rehearsal.waiting(Priority::High), 0, "all of it was sent before");
    rehearsal.sent.clear();
    let usage = rehearsal.usage();
    let circumstances =
        Circumstances { now: at(0), limits, quiet, standing: &Standing::Active, usage: &usage, service: SERVICE };
    let plan = plan(&circumstances, portions);
    let mut total = 0;
    for portion in portions {
        (0..portion.messages).for_each(|index| rehearsal.submit(item(portion, index)));
        total += portion.messages;
    }
    rehearsal.run_until(at(40_000_000_000));
    assert_eq!(rehearsal.sent.len() as u64, total);
    let mut sent = rehearsal.sent.iter();
    for (portion, times) in portions.iter().zip(&plan.times) {
        let mut its = sent.by_ref().take(portion.messages as usize);
        let first = its.next().expect("a message").ended;
        let last = its.last().map_or(first, |sent| sent.ended);
        let times = times.expect("it goes");
        for (what, planned, real) in [("first", times.first_at, first), ("last", times.last_at, last)] {
            let (planned, real) = (planned.since(at(0)).as_secs_f64(), real.since(at(0)).as_secs_f64());
            let off = (planned - real).abs();
            println!(
                "{what:5} {:?} {:8} planned {planned:12.1} real {real:12.1} off {:.2} %",
                portion.priority,
                portion.messages,
                off / real * 100.0
            );
            assert!(
                off <= 2.0 + real * 0.05,
                "{what} of {portion:?}: planned {planned} s, really {real} s; {limits:?}"
            );
        }
    }
    plan
}

#[test]
fn connections_interval_batch_and_pace_are_met() {
    use Priority::Normal;
    let none = Limits::default();
    assert_eq!(check(&none, &[], 0, &[portion(Normal, 1), portion(Normal, 999)]).bound, Bound::Connections);
    let interval = Limits { interval: 3 * SECOND, ..Limits::default() };
    assert_eq!(check(&interval, &[], 0, &[portion(Normal, 500)]).bound, Bound::Interval);
    let batch = Some(BatchPause { messages: number(50), pause: 600 * SECOND });
    let batches = Limits { interval: SECOND, batch, ..Limits::default() };
    for messages in [20, 51, 400, 4_000, 9_000] {
        check(&batches, &[], 0, &[portion(Normal, messages)]);
    }
    assert_eq!(check(&batches, &[], 0, &[portion(Normal, 4_000)]).bound, Bound::Batch);
    let pace = Some(Pace { messages_per_minute: number(20), burst: number(100) });
    for messages in [50, 100, 150, 1_500] {
        check(&Limits { pace, ..Limits::default() }, &[], 0, &[portion(Normal, messages)]);
    }
}

#[test]
fn windows_of_all_lengths_are_met() {
    use CalendarSpan::{Day, Hour, Minute, Month};
    for messages in [1, 40, 150, 800, 5_000] {
        let one = &[portion(Priority::Normal, messages)];
        check(&with(&[sliding(30, 60)]), &[], 0, one);
        check(&with(&[sliding(1, 10), sliding(100, 3_600)]), &[], 10, one);
        check(&with(&[sliding(500, 86_400)]), &[], 400, one);
        check(&with(&[calendar(30, Minute, "UTC"), calendar(500, Day, "America/New_York")]), &[], 25, one);
        check(&with(&[calendar(100, Hour, "Asia/Kolkata"), calendar(500, Day, "Asia/Tokyo")]), &[], 90, one);
        check(&with(&[sliding(20, 3_600), calendar(1_000, Month, "Europe/Paris")]), &[], 15, one);
    }
}

#[test]
fn recipients_and_bytes_are_met() {
    let units = |unit, limit| quota(limit, unit, QuotaWindow::Sliding(3_600 * SECOND));
    let many = Portion { recipients: 900, bytes: 300 * 70_000, ..portion(Priority::Normal, 300) };
    check(&with(&[units(QuotaUnit::Recipients, 100)]), &[], 0, &[many]);
    let some = Portion { recipients: 450, ..many };
    check(&with(&[units(QuotaUnit::Recipients, 100), sliding(10, 60)]), &[], 30, &[some]);
}

#[test]
fn quiet_hours_are_met() {
    let quiet = [nightly(20, 8, "Asia/Tokyo")];
    let day = calendar(200, CalendarSpan::Day, "Asia/Tokyo");
    for messages in [10, 1_000, 9_000] {
        let one = &[portion(Priority::Normal, messages)];
        check(&with(&[sliding(30, 3_600)]), &quiet, 0, one);
        check(&with(&[sliding(30, 3_600), day.clone()]), &quiet, 10, one);
    }
    let interval = Limits { interval: 60 * SECOND, ..Limits::default() };
    let plan = check(&interval, &[nightly(12, 11, "UTC")], 0, &[portion(Priority::Normal, 300)]);
    assert_eq!(plan.bound, Bound::QuietWindow);
}

#[test]
fn urgent_mail_goes_first_and_keeps_its_reserve() {
    let reserves = Reserves::new(10, &[(Priority::High, 30), (Priority::Normal, 20)]).expect("something is left");
    let limits = Limits { reserves, ..with(&[sliding(100, 3_600), calendar(1_000, CalendarSpan::Day, "UTC")]) };
    let portions = [portion(Priority::High, 300), portion(Priority::Normal, 150), portion(Priority::Bulk, 700)];
    check(&limits, &[], 20, &portions);
}

#[test]
fn parked_accounts_wait_for_their_time_and_scheduled_mail_for_its_own() {
    let parked = |until| {
        let reason = "a test".to_owned();
        let (cause, since, strikes) = (ParkingCause::Throttled, at(0), 1);
        Standing::Parked(Parking { cause, reason, reply: None, since, until, strikes })
    };
    let limits = Limits::default();
    let plan = |standing: &Standing, portion: Portion| {
        let circumstances =
            Circumstances { now: at(0), limits: &limits, quiet: &[], standing, usage: &[], service: SERVICE };
        let plan = plan(&circumstances, &[portion]);
        (plan.times[0].map(|times| times.first_at), plan.bound)
    };
    let half_past = |seconds| Some(at(seconds).after(SERVICE.message));
    let one = portion(Priority::Normal, 1);
    assert_eq!(plan(&parked(Some(at(90))), one), (half_past(90), Bound::Parked(ParkingCause::Throttled)));
    assert_eq!(plan(&parked(None), one), (half_past(0), Bound::Connections));
    let later = Portion { due: at(3_600), ..one };
    assert_eq!(plan(&Standing::Active, later), (half_past(3_600), Bound::Due));
    assert_eq!(plan(&Standing::Active, Portion { messages: 0, ..one }).0, None);
}

#[test]
fn what_never_goes_has_no_time() {
    let plan = |limits: &Limits, quiet: &[QuietWindow], portion: Portion| {
        let circumstances =
            Circumstances { now: at(0), limits, quiet, standing: &Standing::Active, usage: &[], service: SERVICE };
        plan(&circumstances, &[portion]).times[0]
    };
    let recipients = quota(3, QuotaUnit::Recipients, QuotaWindow::Sliding(SECOND));
    let large = Portion { recipients: 4, ..portion(Priority::Normal, 1) };
    assert_eq!(plan(&with(&[recipients]), &[], large), None);
    assert_eq!(plan(&Limits::default(), &[nightly(0, 0, "UTC")], portion(Priority::Normal, 1)), None);
}

#[test]
fn ten_million_messages_are_planned_in_few_steps() {
    let all = [sliding(1, 10), calendar(1_000, CalendarSpan::Day, "UTC"), calendar(20_000, CalendarSpan::Month, "UTC")];
    let quiet = [nightly(20, 8, "Europe/Berlin")];
    for quotas in [&all[..], &all[..1], &all[..2], &all[1..], &[]] {
        let limits = with(quotas);
        let circumstances = Circumstances {
            now: at(0),
            limits: &limits,
            quiet: &quiet,
            standing: &Standing::Active,
            usage: &[],
            service: SERVICE,
        };
        let started = std::time::Instant::now();
        let plan = plan(&circumstances, &[portion(Priority::Bulk, 10_000_000)]);
        let days = plan.times[0].expect("it goes").last_at.since(at(0)).as_secs_f64() / 86_400.0;
        println!("{days:.0} days, {:?}, {:?}", plan.bound, started.elapsed());
        let expected = match quotas.len() {
            3 => 10_000_000.0 / 20_000.0 * 30.44,
            2 if quotas[0].limit.get() == 1_000 => 10_000_000.0 / 20_000.0 * 30.44,
            2 => 10_000.0,
            1 => 10_000_000.0 * 10.08 / 86_400.0 * 2.0,
            _ => 10_000_000.0 / 4.0 / 86_400.0 * 2.0,
        };
        assert!((days / expected - 1.0).abs() < 0.05, "{days} days instead of {expected}");
    }
}
