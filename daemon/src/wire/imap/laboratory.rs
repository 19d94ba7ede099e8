//! IMAP against a real server, in real time. Ignored unless asked for: `HIKYAKU_LAB` names the working directory of a mail
//! laboratory whose ports begin at 12000, and doveadm is installed.

use std::{fs, future::pending, num::NonZeroU16, path::PathBuf, process::Command};

use tokio::time::{Instant, sleep};

use super::*;
use crate::{
    domain::{account::Server, folder::SpecialUse, secret::Secret},
    policy::sent_folder::sent_folder,
    wire::dial::TcpDialer,
};

const USER: &str = "bob@lab.test";
/// Messages of the large folder.
const MANY: usize = 20_000;

fn lab() -> PathBuf {
    std::env::var_os("HIKYAKU_LAB").expect("HIKYAKU_LAB names the laboratory's directory").into()
}

fn doveadm(words: &[&str]) {
    let configuration = lab().join("etc/dovecot.conf");
    let done = Command::new("doveadm").arg("-c").arg(configuration).args(words).status().expect("doveadm is installed");
    println!("doveadm {words:?}: {done}");
}

fn endpoint(at: u16, encryption: Encryption) -> Endpoint {
    let ca = fs::read_to_string(lab().join("tls/ca.pem")).expect("the laboratory's authority");
    let server = Server::new("localhost".parse().expect("a host"), NonZeroU16::new(at).expect("a port"), encryption);
    Endpoint::of(&Server { custom_ca_pem: Some(ca), ..server }).expect("an endpoint")
}

async fn session(at: u16, encryption: Encryption) -> ImapSession {
    let password = Secret::new("secret".to_owned());
    let auth = MailboxAuth::Password { user: USER.to_owned(), password, apop: false, allow_plaintext: true };
    Box::pin(ImapSession::open(&endpoint(at, encryption), &auth, &TcpDialer)).await.expect("a session")
}

/// The same with a folder of its own, which is new and open.
async fn fresh(folder: &str, access: Access) -> (ImapSession, FolderState) {
    doveadm(&["mailbox", "delete", "-u", USER, folder]);
    doveadm(&["mailbox", "create", "-u", USER, folder]);
    let mut session = session(12_993, Encryption::Tls).await;
    let folders = session.folders().await.expect("folders");
    let found = folders.iter().find(|found| found.decoded_name == folder).expect("the new folder");
    let state = session.open_folder(&found.name, access).await.expect("open");
    println!("{found:?}: {state:?}");
    (session, state)
}

async fn another() -> ImapSession {
    session(12_993, Encryption::Tls).await
}

/// Puts a message into a folder that this session has not open.
async fn append(session: &mut ImapSession, folder: &str, message: &str) {
    session.words.expect(ANSWER_BYTES_MAX);
    session.session.append(folder, None, None, message).await.expect("appended");
}

async fn list(session: &mut ImapSession) -> Vec<Listed> {
    session.list_from(1, Wanted::All, LISTED_MAX).await.expect("a page")
}

/// Kilobytes of memory that this process has.
fn memory() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("proc");
    let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("VmRSS");
    line.split_whitespace().nth(1).and_then(|kilobytes| kilobytes.parse().ok()).expect("a number")
}

