//! Do the three books agree: what clients were told, what the server took, and what the store says?

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use hikyaku_client::proto::{Job, JobState, Recipient, RecipientState, Verdict};
use hikyaku_daemon::compose::cuts;

use crate::{
    recorder::{Delivery, bare, most_in_window, times},
    told::{Ending, Entry, Plan, carries_catalogue, catalogue},
};

/// How long after the daemon was killed a busy recorder may note what it had sent before.
const STOP_LATE_MILLIS: u64 = 500;
/// How many breaks of one kind are told in full.
const SHOWN_MAX: usize = 5;

/// The three books.
#[derive(Debug)]
pub(crate) struct Books<'b> {
    pub(crate) told: &'b [Entry],
    /// Jobs that watchers were told to have ended.
    pub(crate) endings: &'b BTreeMap<String, Ending>,
    pub(crate) deliveries: &'b [Delivery],
    /// All jobs of the store; those with more than one attempt with their attempts.
    pub(crate) jobs: &'b [Job],
}

/// What an account may send.
#[derive(Clone, Debug)]
pub(crate) struct Quota {
    pub(crate) sender: String,
    pub(crate) limit: u32,
    pub(crate) window: Duration,
}

/// What is allowed besides the invariants.
#[derive(Clone, Debug, Default)]
pub(crate) struct Allowed {
    /// Message-IDs that may end, or be sent twice, in doubt; any when unset.
    pub(crate) doubles: Option<BTreeSet<String>>,
    /// Whether recipients may rest in doubt.
    pub(crate) in_doubt: bool,
    pub(crate) quotas: Vec<Quota>,
    /// When the daemon was stopped, in milliseconds since 1970: what was in flight then is in doubt.
    pub(crate) stops: Vec<u64>,
    /// Senders whose server's conduct may make a refusal of anything; what it took must still not be called refused.
    pub(crate) may_refuse: BTreeSet<String>,
    /// How much later than it took a message the recorder may note it, in milliseconds.
    pub(crate) lateness_millis: u64,
    /// Whether an operator cancelled what servers never took; in doubt, they may have.
    pub(crate) given_up: bool,
}

/// How often each promise was broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Breaks {
    /// Acknowledged and gone.
    pub(crate) lost: usize,
    /// Ended for all to see, or never accepted, and sent after that.
    pub(crate) resurrected: usize,
    /// Received again although nothing was in doubt.
    pub(crate) repeated: usize,
    /// Windows with more than their quota.
    pub(crate) over_sent: usize,
    /// All else.
    pub(crate) others: usize,
}

/// What the checker found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) acknowledged: usize,
    pub(crate) submitted: usize,
    pub(crate) refused: usize,
    pub(crate) cancelled: usize,
    pub(crate) in_doubt: usize,
    /// Messages and recipients that were received more than once.
    pub(crate) duplicates: usize,
    /// Every broken invariant.
    pub(crate) broken: Vec<String>,
}

/// Compares the books.
pub(crate) fn check(books: &Books<'_>, allowed: &Allowed) -> Findings {
    let mut findings = Findings::default();
    let times = times(books.deliveries);
    let by_id: BTreeMap<&str, &Job> = books.jobs.iter().map(|job| (job.job_id.as_str(), job)).collect();
    for entry in books.told {
        let Some(id) = &entry.job_id else { continue };
        findings.acknowledged += 1;
        match by_id.get(id.as_str()) {
            None => findings.broken.push(format!("lost: {} was acknowledged as {id}", entry.submission.key)),
            Some(job) => ends(entry, job, &times, allowed, &mut findings),
        }
    }
    one_job_a_key(books, &mut findings);
    no_strangers(books, allowed, &mut findings);
    no_revenants(books, allowed, &mut findings);
    doubles(books, &times, allowed, &mut findings);
    for Quota { sender, limit, window } in &allowed.quotas {
        let most = most_in_window(books.deliveries, sender, *window);
        if most > usize::try_from(*limit).unwrap_or(usize::MAX) {
            findings.broken.push(format!("over-sent: {sender} has {most} in {window:?}, {limit} are allowed"));
        }
    }
    findings
}

