//! DKIM keys and rules, on sled: a record for each key, one for the rules, and a copy of what is no secret in memory.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use prost::Message as _;

use super::{
    SledStore,
    disk::{self, Disk, Stored, View},
    keys::{Family, Key},
    txn::{DkimNews, Txn},
    writer::{Patience, Weight},
};
use crate::{
    domain::{
        dkim::{DKIM_KEYS_MAX, DkimKey, DkimKeyId, DkimKeys, DkimRules},
        ids::Etag,
    },
    platform::sealing::Sealer,
    storage::{
        AddDkimKeyError, DKIM_RULES_BYTES_MAX, DeleteDkimKeyError, DkimStore, PrivateKey, SetDkimRulesError,
        StorageError,
        records::dkim::{DkimKeyRow, DkimRulesRow},
    },
};

/// About how many bytes a key takes.
const KEY_WEIGHT: Weight = Weight { changes: 1, bytes: 8_192 };

const SET_ASIDE: &str = "the DKIM rules were set aside as damaged: set them again";

/// Keys and rules as the last commit left them.
#[derive(Clone, Debug)]
pub(super) struct KnownDkim(Arc<Mutex<Known>>);

#[derive(Debug)]
struct Known {
    keys: Arc<DkimKeys>,
    /// Keys that cannot be read.
    unreadable: HashSet<[u8; 16]>,
    /// Whether a key was set aside since the rules were set.
    has_lost_key: bool,
    /// The rules, or what is wrong with their record.
    rules: Result<Arc<DkimRules>, String>,
}

impl KnownDkim {
    /// Reads them from a store that is being opened. Keys that cannot be read are only counted.
    pub(super) fn load(disk: &Disk) -> Result<Self, StorageError> {
        let (mut keys, mut unreadable) = (DkimKeys::new(), HashSet::new());
        for key in disk.keys_with(&Family::DkimKey.prefix())? {
            let Some(Key::Dkim { hash, chunk: 0 }) = Key::parse(&key) else { continue };
            match read_key(disk, hash) {
                Ok(found) => keys.extend(found.map(|(key, _)| (key.id.clone(), key))),
                Err(StorageError::Damaged(why)) => {
                    tracing::error!(reason = %why, "a damaged DKIM key is left out: verify the store");
                    unreadable.insert(hash);
                }
                Err(error) => return Err(error),
            }
        }
        let (rules, has_lost_key) = match read_rules(disk) {
            Ok(Some(Stored { value: (rules, row), .. })) => (Ok(Arc::new(rules)), row.key_set_aside),
            Ok(None) => (Ok(Arc::default()), false),
            Err(StorageError::Damaged(why)) => {
                tracing::error!(reason = %why, "the DKIM rules are damaged: set them again");
                (Err(why), false)
            }
            Err(error) => return Err(error),
        };
        Ok(Self(Arc::new(Mutex::new(Known { keys: Arc::new(keys), unreadable, has_lost_key, rules }))))
    }

    /// Notes what a commit has made of them.
    pub(super) fn learn(&self, news: Vec<DkimNews>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for change in news {
            match change {
                DkimNews::Key(key) => {
                    known.unreadable.remove(&hash_of(&key.id));
                    Arc::make_mut(&mut known.keys).insert(key.id.clone(), *key);
                }
                DkimNews::Gone(hash) => {
                    known.unreadable.remove(&hash);
                    Arc::make_mut(&mut known.keys).retain(|id, _| hash_of(id) != hash);
                }
                DkimNews::KeyLost => known.has_lost_key = true,
                DkimNews::Rules(rules) => (known.rules, known.has_lost_key) = (rules, false),
            }
        }
    }

    fn keys(&self) -> Arc<DkimKeys> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner).keys)
    }

    fn lacks_keys(&self) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.has_lost_key || !known.unreadable.is_empty()
    }

    fn rules(&self) -> Result<Arc<DkimRules>, StorageError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).rules.clone().map_err(StorageError::Damaged)
    }
}

/// What stands for a key's name in keys of the store.
fn hash_of(id: &DkimKeyId) -> [u8; 16] {
    let hash = blake3::hash(id.to_string().as_bytes());
    *hash.as_bytes().first_chunk().expect("a hash has 32 bytes")
}

