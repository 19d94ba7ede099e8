//! Which of an account's quotas does a provider mean when it says that one is used up?
//!
//! No reply names a quota as it is configured here. What it names is a stretch of time, in words or by the rule that knows
//! the provider, and the quota that is meant is one whose window lasts as long. A reply that says only that some quota is
//! used up means that of the day, as providers count by the day who do not say otherwise. When no such quota is configured,
//! none is meant: the account waits, and no ledger is changed.

use std::time::Duration;

use super::classify::{hint::asked_wait, rules::Window};
use crate::domain::{
    ledger::QuotaKey,
    limits::{CalendarSpan, Limits, Quota, QuotaUnit, QuotaWindow},
    reply::Reply,
    time::Timestamp,
    verdict::{Blame, ParkCause, Ruling, Verdict},
};

/// What a provider meant, as far as its quotas tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lesson {
    /// The quota that is used up.
    pub key: QuotaKey,
    /// How long the provider asked to wait, in its own words.
    pub asked: Option<Duration>,
}

/// The quota that a reply says to be used up. `window` is what the rule that judged the reply knows of it.
#[must_use]
pub fn lesson(limits: &Limits, ruling: &Ruling, window: Option<Window>, reply: &Reply) -> Option<Lesson> {
    if ruling.blame != Some(Blame::Account) {
        // Somebody else has reached a limit: a recipient that takes no more mail today, say.
        return None;
    }
    let text = reply.text().to_ascii_lowercase();
    let is_quota = ruling.verdict == Verdict::ParkAccount(ParkCause::Quota);
    let window = match (window, window_in_words(&text)) {
        (Some(Window::None), _) => return None,
        // Who is only asked to slow down has used up what is named, and nothing else.
        (None, _) if !is_quota && ruling.verdict != Verdict::RetrySlower => return None,
        (_, Some(said)) => said,
        (Some(known), None) => known,
        (None, None) if is_quota => Window::Day,
        (None, None) => return None,
    };
    let fitting: Vec<&Quota> = limits.quotas.iter().filter(|quota| lasts(&quota.window, window)).collect();
    let unit = unit_in_words(&text);
    let meant = fitting.iter().find(|quota| unit == Some(quota.unit)).or_else(|| fitting.first())?;
    let key = QuotaKey { unit: meant.unit, window: meant.window.clone() };
    Some(Lesson { key, asked: asked_wait(reply.text()) })
}

/// When an account may send again whose quota is used up: when it has room, and not before the provider asked for.
#[must_use]
pub fn until(lesson: &Lesson, free_at: Timestamp, now: Timestamp) -> Timestamp {
    lesson.asked.map_or(free_at, |asked| free_at.max(now.after(asked)))
}

/// The stretch of time that a reply names.
fn window_in_words(text: &str) -> Option<Window> {
    const WORDS: [(Window, &[&str]); 5] = [
        (Window::Second, &["per second", "a second", "/second", "/sec"]),
        (Window::Minute, &["per minute", "a minute", "/minute", "/min", "last minute"]),
        (Window::Hour, &["hourly", "per hour", "an hour", "/hour", "this hour", "last hour", "60 minutes"]),
        (Window::Day, &["daily", "per day", "a day", "/day", "today", "24 hours", "24-hour", "last day", "24h"]),
        (Window::Month, &["monthly", "per month", "a month", "/month", "this month", "30 days"]),
    ];
    // What the server asks to wait is no window: "try again in an hour".
    let asks = |at: usize| ["in ", "after ", "for "].iter().any(|word| text[..at].ends_with(word));
    let named = |words: &[&str]| words.iter().any(|word| text.match_indices(word).any(|(at, _)| !asks(at)));
    WORDS.iter().find(|(_, words)| named(words)).map(|(window, _)| *window)
}

fn unit_in_words(text: &str) -> Option<QuotaUnit> {
    const WORDS: [(QuotaUnit, &[&str]); 3] = [
        (QuotaUnit::Recipients, &["recipient", "rcpt"]),
        (QuotaUnit::Bytes, &["bytes", "bandwidth", "volume", "traffic"]),
        (QuotaUnit::Messages, &["message", "mail"]),
    ];
    WORDS.iter().find(|(_, words)| words.iter().any(|word| text.contains(word))).map(|(unit, _)| *unit)
}

