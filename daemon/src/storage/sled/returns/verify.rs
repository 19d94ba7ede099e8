//! Whether what came back can be read, and what is derived from it agrees.

use ::sled::IVec;

use super::{
    doubts,
    ingest::read_up_to,
    mails::{load_content, load_mail},
    names::named,
    old::fingerprint_at,
};
use crate::{
    domain::{
        ids::{JobId, MessageKey},
        inbound::MailboxId,
    },
    storage::{
        StorageError,
        sled::{
            accept::day_of,
            codec,
            disk::{self, View},
            jobs,
            keys::{Key, ReturnKey},
            txn::Txn,
            wrong::{Wrong, unreadable},
        },
    },
};

/// Whether a key is that of a record, not of a further frame or of something derived.
pub(in crate::storage::sled) const fn is_record(key: &ReturnKey) -> bool {
    match key {
        ReturnKey::Mail { chunk, .. } | ReturnKey::Content { chunk, .. } => *chunk == 0,
        ReturnKey::NameOf { .. }
        | ReturnKey::Read { .. }
        | ReturnKey::ReadUpTo { .. }
        | ReturnKey::Fingerprint { .. } => true,
        ReturnKey::Doubt { .. } | ReturnKey::Name { .. } | ReturnKey::FingerprintDay { .. } => false,
    }
}

/// Whether the records of a key's family count their frames.
pub(in crate::storage::sled) const fn counts_frames(key: &ReturnKey) -> bool {
    matches!(key, ReturnKey::Mail { .. } | ReturnKey::Content { .. })
}

/// What is wrong with the entry of this key, if anything is.
pub(in crate::storage::sled) fn check(view: &impl View, key: &ReturnKey) -> Result<Option<Wrong>, StorageError> {
    let read = match *key {
        ReturnKey::Mail { id, chunk: 0 } => load_mail(view, id).map(drop),
        ReturnKey::Content { id, chunk: 0 } => load_content(view, id).map(drop),
        ReturnKey::Mail { .. } | ReturnKey::Content { .. } => Ok(()),
        ReturnKey::Read { .. } => disk::read(view, |_| key.clone().into()).map(drop),
        ReturnKey::ReadUpTo { account, mailbox, folder } => {
            read_up_to(view, account, MailboxId::new(mailbox), folder).map(drop)
        }
        ReturnKey::Fingerprint { account, hash } => match fingerprint_at(view, account, hash) {
            Ok(Some(at)) => {
                let by_day = ReturnKey::FingerprintDay { day: day_of(at), account, hash };
                return missing(view, &by_day.into(), IVec::default());
            }
            other => other.map(drop),
        },
        ReturnKey::FingerprintDay { day, account, hash } => {
            let at = disk::readable(fingerprint_at(view, account, hash))?;
            return Ok(at.is_none_or(|at| day_of(at) != day).then_some(Wrong::LeftOver));
        }
        ReturnKey::NameOf { message, account, hash } => match disk::read(view, |_| key.clone().into()) {
            Ok(_) if is_orphan(view, message.job)? => return Ok(Some(Wrong::LeftOver)),
            Ok(_) => return check_name_of(view, message, account, hash),
            Err(error) => Err(error),
        },
        ReturnKey::Name { account, hash } => {
            let edge = |message| Key::from(ReturnKey::NameOf { message, account, hash }).to_bytes();
            let is_kept = match named(view, account, hash)? {
                Some(message) => view.get(&edge(message))?.is_some() && !is_orphan(view, message.job)?,
                None => false,
            };
            return Ok((!is_kept).then_some(Wrong::LeftOver));
        }
        ReturnKey::Doubt { account, since, message } => {
            return Ok((!doubts::is_expected(view, account, since, message)?).then_some(Wrong::LeftOver));
        }
    };
    unreadable(read)
}

fn check_name_of(
    view: &impl View,
    message: MessageKey,
    account: u32,
    hash: [u8; 16],
) -> Result<Option<Wrong>, StorageError> {
    let named = named(view, account, hash)?;
    if named.is_some() {
        // Within an account a name means one message.
        return Ok((named != Some(message)).then_some(Wrong::LeftOver));
    }
    let value = ReturnKey::message_bytes(message);
    let (name, value) = codec::single(&ReturnKey::Name { account, hash }.into(), &value);
    Ok(Some(Wrong::Missing(name, value)))
}

fn missing(view: &impl View, key: &Key, value: IVec) -> Result<Option<Wrong>, StorageError> {
    let bytes = IVec::from(key.to_bytes());
    Ok(view.get(&bytes)?.is_none().then_some(Wrong::Missing(bytes, value)))
}

/// Whether a job is gone or damaged, and its records do not go bit by bit.
fn is_orphan(view: &impl View, job: JobId) -> Result<bool, StorageError> {
    let is_there = disk::readable(jobs::load(view, job))?.is_some();
    Ok(!is_there && view.get(&Key::Doomed { job }.to_bytes())?.is_none())
}

/// What a record that was set aside leaves behind: that a mail was read, without which it would be read again, and the name
/// of a message.
pub(in crate::storage::sled) fn restore(txn: &mut Txn, key: ReturnKey) {
    if matches!(key, ReturnKey::Read { .. } | ReturnKey::NameOf { .. }) {
        let (key, value) = codec::single(&key.into(), &[]);
        txn.put(key, value);
    }
}
