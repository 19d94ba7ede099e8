//! What a session says and hears, against scripted servers.

use std::time::Duration;

use proptest::prelude::*;

use super::{
    failure::{EnvelopeFailure, Fault, Needed},
    scripted::{Scripted, envelope, message, opened, provider, short},
    session::{Abandoned, Session},
};
use crate::domain::verdict::Phase;

const PIPELINING: &str = "S: 220 hi\nC: EHLO client.test\nS: 250-hi\nS: 250-SIZE 1000\nS: 250 PIPELINING\n";
const SIMPLE: &str = "S: 220 hi\nC: EHLO client.test\nS: 250 hi\n";
const BEGUN: &str = "C: MAIL FROM:<me@x.jp> SIZE=22\nC: RCPT TO:<a@x.jp>\nC: RCPT TO:<b@x.jp>\nC: DATA\n";

fn codes(replies: &super::EnvelopeReplies) -> (u16, Vec<u16>, Option<u16>) {
    let recipients = replies.recipients.iter().map(|r| r.code()).collect();
    (replies.mail.code(), recipients, replies.data.as_ref().map(|r| r.code()))
}

#[tokio::test(start_paused = true)]
async fn a_pipelined_envelope_is_one_write_and_the_content_another() {
    let script = format!(
        "{PIPELINING}{BEGUN}S: 250 2.1.0 sender\nS: 250 one\nS: 550-5.1.1 no\nS: 550 5.1.1 b\nS: 354 go\ncontent\n\
         S: 250 2.0.0 queued as 42\nC: QUIT\nS: 221 bye"
    );
    let (mut session, server) = opened(&script).await;
    let replies = session.envelope(&envelope(&["a@x.jp", "b@x.jp"]), &short()).await.expect("replies");
    assert_eq!(codes(&replies), (250, vec![250, 550], Some(354)));
    assert_eq!(replies.recipients[1].text(), "550-5.1.1 no\n550 5.1.1 b");
    assert!(replies.may_send_message() && !session.is_ready());
    let reply = session.message(&short()).await.expect("a reply");
    assert_eq!(reply.text(), "250 2.0.0 queued as 42");
    assert!(session.is_ready());
    assert!(session.transcript().contains("C: (28 bytes of content)\nS: 250 2.0.0 queued as 42\n"));
    session.quit().await;
    assert_eq!(server.finish().await.contents, ["Subject: x\r\n\r\nhello\r\n..\r\n.\r\n"]);
    assert_eq!(server.writes().len(), 4, "EHLO, envelope, content, QUIT: {:?}", server.writes());
}

#[tokio::test(start_paused = true)]
async fn a_message_arrives_as_it_was_composed_but_for_its_dots() {
    let text = ".first\r\n\r\n..\r\n.\r\na.b\r\nend\r\n";
    let script = format!(
        "{SIMPLE}C: MAIL FROM:<me@x.jp>\nS: 250 ok\nC: RCPT TO:<a@x.jp>\nS: 250 ok\nC: DATA\nS: 354 go\ncontent\nS: 250 ok"
    );
    let (mut session, server) = opened(&script).await;
    session.envelope(&envelope(&["a@x.jp"]), &message(text)).await.expect("replies");
    session.message(&message(text)).await.expect("a reply");
    drop(session);
    assert_eq!(server.finish().await.contents, ["..first\r\n\r\n...\r\n..\r\na.b\r\nend\r\n.\r\n"]);
}

#[tokio::test(start_paused = true)]
async fn without_pipelining_commands_go_one_by_one_and_data_needs_a_recipient() {
    let script = format!(
        "{SIMPLE}C: MAIL FROM:<me@x.jp>\nS: 250 ok\nC: RCPT TO:<a@x.jp>\nS: 550 no\nC: RCPT TO:<b@x.jp>\nS: 451 later\n\
         C: RSET\nS: 250 reset\nC: MAIL FROM:<me@x.jp>\nS: 552 no\n"
    );
    let (mut session, server) = opened(&script).await;
    let replies = session.envelope(&envelope(&["a@x.jp", "b@x.jp"]), &short()).await.expect("replies");
    assert_eq!(codes(&replies), (250, vec![550, 451], None));
    assert_eq!(session.abandon().await.expect("kept"), Abandoned::Kept);
    let replies = session.envelope(&envelope(&["a@x.jp"]), &short()).await.expect("replies");
    assert_eq!(codes(&replies), (552, vec![], None));
    assert_eq!(session.abandon().await.expect("nothing to do"), Abandoned::Kept);
    assert!(session.is_ready());
    drop(session);
    assert_eq!(server.finish().await.rest, "");
}

