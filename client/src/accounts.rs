//! Calls about accounts, one method each.

use std::time::SystemTime;

use futures_util::stream::Stream;

use crate::{
    connection::Client,
    error::Error,
    pages::all_pages,
    proto::{
        Account, AccountFilter, AccountSettings, CreateAccountRequest, DeleteAccountRequest, DeleteAccountResponse,
        GetAccountRequest, GetAccountUsageRequest, ListAccountsRequest, PauseAccountRequest, QuotaUsage,
        ReportUsageRequest, ResumeAccountRequest, UpdateAccountRequest,
    },
};

/// Accounts asked for at once while a list is read.
const PAGE_ACCOUNTS: u32 = 500;

impl Client {
    /// Makes an account.
    ///
    /// # Errors
    /// [`Error::Refused`] with the violations, or with `AlreadyExists`.
    pub async fn create_account(&self, account_id: &str, settings: AccountSettings) -> Result<Account, Error> {
        Box::pin(self.create_account_with_preset(account_id, settings, "")).await
    }

    /// Makes an account; what its settings leave unset is filled from a preset, see [`Client::list_presets`].
    ///
    /// # Errors
    /// As [`Client::create_account`]; also when there is no such preset.
    pub async fn create_account_with_preset(
        &self,
        account_id: &str,
        settings: AccountSettings,
        preset: &str,
    ) -> Result<Account, Error> {
        let (account_id, preset) = (account_id.to_owned(), preset.to_owned());
        let request = CreateAccountRequest { account_id, settings: Some(settings), preset };
        let mut accounts = self.accounts.clone();
        // The settings of an account are large, and so is what carries them.
        let answer = Box::pin(accounts.create_account(request)).await?;
        Ok(answer.into_inner().account.unwrap_or_default())
    }

    /// One account; its secrets are left out.
    ///
    /// # Errors
    /// [`Error::Refused`] with `NotFound`.
    pub async fn get_account(&self, account_id: &str) -> Result<Account, Error> {
        let request = GetAccountRequest { account_id: account_id.to_owned() };
        let answer = self.accounts.clone().get_account(request).await?;
        Ok(answer.into_inner().account.unwrap_or_default())
    }

    /// All accounts in the order of their ids; pages are fetched as the stream is read.
    pub fn list_accounts(&self) -> impl Stream<Item = Result<Account, Error>> + use<> {
        self.find_accounts(AccountFilter::default())
    }

    /// Accounts that match, in the order of their ids; pages are fetched as the stream is read.
    pub fn find_accounts(&self, filter: AccountFilter) -> impl Stream<Item = Result<Account, Error>> + use<> {
        let accounts = self.accounts.clone();
        all_pages(move |page_token| {
            let mut accounts = accounts.clone();
            let filter = Some(filter.clone()).filter(|filter| *filter != AccountFilter::default());
            async move {
                let request = ListAccountsRequest { page_size: PAGE_ACCOUNTS, page_token, filter };
                let page = accounts.list_accounts(request).await?.into_inner();
                Ok((page.accounts, page.next_page_token))
            }
        })
    }

    /// Replaces the settings as a whole; empty secrets keep the stored ones.
    ///
    /// # Errors
    /// [`Error::Refused`] with `Aborted` when the account was changed since `etag` was seen.
    pub async fn update_account(
        &self,
        account_id: &str,
        settings: AccountSettings,
        etag: &str,
    ) -> Result<Account, Error> {
        let request =
            UpdateAccountRequest { account_id: account_id.to_owned(), settings: Some(settings), etag: etag.to_owned() };
        let mut accounts = self.accounts.clone();
        let answer = Box::pin(accounts.update_account(request)).await?;
        Ok(answer.into_inner().account.unwrap_or_default())
    }

    /// Deletes an account.
    ///
    /// # Errors
    /// [`Error::Refused`] with `FailedPrecondition` while it has open jobs, unless forced in the request.
    pub async fn delete_account(&self, request: DeleteAccountRequest) -> Result<DeleteAccountResponse, Error> {
        Ok(self.accounts.clone().delete_account(request).await?.into_inner())
    }

    /// Stops an account from sending, until a time or until it is resumed.
    ///
    /// # Errors
    /// [`Error::Refused`] with `NotFound`.
    pub async fn pause_account(
        &self,
        account_id: &str,
        until: Option<SystemTime>,
        reason: &str,
    ) -> Result<Account, Error> {
        let request = PauseAccountRequest {
            account_id: account_id.to_owned(),
            until: until.map(Into::into),
            reason: reason.to_owned(),
        };
        let answer = self.accounts.clone().pause_account(request).await?;
        Ok(answer.into_inner().account.unwrap_or_default())
    }

    /// Lets an account send again, whatever parked it.
    ///
    /// # Errors
    /// [`Error::Refused`] with `NotFound`.
    pub async fn resume_account(&self, account_id: &str) -> Result<Account, Error> {
        let request = ResumeAccountRequest { account_id: account_id.to_owned() };
        let answer = self.accounts.clone().resume_account(request).await?;
        Ok(answer.into_inner().account.unwrap_or_default())
    }

    /// What the account has used of its quotas, in the order of its settings.
    ///
    /// # Errors
    /// [`Error::Refused`] with `NotFound`.
    pub async fn account_usage(&self, account_id: &str) -> Result<Vec<QuotaUsage>, Error> {
        let request = GetAccountUsageRequest { account_id: account_id.to_owned() };
        Ok(self.accounts.clone().get_account_usage(request).await?.into_inner().quotas)
    }

    /// Tells of mail that was sent from the same account by others, and gets what is used now.
    ///
    /// # Errors
    /// [`Error::Refused`] with `NotFound`, or when the time is in the future or too long ago.
    pub async fn report_usage(&self, request: ReportUsageRequest) -> Result<Vec<QuotaUsage>, Error> {
        Ok(self.accounts.clone().report_usage(request).await?.into_inner().quotas)
    }
}
