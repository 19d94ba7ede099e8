//! AccountService: making accounts, changing them, and telling whether they may send.

use std::sync::Arc;

use hikyaku_proto::v1::{self, account_service_server::AccountService};
use tonic::{Request, Response, Status};

use super::{
    convert::{
        account::{from_account, to_settings},
        limits::from_quota,
        values::{from_time, one_line, parse, to_time},
        violations::Violations,
    },
    guard::caller_of,
    paging::{account_token, after_account, page_size},
    parts::Parts,
    status::Refusal,
};
use crate::{
    delivery::desk::Desk,
    domain::{
        account::{Account, Stamp},
        ids::{AccountId, Caller, Etag},
        limits::Quota,
        parking::{Parking, ParkingCause, Standing},
        time::Clock,
    },
    policy::quota::ledger::Ledger,
    storage::{AccountRecord, SharedStorage},
};

mod consent;
mod deletion;
mod exhaustion;
mod reporting;
mod testing;

const PAUSE_REASON_BYTES_MAX: usize = 500;

/// The service.
#[derive(Debug)]
pub(super) struct Accounts {
    storage: SharedStorage,
    clock: Arc<dyn Clock>,
    desk: Desk,
}

impl Accounts {
    pub(super) fn new(parts: &Parts) -> Self {
        Self { storage: Arc::clone(&parts.storage), clock: Arc::clone(&parts.clock), desk: parts.desk.clone() }
    }

    async fn create(&self, request: v1::CreateAccountRequest, caller: Caller) -> Result<AccountRecord, Refusal> {
        let mut violations = Violations::default();
        let id = parse::<AccountId>(&request.account_id, "account_id", &mut violations);
        let settings = to_settings(request.settings, None, violations)?;
        let id = id.ok_or(Refusal::Internal("an account without an id was let through"))?;
        let created = Stamp { at: self.clock.now(), by: caller };
        let account = Account { id: id.clone(), settings, etag: Etag(1), created: created.clone(), updated: created };
        self.storage.create_account(account).await.map_err(|error| Refusal::of_creation(error, &id))?;
        tracing::info!(account = %id, "account created");
        self.record(&id).await
    }

    async fn update(&self, request: v1::UpdateAccountRequest, caller: Caller) -> Result<AccountRecord, Refusal> {
        let id = one_id(&request.account_id)?;
        let stored = self.record(&id).await?;
        let mut violations = Violations::default();
        let etag = match request.etag.as_str() {
            "" => {
                violations.add("etag", "is required: give back that of the account as you have seen it");
                None
            }
            etag => parse::<Etag>(etag, "etag", &mut violations),
        };
        let old = stored.account;
        let settings = to_settings(request.settings, Some(&old.settings.sign_in), violations)?;
        let expected = etag.ok_or(Refusal::Internal("an update without an etag was let through"))?;
        let has_new_credentials = settings.sign_in != old.settings.sign_in;
        let account = Account {
            settings,
            etag: Etag(expected.0.saturating_add(1)),
            updated: Stamp { at: self.clock.now(), by: caller },
            ..old
        };
        self.storage.update_account(account, expected).await.map_err(|error| Refusal::of_update(error, &id))?;
        tracing::info!(account = %id, "account updated");
        let record = self.record(&id).await?;
        if has_new_credentials && needs_reauth(&record.standing) {
            self.storage.set_standing(&id, Standing::Active, self.clock.now()).await?;
            return self.record(&id).await;
        }
        Ok(record)
    }

    async fn pause(&self, request: v1::PauseAccountRequest, caller: Caller) -> Result<AccountRecord, Refusal> {
        let now = self.clock.now();
        let mut violations = Violations::default();
        let id = parse::<AccountId>(&request.account_id, "account_id", &mut violations);
        let until = request.until.and_then(|until| to_time(until, "until", &mut violations));
        if until.is_some_and(|until| until <= now) {
            violations.add("until", "is not in the future");
        }
        let reason = one_line(request.reason, PAUSE_REASON_BYTES_MAX, "reason", &mut violations);
        let (id, reason) = violations.finish(id.zip(reason))?;
        self.record(&id).await?;
        let reason = if reason.is_empty() { format!("paused by {caller}") } else { reason };
        let cause = ParkingCause::Paused;
        let parking = Parking { cause, reason, reply: None, since: now, until, strikes: 0 };
        self.storage.set_standing(&id, Standing::Parked(parking), now).await?;
        tracing::info!(account = %id, %caller, "account paused");
        self.record(&id).await
    }

    async fn resume(&self, account_id: &str, caller: Caller) -> Result<AccountRecord, Refusal> {
        let id = one_id(account_id)?;
        self.record(&id).await?;
        self.storage.set_standing(&id, Standing::Active, self.clock.now()).await?;
        tracing::info!(account = %id, %caller, "account resumed");
        self.record(&id).await
    }

    async fn list(&self, request: v1::ListAccountsRequest) -> Result<v1::ListAccountsResponse, Refusal> {
        let mut violations = Violations::default();
        let size = page_size(request.page_size, &mut violations);
        let after = after_account(&request.page_token, &mut violations);
        let (size, after) = violations.finish(size.zip(after))?;
        let records = self.storage.accounts(after.as_ref(), size).await?;
        let last = records.last().map(|record| &record.account.id).filter(|_| records.len() == size);
        let next_page_token = match last {
            Some(last) if !self.storage.accounts(Some(last), 1).await?.is_empty() => account_token(last),
            _ => String::new(),
        };
        let mut accounts = Vec::with_capacity(records.len());
        for record in records {
            accounts.push(from_account(&self.as_it_stands(record).await?));
        }
        Ok(v1::ListAccountsResponse { accounts, next_page_token })
    }

