//! Whether rows bring back what was put into them, as bytes and as JSON.

use std::{num::NonZeroU32, time::Duration};

use prost::Message as _;

use super::{
    account::AccountRow,
    event::EventsRow,
    job::{Body, JobRow, Location},
    ledger::MarkRow,
};
use crate::{
    domain::{
        account::{PasswordMechanism, SenderPattern, SignIn},
        attempt::{Fate, Finding, Response},
        event::{Event, EventKind, JobChange},
        job::{Audience, Control, Job, JobState, Priority, Schedule, Wish},
        limits::{BatchPause, CalendarSpan, Pace, Quota, QuotaUnit, QuotaWindow},
        mail::Mailbox,
        parking::{Parking, ParkingCause},
        recipient::{Deferral, Recipient, RecipientState},
        reserves::Reserves,
        secret::Secret,
        verdict::{Blame, ParkCause, Phase, Verdict},
    },
    platform::sealing::{KEY_BYTES, Sealer},
    storage::contract::samples::{self, at, job_id},
};

/// Through bytes and through JSON.
fn travelled<T>(row: T) -> T
where
    T: prost::Message + Default + serde::Serialize + serde::de::DeserializeOwned,
{
    let row = T::decode(row.encode_to_vec().as_slice()).unwrap();
    serde_json::from_str(&serde_json::to_string(&row).unwrap()).unwrap()
}

#[track_caller]
fn check_job(job: &Job) {
    let body = Body { location: Location::File([9; 32]), is_eight_bit: true };
    let row = travelled(JobRow::new(job, &body));
    assert_eq!(row.body(), Ok(body));
    assert_eq!(row.into_job(job.id).as_ref(), Ok(job));
}

fn broken() -> Finding {
    Finding {
        phase: Phase::EndOfData,
        response: Response::Broken("connection closed by the server".into()),
        verdict: Verdict::ParkAccount(ParkCause::Suspended),
        blame: Some(Blame::Provider),
    }
}

#[test]
fn jobs_survive_their_rows() {
    let mut job = samples::sample_job("sales", 1);
    check_job(&job);
    let met = samples::finding(Fate::Deferred);
    let states = [
        RecipientState::Pending { deferral: None },
        RecipientState::Pending { deferral: Some(Deferral { at: at(3), finding: met.clone() }) },
        RecipientState::Submitted { at: at(4), reply: samples::reply("250 2.0.0 Ok") },
        RecipientState::Failed { at: at(5), finding: broken() },
        RecipientState::InDoubt { since: at(6) },
        RecipientState::Expired { at: at(7), last: Some(met) },
        RecipientState::Expired { at: at(7), last: None },
        RecipientState::Cancelled { at: at(8) },
    ];
    let recipient = |state| Recipient { state, ..samples::recipient("taro@example.jp") };
    job.audience = Audience::Together(states.map(recipient).to_vec());
    job.attempts = vec![samples::attempt(1, &[Fate::Deferred, Fate::Failed], at(3)); 3];
    job.attempts_made = 3;
    job.first_attempt_at = Some(at(1));
    job.expires_at = Some(at(99));
    job.labels = vec![samples::label("news"), samples::label("飛脚")];
    for (schedule, wish, priority) in [
        (Schedule::Waiting { due: at(9) }, Some(Wish::Cancel), Priority::High),
        (Schedule::Held { due: at(9) }, Some(Wish::Hold), Priority::Bulk),
        (Schedule::Idle, None, Priority::Low),
    ] {
        check_job(&Job { schedule, wish, priority, ..job.clone() });
    }
}

#[test]
fn equal_replies_are_kept_once() {
    let mut job = samples::sample_job("sales", 1);
    let long = format!("451 4.7.1 {}", "later ".repeat(300));
    let finding = Finding { response: Response::Replied(samples::reply(&long)), ..broken() };
    let state = RecipientState::Pending { deferral: Some(Deferral { at: at(1), finding: finding.clone() }) };
    job.audience = Audience::Together(vec![Recipient { state, ..samples::recipient("taro@example.jp") }; 50]);
    let mut attempt = samples::attempt(1, &[Fate::Deferred], at(1));
    attempt.outcomes[0].finding = finding;
    job.attempts = vec![attempt; 50];
    check_job(&job);
    let bytes = JobRow::new(&job, &Body::default()).encoded_len();
    assert!(bytes < 6_000, "{bytes} bytes");
}

