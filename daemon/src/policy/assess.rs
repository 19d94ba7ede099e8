//! What the findings of one attempt add up to: for each recipient, for the job's next try, and for the account.

use crate::{
    domain::{
        account::{AccountSettings, InDoubtPolicy},
        attempt::{Attempt, Fate, Finding, Outcome, Response},
        job::Tries,
        parking::Parking,
        time::Timestamp,
        verdict::{Blame, Phase, Ruling, Verdict},
    },
    policy::{
        parking::{self, Obstacle},
        retry_schedule::{self, NextTry},
    },
};

/// What some recipients met, and the ruling on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Met {
    /// Indexes into the job's recipients.
    pub recipients: Vec<u32>,
    /// In which phase.
    pub phase: Phase,
    /// The provider's words, or ours.
    pub response: Response,
    /// What the rules say.
    pub ruling: Ruling,
}

/// Whether a connection had carried a message before this one: a provider may close a used one at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// This was its first message.
    Fresh,
    /// It had carried messages before.
    Used,
}

/// One attempt to be assessed.
#[derive(Debug)]
pub struct Case<'a> {
    /// What was tried before.
    pub tries: Tries,
    /// Its account's settings.
    pub settings: &'a AccountSettings,
    /// The connection it went over.
    pub connection: Connection,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// The account's last parking, if the provider has taken nothing since.
    pub earlier: Option<&'a Parking>,
    /// A random number from 0 to 1, for jitter.
    pub chance: f64,
}

/// What an attempt adds up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assessment {
    /// It counts.
    Counts {
        /// What is recorded of it.
        attempt: Attempt,
        /// When its deferred recipients are due again.
        retry_at: Timestamp,
        /// Why the account must wait, if it must.
        parking: Option<Parking>,
    },
    /// It leaves no trace in the job, which is due as before.
    DoesNotCount {
        /// Why the account must wait; when it need not, the message goes on a new connection.
        parking: Option<Parking>,
    },
}

/// Adds up what an attempt met.
#[must_use]
pub fn assess(case: &Case<'_>, met: Vec<Met>) -> Assessment {
    let parking = met.iter().find_map(|met| parks(case, met));
    if met.iter().all(|met| leaves_no_trace(case, met)) {
        return Assessment::DoesNotCount { parking };
    }
    let number = case.tries.made.saturating_add(1);
    let hint = met.iter().filter_map(|met| met.ruling.wait).max();
    let first = case.tries.first_at.unwrap_or(case.started);
    let next = retry_schedule::after_failure(&case.settings.retry, number, first, case.ended, hint, case.chance);
    let (deferred, mut retry_at) = match next {
        NextTry::Again(at) => (Fate::Deferred, at),
        NextTry::GiveUp => (Fate::GivenUp, case.ended),
    };
    if let Some(expiry) = case.tries.expires_at {
        // At its expiry the job is looked at once more, and ends.
        retry_at = retry_at.min(expiry.max(case.ended));
    }
    let outcomes = met.into_iter().map(|met| outcome(case, met, deferred)).collect();
    let attempt = Attempt { number, started: case.started, ended: case.ended, outcomes };
    Assessment::Counts { attempt, retry_at, parking }
}

/// Whether what was met says nothing about the message: the account cannot send now, or a connection that had served
/// its time was closed before the message was sent.
fn leaves_no_trace(case: &Case<'_>, met: &Met) -> bool {
    match met.ruling.verdict {
        Verdict::ParkAccount(_) => true,
        Verdict::RetryOnNewConnection => case.connection == Connection::Used && met.phase <= Phase::Data,
        _ => false,
    }
}

/// The parking that follows, if one does.
fn parks(case: &Case<'_>, met: &Met) -> Option<Parking> {
    let obstacle = Obstacle { phase: met.phase, ruling: &met.ruling, response: &met.response };
    if let Some(parking) = parking::park(&obstacle, case.earlier, case.ended, case.chance) {
        return Some(parking);
    }
    // RFC 5321 3.8: a 421 closes the connection. On a fresh one, before any message, it asks us to stay away for a while.
    let closes_fresh = met.ruling.verdict == Verdict::RetryOnNewConnection
        && case.connection == Connection::Fresh
        && met.phase == Phase::Mail
        && met.response.reply().is_some();
    let slower = Ruling { verdict: Verdict::RetrySlower, ..met.ruling.clone() };
    let obstacle = Obstacle { ruling: &slower, ..obstacle };
    closes_fresh.then(|| parking::park(&obstacle, case.earlier, case.ended, case.chance)).flatten()
}

