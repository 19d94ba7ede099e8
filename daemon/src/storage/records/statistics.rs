//! How it is kept what was counted.

use serde::{Deserialize, Serialize};

use super::{BadRow, parsed::parsed, report};
use crate::domain::statistics::{Counts, QUEUE_TIME_BOUNDS, StatisticsGroup};

/// [`Counts`].
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are those of the counts")]
pub struct CountsRow {
    #[prost(uint64, tag = "1")]
    pub accepted: u64,
    #[prost(uint64, tag = "2")]
    pub submitted: u64,
    #[prost(uint64, tag = "3")]
    pub deferred: u64,
    #[prost(uint64, tag = "4")]
    pub failed: u64,
    #[prost(uint64, tag = "5")]
    pub expired: u64,
    #[prost(uint64, tag = "6")]
    pub suppressed: u64,
    #[prost(uint64, tag = "7")]
    pub bounced_hard: u64,
    #[prost(uint64, tag = "8")]
    pub bounced_soft: u64,
    #[prost(uint64, tag = "9")]
    pub complained: u64,
    #[prost(uint64, tag = "10")]
    pub opened: u64,
    #[prost(uint64, tag = "11")]
    pub clicked: u64,
    #[prost(message, repeated, tag = "12")]
    pub reasons: Vec<ReasonCountRow>,
    /// One number a bucket; empty when nothing was submitted.
    #[prost(uint64, repeated, tag = "13")]
    pub queue_times: Vec<u64>,
}

/// How often a reason was met.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct ReasonCountRow {
    /// The reason, by its name.
    #[prost(string, tag = "1")]
    pub reason: String,
    /// How often.
    #[prost(uint64, tag = "2")]
    pub count: u64,
}

impl From<&Counts> for CountsRow {
    fn from(counts: &Counts) -> Self {
        let reason = |(reason, count): (&crate::domain::reason::Reason, &u64)| ReasonCountRow {
            reason: reason.as_str().to_owned(),
            count: *count,
        };
        let has_waited = counts.queue_times.iter().any(|count| *count > 0);
        Self {
            accepted: counts.accepted,
            submitted: counts.submitted,
            deferred: counts.deferred,
            failed: counts.failed,
            expired: counts.expired,
            suppressed: counts.suppressed,
            bounced_hard: counts.bounced_hard,
            bounced_soft: counts.bounced_soft,
            complained: counts.complained,
            opened: counts.opened,
            clicked: counts.clicked,
            reasons: counts.reasons.iter().map(reason).collect(),
            queue_times: if has_waited { counts.queue_times.to_vec() } else { Vec::new() },
        }
    }
}

impl From<CountsRow> for Counts {
    fn from(row: CountsRow) -> Self {
        let mut counts = Self {
            accepted: row.accepted,
            submitted: row.submitted,
            deferred: row.deferred,
            failed: row.failed,
            expired: row.expired,
            suppressed: row.suppressed,
            bounced_hard: row.bounced_hard,
            bounced_soft: row.bounced_soft,
            complained: row.complained,
            opened: row.opened,
            clicked: row.clicked,
            ..Self::default()
        };
        for ReasonCountRow { reason, count } in row.reasons {
            *counts.reasons.entry(report::reason(&reason)).or_default() += count;
        }
        // Buckets of a version that had more of them count as the last one.
        for (bucket, count) in row.queue_times.into_iter().enumerate() {
            counts.queue_times[bucket.min(QUEUE_TIME_BOUNDS.len())] += count;
        }
        counts
    }
}

/// The number and the name of a group: groups of a kind stand together.
pub(in crate::storage) fn group_parts(group: &StatisticsGroup) -> (u8, &str) {
    match group {
        StatisticsGroup::All => (1, ""),
        StatisticsGroup::Domain(name) => (2, name),
        StatisticsGroup::OtherDomains => (3, ""),
        StatisticsGroup::Label(label) => (4, label.as_str()),
        StatisticsGroup::OtherLabels => (5, ""),
    }
}

/// The group of a number and a name.
pub(in crate::storage) fn group_of(number: u8, name: &str) -> Result<StatisticsGroup, BadRow> {
    Ok(match (number, name) {
        (1, "") => StatisticsGroup::All,
        (2, name) => StatisticsGroup::Domain(name.into()),
        (3, "") => StatisticsGroup::OtherDomains,
        (4, name) => StatisticsGroup::Label(parsed("label", name)?),
        (5, "") => StatisticsGroup::OtherLabels,
        (other, _) => return Err(BadRow::new("statistics group", format_args!("unknown code {other}"))),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::reason::Reason;

    #[test]
    fn counts_survive_their_rows() {
        let mut counts = Counts { accepted: 1, submitted: 2, deferred: 3, failed: 4, expired: 5, ..Counts::default() };
        (counts.suppressed, counts.bounced_hard, counts.bounced_soft) = (6, 7, 8);
        (counts.complained, counts.opened, counts.clicked) = (9, 10, u64::MAX);
        counts.reasons.insert(Reason::UserUnknown, 11);
        counts.reasons.insert(Reason::Complaint, 12);
        counts.waited(Duration::ZERO);
        counts.waited(Duration::MAX);
        for given in [counts, Counts::default()] {
            let row = CountsRow::from(&given);
            let row: CountsRow = serde_json::from_str(&serde_json::to_string(&row).unwrap()).unwrap();
            assert_eq!(Counts::from(row), given);
        }
    }

    #[test]
    fn groups_survive_their_parts() {
        for group in [
            StatisticsGroup::All,
            StatisticsGroup::Domain("example.com".into()),
            StatisticsGroup::OtherDomains,
            StatisticsGroup::Label("spring".parse().unwrap()),
            StatisticsGroup::OtherLabels,
        ] {
            let (number, name) = group_parts(&group);
            assert_eq!(group_of(number, name), Ok(group));
        }
        assert!(group_of(1, "x").is_err() && group_of(4, "").is_err() && group_of(6, "").is_err());
    }
}
