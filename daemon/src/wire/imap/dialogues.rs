//! How IMAP sessions come about or fail to, against scripted servers.

use std::{num::NonZeroU16, sync::Arc};

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

pub(super) const HELLO: &str =
    "S: * OK hi\nC: H1 CAPABILITY\nS: * CAPABILITY IMAP4rev1 STARTTLS AUTH=XOAUTH2\nS: H1 OK done\n";
pub(super) const LOGIN: &str = "C: A0001 LOGIN \"alice\" \"secret\"\n";
const LOOK: &str = "C: A0002 LIST \"\" \"*\"\nS: * LIST (\\HasNoChildren) \".\" INBOX\nS: * LIST () \".\" {5}\nS: a b c\n\
    S: A0002 OK done\nC: A0003 STATUS \"INBOX\" (MESSAGES)\nS: * STATUS INBOX (MESSAGES 7)\nS: A0003 OK done\n\
    C: A0004 LOGOUT\nS: * BYE\nS: A0004 OK bye\n";

pub(super) fn endpoint(encryption: Encryption, authority: Option<&str>) -> Endpoint {
    let [connect, greeting, command, data, end_of_data] = [1, 2, 3, 4, 5].map(Duration::from_secs);
    Endpoint {
        host: "imap.lab.test".parse().expect("a host"),
        port: NonZeroU16::new(143).expect("not zero"),
        encryption,
        tls: TlsClient::new(authority, &TlsOptions::default()).expect("a configuration"),
        proxy: None,
        timeouts: Timeouts { connect, greeting, command, data, end_of_data },
    }
}

pub(super) fn password(allow_plaintext: bool) -> MailboxAuth {
    let password = Secret::new("secret".to_owned());
    MailboxAuth::Password { user: "alice".to_owned(), password, apop: false, allow_plaintext }
}

fn token() -> MailboxAuth {
    MailboxAuth::Token { user: "alice".to_owned(), token: Secret::new("t0ken".to_owned()), allow_plaintext: true }
}

