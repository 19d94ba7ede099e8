//! Accounts of the made-up daemon.

use hikyaku_client::proto::*;
use tonic::{Request, Response, Status};

use super::{
    Answer, Fake,
    settings::{gmail, secrets, told},
    time,
};

#[tonic::async_trait]
impl account_service_server::AccountService for Fake {
    async fn create_account(&self, request: Request<CreateAccountRequest>) -> Answer<CreateAccountResponse> {
        let key = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        let created_by = key.unwrap_or("socket").to_owned();
        let CreateAccountRequest { account_id, settings, preset } = request.into_inner();
        let mut settings = settings.unwrap_or_default();
        match preset.as_str() {
            "" => {}
            "gmail" => settings.server.get_or_insert_default().clone_from(gmail().server.as_ref().unwrap()),
            other => return Err(Status::invalid_argument(format!("there is no preset {other}"))),
        }
        self.state().secrets.insert(account_id.clone(), settings.clone());
        let account = Account {
            account_id: account_id.clone(),
            settings: Some(told(settings)),
            etag: "1".to_owned(),
            created_by,
            created_at: Some(time(0)),
            standing: Some(AccountStanding { state: AccountState::Active.into(), ..AccountStanding::default() }),
            ..Account::default()
        };
        self.state().accounts.insert(account_id, account.clone());
        Ok(Response::new(CreateAccountResponse { account: Some(account) }))
    }

    async fn get_account(&self, request: Request<GetAccountRequest>) -> Answer<GetAccountResponse> {
        let account = self.account(&request.into_inner().account_id)?;
        Ok(Response::new(GetAccountResponse { account: Some(account) }))
    }

    async fn list_accounts(&self, request: Request<ListAccountsRequest>) -> Answer<ListAccountsResponse> {
        let filter = request.into_inner().filter.unwrap_or_default();
        let matches = |account: &&Account| {
            let settings = account.settings.clone().unwrap_or_default();
            account.account_id.contains(&filter.text)
                && (filter.label.is_empty() || settings.labels.contains(&filter.label))
                && (filter.states.is_empty() || filter.states.contains(&account.standing.as_ref().unwrap().state))
                && (filter.owner.is_empty() || settings.owner == filter.owner)
                && !(filter.listed_only && settings.unlisted)
        };
        let accounts = self.state().accounts.values().filter(matches).cloned().collect();
        Ok(Response::new(ListAccountsResponse { accounts, next_page_token: String::new() }))
    }

    /// Whoever changes the account "racy" for the first time comes too late.
    async fn update_account(&self, request: Request<UpdateAccountRequest>) -> Answer<UpdateAccountResponse> {
        let UpdateAccountRequest { account_id, settings, etag } = request.into_inner();
        let mut account = self.account(&account_id)?;
        let raced = account_id == "racy" && account.etag == "1";
        if account.etag != etag || raced {
            account.etag = if raced { "2".to_owned() } else { account.etag };
            self.state().accounts.insert(account_id, account);
            return Err(Status::aborted("the account was changed since"));
        }
        let settings = settings.unwrap_or_default();
        self.state().secrets.insert(account_id.clone(), settings.clone());
        account.settings = Some(told(settings));
        account.etag = format!("{etag}1");
        self.state().accounts.insert(account_id, account.clone());
        Ok(Response::new(UpdateAccountResponse { account: Some(account) }))
    }

    async fn delete_account(&self, request: Request<DeleteAccountRequest>) -> Answer<DeleteAccountResponse> {
        let DeleteAccountRequest { account_id, force, .. } = request.into_inner();
        self.account(&account_id)?;
        if account_id.starts_with("busy") && !force {
            return Err(Status::failed_precondition("the account has open jobs"));
        }
        self.state().accounts.remove(&account_id);
        Ok(Response::new(DeleteAccountResponse { cancelled_jobs: 3 }))
    }

    async fn pause_account(&self, request: Request<PauseAccountRequest>) -> Answer<PauseAccountResponse> {
        let PauseAccountRequest { account_id, until, reason } = request.into_inner();
        let standing = AccountStanding { state: AccountState::Paused.into(), until, reason, ..Default::default() };
        let account = Account { standing: Some(standing), ..self.account(&account_id)? };
        Ok(Response::new(PauseAccountResponse { account: Some(account) }))
    }

    async fn resume_account(&self, request: Request<ResumeAccountRequest>) -> Answer<ResumeAccountResponse> {
        let account = self.account(&request.into_inner().account_id)?;
        Ok(Response::new(ResumeAccountResponse { account: Some(account) }))
    }

    async fn get_account_usage(&self, request: Request<GetAccountUsageRequest>) -> Answer<GetAccountUsageResponse> {
        let quotas = self.usage(&request.into_inner().account_id)?;
        Ok(Response::new(GetAccountUsageResponse { quotas }))
    }

