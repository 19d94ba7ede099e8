//! How do we sign in: by which SASL mechanism, and what is said in it (RFC 4954)?

use std::{fmt, num::NonZeroU16};

use base64::{Engine, engine::general_purpose::STANDARD};
use lettre::transport::smtp::{
    authentication::{Credentials as LettreCredentials, Mechanism as LettreMechanism},
    client::AsyncSmtpConnection,
};
use zeroize::Zeroizing;

use super::{
    failure::{Fault, ObstacleCause},
    line::Line,
    offers::Offers,
    reply_reader::WholeReply,
};
use crate::{
    domain::{
        account::{Encryption, Host, OauthMechanism, PasswordMechanism},
        reply::Reply,
        secret::Secret,
        verdict::Phase,
    },
    wire::{
        oauth::OauthError,
        sasl::{cram_md5, oauthbearer, xoauth2},
        steps::{self, StepName},
    },
};

/// Longest AUTH command, in bytes (RFC 4954 4.5.3); a longer response waits for the server's challenge.
const AUTH_BYTES_MAX: usize = 12_288;
/// The code of a challenge.
const CHALLENGE: u16 = 334;

/// What is presented to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// Nothing: it lets us in as we are.
    Nothing,
    /// A name and a password.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: Secret<String>,
        /// The mechanism.
        mechanism: PasswordMechanism,
        /// Whether the password may cross an unencrypted connection.
        allow_plaintext: bool,
    },
    /// A name and an access token of an OAuth 2 issuer.
    Token {
        /// The name, often the mail address.
        user: String,
        /// The token.
        token: Secret<String>,
        /// The mechanism.
        mechanism: OauthMechanism,
        /// Whether the token may cross an unencrypted connection.
        allow_plaintext: bool,
    },
}

impl Credentials {
    /// What the server must not repeat.
    pub(super) const fn secret(&self) -> Option<&Secret<String>> {
        match self {
            Self::Nothing => None,
            Self::Password { password: secret, .. } | Self::Token { token: secret, .. } => Some(secret),
        }
    }
}

/// The SASL mechanisms that we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mechanism {
    Plain,
    Login,
    CramMd5,
    Xoauth2,
    Oauthbearer,
}

impl Mechanism {
    const fn of_password(mechanism: PasswordMechanism) -> &'static [Self] {
        match mechanism {
            PasswordMechanism::Auto => &[Self::Plain, Self::Login, Self::CramMd5],
            PasswordMechanism::Plain => &[Self::Plain],
            PasswordMechanism::Login => &[Self::Login],
            PasswordMechanism::CramMd5 => &[Self::CramMd5],
        }
    }

    const fn of_token(mechanism: OauthMechanism) -> &'static [Self] {
        match mechanism {
            OauthMechanism::Auto => &[Self::Xoauth2, Self::Oauthbearer],
            OauthMechanism::Xoauth2 => &[Self::Xoauth2],
            OauthMechanism::Oauthbearer => &[Self::Oauthbearer],
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::CramMd5 => "CRAM-MD5",
            Self::Xoauth2 => "XOAUTH2",
            Self::Oauthbearer => "OAUTHBEARER",
        }
    }
}

impl Credentials {
    /// The mechanism by which they are presented; none where nothing is.
    pub(super) fn mechanism(
        &self,
        offers: &Offers,
        encryption: Encryption,
    ) -> Result<Option<Mechanism>, ObstacleCause> {
        let (wanted, allow_plaintext) = match self {
            Self::Nothing => return Ok(None),
            Self::Password { mechanism, allow_plaintext, .. } => (Mechanism::of_password(*mechanism), *allow_plaintext),
            // It is fetched before a connection is opened, and never empty.
            Self::Token { token, .. } if token.expose().is_empty() => {
                return Err(ObstacleCause::Token(OauthError::NotConsented));
            }
            Self::Token { mechanism, allow_plaintext, .. } => (Mechanism::of_token(*mechanism), *allow_plaintext),
        };
        let in_clear = encryption == Encryption::None && !allow_plaintext;
        // What is offered besides shows the password to everybody on the way.
        let mut wanted = wanted.iter().copied().filter(|mechanism| !in_clear || *mechanism == Mechanism::CramMd5);
        let chosen = wanted.find(|mechanism| offers.offers_mechanism(mechanism.name()));
        chosen.map(Some).ok_or_else(|| match in_clear {
            true => ObstacleCause::PlaintextSignIn,
            false => ObstacleCause::SignInNotOffered { offered: offers.auth.clone() },
        })
    }
}

/// Credentials on their way to a server.
pub(super) struct Presentation<'a> {
    pub(super) line: &'a Line,
    pub(super) credentials: &'a Credentials,
    /// The server, as we know it.
    pub(super) host: &'a Host,
    pub(super) port: NonZeroU16,
}

