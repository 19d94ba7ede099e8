//! How long do the pure functions take that every message passes?
//!
//! `cargo bench -p hikyaku-tests --bench hot`, optionally with a part of a name.

use std::{num::NonZeroU32, time::Duration};

use divan::{Bencher, black_box};
use hikyaku_daemon::{
    compose::{identity::Identity, message::compose},
    domain::{
        account::{ProviderKind, Retry},
        ids::{JobId, MessageKey},
        job::{Audience, Job, MessageFacts, Priority, Schedule},
        limits::{CalendarSpan, Limits, Quota, QuotaUnit, QuotaWindow},
        mail::{Draft, Mailbox},
        parking::Standing,
        recipient::{Recipient, RecipientField, RecipientState},
        reply::Reply,
        time::Timestamp,
        verdict::Phase,
    },
    policy::{
        classify::rules::Rules,
        dispatch::{self, Candidate, Connections, Next, Stage, View},
        fair_share::{FairShare, Lane},
        pacing::Pacing,
        quota::{ledger::Ledger, permit::Need},
        retry_schedule::after_failure,
    },
    storage::records::job::{Body, JobRow},
};
use prost::Message as _;

/// 2023-11-14 22:13:20 UTC.
const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
/// Jobs that a worker has in view when its queue is long.
const CANDIDATES: u8 = 255;
/// Connections of a busy account.
const CONNECTIONS: u32 = 20;

fn main() {
    divan::main();
}

fn id(serial: u8) -> JobId {
    JobId::new(NOW, [serial; 10])
}

fn limits() -> Limits {
    let limit = NonZeroU32::MAX;
    let day = QuotaWindow::Calendar { span: CalendarSpan::Day, zone: "Asia/Tokyo".to_owned() };
    let minute = QuotaWindow::Sliding(Duration::from_secs(60));
    let quotas = vec![
        Quota { limit: limit.into(), unit: QuotaUnit::Recipients, window: day },
        Quota { limit: limit.into(), unit: QuotaUnit::Messages, window: minute },
    ];
    Limits { quotas, ..Limits::default() }
}

#[divan::bench(args = [1, 8])]
fn dispatch_next_of_255_jobs(bencher: Bencher<'_, '_>, lanes: u32) {
    let jobs: Vec<Candidate> = (0..CANDIDATES)
        .map(|serial| Candidate {
            message: MessageKey::only(id(serial)),
            priority: Priority::Normal,
            lane: Lane(u32::from(serial) % lanes),
            due: NOW,
            recipients: 1,
            bytes: 1_000,
            expires_at: None,
        })
        .collect();
    let (standing, shares) = (Standing::Active, FairShare::default());
    let mut ledger = Ledger::new(&limits(), Vec::new(), NOW);
    let mut pacing = Pacing::new(&Limits::default(), NOW);
    bencher.bench_local(|| -> Next {
        dispatch::next(View {
            now: NOW,
            stage: Stage::Running,
            standing: &standing,
            quiet: None,
            jobs: black_box(&jobs),
            shares: &shares,
            ledger: &mut ledger,
            pacing: &mut pacing,
            connections: Connections { idle: CONNECTIONS, open: CONNECTIONS, max: CONNECTIONS, ahead: 0 },
            in_flight: 0,
            chance: 0.5,
        })
    });
}

#[divan::bench]
fn ledger_permit_mark_settle_with_two_quotas(bencher: Bencher<'_, '_>) {
    let mut ledger = Ledger::new(&limits(), Vec::new(), NOW);
    let mut now = NOW;
    bencher.bench_local(|| {
        now = now.after(Duration::from_millis(1));
        let mut permit = ledger.permit(Need::message_to(1), Priority::Normal, now).expect("the quotas are endless");
        let marked = ledger.mark(&mut permit, now);
        (marked, ledger.settle(permit, now))
    });
}

#[divan::bench(args = [
    "250 2.0.0 OK  1700000000 d2e1a72fcca58-6c4cb8f7c1csm1234567b3a.12 - gsmtp",
    "452-4.2.2 The recipient's inbox is out of storage space.\n452 4.2.2 https://support.google.com/mail/?p=OverQuotaTemp",
    "550 5.1.1 <taro@example.jp>: Recipient address rejected: User unknown in local recipient table",
])]
fn classify_reply(bencher: Bencher<'_, '_>, text: &str) {
    let rules = Rules::built_in();
    let reply = Reply::from_lines(text).expect("it begins with a code");
    bencher.bench_local(|| rules.classify(ProviderKind::Gmail, Phase::EndOfData, black_box(&reply)));
}

#[divan::bench(args = [1_024, 10_240, 102_400])]
fn compose_message_of_bytes(bencher: Bencher<'_, '_>, bytes: usize) {
    let mailbox = |address: &str| Mailbox { name: None, address: address.parse().expect("it is an address") };
    let line = "The quick courier of the lake road carries the letters over the pass.\r\n";
    let draft = Draft {
        from: mailbox("sender@example.jp"),
        reply_to: Vec::new(),
        to: vec![mailbox("recipient@example.net")],
        cc: Vec::new(),
        subject: "A letter".to_owned(),
        text: Some(line.repeat(bytes.div_ceil(line.len()))),
        html: None,
        headers: Vec::new(),
        in_reply_to: None,
        references: Vec::new(),
        list_unsubscribe: None,
        auto_submitted: None,
        attachments: Vec::new(),
        charset: hikyaku_daemon::domain::charset::Charset::default(),
    };
    let identity = Identity::of_job(id(1), &draft.from.address, NOW);
    bencher.bench_local(|| compose(black_box(&draft), &identity).expect("the draft is good"));
}

fn job() -> Job {
    Job {
        id: id(1),
        account: "bench".parse().expect("it is an account's name"),
        caller: "local".parse().expect("it is a caller's name"),
        accepted_at: NOW,
        sender: "sender@example.jp".parse().expect("it is an address"),
        audience: Audience::Together(vec![Recipient {
            address: "recipient@example.net".parse().expect("it is an address"),
            field: RecipientField::To,
            state: RecipientState::Pending { deferral: None },
        }]),
        subject: "A letter".to_owned(),
        message: MessageFacts { message_id: "<1@example.jp>".to_owned(), bytes: 1_400, is_eight_bit: false },
        priority: Priority::Normal,
        labels: Vec::new(),
        expires_at: None,
        schedule: Schedule::Waiting { due: NOW },
        attempts_made: 0,
        first_attempt_at: None,
        attempts: Vec::new(),
        wish: None,
        fallbacks: None,
        approval: None,
        resent: None,
        override_suppression: false,
    }
}

#[divan::bench]
fn job_record_encode(bencher: Bencher<'_, '_>) {
    let job = job();
    bencher.bench_local(|| JobRow::new(black_box(&job), &Body::default()).encode_to_vec());
}

#[divan::bench]
fn job_record_decode(bencher: Bencher<'_, '_>) {
    let bytes = JobRow::new(&job(), &Body::default()).encode_to_vec();
    bencher.bench_local(|| {
        let row = JobRow::decode(black_box(bytes.as_slice())).expect("it was encoded");
        row.into_job(id(1)).expect("it was a job")
    });
}

#[divan::bench]
fn retry_schedule() -> impl Sized {
    let retry = Retry::default();
    after_failure(black_box(&retry), 3, NOW, NOW.after(Duration::from_secs(600)), None, 0.5)
}