#[tokio::test(start_paused = true)]
async fn a_refused_sender_says_nothing_of_the_recipients() {
    let script = format!("{PIPELINING}{BEGUN}S: 550 5.7.1 not you\nS: 503 no\nS: 503 no\nS: 503 no\n");
    let (mut session, _server) = opened(&script).await;
    let replies = session.envelope(&envelope(&["a@x.jp", "b@x.jp"]), &short()).await.expect("replies");
    assert_eq!(codes(&replies), (550, vec![], Some(503)));
    assert!(session.is_ready());
}

#[tokio::test(start_paused = true)]
async fn data_allowed_for_nobody_ends_with_a_lone_dot() {
    for (answer, expected) in [("554 no recipients", false), ("250 thanks", true)] {
        let script = format!("{PIPELINING}{BEGUN}S: 250 ok\nS: 550 no\nS: 550 no\nS: 354 go\nC: .\nS: {answer}\n");
        let (mut session, server) = opened(&script).await;
        let replies = session.envelope(&envelope(&["a@x.jp", "b@x.jp"]), &short()).await.expect("replies");
        assert!(!replies.may_send_message());
        let refused = session.message(&short()).await.expect_err("not due");
        assert!(matches!(refused.cause, Fault::Unusable) && !refused.in_doubt);
        let abandoned = session.abandon().await.expect("an answer");
        assert_eq!(matches!(abandoned, Abandoned::EmptyMessageTaken(_)), expected, "{abandoned:?}");
        assert!(session.is_ready());
        drop(session);
        assert_eq!(server.finish().await.rest, "");
    }
}

#[tokio::test(start_paused = true)]
async fn a_withdrawal_after_data_was_allowed_closes_without_a_byte() {
    let script = format!("{PIPELINING}{BEGUN}S: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go\n");
    let (mut session, server) = opened(&script).await;
    session.envelope(&envelope(&["a@x.jp", "b@x.jp"]), &short()).await.expect("replies");
    assert_eq!(session.abandon().await.expect("closed"), Abandoned::Closed);
    assert!(!session.is_ready());
    assert_eq!(server.finish().await.rest, "");
}

#[tokio::test(start_paused = true)]
async fn replies_in_pieces_and_odd_forms_are_read() {
    let script = format!(
        "{PIPELINING}{BEGUN}S~ 25\nwait 1\nS~ 0\\r\nwait 1\nS~ \\n571 5.7.1 \\xff\\xfe\\n\nS~ 250-first\\r\\n451 mixed\\r\\n354\\n\n"
    );
    let (mut session, _server) = opened(&script).await;
    let replies = session.envelope(&envelope(&["a@x.jp", "b@x.jp"]), &short()).await.expect("replies");
    assert_eq!(codes(&replies), (250, vec![571, 451], Some(354)));
    assert_eq!(replies.recipients[0].text(), "571 5.7.1 \u{fffd}\u{fffd}");
}

#[tokio::test(start_paused = true)]
async fn a_long_line_is_cut_and_the_session_goes_on() {
    let long = "y".repeat(20_000);
    let script = format!("{PIPELINING}{BEGUN}S: 250 {long}\nS: 250 ok\nS: 250 ok\nS: 354 go\n");
    let (mut session, _server) = opened(&script).await;
    let replies = session.envelope(&envelope(&["a@x.jp", "b@x.jp"]), &short()).await.expect("replies");
    assert_eq!(replies.mail.text().len(), 2_048);
}

#[track_caller]
fn check_broken(failure: EnvelopeFailure, phase: Phase, cause: &str, answered: &[u16]) {
    let EnvelopeFailure::Broken(broken) = failure else { panic!("not broken: {failure}") };
    assert_eq!((broken.phase, broken.cause.to_string().as_str()), (phase, cause));
    assert_eq!(broken.answered.iter().map(|r| r.code()).collect::<Vec<_>>(), answered);
    assert!(!broken.in_doubt);
}

