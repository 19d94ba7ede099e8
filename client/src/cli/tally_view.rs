//! How many recipients of a job have come how far, as it is shown.

use hikyaku_client::proto::RecipientTally;
use serde::Serialize;

/// How many recipients have come how far.
#[derive(Debug, Default, Serialize)]
pub(crate) struct TallyView {
    waiting: u32,
    submitted: u32,
    failed: u32,
    in_doubt: u32,
    expired: u32,
    cancelled: u32,
    bounced: u32,
    complained: u32,
    suppressed: u32,
}

impl From<RecipientTally> for TallyView {
    fn from(tally: RecipientTally) -> Self {
        let RecipientTally {
            waiting,
            submitted,
            failed,
            in_doubt,
            expired,
            cancelled,
            bounced,
            complained,
            suppressed,
        } = tally;
        Self { waiting, submitted, failed, in_doubt, expired, cancelled, bounced, complained, suppressed }
    }
}

impl TallyView {
    fn named(&self) -> [(u32, &'static str); 9] {
        [
            (self.waiting, "waiting"),
            (self.submitted, "submitted"),
            (self.failed, "failed"),
            (self.in_doubt, "in doubt"),
            (self.expired, "expired"),
            (self.cancelled, "cancelled"),
            (self.bounced, "bounced"),
            (self.complained, "complained"),
            (self.suppressed, "suppressed"),
        ]
    }

    fn total(&self) -> u64 {
        self.named().into_iter().map(|(count, _)| u64::from(count)).sum()
    }

    /// Such as `3: 2 submitted, 1 failed`.
    pub(crate) fn text(&self) -> String {
        let parts = self.named().into_iter().filter(|(count, _)| *count > 0);
        let parts: Vec<_> = parts.map(|(count, name)| format!("{count} {name}")).collect();
        format!("{}: {}", self.total(), parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_there_is_is_named() {
        let tally = RecipientTally { waiting: 1, in_doubt: 2, ..RecipientTally::default() };
        assert_eq!(TallyView::from(tally).text(), "3: 1 waiting, 2 in doubt");
    }
}
