//! What is kept back of every quota: for people, and for urgent jobs.

use std::num::NonZeroU64;

use super::job::Priority;

/// All reserves of an account together, in percent, are less than this.
pub const RESERVES_PERCENT_BELOW: u32 = 100;

/// Percents of every quota that are kept back.
///
/// Of a quota, a send may use what is left when the reserve for people and the reserves of all more urgent classes are
/// taken away. Whatever counts in the window counts against that, of all classes: so while less urgent mail goes, the
/// reserve is always free. The most urgent class is bounded by the reserve for people alone.
///
/// Shares are rounded down to whole units, so a reserve is never smaller than its percent; but each class may use at least
/// one unit of a quota, so that a small quota (one message every ten seconds) still serves all of them in turn. A class with a
/// reserve of at least a whole unit therefore has that to itself, unless a less urgent class was left no unit at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reserves {
    humans: u8,
    /// In the order of [`Priority::ALL`].
    classes: [u8; Priority::ALL.len()],
}

/// Why reserves are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReservesError {
    /// No share would be left for those without a reserve.
    #[error("all reserves together must be less than {RESERVES_PERCENT_BELOW} percent")]
    TooMuch,
    /// Nothing is less urgent, so there is nobody from whom it could be kept.
    #[error("the least urgent priority cannot have a reserve")]
    LeastUrgent,
}

impl Reserves {
    /// Keeps `humans` percent for people, and for each class (and those more urgent than it) its percent. Of two entries
    /// of one class the last one holds.
    ///
    /// # Errors
    /// When nothing would be left, or the least urgent class is named.
    pub fn new(humans: u32, classes: &[(Priority, u32)]) -> Result<Self, ReservesError> {
        let percent = |percent: u32| u8::try_from(percent).map_err(|_| ReservesError::TooMuch);
        let mut reserves = Self { humans: percent(humans)?, ..Self::default() };
        for &(class, share) in classes {
            if class == Priority::Bulk && share > 0 {
                return Err(ReservesError::LeastUrgent);
            }
            reserves.classes[class as usize] = percent(share)?;
        }
        if reserves.kept_from(Priority::Bulk) >= RESERVES_PERCENT_BELOW {
            return Err(ReservesError::TooMuch);
        }
        Ok(reserves)
    }

    /// The percent that is left to people.
    #[must_use]
    pub fn humans(&self) -> u32 {
        self.humans.into()
    }

    /// The classes that have a reserve, with its percent, the most urgent first.
    pub fn classes(&self) -> impl Iterator<Item = (Priority, u32)> {
        let classes = self.classes;
        let all = Priority::ALL.into_iter().map(move |class| (class, classes[class as usize].into()));
        all.filter(|&(_, percent)| percent > 0)
    }

    /// How many units of a quota may count in a window once a send of this class is made; from 1 to `limit`.
    #[must_use]
    pub fn share(&self, limit: NonZeroU64, class: Priority) -> u64 {
        let left = u128::from(RESERVES_PERCENT_BELOW.saturating_sub(self.kept_from(class)));
        let units = u128::from(limit.get()) * left / u128::from(RESERVES_PERCENT_BELOW);
        u64::try_from(units).unwrap_or(limit.get()).max(1)
    }

    /// The percent that is kept from this class.
    fn kept_from(&self, class: Priority) -> u32 {
        let more_urgent = self.classes.iter().take(class as usize);
        more_urgent.map(|percent| u32::from(*percent)).sum::<u32>() + u32::from(self.humans)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What each class may use of a quota.
    #[track_caller]
    fn check(humans: u32, classes: &[(Priority, u32)], limit: u64, expected: [u64; 4]) {
        let reserves = Reserves::new(humans, classes).expect("they leave something");
        let limit = NonZeroU64::new(limit).expect("not zero");
        assert_eq!(Priority::ALL.map(|class| reserves.share(limit, class)), expected);
    }

    #[test]
    fn a_reserve_is_for_its_class_and_those_more_urgent() {
        use Priority::{High, Low, Normal};
        check(0, &[], 500, [500, 500, 500, 500]);
        check(10, &[], 500, [450, 450, 450, 450]);
        check(0, &[(High, 20)], 500, [500, 400, 400, 400]);
        check(10, &[(High, 20), (Normal, 30), (Low, 5)], 100, [90, 70, 40, 35]);
        check(99, &[], u64::MAX, [184_467_440_737_095_516; 4]);
    }

    #[test]
    fn small_quotas_are_shared_in_whole_units_and_leave_nobody_out() {
        use Priority::{High, Low, Normal};
        check(0, &[(High, 20)], 5, [5, 4, 4, 4]);
        check(0, &[(High, 10)], 5, [5, 4, 4, 4]);
        check(10, &[(High, 10)], 5, [4, 4, 4, 4]);
        check(0, &[(High, 40), (Normal, 40)], 5, [5, 3, 1, 1]);
        check(10, &[(High, 20)], 1, [1, 1, 1, 1]);
        check(50, &[(High, 20), (Normal, 20), (Low, 9)], 2, [1, 1, 1, 1]);
    }

    #[test]
    fn something_must_be_left() {
        let refused = |humans, classes: &[_]| Reserves::new(humans, classes).err();
        assert_eq!(refused(99, &[]), None);
        assert_eq!(refused(100, &[]), Some(ReservesError::TooMuch));
        assert_eq!(refused(u32::MAX, &[]), Some(ReservesError::TooMuch));
        assert_eq!(refused(40, &[(Priority::High, 30), (Priority::Low, 30)]), Some(ReservesError::TooMuch));
        assert_eq!(refused(0, &[(Priority::Bulk, 1)]), Some(ReservesError::LeastUrgent));
        assert_eq!(refused(0, &[(Priority::Bulk, 0)]), None);
    }

    proptest! {
        #[test]
        fn shares_grow_with_urgency_and_hold_at_least_the_reserve(
            humans in 0..30_u32, high in 0..30_u32, normal in 0..30_u32, low in 0..10_u32, limit in 1..u64::from(u32::MAX),
        ) {
            let classes = [(Priority::High, high), (Priority::Normal, normal), (Priority::Low, low)];
            let reserves = Reserves::new(humans, &classes).expect("less than all");
            let shares = Priority::ALL.map(|class| reserves.share(limit.try_into().expect("from one"), class));
            prop_assert!(shares[0] <= limit && shares[3] >= 1);
            prop_assert!(shares[0] == 1 || (limit - shares[0]) * 100 >= limit * u64::from(humans));
            for (pair, (_, percent)) in shares.windows(2).zip(classes) {
                prop_assert!(pair[1] == 1 || pair[0] - pair[1] >= limit * u64::from(percent) / 100);
            }
        }
    }
}
