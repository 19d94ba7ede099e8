//! What becomes of each recipient.

use std::time::Duration;

use hikyaku_daemon::domain::{
    account::InDoubtPolicy,
    attempt::Response,
    job::{Control, JobState, Schedule},
    recipient::RecipientState,
    time::Clock as _,
    verdict::Verdict,
};

use super::house::{House, pass};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn a_job_reaches_its_provider_once() {
    let house = House::new();
    let account = house.account("sales", |_| {}).await;
    let job = house.submit(&account, &["x@example.jp", "y@example.jp"]).await;
    assert_eq!(house.settled(job, MINUTE).await, JobState::Submitted);
    let received = house.records().accepted();
    assert_eq!(received.len(), 1);
    assert_eq!(house.record(job).await.job.attempts_made, 1);
    pass(3_600).await;
    assert_eq!(house.records().accepted().len(), 1, "nothing is sent again");
}

#[tokio::test(start_paused = true)]
async fn a_refused_recipient_fails_alone_with_the_providers_words() {
    let house = House::new();
    let account = house.account("sales", |_| {}).await;
    let job = house.submit(&account, &["refused@example.jp", "good@example.jp"]).await;
    assert_eq!(house.settled(job, MINUTE).await, JobState::PartlySubmitted);
    let RecipientState::Failed { finding, .. } = house.recipient(job, 0).await else {
        panic!("it was not refused");
    };
    assert_eq!(finding.verdict, Verdict::RejectRecipient);
    assert!(matches!(&finding.response, Response::Replied(reply) if reply.text().starts_with("550 5.1.1")));
    assert!(matches!(house.recipient(job, 1).await, RecipientState::Submitted { .. }));
}

#[tokio::test(start_paused = true)]
async fn deferred_recipients_are_tried_again_after_growing_waits() {
    let house = House::new();
    let account = house.account("sales", |_| {}).await;
    let job = house.submit(&account, &["deferred-2@example.jp", "good@example.jp"]).await;
    pass(1).await;
    assert_eq!(house.state(job).await, JobState::Deferred);
    assert!(matches!(house.recipient(job, 1).await, RecipientState::Submitted { .. }), "the other is not kept waiting");
    assert_eq!(house.settled(job, 10 * MINUTE).await, JobState::Submitted);
    let attempts = house.record(job).await.job.attempts;
    let gaps: Vec<u64> = attempts.windows(2).map(|pair| pair[1].started.since(pair[0].ended).as_secs()).collect();
    assert_eq!(gaps, [60, 120]);
    assert_eq!(house.records().duplicates(), []);
}

#[tokio::test(start_paused = true)]
async fn a_message_refused_at_its_end_fails() {
    let house = House::new();
    let account = house.account("sales", |_| {}).await;
    let job = house.submit(&account, &["dot-refused@example.jp"]).await;
    assert_eq!(house.settled(job, MINUTE).await, JobState::Failed);
    assert_eq!(house.records().accepted().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_sent_again_under_resend() {
    let house = House::new();
    let account = house.account("sales", |_| {}).await;
    let job = house.submit(&account, &["drop@example.jp"]).await;
    assert_eq!(house.settled(job, 10 * MINUTE).await, JobState::Submitted);
    assert_eq!(house.records().accepted().len(), 2, "the server had taken the first one");
    let attempts = house.record(job).await.job.attempts;
    assert_eq!(attempts[0].outcomes[0].finding.verdict, Verdict::InDoubt, "the journal says so");
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_waits_for_an_operator_under_hold() {
    let house = House::new();
    let account = house.account("sales", |settings| settings.in_doubt = InDoubtPolicy::Hold).await;
    let job = house.submit(&account, &["drop@example.jp"]).await;
    pass(24 * 3_600).await;
    assert_eq!(house.state(job).await, JobState::InDoubt);
    assert_eq!(house.records().accepted().len(), 1);
    house.storage.control(vec![job], Control::Retry, house.clock.now()).await.expect("an answer");
    assert_eq!(house.settled(job, MINUTE).await, JobState::Submitted);
}

#[tokio::test(start_paused = true)]
async fn what_was_in_doubt_at_a_kill_is_settled_by_the_next_process() {
    for (policy, state) in [(InDoubtPolicy::Resend, JobState::Submitted), (InDoubtPolicy::Hold, JobState::InDoubt)] {
        let mut house = House::with_server(hikyaku_daemon::app::demo::capture::Rules {
            answer_after: Duration::from_secs(1),
            ..Default::default()
        });
        let account = house.account("sales", |settings| settings.in_doubt = policy).await;
        let job = house.submit(&account, &["x@example.jp"]).await;
        let mut arrivals = house.records().arrivals();
        arrivals.wait_for(|count| *count == 1).await.expect("the server is there");
        house.kill().await;
        assert!(house.record(job).await.marked, "the mark was set before the final dot");
        house.start();
        pass(60).await;
        assert_eq!(house.state(job).await, state);
        let attempts = house.record(job).await.job.attempts;
        assert_eq!(attempts[0].outcomes[0].finding.verdict, Verdict::InDoubt);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_job_never_sends() {
    let house = House::new();
    let account = house.account("sales", |_| {}).await;
    let due = house.clock.now().after(Duration::from_secs(100));
    let job = house.submit_with(&account, &["x@example.jp"], |job| job.schedule = Schedule::Waiting { due }).await;
    pass(50).await;
    house.storage.control(vec![job], Control::Cancel, house.clock.now()).await.expect("an answer");
    pass(500).await;
    assert_eq!(house.state(job).await, JobState::Cancelled);
    assert_eq!(house.records().accepted().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_scheduled_job_goes_when_its_time_comes() {
    let house = House::new();
    let account = house.account("sales", |_| {}).await;
    let due = house.clock.now().after(Duration::from_secs(3_600));
    let job = house.submit_with(&account, &["x@example.jp"], |job| job.schedule = Schedule::Waiting { due }).await;
    pass(3_599).await;
    assert_eq!(house.state(job).await, JobState::Scheduled);
    pass(2).await;
    assert_eq!(house.state(job).await, JobState::Submitted);
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_time_runs_out_expires() {
    let house = House::new();
    let account = house.account("sales", |_| {}).await;
    let expiry = house.clock.now().after(Duration::from_secs(90));
    let job = house.submit_with(&account, &["deferred-9@example.jp"], |job| job.expires_at = Some(expiry)).await;
    assert_eq!(house.settled(job, 2 * MINUTE).await, JobState::Expired);
    let RecipientState::Expired { last: Some(finding), .. } = house.recipient(job, 0).await else {
        panic!("the last reply is kept");
    };
    assert!(finding.response.text().starts_with("451 4.7.1"));
}

#[tokio::test(start_paused = true)]
async fn a_stop_finishes_what_is_under_way_and_leaves_the_rest() {
    let mut house = House::new();
    let account = house.account("sales", |_| {}).await;
    let mut jobs = Vec::new();
    for _ in 0..50 {
        jobs.push(house.submit(&account, &["x@example.jp"]).await);
    }
    house.records().arrivals().wait_for(|count| *count >= 5).await.expect("the server is there");
    house.stop().await;
    let sent = house.records().accepted().len();
    for job in &jobs {
        assert!(!house.record(*job).await.marked, "nothing is left in doubt");
    }
    house.start();
    for job in jobs {
        assert_eq!(house.settled(job, MINUTE).await, JobState::Submitted);
    }
    assert!(sent < 50, "it stopped in the middle");
    assert_eq!(house.records().accepted().len(), 50);
}
