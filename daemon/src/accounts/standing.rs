//! Whether an account may send, as its worker follows it: obstacles park it, time and success free it.

use crate::domain::{
    parking::{Parking, ParkingCause, Standing},
    time::Timestamp,
};

/// An account's standing, and the obstacles it met since the provider last took something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveStanding {
    standing: Standing,
    /// The last parking, until the provider takes something: the next one's backoff grows with it.
    last: Option<Parking>,
    parked_at: Timestamp,
}

impl LiveStanding {
    /// Follows a standing that was read from the store.
    #[must_use]
    pub fn new(standing: Standing) -> Self {
        let last = match &standing {
            Standing::Active => None,
            Standing::Parked(parking) => Some(parking.clone()),
        };
        Self { standing, last, parked_at: Timestamp::EPOCH }
    }

    /// Takes over what the store says now, when that is something new: an operator's word.
    pub fn adopt(&mut self, stored: Standing) {
        if stored != self.standing {
            *self = Self::new(stored);
        }
    }

    /// The standing.
    #[must_use]
    pub const fn standing(&self) -> &Standing {
        &self.standing
    }

    /// The last parking, if the provider has taken nothing since.
    #[must_use]
    pub const fn last(&self) -> Option<&Parking> {
        self.last.as_ref()
    }

    /// Notes an obstacle that an attempt met. Answers with the standing to be stored; nothing when the attempt began
    /// before the account was parked last, so that it only met the same again, or when an operator has paused it.
    pub fn park(&mut self, parking: Parking, attempt_started: Timestamp, now: Timestamp) -> Option<Standing> {
        if !self.may_park(attempt_started) {
            return None;
        }
        self.parked_at = now;
        self.last = Some(parking.clone());
        self.standing = Standing::Parked(parking);
        Some(self.standing.clone())
    }

    /// Whether an obstacle counts that an attempt met which began then.
    #[must_use]
    pub fn may_park(&self, attempt_started: Timestamp) -> bool {
        match &self.standing {
            Standing::Parked(present) => present.cause != ParkingCause::Paused && attempt_started > self.parked_at,
            Standing::Active => true,
        }
    }

    /// Notes that the provider took something: what it met before no longer counts.
    pub fn succeeded(&mut self) {
        self.last = None;
    }

    /// Notes that the provider answered about a message, whatever it said. Answers with the standing to be stored when
    /// that frees the account: a probe got through.
    pub fn reached(&mut self) -> Option<Standing> {
        match &self.standing {
            Standing::Parked(Parking { cause: ParkingCause::Unreachable, .. }) => {
                self.last = None;
                self.free()
            }
            Standing::Parked(_) | Standing::Active => None,
        }
    }

    /// Frees the account when its time has come. Answers with the standing to be stored then. An unreachable account is
    /// not freed by time: a probe must get through.
    pub fn lapse(&mut self, now: Timestamp) -> Option<Standing> {
        match &self.standing {
            Standing::Parked(Parking { cause, until: Some(until), .. })
                if *until <= now && *cause != ParkingCause::Unreachable =>
            {
                self.free()
            }
            Standing::Parked(_) | Standing::Active => None,
        }
    }

    fn free(&mut self) -> Option<Standing> {
        self.standing = Standing::Active;
        Some(Standing::Active)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const T0: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn parking(cause: ParkingCause, until: Option<Timestamp>, strikes: u32) -> Parking {
        Parking { cause, reason: String::from("test"), reply: None, since: T0, until, strikes }
    }

    fn later(seconds: u64) -> Timestamp {
        T0.after(Duration::from_secs(seconds))
    }

    #[test]
    fn couriers_that_fail_together_strike_once() {
        let mut live = LiveStanding::new(Standing::Active);
        let obstacle = || parking(ParkingCause::Unreachable, Some(later(30)), 1);
        assert!(live.park(obstacle(), T0, later(1)).is_some());
        assert_eq!(live.park(obstacle(), T0, later(2)), None);
        assert_eq!(live.last().map(|parking| parking.strikes), Some(1));
    }

    #[test]
    fn an_operators_pause_is_not_replaced() {
        let mut live = LiveStanding::new(Standing::Parked(parking(ParkingCause::Paused, None, 0)));
        assert_eq!(live.park(parking(ParkingCause::NeedsReauth, None, 1), later(5), later(6)), None);
        assert_eq!(live.reached(), None);
    }

    #[test]
    fn time_frees_a_throttled_account_but_not_an_unreachable_one() {
        let mut throttled = LiveStanding::new(Standing::Parked(parking(ParkingCause::Throttled, Some(later(9)), 2)));
        assert_eq!(throttled.lapse(later(8)), None);
        assert_eq!(throttled.lapse(later(9)), Some(Standing::Active));
        assert_eq!(throttled.last().map(|parking| parking.strikes), Some(2), "only a success forgets them");

        let mut unreachable =
            LiveStanding::new(Standing::Parked(parking(ParkingCause::Unreachable, Some(later(9)), 1)));
        assert_eq!(unreachable.lapse(later(10)), None);
        assert_eq!(unreachable.reached(), Some(Standing::Active));
    }

    #[test]
    fn new_credentials_are_needed_until_someone_brings_them() {
        let mut live = LiveStanding::new(Standing::Parked(parking(ParkingCause::NeedsReauth, None, 1)));
        assert_eq!(live.lapse(later(1_000_000)), None);
        live.adopt(Standing::Active);
        assert_eq!(live.standing(), &Standing::Active);
        assert_eq!(live.last(), None);
    }
}
