//! What is said when a message and the next envelope go out together, against scripted servers.

use std::time::Duration;

use proptest::prelude::*;

use super::{
    channel::BLOCK_BYTES,
    content::Ahead,
    failure::{Broken, EnvelopeFailure, Fault, Needed},
    scripted::{Scripted, envelope, message, opened, provider, short},
    session::{Abandoned, Session},
};
use crate::domain::{
    mail::{Envelope, Message},
    reply::Reply,
    verdict::Phase,
};

const PIPELINING: &str = "S: 220 hi\nC: EHLO client.test\nS: 250-hi\nS: 250 PIPELINING\n";
const FIRST: &str = "C: MAIL FROM:<me@x.jp>\nC: RCPT TO:<a@x.jp>\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\n";
const SECOND: &str = "C: MAIL FROM:<me@x.jp>\nC: RCPT TO:<b@x.jp>\nC: RCPT TO:<c@x.jp>\nC: DATA\n";
const ACCEPTED: &str = "S: 250 ok\nS: 250 b\nS: 550 c\nS: 354 go\n";

/// A session whose first envelope was accepted, and whose server then follows `script`.
async fn begun(script: &str) -> (Session, Scripted) {
    let (mut session, server) = opened(&format!("{PIPELINING}{FIRST}{script}")).await;
    let replies = session.envelope(&envelope(&["a@x.jp"]), &short()).await.expect("replies");
    assert!(replies.may_send_message());
    (session, server)
}

fn second() -> (Envelope, Message) {
    (envelope(&["b@x.jp", "c@x.jp"]), short())
}

/// Sends the short message and `next` with it.
async fn hand_over<'s>(session: &'s mut Session, next: &'s (Envelope, Message)) -> (Result<Reply, Broken>, Ahead<'s>) {
    session.message_then_envelope(&short(), (&next.0, &next.1)).await
}

#[tokio::test(start_paused = true)]
async fn a_message_and_the_next_envelope_are_one_write() {
    let script = format!("content\n{SECOND}S: 250 first\n{ACCEPTED}content\nS: 250 second\nC: QUIT\nS: 221 bye");
    let (mut session, server) = begun(&script).await;
    let next = second();
    let (reply, ahead) = hand_over(&mut session, &next).await;
    assert_eq!(reply.expect("a reply").text(), "250 first");
    let replies = ahead.replies().await.expect("replies");
    assert_eq!((replies.recipients[0].text(), replies.recipients[1].text()), ("250 b", "550 c"));
    assert!(replies.may_send_message() && !session.is_ready());
    assert_eq!(session.message(&short()).await.expect("a reply").text(), "250 second");
    assert!(session.is_ready());
    let told = "C: (28 bytes of content)\nC: MAIL FROM:<me@x.jp>\nC: RCPT TO:<b@x.jp>\nC: RCPT TO:<c@x.jp>\nC: DATA\n\
                S: 250 first\nS: 250 ok\nS: 250 b\nS: 550 c\nS: 354 go\nC: (28 bytes of content)\nS: 250 second\n";
    assert!(session.transcript().ends_with(told), "{}", session.transcript());
    session.quit().await;
    assert_eq!(server.finish().await.contents.len(), 2);
    let writes = server.writes();
    assert_eq!(writes.len(), 5, "EHLO, envelope, content and envelope, content, QUIT: {writes:?}");
    assert!(writes[2].ends_with("..\r\n.\r\nMAIL FROM:<me@x.jp>\r\nRCPT TO:<b@x.jp>\r\nRCPT TO:<c@x.jp>\r\nDATA\r\n"));
}

#[tokio::test(start_paused = true)]
async fn the_first_reply_is_told_before_the_next_envelope_is_answered() {
    let script = format!("content\n{SECOND}S: 250 first\nwait 2\n{ACCEPTED}");
    let (mut session, _server) = begun(&script).await;
    let start = tokio::time::Instant::now();
    let next = second();
    let (reply, ahead) = hand_over(&mut session, &next).await;
    assert!(reply.is_ok() && start.elapsed() < Duration::from_secs(1));
    ahead.replies().await.expect("replies");
}

