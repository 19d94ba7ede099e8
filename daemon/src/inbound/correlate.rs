//! Which recipients of ours are the findings of a mail about? The store is asked what the leads ask for, and no more.

use crate::{
    domain::{
        address::Address,
        ids::{AccountId, Label, MessageKey},
        inbound::{Correlation, FINDINGS_MAX, Subject},
        job::{Audience, Job},
        merge::MessageClass,
        recipient::RecipientState,
        time::Timestamp,
    },
    policy::{
        bounce::Findings,
        correlation::{
            Candidate, Lead, NAMES_MAX, Named, RECIPIENT_WITHIN, is_same, leads, may_go_by_recipient, subject,
        },
        verp::VerpKey,
    },
    storage::{JobFilter, Page, RecipientPage, SharedStorage, StorageError},
};

/// Most findings of one mail that are looked for by recipient and time: each looks through many jobs.
const LOOKED_FOR_MAX: usize = 5;
/// Most pages of jobs that are looked through for one recipient.
const JOB_PAGES_MAX: usize = 3;
const PAGE_JOBS: usize = 100;
/// Most pages of the recipients of a merge job that are looked through for one of them.
const RECIPIENT_PAGES_MAX: usize = 5;
const PAGE_RECIPIENTS: usize = 1_000;

/// Looks for messages of an account.
#[derive(Debug)]
pub(super) struct Correlator<'a> {
    pub(super) storage: &'a SharedStorage,
    pub(super) verp: &'a VerpKey,
    /// Whose mailbox it is.
    pub(super) account: &'a AccountId,
    /// Whether what comes back to the account bears a tag that we signed (VERP): what bears none is not about its mail then, unless it
    /// names a message.
    pub(super) is_tagged: bool,
    pub(super) now: Timestamp,
}

/// A recipient of ours that a finding is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Met {
    pub(super) subject: Subject,
    pub(super) address: Address,
    /// The account that sent the message.
    pub(super) account: AccountId,
    pub(super) labels: Vec<Label>,
}

/// A message that a lead led to.
struct Found {
    candidate: Candidate,
    account: AccountId,
    labels: Vec<Label>,
}