impl Presentation<'_> {
    /// Signs in.
    pub(super) async fn present(
        &self,
        connection: &mut AsyncSmtpConnection,
        mechanism: Mechanism,
    ) -> Result<(), ObstacleCause> {
        self.line.enter(Phase::SignIn);
        let step = steps::begin(StepName::SignIn);
        let replied = match self.credentials {
            Credentials::Nothing => {
                step.forget();
                return Ok(());
            }
            Credentials::Password { user, password, .. } => {
                self.present_password(connection, mechanism, user, password.expose()).await
            }
            Credentials::Token { user, token, .. } => {
                self.present_token(connection, mechanism, user, token.expose()).await
            }
        };
        self.line.end_step(step, replied.as_ref());
        match replied {
            Ok(reply) if reply.is_positive() => Ok(()),
            Ok(reply) => Err(ObstacleCause::Replied(reply)),
            Err(fault) => Err(fault.into()),
        }
    }

    async fn present_password(
        &self,
        connection: &mut AsyncSmtpConnection,
        mechanism: Mechanism,
        user: &str,
        password: &str,
    ) -> Result<Reply, Fault> {
        let known = match mechanism {
            Mechanism::Login => LettreMechanism::Login,
            Mechanism::CramMd5 => return self.answer_challenge(connection, user, password).await,
            _ => LettreMechanism::Plain,
        };
        let credentials = LettreCredentials::new(user.to_owned(), password.to_owned());
        // What lettre makes of the reply is no matter: the line keeps the reply itself.
        let _ = connection.auth(&[known], &credentials).await;
        let reply = self.last_outcome()?.reply;
        if mechanism == Mechanism::Plain && reply.code() == CHALLENGE {
            // RFC 4954 4: this server takes no response with AUTH itself and asks for it now, which lettre cannot answer.
            return self.say(connection, &encoded(format!("\0{user}\0{password}").into())).await;
        }
        Ok(reply)
    }

    /// CRAM-MD5 (RFC 2195): proves that we know the password.
    async fn answer_challenge(
        &self,
        connection: &mut AsyncSmtpConnection,
        user: &str,
        password: &str,
    ) -> Result<Reply, Fault> {
        let reply = self.say(connection, "AUTH CRAM-MD5").await?;
        if reply.code() != CHALLENGE {
            return Ok(reply);
        }
        let Ok(challenge) = STANDARD.decode(words_of(&reply)) else {
            return Err(Fault::Unreadable(reply.to_string()));
        };
        self.say(connection, &encoded(cram_md5(user, password, &challenge))).await
    }

    async fn present_token(
        &self,
        connection: &mut AsyncSmtpConnection,
        mechanism: Mechanism,
        user: &str,
        token: &str,
    ) -> Result<Reply, Fault> {
        let (response, resignation) = if mechanism == Mechanism::Oauthbearer {
            let (host, port) = (self.host.as_str(), self.port.get());
            // RFC 7628 3.2.3: the refusal is answered by a lone %x01.
            (oauthbearer(user, token, host, port), STANDARD.encode([1]))
        } else {
            // A refusal comes as a challenge, and an empty answer to it brings the reply that counts.
            (xoauth2(user, token), String::new())
        };
        let response = encoded(response);
        let command = Zeroizing::new(format!("AUTH {} {}", mechanism.name(), response.as_str()));
        let mut reply = if command.len() + 2 > AUTH_BYTES_MAX {
            self.say(connection, &format!("AUTH {}", mechanism.name())).await?
        } else {
            self.say(connection, &command).await?
        };
        if reply.code() == CHALLENGE && words_of(&reply).is_empty() {
            // RFC 4954 4: the server asks for the response, whether or not it had it.
            reply = self.say(connection, &response).await?;
        }
        if reply.code() == CHALLENGE {
            reply = self.say(connection, &resignation).await?;
        }
        Ok(reply)
    }

    /// Says a line and hears the reply.
    async fn say(&self, connection: &mut AsyncSmtpConnection, words: &str) -> Result<Reply, Fault> {
        // What lettre makes of the reply is no matter: the line keeps the reply itself.
        let _ = connection.command(WholeLine(words)).await;
        Ok(self.last_outcome()?.reply)
    }

    /// The last reply since it was asked for before, or what broke the channel.
    fn last_outcome(&self) -> Result<WholeReply, Fault> {
        let mut last = self.line.outcome();
        while last.is_ok() {
            match self.line.outcome() {
                Err(Fault::Unusable) => break,
                next => last = next,
            }
        }
        last
    }
}

/// A line for lettre to send.
struct WholeLine<'a>(&'a str);

impl fmt::Display for WholeLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\r\n", self.0)
    }
}

/// The text after the code.
fn words_of(reply: &Reply) -> &str {
    reply.text().get(4..).unwrap_or_default().trim()
}

fn encoded(response: Zeroizing<String>) -> Zeroizing<String> {
    Zeroizing::new(STANDARD.encode(response.as_bytes()))
}
