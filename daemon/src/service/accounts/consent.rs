//! Asking a person for permission to send with OAuth 2.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hikyaku_proto::v1::{self, begin_consent_request::Way as AskedWay};

use super::{Accounts, one_id};
use crate::{
    domain::{
        account::{Account, OAuth2SignIn, OauthGrant, SignIn},
        ids::{AccountId, Caller},
        secret::Secret,
        time::Timestamp,
    },
    platform::entropy::Entropy,
    policy::oauth,
    service::{
        convert::values::{from_duration, from_time},
        status::Refusal,
    },
    storage::AccountRecord,
    wire::oauth::{AuthorizationRequest, ComeBack, Ground, OauthError, come_back, fault_of_redirect_uri},
};

/// How long a person has to answer.
const CONSENT_LIFE: Duration = Duration::from_secs(900);
/// Most consents that are waited for at once.
const CONSENTS_MAX: usize = 1_000;
/// Random bytes of the words that nobody must guess: 43 characters, as RFC 7636 4.1 wants of a verifier.
const RANDOM_BYTES: usize = 32;
/// RFC 8628 3.5: by how much `slow_down` lengthens the interval.
const SLOW_DOWN: Duration = Duration::from_secs(5);

/// The consents that were begun and not ended.
#[derive(Debug, Default)]
pub(super) struct Consents(Mutex<HashMap<String, Pending>>);

/// A consent that was begun.
#[derive(Debug)]
struct Pending {
    account: AccountId,
    /// When that account was created: another one of its name is not meant.
    created_at: Timestamp,
    /// Who may end it.
    caller: Caller,
    lapses_at: Timestamp,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Browser { state: Secret<String>, verifier: Secret<String>, redirect_uri: String },
    Device { code: Secret<String>, interval: Duration, ask_at: Timestamp },
}

/// What the issuer made of a consent.
enum Answer {
    Given(Box<crate::wire::oauth::Issued>),
    /// The person has not answered yet.
    Pending(Duration),
}

impl Consents {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Pending>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make_room(&self, now: Timestamp) -> Result<(), Refusal> {
        let mut pending = self.lock();
        pending.retain(|_, pending| pending.lapses_at > now);
        if pending.len() < CONSENTS_MAX { Ok(()) } else { Err(Refusal::TooMany("consents")) }
    }

    /// Takes a consent out, if this caller began it.
    fn take(&self, id: &str, caller: &Caller, now: Timestamp) -> Result<Pending, Refusal> {
        let mut pending = self.lock();
        let is_good = pending.get(id).is_some_and(|found| found.caller == *caller && found.lapses_at > now);
        if is_good { pending.remove(id) } else { None }.ok_or(Refusal::NoConsent)
    }
}

impl Accounts {
    /// Begins to ask.
    pub(super) async fn begin_asking(
        &self,
        request: v1::BeginConsentRequest,
        caller: &Caller,
    ) -> Result<v1::BeginConsentResponse, Refusal> {
        let record = self.record(&one_id(&request.account_id)?).await?;
        let oauth = by_consent(&record.account)
            .ok_or_else(|| Refusal::field("account_id", "does not sign in with OAuth 2 by CONSENT"))?;
        self.consents.make_room(self.clock.now())?;
        let (way, mut answer) = match request.way {
            None => return Err(Refusal::field("way", "is required")),
            Some(AskedWay::Browser(browser)) => self.by_browser(oauth, browser)?,
            Some(AskedWay::Device(_)) => self.by_device(oauth).await?,
        };
        let now = self.clock.now();
        let life = answer.1.min(CONSENT_LIFE);
        let consent_id = random_word(&*self.entropy);
        answer.0.consent_id.clone_from(&consent_id);
        answer.0.expires_at = Some(from_time(now.after(life)));
        let pending = Pending {
            account: record.account.id.clone(),
            created_at: record.account.created.at,
            caller: caller.clone(),
            lapses_at: now.after(life),
            way,
        };
        self.consents.lock().insert(consent_id, pending);
        tracing::info!(account = %record.account.id, %caller, "consent is asked for");
        Ok(answer.0)
    }

    fn by_browser(
        &self,
        oauth: &OAuth2SignIn,
        browser: v1::BrowserConsent,
    ) -> Result<(Way, (v1::BeginConsentResponse, Duration)), Refusal> {
        if let Some(fault) = fault_of_redirect_uri(&browser.redirect_uri) {
            return Err(Refusal::field("browser.redirect_uri", fault));
        }
        let Some(endpoint) = oauth::endpoints(&oauth.issuer.kind).authorization else {
            return Err(Refusal::ConsentRefused("the issuer has no authorization endpoint".to_owned()));
        };
        let (state, verifier) = (Secret::new(random_word(&*self.entropy)), Secret::new(random_word(&*self.entropy)));
        let url = AuthorizationRequest {
            endpoint: &endpoint,
            client_id: &oauth.issuer.client_id,
            scope: &oauth::scope(&oauth.issuer, &oauth.grant),
            redirect_uri: &browser.redirect_uri,
            state: &state,
            verifier: &verifier,
            user: &oauth.user,
            extras: oauth::authorization_extras(&oauth.issuer.kind),
        }
        .url()?;
        let answer = v1::BeginConsentResponse { url, ..v1::BeginConsentResponse::default() };
        Ok((Way::Browser { state, verifier, redirect_uri: browser.redirect_uri }, (answer, CONSENT_LIFE)))
    }

