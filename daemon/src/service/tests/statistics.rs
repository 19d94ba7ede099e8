//! What callers are told of what was counted, over a real connection.

use hikyaku_proto::v1::statistics_service_client::StatisticsServiceClient;
use v1::{StatisticsGrouping as Grouping, StatisticsPeriod as Period};

use super::{
    visibility::{Office, by},
    *,
};

/// The groups with how many recipients were accepted of each.
async fn accepted(office: &Office, by_whom: &str, request: v1::GetStatisticsRequest) -> Vec<(String, u64)> {
    let mut client = StatisticsServiceClient::new(office.api.channel.clone());
    let answer = client.get_statistics(by(by_whom, request)).await.expect("an answer").into_inner();
    assert!(!answer.cut);
    answer.rows.into_iter().map(|row| (row.group, row.counts.expect("counts").accepted)).collect()
}

fn by_group(grouping: Grouping) -> v1::GetStatisticsRequest {
    v1::GetStatisticsRequest { grouping: grouping.into(), ..v1::GetStatisticsRequest::default() }
}

fn rows(rows: &[(&str, u64)]) -> Vec<(String, u64)> {
    rows.iter().map(|&(group, count)| (group.to_owned(), count)).collect()
}

async fn office() -> Office {
    let office = Office::open().await;
    office.create(&office.boss, "sales", "").await.expect("an account");
    office.create(&office.taro, "own", "taro").await.expect("an account");
    for (account, to) in [("sales", "a@example.jp"), ("sales", "b@Example.COM"), ("own", "c@example.jp")] {
        let labels = vec!["news".into(), account.to_owned()];
        let job = Some(v1::JobDraft { labels, ..draft(account, to) });
        let request = v1::SubmitJobRequest { job, ..v1::SubmitJobRequest::default() };
        office.api.jobs().submit_job(by(&office.boss, request)).await.expect("a job");
    }
    office
}

#[tokio::test]
async fn counts_are_summed_up_over_the_accounts_that_the_caller_sees() {
    let office = office().await;
    let all = v1::GetStatisticsRequest::default();
    assert_eq!(accepted(&office, &office.taro, all.clone()).await, rows(&[("", 3)]));
    assert_eq!(accepted(&office, &office.jiro, all.clone()).await, rows(&[("", 2)]));
    let of = |account: &str| v1::GetStatisticsRequest { account_id: account.into(), ..all.clone() };
    assert_eq!(accepted(&office, &office.taro, of("own")).await, rows(&[("", 1)]));
    let mut client = StatisticsServiceClient::new(office.api.channel.clone());
    let refused = client.get_statistics(by(&office.jiro, of("own"))).await;
    check_refused(refused, Code::NotFound, "ACCOUNT_NOT_FOUND", &["account_id"]);
}

#[tokio::test]
async fn each_grouping_has_its_rows() {
    let office = office().await;
    let told = |grouping| accepted(&office, &office.taro, by_group(grouping));
    assert_eq!(told(Grouping::Account).await, rows(&[("own", 1), ("sales", 2)]));
    assert_eq!(told(Grouping::Provider).await, rows(&[("generic", 3)]));
    assert_eq!(told(Grouping::Domain).await, rows(&[("example.com", 1), ("example.jp", 2)]));
    assert_eq!(told(Grouping::Label).await, rows(&[("news", 3), ("own", 1), ("sales", 2)]));
    let one = v1::GetStatisticsRequest { group: "EXAMPLE.jp".into(), ..by_group(Grouping::Domain) };
    assert_eq!(accepted(&office, &office.taro, one).await, rows(&[("example.jp", 2)]));
    let one = v1::GetStatisticsRequest { group: "own".into(), ..by_group(Grouping::Account) };
    assert_eq!(accepted(&office, &office.taro, one).await, rows(&[("own", 1)]));
}

#[tokio::test]
async fn rows_begin_with_their_hour_their_day_or_the_range() {
    let office = office().await;
    let mut client = StatisticsServiceClient::new(office.api.channel.clone());
    let begin = i64::try_from(BEGIN_MS / 1_000).expect("small");
    let (hour, day) = (begin / 3_600 * 3_600, begin / 86_400 * 86_400);
    for (period, expected) in [(Period::Hour, hour), (Period::Day, day), (Period::Unspecified, hour - 86_400)] {
        let request = v1::GetStatisticsRequest { period: period.into(), ..v1::GetStatisticsRequest::default() };
        let answer = client.get_statistics(by(&office.boss, request)).await.expect("an answer").into_inner();
        let starts: Vec<_> = answer.rows.iter().map(|row| row.starts_at.map(|at| at.seconds)).collect();
        assert_eq!(starts, [Some(expected)], "{period:?}");
    }
}

#[tokio::test]
async fn a_range_that_ends_before_it_begins_is_refused() {
    let api = Api::start().await;
    let mut client = StatisticsServiceClient::new(api.channel.clone());
    let time = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let range = |from, to| v1::GetStatisticsRequest { from: time(from), to: time(to), ..Default::default() };
    check_refused(client.get_statistics(range(5, 4)).await, Code::InvalidArgument, "INVALID_FIELDS", &["from"]);
    let both = v1::GetStatisticsRequest { account_id: "A B".into(), group: "x".into(), ..range(-1, 4) };
    let fields = ["account_id", "from", "group"];
    check_refused(client.get_statistics(both).await, Code::InvalidArgument, "INVALID_FIELDS", &fields);
}
