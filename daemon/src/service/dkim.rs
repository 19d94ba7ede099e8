//! DkimService: making, importing, checking and forgetting keys, and saying what they sign.

use std::sync::Arc;

use hikyaku_proto::v1::{self, dkim_service_server::DkimService};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};
use zeroize::{Zeroize, Zeroizing};

use super::{
    convert::dkim::{NewKey, from_key, from_rules, to_import, to_key_id, to_new_key, to_rules},
    guard::caller_of,
    parts::Parts,
    status::Refusal,
};
use crate::{
    compose::dkim::{SigningKey, pkcs8_of_ed25519, read_pem},
    domain::{
        account::Stamp,
        dkim::{DkimKey, DkimKeyId, DkimRules, a_labels},
        ids::{Caller, Etag},
        secret::Secret,
        time::Clock,
    },
    platform::{
        entropy::Entropy,
        rsa::{RsaSize, make_rsa_key},
    },
    policy::dkim::record::{RECORDS_MAX, problem},
    storage::{
        AddDkimKeyError, DKIM_RULES_BYTES_MAX, DeleteDkimKeyError, SetDkimRulesError, SharedStorage, StorageError,
    },
    wire::dns::Dns,
};

/// Most keys that are made at once: each takes a processor for up to some seconds.
const KEYS_MADE_AT_ONCE_MAX: usize = 2;

/// The service. The guard lets admins only come here.
#[derive(Debug)]
pub(super) struct DkimKeysAndRules {
    storage: SharedStorage,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    dns: Arc<dyn Dns>,
    making: Arc<Semaphore>,
}

impl DkimKeysAndRules {
    pub(super) fn new(parts: &Parts) -> Self {
        Self {
            storage: Arc::clone(&parts.storage),
            clock: Arc::clone(&parts.clock),
            entropy: Arc::clone(&parts.entropy),
            dns: Arc::clone(&parts.dns),
            making: Arc::new(Semaphore::new(KEYS_MADE_AT_ONCE_MAX)),
        }
    }

    async fn create(&self, request: &v1::CreateDkimKeyRequest, caller: Caller) -> Result<v1::DkimKey, Refusal> {
        let (id, wanted) = to_new_key(request, self.clock.now())?;
        if self.storage.dkim_keys().await?.contains_key(&id) {
            return Err(Refusal::DkimKeyExists(id));
        }
        let place = Arc::clone(&self.making).try_acquire_owned();
        let place = place.map_err(|_| Refusal::TooMany("keys in the making"))?;
        let entropy = Arc::clone(&self.entropy);
        let private = tokio::task::spawn_blocking(move || {
            let _held = place;
            make(wanted, &*entropy)
        });
        let private = private.await.map_err(|_| Refusal::Internal("the key could not be made"))?;
        self.add(id, private, caller).await
    }

    async fn import(&self, request: v1::ImportDkimKeyRequest, caller: Caller) -> Result<v1::DkimKey, Refusal> {
        let (id, mut pem) = to_import(request)?;
        let private = read_pem(&pem);
        pem.zeroize();
        let private = private.map_err(|why| Refusal::field("private_key_pem", why.to_string()))?;
        self.add(id, private, caller).await
    }

    /// Stores a key that has proved that it signs.
    async fn add(&self, id: DkimKeyId, private: Zeroizing<Vec<u8>>, caller: Caller) -> Result<v1::DkimKey, Refusal> {
        let (name, secret) = (id.clone(), private.clone());
        let opened = tokio::task::spawn_blocking(move || SigningKey::open(name, &secret));
        let opened = opened.await.map_err(|_| Refusal::Internal("the key could not be tried"))?;
        let opened = opened.map_err(|why| Refusal::field("private_key_pem", why.to_string()))?;
        let (algorithm, public_key) = (opened.algorithm(), opened.public_key());
        let created = Stamp { at: self.clock.now(), by: caller.clone() };
        let key = DkimKey { id: id.clone(), algorithm, public_key, created };
        let stored = self.storage.add_dkim_key(key.clone(), Secret::new(private.to_vec())).await;
        stored.map_err(|error| match error {
            AddDkimKeyError::Exists => Refusal::DkimKeyExists(id.clone()),
            AddDkimKeyError::Full => Refusal::DkimKeysFull,
            AddDkimKeyError::Storage(error) => error.into(),
        })?;
        tracing::info!(%caller, key = %id, "DKIM key stored");
        Ok(from_key(&key))
    }

    async fn key(&self, text: &str) -> Result<DkimKey, Refusal> {
        let id = to_key_id(text)?;
        let keys = self.storage.dkim_keys().await?;
        keys.get(&id).cloned().ok_or(Refusal::NoDkimKey(id))
    }

    async fn list(&self, domain: &str) -> Result<Vec<v1::DkimKey>, Refusal> {
        let domain = match domain {
            "" => None,
            text => Some(a_labels(text).ok_or_else(|| Refusal::field("domain", "is no domain"))?),
        };
        let keys = self.storage.dkim_keys().await?;
        let wanted = keys.values().filter(|key| domain.as_ref().is_none_or(|domain| key.id.domain() == domain));
        Ok(wanted.map(from_key).collect())
    }

    async fn delete(&self, text: &str, caller: &Caller) -> Result<(), Refusal> {
        let id = to_key_id(text)?;
        self.storage.delete_dkim_key(&id).await.map_err(|error| match error {
            DeleteDkimKeyError::Unknown => Refusal::NoDkimKey(id.clone()),
            DeleteDkimKeyError::Named(what) => Refusal::DkimKeyNamed(what),
            DeleteDkimKeyError::Storage(error) => error.into(),
        })?;
        tracing::info!(%caller, key = %id, "DKIM key forgotten");
        Ok(())
    }

