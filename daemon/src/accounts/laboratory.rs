//! Proxies, POP3, IMAP and POP before SMTP against real servers, in real time. Ignored unless asked for: `HIKYAKU_LAB`
//! names the working directory of a mail laboratory whose ports begin at 12000; microsocks and tinyproxy are installed.

use std::{
    num::NonZeroU16,
    path::PathBuf,
    process::{Child, Command},
    time::Duration,
};

use super::pop_gate::{PopGate, refuses_to_relay};
use crate::{
    domain::{
        account::{Credentials, Encryption, PopBeforeSmtp, Proxy, ProxyKind, Server, Timeouts, TlsOptions, TlsVersion},
        mail::{Envelope, Message},
        secret::Secret,
    },
    wire::{
        dial::TcpDialer,
        endpoint::Endpoint,
        imap,
        mailbox::{MailboxAuth, MailboxFailure, MailboxView},
        pop3,
        smtp::{Obstacle, Provider, Session},
        steps::Recorder,
        tls::TlsClient,
    },
};

fn lab() -> PathBuf {
    std::env::var_os("HIKYAKU_LAB").expect("HIKYAKU_LAB names the laboratory's directory").into()
}

fn port(port: u16) -> NonZeroU16 {
    NonZeroU16::new(port).expect("not zero")
}

fn server(at: u16, encryption: Encryption) -> Server {
    let ca = std::fs::read_to_string(lab().join("tls/ca.pem")).expect("the laboratory's authority");
    let host = "localhost".parse().expect("a host");
    Server { custom_ca_pem: Some(ca), ..Server::new(host, port(at), encryption) }
}

fn password(password: &str, apop: bool) -> MailboxAuth {
    let password = Secret::new(password.to_owned());
    MailboxAuth::Password { user: "alice@lab.test".to_owned(), password, apop, allow_plaintext: true }
}

fn provider(server: &Server) -> Provider {
    Provider {
        host: server.host.clone(),
        port: server.port,
        encryption: server.encryption,
        ehlo_name: "client.test".parse().expect("a name"),
        proxy: server.proxy.clone(),
        tls: TlsClient::new(server.custom_ca_pem.as_deref(), &server.tls).expect("a configuration"),
        sign_in: crate::wire::smtp::Credentials::Nothing,
        timeouts: Timeouts::default(),
    }
}

/// A process that ends with the test.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        let running = Self(command.spawn().expect("it is installed"));
        std::thread::sleep(Duration::from_millis(500));
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn by(proxy: Proxy, to: u16) -> Result<Session, Obstacle> {
    let server = Server { proxy: Some(proxy), ..server(to, Encryption::StartTls) };
    let recorder = Recorder::default();
    let opened = recorder.run(Session::open(&provider(&server), &TcpDialer)).await;
    for step in recorder.record().steps {
        println!("  {} {} {:?}: {} | {}", step.name.as_str(), step.succeeded, step.took, step.reply, step.note);
    }
    opened
}

#[tokio::test]
#[ignore = "needs a mail laboratory"]
async fn servers_are_reached_through_real_proxies() {
    let configuration = std::env::temp_dir().join(format!("tinyproxy-{}.conf", std::process::id()));
    let text = "Port 13128\nListen 127.0.0.1\nAllow 127.0.0.1\nBasicAuth me secret\nConnectPort 12587\n";
    std::fs::write(&configuration, text).expect("written");
    let _socks =
        Running::start(Command::new("microsocks").args(["-i", "127.0.0.1", "-p", "13080", "-u", "me", "-P", "secret"]));
    let _http = Running::start(Command::new("tinyproxy").arg("-d").arg("-c").arg(&configuration));
    for (kind, at) in [(ProxyKind::Socks5, 13_080), (ProxyKind::HttpConnect, 13_128)] {
        let with = |password: &str| {
            let credentials = Credentials { user: "me".to_owned(), password: Secret::new(password.to_owned()) };
            Proxy { kind, host: "127.0.0.1".parse().expect("a host"), port: port(at), credentials: Some(credentials) }
        };
        by(with("secret"), 12_587).await.expect("a session").quit().await;
        let wrong = by(with("wrong!"), 12_587).await.expect_err("refused");
        println!("{kind:?}: {wrong}");
        assert!(wrong.cause.refuses_credentials(), "{wrong}");
        println!("{kind:?}: {}", by(with("secret"), 12_999).await.expect_err("nobody listens"));
        let nowhere = Proxy { port: port(13_999), ..with("secret") };
        println!("{kind:?}: {}", by(nowhere, 12_587).await.expect_err("no proxy"));
    }
    let _ = std::fs::remove_file(configuration);
}

fn show(what: &str, looked: &Result<MailboxView, MailboxFailure>, recorder: &Recorder) {
    let record = recorder.record();
    println!("{what}: {looked:?}\n  {:?}\n  {:?}", record.tls, record.capabilities);
    for step in record.steps {
        println!("  {} {}: {} -> {} | {}", step.name.as_str(), step.succeeded, step.sent, step.reply, step.note);
    }
}

