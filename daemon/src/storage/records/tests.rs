//! Whether rows bring back what was put into them, as bytes and as JSON.

use prost::Message as _;

use super::{
    account::AccountRow,
    event::EventsRow,
    job::{Body, Cut, JobRow, Location},
    ledger::MarkRow,
};
use crate::{
    domain::{
        account::{Account, EnvelopeSender, PasswordMechanism, SignIn},
        attempt::{Fate, Finding, Response},
        event::{Event, EventKind, JobChange},
        job::{Approval, Audience, Control, Job, JobState, Priority, Schedule, Wish},
        parking::{Parking, ParkingCause},
        recipient::{Deferral, Recipient, RecipientState},
        report::ReportKind,
        secret::Secret,
        suppression::{SuppressedBy, SuppressionReason, SuppressionScope},
        verdict::{Blame, ParkCause, Phase, Verdict},
    },
    platform::sealing::{KEY_BYTES, Sealer},
    storage::contract::{
        samples::{self, at, job_id},
        unusual,
    },
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
    let cuts = vec![Cut { at: 7, file: [8; 32], bytes: 1 << 33 }, Cut { at: u64::MAX, file: [0; 32], bytes: 0 }];
    let body = Body { location: Location::File([9; 32]), is_eight_bit: true, cuts, whole_sum: 5 };
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
        RecipientState::Submitted { at: at(4), reply: Some(samples::reply("250 2.0.0 Ok")) },
        RecipientState::Submitted { at: at(4), reply: None },
        RecipientState::Bounced {
            reply: Some(samples::reply("250 2.0.0 Ok")),
            report: Box::new(samples::report(ReportKind::Hard)),
        },
        RecipientState::Complained { reply: None, report: Box::new(samples::report(ReportKind::Complaint)) },
        RecipientState::Suppressed {
            at: at(9),
            by: Box::new(SuppressedBy {
                scope: SuppressionScope::Label(samples::label("news")),
                reason: SuppressionReason::Unsubscribed,
            }),
        },
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
    let given = Approval::Given { at: at(8), by: "boss".parse().unwrap() };
    for (schedule, wish, priority, approval, resent) in [
        (Schedule::Waiting { due: at(9) }, Some(Wish::Cancel), Priority::High, Some(given), None),
        (Schedule::Held { due: at(9) }, Some(Wish::Hold), Priority::Bulk, Some(Approval::Awaited), None),
        (Schedule::Idle, Some(Wish::Expire), Priority::Low, None, Some(samples::job_id(7))),
    ] {
        check_job(&Job { schedule, wish, priority, approval, resent, ..job.clone() });
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

fn unusual_account(sign_in: SignIn) -> Account {
    Account { settings: unusual::settings(sign_in), ..samples::sample_account("sales") }
}

#[track_caller]
fn check_account(account: &Account) {
    let sealer = Sealer::from_key([7; KEY_BYTES]);
    let row = AccountRow::new(account, &sealer);
    let json = serde_json::to_vec(&row).unwrap();
    for shown in [json, row.encode_to_vec(), format!("{row:?}").into_bytes()] {
        assert!(!unusual::shows_a_secret(&shown));
    }
    let row = travelled(row);
    assert_eq!(row.clone().into_account(&sealer).as_ref(), Ok(account));
    assert!(row.clone().into_account(&Sealer::from_key([8; KEY_BYTES])).is_err(), "sealed with another key");
    let moved = AccountRow { id: "orders".into(), ..row };
    assert!(moved.into_account(&sealer).is_err(), "secrets are sealed for their account");
}

#[test]
fn accounts_survive_their_rows_and_show_no_secret() {
    for sign_in in unusual::sign_ins() {
        check_account(&unusual_account(sign_in));
    }
    let mut account = unusual_account(unusual::sign_ins().swap_remove(0));
    account.settings.results.envelope_sender = EnvelopeSender::Address("b@example.jp".parse().unwrap());
    account.settings.mailbox.as_mut().unwrap().sign_in = None;
    account.settings.server.proxy.as_mut().unwrap().credentials = None;
    check_account(&account);
}

#[test]
fn a_secret_opens_in_its_own_place_only() {
    let sealer = Sealer::from_key([7; KEY_BYTES]);
    let sealed = || AccountRow::new(&unusual_account(SignIn::None), &sealer);
    let mut row = sealed();
    let (server, mailbox) = (row.server.as_mut().unwrap(), row.mailbox.as_mut().unwrap());
    std::mem::swap(&mut server.client_certificate, &mut mailbox.server.as_mut().unwrap().client_certificate);
    assert!(row.into_account(&sealer).unwrap_err().0.starts_with("server key"));
    let mut row = sealed();
    let proxy = row.server.as_mut().unwrap().proxy.as_mut().unwrap();
    proxy.credentials.clone_from(&row.mailbox.as_ref().unwrap().credentials);
    assert!(row.into_account(&sealer).unwrap_err().0.starts_with("server proxy password"));
}

#[test]
fn rows_of_the_first_version_still_open() {
    let mut account = samples::sample_account("sales");
    account.settings.sign_in = SignIn::Password {
        user: "taro".into(),
        password: Secret::new("hunter2".into()),
        mechanism: PasswordMechanism::Login,
        allow_plaintext: true,
    };
    let sealer = Sealer::from_key([7; KEY_BYTES]);
    let mut row = AccountRow { content: None, results: None, ..AccountRow::new(&account, &sealer) };
    row.password.as_mut().unwrap().sealed = sealer.seal(b"sales", b"hunter2");
    assert_eq!(travelled(row).into_account(&sealer), Ok(account));
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
        job(JobChange::Approved, JobState::Queued),
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
