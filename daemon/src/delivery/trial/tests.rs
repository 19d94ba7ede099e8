//! Tests of accounts against servers that really behave so: which steps are told, and what is diagnosed.

use std::{num::NonZeroU16, sync::Arc};

use async_trait::async_trait;
use rustls::ServerConfig;

use super::*;
use crate::{
    delivery::desk,
    domain::{
        account::{
            Encryption, Host, InboundMarks, IncomingMailbox, MailboxProtocol, OAuth2SignIn, OauthGrant, OauthIssuer,
            PasswordMechanism, Server, SignIn, Stamp,
        },
        ids::Etag,
        mail::Mailbox,
        secret::Secret,
        time::Timestamp,
    },
    platform::{clock::VirtualClock, entropy::SeededEntropy},
    storage::memory::MemoryStore,
    wire::{
        certificates::{Authority, Valid},
        dial::{DialCause, DialError, DialPhase, Stream, TcpDialer},
        oauth::TokenClient,
        smtp::scripted::Scripted,
    },
};

const GREETED: &str = "S: 220 hi\nC: EHLO client.test\n";
const SIGNED_IN: &str = "S: 220 hi\nC: EHLO client.test\nS: 250-hi\nS: 250 AUTH PLAIN\n\
                         C: AUTH PLAIN AGFsaWNlAHNlY3JldA==\nS: 235 in\n";
const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn settings() -> AccountSettings {
    let from = Mailbox { name: None, address: "alice@lab.test".parse().expect("an address") };
    let host = "smtp.lab.test".parse().expect("a host");
    let mut settings =
        AccountSettings::new(from, Server::new(host, NonZeroU16::new(2_587).expect("not zero"), Encryption::None));
    settings.sign_in = SignIn::Password {
        user: "alice".to_owned(),
        password: Secret::new("secret".to_owned()),
        mechanism: PasswordMechanism::Auto,
        allow_plaintext: true,
    };
    settings
}

fn account(settings: AccountSettings) -> Arc<Account> {
    let by = Stamp { at: NOW, by: "tester".parse().expect("a caller") };
    let id = "alice".parse().expect("an id");
    Arc::new(Account { id, settings, etag: Etag(1), created: by.clone(), updated: by })
}

fn trial(settings: AccountSettings) -> Trial {
    Trial { settings, stored: None, server: TestedServer::Smtp, recipient: None }
}

/// Tests that dial so; nobody answers at the desk.
fn trials(dial: impl Dial + 'static) -> Trials {
    let clock: Arc<dyn Clock> = Arc::new(VirtualClock::starting_at(NOW));
    let tokens = TokenKeeper::new(MemoryStore::new(), Arc::new(TokenClient::default()), Arc::clone(&clock));
    Trials::new(Tools {
        dial: Arc::new(dial),
        tokens,
        desk: desk::open().0,
        clock,
        entropy: Arc::new(SeededEntropy::new(1)),
        host_name: "client.test".parse().expect("a name"),
    })
}

/// Each step's name, those that failed with a `!`, and the word of the diagnosis.
fn shown(report: &Report) -> (String, &'static str) {
    let steps = report.record.steps.iter().map(|step| {
        let mark = if step.succeeded { "" } else { "!" };
        format!("{mark}{}", step.name.as_str())
    });
    let word = report.diagnosis.as_ref().map_or("PASSED", |diagnosis| diagnosis.cause.as_str());
    (steps.collect::<Vec<_>>().join(" "), word)
}

async fn tested(settings: AccountSettings, server: Scripted) -> Report {
    trials(server).run(trial(settings)).await.expect("a report")
}

#[tokio::test(start_paused = true)]
async fn a_sign_in_that_works_is_told_step_by_step() {
    let report = tested(settings(), Scripted::new(&format!("{SIGNED_IN}C: QUIT\nS: 221 bye\n"))).await;
    assert_eq!(shown(&report), ("greeting hello sign-in quit".to_owned(), "PASSED"));
    let [greeting, hello, sign_in, quit] = &report.record.steps[..] else { panic!("four steps") };
    assert_eq!((greeting.sent.as_str(), greeting.reply.as_str()), ("", "220 hi"));
    assert_eq!((hello.sent.as_str(), hello.reply.as_str()), ("EHLO client.test", "250-hi\n250 AUTH PLAIN"));
    assert_eq!((sign_in.sent.as_str(), sign_in.reply.as_str()), ("AUTH PLAIN ***", "235 in"));
    assert_eq!((quit.sent.as_str(), quit.reply.as_str()), ("QUIT", "221 bye"));
    assert_eq!(report.record.capabilities, ["AUTH PLAIN"]);
}

