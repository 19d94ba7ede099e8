//! How a mail is taken in, by the committer: what was read of its mailbox, the mail, and what follows from it.

use crate::{
    domain::{
        event::{Event, EventKind, JobChange},
        ids::{AccountId, JobId},
        inbound::{Effect, InboundMail, MailboxChange, MailboxId, ReadMark, Subject},
        report::Report,
        time::Timestamp,
    },
    storage::{
        Consequence, Ingested, Ingestion, StorageError,
        records::inbound::{InboundContentRow, InboundRow},
        settlement::Settlement,
        sled::{
            accept::day_of,
            codec,
            disk::{self, View},
            jobs::{self, Before, StoredJob, job_event},
            keys::{Key, ReturnKey},
            merge::{book::Opened, open::OpenMerge},
            returns::names::name_hash,
            txn::Txn,
        },
    },
};

/// Takes a mail in.
pub(in crate::storage::sled) fn ingest(txn: &mut Txn, ingestion: Ingestion) -> Result<Ingested, StorageError> {
    let Ingestion { account, mailbox, mark, fingerprint, mail, consequences, skipped, now } = ingestion;
    let Some(number) = txn.accounts.get(&account).map(|entry| entry.number) else {
        return Err(StorageError::Overloaded("the account of the mailbox is gone"));
    };
    if was_read(txn, number, mailbox, &mark)? {
        return Ok(Ingested::ReadBefore);
    }
    let fingerprint = fingerprint.map(|hash| ReturnKey::Fingerprint { account: number, hash });
    let came_before = match &fingerprint {
        Some(key) => txn.get(&Key::from(key.clone()).to_bytes())?.is_some(),
        None => false,
    };
    put_mark(txn, number, mailbox, &mark);
    if came_before {
        return Ok(Ingested::Duplicate);
    }
    if let Some(ReturnKey::Fingerprint { account, hash }) = fingerprint {
        put_fingerprint(txn, account, hash, now);
    }
    let note = |txn: &mut Txn, change| {
        txn.event(Event { at: now, account: account.clone(), kind: EventKind::Mailbox(change) });
    };
    if let Some(change) = skipped {
        note(txn, change);
    }
    let Some(mut mail) = mail else { return Ok(Ingested::Done(Vec::new())) };
    note(txn, MailboxChange::Arrived(mail.id));
    mail.findings.iter_mut().for_each(|finding| finding.effect = Effect::None);
    for consequence in consequences {
        if let Some(finding) = mail.findings.get_mut(consequence.finding)
            && let Some(subject) = finding.subject
        {
            finding.effect = apply(txn, subject, consequence, now)?;
        }
    }
    put_mail(txn, &mail);
    Ok(Ingested::Done(mail.findings.iter().map(|finding| finding.effect).collect()))
}

/// Whether a mark says nothing new.
fn was_read(txn: &Txn, account: u32, mailbox: MailboxId, mark: &ReadMark) -> Result<bool, StorageError> {
    match mark {
        ReadMark::Message(message) => {
            let key = Key::from(ReturnKey::Read { account, mailbox: mailbox.to_bytes(), message: *message });
            Ok(txn.get(&key.to_bytes())?.is_some())
        }
        ReadMark::UpTo { folder, uid_validity, uid } => {
            let read = disk::readable(read_up_to(txn, account, mailbox, *folder))?;
            Ok(read.is_some_and(|(validity, read)| validity == *uid_validity && read >= *uid))
        }
    }
}

/// Up to where a folder was read: its UIDVALIDITY and the UID.
pub(super) fn read_up_to(
    view: &impl View,
    account: u32,
    mailbox: MailboxId,
    folder: [u8; 8],
) -> Result<Option<(u32, u32)>, StorageError> {
    let key = ReturnKey::ReadUpTo { account, mailbox: mailbox.to_bytes(), folder };
    let Some(read) = disk::read(view, |_| key.clone().into())? else { return Ok(None) };
    match read.value.as_chunks::<4>() {
        ([validity, uid], []) => Ok(Some((u32::from_be_bytes(*validity), u32::from_be_bytes(*uid)))),
        _ => Err(StorageError::Damaged(format!("{key:?}: does not have 8 bytes"))),
    }
}

fn put_mark(txn: &mut Txn, account: u32, mailbox: MailboxId, mark: &ReadMark) {
    let mailbox = mailbox.to_bytes();
    let (key, value) = match mark {
        ReadMark::Message(message) => {
            codec::single(&ReturnKey::Read { account, mailbox, message: *message }.into(), &[])
        }
        ReadMark::UpTo { folder, uid_validity, uid } => {
            let value = [uid_validity.to_be_bytes(), uid.to_be_bytes()].concat();
            codec::single(&ReturnKey::ReadUpTo { account, mailbox, folder: *folder }.into(), &value)
        }
    };
    txn.put(key, value);
}

