//! Does what the daemon says agree with what the server received?

use std::collections::{BTreeMap, BTreeSet};

use comfy_table::{CellAlignment, Table, presets::UTF8_BORDERS_ONLY};
use hikyaku_client::proto::{Job, JobState, RecipientState};

use super::{
    capture::Records,
    plan::{SENDERS, Sender},
    tally::Tally,
};

/// What both sides say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Evidence<'e> {
    /// The ids of the jobs that each account's client was told to be stored.
    pub(super) acknowledged: &'e [Vec<String>],
    /// The daemon's jobs by id.
    pub(super) jobs: &'e BTreeMap<String, Job>,
    /// What the server received.
    pub(super) records: &'e Records,
}

/// The comparison, claim by claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proof {
    rows: Vec<Row>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    label: String,
    cells: Vec<String>,
    /// Whether the claim holds; nothing for a row that claims nothing.
    holds: Option<bool>,
}

/// How often the server took each message for each recipient.
type Receipts = BTreeMap<(String, String), usize>;

impl Proof {
    pub(super) fn of(evidence: Evidence<'_>) -> Self {
        let receipts = receipts(evidence.records);
        let accounts: Vec<Account> = SENDERS
            .iter()
            .zip(evidence.acknowledged)
            .map(|(sender, ids)| account(sender, ids, evidence, &receipts))
            .collect();
        let mut rows = Vec::new();
        let mut add = |label: &str, claim: Option<fn(usize) -> bool>, value: fn(&Account) -> usize| {
            let values: Vec<usize> = accounts.iter().map(value).collect();
            let holds = claim.map(|claim| values.iter().all(|&value| claim(value)));
            rows.push(Row { label: label.to_owned(), cells: values.iter().map(ToString::to_string).collect(), holds });
        };
        let none: Option<fn(usize) -> bool> = Some(|value| value == 0);
        add("accepted by hikyakud", Some(|value| value > 0), |one| one.accepted);
        add("  sent", None, |one| one.tally.sent);
        add("  failed", None, |one| one.tally.failed);
        add("  waiting until tomorrow, as asked", None, |one| one.tally.scheduled);
        add("  waiting for an operator: in doubt", None, |one| one.tally.in_doubt);
        add("accepted - sent - failed - waiting", none, |one| one.unaccounted());
        add("waiting for the server", none, |one| one.tally.deferred + one.tally.queued);
        add("received by the server", None, |one| one.received);
        add("  of these in doubt", None, |one| one.doubtful_received);
        add("sent, but never received", none, |one| one.never_received);
        add("failed or scheduled, but received", none, |one| one.wrongly_received);
        add("received twice: duplicates", none, |one| one.duplicates);
        rows.extend(quota_rows(evidence.records));
        Self { rows }
    }

    /// Whether every claim holds.
    pub(super) fn holds(&self) -> bool {
        self.rows.iter().all(|row| row.holds != Some(false))
    }

    /// The claims that do not hold.
    pub(super) fn broken(&self) -> Vec<&str> {
        self.rows.iter().filter(|row| row.holds == Some(false)).map(|row| row.label.trim()).collect()
    }

    /// The comparison for people.
    pub(super) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_preset(UTF8_BORDERS_ONLY);
        let accounts = SENDERS.iter().map(|sender| sender.id);
        table.set_header(["mails"].into_iter().chain(accounts).chain([""]));
        for row in &self.rows {
            let holds = match row.holds {
                None => "",
                Some(true) => "holds",
                Some(false) => "BROKEN",
            };
            let cells = row.cells.iter().map(String::as_str);
            table.add_row([row.label.as_str()].into_iter().chain(cells).chain([holds]));
        }
        for column in table.column_iter_mut().skip(1).take(SENDERS.len()) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table.to_string()
    }
}

/// What is known of one account.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    accepted: usize,
    tally: Tally,
    received: usize,
    doubtful_received: usize,
    never_received: usize,
    wrongly_received: usize,
    duplicates: usize,
}

impl Account {
    fn unaccounted(&self) -> usize {
        let known = self.tally.sent + self.tally.failed + self.tally.waiting();
        self.accepted.abs_diff(known)
    }
}

fn account(sender: &Sender, ids: &[String], evidence: Evidence<'_>, receipts: &Receipts) -> Account {
    let jobs: Vec<&Job> = ids.iter().filter_map(|id| evidence.jobs.get(id)).collect();
    let mut account = Account {
        accepted: ids.len(),
        tally: Tally::of(jobs.iter().map(|job| job.state())),
        received: evidence.records.counts(&sender.address()).messages,
        ..Account::default()
    };
    for job in &jobs {
        let times = |address: &str| receipts.get(&(bare(&job.message_id), address.to_owned())).copied().unwrap_or(0);
        for recipient in &job.recipients {
            let received = times(&recipient.address) > 0;
            match recipient.state() {
                RecipientState::Submitted if !received => account.never_received += 1,
                RecipientState::Failed | RecipientState::Scheduled if received => account.wrongly_received += 1,
                _ => {}
            }
        }
        let is_received = job.recipients.iter().any(|recipient| times(&recipient.address) > 0);
        account.doubtful_received += usize::from(job.state() == JobState::InDoubt && is_received);
    }
    let own: BTreeSet<String> = jobs.iter().map(|job| bare(&job.message_id)).collect();
    let doubles = evidence.records.duplicates();
    account.duplicates = doubles.iter().filter(|double| own.contains(&bare(&double.message_id))).count();
    account
}

