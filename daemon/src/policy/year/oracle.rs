//! What the limits allow, counted by the clocks on the wall: nothing here is taken from the ledger, dispatch or the pacing.

use std::{collections::HashMap, time::Duration};

use jiff::{ToSpan, Zoned, tz::TimeZone};

use super::{Supply, accounts::Subject};
use crate::{
    domain::{
        limits::{CalendarSpan, QuotaUnit, QuotaWindow},
        quiet::QuietRule,
        time::Timestamp,
    },
    policy::rehearsal::{Item, Sent},
};

const MINUTE_MS: u64 = 60_000;

fn units(item: &Item, unit: QuotaUnit) -> u64 {
    match unit {
        QuotaUnit::Messages => 1,
        QuotaUnit::Recipients => u64::from(item.recipients),
        QuotaUnit::Bytes => item.bytes,
    }
}

fn local(at_ms: u64, zone: &TimeZone) -> Zoned {
    let at = jiff::Timestamp::from_millisecond(i64::try_from(at_ms).expect("a time")).expect("a time");
    at.to_zoned(zone.clone())
}

fn ms_of(zoned: &Zoned) -> u64 {
    zoned.timestamp().as_millisecond().unsigned_abs()
}

/// That no stretch of a sliding quota's length holds more than its limit, whenever the provider counted each message.
pub(super) fn check_sliding(subject: &Subject, sent: &[Sent]) {
    for quota in &subject.limits.quotas {
        let QuotaWindow::Sliding(length) = quota.window else { continue };
        let sorted = |time: fn(&Sent) -> Timestamp| {
            let mut times: Vec<(u64, u64)> =
                sent.iter().map(|sent| (time(sent).as_millis(), units(&sent.item, quota.unit))).collect();
            times.sort_unstable();
            times
        };
        let (begun, ended) = (sorted(|sent| sent.begun), sorted(|sent| sent.ended));
        let (mut next, mut entered, mut left) = (0, 0, 0);
        // A stretch that begins when this one ended may hold all that had not ended before and begin within it.
        for (end_ms, units) in &ended {
            let stretch_end_ms = end_ms + length.as_millis() as u64;
            while next < begun.len() && begun[next].0 < stretch_end_ms {
                entered += begun[next].1;
                next += 1;
            }
            let inside = entered - left;
            assert!(inside <= quota.limit.get(), "{}: {inside} units from {end_ms} in {quota:?}", subject.name);
            left += units;
        }
    }
}

/// What the clocks of a zone show of a span: the hour with its offset, as an hour may pass twice, but where clocks change by
/// half an hour.
fn label(at_ms: u64, span: CalendarSpan, zone: &TimeZone) -> (i64, i32) {
    let time = local(at_ms, zone);
    let date = i64::from(time.year()) * 10_000 + i64::from(time.month()) * 100;
    let day = date + i64::from(time.day());
    let offset = if zone.iana_name() == Some("Australia/Lord_Howe") { 0 } else { time.offset().seconds() };
    match span {
        CalendarSpan::Month => (date, 0),
        CalendarSpan::Day => (day, 0),
        CalendarSpan::Hour => (day * 100 + i64::from(time.hour()), offset),
        CalendarSpan::Minute => (day * 10_000 + i64::from(time.hour()) * 100 + i64::from(time.minute()), offset),
    }
}

/// That no span of the calendar holds more than its quota's limit, whenever the provider counted each message.
pub(super) fn check_calendars(subject: &Subject, sent: &[Sent]) {
    for quota in &subject.limits.quotas {
        let QuotaWindow::Calendar { span, zone } = &quota.window else { continue };
        let zone = TimeZone::get(zone).expect("a zone");
        let mut counted: HashMap<(i64, i32), u64> = HashMap::new();
        for Sent { item, begun, ended } in sent {
            let mut last = None;
            for minute in begun.as_millis() / MINUTE_MS..=ended.as_millis() / MINUTE_MS {
                let label = label(minute * MINUTE_MS, *span, &zone);
                if last.replace(label) != Some(label) {
                    *counted.entry(label).or_default() += units(item, quota.unit);
                }
            }
        }
        for (label, used) in counted {
            assert!(used <= quota.limit.get(), "{}: {used} units in {label:?} of {quota:?}", subject.name);
        }
    }
}

