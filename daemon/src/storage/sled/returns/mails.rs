//! How mail that came is read and listed.

use std::collections::HashSet;

use crate::{
    domain::{
        ids::AccountId,
        inbound::{InboundContent, InboundId, InboundMail, MailboxId},
    },
    storage::{
        INBOUND_PAGE_BYTES_MAX, INBOUND_SCAN_MAX, InboundFilter, InboundPage, PAGE_MAX, StorageError,
        inbound_store::bytes_of,
        records::inbound::{InboundContentRow, InboundRow},
        sled::{
            SledStore,
            disk::{self, View},
            keys::{Family, Key, ReturnKey},
            returns::ingest::read_up_to,
        },
    },
};

/// A mail without its content.
pub(super) fn load_mail(view: &impl View, id: InboundId) -> Result<Option<InboundMail>, StorageError> {
    let row = disk::read_row::<InboundRow>(view, |chunk| ReturnKey::Mail { id, chunk }.into())?;
    let mail = row.map(|row| row.value.into_mail(id)).transpose();
    mail.map_err(|error| StorageError::Damaged(format!("mail {id}: {error}")))
}

/// What is in a mail.
pub(super) fn load_content(view: &impl View, id: InboundId) -> Result<Option<InboundContent>, StorageError> {
    let row = disk::read_row::<InboundContentRow>(view, |chunk| ReturnKey::Content { id, chunk }.into())?;
    let content = row.map(|row| row.value.try_into()).transpose();
    content.map_err(|error| StorageError::Damaged(format!("content of mail {id}: {error}")))
}

impl SledStore {
    pub(in crate::storage::sled) fn read_mail(&self, id: InboundId) -> Result<Option<InboundMail>, StorageError> {
        let Some(mut mail) = load_mail(&self.disk, id)? else { return Ok(None) };
        mail.content = load_content(&self.disk, id)?.map(Box::new);
        Ok(Some(mail))
    }

    pub(in crate::storage::sled) fn find_inbound(
        &self,
        filter: &InboundFilter,
        after: Option<InboundId>,
        limit: usize,
    ) -> Result<InboundPage, StorageError> {
        let key = |id| Key::from(ReturnKey::Mail { id, chunk: 0 }).to_bytes();
        let first = key(filter.arrived_from.map_or(InboundId::from_bytes([0; 16]), InboundId::first_at));
        let last = filter.arrived_before.map_or(InboundId::from_bytes([0xff; 16]), InboundId::first_at);
        let mut end = key(after.map_or(last, |after| after.min(last)));
        let (mut mails, mut bytes, mut seen, mut looked_at) = (Vec::new(), 0, 0, None);
        while first < end {
            // A mail has several keys: the last one before those of the mail that was looked at is that of the next.
            let found = self.disk.tree.range(first.clone()..end).keys().next_back();
            let found = found.map(|found| self.disk.checked(found)).transpose()?;
            let Some(Key::Return(ReturnKey::Mail { id, .. })) = found.as_deref().and_then(Key::parse) else { break };
            let is_full = mails.len() == limit.clamp(1, PAGE_MAX) || bytes >= INBOUND_PAGE_BYTES_MAX;
            if is_full || seen == INBOUND_SCAN_MAX {
                return Ok(InboundPage { mails, next: looked_at });
            }
            // A damaged one is left out.
            if let Some(mail) = disk::readable(load_mail(&self.disk, id))?.filter(|mail| filter.matches(mail)) {
                bytes += bytes_of(&mail);
                mails.push(mail);
            }
            seen += 1;
            looked_at = Some(id);
            end = key(id);
        }
        Ok(InboundPage { mails, next: None })
    }

    pub(in crate::storage::sled) fn find_read(
        &self,
        account: &AccountId,
        mailbox: MailboxId,
    ) -> Result<HashSet<[u8; 16]>, StorageError> {
        let mut found = HashSet::new();
        let Some(account) = self.number_of(account) else { return Ok(found) };
        let prefix = [&Family::Read.of_account(account)[..], &mailbox.to_bytes()].concat();
        for entry in self.disk.tree.scan_prefix(prefix).keys() {
            // That the key is there says it all.
            if let Some(Key::Return(ReturnKey::Read { message, .. })) = Key::parse(&self.disk.checked(entry)?) {
                found.insert(message);
            }
        }
        Ok(found)
    }

    pub(in crate::storage::sled) fn find_read_up_to(
        &self,
        account: &AccountId,
        mailbox: MailboxId,
        folder: [u8; 8],
    ) -> Result<Option<(u32, u32)>, StorageError> {
        match self.number_of(account) {
            Some(account) => disk::readable(read_up_to(&self.disk, account, mailbox, folder)),
            None => Ok(None),
        }
    }
}
