//! How many are counted of what, and why.

use std::collections::BTreeMap;

use super::*;
use crate::domain::{
    attempt::{Attempt, Finding, Outcome, Response},
    verdict::{Phase, Verdict},
};

const T0: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

fn labels(names: &[&str]) -> Vec<Label> {
    names.iter().map(|name| name.parse().expect("a label")).collect()
}

fn outcome(recipients: &[u32], fate: Fate) -> Outcome {
    let response = Response::Broken("whatever".into());
    let finding = Finding { phase: Phase::Rcpt, response, verdict: Verdict::RetryLater, blame: None };
    Outcome { recipients: recipients.to_vec(), finding, fate }
}

/// Each group's name with its counts.
fn told(counted: &[Counted]) -> Vec<(String, &Counts)> {
    let name = |group: &StatisticsGroup| match group {
        StatisticsGroup::All => String::from("(all)"),
        StatisticsGroup::Domain(domain) => format!("@{domain}"),
        StatisticsGroup::Label(label) => label.to_string(),
        StatisticsGroup::OtherDomains => String::from("(other)"),
        StatisticsGroup::OtherLabels => String::from("(other labels)"),
    };
    counted.iter().map(|one| (name(&one.group), &one.counts)).collect()
}

fn of_outcomes(outcomes: Vec<Outcome>, reasons: &[Option<Reason>], addresses: &[&str], names: &[&str]) -> Vec<Counted> {
    let addresses: Vec<_> = addresses.iter().map(|text| address(text)).collect();
    let recipients: Vec<u32> = (0..).take(addresses.len()).map(|place| place * 2).collect();
    let attempt = Attempt { number: 1, started: T0, ended: T0, outcomes };
    let labels = labels(names);
    let tried = Tried { attempt: &attempt, reasons, recipients: &recipients, addresses: &addresses, labels: &labels };
    of_attempt(&tried, Duration::from_secs(2))
}

#[test]
fn an_accepted_job_is_counted_by_domain_and_label() {
    let recipients = [address("a@Example.JP"), address("b@example.jp"), address("c@other.jp")];
    let counted = of_acceptance(&recipients, &labels(&["autumn", "news", "autumn"]));
    let found: Vec<_> = told(&counted).into_iter().map(|(name, counts)| (name, counts.accepted)).collect();
    let expected = [("@example.jp", 2), ("@other.jp", 1), ("autumn", 3), ("news", 3), ("(all)", 3)];
    assert_eq!(found, expected.map(|(name, count)| (name.to_owned(), count)));
}

#[test]
fn each_fate_counts_for_its_domain() {
    let outcomes = vec![
        outcome(&[0], Fate::Failed),
        outcome(&[2, 6], Fate::Submitted),
        outcome(&[4], Fate::Deferred),
        outcome(&[8], Fate::GivenUp),
        outcome(&[10], Fate::LeftInDoubt),
    ];
    let reasons = [Some(Reason::UserUnknown), None, Some(Reason::RateLimited), Some(Reason::MailboxFull)];
    let addresses = ["a@x.jp", "b@x.jp", "c@y.jp", "d@y.jp", "e@z.jp", "f@z.jp"];
    let counted = of_outcomes(outcomes, &reasons, &addresses, &["news"]);
    let found: Vec<_> = told(&counted)
        .into_iter()
        .map(|(name, c)| (name, [c.submitted, c.deferred, c.failed, c.expired, c.queue_times[1]]))
        .collect();
    let expected = [
        ("@x.jp", [1, 0, 1, 0, 1]),
        ("@y.jp", [1, 1, 0, 0, 1]),
        ("@z.jp", [0, 0, 0, 1, 0]),
        ("news", [2, 1, 1, 1, 2]),
        ("(all)", [2, 1, 1, 1, 2]),
    ];
    assert_eq!(found, expected.map(|(name, counts)| (name.to_owned(), counts)));
    let all = &counted.last().expect("all").counts;
    // The reason of a deferral is not counted: it is no end.
    assert_eq!(all.reasons, BTreeMap::from([(Reason::UserUnknown, 1), (Reason::MailboxFull, 1)]));
}

#[test]
fn the_reason_of_the_last_refusal_is_counted_when_a_message_is_given_up() {
    let counted = of_outcomes(vec![outcome(&[0], Fate::GivenUp)], &[Some(Reason::MailboxFull)], &["a@x.jp"], &[]);
    assert!(counted.iter().all(|one| one.counts.reasons == BTreeMap::from([(Reason::MailboxFull, 1)])));
    assert_eq!(counted.len(), 2);
}

#[test]
fn a_refusal_that_no_rule_explains_has_an_undetermined_reason() {
    let counted = of_outcomes(vec![outcome(&[0], Fate::Failed)], &[None], &["a@x.jp"], &[]);
    assert_eq!(counted[0].counts.reasons, BTreeMap::from([(Reason::Undetermined, 1)]));
}

#[test]
fn doubt_is_not_counted() {
    assert_eq!(of_outcomes(vec![outcome(&[0], Fate::LeftInDoubt)], &[], &["a@x.jp"], &["news"]), []);
}

#[test]
fn a_wait_begins_when_the_message_is_due_and_goes_on_over_attempts() {
    let at = |seconds| T0.after(Duration::from_secs(seconds));
    let tries = |first_at| Tries { made: 0, first_at, expires_at: None };
    assert_eq!(waited(tries(None), at(5), at(7)), Duration::from_secs(2));
    // It is due again after a deferral: that is not when its wait began.
    assert_eq!(waited(tries(Some(at(5))), at(100), at(101)), Duration::from_secs(96));
}

#[test]
fn a_merge_of_many_domains_names_the_largest() {
    let mut acceptance = MergeAcceptance::default();
    for number in 0..2 * MERGE_DOMAINS_MAX {
        acceptance.add(&address(&format!("a@d{number:04}.jp")));
    }
    for _ in 0..3 {
        acceptance.add(&address("b@D0799.jp"));
        acceptance.add(&address("b@d1599.jp"));
    }
    let counted = acceptance.counted(&labels(&["news"]));
    assert_eq!(counted.len(), GROUPS_PER_PERIOD_MAX + 3);
    let told = told(&counted);
    assert_eq!((told[0].0.as_str(), told[0].1.accepted), ("@d0799.jp", 4));
    let named: u64 = told[..GROUPS_PER_PERIOD_MAX].iter().map(|(_, counts)| counts.accepted).sum();
    let count = |name: &str| told.iter().find(|(found, _)| found == name).expect(name).1.accepted;
    assert_eq!(count("(all)"), 2 * MERGE_DOMAINS_MAX as u64 + 6);
    assert_eq!((named + count("(other)"), count("news")), (count("(all)"), count("(all)")));
}