/// Remembers by what a mail is known.
pub(super) fn put_fingerprint(txn: &mut Txn, account: u32, hash: [u8; 16], at: Timestamp) {
    let value = at.as_millis().to_be_bytes();
    let (key, value) = codec::single(&ReturnKey::Fingerprint { account, hash }.into(), &value);
    txn.put(key, value);
    let by_day = Key::from(ReturnKey::FingerprintDay { day: day_of(at), account, hash });
    txn.put(by_day.to_bytes().into(), ::sled::IVec::default());
}

fn put_mail(txn: &mut Txn, mail: &InboundMail) {
    let id = mail.id;
    txn.put_row(|chunk| ReturnKey::Mail { id, chunk }.into(), &InboundRow::from(mail), 0);
    if let Some(content) = &mail.content {
        let row = InboundContentRow::from(&**content);
        txn.put_row(|chunk| ReturnKey::Content { id, chunk }.into(), &row, 0);
    }
}

/// Does what follows from a finding, if its recipient is still as it must be for that.
fn apply(txn: &mut Txn, subject: Subject, consequence: Consequence, now: Timestamp) -> Result<Effect, StorageError> {
    let Consequence { report, suppression, soft_bounce, counted, .. } = consequence;
    let Some((account, opened)) = txn.open_any(subject.message.job)? else { return Ok(Effect::None) };
    let effect = match opened {
        Opened::Plain(stored) => report_plain(txn, account, stored, subject, report, now)?,
        Opened::Merge(mut merge) => {
            let effect = merge.report(txn, subject.message.index, report, now);
            txn.close_merge(merge);
            effect?
        }
    };
    // Who complains after a soft bounce must not be sent to either.
    if matches!(effect, Effect::Bounced | Effect::Complained | Effect::Repeated)
        && let Some(suppression) = suppression
    {
        unless_damaged(txn.suppress_longer(&suppression))?;
    }
    if matches!(effect, Effect::Bounced | Effect::Complained) {
        txn.count(account, &counted, now);
        if let Some(bounce) = soft_bounce {
            unless_damaged(txn.count_soft_bounce(&bounce, now))?;
        }
    }
    Ok(effect)
}

/// What cannot be read of suppressions must not keep what came back from being recorded.
fn unless_damaged(done: Result<(), StorageError>) -> Result<(), StorageError> {
    disk::readable(done.map(Some)).map(drop)
}

fn report_plain(
    txn: &mut Txn,
    account: u32,
    mut stored: StoredJob,
    subject: Subject,
    report: Report,
    now: Timestamp,
) -> Result<Effect, StorageError> {
    if subject.message.index > 0 {
        return Ok(Effect::None);
    }
    let flight = jobs::flight_of(txn, account, &stored.job)?;
    let before = Before::of(account, &stored.job, flight);
    let change = JobChange::Reported { recipient: subject.recipient, kind: report.kind, reason: report.reason };
    let effect = stored.job.report(subject.recipient, report);
    if matches!(effect, Effect::Bounced | Effect::Complained) {
        txn.replace_job(account, &stored, &before, flight);
    }
    if matches!(effect, Effect::Bounced | Effect::Complained | Effect::Noted) {
        txn.event(job_event(&stored.job, change, flight, now));
    }
    Ok(effect)
}

impl Txn {
    /// A job that is about to change, with the number of its account; nothing when either is gone, or it is damaged.
    fn open_any(&mut self, id: JobId) -> Result<Option<(u32, Opened)>, StorageError> {
        if let Some(merge) = self.merges.take(id) {
            return Ok(Some((merge.account(), Opened::Merge(merge))));
        }
        let Some(stored) = disk::readable(jobs::load(self, id))? else { return Ok(None) };
        let Some(account) = self.accounts.get(&stored.job.account).map(|entry| entry.number) else { return Ok(None) };
        let opened = match stored.job.merge() {
            Some(_) => Opened::Merge(OpenMerge::new(account, stored)),
            None => Opened::Plain(stored),
        };
        Ok(Some((account, opened)))
    }

    /// Does what follows from an attempt beyond its job.
    pub(in crate::storage::sled) fn follow(
        &mut self,
        account: u32,
        settlement: &Settlement,
    ) -> Result<(), StorageError> {
        let Some(aftermath) = &settlement.aftermath else { return Ok(()) };
        self.count(account, &aftermath.counted, settlement.now);
        for suppression in &aftermath.suppressions {
            unless_damaged(self.suppress_longer(suppression))?;
        }
        let name = aftermath.provider_id.as_deref().and_then(crate::storage::inbound_store::bare_name);
        name.map_or(Ok(()), |name| self.put_name(account, name_hash(name), settlement.message))
    }
}

/// Writes what happened to a mailbox.
pub(in crate::storage::sled) fn note_mailbox(txn: &mut Txn, account: AccountId, change: MailboxChange, at: Timestamp) {
    if txn.accounts.contains_key(&account) {
        txn.event(Event { at, account, kind: EventKind::Mailbox(change) });
    }
}
