//! How do we sign in to a POP3 server (RFC 1939, RFC 2449, RFC 2595, RFC 5034)?

use base64::{Engine, engine::general_purpose::STANDARD};
use md5::{Digest, Md5};
use zeroize::Zeroizing;

use super::{
    dial::Dial,
    endpoint::Endpoint,
    mailbox::{MailboxAuth, MailboxCause, MailboxFailure, MailboxView, Talk, xoauth2},
    steps::{self, StepName},
};
use crate::domain::account::Encryption;

mod listing;
mod maildrop;
mod response;

pub use self::{
    listing::{Listed, MESSAGES_MAX, Maildrop, UNIQUE_ID_BYTES_MAX, read_maildrop},
    maildrop::{Deletion, Retrieved},
    response::{Response, read_response},
};

/// Most lines of a reply to CAPA.
const CAPABILITIES_MAX: usize = 200;
/// Longest time stamp of a greeting, in bytes: RFC 1939 3 allows a line 512.
const STAMP_BYTES_MAX: usize = 512;

/// A session that is signed in. One that is dropped closes its connection, and the server deletes nothing (RFC 1939 6).
#[derive(Debug)]
pub struct Pop3Session {
    talk: Talk,
    /// What the greeting gives for APOP.
    stamp: Option<String>,
    /// What the server offers; nothing when it does not know CAPA.
    capabilities: Option<Vec<String>>,
    /// How many messages are marked to be deleted.
    marked: u64,
    /// Whether a command was said whose reply was not read to its end.
    is_midway: bool,
}

impl Pop3Session {
    /// Connects, encrypts as the endpoint says, and signs in. Encryption is never downgraded.
    ///
    /// # Errors
    /// What was met, with the dialogue up to it. The server was told QUIT if it was still there.
    pub async fn open(endpoint: &Endpoint, auth: &MailboxAuth, dial: &dyn Dial) -> Result<Self, MailboxFailure> {
        let mut session = Self::towards(endpoint);
        match session.enter(auth, dial).await {
            Ok(()) => Ok(session),
            Err(failure) => {
                session.leave(&failure).await;
                Err(failure)
            }
        }
    }

    fn towards(endpoint: &Endpoint) -> Self {
        let talk = Talk::new(endpoint.clone());
        Self { talk, stamp: None, capabilities: None, marked: 0, is_midway: false }
    }

    async fn enter(&mut self, auth: &MailboxAuth, dial: &dyn Dial) -> Result<(), MailboxFailure> {
        self.talk.connect(dial).await?;
        if self.talk.endpoint.encryption == Encryption::Tls {
            self.talk.encrypt(None).await?;
        }
        self.greeting().await?;
        self.learn_capabilities().await?;
        if self.talk.endpoint.encryption == Encryption::StartTls {
            self.start_tls().await?;
        }
        self.sign_in(auth).await?;
        self.talk.done();
        Ok(())
    }

    async fn greeting(&mut self) -> Result<(), MailboxFailure> {
        self.talk.begin(StepName::Greeting, "");
        let said = self.talk.hear(self.talk.endpoint.timeouts.greeting).await?;
        let said = self.accepted(said)?;
        self.stamp = stamp(&said).map(str::to_owned);
        Ok(())
    }

    /// CAPA (RFC 2449 5). A server that does not know it offers what RFC 1939 describes.
    async fn learn_capabilities(&mut self) -> Result<(), MailboxFailure> {
        let said = self.talk.ask(StepName::Hello, "CAPA", "CAPA").await?;
        if said.starts_with("-ERR") {
            self.capabilities = None;
            return Ok(());
        }
        self.accepted(said)?;
        let mut capabilities = Vec::new();
        loop {
            let line = self.talk.hear(self.talk.endpoint.timeouts.command).await?;
            if line == "." {
                break;
            }
            if capabilities.len() == CAPABILITIES_MAX {
                return Err(self.unreadable(line));
            }
            // RFC 1939 3: a line that begins with the termination octet has one more of it.
            capabilities.push(line.strip_prefix('.').unwrap_or(&line).to_owned());
        }
        steps::saw_capabilities(capabilities.iter().map(String::as_str));
        self.capabilities = Some(capabilities);
        Ok(())
    }