/// Whether a window is of about this length.
fn lasts(window: &QuotaWindow, named: Window) -> bool {
    const HOUR: u64 = 3_600;
    let sliding = |seconds: std::ops::RangeInclusive<u64>| match window {
        QuotaWindow::Sliding(length) => seconds.contains(&length.as_secs()),
        QuotaWindow::Calendar { .. } => false,
    };
    let calendar = |span| matches!(window, QuotaWindow::Calendar { span: own, .. } if *own == span);
    match named {
        Window::None => false,
        Window::Second => sliding(1..=1),
        Window::Minute => calendar(CalendarSpan::Minute) || sliding(60..=60),
        Window::Hour => calendar(CalendarSpan::Hour) || sliding(HOUR..=HOUR),
        Window::Day => calendar(CalendarSpan::Day) || sliding(23 * HOUR..=25 * HOUR),
        Window::Month => calendar(CalendarSpan::Month) || sliding(28 * 24 * HOUR..=31 * 24 * HOUR),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::{
        domain::{account::ProviderKind, verdict::Phase},
        policy::classify::rules::Rules,
    };

    static RULES: LazyLock<Rules> = LazyLock::new(Rules::built_in);

    fn quota(unit: QuotaUnit, window: QuotaWindow) -> Quota {
        Quota { limit: 10.try_into().expect("not zero"), unit, window }
    }

    fn tokyo_day() -> QuotaWindow {
        QuotaWindow::Calendar { span: CalendarSpan::Day, zone: "Asia/Tokyo".to_owned() }
    }

    /// Messages a second, a minute and an hour, recipients and messages a day.
    fn quotas() -> Vec<Quota> {
        let sliding = |seconds| QuotaWindow::Sliding(Duration::from_secs(seconds));
        vec![
            quota(QuotaUnit::Messages, sliding(1)),
            quota(QuotaUnit::Messages, sliding(60)),
            quota(QuotaUnit::Messages, QuotaWindow::Calendar { span: CalendarSpan::Hour, zone: "UTC".to_owned() }),
            quota(QuotaUnit::Recipients, tokyo_day()),
            quota(QuotaUnit::Messages, sliding(86_400)),
        ]
    }

    /// Which of `quotas()` is meant.
    #[track_caller]
    fn check(provider: ProviderKind, phase: Phase, lines: &str, expected: Option<usize>) {
        let reply = Reply::from_lines(lines).expect(lines);
        let ruling = RULES.classify(provider, phase, &reply);
        let limits = Limits { quotas: quotas(), ..Limits::default() };
        let learnt = lesson(&limits, &ruling, RULES.window_of(&ruling.rule), &reply);
        let key = expected.map(|index| {
            let Quota { unit, window, .. } = quotas().remove(index);
            QuotaKey { unit, window }
        });
        assert_eq!(learnt.map(|lesson| lesson.key), key, "{lines} by {}", ruling.rule);
    }

    #[test]
    fn the_window_that_a_reply_names_is_meant() {
        use Phase::{EndOfData, Mail, Rcpt};
        use ProviderKind::{AmazonSes, Generic, Gmail, Microsoft365};
        check(Gmail, EndOfData, "550-5.4.5 Daily user sending limit exceeded.\n550 5.4.5 mail - gsmtp", Some(4));
        check(Gmail, EndOfData, "550 5.4.5 You have reached a limit for sending recipients.", Some(3));
        check(Generic, EndOfData, "554 5.7.1 daily sending quota exceeded", Some(3));
        check(Generic, Mail, "451 hourly sending limit reached, try again later", Some(2));
        check(Generic, Rcpt, "452 4.7.1 too many messages per hour", Some(2));
        check(Generic, Mail, "550 monthly quota exceeded: sending limit reached", None);
        let store = "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; Failed";
        check(Microsoft365, EndOfData, store, Some(3));
        check(Microsoft365, Mail, "432 4.3.2 Concurrent connections limit exceeded", Some(1));
        check(AmazonSes, Mail, "454 Throttling failure: Maximum sending rate exceeded.", Some(0));
        check(AmazonSes, EndOfData, "454 Throttling failure: Daily message quota exceeded.", Some(4));
    }

    #[test]
    fn what_names_no_quota_changes_none() {
        use Phase::{EndOfData, Mail, Rcpt, SignIn};
        use ProviderKind::{Generic, Gmail, Microsoft365, Yahoo};
        // The sender's own mailbox is full: no window will help.
        let full = "554 5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException";
        check(Microsoft365, EndOfData, full, None);
        check(Gmail, Mail, "421-4.7.0 unusual rate of unsolicited mail\n421 4.7.0 try again later", None);
        check(Gmail, SignIn, "454 4.7.0 Too many login attempts, please try again later.", None);
        check(Yahoo, Mail, "421 4.7.0 [TSS04] Messages temporarily deferred due to unexpected volume", None);
        check(Generic, Rcpt, "450 4.2.1 The user is receiving messages at a rate of too many per hour", None);
        check(Generic, EndOfData, "550 5.1.1 unknown user, see you in an hour", None);
    }

    #[test]
    fn a_request_to_wait_is_no_window() {
        assert_eq!(window_in_words("too many mails, try again in an hour"), None);
        assert_eq!(window_in_words("limit of 100 mails an hour"), Some(Window::Hour));
        assert_eq!(window_in_words("try again in 24 hours"), None);
    }

    #[test]
    fn the_account_waits_for_room_and_for_what_was_asked() {
        let lesson = |asked| Lesson { key: QuotaKey { unit: QuotaUnit::Messages, window: tokyo_day() }, asked };
        let at = |seconds: u64| Timestamp::from_millis(seconds * 1_000);
        assert_eq!(until(&lesson(None), at(50), at(10)), at(50));
        assert_eq!(until(&lesson(Some(Duration::from_secs(20))), at(50), at(10)), at(50));
        assert_eq!(until(&lesson(Some(Duration::from_secs(90))), at(50), at(10)), at(100));
    }
}
