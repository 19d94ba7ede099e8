//! What the built-in rules make of replies.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{
    provider::ProviderKind::{
        AmazonSes, Exchange, Generic, Gmail, GoogleWorkspace, ICloud, Microsoft365, Outlook, SendGrid, Yahoo,
    },
    verdict::{
        Blame, ParkCause,
        Phase::{Data, EndOfData, Greeting, Hello, Mail, Rcpt, SignIn, Tls},
        Verdict::{
            Accepted, InDoubt, ParkAccount, RejectMessage, RejectRecipient, RetryLater, RetryOnNewConnection,
            RetrySlower,
        },
    },
};

const QUOTA: Verdict = ParkAccount(ParkCause::Quota);
const SIGN_IN: Verdict = ParkAccount(ParkCause::SignIn);
const SUSPENDED: Verdict = ParkAccount(ParkCause::Suspended);

static RULES: LazyLock<Rules> = LazyLock::new(Rules::built_in);

fn ruling(provider: ProviderKind, phase: Phase, lines: &str) -> Ruling {
    RULES.classify(provider, phase, &Reply::from_lines(lines).expect(lines))
}

#[track_caller]
fn check(provider: ProviderKind, phase: Phase, lines: &str, verdict: Verdict, blame: Option<Blame>) {
    let got = ruling(provider, phase, lines);
    assert_eq!((got.verdict, got.blame), (verdict, blame), "{phase}: {lines} (rule {})", got.rule);
}

#[test]
fn the_built_in_table_has_no_mistake() {
    assert_eq!(Rules::parse(BUILT_IN).err(), None);
}

#[test]
fn positive_replies_are_accepted_where_they_may_stand() {
    check(Generic, Rcpt, "250 2.1.5 Ok", Accepted, None);
    check(Generic, SignIn, "235 2.7.0 Accepted", Accepted, None);
    check(Generic, SignIn, "334 VXNlcm5hbWU6", RetryLater, Some(Blame::Provider));
    check(Generic, Data, "354 go ahead", Accepted, None);
    check(Generic, Data, "250 2.0.0 Ok", RetryOnNewConnection, Some(Blame::Provider));
    check(Generic, EndOfData, "250 2.0.0 queued as 4F2", Accepted, None);
    check(Generic, EndOfData, "354 go on", InDoubt, Some(Blame::Provider));
    check(Generic, Mail, "354 what", RetryOnNewConnection, Some(Blame::Provider));
}

#[test]
fn a_spent_quota_parks_the_account_and_fails_no_mail() {
    let account = Some(Blame::Account);
    let gmail =
        "550-5.4.5 Daily user sending limit exceeded. For more information on Gmail\n550 5.4.5 sending limits - gsmtp";
    check(Gmail, EndOfData, gmail, QUOTA, account);
    check(GoogleWorkspace, Data, "550 5.4.5 Daily SMTP relay limit exceeded for customer", QUOTA, account);
    check(Generic, EndOfData, "550-5.4.5 Daily user sending\n550 5.4.5 limit exceeded", QUOTA, account);
    check(Generic, Rcpt, "550 5.4.5 <taro@example.jp>: quota exceeded, 500 messages", QUOTA, account);
    check(Generic, Mail, "450 4.2.1 <taro@example.jp>: sending limit exceeded, try again later", QUOTA, account);
    let store = "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; Failed to process message";
    check(Microsoft365, EndOfData, store, QUOTA, account);
    check(Microsoft365, Rcpt, "550 5.1.90 You have reached a limit", QUOTA, account);
    check(
        Outlook,
        EndOfData,
        "554 5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException",
        QUOTA,
        account,
    );
    check(AmazonSes, EndOfData, "454 Throttling failure: Daily message quota exceeded.", QUOTA, account);
    check(SendGrid, SignIn, "451 Authentication failed: Maximum credits exceeded", QUOTA, account);
    check(
        Generic,
        Rcpt,
        "550 Domain shop.example has exceeded the max emails per hour (100/100) allowed",
        QUOTA,
        account,
    );
    check(Generic, Mail, "452 4.3.1 Hourly sending quota exceeded", QUOTA, account);
    check(
        Yahoo,
        EndOfData,
        "554 5.7.9 Message not accepted: user has exceeded the daily sending limit",
        QUOTA,
        account,
    );
}