    /// STLS (RFC 2595 4). What was offered before counts for nothing.
    async fn start_tls(&mut self) -> Result<(), MailboxFailure> {
        if !self.may_offer("STLS", None) {
            self.talk.begin(StepName::StartTls, "");
            return Err(self.talk.failure(MailboxCause::NotOffered("STLS")));
        }
        self.ask(StepName::StartTls, "STLS", "STLS").await?;
        self.talk.encrypt(Some("STLS")).await?;
        self.learn_capabilities().await
    }

    /// Whether the server offers a capability, and a word of it; it may when it says nothing of what it offers.
    fn may_offer(&self, capability: &str, word: Option<&str>) -> bool {
        let Some(capabilities) = &self.capabilities else {
            return true;
        };
        capabilities.iter().any(|line| {
            let mut words = line.split_ascii_whitespace();
            let is_it = words.next().is_some_and(|first| first.eq_ignore_ascii_case(capability));
            is_it && word.is_none_or(|word| words.any(|offered| offered.eq_ignore_ascii_case(word)))
        })
    }

    async fn sign_in(&mut self, auth: &MailboxAuth) -> Result<(), MailboxFailure> {
        let is_clear = self.talk.endpoint.encryption == Encryption::None;
        match auth {
            MailboxAuth::Password { user, password, apop: true, .. } => self.apop(user, password.expose()).await,
            MailboxAuth::Password { allow_plaintext, .. } | MailboxAuth::Token { allow_plaintext, .. }
                if is_clear && !allow_plaintext =>
            {
                self.talk.begin(StepName::SignIn, "");
                Err(self.talk.failure(MailboxCause::PlaintextSignIn))
            }
            MailboxAuth::Password { user, password, .. } if self.wants_plain() => {
                self.plain(user, password.expose()).await
            }
            MailboxAuth::Password { user, password, .. } => {
                self.talk.hide(password.expose());
                let name = Zeroizing::new(format!("USER {user}"));
                self.ask(StepName::SignIn, &name, &name).await?;
                let pass = Zeroizing::new(format!("PASS {}", password.expose()));
                self.ask(StepName::SignIn, &pass, "PASS ***").await.map(drop)
            }
            MailboxAuth::Token { user, token, .. } => self.xoauth2(user, token.expose()).await,
        }
    }

    /// APOP (RFC 1939 7): the password does not cross the network.
    async fn apop(&mut self, user: &str, password: &str) -> Result<(), MailboxFailure> {
        let Some(stamp) = &self.stamp else {
            self.talk.begin(StepName::SignIn, "");
            return Err(self.talk.failure(MailboxCause::NotOffered("APOP")));
        };
        let digest = Zeroizing::new(apop_digest(stamp, password));
        self.talk.hide(password);
        self.talk.hide(&digest);
        let command = Zeroizing::new(format!("APOP {user} {}", digest.as_str()));
        self.ask(StepName::SignIn, &command, &format!("APOP {user} ***")).await.map(drop)
    }

    /// Whether the server says that it takes passwords by SASL PLAIN and does not say so of USER (RFC 2449 6.3, 6.4).
    fn wants_plain(&self) -> bool {
        self.capabilities.is_some() && self.may_offer("SASL", Some("PLAIN")) && !self.may_offer("USER", None)
    }

    /// AUTH PLAIN (RFC 4616 2).
    async fn plain(&mut self, user: &str, password: &str) -> Result<(), MailboxFailure> {
        if user.contains('\0') || password.contains('\0') {
            self.talk.begin(StepName::SignIn, "");
            return Err(self.talk.failure(MailboxCause::BadCredentials));
        }
        self.talk.hide(password);
        let response = Zeroizing::new(format!("\0{user}\0{password}"));
        self.authenticate("PLAIN", response.as_bytes()).await
    }

