//! How is what a test met put before the diagnosis?

use std::{fmt, time::Duration};

use super::{phase_of, step_of};
use crate::{
    domain::{reply::Reply, verdict::Phase},
    policy::diagnosis::{TlsTrouble, Trouble},
    wire::{
        dial::ProxyFailure,
        mailbox::{MailboxCause, MailboxFailure},
        oauth::OauthError,
        smtp::{Broken, EnvelopeFailure, Fault, Needed, Obstacle, ObstacleCause},
        steps::StepName,
        tls::{TlsFault, TlsSetupError},
    },
};

/// What a test met.
#[derive(Debug)]
pub(super) struct Met {
    /// In which step.
    pub(super) step: StepName,
    /// In which phase of the session.
    pub(super) phase: Phase,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    Obstacle(ObstacleCause),
    Fault(Fault),
    Replied(Reply),
    NotOffered(Needed),
    Token(OauthError),
    Mailbox(MailboxFailure),
    Setup(TlsSetupError),
    Composing(String),
    TooLate(Duration),
}

impl Met {
    pub(super) fn obstacle(Obstacle { phase, cause, .. }: Obstacle) -> Self {
        let step = match &cause {
            ObstacleCause::StartTlsNotOffered | ObstacleCause::StartTlsInjected => StepName::StartTls,
            ObstacleCause::Token(_) => StepName::Token,
            ObstacleCause::Proxy(_) => StepName::Proxy,
            ObstacleCause::Pop(_) => StepName::Pop,
            _ => step_of(phase),
        };
        Self { step, phase, cause: Cause::Obstacle(cause) }
    }

    pub(super) fn envelope(failure: EnvelopeFailure) -> Self {
        match failure {
            EnvelopeFailure::NotOffered(needed) => Self::in_phase(Phase::Mail, Cause::NotOffered(needed)),
            EnvelopeFailure::Broken(broken) => Self::broken(broken),
        }
    }

    pub(super) fn broken(Broken { phase, cause, .. }: Broken) -> Self {
        Self::in_phase(phase, Cause::Fault(cause))
    }

    pub(super) fn replied(phase: Phase, reply: Reply) -> Self {
        Self::in_phase(phase, Cause::Replied(reply))
    }

    pub(super) const fn token(error: OauthError) -> Self {
        Self { step: StepName::Token, phase: Phase::SignIn, cause: Cause::Token(error) }
    }

    pub(super) const fn mailbox(failure: MailboxFailure) -> Self {
        Self { step: failure.phase, phase: phase_of(failure.phase), cause: Cause::Mailbox(failure) }
    }

    pub(super) const fn setup(error: TlsSetupError) -> Self {
        Self::in_phase(Phase::Tls, Cause::Setup(error))
    }

    pub(super) const fn composing(error: String) -> Self {
        Self::in_phase(Phase::Mail, Cause::Composing(error))
    }

    pub(super) const fn too_late(step: StepName, limit: Duration) -> Self {
        Self { step, phase: phase_of(step), cause: Cause::TooLate(limit) }
    }

    const fn in_phase(phase: Phase, cause: Cause) -> Self {
        Self { step: step_of(phase), phase, cause }
    }

    /// For the diagnosis.
    pub(super) fn trouble(&self) -> Trouble<'_> {
        match &self.cause {
            Cause::Obstacle(cause) => of_obstacle(self.phase, cause),
            Cause::Fault(fault) => of_fault(self.phase, fault),
            Cause::Replied(reply) => Trouble::Replied(reply),
            Cause::NotOffered(_) => Trouble::ExtensionMissing,
            Cause::Token(error) => of_token(error),
            Cause::Mailbox(failure) => of_mailbox(&failure.cause),
            Cause::Setup(_) => Trouble::Tls(TlsTrouble::Other),
            Cause::Composing(_) => Trouble::Broken,
            Cause::TooLate(limit) => Trouble::TimedOut(*limit),
        }
    }
}

impl fmt::Display for Met {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Obstacle(cause) => cause.fmt(f),
            Cause::Fault(fault) => fault.fmt(f),
            Cause::Replied(reply) => write!(f, "the server replied {reply}"),
            Cause::NotOffered(needed) => write!(f, "the server does not offer {}", needed.keyword()),
            Cause::Token(error) => error.fmt(f),
            Cause::Mailbox(failure) => failure.cause.fmt(f),
            Cause::Setup(error) => error.fmt(f),
            Cause::Composing(error) => f.write_str(error),
            Cause::TooLate(limit) => write!(f, "given up: the test has taken {} s", limit.as_secs()),
        }
    }
}