impl Correlator<'_> {
    /// Whom each finding is about, in the order of the findings, at most [`FINDINGS_MAX`] of them.
    pub(super) async fn correlate(&self, findings: &Findings) -> Result<Vec<Option<Met>>, StorageError> {
        let mut found = Vec::new();
        let leads = leads(findings, self.verp);
        let may_go_by_recipients = !self.is_tagged && leads.contains(&Lead::Recipients);
        for lead in leads.into_iter().take(NAMES_MAX) {
            found.extend(self.follow(lead).await?);
        }
        let (mut met, mut looked_for) = (Vec::new(), 0);
        for finding in findings.recipients.iter().take(FINDINGS_MAX) {
            let named = found.iter().find_map(|found| found.met(subject(&found.candidate, finding)?));
            met.push(match (named, finding.recipient.as_deref()) {
                (None, Some(told))
                    if may_go_by_recipients && may_go_by_recipient(finding) && looked_for < LOOKED_FOR_MAX =>
                {
                    looked_for += 1;
                    self.by_recipient(told).await?
                }
                (named, _) => named,
            });
        }
        Ok(met)
    }

    async fn follow(&self, lead: Lead) -> Result<Option<Found>, StorageError> {
        let named = match lead {
            Lead::Message(named) => Some((named, None)),
            Lead::Name(name) => {
                let message = self.storage.message_named(self.account, &name).await?;
                let by = Correlation::ProviderId;
                message.map(|message| (Named { message, by, is_proven: false }, Some(name)))
            }
            Lead::Recipients => None,
        };
        let Some((named, name)) = named else { return Ok(None) };
        match self.load(named, name.as_deref()).await {
            Err(StorageError::Damaged(error)) => {
                tracing::warn!(message = %named.message, error, "a mail is about a job that cannot be read");
                Ok(None)
            }
            loaded => loaded,
        }
    }

    /// The message, unless it is another account's: of those only what we signed is believed.
    async fn load(&self, named: Named, name: Option<&str>) -> Result<Option<Found>, StorageError> {
        let MessageKey { job: id, index } = named.message;
        let Some(job) = self.storage.job(id).await?.map(|record| record.job) else { return Ok(None) };
        if job.account != *self.account && !named.is_proven {
            return Ok(None);
        }
        let by = match name {
            // The store does not say whether the submitter or the provider chose it. What a submitter chose can be guessed.
            Some(name) if job.message.message_id.trim_matches(['<', '>']) == name => Correlation::Recipient,
            _ => named.by,
        };
        let (is_of_merge, recipients) = match &job.audience {
            Audience::Together(recipients) if index == 0 => {
                (false, (0..).zip(recipients.iter().map(|recipient| recipient.address.clone())).collect())
            }
            Audience::Together(_) => return Ok(None),
            Audience::Each(_) => (true, self.recipient_of_merge(named.message).await?.into_iter().collect()),
        };
        let candidate = Candidate { named: Named { by, ..named }, is_of_merge, recipients };
        Ok(Some(Found { candidate, account: job.account, labels: job.labels }))
    }

    async fn recipient_of_merge(&self, message: MessageKey) -> Result<Option<(u32, Address)>, StorageError> {
        let page = RecipientPage { after: message.index.checked_sub(1), limit: 1, classes: Vec::new() };
        let messages = self.storage.merge_recipients(message.job, page).await?;
        let first = messages.and_then(|messages| messages.messages.into_iter().next());
        let first = first.filter(|first| first.index == message.index);
        Ok(first.map(|first| (first.index, first.recipient.address)))
    }

    /// The only message of the account that was taken for this recipient of late, when that is certain.
    async fn by_recipient(&self, told: &str) -> Result<Option<Met>, StorageError> {
        let Ok(address) = told.parse::<Address>() else { return Ok(None) };
        let filter = JobFilter {
            account: Some(self.account.clone()),
            recipient: Some(address.as_str().to_owned()),
            // What was scheduled was accepted earlier than it was sent.
            accepted_from: Some(self.now.before(2 * RECIPIENT_WITHIN)),
            ..JobFilter::default()
        };
        let (mut only, mut after) = (None, None);
        for _ in 0..JOB_PAGES_MAX {
            let page = self.storage.list(&filter, Page { after, limit: PAGE_JOBS, now: self.now }).await?;
            for record in &page.jobs {
                let Some(taken) = self.taken_for(&record.job, &address).await? else { return Ok(None) };
                for met in taken {
                    if only.replace(met).is_some() {
                        return Ok(None);
                    }
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(only);
            }
        }
        Ok(None)
    }

    /// The messages of a job that were taken for this recipient of late; nothing when it has too many to be looked through.
    async fn taken_for(&self, job: &Job, address: &Address) -> Result<Option<Vec<Met>>, StorageError> {
        let since = self.now.before(RECIPIENT_WITHIN);
        let is_late = |state: &RecipientState| matches!(state, RecipientState::Submitted { at, .. } if *at >= since);
        let met = |index: u32, recipient: u32, address: &Address| Met {
            subject: Subject {
                message: MessageKey { job: job.id, index },
                recipient,
                correlation: Correlation::Recipient,
            },
            address: address.clone(),
            account: job.account.clone(),
            labels: job.labels.clone(),
        };
        if let Audience::Together(recipients) = &job.audience {
            let numbered = (0..).zip(recipients).filter(|(_, recipient)| is_same(address.as_str(), &recipient.address));
            let taken = numbered.filter(|(_, recipient)| is_late(&recipient.state));
            return Ok(Some(taken.map(|(place, recipient)| met(0, place, &recipient.address)).collect()));
        }
        let (mut taken, mut after) = (Vec::new(), None);
        for _ in 0..RECIPIENT_PAGES_MAX {
            let page = RecipientPage { after, limit: PAGE_RECIPIENTS, classes: vec![MessageClass::Submitted] };
            let Some(messages) = self.storage.merge_recipients(job.id, page).await? else { return Ok(None) };
            for message in messages.messages {
                if is_same(address.as_str(), &message.recipient.address) && is_late(&message.state) {
                    taken.push(met(message.index, message.index, &message.recipient.address));
                }
            }
            after = messages.next;
            if after.is_none() {
                return Ok(Some(taken));
            }
        }
        Ok(None)
    }
}

impl Found {
    fn met(&self, subject: Subject) -> Option<Met> {
        let (_, address) = self.candidate.recipients.iter().find(|(place, _)| *place == subject.recipient)?;
        Some(Met { subject, address: address.clone(), account: self.account.clone(), labels: self.labels.clone() })
    }
}