/// That nothing begins while the account is quiet.
pub(super) fn check_quiet(subject: &Subject, sent: &[Sent]) {
    let clocks = Clocks::new(subject);
    for sent in sent {
        assert!(!clocks.is_quiet(sent.begun.as_millis()), "{}: {} is quiet", subject.name, sent.begun);
    }
}

struct Clocks<'a> {
    subject: &'a Subject,
    zones: Vec<TimeZone>,
}

impl<'a> Clocks<'a> {
    fn new(subject: &'a Subject) -> Self {
        let zone = |window: &crate::domain::quiet::QuietWindow| TimeZone::get(&window.zone).expect("a zone");
        Self { subject, zones: subject.quiet.iter().map(zone).collect() }
    }

    fn is_quiet(&self, at_ms: u64) -> bool {
        self.subject.quiet.iter().zip(&self.zones).any(|(window, zone)| {
            let time = local(at_ms, zone);
            let minute = u16::from(time.hour().unsigned_abs()) * 60 + u16::from(time.minute().unsigned_abs());
            let today = time.weekday().to_monday_zero_offset().unsigned_abs();
            let (is_today, is_yesterday) = (window.days.contains(today), window.days.contains((today + 6) % 7));
            let holds = match window.from < window.to {
                true => is_today && (window.from..window.to).contains(&minute),
                false => is_today && minute >= window.from || is_yesterday && minute < window.to,
            };
            holds && window.rule != QuietRule::Warn
        })
    }

    /// The first minute from here on in which mail may go.
    fn open_from(&self, at_ms: u64) -> u64 {
        let mut at_ms = at_ms;
        while !self.subject.quiet.is_empty() && self.is_quiet(at_ms) {
            at_ms = at_ms - at_ms % MINUTE_MS + MINUTE_MS;
        }
        at_ms
    }
}

/// The end of the span of the calendar in which a time is.
fn span_end(at_ms: u64, span: CalendarSpan, zone: &TimeZone) -> u64 {
    let time = local(at_ms, zone);
    let midnight = |date: jiff::civil::Date| ms_of(&date.to_zoned(zone.clone()).expect("a time"));
    match span {
        CalendarSpan::Month => midnight(time.date().first_of_month() + 1.month()),
        CalendarSpan::Day => midnight(time.date() + 1.day()),
        CalendarSpan::Minute => at_ms - at_ms % MINUTE_MS + MINUTE_MS,
        CalendarSpan::Hour => {
            let here = label(at_ms, span, zone);
            let minutes = 60 - u64::from(time.minute().unsigned_abs());
            let end = at_ms - at_ms % MINUTE_MS + minutes * MINUTE_MS;
            if label(end, span, zone) == here { end + 30 * MINUTE_MS } else { end }
        }
    }
}

/// What was sent in the best year that the limits allow: each message as early as can be, which no later one regrets.
pub(super) fn allowance(subject: &Subject, end: Timestamp) -> usize {
    let mut best = Best::new(subject);
    let mut supply = Supply::new(subject);
    let mut bulk = supply.next();
    let end_ms = end.as_millis();
    let mut now_ms = super::BEGIN.as_millis();
    loop {
        let urgent = supply.urgent.last().copied();
        let due = urgent.filter(|item| item.due.as_millis() <= now_ms);
        let item = due.unwrap_or(bulk);
        let at_ms = best.earliest(&item, now_ms);
        if due.is_none()
            && let Some(sooner) = urgent.filter(|item| item.due.as_millis() <= at_ms)
        {
            now_ms = sooner.due.as_millis();
            continue;
        }
        if at_ms + best.message_ms >= end_ms {
            return best.times_ms.len();
        }
        best.place(item, at_ms);
        now_ms = at_ms;
        if due.is_some() {
            supply.urgent.pop();
        } else {
            bulk = supply.next();
        }
    }
}

