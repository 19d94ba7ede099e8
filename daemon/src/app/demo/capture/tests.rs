//! Dialogues with the capturing server over pipes.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    net::{TcpListener, TcpStream},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{CaptureServer, Rules};
use crate::{
    domain::{limits::QuotaUnit, secret::Secret, time::Timestamp},
    platform::clock::VirtualClock,
};

const BEGIN: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const MESSAGE: &str = "Message-ID: <1@a.jp>\r\n\r\nhello\r\n.\r\n";

fn server(rules: Rules) -> CaptureServer {
    CaptureServer::new(rules, Arc::new(VirtualClock::starting_at(BEGIN)))
}

/// A client on a pipe to the server; the greeting is read.
async fn dial(server: &CaptureServer) -> DuplexStream {
    let (mut client, theirs) = duplex(1 << 20);
    let server = server.clone();
    tokio::spawn(async move { server.serve(theirs).await });
    assert_eq!(answer(&mut client).await, "220 capture.test ESMTP captures all\r\n");
    client
}

/// What the server writes at once; empty when it has closed.
async fn answer(client: &mut DuplexStream) -> String {
    let mut bytes = vec![0; 64 * 1_024];
    let count = client.read(&mut bytes).await.unwrap();
    String::from_utf8(bytes[..count].to_vec()).unwrap()
}

async fn say(client: &mut DuplexStream, text: &str) -> String {
    client.write_all(text.as_bytes()).await.unwrap();
    answer(client).await
}

/// The codes of replies, one a reply.
fn codes(replies: &str) -> Vec<&str> {
    replies.lines().filter(|line| line.as_bytes().get(3) != Some(&b'-')).map(|line| &line[..3]).collect()
}

/// Sends one message in three writes and tells the codes of all replies.
async fn send(client: &mut DuplexStream, recipients: &[&str]) -> String {
    let mut envelope = "RSET\r\nMAIL FROM:<a@a.jp>\r\n".to_owned();
    for recipient in recipients {
        envelope += &format!("RCPT TO:<{recipient}>\r\n");
    }
    let mut replies = say(client, &(envelope + "DATA\r\n")).await;
    if replies.contains("354") {
        replies += &say(client, MESSAGE).await;
    }
    codes(&replies).join(" ")
}

#[tokio::test(start_paused = true)]
async fn a_pipelined_group_is_answered_by_one_write() {
    let server = server(Rules { keep_contents: true, ..Rules::default() });
    let mut client = dial(&server).await;
    let offers = say(&mut client, "EHLO client.test\r\n").await;
    assert_eq!(
        offers,
        "250-capture.test\r\n250-PIPELINING\r\n250-SIZE 26214400\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n\
         250 ENHANCEDSTATUSCODES\r\n"
    );
    let group = "MAIL FROM:<a@a.jp> SIZE=99 BODY=8BITMIME\r\nRCPT TO:<x@y.jp>\r\nRCPT TO:<z@y.jp>\r\nDATA\r\n";
    assert_eq!(codes(&say(&mut client, group).await), ["250", "250", "250", "354"]);
    let body = "Subject: x\r\nMessage-ID: <7@a.jp>\r\n\r\n..dot\r\n...\r\n.\r\nMAIL FROM:<a@a.jp>\r\nNOOP\r\nQUIT\r\n";
    assert_eq!(codes(&say(&mut client, body).await), ["250", "250", "250", "221"]);
    assert_eq!(answer(&mut client).await, "");

    let received = server.records().accepted();
    assert_eq!(received.len(), 1);
    assert_eq!((received[0].message_id.as_str(), received[0].sender.as_str()), ("<7@a.jp>", "a@a.jp"));
    assert_eq!(received[0].recipients, ["x@y.jp", "z@y.jp"]);
    assert_eq!(received[0].content, b"Subject: x\r\nMessage-ID: <7@a.jp>\r\n\r\n.dot\r\n..\r\n");
    assert_eq!((received[0].bytes, received[0].connection, received[0].at), (46, 1, BEGIN));
}

#[tokio::test(start_paused = true)]
async fn lines_may_come_in_pieces() {
    let server = server(Rules::default());
    let mut client = dial(&server).await;
    client.write_all(b"HE").await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    client.write_all(b"LO client.test\r").await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(say(&mut client, "\nNOOP").await, "250 capture.test\r\n");
    assert_eq!(say(&mut client, "\r\n").await, "250 2.0.0 ok\r\n");
}