    async fn check(&self, text: &str) -> Result<v1::CheckDkimKeyResponse, Refusal> {
        let key = self.key(text).await?;
        Ok(match self.dns.texts(&key.id.to_string()).await {
            Err(error) => v1::CheckDkimKeyResponse {
                published: false,
                problem: format!("the name system does not say what is at {}: {error}", key.id),
                found_records: Vec::new(),
            },
            Ok(mut found_records) => {
                let problem = problem(&key, &found_records);
                found_records.truncate(RECORDS_MAX);
                let published = problem.is_none();
                v1::CheckDkimKeyResponse { published, problem: problem.unwrap_or_default(), found_records }
            }
        })
    }

    async fn set_rules(&self, wire: Option<v1::DkimRules>, caller: Caller) -> Result<v1::DkimRules, Refusal> {
        // Damaged rules are replaced whatever the caller has seen.
        let current = match self.storage.dkim_rules().await {
            Err(StorageError::Damaged(_)) => Etag(0),
            rules => rules?.etag,
        };
        let keys = self.storage.dkim_keys().await?;
        let rules = to_rules(wire, current, |id| keys.contains_key(id))?;
        let expected = rules.etag;
        let updated = Some((self.clock.now(), caller.clone()));
        let rules = DkimRules { etag: Etag(expected.0.saturating_add(1)), updated, ..rules };
        self.storage.set_dkim_rules(rules.clone(), expected).await.map_err(|error| match error {
            SetDkimRulesError::Stale { current } => Refusal::StaleEtag(current),
            SetDkimRulesError::UnknownKey(id) => Refusal::NoDkimKey(id),
            SetDkimRulesError::TooLarge { bytes } => {
                Refusal::field("rules.rules", format!("have {bytes} bytes, more than {DKIM_RULES_BYTES_MAX}"))
            }
            SetDkimRulesError::Storage(error) => error.into(),
        })?;
        tracing::info!(%caller, rules = rules.rules.len(), etag = %rules.etag, "DKIM rules changed");
        Ok(from_rules(&rules))
    }
}

fn make(wanted: NewKey, entropy: &dyn Entropy) -> Zeroizing<Vec<u8>> {
    match wanted {
        NewKey::Rsa2048 => make_rsa_key(RsaSize::Bits2048, entropy),
        NewKey::Rsa4096 => make_rsa_key(RsaSize::Bits4096, entropy),
        NewKey::Ed25519 => {
            let mut seed = Zeroizing::new([0; 32]);
            entropy.fill(seed.as_mut());
            pkcs8_of_ed25519(&seed)
        }
    }
}

#[tonic::async_trait]
impl DkimService for DkimKeysAndRules {
    async fn create_dkim_key(
        &self,
        request: Request<v1::CreateDkimKeyRequest>,
    ) -> Result<Response<v1::CreateDkimKeyResponse>, Status> {
        let caller = caller_of(&request)?;
        let key = self.create(request.get_ref(), caller).await?;
        Ok(Response::new(v1::CreateDkimKeyResponse { key: Some(key) }))
    }

    async fn import_dkim_key(
        &self,
        request: Request<v1::ImportDkimKeyRequest>,
    ) -> Result<Response<v1::ImportDkimKeyResponse>, Status> {
        let caller = caller_of(&request)?;
        let key = self.import(request.into_inner(), caller).await?;
        Ok(Response::new(v1::ImportDkimKeyResponse { key: Some(key) }))
    }

    async fn get_dkim_key(
        &self,
        request: Request<v1::GetDkimKeyRequest>,
    ) -> Result<Response<v1::GetDkimKeyResponse>, Status> {
        let key = self.key(&request.get_ref().dkim_key_id).await?;
        Ok(Response::new(v1::GetDkimKeyResponse { key: Some(from_key(&key)) }))
    }

    async fn list_dkim_keys(
        &self,
        request: Request<v1::ListDkimKeysRequest>,
    ) -> Result<Response<v1::ListDkimKeysResponse>, Status> {
        let keys = self.list(&request.get_ref().domain).await?;
        Ok(Response::new(v1::ListDkimKeysResponse { keys }))
    }

    async fn delete_dkim_key(
        &self,
        request: Request<v1::DeleteDkimKeyRequest>,
    ) -> Result<Response<v1::DeleteDkimKeyResponse>, Status> {
        let caller = caller_of(&request)?;
        self.delete(&request.get_ref().dkim_key_id, &caller).await?;
        Ok(Response::new(v1::DeleteDkimKeyResponse {}))
    }

    async fn check_dkim_key(
        &self,
        request: Request<v1::CheckDkimKeyRequest>,
    ) -> Result<Response<v1::CheckDkimKeyResponse>, Status> {
        Ok(Response::new(self.check(&request.get_ref().dkim_key_id).await?))
    }

    async fn get_dkim_rules(
        &self,
        _request: Request<v1::GetDkimRulesRequest>,
    ) -> Result<Response<v1::GetDkimRulesResponse>, Status> {
        let rules = self.storage.dkim_rules().await.map_err(Refusal::from)?;
        Ok(Response::new(v1::GetDkimRulesResponse { rules: Some(from_rules(&rules)) }))
    }

    async fn set_dkim_rules(
        &self,
        request: Request<v1::SetDkimRulesRequest>,
    ) -> Result<Response<v1::SetDkimRulesResponse>, Status> {
        let caller = caller_of(&request)?;
        let rules = self.set_rules(request.into_inner().rules, caller).await?;
        Ok(Response::new(v1::SetDkimRulesResponse { rules: Some(rules) }))
    }
}
