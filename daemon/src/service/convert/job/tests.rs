//! How jobs look on the wire in each of their states.

use super::*;
use crate::domain::{
    attempt::{Attempt, Fate, Finding, Outcome, Response},
    job::{Audience, Control, MessageFacts},
    reply::Reply,
    verdict::{Blame, Phase, Verdict},
};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn seconds_later(seconds: u64) -> Timestamp {
    NOW.after(std::time::Duration::from_secs(seconds))
}

fn job(due: Timestamp) -> Job {
    let recipient = |address: &str, field| Recipient {
        address: address.parse().expect("an address"),
        field,
        state: RecipientState::Pending { deferral: None },
    };
    Job {
        id: crate::domain::ids::JobId::new(NOW, [7; 10]),
        account: "sales".parse().expect("an id"),
        caller: "local".parse().expect("a caller"),
        accepted_at: NOW,
        sender: "sales@example.jp".parse().expect("an address"),
        audience: Audience::Together(vec![
            recipient("a@example.jp", RecipientField::To),
            recipient("b@example.jp", RecipientField::Bcc),
        ]),
        subject: "Hello".into(),
        message: MessageFacts { message_id: "<x@example.jp>".into(), bytes: 500, is_eight_bit: false },
        priority: Priority::Normal,
        labels: vec!["news".parse().expect("a label")],
        expires_at: None,
        schedule: Schedule::Waiting { due },
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

/// An attempt in which the first recipient meets `fate` and the second is refused.
fn attempt(fate: Fate, lines: &str) -> Attempt {
    let outcome = |recipient, fate, lines: &str, verdict, blame| Outcome {
        recipients: vec![recipient],
        finding: Finding {
            phase: Phase::Rcpt,
            response: Response::Replied(Reply::from_lines(lines).expect("a reply")),
            verdict,
            blame,
        },
        fate,
    };
    Attempt {
        number: 1,
        started: NOW,
        ended: seconds_later(1),
        outcomes: vec![
            outcome(0, fate, lines, Verdict::RetryLater, Some(Blame::Provider)),
            outcome(1, Fate::Failed, "550 5.1.1 No such user", Verdict::RejectRecipient, Some(Blame::Recipient)),
        ],
    }
}

#[track_caller]
fn check(job: &Job, marked: bool, state: v1::JobState, recipients: [v1::RecipientState; 2]) -> v1::Job {
    let wire = from_job(&JobRecord { job: job.clone(), marked }, Detail::Full, seconds_later(2));
    let states: Vec<_> = wire.recipients.iter().map(v1::Recipient::state).collect();
    assert_eq!((wire.state(), states.as_slice()), (state, recipients.as_slice()));
    wire
}

#[test]
fn a_job_that_was_not_tried_waits() {
    use v1::{JobState, RecipientState as State};
    check(&job(NOW), false, JobState::Queued, [State::Queued; 2]);
    check(&job(NOW), true, JobState::Sending, [State::Sending; 2]);
    check(&job(seconds_later(9)), false, JobState::Scheduled, [State::Scheduled; 2]);
    let mut held = job(NOW);
    held.control(Control::Hold, Flight::Grounded, NOW).expect("held");
    let wire = check(&held, false, JobState::Held, [State::Held; 2]);
    assert_eq!(wire.due_at, Some(from_time(NOW)));
    assert_eq!((wire.recipients[0].since, &wire.recipients[0].finding), (None, &None));
}

#[test]
fn recipients_show_what_they_met_word_for_word() {
    use v1::{JobState, RecipientState as State};
    let mut deferred = job(NOW);
    deferred.settle(attempt(Fate::Deferred, "450-4.2.0 Greylisted\n450 4.2.0 try later"), seconds_later(60));
    let wire = check(&deferred, false, JobState::Deferred, [State::Deferred, State::Failed]);
    let finding = wire.recipients[0].finding.clone().expect("a finding");
    assert_eq!((finding.code, finding.enhanced_code.as_str(), finding.phase.as_str()), (450, "4.2.0", "rcpt"));
    assert_eq!(finding.text, "450-4.2.0 Greylisted\n450 4.2.0 try later");
    assert_eq!((finding.verdict(), finding.blame()), (v1::Verdict::RetryLater, v1::Blame::Provider));
    assert_eq!(wire.recipients[1].finding.clone().map(|finding| finding.code), Some(550));
    assert_eq!((wire.attempts_made, wire.attempts.len(), wire.attempts[0].outcomes.len()), (1, 1, 2));
    let summary = from_job(&JobRecord { job: deferred, marked: false }, Detail::Summary, NOW);
    assert!(summary.attempts.is_empty());
}

#[test]
fn a_taken_message_shows_the_reply_that_took_it() {
    use v1::{JobState, RecipientState as State};
    let mut submitted = job(NOW);
    submitted.settle(attempt(Fate::Submitted, "250 2.0.0 queued as 1"), NOW);
    let wire = check(&submitted, false, JobState::PartlySubmitted, [State::Submitted, State::Failed]);
    let finding = wire.recipients[0].finding.clone().expect("a finding");
    assert_eq!((finding.code, finding.verdict()), (250, v1::Verdict::Accepted));
    assert_eq!((wire.due_at, wire.recipients[0].since), (None, Some(from_time(seconds_later(1)))));
}

#[test]
fn what_is_in_doubt_or_withdrawn_still_shows_its_last_finding() {
    use v1::{JobState, RecipientState as State};
    let mut doubtful = job(NOW);
    doubtful.settle(attempt(Fate::LeftInDoubt, "421 4.4.2 closing"), NOW);
    let wire = check(&doubtful, false, JobState::InDoubt, [State::InDoubt, State::Failed]);
    assert_eq!(wire.recipients[0].finding.clone().map(|finding| finding.code), Some(421));
    doubtful.control(Control::Cancel, Flight::Grounded, NOW).expect("withdrawn");
    let wire = check(&doubtful, false, JobState::Failed, [State::Cancelled, State::Failed]);
    assert_eq!(wire.recipients[0].finding.clone().map(|finding| finding.code), Some(421));
}

#[test]
fn states_and_priorities_survive_the_wire() {
    for number in 1..=11 {
        let state = v1::JobState::try_from(number).expect("a state");
        assert_eq!(to_state(state).map(from_state), Some(state));
    }
    for priority in Priority::ALL {
        assert_eq!(to_priority(from_priority(priority).into()), Some(priority));
    }
    assert_eq!(to_priority(0), Some(Priority::Normal));
    assert_eq!(to_priority(5), None);
}
