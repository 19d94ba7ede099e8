//! What came back, as lines of an export.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};

use super::{ingest::put_fingerprint, old::fingerprint_at};
use crate::{
    domain::{
        ids::{JobId, MessageKey},
        inbound::InboundId,
        time::Timestamp,
    },
    storage::{
        StorageError,
        records::inbound::{InboundContentRow, InboundRow},
        sled::{
            codec,
            disk::{self, Disk, View},
            keys::{Family, Key, ReturnKey},
            txn::Txn,
        },
    },
};

/// What is exported, in an order in which it can be imported.
pub(in crate::storage::sled) const EXPORTED: [Family; 6] =
    [Family::NameOf, Family::Read, Family::ReadUpTo, Family::Fingerprint, Family::Inbound, Family::InboundContent];

/// One record. Hashes are in base64.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::storage::sled) enum ReturnLine {
    Name {
        account: u32,
        job: String,
        index: u32,
        hash: String,
    },
    Read {
        account: u32,
        mailbox: String,
        message: String,
    },
    ReadUpTo {
        account: u32,
        mailbox: String,
        folder: String,
        /// UIDVALIDITY and UID.
        value: String,
    },
    Fingerprint {
        account: u32,
        hash: String,
        at: u64,
    },
    Mail {
        id: String,
        row: Box<InboundRow>,
    },
    Content {
        id: String,
        row: Box<InboundContentRow>,
    },
}

/// The line of a record; nothing for a further frame, or one that is gone by now.
pub(in crate::storage::sled) fn line_of(disk: &Disk, key: &ReturnKey) -> Result<Option<ReturnLine>, StorageError> {
    let text = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
    let is_there = || disk::read(disk, |_| key.clone().into()).map(|read| read.is_some());
    Ok(match key {
        // The names of a merge job that is gone go bit by bit.
        ReturnKey::NameOf { message, .. } if !has_job(disk, message.job)? => None,
        ReturnKey::NameOf { message, account, hash } => {
            let job = message.job.to_string();
            let line = ReturnLine::Name { account: *account, job, index: message.index, hash: text(hash) };
            is_there()?.then_some(line)
        }
        ReturnKey::Read { account, mailbox, message } => {
            let line = ReturnLine::Read { account: *account, mailbox: text(mailbox), message: text(message) };
            is_there()?.then_some(line)
        }
        ReturnKey::ReadUpTo { account, mailbox, folder } => {
            let read = disk::read(disk, |_| key.clone().into())?;
            read.map(|read| ReturnLine::ReadUpTo {
                account: *account,
                mailbox: text(mailbox),
                folder: text(folder),
                value: text(&read.value),
            })
        }
        ReturnKey::Fingerprint { account, hash } => fingerprint_at(disk, *account, *hash)?
            .map(|at| ReturnLine::Fingerprint { account: *account, hash: text(hash), at: at.as_millis() }),
        ReturnKey::Mail { id, chunk: 0 } => {
            let row = disk::read_row::<InboundRow>(disk, |chunk| ReturnKey::Mail { id: *id, chunk }.into())?;
            row.map(|row| ReturnLine::Mail { id: id.to_string(), row: Box::new(row.value) })
        }
        ReturnKey::Content { id, chunk: 0 } => {
            let row = disk::read_row::<InboundContentRow>(disk, |chunk| ReturnKey::Content { id: *id, chunk }.into())?;
            row.map(|row| ReturnLine::Content { id: id.to_string(), row: Box::new(row.value) })
        }
        _ => None,
    })
}

fn has_job(disk: &Disk, job: JobId) -> Result<bool, StorageError> {
    Ok(disk.get(&Key::Job { job, chunk: 0 }.to_bytes())?.is_some())
}

/// Puts a record with all that is derived from it.
pub(in crate::storage::sled) fn put(txn: &mut Txn, line: ReturnLine) -> Result<(), String> {
    match line {
        ReturnLine::Name { account, job, index, hash } => {
            let job: JobId = job.parse().map_err(|error| format!("{error}"))?;
            let named = txn.put_name(account, bytes(&hash)?, MessageKey { job, index });
            named.map_err(|error| error.to_string())?;
        }
        ReturnLine::Read { account, mailbox, message } => {
            let key = ReturnKey::Read { account, mailbox: bytes(&mailbox)?, message: bytes(&message)? };
            let (key, value) = codec::single(&key.into(), &[]);
            txn.put(key, value);
        }
        ReturnLine::ReadUpTo { account, mailbox, folder, value } => {
            let key = ReturnKey::ReadUpTo { account, mailbox: bytes(&mailbox)?, folder: bytes(&folder)? };
            let (key, value) = codec::single(&key.into(), &bytes::<8>(&value)?);
            txn.put(key, value);
        }
        ReturnLine::Fingerprint { account, hash, at } => {
            put_fingerprint(txn, account, bytes(&hash)?, Timestamp::from_millis(at));
        }
        ReturnLine::Mail { id, row } => {
            let id = mail_id(&id)?;
            txn.put_row(|chunk| ReturnKey::Mail { id, chunk }.into(), &*row, 0);
        }
        ReturnLine::Content { id, row } => {
            let id = mail_id(&id)?;
            txn.put_row(|chunk| ReturnKey::Content { id, chunk }.into(), &*row, 0);
        }
    }
    Ok(())
}

fn mail_id(text: &str) -> Result<InboundId, String> {
    text.parse().map_err(|error| format!("{error}"))
}

fn bytes<const N: usize>(text: &str) -> Result<[u8; N], String> {
    let bytes = BASE64_STANDARD.decode(text).map_err(|error| error.to_string())?;
    bytes.try_into().map_err(|_| format!("it does not have {N} bytes"))
}
