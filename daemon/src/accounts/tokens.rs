//! Who has a good access token? One keeper for all workers: it renews them ahead of time, one renewal at a time for each
//! account, and stores what it got before anybody uses it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};
use tokio_util::task::TaskTracker;

use crate::{
    domain::{
        account::{Account, OAuth2SignIn, OauthGrant, SignIn},
        ids::AccountId,
        secret::Secret,
        time::{Clock, Timestamp},
        tokens::{AccessToken, Tokens},
    },
    policy::oauth::{self, LIFE_ASSUMED, alive, fresh},
    storage::{SharedStorage, StorageError},
    wire::oauth::{Application, DeviceCodes, Ground, Issued, Issuer, OauthError, assertion},
};

pub mod idle;
#[cfg(test)]
mod tests;

/// How long a failed renewal is not tried again while the old token lives.
const RENEWAL_PAUSE: Duration = Duration::from_secs(30);

/// Keeps the tokens of all accounts. A copy is the same keeper.
#[derive(Clone, Debug)]
pub struct TokenKeeper(Arc<Keeper>);

#[derive(Debug)]
struct Keeper {
    storage: SharedStorage,
    issuer: Arc<dyn Issuer>,
    clock: Arc<dyn Clock>,
    /// Whose turn it is to change an account's tokens; gone when nobody waits for it.
    turns: Mutex<HashMap<AccountId, Weak<Turn<Option<Failure>>>>>,
    /// When renewals have failed while an old token was good for a while longer.
    failures: Mutex<HashMap<AccountId, Timestamp>>,
    /// Renewals under way. One that its caller has given up still ends: what an issuer has rotated must be stored.
    renewals: TaskTracker,
}

/// The last renewal that failed, for those who waited for it.
#[derive(Debug)]
struct Failure {
    at: Timestamp,
    error: OauthError,
}

type Held = OwnedMutexGuard<Option<Failure>>;

