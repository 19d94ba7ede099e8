//! How is a session opened for an account: after a POP3 sign-in, or with a token at hand, and another one when the server
//! refuses it?

use std::time::Duration;

use super::{
    live::LiveAccount,
    pop_gate::PopPass,
    tokens::{TokenError, TokenKeeper},
};
use crate::{
    domain::{account::SignIn, tokens::AccessToken, verdict::Phase},
    storage::StorageError,
    wire::{
        dial::Dial,
        smtp::{Credentials, Obstacle, ObstacleCause, Provider, Session},
    },
};

/// An open session, and how long it may be used.
#[derive(Debug)]
pub struct Opened {
    /// The session.
    pub session: Session,
    /// How long the token, or the POP3 sign-in, lives by which it was let in; for ever when there is none.
    pub good_for: Duration,
    /// The POP3 sign-in by which it was let in.
    pub pass: Option<PopPass>,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum NotOpened {
    /// What was met.
    #[error(transparent)]
    Obstacle(#[from] Obstacle),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl LiveAccount {
    /// Opens a session up to the point where MAIL may be sent. With OAuth 2, a token that the server refuses although it
    /// should live is renewed once.
    ///
    /// # Errors
    /// What was met, or that the store failed.
    pub async fn open(&self, tokens: &TokenKeeper, dial: &dyn Dial) -> Result<Opened, NotOpened> {
        if !matches!(self.settings().sign_in, SignIn::OAuth2(_)) {
            let pass = match &self.pop {
                Some(gate) => Some(gate.pass(dial).await?),
                None => None,
            };
            let session = Session::open(&self.provider, dial).await?;
            return Ok(Opened { session, good_for: pass.map_or(Duration::MAX, |pass| pass.good_for), pass });
        }
        let mut access = tokens.token(&self.account).await.map_err(without_token)?;
        let mut opened = Session::open(&self.provider_with(&access), dial).await;
        if opened.as_ref().is_err_and(refuses_token) {
            access = tokens.instead_of(&access, &self.account).await.map_err(without_token)?;
            opened = Session::open(&self.provider_with(&access), dial).await;
        }
        Ok(Opened { session: opened?, good_for: access.expires_at.since(tokens.now()), pass: None })
    }

    /// Where and how the account connects, with an access token.
    #[must_use]
    pub fn provider_with(&self, access: &AccessToken) -> Provider {
        let mut provider = Provider::clone(&self.provider);
        if let Credentials::Token { token, .. } = &mut provider.sign_in {
            *token = access.token.clone();
        }
        provider
    }
}

/// Whether the server has refused what we presented, for good.
fn refuses_token(obstacle: &Obstacle) -> bool {
    let refused = matches!(&obstacle.cause, ObstacleCause::Replied(reply) if reply.is_permanent());
    obstacle.phase == Phase::SignIn && refused
}

/// What is met where there is no token: no connection was made for it.
fn without_token(error: TokenError) -> NotOpened {
    match error {
        TokenError::Storage(error) => error.into(),
        TokenError::Issuer(error) => {
            Obstacle { phase: Phase::SignIn, cause: ObstacleCause::Token(error), transcript: String::new() }.into()
        }
    }
}
