//! AccountService: making accounts, changing them, and telling whether they may send.

use std::sync::Arc;

use hikyaku_proto::v1::{self, account_service_server::AccountService};
use tonic::{Request, Response, Status};

use super::{
    convert::{
        account::{ReadSettings, to_settings},
        limits::from_quota,
        preset::with_preset,
        values::{from_time, one_line, parse, to_time},
        violations::Violations,
    },
    guard::{caller_of, visitor_of},
    paging::PageSeal,
    parts::Parts,
    status::Refusal,
    visibility::Visitor,
};
use crate::{
    accounts::tokens::TokenKeeper,
    delivery::{
        desk::Desk,
        trial::{Tools, Trials},
    },
    domain::{
        account::{Account, AccountSettings, SignIn, Stamp},
        ids::{AccountId, Etag},
        limits::Quota,
        parking::{Parking, ParkingCause, Standing},
        time::Clock,
    },
    platform::entropy::Entropy,
    policy::quota::ledger::Ledger,
    storage::{AccountRecord, SharedStorage},
};

mod consent;
mod deletion;
mod exhaustion;
mod listing;
mod reporting;
mod testing;
mod tokens;

use self::consent::Consents;

const PAUSE_REASON_BYTES_MAX: usize = 500;

/// The service.
#[derive(Debug)]
pub(super) struct Accounts {
    storage: SharedStorage,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    tokens: TokenKeeper,
    consents: Consents,
    desk: Desk,
    trials: Trials,
    pages: PageSeal,
}

impl Accounts {
    pub(super) fn new(parts: &Parts) -> Self {
        let tools = Tools {
            dial: Arc::clone(&parts.dial),
            tokens: parts.tokens.clone(),
            desk: parts.desk.clone(),
            clock: Arc::clone(&parts.clock),
            entropy: Arc::clone(&parts.entropy),
            host_name: parts.host_name.clone(),
        };
        Self {
            storage: Arc::clone(&parts.storage),
            clock: Arc::clone(&parts.clock),
            entropy: Arc::clone(&parts.entropy),
            tokens: parts.tokens.clone(),
            consents: Consents::default(),
            desk: parts.desk.clone(),
            trials: Trials::new(tools),
            pages: parts.pages.clone(),
        }
    }

    async fn create(&self, request: v1::CreateAccountRequest, visitor: Visitor) -> Result<AccountRecord, Refusal> {
        let mut violations = Violations::default();
        let id = parse::<AccountId>(&request.account_id, "account_id", &mut violations);
        let settings = with_preset(request.settings, &request.preset, &mut violations);
        let ReadSettings { settings, refresh_token } = to_settings(settings, None, violations)?;
        let id = id.ok_or(Refusal::Internal("an account without an id was let through"))?;
        visitor.check_owner(&settings)?;
        let created = Stamp { at: self.clock.now(), by: visitor.into_caller() };
        let account = Account { id: id.clone(), settings, etag: Etag(1), created: created.clone(), updated: created };
        self.storage.create_account(account).await.map_err(|error| Refusal::of_creation(error, &id))?;
        tracing::info!(account = %id, "account created");
        self.keep_refresh_token(&id, refresh_token).await?;
        self.record(&id).await
    }

    async fn update(&self, request: v1::UpdateAccountRequest, visitor: Visitor) -> Result<AccountRecord, Refusal> {
        let id = one_id(&request.account_id)?;
        let stored = self.record_for(&id, &visitor).await?;
        let mut violations = Violations::default();
        let etag = match request.etag.as_str() {
            "" => {
                violations.add("etag", "is required: give back that of the account as you have seen it");
                None
            }
            etag => parse::<Etag>(etag, "etag", &mut violations),
        };
        let old = stored.account;
        let read = to_settings(request.settings, Some(&old.settings), violations)?;
        let ReadSettings { settings, refresh_token } = read;
        visitor.check_owner(&settings)?;
        let expected = etag.ok_or(Refusal::Internal("an update without an etag was let through"))?;
        let has_new_credentials = refresh_token.is_some()
            || differ(&settings, &old.settings)
            || !settings.server.may_have_secrets_of(&old.settings.server);
        let keeps_grant = is_same_grant(&settings.sign_in, &old.settings.sign_in)
            && settings.server.may_have_secrets_of(&old.settings.server);
        let account = Account {
            settings,
            etag: Etag(expected.0.saturating_add(1)),
            updated: Stamp { at: self.clock.now(), by: visitor.into_caller() },
            ..old
        };
        self.storage.update_account(account, expected).await.map_err(|error| Refusal::of_update(error, &id))?;
        tracing::info!(account = %id, "account updated");
        if has_new_credentials {
            match keeps_grant {
                true => self.tokens.forget_access(&id).await?,
                false => self.tokens.forget(&id).await?,
            }
            self.end_reauth(&id).await?;
        }
        self.keep_refresh_token(&id, refresh_token).await?;
        self.record(&id).await
    }

