//! How a quiet window is written: `mon-fri 22:00-07:00 Asia/Tokyo defer`.

use hikyaku_client::proto::{QuietRule, QuietWindow, Weekday};

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];
const DAILY: &str = "daily";

/// Reads `[DAYS] FROM-TO [ZONE] RULE`. Days are `daily`, or some like `mon-fri,sun`, on which the window begins.
///
/// # Errors
/// A sentence that says what is wrong.
pub(crate) fn parse_quiet(text: &str) -> Result<QuietWindow, String> {
    let wrong = |what: &str| {
        format!("\"{text}\" is not a quiet window: {what}; write \"mon-fri 22:00-07:00 Asia/Tokyo defer\"")
    };
    let mut words = text.split_whitespace().peekable();
    let days = match words.next_if(|word| !word.contains(':')) {
        None | Some(DAILY) => Vec::new(),
        Some(days) => parse_days(days).ok_or_else(|| wrong("days are mon, tue, wed, thu, fri, sat, sun and daily"))?,
    };
    let times = words.next().and_then(|word| word.split_once('-'));
    let (from, to) = times
        .filter(|(from, to)| is_time(from) && is_time(to))
        .ok_or_else(|| wrong("times are two of HH:MM with a hyphen between them"))?;
    let mut rest: Vec<_> = words.collect();
    let rule = match rest.pop() {
        Some("warn") => QuietRule::Warn,
        Some("defer") => QuietRule::Defer,
        Some("reject") => QuietRule::Reject,
        _ => return Err(wrong("at its end stands warn, defer or reject")),
    };
    let zone = match rest.as_slice() {
        [] => "UTC",
        [zone] => zone,
        _ => return Err(wrong("between times and rule stands one zone")),
    };
    Ok(QuietWindow { days, from: from.to_owned(), to: to.to_owned(), zone: zone.to_owned(), rule: rule.into() })
}

/// The text that [`parse_quiet`] reads back to the same window.
pub(crate) fn show_quiet(window: &QuietWindow) -> String {
    let rule = match window.rule() {
        QuietRule::Warn => "warn",
        QuietRule::Defer => "defer",
        QuietRule::Reject => "reject",
        QuietRule::Unspecified => "?",
    };
    let zone = if window.zone.is_empty() { "UTC" } else { &window.zone };
    format!("{} {}-{} {zone} {rule}", show_days(&window.days), window.from, window.to)
}

fn parse_days(text: &str) -> Option<Vec<i32>> {
    let index = |name: &str| DAYS.iter().position(|(day, _)| day.eq_ignore_ascii_case(name));
    let mut named = [false; DAYS.len()];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut day, last) = (index(first)?, index(last)?);
        named[day] = true;
        while day != last {
            day = (day + 1) % DAYS.len();
            named[day] = true;
        }
    }
    let days = DAYS.iter().zip(named).filter(|(_, named)| *named).map(|((_, day), _)| i32::from(*day)).collect();
    // Every day is said by naming none.
    Some(if named == [true; DAYS.len()] { Vec::new() } else { days })
}

fn show_days(days: &[i32]) -> String {
    let named: Vec<_> = DAYS.iter().map(|(_, day)| days.contains(&i32::from(*day))).collect();
    if named.iter().all(|named| *named) || !named.contains(&true) {
        return DAILY.to_owned();
    }
    let mut parts = Vec::new();
    let mut at = 0;
    while at < DAYS.len() {
        let run = named[at..].iter().take_while(|named| **named).count();
        match run {
            0 => {}
            1 | 2 => parts.extend(DAYS[at..at + run].iter().map(|(name, _)| (*name).to_owned())),
            _ => parts.push(format!("{}-{}", DAYS[at].0, DAYS[at + run - 1].0)),
        }
        at += run.max(1);
    }
    parts.join(",")
}

/// Whether a text has the form HH:MM; which times there are is for the daemon to say.
fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 5 && bytes[2] == b':' && [0, 1, 3, 4].into_iter().all(|at| bytes[at].is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let window = parse_quiet(text);
        assert_eq!(window.as_ref().ok().map(show_quiet).as_deref(), expected, "{text}: {window:?}");
    }

    #[test]
    fn quiet_windows_name_days_times_zone_and_rule() {
        check("mon-fri 22:00-07:00 Asia/Tokyo defer", Some("mon-fri 22:00-07:00 Asia/Tokyo defer"));
        check("22:00-07:00 reject", Some("daily 22:00-07:00 UTC reject"));
        check("daily 00:00-24:00 UTC warn", Some("daily 00:00-24:00 UTC warn"));
        check("Sat,SUN 00:00-24:00 UTC warn", Some("sat,sun 00:00-24:00 UTC warn"));
        check("sun,mon,wed-fri 01:00-02:00 warn", Some("mon,wed-fri,sun 01:00-02:00 UTC warn"));
        check("sat-mon 01:00-02:00 warn", Some("mon,sat,sun 01:00-02:00 UTC warn"));
        check("mon-sun 01:00-02:00 warn", Some("daily 01:00-02:00 UTC warn"));
        for wrong in [
            "",
            "mon",
            "mon 22:00 defer",
            "mon 22:00-7:00 defer",
            "mon 22:00-07:00",
            "mon 22:00-07:00 sometimes",
            "mon 22:00-07:00 Asia/Tokyo UTC defer",
            "mo 22:00-07:00 defer",
            "mon-xyz 22:00-07:00 defer",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn days_are_those_on_which_it_begins() {
        let window = parse_quiet("sat,sun 22:00-07:00 Asia/Tokyo defer").unwrap();
        assert_eq!(window.days, [i32::from(Weekday::Saturday), i32::from(Weekday::Sunday)]);
        assert_eq!((window.from.as_str(), window.to.as_str()), ("22:00", "07:00"));
    }
}