/// The most that the server received in any window, by its own clock.
fn quota_rows(records: &Records) -> Vec<Row> {
    let quotas =
        SENDERS.iter().enumerate().flat_map(|(place, sender)| sender.quotas.iter().map(move |quota| (place, quota)));
    quotas
        .map(|(place, quota)| {
            let most = records.most_in_window(&SENDERS[place].address(), quota.unit, quota.window());
            let mut cells = vec![String::new(); SENDERS.len()];
            cells[place] = format!("{most} of {}", quota.limit);
            let label = format!("most {} in any {} s", quota.noun(), quota.seconds);
            Row { label, cells, holds: Some(most <= usize::try_from(quota.limit).unwrap_or(usize::MAX)) }
        })
        .collect()
}

fn receipts(records: &Records) -> Receipts {
    let mut receipts = Receipts::new();
    for message in records.accepted() {
        for recipient in message.recipients {
            *receipts.entry((bare(&message.message_id), recipient)).or_default() += 1;
        }
    }
    receipts
}

/// A Message-ID without its brackets.
pub(super) fn bare(message_id: &str) -> String {
    message_id.trim().trim_start_matches('<').trim_end_matches('>').to_owned()
}

#[cfg(test)]
mod tests {
    use hikyaku_client::proto::Recipient;

    use super::*;
    use crate::{app::demo::capture::Received, domain::time::Timestamp};

    struct Case {
        acknowledged: Vec<Vec<String>>,
        jobs: BTreeMap<String, Job>,
        records: Records,
    }

    /// One job of each account in `states`, and receipts of (account, job, milliseconds).
    fn case(states: &[(RecipientState, JobState)], received: &[(usize, usize, u64)]) -> Case {
        let mut case = Case { acknowledged: vec![Vec::new(); 2], jobs: BTreeMap::new(), records: Records::new() };
        for sender in 0..2 {
            for (number, (recipient, state)) in states.iter().enumerate() {
                let id = format!("{sender}-{number}");
                let recipient =
                    Recipient { address: "x@y.jp".to_owned(), state: (*recipient).into(), ..Recipient::default() };
                let job = Job {
                    message_id: format!("{id}@m"),
                    state: (*state).into(),
                    recipients: vec![recipient],
                    ..Job::default()
                };
                case.acknowledged[sender].push(id.clone());
                case.jobs.insert(id, job);
            }
        }
        for (sender, number, millis) in received {
            let message = Received {
                message_id: format!("<{sender}-{number}@m>"),
                sender: SENDERS[*sender].address(),
                recipients: vec!["x@y.jp".to_owned()],
                ..Received::default()
            };
            assert!(case.records.take(message, || Timestamp::from_millis(*millis)));
        }
        case
    }

    #[track_caller]
    fn check(case: &Case, broken: &[&str]) {
        let Case { acknowledged, jobs, records } = case;
        let proof = Proof::of(Evidence { acknowledged, jobs, records });
        assert_eq!(proof.broken(), broken, "\n{}", proof.table());
        assert_eq!(proof.holds(), broken.is_empty());
    }

    const SENT: (RecipientState, JobState) = (RecipientState::Submitted, JobState::Submitted);
    const FAILED: (RecipientState, JobState) = (RecipientState::Failed, JobState::Failed);
    const DOUBT: (RecipientState, JobState) = (RecipientState::InDoubt, JobState::InDoubt);

    #[test]
    fn each_broken_claim_is_found() {
        let all = [SENT, FAILED, DOUBT];
        check(&case(&all, &[(0, 0, 1), (1, 0, 1), (1, 2, 1)]), &[]);
        check(&case(&all, &[(0, 0, 1)]), &["sent, but never received"]);
        check(&case(&all, &[(0, 0, 1), (1, 0, 1), (0, 1, 1)]), &["failed or scheduled, but received"]);
        check(&case(&all, &[(0, 0, 1), (1, 0, 1), (1, 0, 2)]), &["received twice: duplicates"]);
        let queued = (RecipientState::Queued, JobState::Queued);
        check(&case(&[queued], &[]), &["waiting for the server"]);
        let mut lost = case(&all, &[(0, 0, 1), (1, 0, 1)]);
        lost.jobs.remove("0-1");
        check(&lost, &["accepted - sent - failed - waiting"]);
        check(&case(&[], &[]), &["accepted by hikyakud"]);
    }

    #[test]
    fn a_full_window_holds_and_a_fuller_one_does_not() {
        let limit = usize::try_from(SENDERS[0].quotas[0].limit).unwrap();
        let received = |count: usize| -> Vec<(usize, usize, u64)> {
            (0..count).map(|number| (0, number, 1_000)).chain((0..count).map(|n| (1, n, n as u64 * 60_000))).collect()
        };
        check(&case(&vec![SENT; limit], &received(limit)), &[]);
        check(&case(&vec![SENT; limit + 1], &received(limit + 1)), &["most messages in any 2 s"]);
    }
}
