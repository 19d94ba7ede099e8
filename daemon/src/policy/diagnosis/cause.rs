//! Which causes are told apart, and what does each mean?

/// What is likely wrong, in a word that does not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each explains itself in `explanation`")]
pub enum Cause {
    NameNotFound,
    ConnectTimeout,
    ConnectionRefused,
    NetworkUnreachable,
    ProxyFailed,
    ProxySignIn,
    ServerTimeout,
    ConnectionClosed,
    NotAMailServer,
    PlainOnTlsPort,
    TlsOnPlainPort,
    TlsVersion,
    TlsRefused,
    TlsFailed,
    CertificateExpired,
    CertificateNotYetValid,
    CertificateWrongName,
    CertificateUnknownIssuer,
    StartTlsNotOffered,
    StartTlsInjected,
    TlsRequired,
    PlaintextSignIn,
    SignInNeedsTls,
    SignInNotOffered,
    MechanismNotOffered,
    WrongCredentials,
    SignInDisabled,
    SignInRequired,
    GrantRevoked,
    TokenNotFetched,
    PopSignInLapsed,
    Suspended,
    RelayNotPermitted,
    SenderNotOwned,
    QuotaExceeded,
    RateLimited,
    MessageTooLarge,
    ExtensionMissing,
    SpamOrPolicy,
    UnknownRecipient,
    MailboxFull,
    TemporaryRefusal,
    Refused,
}