/// The best year so far.
struct Best<'a> {
    subject: &'a Subject,
    clocks: Clocks<'a>,
    zones: Vec<Option<TimeZone>>,
    message_ms: u64,
    /// When each message began.
    times_ms: Vec<u64>,
    /// The units of all messages up to each, by quota.
    sums: Vec<Vec<u64>>,
    /// When the pace's bucket is full again, in milliseconds.
    paced_ms: f64,
}

impl<'a> Best<'a> {
    fn new(subject: &'a Subject) -> Self {
        let zone = |window: &QuotaWindow| match window {
            QuotaWindow::Sliding(_) => None,
            QuotaWindow::Calendar { zone, .. } => Some(TimeZone::get(zone).expect("a zone")),
        };
        let quotas = &subject.limits.quotas;
        Self {
            subject,
            clocks: Clocks::new(subject),
            zones: quotas.iter().map(|quota| zone(&quota.window)).collect(),
            message_ms: subject.service.message.as_millis() as u64,
            times_ms: Vec::new(),
            sums: vec![vec![0]; quotas.len()],
            paced_ms: 0.0,
        }
    }

    fn place(&mut self, item: Item, at_ms: u64) {
        self.times_ms.push(at_ms);
        for (quota, sums) in self.subject.limits.quotas.iter().zip(&mut self.sums) {
            sums.push(sums.last().expect("it begins with nothing") + units(&item, quota.unit));
        }
        self.paced_ms = self.paced_ms.max(at_ms as f64) + self.pace_gap_ms();
    }

    fn pace_gap_ms(&self) -> f64 {
        self.subject.limits.pace.map_or(0.0, |pace| 60_000.0 / f64::from(pace.messages_per_minute.get()))
    }

    fn earliest(&self, item: &Item, now_ms: u64) -> u64 {
        let at_ms = self.spread(now_ms);
        let limits = &self.subject.limits;
        let by_quota = limits.quotas.iter().zip(&self.zones).zip(&self.sums).map(|((quota, zone), sums)| {
            let share = limits.reserves.share(quota.limit, item.priority);
            let sum = sums.last().expect("it begins with nothing") + units(item, quota.unit);
            // The first message that may be in one window with this one, and the one before it.
            let first = sums.partition_point(|before| sum - before > share);
            let Some(last_out) = first.checked_sub(1).map(|index| self.times_ms[index]) else { return now_ms };
            match (&quota.window, zone) {
                (QuotaWindow::Calendar { span, .. }, Some(zone)) => span_end(last_out, *span, zone),
                (QuotaWindow::Sliding(length), _) => last_out + length.as_millis() as u64,
                (QuotaWindow::Calendar { .. }, None) => unreachable!("calendars have zones"),
            }
        });
        self.clocks.open_from(by_quota.fold(at_ms, u64::max))
    }

    /// When connections, interval, batches and pace let the next message go.
    fn spread(&self, now_ms: u64) -> u64 {
        let limits = &self.subject.limits;
        let sent = self.times_ms.len();
        let is_serial = limits.interval > Duration::ZERO || limits.batch.is_some();
        let connections = if is_serial { 1 } else { self.subject.service.connections as usize };
        let before = sent.checked_sub(connections).map(|index| self.times_ms[index]);
        let pause = match limits.batch {
            Some(batch) if sent > 0 && sent.is_multiple_of(batch.messages.get() as usize) => batch.pause,
            _ => Duration::ZERO,
        };
        let rest_ms = limits.interval.max(pause).as_millis() as u64;
        let at_ms = before.map_or(now_ms, |begun| now_ms.max(begun + self.message_ms + rest_ms));
        let Some(pace) = limits.pace else { return at_ms };
        let ahead_ms = f64::from(pace.burst.get() - 1) * self.pace_gap_ms();
        at_ms.max((self.paced_ms - ahead_ms).max(0.0).ceil() as u64)
    }
}
