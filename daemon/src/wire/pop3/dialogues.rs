//! How POP3 sessions come about or fail to, against scripted servers.

use std::{num::NonZeroU16, sync::Arc, time::Duration};

use super::*;
use crate::{
    domain::{
        account::{Timeouts, TlsOptions},
        secret::Secret,
    },
    wire::{
        certificates::{Authority, Valid},
        smtp::scripted::Scripted,
        steps::Recorder,
        tls::TlsClient,
    },
};

pub(super) const HELLO: &str = "S: +OK hi\nC: CAPA\nS: +OK\nS: STLS\nS: USER\nS: UIDL\nS: SASL PLAIN XOAUTH2\nS: .\n";
pub(super) const LOGIN: &str = "C: USER alice\nS: +OK\nC: PASS secret\n";
pub(super) const QUIT: &str = "QUIT\r\n";

pub(super) fn endpoint(encryption: Encryption, authority: Option<&str>) -> Endpoint {
    let [connect, greeting, command, data, end_of_data] = [1, 2, 3, 4, 5].map(Duration::from_secs);
    Endpoint {
        host: "pop.lab.test".parse().expect("a host"),
        port: NonZeroU16::new(110).expect("not zero"),
        encryption,
        tls: TlsClient::new(authority, &TlsOptions::default()).expect("a configuration"),
        proxy: None,
        timeouts: Timeouts { connect, greeting, command, data, end_of_data },
    }
}

pub(super) fn password(apop: bool, allow_plaintext: bool) -> MailboxAuth {
    let password = Secret::new("secret".to_owned());
    MailboxAuth::Password { user: "alice".to_owned(), password, apop, allow_plaintext }
}

fn token() -> MailboxAuth {
    MailboxAuth::Token { user: "alice".to_owned(), token: Secret::new("t0ken".to_owned()), allow_plaintext: true }
}

