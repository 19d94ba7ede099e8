//! What keeps an account from sending, and what ends it.

use std::time::Duration;

use hikyaku_daemon::{
    app::demo::capture::Rules,
    domain::{
        job::{JobState, Schedule},
        parking::{Parking, ParkingCause, Standing},
        secret::Secret,
        time::{Clock as _, Timestamp},
    },
};

use super::house::{House, Weather, pass, with_password};

const MINUTE: Duration = Duration::from_secs(60);

fn cause(standing: &Standing) -> Option<ParkingCause> {
    match standing {
        Standing::Active => None,
        Standing::Parked(parking) => Some(parking.cause),
    }
}

fn guarded() -> Rules {
    Rules { password: Some(Secret::new(String::from("right"))), ..Rules::default() }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_parks_the_account_and_costs_no_attempt() {
    let house = House::with_server(guarded());
    let account = house.account("sales", |settings| with_password(settings, "wrong")).await;
    let job = house.submit(&account, &["x@example.jp"]).await;
    pass(7 * 24 * 3_600).await;
    let Standing::Parked(parking) = house.standing(&account).await else {
        panic!("it is not parked");
    };
    assert_eq!(parking.cause, ParkingCause::NeedsReauth);
    assert!(parking.reply.is_some_and(|reply| reply.code() == 535));
    assert_eq!(house.record(job).await.job.attempts_made, 0);
    assert_eq!(house.network.dialled(), 1, "a wrong password is not tried again and again");

    let record = house.storage.account(&account).await.expect("an answer").expect("it is there");
    let mut mended = record.account.clone();
    with_password(&mut mended.settings, "right");
    mended.etag.0 += 1;
    house.storage.update_account(mended, record.account.etag).await.expect("the etag is the last");
    house.storage.set_standing(&account, Standing::Active, house.clock.now()).await.expect("an answer");
    assert_eq!(house.settled(job, MINUTE).await, JobState::Submitted);
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_server_is_probed_until_it_is_back() {
    let house = House::new();
    house.network.turn(Weather::Refusing);
    let account = house.account("sales", |_| {}).await;
    let mut jobs = Vec::new();
    for _ in 0..20 {
        jobs.push(house.submit(&account, &["x@example.jp"]).await);
    }
    pass(6 * 24 * 3_600).await;
    assert_eq!(cause(&house.standing(&account).await), Some(ParkingCause::Unreachable));
    let probes = house.network.dialled();
    assert!((400..2_000).contains(&probes), "one probe in some ten minutes, not {probes} in six days");

    house.network.turn(Weather::Fair);
    for job in jobs {
        assert_eq!(house.settled(job, 20 * MINUTE).await, JobState::Submitted);
        assert_eq!(house.record(job).await.job.attempts_made, 1, "only the attempt that got through counts");
    }
    assert_eq!(house.standing(&account).await, Standing::Active);
}

#[tokio::test(start_paused = true)]
async fn a_paused_account_sends_nothing_until_it_is_resumed() {
    let house = House::new();
    let account = house.account("sales", |_| {}).await;
    house.storage.set_standing(&account, paused(house.clock.now(), None), house.clock.now()).await.expect("an answer");
    let job = house.submit(&account, &["x@example.jp"]).await;
    pass(3_600).await;
    assert_eq!(house.state(job).await, JobState::Queued);

    let until = house.clock.now().after(Duration::from_secs(100));
    house
        .storage
        .set_standing(&account, paused(house.clock.now(), Some(until)), house.clock.now())
        .await
        .expect("an answer");
    pass(99).await;
    assert_eq!(house.state(job).await, JobState::Queued);
    assert_eq!(house.settled(job, MINUTE).await, JobState::Submitted, "the pause ends by itself");
    assert_eq!(house.standing(&account).await, Standing::Active);
}

#[tokio::test(start_paused = true)]
async fn mail_that_comes_due_while_its_account_is_paused_waits_at_rest() {
    let house = House::new();
    let account = house.account("sales", |_| {}).await;
    let due = house.clock.now().after(Duration::from_secs(50));
    let job = house.submit_with(&account, &["x@example.jp"], |job| job.schedule = Schedule::Waiting { due }).await;
    pass(1).await;
    let until = house.clock.now().after(Duration::from_secs(100));
    house
        .storage
        .set_standing(&account, paused(house.clock.now(), Some(until)), house.clock.now())
        .await
        .expect("done");
    // A worker that does not rest would keep virtual time from passing, and this test from ending.
    pass(99).await;
    assert_eq!(house.state(job).await, JobState::Queued);
    assert_eq!(house.settled(job, MINUTE).await, JobState::Submitted);
}

fn paused(since: Timestamp, until: Option<Timestamp>) -> Standing {
    let reason = String::from("holidays");
    Standing::Parked(Parking { cause: ParkingCause::Paused, reason, reply: None, since, until, strikes: 0 })
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_holds_up_only_its_own_account() {
    let house = House::new();
    house.network.turn(Weather::SilentAt("stuck.example.jp"));
    let stuck = house.account("stuck", |_| {}).await;
    let sales = house.account("sales", |_| {}).await;
    for _ in 0..10 {
        house.submit(&stuck, &["x@example.jp"]).await;
    }
    pass(1).await;
    let job = house.submit(&sales, &["x@example.jp"]).await;
    assert_eq!(house.settled(job, Duration::from_secs(1)).await, JobState::Submitted);
    pass(400).await;
    assert_eq!(cause(&house.standing(&stuck).await), Some(ParkingCause::Unreachable), "a greeting has its limit");
}
