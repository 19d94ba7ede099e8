//! Quiet windows on the wire.

use hikyaku_proto::v1;

use super::{values::to_zone, violations::Violations};
use crate::domain::quiet::{DAY_MINUTES, QUIET_WINDOWS_MAX, QuietRule, QuietWindow, Weekdays};

/// Quiet windows on the wire. That of every day names none.
pub(super) fn from_windows(windows: &[QuietWindow]) -> Vec<v1::QuietWindow> {
    windows.iter().map(from_window).collect()
}

fn from_window(window: &QuietWindow) -> v1::QuietWindow {
    let text = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
    let rule = match window.rule {
        QuietRule::Warn => v1::QuietRule::Warn,
        QuietRule::Defer => v1::QuietRule::Defer,
        QuietRule::Reject => v1::QuietRule::Reject,
    };
    let days = if window.days == Weekdays::ALL { Vec::new() } else { window.days.iter().map(wire_day).collect() };
    v1::QuietWindow { days, from: text(window.from), to: text(window.to), zone: window.zone.clone(), rule: rule.into() }
}

/// Quiet windows that a caller sent.
pub(super) fn to_windows(
    wire: Vec<v1::QuietWindow>,
    at: &str,
    violations: &mut Violations,
) -> Option<Vec<QuietWindow>> {
    if wire.len() > QUIET_WINDOWS_MAX {
        violations.add(at, format_args!("has more than {QUIET_WINDOWS_MAX} entries"));
        return None;
    }
    let read = wire.iter().enumerate().map(|(index, window)| to_window(window, &format!("{at}[{index}]"), violations));
    let read: Vec<_> = read.collect();
    read.into_iter().collect()
}

fn to_window(wire: &v1::QuietWindow, at: &str, violations: &mut Violations) -> Option<QuietWindow> {
    let days = to_days(&wire.days, at, violations);
    let mut minutes = |text: &str, most: u16, field: &str| {
        let read = to_minutes(text).filter(|minutes| *minutes <= most);
        if read.is_none() {
            let last = if most == DAY_MINUTES { "24:00" } else { "23:59" };
            violations.add(format_args!("{at}.{field}"), format_args!("must be a time from \"00:00\" to \"{last}\""));
        }
        read
    };
    let from = minutes(&wire.from, DAY_MINUTES - 1, "from");
    let to = minutes(&wire.to, DAY_MINUTES, "to");
    let zone = to_zone(&wire.zone, format_args!("{at}.zone"), violations);
    let rule = match v1::QuietRule::try_from(wire.rule) {
        Ok(v1::QuietRule::Warn) => Some(QuietRule::Warn),
        Ok(v1::QuietRule::Defer) => Some(QuietRule::Defer),
        Ok(v1::QuietRule::Reject) => Some(QuietRule::Reject),
        Ok(v1::QuietRule::Unspecified) | Err(_) => {
            violations.add(format_args!("{at}.rule"), "must be WARN, DEFER or REJECT");
            None
        }
    };
    Some(QuietWindow { days: days?, from: from?, to: to?, zone: zone?, rule: rule? })
}

fn to_days(wire: &[i32], at: &str, violations: &mut Violations) -> Option<Weekdays> {
    let mut days = Vec::with_capacity(wire.len().min(7));
    for (index, number) in wire.iter().enumerate() {
        match u8::try_from(*number) {
            Ok(number @ 1..=7) => days.push(number - 1),
            _ => {
                violations.add(format_args!("{at}.days[{index}]"), "must be MONDAY to SUNDAY");
                return None;
            }
        }
    }
    Some(Weekdays::new(days))
}

const fn wire_day(day: u8) -> i32 {
    // Monday is 1 on the wire and 0 inside.
    day as i32 + 1
}

/// "HH:MM" in minutes after midnight, "24:00" included.
fn to_minutes(text: &str) -> Option<u16> {
    let &[h1, h2, b':', m1, m2] = text.as_bytes() else { return None };
    let two = |tens: u8, ones: u8| {
        let digit = |b: u8| b.is_ascii_digit().then(|| u16::from(b - b'0'));
        Some(digit(tens)? * 10 + digit(ones)?)
    };
    let (hours, minutes) = (two(h1, h2)?, two(m1, m2)?);
    (minutes < 60).then_some(hours * 60 + minutes).filter(|all| *all <= DAY_MINUTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(days: &[v1::Weekday], from: &str, to: &str) -> v1::QuietWindow {
        let days = days.iter().map(|day| (*day).into()).collect();
        v1::QuietWindow { days, from: from.into(), to: to.into(), zone: String::new(), rule: 1 }
    }

    #[track_caller]
    fn check(wire: v1::QuietWindow, expected: Result<(&[u8], u16, u16), &[&str]>) {
        let mut violations = Violations::default();
        let read = to_windows(vec![wire], "q", &mut violations);
        let read = violations.finish(read).map(|windows| {
            let QuietWindow { days, from, to, .. } = windows[0];
            (days.iter().collect::<Vec<_>>(), from, to)
        });
        let read = read.map_err(|found| found.into_iter().map(|one| one.field).collect::<Vec<_>>());
        let expected = expected.map(|(days, from, to)| (days.to_vec(), from, to));
        assert_eq!(read, expected.map_err(|fields| fields.iter().map(|field| format!("q[0].{field}")).collect()));
    }

    #[test]
    fn windows_are_checked_field_by_field() {
        use v1::Weekday::{Monday, Sunday, Unspecified};
        check(wire(&[], "22:00", "06:30"), Ok((&[0, 1, 2, 3, 4, 5, 6], 1_320, 390)));
        check(wire(&[Sunday, Monday], "00:00", "24:00"), Ok((&[0, 6], 0, 1_440)));
        check(wire(&[Monday], "12:00", "12:00"), Ok((&[0], 720, 720)));
        for bad in ["", "24:00", "24:01", "7:00", "07:60", "0700", "07:00:00", "ab:cd", "+7:00"] {
            check(wire(&[], bad, "08:00"), Err(&["from"]));
        }
        check(wire(&[], "08:00", "24:01"), Err(&["to"]));
        check(wire(&[Monday, Unspecified], "08:00", "09:00"), Err(&["days[1]"]));
        check(v1::QuietWindow { zone: "Mars/Olympus".into(), ..wire(&[], "08:00", "09:00") }, Err(&["zone"]));
        check(v1::QuietWindow { rule: 0, ..wire(&[], "x", "y") }, Err(&["from", "to", "rule"]));
    }

    #[test]
    fn there_is_a_bound_for_windows() {
        let mut violations = Violations::default();
        let many = vec![wire(&[], "08:00", "09:00"); QUIET_WINDOWS_MAX + 1];
        assert_eq!(to_windows(many, "q", &mut violations), None);
        assert_eq!(violations.finish(Some(())).expect_err("too many")[0].field, "q");
    }

    #[test]
    fn windows_survive_the_wire() {
        for given in [wire(&[v1::Weekday::Tuesday], "22:05", "24:00"), wire(&[], "00:00", "09:59")] {
            let mut violations = Violations::default();
            let read = to_windows(vec![given.clone()], "q", &mut violations).expect("it is good");
            assert_eq!(from_windows(&read), [v1::QuietWindow { zone: "UTC".into(), ..given }]);
        }
    }
}
