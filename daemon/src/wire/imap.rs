//! How do we sign in to an IMAP server (RFC 3501), and which folders has it?
//!
//! Up to the sign-in it is talked to on our own line, so that nothing that a stranger puts before TLS is taken for an
//! answer within it; then async-imap speaks and understands, on a stream that keeps the server's own words.

use std::time::Duration;

use async_imap::{Authenticator, Client, Session, error::Error as ImapError};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::TryStreamExt;
use tokio::time::timeout;

use super::{
    dial::Dial,
    endpoint::Endpoint,
    mailbox::{FOLDERS_MAX, MailboxAuth, MailboxCause, MailboxFailure, MailboxView, Talk, xoauth2},
    steps::{self, StepName},
};
use crate::domain::account::Encryption;

mod overheard;

use self::overheard::{Overheard, Words};

/// Most lines of a reply before the sign-in.
const LINES_MAX: usize = 100;
/// How long saying goodbye may take.
const FAREWELL_SECONDS: u64 = 2;

/// A session that is signed in.
#[derive(Debug)]
pub struct ImapSession {
    talk: Talk,
    session: Session<Overheard>,
    words: Words,
}

/// A session on its way.
struct Entrance {
    talk: Talk,
    capabilities: Vec<String>,
}

impl ImapSession {
    /// Connects, encrypts as the endpoint says, and signs in. Encryption is never downgraded.
    ///
    /// # Errors
    /// What was met, with the dialogue up to it.
    pub async fn open(endpoint: &Endpoint, auth: &MailboxAuth, dial: &dyn Dial) -> Result<Self, MailboxFailure> {
        let mut entrance = Entrance { talk: Talk::new(endpoint.clone()), capabilities: Vec::new() };
        if let Err(failure) = entrance.enter(auth, dial).await {
            entrance.leave(&failure).await;
            return Err(failure);
        }
        entrance.sign_in(auth).await
    }

    /// The names of the folders as the server writes them, at most [`FOLDERS_MAX`] (LIST, RFC 3501 6.3.8).
    ///
    /// # Errors
    /// When the server refuses, or the connection fails.
    pub async fn folders(&mut self) -> Result<Vec<String>, MailboxFailure> {
        self.talk.begin(StepName::Folders, "LIST \"\" \"*\"");
        self.words.forget();
        let list = async {
            let mut folders = Vec::new();
            let mut names = self.session.list(Some(""), Some("\"*\"")).await?;
            while let Some(name) = names.try_next().await? {
                if folders.len() < FOLDERS_MAX {
                    folders.push(name.name().to_owned());
                }
            }
            Ok(folders)
        };
        let list = timeout(self.talk.endpoint.timeouts.command, list).await;
        self.conclude(list)
    }

    /// How many messages are in INBOX (STATUS, RFC 3501 6.3.10).
    ///
    /// # Errors
    /// When the server refuses, or the connection fails.
    pub async fn messages(&mut self) -> Result<u64, MailboxFailure> {
        self.talk.begin(StepName::Folders, "STATUS INBOX (MESSAGES)");
        self.words.forget();
        let status = self.session.status("INBOX", "(MESSAGES)");
        let status = timeout(self.talk.endpoint.timeouts.command, status).await;
        self.conclude(status).map(|inbox| inbox.exists.into())
    }

    /// Says LOGOUT, waits a moment for the answer, and closes.
    pub async fn logout(mut self) {
        self.talk.begin(StepName::Quit, "LOGOUT");
        self.words.forget();
        // Whether the server hears it does not matter to anybody.
        drop(timeout(Duration::from_secs(FAREWELL_SECONDS), self.session.logout()).await);
        self.talk.note(&self.words.all());
        self.talk.done();
    }

    fn conclude<T>(
        &mut self,
        result: Result<Result<T, ImapError>, tokio::time::error::Elapsed>,
    ) -> Result<T, MailboxFailure> {
        conclude(&mut self.talk, &self.words, result)
    }
}

