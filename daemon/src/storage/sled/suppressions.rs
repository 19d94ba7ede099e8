//! How the committer suppresses addresses, counts what may come to that, and forgets both.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use ::sled::IVec;

use super::{
    disk::{self, Disk, View},
    keys::{Key, ListKey, runs_prefix, scope_prefix},
    scope_kind::ScopeKind,
    txn::Txn,
};
use crate::{
    domain::{
        address::Address,
        ids::AccountId,
        suppression::{
            SoftBounce, Suppression, SuppressionKey, SuppressionReason, SuppressionScope, SuppressionSource,
        },
        time::Timestamp,
    },
    storage::{
        StorageError,
        records::suppression::{SoftRunRow, SuppressionKeyRow, SuppressionRow},
    },
};

/// How many suppressions and runs of an account that goes are forgotten in one commit.
const FORGOTTEN_PER_STEP: usize = 256;
/// What stands for the address of a damaged suppression that is none in lower case.
const UNKNOWN: &str = "unknown@address.invalid";
/// What stands as the evidence of a suppression whose record was damaged.
const DAMAGED: &str = "its record is damaged, so it is not known why: it holds until somebody takes it away";

/// Whether there is any suppression of each kind, so that nothing is read while there is none.
#[derive(Clone, Debug)]
pub(super) struct KnownLists(Arc<[AtomicBool; ScopeKind::ALL.len()]>);

impl KnownLists {
    /// Looks at the store as it was opened.
    pub(super) fn load(disk: &Disk) -> Result<Self, StorageError> {
        let known = Self(Arc::new([const { AtomicBool::new(false) }; ScopeKind::ALL.len()]));
        for kind in ScopeKind::ALL {
            known.set(kind, has_any(disk, kind)?);
        }
        Ok(known)
    }

    /// Looks again at kinds of which some came or went.
    pub(super) fn look(&self, disk: &Disk, kinds: &HashSet<ScopeKind>) {
        for kind in kinds {
            // Where it cannot be told, the entries are looked for: that finds the error too.
            self.set(*kind, has_any(disk, *kind).unwrap_or(true));
        }
    }

    /// Whether a suppression of this kind may be there.
    pub(super) fn has(&self, kind: ScopeKind) -> bool {
        self.0[kind as usize].load(Ordering::Acquire)
    }

    /// Whether any suppression may be there.
    pub(super) fn has_any(&self) -> bool {
        ScopeKind::ALL.into_iter().any(|kind| self.has(kind))
    }

    fn set(&self, kind: ScopeKind, has_any: bool) {
        self.0[kind as usize].store(has_any, Ordering::Release);
    }
}

fn has_any(disk: &Disk, kind: ScopeKind) -> Result<bool, StorageError> {
    Ok(disk.seek(&kind.prefix(), &kind.prefix())?.is_some())
}

/// The suppression of a key. One whose record is damaged holds as it may have done.
pub(super) fn read_suppression(view: &impl View, key: &SuppressionKey) -> Result<Option<Suppression>, StorageError> {
    match read_row(view, key) {
        Err(StorageError::Damaged(why)) => {
            tracing::error!(reason = %why, "a damaged suppression holds until the store is verified");
            Ok(rebuilt(key))
        }
        other => other,
    }
}

/// The suppression of a key, if its record is sound.
pub(super) fn read_row(view: &impl View, key: &SuppressionKey) -> Result<Option<Suppression>, StorageError> {
    let row = disk::read_row::<SuppressionRow>(view, |_| suppression_key(key))?;
    let suppression = row.map(|row| Suppression::try_from(row.value)).transpose();
    suppression.map_err(|error| StorageError::Damaged(format!("{key:?}: {error}")))
}

/// The suppression that stands in for one that is damaged; nothing when its key is no address.
pub(super) fn rebuilt(key: &SuppressionKey) -> Option<Suppression> {
    let text = key.mailbox.as_str();
    // In lower case an address may have become too long for one.
    let address =
        text.parse::<Address>().or_else(|error| if text.contains('@') { UNKNOWN.parse() } else { Err(error) });
    Some(Suppression {
        key: key.clone(),
        address: address.ok()?,
        reason: SuppressionReason::Manual,
        source: SuppressionSource::Call,
        added_at: Timestamp::EPOCH,
        added_by: None,
        expires_at: None,
        evidence: DAMAGED.into(),
        message: None,
    })
}

