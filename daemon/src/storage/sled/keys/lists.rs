//! The keys of suppressions and of what was counted. They hold names, so their lengths differ: a name ends with a NUL, which stands
//! in no name, so that keys sort as what they stand for does.

use super::{Family, Rest};
use crate::{
    domain::{
        ids::MessageKey,
        statistics::StatisticsGroup,
        suppression::{SuppressedMailbox, SuppressionKey, SuppressionScope},
        time::Timestamp,
    },
    storage::{
        Period,
        records::{
            statistics::{group_of, group_parts},
            suppression::{scope_of, scope_parts},
        },
    },
};

/// A key of these families.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::storage::sled) enum ListKey {
    Suppression {
        key: SuppressionKey,
    },
    SoftRun {
        key: SuppressionKey,
    },
    /// `of` is the key of what ends.
    Ending {
        at: Timestamp,
        of: Vec<u8>,
    },
    Held {
        key: SuppressionKey,
        message: MessageKey,
    },
    HeldBy {
        message: MessageKey,
    },
    Count {
        account: u32,
        period: Period,
        start: Timestamp,
        group: StatisticsGroup,
    },
}

impl ListKey {
    pub(super) const fn family(&self) -> Family {
        match self {
            Self::Suppression { .. } => Family::Suppression,
            Self::SoftRun { .. } => Family::SoftRun,
            Self::Ending { .. } => Family::Ending,
            Self::Held { .. } => Family::Held,
            Self::HeldBy { .. } => Family::HeldBy,
            Self::Count { .. } => Family::Count,
        }
    }

    pub(super) fn put(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Suppression { key } | Self::SoftRun { key } => {
                put_scope(bytes, &key.scope);
                bytes.extend_from_slice(key.mailbox.as_str().as_bytes());
            }
            Self::Ending { at, of } => {
                bytes.extend_from_slice(&at.as_millis().to_be_bytes());
                bytes.extend_from_slice(of);
            }
            Self::Held { key, message } => {
                put_scope(bytes, &key.scope);
                put_name(bytes, key.mailbox.as_str());
                put_message(bytes, *message);
            }
            Self::HeldBy { message } => put_message(bytes, *message),
            Self::Count { account, period, start, group } => {
                bytes.extend_from_slice(&account.to_be_bytes());
                bytes.push(period_code(*period));
                bytes.extend_from_slice(&start.as_millis().to_be_bytes());
                let (kind, name) = group_parts(group);
                bytes.push(kind);
                bytes.extend_from_slice(name.as_bytes());
            }
        }
    }

    pub(super) fn parse(family: Family, rest: &mut Rest<'_>) -> Option<Self> {
        Some(match family {
            Family::Suppression => Self::Suppression { key: suppression_key(rest)? },
            Family::SoftRun => Self::SoftRun { key: suppression_key(rest)? },
            Family::Ending => {
                let at = Timestamp::from_millis(rest.u64()?);
                Self::Ending { at, of: rest.all().to_vec() }
            }
            Family::Held => {
                let scope = take_scope(rest)?;
                let mailbox = SuppressedMailbox::stored(take_name(rest)?);
                Self::Held { key: SuppressionKey { scope, mailbox }, message: take_message(rest)? }
            }
            Family::HeldBy => Self::HeldBy { message: take_message(rest)? },
            Family::Count => Self::Count {
                account: rest.u32()?,
                period: period_of_code(rest.u8()?)?,
                start: Timestamp::from_millis(rest.u64()?),
                group: {
                    let kind = rest.u8()?;
                    group_of(kind, std::str::from_utf8(rest.all()).ok()?).ok()?
                },
            },
            _ => return None,
        })
    }

    /// What the keys of all recipients begin with that a suppression holds back.
    pub(in crate::storage::sled) fn held_by(key: &SuppressionKey) -> Vec<u8> {
        let mut bytes = vec![Family::Held as u8];
        put_scope(&mut bytes, &key.scope);
        put_name(&mut bytes, key.mailbox.as_str());
        bytes
    }

    /// What all counts of an account in periods of this length begin with.
    pub(in crate::storage::sled) fn counts_of(account: u32, period: Period) -> Vec<u8> {
        let mut bytes = Family::Count.of_account(account).to_vec();
        bytes.push(period_code(period));
        bytes
    }

    /// What all counts of an account in one period begin with.
    pub(in crate::storage::sled) fn counts_in(account: u32, period: Period, start: Timestamp) -> Vec<u8> {
        let mut bytes = Self::counts_of(account, period);
        bytes.extend_from_slice(&start.as_millis().to_be_bytes());
        bytes
    }
}

/// What the keys of all suppressions of a scope begin with.
pub(in crate::storage::sled) fn scope_prefix(scope: &SuppressionScope) -> Vec<u8> {
    let mut bytes = vec![Family::Suppression as u8];
    put_scope(&mut bytes, scope);
    bytes
}

