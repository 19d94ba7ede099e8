//! How messages are deleted, waited for and found again, against scripted servers.

use std::future::{pending, ready};

use tokio::time::{Instant, sleep};

use super::{
    reading_dialogues::{leave, opened, opened_for_changes, signed_in},
    *,
};

const CAPABLE: &str = "C: @ CAPABILITY\nS: * CAPABILITY IMAP4rev1 uidplus IDLE\nS: @ OK done\n";
const INCAPABLE: &str = "C: @ CAPABILITY\nS: * CAPABILITY IMAP4rev1\nS: @ OK done\n";
const NINE_MINUTES: Duration = Duration::from_secs(IDLE_SECONDS_MAX);

#[tokio::test(start_paused = true)]
async fn only_the_messages_that_are_meant_are_deleted() {
    let store = "C: @ UID STORE 3:4,9 +FLAGS.SILENT (\\Deleted)\nS: * 1 FETCH (FLAGS (\\Deleted))\nS: @ OK done\n";
    let expunge = "C: @ UID EXPUNGE 3:4,9\nS: * 1 EXPUNGE\nS: * 1 EXPUNGE\nS: @ OK done\n";
    let rows =
        [(format!("{CAPABLE}{store}{expunge}"), Deletion::Expunged), (format!("{INCAPABLE}{store}"), Deletion::Marked)];
    for (script, expected) in rows {
        let (mut session, server) = opened_for_changes(&script).await;
        assert_eq!(session.delete(&[9, 4, 3, 4]).await.expect(&script), expected);
        session.logout().await;
        let rest = server.finish().await.rest;
        assert!(rest.ends_with("LOGOUT\r\n") && rest.lines().count() == 1, "{rest}");
    }
    let (mut session, server) =
        opened_for_changes(&format!("{CAPABLE}C: @ UID STORE 3 +FLAGS.SILENT (\\Deleted)\nS: @ NO read-only")).await;
    let failure = session.delete(&[3]).await.expect_err("refused");
    assert_eq!(failure.to_string(), "messages: the server replied A0004 NO read-only");
    leave(session, server).await;
    let (mut session, server) = opened("").await;
    let failure = session.delete(&[3]).await.expect_err("open for reading");
    assert_eq!(failure.to_string(), "folders: the server does not offer changes of a folder that is open for reading");
    leave(session, server).await;
    let (mut session, server) =
        signed_in("C: @ SELECT \"shared\"\nS: * 1 EXISTS\nS: * OK [UIDVALIDITY 1] ok\nS: * OK [UIDNEXT 2] ok\nS: @ OK [READ-ONLY] ok").await;
    session.open_folder("shared", Access::Change).await.expect("open");
    assert!(session.delete(&[3]).await.is_err(), "the server only lets us read");
    leave(session, server).await;
}

/// What a wait of at most nine minutes ends with, and after how many seconds.
async fn check_idle(script: &str, stop: impl Future<Output = ()> + Send, expected: Result<(Woken, u64), &str>) {
    let (mut session, server) = opened(script).await;
    assert!(session.offers_idle().await.expect("an answer"));
    let begun = Instant::now();
    let woken = session.idle(2 * NINE_MINUTES, stop).await;
    let woken = woken.map(|woken| (woken, begun.elapsed().as_secs())).map_err(|failure| failure.to_string());
    assert_eq!(woken, expected.map_err(str::to_owned), "{script}");
    if woken.is_ok() {
        assert_eq!(session.messages().await.expect("the session goes on"), 5);
        leave(session, server).await;
    }
}

#[tokio::test(start_paused = true)]
async fn news_is_waited_for_and_the_session_goes_on() {
    let begin = format!("{CAPABLE}C: @ IDLE\nS: + idling\n");
    let end = "C: DONE\nS: * 3 RECENT\nS: @ OK done\nC: @ STATUS \"INBOX\" (MESSAGES)\nS: * STATUS INBOX (MESSAGES 5)\nS: @ OK\n";
    let news = "wait 100\nS: * OK Still here\nwait 100\nS: * 1 FETCH (FLAGS ())\nS: * 1 EXPUNGE\nS: * 3 EXISTS\n";
    check_idle(&format!("{begin}{news}{end}"), pending(), Ok((Woken::News, 200))).await;
    check_idle(&format!("{begin}{end}"), pending(), Ok((Woken::Elapsed, 540))).await;
    check_idle(&format!("{begin}{end}"), sleep(Duration::from_secs(7)), Ok((Woken::Stopped, 7))).await;
    check_idle(&format!("{begin}{end}"), ready(()), Ok((Woken::Stopped, 0))).await;
    let refused = format!("{CAPABLE}C: @ IDLE\nS: @ NO not now\n");
    check_idle(&refused, pending(), Err("messages: the server replied A0004 NO not now")).await;
    let bye = format!("{begin}wait 9\nS: * BYE idle for too long\nclose");
    check_idle(&bye, pending(), Err("messages: the server replied * BYE idle for too long")).await;
    check_idle(&format!("{begin}wait 9\nclose"), pending(), Err("messages: connection closed by the server")).await;
    check_idle(&format!("{begin}C: DONE\nhang"), pending(), Err("messages: no answer within 3 s")).await;
    check_idle(&format!("{CAPABLE}C: @ IDLE\nhang"), pending(), Err("messages: no answer within 3 s")).await;
}

