//! How folders are opened, listed and read, against scripted servers, honest and other.

use super::{
    dialogues::{HELLO, LOGIN, endpoint, password},
    *,
};
use crate::{domain::folder::SpecialUse, wire::smtp::scripted::Scripted};

const OPEN: &str = "C: @ EXAMINE \"INBOX\"\nS: * FLAGS (\\Seen)\nS: * 3 EXISTS\nS: * OK [UIDVALIDITY 9] valid\n\
    S: * OK [UIDNEXT 50] next\nS: @ OK [READ-ONLY] open\n";

/// Signs in to a server that follows a script, in which `@` is the tag of the command.
pub(super) async fn signed_in(script: &str) -> (ImapSession, Scripted) {
    let mut number = 1;
    let lines = script.lines().map(str::trim_start).map(|line| {
        number += usize::from(line.starts_with("C: @ "));
        let tag = format!("A{number:04}");
        let tagged = line.strip_prefix("C: @ ").map(|rest| format!("C: {tag} {rest}"));
        let tagged = tagged.or_else(|| line.strip_prefix("S: @ ").map(|rest| format!("S: {tag} {rest}")));
        tagged.unwrap_or_else(|| line.to_owned())
    });
    let lines: Vec<_> = lines.collect();
    let server = Scripted::new(&format!("{HELLO}{LOGIN}S: A0001 OK in\n{}\n", lines.join("\n")));
    let endpoint = endpoint(Encryption::None, None);
    let session = Box::pin(ImapSession::open(&endpoint, &password(true), &server)).await.expect("a session");
    (session, server)
}

/// The same with INBOX open for reading.
pub(super) async fn opened(script: &str) -> (ImapSession, Scripted) {
    let (mut session, server) = signed_in(&format!("{OPEN}{script}")).await;
    let state = session.open_folder("INBOX", Access::Read).await.expect("open");
    assert_eq!(state, FolderState { uid_validity: 9, uid_next: 50, messages: 3 });
    (session, server)
}

/// The same with INBOX open for changes.
pub(super) async fn opened_for_changes(script: &str) -> (ImapSession, Scripted) {
    let open = OPEN.replace("EXAMINE", "SELECT").replace("READ-ONLY", "READ-WRITE");
    let (mut session, server) = signed_in(&format!("{open}{script}")).await;
    session.open_folder("INBOX", Access::Change).await.expect("open");
    (session, server)
}

/// Leaves; the whole script must have been followed.
pub(super) async fn leave(session: ImapSession, server: Scripted) {
    session.logout().await;
    server.finish().await;
}

#[tokio::test(start_paused = true)]
async fn folders_are_told_with_what_they_are_for() {
    let (mut session, server) = signed_in(
        "C: @ LIST \"\" \"*\"
        S: * LIST (\\HasNoChildren) \"/\" INBOX
        S: * LIST (\\HasChildren \\Noselect) \"/\" \"[Gmail]\"
        S: * LIST (\\Archive \\Sent) \"/\" \"[Gmail]/&kAFP4W4IMH8-\"
        S: * LIST (\\NonExistent \\Junk) \"\\\\\" {4}
        S: Spam
        S: * LIST () NIL \"a\\\"b\"
        S: @ OK done",
    )
    .await;
    let folders = session.folders().await.expect("folders");
    let shown: Vec<_> = folders
        .iter()
        .map(|f| (f.name.as_str(), f.decoded_name.as_str(), f.delimiter, f.special_use, f.is_selectable))
        .collect();
    let expected = [
        ("INBOX", "INBOX", Some('/'), None, true),
        ("[Gmail]", "[Gmail]", Some('/'), None, false),
        ("[Gmail]/&kAFP4W4IMH8-", "[Gmail]/送信済み", Some('/'), Some(SpecialUse::Sent), true),
        ("Spam", "Spam", Some('\\'), Some(SpecialUse::Junk), false),
        ("a\"b", "a\"b", None, None, true),
    ];
    assert_eq!(shown, expected);
    leave(session, server).await;
}

