//! What a store does for mail that comes into the mailboxes of accounts: each is taken in once, with all that follows from it.

use std::{collections::HashSet, fmt};

use async_trait::async_trait;

use super::StorageError;
use crate::domain::{
    ids::{AccountId, MessageKey},
    inbound::{Effect, InboundFinding, InboundId, InboundMail, MailboxChange, MailboxId, Nature, ReadMark},
    job::Job,
    report::Report,
    statistics::Counted,
    suppression::{SoftBounce, Suppression},
    time::Timestamp,
};

/// Most mails that one call of [`InboundStore::list_inbound`] looks at before it returns what it has found so far.
pub const INBOUND_SCAN_MAX: usize = 20_000;
/// How many bytes of mails one call of [`InboundStore::list_inbound`] may have found before it returns them: a mail with very many
/// findings takes megabytes.
pub const INBOUND_PAGE_BYTES_MAX: usize = 4 * 1_024 * 1_024;
/// How long a Message-ID is remembered, by which a mail is known that comes twice, in days.
pub const FINGERPRINT_DAYS: u64 = 14;

/// Mail that comes.
#[async_trait]
pub trait InboundStore: Send + Sync + fmt::Debug {
    /// The messages of a mailbox that were read and not forgotten: the hashes of their unique ids.
    async fn read_messages(&self, account: &AccountId, mailbox: MailboxId) -> Result<HashSet<[u8; 16]>, StorageError>;

    /// Up to which UID a folder of a mailbox was read, with the folder's UIDVALIDITY then; nothing when it never was.
    async fn read_up_to(
        &self,
        account: &AccountId,
        mailbox: MailboxId,
        folder: [u8; 8],
    ) -> Result<Option<(u32, u32)>, StorageError>;

    /// Takes a mail in: notes that it was read, keeps it, and does what follows from it, all in one commit. What follows is decided
    /// by the committer on the recipient as it is then: see [`Consequence`]. A mail that was read before, or is as another one that
    /// was, changes nothing but the mark.
    ///
    /// # Errors
    /// With [`StorageError::Overloaded`] when the account is gone.
    async fn ingest(&self, ingestion: Ingestion) -> Result<Ingested, StorageError>;

    /// Forgets that messages of a mailbox were read, because they are no longer in it.
    async fn forget_read(
        &self,
        account: &AccountId,
        mailbox: MailboxId,
        messages: Vec<[u8; 16]>,
    ) -> Result<(), StorageError>;

    /// Writes the event that says what happened to a mailbox: that it fails, works again, or is crowded. Of an account that is gone
    /// nothing is written.
    async fn note_mailbox(
        &self,
        account: &AccountId,
        change: MailboxChange,
        now: Timestamp,
    ) -> Result<(), StorageError>;

    /// A mail that is kept.
    async fn inbound(&self, id: InboundId) -> Result<Option<InboundMail>, StorageError>;

    /// Mails that match, the youngest first, beginning after `after`, up to `limit` (at most [`PAGE_MAX`](super::PAGE_MAX)) and to
    /// [`INBOUND_PAGE_BYTES_MAX`], but one at least; without their content.
    async fn list_inbound(
        &self,
        filter: &InboundFilter,
        after: Option<InboundId>,
        limit: usize,
    ) -> Result<InboundPage, StorageError>;

    /// The message of an account that has this name: one that its provider gave it ([`Aftermath::provider_id`](super::settlement::Aftermath::provider_id)),
    /// or the Message-ID that its submitter chose. Without angle brackets.
    async fn message_named(&self, account: &AccountId, name: &str) -> Result<Option<MessageKey>, StorageError>;
}

/// A mail to be taken in.
#[derive(Clone, Debug)]
pub struct Ingestion {
    /// The account whose mailbox it is.
    pub account: AccountId,
    /// The mailbox.
    pub mailbox: MailboxId,
    /// What notes that it was read.
    pub mark: ReadMark,
    /// A hash by which a mail that comes twice is known, if such are to be dropped.
    pub fingerprint: Option<[u8; 16]>,
    /// What is kept of it; nothing of mail that is neither for us nor wanted.
    pub mail: Option<Box<InboundMail>>,
    /// What follows from its findings.
    pub consequences: Vec<Consequence>,
    /// That it was skipped, if it was.
    pub skipped: Option<MailboxChange>,
    /// When.
    pub now: Timestamp,
}