fn outcome(case: &Case<'_>, met: Met, deferred: Fate) -> Outcome {
    let fate = match met.ruling.verdict {
        Verdict::Accepted => Fate::Submitted,
        Verdict::RejectRecipient | Verdict::RejectMessage => Fate::Failed,
        Verdict::InDoubt => after_doubt(case.settings, deferred),
        Verdict::RetryLater | Verdict::RetrySlower | Verdict::RetryOnNewConnection | Verdict::ParkAccount(_) => {
            deferred
        }
    };
    let finding =
        Finding { phase: met.phase, response: met.response, verdict: met.ruling.verdict, blame: met.ruling.blame };
    Outcome { recipients: met.recipients, finding, fate }
}

/// What the account's policy makes of a message that may or may not have been taken.
fn after_doubt(settings: &AccountSettings, deferred: Fate) -> Fate {
    match settings.in_doubt {
        InDoubtPolicy::Resend => deferred,
        // What is reconciled is in doubt until its Sent folder was asked.
        InDoubtPolicy::Hold | InDoubtPolicy::Reconcile => Fate::LeftInDoubt,
    }
}

/// What is recorded of an attempt whose mark was found when a worker began: a worker before it stopped between the final
/// dot and the reply's commit, so nobody knows whether the provider took the message.
#[must_use]
pub fn interrupted(
    settings: &AccountSettings,
    number: u32,
    recipients: Vec<u32>,
    started: Timestamp,
    now: Timestamp,
) -> Attempt {
    let finding = Finding {
        phase: Phase::EndOfData,
        response: Response::Broken(String::from("hikyakud stopped before the reply to the final dot was recorded")),
        verdict: Verdict::InDoubt,
        blame: Some(Blame::Us),
    };
    let fate = after_doubt(settings, Fate::Deferred);
    Attempt { number, started, ended: now, outcomes: vec![Outcome { recipients, finding, fate }] }
}

#[cfg(test)]
mod tests {
    use std::{str::FromStr, time::Duration};

    use super::*;
    use crate::domain::{
        account::{Encryption, Host, Retry, Server},
        ids::{AccountId, Caller, JobId},
        job::{Audience, Job, MessageFacts, Priority, Schedule},
        mail::Mailbox,
        parking::ParkingCause,
        recipient::{Recipient, RecipientField, RecipientState},
        reply::Reply,
        verdict::ParkCause,
    };

    const T0: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn settings(in_doubt: InDoubtPolicy) -> AccountSettings {
        let host = Host::from_str("smtp.example.jp").expect("a host");
        let from = Mailbox { name: None, address: "a@example.jp".parse().expect("an address") };
        AccountSettings {
            retry: Retry { jitter: 0.0, ..Retry::default() },
            in_doubt,
            ..AccountSettings::new(from, Server::new(host, std::num::NonZeroU16::MIN, Encryption::None))
        }
    }

