//! An account as its worker uses it: the stored settings and what is made from them.

use std::sync::Arc;

use crate::{
    domain::{
        account::{Account, AccountSettings, EhloName},
        ids::{AccountId, Etag},
        parking::Standing,
    },
    storage::{AccountStore, StorageError},
    wire::{
        smtp::Provider,
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
    /// Loads an account with its standing. `host_name` is given in EHLO when the account sets no name.
    ///
    /// # Errors
    /// When there is no such account, a certificate of its settings cannot be used, or the store fails.
    pub async fn load(
        storage: &dyn AccountStore,
        id: &AccountId,
        host_name: &EhloName,
    ) -> Result<(Self, Standing), LoadError> {
        let record = storage.account(id).await?.ok_or(LoadError::Unknown)?;
        let provider = provider(&record.account.settings, host_name)?;
        Ok((Self { account: Arc::new(record.account), provider: Arc::new(provider) }, record.standing))
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

fn provider(settings: &AccountSettings, host_name: &EhloName) -> Result<Provider, TlsSetupError> {
    let server = &settings.server;
    Ok(Provider {
        host: server.host.clone(),
        port: server.port,
        encryption: server.encryption,
        ehlo_name: server.ehlo_name.clone().unwrap_or_else(|| host_name.clone()),
        proxy: server.proxy.clone(),
        tls: TlsClient::new(server.custom_ca_pem.as_deref(), &server.tls)?,
        sign_in: settings.sign_in.clone(),
        timeouts: server.timeouts,
    })
}