#[track_caller]
fn check_shown(report: &Report, steps: &str, word: &str, script: &str) {
    let (found, cause) = shown(report);
    assert_eq!((found.as_str(), cause), (steps, word), "{script}: {report:?}");
}

#[tokio::test(start_paused = true)]
async fn refusals_before_a_mail_are_diagnosed() {
    let offers = |mechanisms: &str| format!("{GREETED}S: 250-hi\nS: 250 {mechanisms}\n");
    let refused = |reply: &str| format!("{}C: AUTH PLAIN AGFsaWNlAHNlY3JldA==\nS: {reply}\n", offers("AUTH PLAIN"));
    let rows = [
        ("S: 554 5.7.1 blocked\n".to_owned(), "!greeting", "SPAM_OR_POLICY"),
        ("S: SSH-2.0-OpenSSH_9.2\n".to_owned(), "!greeting", "NOT_A_MAIL_SERVER"),
        ("close".to_owned(), "!greeting", "CONNECTION_CLOSED"),
        ("hang".to_owned(), "!greeting", "SERVER_TIMEOUT"),
        (format!("{GREETED}hang"), "greeting !hello", "SERVER_TIMEOUT"),
        (refused("535 5.7.8 bad"), "greeting hello !sign-in", "WRONG_CREDENTIALS"),
        (refused("530 5.7.0 Must issue a STARTTLS command first"), "greeting hello !sign-in", "TLS_REQUIRED"),
        (refused("454 4.7.0 Temporary authentication failure"), "greeting hello !sign-in", "TEMPORARY_REFUSAL"),
        (offers("SIZE"), "greeting hello !sign-in", "SIGN_IN_NEEDS_TLS"),
        (offers("AUTH GSSAPI"), "greeting hello !sign-in", "MECHANISM_NOT_OFFERED"),
    ];
    for (script, steps, word) in rows {
        check_shown(&tested(settings(), Scripted::new(&script)).await, steps, word, &script);
    }
}

#[tokio::test(start_paused = true)]
async fn a_plain_connection_to_a_tls_port_is_diagnosed() {
    let server = || Scripted::new("starttls\n").with_tls(Authority::new().server("smtp.lab.test", Valid::Now));
    for (port, word) in [(465, "PLAIN_ON_TLS_PORT"), (2_587, "SERVER_TIMEOUT")] {
        let mut settings = settings();
        settings.server.port = NonZeroU16::new(port).expect("not zero");
        check_shown(&tested(settings, server()).await, "!greeting", word, "a server within TLS");
    }
}

fn encrypted(encryption: Encryption, authority: &Authority, is_trusted: bool) -> AccountSettings {
    let mut settings = settings();
    settings.server.encryption = encryption;
    settings.server.custom_ca_pem = is_trusted.then(|| authority.pem.clone());
    settings
}

