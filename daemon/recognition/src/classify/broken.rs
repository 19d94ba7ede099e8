//! What it means that a reply never came.

use crate::verdict::{Blame, ParkCause, Phase, Ruling, Verdict};

/// How an exchange ended without a reply that could be classified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breakage {
    /// The time for the phase ran out.
    TimedOut,
    /// The connection could not be made, or was closed or reset.
    Closed,
    /// What came is no SMTP, or not what the protocol allows there; TLS that could not be agreed counts as such.
    Garbled,
    /// Something failed on our side: a file, memory, a bug.
    Ours,
}

/// The ruling for a phase that ended without a reply.
///
/// Once the message was sent it is in doubt whatever broke. Before, all that broke is tried again: on a new
/// connection at once when this one was closed under us, else later.
#[must_use]
pub fn classify_broken(phase: Phase, breakage: Breakage) -> Ruling {
    let blame = if breakage == Breakage::Ours { Blame::Us } else { Blame::Provider };
    let (verdict, rule) = match (phase, breakage) {
        // RFC 5321 4.5.3.2.6: a lost reply to the final dot says nothing about the message.
        (Phase::EndOfData, _) => (Verdict::InDoubt, "broken-after-data"),
        (_, Breakage::Ours) => (Verdict::RetryLater, "broken-by-us"),
        // RFC 5321 3.8: a server may close a connection at any time; one that had been idle often is.
        (Phase::Mail | Phase::Rcpt | Phase::Data, Breakage::Closed) => {
            (Verdict::RetryOnNewConnection, "broken-connection")
        }
        (Phase::Mail | Phase::Rcpt | Phase::Data, _) => (Verdict::RetryLater, "broken-exchange"),
        _ => (Verdict::RetryLater, "broken-before-mail"),
    };
    Ruling { verdict, blame: Some(blame), wait: None, rule: rule.into() }
}

/// The ruling when there is no access token to sign in with: somebody has to give one, or it is asked for again later.
#[must_use]
pub fn classify_no_token(needs_a_person: bool) -> Ruling {
    let (verdict, blame) = if needs_a_person {
        (Verdict::ParkAccount(ParkCause::SignIn), Blame::Account)
    } else {
        (Verdict::RetryLater, Blame::Provider)
    };
    Ruling { verdict, blame: Some(blame), wait: None, rule: "no-access-token".into() }
}

/// The name of the rule of [`classify_refused_on_the_way`].
pub const REFUSED_ON_THE_WAY: &str = "refused-on-the-way";

/// The ruling when a proxy, or the POP3 server that comes before SMTP, refuses our credentials: new ones are needed.
#[must_use]
pub fn classify_refused_on_the_way() -> Ruling {
    let verdict = Verdict::ParkAccount(ParkCause::SignIn);
    Ruling { verdict, blame: Some(Blame::Account), wait: None, rule: REFUSED_ON_THE_WAY.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Breakage; 4] = [Breakage::TimedOut, Breakage::Closed, Breakage::Garbled, Breakage::Ours];

    #[test]
    fn only_the_final_dot_leaves_a_doubt() {
        for phase in Phase::ALL {
            for breakage in ALL {
                let verdict = classify_broken(phase, breakage).verdict;
                assert_eq!(verdict == Verdict::InDoubt, phase == Phase::EndOfData, "{phase} {breakage:?}");
            }
        }
    }

    #[test]
    fn nothing_that_broke_is_refused_for_good() {
        for phase in Phase::ALL {
            for breakage in ALL {
                let ruling = classify_broken(phase, breakage);
                let tried_again =
                    matches!(ruling.verdict, Verdict::RetryLater | Verdict::RetryOnNewConnection | Verdict::InDoubt);
                assert!(tried_again, "{phase} {breakage:?}");
                assert!(matches!(ruling.blame, Some(Blame::Provider | Blame::Us)));
            }
        }
    }

    #[test]
    fn a_closed_connection_is_replaced() {
        let verdict = |phase| classify_broken(phase, Breakage::Closed).verdict;
        assert_eq!(verdict(Phase::Mail), Verdict::RetryOnNewConnection);
        assert_eq!(verdict(Phase::Data), Verdict::RetryOnNewConnection);
        assert_eq!(verdict(Phase::Connect), Verdict::RetryLater);
        assert_eq!(classify_broken(Phase::Rcpt, Breakage::TimedOut).verdict, Verdict::RetryLater);
    }
}