#[tokio::test(start_paused = true)]
async fn recipients_script_the_conduct() {
    let server = server(Rules::default());
    let mut client = dial(&server).await;
    say(&mut client, "EHLO client.test\r\n").await;
    assert_eq!(send(&mut client, &["refused-1@y.jp"]).await, "250 250 550 554");
    assert_eq!(send(&mut client, &["refused-1@y.jp", "x@y.jp"]).await, "250 250 550 250 354 250");
    assert_eq!(send(&mut client, &["deferred-2@y.jp"]).await, "250 250 451 554");
    assert_eq!(send(&mut client, &["deferred-2@y.jp"]).await, "250 250 451 554");
    assert_eq!(send(&mut client, &["deferred-2@y.jp"]).await, "250 250 250 354 250");
    assert_eq!(send(&mut client, &["dot-refused@y.jp"]).await, "250 250 250 354 554");
    let counts = server.records().counts("a@a.jp");
    assert_eq!((counts.messages, counts.recipients, counts.refused, counts.deferred), (2, 2, 3, 2));
    assert_eq!(server.records().duplicates(), []);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_message_is_recorded_and_taken_in_silence_once() {
    let server = server(Rules::default());
    let mut client = dial(&server).await;
    say(&mut client, "EHLO client.test\r\n").await;
    assert_eq!(send(&mut client, &["drop-1@y.jp"]).await, "250 250 250 354");
    assert_eq!(server.records().accepted().len(), 1);

    let mut client = dial(&server).await;
    say(&mut client, "EHLO client.test\r\n").await;
    assert_eq!(send(&mut client, &["drop-1@y.jp"]).await, "250 250 250 354 250");
    let duplicates = server.records().duplicates();
    assert_eq!((duplicates.len(), duplicates[0].times), (1, 2));
    assert_eq!(server.records().accepted()[1].connection, 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_refused() {
    let server = server(Rules { message_bytes_max: 40, ..Rules::default() });
    let mut client = dial(&server).await;
    say(&mut client, "EHLO client.test\r\n").await;
    assert_eq!(say(&mut client, "MAIL FROM:<a@a.jp> SIZE=41\r\n").await, "552 5.3.4 the message is too large\r\n");
    assert_eq!(send(&mut client, &["x@y.jp"]).await, "250 250 250 354 250");
    say(&mut client, "MAIL FROM:<a@a.jp>\r\nRCPT TO:<x@y.jp>\r\nDATA\r\n").await;
    let reply = say(&mut client, "Subject: x\r\n\r\na longer body than is allowed\r\n.\r\n").await;
    assert_eq!(codes(&reply), ["552"]);
    assert_eq!(server.records().accepted().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_endless_line_ends_the_session() {
    let server = server(Rules::default());
    let mut client = dial(&server).await;
    assert_eq!(say(&mut client, &"x".repeat(70_000)).await, "500 5.5.2 the line is too long\r\n");
    assert_eq!(answer(&mut client).await, "");
}

#[tokio::test(start_paused = true)]
async fn commands_out_of_order_are_refused() {
    let server = server(Rules::default());
    let mut client = dial(&server).await;
    let replies = say(&mut client, "MAIL FROM:<a@a.jp>\r\nRCPT TO:<x@y.jp>\r\nDATA\r\nAUTH PLAIN\r\nWHAT\r\n").await;
    assert_eq!(codes(&replies), ["503", "503", "503", "502", "500"]);
    let replies = say(&mut client, "HELO c\r\nMAIL FROM:<a@a.jp>\r\nMAIL FROM:<a@a.jp>\r\nDATA\r\n").await;
    assert_eq!(codes(&replies), ["250", "250", "503", "554"]);
}

#[tokio::test(start_paused = true)]
async fn a_password_is_asked_for_when_there_is_one() {
    let server = server(Rules { password: Some(Secret::new("right".to_owned())), ..Rules::default() });
    let plain = |password: &str| STANDARD.encode(format!("\0user\0{password}"));
    let mut client = dial(&server).await;
    assert!(say(&mut client, "EHLO client.test\r\n").await.contains("250-AUTH PLAIN LOGIN\r\n"));
    let mail = "MAIL FROM:<a@a.jp>\r\n";
    assert_eq!(codes(&say(&mut client, mail).await), ["530"]);
    let wrong = format!("AUTH PLAIN {}\r\n", plain("wrong"));
    assert_eq!(codes(&say(&mut client, &wrong).await), ["535"]);
    let right = format!("AUTH PLAIN\r\n{}\r\n{mail}", plain("right"));
    assert_eq!(codes(&say(&mut client, &right).await), ["334", "235", "250"]);

    let mut client = dial(&server).await;
    say(&mut client, "EHLO client.test\r\n").await;
    let login = format!("AUTH LOGIN\r\n{}\r\n{}\r\n", STANDARD.encode("user"), STANDARD.encode("right"));
    assert_eq!(codes(&say(&mut client, &login).await), ["334", "334", "235"]);
    assert_eq!(codes(&say(&mut client, mail).await), ["250"]);
}

#[tokio::test(start_paused = true)]
async fn answers_come_late_and_records_early() {
    let server = server(Rules { answer_after: Duration::from_secs(2), ..Rules::default() });
    let mut arrivals = server.records().arrivals();
    let mut client = dial(&server).await;
    say(&mut client, "EHLO client.test\r\n").await;
    let begin = Instant::now();
    let sending = tokio::spawn(async move { send(&mut client, &["x@y.jp"]).await });
    arrivals.changed().await.unwrap();
    assert_eq!((*arrivals.borrow(), begin.elapsed()), (1, Duration::from_secs(2)));
    assert_eq!(sending.await.unwrap(), "250 250 250 354 250");
    assert_eq!(begin.elapsed(), Duration::from_secs(4));
    assert_eq!(server.records().most_in_window("a@a.jp", QuotaUnit::Messages, Duration::from_secs(1)), 1);
}

#[tokio::test]
async fn a_listener_serves_until_it_is_stopped() {
    let server = server(Rules::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let listening = tokio::spawn({
        let (server, stop) = (server.clone(), stop.clone());
        async move { server.listen(listener, stop).await }
    });
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"QUIT\r\n").await.unwrap();
    let mut heard = String::new();
    client.read_to_string(&mut heard).await.unwrap();
    assert_eq!(codes(&heard), ["220", "221"]);
    stop.cancel();
    listening.await.unwrap().unwrap();
}
