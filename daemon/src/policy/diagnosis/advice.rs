//! What should be changed, for each cause?

use super::{Cause, Facts, SignInKind};
use crate::domain::account::{Encryption, ProviderKind};

/// What to do, one step each.
pub(super) fn advice(cause: Cause, settings: &Facts) -> Vec<&'static str> {
    match cause {
        Cause::WrongCredentials | Cause::SignInDisabled => credentials(cause, settings),
        Cause::ServerTimeout => silence(settings),
        Cause::SenderNotOwned => sender(settings.provider),
        other => general(other).to_vec(),
    }
}

fn credentials(cause: Cause, settings: &Facts) -> Vec<&'static str> {
    use ProviderKind as Kind;
    let mut steps = Vec::new();
    if settings.sign_in == SignInKind::Token {
        steps.push("Check that user is the mailbox for which the permission was given.");
        steps.push("Check that the permission covers this protocol (scopes), and ask for consent again if not.");
    }
    match settings.provider {
        Kind::Gmail | Kind::GoogleWorkspace => {
            steps.push("Google refuses the account's own password: sign in with OAuth 2, or make an app password (it needs 2-step verification).");
            if settings.provider == Kind::GoogleWorkspace {
                steps.push("Ask the administrator whether app passwords and access by IMAP and SMTP are allowed.");
            }
        }
        Kind::Outlook => steps.push("Outlook.com takes no password from programs any more: sign in with OAuth 2."),
        Kind::Microsoft365 => {
            steps.push("Sign in with OAuth 2: Microsoft is switching passwords off for SMTP.");
            steps.push("Ask the administrator to allow Authenticated SMTP for this mailbox, and to exempt it from security defaults.");
        }
        Kind::ICloud => steps.push("Apple refuses the password of the Apple Account: make an app-specific password."),
        Kind::Yahoo => steps.push("Yahoo refuses the account's own password: make an app password."),
        Kind::YahooJapan => {
            steps.push("Allow access by mail programs (IMAP, POP and SMTP) in the settings of Yahoo! Mail.")
        }
        Kind::AmazonSes => {
            steps.push("Use the SMTP credentials of the SES console and of the host's region, not keys of IAM.")
        }
        Kind::SendGrid => {
            steps.push("The user name is the word \"apikey\", the password an API key that may send mail.")
        }
        Kind::Xserver => steps.push("The user name is the whole mail address."),
        Kind::Generic | Kind::Exchange | Kind::Sakura => {}
    }
    if settings.sign_in != SignInKind::Token {
        steps.push("Check the user name (some servers want the whole address, others the part before the @) and type the password again.");
    }
    if cause == Cause::SignInDisabled {
        steps.push("Ask the provider or administrator to allow this way of signing in.");
    }
    steps
}

fn silence(settings: &Facts) -> Vec<&'static str> {
    let mut steps = vec!["Try again later: the server may be overloaded."];
    if settings.encryption != Encryption::Tls {
        steps.push("If this port wants TLS from the first byte, set the encryption to TLS.");
    }
    steps.push("If the server is slow by nature, such as to greet, allow more time in timeouts.");
    steps
}

fn sender(provider: ProviderKind) -> Vec<&'static str> {
    let first = match provider {
        ProviderKind::AmazonSes => "Verify the address or its domain in the SES console, in the region of the host.",
        ProviderKind::SendGrid => "Verify the address as a sender identity, or authenticate its domain.",
        ProviderKind::Gmail | ProviderKind::GoogleWorkspace => "Add the address in Gmail under \"Send mail as\".",
        ProviderKind::Microsoft365 | ProviderKind::Exchange => {
            "Give the mailbox the right to send as the address (Send As)."
        }
        _ => "Ask the provider to let the account send as this address.",
    };
    vec![first, "Or set the account's From and its envelope sender to an address that it owns."]
}

fn general(cause: Cause) -> &'static [&'static str] {
    match cause {
        Cause::NameNotFound => &["Check the host for a slip of the pen.", "Check that this host can resolve names."],
        Cause::ConnectTimeout => &[
            "Check host and port: submission is 587 or 465; port 25 is blocked in many networks.",
            "Ask whoever runs the network or the firewall to let this host out to that port.",
        ],
        Cause::ConnectionRefused => &["Check host and port.", "Check that the server runs and lets this host in."],
        Cause::NetworkUnreachable => {
            &["Check this host's network and its routes.", "If there is a proxy to the server, set it."]
        }
        Cause::ProxyFailed => {
            &["Check the proxy's kind, host and port.", "Check that it may connect to the server's port."]
        }
        Cause::ProxySignIn => &["Check the proxy's user name and password."],
        Cause::ConnectionClosed => &[
            "Try again later.",
            "Check that encryption and port fit: 465 TLS, 587 STARTTLS, 25 none.",
            "Check whether the server lets this host's address in.",
        ],
        Cause::NotAMailServer => {
            &["Check host and port.", "If a proxy or firewall answers in the server's place, go round it."]
        }
        other => general_of_encryption(other),
    }
}

