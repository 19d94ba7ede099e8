//! Who is not sent to, and what is counted.

use std::time::Duration;

use hikyaku_daemon::app::demo::capture::Rules as ServerRules;
use hikyaku_daemon::domain::{
    account::SuppressionRules,
    address::Address,
    ids::{AccountId, Label},
    job::JobState,
    reason::Reason,
    recipient::RecipientState,
    statistics::{Counts, StatisticsGroup},
    suppression::{Suppression, SuppressionKey, SuppressionReason, SuppressionScope, SuppressionSource},
    time::Clock as _,
};
use hikyaku_daemon::storage::{Groups, Period, StatisticsQuery};

use super::house::{House, pass, sliding};

const MINUTE: Duration = Duration::from_secs(60);

/// Somebody decides that an address is not sent to.
async fn suppress(house: &House, scope: SuppressionScope, address: &str) {
    let address: Address = address.parse().expect("an address");
    let suppression = Suppression {
        key: SuppressionKey::new(scope, &address),
        address,
        reason: SuppressionReason::Manual,
        source: SuppressionSource::Call,
        added_at: house.clock.now(),
        added_by: None,
        expires_at: None,
        evidence: "asked for".into(),
        message: None,
    };
    assert_eq!(house.storage.suppress(vec![suppression]).await.expect("an answer"), [false]);
}

fn received(house: &House) -> Vec<Vec<String>> {
    house.records().accepted().into_iter().map(|received| received.recipients).collect()
}

async fn counted(house: &House, account: &AccountId, group: &StatisticsGroup) -> Counts {
    let groups = match group {
        StatisticsGroup::All => Groups::All,
        StatisticsGroup::Domain(_) | StatisticsGroup::OtherDomains => Groups::Domains,
        StatisticsGroup::Label(_) | StatisticsGroup::OtherLabels => Groups::Labels,
    };
    let now = house.clock.now();
    let query = StatisticsQuery { from: now.before(MINUTE), to: now, period: Period::Hour, groups };
    let found = house.storage.statistics(account, query).await.expect("an answer");
    found.into_iter().filter(|((_, found), _)| found == group).fold(Counts::default(), |mut sum, (_, counts)| {
        sum.add(&counts);
        sum
    })
}

