//! What an account shows that its stored standing does not say: that it waits for its own quotas, which is QUOTA_EXHAUSTED
//! although nothing parked it, or that the time of its parking is over.

use super::Accounts;
use crate::{
    domain::{
        job::Priority,
        parking::{Parking, ParkingCause, Standing},
        time::Timestamp,
    },
    policy::quota::{ledger::Ledger, permit::Need},
    service::status::Refusal,
    storage::AccountRecord,
};

impl Accounts {
    /// The record with the standing that its callers should see now.
    pub(super) async fn as_it_stands(&self, mut record: AccountRecord) -> Result<AccountRecord, Refusal> {
        let now = self.clock.now();
        if has_lapsed(&record.standing, now) {
            record.standing = Standing::Active;
        }
        let limits = &record.account.settings.limits;
        if record.standing != Standing::Active || record.open_jobs == 0 || limits.quotas.is_empty() {
            return Ok(record);
        }
        let usage = self.storage.usage(&record.account.id).await?;
        // As long as the most urgent mail may go, the account sends, though less urgent mail may wait for a reserve.
        if let Some(exhausted) =
            Ledger::new(limits, usage, now).obstacle(Need::message_to(1).of_bytes(1), Priority::High, now)
        {
            record.standing = Standing::Parked(Parking {
                cause: ParkingCause::QuotaExhausted,
                reason: String::from("The account has used up one of its own quotas."),
                reply: None,
                since: now,
                until: (!exhausted.is_for_ever()).then_some(exhausted.until),
                strikes: 0,
            });
        }
        Ok(record)
    }
}

/// Whether the time of a parking is over. The worker of an account with work stores that then; without work nobody needs to.
fn has_lapsed(standing: &Standing, now: Timestamp) -> bool {
    match standing {
        // A server that could not be reached has yet to be seen to answer.
        Standing::Parked(parking) if parking.cause != ParkingCause::Unreachable => {
            parking.until.is_some_and(|until| until <= now)
        }
        Standing::Parked(_) | Standing::Active => false,
    }
}