    fn job() -> Job {
        let recipient = |address: &str| Recipient {
            address: address.parse().expect("an address"),
            field: RecipientField::To,
            state: RecipientState::Pending { deferral: None },
        };
        Job {
            id: JobId::new(T0, [0; 10]),
            account: AccountId::from_str("sales").expect("an id"),
            caller: Caller::from_str("local").expect("a caller"),
            accepted_at: T0,
            sender: "a@example.jp".parse().expect("an address"),
            audience: Audience::Together(vec![recipient("x@example.jp"), recipient("y@example.jp")]),
            subject: String::new(),
            message: MessageFacts { message_id: String::from("<1@x>"), bytes: 1, is_eight_bit: false },
            priority: Priority::Normal,
            labels: Vec::new(),
            expires_at: None,
            schedule: Schedule::Waiting { due: T0 },
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

    fn met(recipients: &[u32], phase: Phase, reply: &str, verdict: Verdict) -> Met {
        let response = match Reply::from_lines(reply) {
            Some(reply) => Response::Replied(reply),
            None => Response::Broken(reply.to_owned()),
        };
        let ruling = Ruling { verdict, blame: None, wait: None, rule: "test".into() };
        Met { recipients: recipients.to_vec(), phase, response, ruling }
    }

    fn assess_as(policy: InDoubtPolicy, connection: Connection, job: &Job, met: Vec<Met>) -> Assessment {
        let settings = settings(policy);
        let ended = T0.after(Duration::from_secs(1));
        assess(
            &Case {
                tries: job.tries(),
                settings: &settings,
                connection,
                started: T0,
                ended,
                earlier: None,
                chance: 0.5,
            },
            met,
        )
    }

    #[track_caller]
    fn fates(assessment: &Assessment) -> Vec<(Vec<u32>, Fate)> {
        let Assessment::Counts { attempt, .. } = assessment else {
            panic!("does not count: {assessment:?}");
        };
        attempt.outcomes.iter().map(|outcome| (outcome.recipients.clone(), outcome.fate)).collect()
    }

    #[test]
    fn each_recipient_has_its_own_fate() {
        let assessment = assess_as(
            InDoubtPolicy::Resend,
            Connection::Fresh,
            &job(),
            vec![
                met(&[1], Phase::Rcpt, "550 5.1.1 no such user", Verdict::RejectRecipient),
                met(&[0], Phase::EndOfData, "250 2.0.0 ok", Verdict::Accepted),
            ],
        );
        assert_eq!(fates(&assessment), [(vec![1], Fate::Failed), (vec![0], Fate::Submitted)]);
    }

    #[test]
    fn a_parked_account_costs_no_attempt() {
        let refused = met(&[0, 1], Phase::Mail, "550 5.4.5 daily limit", Verdict::ParkAccount(ParkCause::Quota));
        let assessment = assess_as(InDoubtPolicy::Resend, Connection::Fresh, &job(), vec![refused]);
        let Assessment::DoesNotCount { parking: Some(parking) } = assessment else {
            panic!("{assessment:?}");
        };
        assert_eq!(parking.cause, ParkingCause::QuotaExhausted);
    }

    #[test]
    fn a_connection_that_served_its_time_is_replaced_at_once() {
        let closing = || vec![met(&[0, 1], Phase::Mail, "421 too many messages", Verdict::RetryOnNewConnection)];
        let used = assess_as(InDoubtPolicy::Resend, Connection::Used, &job(), closing());
        assert_eq!(used, Assessment::DoesNotCount { parking: None });

        let fresh = assess_as(InDoubtPolicy::Resend, Connection::Fresh, &job(), closing());
        assert_eq!(fates(&fresh), [(vec![0, 1], Fate::Deferred)]);
        assert!(matches!(
            fresh,
            Assessment::Counts { parking: Some(Parking { cause: ParkingCause::Throttled, .. }), .. }
        ));
    }

    #[test]
    fn doubt_is_settled_by_the_accounts_policy() {
        let lost = || vec![met(&[0, 1], Phase::EndOfData, "connection closed", Verdict::InDoubt)];
        let resent = assess_as(InDoubtPolicy::Resend, Connection::Fresh, &job(), lost());
        assert_eq!(fates(&resent), [(vec![0, 1], Fate::Deferred)]);
        let held = assess_as(InDoubtPolicy::Hold, Connection::Fresh, &job(), lost());
        assert_eq!(fates(&held), [(vec![0, 1], Fate::LeftInDoubt)]);
    }

    #[test]
    fn a_job_is_given_up_only_by_a_last_attempt_after_its_age() {
        let deferred = || vec![met(&[0, 1], Phase::Rcpt, "451 later", Verdict::RetryLater)];
        let mut old = job();
        old.accepted_at = T0.before(Duration::from_secs(30 * 24 * 3_600));
        let never_tried = assess_as(InDoubtPolicy::Resend, Connection::Fresh, &old, deferred());
        assert_eq!(fates(&never_tried), [(vec![0, 1], Fate::Deferred)]);

        old.first_attempt_at = Some(T0.before(Duration::from_secs(6 * 24 * 3_600)));
        let tried_long_ago = assess_as(InDoubtPolicy::Resend, Connection::Fresh, &old, deferred());
        assert_eq!(fates(&tried_long_ago), [(vec![0, 1], Fate::GivenUp)]);
    }

    #[test]
    fn a_retry_does_not_sleep_through_the_expiry() {
        let mut job = job();
        job.expires_at = Some(T0.after(Duration::from_secs(10)));
        let deferred = vec![met(&[0, 1], Phase::Rcpt, "451 later", Verdict::RetryLater)];
        let Assessment::Counts { retry_at, .. } = assess_as(InDoubtPolicy::Resend, Connection::Fresh, &job, deferred)
        else {
            panic!("does not count");
        };
        assert_eq!(Some(retry_at), job.expires_at);
    }
}