impl Cause {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.entry().0
    }

    /// What it means, in one or two sentences.
    #[must_use]
    pub const fn explanation(self) -> &'static str {
        self.entry().1
    }

    /// Whether the provider's page for account holders helps.
    pub(super) const fn is_about_the_account(self) -> bool {
        use Cause::{
            GrantRevoked, MechanismNotOffered, QuotaExceeded, RateLimited, SenderNotOwned, SignInDisabled,
            SignInNotOffered, SignInRequired, Suspended, WrongCredentials,
        };
        matches!(
            self,
            GrantRevoked
                | MechanismNotOffered
                | QuotaExceeded
                | RateLimited
                | SenderNotOwned
                | SignInDisabled
                | SignInNotOffered
                | SignInRequired
                | Suspended
                | WrongCredentials
        )
    }

    const fn entry(self) -> (&'static str, &'static str) {
        match self {
            Self::NameNotFound
            | Self::ConnectTimeout
            | Self::ConnectionRefused
            | Self::NetworkUnreachable
            | Self::ProxyFailed
            | Self::ProxySignIn
            | Self::ServerTimeout
            | Self::ConnectionClosed
            | Self::NotAMailServer => self.of_the_way(),
            Self::PlainOnTlsPort
            | Self::TlsOnPlainPort
            | Self::TlsVersion
            | Self::TlsRefused
            | Self::TlsFailed
            | Self::CertificateExpired
            | Self::CertificateNotYetValid
            | Self::CertificateWrongName
            | Self::CertificateUnknownIssuer
            | Self::StartTlsNotOffered
            | Self::StartTlsInjected
            | Self::TlsRequired => self.of_encryption(),
            Self::PlaintextSignIn
            | Self::SignInNeedsTls
            | Self::SignInNotOffered
            | Self::MechanismNotOffered
            | Self::WrongCredentials
            | Self::SignInDisabled
            | Self::SignInRequired
            | Self::GrantRevoked
            | Self::TokenNotFetched
            | Self::PopSignInLapsed
            | Self::Suspended => self.of_sign_in(),
            _ => self.of_mail(),
        }
    }

    const fn of_the_way(self) -> (&'static str, &'static str) {
        match self {
            Self::NameNotFound => ("NAME_NOT_FOUND", "The server's name could not be found in the domain name system."),
            Self::ConnectTimeout => (
                "CONNECT_TIMEOUT",
                "The server did not take the connection in time. Often a firewall drops what is sent to this port.",
            ),
            Self::ConnectionRefused => (
                "CONNECTION_REFUSED",
                "The host is there, but no server listens on this port, or a firewall refuses it.",
            ),
            Self::NetworkUnreachable => ("NETWORK_UNREACHABLE", "There is no way through the network to the server."),
            Self::ProxyFailed => ("PROXY_FAILED", "The proxy could not be used, or could not reach the server."),
            Self::ProxySignIn => {
                ("PROXY_SIGN_IN", "The proxy does not accept the name and password that it was given.")
            }
            Self::ServerTimeout => (
                "SERVER_TIMEOUT",
                "The connection was made, but the server did not answer in the time that the settings allow.",
            ),
            Self::ConnectionClosed => ("CONNECTION_CLOSED", "The server closed the connection before it answered."),
            _ => ("NOT_A_MAIL_SERVER", "What answered on this port does not speak the protocol of a mail server."),
        }
    }

    const fn of_encryption(self) -> (&'static str, &'static str) {
        match self {
            Self::PlainOnTlsPort => (
                "PLAIN_ON_TLS_PORT",
                "The server waits for TLS from the first byte, but the settings begin in the clear.",
            ),
            Self::TlsOnPlainPort => (
                "TLS_ON_PLAIN_PORT",
                "The settings begin with TLS from the first byte, but the server begins in the clear on this port.",
            ),
            Self::TlsVersion => ("TLS_VERSION", "The server speaks no version of TLS that the settings allow."),
            Self::TlsRefused => ("TLS_REFUSED", "The server broke off the TLS handshake with an alert."),
            Self::TlsFailed => ("TLS_FAILED", "No encrypted connection came about."),
            Self::CertificateExpired => ("CERTIFICATE_EXPIRED", "The server's certificate has expired."),
            Self::CertificateNotYetValid => (
                "CERTIFICATE_NOT_YET_VALID",
                "The server's certificate is not valid yet. Often a clock is wrong, the server's or this host's.",
            ),
            Self::CertificateWrongName => {
                ("CERTIFICATE_WRONG_NAME", "The server's certificate is for other names than the one in the settings.")
            }
            Self::CertificateUnknownIssuer => (
                "CERTIFICATE_UNKNOWN_ISSUER",
                "The server's certificate is signed by an authority that is not trusted here.",
            ),
            Self::StartTlsNotOffered => (
                "STARTTLS_NOT_OFFERED",
                "The server does not offer STARTTLS, and the settings do not allow an unencrypted connection.",
            ),
            Self::StartTlsInjected => (
                "STARTTLS_INJECTED",
                "Something was sent in the clear after the reply to STARTTLS. Somebody on the way may be tampering.",
            ),
            _ => ("TLS_REQUIRED", "The server wants the connection to be encrypted first."),
        }
    }

    const fn of_sign_in(self) -> (&'static str, &'static str) {
        match self {
            Self::PlaintextSignIn => (
                "PLAINTEXT_SIGN_IN",
                "The password or token would cross an unencrypted connection, which the settings do not allow.",
            ),
            Self::SignInNeedsTls => ("SIGN_IN_NEEDS_TLS", "The server offers no sign-in on an unencrypted connection."),
            Self::SignInNotOffered => ("SIGN_IN_NOT_OFFERED", "The server offers no sign-in on this port."),
            Self::MechanismNotOffered => {
                ("MECHANISM_NOT_OFFERED", "The server offers sign-in, but not by the mechanism of the settings.")
            }
            Self::WrongCredentials => {
                ("WRONG_CREDENTIALS", "The server does not accept the user name with this password or token.")
            }
            Self::SignInDisabled => (
                "SIGN_IN_DISABLED",
                "This way of signing in is switched off for the mailbox or for the whole organisation.",
            ),
            Self::SignInRequired => ("SIGN_IN_REQUIRED", "The server takes no mail without a sign-in."),
            Self::GrantRevoked => ("GRANT_REVOKED", "The permission to get access tokens was withdrawn or has lapsed."),
            Self::TokenNotFetched => ("TOKEN_NOT_FETCHED", "No access token could be fetched from the issuer."),
            Self::PopSignInLapsed => (
                "POP_SIGN_IN_LAPSED",
                "The server takes mail only after a POP3 sign-in from the same address, and knows of none or has forgotten it.",
            ),
            _ => ("SUSPENDED", "The provider has suspended or locked the account."),
        }
    }

    const fn of_mail(self) -> (&'static str, &'static str) {
        match self {
            Self::RelayNotPermitted => {
                ("RELAY_NOT_PERMITTED", "The server does not pass mail from this account on to other domains.")
            }
            Self::SenderNotOwned => {
                ("SENDER_NOT_OWNED", "The account may not send as the address in From or as the envelope sender.")
            }
            Self::QuotaExceeded => ("QUOTA_EXCEEDED", "The provider's own sending quota of the account is used up."),
            Self::RateLimited => ("RATE_LIMITED", "The provider asks to send, to sign in or to connect less often."),
            Self::MessageTooLarge => ("MESSAGE_TOO_LARGE", "The message is larger than the server takes."),
            Self::ExtensionMissing => {
                ("EXTENSION_MISSING", "The message needs an extension that the server does not offer.")
            }
            Self::SpamOrPolicy => (
                "SPAM_OR_POLICY",
                "The server takes the message, its sender or this host's address for spam, or has a policy against it.",
            ),
            Self::UnknownRecipient => ("UNKNOWN_RECIPIENT", "The recipient's address does not exist."),
            Self::MailboxFull => ("MAILBOX_FULL", "The recipient's mailbox is full."),
            Self::TemporaryRefusal => {
                ("TEMPORARY_REFUSAL", "The server cannot or will not do it now, and asks to try again later.")
            }
            _ => ("REFUSED", "The server refused; its words say why."),
        }
    }
}
