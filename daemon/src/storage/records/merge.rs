//! How it is kept how far a merge job has come, and what is known of its messages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    BadRow, as_base64,
    history::{HistoryRow, HistoryWriter},
    state::StateParts,
};
use crate::domain::{
    merge::{
        MergeTally,
        progress::{MergeOutcome, MergeProgress, RestExpired},
        untouched::Untouched,
    },
    time::Timestamp,
};

/// A [`MergeProgress`]. Times are in milliseconds since 1970.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are those of the progress")]
pub struct ProgressRow {
    #[prost(uint32, tag = "1")]
    pub messages: u32,
    #[prost(uint64, tag = "2")]
    pub due: u64,
    /// Ranges, each as the length of the gap before it and its own length.
    #[prost(uint32, repeated, tag = "3")]
    pub untouched: Vec<u32>,
    #[prost(uint32, tag = "4")]
    pub underway: u32,
    /// Waiting, submitted, failed, in doubt, expired, cancelled, bounced, complained, suppressed; the last three may be missing.
    #[prost(uint32, repeated, tag = "5")]
    pub tally: Vec<u32>,
    #[prost(uint64, optional, tag = "6")]
    pub expired_at: Option<u64>,
    #[prost(uint32, tag = "7")]
    pub expired_messages: u32,
    #[prost(uint64, optional, tag = "8")]
    pub cancelled_at: Option<u64>,
    #[prost(uint64, optional, tag = "9")]
    pub last_end_at: Option<u64>,
    #[prost(uint64, tag = "10")]
    pub message_bytes_max: u64,
    #[prost(uint32, optional, tag = "11")]
    pub expired_doubts: Option<u32>,
}

/// A part of a merge job's recipients: pages one after the other, in a file or beside this.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct PartRow {
    /// The hash that names the file of the pages; empty when they are here.
    #[prost(bytes = "vec", tag = "1")]
    #[serde(with = "as_base64")]
    pub file: Vec<u8>,
    /// The pages, when they are in no file.
    #[prost(bytes = "vec", tag = "2")]
    #[serde(with = "as_base64")]
    pub pages: Vec<u8>,
    /// The lengths of the pages in bytes.
    #[prost(uint32, repeated, tag = "3")]
    pub lengths: Vec<u32>,
}

/// What is known of some messages that stand together in a merge job.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct OutcomesRow {
    /// What providers said.
    #[prost(message, optional, tag = "1")]
    pub history: Option<HistoryRow>,
    /// What is known of each.
    #[prost(message, repeated, tag = "2")]
    pub outcomes: Vec<OutcomeRow>,
}

/// A [`MergeOutcome`]. Times are in milliseconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct OutcomeRow {
    /// The message's place in the row.
    #[prost(uint32, tag = "1")]
    pub place: u32,
    /// As in [`RecipientRow`](super::job::RecipientRow).
    #[prost(uint32, tag = "2")]
    pub state: u32,
    /// Since when.
    #[prost(uint64, tag = "3")]
    pub at: u64,
    /// The place of the finding in the history; 0 for none.
    #[prost(uint32, tag = "4")]
    pub finding: u32,
    /// The place of the reply in the history; 0 for none.
    #[prost(uint32, tag = "5")]
    pub reply: u32,
    /// When it is due, while it waits; 0 when it does not.
    #[prost(uint64, tag = "6")]
    pub due: u64,
    /// How many attempts were made.
    #[prost(uint32, tag = "7")]
    pub attempts_made: u32,
    /// When the first one began.
    #[prost(uint64, optional, tag = "8")]
    pub first_attempt_at: Option<u64>,
}

impl From<&MergeProgress> for ProgressRow {
    fn from(progress: &MergeProgress) -> Self {
        let MergeTally { waiting, submitted, failed, in_doubt, expired, cancelled, bounced, complained, suppressed } =
            progress.tally;
        let mut end = 0;
        let untouched = progress.untouched.ranges().iter().flat_map(|range| {
            let gap = range.start - end;
            end = range.end;
            [gap, range.end - range.start]
        });
        Self {
            messages: progress.messages,
            message_bytes_max: progress.message_bytes_max,
            due: progress.due.as_millis(),
            untouched: untouched.collect(),
            underway: progress.underway,
            tally: vec![waiting, submitted, failed, in_doubt, expired, cancelled, bounced, complained, suppressed],
            expired_at: progress.expired.map(|end| end.at.as_millis()),
            expired_messages: progress.expired.map_or(0, |end| end.messages),
            expired_doubts: progress.expired.and_then(|end| end.doubts),
            cancelled_at: progress.cancelled_at.map(Timestamp::as_millis),
            last_end_at: progress.last_end_at.map(Timestamp::as_millis),
        }
    }
}

