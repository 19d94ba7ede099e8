//! Which recipients must not be sent to any more, after what their server said of them.

use super::tried::{Tried, names_dead_address};
use crate::domain::{
    account::SuppressionRules,
    attempt::{Fate, Outcome},
    ids::{AccountId, MessageKey},
    reply::Reply,
    suppression::{
        EVIDENCE_BYTES_MAX, Suppression, SuppressionKey, SuppressionReason, SuppressionScope, SuppressionSource,
    },
    verdict::{Blame, Phase, Verdict},
};

/// Whose message it was, and what that allows.
#[derive(Clone, Copy, Debug)]
pub struct Grounds<'a> {
    /// The account that sent it.
    pub account: &'a AccountId,
    /// The account's rules.
    pub rules: &'a SuppressionRules,
    /// The message.
    pub message: MessageKey,
    /// Whether its job sends to suppressed addresses: whoever says so knows better than their servers.
    pub overrides: bool,
}

/// The suppressions that follow from the replies to an attempt: of each recipient whose address is dead, as its server says for
/// good. A full mailbox, a policy or a bad reputation says nothing of the address.
#[must_use]
pub fn by_replies(tried: &Tried<'_>, grounds: &Grounds<'_>) -> Vec<Suppression> {
    let Grounds { account, rules, message, overrides } = *grounds;
    if rules.off || rules.ignore_replies || overrides {
        return Vec::new();
    }
    let now = tried.attempt.ended;
    let dead = tried.outcomes().filter(|(_, reason)| reason.is_some_and(|reason| reason.is_dead_address()));
    let dead = dead.filter_map(|(outcome, _)| Some((outcome, refusal(outcome)?)));
    let of_each = |(outcome, reply): (&'_ Outcome, &'_ Reply)| {
        let addresses = outcome.recipients.iter().filter_map(|recipient| tried.address_of(*recipient));
        let suppression = |address: &crate::domain::address::Address| Suppression {
            key: SuppressionKey::new(SuppressionScope::Account(account.clone()), address),
            address: address.clone(),
            reason: SuppressionReason::HardBounce,
            source: SuppressionSource::Reply,
            added_at: now,
            added_by: None,
            expires_at: rules.hard_bounce_expiry.map(|length| now.after(length)),
            evidence: beginning(reply.text()).into(),
            message: Some(message),
        };
        addresses.map(suppression).collect::<Vec<_>>()
    };
    dead.flat_map(of_each).collect()
}

/// The reply by which each of the outcome's recipients was refused for itself, if it was.
fn refusal(outcome: &Outcome) -> Option<&Reply> {
    let finding = &outcome.finding;
    let is_of_recipient = match finding.verdict {
        Verdict::RejectRecipient => finding.blame == Some(Blame::Recipient),
        // Some servers look for the mailbox when they have the message. The rules blame that then, the code does not.
        Verdict::RejectMessage if finding.phase == Phase::EndOfData => {
            finding.response.reply().is_some_and(names_dead_address)
        }
        _ => false,
    };
    // What is said of a message for several does not say of which of them.
    let is_of_each = match finding.phase {
        Phase::Rcpt => true,
        Phase::EndOfData => outcome.recipients.len() == 1,
        _ => false,
    };
    let reply = finding.response.reply().filter(|reply| reply.is_permanent());
    reply.filter(|_| outcome.fate == Fate::Failed && is_of_recipient && is_of_each)
}

