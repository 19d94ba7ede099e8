//! How an account is deleted, with its open jobs when the caller forces it.

use hikyaku_proto::v1;

use super::Accounts;
use crate::{
    domain::{
        ids::{AccountId, Caller, Etag},
        job::{Control, JobState},
        parking::{Parking, ParkingCause, Standing},
    },
    service::{
        convert::{values::parse, violations::Violations},
        status::Refusal,
        visibility::Visitor,
    },
    storage::{Controlled, DeleteAccountError, JobFilter, Page, StorageError},
};

/// Jobs that are cancelled in one commit.
const PAGE_JOBS: usize = 500;
const OPEN_STATES: [JobState; 6] =
    [JobState::Held, JobState::Scheduled, JobState::Queued, JobState::Sending, JobState::Deferred, JobState::InDoubt];

impl Accounts {
    /// Deletes an account and says how many open jobs were cancelled for that.
    pub(super) async fn delete(&self, request: v1::DeleteAccountRequest, visitor: &Visitor) -> Result<u64, Refusal> {
        let mut violations = Violations::default();
        let id = parse::<AccountId>(&request.account_id, "account_id", &mut violations);
        let expected = match request.etag.as_str() {
            "" => Some(None),
            etag => parse::<Etag>(etag, "etag", &mut violations).map(Some),
        };
        let (id, expected) = violations.finish(id.zip(expected))?;
        let record = self.record_for(&id, visitor).await?;
        let caller = visitor.caller();
        if expected.is_some_and(|expected| expected != record.account.etag) {
            return Err(Refusal::StaleEtag(record.account.etag));
        }
        // Not even a forced deletion breaks a rule: mail that it was to carry would go another way.
        match self.storage.routing().await {
            Ok(routing) => {
                if let Some(rule) = routing.names(&id) {
                    return Err(Refusal::AccountRouted(rule.to_owned()));
                }
            }
            // Damaged rules name nothing, until they are set anew.
            Err(StorageError::Damaged(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let mut cancelled = 0;
        if request.force && record.open_jobs > 0 {
            self.stop_for_deletion(&id, caller).await?;
            cancelled = self.cancel_open_jobs(&id).await?;
        }
        match self.storage.delete_account(&id, expected, self.clock.now()).await {
            Ok(()) => {
                tracing::info!(account = %id, %caller, cancelled, "account deleted");
                Ok(cancelled)
            }
            Err(DeleteAccountError::OpenJobs(count)) if request.force => Err(Refusal::AccountBusy(count)),
            Err(error) => Err(Refusal::of_deletion(error, &id)),
        }
    }

    /// Keeps the account from beginning anything while its jobs are cancelled.
    async fn stop_for_deletion(&self, id: &AccountId, caller: &Caller) -> Result<(), Refusal> {
        let now = self.clock.now();
        let reason = format!("being deleted by {caller}");
        let cause = ParkingCause::Paused;
        let parking = Parking { cause, reason, reply: None, since: now, until: None, strikes: 0 };
        Ok(self.storage.set_standing(id, Standing::Parked(parking), now).await?)
    }

    async fn cancel_open_jobs(&self, id: &AccountId) -> Result<u64, Refusal> {
        let now = self.clock.now();
        let filter = JobFilter { account: Some(id.clone()), states: OPEN_STATES.to_vec(), ..JobFilter::default() };
        let mut cancelled = 0;
        let mut after = None;
        loop {
            let page = self.storage.list(&filter, Page { after, limit: PAGE_JOBS, now }).await?;
            let ids: Vec<_> = page.jobs.iter().map(|record| record.job.id).collect();
            let done = self.storage.control(ids, Control::Cancel, now).await?;
            let flying = page.jobs.iter().map(|record| record.marked);
            cancelled +=
                done.iter().zip(flying).filter(|(done, flying)| **done == Controlled::Done && !flying).count() as u64;
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(cancelled),
            }
        }
    }
}
