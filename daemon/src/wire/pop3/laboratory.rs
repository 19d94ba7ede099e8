//! POP3 mailboxes of a real server, in real time. Ignored unless asked for: `HIKYAKU_LAB` names the working directory of a
//! mail laboratory whose ports begin at 12000. Its mailbox carol@corp.test is used; mail of others in it is left alone.

use std::{
    num::NonZeroU16,
    path::PathBuf,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::sleep,
};

use super::*;
use crate::{
    domain::{
        account::{Host, Server, Timeouts},
        mail::{Envelope, Message},
        secret::Secret,
    },
    wire::{
        dial::{DialError, Stream, TcpDialer},
        smtp::{Credentials, Provider, Session},
        steps::Recorder,
        tls::TlsClient,
    },
};

const BYTES_MAX: usize = 1_048_576;
const BODY: &str = "..two\r\n.\r\n. \r\n.one\r\nend\r\n.";

fn lab() -> PathBuf {
    std::env::var_os("HIKYAKU_LAB").expect("HIKYAKU_LAB names the laboratory's directory").into()
}

fn server(at: u16, encryption: Encryption) -> Server {
    let ca = std::fs::read_to_string(lab().join("tls/ca.pem")).expect("the laboratory's authority");
    let host = "localhost".parse().expect("a host");
    Server { custom_ca_pem: Some(ca), ..Server::new(host, NonZeroU16::new(at).expect("not zero"), encryption) }
}

fn carol(apop: bool, encryption: Encryption) -> MailboxAuth {
    let password = Secret::new("secret".to_owned());
    let allow_plaintext = encryption == Encryption::None && !apop;
    MailboxAuth::Password { user: "carol@corp.test".to_owned(), password, apop, allow_plaintext }
}

async fn deliver(subject: &str) {
    let server = server(12_025, Encryption::None);
    let provider = Provider {
        host: server.host.clone(),
        port: server.port,
        encryption: server.encryption,
        ehlo_name: "client.test".parse().expect("a name"),
        proxy: None,
        tls: TlsClient::new(None, &server.tls).expect("a configuration"),
        sign_in: Credentials::Nothing,
        timeouts: Timeouts::default(),
    };
    let mut session = Session::open(&provider, &TcpDialer).await.expect("a session");
    let recipients = vec!["carol@corp.test".parse().expect("an address")];
    let envelope = Envelope { sender: "alice@lab.test".parse().expect("an address"), recipients };
    let bytes = format!("From: alice@lab.test\r\nSubject: {subject}\r\n\r\n{BODY}\r\n").into();
    let message = Message { bytes, is_eight_bit: false };
    let replies = session.envelope(&envelope, &message).await.expect("replies");
    assert!(replies.recipients[0].is_positive(), "{}", replies.recipients[0]);
    let reply = session.message(&message).await.expect("a reply");
    println!("delivered: {reply:?}");
    session.quit().await;
}

/// The number of our message, when it has come.
async fn find(session: &mut Pop3Session, subject: &str) -> Option<(u32, String)> {
    let maildrop = session.list(|_| true).await.expect("a list");
    for one in maildrop.iter() {
        let Retrieved::Whole(mail) = session.retrieve(one.number, BYTES_MAX).await.expect("a mail") else { continue };
        assert_eq!(one.octets, Some(mail.len() as u64), "the size in the list");
        let mail = String::from_utf8_lossy(&mail).into_owned();
        if mail.contains(&format!("Subject: {subject}\r\n")) {
            println!("  {one:?}");
            return Some((one.number, mail));
        }
    }
    None
}

/// Opens the mailbox, reads our message in it, and does not delete it, or does.
async fn visit(at: u16, encryption: Encryption, apop: bool, dial: &dyn Dial, subject: &str) {
    let endpoint = Endpoint::of(&server(at, encryption)).expect("an endpoint");
    let auth = carol(apop, encryption);
    let open = async || Pop3Session::open(&endpoint, &auth, dial).await.expect("a session");
    deliver(subject).await;
    let mut found = None;
    for _ in 0..50 {
        let mut session = open().await;
        found = find(&mut session, subject).await;
        match &found {
            Some((number, _)) => assert_eq!(session.delete(*number).await.expect("marked"), Deletion::Marked),
            None => sleep(Duration::from_millis(200)).await,
        }
        session.quit().await;
        if found.is_some() {
            break;
        }
    }
    let (_, mail) = found.expect("it came");
    assert!(mail.ends_with(&format!("\r\n\r\n{BODY}\r\n")), "{mail}");
    // It was marked in the session before, which was left without deleting.
    let mut session = open().await;
    let (number, again) = find(&mut session, subject).await.expect("it is still there");
    assert_eq!(again, mail);
    assert_eq!(session.retrieve(number, 10).await.expect("an outcome"), Retrieved::TooLarge { session_ended: false });
    println!("  {:?}", session.retrieve(99_999, 10).await.expect("an outcome"));
    session.delete(number).await.expect("marked");
    println!("  {:?}", session.delete(number).await.expect("an outcome"));
    session.commit().await.expect("deleted");
    let mut session = open().await;
    assert_eq!(find(&mut session, subject).await, None);
    session.quit().await;
}

