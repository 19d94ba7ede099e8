//! When must an account sign in by POP3 before its server takes mail, and is its last sign-in still good?
//!
//! There is one gate for all connections of an account, and it outlives them. What it knows is kept in memory: after a
//! restart, and after a change of these settings, the account signs in anew.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    domain::{
        account::{Credentials, PopBeforeSmtp, SignIn},
        ids::AccountId,
        reply::Reply,
    },
    wire::{
        dial::Dial,
        endpoint::Endpoint,
        mailbox::{MailboxAuth, MailboxFailure},
        pop3::Pop3Session,
        smtp::{Obstacle, ObstacleCause},
        steps::{Dialogue, Recorder, StepName, begin},
        tls::TlsSetupError,
    },
};

/// After how much of its time a sign-in is renewed, in percent.
const RENEWAL_PERCENT: u32 = 80;
/// After how much of its time a connection that it let in is used no more, in percent.
const USE_PERCENT: u32 = 90;
/// How long after a sign-in that a refusal to relay asked for, another one is not believed to help, in seconds.
const SECOND_CHANCE_SECONDS: u64 = 60;
/// Replies by which servers refuse to relay.
const RELAY_CODES: [u16; 5] = [530, 550, 551, 553, 554];

/// The gates of all accounts that have one.
#[derive(Debug, Default)]
pub struct PopGates(Mutex<HashMap<AccountId, (PopBeforeSmtp, Arc<PopGate>)>>);

/// The POP3 sign-in of an account.
#[derive(Debug)]
pub struct PopGate {
    endpoint: Endpoint,
    auth: MailboxAuth,
    valid_for: Duration,
    /// One signs in at a time; the others wait for it.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

/// A sign-in by which connections are let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PopPass {
    number: u64,
    /// For how long connections may be used that are opened by it now.
    pub good_for: Duration,
}

#[derive(Debug, Default)]
struct State {
    /// How often we signed in.
    number: u64,
    /// When we signed in last, unless that is believed to have lapsed.
    at: Option<Instant>,
    /// When a refusal to relay was last believed to mean that.
    chance: Option<Instant>,
    /// Whether mail was taken since.
    served: bool,
}

impl PopGates {
    /// The gate of an account that signs in so, if it is by POP before SMTP.
    ///
    /// # Errors
    /// When a certificate among the POP3 server's settings cannot be used.
    pub fn gate_of(&self, account: &AccountId, sign_in: &SignIn) -> Result<Option<Arc<PopGate>>, TlsSetupError> {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let SignIn::PopBeforeSmtp(settings) = sign_in else {
            gates.remove(account);
            return Ok(None);
        };
        if let Some((known, gate)) = gates.get(account)
            && *known == **settings
        {
            return Ok(Some(Arc::clone(gate)));
        }
        let gate = Arc::new(PopGate::new(settings)?);
        gates.insert(account.clone(), (PopBeforeSmtp::clone(settings), Arc::clone(&gate)));
        Ok(Some(gate))
    }

    /// Forgets the gate of an account that no longer exists.
    pub fn forget(&self, account: &AccountId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(account);
    }
}

impl PopGate {
    /// A gate that nobody has passed.
    ///
    /// # Errors
    /// When a certificate among the POP3 server's settings cannot be used.
    pub fn new(settings: &PopBeforeSmtp) -> Result<Self, TlsSetupError> {
        let PopBeforeSmtp { server, credentials, apop, allow_plaintext, valid_for } = settings;
        let Credentials { user, password } = credentials.clone();
        Ok(Self {
            endpoint: Endpoint::of(server)?,
            auth: MailboxAuth::Password { user, password, apop: *apop, allow_plaintext: *allow_plaintext },
            valid_for: *valid_for,
            turn: tokio::sync::Mutex::default(),
            state: Mutex::default(),
        })
    }

    /// Signs in, unless the last sign-in is good for a while yet.
    ///
    /// # Errors
    /// What was met at the POP3 server, as an obstacle to the session.
    pub async fn pass(&self, dial: &dyn Dial) -> Result<PopPass, Obstacle> {
        if let Some(pass) = self.present() {
            return Ok(pass);
        }
        let _turn = self.turn.lock().await;
        // Somebody may have signed in meanwhile.
        if let Some(pass) = self.present() {
            return Ok(pass);
        }
        self.sign_in(dial).await.map_err(|failure| Obstacle {
            phase: failure.nearest_phase(),
            transcript: failure.transcript.clone(),
            cause: ObstacleCause::Pop(Box::new(failure)),
        })?;
        let mut state = self.state();
        state.number += 1;
        state.at = Some(Instant::now());
        Ok(PopPass { number: state.number, good_for: self.share(USE_PERCENT) })
    }

    async fn sign_in(&self, dial: &dyn Dial) -> Result<(), MailboxFailure> {
        // Its steps are one step on the way to the SMTP server.
        let (step, within) = (begin(StepName::Pop), Recorder::default());
        let opened = Box::pin(within.run(Pop3Session::open(&self.endpoint, &self.auth, dial))).await;
        if step.is_recorded() {
            let steps = within.record().steps;
            let sent: Vec<_> = steps.iter().map(|step| step.sent.as_str()).filter(|sent| !sent.is_empty()).collect();
            let reply = steps.iter().rev().find(|step| step.name != StepName::Quit).map(|step| step.reply.clone());
            let said = Dialogue { sent: sent.join("\n"), reply: reply.unwrap_or_default() };
            step.end(said, opened.as_ref().map(|_| "signed in by POP3"));
        }
        opened?.quit().await;
        Ok(())
    }

