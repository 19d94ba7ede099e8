//! DKIM keys of the made-up daemon; only imported ones are published.

use hikyaku_client::proto::*;
use tonic::{Request, Response, Status};

use super::{Answer, Fake, time};

impl Fake {
    fn keep_key(&self, domain: &str, selector: &str, algorithm: DkimAlgorithm, by: &str) -> Result<DkimKey, Status> {
        let dkim_key_id = format!("{selector}._domainkey.{domain}");
        let key = DkimKey {
            txt_record: "v=DKIM1; k=rsa; p=\u{1b}AAAA".to_owned(),
            zone_line: format!("{dkim_key_id}. IN TXT ( \"v=DKIM1; k=rsa; \" \"p=AAAA\" )"),
            dkim_key_id: dkim_key_id.clone(),
            domain: domain.to_owned(),
            selector: selector.to_owned(),
            algorithm: algorithm.into(),
            created_at: Some(time(1)),
            created_by: by.to_owned(),
        };
        if self.state().dkim_keys.insert(dkim_key_id, key.clone()).is_some() {
            return Err(Status::already_exists("there is such a key"));
        }
        Ok(key)
    }

    fn dkim_key(&self, id: &str) -> Result<DkimKey, Status> {
        let key = self.state().dkim_keys.get(id).cloned();
        key.ok_or_else(|| Status::not_found(format!("there is no key \"{id}\"")))
    }
}

#[tonic::async_trait]
impl dkim_service_server::DkimService for Fake {
    async fn create_dkim_key(&self, request: Request<CreateDkimKeyRequest>) -> Answer<CreateDkimKeyResponse> {
        let request = request.into_inner();
        let algorithm = request.algorithm();
        let CreateDkimKeyRequest { domain, selector, .. } = request;
        let selector = if selector.is_empty() { "hikyaku20231114" } else { &selector };
        let key = Some(self.keep_key(&domain, selector, algorithm, "tester")?);
        Ok(Response::new(CreateDkimKeyResponse { key }))
    }

    async fn import_dkim_key(&self, request: Request<ImportDkimKeyRequest>) -> Answer<ImportDkimKeyResponse> {
        let ImportDkimKeyRequest { domain, selector, private_key_pem } = request.into_inner();
        if !private_key_pem.starts_with("-----BEGIN ") {
            return Err(Status::invalid_argument("private_key_pem: is no PEM"));
        }
        let key = Some(self.keep_key(&domain, &selector, DkimAlgorithm::Ed25519, "importer")?);
        Ok(Response::new(ImportDkimKeyResponse { key }))
    }

    async fn get_dkim_key(&self, request: Request<GetDkimKeyRequest>) -> Answer<GetDkimKeyResponse> {
        let key = Some(self.dkim_key(&request.into_inner().dkim_key_id)?);
        Ok(Response::new(GetDkimKeyResponse { key }))
    }

    async fn list_dkim_keys(&self, request: Request<ListDkimKeysRequest>) -> Answer<ListDkimKeysResponse> {
        let domain = request.into_inner().domain;
        let keys =
            self.state().dkim_keys.values().filter(|key| domain.is_empty() || key.domain == domain).cloned().collect();
        Ok(Response::new(ListDkimKeysResponse { keys }))
    }

    async fn delete_dkim_key(&self, request: Request<DeleteDkimKeyRequest>) -> Answer<DeleteDkimKeyResponse> {
        let id = request.into_inner().dkim_key_id;
        self.dkim_key(&id)?;
        let mut state = self.state();
        if state.dkim_rules.rules.iter().any(|rule| rule.key_ids.contains(&id)) {
            return Err(Status::failed_precondition("a rule names the key"));
        }
        state.dkim_keys.remove(&id);
        Ok(Response::new(DeleteDkimKeyResponse {}))
    }

    async fn check_dkim_key(&self, request: Request<CheckDkimKeyRequest>) -> Answer<CheckDkimKeyResponse> {
        let key = self.dkim_key(&request.into_inner().dkim_key_id)?;
        let published = key.created_by == "importer";
        let problem = if published { "" } else { "there is another key" };
        Ok(Response::new(CheckDkimKeyResponse {
            published,
            problem: problem.to_owned(),
            found_records: vec!["v=DKIM1; p=\u{9b}BBBB".to_owned()],
        }))
    }

    async fn get_dkim_rules(&self, _: Request<GetDkimRulesRequest>) -> Answer<GetDkimRulesResponse> {
        Ok(Response::new(GetDkimRulesResponse { rules: Some(self.state().dkim_rules.clone()) }))
    }

    async fn set_dkim_rules(&self, request: Request<SetDkimRulesRequest>) -> Answer<SetDkimRulesResponse> {
        let mut rules = request.into_inner().rules.unwrap();
        let mut state = self.state();
        if rules.etag != state.dkim_rules.etag {
            return Err(Status::aborted("the rules were changed since"));
        }
        rules.etag.push('1');
        rules.updated_at = Some(time(1));
        state.dkim_rules = rules.clone();
        Ok(Response::new(SetDkimRulesResponse { rules: Some(rules) }))
    }
}
