//! Is an account in one of its quiet windows, and when does that end?
//!
//! A window is what the clocks of its zone show: a time is inside when the local clock stands from `from` until before `to`, on
//! a day on which the window begins, or after midnight on the day that follows one. So a window that lies in an hour which
//! clocks skip does not come on that day, and one in an hour that passes twice comes twice.
//!
//! Windows that DEFER or REJECT make stretches in which nothing is sent. Where they overlap or adjoin, they are one stretch.

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::domain::{
    quiet::{QuietRule, QuietWindow, Weekdays},
    time::Timestamp,
};

/// How far ahead the end of a stretch is looked for, in days: a hole between windows of two zones may come once a year.
pub const QUIET_AHEAD_DAYS_MAX: u64 = 400;

const DAY_MS: i64 = 24 * 3_600_000;
const MINUTE_MS: i64 = 60_000;

/// When a stretch ends in which nothing is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuietEnd {
    /// At this time.
    At(Timestamp),
    /// Not within [`QUIET_AHEAD_DAYS_MAX`]: its windows cover the whole week.
    Never,
}

impl QuietEnd {
    /// The time, if there is one.
    #[must_use]
    pub const fn time(self) -> Option<Timestamp> {
        match self {
            Self::At(at) => Some(at),
            Self::Never => None,
        }
    }
}

/// When the stretch ends in which nothing may be sent at `now`; nothing when mail may be sent.
#[must_use]
pub fn quiet_until(windows: &[QuietWindow], now: Timestamp) -> Option<QuietEnd> {
    QuietHours::new(windows).until(now)
}

/// When a job may be submitted again that would be sent at `at`, which is in a window that refuses such jobs; nothing when
/// there is no such window.
#[must_use]
pub fn refused_until(windows: &[QuietWindow], at: Timestamp) -> Option<QuietEnd> {
    let mut hours = QuietHours::new(windows);
    let is_refused = hours.inside(at).any(|window| window.rule == QuietRule::Reject);
    if is_refused { hours.until(at) } else { None }
}

/// What is to be said to someone whose mail would be sent at `at`: a sentence for each window with WARN in which that is.
#[must_use]
pub fn warnings(windows: &[QuietWindow], at: Timestamp) -> Vec<String> {
    let mut hours = QuietHours::new(windows);
    let warning = hours.inside(at).filter(|window| window.rule == QuietRule::Warn);
    let described = warning.filter_map(|window| windows.get(window.index)).map(describe);
    described.map(|window| format!("would be sent in the quiet window {window}")).collect()
}

/// A window as people read it, such as `Mon, Tue 22:00 to 07:00 Asia/Tokyo`.
#[must_use]
pub fn describe(window: &QuietWindow) -> String {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let named: Vec<&str> = window.days.iter().filter_map(|day| DAYS.get(usize::from(day)).copied()).collect();
    let days = if window.days == Weekdays::ALL { "daily".to_owned() } else { named.join(", ") };
    let time = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
    format!("{days} {} to {} {}", time(window.from), time(window.to), window.zone)
}

/// The quiet windows of an account, made ready to be asked often.
#[derive(Clone, Debug)]
pub struct QuietHours {
    zones: Vec<ZoneClock>,
    windows: Vec<Window>,
    known: Option<Stretch>,
}

/// A stretch of time that is quiet or free as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The time for which it was asked.
    pub since: Timestamp,
    /// Whether nothing is sent in it.
    pub is_quiet: bool,
    /// When it ends; nothing when that is not within [`QUIET_AHEAD_DAYS_MAX`].
    pub until: Option<Timestamp>,
}

/// A window with its zone looked up.
#[derive(Clone, Copy, Debug)]
struct Window {
    /// Its place among the account's.
    index: usize,
    zone: usize,
    days: Weekdays,
    from_ms: i64,
    to_ms: i64,
    rule: QuietRule,
}

/// A zone, with the offset that it has from one change of its clocks to the next.
#[derive(Clone, Debug)]
struct ZoneClock {
    name: String,
    zone: TimeZone,
    offset_ms: i64,
    since_ms: i64,
    until_ms: i64,
}

impl QuietHours {
    /// Looks the zones up.
    #[must_use]
    pub fn new(windows: &[QuietWindow]) -> Self {
        let mut hours = Self { zones: Vec::new(), windows: Vec::with_capacity(windows.len()), known: None };
        for (index, QuietWindow { days, from, to, zone, rule }) in windows.iter().enumerate() {
            let known = hours.zones.iter().position(|clock| clock.name == *zone);
            let zone = known.unwrap_or_else(|| {
                hours.zones.push(ZoneClock::new(zone));
                hours.zones.len() - 1
            });
            let (from_ms, to_ms) = (i64::from(*from) * MINUTE_MS, i64::from(*to) * MINUTE_MS);
            hours.windows.push(Window { index, zone, days: *days, from_ms, to_ms, rule: *rule });
        }
        hours
    }

