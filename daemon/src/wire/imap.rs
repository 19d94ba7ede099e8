//! How do we sign in to an IMAP server (RFC 3501), and who speaks then?
//!
//! Up to the sign-in it is talked to on our own line, so that nothing that a stranger puts before TLS is taken for an
//! answer within it; then async-imap speaks and understands, on a stream that keeps the server's own words.

use std::{io, panic::AssertUnwindSafe, time::Duration};

use async_imap::{Authenticator, Client, Session, error::Error as ImapError, imap_proto::Response};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::FutureExt;
use tokio::time::timeout;

use super::{
    dial::Dial,
    endpoint::Endpoint,
    mailbox::{MailboxAuth, MailboxCause, MailboxFailure, MailboxView, Talk, xoauth2},
    steps::{self, StepName},
};
use crate::domain::account::Encryption;

mod commands;
mod deletion;
mod fetching;
mod folder_name;
mod folders;
mod idling;
mod lines;
mod listing;
mod overheard;
mod sent;

use self::{
    commands::{ANSWER_BYTES_MAX, Order, unreadable},
    lines::Excess,
    overheard::{Overheard, Words},
};
pub use self::{
    deletion::Deletion,
    fetching::Fetched,
    folders::{Access, FolderState},
    idling::{IDLE_SECONDS_MAX, Woken},
    listing::{LISTED_MAX, Listed, Wanted},
    sent::Mark,
};

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
    /// What the server offers after the sign-in, once it was asked.
    capabilities: Option<Vec<String>>,
    /// How many messages are in the open folder, as far as was told.
    messages: u32,
    /// The least UID of the next message there.
    uid_next: Option<u32>,
    /// Whether new messages were told of since they were listed.
    has_news: bool,
    /// Whether the messages of the open folder were listed since it was opened.
    was_listed: bool,
    /// Whether messages of the open folder can be changed.
    can_change: bool,
    /// Whether an answer has not come to its end, so that nobody knows what the next words belong to.
    is_lost: bool,
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

    /// Says LOGOUT, waits a moment for the answer, and closes.
    pub async fn logout(mut self) {
        self.talk.begin(StepName::Quit, "LOGOUT");
        if !self.is_lost {
            self.words.expect(ANSWER_BYTES_MAX);
            let order = Order::on_folders("LOGOUT");
            let mut visit = |_: &Response<'_>| {};
            let goodbye = Box::pin(self.converse(&order, &mut visit));
            // Whether the server hears it does not matter to anybody.
            drop(timeout(Duration::from_secs(FAREWELL_SECONDS), goodbye).await);
            self.talk.note(&self.words.all());
        }
        self.talk.done();
    }
}

/// Looks into a mailbox: signs in, lists its folders, counts the messages of INBOX, and leaves.
///
/// # Errors
/// What was met, with the dialogue up to it.
pub async fn check(endpoint: &Endpoint, auth: &MailboxAuth, dial: &dyn Dial) -> Result<MailboxView, MailboxFailure> {
    let mut session = Box::pin(ImapSession::open(endpoint, auth, dial)).await?;
    let folders = session.folders().await?.into_iter().map(|folder| folder.name).collect();
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
            return Err(talk.failure(unreadable(said)));
        };
        let words = Words::default();
        words.expect(ANSWER_BYTES_MAX);
        let client = Client::new(Overheard::new(stream, words.clone()));
        let limit = talk.endpoint.timeouts.command;
        let signed_in = match auth {
            MailboxAuth::Password { user, password, .. } => {
                talk.hide(password.expose());
                let login = AssertUnwindSafe(client.login(user, password.expose()));
                timeout(limit, login.catch_unwind()).await
            }
            MailboxAuth::Token { user, token, .. } => {
                let response = zeroize::Zeroizing::new(xoauth2(user, token.expose()));
                talk.hide(token.expose());
                talk.hide(&STANDARD.encode(response.as_bytes()));
                let authenticate = AssertUnwindSafe(client.authenticate("XOAUTH2", Once(Some(response))));
                timeout(limit, authenticate.catch_unwind()).await
            }
        };
        talk.note(&words.all());
        let signed_in = match signed_in {
            Ok(Ok(Ok(session))) => Ok(session),
            Ok(Ok(Err((error, _)))) => Err(cause(error, words.last_with("A"))),
            // Some texts that a server may say make async-imap's parser panic.
            Ok(Err(_)) => Err(unreadable(words.last())),
            Err(_) => Err(MailboxCause::TimedOut(limit)),
        };
        let session = signed_in.map_err(|cause| talk.failure(cause))?;
        talk.done();
        Ok(ImapSession {
            talk,
            session,
            words,
            capabilities: None,
            messages: 0,
            uid_next: None,
            has_news: false,
            was_listed: false,
            can_change: false,
            is_lost: false,
        })
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
        self.talk.failure(unreadable(said))
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
        ImapError::Io(error) if error.get_ref().is_some_and(|inner| inner.is::<Excess>()) => MailboxCause::Io(error),
        // What could not be parsed, with all of it, be it a message.
        ImapError::Io(error) if error.kind() == io::ErrorKind::Other => unreadable(said),
        ImapError::Io(error) => error.into(),
        ImapError::ConnectionLost => MailboxCause::Closed,
        ImapError::Validate(_) => MailboxCause::BadCredentials,
        _ => unreadable(said),
    }
}

#[cfg(test)]
mod dialogues;
#[cfg(test)]
mod laboratory;
#[cfg(test)]
mod reading_dialogues;
#[cfg(test)]
mod waiting_dialogues;
