//! What is said when messages go in a run by BDAT, against scripted servers.

use proptest::prelude::*;

use super::{
    channel::BLOCK_BYTES,
    failure::{EnvelopeFailure, Fault, Needed},
    run::Carried,
    scripted::{Scripted, envelope, message, opened, provider, short},
    session::Session,
};
use crate::domain::{
    mail::{Envelope, Message},
    verdict::Phase,
};

const CHUNKING: &str = "S: 220 hi\nC: EHLO client.test\nS: 250-hi\nS: 250-PIPELINING\nS: 250 CHUNKING\n";
/// What is heard of the short message; its content gets a line end.
const FIRST: &str = "C: MAIL FROM:<me@x.jp>\nC: RCPT TO:<a@x.jp>\nC: RCPT TO:<b@x.jp>\nC: BDAT 24 LAST\ntake 24\n";
const LATER: &str =
    "C: RSET\nC: MAIL FROM:<me@x.jp>\nC: RCPT TO:<a@x.jp>\nC: RCPT TO:<b@x.jp>\nC: BDAT 24 LAST\ntake 24\n";
const TAKEN: &str = "S: 250 sender\nS: 250 a\nS: 250 b\nS: 250 taken\n";
const RESET: &str = "S: 250 reset\n";

fn mail(recipients: &[&str]) -> (Envelope, Message) {
    (envelope(recipients), short())
}

/// The outcomes of messages in a run: the code that decides, `-` for a refused envelope, `?` for doubt, the phase for
/// what was not sent.
async fn outcomes(session: &mut Session, messages: &[(Envelope, Message)]) -> Vec<String> {
    let messages: Vec<_> = messages.iter().map(|(envelope, message)| (envelope, message)).collect();
    let mut run = session.run(&messages);
    let mut outcomes = Vec::new();
    while let Some(outcome) = run.next().await {
        outcomes.push(match outcome {
            Ok(Carried::Answered { envelope, reply }) => {
                assert!(envelope.is_anybody_accepted());
                reply.code().to_string()
            }
            Ok(Carried::Refused { envelope }) => {
                assert!(!envelope.is_anybody_accepted());
                "-".to_owned()
            }
            Err(EnvelopeFailure::NotOffered(needed)) => needed.keyword().to_owned(),
            Err(EnvelopeFailure::Broken(broken)) if broken.in_doubt => {
                assert_eq!(broken.phase, Phase::EndOfData);
                "?".to_owned()
            }
            Err(EnvelopeFailure::Broken(broken)) => broken.phase.to_string(),
        });
    }
    outcomes
}

async fn three(script: &str) -> (Vec<String>, Session, Scripted) {
    let (mut session, server) = opened(&format!("{CHUNKING}{FIRST}{LATER}{LATER}{script}")).await;
    let messages = [(); 3].map(|()| mail(&["a@x.jp", "b@x.jp"]));
    let outcomes = outcomes(&mut session, &messages).await;
    (outcomes, session, server)
}

#[tokio::test(start_paused = true)]
async fn a_run_is_one_write_and_its_content_is_left_as_it_is() {
    let script =
        format!("{TAKEN}{RESET}{TAKEN}{RESET}S: 250 sender\nS: 550 a\nS: 250 b\nS: 452 full\nC: RSET\n{RESET}");
    let (outcomes, session, server) = three(&script).await;
    assert_eq!(outcomes, ["250", "250", "452"]);
    assert!(session.is_ready(), "what was refused is reset");
    let transcript = session.transcript();
    let sent = "C: BDAT 24 LAST\nC: (24 bytes of content)\nC: RSET\nC: MAIL FROM:<me@x.jp>\n";
    assert!(transcript.contains(sent), "{transcript}");
    assert!(transcript.contains("S: 250 taken\nS: 250 reset\nS: 250 sender\nS: 550 a\nS: 250 b\nS: 452 full\n"));
    drop(session);
    assert_eq!(server.finish().await.contents, ["Subject: x\r\n\r\nhello\r\n.\r\n"; 3]);
    assert_eq!(server.writes().len(), 3, "EHLO, the run, RSET: {:?}", server.writes());
}

