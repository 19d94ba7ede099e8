//! Suppressions as their callers see them, on sled.

use std::ops::Bound;

use async_trait::async_trait;

use super::{
    SledStore,
    disk::readable,
    keys::{Family, Key, ListKey, scope_prefix},
    scope_kind::ScopeKind,
    suppressions::{read_row, read_suppression, suppression_key},
    txn::Txn,
    writer::{CHANGES_PER_COMMIT_MAX, Patience, Weight},
};
use crate::{
    domain::{
        address::Address,
        ids::{AccountId, Label},
        suppression::{Suppression, SuppressionKey, SuppressionScope},
        time::Timestamp,
    },
    storage::{
        Lifted, PAGE_MAX, SUPPRESSION_SCAN_MAX, StorageError, SuppressionFilter, SuppressionPage, SuppressionStore,
        Suppressions,
    },
};

/// About how many bytes a suppression takes.
const SUPPRESSION_BYTES: usize = 1_024;
/// Most entries that are looked for on the caller's own thread.
const GETS_INLINE_MAX: usize = 256;

#[async_trait]
impl SuppressionStore for SledStore {
    async fn suppressed(
        &self,
        account: &AccountId,
        labels: &[Label],
        addresses: &[Address],
        now: Timestamp,
    ) -> Result<Vec<Option<Suppression>>, StorageError> {
        self.disk.failure.check()?;
        let scopes = self.scopes_of(account, labels);
        if scopes.is_empty() {
            return Ok(vec![None; addresses.len()]);
        }
        if scopes.len() * addresses.len() <= GETS_INLINE_MAX {
            return self.find_suppressed(&scopes, addresses, now);
        }
        let addresses = addresses.to_vec();
        self.in_background(move |store| store.find_suppressed(&scopes, &addresses, now)).await
    }

    fn has_suppressions(&self) -> bool {
        self.lists.has_any()
    }

    async fn suppression(&self, key: &SuppressionKey) -> Result<Option<Suppression>, StorageError> {
        read_suppression(&self.disk, key)
    }

    async fn list_suppressions(
        &self,
        filter: &SuppressionFilter,
        page: SuppressionPage,
    ) -> Result<Suppressions, StorageError> {
        let filter = filter.clone();
        self.in_background(move |store| store.find_suppressions(&filter, &page)).await
    }

    async fn suppress(&self, suppressions: Vec<Suppression>) -> Result<Vec<bool>, StorageError> {
        self.space.check()?;
        let mut replaced = Vec::with_capacity(suppressions.len());
        for part in suppressions.chunks(CHANGES_PER_COMMIT_MAX) {
            let part = part.to_vec();
            let weight = Weight { changes: part.len(), bytes: part.len() * SUPPRESSION_BYTES };
            let suppress = move |txn: &mut Txn| part.iter().map(|one| txn.suppress(one)).collect::<Result<Vec<_>, _>>();
            // A list of which the beginning was taken is taken whole.
            let patience = if replaced.is_empty() { Patience::Refuse } else { Patience::Wait };
            replaced.extend(self.writer.commit(weight, patience, suppress).await?);
        }
        Ok(replaced)
    }

    async fn suppress_new(
        &self,
        suppressions: Vec<Suppression>,
        now: Timestamp,
    ) -> Result<Vec<Option<Suppression>>, StorageError> {
        self.space.check()?;
        let mut kept = Vec::with_capacity(suppressions.len());
        for part in suppressions.chunks(CHANGES_PER_COMMIT_MAX) {
            let part = part.to_vec();
            let weight = Weight { changes: part.len(), bytes: part.len() * SUPPRESSION_BYTES };
            let suppress =
                move |txn: &mut Txn| part.iter().map(|one| txn.suppress_new(one, now)).collect::<Result<Vec<_>, _>>();
            // A list of which the beginning was taken is taken whole.
            let patience = if kept.is_empty() { Patience::Refuse } else { Patience::Wait };
            kept.extend(self.writer.commit(weight, patience, suppress).await?);
        }
        Ok(kept)
    }

    async fn lift(&self, key: &SuppressionKey, requeue: bool, now: Timestamp) -> Result<Option<Lifted>, StorageError> {
        self.lift_suppression(key, requeue, now).await
    }
}

impl SledStore {
    /// The scopes that may decide, in their order. Those of which there is no suppression are left out.
    fn scopes_of(&self, account: &AccountId, labels: &[Label]) -> Vec<SuppressionScope> {
        let own = [SuppressionScope::Global, SuppressionScope::Account(account.clone())];
        let labels = labels.iter().cloned().map(SuppressionScope::Label);
        own.into_iter().chain(labels).filter(|scope| self.lists.has(ScopeKind::of(scope))).collect()
    }

    fn find_suppressed(
        &self,
        scopes: &[SuppressionScope],
        addresses: &[Address],
        now: Timestamp,
    ) -> Result<Vec<Option<Suppression>>, StorageError> {
        let find = |address: &Address| {
            for scope in scopes {
                let found = read_suppression(&self.disk, &SuppressionKey::new(scope.clone(), address))?;
                if let Some(found) = found.filter(|found| found.holds(now)) {
                    return Ok(Some(found));
                }
            }
            Ok(None)
        };
        addresses.iter().map(find).collect()
    }

    fn find_suppressions(
        &self,
        filter: &SuppressionFilter,
        page: &SuppressionPage,
    ) -> Result<Suppressions, StorageError> {
        let limit = page.limit.clamp(1, PAGE_MAX);
        let mut found = Suppressions { suppressions: Vec::new(), next: None };
        let mut seen = 0;
        let mut last: Option<SuppressionKey> = None;
        for prefix in prefixes(filter) {
            let after = page.after.as_ref().map(|after| suppression_key(after).to_bytes());
            let start = match after {
                Some(after) if after.as_slice() >= prefix.as_slice() => Bound::Excluded(after),
                _ => Bound::Included(prefix.clone()),
            };
            for key in self.disk.tree.range::<Vec<u8>, _>((start, Bound::Unbounded)).keys() {
                let key = self.disk.checked(key)?;
                if !key.starts_with(&prefix) {
                    break;
                }
                let Some(Key::List(ListKey::Suppression { key })) = Key::parse(&key) else { continue };
                if seen == SUPPRESSION_SCAN_MAX || found.suppressions.len() == limit {
                    found.next = last;
                    return Ok(found);
                }
                seen += 1;
                let read = readable(read_row(&self.disk, &key))?;
                found.suppressions.extend(read.filter(|one| one.holds(page.now) && filter.is_met_by(one)));
                last = Some(key);
            }
        }
        Ok(found)
    }
}

/// What the keys begin with that a filter is about, in their order, none of them within another.
fn prefixes(filter: &SuppressionFilter) -> Vec<Vec<u8>> {
    if filter.scopes.is_empty() {
        return vec![Family::Suppression.prefix().to_vec()];
    }
    let mut prefixes: Vec<_> = filter.scopes.iter().map(scope_prefix).collect();
    prefixes.sort();
    prefixes.dedup();
    prefixes
}