    async fn pause(&self, request: v1::PauseAccountRequest, visitor: &Visitor) -> Result<AccountRecord, Refusal> {
        let now = self.clock.now();
        let mut violations = Violations::default();
        let id = parse::<AccountId>(&request.account_id, "account_id", &mut violations);
        let until = request.until.and_then(|until| to_time(until, "until", &mut violations));
        if until.is_some_and(|until| until <= now) {
            violations.add("until", "is not in the future");
        }
        let reason = one_line(request.reason, PAUSE_REASON_BYTES_MAX, "reason", &mut violations);
        let (id, reason) = violations.finish(id.zip(reason))?;
        self.record_for(&id, visitor).await?;
        let caller = visitor.caller();
        let reason = if reason.is_empty() { format!("paused by {caller}") } else { reason };
        let cause = ParkingCause::Paused;
        let parking = Parking { cause, reason, reply: None, since: now, until, strikes: 0 };
        self.storage.set_standing(&id, Standing::Parked(parking), now).await?;
        tracing::info!(account = %id, %caller, "account paused");
        self.record(&id).await
    }

    async fn resume(&self, account_id: &str, visitor: &Visitor) -> Result<AccountRecord, Refusal> {
        let id = one_id(account_id)?;
        self.record_for(&id, visitor).await?;
        self.storage.set_standing(&id, Standing::Active, self.clock.now()).await?;
        tracing::info!(account = %id, caller = %visitor.caller(), "account resumed");
        self.record(&id).await
    }

    async fn usage(&self, account_id: &str, visitor: &Visitor) -> Result<v1::GetAccountUsageResponse, Refusal> {
        let id = one_id(account_id)?;
        self.record_for(&id, visitor).await?;
        self.usage_of(&id).await
    }

    async fn usage_of(&self, id: &AccountId) -> Result<v1::GetAccountUsageResponse, Refusal> {
        let limits = self.record(id).await?.account.settings.limits;
        let now = self.clock.now();
        let statuses = Ledger::new(&limits, self.storage.usage(id).await?, now).usage(now);
        let observed = self.storage.observed_limits(id).await?;
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

    /// An account that the caller sees.
    async fn record_for(&self, id: &AccountId, visitor: &Visitor) -> Result<AccountRecord, Refusal> {
        visitor.account(&self.storage, id).await?.ok_or_else(|| Refusal::no_account(id.clone()))
    }

    /// Refuses an account that the caller does not see. What names no account is left to the call.
    async fn check_visible(&self, account_id: &str, visitor: &Visitor) -> Result<(), Refusal> {
        match account_id.parse::<AccountId>() {
            Ok(id) => self.record_for(&id, visitor).await.map(drop),
            Err(_) => Ok(()),
        }
    }

    /// An account, whoever sees it.
    async fn record(&self, id: &AccountId) -> Result<AccountRecord, Refusal> {
        self.storage.account(id).await?.ok_or_else(|| Refusal::no_account(id.clone()))
    }
}

fn needs_reauth(standing: &Standing) -> bool {
    matches!(standing, Standing::Parked(Parking { cause: ParkingCause::NeedsReauth, .. }))
}

/// Whether two settings sign in with other credentials.
fn differ(new: &AccountSettings, old: &AccountSettings) -> bool {
    let lent = |settings: &AccountSettings| settings.mailbox.as_ref().and_then(|mailbox| mailbox.sign_in.clone());
    new.sign_in != old.sign_in || (new.sign_in == SignIn::AsMailbox && lent(new) != lent(old))
}

/// Whether tokens that were got under one sign-in may be used under the other: a grant is one user's, and goes to the issuer
/// and the application that it was given to, and to nobody else.
fn is_same_grant(new: &SignIn, old: &SignIn) -> bool {
    let (SignIn::OAuth2(new), SignIn::OAuth2(old)) = (new, old) else { return false };
    new.user == old.user && new.issuer.kind == old.issuer.kind && new.issuer.client_id == old.issuer.client_id
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
        let visitor = visitor_of(&request)?;
        let record = self.create(request.into_inner(), visitor).await?;
        Ok(Response::new(v1::CreateAccountResponse { account: Some(self.shown(&record).await?) }))
    }

