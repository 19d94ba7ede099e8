//! Do the three books agree: what clients were told, what the server took, and what the store says?

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use hikyaku_client::proto::{Job, JobState, Recipient, RecipientState, Verdict};

use crate::{
    recorder::{Delivery, bare, most_in_window, times},
    told::{Entry, Plan},
};

/// How many breaks of one kind are told in full.
const SHOWN_MAX: usize = 5;

/// The three books.
#[derive(Debug)]
pub(crate) struct Books<'b> {
    pub(crate) told: &'b [Entry],
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
    no_strangers(books, &mut findings);
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
            (_, Plan::Cancel) => !entry.cancelled && received == 0,
            (RecipientState::Submitted, _) => received > 0,
            (RecipientState::Failed, _) => is_refused(recipient) && received == 0,
            (RecipientState::InDoubt, _) => allowed.in_doubt && received < 2,
            _ => false,
        };
        match state {
            RecipientState::Submitted => findings.submitted += 1,
            RecipientState::Failed => findings.refused += 1,
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
fn no_strangers(books: &Books<'_>, findings: &mut Findings) {
    let jobs: BTreeMap<String, &Job> = books.jobs.iter().map(|job| (bare(&job.message_id), job)).collect();
    for one in books.deliveries {
        let Some(job) = jobs.get(&one.message_id) else {
            findings.broken.push(format!("resurrected: {} for {} is of no job", one.message_id, one.recipient));
            continue;
        };
        if !job.recipients.iter().any(|recipient| recipient.address == one.recipient) {
            findings.broken.push(format!("astray: {} was sent to {}", job.subject, one.recipient));
        }
        if job.state() == JobState::Cancelled {
            findings.broken.push(format!("resurrected: {} was cancelled and received", job.subject));
        }
        if !one.content.is_empty() && !holds(&one.content, &job.subject) {
            findings.broken.push(format!("wrong bytes: {} arrived with another content", job.subject));
        }
    }
}

/// Whether the message has this key as its subject and in its body.
fn holds(content: &[u8], key: &str) -> bool {
    let text = String::from_utf8_lossy(content);
    text.contains(&format!("Subject: {key}\r\n")) && text.contains(&format!("{key} line 0"))
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
        if allowed.doubles.as_ref().is_some_and(|allowed| !allowed.contains(message_id)) {
            findings.broken.push(format!("repeated although on hold: {} for {address}", job.subject));
        }
    }
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