/// Each recipient of an acknowledged job came to the end it should.
fn ends(entry: &Entry, job: &Job, times: &BTreeMap<(&str, &str), usize>, allowed: &Allowed, findings: &mut Findings) {
    let key = &entry.submission.key;
    if job.subject != *key || addresses(job) != entry.submission.recipients {
        findings.broken.push(format!("mixed up: {key} has become {} for {:?}", job.subject, addresses(job)));
    }
    let message_id = bare(&job.message_id);
    for recipient in &job.recipients {
        let received = times.get(&(message_id.as_str(), recipient.address.as_str())).copied().unwrap_or_default();
        let state = recipient.state();
        let right = match (state, entry.submission.plan) {
            (RecipientState::Cancelled, Plan::Cancel) => received == 0,
            (RecipientState::Cancelled, Plan::Send) => {
                allowed.given_up && (received == 0 || doubts(job, &recipient.address) > 0)
            }
            (_, Plan::Cancel) => !entry.cancelled && received == 0,
            (RecipientState::Submitted, _) => received > 0,
            (RecipientState::Failed, _) => {
                // A server that says 250 and then 550 has said neither.
                let is_both = recipient.address.starts_with("mixed-dot");
                let unsure = allowed.given_up && (is_both || doubts(job, &recipient.address) > 0);
                (received == 0 || unsure)
                    && (is_refused(recipient) || allowed.may_refuse.contains(&entry.submission.account))
            }
            // Who was refused as unknown and is tried again is left out.
            (RecipientState::Suppressed, _) => received == 0 && is_refused(recipient),
            (RecipientState::InDoubt, _) => allowed.in_doubt && received < 2,
            _ => false,
        };
        match state {
            RecipientState::Submitted => findings.submitted += 1,
            RecipientState::Failed | RecipientState::Suppressed => findings.refused += 1,
            RecipientState::Cancelled => findings.cancelled += 1,
            RecipientState::InDoubt => findings.in_doubt += 1,
            _ => {}
        }
        if !right {
            let address = &recipient.address;
            findings.broken.push(format!("wrong end: {key} for {address} is {state:?}, received {received} times"));
        }
    }
}

fn is_refused(recipient: &Recipient) -> bool {
    recipient.address.starts_with("refused-") || recipient.address.starts_with("rcpt-550-")
}

fn addresses(job: &Job) -> Vec<String> {
    job.recipients.iter().map(|recipient| recipient.address.clone()).collect()
}

/// Nobody's key made two jobs, repeated or not, and no job is of a key that nobody used.
fn one_job_a_key(books: &Books<'_>, findings: &mut Findings) {
    let keys: BTreeSet<&str> = books.told.iter().map(|entry| entry.submission.key.as_str()).collect();
    let mut seen = BTreeSet::new();
    for job in books.jobs {
        if !keys.contains(job.subject.as_str()) {
            findings.broken.push(format!("unknown: nobody submitted {} ({})", job.job_id, job.subject));
        }
        if !seen.insert(job.subject.as_str()) {
            findings.broken.push(format!("stored twice: {} ({})", job.job_id, job.subject));
        }
    }
}

/// Whatever was received is of a job that exists, for one of its recipients, and not of a cancelled one.
fn no_strangers(books: &Books<'_>, allowed: &Allowed, findings: &mut Findings) {
    let jobs: BTreeMap<String, &Job> = books.jobs.iter().map(|job| (bare(&job.message_id), job)).collect();
    for one in books.deliveries {
        let Some(job) = jobs.get(&one.message_id) else {
            findings.broken.push(format!("resurrected: {} for {} is of no job", one.message_id, one.recipient));
            continue;
        };
        if !job.recipients.iter().any(|recipient| recipient.address == one.recipient) {
            findings.broken.push(format!("astray: {} was sent to {}", job.subject, one.recipient));
        }
        if job.state() == JobState::Cancelled && !(allowed.given_up && doubts(job, &one.recipient) > 0) {
            findings.broken.push(format!("resurrected: {} was cancelled and received", job.subject));
        }
        if !one.content.is_empty() && !holds(&one.content, &job.subject) {
            findings.broken.push(format!("wrong bytes: {} arrived with another content", job.subject));
        }
    }
}

/// A job that ended for all to see stays as it ended, and is not sent after that.
fn no_revenants(books: &Books<'_>, allowed: &Allowed, findings: &mut Findings) {
    let jobs: BTreeMap<String, &Job> = books.jobs.iter().map(|job| (bare(&job.message_id), job)).collect();
    let ending = |job: &Job| books.endings.get(&job.job_id).copied();
    for (job, ending) in books.jobs.iter().filter_map(|job| Some((job, ending(job)?))) {
        if job.state() != ending.state {
            let (subject, was, is) = (&job.subject, ending.state, job.state());
            findings.broken.push(format!("resurrected: {subject} had ended as {was:?} and is {is:?}"));
        }
    }
    for one in books.deliveries {
        let Some((job, ending)) = jobs.get(&one.message_id).and_then(|job| Some((job, ending(job)?))) else { continue };
        if one.at_millis > ending.at_millis + allowed.lateness_millis {
            let (subject, late) = (&job.subject, one.at_millis - ending.at_millis);
            findings.broken.push(format!("resurrected: {subject} was received {late} ms after it had ended"));
        }
    }
}

