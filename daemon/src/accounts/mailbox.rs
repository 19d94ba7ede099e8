//! How is the mailbox of an account opened: with which credentials, and with another token when the server refuses one?

use std::sync::Arc;

use super::tokens::{TokenError, TokenKeeper};
use crate::{
    domain::{
        account::{Account, AccountSettings, IncomingMailbox, MailboxProtocol, SignIn},
        secret::Secret,
        tokens::AccessToken,
    },
    storage::StorageError,
    wire::{
        dial::Dial,
        endpoint::Endpoint,
        imap::ImapSession,
        mailbox::{MailboxAuth, MailboxFailure},
        oauth::OauthError,
        pop3::Pop3Session,
        tls::TlsSetupError,
    },
};

/// A mailbox that is open.
#[derive(Debug)]
pub enum MailboxSession {
    /// By POP3.
    Pop3(Box<Pop3Session>),
    /// By IMAP.
    Imap(Box<ImapSession>),
}

/// Why a mailbox is not open.
#[derive(Debug, thiserror::Error)]
pub enum MailboxNotOpened {
    /// The account has none.
    #[error("the account has no mailbox")]
    NoMailbox,
    /// Neither the mailbox nor SMTP has credentials.
    #[error("neither the mailbox nor SMTP has credentials")]
    NoSignIn,
    /// A certificate of its settings cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
    /// There is no access token.
    #[error(transparent)]
    Token(#[from] OauthError),
    /// What was met at the server.
    #[error(transparent)]
    Failure(#[from] MailboxFailure),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Opens the mailbox of an account. A token that the server refuses although it should live is renewed once.
///
/// # Errors
/// What was met.
pub async fn open(
    account: &Arc<Account>,
    tokens: &TokenKeeper,
    dial: &dyn Dial,
) -> Result<MailboxSession, MailboxNotOpened> {
    let settings = &account.settings;
    let mailbox = settings.mailbox.as_ref().ok_or(MailboxNotOpened::NoMailbox)?;
    let endpoint = Endpoint::of(&mailbox.server)?;
    let mut auth = auth(settings, mailbox).ok_or(MailboxNotOpened::NoSignIn)?;
    if !matches!(auth, MailboxAuth::Token { .. }) {
        return Ok(enter(mailbox.protocol, &endpoint, &auth, dial).await?);
    }
    let access = tokens.token(account).await.map_err(without_token)?;
    put(&access, &mut auth);
    match enter(mailbox.protocol, &endpoint, &auth, dial).await {
        Err(failure) if failure.refuses_credentials() => {
            let access = tokens.instead_of(&access, account).await.map_err(without_token)?;
            put(&access, &mut auth);
            Ok(enter(mailbox.protocol, &endpoint, &auth, dial).await?)
        }
        entered => Ok(entered?),
    }
}

/// The mailbox's own credentials, or else those of SMTP. A token is not among them yet.
#[must_use]
pub fn auth(settings: &AccountSettings, mailbox: &IncomingMailbox) -> Option<MailboxAuth> {
    if let Some(own) = &mailbox.sign_in {
        return Some(MailboxAuth::Password {
            user: own.credentials.user.clone(),
            password: own.credentials.password.clone(),
            apop: own.apop,
            allow_plaintext: own.allow_plaintext,
        });
    }
    match &settings.sign_in {
        SignIn::Password { user, password, allow_plaintext, .. } => Some(MailboxAuth::Password {
            user: user.clone(),
            password: password.clone(),
            apop: false,
            allow_plaintext: *allow_plaintext,
        }),
        SignIn::OAuth2(oauth) => Some(MailboxAuth::Token {
            user: oauth.user.clone(),
            token: Secret::new(String::new()),
            allow_plaintext: oauth.allow_plaintext,
        }),
        SignIn::PopBeforeSmtp(pop) => Some(MailboxAuth::Password {
            user: pop.credentials.user.clone(),
            password: pop.credentials.password.clone(),
            apop: pop.apop,
            allow_plaintext: pop.allow_plaintext,
        }),
        SignIn::None | SignIn::AsMailbox => None,
    }
}

/// The user name with which the mailbox of an account is entered.
#[must_use]
pub fn user(settings: &AccountSettings) -> Option<String> {
    let (MailboxAuth::Password { user, .. } | MailboxAuth::Token { user, .. }) =
        auth(settings, settings.mailbox.as_ref()?)?;
    Some(user)
}

async fn enter(
    protocol: MailboxProtocol,
    endpoint: &Endpoint,
    auth: &MailboxAuth,
    dial: &dyn Dial,
) -> Result<MailboxSession, MailboxFailure> {
    Ok(match protocol {
        MailboxProtocol::Pop3 => {
            MailboxSession::Pop3(Box::new(Box::pin(Pop3Session::open(endpoint, auth, dial)).await?))
        }
        MailboxProtocol::Imap => {
            MailboxSession::Imap(Box::new(Box::pin(ImapSession::open(endpoint, auth, dial)).await?))
        }
    })
}

fn put(access: &AccessToken, auth: &mut MailboxAuth) {
    if let MailboxAuth::Token { token, .. } = auth {
        *token = access.token.clone();
    }
}

fn without_token(error: TokenError) -> MailboxNotOpened {
    match error {
        TokenError::Storage(error) => error.into(),
        TokenError::Issuer(error) => error.into(),
    }
}
