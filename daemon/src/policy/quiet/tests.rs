//! Quiet windows against the clocks on the wall, minute by minute.

use jiff::civil::Weekday;
use proptest::prelude::*;

use super::*;

const MINUTE: u64 = 60_000;

fn time(text: &str) -> Timestamp {
    let time: jiff::Timestamp = text.parse().expect("a time");
    Timestamp::from_millis(time.as_millisecond().unsigned_abs())
}

/// A window of these days and minutes.
fn window(days: &[u8], from: (u16, u16), to: (u16, u16), zone: &str, rule: QuietRule) -> QuietWindow {
    let minutes = |(hours, minutes)| hours * 60 + minutes;
    let days = Weekdays::new(days.iter().copied());
    QuietWindow { days, from: minutes(from), to: minutes(to), zone: zone.to_owned(), rule }
}

fn defer(days: &[u8], from: (u16, u16), to: (u16, u16), zone: &str) -> QuietWindow {
    window(days, from, to, zone, QuietRule::Defer)
}

#[track_caller]
fn check(windows: &[QuietWindow], at: &str, until: Option<&str>) {
    assert_eq!(quiet_until(windows, time(at)), until.map(|until| QuietEnd::At(time(until))), "{at}");
}

#[test]
fn a_window_holds_from_its_first_minute_until_before_its_end() {
    let noon = [defer(&[], (12, 0), (13, 30), "Asia/Tokyo")];
    check(&noon, "2026-11-22T02:59:59.999Z", None);
    check(&noon, "2026-11-22T03:00:00Z", Some("2026-11-22T04:30:00Z"));
    check(&noon, "2026-11-22T04:29:59.999Z", Some("2026-11-22T04:30:00Z"));
    check(&noon, "2026-11-22T04:30:00Z", None);
    check(&[], "2026-11-22T04:30:00Z", None);
}

#[test]
fn the_weekday_is_that_on_which_a_window_begins() {
    // 2026-11-22 is a Sunday.
    let sunday_night = [defer(&[6], (22, 0), (7, 0), "UTC")];
    check(&sunday_night, "2026-11-22T06:00:00Z", None);
    check(&sunday_night, "2026-11-22T23:00:00Z", Some("2026-11-23T07:00:00Z"));
    check(&sunday_night, "2026-11-23T06:59:00Z", Some("2026-11-23T07:00:00Z"));
    check(&sunday_night, "2026-11-23T23:00:00Z", None);
    let all_sunday = [defer(&[6], (0, 0), (24, 0), "UTC")];
    check(&all_sunday, "2026-11-22T00:00:00Z", Some("2026-11-23T00:00:00Z"));
    check(&all_sunday, "2026-11-23T00:00:00Z", None);
    // From six to six on the next day.
    let round_the_clock = [defer(&[6], (6, 0), (6, 0), "UTC")];
    check(&round_the_clock, "2026-11-22T05:59:00Z", None);
    check(&round_the_clock, "2026-11-22T06:00:00Z", Some("2026-11-23T06:00:00Z"));
}

#[test]
fn windows_that_overlap_or_adjoin_are_one_stretch() {
    let nights = defer(&[], (20, 0), (6, 0), "UTC");
    let mornings = window(&[0], (6, 0), (9, 0), "UTC", QuietRule::Reject);
    let weekend = defer(&[5, 6], (0, 0), (24, 0), "UTC");
    check(&[nights, mornings, weekend], "2026-11-20T21:00:00Z", Some("2026-11-23T09:00:00Z"));
    // One that only warns holds nothing up.
    let warned = window(&[], (6, 0), (8, 0), "UTC", QuietRule::Warn);
    check(&[defer(&[], (5, 0), (6, 0), "UTC"), warned.clone()], "2026-11-20T05:30:00Z", Some("2026-11-20T06:00:00Z"));
    check(&[warned], "2026-11-20T06:30:00Z", None);
}

#[test]
fn a_week_without_a_hole_never_ends() {
    let always = [defer(&[], (0, 0), (24, 0), "Europe/London")];
    assert_eq!(quiet_until(&always, time("2026-11-22T00:00:00Z")), Some(QuietEnd::Never));
    // Two zones whose hours meet in winter leave an hour in summer.
    let halves = [defer(&[], (12, 0), (0, 0), "Europe/London"), defer(&[], (9, 0), (21, 0), "Asia/Tokyo")];
    check(&halves, "2026-11-22T00:00:00Z", Some("2027-03-28T23:00:00Z"));
}

#[test]
fn clocks_that_change_skip_a_window_or_repeat_it() {
    // London: 01:00 becomes 02:00 on 29 March 2026, and 02:00 becomes 01:00 on 25 October.
    let early = [defer(&[], (1, 0), (1, 30), "Europe/London")];
    check(&early, "2026-03-29T00:59:00Z", None);
    check(&early, "2026-03-29T01:00:00Z", None);
    check(&early, "2026-10-25T00:10:00Z", Some("2026-10-25T00:30:00Z"));
    check(&early, "2026-10-25T00:40:00Z", None);
    check(&early, "2026-10-25T01:10:00Z", Some("2026-10-25T01:30:00Z"));
    // A stretch over the change is an hour shorter or longer.
    let night = [defer(&[], (22, 0), (7, 0), "Europe/London")];
    check(&night, "2026-03-28T22:00:00Z", Some("2026-03-29T06:00:00Z"));
    check(&night, "2026-10-24T21:00:00Z", Some("2026-10-25T07:00:00Z"));
    // One that begins in the hour which is skipped begins with the hour after it.
    let late = [defer(&[], (1, 30), (3, 0), "Europe/London")];
    check(&late, "2026-03-29T01:00:00Z", Some("2026-03-29T02:00:00Z"));
}