#[tokio::test(start_paused = true)]
async fn each_way_to_sign_in_opens_the_mailbox_and_leaves_no_secret_behind() {
    let xoauth2 = "C: AUTH XOAUTH2\nS: + \nC: dXNlcj1hbGljZQFhdXRoPUJlYXJlciB0MGtlbgEB\nS: +OK in\n";
    let plain =
        "S: +OK\nC: CAPA\nS: +OK\nS: SASL LOGIN PLAIN\nS: .\nC: AUTH PLAIN\nS: +\nC: AGFsaWNlAHNlY3JldA==\nS: +OK\n";
    // The digest is that of RFC 1939 7, whose password is not ours.
    let stamped = "S: +OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>\nC: CAPA\nS: -ERR what\n";
    let tanstaaf = MailboxAuth::Password {
        user: "mrose".to_owned(),
        password: Secret::new("tanstaaf".to_owned()),
        apop: true,
        allow_plaintext: false,
    };
    let rows = [
        (password(false, true), format!("{HELLO}{LOGIN}S: +OK in\n")),
        (password(false, true), format!("S: +OK\nC: CAPA\nS: -ERR what\n{LOGIN}S: +OK in\n")),
        (password(false, true), plain.to_owned()),
        (token(), format!("{HELLO}{xoauth2}")),
        (tanstaaf, format!("{stamped}C: APOP mrose c4c9334bac560ecc979e58001b3e22fb\nS: +OK maildrop\n")),
    ];
    for (auth, script) in rows {
        let server = Scripted::new(&format!("{script}C: STAT\nS: +OK 3 320\n"));
        let recorder = Recorder::default();
        let endpoint = endpoint(Encryption::None, None);
        let view = recorder.run(check(&endpoint, &auth, &server)).await.expect(&script);
        assert_eq!(view, MailboxView { messages: 3, ..MailboxView::default() });
        assert_eq!(server.finish().await.rest, QUIT);
        let record = recorder.record();
        assert!(record.steps.iter().all(|step| step.succeeded || step.name == StepName::Quit), "{record:?}");
        let shown = format!("{record:?}");
        for secret in ["secret", "t0ken", "tanstaaf", "c4c9", "dXNl", "AGFs"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_keeps_us_out_is_told_with_its_phase() {
    let open = password(false, true);
    let rows = [
        (&open, "S: -ERR [SYS/TEMP] busy\n".to_owned(), "greeting: the server replied -ERR [SYS/TEMP] busy", false),
        (&open, "S: 220 smtp\n".to_owned(), "greeting: what came is no POP3 reply: \"220 smtp\"", false),
        (&open, "hang".to_owned(), "greeting: no answer within 2 s", false),
        (&open, "close".to_owned(), "greeting: connection closed by the server", false),
        (&open, "S: +OK\nC: CAPA\nhang".to_owned(), "hello: no answer within 3 s", false),
        (
            &open,
            format!("S: +OK\nC: CAPA\nS: +OK {}\nhang", "x".repeat(9_000)),
            "hello: a reply of more than 8192 bytes",
            false,
        ),
        (
            &open,
            format!("{HELLO}{LOGIN}S: -ERR [AUTH] \"secret\" is wrong\n"),
            "sign-in: the server replied -ERR [AUTH] \"***\" is wrong",
            true,
        ),
        (
            &open,
            format!("{HELLO}{LOGIN}S: -ERR [IN-USE] locked\n"),
            "sign-in: the server replied -ERR [IN-USE] locked",
            false,
        ),
        (&password(true, true), HELLO.to_owned(), "sign-in: the server does not offer APOP", false),
        (
            &password(false, false),
            HELLO.to_owned(),
            "sign-in: the connection is not encrypted and the settings do not allow credentials to be sent in the clear",
            false,
        ),
        (
            &token(),
            format!(
                "{HELLO}C: AUTH XOAUTH2\nS: + \nC: dXNlcj1hbGljZQFhdXRoPUJlYXJlciB0MGtlbgEB\nS: + e30=\ntake 2\nS: -ERR no\n"
            ),
            "sign-in: the server replied -ERR no",
            true,
        ),
        (
            &token(),
            "S: +OK\nC: CAPA\nS: +OK\nS: SASL PLAIN\nS: .\n".to_owned(),
            "sign-in: the server does not offer XOAUTH2",
            false,
        ),
    ];
    for (auth, script, expected, refuses_credentials) in rows {
        let server = Scripted::new(&script);
        let failure = Pop3Session::open(&endpoint(Encryption::None, None), auth, &server).await.expect_err(&script);
        assert_eq!(failure.to_string(), expected);
        assert_eq!(failure.refuses_credentials(), refuses_credentials, "{expected}");
        assert!(!format!("{failure:?}").contains("secret"), "{failure:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_password_goes_by_plain_as_carefully_as_by_pass() {
    let hello = "S: +OK\nC: CAPA\nS: +OK\nS: SASL PLAIN\nS: .\n";
    let wrong = format!("{hello}C: AUTH PLAIN\nS: + \ntake 22\nS: -ERR [AUTH] AGFsaWNlAHNlY3JldA==\n");
    let rows = [
        (true, wrong.as_str(), "sign-in: the server replied -ERR [AUTH] ***"),
        (
            false,
            hello,
            "sign-in: the connection is not encrypted and the settings do not allow credentials to be sent in the clear",
        ),
    ];
    for (allow_plaintext, script, expected) in rows {
        let (server, auth) = (Scripted::new(script), password(false, allow_plaintext));
        let failure = Pop3Session::open(&endpoint(Encryption::None, None), &auth, &server).await.expect_err(script);
        assert_eq!(failure.to_string(), expected);
        assert_eq!(failure.refuses_credentials(), allow_plaintext);
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_cannot_smuggle_a_command_or_another_name() {
    let plain = "S: +OK\nC: CAPA\nS: +OK\nS: SASL PLAIN\nS: .\n";
    for (user, script) in [("alice\r\nDELE 1", HELLO), ("bob\0alice", plain)] {
        let password = Secret::new("secret".to_owned());
        let auth = MailboxAuth::Password { user: user.to_owned(), password, apop: false, allow_plaintext: true };
        let server = Scripted::new(script);
        let failure = Pop3Session::open(&endpoint(Encryption::None, None), &auth, &server).await.expect_err("refused");
        assert!(matches!(failure.cause, MailboxCause::BadCredentials));
        assert!(!server.writes().concat().contains("DELE") && !server.writes().concat().contains("AUTH"));
    }
}

#[tokio::test(start_paused = true)]
async fn sessions_are_encrypted_by_either_way() {
    let authority = Authority::new();
    let config = authority.server("pop.lab.test", Valid::Now);
    let inside = format!("C: CAPA\nS: +OK\nS: .\n{LOGIN}S: +OK in\n");
    let rows = [
        (Encryption::Tls, format!("starttls\nS: +OK hi\n{inside}")),
        (Encryption::StartTls, format!("{HELLO}C: STLS\nS: +OK go\nstarttls\n{inside}")),
    ];
    for (encryption, script) in rows {
        let server = Scripted::new(&script).with_tls(Arc::clone(&config));
        let endpoint = endpoint(encryption, Some(&authority.pem));
        let session = Pop3Session::open(&endpoint, &password(false, false), &server).await.expect(&script);
        session.quit().await;
        assert_eq!(server.finish().await.rest, QUIT);
    }
}

#[tokio::test(start_paused = true)]
async fn encryption_is_neither_downgraded_nor_tampered_with() {
    let rows = [
        ("S: +OK\nC: CAPA\nS: +OK\nS: .\n".to_owned(), "starttls: the server does not offer STLS"),
        (format!("{HELLO}C: STLS\nS: -ERR not now\n"), "starttls: the server replied -ERR not now"),
        (
            format!("{HELLO}C: STLS\nS~ +OK go\\r\\n+OK injected\\r\\n\n"),
            "starttls: plain text followed the reply to STLS: somebody may be tampering with the connection",
        ),
        (format!("{HELLO}C: STLS\nS: +OK go\nclose"), "tls: connection closed by the server"),
    ];
    for (script, expected) in rows {
        let server = Scripted::new(&script);
        let endpoint = endpoint(Encryption::StartTls, None);
        let failure = Pop3Session::open(&endpoint, &password(false, false), &server).await.expect_err(&script);
        assert_eq!(failure.to_string(), expected);
        assert!(!server.writes().concat().contains("USER"));
    }
}

#[test]
fn only_a_message_id_is_a_time_stamp() {
    assert_eq!(stamp("+OK <1.2@x> ready"), Some("<1.2@x>"));
    for none in ["+OK", "+OK <x>", "+OK <a b@x>", "+OK <é@x>", "+OK > <"] {
        assert_eq!(stamp(none), None, "{none}");
    }
}
