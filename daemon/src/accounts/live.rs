//! An account as its worker uses it: the stored settings and what is made from them.

use std::sync::Arc;

use super::pop_gate::{PopGate, PopGates};
use crate::{
    domain::{
        account::{Account, AccountSettings, EhloName, MailboxSignIn, PasswordMechanism, SignIn},
        ids::{AccountId, Etag},
        parking::Standing,
        secret::Secret,
    },
    storage::{AccountStore, StorageError},
    wire::{
        smtp::{Credentials, Provider},
        tls::{TlsClient, TlsSetupError},
    },
};

/// An account with the provider's address, TLS settings and credentials at hand.
#[derive(Clone, Debug)]
pub struct LiveAccount {
    /// The stored account.
    pub account: Arc<Account>,
    /// Where and how it connects.
    pub provider: Arc<Provider>,
    /// The POP3 sign-in that must come before, if one must.
    pub pop: Option<Arc<PopGate>>,
}

/// Why an account cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It was deleted.
    #[error("the account no longer exists")]
    Unknown,
    /// Its settings do not make a usable TLS configuration.
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
    /// The store did not answer.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl LiveAccount {
    /// Loads an account with its standing. `host_name` is given in EHLO when the account sets no name; of `gates` it has its
    /// own.
    ///
    /// # Errors
    /// When there is no such account, a certificate of its settings cannot be used, or the store fails.
    pub async fn load(
        storage: &dyn AccountStore,
        id: &AccountId,
        host_name: &EhloName,
        gates: &PopGates,
    ) -> Result<(Self, Standing), LoadError> {
        let Some(record) = storage.account(id).await? else {
            gates.forget(id);
            return Err(LoadError::Unknown);
        };
        let provider = provider(&record.account.settings, host_name)?;
        let pop = gates.gate_of(id, &record.account.settings.sign_in)?;
        Ok((Self { account: Arc::new(record.account), provider: Arc::new(provider), pop }, record.standing))
    }

    /// The version of the settings.
    #[must_use]
    pub fn etag(&self) -> Etag {
        self.account.etag
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &AccountSettings {
        &self.account.settings
    }
}

/// Where and how the settings of an account connect. `host_name` is given in EHLO when they set no name. An access token is not
/// among it yet.
///
/// # Errors
/// When a certificate among them cannot be used.
pub fn provider(settings: &AccountSettings, host_name: &EhloName) -> Result<Provider, TlsSetupError> {
    let server = &settings.server;
    Ok(Provider {
        host: server.host.clone(),
        port: server.port,
        encryption: server.encryption,
        ehlo_name: server.ehlo_name.clone().unwrap_or_else(|| host_name.clone()),
        proxy: server.proxy.clone(),
        tls: TlsClient::new(server.custom_ca_pem.as_deref(), &server.tls)?,
        sign_in: credentials(settings),
        timeouts: server.timeouts,
    })
}

/// What the settings say of the sign-in. A token is not among it yet: it is fetched when a connection is opened.
fn credentials(settings: &AccountSettings) -> Credentials {
    match &settings.sign_in {
        // Whoever wants POP before SMTP is let in as he is.
        SignIn::None | SignIn::PopBeforeSmtp(_) => Credentials::Nothing,
        SignIn::AsMailbox => {
            let sign_in = settings.mailbox.as_ref().and_then(|mailbox| mailbox.sign_in.as_ref());
            sign_in.map_or(Credentials::Nothing, as_mailbox)
        }
        SignIn::Password { user, password, mechanism, allow_plaintext } => Credentials::Password {
            user: user.clone(),
            password: password.clone(),
            mechanism: *mechanism,
            allow_plaintext: *allow_plaintext,
        },
        SignIn::OAuth2(oauth) => Credentials::Token {
            user: oauth.user.clone(),
            token: Secret::new(String::new()),
            mechanism: oauth.mechanism,
            allow_plaintext: oauth.allow_plaintext,
        },
    }
}

fn as_mailbox(sign_in: &MailboxSignIn) -> Credentials {
    Credentials::Password {
        user: sign_in.credentials.user.clone(),
        password: sign_in.credentials.password.clone(),
        mechanism: PasswordMechanism::Auto,
        allow_plaintext: sign_in.allow_plaintext,
    }
}
