//! Calls about DKIM keys and rules. All are for administrators.

use crate::{
    connection::Client,
    error::Error,
    proto::{
        CheckDkimKeyRequest, CheckDkimKeyResponse, CreateDkimKeyRequest, DeleteDkimKeyRequest, DkimKey, DkimRules,
        GetDkimKeyRequest, GetDkimRulesRequest, ImportDkimKeyRequest, ListDkimKeysRequest, SetDkimRulesRequest,
    },
};

impl Client {
    /// Makes a key. Its private half never leaves the store.
    ///
    /// # Errors
    /// [`Error::Refused`] with the violations, or with `AlreadyExists`.
    pub async fn create_dkim_key(&self, request: CreateDkimKeyRequest) -> Result<DkimKey, Error> {
        Ok(self.dkim.clone().create_dkim_key(request).await?.into_inner().key.unwrap_or_default())
    }

    /// Stores a key that was made elsewhere.
    ///
    /// # Errors
    /// [`Error::Refused`] with the violations, or with `AlreadyExists`.
    pub async fn import_dkim_key(&self, request: ImportDkimKeyRequest) -> Result<DkimKey, Error> {
        Ok(self.dkim.clone().import_dkim_key(request).await?.into_inner().key.unwrap_or_default())
    }

    /// One key.
    ///
    /// # Errors
    /// [`Error::Refused`] with `NotFound` when there is no such key.
    pub async fn get_dkim_key(&self, dkim_key_id: &str) -> Result<DkimKey, Error> {
        let request = GetDkimKeyRequest { dkim_key_id: dkim_key_id.to_owned() };
        Ok(self.dkim.clone().get_dkim_key(request).await?.into_inner().key.unwrap_or_default())
    }

    /// The keys of a domain, or all when it is empty, by domain and selector.
    ///
    /// # Errors
    /// When the daemon refuses or is gone.
    pub async fn list_dkim_keys(&self, domain: &str) -> Result<Vec<DkimKey>, Error> {
        let request = ListDkimKeysRequest { domain: domain.to_owned() };
        Ok(self.dkim.clone().list_dkim_keys(request).await?.into_inner().keys)
    }

    /// Forgets a key.
    ///
    /// # Errors
    /// [`Error::Refused`] with `FailedPrecondition` while a rule names it.
    pub async fn delete_dkim_key(&self, dkim_key_id: &str) -> Result<(), Error> {
        let request = DeleteDkimKeyRequest { dkim_key_id: dkim_key_id.to_owned() };
        self.dkim.clone().delete_dkim_key(request).await?;
        Ok(())
    }

    /// Whether a key's record is published as it should be. That it is not is no error.
    ///
    /// # Errors
    /// When the name system does not answer, or there is no such key.
    pub async fn check_dkim_key(&self, dkim_key_id: &str) -> Result<CheckDkimKeyResponse, Error> {
        let request = CheckDkimKeyRequest { dkim_key_id: dkim_key_id.to_owned() };
        Ok(self.dkim.clone().check_dkim_key(request).await?.into_inner())
    }

    /// Which messages are signed by which keys.
    ///
    /// # Errors
    /// When the daemon refuses or is gone.
    pub async fn get_dkim_rules(&self) -> Result<DkimRules, Error> {
        Ok(self.dkim.clone().get_dkim_rules(GetDkimRulesRequest {}).await?.into_inner().rules.unwrap_or_default())
    }

    /// Replaces the rules as a whole.
    ///
    /// # Errors
    /// [`Error::Refused`] with the violations, or with `Aborted` when the rules were changed since their etag was seen.
    pub async fn set_dkim_rules(&self, rules: DkimRules) -> Result<DkimRules, Error> {
        let answer = self.dkim.clone().set_dkim_rules(SetDkimRulesRequest { rules: Some(rules) }).await?;
        Ok(answer.into_inner().rules.unwrap_or_default())
    }
}
