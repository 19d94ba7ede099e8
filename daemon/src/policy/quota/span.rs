//! Where a calendar window begins and ends: local minutes, hours, days and months of an IANA zone.

use jiff::{Zoned, tz::TimeZone};

use crate::domain::{limits::CalendarSpan, time::Timestamp};

/// A stretch of time: `start` belongs to it, `end` does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
}

impl Span {
    pub(super) fn contains(&self, time: Timestamp) -> bool {
        self.start <= time && time < self.end
    }
}

/// A way to cut time into local spans without gap or overlap.
#[derive(Clone, Debug)]
pub(super) struct Calendar {
    span: CalendarSpan,
    zone: TimeZone,
}

impl Calendar {
    /// Names are checked when an account is stored; one that has left the database since is read as UTC.
    pub(super) fn new(span: CalendarSpan, zone: &str) -> Self {
        Self { span, zone: TimeZone::get(zone).unwrap_or(TimeZone::UTC) }
    }

    /// The span in which `time` lies.
    pub(super) fn around(&self, time: Timestamp) -> Span {
        let local = match self.span {
            CalendarSpan::Minute => self.clock_span(time, MINUTE_MS),
            CalendarSpan::Hour => self.clock_span(time, HOUR_MS),
            CalendarSpan::Day => self.date_span(time, day_bounds),
            CalendarSpan::Month => self.date_span(time, month_bounds),
        };
        local.unwrap_or_else(|| plain_span(time, self.longest_ms()))
    }

    /// The longest that a span can last, in milliseconds.
    pub(super) const fn longest_ms(&self) -> u64 {
        match self.span {
            CalendarSpan::Minute => MINUTE_MS,
            CalendarSpan::Hour => HOUR_MS,
            CalendarSpan::Day => 25 * HOUR_MS,
            CalendarSpan::Month => 31 * 24 * HOUR_MS + HOUR_MS,
        }
    }

    fn date_span(&self, time: Timestamp, bounds: fn(&Zoned) -> Result<(Zoned, Zoned), jiff::Error>) -> Option<Span> {
        let (start, end) = bounds(&jiff_time(time)?.to_zoned(self.zone.clone())).ok()?;
        Some(Span { start: from_jiff(start.timestamp())?, end: from_jiff(end.timestamp())? })
    }

    fn clock_span(&self, time: Timestamp, length_ms: u64) -> Option<Span> {
        let length_ms = i64::try_from(length_ms).ok()?;
        let start = self.clock_start(time, length_ms)?;
        let mut end = self.floor(start, length_ms)? + length_ms;
        // Where a zone's offset changes by half an hour, the two parts of the hour are one span.
        while self.clock_start(from_millis(end)?, length_ms)? == start {
            end = self.floor(from_millis(end)?, length_ms)? + length_ms;
        }
        Some(Span { start, end: from_millis(end)? })
    }

    fn clock_start(&self, time: Timestamp, length_ms: i64) -> Option<Timestamp> {
        let start = from_millis(self.floor(time, length_ms)?)?;
        if self.offset_ms(start)? == self.offset_ms(time)? {
            return Some(start);
        }
        from_millis(self.floor(start, length_ms)?)
    }

    /// The last full minute or hour of the local clock, were its offset always that of `time`.
    fn floor(&self, time: Timestamp, length_ms: i64) -> Option<i64> {
        let offset_ms = self.offset_ms(time)?;
        let local_ms = i64::try_from(time.as_millis()).ok()?.checked_add(offset_ms)?;
        Some(local_ms - local_ms.rem_euclid(length_ms) - offset_ms)
    }

    fn offset_ms(&self, time: Timestamp) -> Option<i64> {
        Some(i64::from(self.zone.to_offset(jiff_time(time)?).seconds()) * 1_000)
    }
}

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 3_600_000;

fn day_bounds(local: &Zoned) -> Result<(Zoned, Zoned), jiff::Error> {
    Ok((local.start_of_day()?, local.tomorrow()?.start_of_day()?))
}