    async fn report_usage(&self, request: Request<ReportUsageRequest>) -> Answer<ReportUsageResponse> {
        let ReportUsageRequest { account_id, messages, .. } = request.into_inner();
        *self.state().reported.entry(account_id.clone()).or_default() += messages;
        Ok(Response::new(ReportUsageResponse { quotas: self.usage(&account_id)? }))
    }

    /// Passes when the password is hunter2.
    async fn test_account(&self, request: Request<TestAccountRequest>) -> Answer<TestAccountResponse> {
        let TestAccountRequest { account_id, settings, server, .. } = request.into_inner();
        let mut settings = match settings {
            Some(settings) => settings,
            None => {
                self.account(&account_id)?;
                self.state().secrets[&account_id].clone()
            }
        };
        let passed = secrets(&mut settings).first().is_some_and(|secret| *secret == "hunter2");
        let folders = if server == 2 { vec!["INBOX".to_owned()] } else { Vec::new() };
        Ok(Response::new(TestAccountResponse { test: Some(AccountTest { folders, ..report(passed) }) }))
    }

    async fn begin_consent(&self, request: Request<BeginConsentRequest>) -> Answer<BeginConsentResponse> {
        let BeginConsentRequest { account_id, way } = request.into_inner();
        self.account(&account_id)?;
        let (url, user_code) = match way.unwrap() {
            begin_consent_request::Way::Browser(browser) => (browser.redirect_uri, String::new()),
            begin_consent_request::Way::Device(_) => ("https://issuer.example/device".to_owned(), "ABCD".to_owned()),
        };
        Ok(Response::new(BeginConsentResponse {
            consent_id: account_id,
            url,
            user_code,
            expires_at: Some(time(900)),
            poll_interval: Some(prost_types::Duration { seconds: 0, nanos: 1_000_000 }),
        }))
    }

    async fn finish_consent(&self, request: Request<FinishConsentRequest>) -> Answer<FinishConsentResponse> {
        let FinishConsentRequest { consent_id, redirect_query } = request.into_inner();
        let mut account = self.account(&consent_id)?;
        self.state().polls += 1;
        let pending = redirect_query.is_empty() && self.state().polls < 3;
        if !redirect_query.is_empty() && redirect_query != "code=good&state=s" {
            return Err(Status::permission_denied("the person said no"));
        }
        account.oauth = Some(OAuthTokenState { has_refresh_token: true, ..OAuthTokenState::default() });
        let account = (!pending).then_some(account);
        Ok(Response::new(FinishConsentResponse { pending, poll_interval: None, account }))
    }
}

impl Fake {
    fn usage(&self, id: &str) -> Result<Vec<QuotaUsage>, Status> {
        let account = self.account(id)?;
        let used = 1 + self.state().reported.get(id).copied().unwrap_or_default();
        let quotas = account.settings.unwrap_or_default().limits.unwrap_or_default().quotas;
        let usage = quotas.into_iter().map(|quota| QuotaUsage {
            left: quota.limit - used,
            used,
            observed_limit: if quota.limit == 500 { 450 } else { 0 },
            quota: Some(quota),
            resets_at: Some(time(60)),
            ..QuotaUsage::default()
        });
        Ok(usage.collect())
    }
}

fn report(passed: bool) -> AccountTest {
    let step = |name: &str, succeeded, sent: &str, reply: &str| TestStep {
        name: name.to_owned(),
        succeeded,
        took: Some(prost_types::Duration { seconds: 0, nanos: 12_000_000 }),
        sent: sent.to_owned(),
        reply: reply.to_owned(),
        note: String::new(),
    };
    let reply = if passed { "235 ok" } else { "535-5.7.8 No\u{1b}[2J\n535 5.7.8 no" };
    let diagnosis = Diagnosis {
        cause: "WRONG_CREDENTIALS".to_owned(),
        explanation: "The password is wrong.".to_owned(),
        advice: vec!["Give an app password.".to_owned()],
        help_url: "https://support.example/".to_owned(),
    };
    let tls = TlsFacts {
        version: "TLSv1.3".to_owned(),
        cipher: "AES".to_owned(),
        certificate_names: vec!["mx.example.jp".to_owned()],
        issuer: "CA".to_owned(),
        valid_from: "2026-01-01T00:00:00Z".to_owned(),
        valid_until: "2027-01-01T00:00:00Z".to_owned(),
    };
    AccountTest {
        passed,
        steps: vec![step("hello", true, "EHLO me", "250 hi"), step("sign-in", passed, "AUTH PLAIN (secret)", reply)],
        diagnosis: (!passed).then_some(diagnosis),
        tls: Some(tls),
        capabilities: vec!["AUTH PLAIN".to_owned()],
        ..AccountTest::default()
    }
}