    async fn by_device(&self, oauth: &OAuth2SignIn) -> Result<(Way, (v1::BeginConsentResponse, Duration)), Refusal> {
        let codes = self.tokens.device_codes(oauth).await?;
        let answer = v1::BeginConsentResponse {
            url: codes.verification_uri,
            user_code: codes.user_code,
            poll_interval: Some(from_duration(codes.interval)),
            ..v1::BeginConsentResponse::default()
        };
        let ask_at = self.clock.now().after(codes.interval);
        Ok((Way::Device { code: codes.device_code, interval: codes.interval, ask_at }, (answer, codes.expires_in)))
    }

    /// Takes the answer.
    pub(super) async fn finish_asking(
        &self,
        request: v1::FinishConsentRequest,
        caller: &Caller,
    ) -> Result<v1::FinishConsentResponse, Refusal> {
        // Nobody else can end it meanwhile; it is put back when it was not ended.
        let mut pending = self.consents.take(&request.consent_id, caller, self.clock.now())?;
        let record = self.record(&pending.account).await?;
        let oauth = by_consent(&record.account).filter(|_| record.account.created.at == pending.created_at);
        let oauth = oauth.ok_or(Refusal::NoConsent)?;
        match self.answer(&mut pending.way, oauth, &request.redirect_query).await {
            Ok(Answer::Given(issued)) if issued.refresh_token.is_none() => Err(Refusal::ConsentRefused(
                "the issuer gave no refresh token: the scopes must ask for offline access".to_owned(),
            )),
            Ok(Answer::Given(issued)) => {
                self.tokens.adopt(&record.account.id, *issued).await?;
                tracing::info!(account = %record.account.id, %caller, "consent was given");
                self.consented(record).await
            }
            Ok(Answer::Pending(interval)) => {
                self.consents.lock().insert(request.consent_id, pending);
                let poll_interval = Some(from_duration(interval));
                Ok(v1::FinishConsentResponse { pending: true, poll_interval, account: None })
            }
            Err(refusal) => {
                if matches!(refusal, Refusal::Invalid(_) | Refusal::IssuerUnreachable(_)) {
                    self.consents.lock().insert(request.consent_id, pending);
                }
                Err(refusal)
            }
        }
    }

    async fn consented(&self, record: AccountRecord) -> Result<v1::FinishConsentResponse, Refusal> {
        let id = record.account.id;
        self.end_reauth(&id).await?;
        let account = Some(self.shown(&self.record(&id).await?).await?);
        Ok(v1::FinishConsentResponse { pending: false, poll_interval: None, account })
    }

    async fn answer(&self, way: &mut Way, oauth: &OAuth2SignIn, query: &str) -> Result<Answer, Refusal> {
        match way {
            Way::Browser { state, verifier, redirect_uri } => match come_back(query, state) {
                ComeBack::Foreign => Err(Refusal::field("redirect_query", "is no answer to this consent")),
                ComeBack::Refused(error) => Err(error.into()),
                ComeBack::Code(code) => {
                    let (redirect_uri, verifier) = (redirect_uri.clone(), verifier.clone());
                    let issued = self.tokens.issue(oauth, &Ground::Code { code, redirect_uri, verifier }).await?;
                    Ok(Answer::Given(Box::new(issued)))
                }
            },
            Way::Device { code, interval, ask_at } => {
                if self.clock.now() < *ask_at {
                    return Ok(Answer::Pending(*interval));
                }
                let issued = self.tokens.issue(oauth, &Ground::DeviceCode(code.clone())).await;
                match issued.as_ref().map_err(OauthError::code) {
                    Err(Some("slow_down")) => *interval += SLOW_DOWN,
                    Err(Some("authorization_pending")) => {}
                    _ => return Ok(Answer::Given(Box::new(issued?))),
                }
                *ask_at = self.clock.now().after(*interval);
                Ok(Answer::Pending(*interval))
            }
        }
    }
}

impl From<OauthError> for Refusal {
    fn from(error: OauthError) -> Self {
        if error.needs_a_person() {
            Self::ConsentRefused(error.to_string())
        } else {
            Self::IssuerUnreachable(error.to_string())
        }
    }
}

/// How an account signs in that lives by a consent.
fn by_consent(account: &Account) -> Option<&OAuth2SignIn> {
    match &account.settings.sign_in {
        SignIn::OAuth2(oauth) if oauth.grant == OauthGrant::Consent => Some(oauth),
        _ => None,
    }
}

fn random_word(entropy: &dyn Entropy) -> String {
    let mut bytes = [0; RANDOM_BYTES];
    entropy.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}
