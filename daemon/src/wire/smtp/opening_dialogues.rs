//! How sessions come about or fail to, against scripted servers.

use std::sync::Arc;

use rustls::ServerConfig;

use super::{
    failure::{Obstacle, ObstacleCause},
    opening::Provider,
    scripted::{Scripted, provider},
    session::Session,
    sign_in::Credentials,
};
use crate::{
    domain::{
        account::{Encryption, PasswordMechanism, TlsOptions},
        secret::Secret,
        verdict::Phase,
    },
    wire::{
        certificates::{Authority, Valid},
        tls::{TlsClient, TlsFault},
    },
};

const HELLO: &str = "S: 220 hi\nC: EHLO client.test\n";
const PLAIN: &str = "C: AUTH PLAIN AGFsaWNlAHNlY3JldA==\n";
/// What follows when the server ignores the response that comes with AUTH.
const PLAIN_AGAIN: &str = "C: AGFsaWNlAHNlY3JldA==\n";
const QUIT: &str = "QUIT\r\n";

fn signing_in(mechanism: PasswordMechanism) -> Provider {
    let password = Secret::new("secret".to_owned());
    let sign_in = Credentials::Password { user: "alice".to_owned(), password, mechanism, allow_plaintext: true };
    Provider { sign_in, ..provider() }
}

async fn refused(provider: &Provider, script: &str) -> (Obstacle, String) {
    let server = Scripted::new(script);
    let obstacle = Session::open(provider, &server).await.expect_err(script);
    (obstacle, server.finish().await.rest)
}