#[tokio::test(start_paused = true)]
async fn each_way_to_sign_in_shows_the_folders_and_leaves_no_secret_behind() {
    let xoauth2 = "C: A0001 AUTHENTICATE XOAUTH2\nS: + \nC: dXNlcj1hbGljZQFhdXRoPUJlYXJlciB0MGtlbgEB\nS: A0001 OK in\n";
    let rows = [
        (password(true), format!("{HELLO}{LOGIN}S: A0001 OK in\n{LOOK}")),
        (token(), format!("{HELLO}{xoauth2}{LOOK}")),
    ];
    for (auth, script) in rows {
        let server = Scripted::new(&script);
        let recorder = Recorder::default();
        let endpoint = endpoint(Encryption::None, None);
        let view = recorder.run(check(&endpoint, &auth, &server)).await.expect(&script);
        server.finish().await;
        assert_eq!(view, MailboxView { folders: vec!["INBOX".to_owned(), "a b c".to_owned()], messages: 7 });
        let record = recorder.record();
        assert!(record.steps.iter().all(|step| step.succeeded), "{record:?}");
        let shown = format!("{record:?}");
        assert!(!shown.contains("secret") && !shown.contains("t0ken") && !shown.contains("dXNl"), "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_keeps_us_out_is_told_with_its_phase() {
    let open = password(true);
    let rows = [
        (&open, "S: * BYE busy\n".to_owned(), "greeting: the server replied * BYE busy", false),
        (&open, "S: 220 smtp\n".to_owned(), "greeting: what came is no IMAP reply: \"220 smtp\"", false),
        (&open, "hang".to_owned(), "greeting: no answer within 2 s", false),
        (
            &open,
            format!("{HELLO}{LOGIN}S: A0001 NO [AUTHENTICATIONFAILED] secret is wrong\n"),
            "sign-in: the server replied A0001 NO [AUTHENTICATIONFAILED] *** is wrong",
            true,
        ),
        (
            &open,
            format!("{HELLO}{LOGIN}S: A0001 NO [UNAVAILABLE] later\n"),
            "sign-in: the server replied A0001 NO [UNAVAILABLE] later",
            false,
        ),
        (&open, format!("{HELLO}{LOGIN}close"), "sign-in: connection closed by the server", false),
        (&open, format!("{HELLO}{LOGIN}hang"), "sign-in: no answer within 3 s", false),
        (
            &password(false),
            HELLO.to_owned(),
            "sign-in: the connection is not encrypted and the settings do not allow credentials to be sent in the clear",
            false,
        ),
        (
            &open,
            "S: * OK\nC: H1 CAPABILITY\nS: * CAPABILITY LOGINDISABLED\nS: H1 OK\n".to_owned(),
            "sign-in: the server does not offer LOGIN",
            false,
        ),
        (
            &token(),
            format!(
                "{HELLO}C: A0001 AUTHENTICATE XOAUTH2\nS: + \nC: dXNlcj1hbGljZQFhdXRoPUJlYXJlciB0MGtlbgEB\nS: + e30=\ntake 2\nS: A0001 NO no\n"
            ),
            "sign-in: the server replied A0001 NO no",
            true,
        ),
    ];
    for (auth, script, expected, refuses_credentials) in rows {
        let server = Scripted::new(&script);
        let failure = ImapSession::open(&endpoint(Encryption::None, None), auth, &server).await.expect_err(&script);
        assert_eq!(failure.to_string(), expected);
        assert_eq!(failure.refuses_credentials(), refuses_credentials, "{expected}");
        assert!(!format!("{failure:?}").contains("secret"), "{failure:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn sessions_are_encrypted_by_either_way() {
    let authority = Authority::new();
    let config = authority.server("imap.lab.test", Valid::Now);
    let inside = format!("{LOGIN}S: A0001 OK in\n{LOOK}");
    let rows = [
        (
            Encryption::Tls,
            format!("starttls\nS: * OK hi\nC: H1 CAPABILITY\nS: * CAPABILITY IMAP4rev1\nS: H1 OK\n{inside}"),
        ),
        (
            Encryption::StartTls,
            format!(
                "{HELLO}C: H2 STARTTLS\nS: H2 OK go\nstarttls\nC: H3 CAPABILITY\nS: * CAPABILITY IMAP4rev1\nS: H3 OK\n{inside}"
            ),
        ),
    ];
    for (encryption, script) in rows {
        let server = Scripted::new(&script).with_tls(Arc::clone(&config));
        let endpoint = endpoint(encryption, Some(&authority.pem));
        assert!(check(&endpoint, &password(false), &server).await.is_ok(), "{script}");
    }
}

#[tokio::test(start_paused = true)]
async fn encryption_is_neither_downgraded_nor_tampered_with() {
    let rows = [
        (
            "S: * OK\nC: H1 CAPABILITY\nS: * CAPABILITY IMAP4rev1\nS: H1 OK\n".to_owned(),
            "starttls: the server does not offer STARTTLS",
        ),
        (format!("{HELLO}C: H2 STARTTLS\nS: H2 NO not now\n"), "starttls: the server replied H2 NO not now"),
        (
            format!("{HELLO}C: H2 STARTTLS\nS~ H2 OK go\\r\\n* OK injected\\r\\n\n"),
            "starttls: plain text followed the reply to STARTTLS: somebody may be tampering with the connection",
        ),
    ];
    for (script, expected) in rows {
        let server = Scripted::new(&script);
        let endpoint = endpoint(Encryption::StartTls, None);
        let failure = check(&endpoint, &password(false), &server).await.expect_err(&script);
        assert_eq!(failure.to_string(), expected);
        assert!(!server.writes().concat().contains("LOGIN"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_ends_is_left() {
    let flood = format!("S: * LIST () \".\" {}\n", "x".repeat(1_000)).repeat(4_300);
    let script = format!("{HELLO}{LOGIN}S: A0001 OK in\nC: A0002 LIST \"\" \"*\"\n{flood}hang");
    let failure = check(&endpoint(Encryption::None, None), &password(true), &Scripted::new(&script)).await;
    let failure = failure.expect_err("too much").to_string();
    assert_eq!(failure, "folders: the server said more than 4194304 bytes");
}
