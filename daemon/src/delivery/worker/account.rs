//! What people and time change about the account while its worker runs.

use super::{Worker, WorkerError};
use crate::{
    accounts::live::{LiveAccount, LoadError},
    domain::parking::Standing,
    policy::{pacing::Pacing, quiet::QuietHours},
    storage::TenureError,
};

impl Worker {
    /// Follows what people change about the account, and what time changes about its standing.
    pub(super) async fn follow_account(&mut self) -> Result<(), WorkerError> {
        if self.wake.heed() {
            self.window.distrust();
            self.reconsider_diversion();
            let id = &self.tenure.account;
            let record = self.context.storage.account(id).await?.ok_or(LoadError::Unknown)?;
            self.standing.adopt(record.standing);
            if record.account.created != self.account.account.created {
                // Another account of the same name: its own worker begins when this one has ended.
                return Err(TenureError::Lost(id.clone()).into());
            }
            if record.account.etag != self.account.etag() {
                self.reload().await?;
            }
        }
        if let Some(standing) = self.standing.lapse(self.context.clock.now()) {
            self.report(standing).await?;
        }
        Ok(())
    }

    /// Takes over new settings. What was sent counts on under them.
    async fn reload(&mut self) -> Result<(), WorkerError> {
        let id = &self.tenure.account;
        let (account, _) = LiveAccount::load(&*self.context.storage, id, &self.context.host_name, &self.gates).await?;
        let now = self.context.clock.now();
        let (old, new) = (&self.account.settings().limits, &account.settings().limits);
        self.ledger.reconfigure(new, now);
        if (old.interval, old.pace, old.batch) != (new.interval, new.pace, new.batch) {
            self.pacing = Pacing::new(new, now);
        }
        self.quiet = QuietHours::new(&account.settings().quiet_windows);
        self.account = account;
        self.window.reconsider();
        self.roster.dismiss();
        Ok(())
    }

    /// Stores the standing that the worker finds; an operator's word goes before it.
    pub(super) async fn report(&mut self, standing: Standing) -> Result<(), WorkerError> {
        match &standing {
            Standing::Active => tracing::info!(account = %self.tenure.account, "the account sends again"),
            Standing::Parked(parking) => {
                let reply = parking.reply.as_ref().map(ToString::to_string);
                let until = parking.until.map(|until| until.to_string());
                tracing::warn!(account = %self.tenure.account, cause = ?parking.cause, reason = parking.reason, reply, until, "the account is parked");
            }
        }
        let now = self.context.clock.now();
        let stands = self.context.storage.report_standing(&self.tenure, standing, now).await?;
        self.standing.adopt(stands);
        self.reconsider_diversion();
        Ok(())
    }
}
