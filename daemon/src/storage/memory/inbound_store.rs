//! Mail that came: each is taken in once, with all that follows from it.

use std::collections::HashSet;

use async_trait::async_trait;

use super::engine::MemoryStore;
use crate::{
    domain::{
        ids::{AccountId, MessageKey},
        inbound::{InboundId, InboundMail, MailboxChange, MailboxId},
        time::Timestamp,
    },
    storage::{InboundFilter, InboundPage, InboundStore, Ingested, Ingestion, StorageError},
};

fn unbuilt<T>() -> Result<T, StorageError> {
    Err(StorageError::Unfinished("not built yet".into()))
}

#[async_trait]
impl InboundStore for MemoryStore {
    async fn read_messages(
        &self,
        _account: &AccountId,
        _mailbox: MailboxId,
    ) -> Result<HashSet<[u8; 16]>, StorageError> {
        unbuilt()
    }

    async fn read_up_to(
        &self,
        _account: &AccountId,
        _mailbox: MailboxId,
        _folder: [u8; 8],
    ) -> Result<Option<(u32, u32)>, StorageError> {
        unbuilt()
    }

    async fn ingest(&self, _ingestion: Ingestion) -> Result<Ingested, StorageError> {
        unbuilt()
    }

    async fn forget_read(
        &self,
        _account: &AccountId,
        _mailbox: MailboxId,
        _messages: Vec<[u8; 16]>,
    ) -> Result<(), StorageError> {
        unbuilt()
    }

    async fn note_mailbox(
        &self,
        _account: &AccountId,
        _change: MailboxChange,
        _now: Timestamp,
    ) -> Result<(), StorageError> {
        unbuilt()
    }

    async fn inbound(&self, _id: InboundId) -> Result<Option<InboundMail>, StorageError> {
        unbuilt()
    }

    async fn list_inbound(
        &self,
        _filter: &InboundFilter,
        _after: Option<InboundId>,
        _limit: usize,
    ) -> Result<InboundPage, StorageError> {
        unbuilt()
    }

    async fn message_named(&self, _account: &AccountId, _name: &str) -> Result<Option<MessageKey>, StorageError> {
        Ok(None)
    }
}
