//! How each SASL mechanism goes, against scripted servers.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    opening::Provider,
    scripted::{Scripted, provider},
    session::Session,
    sign_in::Credentials,
};
use crate::domain::{
    account::{OauthMechanism, PasswordMechanism},
    secret::Secret,
    verdict::Phase,
};

const HELLO: &str = "S: 220 hi\nC: EHLO client.test\nS: 250-hi\n";
const TOKEN: &str = "ya29.sesame";

fn by_password(mechanism: PasswordMechanism) -> Provider {
    let password = Secret::new("tanstaaftanstaaf".to_owned());
    let sign_in = Credentials::Password { user: "tim".to_owned(), password, mechanism, allow_plaintext: true };
    Provider { sign_in, ..provider() }
}

fn by_token(mechanism: OauthMechanism, token: &str) -> Provider {
    let token = Secret::new(token.to_owned());
    let sign_in = Credentials::Token { user: "tim@x.jp".to_owned(), token, mechanism, allow_plaintext: true };
    Provider { sign_in, ..provider() }
}

fn xoauth2(token: &str) -> String {
    STANDARD.encode(format!("user=tim@x.jp\u{1}auth=Bearer {token}\u{1}\u{1}"))
}

fn oauthbearer() -> String {
    STANDARD.encode(format!("n,a=tim@x.jp,\u{1}host=smtp.lab.test\u{1}port=587\u{1}auth=Bearer {TOKEN}\u{1}\u{1}"))
}

async fn check_signed_in(provider: &Provider, offer: &str, dialogue: &str) {
    let script = format!("{HELLO}S: 250 AUTH {offer}\n{dialogue}C: RSET\nS: 250 ok");
    let server = Scripted::new(&script);
    let mut session = Session::open(provider, &server).await.expect(&script);
    session.reset().await.expect("still in step");
    check_hidden(&session.transcript());
}

async fn check_refused(provider: &Provider, offer: &str, dialogue: &str, cause: &str) {
    let script = format!("{HELLO}S: 250 AUTH {offer}\n{dialogue}");
    let server = Scripted::new(&script);
    let obstacle = Session::open(provider, &server).await.expect_err(&script);
    assert_eq!((obstacle.phase, obstacle.cause.to_string().as_str()), (Phase::SignIn, cause));
    check_hidden(&obstacle.transcript);
    assert_eq!(server.finish().await.rest, "QUIT\r\n", "{script}");
}

#[track_caller]
fn check_hidden(transcript: &str) {
    for secret in ["sesame", "tanstaaf", "b913a602", &xoauth2(TOKEN), &oauthbearer()] {
        assert!(!transcript.contains(secret), "{transcript}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_challenge_is_answered_by_a_proof() {
    let challenge = STANDARD.encode("<1896.697170952@postoffice.reston.mci.net>");
    let proof = STANDARD.encode("tim b913a602c7eda7a495b4e6e7334d3890");
    let asked = format!("C: AUTH CRAM-MD5\nS: 334 {challenge}\nC: {proof}\n");
    for mechanism in [PasswordMechanism::CramMd5, PasswordMechanism::Auto] {
        check_signed_in(&by_password(mechanism), "CRAM-MD5", &format!("{asked}S: 235 in\n")).await;
    }
    let login = by_password(PasswordMechanism::CramMd5);
    let refused = "the server replied 535 5.7.8 no";
    check_refused(&login, "CRAM-MD5", &format!("{asked}S: 535 5.7.8 no\n"), refused).await;
    check_refused(&login, "CRAM-MD5", "C: AUTH CRAM-MD5\nS: 535 5.7.8 no\n", refused).await;
    let garbled = "what came is no SMTP reply: \"334 ?\"";
    check_refused(&login, "CRAM-MD5", "C: AUTH CRAM-MD5\nS: 334 ?\n", garbled).await;
}

#[tokio::test(start_paused = true)]
async fn a_token_is_presented_as_the_server_offers() {
    let (x, bearer) = (xoauth2(TOKEN), oauthbearer());
    let rows = [
        (OauthMechanism::Auto, "OAUTHBEARER XOAUTH2", format!("C: AUTH XOAUTH2 {x}\n")),
        (OauthMechanism::Auto, "PLAIN OAUTHBEARER", format!("C: AUTH OAUTHBEARER {bearer}\n")),
        (OauthMechanism::Oauthbearer, "XOAUTH2 OAUTHBEARER", format!("C: AUTH OAUTHBEARER {bearer}\n")),
        (OauthMechanism::Xoauth2, "XOAUTH2", format!("C: AUTH XOAUTH2 {x}\nS: 334\nC: {x}\n")),
    ];
    for (mechanism, offer, dialogue) in rows {
        check_signed_in(&by_token(mechanism, TOKEN), offer, &format!("{dialogue}S: 235 2.7.0 in\n")).await;
    }
    let offered = "the server does not offer the sign-in mechanism; it offers: PLAIN, LOGIN";
    check_refused(&by_token(OauthMechanism::Auto, TOKEN), "PLAIN LOGIN", "", offered).await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_given_up_so_that_the_reason_comes() {
    let why = STANDARD.encode(r#"{"status":"401","schemes":"bearer"}"#);
    let rows = [
        (OauthMechanism::Xoauth2, "XOAUTH2", format!("C: AUTH XOAUTH2 {}\nS: 334 {why}\nC: \n", xoauth2(TOKEN))),
        (
            OauthMechanism::Oauthbearer,
            "OAUTHBEARER",
            format!("C: AUTH OAUTHBEARER {}\nS: 334 {why}\nC: AQ==\n", oauthbearer()),
        ),
        (OauthMechanism::Xoauth2, "XOAUTH2", format!("C: AUTH XOAUTH2 {}\n", xoauth2(TOKEN))),
    ];
    for (mechanism, offer, dialogue) in rows {
        let dialogue = format!("{dialogue}S: 535 5.7.8 no {TOKEN}\n");
        check_refused(&by_token(mechanism, TOKEN), offer, &dialogue, "the server replied 535 5.7.8 no ***").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_too_long_for_a_command_waits_for_the_challenge() {
    let token = "sesame".repeat(2_000);
    let dialogue = format!("C: AUTH XOAUTH2\nS: 334\nC: {}\nS: 235 in\n", xoauth2(&token));
    check_signed_in(&by_token(OauthMechanism::Auto, &token), "XOAUTH2", &dialogue).await;
}
