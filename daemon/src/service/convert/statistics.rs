//! What was counted, on the wire.

use hikyaku_proto::v1;

use super::{
    values::{from_time, optional_time, parse},
    violations::Violations,
};
use crate::domain::{
    ids::AccountId,
    statistics::{Counts, QUEUE_TIME_BOUNDS},
    time::Timestamp,
};

/// Longest name of a group that a caller asks for, in bytes.
const GROUP_BYTES_MAX: usize = 255;

/// What a caller wants to have counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::service) struct Wanted {
    /// Of this account; of all that it sees when there is nothing here.
    pub(in crate::service) account: Option<AccountId>,
    /// The first hour or day is the one of this time; nothing when the caller did not say.
    pub(in crate::service) from: Option<Timestamp>,
    /// The last hour or day is the one of this time; now when there is nothing here.
    pub(in crate::service) to: Option<Timestamp>,
    /// How long a stretch is.
    pub(in crate::service) period: v1::StatisticsPeriod,
    /// What is told apart.
    pub(in crate::service) grouping: v1::StatisticsGrouping,
    /// Only this group.
    pub(in crate::service) group: Option<String>,
}

/// What a caller wants to have counted.
pub(in crate::service) fn to_wanted(request: v1::GetStatisticsRequest, violations: &mut Violations) -> Option<Wanted> {
    let account = match request.account_id.as_str() {
        "" => Some(None),
        id => parse::<AccountId>(id, "account_id", violations).map(Some),
    };
    let from = optional_time(request.from, "from", violations);
    let to = optional_time(request.to, "to", violations);
    let period = v1::StatisticsPeriod::try_from(request.period);
    let period = period.map_err(|_| violations.add("period", "must be HOUR or DAY, or unset for the whole range")).ok();
    let grouping = v1::StatisticsGrouping::try_from(request.grouping);
    let grouping =
        grouping.map_err(|_| violations.add("grouping", "must be ACCOUNT, PROVIDER, DOMAIN or LABEL, or unset")).ok();
    if request.group.len() > GROUP_BYTES_MAX {
        violations.add("group", format_args!("is longer than {GROUP_BYTES_MAX} bytes"));
    } else if !request.group.is_empty() && grouping == Some(v1::StatisticsGrouping::Unspecified) {
        violations.add("group", "needs a grouping: say what it is a group of");
    }
    Some(Wanted {
        account: account?,
        from: from?,
        to: to?,
        period: period?,
        grouping: grouping?,
        group: Some(request.group).filter(|group| !group.is_empty()),
    })
}

/// A row on the wire.
pub(in crate::service) fn from_row(starts_at: Timestamp, group: &str, counts: &Counts) -> v1::StatisticsRow {
    v1::StatisticsRow {
        starts_at: Some(from_time(starts_at)),
        group: group.to_owned(),
        counts: Some(from_counts(counts)),
    }
}

fn from_counts(counts: &Counts) -> v1::StatisticsCounts {
    let reasons = counts.reasons.iter().map(|(reason, count)| (reason.as_str().to_owned(), *count));
    v1::StatisticsCounts {
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
        reasons: reasons.collect(),
        success_rate: counts.success_rate(),
        queue_times: from_queue_times(counts),
    }
}

/// All buckets in their order, or none when nobody waited.
fn from_queue_times(counts: &Counts) -> Vec<v1::QueueTimeBucket> {
    if counts.queue_times.iter().all(|count| *count == 0) {
        return Vec::new();
    }
    let bounds = QUEUE_TIME_BOUNDS.iter().map(|bound| u32::try_from(bound.as_secs()).unwrap_or(u32::MAX));
    let buckets = bounds.chain([0]).zip(counts.queue_times);
    buckets.map(|(seconds_max, count)| v1::QueueTimeBucket { seconds_max, count }).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::reason::Reason;

    #[track_caller]
    fn check(change: impl FnOnce(&mut v1::GetStatisticsRequest), expected: &[&str]) {
        let mut request = v1::GetStatisticsRequest::default();
        change(&mut request);
        let mut violations = Violations::default();
        let read = to_wanted(request, &mut violations);
        let found = violations.finish(read).err().unwrap_or_default();
        assert_eq!(found.iter().map(|one| one.field.as_str()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn each_mistake_is_told_with_its_field() {
        let time = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        check(|_| {}, &[]);
        check(|r| r.account_id = "A B".into(), &["account_id"]);
        check(|r| (r.from, r.to) = (time(-1), time(-1)), &["from", "to"]);
        check(|r| (r.period, r.grouping) = (9, 9), &["period", "grouping"]);
        check(|r| r.group = "gmail.com".into(), &["group"]);
        check(|r| (r.group, r.grouping) = ("gmail.com".into(), 3), &[]);
        check(|r| (r.group, r.grouping) = ("x".repeat(256), 3), &["group"]);
    }

    #[test]
    fn counts_are_told_with_their_shares() {
        let mut counts = Counts { submitted: 3, failed: 1, bounced_soft: 1, ..Counts::default() };
        assert!(from_counts(&counts).queue_times.is_empty());
        counts.reasons.insert(Reason::MailboxFull, 1);
        counts.waited(Duration::from_secs(2));
        counts.waited(Duration::from_secs(30 * 86_400));
        let told = from_counts(&counts);
        assert_eq!((told.success_rate, told.reasons.get("mailbox-full")), (Some(0.5), Some(&1)));
        let buckets: Vec<_> = told.queue_times.iter().map(|bucket| (bucket.seconds_max, bucket.count)).collect();
        assert_eq!((buckets.len(), buckets[1], buckets[12]), (13, (5, 1), (0, 1)));
        assert_eq!(from_counts(&Counts::default()).success_rate, None);
    }
}