#[tokio::test]
#[ignore = "needs a mail laboratory"]
async fn mailboxes_open_by_every_way() {
    let pop = [(12_110, Encryption::None), (12_110, Encryption::StartTls), (12_995, Encryption::Tls)];
    for (at, encryption) in pop {
        let endpoint = Endpoint::of(&server(at, encryption)).expect("an endpoint");
        for (word, apop, expected) in [("secret", false, true), ("secret", true, true), ("wrong!", false, false)] {
            let recorder = Recorder::default();
            let looked = recorder.run(pop3::check(&endpoint, &password(word, apop), &TcpDialer)).await;
            show(&format!("POP3 {encryption:?} apop {apop}"), &looked, &recorder);
            assert_eq!(looked.is_ok(), expected);
            assert!(looked.is_ok() || looked.is_err_and(|failure| failure.refuses_credentials()));
        }
    }
    let imap = [(12_143, Encryption::None), (12_143, Encryption::StartTls), (12_993, Encryption::Tls)];
    for (at, encryption) in imap {
        let endpoint = Endpoint::of(&server(at, encryption)).expect("an endpoint");
        for (word, expected) in [("secret", true), ("wrong!", false)] {
            let recorder = Recorder::default();
            let looked = recorder.run(imap::check(&endpoint, &password(word, false), &TcpDialer)).await;
            show(&format!("IMAP {encryption:?}"), &looked, &recorder);
            assert_eq!(looked.is_ok(), expected);
            assert!(looked.is_ok() || looked.is_err_and(|failure| failure.refuses_credentials()));
        }
    }
    let modern = TlsOptions { version_min: TlsVersion::V1_3, ..TlsOptions::default() };
    let modern = Server { tls: modern, ..server(12_993, Encryption::Tls) };
    let recorder = Recorder::default();
    let endpoint = Endpoint::of(&modern).expect("an endpoint");
    let looked = recorder.run(imap::check(&endpoint, &password("secret", false), &TcpDialer)).await;
    show("IMAP TLS 1.3", &looked, &recorder);
}

/// An access token of alice, which curl gets.
fn token() -> MailboxAuth {
    let url = "http://127.0.0.1:12080/token";
    let form = "grant_type=client_credentials&client_id=daemon&client_secret=daemon-secret&user=alice@lab.test";
    let said = Command::new("curl").args(["-s", "-d", form, url]).output().expect("curl is installed").stdout;
    let said: serde_json::Value = serde_json::from_slice(&said).expect("JSON");
    let token = said["access_token"].as_str().expect("a token").to_owned();
    MailboxAuth::Token { user: "alice@lab.test".to_owned(), token: Secret::new(token), allow_plaintext: false }
}

#[tokio::test]
#[ignore = "needs a mail laboratory"]
async fn mailboxes_open_by_a_token() {
    let pop = Endpoint::of(&server(12_995, Encryption::Tls)).expect("an endpoint");
    let imap = Endpoint::of(&server(12_143, Encryption::StartTls)).expect("an endpoint");
    let wrong = MailboxAuth::Token {
        user: "alice@lab.test".to_owned(),
        token: Secret::new("nonsense".to_owned()),
        allow_plaintext: false,
    };
    for (auth, expected) in [(token(), true), (wrong, false)] {
        let recorder = Recorder::default();
        let looked = recorder.run(pop3::check(&pop, &auth, &TcpDialer)).await;
        show("POP3 XOAUTH2", &looked, &recorder);
        assert_eq!(looked.is_ok(), expected);
        let recorder = Recorder::default();
        let looked = recorder.run(imap::check(&imap, &auth, &TcpDialer)).await;
        show("IMAP XOAUTH2", &looked, &recorder);
        assert_eq!(looked.is_ok(), expected);
    }
}

/// What the relay says to mail to strangers.
async fn relayed() -> Option<bool> {
    let mut session = Session::open(&provider(&server(12_026, Encryption::None)), &TcpDialer).await.expect("a session");
    let recipients = vec!["x@discard.test".parse().expect("an address")];
    let envelope = Envelope { sender: "alice@lab.test".parse().expect("an address"), recipients };
    let message = Message { bytes: "Subject: x\r\n\r\nx\r\n".to_owned().into(), is_eight_bit: false };
    let replies = session.envelope(&envelope, &message).await.expect("replies");
    println!("  RCPT: {}", replies.recipients[0]);
    let refused = refuses_to_relay(&replies.recipients[0]);
    drop(session.abandon().await);
    session.quit().await;
    (refused || replies.recipients[0].is_positive()).then_some(!refused)
}

#[tokio::test]
#[ignore = "needs a mail laboratory"]
async fn a_real_relay_opens_after_a_real_pop3_sign_in() {
    let policy = |text: &str| {
        let (new, file) = (lab().join("ctl/policy.new"), lab().join("ctl/policy.json"));
        std::fs::write(&new, text).expect("written");
        std::fs::rename(new, file).expect("renamed");
    };
    policy("{\"pop_ttl\": 0}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let disabled = relayed().await;
    std::fs::remove_file(lab().join("ctl/policy.json")).expect("removed");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(disabled, Some(false));
    let gate = |password: &str| {
        let credentials = Credentials { user: "alice@lab.test".to_owned(), password: Secret::new(password.to_owned()) };
        let settings = PopBeforeSmtp {
            server: server(12_995, Encryption::Tls),
            credentials,
            apop: false,
            allow_plaintext: false,
            valid_for: Duration::from_secs(600),
        };
        PopGate::new(&settings).expect("a gate")
    };
    let refused = gate("wrong!").pass(&TcpDialer).await.expect_err("refused");
    println!("  {refused}");
    assert!(refused.cause.refuses_credentials());
    let recorder = Recorder::default();
    recorder.run(gate("secret").pass(&TcpDialer)).await.expect("in");
    println!("  {:?}", recorder.record().steps);
    assert_eq!(relayed().await, Some(true));
}
