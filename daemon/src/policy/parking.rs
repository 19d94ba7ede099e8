//! Which obstacle stops an account, and until when.

use std::time::Duration;

use super::classify::broken::REFUSED_ON_THE_WAY;
use super::retry_schedule::{probe_after, throttle_after};
use crate::domain::{
    attempt::Response,
    parking::{Parking, ParkingCause},
    reply::keep,
    time::Timestamp,
    verdict::{ParkCause, Phase, Ruling, Verdict},
};

/// How long an account whose provider says that its quota is used up waits, when neither the reply nor the ledger tells
/// when it is free again. Providers count over sliding windows of an hour or a day, so that some of it comes back
/// within an hour; asking then costs one refused message an hour at most.
pub const QUOTA_WAIT: Duration = Duration::from_secs(3_600);
/// By how much that wait is lengthened at random, as a share, so that accounts of one provider do not return together.
const QUOTA_JITTER: f64 = 0.1;

/// What was met, in which phase, and what the rules say of it.
#[derive(Clone, Copy, Debug)]
pub struct Obstacle<'a> {
    /// The phase in which it was met.
    pub phase: Phase,
    /// What the rules say of it.
    pub ruling: &'a Ruling,
    /// The provider's words, or ours.
    pub response: &'a Response,
}

/// The parking that an obstacle asks for; none when it concerns a message or recipient only.
///
/// `earlier` is the account's last parking if no message was taken since: strikes of the same cause add up and `since`
/// is kept. `chance` is a random number from 0 to 1.
#[must_use]
pub fn park(obstacle: &Obstacle<'_>, earlier: Option<&Parking>, now: Timestamp, chance: f64) -> Option<Parking> {
    let cause = cause(obstacle)?;
    let earlier = earlier.filter(|parking| parking.cause == cause);
    let strikes = earlier.map_or(0, |parking| parking.strikes).saturating_add(1);
    let asked = obstacle.ruling.wait;
    let wait = match cause {
        ParkingCause::QuotaExhausted => Some(quota_wait(asked, chance)),
        ParkingCause::Throttled => Some(throttle_after(strikes, chance).max(asked.unwrap_or_default())),
        ParkingCause::Unreachable => Some(probe_after(strikes, chance).max(asked.unwrap_or_default())),
        ParkingCause::NeedsReauth | ParkingCause::SuspendedByProvider | ParkingCause::Paused => None,
    };
    Some(Parking {
        cause,
        reason: reason(cause, obstacle),
        reply: obstacle.response.reply().cloned(),
        since: earlier.map_or(now, |parking| parking.since),
        until: wait.map(|wait| now.after(wait)),
        strikes,
    })
}

/// The parking of an account whose issuer of access tokens no longer grants any, in its words.
#[must_use]
pub fn without_consent(words: &str, now: Timestamp) -> Parking {
    let (cause, reason) = (ParkingCause::NeedsReauth, no_token(words));
    Parking { cause, reason, reply: None, since: now, until: None, strikes: 1 }
}

fn no_token(words: &str) -> String {
    format!("New consent or credentials are needed: {}.", keep(words).trim_end_matches('.'))
}

/// Before MAIL a refusal concerns the account whatever its verdict; from MAIL on, only where the rules say so.
fn cause(obstacle: &Obstacle<'_>) -> Option<ParkingCause> {
    let is_early = obstacle.phase.is_before_mail();
    let is_transient = obstacle.response.reply().is_some_and(crate::domain::reply::Reply::is_transient);
    match obstacle.ruling.verdict {
        Verdict::ParkAccount(ParkCause::Quota) => Some(ParkingCause::QuotaExhausted),
        Verdict::ParkAccount(ParkCause::SignIn) => Some(ParkingCause::NeedsReauth),
        Verdict::ParkAccount(ParkCause::Suspended) => Some(ParkingCause::SuspendedByProvider),
        Verdict::RetrySlower => Some(ParkingCause::Throttled),
        // Before MAIL nothing is accepted: a reply that means success elsewhere was no answer to what was asked.
        Verdict::Accepted if !is_early => None,
        _ if is_early && is_transient => Some(ParkingCause::Throttled),
        _ if is_early => Some(ParkingCause::Unreachable),
        _ => None,
    }
}

fn quota_wait(asked: Option<Duration>, chance: f64) -> Duration {
    let chance = if chance.is_finite() { chance.clamp(0.0, 1.0) } else { 0.5 };
    asked.unwrap_or(QUOTA_WAIT).mul_f64(1.0 + QUOTA_JITTER * chance)
}