#[tokio::test(start_paused = true)]
async fn folders_are_opened_by_the_names_that_servers_give_them() {
    let (mut session, server) = signed_in(
        "C: @ SELECT \"a\\\"b\\\\&AOk-\"
        S: * 0 EXISTS
        S: * NO [ALERT] the disk is nearly full
        S: * OK [UIDVALIDITY 7] ok
        S: @ OK [READ-WRITE] done
        C: @ NOOP
        S: * 1 EXISTS
        S: @ OK done
        C: @ UID FETCH 1:* (UID RFC822.SIZE FLAGS)
        S: * 2 EXISTS
        S: @ OK done
        C: @ UID FETCH 1:* (UID RFC822.SIZE FLAGS)
        S: * 2 FETCH (UID 5 RFC822.SIZE 9 FLAGS ())
        S: @ OK done
        C: @ EXAMINE \"gone\"
        S: @ NO [NONEXISTENT] no such folder
        C: @ EXAMINE \"old\"
        S: * 2 EXISTS
        S: * OK [UIDVALIDITY 1] ok
        S: @ OK done
        C: @ UID FETCH * (UID)
        S: * 2 FETCH (UID 77)
        S: @ OK done
        C: @ EXAMINE \"older\"
        S: * 2 EXISTS
        S: @ OK done",
    )
    .await;
    let state = session.open_folder("a\"b\\&AOk-", Access::Change).await.expect("open");
    assert_eq!(state, FolderState { uid_validity: 7, uid_next: 1, messages: 0 });
    assert_eq!(session.list_from(1, Wanted::All, 10).await.expect("nothing is asked"), []);
    let page = session.list_from(1, Wanted::All, 10).await.expect("what has come since");
    assert_eq!(page, listed(&[(5, Some(9), false)]));
    let failure = session.open_folder("gone", Access::Read).await.expect_err("no such folder");
    assert_eq!(failure.to_string(), "folders: the server replied A0006 NO [NONEXISTENT] no such folder");
    let state = session.open_folder("old", Access::Read).await.expect("open");
    assert_eq!(state, FolderState { uid_validity: 1, uid_next: 78, messages: 2 });
    let failure = session.open_folder("older", Access::Read).await.expect_err("no UIDs");
    assert_eq!(failure.to_string(), "folders: the server does not offer UIDVALIDITY");
    assert!(session.open_folder("a\r\nb", Access::Read).await.is_err());
    leave(session, server).await;
}

fn listed(rows: &[(u32, Option<u32>, bool)]) -> Vec<Listed> {
    rows.iter().map(|&(uid, octets, is_seen)| Listed { uid, octets, is_seen }).collect()
}

