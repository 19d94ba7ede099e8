//! What comes back to the model: mail, what was read of mailboxes, names of messages, and doubts.

use std::collections::btree_map::Entry;

use super::{
    holdings::Returns,
    model::{Model, Stored, StoredJob},
};
use crate::{
    domain::{
        event::{EventKind, JobChange},
        ids::{AccountId, JobId, MessageKey},
        inbound::{Effect, InboundId, InboundMail, MailboxChange, MailboxId, ReadMark, Subject},
        job::Flight,
        report::Report,
        time::Timestamp,
    },
    storage::{
        Consequence, INBOUND_PAGE_BYTES_MAX, INBOUND_SCAN_MAX, InboundFilter, InboundPage, Ingested, Ingestion,
        PAGE_MAX, StorageError,
        inbound_store::{bare_name, bytes_of, own_name},
        settlement::{Aftermath, Doubt},
    },
};

impl Returns {
    /// Notes that a mail was read; false when it had been.
    fn note_read(&mut self, account: &AccountId, mailbox: MailboxId, mark: &ReadMark) -> bool {
        match mark {
            ReadMark::Message(hash) => self.read.insert((account.clone(), mailbox, *hash)),
            ReadMark::UpTo { folder, uid_validity, uid } => {
                let place = (account.clone(), mailbox, *folder);
                let is_new = self.read_up_to.get(&place).is_none_or(|(old, read)| old != uid_validity || read < uid);
                if is_new {
                    self.read_up_to.insert(place, (*uid_validity, *uid));
                }
                is_new
            }
        }
    }

    /// Forgets what was known of an account's mailbox and messages.
    pub(super) fn forget_account(&mut self, id: &AccountId) {
        self.read.retain(|(account, ..)| account != id);
        self.read_up_to.retain(|(account, ..), _| account != id);
        self.fingerprints.retain(|(account, _), _| account != id);
        self.names.retain(|(account, _), _| account != id);
    }

    /// Gives a message a name within an account, which another one may have had before.
    fn name(&mut self, account: &AccountId, name: &str, message: MessageKey) {
        self.names.insert((account.clone(), name.to_owned()), message);
    }

    /// Gives the names of a job to another account.
    pub(super) fn move_names(&mut self, job: JobId, to: &AccountId) {
        let its = self.names.iter().filter(|(_, message)| message.job == job);
        let its: Vec<_> = its.map(|(place, message)| (place.clone(), *message)).collect();
        for (place, message) in its {
            self.names.remove(&place);
            self.names.insert((to.clone(), place.1), message);
        }
    }
}

impl Model {
    pub(super) fn ingest(&mut self, ingestion: Ingestion) -> Result<Ingested, StorageError> {
        let Ingestion { account, mailbox, mark, fingerprint, mail, consequences, skipped, now } = ingestion;
        if !self.accounts.contains_key(&account) {
            return Err(StorageError::Overloaded("the account of the mailbox is gone"));
        }
        if !self.returns.note_read(&account, mailbox, &mark) {
            return Ok(Ingested::ReadBefore);
        }
        if let Some(hash) = fingerprint {
            match self.returns.fingerprints.entry((account.clone(), hash)) {
                Entry::Occupied(_) => return Ok(Ingested::Duplicate),
                Entry::Vacant(free) => free.insert(now),
            };
        }
        if let Some(change) = skipped {
            self.note(now, &account, EventKind::Mailbox(change));
        }
        let Some(mut mail) = mail else { return Ok(Ingested::Done(Vec::new())) };
        self.note(now, &account, EventKind::Mailbox(MailboxChange::Arrived(mail.id)));
        mail.findings.iter_mut().for_each(|finding| finding.effect = Effect::None);
        for consequence in consequences {
            if let Some(finding) = mail.findings.get_mut(consequence.finding)
                && let Some(subject) = finding.subject
            {
                finding.effect = self.apply(subject, consequence, now);
            }
        }
        let effects = mail.findings.iter().map(|finding| finding.effect).collect();
        self.returns.mails.insert(mail.id, *mail);
        Ok(Ingested::Done(effects))
    }

    fn apply(&mut self, subject: Subject, consequence: Consequence, now: Timestamp) -> Effect {
        let Consequence { report, suppression, soft_bounce, counted, .. } = consequence;
        let accounts = &self.accounts;
        let stored = self.jobs.get_mut(&subject.message.job);
        let Some(stored) = stored.filter(|stored| accounts.contains_key(&stored.job.account)) else {
            return Effect::None;
        };
        let (kind, reason) = (report.kind, report.reason);
        let effect = stored.report(subject, report);
        let (job, flight) = (stored.job.clone(), stored.flight());
        if matches!(effect, Effect::Bounced | Effect::Complained | Effect::Noted) {
            let recipient = if job.merge().is_some() { subject.message.index } else { subject.recipient };
            self.note_job(now, &job, flight, JobChange::Reported { recipient, kind, reason });
        }
        if matches!(effect, Effect::Bounced | Effect::Complained | Effect::Repeated) {
            suppression.iter().for_each(|suppression| self.suppress_longer(suppression));
        }
        if matches!(effect, Effect::Bounced | Effect::Complained) {
            self.count(&job.account, &counted, now);
            soft_bounce.iter().for_each(|bounce| self.count_soft_bounce(bounce, now));
        }
        effect
    }

