//! Which messages of a merge job were never tried: a cursor that may leave gaps behind it.

use std::ops::Range;

/// Indexes of messages as ranges in order, none of them empty or touching the next.
///
/// Messages are tried in the order of their indexes, but several at once: below the cursor, from which on all are
/// untouched, there are a few gaps of messages that were overtaken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Untouched {
    ranges: Vec<Range<u32>>,
}

impl Untouched {
    /// All of so many messages.
    #[must_use]
    pub fn all(messages: u32) -> Self {
        Self { ranges: std::iter::once(0..messages).filter(|range| !range.is_empty()).collect() }
    }

    /// These ranges; nothing when they are out of order, empty or touching.
    #[must_use]
    pub fn from_ranges(ranges: Vec<Range<u32>>) -> Option<Self> {
        let in_order = ranges.windows(2).all(|pair| pair[0].end < pair[1].start);
        (in_order && ranges.iter().all(|range| !range.is_empty())).then_some(Self { ranges })
    }

    /// The ranges, in order.
    #[must_use]
    pub fn ranges(&self) -> &[Range<u32>] {
        &self.ranges
    }

    /// How many messages there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.ranges.iter().map(|range| range.end - range.start).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether a message is one of them.
    #[must_use]
    pub fn contains(&self, index: u32) -> bool {
        self.ranges.get(self.place(index)).is_some_and(|range| range.contains(&index))
    }

    /// Whether all messages of a range are among them.
    #[must_use]
    pub fn covers(&self, wanted: Range<u32>) -> bool {
        self.ranges
            .get(self.place(wanted.start))
            .is_some_and(|range| range.start <= wanted.start && wanted.end <= range.end)
    }

    /// The messages, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.ranges.iter().cloned().flatten()
    }

    /// Takes a message out, and says whether it was there.
    pub fn remove(&mut self, index: u32) -> bool {
        let place = self.place(index);
        let Some(range) = self.ranges.get_mut(place).filter(|range| range.contains(&index)) else {
            return false;
        };
        let rest = index + 1..range.end;
        range.end = index;
        let is_used_up = range.start == range.end;
        match (is_used_up, rest.start == rest.end) {
            (true, true) => drop(self.ranges.remove(place)),
            (true, false) => self.ranges[place] = rest,
            (false, true) => {}
            (false, false) => self.ranges.insert(place + 1, rest),
        }
        true
    }

    /// Puts a message back.
    pub fn insert(&mut self, index: u32) {
        let place = self.place(index);
        if self.contains(index) {
            return;
        }
        let end = index.saturating_add(1);
        let joins_before = place > 0 && self.ranges[place - 1].end == index;
        let joins_after = self.ranges.get(place).is_some_and(|range| range.start == end);
        match (joins_before, joins_after) {
            (true, true) => self.ranges[place - 1].end = self.ranges.remove(place).end,
            (true, false) => self.ranges[place - 1].end = end,
            (false, true) => self.ranges[place].start = index,
            (false, false) => self.ranges.insert(place, index..end),
        }
    }

    /// The place of the first range that ends behind `index`.
    fn place(&self, index: u32) -> usize {
        self.ranges.partition_point(|range| range.end <= index)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_hold_what_a_set_would(changes in prop::collection::vec((any::<bool>(), 0..40_u32), 0..120)) {
            let mut untouched = Untouched::all(40);
            let mut set: BTreeSet<u32> = (0..40).collect();
            for (puts_back, index) in changes {
                if puts_back {
                    untouched.insert(index);
                    set.insert(index);
                } else {
                    prop_assert_eq!(untouched.remove(index), set.remove(&index));
                }
                prop_assert_eq!(untouched.contains(index), puts_back);
            }
            prop_assert_eq!(untouched.iter().collect::<Vec<_>>(), set.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(untouched.count() as usize, set.len());
            prop_assert_eq!(untouched.is_empty(), set.is_empty());
            prop_assert_eq!(Untouched::from_ranges(untouched.ranges().to_vec()), Some(untouched));
        }
    }

    #[test]
    fn ranges_that_are_none_are_refused() {
        for ranges in [vec![0..2, 5..5], vec![0..2, 2..4], vec![5..6, 0..1]] {
            assert_eq!(Untouched::from_ranges(ranges), None);
        }
        assert!(Untouched::all(0).is_empty());
    }
}
