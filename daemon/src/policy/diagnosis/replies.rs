//! What does a server's refusal say about its cause?

use super::{Cause, SignInKind};
use crate::domain::{reply::Reply, verdict::Phase};

const BEFORE: &[Phase] = &[Phase::Greeting, Phase::Hello, Phase::Tls];
const SIGN_IN: &[Phase] = &[Phase::SignIn];
const ENVELOPE: &[Phase] = &[Phase::Mail, Phase::Rcpt];
const RECIPIENT: &[Phase] = &[Phase::Rcpt, Phase::Data, Phase::EndOfData];
const MAIL: &[Phase] = &[Phase::Mail, Phase::Rcpt, Phase::Data, Phase::EndOfData];
const ANY: &[Phase] = &[];

/// A row of the table. It holds for a reply in one of the phases, with one of the codes, and with one of the enhanced codes
/// or words; an empty list asks for nothing, two empty lists of the latter neither.
struct Row {
    phases: &'static [Phase],
    /// Codes, or their first digits.
    codes: &'static [u16],
    enhanced: &'static [&'static str],
    /// In small letters.
    words: &'static [&'static str],
    cause: Cause,
}

const fn row(
    phases: &'static [Phase],
    codes: &'static [u16],
    enhanced: &'static [&'static str],
    words: &'static [&'static str],
    cause: Cause,
) -> Row {
    Row { phases, codes, enhanced, words, cause }
}

