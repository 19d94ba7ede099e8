//! How the state of a recipient is kept: a number, a time, and places in the history beside it.

use super::{
    BadRow,
    history::{HistoryRow, HistoryWriter},
};
use crate::domain::{
    recipient::{Deferral, RecipientState},
    reply::Reply,
    time::Timestamp,
};

/// A [`RecipientState`], as it stands in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StateParts {
    /// 0 pending, 1 submitted, 2 failed, 3 in doubt, 4 expired, 5 cancelled, 6 bounced, 7 complained, 8 suppressed.
    pub(super) state: u32,
    /// Since when, in milliseconds since 1970.
    pub(super) at: u64,
    /// The place of the finding in the history, or of the report, or of what suppressed it; 0 for none.
    pub(super) finding: u32,
    /// The place of the reply in the history; 0 for none.
    pub(super) reply: u32,
}

impl StateParts {
    pub(super) fn new<'a>(state: &'a RecipientState, history: &mut HistoryWriter<'a>) -> Self {
        let (state, at, finding, reply) = match state {
            RecipientState::Pending { deferral: None } => (0, Timestamp::EPOCH, 0, 0),
            RecipientState::Pending { deferral: Some(met) } => (0, met.at, history.finding(&met.finding), 0),
            RecipientState::Submitted { at, reply } => (1, *at, 0, reply_place(reply.as_ref(), history)),
            RecipientState::Failed { at, finding } => (2, *at, history.finding(finding), 0),
            RecipientState::InDoubt { since } => (3, *since, 0, 0),
            RecipientState::Expired { at, last } => (4, *at, last.as_ref().map_or(0, |met| history.finding(met)), 0),
            RecipientState::Cancelled { at } => (5, *at, 0, 0),
            RecipientState::Bounced { reply, report } => {
                (6, report.at, history.report(report), reply_place(reply.as_ref(), history))
            }
            RecipientState::Complained { reply, report } => {
                (7, report.at, history.report(report), reply_place(reply.as_ref(), history))
            }
            RecipientState::Suppressed { at, by } => (8, *at, history.suppressed(by), 0),
        };
        Self { state, at: at.as_millis(), finding, reply }
    }

    pub(super) fn state(&self, history: &HistoryRow) -> Result<RecipientState, BadRow> {
        let at = Timestamp::from_millis(self.at);
        let finding = || (self.finding != 0).then(|| history.finding(self.finding)).transpose();
        let reply = || (self.reply != 0).then(|| history.reply(self.reply)).transpose();
        Ok(match self.state {
            0 => RecipientState::Pending { deferral: finding()?.map(|finding| Deferral { at, finding }) },
            1 => RecipientState::Submitted { at, reply: reply()? },
            2 => RecipientState::Failed { at, finding: history.finding(self.finding)? },
            3 => RecipientState::InDoubt { since: at },
            4 => RecipientState::Expired { at, last: finding()? },
            5 => RecipientState::Cancelled { at },
            6 => RecipientState::Bounced { reply: reply()?, report: Box::new(history.report(self.finding)?) },
            7 => RecipientState::Complained { reply: reply()?, report: Box::new(history.report(self.finding)?) },
            8 => RecipientState::Suppressed { at, by: Box::new(history.suppressed(self.finding)?) },
            other => return Err(BadRow::new("recipient state", format_args!("unknown code {other}"))),
        })
    }
}

fn reply_place<'a>(reply: Option<&'a Reply>, history: &mut HistoryWriter<'a>) -> u32 {
    reply.map_or(0, |reply| history.text(reply.text()))
}