    async fn get_account(
        &self,
        request: Request<v1::GetAccountRequest>,
    ) -> Result<Response<v1::GetAccountResponse>, Status> {
        let visitor = visitor_of(&request)?;
        let record = self.record_for(&one_id(&request.into_inner().account_id)?, &visitor).await?;
        let record = self.as_it_stands(record).await?;
        Ok(Response::new(v1::GetAccountResponse { account: Some(self.shown(&record).await?) }))
    }

    async fn list_accounts(
        &self,
        request: Request<v1::ListAccountsRequest>,
    ) -> Result<Response<v1::ListAccountsResponse>, Status> {
        let visitor = visitor_of(&request)?;
        Ok(Response::new(self.list(request.into_inner(), &visitor).await?))
    }

    async fn update_account(
        &self,
        request: Request<v1::UpdateAccountRequest>,
    ) -> Result<Response<v1::UpdateAccountResponse>, Status> {
        let visitor = visitor_of(&request)?;
        let record = self.update(request.into_inner(), visitor).await?;
        Ok(Response::new(v1::UpdateAccountResponse { account: Some(self.shown(&record).await?) }))
    }

    async fn delete_account(
        &self,
        request: Request<v1::DeleteAccountRequest>,
    ) -> Result<Response<v1::DeleteAccountResponse>, Status> {
        let visitor = visitor_of(&request)?;
        let cancelled_jobs = self.delete(request.into_inner(), &visitor).await?;
        Ok(Response::new(v1::DeleteAccountResponse { cancelled_jobs }))
    }

    async fn pause_account(
        &self,
        request: Request<v1::PauseAccountRequest>,
    ) -> Result<Response<v1::PauseAccountResponse>, Status> {
        let visitor = visitor_of(&request)?;
        let record = self.pause(request.into_inner(), &visitor).await?;
        Ok(Response::new(v1::PauseAccountResponse { account: Some(self.shown(&record).await?) }))
    }

    async fn resume_account(
        &self,
        request: Request<v1::ResumeAccountRequest>,
    ) -> Result<Response<v1::ResumeAccountResponse>, Status> {
        let visitor = visitor_of(&request)?;
        let record = self.resume(&request.into_inner().account_id, &visitor).await?;
        Ok(Response::new(v1::ResumeAccountResponse { account: Some(self.shown(&record).await?) }))
    }

    async fn get_account_usage(
        &self,
        request: Request<v1::GetAccountUsageRequest>,
    ) -> Result<Response<v1::GetAccountUsageResponse>, Status> {
        let visitor = visitor_of(&request)?;
        Ok(Response::new(self.usage(&request.into_inner().account_id, &visitor).await?))
    }

    async fn report_usage(
        &self,
        request: Request<v1::ReportUsageRequest>,
    ) -> Result<Response<v1::ReportUsageResponse>, Status> {
        let caller = caller_of(&request)?;
        self.check_visible(&request.get_ref().account_id, &visitor_of(&request)?).await?;
        Ok(Response::new(self.report(request.into_inner(), &caller).await?))
    }

    async fn test_account(
        &self,
        request: Request<v1::TestAccountRequest>,
    ) -> Result<Response<v1::TestAccountResponse>, Status> {
        let caller = caller_of(&request)?;
        self.check_visible(&request.get_ref().account_id, &visitor_of(&request)?).await?;
        Ok(Response::new(self.test(request.into_inner(), &caller).await?))
    }

    async fn begin_consent(
        &self,
        request: Request<v1::BeginConsentRequest>,
    ) -> Result<Response<v1::BeginConsentResponse>, Status> {
        let caller = caller_of(&request)?;
        self.check_visible(&request.get_ref().account_id, &visitor_of(&request)?).await?;
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