pub(super) fn suppression_key(key: &SuppressionKey) -> Key {
    Key::List(ListKey::Suppression { key: key.clone() })
}

fn run_key(key: &SuppressionKey) -> Key {
    Key::List(ListKey::SoftRun { key: key.clone() })
}

/// The entry by which it is found that something ends.
pub(super) fn ending_key(at: Timestamp, of: &Key) -> Key {
    Key::List(ListKey::Ending { at, of: of.to_bytes() })
}

/// When the suppression or run of this key ends, if it does.
pub(super) fn end_of(view: &impl View, of: &[u8]) -> Result<Option<Timestamp>, StorageError> {
    Ok(match Key::parse(of) {
        Some(Key::List(ListKey::Suppression { key })) => {
            disk::readable(read_row(view, &key))?.and_then(|suppression| suppression.expires_at)
        }
        Some(key @ Key::List(ListKey::SoftRun { .. })) => {
            let row = disk::readable(disk::read_row::<SoftRunRow>(view, |_| key.clone()))?;
            row.map(|row| Timestamp::from_millis(row.value.ends_at))
        }
        _ => None,
    })
}

impl Txn {
    /// Adds a suppression instead of the one of its key, and says whether there was one.
    pub(super) fn suppress(&mut self, suppression: &Suppression) -> Result<bool, StorageError> {
        let replaced = self.suppression_of(&suppression.key)?;
        self.put_suppression(suppression, replaced.as_ref());
        Ok(replaced.is_some())
    }

    /// Suppresses an address, unless it is suppressed already: then that stays, and is given back.
    pub(super) fn suppress_new(
        &mut self,
        suppression: &Suppression,
        now: Timestamp,
    ) -> Result<Option<Suppression>, StorageError> {
        let old = self.suppression_of(&suppression.key)?;
        if old.as_ref().is_some_and(|old| old.holds(now)) {
            return Ok(old);
        }
        self.put_suppression(suppression, old.as_ref());
        Ok(None)
    }

    /// Suppresses an address, unless it is suppressed for as long already.
    pub(super) fn suppress_longer(&mut self, suppression: &Suppression) -> Result<(), StorageError> {
        let old = self.suppression_of(&suppression.key)?;
        if old.as_ref().is_none_or(|old| !old.lasts_as_long_as(suppression)) {
            self.put_suppression(suppression, old.as_ref());
        }
        Ok(())
    }

    /// Takes a suppression away, and says how it was.
    pub(super) fn forget_suppression(&mut self, key: &SuppressionKey) -> Result<Option<Suppression>, StorageError> {
        let old = self.suppression_of(key)?;
        if let Some(old) = &old {
            self.forget_ending(old.expires_at, &suppression_key(key));
            self.remove_key(&suppression_key(key));
            self.made.scopes.insert(ScopeKind::of(&key.scope));
        }
        Ok(old)
    }

    /// Counts a message that came back for a reason that may pass, and suppresses its address when the run is long enough.
    pub(super) fn count_soft_bounce(&mut self, bounce: &SoftBounce, now: Timestamp) -> Result<(), StorageError> {
        let SoftBounce { then, run_max, within } = bounce;
        let key = run_key(&then.key);
        let old = disk::readable(self.row::<SoftRunRow>(|_| key.clone()))?.map(|stored| stored.value);
        let goes_on = |old: &SoftRunRow| now.since(Timestamp::from_millis(old.last_at)) <= *within;
        let count = old.as_ref().filter(|old| goes_on(old)).map_or(0, |old| old.count).saturating_add(1);
        if count >= *run_max {
            self.suppress_longer(then)?;
        }
        if let Some(old) = &old {
            self.forget_ending(Some(Timestamp::from_millis(old.ends_at)), &key);
            self.remove_key(&key);
        }
        if count < *run_max {
            let row_key = Some(SuppressionKeyRow::from(&then.key));
            let ends_at = now.after(*within).as_millis();
            self.put_run(&then.key, &SoftRunRow { key: row_key, count, last_at: now.as_millis(), ends_at });
        }
        Ok(())
    }

