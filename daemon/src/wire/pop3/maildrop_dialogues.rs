//! How POP3 mailboxes are read, against scripted servers.

use super::{
    dialogues::{HELLO, LOGIN, QUIT, endpoint, password},
    *,
};
use crate::wire::{smtp::scripted::Scripted, steps::Recorder};

/// As long as a message may be here.
const BYTES_MAX: usize = 100;
/// More than a listing may have.
const LISTING_BYTES: usize = 34_000_000;
const TWO: &str =
    "C: STAT\nS: +OK 2 300\nC: UIDL\nS: +OK\nS: 1 a\nS: 2 b\nS: .\nC: LIST\nS: +OK\nS: 1 100\nS: 2 200\nS: .\n";

async fn open(hello: &str, script: &str) -> (Pop3Session, Scripted) {
    let server = Scripted::new(&format!("{hello}{LOGIN}S: +OK in\n{script}"));
    let opened = Pop3Session::open(&endpoint(Encryption::None, None), &password(false, true), &server).await;
    (opened.expect(script), server)
}

fn shown(maildrop: &Maildrop) -> Vec<(u32, Option<u64>, &str)> {
    maildrop.iter().map(|one| (one.number, one.octets, one.id)).collect()
}

#[tokio::test(start_paused = true)]
async fn the_messages_that_are_wanted_are_listed_with_their_sizes() {
    let (mut session, server) = open(HELLO, &TWO.repeat(2)).await;
    let all = session.list(|_| true).await.expect("a list");
    assert_eq!(shown(&all), [(1, Some(100), "a"), (2, Some(200), "b")]);
    let some = session.list(|id| id == "b").await.expect("a list");
    assert_eq!(shown(&some), [(2, Some(200), "b")]);
    assert_eq!((some.held, some.is_cut, some.unreadable), (2, false, 0));
    session.quit().await;
    assert_eq!(server.finish().await.rest, QUIT);
}

#[tokio::test(start_paused = true)]
async fn sizes_are_not_asked_for_when_nothing_is_wanted() {
    let empty = "C: STAT\nS: +OK 0 0\n";
    let (mut session, server) =
        open(HELLO, &format!("{empty}C: STAT\nS: +OK 1 9\nC: UIDL\nS: +OK\nS: 1 a\nS: .\n")).await;
    assert_eq!(session.list(|_| true).await.expect("a list"), Maildrop::default());
    assert_eq!(session.list(|_| false).await.expect("a list").held, 1);
    session.quit().await;
    assert_eq!(server.finish().await.rest, QUIT);
}