    /// When the stretch ends in which nothing may be sent at `now`; nothing when mail may be sent.
    pub fn until(&mut self, now: Timestamp) -> Option<QuietEnd> {
        let stretch = self.stretch(now);
        stretch.is_quiet.then(|| stretch.until.map_or(QuietEnd::Never, QuietEnd::At))
    }

    /// The quiet or free stretch in which `now` lies, from `now` on.
    pub fn stretch(&mut self, now: Timestamp) -> Stretch {
        let horizon = |since: Timestamp| since.after(Duration::from_hours(24 * QUIET_AHEAD_DAYS_MAX));
        if let Some(known) = self.known
            && known.since <= now
            && now < known.until.unwrap_or_else(|| horizon(known.since))
        {
            return known;
        }
        let is_quiet = self.is_quiet(now);
        let (mut at, last) = (now, horizon(now));
        let until = loop {
            at = self.lasts_until(at, is_quiet);
            if at >= last {
                break None;
            }
            if self.is_quiet(at) != is_quiet {
                break Some(at);
            }
        };
        let stretch = Stretch { since: now, is_quiet, until };
        self.known = Some(stretch);
        stretch
    }

    fn is_quiet(&mut self, at: Timestamp) -> bool {
        self.inside(at).any(|window| window.rule != QuietRule::Warn)
    }

    /// The windows in which a time is.
    fn inside(&mut self, at: Timestamp) -> impl Iterator<Item = &Window> {
        for clock in &mut self.zones {
            clock.turn_to(millis(at));
        }
        let Self { zones, windows, .. } = self;
        windows.iter().filter(move |window| window.contains(millis(at).saturating_add(zones[window.zone].offset_ms)))
    }

    /// A later time until which it is sure to stay as quiet, or as free, as it is at `at`.
    fn lasts_until(&mut self, at: Timestamp, is_quiet: bool) -> Timestamp {
        for clock in &mut self.zones {
            clock.turn_to(millis(at));
        }
        let windows = self.windows.iter().filter(|window| window.rule != QuietRule::Warn);
        let times = windows.filter_map(|window| {
            let clock = &self.zones[window.zone];
            let local_ms = millis(at).saturating_add(clock.offset_ms);
            let next_ms = match (is_quiet, window.contains(local_ms)) {
                (true, true) => next_time(local_ms, window.to_ms),
                (true, false) => return None,
                // It may begin then, if that is one of its days.
                (false, _) => next_time(local_ms, window.from_ms),
            };
            // Where clocks change, it has to be looked at anew.
            Some((next_ms - clock.offset_ms).min(clock.until_ms))
        });
        // What is quiet lasts as long as any of its windows, what is free until the first of all.
        let next = if is_quiet { times.max() } else { times.min() };
        next.map_or(Timestamp::from_millis(u64::MAX), |next| Timestamp::from_millis(next.unsigned_abs()))
    }
}

impl Window {
    fn contains(&self, local_ms: i64) -> bool {
        let time_ms = local_ms.rem_euclid(DAY_MS);
        let begins = |day: i64| u8::try_from((day + THURSDAY).rem_euclid(7)).is_ok_and(|day| self.days.contains(day));
        let day = local_ms.div_euclid(DAY_MS);
        if self.from_ms < self.to_ms {
            return begins(day) && (self.from_ms..self.to_ms).contains(&time_ms);
        }
        time_ms >= self.from_ms && begins(day) || time_ms < self.to_ms && begins(day - 1)
    }
}

/// 1970-01-01 was a Thursday, the fourth day of its week.
const THURSDAY: i64 = 3;

/// The next time after `local_ms` at which a clock shows so many milliseconds after midnight.
fn next_time(local_ms: i64, time_ms: i64) -> i64 {
    let today = local_ms - local_ms.rem_euclid(DAY_MS) + time_ms;
    if today > local_ms { today } else { today + DAY_MS }
}

impl ZoneClock {
    /// Names are checked when an account is stored; one that has left the database since is read as UTC.
    fn new(name: &str) -> Self {
        let zone = TimeZone::get(name).unwrap_or(TimeZone::UTC);
        Self { name: name.to_owned(), zone, offset_ms: 0, since_ms: 0, until_ms: 0 }
    }

    /// Looks up the offset that holds at `at_ms`.
    fn turn_to(&mut self, at_ms: i64) {
        if at_ms < self.since_ms || at_ms >= self.until_ms {
            self.look_up(at_ms);
        }
    }

    fn look_up(&mut self, at_ms: i64) {
        (self.offset_ms, self.since_ms, self.until_ms) = (0, at_ms, i64::MAX);
        let Ok(at) = jiff::Timestamp::from_millisecond(at_ms) else { return };
        self.offset_ms = i64::from(self.zone.to_offset(at).seconds()) * 1_000;
        if let Some(change) = self.zone.following(at).next() {
            self.until_ms = change.timestamp().as_millisecond();
        }
    }
}

fn millis(at: Timestamp) -> i64 {
    // Days later than any calendar are as good as the last one.
    i64::try_from(at.as_millis()).unwrap_or(i64::MAX / 2).min(i64::MAX / 2)
}

#[cfg(test)]
mod tests;
