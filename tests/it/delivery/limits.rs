//! What an account may send, and how fast.

use std::time::Duration;

use hikyaku_daemon::domain::{
    job::{JobState, Priority},
    limits::{BatchPause, QuotaUnit},
    time::Clock as _,
};

use super::house::{House, number, pass, sliding};

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test(start_paused = true)]
async fn quotas_hold_over_kills_and_are_used_well() {
    let mut house = House::new();
    let account =
        house.account("sales", |settings| settings.limits.quotas = vec![sliding(7, 10), sliding(20, 60)]).await;
    let mut jobs = Vec::new();
    for _ in 0..200 {
        jobs.push(house.submit(&account, &["x@example.jp"]).await);
    }
    let begin = house.clock.now();
    for pause in [3, 11, 40, 5, 90, 61, 27, 13, 55, 8] {
        pass(pause).await;
        house.kill().await;
        house.start();
    }
    for job in jobs {
        assert_eq!(house.settled(job, HOUR).await, JobState::Submitted);
    }
    let records = house.records();
    for (limit, seconds) in [(7, 10), (20, 60)] {
        let most = records.most_in_window("sales@example.jp", QuotaUnit::Messages, Duration::from_secs(seconds));
        assert!(most <= limit, "{most} in {seconds} s");
    }
    // The 200th may go when nine minutes are full; the limits allow 20 a minute.
    let taken = house.clock.now().since(begin).as_secs();
    assert!(taken <= 540 * 100 / 95, "it took {taken} s");
}

#[tokio::test(start_paused = true)]
async fn an_interval_and_batches_space_the_sends() {
    let house = House::new();
    let account = house
        .account("sales", |settings| {
            settings.limits.interval = Duration::from_secs(1);
            settings.limits.batch = Some(BatchPause { messages: number(5), pause: Duration::from_secs(60) });
        })
        .await;
    let mut jobs = Vec::new();
    for _ in 0..10 {
        jobs.push(house.submit(&account, &["x@example.jp"]).await);
    }
    for job in jobs {
        house.settled(job, HOUR).await;
    }
    let times: Vec<_> = house.records().accepted().into_iter().map(|received| received.at).collect();
    let gaps: Vec<u64> = times.windows(2).map(|pair| pair[1].since(pair[0]).as_secs()).collect();
    assert_eq!(gaps, [1, 1, 1, 1, 60, 1, 1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn an_urgent_job_overtakes_a_full_queue() {
    let house = House::new();
    let account = house.account("sales", |settings| settings.limits.quotas = vec![sliding(10, 60)]).await;
    for _ in 0..600 {
        house.submit_with(&account, &["bulk@example.jp"], |job| job.priority = Priority::Bulk).await;
    }
    pass(100).await;
    let urgent = house.submit_with(&account, &["x@example.jp"], |job| job.priority = Priority::High).await;
    assert_eq!(house.settled(urgent, Duration::from_secs(61)).await, JobState::Submitted);
}

#[tokio::test(start_paused = true)]
async fn lanes_share_an_account_fairly() {
    let house = House::new();
    let account = house.account("sales", |settings| settings.limits.quotas = vec![sliding(10, 60)]).await;
    let label = |text: &str| vec![text.parse().expect("a label")];
    for _ in 0..400 {
        house.submit_with(&account, &["x@example.jp"], |job| job.labels = label("campaign")).await;
    }
    pass(1).await;
    let mut jobs = Vec::new();
    for _ in 0..10 {
        jobs.push(house.submit_with(&account, &["y@example.jp"], |job| job.labels = label("tickets")).await);
    }
    for job in jobs {
        assert_eq!(house.settled(job, Duration::from_secs(180)).await, JobState::Submitted);
    }
}

#[tokio::test(start_paused = true)]
async fn connections_are_reused_and_bounded() {
    let house = House::new();
    let account = house.account("sales", |settings| settings.limits.messages_per_connection_max = number(10)).await;
    let mut jobs = Vec::new();
    for _ in 0..100 {
        jobs.push(house.submit(&account, &["x@example.jp"]).await);
    }
    for job in jobs {
        house.settled(job, HOUR).await;
    }
    // Two connections at a time, of which the last two need not be used up.
    let dialled = house.network.dialled();
    assert!((10..=11).contains(&dialled), "{dialled}");
}
