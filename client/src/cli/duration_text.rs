//! How a length of time is written: `500ms`, `10s`, `1h30m`, `5d`.

use std::time::Duration;

/// Reads whole numbers, each with its unit, added up.
///
/// # Errors
/// A sentence that says what is wrong.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = |what: &str| format!("\"{text}\" is not a length of time: {what}; write 500ms, 10s, 1h30m or 5d");
    if text.is_empty() {
        return Err(wrong("it is empty"));
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|letter: char| letter.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        if number.is_empty() {
            return Err(wrong("a number is missing"));
        }
        if unit.is_empty() {
            return Err(wrong("a unit is missing"));
        }
        let millis = unit_millis(unit).ok_or_else(|| wrong("the units are ms, s, m, h, d and w"))?;
        let part = number.parse::<u64>().ok().and_then(|count| count.checked_mul(millis));
        total = part
            .and_then(|part| total.checked_add(Duration::from_millis(part)))
            .filter(|total| total.as_millis() <= DURATION_MILLIS_MAX)
            .ok_or_else(|| wrong("it is longer than 100 years"))?;
        rest = after;
    }
    Ok(total)
}

/// The shortest text that [`parse_duration`] reads back to the same length, cut to milliseconds.
pub(crate) fn show_duration(duration: Duration) -> String {
    let mut millis = duration.as_millis();
    if millis == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        if millis >= length {
            text.push_str(&format!("{}{unit}", millis / length));
            millis %= length;
        }
    }
    text
}

/// Longest length of time that is read: 100 years.
const DURATION_MILLIS_MAX: u128 = 36_525 * 86_400_000;

fn unit_millis(unit: &str) -> Option<u64> {
    Some(match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 7 * 86_400_000,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, millis: Option<u64>) {
        assert_eq!(parse_duration(text).ok(), millis.map(Duration::from_millis), "{text}");
    }

    #[test]
    fn lengths_are_numbers_with_units() {
        check("500ms", Some(500));
        check("10s", Some(10_000));
        check("2m", Some(120_000));
        check("2min", Some(120_000));
        check("1h30m", Some(5_400_000));
        check("5d", Some(432_000_000));
        check("1w", Some(604_800_000));
        check("0s", Some(0));
        check("", None);
        check("10", None);
        check("s", None);
        check("1.5h", None);
        check("-1s", None);
        check("10 s", None);
        check("10y", None);
        check("36526d", None);
        check("99999999999999999999s", None);
    }

    #[test]
    fn errors_say_what_to_write() {
        let error = parse_duration("10").unwrap_err();
        assert_eq!(error, "\"10\" is not a length of time: a unit is missing; write 500ms, 10s, 1h30m or 5d");
    }

    #[test]
    fn lengths_are_shown_as_they_are_written() {
        for text in ["500ms", "10s", "2m", "1h30m", "5d", "0s", "1d2h3m4s5ms"] {
            assert_eq!(show_duration(parse_duration(text).unwrap()), text);
        }
    }
}
