//! Whether an active account waits for its own quotas, which it shows as QUOTA_EXHAUSTED although nothing parked it.

use super::Accounts;
use crate::{
    domain::{
        job::Priority,
        parking::{Parking, ParkingCause, Standing},
    },
    policy::quota::{ledger::Ledger, permit::Need},
    service::status::Refusal,
    storage::AccountRecord,
};

impl Accounts {
    /// The record with the standing that its callers should see now.
    pub(super) async fn as_it_stands(&self, mut record: AccountRecord) -> Result<AccountRecord, Refusal> {
        let limits = &record.account.settings.limits;
        if record.standing != Standing::Active || record.open_jobs == 0 || limits.quotas.is_empty() {
            return Ok(record);
        }
        let now = self.clock.now();
        let usage = self.storage.usage(&record.account.id).await?;
        // As long as the most urgent mail may go, the account sends, though less urgent mail may wait for a reserve.
        if let Some(exhausted) = Ledger::new(limits, usage, now).obstacle(Need::message_to(1), Priority::High, now) {
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