#[tokio::test(start_paused = true)]
async fn news_that_came_before_the_wait_is_not_slept_through() {
    let script = "C: @ UID FETCH 7 (UID RFC822.SIZE BODY.PEEK[]<0.65536>)\nS: * 4 EXISTS\nS: @ OK nothing\n\
        C: @ UID FETCH 8:* (UID RFC822.SIZE FLAGS)\nS: * 4 FETCH (UID 60 RFC822.SIZE 1 FLAGS ())\nS: @ OK done\n\
        C: @ IDLE\nS: + go\nwait 3\nS: * 5 EXISTS\nC: DONE\nS: @ OK done\n";
    let (mut session, server) = opened(script).await;
    assert_eq!(session.fetch(7, 100).await.expect("an answer"), Fetched::Gone);
    assert_eq!(session.idle(NINE_MINUTES, pending()).await.expect("known"), Woken::News);
    assert_eq!(session.list_from(8, Wanted::All, 9).await.expect("a page").len(), 1);
    assert_eq!(session.idle(NINE_MINUTES, pending()).await.expect("news"), Woken::News);
    leave(session, server).await;
}

const SENT: &str =
    "C: @ EXAMINE \"Sent\"\nS: * 9 EXISTS\nS: * OK [UIDVALIDITY 1] ok\nS: * OK [UIDNEXT 99] ok\nS: @ OK open\n";

async fn check_sent(script: &str, message_id: &str, mark: Option<Mark<'_>>, expected: Result<&[u32], &str>) {
    let (mut session, server) = signed_in(&format!("{SENT}{script}")).await;
    let found = session.find_sent("Sent", message_id, mark).await.map_err(|failure| failure.to_string());
    assert_eq!(found.as_deref().map_err(String::as_str), expected, "{script}");
    leave(session, server).await;
}

#[tokio::test(start_paused = true)]
async fn a_copy_is_found_by_either_mark_and_looked_at() {
    let job = |value| Some(Mark { name: "X-Hikyaku-Job", value });
    let both = "C: @ UID SEARCH OR HEADER Message-ID \"<a@b.jp>\" HEADER X-Hikyaku-Job \"job\\\"1\"\n";
    let fetch = "C: @ UID FETCH 5:6,8 (UID BODY.PEEK[HEADER.FIELDS (Message-ID X-Hikyaku-Job)])\n";
    let fields = "S: * 5 FETCH (UID 5 BODY[HEADER.FIELDS (MESSAGE-ID X-HIKYAKU-JOB)] {22}\nS~ Message-ID: <a@b.jp>\\r\\n)\\r\\n\n\
        S: * 6 FETCH (UID 6 BODY[HEADER.FIELDS (Message-ID X-Hikyaku-Job)] \"Message-ID: <aa@b.jp>\")\n\
        S: * 8 FETCH (UID 8 BODY[HEADER.FIELDS (Message-ID X-Hikyaku-Job)] {22}\nS~ X-Hikyaku-Job: job\"1\\r\\n)\\r\\n\n\
        S: * 9 FETCH (UID 9 BODY[HEADER.FIELDS (Message-ID X-Hikyaku-Job)] {22}\nS~ Message-ID: <a@b.jp>\\r\\n)\\r\\n\n\
        S: @ OK done\n";
    let found = format!("{both}S: * SEARCH 8 5\nS: * SEARCH 6 5\nS: @ OK done\n{fetch}{fields}");
    check_sent(&found, "<a@b.jp>", job("job\"1"), Ok(&[5, 8])).await;
    check_sent(&format!("{both}S: * SEARCH\nS: @ OK\n"), "<a@b.jp>", job("job\"1"), Ok(&[])).await;
    let alone = "C: @ UID SEARCH HEADER Message-ID \"<a@b.jp>\"\n";
    check_sent(&format!("{alone}S: @ OK none\n"), "<a@b.jp>", None, Ok(&[])).await;
    let refused = "messages: the server replied A0003 NO busy";
    check_sent(&format!("{alone}S: @ NO busy\n"), "<a@b.jp>", None, Err(refused)).await;
    // Nothing that is in a header, and nothing that is in every header.
    check_sent("", "a\r\nA1 LOGOUT", job(" "), Ok(&[])).await;
    let literal = "C: @ UID SEARCH CHARSET UTF-8 OR HEADER Message-ID {9}\nS: + go on\nC: <é@b.jp> HEADER X-Hikyaku-Job \"j\"\nS: * SEARCH\nS: @ OK\n";
    check_sent(literal, "<é@b.jp>", job("j"), Ok(&[])).await;
}
