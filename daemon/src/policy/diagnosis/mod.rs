//! What is likely wrong, when a server could not be used, and what should be changed?

mod advice;
mod cause;
mod replies;

use std::{io, time::Duration};

pub use self::cause::Cause;
use super::presets::Presets;
use crate::domain::{
    account::{Encryption, ProviderKind, SignIn},
    reply::Reply,
    verdict::Phase,
};

/// What a test met.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// Where.
    pub phase: Phase,
    /// What.
    pub trouble: Trouble<'a>,
    /// With which settings.
    pub settings: Facts,
}

/// The settings on which a diagnosis depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Whose server it is.
    pub provider: ProviderKind,
    /// Its port.
    pub port: u16,
    /// How the connection is encrypted.
    pub encryption: Encryption,
    /// How the account signs in.
    pub sign_in: SignInKind,
}

/// Kinds of signing in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInKind {
    /// Not at all.
    None,
    /// With a password.
    Password,
    /// With an access token.
    Token,
    /// By POP3 before.
    PopBeforeSmtp,
}

/// What kept a server from being used.
#[derive(Clone, Copy, Debug)]
pub enum Trouble<'a> {
    /// It refused by SMTP.
    Replied(&'a Reply),
    /// It refused by POP3 or IMAP; its words.
    Said(&'a str),
    /// It did not answer within this time.
    TimedOut(Duration),
    /// It closed the connection.
    Closed,
    /// The system's word, when the connection was opened or afterwards.
    Io(io::ErrorKind),
    /// The name exists and has no address.
    NoAddress,
    /// TLS failed.
    Tls(TlsTrouble),
    /// It does not offer STARTTLS, which the account wants.
    StartTlsNotOffered,
    /// Something came in the clear after the reply to STARTTLS.
    StartTlsInjected,
    /// A secret would cross an unencrypted connection, which the account does not allow.
    PlaintextSignIn,
    /// It does not offer the mechanism; whether it offers any.
    MechanismNotOffered {
        /// Whether it offers another.
        offers_others: bool,
    },
    /// What it said belongs to another protocol.
    OtherProtocol(&'a str),
    /// The proxy does not accept our name and password, or wants some.
    ProxySignIn,
    /// The proxy failed in another way.
    ProxyFailed,
    /// The issuer of tokens says that the permission is gone.
    GrantRevoked,
    /// No access token could be fetched, for another reason.
    NoToken,
    /// It does not offer an extension that the message needs.
    ExtensionMissing,
    /// The session broke in another way.
    Broken,
}

/// How TLS fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsTrouble {
    /// The certificate has expired.
    Expired,
    /// The certificate is not valid yet.
    NotYetValid,
    /// The certificate is for others.
    WrongName,
    /// The certificate is signed by somebody who is not trusted.
    UnknownIssuer,
    /// The server does not speak TLS at this point.
    NotTls,
    /// The server speaks no version that we speak.
    Version,
    /// The server refused the handshake.
    Alert,
    /// In another way.
    Other,
}

/// What is likely wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// In a word.
    pub cause: Cause,
    /// What it means, in one or two sentences.
    pub explanation: &'static str,
    /// What to do, one step each.
    pub advice: Vec<&'static str>,
    /// Where the provider describes it.
    pub help_url: Option<String>,
}

/// What is likely wrong.
#[must_use]
pub fn diagnose(case: &Case<'_>) -> Diagnosis {
    let cause = cause_of(case);
    Diagnosis {
        cause,
        explanation: cause.explanation(),
        advice: advice::advice(cause, &case.settings),
        help_url: if cause.is_about_the_account() { help_of(case.settings.provider) } else { None },
    }
}

