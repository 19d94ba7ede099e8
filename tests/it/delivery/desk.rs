//! What others use of an account's quotas, and what its provider says of them.

use std::time::Duration;

use hikyaku_daemon::{
    delivery::desk::DeskError,
    domain::{
        ids::AccountId,
        job::{Control, JobState},
        limits::{CalendarSpan, Quota, QuotaUnit, QuotaWindow},
        parking::{ParkingCause, Standing},
        time::Clock as _,
    },
    policy::quota::permit::Need,
};

use super::house::{House, number, pass, sliding};

const MINUTE: Duration = Duration::from_secs(60);

/// An account that may send so many messages a minute.
async fn a_minute(house: &House, limit: u32) -> AccountId {
    house.account("sales", |settings| settings.limits.quotas = vec![sliding(limit, 60)]).await
}

/// How many seconds pass until a job that is submitted now is sent.
async fn waited(house: &House, account: &AccountId) -> u64 {
    let begin = house.clock.now();
    let job = house.submit(account, &["x@example.jp"]).await;
    assert_eq!(house.settled(job, 10 * MINUTE).await, JobState::Submitted);
    house.clock.now().since(begin).as_secs()
}

#[tokio::test(start_paused = true)]
async fn what_others_sent_counts_and_survives_a_kill() {
    let mut house = House::new();
    let account = a_minute(&house, 3).await;
    let used = Need { messages: 3, recipients: 3, bytes: 0 };
    let half_a_minute_ago = house.clock.now().before(Duration::from_secs(30));
    house.desk.report_usage(&account, used, half_a_minute_ago).await.expect("it is counted");
    house.kill().await;
    house.start();
    let waited = waited(&house, &account).await;
    assert!((29..=31).contains(&waited), "{waited}");
}

#[tokio::test(start_paused = true)]
async fn lent_units_count_until_they_come_back_and_from_when_they_were_used() {
    let house = House::new();
    let account = a_minute(&house, 1).await;
    let units = house.desk.take_units(&account, Need::message_to(1)).await.expect("there is room");
    let exhausted = house.desk.take_units(&account, Need::message_to(1)).await.expect_err("there is one");
    assert!(matches!(exhausted, DeskError::Exhausted(none) if !none.is_for_ever()));
    let begin = house.clock.now();
    let job = house.submit(&account, &["x@example.jp"]).await;
    pass(300).await;
    assert_eq!(house.state(job).await, JobState::Queued, "what is lent counts as now");
    let used_at = house.clock.now().before(Duration::from_secs(20));
    units.settle(used_at);
    assert_eq!(house.settled(job, MINUTE).await, JobState::Submitted);
    let waited = house.clock.now().since(begin).as_secs();
    assert!((339..=343).contains(&waited), "{waited}");
}

#[tokio::test(start_paused = true)]
async fn units_that_are_given_back_were_never_used_and_those_that_are_dropped_were() {
    let house = House::new();
    let account = a_minute(&house, 1).await;
    let units = house.desk.take_units(&account, Need::message_to(1)).await.expect("there is room");
    pass(5).await;
    units.give_back();
    drop(house.desk.take_units(&account, Need::message_to(1)).await.expect("there is room again"));
    let waited = waited(&house, &account).await;
    assert!((59..=62).contains(&waited), "{waited}");
}