#[tokio::test(start_paused = true)]
async fn what_breaks_in_the_envelope_keeps_the_replies_before() {
    let rows = [
        (
            "S: 250 ok\nS: 421 4.3.2 going down\nclose",
            Phase::Rcpt,
            "the server closes the connection: 421 4.3.2 going down",
            &[250][..],
        ),
        ("S: 421 busy\nclose", Phase::Mail, "the server closes the connection: 421 busy", &[]),
        ("close", Phase::Mail, "connection closed by the server", &[]),
        ("S: 250 ok\nS: 550 no\nclose", Phase::Rcpt, "connection closed by the server", &[250, 550]),
        (
            "S: 250 ok\nS: 250 ok\nS: 250 ok\nS~ 35\nclose",
            Phase::Data,
            "connection closed by the server",
            &[250, 250, 250],
        ),
        ("S: 250 ok\nS: 354 what\n", Phase::Rcpt, "the server sent a reply to no command: \"354 what\"", &[250]),
        ("S: 250 ok\nhang", Phase::Rcpt, "no answer within 3 s", &[250]),
        ("S: 250 ok\nS: 250 ok\nS: 250 ok\nhang", Phase::Data, "no answer within 4 s", &[250, 250, 250]),
    ];
    for (script, phase, cause, answered) in rows {
        let (mut session, _server) = opened(&format!("{PIPELINING}{BEGUN}{script}")).await;
        let failure = session.envelope(&envelope(&["a@x.jp", "b@x.jp"]), &short()).await.expect_err(script);
        check_broken(failure, phase, cause, answered);
        assert!(!session.is_ready());
    }
}