/// Why there is no access token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The issuer gave none.
    #[error(transparent)]
    Issuer(#[from] OauthError),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Which token is not good enough.
#[derive(Clone, Debug)]
enum Unless {
    /// One that is about to end.
    Fresh,
    /// This one, which a server has refused.
    Other(AccessToken),
    /// Any: the grant is to be used.
    Never,
}

impl TokenKeeper {
    /// A keeper that asks `issuer`.
    #[must_use]
    pub fn new(storage: SharedStorage, issuer: Arc<dyn Issuer>, clock: Arc<dyn Clock>) -> Self {
        let (turns, failures, renewals) = (Mutex::default(), Mutex::default(), TaskTracker::new());
        Self(Arc::new(Keeper { storage, issuer, clock, turns, failures, renewals }))
    }

    /// An access token that lives for ten minutes more, or, where tokens are short-lived, for a sixth of its life. When it
    /// cannot be renewed, the one at hand as long as it lives.
    ///
    /// # Errors
    /// When there is none, or the account does not sign in with OAuth 2.
    pub async fn token(&self, account: &Arc<Account>) -> Result<AccessToken, TokenError> {
        let stored = self.0.storage.tokens(&account.id).await?.unwrap_or_default();
        match fresh(&stored, self.0.clock.now()) {
            Some(access) => Ok(access.clone()),
            None => self.renewed(account, Unless::Fresh).await,
        }
    }

    /// Another access token than this one, which a server has refused although it should live.
    ///
    /// # Errors
    /// When there is none.
    pub async fn instead_of(&self, refused: &AccessToken, account: &Arc<Account>) -> Result<AccessToken, TokenError> {
        self.renewed(account, Unless::Other(refused.clone())).await
    }

    /// An access token for settings that are not stored, which is not kept either. A consent is not tried: its refresh token
    /// may be good only once.
    ///
    /// # Errors
    /// When there is none.
    pub async fn unsaved(&self, oauth: &OAuth2SignIn) -> Result<AccessToken, OauthError> {
        let now = self.0.clock.now();
        let (application, ground) = question(oauth, &Tokens::default(), now)?;
        let issued = self.0.issuer.issue(&application, &ground).await?;
        Ok(tokens_of(issued, None, now).1)
    }

    /// Uses the grant of an account, so that it does not lapse.
    ///
    /// # Errors
    /// When it is refused, or the issuer is not reached.
    pub async fn use_grant(&self, account: &Arc<Account>) -> Result<(), TokenError> {
        self.renewed(account, Unless::Never).await.map(drop)
    }

    /// Asks an issuer for what a person has consented to, for [`TokenKeeper::adopt`].
    ///
    /// # Errors
    /// When the issuer refuses, or is not reached.
    pub async fn issue(&self, oauth: &OAuth2SignIn, ground: &Ground) -> Result<Issued, OauthError> {
        self.0.issuer.issue(&application(oauth, ""), ground).await
    }

    /// An access token for a sign-in that is not an account's, or not yet. Nothing is stored, so that it is not asked for with a
    /// refresh token, which an issuer may rotate.
    ///
    /// # Errors
    /// When there is none, as always without the consent of a person.
    pub async fn untried(&self, oauth: &OAuth2SignIn) -> Result<AccessToken, TokenError> {
        let now = self.0.clock.now();
        let (application, ground) = question(oauth, &Tokens::default(), now)?;
        let issued = self.0.issuer.issue(&application, &ground).await?;
        Ok(tokens_of(issued, None, now).1)
    }

    /// Asks an issuer for the codes of a consent on another device.
    ///
    /// # Errors
    /// When the issuer has none, refuses, or is not reached.
    pub async fn device_codes(&self, oauth: &OAuth2SignIn) -> Result<DeviceCodes, OauthError> {
        let Some(endpoint) = oauth::endpoints(&oauth.issuer.kind).device else {
            return Err(OauthError::Unusable("the issuer has no endpoint for device codes".to_owned()));
        };
        let scope = oauth::scope(&oauth.issuer, &oauth.grant);
        self.0.issuer.device_codes(&application(oauth, &scope), &endpoint).await
    }

    /// Stores what a consent gave in place of what the account held.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn adopt(&self, id: &AccountId, issued: Issued) -> Result<(), StorageError> {
        let _turn = self.0.turn(id).await;
        let tokens = tokens_of(issued, None, self.0.clock.now()).0;
        self.0.storage.put_tokens(id, tokens).await
    }

    /// Stores a refresh token that was got elsewhere in place of what the account held.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn adopt_refresh_token(&self, id: &AccountId, refresh_token: Secret<String>) -> Result<(), StorageError> {
        let _turn = self.0.turn(id).await;
        let tokens = Tokens { refresh_token: Some(refresh_token), ..Tokens::default() };
        self.0.storage.put_tokens(id, tokens).await
    }

    /// Forgets an access token that was got under other settings.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn forget_access(&self, id: &AccountId) -> Result<(), StorageError> {
        let _turn = self.0.turn(id).await;
        match self.0.storage.tokens(id).await? {
            Some(tokens) if tokens.access.is_some() => {
                self.0.storage.put_tokens(id, Tokens { access: None, ..tokens }).await
            }
            _ => Ok(()),
        }
    }

    /// Forgets all that an account holds: it was got for another user, or of another issuer.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn forget(&self, id: &AccountId) -> Result<(), StorageError> {
        let _turn = self.0.turn(id).await;
        self.0.storage.put_tokens(id, Tokens::default()).await
    }

    /// Waits for the renewals under way, each of which ends within a minute; the daemon stops.
    pub async fn finish(&self) {
        self.0.renewals.close();
        self.0.renewals.wait().await;
    }

    /// The time, by which tokens end.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Renews in a task of its own, which ends whether or not its caller waits for it.
    async fn renewed(&self, account: &Arc<Account>, unless: Unless) -> Result<AccessToken, TokenError> {
        let (keeper, account) = (Arc::clone(&self.0), Arc::clone(account));
        let renewal = self.0.renewals.spawn(async move { keeper.renew(&account, unless).await });
        match renewal.await {
            Ok(renewed) => renewed,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(OauthError::Unreachable("the daemon stops".to_owned()).into()),
        }
    }
}