fn of_obstacle(phase: Phase, cause: &ObstacleCause) -> Trouble<'_> {
    match cause {
        ObstacleCause::Replied(reply) => Trouble::Replied(reply),
        ObstacleCause::Fault(fault) => of_fault(phase, fault),
        ObstacleCause::NoAddress => Trouble::NoAddress,
        ObstacleCause::Tls { kind, .. } => Trouble::Tls(of_tls(*kind)),
        ObstacleCause::StartTlsNotOffered => Trouble::StartTlsNotOffered,
        ObstacleCause::StartTlsInjected => Trouble::StartTlsInjected,
        ObstacleCause::PlaintextSignIn => Trouble::PlaintextSignIn,
        ObstacleCause::SignInNotOffered { offered } => {
            Trouble::MechanismNotOffered { offers_others: !offered.is_empty() }
        }
        ObstacleCause::NotSmtp(line) => Trouble::OtherProtocol(line),
        ObstacleCause::Token(error) => of_token(error),
        ObstacleCause::Proxy(failure) => of_proxy(failure),
        ObstacleCause::Pop(failure) => of_mailbox(&failure.cause),
    }
}

fn of_mailbox(cause: &MailboxCause) -> Trouble<'_> {
    match cause {
        MailboxCause::Refused(words) => Trouble::Said(words),
        MailboxCause::NoAddress => Trouble::NoAddress,
        MailboxCause::Proxy(failure) => of_proxy(failure),
        MailboxCause::Tls { kind, .. } => Trouble::Tls(of_tls(*kind)),
        MailboxCause::NotOffered("STLS" | "STARTTLS") => Trouble::StartTlsNotOffered,
        MailboxCause::NotOffered(_) => Trouble::MechanismNotOffered { offers_others: true },
        MailboxCause::Injected(_) => Trouble::StartTlsInjected,
        MailboxCause::PlaintextSignIn => Trouble::PlaintextSignIn,
        MailboxCause::TimedOut(limit) => Trouble::TimedOut(*limit),
        MailboxCause::Closed => Trouble::Closed,
        MailboxCause::Io(error) => Trouble::Io(error.kind()),
        MailboxCause::Unreadable { said, .. } => Trouble::OtherProtocol(said),
        MailboxCause::BadCredentials | MailboxCause::TooLong(_) => Trouble::Broken,
    }
}

const fn of_proxy(failure: &ProxyFailure) -> Trouble<'static> {
    match failure {
        ProxyFailure::SignInRefused(_) => Trouble::ProxySignIn,
        _ => Trouble::ProxyFailed,
    }
}

fn of_fault(phase: Phase, fault: &Fault) -> Trouble<'_> {
    match fault {
        Fault::TimedOut(limit) => Trouble::TimedOut(*limit),
        Fault::Closed => Trouble::Closed,
        Fault::Closing(reply) => Trouble::Replied(reply),
        Fault::Io(error) => Trouble::Io(error.kind()),
        Fault::Unreadable(line) if phase == Phase::Greeting => Trouble::OtherProtocol(line),
        Fault::Unreadable(_) | Fault::ReplyTooLong(_) | Fault::Unsolicited(_) | Fault::Unusable => Trouble::Broken,
    }
}

const fn of_token(error: &OauthError) -> Trouble<'static> {
    match error {
        OauthError::NotConsented | OauthError::InvalidGrant { .. } => Trouble::GrantRevoked,
        _ => Trouble::NoToken,
    }
}

const fn of_tls(fault: TlsFault) -> TlsTrouble {
    match fault {
        TlsFault::Expired => TlsTrouble::Expired,
        TlsFault::NotYetValid => TlsTrouble::NotYetValid,
        TlsFault::WrongName => TlsTrouble::WrongName,
        TlsFault::UnknownIssuer => TlsTrouble::UnknownIssuer,
        TlsFault::NotTls => TlsTrouble::NotTls,
        TlsFault::Version => TlsTrouble::Version,
        TlsFault::Alert => TlsTrouble::Alert,
        TlsFault::Other => TlsTrouble::Other,
    }
}