#[tokio::test(start_paused = true)]
async fn failures_of_tls_are_diagnosed() {
    let authority = Authority::new();
    let within = |config: Arc<ServerConfig>| Scripted::new("starttls\n").with_tls(config);
    let rows = [
        (within(authority.server("smtp.lab.test", Valid::UntilLongAgo)), true, "CERTIFICATE_EXPIRED"),
        (within(authority.server("smtp.lab.test", Valid::InAHundredYears)), true, "CERTIFICATE_NOT_YET_VALID"),
        (within(authority.server("other.test", Valid::Now)), true, "CERTIFICATE_WRONG_NAME"),
        (within(authority.server("smtp.lab.test", Valid::Now)), false, "CERTIFICATE_UNKNOWN_ISSUER"),
        (Scripted::new("S: 220 smtp.lab.test ready\n"), true, "TLS_ON_PLAIN_PORT"),
    ];
    for (server, is_trusted, word) in rows {
        let report = tested(encrypted(Encryption::Tls, &authority, is_trusted), server).await;
        check_shown(&report, "!tls", word, word);
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_server_is_diagnosed_by_its_tls_version() {
    let authority = Authority::new();
    let config = authority.server_speaking("smtp.lab.test", &[&rustls::version::TLS12]);
    let mut settings = encrypted(Encryption::Tls, &authority, true);
    settings.server.tls.version_min = crate::domain::account::TlsVersion::V1_3;
    let report = tested(settings, Scripted::new("starttls\n").with_tls(config)).await;
    check_shown(&report, "!tls", "TLS_VERSION", "TLS 1.2 only");
}

#[tokio::test(start_paused = true)]
async fn starttls_is_told_in_its_steps_and_with_the_facts_of_the_connection() {
    let authority = Authority::new();
    let script = format!(
        "{GREETED}S: 250-hi\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nstarttls\nC: EHLO client.test\nS: 250-hi\n\
         S: 250 AUTH PLAIN\nC: AUTH PLAIN AGFsaWNlAHNlY3JldA==\nS: 235 in\nC: QUIT\nS: 221 bye\n"
    );
    let server = Scripted::new(&script).with_tls(authority.server("smtp.lab.test", Valid::Now));
    let report = tested(encrypted(Encryption::StartTls, &authority, true), server).await;
    check_shown(&report, "greeting hello starttls tls hello sign-in quit", "PASSED", &script);
    let facts = report.record.tls.expect("facts");
    assert_eq!((facts.version.as_str(), facts.names.iter().any(|name| name == "smtp.lab.test")), ("TLSv1.3", true));

    let script = format!("{GREETED}S: 250 hi\n");
    let report = tested(encrypted(Encryption::StartTls, &authority, true), Scripted::new(&script)).await;
    check_shown(&report, "greeting hello !starttls", "STARTTLS_NOT_OFFERED", &script);
}

/// Fails like the system.
#[derive(Debug)]
struct NoWay(DialPhase, std::io::ErrorKind);

#[async_trait]
impl Dial for NoWay {
    async fn dial(&self, _: &Host, _: NonZeroU16, _: Duration) -> Result<Box<dyn Stream>, DialError> {
        Err(DialError { phase: self.0, cause: DialCause::Io(self.1.into()) })
    }
}

#[tokio::test(start_paused = true)]
async fn what_keeps_a_connection_from_coming_about_is_diagnosed() {
    use std::io::ErrorKind;
    let rows = [
        (NoWay(DialPhase::Resolve, ErrorKind::Other), "!resolve", "NAME_NOT_FOUND"),
        (NoWay(DialPhase::Connect, ErrorKind::TimedOut), "!connect", "CONNECT_TIMEOUT"),
        (NoWay(DialPhase::Connect, ErrorKind::NetworkUnreachable), "!connect", "NETWORK_UNREACHABLE"),
    ];
    for (dial, steps, word) in rows {
        let report = trials(dial).run(trial(settings())).await.expect("a report");
        check_shown(&report, steps, word, word);
    }
}

#[tokio::test]
async fn a_port_on_which_nobody_listens_is_diagnosed() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let mut settings = settings();
    settings.server.host = "127.0.0.1".parse().expect("a host");
    settings.server.port = NonZeroU16::new(listener.local_addr().expect("bound").port()).expect("not zero");
    drop(listener);
    let report = trials(TcpDialer).run(trial(settings)).await.expect("a report");
    check_shown(&report, "resolve !connect", "CONNECTION_REFUSED", "a closed port");
    assert_eq!(report.record.steps[0].note, "127.0.0.1");
}

#[tokio::test(start_paused = true)]
async fn a_server_slower_than_a_test_may_be_is_given_up() {
    let mut settings = settings();
    settings.server.timeouts.greeting = Duration::from_secs(3_600);
    let report = tested(settings, Scripted::new("hang")).await;
    check_shown(&report, "!greeting", "SERVER_TIMEOUT", "a test of two minutes");
}

/// Tests with a worker that lends.
fn lending(dial: impl Dial + 'static) -> Trials {
    let (desk, mut asks) = desk::open();
    tokio::spawn(async move {
        while let Some(ask) = asks.next().await {
            if let desk::Request::Take { answer, .. } = ask.request {
                let (units, back) = desk::LentUnits::new();
                let _ = answer.send(Ok(units));
                let _ = back.await;
            }
        }
    });
    let trials = trials(dial);
    let tools = Tools { desk, ..trials.0.tools.clone() };
    Trials::new(tools)
}

fn with_mail(settings: AccountSettings) -> Trial {
    let recipient = Some("bob@lab.test".parse().expect("an address"));
    Trial { stored: Some(account(settings.clone())), recipient, ..trial(settings) }
}

#[tokio::test(start_paused = true)]
async fn a_test_mail_is_told_command_by_command() {
    let script = format!(
        "{SIGNED_IN}C: MAIL FROM:<alice@lab.test>\nS: 250 ok\nC: RCPT TO:<bob@lab.test>\nS: 250 2.1.5 ok\nC: DATA\n\
         S: 354 go\ncontent\nS: 250 2.0.0 taken\nC: QUIT\nS: 221 bye\n"
    );
    let report = lending(Scripted::new(&script)).run(with_mail(settings())).await.expect("a report");
    check_shown(&report, "greeting hello sign-in mail rcpt data end-of-data quit", "PASSED", &script);
    let rcpt = &report.record.steps[4];
    assert_eq!((rcpt.sent.as_str(), rcpt.reply.as_str()), ("RCPT TO:<bob@lab.test>", "250 2.1.5 ok"));
    assert!(report.record.steps[6].sent.ends_with("bytes of content)"), "{:?}", report.record.steps[6]);
}

#[tokio::test(start_paused = true)]
async fn refusals_of_a_test_mail_are_diagnosed() {
    let mail = |reply: &str| format!("{SIGNED_IN}C: MAIL FROM:<alice@lab.test>\nS: {reply}\n");
    let rcpt = |reply: &str| format!("{}C: RCPT TO:<bob@lab.test>\nS: {reply}\n", mail("250 ok"));
    let dot = |reply: &str| format!("{}C: DATA\nS: 354 go\ncontent\nS: {reply}\n", rcpt("250 ok"));
    let (at_mail, at_rcpt) = ("greeting hello sign-in !mail", "greeting hello sign-in mail !rcpt");
    let at_dot = "greeting hello sign-in mail rcpt data !end-of-data";
    let rows = [
        (mail("530 5.7.0 Authentication required"), at_mail, "SIGN_IN_REQUIRED"),
        (mail("553 5.7.1 Sender address rejected: not owned by user alice"), at_mail, "SENDER_NOT_OWNED"),
        (mail("552 5.3.4 Message size exceeds fixed limit"), at_mail, "MESSAGE_TOO_LARGE"),
        (rcpt("550 5.7.1 Unable to relay"), at_rcpt, "RELAY_NOT_PERMITTED"),
        (rcpt("554 5.7.1 Relay access denied"), at_rcpt, "RELAY_NOT_PERMITTED"),
        (rcpt("550 5.1.1 User unknown"), at_rcpt, "UNKNOWN_RECIPIENT"),
        (rcpt("552 5.2.2 over quota"), at_rcpt, "MAILBOX_FULL"),
        (dot("552 5.3.4 too big"), at_dot, "MESSAGE_TOO_LARGE"),
        (dot("554 5.7.1 rejected as spam"), at_dot, "SPAM_OR_POLICY"),
        (dot("550 5.4.5 Daily user sending limit exceeded"), at_dot, "QUOTA_EXCEEDED"),
    ];
    for (script, steps, word) in rows {
        let report = lending(Scripted::new(&script)).run(with_mail(settings())).await.expect("a report");
        check_shown(&report, steps, word, &script);
    }
}

#[tokio::test(start_paused = true)]
async fn a_test_mail_needs_a_stored_account_and_room_in_its_quotas() {
    let unsaved = Trial { stored: None, ..with_mail(settings()) };
    let trials = trials(Scripted::new(&format!("{SIGNED_IN}C: QUIT\nS: 221 bye\n")));
    assert!(matches!(trials.run(unsaved).await, Err(NotTested::NotStored)));
    assert!(matches!(trials.run(with_mail(settings())).await, Err(NotTested::Desk(DeskError::Unavailable))));
}

#[tokio::test(start_paused = true)]
async fn no_secret_is_told_by_any_mechanism() {
    let secrets = ["secret", "c2VjcmV0", "AGFsaWNlAHNlY3JldA=="];
    let greeted = |mechanism: &str| format!("{GREETED}S: 250-hi\nS: 250 AUTH {mechanism}\n");
    let rows = [
        format!("{}C: AUTH PLAIN AGFsaWNlAHNlY3JldA==\nS: 535 no AGFsaWNlAHNlY3JldA== nor secret\n", greeted("PLAIN")),
        format!(
            "{}C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: YWxpY2U=\nS: 334 UGFzc3dvcmQ6\nC: c2VjcmV0\nS: 535 not c2VjcmV0\n",
            greeted("LOGIN")
        ),
        format!("{}C: AUTH CRAM-MD5\nS: 334 PDFAYT4=\nclose\n", greeted("CRAM-MD5")),
    ];
    for script in rows {
        let report = tested(settings(), Scripted::new(&script)).await;
        let told = format!("{report:?}");
        assert!(report.diagnosis.is_some());
        assert!(secrets.iter().all(|secret| !told.contains(secret)), "{told}");
    }
}

fn with_mailbox(protocol: MailboxProtocol) -> Trial {
    let mut settings = settings();
    settings.mailbox = Some(IncomingMailbox {
        protocol,
        server: Server::new("mail.lab.test".parse().expect("a host"), settings.server.port, Encryption::None),
        sign_in: None,
        interval: Duration::from_secs(300),
        delete_after_fetch: false,
        all_folders: false,
        unseen_only: false,
        all_mail: false,
        archive_folder: None,
        message_bytes_max: 1 << 20,
        warn_messages: 10_000,
        errors_to: None,
        attachments_folder: None,
        keep_duplicates: false,
        no_idle: false,
        marks_to: InboundMarks::default(),
        marks_cc: InboundMarks::default(),
        marks_from: InboundMarks::default(),
    });
    Trial { server: TestedServer::Mailbox, ..trial(settings) }
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_is_looked_into_with_the_credentials_of_smtp() {
    let script = "S: +OK hi\nC: CAPA\nS: +OK\nS: USER\nS: .\nC: USER alice\nS: +OK\nC: PASS secret\nS: +OK in\nC: STAT\n\
                  S: +OK 3 1200\nC: QUIT\nS: +OK bye\n";
    let report = trials(Scripted::new(script)).run(with_mailbox(MailboxProtocol::Pop3)).await.expect("a report");
    assert_eq!((shown(&report).1, report.contents.messages), ("PASSED", 3));
    assert!(shown(&report).0.starts_with("greeting hello sign-in"), "{report:?}");
    assert!(!format!("{report:?}").contains("secret"), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn failures_of_a_mailbox_are_diagnosed() {
    let pop = |reply: &str| format!("S: +OK hi\nC: CAPA\nS: -ERR\nC: USER alice\nS: +OK\nC: PASS secret\nS: {reply}\n");
    let rows = [
        (MailboxProtocol::Pop3, pop("-ERR [AUTH] no"), "WRONG_CREDENTIALS"),
        (MailboxProtocol::Pop3, pop("-ERR [IN-USE] locked"), "TEMPORARY_REFUSAL"),
        (MailboxProtocol::Pop3, "hang".to_owned(), "SERVER_TIMEOUT"),
        (MailboxProtocol::Imap, "S: SSH-2.0-OpenSSH_9.2\n".to_owned(), "NOT_A_MAIL_SERVER"),
        (MailboxProtocol::Imap, "close".to_owned(), "CONNECTION_CLOSED"),
    ];
    for (protocol, script, word) in rows {
        let report = trials(Scripted::new(&script)).run(with_mailbox(protocol)).await.expect("a report");
        assert_eq!(shown(&report).1, word, "{script}: {report:?}");
        assert!(report.record.steps.last().is_some_and(|step| !step.succeeded), "{report:?}");
    }
    let none = Trial { server: TestedServer::Mailbox, ..trial(settings()) };
    assert!(matches!(trials(Scripted::new("")).run(none).await, Err(NotTested::NoMailbox)));
}

#[tokio::test(start_paused = true)]
async fn an_account_without_consent_is_diagnosed_before_anything_is_dialled() {
    let issuer = OauthIssuer {
        kind: crate::domain::account::IssuerKind::Google,
        client_id: "app".to_owned(),
        client_secret: None,
        scopes: Vec::new(),
    };
    let mut settings = settings();
    settings.sign_in = SignIn::OAuth2(Box::new(OAuth2SignIn {
        user: "alice@lab.test".to_owned(),
        mechanism: crate::domain::account::OauthMechanism::Auto,
        issuer,
        grant: OauthGrant::Consent,
        allow_plaintext: true,
    }));
    let report = tested(settings, Scripted::new("")).await;
    check_shown(&report, "!token", "GRANT_REVOKED", "no consent");
}

#[tokio::test(start_paused = true)]
async fn one_test_of_an_account_is_made_at_a_time_and_few_in_all() {
    let trials = trials(Scripted::new("hang"));
    let stored = || Trial { stored: Some(account(settings())), ..trial(settings()) };
    let first = tokio::spawn({
        let (trials, trial) = (trials.clone(), stored());
        async move { trials.run(trial).await.map(|_| ()) }
    });
    tokio::task::yield_now().await;
    assert!(matches!(trials.run(stored()).await, Err(NotTested::AlreadyUnderTest)));
    let _places = trials.0.places.acquire_many(15).await.expect("fifteen are left");
    assert!(matches!(trials.run(trial(settings())).await, Err(NotTested::TooMany)));
    assert!(first.await.expect("no panic").is_ok());
}