/// Whether the message has this key as its subject and in its body.
fn holds(content: &[u8], key: &str) -> bool {
    let text = String::from_utf8_lossy(content);
    let is_whole = !carries_catalogue(key) || {
        let expected = catalogue();
        let found = cuts::find(content, expected.len());
        found.into_iter().any(|stretch| cuts::decode(content, stretch).as_ref() == Some(&expected))
    };
    is_whole && text.contains(&format!("Subject: {key}\r\n")) && text.contains(&format!("{key} line 0"))
}

/// Each repetition is explained by an attempt in doubt in the job's journal.
fn doubles(books: &Books<'_>, times: &BTreeMap<(&str, &str), usize>, allowed: &Allowed, findings: &mut Findings) {
    let jobs: BTreeMap<String, &Job> = books.jobs.iter().map(|job| (bare(&job.message_id), job)).collect();
    for (&(message_id, address), &received) in times.iter().filter(|(_, received)| **received > 1) {
        findings.duplicates += 1;
        let Some(job) = jobs.get(message_id) else { continue };
        let doubts = doubts(job, address);
        if received > doubts + 1 {
            let key = &job.subject;
            findings.broken.push(format!("repeated: {key} for {address} {received} times, in doubt {doubts} times"));
        }
        if let Some(gap) = unexplained(books.deliveries, message_id, address, allowed) {
            let key = &job.subject;
            findings.broken.push(format!("repeated: {key} for {address} after {gap} ms, while nothing was stopped"));
        }
        if allowed.doubles.as_ref().is_some_and(|allowed| !allowed.contains(message_id)) {
            findings.broken.push(format!("repeated although on hold: {} for {address}", job.subject));
        }
    }
}

/// The time between two receptions of which the first was answered, while the daemon ran all the time: the recorder's
/// own view of what can be in doubt.
fn unexplained(deliveries: &[Delivery], message_id: &str, address: &str, allowed: &Allowed) -> Option<u64> {
    let same = deliveries.iter().filter(|one| one.message_id == message_id && one.recipient == address);
    let mut same: Vec<&Delivery> = same.collect();
    same.sort_by_key(|one| one.at_millis);
    let is_explained = |first: &Delivery, second: &Delivery| {
        !first.answered
            || allowed.stops.iter().any(|stop| first.at_millis <= stop + STOP_LATE_MILLIS && *stop <= second.at_millis)
    };
    let pair = same.windows(2).find(|pair| !is_explained(pair[0], pair[1]))?;
    Some(pair[1].at_millis - pair[0].at_millis)
}

/// How many attempts left this recipient in doubt.
fn doubts(job: &Job, address: &str) -> usize {
    let index = job.recipients.iter().position(|recipient| recipient.address == address);
    let Some(index) = index.and_then(|index| u32::try_from(index).ok()) else { return 0 };
    let outcomes = job.attempts.iter().flat_map(|attempt| &attempt.outcomes);
    let doubtful = outcomes.filter(|outcome| {
        outcome.recipients.contains(&index)
            && outcome.finding.as_ref().is_some_and(|finding| finding.verdict() == Verdict::InDoubt)
    });
    doubtful.count()
}

impl Findings {
    /// The breaks, counted by promise.
    pub(crate) fn breaks(&self) -> Breaks {
        let mut breaks = Breaks::default();
        for line in &self.broken {
            let line = line.strip_prefix("while held, ").unwrap_or(line);
            let count = match line.split([':', ' ']).next().unwrap_or_default() {
                "lost" => &mut breaks.lost,
                "resurrected" => &mut breaks.resurrected,
                "repeated" => &mut breaks.repeated,
                "over-sent" => &mut breaks.over_sent,
                _ => &mut breaks.others,
            };
            *count += 1;
        }
        breaks
    }

    /// The breaks, of each kind a few.
    pub(crate) fn shown(&self) -> Vec<String> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut shown = Vec::new();
        for one in &self.broken {
            let count = counts.entry(one.split(':').next().unwrap_or_default()).or_default();
            *count += 1;
            if *count <= SHOWN_MAX {
                shown.push(one.clone());
            }
        }
        shown.extend(counts.iter().map(|(kind, count)| format!("{kind}: {count} in all")));
        shown
    }
}

#[cfg(test)]
mod tests;
