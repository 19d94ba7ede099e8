//! An issuer without a network, for tests.

use std::{
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;

use super::{Application, DeviceCodes, Ground, Issued, Issuer, OauthError};
use crate::domain::secret::Secret;

/// An issuer that gives a token to everybody who holds the last refresh token.
#[derive(Debug, Default)]
pub(crate) struct FakeIssuer(Mutex<Book>);

/// What it does, and what it was asked.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) life: Duration,
    /// Whether each use of a refresh token brings another one.
    pub(crate) rotates: bool,
    /// How long it takes to answer.
    pub(crate) takes: Duration,
    pub(crate) refusal: Option<OauthError>,
    /// The one that is good.
    pub(crate) refresh_token: String,
    /// Each question.
    pub(crate) asked: Vec<String>,
}

impl Default for Book {
    fn default() -> Self {
        let (life, takes) = (Duration::from_secs(3_600), Duration::ZERO);
        Self { life, rotates: true, takes, refusal: None, refresh_token: "rt-0".to_owned(), asked: Vec::new() }
    }
}

impl FakeIssuer {
    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().expect("no test panics with it")
    }
}

#[async_trait]
impl Issuer for FakeIssuer {
    async fn issue(&self, _: &Application, ground: &Ground) -> Result<Issued, OauthError> {
        let (issued, takes) = {
            let mut book = self.book();
            (book.answer(ground), book.takes)
        };
        tokio::time::sleep(takes).await;
        issued
    }

    async fn device_codes(&self, _: &Application, _: &str) -> Result<DeviceCodes, OauthError> {
        Ok(DeviceCodes {
            device_code: Secret::new("dc-1".to_owned()),
            user_code: "ABCD-EFGH".to_owned(),
            verification_uri: "https://issuer.test/device".to_owned(),
            expires_in: Duration::from_secs(1_800),
            interval: Duration::from_secs(5),
        })
    }
}

impl Book {
    fn answer(&mut self, ground: &Ground) -> Result<Issued, OauthError> {
        let question = match ground {
            Ground::RefreshToken(token) => format!("refresh {}", token.expose()),
            Ground::Code { code, redirect_uri, .. } => format!("code {} {redirect_uri}", code.expose()),
            Ground::DeviceCode(code) => format!("device {}", code.expose()),
            Ground::OwnPermission => "own".to_owned(),
            Ground::Assertion(_) => "assertion".to_owned(),
        };
        self.asked.push(question);
        if let Some(refusal) = &self.refusal {
            return Err(refusal.clone());
        }
        if matches!(ground, Ground::RefreshToken(token) if *token.expose() != self.refresh_token) {
            return Err(OauthError::of_code("invalid_grant", "Token has been expired or revoked."));
        }
        let number = self.asked.len();
        let is_new = self.rotates || !matches!(ground, Ground::RefreshToken(_));
        let refresh_token = is_new.then(|| format!("rt-{number}"));
        if let Some(token) = &refresh_token {
            self.refresh_token.clone_from(token);
        }
        let access_token = Secret::new(format!("at-{number}"));
        Ok(Issued { access_token, expires_in: Some(self.life), refresh_token: refresh_token.map(Secret::new) })
    }
}