#[tokio::test]
#[ignore = "needs a mail laboratory"]
async fn mail_is_read_and_deleted_by_every_way() {
    let ways = [
        (12_110, Encryption::None, true),
        (12_110, Encryption::None, false),
        (12_110, Encryption::StartTls, false),
        (12_110, Encryption::StartTls, true),
        (12_995, Encryption::Tls, false),
    ];
    for (at, encryption, apop) in ways {
        println!("{at} {encryption:?} apop {apop}");
        let recorder = Recorder::default();
        let subject = format!("pop3 {at} {encryption:?} {apop} {}", std::process::id());
        recorder.run(visit(at, encryption, apop, &TcpDialer, &subject)).await;
    }
}

#[tokio::test]
#[ignore = "needs a mail laboratory"]
async fn a_password_goes_by_plain_where_user_is_not_offered() {
    let subject = format!("pop3 plain {}", std::process::id());
    let recorder = Recorder::default();
    recorder.run(visit(12_110, Encryption::None, false, &WithoutUser, &subject)).await;
    let said: Vec<_> =
        recorder.record().steps.into_iter().map(|step| format!("{} -> {}", step.sent, step.reply)).collect();
    println!("{}", said.join("\n"));
    assert!(
        said.iter().any(|step| step.starts_with("AUTH PLAIN")) && !said.iter().any(|step| step.starts_with("USER"))
    );
}

/// What this process has in memory, in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[tokio::test]
#[ignore = "needs a mail laboratory"]
async fn a_mailbox_of_20_000_mails_is_read_in_bounded_memory() {
    const MESSAGES: u64 = 20_000;
    let mail = format!("Subject: many\r\n\r\n{}", "0123456789.\r\n".repeat(300));
    let begun = std::process::id();
    for n in 0..MESSAGES {
        let name = format!("mail/carol/Maildir/new/{}.{begun}.many", 1_700_000_000 + n);
        std::fs::write(lab().join(name), &mail).expect("written");
    }
    let endpoint = Endpoint::of(&server(12_995, Encryption::Tls)).expect("an endpoint");
    let mut session =
        Pop3Session::open(&endpoint, &carol(false, Encryption::Tls), &TcpDialer).await.expect("a session");
    let before = resident_kib();
    let maildrop = session.list(|_| true).await.expect("a list");
    let (listed, mut highest) = (resident_kib(), 0);
    for one in maildrop.iter() {
        let Retrieved::Whole(read) = session.retrieve(one.number, BYTES_MAX).await.expect("a mail") else { continue };
        if read == mail.as_bytes() {
            assert_eq!(session.delete(one.number).await.expect("marked"), Deletion::Marked);
        }
        highest = highest.max(resident_kib());
    }
    println!("{} messages: {before} KiB, with the list {listed}, at most {highest}", maildrop.len());
    session.commit().await.expect("deleted");
    assert!(maildrop.len() as u64 >= MESSAGES);
    assert!(highest.saturating_sub(before) < 8_192, "{highest} KiB");
}

/// Makes a server keep to itself that it knows USER.
#[derive(Debug)]
struct WithoutUser;

#[derive(Debug)]
struct Edited(Box<dyn Stream>);

#[async_trait]
impl Dial for WithoutUser {
    async fn dial(&self, host: &Host, port: NonZeroU16, limit: Duration) -> Result<Box<dyn Stream>, DialError> {
        Ok(Box::new(Edited(TcpDialer.dial(host, port, limit).await?)))
    }
}

impl AsyncRead for Edited {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.0).poll_read(cx, buf);
        let read = &mut buf.filled_mut()[before..];
        if let Some(at) = read.windows(6).position(|window| window == b"USER\r\n") {
            read[at] = b'X';
        }
        polled
    }
}

impl AsyncWrite for Edited {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