#[tokio::test(start_paused = true)]
async fn a_refused_dot_leaves_the_next_envelope_standing() {
    for refusal in ["451 later", "554 5.7.1 spam"] {
        let (mut session, _server) =
            begun(&format!("content\n{SECOND}S: {refusal}\n{ACCEPTED}content\nS: 250 ok")).await;
        let next = second();
        let (reply, ahead) = hand_over(&mut session, &next).await;
        assert_eq!(reply.expect("a reply").text(), refusal);
        assert!(ahead.replies().await.expect("replies").may_send_message());
        assert_eq!(session.message(&short()).await.expect("a reply").text(), "250 ok");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_next_envelope_leaves_the_session_in_step() {
    let rows = [
        ("S: 550 no\nS: 503 no\nS: 503 no\nS: 503 no\n", ""),
        ("S: 250 ok\nS: 550 no\nS: 550 no\nS: 554 no\n", "C: RSET\nS: 250 ok\n"),
        ("S: 250 ok\nS: 550 no\nS: 550 no\nS: 354 go\n", "C: .\nS: 554 no\n"),
    ];
    for (refusal, way_out) in rows {
        let (mut session, server) =
            begun(&format!("content\n{SECOND}S: 250 first\n{refusal}{way_out}C: RSET\nS: 250 ok")).await;
        let next = second();
        let (reply, ahead) = hand_over(&mut session, &next).await;
        assert!(reply.expect("a reply").is_positive());
        assert!(!ahead.replies().await.expect("replies").may_send_message(), "{refusal}");
        assert_eq!(session.abandon().await.expect("kept"), Abandoned::Kept);
        session.reset().await.expect("in step");
        drop(session);
        assert_eq!(server.finish().await.rest, "");
    }
}

#[tokio::test(start_paused = true)]
async fn a_break_leaves_only_the_first_message_in_doubt() {
    let rows = [
        ("close", "connection closed by the server", true),
        ("hang", "no answer within 5 s", true),
        ("S: garbage", "what came is no SMTP reply: \"garbage\"", true),
        ("S: 354 go on", "the server sent a reply to no command: \"354 go on\"", true),
    ];
    for (end, cause, in_doubt) in rows {
        let (mut session, _server) = begun(&format!("content\n{SECOND}{end}")).await;
        let next = second();
        let (reply, ahead) = hand_over(&mut session, &next).await;
        let broken = reply.expect_err(end);
        assert_eq!(
            (broken.phase, broken.in_doubt, broken.cause.to_string().as_str()),
            (Phase::EndOfData, in_doubt, cause)
        );
        let EnvelopeFailure::Broken(next) = ahead.replies().await.expect_err(end) else { panic!("not broken") };
        assert_eq!((next.phase, next.in_doubt, next.cause.to_string().as_str()), (Phase::Mail, false, cause));
        assert!(next.answered.is_empty() && !session.is_ready());
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_closes_with_421_answers_the_first_and_never_meets_the_next() {
    let (mut session, _server) = begun(&format!("content\n{SECOND}S: 421 4.3.2 bye\n{ACCEPTED}")).await;
    let next = second();
    let (reply, ahead) = hand_over(&mut session, &next).await;
    assert_eq!(reply.expect("an answer").code(), 421);
    let EnvelopeFailure::Broken(next) = ahead.replies().await.expect_err("closing") else { panic!("not broken") };
    assert!(matches!(&next.cause, Fault::Closing(reply) if reply.code() == 421));
    assert_eq!((next.phase, next.in_doubt), (Phase::Mail, false));
    assert!(!session.is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_break_after_the_first_reply_concerns_the_next_envelope_alone() {
    for (end, phase, answered) in [
        ("close", Phase::Mail, 0),
        ("S: 250 ok\nclose", Phase::Rcpt, 1),
        ("S: 250 ok\nS: 250 ok\nS: 250 ok\nS: 421 bye", Phase::Data, 3),
    ] {
        let (mut session, _server) = begun(&format!("content\n{SECOND}S: 250 first\n{end}")).await;
        let next = second();
        let (reply, ahead) = hand_over(&mut session, &next).await;
        assert!(reply.expect("a reply").is_positive());
        let EnvelopeFailure::Broken(next) = ahead.replies().await.expect_err(end) else { panic!("not broken") };
        assert_eq!((next.phase, next.in_doubt, next.answered.len()), (phase, false, answered));
    }
}

#[tokio::test(start_paused = true)]
async fn an_envelope_that_needs_more_than_is_offered_is_not_sent_and_the_message_is() {
    let (mut session, server) = begun("content\nS: 250 first\nC: RSET\nS: 250 ok\n").await;
    let next = (second().0, message("é\r\n"));
    let (reply, ahead) = hand_over(&mut session, &next).await;
    assert!(reply.expect("a reply").is_positive());
    let failure = ahead.replies().await.expect_err("no 8BITMIME");
    assert!(matches!(failure, EnvelopeFailure::NotOffered(Needed::EightBitMime)));
    session.reset().await.expect("ready");
    drop(session);
    assert_eq!(server.finish().await.rest, "");
}

#[tokio::test(start_paused = true)]
async fn without_pipelining_the_next_envelope_waits_for_its_turn() {
    let script = "S: 220 hi\nC: EHLO client.test\nS: 250 hi\nC: MAIL FROM:<me@x.jp>\nS: 250 ok\nC: RCPT TO:<a@x.jp>\n\
                  S: 250 ok\nC: DATA\nS: 354 go\ncontent\nS: 250 first\nC: MAIL FROM:<me@x.jp>\nS: 250 ok\n\
                  C: RCPT TO:<b@x.jp>\nS: 250 ok\nC: DATA\nS: 354 go\n";
    let (mut session, _server) = opened(script).await;
    session.envelope(&envelope(&["a@x.jp"]), &short()).await.expect("replies");
    let next = (envelope(&["b@x.jp"]), short());
    let (reply, ahead) = hand_over(&mut session, &next).await;
    assert!(reply.expect("a reply").is_positive());
    assert!(ahead.replies().await.expect("replies").may_send_message());
}

#[tokio::test(start_paused = true)]
async fn only_the_first_group_of_many_recipients_goes_ahead() {
    let names: Vec<_> = (0..150).map(|n| format!("r{n}@x.jp")).collect();
    let rcpt = |names: &[String]| names.iter().map(|n| format!("C: RCPT TO:<{n}>\n")).collect::<String>();
    let script = format!(
        "content\nC: MAIL FROM:<me@x.jp>\n{}S: 250 first\nS: 250 ok\n{}{}C: DATA\n{}S: 354 go\n",
        rcpt(&names[..100]),
        "S: 250 ok\n".repeat(100),
        rcpt(&names[100..]),
        "S: 250 ok\n".repeat(50)
    );
    let (mut session, server) = begun(&script).await;
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let next = (envelope(&names), short());
    let (reply, ahead) = hand_over(&mut session, &next).await;
    assert!(reply.expect("a reply").is_positive());
    assert_eq!(ahead.replies().await.expect("replies").recipients.len(), 150);
    assert_eq!(server.writes().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_envelope_leaves_the_session_unusable() {
    let (mut session, _server) = begun(&format!("content\n{SECOND}S: 250 first\n{ACCEPTED}")).await;
    let next = second();
    let (_, ahead) = hand_over(&mut session, &next).await;
    drop(ahead);
    assert!(!session.is_ready());
    assert!(session.envelope(&next.0, &next.1).await.is_err());
    assert_eq!(session.abandon().await.expect("closed"), Abandoned::Closed);
    let (reply, ahead) = hand_over(&mut session, &next).await;
    assert!(matches!(reply.expect_err("unusable").cause, Fault::Unusable));
    assert!(ahead.replies().await.is_err());
}

/// The first message is in doubt when its dot was taken, and at most when it was in the block whose writing failed; the
/// next one never is.
async fn check_break(taken: usize, content: usize, pipe: usize) {
    let server = Scripted::new(&format!("{PIPELINING}{FIRST}take {taken}\nclose")).with_pipe(pipe);
    let mut session = Session::open(&provider(), &server).await.expect("a session");
    session.envelope(&envelope(&["a@x.jp"]), &short()).await.expect("replies");
    let text = message(&format!("{}\r\n", "x".repeat(content)));
    let written = |server: &Scripted| server.writes().iter().map(String::len).sum::<usize>();
    let before = written(&server);
    let next = second();
    let (reply, ahead) = session.message_then_envelope(&text, (&next.0, &next.1)).await;
    let (sent, dot) = (written(&server) - before, text.bytes.len() + 3);
    let broken = reply.expect_err("closed");
    assert!(broken.in_doubt || sent < dot, "{broken} {sent} {dot}");
    assert!(!broken.in_doubt || sent + BLOCK_BYTES >= dot, "{broken} {sent} {dot}");
    let EnvelopeFailure::Broken(next) = ahead.replies().await.expect_err("closed") else { panic!("not broken") };
    assert!(!next.in_doubt && next.phase == Phase::Mail);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn wherever_the_server_leaves_no_doubt_is_misplaced(
        (content, taken) in (1_usize..200_000).prop_flat_map(|content| (Just(content), 0..content + 100)),
        pipe in 200_usize..100_000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(check_break(taken, content, pipe));
    }
}
