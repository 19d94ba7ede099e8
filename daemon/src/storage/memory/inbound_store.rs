//! Mail that came: each is taken in once, with all that follows from it.

use std::collections::HashSet;

use async_trait::async_trait;

use super::engine::MemoryStore;
use crate::{
    domain::{
        event::EventKind,
        ids::{AccountId, MessageKey},
        inbound::{InboundId, InboundMail, MailboxChange, MailboxId},
        time::Timestamp,
    },
    storage::{InboundFilter, InboundPage, InboundStore, Ingested, Ingestion, StorageError},
};

#[async_trait]
impl InboundStore for MemoryStore {
    async fn read_messages(&self, account: &AccountId, mailbox: MailboxId) -> Result<HashSet<[u8; 16]>, StorageError> {
        let model = self.model();
        let its = model.returns.read.iter().filter(|(owner, of, _)| owner == account && *of == mailbox);
        Ok(its.map(|(.., hash)| *hash).collect())
    }

    async fn read_up_to(
        &self,
        account: &AccountId,
        mailbox: MailboxId,
        folder: [u8; 8],
    ) -> Result<Option<(u32, u32)>, StorageError> {
        Ok(self.model().returns.read_up_to.get(&(account.clone(), mailbox, folder)).copied())
    }

    async fn ingest(&self, ingestion: Ingestion) -> Result<Ingested, StorageError> {
        self.change(|model| model.ingest(ingestion))?
    }

    async fn forget_read(
        &self,
        account: &AccountId,
        mailbox: MailboxId,
        messages: Vec<[u8; 16]>,
    ) -> Result<(), StorageError> {
        self.change(|model| {
            for hash in messages {
                model.returns.read.remove(&(account.clone(), mailbox, hash));
            }
        })
    }

    async fn note_mailbox(
        &self,
        account: &AccountId,
        change: MailboxChange,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        self.change(|model| {
            if model.accounts.contains_key(account) {
                model.note(now, account, EventKind::Mailbox(change));
            }
        })
    }

    async fn inbound(&self, id: InboundId) -> Result<Option<InboundMail>, StorageError> {
        Ok(self.model().returns.mails.get(&id).cloned())
    }

    async fn list_inbound(
        &self,
        filter: &InboundFilter,
        after: Option<InboundId>,
        limit: usize,
    ) -> Result<InboundPage, StorageError> {
        Ok(self.model().list_inbound(filter, after, limit))
    }

    async fn message_named(&self, account: &AccountId, name: &str) -> Result<Option<MessageKey>, StorageError> {
        Ok(self.model().message_named(account, name))
    }
}