impl TryFrom<ProgressRow> for MergeProgress {
    type Error = BadRow;

    fn try_from(row: ProgressRow) -> Result<Self, BadRow> {
        let bad = |why: &str| BadRow::new("merge", why);
        let (mut ranges, mut end) = (Vec::with_capacity(row.untouched.len() / 2), 0_u32);
        for pair in row.untouched.chunks(2) {
            let &[gap, length] = pair else { return Err(bad("a range has no length")) };
            let start = end.checked_add(gap).ok_or_else(|| bad("a range is out of bounds"))?;
            end = start.checked_add(length).ok_or_else(|| bad("a range is out of bounds"))?;
            ranges.push(start..end);
        }
        let untouched = Untouched::from_ranges(ranges).filter(|_| end <= row.messages);
        let &[waiting, submitted, failed, in_doubt, expired, cancelled, ref later @ ..] = row.tally.as_slice() else {
            return Err(bad("the tally does not have six numbers"));
        };
        let later = |place: usize| later.get(place).copied().unwrap_or(0);
        let (bounced, complained, suppressed) = (later(0), later(1), later(2));
        let at = Timestamp::from_millis;
        Ok(Self {
            messages: row.messages,
            message_bytes_max: row.message_bytes_max,
            tally: MergeTally {
                waiting,
                submitted,
                failed,
                in_doubt,
                expired,
                cancelled,
                bounced,
                complained,
                suppressed,
            },
            due: at(row.due),
            untouched: untouched.ok_or_else(|| bad("the ranges are out of order"))?,
            underway: row.underway.min(waiting),
            expired: row.expired_at.map(|when| RestExpired {
                at: at(when),
                messages: row.expired_messages,
                doubts: row.expired_doubts,
            }),
            cancelled_at: row.cancelled_at.map(at),
            last_end_at: row.last_end_at.map(at),
        })
    }
}

impl OutcomesRow {
    /// The row of messages by their places.
    #[must_use]
    pub fn new(outcomes: &BTreeMap<u32, MergeOutcome>) -> Self {
        let mut history = HistoryWriter::default();
        let row = |(place, known): (&u32, _)| OutcomeRow::new(*place, known, &mut history);
        let outcomes = outcomes.iter().map(row).collect();
        Self { history: history.finish(&[]), outcomes }
    }

    /// What is known of the messages, by their places.
    ///
    /// # Errors
    /// When a part of the row means nothing.
    pub fn into_outcomes(self) -> Result<BTreeMap<u32, MergeOutcome>, BadRow> {
        let history = self.history.unwrap_or_default();
        self.outcomes.iter().map(|row| Ok((row.place, row.outcome(&history)?))).collect()
    }
}

impl OutcomeRow {
    fn new<'a>(place: u32, known: &'a MergeOutcome, history: &mut HistoryWriter<'a>) -> Self {
        let StateParts { state, at, finding, reply } = StateParts::new(&known.state, history);
        Self {
            place,
            state,
            at,
            finding,
            reply,
            due: if known.state.is_pending() { known.due.as_millis() } else { 0 },
            attempts_made: known.attempts_made,
            first_attempt_at: known.first_attempt_at.map(Timestamp::as_millis),
        }
    }

    fn outcome(&self, history: &HistoryRow) -> Result<MergeOutcome, BadRow> {
        let Self { state, at, finding, reply, .. } = *self;
        Ok(MergeOutcome {
            state: StateParts { state, at, finding, reply }.state(history)?,
            due: Timestamp::from_millis(self.due),
            attempts_made: self.attempts_made,
            first_attempt_at: self.first_attempt_at.map(Timestamp::from_millis),
        })
    }
}