/// Ends a step in which async-imap has spoken.
fn conclude<T>(
    talk: &mut Talk,
    words: &Words,
    result: Result<Result<T, ImapError>, tokio::time::error::Elapsed>,
) -> Result<T, MailboxFailure> {
    talk.note(&words.all());
    match result {
        Ok(Ok(value)) => {
            talk.done();
            Ok(value)
        }
        Ok(Err(error)) => {
            let cause = cause(error, words.last());
            Err(talk.failure(cause))
        }
        Err(_) => {
            let limit = talk.endpoint.timeouts.command;
            Err(talk.failure(MailboxCause::TimedOut(limit)))
        }
    }
}

/// Looks into a mailbox: signs in, lists its folders, counts the messages of INBOX, and leaves.
///
/// # Errors
/// What was met, with the dialogue up to it.
pub async fn check(endpoint: &Endpoint, auth: &MailboxAuth, dial: &dyn Dial) -> Result<MailboxView, MailboxFailure> {
    let mut session = Box::pin(ImapSession::open(endpoint, auth, dial)).await?;
    let folders = session.folders().await?;
    let messages = session.messages().await?;
    session.logout().await;
    Ok(MailboxView { folders, messages })
}

impl Entrance {
    async fn enter(&mut self, auth: &MailboxAuth, dial: &dyn Dial) -> Result<(), MailboxFailure> {
        self.talk.connect(dial).await?;
        let encryption = self.talk.endpoint.encryption;
        if encryption == Encryption::Tls {
            self.talk.encrypt(None).await?;
        }
        self.greeting().await?;
        self.learn_capabilities("H1").await?;
        if encryption == Encryption::StartTls {
            self.start_tls().await?;
        }
        self.may_sign_in(auth)
    }

    async fn greeting(&mut self) -> Result<(), MailboxFailure> {
        self.talk.begin(StepName::Greeting, "");
        let said = self.talk.hear(self.talk.endpoint.timeouts.greeting).await?;
        let word = said.strip_prefix("* ").map(|rest| rest.split(' ').next().unwrap_or_default().to_ascii_uppercase());
        match word.as_deref() {
            Some("OK") => Ok(()),
            Some("BYE" | "PREAUTH") => Err(self.talk.failure(MailboxCause::Refused(said))),
            _ => Err(self.unreadable(said)),
        }
    }

    async fn learn_capabilities(&mut self, tag: &str) -> Result<(), MailboxFailure> {
        let lines = self.ask(StepName::Hello, tag, "CAPABILITY").await?;
        let lists = lines.iter().filter_map(|line| {
            let (word, list) = line.strip_prefix("* ")?.split_once(' ')?;
            word.eq_ignore_ascii_case("CAPABILITY").then_some(list)
        });
        self.capabilities = lists.flat_map(str::split_ascii_whitespace).map(str::to_ascii_uppercase).collect();
        steps::saw_capabilities(self.capabilities.iter().map(String::as_str));
        Ok(())
    }

    /// STARTTLS (RFC 3501 6.2.1). What was offered before counts for nothing.
    async fn start_tls(&mut self) -> Result<(), MailboxFailure> {
        if !self.offers("STARTTLS") {
            self.talk.begin(StepName::StartTls, "");
            return Err(self.talk.failure(MailboxCause::NotOffered("STARTTLS")));
        }
        self.ask(StepName::StartTls, "H2", "STARTTLS").await?;
        self.talk.encrypt(Some("STARTTLS")).await?;
        self.learn_capabilities("H3").await
    }

