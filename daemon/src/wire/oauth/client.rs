//! How is an issuer asked over HTTP? Bounded in time and bytes, without redirects.

use std::{fmt, sync::OnceLock, time::Duration};

use async_trait::async_trait;
use reqwest::{Client, Url, header::ACCEPT, redirect::Policy};

use super::{Application, DeviceCodes, Ground, Issued, Issuer, OauthError, answer, words};
use crate::{
    domain::{account::TlsOptions, secret::Secret},
    wire::tls::TlsClient,
};

/// How long connecting may take.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long an exchange may take, all told.
const EXCHANGE_MAX: Duration = Duration::from_secs(30);
/// Largest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 65_536;

const GRANT_DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const GRANT_ASSERTION: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Asks issuers over HTTPS; on the loopback interface also over HTTP, where no proxy of the environment is asked.
#[derive(Default)]
pub struct TokenClient {
    /// Made when they are first needed: that reads the system's authorities.
    far: OnceLock<Result<Client, String>>,
    near: OnceLock<Result<Client, String>>,
}

impl fmt::Debug for TokenClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenClient").finish_non_exhaustive()
    }
}

type Form<'a> = Vec<(&'static str, &'a str)>;

#[async_trait]
impl Issuer for TokenClient {
    async fn issue(&self, application: &Application, ground: &Ground) -> Result<Issued, OauthError> {
        let (mut form, secret) = form_of(ground);
        form.extend(who_asks(application));
        let answered = self.post(&application.token_endpoint, &form).await;
        let issued = answered.and_then(|(status, body)| answer::issued(status, &body));
        let client_secret = application.client_secret.as_ref().map_or("", |secret| secret.expose());
        issued.map_err(|error| error.without(&[secret, client_secret]))
    }

    async fn device_codes(&self, application: &Application, endpoint: &str) -> Result<DeviceCodes, OauthError> {
        let form: Form<'_> = who_asks(application).collect();
        let answered = self.post(endpoint, &form).await;
        let codes = answered.and_then(|(status, body)| answer::device_codes(status, &body));
        let client_secret = application.client_secret.as_ref().map_or("", |secret| secret.expose());
        codes.map_err(|error| error.without(&[client_secret]))
    }
}

impl TokenClient {
    async fn post(&self, endpoint: &str, form: &Form<'_>) -> Result<(u16, Vec<u8>), OauthError> {
        let url = Url::parse(endpoint).map_err(|error| unusable(endpoint, &error.to_string()))?;
        let client = match (url.scheme(), is_loopback(&url)) {
            ("http" | "https", true) => self.near.get_or_init(|| client(reqwest::ClientBuilder::no_proxy)),
            ("https", false) => self.far.get_or_init(|| client(|builder| builder)),
            _ => return Err(unusable(endpoint, "it is not https, nor http on the loopback interface")),
        };
        let client = client.as_ref().map_err(|why| OauthError::Unreachable(why.clone()))?;
        // The URL stays out of errors: a setting may have put a secret into it.
        let unreachable = |error: reqwest::Error| OauthError::Unreachable(told(&error.without_url()));
        let asked = client.post(url).header(ACCEPT, "application/json").form(form).send();
        let mut response = asked.await.map_err(unreachable)?;
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(unreachable)? {
            if body.len() + part.len() > ANSWER_BYTES_MAX {
                return Err(OauthError::Unreadable(format!("it has more than {ANSWER_BYTES_MAX} bytes")));
            }
            body.extend_from_slice(&part);
        }
        Ok((response.status().as_u16(), body))
    }
}

fn client(adapt: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder) -> Result<Client, String> {
    let client = TlsClient::new(None, &TlsOptions::default()).map_err(|error| error.to_string())?;
    let mut tls = client.config().clone();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(Policy::none())
        .connect_timeout(CONNECT_MAX)
        .timeout(EXCHANGE_MAX)
        .pool_max_idle_per_host(2);
    adapt(builder).build().map_err(|error| told(&error))
}

/// What the form says of the ground, and the secret in it.
fn form_of(ground: &Ground) -> (Form<'_>, &str) {
    match ground {
        Ground::RefreshToken(token) => {
            (vec![("grant_type", "refresh_token"), ("refresh_token", token.expose())], token.expose())
        }
        Ground::Code { code, redirect_uri, verifier } => {
            let form = vec![
                ("grant_type", "authorization_code"),
                ("code", code.expose()),
                ("redirect_uri", redirect_uri),
                ("code_verifier", verifier.expose()),
            ];
            (form, code.expose())
        }
        Ground::DeviceCode(code) => (vec![("grant_type", GRANT_DEVICE), ("device_code", code.expose())], code.expose()),
        Ground::OwnPermission => (vec![("grant_type", "client_credentials")], ""),
        Ground::Assertion(claim) => {
            (vec![("grant_type", GRANT_ASSERTION), ("assertion", claim.expose())], claim.expose())
        }
    }
}

/// What the form says of the application (RFC 6749 2.3.1) and of what it wants.
fn who_asks(application: &Application) -> impl Iterator<Item = (&'static str, &str)> {
    let secret = application.client_secret.as_ref().map_or("", |secret: &Secret<String>| secret.expose());
    let said =
        [("client_id", application.client_id.as_str()), ("client_secret", secret), ("scope", &application.scope)];
    said.into_iter().filter(|(_, value)| !value.is_empty())
}

pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn unusable(endpoint: &str, why: &str) -> OauthError {
    let shown = endpoint.split('?').next().unwrap_or_default();
    OauthError::Unusable(format!("the issuer's endpoint {} cannot be used: {why}", words(shown)))
}

/// An error with its causes, which say more than itself.
fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string);
    words(&causes.collect::<Vec<_>>().join(": "))
}