fn reason(cause: ParkingCause, obstacle: &Obstacle<'_>) -> String {
    let phase = obstacle.phase;
    match (cause, obstacle.response) {
        (ParkingCause::QuotaExhausted, _) => "The provider says that the account's quota is used up.".into(),
        (ParkingCause::NeedsReauth, Response::Broken(what)) if &*obstacle.ruling.rule == REFUSED_ON_THE_WAY => {
            format!(
                "The sign-in is not accepted (phase {phase}): {}; new settings or credentials are needed.",
                keep(what)
            )
        }
        // No server was asked: the issuer of access tokens gave none.
        (ParkingCause::NeedsReauth, Response::Broken(what)) => no_token(what),
        (ParkingCause::NeedsReauth, _) => {
            format!("The provider does not accept the sign-in (phase {phase}); new settings or credentials are needed.")
        }
        (ParkingCause::SuspendedByProvider, _) => "The provider has barred the account from sending.".into(),
        (ParkingCause::Throttled, _) => format!("The provider asks to slow down (phase {phase})."),
        (ParkingCause::Unreachable, Response::Replied(_)) => {
            format!("The server refuses to serve us (phase {phase}).")
        }
        (ParkingCause::Unreachable, Response::Broken(what)) => {
            format!("The server cannot be reached (phase {phase}): {}.", keep(what))
        }
        (ParkingCause::Paused, _) => "An operator stopped it.".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::{
        domain::{account::ProviderKind, reply::Reply},
        policy::classify::{
            broken::{Breakage, classify_broken},
            rules::Rules,
        },
    };

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    static RULES: LazyLock<Rules> = LazyLock::new(Rules::built_in);

    fn parked(phase: Phase, lines: &str, earlier: Option<&Parking>) -> Option<Parking> {
        let reply = Reply::from_lines(lines).expect(lines);
        let ruling = RULES.classify(ProviderKind::Gmail, phase, &reply);
        let response = Response::Replied(reply);
        park(&Obstacle { phase, ruling: &ruling, response: &response }, earlier, NOW, 0.5)
    }

    #[track_caller]
    fn check(phase: Phase, lines: &str, cause: Option<ParkingCause>, wait_seconds: Option<u64>) {
        let parking = parked(phase, lines, None);
        assert_eq!(parking.as_ref().map(|p| p.cause), cause, "{lines}");
        let until = wait_seconds.map(|seconds| NOW.after(Duration::from_secs(seconds)));
        assert_eq!(parking.as_ref().and_then(|p| p.until), until, "{lines}");
        if let Some(parking) = parking {
            assert_eq!(parking.reply.expect("kept").text(), lines);
            assert_eq!((parking.strikes, parking.since), (1, NOW));
        }
    }

    #[test]
    fn obstacles_park_the_account() {
        check(Phase::SignIn, "535 5.7.8 no", Some(ParkingCause::NeedsReauth), None);
        check(Phase::SignIn, "454 4.7.0 Temporary failure", Some(ParkingCause::Throttled), Some(60));
        check(Phase::EndOfData, "550 5.4.5 Daily limit", Some(ParkingCause::QuotaExhausted), Some(3_780));
        check(Phase::Mail, "550 account suspended", Some(ParkingCause::SuspendedByProvider), None);
        check(Phase::Mail, "421 4.7.0 try again in 300 seconds", Some(ParkingCause::Throttled), Some(300));
        check(Phase::Greeting, "421 closing", Some(ParkingCause::Throttled), Some(60));
        check(Phase::Greeting, "554 no service", Some(ParkingCause::Unreachable), Some(30));
        // A reply that means success elsewhere was no answer to what was asked: it must not be met again at once.
        check(Phase::SignIn, "235 welcome", Some(ParkingCause::Unreachable), Some(30));
    }

    #[test]
    fn what_concerns_a_message_parks_nothing() {
        check(Phase::Rcpt, "550 5.1.1 unknown", None, None);
        check(Phase::Rcpt, "451 4.3.0 later", None, None);
        check(Phase::Mail, "421 closing", None, None);
        check(Phase::EndOfData, "554 5.6.0 no", None, None);
        check(Phase::EndOfData, "250 ok", None, None);
    }

    #[test]
    fn strikes_of_one_cause_add_up() {
        let first = parked(Phase::Greeting, "421 closing", None).expect("parked");
        let earlier = Parking { since: Timestamp::EPOCH, ..first };
        let second = parked(Phase::Greeting, "421 closing", Some(&earlier)).expect("parked");
        assert_eq!((second.strikes, second.since), (2, Timestamp::EPOCH));
        assert_eq!(second.until, Some(NOW.after(Duration::from_secs(120))));
        let other = parked(Phase::Greeting, "554 no", Some(&second)).expect("parked");
        assert_eq!((other.strikes, other.since), (1, NOW));
    }

    #[test]
    fn silence_before_mail_opens_the_circuit() {
        let response = Response::Broken("connection refused".into());
        for phase in Phase::ALL {
            let ruling = classify_broken(phase, Breakage::Closed);
            let parking = park(&Obstacle { phase, ruling: &ruling, response: &response }, None, NOW, 0.5);
            let cause = parking.map(|p| p.cause);
            assert_eq!(cause, phase.is_before_mail().then_some(ParkingCause::Unreachable), "{phase}");
        }
    }
}
