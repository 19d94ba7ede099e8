//! Mail that came: each is taken in once, with all that follows from it.

use std::collections::HashSet;

use async_trait::async_trait;

use super::{
    SledStore,
    keys::ReturnKey,
    returns::ingest::{self, note_mailbox},
    txn::Txn,
    writer::{Patience, Weight},
};
use crate::{
    domain::{
        ids::{AccountId, MessageKey},
        inbound::{InboundId, InboundMail, MailboxChange, MailboxId},
        time::Timestamp,
    },
    storage::{InboundFilter, InboundPage, InboundStore, Ingested, Ingestion, StorageError},
};

/// About how many bytes what is noted of a mail takes, beside what it holds.
const MAIL_BYTES: usize = 4_096;
/// About how many bytes a finding takes.
const FINDING_BYTES: usize = 1_024;
/// How many messages are forgotten in one change.
const FORGOTTEN_PER_STEP: usize = 1_000;

#[async_trait]
impl InboundStore for SledStore {
    async fn read_messages(&self, account: &AccountId, mailbox: MailboxId) -> Result<HashSet<[u8; 16]>, StorageError> {
        let account = account.clone();
        self.in_background(move |store| store.find_read(&account, mailbox)).await
    }

    async fn read_up_to(
        &self,
        account: &AccountId,
        mailbox: MailboxId,
        folder: [u8; 8],
    ) -> Result<Option<(u32, u32)>, StorageError> {
        self.disk.failure.check()?;
        self.find_read_up_to(account, mailbox, folder)
    }

    async fn ingest(&self, ingestion: Ingestion) -> Result<Ingested, StorageError> {
        // The mail stays where it is: there is room for it, or it is read later.
        self.space.check()?;
        let weight = weight(&ingestion);
        self.writer.commit(weight, Patience::Wait, move |txn| ingest::ingest(txn, ingestion)).await
    }

    async fn forget_read(
        &self,
        account: &AccountId,
        mailbox: MailboxId,
        messages: Vec<[u8; 16]>,
    ) -> Result<(), StorageError> {
        for some in messages.chunks(FORGOTTEN_PER_STEP) {
            let (account, some) = (account.clone(), some.to_vec());
            let forget = move |txn: &mut Txn| {
                let Some(account) = txn.accounts.get(&account).map(|entry| entry.number) else { return Ok(()) };
                for message in some {
                    txn.remove_key(&ReturnKey::Read { account, mailbox: mailbox.to_bytes(), message }.into());
                }
                Ok(())
            };
            let weight = Weight { changes: 64, bytes: FORGOTTEN_PER_STEP * 64 };
            self.writer.commit(weight, Patience::Wait, forget).await?;
        }
        Ok(())
    }

    async fn note_mailbox(
        &self,
        account: &AccountId,
        change: MailboxChange,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let account = account.clone();
        let weight = Weight { changes: 1, bytes: MAIL_BYTES };
        let note = move |txn: &mut Txn| {
            note_mailbox(txn, account, change, now);
            Ok(())
        };
        self.writer.commit(weight, Patience::Wait, note).await
    }

    async fn inbound(&self, id: InboundId) -> Result<Option<InboundMail>, StorageError> {
        self.in_background(move |store| store.read_mail(id)).await
    }

    async fn list_inbound(
        &self,
        filter: &InboundFilter,
        after: Option<InboundId>,
        limit: usize,
    ) -> Result<InboundPage, StorageError> {
        let filter = filter.clone();
        self.in_background(move |store| store.find_inbound(&filter, after, limit)).await
    }

    async fn message_named(&self, account: &AccountId, name: &str) -> Result<Option<MessageKey>, StorageError> {
        self.disk.failure.check()?;
        self.find_named(account, name)
    }
}

fn weight(ingestion: &Ingestion) -> Weight {
    let content = ingestion.mail.as_ref().and_then(|mail| mail.content.as_ref()).map_or(0, |content| {
        let headers: usize = content.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        headers + content.text.len()
    });
    let changes = 1 + ingestion.consequences.len();
    Weight { changes, bytes: MAIL_BYTES + content + changes * FINDING_BYTES }
}
