//! Did a provider ever see more in a window than an account's quota allows?

use hikyaku_daemon::domain::limits::QuotaUnit;

use super::Evidence;
use crate::plan::{Shape, Window};

/// In no window, sliding or by the calendar, did a provider take more than the limit.
pub(super) fn no_window_was_exceeded(evidence: &Evidence<'_>) -> Vec<String> {
    let mut sends: Vec<Vec<Send>> = vec![Vec::new(); evidence.accounts.len()];
    for taken in &evidence.seen.taken {
        if let Some(entry) = evidence.book.entries.get(taken.job) {
            let (at, recipients) = (taken.at.as_millis(), taken.recipients.len() as u64);
            sends[entry.told.account].push(Send { at, recipients, bytes: taken.bytes });
        }
    }
    let mut found = Vec::new();
    for (account, sends) in evidence.accounts.iter().zip(&mut sends) {
        sends.sort_unstable_by_key(|send| send.at);
        for window in &account.windows {
            if let Some((at, used)) = excess(window, sends) {
                let id = &account.account.id;
                found.push(format!("{id}: {used} in a window of {window:?} that is full at {at} ms"));
            }
        }
    }
    found
}

/// What a provider took, and when.
#[derive(Clone, Copy)]
struct Send {
    at: u64,
    recipients: u64,
    bytes: u64,
}

/// The first send with which a window held more than its limit. `sends` are in order.
fn excess(window: &Window, sends: &[Send]) -> Option<(u64, u64)> {
    let cost = |send: Send| match window.unit {
        QuotaUnit::Messages => 1,
        QuotaUnit::Recipients => send.recipients,
        QuotaUnit::Bytes => send.bytes,
    };
    let (mut first, mut used) = (0, 0);
    for &send in sends {
        used += cost(send);
        while !is_in_one(window.shape, sends[first].at, send.at) {
            used -= cost(sends[first]);
            first += 1;
        }
        if used > window.limit {
            return Some((send.at, used));
        }
    }
    None
}

/// Whether two times lie in one window.
fn is_in_one(shape: Shape, earlier: u64, later: u64) -> bool {
    match shape {
        Shape::Sliding(millis) => later - earlier < millis,
        Shape::Calendar { millis, ahead_millis } => {
            let number = |time: u64| time.saturating_add_signed(ahead_millis) / millis;
            number(earlier) == number(later)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(shape: Shape, unit: QuotaUnit, sends: &[(u64, u64)], expected: Option<(u64, u64)>) {
        let sends: Vec<Send> = sends.iter().map(|&(at, units)| Send { at, recipients: units, bytes: units }).collect();
        assert_eq!(excess(&Window { limit: 2, unit, shape }, &sends), expected);
    }

    #[test]
    fn an_excess_is_found_in_sliding_and_calendar_windows() {
        let (sliding, day) = (Shape::Sliding(100), Shape::Calendar { millis: 100, ahead_millis: 30 });
        check(sliding, QuotaUnit::Messages, &[(0, 9), (50, 9), (100, 9)], None);
        check(sliding, QuotaUnit::Messages, &[(0, 9), (50, 9), (99, 9)], Some((99, 3)));
        check(sliding, QuotaUnit::Recipients, &[(0, 1), (50, 2)], Some((50, 3)));
        check(sliding, QuotaUnit::Bytes, &[(0, 1), (50, 2)], Some((50, 3)));
        check(day, QuotaUnit::Messages, &[(60, 1), (69, 1), (70, 1), (71, 1)], None);
        check(day, QuotaUnit::Messages, &[(70, 1), (71, 1), (169, 1)], Some((169, 3)));
    }
}
