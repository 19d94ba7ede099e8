//! Suppressions, runs of bounces, recipients that are held back and counts, as lines.

use serde::{Deserialize, Serialize};

use super::bad_line;
use crate::{
    domain::{
        ids::{JobId, MessageKey},
        suppression::{Suppression, SuppressionKey},
        time::Timestamp,
    },
    storage::{
        Period, StorageError,
        records::{
            statistics::{CountsRow, group_of, group_parts},
            suppression::{SoftRunRow, SuppressionKeyRow, SuppressionRow},
        },
        sled::{
            disk::{self, Disk},
            jobs,
            keys::{Key, ListKey},
            suppressions::read_suppression,
            txn::Txn,
        },
    },
};

/// One line about these.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "list", rename_all = "snake_case")]
pub(super) enum ListLine {
    Suppression {
        row: SuppressionRow,
    },
    SoftRun {
        row: SoftRunRow,
    },
    /// A message of a merge job that a suppression holds back.
    Held {
        job: String,
        index: u32,
        row: SuppressionKeyRow,
    },
    Count {
        account: u32,
        period: Span,
        start: u64,
        /// The number and the name of the group.
        group: u8,
        name: String,
        row: CountsRow,
    },
}

/// A [`Period`].
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Span {
    Hour,
    Day,
}

/// The line of a record; nothing for what is derived, or gone by now.
pub(super) fn line_of(disk: &Disk, key: &ListKey) -> Result<Option<ListLine>, StorageError> {
    let stored = || Key::List(key.clone());
    Ok(match key {
        // One that is damaged holds on, so it does where the export goes too.
        ListKey::Suppression { key } => {
            read_suppression(disk, key)?.map(|one| ListLine::Suppression { row: SuppressionRow::from(&one) })
        }
        ListKey::SoftRun { .. } => {
            let row = disk::read_row::<SoftRunRow>(disk, |_| stored())?;
            row.map(|row| ListLine::SoftRun { row: row.value })
        }
        // Of a job that is gone it is yet to go too.
        ListKey::HeldBy { message } if jobs::load(disk, message.job)?.is_none() => None,
        ListKey::HeldBy { message } => {
            let row = disk::read_row::<SuppressionKeyRow>(disk, |_| stored())?;
            row.map(|row| ListLine::Held { job: message.job.to_string(), index: message.index, row: row.value })
        }
        ListKey::Count { account, period, start, group } => {
            let (kind, name) = group_parts(group);
            let period = match period {
                Period::Hour => Span::Hour,
                Period::Day => Span::Day,
            };
            disk::read_row::<CountsRow>(disk, |_| stored())?.map(|row| ListLine::Count {
                account: *account,
                period,
                start: start.as_millis(),
                group: kind,
                name: name.to_owned(),
                row: row.value,
            })
        }
        ListKey::Ending { .. } | ListKey::Held { .. } => None,
    })
}

/// Puts a record with what is derived from it.
pub(super) fn put(txn: &mut Txn, line: ListLine) -> Result<(), StorageError> {
    let bad = |error: &dyn std::fmt::Display| bad_line(0, error);
    match line {
        ListLine::Suppression { row } => {
            let suppression = Suppression::try_from(row).map_err(|error| bad(&error))?;
            txn.suppress(&suppression)?;
        }
        ListLine::SoftRun { row } => {
            let key = row.key.as_ref().ok_or_else(|| bad(&"a run has no key"))?;
            let key = SuppressionKey::try_from(key).map_err(|error| bad(&error))?;
            txn.put_run(&key, &row);
        }
        ListLine::Held { job, index, row } => {
            let job: JobId = job.parse().map_err(|error| bad(&error))?;
            let key = SuppressionKey::try_from(&row).map_err(|error| bad(&error))?;
            txn.put_held(MessageKey { job, index }, &key);
        }
        ListLine::Count { account, period, start, group, name, row } => {
            let group = group_of(group, &name).map_err(|error| bad(&error))?;
            let period = match period {
                Span::Hour => Period::Hour,
                Span::Day => Period::Day,
            };
            let start = Timestamp::from_millis(start);
            let key = Key::List(ListKey::Count { account, period, start, group });
            txn.put_row(|_| key.clone(), &row, 0);
        }
    }
    Ok(())
}