/// What the keys of all runs of bounces of a scope begin with.
pub(in crate::storage::sled) fn runs_prefix(scope: &SuppressionScope) -> Vec<u8> {
    let mut bytes = vec![Family::SoftRun as u8];
    put_scope(&mut bytes, scope);
    bytes
}

fn put_scope(bytes: &mut Vec<u8>, scope: &SuppressionScope) {
    let (kind, name) = scope_parts(scope);
    bytes.push(u8::try_from(kind).expect("there are three kinds of scopes"));
    put_name(bytes, &name);
}

fn put_name(bytes: &mut Vec<u8>, name: &str) {
    bytes.extend_from_slice(name.as_bytes());
    bytes.push(0);
}

fn put_message(bytes: &mut Vec<u8>, message: MessageKey) {
    bytes.extend_from_slice(&message.job.to_bytes());
    bytes.extend_from_slice(&message.index.to_be_bytes());
}

fn suppression_key(rest: &mut Rest<'_>) -> Option<SuppressionKey> {
    let scope = take_scope(rest)?;
    let mailbox = SuppressedMailbox::stored(std::str::from_utf8(rest.all()).ok()?);
    Some(SuppressionKey { scope, mailbox })
}

fn take_scope(rest: &mut Rest<'_>) -> Option<SuppressionScope> {
    let kind = rest.u8()?;
    scope_of(kind.into(), take_name(rest)?).ok()
}

fn take_name<'a>(rest: &mut Rest<'a>) -> Option<&'a str> {
    let end = rest.0.iter().position(|byte| *byte == 0)?;
    let (name, tail) = rest.0.split_at(end);
    rest.0 = &tail[1..];
    std::str::from_utf8(name).ok()
}

fn take_message(rest: &mut Rest<'_>) -> Option<MessageKey> {
    Some(MessageKey { job: rest.job()?, index: rest.u32()? })
}

const fn period_code(period: Period) -> u8 {
    match period {
        Period::Hour => 1,
        Period::Day => 2,
    }
}

const fn period_of_code(code: u8) -> Option<Period> {
    match code {
        1 => Some(Period::Hour),
        2 => Some(Period::Day),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::ids::JobId,
        storage::{contract::samples::account_id, sled::keys::Key},
    };

    fn scopes() -> Vec<SuppressionScope> {
        let label = |text: &str| SuppressionScope::Label(text.parse().unwrap());
        let account = |text| SuppressionScope::Account(account_id(text));
        vec![
            SuppressionScope::Global,
            account("a"),
            account("a.b"),
            account("ab"),
            label("a"),
            label("春"),
            label("春 "),
        ]
    }

    fn keys() -> Vec<SuppressionKey> {
        let mailboxes = ["a@b.jp", "a@b.jpn", "b@b.jp"].map(SuppressedMailbox::stored);
        let all =
            |scope: SuppressionScope| mailboxes.clone().map(|mailbox| SuppressionKey { scope: scope.clone(), mailbox });
        scopes().into_iter().flat_map(all).collect()
    }

    #[test]
    fn keys_of_lists_survive_their_bytes() {
        let message = MessageKey { job: JobId::from_bytes([0; 16]), index: 7 };
        let mut all = vec![ListKey::HeldBy { message }];
        for key in keys() {
            all.push(ListKey::Suppression { key: key.clone() });
            all.push(ListKey::SoftRun { key: key.clone() });
            all.push(ListKey::Held { key: key.clone(), message });
            let of = Key::List(ListKey::SoftRun { key }).to_bytes();
            all.push(ListKey::Ending { at: Timestamp::from_millis(9), of });
        }
        for group in [StatisticsGroup::All, StatisticsGroup::Domain("b.jp".into()), StatisticsGroup::OtherLabels] {
            for period in [Period::Hour, Period::Day] {
                all.push(ListKey::Count { account: 3, period, start: Timestamp::from_millis(9), group: group.clone() });
            }
        }
        for key in all {
            assert_eq!(Key::parse(&Key::List(key.clone()).to_bytes()), Some(Key::List(key)));
        }
        for bytes in [&[0x80, 9, 0][..], &[0x80, 2, b'a'], &[0x84, 1], &[0x88, 0, 0, 0, 1, 3], &[0x83, 1, 0, b'a', 0]] {
            assert_eq!(Key::parse(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn suppressions_sort_by_scope_and_address() {
        let keys = keys();
        let bytes: Vec<_> =
            keys.iter().map(|key| Key::List(ListKey::Suppression { key: key.clone() }).to_bytes()).collect();
        assert!(keys.is_sorted() && bytes.is_sorted());
        let of_a: Vec<_> = bytes.iter().filter(|bytes| bytes.starts_with(&scope_prefix(&scopes()[1]))).collect();
        assert_eq!(of_a.len(), 3, "no other scope begins as this one does");
    }
}