    fn offers(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|offered| offered == capability)
    }

    /// Says a command and reads the lines up to its reply, which must be OK.
    async fn ask(&mut self, phase: StepName, tag: &str, command: &str) -> Result<Vec<String>, MailboxFailure> {
        let command = format!("{tag} {command}");
        let mut line = self.talk.ask(phase, &command, &command).await?;
        let mut lines = Vec::new();
        loop {
            if let Some(reply) = line.strip_prefix(tag).and_then(|rest| rest.strip_prefix(' ')) {
                let word = reply.split(' ').next().unwrap_or_default().to_ascii_uppercase();
                return match word.as_str() {
                    "OK" => Ok(lines),
                    "NO" | "BAD" => Err(self.talk.failure(MailboxCause::Refused(line))),
                    _ => Err(self.unreadable(line)),
                };
            }
            if !line.starts_with("* ") || lines.len() == LINES_MAX {
                return Err(self.unreadable(line));
            }
            lines.push(line);
            line = self.talk.hear(self.talk.endpoint.timeouts.command).await?;
        }
    }

    fn may_sign_in(&mut self, auth: &MailboxAuth) -> Result<(), MailboxFailure> {
        let (MailboxAuth::Password { allow_plaintext, .. } | MailboxAuth::Token { allow_plaintext, .. }) = auth;
        let is_clear = self.talk.endpoint.encryption == Encryption::None;
        let obstacle = match auth {
            _ if is_clear && !allow_plaintext => Some(MailboxCause::PlaintextSignIn),
            MailboxAuth::Password { .. } if self.offers("LOGINDISABLED") => Some(MailboxCause::NotOffered("LOGIN")),
            MailboxAuth::Token { .. } if !self.offers("AUTH=XOAUTH2") => Some(MailboxCause::NotOffered("XOAUTH2")),
            _ => None,
        };
        let Some(cause) = obstacle else { return Ok(()) };
        self.talk.begin(StepName::SignIn, "");
        Err(self.talk.failure(cause))
    }

    async fn sign_in(self, auth: &MailboxAuth) -> Result<ImapSession, MailboxFailure> {
        let mut talk = self.talk;
        let shown = match auth {
            MailboxAuth::Password { user, .. } => format!("LOGIN {user} ***"),
            MailboxAuth::Token { .. } => "AUTHENTICATE XOAUTH2".to_owned(),
        };
        talk.begin(StepName::SignIn, &shown);
        let Some(stream) = talk.take_stream() else {
            let said = "more than was asked for".to_owned();
            return Err(talk.failure(MailboxCause::Unreadable { protocol: "IMAP", said }));
        };
        let words = Words::default();
        let client = Client::new(Overheard::new(stream, words.clone()));
        let limit = talk.endpoint.timeouts.command;
        let signed_in = match auth {
            MailboxAuth::Password { user, password, .. } => {
                talk.hide(password.expose());
                timeout(limit, client.login(user, password.expose())).await
            }
            MailboxAuth::Token { user, token, .. } => {
                let response = zeroize::Zeroizing::new(xoauth2(user, token.expose()));
                talk.hide(token.expose());
                talk.hide(&STANDARD.encode(response.as_bytes()));
                timeout(limit, client.authenticate("XOAUTH2", Once(Some(response)))).await
            }
        };
        let signed_in = signed_in.map(|result| result.map_err(|(error, _)| error));
        let session = conclude(&mut talk, &words, signed_in)?;
        Ok(ImapSession { talk, session, words })
    }

    /// Leaves politely when there is still somebody to be polite to.
    async fn leave(&mut self, failure: &MailboxFailure) {
        match failure.cause {
            MailboxCause::Refused(_) | MailboxCause::NotOffered(_) | MailboxCause::PlaintextSignIn => {
                self.talk.leave("H9 LOGOUT").await;
            }
            _ => self.talk.close(),
        }
    }

    fn unreadable(&mut self, said: String) -> MailboxFailure {
        self.talk.failure(MailboxCause::Unreadable { protocol: "IMAP", said })
    }
}

/// Answers the first challenge, and those after it, which tell of an error, with nothing.
struct Once(Option<zeroize::Zeroizing<String>>);

impl Authenticator for Once {
    type Response = zeroize::Zeroizing<Vec<u8>>;

    fn process(&mut self, _: &[u8]) -> Self::Response {
        let response = self.0.take();
        zeroize::Zeroizing::new(response.map(|response| response.as_bytes().to_vec()).unwrap_or_default())
    }
}

/// What an error of async-imap means; `said` is the server's last line.
fn cause(error: ImapError, said: String) -> MailboxCause {
    match error {
        ImapError::No(_) | ImapError::Bad(_) => MailboxCause::Refused(said),
        ImapError::Io(error) => error.into(),
        ImapError::ConnectionLost => MailboxCause::Closed,
        ImapError::Validate(_) => MailboxCause::BadCredentials,
        _ => MailboxCause::Unreadable { protocol: "IMAP", said },
    }
}

#[cfg(test)]
mod dialogues;