    /// Notes a refusal to relay on a connection that a pass let in, or that was open before. Answers whether the message
    /// should be tried again on a new connection: the server may have forgotten the sign-in before its time.
    #[must_use]
    pub fn refused(&self, pass: PopPass) -> bool {
        let mut state = self.state();
        if pass.number < state.number || state.at.is_none() {
            return true;
        }
        let is_recent = |at: Instant| at.elapsed() < Duration::from_secs(SECOND_CHANCE_SECONDS);
        if state.chance.is_some_and(|at| is_recent(at) || !state.served) {
            return false;
        }
        (state.at, state.chance, state.served) = (None, Some(Instant::now()), false);
        true
    }

    /// Notes that the server took mail.
    pub fn served(&self) {
        self.state().served = true;
    }

    fn present(&self) -> Option<PopPass> {
        let state = self.state();
        let age = state.at?.elapsed();
        let good_for = self.share(USE_PERCENT).saturating_sub(age);
        (age < self.share(RENEWAL_PERCENT)).then_some(PopPass { number: state.number, good_for })
    }

    fn share(&self, percent: u32) -> Duration {
        self.valid_for * percent / 100
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a reply to MAIL or RCPT says that the server does not relay for us (RFC 3463, X.7.1).
#[must_use]
pub fn refuses_to_relay(reply: &Reply) -> bool {
    let is_policy = reply.enhanced().is_some_and(|code| (code.subject, code.detail) == (7, 1));
    RELAY_CODES.contains(&reply.code()) && (is_policy || reply.text().to_ascii_lowercase().contains("relay"))
}

#[cfg(test)]
mod tests {
    use std::{
        num::NonZeroU16,
        sync::atomic::{AtomicU32, Ordering},
    };

    use async_trait::async_trait;
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, duplex};

    use super::*;
    use crate::{
        domain::{
            account::{Encryption, Host, Server},
            secret::Secret,
        },
        wire::dial::{DialError, Stream},
    };

    /// A POP3 server that lets everybody in, but for those with a wrong password.
    #[derive(Debug, Default)]
    struct Pop3(AtomicU32);

    #[async_trait]
    impl Dial for Pop3 {
        async fn dial(&self, _: &Host, _: NonZeroU16, _: Duration) -> Result<Box<dyn Stream>, DialError> {
            self.0.fetch_add(1, Ordering::SeqCst);
            let (ours, theirs) = duplex(1_024);
            tokio::spawn(async move {
                let (heard, mut said) = tokio::io::split(theirs);
                let mut heard = BufReader::new(heard).lines();
                let _ = said.write_all(b"+OK\r\n").await;
                while let Ok(Some(line)) = heard.next_line().await {
                    let answer: &[u8] = match line.as_str() {
                        "CAPA" | "PASS wrong" => b"-ERR no\r\n",
                        _ => b"+OK\r\n",
                    };
                    let _ = said.write_all(answer).await;
                }
            });
            Ok(Box::new(ours))
        }
    }

    fn gate(password: &str) -> PopGate {
        let host = "pop.lab.test".parse().expect("a host");
        let server = Server::new(host, NonZeroU16::new(110).expect("not zero"), Encryption::None);
        let credentials = Credentials { user: "alice".to_owned(), password: Secret::new(password.to_owned()) };
        let valid_for = Duration::from_secs(600);
        let settings = PopBeforeSmtp { server, credentials, apop: false, allow_plaintext: true, valid_for };
        PopGate::new(&settings).expect("a gate")
    }

    async fn pass(seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn all_connections_share_a_sign_in_that_is_renewed_in_time() {
        let (gate, server) = (gate("secret"), Pop3::default());
        let (one, other) = tokio::join!(gate.pass(&server), gate.pass(&server));
        assert_eq!(one.expect("in").number, other.expect("in").number);
        assert_eq!(server.0.load(Ordering::SeqCst), 1);
        pass(479).await;
        assert_eq!(gate.pass(&server).await.expect("in").good_for, Duration::from_secs(61));
        assert_eq!(server.0.load(Ordering::SeqCst), 1);
        pass(1).await;
        assert_eq!(gate.pass(&server).await.expect("in").good_for, Duration::from_secs(540));
        assert_eq!(server.0.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_to_relay_asks_for_one_more_sign_in_and_not_for_two() {
        let (gate, server) = (gate("secret"), Pop3::default());
        let first = gate.pass(&server).await.expect("in");
        assert!(gate.refused(first));
        assert!(gate.refused(first), "another connection of the same pass");
        let second = gate.pass(&server).await.expect("in");
        assert!(gate.refused(first), "an old connection");
        assert!(!gate.refused(second), "the sign-in was fresh");
        pass(120).await;
        assert!(!gate.refused(second), "nothing was taken since");
        gate.served();
        assert!(gate.refused(second));
        assert_eq!(server.0.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_password_is_an_obstacle_that_asks_for_another() {
        let obstacle = gate("wrong").pass(&Pop3::default()).await.expect_err("refused");
        assert!(obstacle.cause.refuses_credentials());
        assert_eq!(obstacle.to_string(), "sign-in: POP3 sign-in: the server replied -ERR no");
    }

    #[test]
    fn refusals_to_relay_are_told_from_others() {
        for (lines, expected) in [
            ("550 5.7.1 Relaying denied", true),
            ("554 5.7.1 <x@y.jp>: Relay access denied", true),
            ("553 sorry, that domain isn't allowed to be relayed thru this MTA", true),
            ("550 5.1.1 no such user", false),
            ("451 4.7.1 try again", false),
        ] {
            assert_eq!(refuses_to_relay(&Reply::from_lines(lines).expect(lines)), expected, "{lines}");
        }
    }
}
