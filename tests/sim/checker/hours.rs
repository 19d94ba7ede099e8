//! Was anything sent in a quiet window?

use hikyaku_daemon::domain::time::Timestamp;

use super::Evidence;
use crate::{
    book::Entry,
    plan::{Planned, Quiet},
};

/// How long a command may be on its way, in seconds: four steps of the network.
const UNDER_WAY_SECONDS: u64 = 20;

/// No provider is asked to take a message in a quiet window of its account, but for what was on its way when it began.
pub(super) fn nothing_began_in_a_quiet_window(evidence: &Evidence<'_>) -> Vec<String> {
    let began = |at: Timestamp| at.before(std::time::Duration::from_secs(UNDER_WAY_SECONDS));
    let account_of = |entry: &Entry| &evidence.accounts[entry.told.account];
    let served =
        evidence.seen.served.iter().filter_map(|served| Some((served, evidence.book.entries.get(served.job)?)));
    let loud = served.filter(|(served, entry)| {
        let account = account_of(entry);
        is_quiet(account, served.came_at) && is_quiet(account, began(served.came_at))
    });
    loud.map(|(served, entry)| {
        format!("at {}: job {} of acc{} in a quiet window", served.at, served.job, entry.told.account)
    })
    .collect()
}

fn is_quiet(account: &Planned, at: Timestamp) -> bool {
    account.quiet.iter().any(|window| is_inside(window, at))
}

/// Whether the clocks of the window's zone show a time that is inside.
fn is_inside(window: &Quiet, at: Timestamp) -> bool {
    let minute = at.as_millis().saturating_add_signed(window.ahead_millis(at)) / 60_000;
    let (day, minute) = (minute / 1_440, minute % 1_440);
    // 1970-01-01 was a Thursday.
    let begins = |day: u64| window.days[usize::try_from((day + 3) % 7).unwrap_or(0)];
    let (from, to) = (u64::from(window.from), u64::from(window.to));
    if from < to {
        return begins(day) && (from..to).contains(&minute);
    }
    begins(day) && minute >= from || begins(day - 1) && minute < to
}
