//! How does a session come about: resolve, connect, greeting, EHLO, TLS, sign-in?
//!
//! All but AUTH is done on our own channel, so that every reply is kept as it was and nothing that a stranger puts
//! before TLS is taken for an answer within it; lettre then hears the greeting and the offers played back.

use std::{num::NonZeroU16, time::Duration};

use lettre::transport::smtp::{client::AsyncSmtpConnection, extension::ClientId};
use tokio::time::timeout;

use super::{
    channel::Mode,
    dialect,
    failure::{Fault, Obstacle, ObstacleCause},
    line::{FAREWELL_SECONDS, Line},
    offers::Offers,
    reply_reader::WholeReply,
    session::Session,
    sign_in::{Credentials, Mechanism, Presentation},
};
use crate::{
    domain::{
        account::{EhloName, Encryption, Host, Proxy, Timeouts},
        verdict::Phase,
    },
    wire::{
        dial::{self, Dial, DialCause, DialError, DialPhase, Route, Stream},
        steps::{self, Dialogue, StepName},
        tls::{Encrypted, TlsClient, TlsFailure},
    },
};

/// Where and how to open a session.
#[derive(Clone, Debug)]
pub struct Provider {
    /// The server's name or IP address; its certificate must be for it.
    pub host: Host,
    /// Its TCP port.
    pub port: NonZeroU16,
    /// Whether and how the connection is encrypted.
    pub encryption: Encryption,
    /// The name we give in EHLO.
    pub ehlo_name: EhloName,
    /// The proxy through which it is reached.
    pub proxy: Option<Proxy>,
    /// How TLS is spoken.
    pub tls: TlsClient,
    /// What we sign in with.
    pub sign_in: Credentials,
    /// How long each phase may take.
    pub timeouts: Timeouts,
}

impl Session {
    /// Opens a session up to the point where MAIL may be sent.
    ///
    /// EHLO is followed by HELO when the server does not know it and neither STARTTLS nor a sign-in is needed.
    /// Encryption is never downgraded. When the server refuses, it is told QUIT.
    ///
    /// # Errors
    /// The obstacle that was met, with the dialogue up to it.
    pub async fn open(provider: &Provider, dial: &dyn Dial) -> Result<Self, Obstacle> {
        let opening = Opening { provider, line: Line::new(provider.timeouts) };
        let mut stream = opening.connect(dial).await?;
        if provider.encryption == Encryption::Tls {
            stream = opening.encrypt(stream).await?;
        }
        opening.line.attach(stream);
        let (offers, mechanism) = match opening.agree().await {
            Ok(agreed) => agreed,
            Err(obstacle) => return Err(opening.leave(obstacle).await),
        };
        if let Some(secret) = provider.sign_in.secret() {
            opening.line.hide(secret.expose());
        }
        let mut connection = opening.hand_over(&offers).await?;
        if let Some(mechanism) = mechanism {
            opening.sign_in(&mut connection, mechanism).await?;
        }
        Ok(Self::new(connection, opening.line, offers))
    }
}

/// A session on its way.
struct Opening<'a> {
    provider: &'a Provider,
    line: Line,
}