fn read_key(view: &impl View, hash: [u8; 16]) -> Result<Option<(DkimKey, DkimKeyRow)>, StorageError> {
    let Some(stored) = disk::read_row::<DkimKeyRow>(view, |chunk| Key::Dkim { hash, chunk })? else {
        return Ok(None);
    };
    let key = stored.value.to_key();
    let key = key.ok().filter(|key| hash_of(&key.id) == hash);
    let key = key.ok_or_else(|| StorageError::Damaged(format!("DKIM key {}: is none", stored.value.id)))?;
    Ok(Some((key, stored.value)))
}

/// The stored rules with their row; damaged as well when they were set aside.
fn read_rules(view: &impl View) -> Result<Option<Stored<(DkimRules, DkimRulesRow)>>, StorageError> {
    let Some(Stored { value, frames }) = disk::read_row::<DkimRulesRow>(view, |chunk| Key::DkimRules { chunk })? else {
        return Ok(None);
    };
    let rules = rules_of(&value).map_err(StorageError::Damaged)?;
    Ok(Some(Stored { value: (rules, value), frames }))
}

fn rules_of(row: &DkimRulesRow) -> Result<DkimRules, String> {
    if row.set_aside {
        return Err(SET_ASIDE.to_owned());
    }
    DkimRules::try_from(row.clone()).map_err(|error| format!("DKIM rules: {error}"))
}

/// Whether the record of a key can be read and its private half be opened.
pub(super) fn check_key(view: &impl View, hash: [u8; 16], sealer: &Sealer) -> Result<(), StorageError> {
    let Some((key, row)) = read_key(view, hash)? else { return Ok(()) };
    let opened = row.private_key(sealer).map(drop);
    opened.map_err(|error| StorageError::Damaged(format!("DKIM key {}: {error}", key.id)))
}

/// Whether the record of the rules can be read; one that says that they were set aside can.
pub(super) fn check_rules(view: &impl View) -> Result<(), StorageError> {
    match disk::read_row::<DkimRulesRow>(view, |chunk| Key::DkimRules { chunk })? {
        Some(stored) if !stored.value.set_aside => rules_of(&stored.value).map(drop).map_err(StorageError::Damaged),
        _ => Ok(()),
    }
}

/// The stored form of a key, as an export has it: its private half stays sealed.
pub(super) fn row_of_key(view: &impl View, hash: [u8; 16]) -> Result<Option<DkimKeyRow>, StorageError> {
    Ok(read_key(view, hash)?.map(|(_, row)| row))
}

/// Puts a key as an import has it.
pub(super) fn put_key(txn: &mut Txn, row: &DkimKeyRow) -> Result<(), StorageError> {
    let key = row.to_key().map_err(|error| StorageError::Unfinished(format!("import: {error}")))?;
    let hash = hash_of(&key.id);
    txn.put_row(|chunk| Key::Dkim { hash, chunk }, row, 0);
    txn.made.dkim.push(DkimNews::Key(Box::new(key)));
    Ok(())
}

/// Puts rules as an import has them.
pub(super) fn put_rules(txn: &mut Txn, row: &DkimRulesRow) -> Result<(), StorageError> {
    let rules = rules_of(row);
    if let Err(why) = &rules
        && !row.set_aside
    {
        return Err(StorageError::Unfinished(format!("import: {why}")));
    }
    txn.put_row(|chunk| Key::DkimRules { chunk }, row, 0);
    txn.made.dkim.push(DkimNews::Rules(rules.map(Arc::new)));
    if row.key_set_aside {
        txn.made.dkim.push(DkimNews::KeyLost);
    }
    Ok(())
}

/// Notes that an unreadable key was set aside: as long as keys sign their own domains, its mail is not sent unsigned.
pub(super) fn forgotten_key(txn: &mut Txn, hash: [u8; 16]) -> Result<(), StorageError> {
    txn.made.dkim.push(DkimNews::Gone(hash));
    if let Some(Stored { value: (rules, row), frames }) = disk::readable(read_rules(txn))?
        && rules.sign_own_domains
    {
        let row = DkimRulesRow { key_set_aside: true, ..row };
        txn.put_row(|chunk| Key::DkimRules { chunk }, &row, frames);
        txn.made.dkim.push(DkimNews::KeyLost);
    }
    Ok(())
}

/// Notes that unreadable rules were set aside, so that nothing goes unsigned until they are set again.
pub(super) fn forgotten_rules(txn: &mut Txn) {
    let row = DkimRulesRow { set_aside: true, ..DkimRulesRow::default() };
    txn.put_row(|chunk| Key::DkimRules { chunk }, &row, 0);
    txn.made.dkim.push(DkimNews::Rules(Err(SET_ASIDE.to_owned())));
}