    async fn xoauth2(&mut self, user: &str, token: &str) -> Result<(), MailboxFailure> {
        if !self.may_offer("SASL", Some("XOAUTH2")) {
            self.talk.begin(StepName::SignIn, "");
            return Err(self.talk.failure(MailboxCause::NotOffered("XOAUTH2")));
        }
        self.talk.hide(token);
        let response = Zeroizing::new(xoauth2(user, token));
        self.authenticate("XOAUTH2", response.as_bytes()).await
    }

    /// AUTH (RFC 5034 4), in two lines: what is answered may be longer than a command.
    async fn authenticate(&mut self, mechanism: &str, response: &[u8]) -> Result<(), MailboxFailure> {
        let response = Zeroizing::new(STANDARD.encode(response));
        self.talk.hide(&response);
        let command = format!("AUTH {mechanism}");
        let said = self.talk.ask(StepName::SignIn, &command, &command).await?;
        if !said.starts_with('+') || said.starts_with("+OK") {
            return Err(self.not_accepted(said));
        }
        let said = self.talk.ask(StepName::SignIn, &response, "***").await?;
        if said.starts_with('+') && !said.starts_with("+OK") {
            // XOAUTH2 tells the error in detail; an empty answer to it gets the final reply.
            let said = self.talk.ask(StepName::SignIn, "", "").await?;
            return self.accepted(said).map(drop);
        }
        self.accepted(said).map(drop)
    }

    async fn ask(&mut self, phase: StepName, command: &str, shown: &str) -> Result<String, MailboxFailure> {
        let said = self.talk.ask(phase, command, shown).await?;
        self.accepted(said)
    }

    fn accepted(&mut self, said: String) -> Result<String, MailboxFailure> {
        if said.starts_with("+OK") { Ok(said) } else { Err(self.not_accepted(said)) }
    }

    fn not_accepted(&mut self, said: String) -> MailboxFailure {
        if said.starts_with("-ERR") { self.talk.failure(MailboxCause::Refused(said)) } else { self.unreadable(said) }
    }

    fn unreadable(&mut self, said: String) -> MailboxFailure {
        self.talk.failure(MailboxCause::Unreadable { protocol: "POP3", said })
    }

    /// Leaves politely when there is still somebody to be polite to.
    async fn leave(&mut self, failure: &MailboxFailure) {
        match failure.cause {
            MailboxCause::Refused(_) | MailboxCause::NotOffered(_) | MailboxCause::PlaintextSignIn => {
                self.talk.leave("QUIT").await;
            }
            _ => self.talk.close(),
        }
    }
}

/// Looks into a mailbox: signs in, counts its messages, and leaves.
///
/// # Errors
/// What was met, with the dialogue up to it.
pub async fn check(endpoint: &Endpoint, auth: &MailboxAuth, dial: &dyn Dial) -> Result<MailboxView, MailboxFailure> {
    let mut session = Pop3Session::open(endpoint, auth, dial).await?;
    let messages = session.messages().await?;
    session.quit().await;
    Ok(MailboxView { messages, ..MailboxView::default() })
}

/// The time stamp of a greeting, in angle brackets. One that is no message id is none: RFC 1939 7 asks for one, and
/// others help those who attack MD5.
fn stamp(greeting: &str) -> Option<&str> {
    let begin = greeting.find('<')?;
    let length = greeting[begin..].find('>')? + 1;
    let stamp = &greeting[begin..begin + length];
    let is_sound = stamp.len() <= STAMP_BYTES_MAX && stamp.contains('@') && stamp.bytes().all(|b| b.is_ascii_graphic());
    is_sound.then_some(stamp)
}

fn apop_digest(stamp: &str, password: &str) -> String {
    let digest = Md5::new().chain_update(stamp.as_bytes()).chain_update(password.as_bytes()).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod dialogues;
#[cfg(test)]
mod laboratory;
#[cfg(test)]
mod maildrop_dialogues;