#[tokio::test(start_paused = true)]
async fn each_refusal_before_mail_is_told_with_its_phase_and_followed_by_quit() {
    let (open, login) = (provider(), signing_in(PasswordMechanism::Auto));
    let rows = [
        (&open, "S: 554 5.7.1 blocked\n".to_owned(), Phase::Greeting, "the server replied 554 5.7.1 blocked"),
        (&open, "S: 421 busy\n".to_owned(), Phase::Greeting, "the server replied 421 busy"),
        (&open, format!("{HELLO}S: 421 busy\n"), Phase::Hello, "the server replied 421 busy"),
        (
            &open,
            format!("{HELLO}S: 502 what\nC: HELO client.test\nS: 550 no\n"),
            Phase::Hello,
            "the server replied 550 no",
        ),
        (&login, format!("{HELLO}S: 502 what\n"), Phase::Hello, "the server replied 502 what"),
        (
            &login,
            format!("{HELLO}S: 250 hi\n"),
            Phase::SignIn,
            "the server does not offer the sign-in mechanism; it offers: none",
        ),
        (
            &login,
            format!("{HELLO}S: 250-hi\nS: 250 AUTH GSSAPI xoauth2\n"),
            Phase::SignIn,
            "the server does not offer the sign-in mechanism; it offers: GSSAPI, XOAUTH2",
        ),
        (
            &login,
            format!("{HELLO}S: 250-hi\nS: 250 AUTH PLAIN\n{PLAIN}S: 535-5.7.8 Bad\nS: 535 5.7.8 words\n"),
            Phase::SignIn,
            "the server replied 535-5.7.8 Bad / 535 5.7.8 words",
        ),
        (
            &login,
            format!(
                "{HELLO}S: 250-hi\nS: 250 AUTH=LOGIN\nC: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: YWxpY2U=\nS: 334 UGFzc3dvcmQ6\nC: c2VjcmV0\nS: 535 no\n"
            ),
            Phase::SignIn,
            "the server replied 535 no",
        ),
        (
            &login,
            format!("{HELLO}S: 250-hi\nS: 250 AUTH PLAIN\n{PLAIN}S: 334\n{PLAIN_AGAIN}S: 334 what\n"),
            Phase::SignIn,
            "the server replied 334 what",
        ),
    ];
    for (provider, script, phase, cause) in rows {
        let (obstacle, rest) = refused(provider, &script).await;
        assert_eq!((obstacle.phase, obstacle.cause.to_string().as_str()), (phase, cause));
        assert_eq!(rest, QUIT, "{script}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_breaks_before_mail_is_told_with_its_phase() {
    let (open, login) = (provider(), signing_in(PasswordMechanism::Auto));
    let rows = [
        (&open, "close".to_owned(), Phase::Greeting, "connection closed by the server"),
        (&open, "hang".to_owned(), Phase::Greeting, "no answer within 2 s"),
        (
            &open,
            "S: SSH-2.0-OpenSSH_9.2\n".to_owned(),
            Phase::Greeting,
            "the server does not speak SMTP; it said \"SSH-2.0-OpenSSH_9.2\"",
        ),
        (&open, format!("S: 220 {}\n", "x".repeat(100_000)), Phase::Greeting, "a reply of more than 65536 bytes"),
        (&open, format!("{HELLO}close"), Phase::Hello, "connection closed by the server"),
        (&open, format!("{HELLO}S~ 250-hi\nhang"), Phase::Hello, "no answer within 3 s"),
        (
            &open,
            "S~ 220 hi\\r\\n250 too early\\r\\n\nhang".to_owned(),
            Phase::Hello,
            "the server sent a reply to no command: \"250 too early\\r\\n\"",
        ),
        (
            &login,
            format!("{HELLO}S: 250-hi\nS: 250 AUTH PLAIN\n{PLAIN}close"),
            Phase::SignIn,
            "connection closed by the server",
        ),
        (&login, format!("{HELLO}S: 250-hi\nS: 250 AUTH PLAIN\n{PLAIN}hang"), Phase::SignIn, "no answer within 3 s"),
        (
            &login,
            format!("{HELLO}S: 250-hi\nS: 250 AUTH LOGIN\nC: AUTH LOGIN\nS: 334\nC: YWxpY2U=\nclose"),
            Phase::SignIn,
            "connection closed by the server",
        ),
    ];
    for (provider, script, phase, cause) in rows {
        let server = Scripted::new(&script);
        let obstacle = Session::open(provider, &server).await.expect_err(&script);
        assert_eq!((obstacle.phase, obstacle.cause.to_string().as_str()), (phase, cause));
        assert_eq!(obstacle.transcript.lines().last(), Some(format!("*: {}", last_words(cause)).as_str()));
    }
}

/// What the transcript says of a cause.
fn last_words(cause: &str) -> String {
    cause.replace("the server does not speak SMTP; it said", "what came is no SMTP reply:")
}

#[tokio::test(start_paused = true)]
async fn sign_ins_succeed_and_leave_no_secret_behind() {
    let rows = [
        (PasswordMechanism::Auto, "AUTH login PLAIN", format!("{PLAIN}S: 235 2.7.0 in\n"), "C: AUTH PLAIN ***\n"),
        (PasswordMechanism::Plain, "auth PLAIN", format!("{PLAIN}S: 235\n"), "C: AUTH PLAIN ***\n"),
        (
            PasswordMechanism::Plain,
            "AUTH PLAIN",
            format!("{PLAIN}S: 334\n{PLAIN_AGAIN}S: 235 in\n"),
            "C: AUTH PLAIN ***\nS: 334\nC: ***\nS: 235 in\n",
        ),
        (
            PasswordMechanism::Auto,
            "AUTH=LOGIN",
            "C: AUTH LOGIN\nS: 334\nC: YWxpY2U=\nS: 334 d2hhdD8=\nC: c2VjcmV0\nS: 235 in\n".to_owned(),
            "C: AUTH LOGIN\nS: 334\nC: ***\nS: 334 d2hhdD8=\nC: ***\n",
        ),
        (
            PasswordMechanism::Login,
            "AUTH PLAIN LOGIN",
            "C: AUTH LOGIN\nS: 334 dXNlcm5hbWU6\nC: YWxpY2U=\nS: 334 UGFzc3dvcmQ6\nC: c2VjcmV0\nS: 235 in\n".to_owned(),
            "C: ***\n",
        ),
    ];
    for (mechanism, offer, sign_in, kept) in rows {
        let script = format!("{HELLO}S: 250-hi\nS: 250 {offer}\n{sign_in}C: RSET\nS: 250 ok");
        let server = Scripted::new(&script);
        let mut session = Session::open(&signing_in(mechanism), &server).await.expect(&script);
        session.reset().await.expect("still in step");
        let transcript = session.transcript();
        assert!(transcript.contains(kept), "{transcript}");
        assert!(!transcript.contains("c2Vj") && !transcript.contains("AGFs"), "{transcript}");
        assert!(!format!("{session:?}").contains("secret"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_password_that_the_server_repeats_is_shown_nowhere() {
    let offer = format!("{HELLO}S: 250-hi\nS: 250 AUTH PLAIN\n{PLAIN}");
    let login = signing_in(PasswordMechanism::Auto);
    for answer in ["S: 535 \"secret\" is wrong\n", "S: what is secret\n"] {
        let (obstacle, _) = refused(&login, &format!("{offer}{answer}")).await;
        assert!(obstacle.cause.to_string().contains("***"), "{obstacle}");
        assert!(!format!("{obstacle:?}").contains("secret"), "{obstacle:?}");
    }
    let server = Scripted::new(&format!("{offer}S~ 235 in\\r\\n250 secret\\r\\n\nhang"));
    let mut session = Session::open(&login, &server).await.expect("signed in");
    let broken = session.reset().await.expect_err("unasked");
    assert!(broken.to_string().contains("to no command: \"250 ***"), "{broken}");
    assert!(!session.transcript().contains("secret"), "{}", session.transcript());
}

#[tokio::test(start_paused = true)]
async fn a_password_never_crosses_a_clear_connection_unless_allowed() {
    let mut provider = signing_in(PasswordMechanism::Auto);
    if let Credentials::Password { allow_plaintext, .. } = &mut provider.sign_in {
        *allow_plaintext = false;
    }
    let (obstacle, rest) = refused(&provider, &format!("{HELLO}S: 250-hi\nS: 250 AUTH PLAIN\n")).await;
    assert!(matches!(obstacle.cause, ObstacleCause::PlaintextSignIn));
    assert_eq!(rest, QUIT);
}

#[tokio::test(start_paused = true)]
async fn helo_is_enough_where_nothing_is_needed() {
    let script = format!("{HELLO}S: 502 5.5.1 what\nC: HELO client.test\nS: 250 hi\nC: RSET\nS: 250 ok\n");
    let mut session = Session::open(&provider(), &Scripted::new(&script)).await.expect("a session");
    session.reset().await.expect("in step");
    assert_eq!(session.offers(), &super::Offers::default());
}

/// An authority, as PEM, and a server with a certificate of it.
fn certificate(name: &str, valid: Valid) -> (String, Arc<ServerConfig>) {
    let authority = Authority::new();
    let config = authority.server(name, valid);
    (authority.pem, config)
}

fn trusting(encryption: Encryption, authority: Option<&str>) -> Provider {
    let mut provider = signing_in(PasswordMechanism::Plain);
    if let Credentials::Password { allow_plaintext, .. } = &mut provider.sign_in {
        *allow_plaintext = false;
    }
    let tls = TlsClient::new(authority, &TlsOptions::default()).expect("a configuration");
    Provider { encryption, tls, ..provider }
}

const INSIDE: &str = "C: EHLO client.test\nS: 250-hi\nS: 250-PIPELINING\nS: 250 AUTH PLAIN\n";

#[tokio::test(start_paused = true)]
async fn encrypted_sessions_open_by_either_way_and_by_name_or_address() {
    for host in ["smtp.lab.test", "127.0.0.1"] {
        let (authority, config) = certificate(host, Valid::Now);
        let rows = [
            (Encryption::Tls, format!("starttls\nS: 220 hi\n{INSIDE}{PLAIN}S: 235 in\n")),
            (
                Encryption::StartTls,
                format!(
                    "{HELLO}S: 250-hi\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nstarttls\n{INSIDE}{PLAIN}S: 235 in\n"
                ),
            ),
        ];
        for (encryption, script) in rows {
            let server = Scripted::new(&script).with_tls(Arc::clone(&config));
            let provider = Provider { host: host.parse().expect(host), ..trusting(encryption, Some(&authority)) };
            let session = Session::open(&provider, &server).await.expect(&script);
            assert!(session.offers().pipelining, "offers are those made inside TLS");
            session.quit().await;
            assert_eq!(server.finish().await.rest, QUIT);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn bad_certificates_are_named() {
    let rows = [
        (
            certificate("smtp.lab.test", Valid::UntilLongAgo),
            true,
            TlsFault::Expired,
            "the server's certificate has expired",
        ),
        (
            certificate("other.test", Valid::Now),
            true,
            TlsFault::WrongName,
            "the server's certificate is not for smtp.lab.test",
        ),
        (
            certificate("smtp.lab.test", Valid::Now),
            false,
            TlsFault::UnknownIssuer,
            "the server's certificate is signed by an authority that is not trusted",
        ),
    ];
    for ((authority, config), is_trusted, word, expected) in rows {
        let server = Scripted::new("starttls\n").with_tls(config);
        let provider = trusting(Encryption::Tls, is_trusted.then_some(authority.as_str()));
        let obstacle = Session::open(&provider, &server).await.expect_err(expected);
        assert_eq!(obstacle.phase, Phase::Tls);
        let cause = obstacle.cause.to_string();
        assert!(matches!(obstacle.cause, ObstacleCause::Tls { kind, .. } if kind == word), "{cause}");
        assert!(cause.starts_with(expected), "{cause}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_goes_wrong_around_tls_is_told() {
    let offer = format!("{HELLO}S: 250-hi\nS: 250 STARTTLS\nC: STARTTLS\n");
    let rows = [
        (Encryption::StartTls, format!("{HELLO}S: 250-hi\nS: 250 AUTH PLAIN\n"), "the server does not offer STARTTLS"),
        (Encryption::StartTls, format!("{offer}S: 454 4.7.0 not now\n"), "the server replied 454 4.7.0 not now"),
        (
            Encryption::StartTls,
            format!("{offer}S~ 220 go\\r\\n250 injected\\r\\n\n"),
            "plain text followed the reply to STARTTLS: somebody may be tampering with the connection",
        ),
        (
            Encryption::StartTls,
            format!("{offer}S~ 220 go\\r\\n2\n"),
            "plain text followed the reply to STARTTLS: somebody may be tampering with the connection",
        ),
        (Encryption::StartTls, format!("{offer}S: 220 go\nhang"), "no answer within 1 s"),
        (Encryption::StartTls, format!("{offer}S: 220 go\nclose"), "connection closed by the server"),
        (Encryption::Tls, "S: 220 in the clear\nhang".to_owned(), "the server does not speak TLS at this point"),
    ];
    for (encryption, script, expected) in rows {
        let server = Scripted::new(&script);
        let obstacle = Session::open(&trusting(encryption, None), &server).await.expect_err(&script);
        let cause = obstacle.cause.to_string();
        assert!(obstacle.phase == Phase::Tls && cause.starts_with(expected), "{}: {cause}", obstacle.phase);
        let written = server.writes().concat();
        assert!(!written.contains("AUTH"), "nothing secret was written: {written}");
    }
}