#[test]
fn a_window_with_reject_refuses_until_mail_may_go() {
    let windows = [
        window(&[], (9, 0), (10, 0), "UTC", QuietRule::Reject),
        defer(&[], (8, 0), (11, 0), "UTC"),
        window(&[], (10, 30), (11, 30), "UTC", QuietRule::Warn),
    ];
    let refused = |at: &str| refused_until(&windows, time(at)).and_then(QuietEnd::time);
    assert_eq!(refused("2026-11-22T08:30:00Z"), None);
    assert_eq!(refused("2026-11-22T09:30:00Z"), Some(time("2026-11-22T11:00:00Z")));
    assert_eq!(warnings(&windows, time("2026-11-22T09:30:00Z")), Vec::<String>::new());
    let said = "would be sent in the quiet window daily 10:30 to 11:30 UTC";
    assert_eq!(warnings(&windows, time("2026-11-22T11:00:00Z")), [said]);
    let named = describe(&defer(&[0, 6], (22, 5), (24, 0), "Asia/Tokyo"));
    assert_eq!(named, "Mon, Sun 22:05 to 24:00 Asia/Tokyo");
}

/// What the clock on the wall says, read anew for each minute.
fn is_quiet_by_the_wall(windows: &[QuietWindow], at: Timestamp) -> bool {
    let at = jiff::Timestamp::from_millisecond(at.as_millis().cast_signed()).expect("within the calendar");
    windows.iter().filter(|window| window.rule != QuietRule::Warn).any(|window| {
        let local = at.in_tz(&window.zone).expect("a zone");
        let minute = u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
        let is_on = |day: Weekday| window.days.contains(day.to_monday_zero_offset().unsigned_abs());
        let (today, yesterday) = (local.weekday(), local.weekday().previous());
        if window.from < window.to {
            is_on(today) && window.from <= minute && minute < window.to
        } else {
            is_on(today) && window.from <= minute || is_on(yesterday) && minute < window.to
        }
    })
}

fn windows() -> impl Strategy<Value = Vec<QuietWindow>> {
    const ZONES: [&str; 6] =
        ["Asia/Tokyo", "Europe/London", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Beirut"];
    const RULES: [QuietRule; 3] = [QuietRule::Defer, QuietRule::Reject, QuietRule::Warn];
    let minutes = prop_oneof![(0..24_u16).prop_map(|hour| hour * 60), 0..1_440_u16];
    let parts =
        (0..128_u8, minutes.clone(), minutes, prop::sample::select(&ZONES[..]), prop::sample::select(&RULES[..]));
    let window = parts.prop_map(|(days, from, to, zone, rule)| {
        let days = Weekdays::new((0..7).filter(|day| days & (1 << day) != 0));
        QuietWindow { days, from, to: if to == 0 { 1_440 } else { to }, zone: zone.to_owned(), rule }
    });
    prop::collection::vec(window, 0..5)
}

/// Days around which clocks change in one of the zones.
const CHANGES: [&str; 8] = [
    "2026-03-08T05:00:00Z",
    "2026-03-28T20:00:00Z",
    "2026-04-04T12:00:00Z",
    "2026-04-23T20:00:00Z",
    "2026-10-03T12:00:00Z",
    "2026-10-24T18:00:00Z",
    "2026-10-29T19:00:00Z",
    "2026-11-01T04:00:00Z",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn stretches_are_what_the_clocks_on_the_wall_say(
        windows in windows(), change in prop::sample::select(&CHANGES[..]), ahead in 0..2_880_u64, extra in 0..MINUTE,
    ) {
        let from = time(change).as_millis() - 1_440 * MINUTE + ahead * MINUTE;
        let mut hours = QuietHours::new(&windows);
        let stretch = hours.stretch(Timestamp::from_millis(from + extra));
        let days = 9 * 1_440;
        let minutes = (0..days).map(|minute| Timestamp::from_millis(from + minute * MINUTE));
        let mut others = minutes.filter(|at| is_quiet_by_the_wall(&windows, *at) != stretch.is_quiet);
        let now = is_quiet_by_the_wall(&windows, Timestamp::from_millis(from));
        prop_assert_eq!(stretch.is_quiet, now);
        match others.next() {
            Some(at) => prop_assert_eq!(stretch.until, Some(at)),
            None => prop_assert!(stretch.until.is_none_or(|until| until.as_millis() >= from + days * MINUTE)),
        }
    }

    #[test]
    fn what_is_remembered_is_what_would_be_found(windows in windows(), steps in prop::collection::vec(0..900_u64, 1..60)) {
        let mut hours = QuietHours::new(&windows);
        let mut at = time("2026-03-27T00:00:00Z");
        for minutes in steps {
            at = Timestamp::from_millis(at.as_millis() + minutes * MINUTE);
            let found = QuietHours::new(&windows).stretch(at);
            let known = hours.stretch(at);
            prop_assert_eq!((known.is_quiet, known.until), (found.is_quiet, found.until));
        }
    }
}
