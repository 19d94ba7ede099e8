//! How a point in time is written: RFC 3339, or as a distance from now.

use std::{
    str::FromStr,
    time::{Duration, SystemTime},
};

use super::duration_text::parse_duration;

/// A point in time as the user named it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// This moment.
    At(SystemTime),
    /// That long from now.
    In(Duration),
    /// That long ago.
    Ago(Duration),
}

impl When {
    /// The moment it means when it is `now`.
    pub(crate) fn resolve(self, now: SystemTime) -> SystemTime {
        match self {
            Self::At(time) => time,
            Self::In(wait) => now.checked_add(wait).unwrap_or(now),
            Self::Ago(back) => {
                now.checked_sub(back).map_or(SystemTime::UNIX_EPOCH, |time| time.max(SystemTime::UNIX_EPOCH))
            }
        }
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(wait) = text.strip_prefix('+') {
            return parse_duration(wait).map(Self::In);
        }
        if let Some(back) = text.strip_prefix('-') {
            return parse_duration(back).map(Self::Ago);
        }
        match text.parse::<jiff::Timestamp>() {
            Ok(time) => Ok(Self::At(time.into())),
            Err(_) => Err(format!("\"{text}\" is not a time; write 2026-04-01T09:00:00+09:00, or +2h, or -30m")),
        }
    }
}

/// RFC 3339 in UTC with milliseconds, always three digits of them.
pub(crate) fn show_time(time: prost_types::Timestamp) -> String {
    match jiff::Timestamp::new(time.seconds, time.nanos) {
        Ok(moment) => format!("{moment:.3}"),
        Err(_) => format!("{}s", time.seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[track_caller]
    fn check(text: &str, expected: Option<u64>) {
        let now = seconds(1_700_000_000);
        assert_eq!(text.parse::<When>().ok().map(|when| when.resolve(now)), expected.map(seconds), "{text}");
    }

    #[test]
    fn times_are_rfc_3339_or_distances_from_now() {
        check("2023-11-14T22:13:20Z", Some(1_700_000_000));
        check("2023-11-15T07:13:20+09:00", Some(1_700_000_000));
        check("+2h", Some(1_700_007_200));
        check("-30m", Some(1_699_998_200));
        check("-36525d", Some(0));
        check("2h", None);
        check("tomorrow", None);
        check("2023-11-14", None);
        check("", None);
    }

    #[test]
    fn times_are_shown_in_utc() {
        let time = |nanos| prost_types::Timestamp { seconds: 1_700_000_000, nanos };
        assert_eq!(show_time(time(0)), "2023-11-14T22:13:20.000Z");
        assert_eq!(show_time(time(123_456_789)), "2023-11-14T22:13:20.123Z");
    }
}
