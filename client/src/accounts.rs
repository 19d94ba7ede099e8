//! Calls about accounts, one method each.

use std::time::SystemTime;

use futures_util::stream::Stream;

use crate::{
    connection::Client,
    error::Error,
    pages::all_pages,
    proto::{
        Account, AccountSettings, CreateAccountRequest, DeleteAccountRequest, DeleteAccountResponse, GetAccountRequest,
        GetAccountUsageRequest, ListAccountsRequest, PauseAccountRequest, QuotaUsage, ResumeAccountRequest,
        UpdateAccountRequest,
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
        let request =
            CreateAccountRequest { account_id: account_id.to_owned(), settings: Some(settings), preset: String::new() };
        let answer = self.accounts.clone().create_account(request).await?;
        Ok(answer.into_inner().account.unwrap_or_default())
    }

    /// One account; its password is left out.
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
        let accounts = self.accounts.clone();
        all_pages(move |page_token| {
            let mut accounts = accounts.clone();
            async move {
                let request = ListAccountsRequest { page_size: PAGE_ACCOUNTS, page_token, filter: None };
                let page = accounts.list_accounts(request).await?.into_inner();
                Ok((page.accounts, page.next_page_token))
            }
        })
    }

    /// Replaces the settings as a whole; an empty password keeps the stored one.
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
        let answer = self.accounts.clone().update_account(request).await?;
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
}
