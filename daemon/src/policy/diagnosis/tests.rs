//! Is each cause recognised by what servers really say and do?

use std::collections::HashSet;

use super::*;

fn facts(port: u16, encryption: Encryption) -> Facts {
    Facts { provider: ProviderKind::Generic, port, encryption, sign_in: SignInKind::Password }
}

fn submission() -> Facts {
    facts(587, Encryption::StartTls)
}

fn word(phase: Phase, trouble: Trouble<'_>, settings: Facts) -> &'static str {
    diagnose(&Case { phase, trouble, settings }).cause.as_str()
}

#[track_caller]
fn check_reply(phase: Phase, reply: &str, expected: &str) {
    let reply = Reply::from_lines(reply).expect("a reply");
    assert_eq!(word(phase, Trouble::Replied(&reply), submission()), expected, "{phase}: {reply}");
}

#[test]
fn refusals_of_a_sign_in() {
    let check = |reply, expected| check_reply(Phase::SignIn, reply, expected);
    check(
        "535-5.7.8 Username and Password not accepted. For more information, go to\n535 5.7.8 support",
        "WRONG_CREDENTIALS",
    );
    check("535 5.7.139 Authentication unsuccessful, the user credentials were incorrect.", "WRONG_CREDENTIALS");
    check(
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.",
        "SIGN_IN_DISABLED",
    );
    check("535 5.7.139 Authentication unsuccessful, basic authentication is disabled.", "SIGN_IN_DISABLED");
    check("534-5.7.9 Application-specific password required.\n534 5.7.9 support", "WRONG_CREDENTIALS");
    check("535 Authentication credentials invalid", "WRONG_CREDENTIALS");
    check("334 eyJzdGF0dXMiOiI0MDAifQ==", "WRONG_CREDENTIALS");
    check("530 5.7.0 Must issue a STARTTLS command first", "TLS_REQUIRED");
    check("538 5.7.11 Encryption required for requested authentication mechanism", "TLS_REQUIRED");
    check("504 5.5.4 Unrecognized authentication type", "MECHANISM_NOT_OFFERED");
    check("454 4.7.0 Too many login attempts, please try again later.", "RATE_LIMITED");
    check("454 4.7.0 Temporary authentication failure", "TEMPORARY_REFUSAL");
    check("535 5.7.0 Your account has been suspended", "SUSPENDED");
}

#[test]
fn refusals_before_a_sign_in() {
    check_reply(Phase::Greeting, "554 5.7.1 Your address is blocked", "SPAM_OR_POLICY");
    check_reply(Phase::Greeting, "421 4.7.0 Too many concurrent connections", "RATE_LIMITED");
    check_reply(Phase::Greeting, "421 4.3.2 Service not available", "TEMPORARY_REFUSAL");
    check_reply(Phase::Hello, "501 5.5.2 bad name", "REFUSED");
    check_reply(Phase::Tls, "454 4.7.0 TLS not available", "TEMPORARY_REFUSAL");
}

#[test]
fn refusals_of_a_sender() {
    let check = |reply, expected| check_reply(Phase::Mail, reply, expected);
    check("530 5.7.0 Authentication Required.", "SIGN_IN_REQUIRED");
    check("530 5.7.57 Client not authenticated to send mail.", "SIGN_IN_REQUIRED");
    check("530 5.7.0 Must issue a STARTTLS command first", "TLS_REQUIRED");
    check("550 5.7.1 Authentication required", "SIGN_IN_REQUIRED");
    check("553 5.7.1 <a@b.jp>: Sender address rejected: not owned by user c@b.jp", "SENDER_NOT_OWNED");
    check("550 5.7.60 SMTP; Client does not have permissions to send as this sender", "SENDER_NOT_OWNED");
    check("554 5.2.252 SendAsDenied; a@b.jp not allowed to send as c@b.jp", "SENDER_NOT_OWNED");
    check("554 Message rejected: Email address is not verified.", "SENDER_NOT_OWNED");
    check("550 The from address does not match a verified Sender Identity.", "SENDER_NOT_OWNED");
    check("550 5.4.5 Daily sending quota exceeded", "QUOTA_EXCEEDED");
    check("450 4.2.1 The user has sent too much", "QUOTA_EXCEEDED");
    check("552 5.3.4 Message size exceeds fixed maximum message size", "MESSAGE_TOO_LARGE");
    check("421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred", "RATE_LIMITED");
    check("550 5.1.8 Access denied, bad outbound sender", "SUSPENDED");
}

#[test]
fn refusals_of_a_recipient() {
    let check = |reply, expected| check_reply(Phase::Rcpt, reply, expected);
    check("554 5.7.1 <x@y.jp>: Relay access denied", "RELAY_NOT_PERMITTED");
    check("550 5.7.1 Unable to relay", "RELAY_NOT_PERMITTED");
    check("550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain", "RELAY_NOT_PERMITTED");
    check("551 User not local; please try <x@z.jp>", "RELAY_NOT_PERMITTED");
    check("550 5.1.1 <x@y.jp>: Recipient address rejected: User unknown", "UNKNOWN_RECIPIENT");
    check("550 No such user here", "UNKNOWN_RECIPIENT");
    check("552 5.2.2 <full@y.jp>: user is over quota", "MAILBOX_FULL");
    check("452 4.2.2 mailbox full", "MAILBOX_FULL");
    check("550 please check for new mail first (POP before SMTP)", "POP_SIGN_IN_LAPSED");
    check("554 5.7.1 Service unavailable; Client host blocked using zen", "SPAM_OR_POLICY");
    check("451 4.7.1 Greylisted", "TEMPORARY_REFUSAL");
    check("432 4.3.2 concurrent connection limit exceeded", "RATE_LIMITED");
}

#[test]
fn refusals_of_a_message() {
    let check = |reply, expected| check_reply(Phase::EndOfData, reply, expected);
    check("552 5.3.4 Message too big for system", "MESSAGE_TOO_LARGE");
    check("552 size", "MESSAGE_TOO_LARGE");
    check("554 5.7.1 Message rejected as spam", "SPAM_OR_POLICY");
    check("550 5.7.26 Unauthenticated email is not accepted due to DMARC policy", "SPAM_OR_POLICY");
    check("554 Transaction failed", "SPAM_OR_POLICY");
    check("554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException", "QUOTA_EXCEEDED");
    check("550 5.4.5 Daily user sending limit exceeded", "QUOTA_EXCEEDED");
    check("500 what", "REFUSED");
}

#[test]
fn without_its_pop_sign_in_an_account_is_a_stranger() {
    let settings = Facts { sign_in: SignInKind::PopBeforeSmtp, ..facts(25, Encryption::None) };
    for reply in ["550 5.7.1 Relaying denied", "530 5.7.0 Authentication required", "554 5.7.1 Access denied"] {
        let reply = Reply::from_lines(reply).expect("a reply");
        assert_eq!(word(Phase::Rcpt, Trouble::Replied(&reply), settings), "POP_SIGN_IN_LAPSED", "{reply}");
    }
    let reply = Reply::from_lines("550 5.1.1 User unknown").expect("a reply");
    assert_eq!(word(Phase::Rcpt, Trouble::Replied(&reply), settings), "UNKNOWN_RECIPIENT");
}

#[track_caller]
fn check(phase: Phase, trouble: Trouble<'_>, settings: Facts, expected: &str) {
    assert_eq!(word(phase, trouble, settings), expected, "{phase} {trouble:?} {settings:?}");
}

#[test]
fn what_keeps_a_connection_from_coming_about() {
    use io::ErrorKind;
    let limit = Trouble::TimedOut(Duration::from_secs(30));
    check(Phase::Resolve, Trouble::Io(ErrorKind::Other), submission(), "NAME_NOT_FOUND");
    check(Phase::Resolve, Trouble::NoAddress, submission(), "NAME_NOT_FOUND");
    check(Phase::Resolve, limit, submission(), "NAME_NOT_FOUND");
    check(Phase::Connect, limit, submission(), "CONNECT_TIMEOUT");
    check(Phase::Connect, Trouble::Io(ErrorKind::ConnectionRefused), submission(), "CONNECTION_REFUSED");
    check(Phase::Connect, Trouble::Io(ErrorKind::NetworkUnreachable), submission(), "NETWORK_UNREACHABLE");
    check(Phase::Connect, Trouble::ProxySignIn, submission(), "PROXY_SIGN_IN");
    check(Phase::Connect, Trouble::ProxyFailed, submission(), "PROXY_FAILED");
    check(Phase::Greeting, limit, submission(), "SERVER_TIMEOUT");
    check(Phase::EndOfData, limit, submission(), "SERVER_TIMEOUT");
    check(Phase::Hello, Trouble::Closed, submission(), "CONNECTION_CLOSED");
    check(Phase::Greeting, Trouble::OtherProtocol("SSH-2.0-OpenSSH_9.2"), submission(), "NOT_A_MAIL_SERVER");
}

#[test]
fn tls_on_a_plain_port_and_the_reverse() {
    let limit = Trouble::TimedOut(Duration::from_secs(30));
    for encryption in [Encryption::None, Encryption::StartTls] {
        for port in [465, 993, 995] {
            check(Phase::Greeting, limit, facts(port, encryption), "PLAIN_ON_TLS_PORT");
            check(Phase::Greeting, Trouble::Closed, facts(port, encryption), "PLAIN_ON_TLS_PORT");
        }
    }
    let alert = Trouble::OtherProtocol("\u{15}\u{3}\u{1}");
    check(Phase::Greeting, alert, facts(2_525, Encryption::None), "PLAIN_ON_TLS_PORT");
    check(Phase::Tls, limit, facts(25, Encryption::Tls), "TLS_ON_PLAIN_PORT");
    check(Phase::Tls, Trouble::Closed, facts(587, Encryption::Tls), "TLS_ON_PLAIN_PORT");
    check(Phase::Tls, Trouble::Tls(TlsTrouble::NotTls), facts(2_525, Encryption::Tls), "TLS_ON_PLAIN_PORT");
    check(Phase::Tls, Trouble::Tls(TlsTrouble::NotTls), submission(), "TLS_FAILED");
    check(Phase::Greeting, limit, facts(465, Encryption::Tls), "SERVER_TIMEOUT");
}

#[test]
fn failures_of_tls() {
    let check_tls = |trouble, expected| check(Phase::Tls, Trouble::Tls(trouble), submission(), expected);
    check_tls(TlsTrouble::Expired, "CERTIFICATE_EXPIRED");
    check_tls(TlsTrouble::NotYetValid, "CERTIFICATE_NOT_YET_VALID");
    check_tls(TlsTrouble::WrongName, "CERTIFICATE_WRONG_NAME");
    check_tls(TlsTrouble::UnknownIssuer, "CERTIFICATE_UNKNOWN_ISSUER");
    check_tls(TlsTrouble::Version, "TLS_VERSION");
    check_tls(TlsTrouble::Alert, "TLS_REFUSED");
    check_tls(TlsTrouble::Other, "TLS_FAILED");
    check(Phase::Tls, Trouble::StartTlsNotOffered, submission(), "STARTTLS_NOT_OFFERED");
    check(Phase::Tls, Trouble::StartTlsInjected, submission(), "STARTTLS_INJECTED");
}

#[test]
fn what_keeps_us_from_signing_in() {
    let offers = |offers_others| Trouble::MechanismNotOffered { offers_others };
    check(Phase::SignIn, offers(true), submission(), "MECHANISM_NOT_OFFERED");
    check(Phase::SignIn, offers(false), submission(), "SIGN_IN_NOT_OFFERED");
    check(Phase::SignIn, offers(false), facts(587, Encryption::None), "SIGN_IN_NEEDS_TLS");
    check(Phase::SignIn, Trouble::PlaintextSignIn, facts(25, Encryption::None), "PLAINTEXT_SIGN_IN");
    check(Phase::SignIn, Trouble::GrantRevoked, submission(), "GRANT_REVOKED");
    check(Phase::SignIn, Trouble::NoToken, submission(), "TOKEN_NOT_FETCHED");
}

#[test]
fn refusals_of_a_mailbox() {
    let said = |phase, words, expected| check(phase, Trouble::Said(words), facts(993, Encryption::Tls), expected);
    said(Phase::SignIn, "-ERR [AUTH] Authentication failed.", "WRONG_CREDENTIALS");
    said(Phase::SignIn, "NO [AUTHENTICATIONFAILED] Invalid credentials", "WRONG_CREDENTIALS");
    said(Phase::SignIn, "-ERR [IN-USE] mailbox is locked", "TEMPORARY_REFUSAL");
    said(Phase::SignIn, "NO [PRIVACYREQUIRED] Plaintext authentication disallowed", "TLS_REQUIRED");
    said(Phase::SignIn, "-ERR POP access is disabled for this account", "SIGN_IN_DISABLED");
    said(Phase::Greeting, "-ERR not today", "REFUSED");
}

#[test]
fn wrong_credentials_are_answered_with_the_providers_own_way() {
    let rows = [
        (ProviderKind::Gmail, "app password", true),
        (ProviderKind::GoogleWorkspace, "OAuth 2", true),
        (ProviderKind::Outlook, "OAuth 2", true),
        (ProviderKind::Microsoft365, "OAuth 2", true),
        (ProviderKind::ICloud, "app-specific password", true),
        (ProviderKind::Yahoo, "app password", true),
        (ProviderKind::SendGrid, "apikey", true),
        (ProviderKind::Generic, "user name", false),
    ];
    let reply = Reply::from_lines("535 5.7.8 no").expect("a reply");
    for (provider, expected, has_help) in rows {
        let settings = Facts { provider, ..submission() };
        let found = diagnose(&Case { phase: Phase::SignIn, trouble: Trouble::Replied(&reply), settings });
        assert!(found.advice.iter().any(|step| step.contains(expected)), "{provider:?}: {:?}", found.advice);
        assert_eq!(found.help_url.is_some(), has_help, "{provider:?}");
    }
}

#[test]
fn every_cause_has_a_word_an_explanation_and_advice_of_its_own() {
    let all = [
        Cause::NameNotFound,
        Cause::ConnectTimeout,
        Cause::ConnectionRefused,
        Cause::NetworkUnreachable,
        Cause::ProxyFailed,
        Cause::ProxySignIn,
        Cause::ServerTimeout,
        Cause::ConnectionClosed,
        Cause::NotAMailServer,
        Cause::PlainOnTlsPort,
        Cause::TlsOnPlainPort,
        Cause::TlsVersion,
        Cause::TlsRefused,
        Cause::TlsFailed,
        Cause::CertificateExpired,
        Cause::CertificateNotYetValid,
        Cause::CertificateWrongName,
        Cause::CertificateUnknownIssuer,
        Cause::StartTlsNotOffered,
        Cause::StartTlsInjected,
        Cause::TlsRequired,
        Cause::PlaintextSignIn,
        Cause::SignInNeedsTls,
        Cause::SignInNotOffered,
        Cause::MechanismNotOffered,
        Cause::WrongCredentials,
        Cause::SignInDisabled,
        Cause::SignInRequired,
        Cause::GrantRevoked,
        Cause::TokenNotFetched,
        Cause::PopSignInLapsed,
        Cause::Suspended,
        Cause::RelayNotPermitted,
        Cause::SenderNotOwned,
        Cause::QuotaExceeded,
        Cause::RateLimited,
        Cause::MessageTooLarge,
        Cause::ExtensionMissing,
        Cause::SpamOrPolicy,
        Cause::UnknownRecipient,
        Cause::MailboxFull,
        Cause::TemporaryRefusal,
        Cause::Refused,
    ];
    let words: HashSet<_> = all.iter().map(|cause| cause.as_str()).collect();
    let explanations: HashSet<_> = all.iter().map(|cause| cause.explanation()).collect();
    assert_eq!((words.len(), explanations.len()), (all.len(), all.len()));
    for cause in all {
        assert!(!advice::advice(cause, &submission()).is_empty(), "{}", cause.as_str());
    }
}