#[tokio::test(start_paused = true)]
async fn a_kill_forgets_no_lent_units() {
    let mut house = House::new();
    let account = a_minute(&house, 1).await;
    let units = house.desk.take_units(&account, Need::message_to(1)).await.expect("there is room");
    house.kill().await;
    units.give_back();
    house.start();
    let waited = waited(&house, &account).await;
    assert!((59..=62).contains(&waited), "{waited}");
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_stops_waits_for_what_is_lent() {
    let mut house = House::new();
    let account = a_minute(&house, 1).await;
    let units = house.desk.take_units(&account, Need::message_to(1)).await.expect("there is room");
    let desk = house.desk.clone();
    let clock = std::sync::Arc::clone(&house.clock);
    let begin = clock.now();
    let back = tokio::spawn(async move {
        pass(2).await;
        assert_eq!(desk.take_units(&account, Need::message_to(1)).await.expect_err("it stops"), DeskError::Unavailable);
        units.give_back();
    });
    house.stop().await;
    back.await.expect("nothing panics");
    assert!(clock.now().since(begin) >= Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn nobody_answers_for_an_account_that_is_not_there() {
    let house = House::new();
    let nobody: AccountId = "nobody".parse().expect("an id");
    let answer = house.desk.take_units(&nobody, Need::message_to(1)).await;
    assert_eq!(answer.expect_err("it has no worker"), DeskError::Unavailable);
    let now = house.clock.now();
    let answer = house.desk.report_usage(&nobody, Need::message_to(1), now).await;
    assert_eq!(answer.expect_err("it has no worker"), DeskError::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_says_its_quota_is_used_up_is_believed_until_the_reset() {
    let mut house = House::new();
    let window = QuotaWindow::Calendar { span: CalendarSpan::Day, zone: "Asia/Tokyo".to_owned() };
    let quota = Quota { limit: number(100).into(), unit: QuotaUnit::Recipients, window };
    let account = house.account("sales", |settings| settings.limits.quotas = vec![quota.clone()]).await;
    for _ in 0..3 {
        waited(&house, &account).await;
    }
    let refused = house.submit(&account, &["over-quota@example.jp"]).await;
    pass(10).await;
    // The house begins at 17:00 in Tokyo.
    let reset = "2027-01-15T15:00:0";
    let Standing::Parked(parking) = house.standing(&account).await else { panic!("it is not parked") };
    assert_eq!(parking.cause, ParkingCause::QuotaExhausted);
    assert!(parking.reply.is_some_and(|reply| reply.text().contains("5.4.5")));
    assert!(parking.until.is_some_and(|until| until.to_string().starts_with(reset)), "{:?}", parking.until);
    let observed = house.storage.observed_limits(&account).await.expect("an answer");
    assert_eq!(observed.iter().map(|seen| seen.limit).collect::<Vec<_>>(), [3]);
    house.storage.control(vec![refused], Control::Cancel, house.clock.now()).await.expect("an answer");
    // Not even an operator who resumes the account, nor a restart, lets it send before.
    house.storage.set_standing(&account, Standing::Active, house.clock.now()).await.expect("an answer");
    house.kill().await;
    house.start();
    let job = house.submit(&account, &["x@example.jp"]).await;
    pass(7 * 3_600 - 60).await;
    assert_eq!(house.settled(job, 2 * MINUTE).await, JobState::Submitted);
    let sent = house.records().accepted().last().expect("it was sent").at;
    assert!(sent.to_string().starts_with(reset), "{sent}");
}

#[tokio::test(start_paused = true)]
async fn quotas_of_bytes_hold_over_kills() {
    let mut house = House::new();
    let window = QuotaWindow::Sliding(Duration::from_secs(60));
    let quota = Quota { limit: number(400).into(), unit: QuotaUnit::Bytes, window };
    let account = house.account("sales", |settings| settings.limits.quotas = vec![quota]).await;
    let mut jobs = Vec::new();
    for _ in 0..40 {
        jobs.push(house.submit_with(&account, &["x@example.jp"], |job| job.message.bytes = 80).await);
    }
    for pause in [3, 40, 90, 61, 27] {
        pass(pause).await;
        house.kill().await;
        house.start();
    }
    for job in jobs {
        assert_eq!(house.settled(job, 60 * MINUTE).await, JobState::Submitted);
    }
    let records = house.records();
    // Each message has 64 to 66 bytes: six fit, by what was known of them beforehand five.
    let most = records.most_in_window("sales@example.jp", QuotaUnit::Messages, MINUTE);
    assert!((5..=6).contains(&most), "{most} in a minute");
}