#[tokio::test(start_paused = true)]
async fn messages_are_listed_whatever_else_is_said() {
    let answer = "C: @ UID FETCH 5:* (UID RFC822.SIZE FLAGS)
        S: * 3 FETCH (UID 12 RFC822.SIZE 120 FLAGS (\\Recent))
        S: * 1 FETCH (FLAGS (\\Seen))
        S: * 2 FETCH (UID 7 FLAGS (\\Seen) RFC822.SIZE 70)
        S: * 2 EXPUNGE
        S: * OK [HIGHESTMODSEQ 7] fine
        S: * 2 FETCH (UID 9 RFC822.SIZE 4294967296)
        S: * 2 FETCH (UID 10 RFC822.SIZE 10 FLAGS (\\Deleted))
        S: * 2 FETCH (UID 4 RFC822.SIZE 4 FLAGS ())
        S: * 3 FETCH (UID 12 FLAGS ())
        S: A9999 NO what nobody asked for
        S: @ OK done";
    let all = [(7, Some(70), true), (9, None, false), (12, Some(120), false)];
    let rows = [(Wanted::All, 10, &all[..]), (Wanted::Unseen, 10, &all[1..]), (Wanted::All, 2, &all[..2])];
    for (wanted, limit, expected) in rows {
        let (mut session, server) = opened(answer).await;
        assert_eq!(session.list_from(5, wanted, limit).await.expect("a page"), listed(expected));
        leave(session, server).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_folder_is_listed_by_windows_of_uids() {
    let (mut session, server) = signed_in(
        "C: @ EXAMINE \"INBOX\"
        S: * 20000 EXISTS
        S: * OK [UIDVALIDITY 9] valid
        S: * OK [UIDNEXT 8001] next
        S: @ OK open
        C: @ UID FETCH 1:100 (UID RFC822.SIZE FLAGS)
        S: @ OK nothing
        C: @ UID FETCH 101:300 (UID RFC822.SIZE FLAGS)
        S: * 1 FETCH (UID 299 RFC822.SIZE 1 FLAGS ())
        S: @ OK one
        C: @ UID FETCH 301:700 (UID RFC822.SIZE FLAGS)
        S: * 2 FETCH (UID 500 RFC822.SIZE 2 FLAGS ())
        S: * 3 FETCH (UID 301 RFC822.SIZE 3 FLAGS ())
        S: @ OK done
        C: @ UID FETCH 7000:7099 (UID RFC822.SIZE FLAGS)
        S: * 2 FETCH (UID 7000 RFC822.SIZE 2 FLAGS ())
        S: @ OK done
        C: @ UID FETCH 7100:7299 (UID RFC822.SIZE FLAGS)
        S: @ OK done
        C: @ UID FETCH 7300:7699 (UID RFC822.SIZE FLAGS)
        S: @ OK done
        C: @ UID FETCH 7700:* (UID RFC822.SIZE FLAGS)
        S: * 4 FETCH (UID 7699 RFC822.SIZE 2 FLAGS ())
        S: @ OK done
        C: @ UID FETCH 7001:7900 (UID RFC822.SIZE FLAGS)
        S: @ OK done
        C: @ UID FETCH 7901:* (UID RFC822.SIZE FLAGS)
        S: @ OK done",
    )
    .await;
    session.open_folder("INBOX", Access::Read).await.expect("open");
    let page = session.list_from(0, Wanted::All, 2).await.expect("a page");
    assert_eq!(page, listed(&[(299, Some(1), false), (301, Some(3), false)]));
    let page = session.list_from(7_000, Wanted::All, 2).await.expect("a page");
    assert_eq!(page, listed(&[(7_000, Some(2), false)]));
    assert_eq!(session.list_from(7_001, Wanted::All, 900).await.expect("a page"), []);
    leave(session, server).await;
}

const FETCH: &str = "C: @ UID FETCH 7 (UID RFC822.SIZE BODY.PEEK[]<0.65536>)\n";

/// Messages of at most 70,000 bytes are allowed.
async fn check_fetch(answer: &str, expected: Result<Fetched, &str>) {
    let (mut session, server) = opened(&format!("{FETCH}{answer}")).await;
    let fetched = session.fetch(7, 70_000).await;
    match &fetched {
        Ok(_) => leave(session, server).await,
        Err(failure) => assert!(!format!("{failure:?}").contains("secret"), "{failure:?}"),
    }
    assert_eq!(fetched.map_err(|failure| failure.to_string()), expected.map_err(str::to_owned), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn messages_are_read_without_being_marked() {
    let message = |text: &str| Ok(Fetched::Message(text.as_bytes().to_vec()));
    let one = "S: * 1 FETCH (FLAGS (\\Seen))\nS: * 2 FETCH (UID 8 BODY[]<0> \"other\")\n\
        S: * 1 FETCH (UID 7 RFC822.SIZE 10 BODY[]<0> {10}\nS~ secret\\r\\n\\r\\n)\\r\\n\nS: * 4 EXISTS\nS: @ OK done\n";
    check_fetch(one, message("secret\r\n\r\n")).await;
    check_fetch("S: * 1 FETCH (BODY[]<0> \"ab\" UID 7 RFC822.SIZE 2)\nS: @ OK\n", message("ab")).await;
    check_fetch("S: * 1 FETCH (UID 7 RFC822.SIZE 0 BODY[]<0> NIL)\nS: @ OK\n", message("")).await;
    let long = "x".repeat(65_536);
    let first = format!("S: * 1 FETCH (UID 7 RFC822.SIZE 65600 BODY[]<0> {{65536}}\nS~ {long})\\r\\n\nS: @ OK\n");
    let more = "C: @ UID FETCH 7 (UID BODY.PEEK[]<65536.1048576>)\n";
    let end = "C: @ UID FETCH 7 (UID BODY.PEEK[]<65538.1048576>)\n";
    // The server took the message for longer than it is.
    let rest = format!("{more}S: * 1 FETCH (UID 7 BODY[]<65536> \"yy\")\nS: @ OK\n{end}");
    let both = message(&format!("{long}yy"));
    check_fetch(&format!("{first}{rest}S: * 1 FETCH (UID 7 BODY[]<65538> \"\")\nS: @ OK\n"), both).await;
    let went = format!("{first}{more}S: * 1 EXPUNGE\nS: @ OK [EXPUNGEISSUED] gone\n");
    check_fetch(&went, Ok(Fetched::Gone)).await;
    // The server knows no parts.
    let whole = format!("S: * 1 FETCH (UID 7 RFC822.SIZE 65538 BODY[] {{65538}}\nS~ {long}yy)\\r\\n\nS: @ OK\n");
    check_fetch(&whole, message(&format!("{long}yy"))).await;
}

#[tokio::test(start_paused = true)]
async fn messages_that_cannot_be_had_are_told() {
    let refused = |words: &str| Ok(Fetched::Refused(words.to_owned()));
    check_fetch("S: @ OK nothing\n", Ok(Fetched::Gone)).await;
    check_fetch("S: @ NO [EXPUNGEISSUED] gone\n", Ok(Fetched::Gone)).await;
    check_fetch("S: * 1 FETCH (FLAGS () UID 7)\nS: @ OK\n", Ok(Fetched::Gone)).await;
    check_fetch("S: @ NO [SERVERBUG] damaged\n", refused("A0003 NO [SERVERBUG] damaged")).await;
    check_fetch("S: @ BAD what?\n", refused("A0003 BAD what?")).await;
    check_fetch("S: * 1 FETCH (UID 7 RFC822.SIZE 5)\nS: @ OK\n", refused("the answer holds no BODY[]")).await;
    let large = "S: * 1 FETCH (UID 7 RFC822.SIZE 70001 BODY[]<0> \"\")\nS: @ OK\n";
    check_fetch(large, Ok(Fetched::TooLarge(70_001))).await;
    let lie = "x".repeat(70_002);
    let lie = format!("S: * 1 FETCH (UID 7 RFC822.SIZE 2 BODY[] {{70002}}\nS~ {lie})\\r\\n\nS: @ OK\n");
    check_fetch(&lie, Ok(Fetched::TooLarge(70_002))).await;
}

#[tokio::test(start_paused = true)]
async fn what_no_server_should_say_ends_the_session_and_shows_no_content() {
    let huge = "S: * 1 FETCH (UID 7 RFC822.SIZE 2 BODY[]<0> {500000000}\nhang";
    check_fetch(huge, Err("messages: the server said more than 4264304 bytes")).await;
    let cut = "S: * 1 FETCH (UID 7 RFC822.SIZE 9 BODY[]<0> {9}\nS~ secret\nclose";
    check_fetch(cut, Err("messages: connection closed by the server")).await;
    let longer = "S: * 1 FETCH (UID 7 RFC822.SIZE 9 BODY[]<0> {2}\nS~ secret)\\r\\n\nhang";
    check_fetch(longer, Err("messages: what came is no IMAP reply: \"\"")).await;
    let bye = "S: * BYE shutting down\nclose";
    check_fetch(bye, Err("messages: the server replied * BYE shutting down")).await;
    // This makes imap-proto 0.17 panic.
    let accent = "S: * OK [UIDNEXT 5]é\nhang";
    check_fetch(accent, Err("messages: what came is no IMAP reply: \"* OK [UIDNEXT 5]é\"")).await;
    let odd = "S: * 1 FETCH (UID 7 BODY[]<5> \"secret\")\nS: @ OK x\n";
    check_fetch(odd, Err("messages: what came is no IMAP reply: \"A0003 OK x\"")).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_is_waited_for_while_it_moves() {
    let part = "S~ abcde\nwait 2\n";
    let slow =
        format!("S: * 1 FETCH (UID 7 RFC822.SIZE 20 BODY[]<0> {{20}}\nwait 2\n{}S~ )\\r\\n\nS: @ OK\n", part.repeat(4));
    check_fetch(&slow, Ok(Fetched::Message(b"abcdeabcdeabcdeabcde".to_vec()))).await;
    let stuck = "S: * 1 FETCH (UID 7 RFC822.SIZE 20 BODY[]<0> {20}\nwait 2\nS~ secret\nhang";
    check_fetch(stuck, Err("messages: no answer within 3 s")).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_left_in_an_answer_is_lost() {
    let (mut session, _server) = opened(&format!("{FETCH}wait 1\nS: @ OK nothing\n")).await;
    let left = timeout(Duration::from_millis(500), session.fetch(7, 1_000)).await;
    assert!(left.is_err());
    let failure = session.fetch(7, 1_000).await.expect_err("nobody knows what is answered");
    assert_eq!(failure.to_string(), "messages: connection closed by the server");
}

#[tokio::test(start_paused = true)]
async fn a_long_session_keeps_little_of_what_was_said() {
    let one = "S: * 1 FETCH (UID 7 RFC822.SIZE 6 BODY[]<0> {6}\nS~ secret)\\r\\n\nS: @ OK done\n";
    let script = format!("{}{FETCH}close", format!("{FETCH}{one}").repeat(1_000));
    let (mut session, _server) = opened(&script).await;
    for _ in 0..1_000 {
        assert_eq!(session.fetch(7, 1_000).await.expect("a message"), Fetched::Message(b"secret".to_vec()));
    }
    let failure = session.fetch(7, 1_000).await.expect_err("closed");
    assert!(failure.transcript.len() <= 16_384, "{}", failure.transcript.len());
    assert!(failure.transcript.ends_with("C: UID FETCH 7 (UID RFC822.SIZE BODY.PEEK[]<0.65536>)\n"));
    assert!(failure.transcript.contains("S: A1002 OK done\n") && !failure.transcript.contains("secret"));
}