fn cause_of(case: &Case<'_>) -> Cause {
    match case.trouble {
        Trouble::Replied(reply) => replies::cause(case.phase, reply, case.settings.sign_in),
        Trouble::Said(words) => replies::mailbox_cause(case.phase, words),
        Trouble::TimedOut(_) => silence(case),
        Trouble::Closed if expects_tls_at_once(case) => Cause::PlainOnTlsPort,
        Trouble::Closed if tls_to_plain_port(case) => Cause::TlsOnPlainPort,
        Trouble::Closed | Trouble::Broken => Cause::ConnectionClosed,
        Trouble::Io(kind) => of_system(case.phase, kind),
        Trouble::NoAddress => Cause::NameNotFound,
        Trouble::Tls(trouble) => of_tls(trouble, case.settings.encryption),
        Trouble::StartTlsNotOffered => Cause::StartTlsNotOffered,
        Trouble::StartTlsInjected => Cause::StartTlsInjected,
        Trouble::PlaintextSignIn => Cause::PlaintextSignIn,
        Trouble::MechanismNotOffered { offers_others: true } => Cause::MechanismNotOffered,
        Trouble::MechanismNotOffered { .. } if case.settings.encryption == Encryption::None => Cause::SignInNeedsTls,
        Trouble::MechanismNotOffered { .. } => Cause::SignInNotOffered,
        // A server that waits for TLS answers a word in the clear with an alert: content type 21, version 3.
        Trouble::OtherProtocol(words) if words.starts_with("\u{15}\u{3}") => Cause::PlainOnTlsPort,
        Trouble::OtherProtocol(_) => Cause::NotAMailServer,
        Trouble::ProxySignIn => Cause::ProxySignIn,
        Trouble::ProxyFailed => Cause::ProxyFailed,
        Trouble::GrantRevoked => Cause::GrantRevoked,
        Trouble::NoToken => Cause::TokenNotFetched,
        Trouble::ExtensionMissing => Cause::ExtensionMissing,
    }
}

fn silence(case: &Case<'_>) -> Cause {
    match case.phase {
        Phase::Resolve => Cause::NameNotFound,
        Phase::Connect => Cause::ConnectTimeout,
        _ if expects_tls_at_once(case) => Cause::PlainOnTlsPort,
        _ if tls_to_plain_port(case) => Cause::TlsOnPlainPort,
        _ => Cause::ServerTimeout,
    }
}

/// Whether we wait for a greeting on a port where servers wait for TLS.
fn expects_tls_at_once(case: &Case<'_>) -> bool {
    let Facts { port, encryption, .. } = case.settings;
    case.phase == Phase::Greeting && encryption != Encryption::Tls && matches!(port, 465 | 993 | 995)
}

/// Whether we wait for TLS on a port where servers greet in the clear.
fn tls_to_plain_port(case: &Case<'_>) -> bool {
    let Facts { port, encryption, .. } = case.settings;
    case.phase == Phase::Tls && encryption == Encryption::Tls && matches!(port, 25 | 110 | 143 | 587)
}

fn of_system(phase: Phase, kind: io::ErrorKind) -> Cause {
    use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkDown, NetworkUnreachable, TimedOut};
    match (phase, kind) {
        (Phase::Resolve, _) => Cause::NameNotFound,
        (_, ConnectionRefused) => Cause::ConnectionRefused,
        (_, HostUnreachable | NetworkUnreachable | NetworkDown) => Cause::NetworkUnreachable,
        (Phase::Connect, TimedOut) => Cause::ConnectTimeout,
        (Phase::Connect, _) => Cause::NetworkUnreachable,
        (_, TimedOut) => Cause::ServerTimeout,
        _ => Cause::ConnectionClosed,
    }
}

fn of_tls(trouble: TlsTrouble, encryption: Encryption) -> Cause {
    match trouble {
        TlsTrouble::Expired => Cause::CertificateExpired,
        TlsTrouble::NotYetValid => Cause::CertificateNotYetValid,
        TlsTrouble::WrongName => Cause::CertificateWrongName,
        TlsTrouble::UnknownIssuer => Cause::CertificateUnknownIssuer,
        TlsTrouble::NotTls if encryption == Encryption::Tls => Cause::TlsOnPlainPort,
        TlsTrouble::Version => Cause::TlsVersion,
        TlsTrouble::Alert => Cause::TlsRefused,
        TlsTrouble::NotTls | TlsTrouble::Other => Cause::TlsFailed,
    }
}

fn help_of(provider: ProviderKind) -> Option<String> {
    let mut presets = Presets::built_in().iter();
    presets.find(|preset| preset.provider == provider && preset.help_url.is_some())?.help_url.clone()
}

impl SignInKind {
    /// The kind of a sign-in.
    #[must_use]
    pub const fn of(sign_in: &SignIn) -> Self {
        match sign_in {
            SignIn::None => Self::None,
            SignIn::AsMailbox | SignIn::Password { .. } => Self::Password,
            SignIn::OAuth2(_) => Self::Token,
            SignIn::PopBeforeSmtp(_) => Self::PopBeforeSmtp,
        }
    }
}

#[cfg(test)]
mod tests;
