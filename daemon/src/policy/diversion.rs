//! When a job goes over to another account, and to which.

use std::time::Duration;

use super::{admission::message_bytes_max, routing::fitness};
use crate::domain::{
    account::AccountSettings,
    address::Address,
    ids::AccountId,
    job::Job,
    limits::QuotaUnit,
    parking::{ParkingCause, Standing},
    time::Timestamp,
};

/// A pause, a quota or a request to slow down that ends within this time is waited for.
pub const WAIT_MAX: Duration = Duration::from_secs(60);

/// Whether an account cannot send for so long that others should send in its place.
///
/// An obstacle that time alone does not end (the sign-in, a suspension, a server that cannot be reached) counts at once;
/// the others when they last longer than [`WAIT_MAX`]. An account whose next probe is due is not out: it is being tried.
/// A wait for the account's own quotas is no obstacle, but what it was given to do.
#[must_use]
pub fn is_out(standing: &Standing, now: Timestamp) -> bool {
    let Standing::Parked(parking) = standing else { return false };
    let Some(until) = parking.until else { return true };
    match parking.cause {
        ParkingCause::NeedsReauth | ParkingCause::SuspendedByProvider | ParkingCause::Unreachable => until > now,
        ParkingCause::Paused | ParkingCause::QuotaExhausted | ParkingCause::Throttled => until > now.after(WAIT_MAX),
    }
}

/// An account that may take a job over.
#[derive(Clone, Copy, Debug)]
pub struct Heir<'a> {
    /// Which one.
    pub id: &'a AccountId,
    /// Its settings.
    pub settings: &'a AccountSettings,
    /// Whether it may send.
    pub standing: &'a Standing,
}

/// Which of these takes a job over, and the reverse-path that it uses: the first that can send, may send as the job's
/// From, and allows such a message. `heirs` are those of the job's fallbacks that exist, in their order.
#[must_use]
pub fn heir<'a>(job: &Job, heirs: &[Heir<'a>], now: Timestamp) -> Option<(&'a AccountId, Address)> {
    let from = &job.fallbacks.as_ref()?.from;
    let recipients = job.recipients().len();
    let can = |heir: &&Heir<'a>| {
        let limits = &heir.settings.limits;
        // One that is larger than a window of a quota would never go there.
        let mut of_recipients = limits.quotas.iter().filter(|quota| quota.unit == QuotaUnit::Recipients);
        let fits = of_recipients.all(|quota| recipients as u64 <= limits.reserves.share(quota.limit, job.priority));
        fits && !is_out(heir.standing, now)
            && fitness(Some(heir.settings), &job.caller, from).is_ok()
            && recipients <= limits.recipients_per_job_max.get() as usize
            && job.message.bytes <= message_bytes_max(limits, job.priority)
    };
    let heir = heirs.iter().find(can)?;
    let sender = heir.settings.results.sender_of(from);
    Some((heir.id, sender))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::parking::Parking;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    #[track_caller]
    fn check(cause: ParkingCause, seconds: Option<u64>, expected: bool) {
        let until = seconds.map(|seconds| NOW.after(Duration::from_secs(seconds)));
        let reason = "a test".to_owned();
        let parked = Standing::Parked(Parking { cause, reason, reply: None, since: NOW, until, strikes: 1 });
        assert_eq!(is_out(&parked, NOW), expected, "{cause:?} {seconds:?}");
    }

    #[test]
    fn what_ends_soon_by_itself_is_waited_for() {
        assert!(!is_out(&Standing::Active, NOW));
        for cause in [ParkingCause::Paused, ParkingCause::QuotaExhausted, ParkingCause::Throttled] {
            check(cause, Some(60), false);
            check(cause, Some(61), true);
            check(cause, None, true);
        }
        check(ParkingCause::NeedsReauth, None, true);
        check(ParkingCause::SuspendedByProvider, None, true);
        check(ParkingCause::Unreachable, Some(1), true);
        check(ParkingCause::Unreachable, Some(0), false);
    }
}