impl Keeper {
    /// Waits for the turn to change an account's tokens.
    async fn turn(&self, id: &AccountId) -> Held {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| turn.strong_count() > 0);
            let turn = turns.get(id).and_then(Weak::upgrade).unwrap_or_default();
            turns.insert(id.clone(), Arc::downgrade(&turn));
            turn
        };
        turn.lock_owned().await
    }

    async fn renew(&self, account: &Account, unless: Unless) -> Result<AccessToken, TokenError> {
        let came = self.clock.now();
        let mut turn = self.turn(&account.id).await;
        let stored = self.storage.tokens(&account.id).await?.unwrap_or_default();
        let now = self.clock.now();
        let good = match &unless {
            Unless::Fresh if self.has_failed_lately(&account.id, now) => alive(&stored, now),
            Unless::Fresh => fresh(&stored, now),
            Unless::Other(refused) => fresh(&stored, now).filter(|access| access.token != refused.token),
            Unless::Never => None,
        };
        if let Some(access) = good {
            return Ok(access.clone());
        }
        let renewed = match turn.as_ref().filter(|failure| failure.at >= came) {
            // It failed while we waited for it: asking again at once would only trouble the issuer.
            Some(failure) => Err(failure.error.clone().into()),
            None => self.ask(account, &stored, now).await,
        };
        let Err(TokenError::Issuer(error)) = renewed else { return renewed };
        *turn = Some(Failure { at: self.clock.now(), error: error.clone() });
        match alive(&stored, self.clock.now()).filter(|_| matches!(unless, Unless::Fresh)) {
            Some(access) => {
                tracing::warn!(account = %account.id, %error, "the access token cannot be renewed yet: the old one is used");
                self.failures().insert(account.id.clone(), self.clock.now());
                Ok(access.clone())
            }
            None => Err(error.into()),
        }
    }

    fn failures(&self) -> MutexGuard<'_, HashMap<AccountId, Timestamp>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether asking the issuer again would only trouble it.
    fn has_failed_lately(&self, id: &AccountId, now: Timestamp) -> bool {
        let mut failures = self.failures();
        failures.retain(|_, failed_at| failed_at.after(RENEWAL_PAUSE) > now);
        failures.contains_key(id)
    }

    /// Asks the issuer by the settings of now, which may be others than those of whoever wants the token, and stores what it
    /// gave.
    async fn ask(&self, account: &Account, stored: &Tokens, now: Timestamp) -> Result<AccessToken, TokenError> {
        let record = self.storage.account(&account.id).await?;
        let settings = record.filter(|record| record.account.created == account.created);
        let settings = settings.ok_or(OauthError::NotConsented)?.account.settings;
        let SignIn::OAuth2(oauth) = &settings.sign_in else {
            return Err(OauthError::Unusable("the account does not sign in with OAuth 2".to_owned()).into());
        };
        let (application, ground) = question(oauth, stored, now)?;
        let issued = self.issuer.issue(&application, &ground).await?;
        let there = self.storage.account(&account.id).await?;
        if there.is_none_or(|record| record.account.created != account.created) {
            // Another account of the same name must not have them.
            return Err(OauthError::NotConsented.into());
        }
        let (tokens, access) = tokens_of(issued, stored.refresh_token.as_ref(), now);
        // The old refresh token may be good no longer: the new one is durable before anything is done with the access token.
        self.storage.put_tokens(&account.id, tokens).await?;
        tracing::debug!(account = %account.id, expires_at = %access.expires_at, "access token renewed");
        Ok(access)
    }
}

/// Whom to ask for an account's access token, and on what ground.
fn question(oauth: &OAuth2SignIn, stored: &Tokens, now: Timestamp) -> Result<(Application, Ground), OauthError> {
    let scope = oauth::scope(&oauth.issuer, &oauth.grant);
    match &oauth.grant {
        OauthGrant::Consent => {
            let refresh_token = stored.refresh_token.clone().ok_or(OauthError::NotConsented)?;
            let scope = oauth::renewal_scope(&oauth.issuer);
            Ok((application(oauth, &scope), Ground::RefreshToken(refresh_token)))
        }
        OauthGrant::ClientCredentials => Ok((application(oauth, &scope), Ground::OwnPermission)),
        OauthGrant::ServiceAccount(key_file) => {
            // The claim says all of it: who asks, and for what.
            let application = Application { client_id: String::new(), client_secret: None, ..application(oauth, "") };
            let claim = assertion(key_file.expose(), &application.token_endpoint, &scope, &oauth.user, now)?;
            Ok((application, Ground::Assertion(claim)))
        }
    }
}

fn application(oauth: &OAuth2SignIn, scope: &str) -> Application {
    Application {
        token_endpoint: oauth::endpoints(&oauth.issuer.kind).token,
        client_id: oauth.issuer.client_id.clone(),
        client_secret: oauth.issuer.client_secret.clone(),
        scope: scope.to_owned(),
    }
}

/// What is kept of an answer to a question that was asked at `asked`. An issuer that gives no new refresh token leaves the
/// old one good (RFC 6749 6).
fn tokens_of(issued: Issued, old: Option<&Secret<String>>, asked: Timestamp) -> (Tokens, AccessToken) {
    let expires_at = asked.after(issued.expires_in.unwrap_or(LIFE_ASSUMED));
    let access = AccessToken { token: issued.access_token, expires_at };
    let refresh_token = issued.refresh_token.or_else(|| old.cloned());
    (Tokens { refresh_token, access: Some(access.clone()), refreshed_at: Some(asked) }, access)
}
