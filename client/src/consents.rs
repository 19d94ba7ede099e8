//! Calls by which an account's ways to its servers are tried and permitted: the test, and consent for OAuth 2.

use crate::{
    connection::Client,
    error::Error,
    proto::{
        AccountTest, BeginConsentRequest, BeginConsentResponse, FinishConsentRequest, FinishConsentResponse,
        TestAccountRequest, begin_consent_request::Way,
    },
};

impl Client {
    /// Signs in to a server of an account, stored or not, and sends one test mail when a recipient is given. The report
    /// tells of each step, whatever came of it.
    ///
    /// # Errors
    /// [`Error::Refused`] with `NotFound`, or with the violations of settings that are not stored. That the test itself
    /// failed is no error.
    pub async fn test_account(&self, request: TestAccountRequest) -> Result<AccountTest, Error> {
        let answer = self.accounts.clone().test_account(request).await?;
        Ok(answer.into_inner().test.unwrap_or_default())
    }

    /// Begins to ask a person for permission to send with OAuth 2.
    ///
    /// # Errors
    /// [`Error::Refused`] with `NotFound`, and when the account does not sign in by a person's consent.
    pub async fn begin_consent(&self, account_id: &str, way: Way) -> Result<BeginConsentResponse, Error> {
        let request = BeginConsentRequest { account_id: account_id.to_owned(), way: Some(way) };
        Ok(self.accounts.clone().begin_consent(request).await?.into_inner())
    }

    /// Ends a consent: in a browser with the query by which it came back, with a device code by asking until it is no
    /// longer pending.
    ///
    /// # Errors
    /// [`Error::Refused`] when the person or the issuer said no, or the consent has lapsed.
    pub async fn finish_consent(&self, consent_id: &str, redirect_query: &str) -> Result<FinishConsentResponse, Error> {
        let request =
            FinishConsentRequest { consent_id: consent_id.to_owned(), redirect_query: redirect_query.to_owned() };
        Ok(self.accounts.clone().finish_consent(request).await?.into_inner())
    }
}
