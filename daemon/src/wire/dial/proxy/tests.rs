//! What proxies do with us, by scripts.

use super::*;
use crate::{domain::secret::Secret, wire::smtp::scripted::Scripted};

const LIMIT: Duration = Duration::from_secs(5);

fn proxy(kind: ProxyKind, credentials: Option<(&str, &str)>) -> Proxy {
    let credentials = credentials
        .map(|(user, password)| Credentials { user: user.to_owned(), password: Secret::new(password.to_owned()) });
    let (host, port) = ("proxy.test".parse().expect("a host"), NonZeroU16::new(1080).expect("not zero"));
    Proxy { kind, host, port, credentials }
}

async fn through(proxy: &Proxy, host: &str, server: &Scripted) -> Result<Box<dyn Stream>, DialError> {
    let (host, port) = (host.parse().expect("a host"), NonZeroU16::new(587).expect("not zero"));
    reach(server, Route { host: &host, port, proxy: Some(proxy), limit: LIMIT }).await
}

#[track_caller]
fn check(result: Result<Box<dyn Stream>, DialError>, expected: &str) {
    let error = result.expect_err(expected);
    assert_eq!(error.phase, DialPhase::Proxy);
    let said = error.to_string();
    let said = said.strip_prefix("cannot get through the proxy: ").expect("the phase");
    assert!(said.starts_with(expected), "{said}");
}

#[tokio::test(start_paused = true)]
async fn connect_leaves_the_servers_first_words_on_the_stream() {
    let rows = [
        ("smtp.lab.test", "smtp.lab.test:587", None, ""),
        ("::1", "[::1]:587", None, ""),
        ("10.0.0.1", "10.0.0.1:587", Some(("me", "secret")), "C: Proxy-Authorization: Basic bWU6c2VjcmV0\n"),
    ];
    for (host, authority, credentials, sign_in) in rows {
        let server = Scripted::new(&format!(
            "C: CONNECT {authority} HTTP/1.1\nC: Host: {authority}\n{sign_in}take 2\nS~ HTTP/1.1 200 OK\\r\\nVia: x\\r\\n\\r\\n220 hi\\r\\n\n"
        ));
        let mut stream = through(&proxy(ProxyKind::HttpConnect, credentials), host, &server).await.expect(host);
        let mut greeting = [0; 8];
        stream.read_exact(&mut greeting).await.expect("the greeting");
        assert_eq!(&greeting, b"220 hi\r\n");
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_http_proxy_refuses_is_told_in_its_words() {
    let asked = "C: CONNECT smtp.lab.test:587 HTTP/1.1\nC: Host: smtp.lab.test:587\ntake 2\n";
    let rows = [
        (
            "S~ HTTP/1.1 407 Proxy Authentication Required\\r\\n\\r\\n",
            "the proxy does not accept the sign-in: HTTP/1.1 407 Proxy Authentication Required",
        ),
        (
            "S~ HTTP/1.0 401 Unauthorized\\r\\n\\r\\n",
            "the proxy does not accept the sign-in: HTTP/1.0 401 Unauthorized",
        ),
        (
            "S~ HTTP/1.0 403 Forbidden port\\r\\n\\r\\n",
            "the proxy does not connect to the server: HTTP/1.0 403 Forbidden port",
        ),
        ("S: 220 smtp.example.jp ESMTP\nclose", "the proxy does not speak HTTP: \"220 smtp.example.jp ESMTP\""),
        ("close", "the proxy closed the connection"),
        ("hang", "the proxy did not answer within 5 s"),
    ];
    for (script, expected) in rows {
        let server = Scripted::new(&format!("{asked}{script}"));
        check(through(&proxy(ProxyKind::HttpConnect, None), "smtp.lab.test", &server).await, expected);
    }
    let endless = format!("{asked}S~ HTTP/1.1 200 OK\\r\\nX: {}\nhang", "x".repeat(HEAD_BYTES_MAX));
    let result = through(&proxy(ProxyKind::HttpConnect, None), "smtp.lab.test", &Scripted::new(&endless)).await;
    check(result, "the proxy does not speak HTTP: a head of more than 16384 bytes");
}

/// What the client asks for: `smtp.lab.test`, port 587.
const ASKED_BYTES: usize = 4 + 1 + 13 + 2;
const GRANTED: &str = "S~ \\x05\\x00\\x00\\x01\\x00\\x00\\x00\\x00\\x00\\x00";

#[tokio::test(start_paused = true)]
async fn socks5_names_the_server_and_signs_in() {
    let rows = [
        (None, format!("take 3\nS~ \\x05\\x00\ntake {ASKED_BYTES}\n{GRANTED}")),
        (
            Some(("me", "secret")),
            format!("take 4\nS~ \\x05\\x02\ntake 11\nS~ \\x01\\x00\ntake {ASKED_BYTES}\n{GRANTED}"),
        ),
    ];
    for (credentials, script) in rows {
        let server = Scripted::new(&script);
        drop(through(&proxy(ProxyKind::Socks5, credentials), "smtp.lab.test", &server).await.expect("a stream"));
        let asked = server.finish().await.contents.pop().expect("a request");
        assert_eq!(asked, "\u{5}\u{1}\0\u{3}\u{d}smtp.lab.test\u{2}K", "the proxy resolves the name");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_socks5_proxy_refuses_is_told() {
    let open = format!("take 3\nS~ \\x05\\x00\ntake {ASKED_BYTES}\n");
    let rows = [
        (None, "take 3\nS~ \\x05\\xff\nclose".to_owned(), "the proxy does not accept the sign-in: "),
        (
            Some(("me", "wrong!")),
            "take 4\nS~ \\x05\\x02\ntake 11\nS~ \\x01\\x01\nclose".to_owned(),
            "the proxy does not accept the sign-in: Password auth failure",
        ),
        (
            None,
            format!("{open}S~ \\x05\\x05\\x00\\x01\\x00\\x00\\x00\\x00\\x00\\x00\nclose"),
            "the proxy does not connect to the server: Connection refused",
        ),
        (
            None,
            format!("{open}S~ \\x05\\x04\\x00\\x01\\x00\\x00\\x00\\x00\\x00\\x00\nclose"),
            "the proxy does not connect to the server: Host unreachable",
        ),
        (None, "S: HTTP/1.1 400 Bad Request\nclose".to_owned(), "the proxy does not speak SOCKS5: "),
        (None, format!("{open}close"), "the proxy closed the connection"),
        (None, format!("{open}hang"), "the proxy did not answer within 5 s"),
    ];
    for (credentials, script, expected) in rows {
        let server = Scripted::new(&script);
        check(through(&proxy(ProxyKind::Socks5, credentials), "smtp.lab.test", &server).await, expected);
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_told_from_a_server_that_is_not() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = NonZeroU16::new(listener.local_addr().expect("bound").port()).expect("not zero");
    drop(listener);
    let proxy = Proxy { host: "127.0.0.1".parse().expect("a host"), port, ..proxy(ProxyKind::Socks5, None) };
    let host = "smtp.lab.test".parse().expect("a host");
    let result = reach(&super::super::TcpDialer, Route { host: &host, port, proxy: Some(&proxy), limit: LIMIT }).await;
    check(result, "the proxy cannot be reached: cannot connect: ");
}
