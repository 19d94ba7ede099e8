//! What callers are told of an account's tokens, and what settings and consents do to them.

use hikyaku_proto::v1;

use super::{Accounts, needs_reauth};
use crate::{
    domain::{
        account::{OauthGrant, SignIn},
        ids::AccountId,
        parking::Standing,
        secret::Secret,
    },
    policy::parking,
    service::{
        convert::{account::from_account, values::from_time},
        status::Refusal,
    },
    storage::AccountRecord,
    wire::oauth::OauthError,
};

impl Accounts {
    /// The account as callers see it, with what it holds of its issuer.
    pub(super) async fn shown(&self, record: &AccountRecord) -> Result<v1::Account, Refusal> {
        let mut account = from_account(record);
        if matches!(record.account.settings.sign_in, SignIn::OAuth2(_)) {
            let tokens = self.storage.tokens(&record.account.id).await?.unwrap_or_default();
            account.oauth = Some(v1::OAuthTokenState {
                has_refresh_token: tokens.refresh_token.is_some(),
                access_expires_at: tokens.access.map(|access| from_time(access.expires_at)),
                refreshed_at: tokens.refreshed_at.map(from_time),
            });
        }
        Ok(account)
    }

    /// Stores the refresh token that came with new settings, which ends NEEDS_REAUTH. An account that lives by a consent
    /// and has none waits for one.
    pub(super) async fn keep_refresh_token(
        &self,
        id: &AccountId,
        refresh_token: Option<Secret<String>>,
    ) -> Result<(), Refusal> {
        if let Some(refresh_token) = refresh_token {
            self.tokens.adopt_refresh_token(id, refresh_token).await?;
            return self.end_reauth(id).await;
        }
        let record = self.record(id).await?;
        let by_consent =
            matches!(&record.account.settings.sign_in, SignIn::OAuth2(oauth) if oauth.grant == OauthGrant::Consent);
        if !by_consent || record.standing != Standing::Active {
            return Ok(());
        }
        let tokens = self.storage.tokens(id).await?.unwrap_or_default();
        if tokens.refresh_token.is_none() {
            let now = self.clock.now();
            let parking = parking::without_consent(&OauthError::NotConsented.to_string(), now);
            self.storage.set_standing(id, Standing::Parked(parking), now).await?;
        }
        Ok(())
    }

    /// Lets an account send again that waited for credentials.
    pub(super) async fn end_reauth(&self, id: &AccountId) -> Result<(), Refusal> {
        if needs_reauth(&self.record(id).await?.standing) {
            self.storage.set_standing(id, Standing::Active, self.clock.now()).await?;
        }
        Ok(())
    }
}