/// The first row that holds decides.
const ROWS: &[Row] = &[
    // What can stand anywhere.
    row(
        ANY,
        &[5],
        &[],
        &[
            "must issue a starttls",
            "starttls first",
            "starttls command first",
            "encryption required",
            "tls is required",
            "requires tls",
            "tls required",
        ],
        Cause::TlsRequired,
    ),
    row(SIGN_IN, &[523, 538], &[], &[], Cause::TlsRequired),
    row(
        ANY,
        &[4, 5],
        &["5.7.501", "5.7.502", "5.7.503", "5.1.8", "5.1.90"],
        &[
            "account suspended",
            "account has been suspended",
            "account is suspended",
            "account locked",
            "account is locked",
            "account has been locked",
            "account has been disabled",
            "account disabled",
            "banned sender",
            "access denied, bad outbound sender",
        ],
        Cause::Suspended,
    ),
    row(
        ANY,
        &[4, 5],
        &[],
        &[
            "pop before smtp",
            "pop-before-smtp",
            "pop3 before smtp",
            "check for new mail first",
            "check your mail first",
            "popauth",
            "pop authentication",
        ],
        Cause::PopSignInLapsed,
    ),
    // Sign-in.
    row(
        SIGN_IN,
        &[5],
        &[],
        &[
            "smtpclientauthentication is disabled",
            "basic authentication is disabled",
            "authentication is disabled",
            "smtp auth is disabled",
            "access is disabled",
            "not enabled for",
        ],
        Cause::SignInDisabled,
    ),
    row(SIGN_IN, &[4], &[], &["too many", "rate limit", "throttl"], Cause::RateLimited),
    row(
        SIGN_IN,
        &[504],
        &[],
        &["unrecognized authentication type", "mechanism not supported", "unsupported authentication"],
        Cause::MechanismNotOffered,
    ),
    row(SIGN_IN, &[4], &[], &[], Cause::TemporaryRefusal),
    row(SIGN_IN, &[3, 5], &[], &[], Cause::WrongCredentials),
    // Before anything is asked.
    row(BEFORE, &[4], &[], &["too many", "rate", "throttl", "concurrent", "connection limit"], Cause::RateLimited),
    row(BEFORE, &[4], &[], &[], Cause::TemporaryRefusal),
    row(BEFORE, &[550, 553, 554], &[], &[], Cause::SpamOrPolicy),
    // Mail: whose, to whom.
    row(MAIL, &[530], &[], &[], Cause::SignInRequired),
    row(
        MAIL,
        &[5],
        &["5.7.57"],
        &[
            "authentication required",
            "authentication is required",
            "authenticate first",
            "not authenticated",
            "auth required",
            "need to authenticate",
            "must authenticate",
            "anonymous mail",
            "please login",
            "log in first",
        ],
        Cause::SignInRequired,
    ),
    row(
        MAIL,
        &[5],
        &["5.7.60"],
        &[
            "not owned by",
            "sendasdenied",
            "send as this sender",
            "send-as",
            "not allowed to send as",
            "sender is not allowed",
            "sender address does not",
            "address is not verified",
            "verified sender identity",
            "not authorized to send from",
            "not allowed to use this sender",
            "from address must",
        ],
        Cause::SenderNotOwned,
    ),
    row(ENVELOPE, &[553], &["5.7.1"], &[], Cause::SenderNotOwned),
    row(
        MAIL,
        &[4, 5],
        &["5.2.2", "4.2.2"],
        &["mailbox full", "mailbox is full", "mailbox exceeds", "user is over quota"],
        Cause::MailboxFull,
    ),
    row(
        MAIL,
        &[4, 5],
        &["5.3.4", "5.2.3", "4.3.4"],
        &[
            "message size",
            "message too large",
            "too big",
            "size limit",
            "maximum size",
            "fixed maximum",
            "exceeds size",
        ],
        Cause::MessageTooLarge,
    ),
    row(
        MAIL,
        &[4, 5],
        &["5.4.5", "4.2.1"],
        &[
            "sending quota",
            "daily user sending",
            "daily sending",
            "sending limit",
            "quota exceeded",
            "submissionquotaexceeded",
            "recipientratelimit",
            "exceeded the limit",
            "message limit",
            "maximum credits",
        ],
        Cause::QuotaExceeded,
    ),
    row(
        MAIL,
        &[4],
        &["4.7.0", "4.7.28", "4.3.2"],
        &["too many", "rate", "throttl", "slow down", "concurrent", "unusual rate", "[tss"],
        Cause::RateLimited,
    ),
    row(
        MAIL,
        &[5],
        &["5.7.54"],
        &["relay", "relaying", "not permitted to send to", "not a local"],
        Cause::RelayNotPermitted,
    ),
    row(MAIL, &[551], &[], &[], Cause::RelayNotPermitted),
    row(
        RECIPIENT,
        &[5],
        &["5.1.1", "5.1.0", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.4.4", "5.4.310"],
        &[
            "user unknown",
            "unknown user",
            "no such user",
            "no such recipient",
            "user not found",
            "recipient not found",
            "does not exist",
            "invalid recipient",
            "no mailbox",
            "unknown recipient",
            "domain not found",
        ],
        Cause::UnknownRecipient,
    ),
    row(
        MAIL,
        &[5],
        &["5.7.0", "5.7.1", "5.7.9", "5.7.23", "5.7.25", "5.7.26", "5.7.509", "5.6.0"],
        &[
            "spam",
            "policy",
            "blocked",
            "blacklist",
            "block list",
            "listed",
            "reputation",
            "virus",
            "unsolicited",
            "prohibited",
            "dmarc",
            "spf",
            "content reject",
            "rejected due to",
        ],
        Cause::SpamOrPolicy,
    ),
    row(MAIL, &[552], &[], &[], Cause::MessageTooLarge),
    row(MAIL, &[554], &[], &[], Cause::SpamOrPolicy),
    row(&[Phase::Rcpt], &[550], &[], &[], Cause::UnknownRecipient),
    row(ANY, &[4], &[], &[], Cause::TemporaryRefusal),
];

/// The likely cause of a refusal by SMTP.
pub(super) fn cause(phase: Phase, reply: &Reply, sign_in: SignInKind) -> Cause {
    let words = reply.text().to_lowercase();
    let enhanced = reply.enhanced().map(|code| code.to_string()).unwrap_or_default();
    let found = ROWS.iter().find(|row| row.holds(phase, reply.code(), &enhanced, &words));
    match found.map_or(Cause::Refused, |row| row.cause) {
        // Without the sign-in by POP3 the server takes us for a stranger.
        Cause::RelayNotPermitted | Cause::SignInRequired if sign_in == SignInKind::PopBeforeSmtp => {
            Cause::PopSignInLapsed
        }
        Cause::SpamOrPolicy if sign_in == SignInKind::PopBeforeSmtp && phase == Phase::Rcpt => Cause::PopSignInLapsed,
        cause => cause,
    }
}

/// The likely cause of a refusal by POP3 or IMAP.
pub(super) fn mailbox_cause(phase: Phase, words: &str) -> Cause {
    let words = words.to_lowercase();
    let says = |any: &[&str]| any.iter().any(|word| words.contains(word));
    if says(&[
        "[privacyrequired]",
        "starttls first",
        "stls first",
        "tls required",
        "tls is required",
        "disallowed on non-secure",
    ]) {
        Cause::TlsRequired
    } else if says(&["[in-use]", "[sys/temp]", "[unavailable]", "[login-delay]", "try again", "temporar"]) {
        Cause::TemporaryRefusal
    } else if says(&["too many", "rate limit", "throttl"]) {
        Cause::RateLimited
    } else if says(&["account suspended", "account locked", "account disabled"]) {
        Cause::Suspended
    } else if says(&["is disabled", "not enabled", "not allowed", "[contactadmin]"]) {
        Cause::SignInDisabled
    } else if phase == Phase::SignIn {
        Cause::WrongCredentials
    } else {
        Cause::Refused
    }
}

impl Row {
    fn holds(&self, phase: Phase, code: u16, enhanced: &str, words: &str) -> bool {
        let is_meant = (self.phases.is_empty() || self.phases.contains(&phase))
            && self.codes.iter().any(|one| *one == code || *one == code / 100);
        let asks_nothing_more = self.enhanced.is_empty() && self.words.is_empty();
        is_meant
            && (asks_nothing_more
                || self.enhanced.contains(&enhanced)
                || self.words.iter().any(|word| words.contains(word)))
    }
}