#[test]
fn rates_slow_the_account_down() {
    let account = Some(Blame::Account);
    check(
        Gmail,
        Rcpt,
        "450 4.2.1 The user you are trying to contact is receiving mail too quickly",
        RetrySlower,
        Some(Blame::Provider),
    );
    check(Generic, Rcpt, "452 4.2.1 slow down please", RetrySlower, Some(Blame::Provider));
    check(Generic, Rcpt, "450 4.2.1 <taro@example.jp>: rate limit", RetrySlower, Some(Blame::Provider));
    check(
        Gmail,
        Rcpt,
        "550 5.2.1 The user is receiving mail at a rate that prevents more",
        RetrySlower,
        Some(Blame::Provider),
    );
    check(Gmail, EndOfData, "421 4.7.0 unusual rate of unsolicited mail from your IP address", RetrySlower, account);
    check(Gmail, EndOfData, "421 4.7.28 unsolicited mail, rate limited", RetrySlower, account);
    check(
        Gmail,
        Mail,
        "421 4.7.0 Temporary System Problem. Try again later",
        RetryOnNewConnection,
        Some(Blame::Provider),
    );
    check(Gmail, Mail, "450 4.2.1 Peak SMTP relay limit exceeded for customer", QUOTA, account);
    check(Microsoft365, SignIn, "432 4.3.2 Concurrent connections limit exceeded", RetrySlower, account);
    check(
        Microsoft365,
        EndOfData,
        "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded",
        RetrySlower,
        account,
    );
    check(Microsoft365, Mail, "451 4.7.500 Server busy. Please try again later (AS6661)", RetrySlower, account);
    check(
        Exchange,
        Mail,
        "421 4.4.2 Message submission rate for this client has exceeded the limit",
        RetrySlower,
        account,
    );
    check(Yahoo, Mail, "421 4.7.0 [TSS04] Messages temporarily deferred due to user complaints", RetrySlower, account);
    check(Generic, Mail, "451 [TSS09] deferred", RetrySlower, account);
    check(Yahoo, Greeting, "421 4.7.0 deferred", RetrySlower, account);
    check(AmazonSes, EndOfData, "454 Throttling failure: Maximum sending rate exceeded.", RetrySlower, account);
    check(Generic, Greeting, "421 4.7.0 mx Error: too many connections from 192.0.2.1", RetrySlower, account);
}

#[test]
fn sign_in_refusals_need_a_person_and_outages_do_not() {
    let account = Some(Blame::Account);
    check(Gmail, SignIn, "535-5.7.8 Username and Password not accepted.\n535 5.7.8 learn more", SIGN_IN, account);
    check(Gmail, SignIn, "534 5.7.9 Application-specific password required", SIGN_IN, account);
    check(
        Microsoft365,
        SignIn,
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant",
        SIGN_IN,
        account,
    );
    check(Yahoo, SignIn, "535 5.7.0 (#AUTH005) Too many bad auth attempts.", SIGN_IN, account);
    check(Generic, SignIn, "504 5.5.4 Unrecognized authentication type", SIGN_IN, account);
    check(
        Generic,
        SignIn,
        "535 5.7.8 Error: authentication failed: Connection lost to authentication server",
        RetryLater,
        Some(Blame::Provider),
    );
    check(Gmail, SignIn, "454 4.7.0 Too many login attempts, please try again later", RetrySlower, account);
    check(Generic, SignIn, "454 4.7.0 Temporary authentication failure", RetryLater, Some(Blame::Provider));
    check(
        Gmail,
        SignIn,
        "454 4.7.0 Cannot authenticate due to temporary system problem",
        RetryLater,
        Some(Blame::Provider),
    );
    check(Generic, Mail, "530 5.7.0 Authentication Required", SIGN_IN, account);
    check(Generic, Mail, "530 5.7.0 Must issue a STARTTLS command first", SIGN_IN, account);
    check(Microsoft365, Mail, "530 5.7.57 Client not authenticated to send mail", SIGN_IN, account);
    check(Generic, Mail, "503 5.5.4 Error: send AUTH command first: authentication required", SIGN_IN, account);
    check(Generic, Tls, "454 4.7.0 TLS not available due to temporary reason", RetryLater, Some(Blame::Provider));
}