#[test]
fn accounts_survive_their_rows_and_show_no_password() {
    let mut account = samples::sample_account("sales");
    let settings = &mut account.settings;
    settings.from.name = Some("飛脚".into());
    settings.reply_to = Some(Mailbox { name: None, address: "a@example.jp".parse().unwrap() });
    settings.may_send_as =
        vec![SenderPattern::Address("b@example.jp".parse().unwrap()), SenderPattern::Domain("example.com".into())];
    settings.sign_in = SignIn::Password {
        user: "taro".into(),
        password: Secret::new("hunter2".into()),
        mechanism: PasswordMechanism::Login,
        allow_plaintext: true,
    };
    settings.server.custom_ca_pem = Some("-----BEGIN".repeat(1_000));
    let number = |n| NonZeroU32::new(n).unwrap();
    let window = QuotaWindow::Calendar { span: CalendarSpan::Day, zone: "Asia/Tokyo".into() };
    settings.limits.quotas = vec![
        Quota { limit: number(5).into(), unit: QuotaUnit::Recipients, window },
        Quota {
            limit: number(6).into(),
            unit: QuotaUnit::Messages,
            window: QuotaWindow::Sliding(Duration::from_millis(1_500)),
        },
    ];
    let classes = [(Priority::High, 20), (Priority::Low, 3)];
    settings.limits.reserves = Reserves::new(10, &classes).unwrap();
    settings.limits.pace = Some(Pace { messages_per_minute: number(60), burst: number(3) });
    settings.limits.batch = Some(BatchPause { messages: number(10), pause: Duration::from_secs(60) });
    let sealer = Sealer::from_key([7; KEY_BYTES]);
    let row = AccountRow::new(&account, &sealer);
    assert!(!serde_json::to_string(&row).unwrap().contains("hunter2"));
    let row = travelled(row);
    assert_eq!(row.clone().into_account(&sealer), Ok(account));
    let other = Sealer::from_key([8; KEY_BYTES]);
    assert!(row.clone().into_account(&other).unwrap_err().0.starts_with("password"));
    let moved = AccountRow { id: "orders".into(), ..row };
    assert!(moved.into_account(&sealer).is_err(), "a password is sealed for its account");
}

#[test]
fn marks_survive_their_rows() {
    let mut mark = samples::mark(&samples::sample_job("sales", 1), at(5));
    mark.charges = vec![samples::charge(7, -3), samples::charge(u64::MAX, i64::MAX)];
    assert_eq!(travelled(MarkRow::from(&mark)).into_mark(mark.message), Ok(mark));
}

#[test]
fn events_survive_their_rows() {
    let parking = Parking {
        cause: ParkingCause::NeedsReauth,
        reason: "the provider refuses the password".into(),
        reply: Some(samples::reply("535 5.7.8 no")),
        since: at(1),
        until: Some(at(2)),
        strikes: 3,
    };
    let job = |change, state| EventKind::Job { id: job_id(1), change, state };
    let attempted = JobChange::Attempted { message: 7, attempt: 1, submitted: 2, deferred: 3, failed: 4, in_doubt: 5 };
    let kinds = [
        job(JobChange::Accepted, JobState::Queued),
        job(attempted, JobState::PartlySubmitted),
        job(JobChange::Controlled(Control::Retry), JobState::Held),
        job(JobChange::Expired, JobState::Expired),
        EventKind::AccountCreated,
        EventKind::AccountUpdated,
        EventKind::AccountDeleted,
        EventKind::AccountParked(parking),
        EventKind::AccountResumed,
    ];
    let event = |(second, kind)| {
        let account = samples::account_id(if second % 2 == 0 { "sales" } else { "orders" });
        Event { at: at(second), account, kind }
    };
    let events: Vec<Event> = (0..).zip(kinds).map(event).collect();
    let row = travelled(EventsRow::new(&events));
    assert_eq!(row.accounts.len(), 2);
    assert_eq!(row.into_events(), Ok(events));
}

#[test]
fn a_row_that_means_nothing_says_what() {
    let row = JobRow { schedule: 9, ..JobRow::new(&samples::sample_job("sales", 1), &Body::default()) };
    assert_eq!(row.into_job(job_id(1)).unwrap_err().to_string(), "schedule: unknown code 9");
    let row = JobRow { sender: "nobody".into(), ..JobRow::new(&samples::sample_job("sales", 1), &Body::default()) };
    assert_eq!(row.into_job(job_id(1)).unwrap_err().to_string(), "sender: has no @");
}
