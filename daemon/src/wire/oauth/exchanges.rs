//! How issuers are asked and answer, against a local server that follows a script.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

use super::{Application, Ground, Issuer, OauthError, TokenClient};
use crate::domain::secret::Secret;

/// A server for one exchange: what it heard in the end, and where it listens.
async fn answering(response: String) -> (JoinHandle<String>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let endpoint = format!("http://{}/token", listener.local_addr().expect("bound"));
    let heard = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        let mut request = Vec::new();
        while !is_whole(&request) {
            let mut part = [0; 4_096];
            let bytes = stream.read(&mut part).await.expect("a request");
            assert!(bytes > 0, "the client left in the midst");
            request.extend_from_slice(&part[..bytes]);
        }
        // The client may have heard enough before the end.
        let _ = stream.write_all(response.as_bytes()).await;
        let _ = stream.shutdown().await;
        String::from_utf8(request).expect("text")
    });
    (heard, endpoint)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.is_none_or(|length| body.len() >= length.trim().parse().expect("a number"))
}

fn json(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn application(token_endpoint: String) -> Application {
    let client_secret = Some(Secret::new("app secret".to_owned()));
    Application { token_endpoint, client_id: "app".to_owned(), client_secret, scope: "mail offline".to_owned() }
}

fn refresh() -> Ground {
    Ground::RefreshToken(Secret::new("rt-1".to_owned()))
}

async fn ask(response: String, ground: &Ground) -> (Result<super::Issued, OauthError>, String) {
    let (heard, endpoint) = answering(response).await;
    let issued = TokenClient::default().issue(&application(endpoint), ground).await;
    let heard = heard.await.expect("the server was asked");
    let (_, body) = heard.split_once("\r\n\r\n").expect("a body");
    (issued, body.to_owned())
}

#[tokio::test]
async fn each_ground_is_said_in_its_own_words() {
    let secret = |text: &str| Secret::new(text.to_owned());
    let code = Ground::Code { code: secret("c/1"), redirect_uri: "http://127.0.0.1:1/".into(), verifier: secret("v") };
    let rows = [
        (refresh(), "grant_type=refresh_token&refresh_token=rt-1"),
        (code, "grant_type=authorization_code&code=c%2F1&redirect_uri=http%3A%2F%2F127.0.0.1%3A1%2F&code_verifier=v"),
        (
            Ground::DeviceCode(secret("d")),
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&device_code=d",
        ),
        (Ground::OwnPermission, "grant_type=client_credentials"),
        (
            Ground::Assertion(secret("a.b.c")),
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=a.b.c",
        ),
    ];
    for (ground, expected) in rows {
        let (issued, body) = ask(json("200 OK", r#"{"access_token":"at-1","expires_in":60}"#), &ground).await;
        assert_eq!(issued.expect("a token").access_token.expose(), "at-1");
        assert_eq!(body, format!("{expected}&client_id=app&client_secret=app+secret&scope=mail+offline"));
    }
}

#[tokio::test]
async fn a_refusal_repeats_no_secret() {
    let refused = r#"{"error":"invalid_grant","error_description":"rt-1 of app secret is over"}"#;
    let (issued, _) = ask(json("400 Bad Request", refused), &refresh()).await;
    assert_eq!(issued, Err(OauthError::InvalidGrant { description: "*** of *** is over".to_owned() }));
}

#[tokio::test]
async fn no_answer_is_followed_elsewhere_or_read_for_ever() {
    let moved = "HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n".to_owned();
    let (issued, _) = ask(moved, &refresh()).await;
    assert_eq!(issued, Err(OauthError::Unreadable("HTTP status 307".to_owned())));
    let (issued, _) = ask(json("200 OK", &" ".repeat(100_000)), &refresh()).await;
    assert_eq!(issued, Err(OauthError::Unreadable("it has more than 65536 bytes".to_owned())));
}

#[tokio::test]
async fn what_cannot_be_asked_is_told() {
    let client = TokenClient::default();
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("bound");
    let unreachable = client.issue(&application(format!("http://{gone}/")), &refresh()).await.expect_err("gone");
    assert!(matches!(&unreachable, OauthError::Unreachable(_)) && !unreachable.needs_a_person(), "{unreachable}");
    for endpoint in ["http://issuer.test/token", "ftp://127.0.0.1/", "token"] {
        let unusable = client.issue(&application(endpoint.to_owned()), &refresh()).await.expect_err(endpoint);
        assert!(matches!(&unusable, OauthError::Unusable(_)) && unusable.needs_a_person(), "{unusable}");
    }
}