#[test]
fn suspended_accounts_wait_for_a_person() {
    let account = Some(Blame::Account);
    check(Outlook, Mail, "550 5.1.8 Access denied, bad outbound sender", SUSPENDED, account);
    check(Microsoft365, EndOfData, "550 5.7.501 Access denied, spam abuse detected", SUSPENDED, account);
    check(
        Outlook,
        EndOfData,
        "554 5.2.0 STOREDRV.Submission.Exception:OutboundSpamException; WASCL",
        SUSPENDED,
        account,
    );
    check(AmazonSes, EndOfData, "554 Sending paused for this account.", SUSPENDED, account);
    check(Generic, SignIn, "535 5.7.8 Your account has been suspended", SUSPENDED, account);
    check(Generic, SignIn, "525 5.7.13 user account disabled", SUSPENDED, account);
    check(
        Generic,
        Mail,
        "550 5.1.8 <a@nowhere.example>: Sender address rejected: Domain not found",
        RejectMessage,
        account,
    );
}

#[test]
fn dead_addresses_blame_the_recipient() {
    let recipient = Some(Blame::Recipient);
    for lines in [
        "550 5.1.1 <taro@example.jp>: Recipient address rejected: User unknown in virtual mailbox table",
        "550-5.1.1 The email account that you tried to reach does not exist.\n550 5.1.1 gsmtp",
        "550 sorry, no mailbox here by that name (#5.1.1 - chkusr)",
        "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found",
        "553 5.3.0 <taro@example.jp>... No such user here",
        "550 Requested action not taken: mailbox unavailable",
        "551 not our customer",
        "550 5.2.1 The email account that you tried to reach is disabled",
        "550 5.1.2 The domain does not exist",
        "550 unrouteable address",
        "554 delivery error: dd This user doesn't have an account",
        "550 no",
        "550 宛先のメールアドレスが存在しません",
    ] {
        check(Generic, Rcpt, lines, RejectRecipient, recipient);
    }
    check(Microsoft365, Rcpt, "550 5.4.1 Recipient address rejected: Access denied", RejectRecipient, recipient);
}

#[test]
fn full_mailboxes_are_refused_or_tried_again_as_the_server_says() {
    check(Generic, Rcpt, "552 5.2.2 Mailbox full", RejectRecipient, Some(Blame::Recipient));
    check(Generic, Rcpt, "552 Error: disk quota exceeded", RejectRecipient, Some(Blame::Recipient));
    check(Generic, Rcpt, "550 user is over quota", RejectRecipient, Some(Blame::Recipient));
    check(
        Gmail,
        Rcpt,
        "452 4.2.2 The email account that you tried to reach is over quota",
        RetryLater,
        Some(Blame::Recipient),
    );
}

#[test]
fn policy_and_reputation_never_blame_the_recipient() {
    let account = Some(Blame::Account);
    check(
        Gmail,
        EndOfData,
        "550 5.7.1 [192.0.2.1] Our system has detected that this message is likely unsolicited mail.",
        RejectMessage,
        Some(Blame::Message),
    );
    check(
        Generic,
        Rcpt,
        "550 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org",
        RejectMessage,
        account,
    );
    check(Generic, Rcpt, "550 5.7.1 poor reputation", RejectMessage, account);
    check(Generic, Rcpt, "550 5.7.1 Message refused", RejectRecipient, account);
    check(Generic, Rcpt, "550 Denied by policy", RejectRecipient, account);
    check(Generic, Rcpt, "550 5.1.1 Refused due to recipient preferences", RejectRecipient, account);
    check(Generic, Rcpt, "554 5.7.1 <x@y.jp>: Relay access denied", RejectMessage, account);
    check(Exchange, Rcpt, "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain", RejectMessage, account);
    check(Generic, Rcpt, "553 5.7.1 <x@y.jp>: Sender address rejected: not owned by user taro", RejectMessage, account);
    check(Generic, Mail, "553 5.7.1 <x@y.jp>: Sender address rejected: not owned by user taro", RejectMessage, account);
    check(
        Microsoft365,
        EndOfData,
        "554 5.2.252 SendAsDenied; taro@example.jp not allowed to send as jiro",
        RejectMessage,
        account,
    );
    check(AmazonSes, EndOfData, "554 Message rejected: Email address is not verified.", RejectMessage, account);
    check(
        SendGrid,
        EndOfData,
        "550 The from address does not match a verified Sender Identity.",
        RejectMessage,
        account,
    );
    check(
        Gmail,
        EndOfData,
        "550-5.7.26 This mail has been blocked because the sender is unauthenticated.\n550 5.7.26 SPF",
        RejectMessage,
        account,
    );
    check(
        Generic,
        Rcpt,
        "550 5.7.25 [192.0.2.25] The IP address sending this message does not have a PTR record",
        RejectMessage,
        account,
    );
    check(
        ICloud,
        EndOfData,
        "554 5.7.1 [HM08] Message rejected due to local policy",
        RejectMessage,
        Some(Blame::Message),
    );
}