fn is_there(txn: &Txn, id: &DkimKeyId) -> Result<bool, StorageError> {
    Ok(txn.get(&Key::Dkim { hash: hash_of(id), chunk: 0 }.to_bytes())?.is_some())
}

fn add(txn: &mut Txn, key: DkimKey, row: &DkimKeyRow) -> Result<Result<(), AddDkimKeyError>, StorageError> {
    if is_there(txn, &key.id)? {
        return Ok(Err(AddDkimKeyError::Exists));
    }
    let taken = txn.keys_with(&Family::DkimKey.prefix())?;
    let count = taken.iter().filter(|key| matches!(Key::parse(key), Some(Key::Dkim { chunk: 0, .. }))).count();
    if count >= DKIM_KEYS_MAX {
        return Ok(Err(AddDkimKeyError::Full));
    }
    let hash = hash_of(&key.id);
    txn.put_row(|chunk| Key::Dkim { hash, chunk }, row, 0);
    txn.made.dkim.push(DkimNews::Key(Box::new(key)));
    Ok(Ok(()))
}

fn delete(txn: &mut Txn, id: &DkimKeyId) -> Result<Result<(), DeleteDkimKeyError>, StorageError> {
    if !is_there(txn, id)? {
        return Ok(Err(DeleteDkimKeyError::Unknown));
    }
    // Damaged rules name nothing.
    let rules = disk::readable(read_rules(txn))?;
    if let Some(what) = rules.and_then(|stored| stored.value.0.naming(id)) {
        return Ok(Err(DeleteDkimKeyError::Named(what)));
    }
    let hash = hash_of(id);
    for key in txn.keys_with(&Key::Dkim { hash, chunk: 0 }.stem())? {
        txn.remove(key);
    }
    txn.made.dkim.push(DkimNews::Gone(hash));
    Ok(Ok(()))
}

fn replace(
    txn: &mut Txn,
    rules: DkimRules,
    row: &DkimRulesRow,
    expected: Etag,
) -> Result<Result<(), SetDkimRulesError>, StorageError> {
    let old_frames = match read_rules(txn) {
        Ok(stored) => {
            let (current, frames) = stored.map_or((Etag(0), 0), |stored| (stored.value.0.etag, stored.frames));
            if current != expected {
                return Ok(Err(SetDkimRulesError::Stale { current }));
            }
            frames
        }
        // New rules mend a damaged record; a frame that is left of it is found by verify.
        Err(StorageError::Damaged(_)) => 0,
        Err(error) => return Err(error),
    };
    for id in rules.keys() {
        if !is_there(txn, id)? {
            return Ok(Err(SetDkimRulesError::UnknownKey(id.clone())));
        }
    }
    txn.put_row(|chunk| Key::DkimRules { chunk }, row, old_frames);
    txn.made.dkim.push(DkimNews::Rules(Ok(Arc::new(rules))));
    Ok(Ok(()))
}

#[async_trait]
impl DkimStore for SledStore {
    async fn dkim_keys(&self) -> Result<Arc<DkimKeys>, StorageError> {
        self.disk.failure.check()?;
        Ok(self.dkim.keys())
    }

    async fn lacks_dkim_keys(&self) -> Result<bool, StorageError> {
        self.disk.failure.check()?;
        Ok(self.dkim.lacks_keys())
    }

    async fn dkim_private_key(&self, id: &DkimKeyId) -> Result<Option<PrivateKey>, StorageError> {
        self.disk.failure.check()?;
        let Some((key, row)) = read_key(&self.disk, hash_of(id))? else { return Ok(None) };
        let opened = row.private_key(&self.sealer);
        opened.map(Some).map_err(|error| StorageError::Damaged(format!("DKIM key {}: {error}", key.id)))
    }

    async fn add_dkim_key(&self, key: DkimKey, private: PrivateKey) -> Result<(), AddDkimKeyError> {
        let row = DkimKeyRow::new(&key, &private, &self.sealer);
        self.writer.commit(KEY_WEIGHT, Patience::Refuse, move |txn| add(txn, key, &row)).await?
    }

    async fn delete_dkim_key(&self, id: &DkimKeyId) -> Result<(), DeleteDkimKeyError> {
        let id = id.clone();
        self.writer.commit(KEY_WEIGHT, Patience::Refuse, move |txn| delete(txn, &id)).await?
    }

    async fn dkim_rules(&self) -> Result<Arc<DkimRules>, StorageError> {
        self.disk.failure.check()?;
        self.dkim.rules()
    }

