//! Which message of ours is a mail about, and which recipient of it? What to look for, in which order, and what to believe.
//!
//! A mail can say anything. What changes more than the state of one recipient rests on what only the provider, or a reader
//! of that very message, can know: the signed tag in the address to which it came, the id of a job, or the provider's own id.

use std::{collections::HashSet, time::Duration};

use super::{
    bounce::{Finding, Findings, Kind},
    provider_id::without_amazon_domain,
    verp::VerpKey,
};
use crate::domain::{
    address::Address,
    ids::{JobId, MessageKey},
    inbound::{Correlation, Subject},
};

/// Most names of messages that are looked up for one mail.
pub const NAMES_MAX: usize = 10;
/// How long after a message was taken a report is believed to be about it that names nothing but its recipient. Servers
/// give up after five days (RFC 5321 4.5.4.1).
pub const RECIPIENT_WITHIN: Duration = Duration::from_secs(5 * 86_400);

/// A way to our message, the most certain first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lead {
    /// The mail names it.
    Message(Named),
    /// The mail brings a Message-ID that is not made of a job's id: the store knows those that submitters and providers chose.
    Name(Box<str>),
    /// It names nothing: only the recipients are left.
    Recipients,
}

/// A message that a mail names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// The message.
    pub message: MessageKey,
    /// By what.
    pub by: Correlation,
    /// Whether we signed it, so that nobody else can have made it up.
    pub is_proven: bool,
}

/// A message of ours as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its name, and by what it was found.
    pub named: Named,
    /// Whether it is one of a merge job, whose readers could guess the names of the others.
    pub is_of_merge: bool,
    /// Its recipients, each with its place in the job.
    pub recipients: Vec<(u32, Address)>,
}

/// The ways to the message that a mail is about, the most certain first; none for a mail that reports nothing.
///
/// A mail that names a message which is not found is about somebody else's, or made up: its recipients are no way then.
#[must_use]
pub fn leads(findings: &Findings, verp: &VerpKey) -> Vec<Lead> {
    if findings.recipients.is_empty() {
        return Vec::new();
    }
    let tags = findings.arrival.recipients.iter().filter_map(|address| verp.message(&address.parse().ok()?));
    let tags = tags.map(|message| Named { message, by: Correlation::Verp, is_proven: true });
    let header = findings.returned.job.as_deref().and_then(|text| header(text, verp));
    let named = tags.chain(header).map(Lead::Message);
    let ids = findings.returned.message_id.iter().chain(&findings.arrival.answers).map(|id| of_message_id(id));
    let mut seen = HashSet::new();
    let mut leads: Vec<Lead> = named.chain(ids.take(NAMES_MAX)).filter(|lead| seen.insert(key_of(lead))).collect();
    if leads.is_empty() && findings.returned.job.is_none() {
        leads.push(Lead::Recipients);
    }
    leads
}

/// The recipient of a candidate that a finding is about, if there is one and the finding may speak of it.
#[must_use]
pub fn subject(candidate: &Candidate, finding: &Finding) -> Option<Subject> {
    let Candidate { named, is_of_merge, recipients } = candidate;
    let is_weak = *is_of_merge && !named.is_proven && named.by != Correlation::ProviderId;
    let only = match recipients.as_slice() {
        [(place, _)] => Some(*place),
        _ => None,
    };
    let told = [&finding.recipient, &finding.final_recipient];
    let told = || told.into_iter().flatten();
    let met = recipients.iter().find(|(_, address)| told().any(|told| is_same(told, address)));
    let place = match met {
        Some((place, _)) => *place,
        // Whoever got the tagged mail may have passed it on to an address that we do not know.
        None if named.is_proven => only?,
        None if told().next().is_none() && !is_weak => only?,
        None => return None,
    };
    let correlation = if is_weak { Correlation::Recipient } else { named.by };
    Some(Subject { message: named.message, recipient: place, correlation })
}

/// Whether a finding is worth looking for by recipient and time.
#[must_use]
pub fn may_go_by_recipient(finding: &Finding) -> bool {
    finding.recipient.is_some() && matches!(finding.kind, Kind::Hard | Kind::Soft | Kind::Complaint)
}

/// Whether a report's address is this one. Servers write addresses in any case.
#[must_use]
pub fn is_same(told: &str, address: &Address) -> bool {
    told.eq_ignore_ascii_case(address.as_str())
        || told.parse::<Address>().is_ok_and(|told| told.as_str().to_lowercase() == address.as_str().to_lowercase())
}

/// What our private header names: `job`, or `job/index/proof` for a message of a merge job.
fn header(text: &str, verp: &VerpKey) -> Option<Named> {
    let (message, is_proven) = verp.verify_header(text)?;
    Some(Named { message, by: Correlation::Header, is_proven })
}

/// Our own Message-IDs begin with the job's id, of a merge job with a dot and the message's number behind it.
fn of_message_id(id: &str) -> Lead {
    let local = id.split_once('@').map_or(id, |(local, _)| local);
    let (job, index) = local.split_once('.').map_or((local, Some(0)), |(job, index)| (job, index.parse().ok()));
    match (job.parse::<JobId>(), index) {
        (Ok(job), Some(index)) => {
            let message = MessageKey { job, index };
            Lead::Message(Named { message, by: Correlation::MessageId, is_proven: false })
        }
        // Of what Amazon SES writes into Message-ID, it told us but a part when it took the message.
        _ => Lead::Name(without_amazon_domain(id).unwrap_or(id).into()),
    }
}

/// By what leads are told apart: a message that was found once is not looked for again by what is less certain.
fn key_of(lead: &Lead) -> Option<Result<MessageKey, Box<str>>> {
    match lead {
        Lead::Message(named) => Some(Ok(named.message)),
        Lead::Name(name) => Some(Err(name.clone())),
        Lead::Recipients => None,
    }
}

#[cfg(test)]
mod tests;