fn month_bounds(local: &Zoned) -> Result<(Zoned, Zoned), jiff::Error> {
    Ok((local.first_of_month()?.start_of_day()?, local.last_of_month()?.tomorrow()?.start_of_day()?))
}

/// For times that the calendar does not reach, before 1970 and after 9999.
fn plain_span(time: Timestamp, length_ms: u64) -> Span {
    let start_ms = time.as_millis() - time.as_millis() % length_ms;
    Span { start: Timestamp::from_millis(start_ms), end: Timestamp::from_millis(start_ms.saturating_add(length_ms)) }
}

fn jiff_time(time: Timestamp) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_millisecond(i64::try_from(time.as_millis()).ok()?).ok()
}

fn from_jiff(time: jiff::Timestamp) -> Option<Timestamp> {
    from_millis(time.as_millisecond())
}

fn from_millis(millis: i64) -> Option<Timestamp> {
    u64::try_from(millis).ok().map(Timestamp::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(span: CalendarSpan, zone: &str, at: &str, start: &str, end: &str) {
        let time = |text: &str| from_jiff(text.parse().expect("a time")).expect("after 1970");
        let found = Calendar::new(span, zone).around(time(at));
        assert_eq!(found, Span { start: time(start), end: time(end) }, "{zone} {at}");
    }

    #[test]
    fn spans_follow_the_local_calendar() {
        use CalendarSpan::{Day, Hour, Minute, Month};
        check(Day, "Asia/Tokyo", "2026-03-01T20:00:00Z", "2026-03-01T15:00:00Z", "2026-03-02T15:00:00Z");
        check(Day, "Asia/Tokyo", "2026-03-01T15:00:00Z", "2026-03-01T15:00:00Z", "2026-03-02T15:00:00Z");
        check(Month, "Asia/Tokyo", "2026-02-10T00:00:00Z", "2026-01-31T15:00:00Z", "2026-02-28T15:00:00Z");
        check(Hour, "Asia/Kolkata", "2026-03-01T00:10:00Z", "2026-02-28T23:30:00Z", "2026-03-01T00:30:00Z");
        check(Minute, "UTC", "2026-03-01T00:10:59.999Z", "2026-03-01T00:10:00Z", "2026-03-01T00:11:00Z");
    }

    #[test]
    fn days_are_longer_or_shorter_where_clocks_change() {
        use CalendarSpan::{Day, Hour};
        check(Day, "Europe/London", "2026-03-29T12:00:00Z", "2026-03-29T00:00:00Z", "2026-03-29T23:00:00Z");
        check(Day, "Europe/London", "2026-10-25T12:00:00Z", "2026-10-24T23:00:00Z", "2026-10-26T00:00:00Z");
        // The hour from one to two passes twice, and each time is a span.
        check(Hour, "Europe/London", "2026-10-25T00:30:00Z", "2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z");
        check(Hour, "Europe/London", "2026-10-25T01:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z");
    }

    #[test]
    fn an_hour_in_which_clocks_change_by_half_an_hour_is_one_span() {
        use CalendarSpan::Hour;
        for at in ["2026-04-04T14:10:00Z", "2026-04-04T15:00:00Z", "2026-04-04T15:29:59Z"] {
            check(Hour, "Australia/Lord_Howe", at, "2026-04-04T14:00:00Z", "2026-04-04T15:30:00Z");
        }
        for at in ["2026-10-03T14:40:00Z", "2026-10-03T15:30:00Z", "2026-10-03T15:59:59Z"] {
            check(Hour, "Australia/Lord_Howe", at, "2026-10-03T14:30:00Z", "2026-10-03T16:00:00Z");
        }
    }

    #[test]
    fn the_end_of_time_still_has_a_span() {
        let calendar = Calendar::new(CalendarSpan::Day, "Mars/Olympus");
        let last = Timestamp::from_millis(u64::MAX - 1);
        assert!(calendar.around(last).contains(last));
    }
}
