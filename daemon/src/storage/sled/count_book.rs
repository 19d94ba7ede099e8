//! What a commit counts, added up in memory before it is written.

use std::collections::HashMap;

use crate::domain::{
    statistics::{Counted, Counts, StatisticsGroup},
    time::Timestamp,
};

/// An hour of an account.
pub(super) type Hour = (u32, Timestamp);

/// What a commit counts.
#[derive(Debug, Default)]
pub(super) struct CountBook {
    pub(super) hours: HashMap<Hour, Sums>,
    /// How many groups of each kind an hour names.
    pub(super) named: HashMap<Hour, HashMap<u8, usize>>,
}

/// Sums by group, in the order in which the groups were first met: where there is room for some only, the first have it.
#[derive(Debug, Default)]
pub(super) struct Sums {
    places: HashMap<StatisticsGroup, usize>,
    pub(super) sums: Vec<(StatisticsGroup, Counts)>,
}

impl Sums {
    pub(super) fn add(&mut self, counted: &Counted) {
        if let Some(place) = self.places.get(&counted.group) {
            self.sums[*place].1.add(&counted.counts);
        } else {
            self.places.insert(counted.group.clone(), self.sums.len());
            self.sums.push((counted.group.clone(), counted.counts.clone()));
        }
    }
}