fn general_of_encryption(cause: Cause) -> &'static [&'static str] {
    match cause {
        Cause::PlainOnTlsPort => {
            &["Set the encryption to TLS.", "Or use the port for STARTTLS: 587 for SMTP, 143 for IMAP, 110 for POP3."]
        }
        Cause::TlsOnPlainPort => {
            &["Set the encryption to STARTTLS.", "Or use the port for TLS: 465 for SMTP, 993 for IMAP, 995 for POP3."]
        }
        Cause::TlsVersion => &[
            "Have the server updated to TLS 1.2 or 1.3; older versions are not spoken.",
            "If version_min is TLS 1.3, allow 1.2.",
        ],
        Cause::TlsRefused => &[
            "If the server wants a client certificate, set one that it knows.",
            "Check server_name, which the server may not know.",
        ],
        Cause::TlsFailed => &["Look at what the step says; ask whoever runs the server."],
        Cause::CertificateExpired => &["Have the server's certificate renewed.", "Check this host's clock."],
        Cause::CertificateNotYetValid => &["Check this host's clock.", "Ask whoever runs the server."],
        Cause::CertificateWrongName => &[
            "Use as host one of the names that the certificate is for.",
            "If the server is reached by an address or an inner name, set tls.server_name to the certificate's name.",
        ],
        Cause::CertificateUnknownIssuer => &[
            "Set custom_ca_pem to the certificate of the authority that signed it.",
            "If the server leaves out certificates between its own and the authority's, have it send them.",
        ],
        Cause::StartTlsNotOffered => &[
            "Use another port: 587 with STARTTLS or 465 with TLS.",
            "Only in a network that you trust, set the encryption to NONE.",
        ],
        Cause::StartTlsInjected => {
            &["Do not use this connection; tell whoever runs the network or the server.", "Use port 465 with TLS."]
        }
        Cause::TlsRequired | Cause::SignInNeedsTls => &["Set the encryption to STARTTLS (port 587) or TLS (port 465)."],
        Cause::PlaintextSignIn => &[
            "Set the encryption to STARTTLS or TLS.",
            "Only in a network that you trust, set allow_plaintext of the sign-in.",
        ],
        Cause::SignInNotOffered => &[
            "Use the submission port, 587 or 465; port 25 is for mail between servers.",
            "If the server knows this host by its address, set no sign-in.",
        ],
        other => general_of_mail(other),
    }
}

fn general_of_mail(cause: Cause) -> &'static [&'static str] {
    match cause {
        Cause::MechanismNotOffered => &[
            "Leave the mechanism unset, so that the first that is offered is used.",
            "Or set one that the server offers, as its capabilities say.",
        ],
        Cause::SignInRequired => &["Set how the account signs in.", "Use the submission port, 587 or 465."],
        Cause::GrantRevoked => &[
            "Ask for consent again.",
            "Check that the application was not removed or its secret changed at the issuer.",
        ],
        Cause::TokenNotFetched => &[
            "Check the issuer, the application's id and its secret.",
            "Check that this host can reach the issuer by HTTPS.",
        ],
        Cause::PopSignInLapsed => &[
            "Check the POP3 server and its credentials.",
            "Set valid_for to no longer than the server remembers a sign-in.",
            "Check that POP3 and SMTP leave this host from the same address; both need the same proxy.",
        ],
        Cause::Suspended => {
            &["Sign in on the provider's web page and follow what it says.", "Ask the provider to lift the suspension."]
        }
        Cause::RelayNotPermitted => &[
            "Set how the account signs in.",
            "Use the submission port, 587 or 465.",
            "Or have whoever runs the server let this host's address relay.",
        ],
        Cause::QuotaExceeded => &[
            "Wait until the provider's window ends.",
            "Set quotas in the account's limits that are no larger than the provider's.",
        ],
        Cause::RateLimited => &["Wait some minutes.", "Set a pace or fewer connections in the account's limits."],
        Cause::MessageTooLarge => &[
            "Send less, or a link instead of the attachment.",
            "Set message_bytes_max to what the server takes, so that larger jobs are refused at once.",
        ],
        Cause::ExtensionMissing => {
            &["Use addresses of ASCII characters.", "Or a server that offers 8BITMIME and SMTPUTF8."]
        }
        Cause::SpamOrPolicy => &[
            "Read the server's words: they often name the list or the policy.",
            "Check SPF, DKIM and DMARC of the From domain.",
            "If this host's address is on a block list, have it removed, or send through the provider's submission server.",
        ],
        Cause::UnknownRecipient => &["Check the recipient's address for a slip of the pen."],
        Cause::MailboxFull => &["Try another recipient; this one has to make room."],
        Cause::TemporaryRefusal => {
            &["Try again in some minutes; servers that do not know a sender yet refuse it at first."]
        }
        _ => &["Read the server's words, and ask whoever runs it."],
    }
}