fn beginning(text: &str) -> &str {
    let mut end = text.len().min(EVIDENCE_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use std::{sync::LazyLock, time::Duration};

    use super::*;
    use crate::{
        domain::{
            account::ProviderKind,
            address::Address,
            attempt::{Attempt, Finding, Response},
            ids::JobId,
            time::Timestamp,
        },
        policy::{assess::Met, classify::rules::Rules, tried::reasons_of},
    };

    static RULES: LazyLock<Rules> = LazyLock::new(Rules::built_in);
    const T0: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    /// Who is suppressed when all of `recipients` get this reply.
    fn suppressed(phase: Phase, reply: &str, recipients: &[&str], grounds: &Grounds<'_>) -> Vec<Suppression> {
        let addresses: Vec<Address> = recipients.iter().map(|text| text.parse().expect("an address")).collect();
        let places: Vec<u32> = (0..).take(addresses.len()).collect();
        let reply = Reply::from_lines(reply).expect("a reply");
        let ruling = RULES.classify(ProviderKind::Generic, phase, &reply);
        let response = Response::Replied(reply);
        let met = Met { recipients: places.clone(), phase, response: response.clone(), ruling: ruling.clone() };
        let reasons = reasons_of(&RULES, &[met]);
        let fate = match ruling.verdict {
            Verdict::RejectRecipient | Verdict::RejectMessage => Fate::Failed,
            Verdict::Accepted => Fate::Submitted,
            _ => Fate::Deferred,
        };
        let (verdict, blame) = (ruling.verdict, ruling.blame);
        let finding = Finding { phase, response, verdict, blame };
        let outcomes = vec![Outcome { recipients: places.clone(), finding, fate }];
        let attempt = Attempt { number: 1, started: T0, ended: T0, outcomes };
        let tried =
            Tried { attempt: &attempt, reasons: &reasons, recipients: &places, addresses: &addresses, labels: &[] };
        by_replies(&tried, grounds)
    }

    fn check_with(
        rules: SuppressionRules,
        overrides: bool,
        phase: Phase,
        reply: &str,
        recipients: &[&str],
    ) -> Vec<Suppression> {
        let account: AccountId = "sales".parse().expect("an id");
        let message = MessageKey::only(JobId::from_bytes([1; 16]));
        suppressed(phase, reply, recipients, &Grounds { account: &account, rules: &rules, message, overrides })
    }

    #[track_caller]
    fn check(phase: Phase, reply: &str, recipients: &[&str], expected: bool) {
        let found = check_with(SuppressionRules::default(), false, phase, reply, recipients);
        let found: Vec<_> = found.iter().map(|one| one.address.as_str()).collect();
        assert_eq!(found, if expected { recipients } else { &[][..] }, "{phase}: {reply}");
    }

    #[test]
    fn only_what_says_that_an_address_is_dead_suppresses_it() {
        let (one, two) = (&["a@x.jp"][..], &["a@x.jp", "b@x.jp"][..]);
        check(Phase::Rcpt, "550 5.1.1 <a@x.jp>: User unknown", one, true);
        check(Phase::Rcpt, "550 5.1.1 user unknown", two, true);
        check(Phase::Rcpt, "550 5.1.2 host not found", one, true);
        check(Phase::Rcpt, "556 5.1.10 this domain takes no mail", one, true);
        for reply in [
            "452 4.2.2 mailbox full",
            "552 5.2.2 mailbox full",
            "550 5.7.1 rejected by policy",
            "550 5.7.1 your IP address is on a block list",
            "554 5.7.1 message looks like spam",
            "550 5.4.5 daily sending quota exceeded",
            "450 4.1.1 user unknown for now",
            "421 4.7.0 try again later",
            "250 2.1.5 ok",
        ] {
            check(Phase::Rcpt, reply, one, false);
            check(Phase::EndOfData, reply, one, false);
        }
    }

    #[test]
    fn a_server_may_say_that_an_address_is_dead_when_it_has_the_message() {
        let (one, two) = (&["a@x.jp"][..], &["a@x.jp", "b@x.jp"][..]);
        check(Phase::EndOfData, "550 5.1.1 <a@x.jp>: User unknown", one, true);
        check(
            Phase::EndOfData,
            "550-5.1.1 The email account that you tried to reach\n550 5.1.1 does not exist",
            one,
            true,
        );
        check(Phase::EndOfData, "550 5.1.2 host not found", one, true);
        check(Phase::EndOfData, "556 5.1.10 this domain takes no mail", one, true);
        check(Phase::EndOfData, "550 5.1.1 <a@x.jp>: User unknown", two, false);
        check(Phase::EndOfData, "550 user unknown", one, false);
        check(Phase::EndOfData, "550 5.1.1 refused due to recipient preferences", one, false);
        check(Phase::Data, "550 5.1.1 user unknown", one, false);
    }

    #[test]
    fn what_is_said_after_a_message_is_of_its_only_recipient() {
        // The built-in rules blame the message for what is said after it; others need not.
        let refused = |recipients: &[u32], phase| {
            let reply = Reply::from_lines("550 5.1.1 user unknown").expect("a reply");
            let (verdict, blame) = (Verdict::RejectRecipient, Some(Blame::Recipient));
            let finding = Finding { phase, response: Response::Replied(reply), verdict, blame };
            refusal(&Outcome { recipients: recipients.to_vec(), finding, fate: Fate::Failed }).is_some()
        };
        assert!(refused(&[0], Phase::EndOfData) && !refused(&[0, 1], Phase::EndOfData));
        assert!(refused(&[0, 1], Phase::Rcpt) && !refused(&[0], Phase::Mail));
    }

    #[test]
    fn a_suppression_says_what_it_rests_on_and_when_it_ends() {
        let reply = "550-5.1.1 The address\n550 5.1.1 does not exist";
        let rules =
            SuppressionRules { hard_bounce_expiry: Some(Duration::from_secs(60)), ..SuppressionRules::default() };
        let found = check_with(rules, false, Phase::Rcpt, reply, &["Taro@X.jp"]);
        let [found] = &found[..] else { panic!("{found:?}") };
        assert_eq!(found.key.mailbox.as_str(), "taro@x.jp");
        assert_eq!((found.reason, found.source), (SuppressionReason::HardBounce, SuppressionSource::Reply));
        assert_eq!((&*found.evidence, found.expires_at), (reply, Some(T0.after(Duration::from_secs(60)))));
        assert_eq!(check_with(SuppressionRules::default(), false, Phase::Rcpt, reply, &["a@x.jp"])[0].expires_at, None);
    }

    #[test]
    fn rules_and_jobs_can_say_that_replies_suppress_nobody() {
        let dead = |rules, overrides| check_with(rules, overrides, Phase::Rcpt, "550 5.1.1 unknown", &["a@x.jp"]).len();
        let rules = SuppressionRules::default();
        assert_eq!(dead(rules, false), 1);
        assert_eq!(dead(rules, true), 0);
        assert_eq!(dead(SuppressionRules { off: true, ..rules }, false), 0);
        assert_eq!(dead(SuppressionRules { ignore_replies: true, ..rules }, false), 0);
    }
}
