//! The ten accounts of the year.

use std::{
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

use crate::{
    domain::{
        job::Priority,
        limits::{BatchPause, CalendarSpan, Limits, Pace, Quota, QuotaUnit, QuotaWindow},
        quiet::{QuietRule, QuietWindow, Weekdays},
        reserves::Reserves,
    },
    policy::outlook::Service,
};

use CalendarSpan::{Day, Hour, Minute, Month};
use QuotaUnit::{Bytes, Messages, Recipients};

/// An account and its mail.
pub(super) struct Subject {
    pub(super) name: &'static str,
    pub(super) limits: Limits,
    pub(super) quiet: Vec<QuietWindow>,
    pub(super) service: Service,
    /// Most recipients of a message, and its bytes on average.
    pub(super) sizes: (u32, u64),
    /// How many urgent messages come in the year.
    pub(super) urgent: u64,
    pub(super) seed: u64,
}

/// The accounts, with limits of so many times the usual.
pub(super) fn accounts(scale: u64) -> Vec<Subject> {
    let number = |n: u64| NonZeroU32::new(u32::try_from(n).expect("small")).expect("not zero");
    let minutes = |n: u64| Duration::from_secs(n * 60);
    let limits = |quotas: Vec<Quota>| Limits { quotas, ..Limits::default() };
    let daily = |limit, unit, zone| calendar(limit * scale, unit, Day, zone);
    let subject = |name, limits, quiet, sizes, urgent, seed| {
        let service = Service { connections: 2, message: Duration::from_millis(1_500) };
        Subject { name, limits, quiet, service, sizes, urgent, seed }
    };
    let tokyo = [daily(60, Recipients, "Asia/Tokyo"), sliding(6 * scale, Messages, minutes(60))];
    let new_york = [daily(48, Messages, "America/New_York"), calendar(4 * scale, Messages, Hour, "America/New_York")];
    let london = [sliding(60 * scale, Recipients, minutes(24 * 60))];
    let sydney = [calendar(1_000 * scale, Messages, Month, "Australia/Sydney")];
    let kolkata = [calendar(2 * scale, Messages, Hour, "Asia/Kolkata"), sliding(40 * scale, Messages, minutes(1_440))];
    let lord_howe =
        [calendar(2 * scale, Messages, Hour, "Australia/Lord_Howe"), daily(40, Messages, "Australia/Lord_Howe")];
    let kathmandu = [daily(2_000_000, Bytes, "Asia/Kathmandu")];
    let st_johns = [daily(36, Messages, "America/St_Johns"), sliding(200 * scale, Messages, minutes(7 * 1_440))];
    let santiago =
        [daily(45, Messages, "America/Santiago"), calendar(1_000 * scale, Messages, Month, "America/Santiago")];
    let chatham = [
        calendar(3, Messages, Minute, "Pacific/Chatham"),
        sliding(1_200 * scale, Messages, minutes(31 * 1_440)),
        daily(60, Recipients, "Pacific/Chatham"),
    ];
    let interval = minutes(10) / u32::try_from(scale).expect("small");
    let batch = Some(BatchPause { messages: number(5), pause: minutes(20) / u32::try_from(scale).expect("small") });
    let pace = Some(Pace { messages_per_minute: number(scale), burst: number(3) });
    let reserves = Reserves::new(10, &[(Priority::High, 20), (Priority::Normal, 10)]).expect("something is left");
    let (nights, weekends) = (quiet(&[], 22, 7, "Europe/London"), quiet(&[5, 6], 0, 0, "Pacific/Chatham"));
    let noon = quiet(&[0, 1, 2, 3, 4], 1, 3, "America/New_York");
    vec![
        subject("Tokyo", limits(tokyo.into()), vec![], (4, 10_000), 0, 11),
        subject("New York", limits(new_york.into()), vec![noon], (1, 10_000), 0, 12),
        subject("London", limits(london.into()), vec![nights], (3, 10_000), 0, 13),
        subject("Sydney", Limits { interval, ..limits(sydney.into()) }, vec![], (1, 10_000), 0, 14),
        subject("Kolkata", limits(kolkata.into()), vec![], (1, 10_000), 300, 15),
        subject("Lord Howe", limits(lord_howe.into()), vec![], (1, 10_000), 0, 16),
        subject("Kathmandu", Limits { batch, ..limits(kathmandu.into()) }, vec![], (1, 50_000), 0, 17),
        subject("St. John's", Limits { pace, ..limits(st_johns.into()) }, vec![], (1, 10_000), 0, 18),
        subject("Santiago", Limits { reserves, ..limits(santiago.into()) }, vec![], (1, 10_000), 2_000, 19),
        subject("Chatham", limits(chatham.into()), vec![weekends], (2, 10_000), 0, 20),
    ]
}

fn quota(limit: u64, unit: QuotaUnit, window: QuotaWindow) -> Quota {
    Quota { limit: NonZeroU64::new(limit).expect("not zero"), unit, window }
}

fn sliding(limit: u64, unit: QuotaUnit, window: Duration) -> Quota {
    quota(limit, unit, QuotaWindow::Sliding(window))
}

fn calendar(limit: u64, unit: QuotaUnit, span: CalendarSpan, zone: &str) -> Quota {
    quota(limit, unit, QuotaWindow::Calendar { span, zone: zone.to_owned() })
}

fn quiet(days: &[u8], from: u16, to: u16, zone: &str) -> QuietWindow {
    let days = Weekdays::new(days.iter().copied());
    QuietWindow { days, from: from * 60, to: to * 60, zone: zone.to_owned(), rule: QuietRule::Defer }
}