#[tokio::test]
#[ignore = "needs a mail laboratory"]
async fn messages_are_read_unmarked_and_deleted_alone() {
    for (at, encryption) in [(12_143, Encryption::None), (12_143, Encryption::StartTls), (12_993, Encryption::Tls)] {
        let mut session = session(at, encryption).await;
        let folders = session.folders().await.expect("folders");
        let sent = sent_folder(&folders).expect("a folder for what was sent");
        println!("{encryption:?}: {folders:?}");
        assert_eq!((sent.name.as_str(), sent.special_use), ("Sent", Some(SpecialUse::Sent)));
        session.logout().await;
    }
    let (mut session, state) = fresh("飛脚", Access::Change).await;
    assert_eq!((state.messages, state.uid_next), (0, 1));
    assert_eq!(list(&mut session).await, []);
    session.logout().await;
    let (mut session, _) = fresh("LabRead", Access::Change).await;
    assert_eq!(list(&mut session).await, []);
    let mut sender = another().await;
    let long = format!("Subject: long\r\n\r\n{}", "0123456789abcdef0123456789abcdef\r\n".repeat(90_000));
    let third = "Subject: three\r\n\r\n{9999999}\r\nA0001 OK\r\n";
    for message in ["Subject: one\r\n\r\none\r\n", &long, third, "Subject: four\r\n\r\n"] {
        append(&mut sender, "LabRead", message).await;
    }
    sender.logout().await;
    let listed = list(&mut session).await;
    println!("{listed:?}");
    assert_eq!(
        listed.iter().map(|m| (m.uid, m.is_seen)).collect::<Vec<_>>(),
        [(1, false), (2, false), (3, false), (4, false)]
    );
    let begun = Instant::now();
    let fetched = session.fetch(2, 25 << 20).await.expect("the long one");
    println!("{} bytes in {:?}", long.len(), begun.elapsed());
    assert!(fetched == Fetched::Message(long.clone().into_bytes()));
    assert_eq!(session.fetch(2, 1_000).await.expect("an answer"), Fetched::TooLarge(long.len() as u64));
    assert_eq!(session.fetch(3, 1_000).await.expect("a message"), Fetched::Message(third.as_bytes().to_vec()));
    assert_eq!(session.fetch(99, 1_000).await.expect("an answer"), Fetched::Gone);
    assert_eq!(list(&mut session).await, listed, "nothing was marked");
    doveadm(&["flags", "add", "-u", USER, "\\Deleted", "mailbox", "LabRead", "uid", "4"]);
    doveadm(&["flags", "add", "-u", USER, "\\Seen", "mailbox", "LabRead", "uid", "3"]);
    assert_eq!(session.delete(&[1, 77]).await.expect("deleted"), Deletion::Expunged);
    assert_eq!(session.fetch(1, 1_000).await.expect("an answer"), Fetched::Gone);
    let left = session.fetch(4, 1_000).await.expect("somebody else's");
    assert_eq!(left, Fetched::Message(b"Subject: four\r\n\r\n".to_vec()), "what somebody else marked stays");
    let unseen = session.list_from(1, Wanted::Unseen, 10).await.expect("a page");
    assert_eq!(unseen.iter().map(|message| message.uid).collect::<Vec<_>>(), [2]);
    session.logout().await;
    let mut reader = another().await;
    reader.open_folder("LabRead", Access::Read).await.expect("open");
    println!("deleting from a folder that is open for reading: {}", reader.delete(&[2]).await.expect_err("refused"));
    reader.logout().await;
    for folder in ["LabRead", "飛脚"] {
        doveadm(&["mailbox", "delete", "-u", USER, folder]);
    }
}

#[tokio::test]
#[ignore = "needs a mail laboratory"]
async fn messages_are_read_with_a_token() {
    let form = format!("grant_type=client_credentials&client_id=daemon&client_secret=daemon-secret&user={USER}");
    let asked = Command::new("curl").args(["-s", "-d", &form, "http://127.0.0.1:12080/token"]).output();
    let said: serde_json::Value = serde_json::from_slice(&asked.expect("curl is installed").stdout).expect("JSON");
    let token = Secret::new(said["access_token"].as_str().expect("a token").to_owned());
    let auth = MailboxAuth::Token { user: USER.to_owned(), token, allow_plaintext: false };
    for (at, encryption) in [(12_143, Encryption::StartTls), (12_993, Encryption::Tls)] {
        let mut session =
            Box::pin(ImapSession::open(&endpoint(at, encryption), &auth, &TcpDialer)).await.expect("a session");
        println!("{:?}", session.open_folder("INBOX", Access::Read).await.expect("open"));
        println!("{:?}", list(&mut session).await);
        session.logout().await;
    }
}