#[tokio::test(start_paused = true)]
async fn what_keeps_a_mailbox_from_being_listed_is_told() {
    let without = "S: +OK\nC: CAPA\nS: +OK\nS: USER\nS: .\n";
    let silent = "S: +OK\nC: CAPA\nS: -ERR what\n";
    let asked = "C: STAT\nS: +OK 2 300\nC: UIDL\n";
    let flood = format!(
        "S~ {}
",
        "x".repeat(LISTING_BYTES)
    );
    let rows = [
        (without, format!("{asked}S: -ERR what\n"), "messages: the server does not offer UIDL"),
        (silent, format!("{asked}S: -ERR what\n"), "messages: the server does not offer UIDL"),
        (HELLO, format!("{asked}S: -ERR not now\n"), "messages: the server replied -ERR not now"),
        (HELLO, format!("{asked}S: hello\n"), "messages: what came is no POP3 reply: \"hello\""),
        (HELLO, "C: STAT\nS: +OK many\n".to_owned(), "folders: what came is no POP3 reply: \"+OK many\""),
        (HELLO, format!("{asked}S: +OK\nS: 1 a\nclose"), "messages: connection closed by the server"),
        (HELLO, format!("{asked}S: +OK\nS: 1 a\nhang"), "messages: no answer within 3 s"),
        (HELLO, format!("{asked}S: +OK\n{flood}"), "messages: a reply of more than 33554432 bytes"),
    ];
    for (hello, script, expected) in rows {
        let (mut session, _server) = open(hello, &script).await;
        let failure = session.list(|_| true).await.expect_err(expected);
        assert_eq!(failure.to_string(), expected);
        let closed = session.retrieve(1, BYTES_MAX).await.expect_err("the session is over");
        assert!(matches!(closed.cause, MailboxCause::Closed), "{expected}: {closed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hostile_list_does_no_harm() {
    let ids =
        "S: 3 c\nS: 4294967296 x\nS: -1 x\nS: 0 x\nS: text\nS: 1 a\nS: 3 again\nS: ..\nS~ 5 \\x00\\xff\\r\\n\nS: 2 c\n";
    let sizes = "S: 3 99999999999999999999\nS: 1 -5\nS: 2 7\nS: 2 8\nS: 77 7\nS: text\n";
    let script = format!("C: STAT\nS: +OK 4294967299 -1\nC: UIDL\nS: +OK\n{ids}S: .\nC: LIST\nS: +OK\n{sizes}S: .\n");
    let (mut session, _server) = open(HELLO, &script).await;
    let maildrop = session.list(|_| true).await.expect("a list");
    assert_eq!(shown(&maildrop), [(1, None, "a"), (2, Some(7), "c"), (3, None, "c")]);
    assert_eq!((maildrop.held, maildrop.unreadable), (4_294_967_299, 6));
}

#[tokio::test(start_paused = true)]
async fn messages_are_read_as_they_are() {
    let whole = |content: &[u8]| Retrieved::Whole(content.to_vec());
    let longest = "x".repeat(BYTES_MAX);
    let rows = [
        ("S: +OK\nS: Subject: x\nS~ \\r\\n\nS: ..dot\nS: ..\nS: .\n", whole(b"Subject: x\r\n\r\n.dot\r\n.\r\n")),
        ("S: +OK\nS: .....\nS: .\n", whole(b"....\r\n")),
        ("S: +OK\nS: .\n", whole(b"")),
        ("S~ +OK\\na\\n..b\\n.\\n\n", whole(b"a\n.b\n")),
        ("S~ +OK\\r\\n\\x00\\xff\\r\\xe3\n wait 2\nS~ \\r\\n.\nwait 2\nS~ \\r\\n\n", whole(b"\0\xff\r\xe3\r\n")),
        (&format!("S: +OK\nS~ {longest}\nS~ .\\n.\\r\\n\n"), Retrieved::TooLarge { session_ended: false }),
        (&format!("S: +OK\nS~ {}\\n.\\r\\n\n", &longest[1..]), whole(format!("{}\n", &longest[1..]).as_bytes())),
        ("S: -ERR no such message\n", Retrieved::Refused("-ERR no such message".to_owned())),
        ("S: -ERR your secret is safe\n", Retrieved::Refused("-ERR your *** is safe".to_owned())),
    ];
    for (script, expected) in rows {
        let (mut session, server) = open(HELLO, &format!("C: RETR 7\n{script}C: DELE 7\nS: +OK\n")).await;
        assert_eq!(session.retrieve(7, BYTES_MAX).await.expect(script), expected, "{script}");
        // The session goes on after it.
        assert_eq!(session.delete(7).await.expect(script), Deletion::Marked);
        session.commit().await.expect_err("nobody answers");
        assert_eq!(server.finish().await.rest, QUIT);
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_far_too_large_ends_the_session() {
    let flood = format!("S: {}\n", "x".repeat(1_000)).repeat(100);
    let (mut session, server) = open(HELLO, &format!("C: DELE 2\nS: +OK\nC: RETR 1\nS: +OK\n{flood}")).await;
    session.delete(2).await.expect("marked");
    let retrieved = session.retrieve(1, BYTES_MAX).await.expect("an outcome");
    assert_eq!(retrieved, Retrieved::TooLarge { session_ended: true });
    let failure = session.commit().await.expect_err("it is closed");
    assert!(matches!(failure.cause, MailboxCause::Closed));
    assert_eq!(server.finish().await.rest, "");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_does_not_end_is_given_up() {
    let drip = "wait 2\nS~ x\n".repeat(1_000);
    let rows = [
        ("S: +OK\nS: Subject: x\nclose", "messages: connection closed by the server"),
        ("S: +OK\nS: Subject: x\nhang", "messages: no answer within 3 s"),
        ("hang", "messages: no answer within 3 s"),
        ("S: 1 of 2\n", "messages: what came is no POP3 reply: \"1 of 2\""),
        (&format!("S: +OK\n{drip}"), "messages: no answer within 1800 s"),
    ];
    for (script, expected) in rows {
        let (mut session, server) = open(HELLO, &format!("C: DELE 1\nS: +OK\nC: RETR 2\n{script}")).await;
        session.delete(1).await.expect("marked");
        let failure = session.retrieve(2, 10 * BYTES_MAX).await.expect_err(expected);
        assert_eq!(failure.to_string(), expected);
        session.quit().await;
        assert!(!server.writes().concat().contains("QUIT"), "{expected}: QUIT would delete");
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_known_whether_deletions_took() {
    let rows = [
        ("C: QUIT\nS: +OK bye\n", ""),
        ("C: QUIT\nS: -ERR some were not deleted\n", "quit: the server replied -ERR some were not deleted"),
        ("C: QUIT\nclose", "quit: connection closed by the server"),
        ("C: QUIT\nhang", "quit: no answer within 5 s"),
    ];
    for (script, expected) in rows {
        let deletions = "C: DELE 1\nS: +OK\nC: DELE 9\nS: -ERR no such message\n";
        let (mut session, _server) = open(HELLO, &format!("{deletions}{script}")).await;
        assert_eq!(session.delete(1).await.expect("marked"), Deletion::Marked);
        let refused = Deletion::Refused("-ERR no such message".to_owned());
        assert_eq!(session.delete(9).await.expect("an outcome"), refused);
        let said = session.commit().await.err().map(|failure| failure.to_string());
        assert_eq!(said.unwrap_or_default(), expected);
    }
    let (session, _server) = open(HELLO, "C: QUIT\nclose").await;
    session.commit().await.expect("nothing was to be deleted");
}

#[tokio::test(start_paused = true)]
async fn who_leaves_deletes_nothing() {
    let rows = [
        ("C: DELE 1\nS: +OK\nC: RSET\nS: +OK\n", QUIT),
        ("C: DELE 1\nS: -ERR what\n", QUIT),
        ("C: DELE 1\nS: +OK\nC: RSET\nS: -ERR no\n", ""),
        ("C: DELE 1\nS: +OK\nC: RSET\nwait 3\n", ""),
    ];
    for (script, rest) in rows {
        let (mut session, server) = open(HELLO, script).await;
        session.delete(1).await.expect(script);
        session.quit().await;
        assert_eq!(server.finish().await.rest, rest, "{script}");
    }
    let (mut session, server) = open(HELLO, "C: DELE 1\nS: +OK\n").await;
    session.delete(1).await.expect("marked");
    drop(session);
    assert_eq!(server.finish().await.rest, "");
}

#[tokio::test(start_paused = true)]
async fn a_mail_cannot_speak_for_the_server() {
    // The mail holds the line that ends it, and what should look like the answer to the next command.
    let smuggled = "C: RETR 1\nS~ +OK\\r\\na\\n.\\r\\n+OK deleted\\r\\nb\\r\\n.\\r\\n\n";
    let (mut session, server) = open(HELLO, smuggled).await;
    assert_eq!(session.retrieve(1, BYTES_MAX).await.expect("a mail"), Retrieved::Whole(b"a\n".to_vec()));
    let failure = session.delete(1).await.expect_err("more than was asked for");
    assert!(matches!(failure.cause, MailboxCause::Unreadable { .. }), "{failure}");
    assert_eq!(server.finish().await.rest, "");
}

#[tokio::test(start_paused = true)]
async fn an_exchange_that_was_given_up_is_not_gone_on_with() {
    let (mut session, server) = open(HELLO, "C: RETR 1\nS: +OK\nS: a\nwait 2\nS: .\nS: +OK\n").await;
    let retrieve = session.retrieve(1, BYTES_MAX);
    assert!(tokio::time::timeout(std::time::Duration::from_secs(1), retrieve).await.is_err());
    let failure = session.delete(1).await.expect_err("the session is over");
    assert!(matches!(failure.cause, MailboxCause::Closed));
    assert_eq!(server.finish().await.rest, "");
}

#[tokio::test(start_paused = true)]
async fn a_long_session_remembers_its_end_and_no_mail() {
    let messages = 2_000;
    let script: String = (1..=messages).map(|n| format!("C: RETR {n}\nS: +OK {n}\nS: content\nS: .\n")).collect();
    let (mut session, _server) = open(HELLO, &format!("{script}C: RETR 1\nclose")).await;
    let recorder = Recorder::default();
    let failure = recorder.run(async {
        for number in 1..=messages {
            session.retrieve(number, BYTES_MAX).await.expect("a mail");
        }
        session.retrieve(1, BYTES_MAX).await.expect_err("closed")
    });
    let transcript = failure.await.transcript;
    assert!(transcript.len() < 20_000, "{} bytes", transcript.len());
    assert!(transcript.ends_with("C: RETR 2000\nS: +OK 2000\nC: RETR 1\n"), "{transcript}");
    assert!(!transcript.contains("content"));
    assert!(!format!("{:?}", recorder.record()).contains("content"));
}

#[tokio::test(start_paused = true)]
async fn what_is_only_looked_at_is_read_by_top_where_the_server_has_it() {
    let hello = "S: +OK hi\nC: CAPA\nS: +OK\nS: TOP\nS: USER\nS: .\n";
    let top = "C: TOP 1 1000000000\nS: +OK\nS: a\nS: .\nC: TOP 2 1000000000\nS: -ERR no\nC: RETR 2\nS: +OK\nS: b\nS: .\n";
    let (mut session, server) = open(hello, top).await;
    assert_eq!(session.peek(1, BYTES_MAX).await.expect("an answer"), Retrieved::Whole(b"a\r\n".to_vec()));
    assert_eq!(session.peek(2, BYTES_MAX).await.expect("an answer"), Retrieved::Whole(b"b\r\n".to_vec()));
    session.quit().await;
    assert_eq!(server.finish().await.rest, QUIT);
}
