//! `hikyaku stats`: what was sent and what came of it.

use std::{io::Write, process::ExitCode, time::SystemTime};

use clap::{Args, ValueEnum};
use hikyaku_client::proto::{
    GetStatisticsRequest, GetStatisticsResponse, StatisticsCounts, StatisticsGrouping, StatisticsPeriod, StatisticsRow,
};
use serde::Serialize;

use super::{
    args::Global,
    duration_text::show_duration,
    escape::escape,
    failure::Failure,
    output::{Output, Show},
    run::connect,
    table::table,
    time_text::{When, show_time},
};

/// What to count.
#[derive(Args, Debug)]
pub(crate) struct StatsArgs {
    /// Of this account
    #[arg(long, value_name = "ID", default_value = "")]
    account: String,
    /// From the hour or day of this time on: RFC 3339, or -7d for seven days ago; a day ago when not given
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<When>,
    /// Up to the hour or day of this time; now when not given
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<When>,
    /// A row for each hour or day; one for the whole time when not given
    #[arg(long, value_name = "PERIOD")]
    per: Option<PeriodName>,
    /// A row for each of these
    #[arg(long, value_name = "WHAT")]
    by: Option<GroupingName>,
    /// Only this one of them, such as the domain gmail.com
    #[arg(long, value_name = "NAME", requires = "by", default_value = "")]
    only: String,
    /// Show why recipients were refused or bounced, and how long mail waited
    #[arg(long)]
    detail: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PeriodName {
    /// An hour
    Hour,
    /// A day of UTC
    Day,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GroupingName {
    /// Accounts
    Account,
    /// Providers
    Provider,
    /// Domains of recipients
    Domain,
    /// Labels of jobs
    Label,
}

pub(crate) async fn run<W: Write>(
    args: StatsArgs,
    global: &Global,
    now: SystemTime,
    output: &mut Output<W>,
) -> Result<ExitCode, Failure> {
    let time = |when: Option<When>| when.map(|when| when.resolve(now).into());
    let period = match args.per {
        None => StatisticsPeriod::Unspecified,
        Some(PeriodName::Hour) => StatisticsPeriod::Hour,
        Some(PeriodName::Day) => StatisticsPeriod::Day,
    };
    let grouping = match args.by {
        None => StatisticsGrouping::Unspecified,
        Some(GroupingName::Account) => StatisticsGrouping::Account,
        Some(GroupingName::Provider) => StatisticsGrouping::Provider,
        Some(GroupingName::Domain) => StatisticsGrouping::Domain,
        Some(GroupingName::Label) => StatisticsGrouping::Label,
    };
    let request = GetStatisticsRequest {
        account_id: args.account,
        from: time(args.from),
        to: time(args.to),
        period: period.into(),
        grouping: grouping.into(),
        group: args.only,
    };
    let answer = connect(global).await?.get_statistics(request).await?;
    output.show(&StatisticsView::new(answer, args.detail))?;
    Ok(ExitCode::SUCCESS)
}

/// Counts, as rows.
#[derive(Debug, Serialize)]
struct StatisticsView {
    rows: Vec<RowView>,
    cut: bool,
    #[serde(skip)]
    detail: bool,
}

#[derive(Debug, Serialize)]
struct RowView {
    starts_at: Option<String>,
    group: String,
    accepted: u64,
    submitted: u64,
    deferred: u64,
    failed: u64,
    expired: u64,
    suppressed: u64,
    bounced_hard: u64,
    bounced_soft: u64,
    complained: u64,
    opened: u64,
    clicked: u64,
    success_rate: Option<f64>,
    reasons: Vec<(String, u64)>,
    queue_times: Vec<(u32, u64)>,
}

impl StatisticsView {
    fn new(answer: GetStatisticsResponse, detail: bool) -> Self {
        Self { rows: answer.rows.into_iter().map(Into::into).collect(), cut: answer.cut, detail }
    }
}

impl From<StatisticsRow> for RowView {
    fn from(row: StatisticsRow) -> Self {
        let counts: StatisticsCounts = row.counts.unwrap_or_default();
        Self {
            starts_at: row.starts_at.map(show_time),
            group: row.group,
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
            success_rate: counts.success_rate,
            reasons: counts.reasons.into_iter().collect(),
            queue_times: counts.queue_times.iter().map(|bucket| (bucket.seconds_max, bucket.count)).collect(),
        }
    }
}

impl Show for StatisticsView {
    fn text(&self) -> String {
        let headings = [
            "FROM",
            "OF",
            "ACCEPTED",
            "SUBMITTED",
            "DEFERRED",
            "FAILED",
            "EXPIRED",
            "SUPPRESSED",
            "HARD",
            "SOFT",
            "COMPLAINED",
            "SUCCESS",
        ];
        let mut text = table(&headings, self.rows.iter().map(RowView::cells));
        if self.detail {
            self.rows.iter().for_each(|row| text.push_str(&row.detail()));
        }
        if self.cut {
            text.push_str("\nthere are more rows: ask for less at once");
        }
        text
    }
}

impl RowView {
    fn cells(&self) -> Vec<String> {
        let Self { accepted, submitted, deferred, failed, expired, suppressed, bounced_hard, bounced_soft, .. } = self;
        let numbers =
            [accepted, submitted, deferred, failed, expired, suppressed, bounced_hard, bounced_soft, &self.complained];
        let rate = self.success_rate.map(percent).unwrap_or_default();
        [self.starts_at.clone().unwrap_or_default(), escape(&self.group).into_owned()]
            .into_iter()
            .chain(numbers.map(u64::to_string))
            .chain([rate])
            .collect()
    }

    fn detail(&self) -> String {
        let mut text = format!("\n\n{} {}", self.starts_at.as_deref().unwrap_or_default(), escape(&self.group));
        for (reason, count) in &self.reasons {
            text.push_str(&format!("\n  {count:>8}  {}", escape(reason)));
        }
        for (seconds_max, count) in self.queue_times.iter().filter(|(_, count)| *count > 0) {
            let bound = match seconds_max {
                0 => "longer".to_owned(),
                seconds => format!("within {}", show_duration(std::time::Duration::from_secs((*seconds).into()))),
            };
            text.push_str(&format!("\n  {count:>8}  waited {bound}"));
        }
        text
    }
}

/// A share in percent, rounded down: nothing that failed reads as 100 %.
fn percent(share: f64) -> String {
    format!("{:.1} %", (share * 1_000.0).floor() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_show_counts_and_their_rate() {
        let counts = StatisticsCounts {
            accepted: 10,
            submitted: 8,
            failed: 2,
            bounced_hard: 1,
            success_rate: Some(0.7),
            reasons: [("user-unknown".to_owned(), 3)].into(),
            ..StatisticsCounts::default()
        };
        let row = StatisticsRow { group: "gmail.com".to_owned(), counts: Some(counts), ..StatisticsRow::default() };
        let answer = GetStatisticsResponse { rows: vec![row], cut: false };
        let text = StatisticsView::new(answer, true).text();
        for word in ["gmail.com", "10", "70.0 %", "3  user-unknown"] {
            assert!(text.contains(word), "{word}: {text}");
        }
    }
}