    /// Stores a run with what is derived from it.
    pub(super) fn put_run(&mut self, of: &SuppressionKey, row: &SoftRunRow) {
        let key = run_key(of);
        self.put_row(|_| key.clone(), row, 0);
        self.put_bare(&ending_key(Timestamp::from_millis(row.ends_at), &key));
    }

    /// Forgets a suppression or a run whose time is over, and says how many records went.
    pub(super) fn forget_ended(&mut self, at: Timestamp, of: &[u8], now: Timestamp) -> Result<u64, StorageError> {
        let ending = Key::List(ListKey::Ending { at, of: of.to_vec() });
        if at > now || self.get(&ending.to_bytes())?.is_none() {
            return Ok(0);
        }
        self.remove_key(&ending);
        if end_of(self, of)? == Some(at) {
            self.remove(IVec::from(of));
            if let Some(Key::List(ListKey::Suppression { key })) = Key::parse(of) {
                self.made.scopes.insert(ScopeKind::of(&key.scope));
            }
        }
        Ok(1)
    }

    /// Forgets suppressions and runs of bounces of an account that goes, and says whether there may be more.
    pub(super) fn forget_list(&mut self, account: &AccountId) -> Result<bool, StorageError> {
        let scope = SuppressionScope::Account(account.clone());
        let mut keys = Vec::new();
        for prefix in [scope_prefix(&scope), runs_prefix(&scope)] {
            for key in self.disk.tree.scan_prefix(&prefix).keys() {
                let key = self.disk.checked(key)?;
                if keys.len() >= FORGOTTEN_PER_STEP {
                    break;
                }
                if self.will_have(&key) {
                    keys.push(key);
                }
            }
            let new = self.overlay.iter().filter(|(key, value)| value.is_some() && key.starts_with(&prefix));
            keys.extend(new.map(|(key, _)| key.clone()));
        }
        for key in &keys {
            let end = end_of(self, key)?;
            if let Some(of) = Key::parse(key) {
                self.forget_ending(end, &of);
            }
            self.remove(key.clone());
            self.made.scopes.insert(ScopeKind::of(&scope));
        }
        Ok(keys.len() >= FORGOTTEN_PER_STEP)
    }

    fn put_suppression(&mut self, suppression: &Suppression, old: Option<&Suppression>) {
        let key = suppression_key(&suppression.key);
        self.forget_ending(old.and_then(|old| old.expires_at), &key);
        self.put_row(|_| key.clone(), &SuppressionRow::from(suppression), 0);
        if let Some(end) = suppression.expires_at {
            self.put_bare(&ending_key(end, &key));
        }
        self.made.scopes.insert(ScopeKind::of(&suppression.key.scope));
    }

    /// The suppression of a key, but for one that is damaged: what replaces it is as good.
    fn suppression_of(&self, key: &SuppressionKey) -> Result<Option<Suppression>, StorageError> {
        read_suppression(self, key)
    }

    fn forget_ending(&mut self, at: Option<Timestamp>, of: &Key) {
        if let Some(at) = at {
            self.remove_key(&ending_key(at, of));
        }
    }