    async fn set_dkim_rules(&self, rules: DkimRules, expected: Etag) -> Result<(), SetDkimRulesError> {
        let row = DkimRulesRow::from(&rules);
        let bytes = row.encoded_len();
        if bytes > DKIM_RULES_BYTES_MAX {
            return Err(SetDkimRulesError::TooLarge { bytes });
        }
        let weight = Weight { changes: 1, bytes };
        self.writer.commit(weight, Patience::Refuse, move |txn| replace(txn, rules, &row, expected)).await?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Progress, StoreCare, contract::samples, sled::tests::open_plain};

    #[derive(Debug)]
    struct Silent;

    impl Progress for Silent {
        fn report(&self, _done: u64, _total: u64) {}
    }

    #[tokio::test]
    async fn what_is_damaged_is_not_used_and_is_set_aside() {
        let dir = tempfile::tempdir().expect("a folder");
        let name = "a._domainkey.example.jp";
        {
            let store = open_plain(dir.path());
            for selector in ["a", "b"] {
                let (key, private) = samples::dkim_key(selector, "example.jp");
                store.add_dkim_key(key, private).await.expect("it is new");
            }
            store.set_dkim_rules(samples::dkim_rules(&[name], 1), Etag(0)).await.expect("nobody set any");
            assert!(!store.lacks_dkim_keys().await.expect("an answer"));
            let hash = hash_of(&name.parse().expect("a name"));
            for key in [Key::Dkim { hash, chunk: 1 }, Key::DkimRules { chunk: 0 }] {
                store.disk.tree.insert(key.to_bytes(), b"damaged").expect("written");
            }
            store.close().await.expect("closed");
        }
        let store = open_plain(dir.path());
        assert_eq!(store.dkim_keys().await.expect("an answer").len(), 1);
        assert!(store.lacks_dkim_keys().await.expect("an answer"));
        assert!(matches!(store.dkim_rules().await, Err(StorageError::Damaged(_))), "nothing is sent unsigned by it");
        let findings = store.verify(&Silent).await.expect("an answer");
        assert_eq!(findings.quarantined_count, 2, "{findings:?}");
        let (key, private) = samples::dkim_key("a", "example.jp");
        store.add_dkim_key(key, private).await.expect("the damaged one is gone");
        assert!(matches!(store.dkim_rules().await, Err(StorageError::Damaged(why)) if why == SET_ASIDE));
        let store = reopened(store, dir.path()).await;
        assert!(matches!(store.dkim_rules().await, Err(StorageError::Damaged(why)) if why == SET_ASIDE));
        let findings = store.verify(&Silent).await.expect("an answer");
        assert_eq!(findings.quarantined_count, 0, "{findings:?}");
        let rules = samples::dkim_rules(&[name], 7);
        store.set_dkim_rules(rules.clone(), Etag(3)).await.expect("there are none");
        assert_eq!(*reopened(store, dir.path()).await.dkim_rules().await.expect("an answer"), rules);
    }

    async fn reopened(store: Arc<SledStore>, path: &std::path::Path) -> Arc<SledStore> {
        store.close().await.expect("closed");
        drop(store);
        open_plain(path)
    }

    #[tokio::test]
    async fn a_lost_key_is_told_until_the_rules_are_set_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = open_plain(dir.path());
        let (key, private) = samples::dkim_key("a", "example.jp");
        let hash = hash_of(&key.id);
        store.add_dkim_key(key, private).await.expect("it is new");
        let rules = |etag| DkimRules { sign_own_domains: true, etag: Etag(etag), ..DkimRules::default() };
        store.set_dkim_rules(rules(1), Etag(0)).await.expect("nobody set any");
        store.disk.tree.insert(Key::Dkim { hash, chunk: 0 }.to_bytes(), b"damaged").expect("written");
        let store = reopened(store, dir.path()).await;
        assert!(store.lacks_dkim_keys().await.expect("an answer"));
        assert_eq!(store.verify(&Silent).await.expect("an answer").quarantined_count, 1);
        assert!(store.lacks_dkim_keys().await.expect("an answer"));
        assert_eq!(*store.dkim_rules().await.expect("an answer"), rules(1));
        let store = reopened(store, dir.path()).await;
        assert!(store.lacks_dkim_keys().await.expect("an answer"), "that is on disk");
        store.set_dkim_rules(rules(2), Etag(1)).await.expect("they can be read");
        assert!(!reopened(store, dir.path()).await.lacks_dkim_keys().await.expect("an answer"));
    }
}
