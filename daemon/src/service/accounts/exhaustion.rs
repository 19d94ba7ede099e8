//! Whether an active account waits for its own quotas, which it shows as QUOTA_EXHAUSTED although nothing parked it.

use super::Accounts;
use crate::{
    domain::parking::{Parking, ParkingCause, Standing},
    policy::quota::{ledger::Ledger, permit::Need},
    service::status::Refusal,
    storage::AccountRecord,
};

impl Accounts {
    /// The record with the standing that its callers should see now.
    pub(super) async fn as_it_stands(&self, mut record: AccountRecord) -> Result<AccountRecord, Refusal> {
        let quotas = &record.account.settings.limits.quotas;
        if record.standing != Standing::Active || record.open_jobs == 0 || quotas.is_empty() {
            return Ok(record);
        }
        let now = self.clock.now();
        let usage = self.storage.usage(&record.account.id).await?;
        if let Some(exhausted) = Ledger::new(quotas, usage, now).obstacle(Need::message_to(1), now) {
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
