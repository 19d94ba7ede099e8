//! How is a person sent to consent in a browser, and what comes back (RFC 6749 4.1, RFC 7636)?

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Url;

use super::{OauthError, client::is_loopback, words};
use crate::domain::secret::Secret;

/// Longest redirect URI, in bytes.
const REDIRECT_URI_BYTES_MAX: usize = 2_048;
/// Longest query that is read, in bytes.
const QUERY_BYTES_MAX: usize = 32_768;

/// What a browser is sent away with.
#[derive(Clone, Copy, Debug)]
pub struct AuthorizationRequest<'a> {
    /// Where the issuer asks the person.
    pub endpoint: &'a str,
    /// The application's id.
    pub client_id: &'a str,
    /// What the tokens are for; left to the issuer when empty.
    pub scope: &'a str,
    /// Where the browser comes back to.
    pub redirect_uri: &'a str,
    /// Shows in the end that it is the same browser.
    pub state: &'a Secret<String>,
    /// Shows in the end that it is the same application.
    pub verifier: &'a Secret<String>,
    /// Who should consent.
    pub user: &'a str,
    /// What else this issuer needs.
    pub extras: &'a [(&'static str, &'static str)],
}

/// What a browser came back with.
#[derive(Debug, PartialEq, Eq)]
pub enum ComeBack {
    /// The person consented.
    Code(Secret<String>),
    /// They did not, or the issuer would not.
    Refused(OauthError),
    /// It is no answer to this question.
    Foreign,
}

impl AuthorizationRequest<'_> {
    /// The address to open.
    ///
    /// # Errors
    /// When the endpoint is no URL.
    pub fn url(&self) -> Result<String, OauthError> {
        let unusable = |why: &str| OauthError::Unusable(format!("the authorization endpoint cannot be used: {why}"));
        let mut url = Url::parse(self.endpoint).map_err(|error| unusable(&error.to_string()))?;
        if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
            return Err(unusable("it is not https, nor http on the loopback interface"));
        }
        let challenge = challenge(self.verifier);
        let said = [
            ("response_type", "code"),
            ("client_id", self.client_id),
            ("redirect_uri", self.redirect_uri),
            ("scope", self.scope),
            ("state", self.state.expose()),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("login_hint", self.user),
        ];
        let said = said.into_iter().filter(|(_, value)| !value.is_empty());
        url.query_pairs_mut().extend_pairs(said).extend_pairs(self.extras);
        Ok(url.into())
    }
}

/// What is wrong with a place to come back to, if anything: it is `https`, or `http` on the loopback interface (RFC 8252
/// 7.3), and has no fragment.
#[must_use]
pub fn fault_of_redirect_uri(text: &str) -> Option<&'static str> {
    if text.len() > REDIRECT_URI_BYTES_MAX {
        return Some("must be at most 2048 bytes");
    }
    match Url::parse(text) {
        Err(_) => Some("must be an absolute URL"),
        Ok(url) if url.fragment().is_some() => Some("must have no fragment"),
        Ok(url) if url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url)) => None,
        Ok(_) => Some("must be https, or http on the loopback interface"),
    }
}

/// What the query says with which a browser came back.
#[must_use]
pub fn come_back(query: &str, state: &Secret<String>) -> ComeBack {
    let mut url = Url::parse("http://localhost/").expect("a URL");
    url.set_query(query.get(..QUERY_BYTES_MAX.min(query.len())));
    let said = |wanted: &str| url.query_pairs().find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned());
    let is_same =
        |answered: &String| subtle::ConstantTimeEq::ct_eq(answered.as_bytes(), state.expose().as_bytes()).into();
    if !said("state").as_ref().is_some_and(is_same) {
        return ComeBack::Foreign;
    }
    match (said("code"), said("error")) {
        (_, Some(error)) => {
            let description = said("error_description").unwrap_or_default();
            ComeBack::Refused(OauthError::Refused {
                description: words(if description.is_empty() { &error } else { &description }),
                error: words(&error),
            })
        }
        (Some(code), None) => ComeBack::Code(Secret::new(code)),
        (None, None) => ComeBack::Foreign,
    }
}

/// RFC 7636 4.2.
fn challenge(verifier: &Secret<String>) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, verifier.expose().as_bytes());
    URL_SAFE_NO_PAD.encode(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[test]
    fn a_browser_is_sent_with_a_challenge() {
        // RFC 7636 B.
        let verifier = secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        let request = AuthorizationRequest {
            endpoint: "https://i.test/auth?x=1",
            client_id: "app",
            scope: "mail offline",
            redirect_uri: "http://127.0.0.1:1/",
            state: &secret("st"),
            verifier: &verifier,
            user: "taro@x.jp",
            extras: &[("prompt", "consent")],
        };
        let expected = "https://i.test/auth?x=1&response_type=code&client_id=app&redirect_uri=http%3A%2F%2F127.0.0.1%3A1%2F\
                        &scope=mail+offline&state=st&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM\
                        &code_challenge_method=S256&login_hint=taro%40x.jp&prompt=consent";
        assert_eq!(request.url().as_deref(), Ok(expected));
        for endpoint in ["http://i.test/", "x"] {
            assert!(AuthorizationRequest { endpoint, ..request }.url().is_err(), "{endpoint}");
        }
    }

    #[test]
    fn browsers_come_back_to_safe_places() {
        for good in ["http://127.0.0.1:49152/", "http://[::1]/x", "http://localhost:1", "https://crm.example/back?x=1"]
        {
            assert_eq!(fault_of_redirect_uri(good), None, "{good}");
        }
        for bad in ["", "http://crm.example/", "https://crm.example/#x", "/back", "javascript:alert(1)"] {
            assert!(fault_of_redirect_uri(bad).is_some(), "{bad}");
        }
        assert!(fault_of_redirect_uri(&format!("https://x.test/{}", "x".repeat(3_000))).is_some());
    }

    #[test]
    fn only_an_answer_to_this_question_counts() {
        let state = secret("st");
        assert_eq!(come_back("code=c%2F1&state=st", &state), ComeBack::Code(secret("c/1")));
        for foreign in ["", "code=c", "code=c&state=other", "state=st", "error=access_denied"] {
            assert_eq!(come_back(foreign, &state), ComeBack::Foreign, "{foreign}");
        }
        let denied = come_back("error=access_denied&error_description=No+thanks&state=st", &state);
        let words = OauthError::Refused { error: "access_denied".into(), description: "No thanks".into() };
        assert_eq!(denied, ComeBack::Refused(words));
    }
}