#[tokio::test(start_paused = true)]
async fn a_refused_envelope_sends_nothing_to_anybody_and_spoils_no_other() {
    let none = "S: 250 sender\nS: 550 a\nS: 550 b\nS: 503 nobody\n";
    let sender = "S: 550 sender\nS: 503 a\nS: 503 b\nS: 503 no\n";
    for refused in [none, sender] {
        let (outcomes, session, _server) = three(&format!("{TAKEN}{RESET}{refused}{RESET}{TAKEN}")).await;
        assert_eq!(outcomes, ["250", "-", "250"]);
        assert!(session.is_ready());
    }
    let (outcomes, session, _server) =
        three(&format!("{TAKEN}{RESET}S: 550 sender\nS: 250 a\nS: 250 b\nS: 250 taken\n{RESET}{TAKEN}")).await;
    assert_eq!(outcomes, ["250", "?", "?"], "consent that cannot be matched");
    assert!(!session.is_ready());
}

/// The replies to three messages: taken, refused for all, taken.
fn replies() -> Vec<&'static str> {
    let refused = "S: 250 sender\nS: 550 a\nS: 550 b\nS: 554 nobody\n";
    [TAKEN, RESET, refused, RESET, TAKEN].iter().flat_map(|part| part.lines()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_break_at_any_reply_leaves_in_doubt_what_was_neither_answered_nor_refused() {
    let replies = replies();
    for heard in 0..=replies.len() {
        for end in ["close", "hang", "S: garbage", "S: 354 go"] {
            let (outcomes, session, _server) = three(&format!("{}\n{end}", replies[..heard].join("\n"))).await;
            let first = if heard >= 4 { "250" } else { "?" };
            // It is refused once both of its recipients are, whatever is said to its content.
            let second = if heard >= 8 { "-" } else { "?" };
            let third = if heard >= 14 { "250" } else { "?" };
            assert_eq!(outcomes, [first, second, third], "{end} after {heard}");
            assert_eq!(session.is_ready(), heard >= 14, "{end} after {heard}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_closes_with_421_takes_nothing_that_follows() {
    let replies = replies();
    for heard in 0..replies.len() {
        let (outcomes, session, _server) = three(&format!("{}\nS: 421 bye\nclose", replies[..heard].join("\n"))).await;
        let first = ["-", "rcpt", "rcpt", "421", "250"][heard.min(4)];
        let second = match heard {
            0..=4 => "mail",
            6 => "rcpt",
            _ => "-",
        };
        let third = match heard {
            0..10 => "mail",
            10 => "-",
            11 | 12 => "rcpt",
            _ => "421",
        };
        assert_eq!(outcomes, [first, second, third], "421 after {heard}");
        assert!(!session.is_ready());
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_421_and_goes_on_is_heard() {
    let script = format!("S: 421 slow down\nS: 503 a\nS: 503 b\nS: 503 no\n{RESET}{TAKEN}{RESET}{TAKEN}");
    let (outcomes, session, _server) = three(&script).await;
    assert_eq!(outcomes, ["-", "250", "250"]);
    assert!(!session.is_ready());
    let (outcomes, _session, _server) = three("S: 421 slow down\nhang").await;
    assert_eq!(outcomes, ["-", "?", "?"], "it did not close");
}

#[tokio::test(start_paused = true)]
async fn what_needs_more_than_is_offered_is_left_out() {
    let (mut session, _server) = opened(&format!("{CHUNKING}{FIRST}{LATER}{TAKEN}{RESET}{TAKEN}")).await;
    let both = ["a@x.jp", "b@x.jp"];
    let messages = [mail(&both), (envelope(&both), message("é\r\n")), mail(&both), mail(&["太郎@x.jp"])];
    let outcomes = outcomes(&mut session, &messages).await;
    assert_eq!(outcomes, ["250", Needed::EightBitMime.keyword(), "250", Needed::SmtpUtf8.keyword()]);
    assert!(session.is_ready());
}

#[tokio::test(start_paused = true)]
async fn many_messages_go_in_batches() {
    let batch = |count: usize, first: &str| {
        let (first, taken) = (first.to_owned(), LATER.replace("C: RCPT TO:<b@x.jp>\n", ""));
        let first_taken = TAKEN.replace("S: 250 b\n", "");
        format!("{first}{}{first_taken}{}", taken.repeat(count - 1), format!("{RESET}{first_taken}").repeat(count - 1))
    };
    let first = FIRST.replace("C: RCPT TO:<b@x.jp>\n", "");
    let script = format!("{CHUNKING}{}{}{}", batch(8, &first), batch(8, &first), batch(4, &first));
    let (mut session, server) = opened(&script).await;
    let messages: Vec<_> = (0..20).map(|_| mail(&["a@x.jp"])).collect();
    assert_eq!(outcomes(&mut session, &messages).await, vec!["250"; 20]);
    assert!(session.is_ready());
    assert_eq!(server.writes().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_large_message_goes_alone_and_only_to_who_will_have_it() {
    let text = format!("{}\r\n.\r\n", "x".repeat(300_000));
    let size = text.len();
    let commands = "C: MAIL FROM:<me@x.jp>\nC: RCPT TO:<a@x.jp>\n";
    let large = (envelope(&["a@x.jp"]), message(&text));
    let script = format!(
        "{CHUNKING}{commands}S: 250 ok\nS: 250 ok\nC: BDAT {size} LAST\ntake {size}\nS: 250 taken\n\
         {commands}S: 250 ok\nS: 550 no\nC: RSET\nS: 250 ok\n{}S: 250 ok\nS: 250 ok\nS: 250 ok\n\
         {commands}S: 552 large\nS: 503 no\n",
        "C: MAIL FROM:<me@x.jp>\nC: RCPT TO:<a@x.jp>\nC: BDAT 24 LAST\ntake 24\n"
    )
    .replace("C: RSET\nS: 250 ok\nC: MAIL", "C: RSET\nC: MAIL")
    .replace("take 24\nS: 250 ok\n", "take 24\nS: 250 reset\nS: 250 ok\n");
    let (mut session, server) = opened(&script).await;
    let messages = [large.clone(), large.clone(), mail(&["a@x.jp"]), large];
    assert_eq!(outcomes(&mut session, &messages).await, ["250", "-", "250", "-"]);
    assert!(session.is_ready());
    drop(session);
    let heard = server.finish().await;
    assert_eq!((heard.contents[0] == text, heard.rest.as_str()), (true, ""));
}

#[tokio::test(start_paused = true)]
async fn without_both_extensions_nothing_is_sent_and_a_dropped_run_ends_the_session() {
    let (mut session, server) = opened("S: 220 hi\nC: EHLO client.test\nS: 250-hi\nS: 250 CHUNKING\n").await;
    assert!(!session.offers().takes_runs());
    assert_eq!(outcomes(&mut session, &[mail(&["a@x.jp"])]).await, ["mail"]);
    assert!(session.is_ready());
    drop(session);
    assert_eq!(server.finish().await.rest, "");

    let (mut session, _server) = opened(&format!("{CHUNKING}{FIRST}{LATER}{TAKEN}{RESET}{TAKEN}")).await;
    let both = mail(&["a@x.jp", "b@x.jp"]);
    let messages = [(&both.0, &both.1), (&both.0, &both.1)];
    assert!(session.run(&messages).next().await.is_some_and(|outcome| outcome.is_ok()));
    assert!(!session.is_ready());
    assert!(matches!(session.reset().await.expect_err("unusable").cause, Fault::Unusable));
}

/// Whatever the server reads before it leaves or hangs, a message is in doubt when its last byte was taken, and at most
/// when it was in the block whose writing failed.
async fn check_break(sizes: &[usize], taken: usize, pipe: usize, end: &str) {
    let server = Scripted::new(&format!("{CHUNKING}take {taken}\n{end}")).with_pipe(pipe);
    let mut session = Session::open(&provider(), &server).await.expect("a session");
    let messages: Vec<_> =
        sizes.iter().map(|&size| (envelope(&["a@x.jp"]), message(&format!("{}\r\n", "x".repeat(size))))).collect();
    let outcomes = outcomes(&mut session, &messages).await;
    let sent = server.writes().iter().skip(1).map(String::len).sum::<usize>();
    let mut last_byte = 0;
    for ((_, message), outcome) in messages.iter().zip(outcomes) {
        let reset = if last_byte == 0 { 0 } else { 6 };
        let commands = format!("MAIL FROM:<me@x.jp>\r\nRCPT TO:<a@x.jp>\r\nBDAT {} LAST\r\n", message.bytes.len());
        last_byte += reset + commands.len() + message.bytes.len();
        assert!(outcome == "?" || sent < last_byte, "{outcome} {sent} {last_byte} {end}");
        assert!(outcome != "?" || sent + BLOCK_BYTES >= last_byte, "{outcome} {sent} {last_byte} {end}");
        if end == "hang" {
            assert_eq!(outcome == "?", sent >= last_byte, "a stream that takes no more has taken no more");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn wherever_the_server_leaves_no_doubt_is_misplaced(
        sizes in proptest::collection::vec(1_usize..30_000, 1..9),
        taken in 0_usize..240_000,
        pipe in 200_usize..100_000,
        end in prop::sample::select(vec!["close", "hang"]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(check_break(&sizes, taken, pipe, end));
    }
}