    /// Does what follows from an attempt.
    pub(super) fn follow(&mut self, account: &AccountId, message: MessageKey, aftermath: &Aftermath, now: Timestamp) {
        self.count(account, &aftermath.counted, now);
        aftermath.suppressions.iter().for_each(|suppression| self.suppress_longer(suppression));
        if let Some(name) = aftermath.provider_id.as_deref().and_then(bare_name) {
            self.returns.name(account, name, message);
        }
    }

    /// Remembers the name that a job's submitter gave it.
    pub(super) fn name_job(&mut self, id: JobId) {
        if let Some(stored) = self.jobs.get(&id)
            && let Some(name) = own_name(&stored.job)
        {
            self.returns.name(&stored.job.account, name, MessageKey::only(id));
        }
    }

    pub(super) fn message_named(&self, account: &AccountId, name: &str) -> Option<MessageKey> {
        self.returns.names.get(&(account.clone(), bare_name(name)?.to_owned())).copied()
    }

    pub(super) fn list_inbound(&self, filter: &InboundFilter, after: Option<InboundId>, limit: usize) -> InboundPage {
        let mut older = self.returns.mails.iter().rev().filter(|(id, _)| after.is_none_or(|after| **id < after));
        let (mut mails, mut last, mut bytes) = (Vec::new(), None, 0);
        for (id, mail) in older.by_ref().take(INBOUND_SCAN_MAX) {
            last = Some(*id);
            if filter.matches(mail) {
                mails.push(InboundMail { content: None, ..mail.clone() });
                bytes += bytes_of(mail);
            }
            if mails.len() == limit.clamp(1, PAGE_MAX) || bytes >= INBOUND_PAGE_BYTES_MAX {
                break;
            }
        }
        InboundPage { mails, next: last.filter(|_| older.next().is_some()) }
    }

    pub(super) fn doubts(&self, account: &AccountId, limit: usize) -> Vec<Doubt> {
        let own = self.jobs.values().filter(|stored| stored.job.account == *account);
        let mut doubts: Vec<_> = own.flat_map(StoredJob::doubts).collect();
        doubts.sort_by_key(|doubt| (doubt.since, doubt.message));
        doubts.truncate(limit.clamp(1, PAGE_MAX));
        doubts
    }

    pub(super) fn resolve_doubt(&mut self, account: &AccountId, doubt: Doubt, found: bool, now: Timestamp) -> bool {
        let message = doubt.message;
        let own = self.jobs.get_mut(&message.job).filter(|stored| stored.job.account == *account);
        let Some(stored) = own else { return false };
        let uncounted = stored.job.uncounted();
        if !stored.resolve_doubt(doubt, found, now) {
            return false;
        }
        let (job, flight) = (stored.job.clone(), stored.flight());
        self.count(account, &job.counted_since(&uncounted, None), now);
        self.note_job(now, &job, flight, JobChange::Reconciled { message: message.index, found });
        self.touch(account);
        true
    }
}

impl StoredJob {
    fn report(&mut self, subject: Subject, report: Report) -> Effect {
        let index = subject.message.index;
        match &mut self.content {
            Stored::Plain(_) if index == 0 => self.job.report(subject.recipient, report),
            Stored::Plain(_) => Effect::None,
            Stored::Merge { outcomes, .. } => {
                outcomes.get_mut(&index).map_or(Effect::None, |known| self.job.report_message(known, report))
            }
        }
    }

    fn doubts(&self) -> Vec<Doubt> {
        let doubt = |(index, since)| Doubt { message: MessageKey { job: self.job.id, index }, since };
        match (self.job.merge(), &self.content) {
            (Some(progress), Stored::Merge { outcomes, .. }) => {
                let since = |known| progress.state_of(Some(known), Flight::Grounded).doubtful_since();
                outcomes.iter().filter_map(|(index, known)| Some(doubt((*index, since(known)?)))).collect()
            }
            _ => self.job.doubtful_since(self.flight()).map(|since| doubt((0, since))).into_iter().collect(),
        }
    }

    fn resolve_doubt(&mut self, doubt: Doubt, found: bool, now: Timestamp) -> bool {
        let flight = self.flight();
        let (index, since) = (doubt.message.index, Some(doubt.since));
        match &mut self.content {
            Stored::Plain(_) => {
                let is_it = index == 0 && self.job.doubtful_since(flight) == since && self.job.is_told_by_copy();
                is_it && self.job.resolve_doubt(found, flight, now)
            }
            Stored::Merge { outcomes, .. } => {
                let known = outcomes.get_mut(&index).filter(|known| known.state.doubtful_since() == since);
                let resolved = known.is_some_and(|known| self.job.resolve_message(known, found, now));
                self.reschedule();
                resolved
            }
        }
    }
}
