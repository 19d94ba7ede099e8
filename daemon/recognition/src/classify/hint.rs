//! How long a reply asks to wait, when it says so in words.

use std::{sync::LazyLock, time::Duration};

use regex::Regex;

/// Longest wait that a reply can impose.
pub const WAIT_MAX: Duration = Duration::from_secs(24 * 3_600);

/// Words without which a number of minutes is not taken for a request to wait.
static ASKS_TO_WAIT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)again|retry|wait|later|gr[ae]y-?list|defer|delay|temporar|throttl|slow").expect("tested below")
});

static AMOUNT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?i)(?:\b(?:in|after|for|wait|retry)\s*:?\s*|=\s*)(?:about\s+|at\s+least\s+)?(\d{1,6})\s*(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?)\b",
    )
    .expect("tested below")
});

/// The wait that a reply's text asks for, as in `try again in 300 seconds`; at most [`WAIT_MAX`].
#[must_use]
pub fn asked_wait(text: &str) -> Option<Duration> {
    if !ASKS_TO_WAIT.is_match(text) {
        return None;
    }
    let found = AMOUNT.captures(text)?;
    let amount: u64 = found[1].parse().ok()?;
    let unit_secs = match found[2].as_bytes().first().map(u8::to_ascii_lowercase) {
        Some(b'h') => 3_600,
        Some(b'm') => 60,
        _ => 1,
    };
    let wait = Duration::from_secs(amount.saturating_mul(unit_secs));
    (!wait.is_zero()).then(|| wait.min(WAIT_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, seconds: Option<u64>) {
        assert_eq!(asked_wait(text), seconds.map(Duration::from_secs), "{text}");
    }

    #[test]
    fn waits_are_read_from_words() {
        check("450 4.7.1 try again in 300 seconds", Some(300));
        check("451 Greylisted, please try again in 5 minutes", Some(300));
        check("450 4.2.0 Greylisted for 60 seconds", Some(60));
        check("421 Too much mail, retry after 2 hours", Some(7_200));
        check("451 temporarily deferred; retry=120s", Some(120));
        check("451 please wait 10 min", Some(600));
        check("451 Try again in about 1 hour", Some(3_600));
    }

    #[test]
    fn waits_are_bounded() {
        check("451 try again in 999999 hours", Some(24 * 3_600));
        check("451 try again in 0 seconds", None);
        check("451 try again in 9999999 seconds", None);
    }

    #[test]
    fn other_numbers_are_no_waits() {
        check("451 try again later", None);
        check("452 limit is 100 messages per 60 minutes, try again later", None);
        check("550 Message in 3 minutes of video refused", None);
        check("421 192.0.2.25 try again", None);
    }
}