#[test]
fn messages_that_do_not_fit_blame_the_message() {
    let message = Some(Blame::Message);
    check(Generic, Mail, "552 5.3.4 Message size exceeds fixed limit", RejectMessage, message);
    check(Gmail, EndOfData, "552 5.2.3 Your message exceeded our message size limits", RejectMessage, message);
    check(Generic, EndOfData, "552 too much", RejectMessage, message);
    check(Generic, EndOfData, "552 5.2.2 mailbox full", RejectMessage, Some(Blame::Provider));
    check(Generic, EndOfData, "554 5.6.0 bad MIME", RejectMessage, message);
    check(
        Gmail,
        EndOfData,
        "552 5.7.0 This message was blocked because its content presents a potential security issue",
        RejectMessage,
        message,
    );
    check(Generic, EndOfData, "554 5.4.6 Hop count exceeded - possible mail loop", RejectMessage, message);
    check(Generic, EndOfData, "554 Transaction failed", RejectMessage, message);
}

#[test]
fn general_rules_follow_phase_and_class() {
    let provider = Some(Blame::Provider);
    check(Generic, Rcpt, "450 4.7.1 Greylisted", RetryLater, provider);
    check(Generic, Rcpt, "452 4.5.3 Too many recipients", RetryLater, provider);
    check(Generic, Rcpt, "552 too many recipients", RetryLater, provider);
    check(Generic, Rcpt, "554 no", RejectRecipient, provider);
    check(Generic, Rcpt, "550 connection to mx.example.jp timed out", RejectRecipient, provider);
    check(Generic, Rcpt, "451 4.3.0 local problem", RetryLater, provider);
    check(Generic, EndOfData, "451 4.3.0 queue file write error", RetryLater, provider);
    check(Generic, Greeting, "554 no SMTP service here", RetryLater, provider);
    check(Generic, Hello, "502 5.5.2 what", RetryLater, provider);
    check(Generic, Mail, "503 5.5.1 nested MAIL", RetryOnNewConnection, Some(Blame::Us));
    check(Generic, EndOfData, "554 Service currently unavailable", RetryLater, provider);
    for phase in Phase::ALL {
        check(Generic, phase, "421 mx.example.jp closing", RetryOnNewConnection, provider);
    }
}

#[test]
fn asked_waits_are_kept() {
    let wait = |lines| ruling(Generic, Rcpt, lines).wait;
    assert_eq!(wait("450 4.7.1 Greylisted, try again in 300 seconds"), Some(Duration::from_secs(300)));
    assert_eq!(wait("421 4.7.0 too many messages, retry after 5 minutes"), Some(Duration::from_secs(300)));
    assert_eq!(wait("450-4.7.1 Greylisted, try again\n450 4.7.1 in 60 seconds"), Some(Duration::from_secs(60)));
    assert_eq!(wait("450 4.7.1 Greylisted"), None);
    assert_eq!(wait("550 5.1.1 unknown, try again in 60 seconds"), None);
    let rule_wait = ruling(Microsoft365, Mail, "432 4.3.2 Concurrent connections limit exceeded").wait;
    assert_eq!(rule_wait, Some(Duration::from_secs(60)));
}

#[test]
fn every_code_in_every_phase_has_a_ruling_that_fits_the_phase() {
    for phase in Phase::ALL {
        for code in 200..600 {
            let got = ruling(Generic, phase, &format!("{code} x"));
            assert_eq!(got.blame.is_none(), got.verdict == Accepted, "{phase} {code}");
            if code >= 400 {
                assert_ne!(got.verdict, Accepted, "{phase} {code}");
            }
            if phase.is_before_mail() {
                assert!(!matches!(got.verdict, RejectMessage | RejectRecipient), "{phase} {code}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_reply_is_too_odd_to_be_classified(
        code in 200_u16..600,
        text in "(?s)[ -].{0,200}|\\PC{0,100}|(-[45]\\.[0-9]{1,4}\\.[0-9]{1,4} .{0,20}\n){0,4}",
        phase in 0..Phase::ALL.len(),
    ) {
        let reply = Reply::from_lines(&format!("{code}{text}")).expect("has a code");
        let got = RULES.classify(Gmail, Phase::ALL[phase], &reply);
        prop_assert!(got.wait.is_none_or(|wait| wait <= hint::WAIT_MAX));
    }
}