/// What follows from a finding of a mail, if its recipient is SUBMITTED or in doubt: it is BOUNCED then, or COMPLAINED. A recipient that
/// has bounced or complained before stays as it is, and nothing of this is done: one message is counted once. A delay is only noted in
/// an event. Whoever correlates says which account's message it may be; what is counted is counted for the account that sent it.
#[derive(Clone, Debug)]
pub struct Consequence {
    /// The finding's place in [`InboundMail::findings`]; its subject is who it is about.
    pub finding: usize,
    /// What becomes known of the recipient.
    pub report: Report,
    /// Who must not be sent to from now on. A suppression that is there already stays as it is, unless it would end sooner.
    pub suppression: Option<Suppression>,
    /// What counts towards one.
    pub soft_bounce: Option<SoftBounce>,
    /// What is counted.
    pub counted: Vec<Counted>,
}

impl InboundFilter {
    /// Whether a mail is meant.
    pub(in crate::storage) fn matches(&self, mail: &InboundMail) -> bool {
        (self.accounts.is_empty() || self.accounts.contains(&mail.account))
            && self.nature.is_none_or(|nature| mail.nature == nature)
            && (!self.uncorrelated || mail.is_uncorrelated())
            && self.arrived_from.is_none_or(|from| mail.id >= InboundId::first_at(from))
            && self.arrived_before.is_none_or(|end| mail.id < InboundId::first_at(end))
    }
}

/// What became of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ingested {
    /// It was taken in; what each finding did, in their order.
    Done(Vec<Effect>),
    /// It had been read before: nothing was done.
    ReadBefore,
    /// One like it had been read before: only its mark was noted.
    Duplicate,
}

/// Which mails are meant. Every part that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InboundFilter {
    /// Of one of these accounts; of any when empty.
    pub accounts: Vec<AccountId>,
    /// Of this nature.
    pub nature: Option<Nature>,
    /// Only those of which something was not correlated.
    pub uncorrelated: bool,
    /// Arrived at this time or later.
    pub arrived_from: Option<Timestamp>,
    /// Arrived before this time.
    pub arrived_before: Option<Timestamp>,
}

/// Part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundPage {
    /// The mails.
    pub mails: Vec<InboundMail>,
    /// What the next page begins after; nothing when there are no more. A page may be short and still have a next one, because a call
    /// looks at [`INBOUND_SCAN_MAX`] at most and returns about [`INBOUND_PAGE_BYTES_MAX`].
    pub next: Option<InboundId>,
}

/// About how many bytes a mail takes without its content.
pub(in crate::storage) fn bytes_of(mail: &InboundMail) -> usize {
    let length = |text: &Option<Box<str>>| text.as_deref().map_or(0, str::len);
    let findings = mail.findings.iter().map(|finding| {
        let texts = length(&finding.recipient) + length(&finding.reporting_server) + finding.diagnostic.len();
        size_of::<InboundFinding>() + texts
    });
    let texts = [&mail.date, &mail.from, &mail.subject, &mail.message_id, &mail.folder, &mail.archived_as];
    size_of::<InboundMail>() + texts.into_iter().map(length).sum::<usize>() + findings.sum::<usize>()
}

/// A name as it is kept: without angle brackets. Nothing when nothing is left.
pub(in crate::storage) fn bare_name(name: &str) -> Option<&str> {
    let name = name.trim();
    let name = name.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(name);
    Some(name).filter(|name| !name.is_empty())
}

/// The name by which a plain job has to be remembered: a Message-ID that does not tell the job's id.
pub(in crate::storage) fn own_name(job: &Job) -> Option<&str> {
    let name = bare_name(&job.message.message_id)?;
    (job.merge().is_none() && !name.contains(&job.id.to_string())).then_some(name)
}
