//! How the counts of accounts become rows: by time, then by group, and never more than an answer may hold.

use std::collections::BTreeMap;

use hikyaku_proto::v1::{self, StatisticsGrouping as Grouping};
use prost::Message as _;

use crate::{
    domain::{
        address::Address,
        statistics::{Counts, StatisticsGroup},
        time::Timestamp,
    },
    service::convert::statistics::{Wanted, from_row},
    storage::{AccountRecord, Statistics, StatisticsQuery},
};

/// Most rows of an answer.
const ROWS_MAX: usize = 10_000;
/// Most bytes of an answer. Clients take 4 MiB unless they are told otherwise.
const ANSWER_BYTES_MAX: usize = 3 * 1_024 * 1_024;
/// The group of those that are not counted by name.
const OTHER: &str = "(other)";

/// Rows under way.
pub(super) struct Sums {
    grouping: Grouping,
    /// Only this group.
    group: Option<String>,
    /// Where the whole range begins, when rows are not by time.
    whole_from: Option<Timestamp>,
    rows: BTreeMap<(Timestamp, Box<str>), Counts>,
    is_cut: bool,
}

impl Sums {
    pub(super) fn new(wanted: &Wanted, query: StatisticsQuery) -> Self {
        let is_whole = wanted.period == v1::StatisticsPeriod::Unspecified;
        let group = wanted.group.as_ref().map(|group| match wanted.grouping {
            Grouping::Domain => as_counted(group),
            _ => group.clone(),
        });
        Self {
            grouping: wanted.grouping,
            group,
            whole_from: is_whole.then(|| query.period.start_of(query.from)),
            rows: BTreeMap::new(),
            is_cut: false,
        }
    }

    /// Whether an account can have something to add.
    pub(super) fn includes(&self, record: &AccountRecord) -> bool {
        match (self.grouping, &self.group) {
            (Grouping::Account | Grouping::Provider, Some(group)) => name_of(self.grouping, record) == group,
            _ => true,
        }
    }

    /// Adds what was counted of an account.
    pub(super) fn add(&mut self, record: &AccountRecord, counted: Statistics) {
        for ((starts_at, group), counts) in counted {
            let name = match &group {
                StatisticsGroup::All => name_of(self.grouping, record),
                StatisticsGroup::Domain(domain) => domain,
                StatisticsGroup::Label(label) => label.as_str(),
                StatisticsGroup::OtherDomains | StatisticsGroup::OtherLabels => OTHER,
            };
            if self.group.as_ref().is_some_and(|wanted| wanted != name) {
                continue;
            }
            let starts_at = self.whole_from.unwrap_or(starts_at);
            self.rows.entry((starts_at, name.into())).or_default().add(&counts);
            // Of two rows the later one is told last. So what goes here would never be told, whatever is added.
            if self.rows.len() > ROWS_MAX {
                self.rows.pop_last();
                self.is_cut = true;
            }
        }
    }

    pub(super) fn finish(self) -> v1::GetStatisticsResponse {
        let Self { rows: sums, is_cut: mut cut, .. } = self;
        let mut rows = Vec::with_capacity(sums.len());
        let mut bytes = 0;
        for ((starts_at, group), counts) in &sums {
            let row = from_row(*starts_at, group, counts);
            bytes += row.encoded_len();
            if bytes > ANSWER_BYTES_MAX {
                cut = true;
                break;
            }
            rows.push(row);
        }
        v1::GetStatisticsResponse { rows, cut }
    }
}

/// A domain as it is counted: in A-labels and lower case.
fn as_counted(domain: &str) -> String {
    let ascii = Address::from_lenient(&format!("x@{domain}")).map(|address| address.ascii_domain().into_owned());
    ascii.unwrap_or_else(|_| domain.to_owned()).to_lowercase()
}

/// The group to which an account belongs as a whole.
fn name_of(grouping: Grouping, record: &AccountRecord) -> &str {
    match grouping {
        Grouping::Account => record.account.id.as_str(),
        Grouping::Provider => record.account.settings.server.provider.as_str(),
        Grouping::Unspecified | Grouping::Domain | Grouping::Label => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::parking::Standing,
        service::convert::{statistics::to_wanted, violations::Violations},
        storage::{Groups, Period, contract::samples::sample_account},
    };

    fn record(id: &str) -> AccountRecord {
        AccountRecord { account: sample_account(id), standing: Standing::Active, open_jobs: 0 }
    }

    fn sums(period: v1::StatisticsPeriod) -> Sums {
        let request = v1::GetStatisticsRequest {
            period: period.into(),
            grouping: Grouping::Domain.into(),
            ..v1::GetStatisticsRequest::default()
        };
        let wanted = to_wanted(request, &mut Violations::default()).expect("it is good");
        let (from, to) = (Timestamp::EPOCH, Timestamp::from_millis(1_000 * 3_600_000));
        Sums::new(&wanted, StatisticsQuery { from, to, period: Period::Hour, groups: Groups::Domains })
    }

    /// One recipient of each of 200 domains in each of these hours.
    fn counted(hours: std::ops::Range<u64>) -> Statistics {
        let of = |hour: u64, domain: u32| {
            let group = StatisticsGroup::Domain(format!("{domain:03}.example").into());
            let counts = Counts { accepted: 1, ..Counts::default() };
            ((Timestamp::from_millis(hour * 3_600_000), group), counts)
        };
        hours.flat_map(|hour| (0..200).map(move |domain| of(hour, domain))).collect()
    }

    #[test]
    fn the_first_rows_are_told_whatever_comes_when() {
        let mut all = sums(v1::StatisticsPeriod::Hour);
        all.add(&record("a"), counted(10..61));
        all.add(&record("b"), counted(0..11));
        all.add(&record("c"), counted(10..70));
        let told = all.finish();
        assert!(told.cut);
        assert_eq!(told.rows.len(), ROWS_MAX);
        let sums: Vec<_> =
            told.rows.iter().map(|row| row.counts.as_ref().map_or(0, |counts| counts.accepted)).collect();
        assert!(sums[..2_000].iter().all(|sum| *sum == 1), "of b");
        assert!(sums[2_000..2_200].iter().all(|sum| *sum == 3), "of all three");
        assert!(sums[2_200..].iter().all(|sum| *sum == 2), "of a and c");
    }

    #[test]
    fn a_whole_range_is_one_stretch() {
        let mut all = sums(v1::StatisticsPeriod::Unspecified);
        all.add(&record("a"), counted(0..300));
        let told = all.finish();
        assert_eq!((told.rows.len(), told.cut), (200, false));
        assert_eq!(told.rows[0].counts.as_ref().map(|counts| counts.accepted), Some(300));
    }
}