    /// Stores an entry that is a key alone.
    pub(super) fn put_bare(&mut self, key: &Key) {
        self.put(IVec::from(key.to_bytes()), IVec::default());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::storage::{
        AccountStore, StoreCare, SuppressionStore,
        contract::samples::{
            account_id, at,
            lists::{suppression, suppression_key},
            sample_account,
        },
        sled::{
            SledStore,
            keys::Family,
            tests::open_plain,
            writer::{Patience, Weight},
        },
    };

    async fn bounce(store: &SledStore, expires_at: Option<Timestamp>, seconds: u64) -> Option<Timestamp> {
        let address = "Taro@example.com";
        let then = Suppression { expires_at, ..suppression(SuppressionScope::Global, address) };
        let bounce = SoftBounce { then, run_max: 3, within: Duration::from_secs(10) };
        let count = move |txn: &mut Txn| txn.count_soft_bounce(&bounce, at(seconds));
        store.writer.commit(Weight { changes: 1, bytes: 99 }, Patience::Wait, count).await.unwrap();
        let found = store.suppression(&suppression_key(address)).await.unwrap();
        found.and_then(|found| found.expires_at)
    }

    #[tokio::test]
    async fn a_run_of_soft_bounces_suppresses_and_a_pause_ends_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = open_plain(dir.path());
        let end = Some(at(500));
        for (seconds, expected) in [(0, None), (10, None), (21, None), (30, None), (31, end), (32, end), (33, end)] {
            assert_eq!(bounce(&store, end, seconds).await, expected, "at {seconds}");
        }
        assert_eq!(bounce(&store, Some(at(400)), 34).await, end, "what lasts longer stays");
        assert_eq!(bounce(&store, Some(at(600)), 35).await, end, "a run of one");
        while store.prune(at(0), 9, at(40)).await.unwrap() > 0 {}
        assert_eq!(bounce(&store, Some(at(600)), 41).await, end, "the run goes on: it was not over");
        assert_eq!(bounce(&store, Some(at(600)), 42).await, Some(at(600)));
        assert_eq!(bounce(&store, Some(at(700)), 43).await, Some(at(600)));
        assert_eq!(store.disk.keys_with(&Family::Ending.prefix()).unwrap().len(), 2);
        while store.prune(at(0), 9, at(600)).await.unwrap() > 0 {}
        assert_eq!(store.disk.keys_with(&Family::Ending.prefix()).unwrap().len(), 0);
        assert_eq!(store.disk.keys_with(&Family::SoftRun.prefix()).unwrap().len(), 0);
        assert_eq!(store.suppression(&suppression_key("taro@example.com")).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_long_list_goes_with_its_account() {
        let dir = tempfile::tempdir().unwrap();
        let store = open_plain(dir.path());
        store.create_account(sample_account("sales")).await.unwrap();
        let scope = SuppressionScope::Account(account_id("sales"));
        let one = |number: usize| Suppression {
            expires_at: number.is_multiple_of(2).then(|| at(500)),
            ..suppression(scope.clone(), &format!("user{number}@example.com"))
        };
        store.suppress((0..2 * FORGOTTEN_PER_STEP + 9).map(one).collect()).await.unwrap();
        let then = one(9_999);
        let bounce = SoftBounce { then, run_max: 3, within: Duration::from_secs(10) };
        let count = move |txn: &mut Txn| txn.count_soft_bounce(&bounce, at(1));
        store.writer.commit(Weight { changes: 1, bytes: 99 }, Patience::Wait, count).await.unwrap();
        assert!(store.has_suppressions());
        store.delete_account(&account_id("sales"), None, at(2)).await.unwrap();
        for family in [Family::Suppression, Family::SoftRun, Family::Ending] {
            assert_eq!(store.disk.keys_with(&family.prefix()).unwrap().len(), 0, "{family:?}");
        }
        assert!(!store.has_suppressions());
        store.suppress(vec![one(1)]).await.unwrap();
        store.create_account(sample_account("sales")).await.unwrap();
        assert_eq!(store.suppression(&one(1).key).await.unwrap(), None, "what came after it went is not inherited");
    }

    #[test]
    fn a_damaged_suppression_holds_though_its_address_cannot_be_read() {
        let key = |text| SuppressionKey {
            scope: SuppressionScope::Global,
            mailbox: crate::domain::suppression::SuppressedMailbox::stored(text),
        };
        let long = format!("{}@example.com", "a".repeat(99));
        assert_eq!(rebuilt(&key("taro@example.com")).unwrap().address.as_str(), "taro@example.com");
        assert_eq!(rebuilt(&key(&long)).unwrap().address.as_str(), UNKNOWN);
        assert_eq!(rebuilt(&key("taro")), None);
    }
}
