//! The keys of what comes back: doubts, names of messages, what was read of mailboxes, and mail.

use super::{Family, Rest};
use crate::domain::{
    ids::{JobId, MessageKey},
    inbound::InboundId,
    time::Timestamp,
};

/// A key of what comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::storage::sled) enum ReturnKey {
    Doubt { account: u32, since: Timestamp, message: MessageKey },
    Name { account: u32, hash: [u8; 16] },
    NameOf { message: MessageKey, account: u32, hash: [u8; 16] },
    Read { account: u32, mailbox: [u8; 16], message: [u8; 16] },
    ReadUpTo { account: u32, mailbox: [u8; 16], folder: [u8; 8] },
    Fingerprint { account: u32, hash: [u8; 16] },
    FingerprintDay { day: u32, account: u32, hash: [u8; 16] },
    Mail { id: InboundId, chunk: u16 },
    Content { id: InboundId, chunk: u16 },
}

impl ReturnKey {
    pub(super) const fn family(&self) -> Family {
        match self {
            Self::Doubt { .. } => Family::Doubt,
            Self::Name { .. } => Family::Name,
            Self::NameOf { .. } => Family::NameOf,
            Self::Read { .. } => Family::Read,
            Self::ReadUpTo { .. } => Family::ReadUpTo,
            Self::Fingerprint { .. } => Family::Fingerprint,
            Self::FingerprintDay { .. } => Family::FingerprintDay,
            Self::Mail { .. } => Family::Inbound,
            Self::Content { .. } => Family::InboundContent,
        }
    }

    /// The key as it is stored, behind its family.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let number = |number: &u32| number.to_be_bytes();
        match self {
            Self::Doubt { account, since, message: MessageKey { job, index } } => {
                let since = since.as_millis().to_be_bytes();
                [&number(account)[..], &since, &job.to_bytes(), &number(index)].concat()
            }
            Self::Name { account, hash } | Self::Fingerprint { account, hash } => [&number(account)[..], hash].concat(),
            Self::NameOf { message: MessageKey { job, index }, account, hash } => {
                [&job.to_bytes()[..], &number(index), &number(account), hash].concat()
            }
            Self::Read { account, mailbox, message } => [&number(account)[..], mailbox, message].concat(),
            Self::ReadUpTo { account, mailbox, folder } => [&number(account)[..], mailbox, folder].concat(),
            Self::FingerprintDay { day, account, hash } => [&number(day)[..], &number(account), hash].concat(),
            Self::Mail { id, chunk } | Self::Content { id, chunk } => {
                [&id.to_bytes()[..], &chunk.to_be_bytes()].concat()
            }
        }
    }

    /// The key of this family that is stored as these bytes, if it is one.
    pub(super) fn parse(family: Family, rest: &mut Rest<'_>) -> Option<Self> {
        Some(match family {
            Family::Doubt => {
                let (account, since) = (rest.u32()?, Timestamp::from_millis(rest.u64()?));
                Self::Doubt { account, since, message: MessageKey { job: rest.job()?, index: rest.u32()? } }
            }
            Family::Name => Self::Name { account: rest.u32()?, hash: rest.take()? },
            Family::NameOf => {
                let message = MessageKey { job: rest.job()?, index: rest.u32()? };
                Self::NameOf { message, account: rest.u32()?, hash: rest.take()? }
            }
            Family::Read => Self::Read { account: rest.u32()?, mailbox: rest.take()?, message: rest.take()? },
            Family::ReadUpTo => Self::ReadUpTo { account: rest.u32()?, mailbox: rest.take()?, folder: rest.take()? },
            Family::Fingerprint => Self::Fingerprint { account: rest.u32()?, hash: rest.take()? },
            Family::FingerprintDay => {
                Self::FingerprintDay { day: rest.u32()?, account: rest.u32()?, hash: rest.take()? }
            }
            Family::Inbound => Self::Mail { id: InboundId::from_bytes(rest.take()?), chunk: rest.u16()? },
            Family::InboundContent => Self::Content { id: InboundId::from_bytes(rest.take()?), chunk: rest.u16()? },
            _ => return None,
        })
    }

    /// The name of a message, as a name is kept beside it.
    pub(in crate::storage::sled) fn message_bytes(message: MessageKey) -> [u8; 20] {
        let mut bytes = [0; 20];
        bytes[..16].copy_from_slice(&message.job.to_bytes());
        bytes[16..].copy_from_slice(&message.index.to_be_bytes());
        bytes
    }

    /// What [`ReturnKey::message_bytes`] made.
    pub(in crate::storage::sled) fn message_of(bytes: &[u8]) -> Option<MessageKey> {
        let (job, index) = bytes.split_first_chunk::<16>()?;
        Some(MessageKey { job: JobId::from_bytes(*job), index: u32::from_be_bytes(index.try_into().ok()?) })
    }
}

impl From<ReturnKey> for super::Key {
    fn from(key: ReturnKey) -> Self {
        Self::Return(key)
    }
}