    async fn usage(&self, account_id: &str) -> Result<v1::GetAccountUsageResponse, Refusal> {
        let id = one_id(account_id)?;
        let limits = self.record(&id).await?.account.settings.limits;
        let now = self.clock.now();
        let statuses = Ledger::new(&limits, self.storage.usage(&id).await?, now).usage(now);
        let observed = self.storage.observed_limits(&id).await?;
        let observed_of = |quota: &Quota| {
            observed.iter().find(|seen| (seen.key.unit, &seen.key.window) == (quota.unit, &quota.window))
        };
        let usages = limits.quotas.iter().filter_map(|quota| statuses.iter().find(|status| status.quota == *quota));
        let quotas = usages.map(|status| v1::QuotaUsage {
            quota: Some(from_quota(&status.quota)),
            used: status.used,
            left: status.left,
            resets_at: (status.used > 0).then(|| from_time(status.resets_at)),
            observed_limit: observed_of(&status.quota).map_or(0, |seen| seen.limit),
            observed_at: observed_of(&status.quota).map(|seen| from_time(seen.at)),
        });
        Ok(v1::GetAccountUsageResponse { quotas: quotas.collect() })
    }

    async fn record(&self, id: &AccountId) -> Result<AccountRecord, Refusal> {
        self.storage.account(id).await?.ok_or_else(|| Refusal::no_account(id.clone()))
    }
}

fn needs_reauth(standing: &Standing) -> bool {
    matches!(standing, Standing::Parked(Parking { cause: ParkingCause::NeedsReauth, .. }))
}

/// The account that a request names.
fn one_id(account_id: &str) -> Result<AccountId, Refusal> {
    account_id.parse::<AccountId>().map_err(|error| Refusal::field("account_id", error.to_string()))
}

#[tonic::async_trait]
impl AccountService for Accounts {
    async fn create_account(
        &self,
        request: Request<v1::CreateAccountRequest>,
    ) -> Result<Response<v1::CreateAccountResponse>, Status> {
        let caller = caller_of(&request)?;
        let record = self.create(request.into_inner(), caller).await?;
        Ok(Response::new(v1::CreateAccountResponse { account: Some(from_account(&record)) }))
    }

    async fn get_account(
        &self,
        request: Request<v1::GetAccountRequest>,
    ) -> Result<Response<v1::GetAccountResponse>, Status> {
        let record = self.record(&one_id(&request.into_inner().account_id)?).await?;
        let record = self.as_it_stands(record).await?;
        Ok(Response::new(v1::GetAccountResponse { account: Some(from_account(&record)) }))
    }

    async fn list_accounts(
        &self,
        request: Request<v1::ListAccountsRequest>,
    ) -> Result<Response<v1::ListAccountsResponse>, Status> {
        Ok(Response::new(self.list(request.into_inner()).await?))
    }

    async fn update_account(
        &self,
        request: Request<v1::UpdateAccountRequest>,
    ) -> Result<Response<v1::UpdateAccountResponse>, Status> {
        let caller = caller_of(&request)?;
        let record = self.update(request.into_inner(), caller).await?;
        Ok(Response::new(v1::UpdateAccountResponse { account: Some(from_account(&record)) }))
    }

    async fn delete_account(
        &self,
        request: Request<v1::DeleteAccountRequest>,
    ) -> Result<Response<v1::DeleteAccountResponse>, Status> {
        let caller = caller_of(&request)?;
        let cancelled_jobs = self.delete(request.into_inner(), caller).await?;
        Ok(Response::new(v1::DeleteAccountResponse { cancelled_jobs }))
    }

    async fn pause_account(
        &self,
        request: Request<v1::PauseAccountRequest>,
    ) -> Result<Response<v1::PauseAccountResponse>, Status> {
        let caller = caller_of(&request)?;
        let record = self.pause(request.into_inner(), caller).await?;
        Ok(Response::new(v1::PauseAccountResponse { account: Some(from_account(&record)) }))
    }

    async fn resume_account(
        &self,
        request: Request<v1::ResumeAccountRequest>,
    ) -> Result<Response<v1::ResumeAccountResponse>, Status> {
        let caller = caller_of(&request)?;
        let record = self.resume(&request.into_inner().account_id, caller).await?;
        Ok(Response::new(v1::ResumeAccountResponse { account: Some(from_account(&record)) }))
    }

    async fn get_account_usage(
        &self,
        request: Request<v1::GetAccountUsageRequest>,
    ) -> Result<Response<v1::GetAccountUsageResponse>, Status> {
        Ok(Response::new(self.usage(&request.into_inner().account_id).await?))
    }

    async fn report_usage(
        &self,
        request: Request<v1::ReportUsageRequest>,
    ) -> Result<Response<v1::ReportUsageResponse>, Status> {
        let caller = caller_of(&request)?;
        Ok(Response::new(self.report(request.into_inner(), &caller).await?))
    }

    async fn test_account(
        &self,
        request: Request<v1::TestAccountRequest>,
    ) -> Result<Response<v1::TestAccountResponse>, Status> {
        let caller = caller_of(&request)?;
        Ok(Response::new(self.test(request.into_inner(), &caller).await?))
    }

    async fn begin_consent(
        &self,
        request: Request<v1::BeginConsentRequest>,
    ) -> Result<Response<v1::BeginConsentResponse>, Status> {
        let caller = caller_of(&request)?;
        Ok(Response::new(self.begin_asking(request.into_inner(), &caller).await?))
    }

    async fn finish_consent(
        &self,
        request: Request<v1::FinishConsentRequest>,
    ) -> Result<Response<v1::FinishConsentResponse>, Status> {
        let caller = caller_of(&request)?;
        Ok(Response::new(self.finish_asking(request.into_inner(), &caller).await?))
    }
}