impl Opening<'_> {
    fn obstacle(&self, phase: Phase, cause: impl Into<ObstacleCause>) -> Obstacle {
        Obstacle { phase, cause: cause.into(), transcript: self.line.transcript() }
    }

    async fn connect(&self, dial: &dyn Dial) -> Result<Box<dyn Stream>, Obstacle> {
        let Provider { host, port, proxy, timeouts, .. } = self.provider;
        let route = Route { host, port: *port, proxy: proxy.as_ref(), limit: timeouts.connect };
        dial::reach(dial, route).await.map_err(|DialError { phase, cause }| {
            let phase = match phase {
                DialPhase::Resolve => Phase::Resolve,
                DialPhase::Connect | DialPhase::Proxy => Phase::Connect,
            };
            let cause = match cause {
                DialCause::TimedOut(limit) => Fault::TimedOut(limit).into(),
                DialCause::NoAddress => ObstacleCause::NoAddress,
                DialCause::Proxy(failure) => ObstacleCause::Proxy(failure),
                // A refused connection keeps the system's words.
                DialCause::Io(error) => Fault::Io(error).into(),
            };
            self.obstacle(phase, cause)
        })
    }

    async fn encrypt(&self, stream: Box<dyn Stream>) -> Result<Box<dyn Stream>, Obstacle> {
        let Provider { host, tls, timeouts, .. } = self.provider;
        let step = steps::begin(StepName::Tls);
        let encrypted = tls.encrypt(stream, host, timeouts.connect).await;
        let encrypted = encrypted.map_err(|failure| {
            let cause = match failure {
                TlsFailure::TimedOut(limit) => Fault::TimedOut(limit).into(),
                TlsFailure::Closed => Fault::Closed.into(),
                TlsFailure::Refused { kind, text } => ObstacleCause::Tls { kind, text },
            };
            self.obstacle(Phase::Tls, cause)
        });
        step.end(Dialogue::default(), encrypted.as_ref().map(|encrypted| &encrypted.facts.version));
        let Encrypted { stream, facts } = encrypted?;
        steps::saw_tls(&facts);
        Ok(stream)
    }

    /// All up to the sign-in: what is offered, and how to sign in.
    async fn agree(&self) -> Result<(Offers, Option<Mechanism>), Obstacle> {
        let mut offers = self.meet().await?;
        if self.provider.encryption == Encryption::StartTls {
            offers = self.upgrade(&offers).await?;
        }
        let mechanism = self
            .provider
            .sign_in
            .mechanism(&offers, self.provider.encryption)
            .map_err(|cause| self.obstacle(Phase::SignIn, cause))?;
        Ok((offers, mechanism))
    }

    /// The greeting and EHLO.
    async fn meet(&self) -> Result<Offers, Obstacle> {
        let step = steps::begin(StepName::Greeting);
        let greeting = self.line.hear(Phase::Greeting).await;
        self.line.end_step(step, greeting.as_ref().map(|whole| &whole.reply));
        let greeting = greeting.map_err(|fault| {
            let cause = match fault {
                Fault::Unreadable(line) => ObstacleCause::NotSmtp(line),
                fault => fault.into(),
            };
            self.obstacle(Phase::Greeting, cause)
        })?;
        self.accepted(Phase::Greeting, greeting)?;
        let needs_start_tls = self.provider.encryption == Encryption::StartTls;
        self.hello(needs_start_tls).await
    }

    async fn hello(&self, needs_start_tls: bool) -> Result<Offers, Obstacle> {
        let name = self.provider.ehlo_name.as_str();
        let reply = self.ask(Phase::Hello, &format!("EHLO {name}\r\n")).await?;
        let needs_extensions = needs_start_tls || self.provider.sign_in != Credentials::Nothing;
        if reply.reply.is_permanent() && !needs_extensions {
            // RFC 5321 3.2: a server that does not know EHLO is greeted with HELO.
            let reply = self.ask(Phase::Hello, &format!("HELO {name}\r\n")).await?;
            self.accepted(Phase::Hello, reply)?;
            return Ok(Offers::default());
        }
        let reply = self.accepted(Phase::Hello, reply)?;
        steps::saw_capabilities(reply.lines().lines().skip(1).filter_map(|line| line.get(4..)));
        Ok(Offers::from_lines(reply.lines()))
    }

    /// STARTTLS, and EHLO again: what was offered in the clear counts for nothing (RFC 3207 4.2).
    async fn upgrade(&self, offers: &Offers) -> Result<Offers, Obstacle> {
        if !offers.start_tls {
            return Err(self.obstacle(Phase::Tls, ObstacleCause::StartTlsNotOffered));
        }
        let reply = self.ask(Phase::Tls, "STARTTLS\r\n").await?;
        self.accepted(Phase::Tls, reply)?;
        let stream = self.line.take_stream();
        let stream = stream.ok_or_else(|| self.obstacle(Phase::Tls, ObstacleCause::StartTlsInjected))?;
        self.line.attach(self.encrypt(stream).await?);
        self.hello(false).await
    }

    async fn ask(&self, phase: Phase, command: &str) -> Result<WholeReply, Obstacle> {
        let asked = async {
            self.line.post(phase, command.as_bytes()).await?;
            self.line.hear(phase).await
        };
        let step = steps::begin(if phase == Phase::Tls { StepName::StartTls } else { StepName::Hello });
        let answer = asked.await;
        self.line.end_step(step, answer.as_ref().map(|whole| &whole.reply));
        answer.map_err(|fault| self.obstacle(phase, fault))
    }

    fn accepted(&self, phase: Phase, reply: WholeReply) -> Result<WholeReply, Obstacle> {
        if reply.reply.is_positive() {
            Ok(reply)
        } else {
            Err(self.obstacle(phase, ObstacleCause::Replied(reply.reply)))
        }
    }

    /// Leaves politely when there is still somebody to be polite to.
    async fn leave(&self, obstacle: Obstacle) -> Obstacle {
        if !matches!(obstacle.cause, ObstacleCause::Fault(_) | ObstacleCause::NotSmtp(_)) {
            self.line.farewell().await;
        }
        obstacle
    }

    async fn hand_over(&self, offers: &Offers) -> Result<AsyncSmtpConnection, Obstacle> {
        self.line.replay(dialect::welcome(offers));
        let name = ClientId::Domain(self.provider.ehlo_name.as_str().to_owned());
        let connection = AsyncSmtpConnection::connect_with_transport(Box::new(self.line.clone()), &name).await;
        self.line.set_mode(Mode::Live);
        connection.map_err(|_| self.obstacle(Phase::Hello, Fault::Unusable))
    }

    async fn sign_in(&self, connection: &mut AsyncSmtpConnection, mechanism: Mechanism) -> Result<(), Obstacle> {
        let Provider { host, port, sign_in, .. } = self.provider;
        let presentation = Presentation { line: &self.line, credentials: sign_in, host, port: *port };
        let Err(cause) = presentation.present(connection, mechanism).await else { return Ok(()) };
        let obstacle = self.obstacle(Phase::SignIn, cause);
        self.line.set_mode(Mode::Leaving);
        let _ = timeout(Duration::from_secs(FAREWELL_SECONDS), connection.abort()).await;
        Err(obstacle)
    }
}
