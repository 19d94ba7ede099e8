//! A few things that were read lately, so that a merge job's content and pages are decoded once and not once a message.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Things that were read lately, the latest first, as many as their weights allow.
#[derive(Debug)]
pub(in crate::storage::sled) struct Recent<T> {
    entries: Mutex<VecDeque<Entry<T>>>,
    weight_max: usize,
}

#[derive(Debug)]
struct Entry<T> {
    value: Arc<T>,
    weight: usize,
}

impl<T> Recent<T> {
    /// Keeps what weighs so much together; of heavier things the latest one.
    pub(in crate::storage::sled) fn new(weight_max: usize) -> Self {
        Self { entries: Mutex::default(), weight_max }
    }

    /// The first that `is_wanted`.
    pub(super) fn get(&self, is_wanted: impl Fn(&T) -> bool) -> Option<Arc<T>> {
        let mut entries = self.entries();
        let place = entries.iter().position(|entry| is_wanted(&entry.value))?;
        let entry = entries.remove(place)?;
        let value = Arc::clone(&entry.value);
        entries.push_front(entry);
        Some(value)
    }

    /// Keeps a thing, and forgets those that were not wanted for longest.
    pub(super) fn put(&self, value: Arc<T>, weight: usize) {
        let mut entries = self.entries();
        entries.push_front(Entry { value, weight });
        let mut total: usize = entries.iter().map(|entry| entry.weight).sum();
        while entries.len() > 1 && total > self.weight_max {
            total -= entries.pop_back().map_or(0, |entry| entry.weight);
        }
    }

    fn entries(&self) -> MutexGuard<'_, VecDeque<Entry<T>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_wanted_last_is_kept() {
        let recent = Recent::new(3);
        for value in 1..=3 {
            recent.put(Arc::new(value), 1);
        }
        assert_eq!(recent.get(|value| *value == 1).as_deref(), Some(&1));
        recent.put(Arc::new(4), 1);
        assert_eq!(recent.get(|value| *value == 2), None);
        assert_eq!(recent.get(|value| *value == 1).as_deref(), Some(&1));
        recent.put(Arc::new(9), 100);
        assert_eq!(recent.get(|value| *value == 9).as_deref(), Some(&9), "the latest is kept however heavy");
        assert_eq!(recent.get(|value| *value == 1), None);
    }
}
