//! How quotas, reserves and a pace are written: `7/10s`, `recipients:500/day@Asia/Tokyo`, `high=20`, `30/min`.

use std::time::Duration;

use hikyaku_client::proto::{CalendarSpan, CalendarWindow, Priority, Quota, QuotaUnit, Reserve, quota::Window};

use super::duration_text::{parse_duration, show_duration};

/// Reads `[messages:|recipients:|bytes:]LIMIT/WINDOW[@ZONE]`. With a zone the window is one of the calendar, else it slides.
///
/// # Errors
/// A sentence that says what is wrong.
pub(crate) fn parse_quota(text: &str) -> Result<Quota, String> {
    let wrong = |what: &str| {
        format!("\"{text}\" is not a quota: {what}; write 7/10s, 20/minute or recipients:500/day@Asia/Tokyo")
    };
    let (unit, rest) = match text.split_once(':') {
        None => (QuotaUnit::Messages, text),
        Some(("messages", rest)) => (QuotaUnit::Messages, rest),
        Some(("recipients", rest)) => (QuotaUnit::Recipients, rest),
        Some(("bytes", rest)) => (QuotaUnit::Bytes, rest),
        Some(_) => return Err(wrong("it counts messages, recipients or bytes")),
    };
    let (limit, window) = rest.split_once('/').ok_or_else(|| wrong("it has no slash"))?;
    let limit = limit.parse().ok().filter(|limit| *limit > 0);
    let limit = limit.ok_or_else(|| wrong("before the slash stands a number from 1 on"))?;
    let window = match window.split_once('@') {
        Some((_, "")) => return Err(wrong("no zone stands after the @")),
        Some((span, zone)) => {
            let span = calendar_span(span).ok_or_else(|| wrong("calendar windows are minute, hour, day and month"))?;
            Window::Calendar(CalendarWindow { span: span.into(), zone: zone.to_owned() })
        }
        None if window == "month" => return Err(wrong("months differ in length, so name a zone: month@UTC")),
        None => Window::Sliding(sliding(window).map_err(|what| wrong(&what))?),
    };
    Ok(Quota { limit, unit: unit.into(), window: Some(window) })
}

/// The text that [`parse_quota`] reads back to the same quota.
pub(crate) fn show_quota(quota: &Quota) -> String {
    let unit = match quota.unit() {
        QuotaUnit::Recipients => "recipients:",
        QuotaUnit::Bytes => "bytes:",
        QuotaUnit::Messages | QuotaUnit::Unspecified => "",
    };
    let window = match &quota.window {
        None => "?".to_owned(),
        Some(Window::Sliding(length)) => show_duration(Duration::try_from(*length).unwrap_or_default()),
        Some(Window::Calendar(calendar)) => {
            let span = match calendar.span() {
                CalendarSpan::Unspecified => "?",
                CalendarSpan::Minute => "minute",
                CalendarSpan::Hour => "hour",
                CalendarSpan::Day => "day",
                CalendarSpan::Month => "month",
            };
            let zone = if calendar.zone.is_empty() { "UTC" } else { &calendar.zone };
            format!("{span}@{zone}")
        }
    };
    format!("{unit}{}/{window}", quota.limit)
}

/// Reads a reserve as `PRIORITY=PERCENT`, such as `high=20`; a percent sign may follow.
///
/// # Errors
/// A sentence that says what is wrong.
pub(crate) fn parse_reserve(text: &str) -> Result<Reserve, String> {
    let wrong =
        || format!("\"{text}\" is not a reserve; write PRIORITY=PERCENT with high, normal or low, such as high=20");
    let (priority, percent) = text.split_once('=').ok_or_else(wrong)?;
    let priority = match priority {
        "high" => Priority::High,
        "normal" => Priority::Normal,
        "low" => Priority::Low,
        _ => return Err(wrong()),
    };
    let percent = percent.strip_suffix('%').unwrap_or(percent).parse().ok();
    let percent = percent.filter(|percent| (1..100).contains(percent)).ok_or_else(wrong)?;
    Ok(Reserve { priority: priority.into(), percent })
}

/// The text that [`parse_reserve`] reads back to the same reserve.
pub(crate) fn show_reserve(reserve: &Reserve) -> String {
    let priority = match reserve.priority() {
        Priority::High => "high",
        Priority::Normal => "normal",
        Priority::Low => "low",
        Priority::Bulk => "bulk",
        Priority::Unspecified => "?",
    };
    format!("{priority}={}%", reserve.percent)
}