#[tokio::test]
#[ignore = "needs a mail laboratory"]
async fn news_wakes_and_copies_are_found() {
    let (mut waiting, _) = fresh("LabIdle", Access::Read).await;
    assert!(waiting.offers_idle().await.expect("an answer"));
    assert_eq!(list(&mut waiting).await, []);
    let begun = Instant::now();
    let woken = waiting.idle(Duration::from_secs(60), sleep(Duration::from_secs(1))).await.expect("stopped");
    println!("{woken:?} after {:?}", begun.elapsed());
    assert_eq!(waiting.idle(Duration::from_secs(1), pending()).await.expect("elapsed"), Woken::Elapsed);
    let mut sender = session(12_143, Encryption::StartTls).await;
    let send = async {
        sleep(Duration::from_secs(1)).await;
        append(&mut sender, "LabIdle", "Message-ID: <a@lab.test>\r\nX-Hikyaku-Job: job7\r\n\r\nx\r\n").await;
        append(&mut sender, "LabIdle", "Message-ID: <aa@lab.test>\r\nX-Hikyaku-Job: job77\r\n\r\nx\r\n").await;
        Instant::now()
    };
    let (woken, sent) = tokio::join!(waiting.idle(Duration::from_secs(60), pending()), send);
    println!("{woken:?} {:?} after the message was there", sent.elapsed());
    assert_eq!(woken.expect("news"), Woken::News);
    sender.logout().await;
    assert_eq!(list(&mut waiting).await.len(), 2);
    let mark = |value| Some(Mark { name: "X-Hikyaku-Job", value });
    for (message_id, mark, expected) in [
        ("<a@lab.test>", None, &[1][..]),
        ("<b@lab.test>", mark("job77"), &[2]),
        ("<a@lab.test>", mark("job77"), &[1, 2]),
        ("<a@lab", mark("job"), &[]),
        ("<é@lab.test>", mark("\"j\\ob\""), &[]),
    ] {
        let found = waiting.find_sent("LabIdle", message_id, mark).await.expect("an answer");
        assert_eq!(found, expected, "{message_id}");
    }
    waiting.logout().await;
    doveadm(&["mailbox", "delete", "-u", USER, "LabIdle"]);
}

#[tokio::test]
#[ignore = "needs a mail laboratory"]
async fn a_large_folder_is_read_in_little_memory() {
    doveadm(&["mailbox", "delete", "-u", USER, "LabMany"]);
    doveadm(&["mailbox", "create", "-u", USER, "LabMany"]);
    let folder = lab().join("mail/bob/Maildir/.LabMany");
    for number in 0..MANY {
        let text = format!("Subject: {number:05}\r\n\r\n{}", "x".repeat(2_000));
        fs::write(folder.join(format!("cur/1000{number:06}.M{number}P1.lab:2,")), text).expect("written");
    }
    let owned = Command::new("chown").args(["-R", "mail:mail"]).arg(&folder).status();
    assert!(owned.is_ok_and(|status| status.success()));
    let mut session = session(12_993, Encryption::Tls).await;
    let state = session.open_folder("LabMany", Access::Read).await.expect("open");
    println!("{state:?}");
    assert_eq!(state.messages, 20_000);
    let (begun, before, mut listed, mut next) = (Instant::now(), memory(), 0, 1);
    loop {
        let page = session.list_from(next, Wanted::All, 200).await.expect("a page");
        let Some(last) = page.last() else { break };
        assert!(
            page.is_sorted_by_key(|message| message.uid) && page.iter().all(|message| message.octets == Some(2_018))
        );
        (listed, next) = (listed + page.len(), last.uid + 1);
    }
    println!("{listed} listed in {:?}, {} KB more", begun.elapsed(), memory() - before);
    assert_eq!(listed, MANY);
    let begun = Instant::now();
    for uid in 1..=20_000 {
        let fetched = session.fetch(uid, 1_000_000).await.expect("a message");
        assert!(matches!(fetched, Fetched::Message(_)), "{uid}: {fetched:?}");
    }
    println!("{MANY} read in {:?}, {} KB more", begun.elapsed(), memory() - before);
    session.logout().await;
    doveadm(&["mailbox", "delete", "-u", USER, "LabMany"]);
}