#[tokio::test(start_paused = true)]
async fn garbage_and_endless_replies_break_the_session() {
    for script in ["S: hello, this is no reply", &format!("S: 250-{}", "x".repeat(70_000))] {
        let (mut session, _server) = opened(&format!("{PIPELINING}{BEGUN}{script}")).await;
        let failure = session.envelope(&envelope(&["a@x.jp", "b@x.jp"]), &short()).await.expect_err(script);
        let EnvelopeFailure::Broken(broken) = failure else { panic!("{failure}") };
        assert!(matches!(broken.cause, Fault::Unreadable(_) | Fault::ReplyTooLong(_)), "{broken}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_end_of_data_is_in_doubt_once_the_dot_is_out() {
    let allowed = "S: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go\n";
    let rows = [
        ("content\nclose", "connection closed by the server", true),
        ("content\nhang", "no answer within 5 s", true),
        ("content\nS: garbage", "what came is no SMTP reply: \"garbage\"", true),
        (
            "S: 250 thanks already\nwait 1\n",
            "the server sent a reply to no command: \"250 thanks already\\r\\n\"",
            false,
        ),
        ("S: 421 bye\nclose\n", "the server closes the connection: 421 bye", false),
    ];
    for (script, cause, in_doubt) in rows {
        let (mut session, _server) = opened(&format!("{PIPELINING}{BEGUN}{allowed}{script}")).await;
        session.envelope(&envelope(&["a@x.jp", "b@x.jp"]), &short()).await.expect("replies");
        tokio::time::sleep(Duration::from_millis(10)).await;
        let broken = session.message(&short()).await.expect_err(script);
        assert_eq!((broken.phase, broken.cause.to_string().as_str()), (Phase::EndOfData, cause));
        assert_eq!(broken.in_doubt, in_doubt, "{script}");
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_of_the_final_dot_are_answers() {
    for (answer, ready) in [("554 5.7.1 spam", true), ("451 later", true), ("421 4.7.0 later", false)] {
        let script = format!("{PIPELINING}{BEGUN}S: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go\ncontent\nS: {answer}\n");
        let (mut session, _server) = opened(&script).await;
        session.envelope(&envelope(&["a@x.jp", "b@x.jp"]), &short()).await.expect("replies");
        assert_eq!(session.message(&short()).await.expect("an answer").text(), answer);
        assert_eq!(session.is_ready(), ready);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_reading_cannot_have_taken_the_message() {
    let server = Scripted::new(&format!(
        "{SIMPLE}C: MAIL FROM:<me@x.jp>\nS: 250 ok\nC: RCPT TO:<a@x.jp>\nS: 250 ok\nC: DATA\nS: 354 go\nhang"
    ));
    let server = server.with_pipe(100_000);
    let mut session = Session::open(&provider(), &server).await.expect("a session");
    let large = message(&"x".repeat(300_000));
    session.envelope(&envelope(&["a@x.jp"]), &large).await.expect("replies");
    let broken = session.message(&large).await.expect_err("it hangs");
    assert!(matches!(broken.cause, Fault::TimedOut(limit) if limit == Duration::from_secs(4)), "{broken}");
    assert!(!broken.in_doubt);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_while_the_content_is_on_its_way_is_heard() {
    let server = Scripted::new(&format!(
        "{SIMPLE}C: MAIL FROM:<me@x.jp>\nS: 250 ok\nC: RCPT TO:<a@x.jp>\nS: 250 ok\nC: DATA\nS: 354 go\nwait 1\nS: 552 too large\nclose"
    ));
    let server = server.with_pipe(100_000);
    let mut session = Session::open(&provider(), &server).await.expect("a session");
    let large = message(&"x".repeat(300_000));
    session.envelope(&envelope(&["a@x.jp"]), &large).await.expect("replies");
    assert_eq!(session.message(&large).await.expect("an answer").text(), "552 too large");
}

#[tokio::test(start_paused = true)]
async fn extensions_that_a_message_needs_are_asked_for_or_missed() {
    let all = "S: 220 hi\nC: EHLO client.test\nS: 250-hi\nS: 250-8bitmime\nS: 250 smtputf8\n";
    let mail = "C: MAIL FROM:<me@x.jp> BODY=8BITMIME SMTPUTF8\nS: 550 no\n";
    let (mut session, _server) = opened(&format!("{all}{mail}")).await;
    session.envelope(&envelope(&["太郎@x.jp"]), &message("é\r\n")).await.expect("replies");

    let (mut session, server) = opened(SIMPLE).await;
    let missing = session.envelope(&envelope(&["a@x.jp"]), &message("é\r\n")).await.expect_err("no 8BITMIME");
    assert!(matches!(missing, EnvelopeFailure::NotOffered(Needed::EightBitMime)));
    let missing = session.envelope(&envelope(&["太郎@x.jp"]), &short()).await.expect_err("no SMTPUTF8");
    assert!(matches!(missing, EnvelopeFailure::NotOffered(Needed::SmtpUtf8)));
    assert!(session.is_ready());
    drop(session);
    assert_eq!(server.finish().await.rest, "");
}

#[tokio::test(start_paused = true)]
async fn a_header_beyond_ascii_needs_smtputf8_though_the_envelope_does_not() {
    let all = "S: 220 hi\nC: EHLO client.test\nS: 250-hi\nS: 250-8bitmime\nS: 250 smtputf8\n";
    let mail = "C: MAIL FROM:<me@x.jp> BODY=8BITMIME SMTPUTF8\nS: 550 no\n";
    let only_body = "C: MAIL FROM:<me@x.jp> BODY=8BITMIME\nS: 550 no\n";
    let (mut session, _server) = opened(&format!("{all}{mail}{only_body}")).await;
    let header = message("Reply-To: 太郎@例え.jp\r\n\r\nhi\r\n");
    session.envelope(&envelope(&["a@x.jp"]), &header).await.expect("replies");
    session.envelope(&envelope(&["a@x.jp"]), &message("Subject: a\r\n\r\n飛脚\r\n")).await.expect("replies");

    let (mut session, _server) = opened("S: 220 hi\nC: EHLO client.test\nS: 250-hi\nS: 250 8BITMIME\n").await;
    let missing = session.envelope(&envelope(&["a@x.jp"]), &header).await.expect_err("no SMTPUTF8");
    assert!(matches!(missing, EnvelopeFailure::NotOffered(Needed::SmtpUtf8)));
}

#[tokio::test(start_paused = true)]
async fn many_recipients_go_out_in_groups() {
    let names: Vec<_> = (0..250).map(|n| format!("r{n}@x.jp")).collect();
    let rcpt: String = names.iter().map(|n| format!("C: RCPT TO:<{n}>\n")).collect();
    let ok = "S: 250 ok\n".repeat(100);
    let lines: Vec<_> = rcpt.lines().collect();
    let script = format!(
        "{PIPELINING}C: MAIL FROM:<me@x.jp> SIZE=22\n{}\nS: 250 ok\n{ok}{}\n{ok}{}\nC: DATA\n{}S: 354 go",
        lines[..100].join("\n"),
        lines[100..200].join("\n"),
        lines[200..].join("\n"),
        "S: 250 ok\n".repeat(50),
    );
    let (mut session, server) = opened(&script).await;
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let replies = session.envelope(&envelope(&names), &short()).await.expect("replies");
    assert_eq!(replies.recipients.len(), 250);
    assert!(replies.may_send_message());
    assert_eq!(server.writes().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_left_while_idle_is_noticed_before_mail() {
    for (script, cause) in [
        ("close", "connection closed by the server"),
        ("S: 421 4.4.2 idle for too long\nclose", "the server closes the connection: 421 4.4.2 idle for too long"),
    ] {
        let (mut session, server) = opened(&format!("{PIPELINING}{script}")).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let failure = session.envelope(&envelope(&["a@x.jp"]), &short()).await.expect_err("gone");
        check_broken(failure, Phase::Mail, cause, &[]);
        assert_eq!(server.writes().len(), 1, "nothing after EHLO");
    }
}

#[tokio::test(start_paused = true)]
async fn an_exchange_that_was_dropped_leaves_the_session_unusable() {
    let (mut session, _server) = opened(&format!("{PIPELINING}hang")).await;
    let (envelope, message) = (envelope(&["a@x.jp"]), short());
    let exchange = session.envelope(&envelope, &message);
    assert!(tokio::time::timeout(Duration::from_secs(1), exchange).await.is_err());
    assert!(!session.is_ready());
    let failure = session.envelope(&envelope, &message).await.expect_err("unusable");
    check_broken(failure, Phase::Mail, "the session is no longer usable", &[]);
    assert_eq!(session.abandon().await.expect("closed"), Abandoned::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_refused_reset_breaks_the_session() {
    let (mut session, _server) = opened(&format!("{PIPELINING}C: RSET\nS: 250 ok\nC: RSET\nS: 502 what\n")).await;
    session.reset().await.expect("a reset");
    assert!(session.is_ready());
    assert!(session.reset().await.is_err());
    assert!(!session.is_ready());
}

#[test]
fn sessions_may_move_between_threads() {
    fn check<T: Send>(_: T) {}
    let server = Scripted::new("");
    let provider = provider();
    check(Session::open(&provider, &server));
}

/// Talks to a server that says `words` whenever it likes; the outcome only has to be consistent.
async fn survive(words: &[&str]) {
    let (mut session, _server) = opened(&format!("{PIPELINING}{}\nhang", words.join("\n"))).await;
    let Ok(replies) = session.envelope(&envelope(&["a@x.jp", "b@x.jp"]), &short()).await else {
        assert!(!session.is_ready());
        return;
    };
    assert_eq!(replies.recipients.len(), if replies.mail.is_positive() { 2 } else { 0 });
    match session.message(&short()).await {
        Ok(reply) => assert!(replies.may_send_message() && reply.code() / 100 != 3),
        Err(broken) => assert!(!broken.in_doubt || replies.may_send_message()),
    }
    // Whatever happened, there is a way out.
    let _ = session.abandon().await;
    assert!(session.transcript().len() <= 16_384);
    session.quit().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_server_makes_a_session_panic_or_hang(words in proptest::collection::vec(prop::sample::select(vec![
        "S: 250 ok", "S: 250 ok", "S: 354 go", "S: 550 no", "S: 421 bye", "S: 250-more", "S: 999 what", "S: garbage",
        "S~ 25", "S~ 0\\r", "S~ \\n", "S~ \\x00\\xff", "wait 1", "wait 4", "content", "close",
    ]), 0..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(survive(&words));
    }
}