/// Reads `N/s`, `N/min` or `N/h` as messages a minute.
///
/// # Errors
/// A sentence that says what is wrong.
pub(crate) fn parse_pace(text: &str) -> Result<u32, String> {
    let wrong = |what: &str| format!("\"{text}\" is not a pace: {what}; write 30/min or 2/s");
    let (count, unit) = text.split_once('/').ok_or_else(|| wrong("it has no slash"))?;
    let count: u32 = count.parse().map_err(|_| wrong("before the slash stands a number"))?;
    let per_minute = match unit {
        "s" | "second" => count.checked_mul(60),
        "m" | "min" | "minute" => Some(count),
        "h" | "hour" if count.is_multiple_of(60) => Some(count / 60),
        "h" | "hour" => return Err(wrong("it is not a whole number of messages a minute")),
        _ => return Err(wrong("the units are s, min and h")),
    };
    per_minute.filter(|count| *count > 0).ok_or_else(|| wrong("it is from 1 on messages a minute"))
}

/// Reads a batch as `MESSAGES/PAUSE`, such as `50/30s`.
///
/// # Errors
/// A sentence that says what is wrong.
pub(crate) fn parse_batch(text: &str) -> Result<(u32, Duration), String> {
    let wrong = || format!("\"{text}\" is not a batch; write MESSAGES/PAUSE, such as 50/30s");
    let (messages, pause) = text.split_once('/').ok_or_else(wrong)?;
    Ok((messages.parse().map_err(|_| wrong())?, parse_duration(pause)?))
}

fn sliding(window: &str) -> Result<prost_types::Duration, String> {
    let length = match window {
        "second" => Duration::from_secs(1),
        "min" | "minute" => Duration::from_secs(60),
        "hour" => Duration::from_secs(3_600),
        "day" => Duration::from_secs(86_400),
        "week" => Duration::from_secs(7 * 86_400),
        _ => parse_duration(window)?,
    };
    prost_types::Duration::try_from(length).map_err(|_| "the window is too long".to_owned())
}

fn calendar_span(text: &str) -> Option<CalendarSpan> {
    Some(match text {
        "min" | "minute" => CalendarSpan::Minute,
        "hour" => CalendarSpan::Hour,
        "day" => CalendarSpan::Day,
        "month" => CalendarSpan::Month,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The quota as it is shown again; `None` when it is refused.
    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let quota = parse_quota(text);
        assert_eq!(quota.as_ref().ok().map(show_quota).as_deref(), expected, "{text}: {quota:?}");
    }

    #[test]
    fn quotas_slide_unless_they_name_a_zone() {
        check("7/10s", Some("7/10s"));
        check("20/minute", Some("20/1m"));
        check("messages:100/hour", Some("100/1h"));
        check("500/day", Some("500/1d"));
        check("recipients:500/day@Asia/Tokyo", Some("recipients:500/day@Asia/Tokyo"));
        check("10000/month@UTC", Some("10000/month@UTC"));
        check("3/1h30m", Some("3/1h30m"));
        check("3/minute@UTC", Some("3/minute@UTC"));
        check("bytes:5000000000/day", Some("bytes:5000000000/1d"));
    }

    #[test]
    fn mistaken_quotas_are_refused() {
        check("", None);
        check("7", None);
        check("0/10s", None);
        check("-1/10s", None);
        check("7/", None);
        check("7/10", None);
        check("7/month", None);
        check("7/10s@UTC", None);
        check("7/day@", None);
        check("bites:7/day", None);
        check("18446744073709551616/day", None);
    }

    #[test]
    fn a_quota_of_recipients_is_counted_in_recipients() {
        let quota = parse_quota("recipients:500/day@Asia/Tokyo").unwrap();
        assert_eq!((quota.limit, quota.unit()), (500, QuotaUnit::Recipients));
        let Some(Window::Calendar(calendar)) = quota.window else { panic!("it slides") };
        assert_eq!((calendar.span(), calendar.zone.as_str()), (CalendarSpan::Day, "Asia/Tokyo"));
    }

    #[test]
    fn a_reserve_names_a_priority_and_a_percent() {
        for (text, expected) in [
            ("high=20", Some("high=20%")),
            ("normal=5%", Some("normal=5%")),
            ("low=99", Some("low=99%")),
            ("bulk=5", None),
            ("high=0", None),
            ("high=100", None),
            ("high", None),
            ("=5", None),
        ] {
            assert_eq!(parse_reserve(text).ok().as_ref().map(show_reserve).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_pace_is_kept_in_messages_a_minute() {
        for (text, expected) in [
            ("30/min", Some(30)),
            ("2/s", Some(120)),
            ("120/h", Some(2)),
            ("100/h", None),
            ("0/min", None),
            ("30", None),
            ("30/day", None),
            ("x/min", None),
        ] {
            assert_eq!(parse_pace(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn a_batch_has_a_size_and_a_pause() {
        assert_eq!(parse_batch("50/30s").unwrap(), (50, Duration::from_secs(30)));
        for text in ["50", "x/30s", "50/30", "/"] {
            assert!(parse_batch(text).is_err(), "{text}");
        }
    }
}
