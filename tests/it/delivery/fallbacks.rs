//! Mail that goes by another account because its own cannot send, and mail that must not.

use std::{collections::BTreeMap, time::Duration};

use hikyaku_daemon::{
    app::demo::capture::Rules,
    domain::{
        account::SenderPattern,
        event::{Cursor, EventKind, JobChange},
        ids::{AccountId, JobId},
        job::{Fallbacks, JobState},
        parking::{Parking, ParkingCause, Standing},
        secret::Secret,
        time::Clock as _,
    },
    storage::settlement::Mark,
};

use super::house::{House, Weather, pass, with_password};

const HOUR: Duration = Duration::from_secs(3_600);

/// An account that may send as everyone here.
async fn account(house: &House, id: &str, password: Option<&str>) -> AccountId {
    let everyone = SenderPattern::Domain("example.jp".to_owned());
    house
        .account(id, |settings| {
            settings.may_send_as.push(everyone);
            if let Some(password) = password {
                with_password(settings, password);
            }
        })
        .await
}

async fn submit(house: &House, account: &AccountId, fallbacks: &[&AccountId]) -> JobId {
    let from = format!("{account}@example.jp").parse().expect("an address");
    let accounts = fallbacks.iter().map(|id| (*id).clone()).collect();
    let fallbacks = Some(Box::new(Fallbacks { from, accounts }));
    house.submit_with(account, &["x@example.jp"], |job| job.fallbacks = fallbacks).await
}

/// How often each job went over.
async fn diversions(house: &House) -> BTreeMap<JobId, u32> {
    let mut moved = BTreeMap::new();
    let mut cursor = Cursor(0);
    loop {
        let page = house.storage.events(cursor, 1_000).await.expect("an answer");
        let Some((last, _)) = page.last() else { return moved };
        cursor = *last;
        for (_, event) in page {
            if let EventKind::Job { id, change: JobChange::Diverted { .. }, .. } = event.kind {
                *moved.entry(id).or_default() += 1;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn mail_of_an_account_whose_server_hangs_goes_by_its_fallback_once() {
    let house = House::new();
    house.network.turn(Weather::SilentAt("main.example.jp"));
    let (main, spare) = (account(&house, "main", None).await, account(&house, "spare", None).await);
    let mut jobs = Vec::new();
    for _ in 0..200 {
        jobs.push(submit(&house, &main, &[&spare]).await);
    }
    let stays = house.submit(&main, &["y@example.jp"]).await;
    for job in &jobs {
        assert_eq!(house.settled(*job, HOUR).await, JobState::Submitted);
        let job = house.record(*job).await.job;
        assert_eq!((job.account, job.attempts_made, job.fallbacks), (spare.clone(), 1, None));
    }
    assert_eq!(house.records().accepted().len(), jobs.len());
    assert_eq!(house.records().duplicates(), []);
    assert!(diversions(&house).await.values().all(|count| *count == 1));
    assert_eq!(house.state(stays).await, JobState::Queued, "it has no fallback");
    house.network.turn(Weather::Fair);
    assert_eq!(house.settled(stays, HOUR).await, JobState::Submitted, "its probe gets through");
    assert_eq!(house.records().duplicates(), []);
}

#[tokio::test(start_paused = true)]
async fn the_first_fallback_that_can_send_takes_the_mail() {
    let rules = Rules { password: Some(Secret::new(String::from("right"))), ..Rules::default() };
    let house = House::with_server(rules);
    let main = account(&house, "main", Some("wrong")).await;
    let paused = account(&house, "paused", Some("right")).await;
    let stranger = house.account("stranger", |settings| with_password(settings, "right")).await;
    let spare = account(&house, "spare", Some("right")).await;
    let since = house.clock.now();
    let (cause, reason) = (ParkingCause::Paused, String::from("holidays"));
    let parking = Parking { cause, reason, reply: None, since, until: None, strikes: 0 };
    house.storage.set_standing(&paused, Standing::Parked(parking), since).await.expect("an answer");
    let gone = "gone".parse().expect("an id");
    let job = submit(&house, &main, &[&gone, &paused, &stranger, &spare]).await;
    assert_eq!(house.settled(job, HOUR).await, JobState::Submitted);
    assert_eq!(house.record(job).await.job.account, spare);

    // A second one finds nobody until the paused account is resumed, which its own account is not told.
    let job = submit(&house, &main, &[&paused]).await;
    pass(600).await;
    assert_eq!(house.state(job).await, JobState::Queued);
    house.storage.set_standing(&paused, Standing::Active, house.clock.now()).await.expect("an answer");
    assert_eq!(house.settled(job, Duration::from_secs(120)).await, JobState::Submitted);
    assert_eq!(house.record(job).await.job.account, paused);
    assert_eq!(house.records().duplicates(), []);
}

#[tokio::test(start_paused = true)]
async fn mail_in_doubt_is_never_sent_by_a_fallback() {
    let mut house = House::new();
    house.stop().await;
    let (main, spare) = (account(&house, "main", None).await, account(&house, "spare", None).await);
    let job = submit(&house, &main, &[&spare]).await;
    let now = house.clock.now();
    // A worker was killed between the final dot and the reply.
    let tenure = house.storage.take_tenure(&main).await.expect("a tenure");
    let message = hikyaku_daemon::domain::ids::MessageKey::only(job);
    let mark = Mark { message, attempt: 1, recipients: vec![0], started: now, since: now, charges: Vec::new() };
    house.storage.mark_in_doubt(&tenure, vec![mark]).await.expect("it is marked");
    house.network.turn(Weather::SilentAt("main.example.jp"));
    house.start();
    pass(6 * 3_600).await;
    assert_eq!(house.record(job).await.job.account, main);
    assert_eq!(diversions(&house).await.len(), 0);
    assert_eq!(house.records().accepted().len(), 0);
    house.network.turn(Weather::Fair);
    assert_eq!(house.settled(job, HOUR).await, JobState::Submitted);
    assert_eq!(house.record(job).await.job.account, main);
}