#[tokio::test(start_paused = true)]
async fn suppressed_recipients_are_left_out_and_the_others_go() {
    let house = House::new();
    let account = house.account("sales", |_| {}).await;
    suppress(&house, SuppressionScope::Global, "Gone@example.jp").await;
    let job = house.submit(&account, &["gone@Example.JP", "good@example.jp"]).await;
    assert_eq!(house.settled(job, MINUTE).await, JobState::PartlySubmitted);
    let RecipientState::Suppressed { by, .. } = house.recipient(job, 0).await else {
        panic!("it was not left out");
    };
    assert_eq!((by.reason, &by.scope), (SuppressionReason::Manual, &SuppressionScope::Global));
    assert_eq!(received(&house), [["good@example.jp"]]);
    assert_eq!(house.record(job).await.job.attempts_made, 1);
    let all = counted(&house, &account, &StatisticsGroup::All).await;
    assert_eq!((all.suppressed, all.submitted, all.failed), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn who_waits_again_while_the_others_are_under_way_is_sent_to() {
    let house = House::with_server(ServerRules { answer_after: Duration::from_secs(2), ..ServerRules::default() });
    let account = house.account("sales", |_| {}).await;
    suppress(&house, SuppressionScope::Global, "back@example.jp").await;
    let job = house.submit(&account, &["back@example.jp", "good@example.jp"]).await;
    for _ in 0..60 {
        if house.record(job).await.marked {
            break;
        }
        pass(1).await;
    }
    assert!(house.record(job).await.marked);
    let address = "back@example.jp".parse().expect("an address");
    let key = SuppressionKey::new(SuppressionScope::Global, &address);
    let lifted = house.storage.lift(&key, true, house.clock.now()).await.expect("an answer");
    assert_eq!(lifted.map(|lifted| lifted.requeued), Some(1));
    assert!(house.record(job).await.marked, "the other one is still under way");
    assert_eq!(house.settled(job, 2 * MINUTE).await, JobState::Submitted);
    assert_eq!(received(&house), [["good@example.jp"], ["back@example.jp"]]);
}

#[tokio::test(start_paused = true)]
async fn whom_nobody_sends_to_costs_no_quota_and_no_attempt() {
    let house = House::new();
    let account = house.account("sales", |settings| settings.limits.quotas = vec![sliding(1, 86_400)]).await;
    suppress(&house, SuppressionScope::Account(account.clone()), "gone@example.jp").await;
    let gone = house.submit(&account, &["gone@example.jp"]).await;
    assert_eq!(house.settled(gone, MINUTE).await, JobState::Suppressed);
    assert_eq!(house.record(gone).await.job.attempts_made, 0);
    let good = house.submit(&account, &["good@example.jp"]).await;
    assert_eq!(house.settled(good, MINUTE).await, JobState::Submitted);
    // The list of an account is no other's.
    let other = house.account("help", |_| {}).await;
    let job = house.submit(&other, &["gone@example.jp"]).await;
    assert_eq!(house.settled(job, MINUTE).await, JobState::Submitted);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_says_so_goes_to_suppressed_recipients() {
    let house = House::new();
    let account = house.account("sales", |_| {}).await;
    suppress(&house, SuppressionScope::Account(account.clone()), "gone@example.jp").await;
    let job = house.submit_with(&account, &["gone@example.jp"], |job| job.override_suppression = true).await;
    assert_eq!(house.settled(job, MINUTE).await, JobState::Submitted);
    // What its server says then suppresses nobody either.
    for _ in 0..2 {
        let job = house.submit_with(&account, &["refused@example.jp"], |job| job.override_suppression = true).await;
        assert_eq!(house.settled(job, MINUTE).await, JobState::Failed);
    }
}

#[tokio::test(start_paused = true)]
async fn each_job_asks_the_lists_of_its_own_labels() {
    let house = House::new();
    let account = house.account("sales", |settings| settings.limits.connections_max = super::house::number(3)).await;
    let news: Label = "news".parse().expect("a label");
    suppress(&house, SuppressionScope::Label(news.clone()), "taro@example.jp").await;
    let mut jobs = Vec::new();
    for number in 0..12 {
        let labels = match number % 3 {
            0 => vec!["bills".parse().expect("a label"), news.clone()],
            1 => vec!["bills".parse().expect("a label")],
            _ => Vec::new(),
        };
        let taro = format!("taro{}@example.jp", if number < 6 { "" } else { ".other" });
        let job = house.submit_with(&account, &[&taro], |job| job.labels = labels).await;
        let expected = if number < 6 && number % 3 == 0 { JobState::Suppressed } else { JobState::Submitted };
        jobs.push((job, expected));
    }
    for (job, expected) in jobs {
        assert_eq!(house.settled(job, MINUTE).await, expected);
    }
    assert_eq!(received(&house).len(), 10);
    assert_eq!(counted(&house, &account, &StatisticsGroup::Label(news)).await.suppressed, 2);
}

#[tokio::test(start_paused = true)]
async fn a_dead_address_is_sent_to_once() {
    let house = House::new();
    let account = house.account("sales", |_| {}).await;
    let first = house.submit(&account, &["refused@example.jp", "good@example.jp"]).await;
    assert_eq!(house.settled(first, MINUTE).await, JobState::PartlySubmitted);
    let second = house.submit(&account, &["Refused@example.jp"]).await;
    assert_eq!(house.settled(second, MINUTE).await, JobState::Suppressed);
    let address = "refused@example.jp".parse().expect("an address");
    let key = SuppressionKey::new(SuppressionScope::Account(account.clone()), &address);
    let found = house.storage.suppression(&key).await.expect("an answer").expect("it is there");
    assert_eq!((found.reason, found.source), (SuppressionReason::HardBounce, SuppressionSource::Reply));
    assert_eq!(
        (&*found.evidence, found.message.map(|message| message.job)),
        ("550 5.1.1 no such mailbox", Some(first))
    );
}

#[tokio::test(start_paused = true)]
async fn what_says_nothing_of_the_address_suppresses_nobody() {
    let house = House::new();
    let account = house.account("sales", |_| {}).await;
    for state in [JobState::Failed, JobState::Failed] {
        let job = house.submit(&account, &["dot-refused@example.jp"]).await;
        assert_eq!(house.settled(job, MINUTE).await, state);
    }
    for _ in 0..2 {
        let job = house.submit(&account, &["deferred-1@example.jp"]).await;
        assert_eq!(house.settled(job, 10 * MINUTE).await, JobState::Submitted);
    }
    let lenient = house
        .account("help", |settings| {
            settings.suppression = SuppressionRules { ignore_replies: true, ..SuppressionRules::default() };
        })
        .await;
    for _ in 0..2 {
        let job = house.submit(&lenient, &["refused@example.jp"]).await;
        assert_eq!(house.settled(job, MINUTE).await, JobState::Failed);
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_are_counted_with_the_time_that_recipients_waited() {
    let house = House::new();
    let account = house.account("sales", |_| {}).await;
    let news: Label = "news".parse().expect("a label");
    let recipients = ["refused@one.jp", "good@one.jp", "deferred-1@Two.jp"];
    let job = house.submit_with(&account, &recipients, |job| job.labels = vec![news.clone()]).await;
    assert_eq!(house.settled(job, 10 * MINUTE).await, JobState::PartlySubmitted);
    pass(1).await;
    for group in [StatisticsGroup::All, StatisticsGroup::Label(news)] {
        let all = counted(&house, &account, &group).await;
        assert_eq!((all.submitted, all.deferred, all.failed), (2, 1, 1), "{group:?}");
        assert_eq!(all.reasons.into_iter().collect::<Vec<_>>(), [(Reason::UserUnknown, 1)]);
        assert_eq!((all.queue_times[0], all.queue_times[..5].iter().sum::<u64>()), (1, 2), "one waited for a minute");
    }
    let two = counted(&house, &account, &StatisticsGroup::Domain("two.jp".into())).await;
    assert_eq!((two.submitted, two.deferred, two.failed), (1, 1, 0));
}
