//! Quiet windows: when nothing is sent, whatever waits.

use std::time::Duration;

use hikyaku_daemon::{
    app::demo::capture::Rules,
    domain::{
        ids::AccountId,
        job::JobState,
        quiet::{DAY_MINUTES, QuietRule, QuietWindow, Weekdays},
        time::{Clock as _, Timestamp},
    },
};

use super::house::{House, pass};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// A quiet hour that begins so many minutes from now, to the full minute, and when that is.
fn quiet_hour(house: &House, minutes: u64) -> (QuietWindow, Timestamp) {
    let now_ms = house.clock.now().as_millis();
    let begins = now_ms / 60_000 + minutes;
    let of_day = |minute: u64| u16::try_from(minute % u64::from(DAY_MINUTES)).expect("less than a day");
    let (from, to) = (of_day(begins), of_day(begins + 60));
    let window = QuietWindow { days: Weekdays::ALL, from, to, zone: "UTC".to_owned(), rule: QuietRule::Defer };
    (window, Timestamp::from_millis(begins * 60_000))
}

async fn account(house: &House, window: &QuietWindow, interval: Duration) -> AccountId {
    let change = |settings: &mut hikyaku_daemon::domain::account::AccountSettings| {
        settings.quiet_windows = vec![window.clone()];
        settings.limits.interval = interval;
    };
    house.account("sales", change).await
}

#[track_caller]
fn check_silence(house: &House, begins: Timestamp) {
    let ends = begins.after(HOUR);
    for received in house.records().accepted() {
        assert!(received.at < begins || received.at >= ends, "sent at {} between {begins} and {ends}", received.at);
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_goes_when_the_window_ends() {
    let house = House::new();
    let (window, begins) = quiet_hour(&house, 3);
    let account = account(&house, &window, Duration::from_secs(10)).await;
    let mut jobs = Vec::new();
    for _ in 0..30 {
        jobs.push(house.submit(&account, &["x@example.jp"]).await);
    }
    for job in jobs {
        assert_eq!(house.settled(job, 2 * HOUR).await, JobState::Submitted);
    }
    let before = house.records().accepted().iter().filter(|received| received.at < begins).count();
    assert!((1..30).contains(&before), "{before} went before");
    check_silence(&house, begins);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_past_its_final_dot_is_recalled_and_loses_no_attempt() {
    let house = House::with_server(Rules { answer_after: Duration::from_secs(25), ..Rules::default() });
    let (window, begins) = quiet_hour(&house, 1);
    let account = account(&house, &window, Duration::ZERO).await;
    let job = house.submit(&account, &["x@example.jp"]).await;
    pass(20 * 60).await;
    let record = house.record(job).await;
    assert_eq!((record.job.attempts_made, record.marked), (0, false));
    assert_eq!(house.settled(job, 2 * HOUR).await, JobState::Submitted);
    check_silence(&house, begins);
}

#[tokio::test(start_paused = true)]
async fn jobs_are_void_in_a_quiet_window_as_ever() {
    let house = House::new();
    let (window, _) = quiet_hour(&house, 0);
    let account = account(&house, &window, Duration::ZERO).await;
    let expires_at = house.clock.now().after(10 * MINUTE);
    let job = house.submit_with(&account, &["x@example.jp"], |job| job.expires_at = Some(expires_at)).await;
    assert_eq!(house.settled(job, 11 * MINUTE).await, JobState::Expired);
    assert_eq!(house.network.dialled(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_window_without_end_ends_with_the_settings() {
    let house = House::new();
    let always = QuietWindow {
        days: Weekdays::ALL,
        from: 0,
        to: DAY_MINUTES,
        zone: "Europe/London".to_owned(),
        rule: QuietRule::Reject,
    };
    let account = account(&house, &always, Duration::ZERO).await;
    let job = house.submit(&account, &["x@example.jp"]).await;
    pass(20 * 24 * 3_600).await;
    assert_eq!(house.state(job).await, JobState::Queued);
    let record = house.storage.account(&account).await.expect("an answer").expect("it is there");
    let mut open = record.account.clone();
    open.settings.quiet_windows.clear();
    open.etag.0 += 1;
    house.storage.update_account(open, record.account.etag).await.expect("the etag is the last");
    assert_eq!(house.settled(job, MINUTE).await, JobState::Submitted);
}
