//! The listener to which a browser comes back after a person's consent.

use std::{io, net::Ipv4Addr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// Listens on a port of the loopback interface that the system chooses.
#[derive(Debug)]
pub(crate) struct Loopback {
    listener: TcpListener,
    port: u16,
}

/// Longest head of a request that is read, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1_024;
/// Longest time for one request: a browser may open connections that it never uses.
const REQUEST_SECONDS_MAX: u64 = 5;

impl Loopback {
    /// Begins to listen.
    ///
    /// # Errors
    /// When there is no port.
    pub(crate) async fn open() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        Ok(Self { listener, port })
    }

    /// Where a browser is sent to come here.
    pub(crate) fn redirect_uri(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// Waits for a browser that brings an answer, and gives the query of its address with the connection, on which it
    /// waits for a page. Whoever asks for something else is sent away.
    ///
    /// # Errors
    /// When the listener breaks.
    pub(crate) async fn answer(&self) -> io::Result<(String, TcpStream)> {
        loop {
            let (mut browser, _) = self.listener.accept().await?;
            let head = tokio::time::timeout(Duration::from_secs(REQUEST_SECONDS_MAX), head(&mut browser)).await;
            let Ok(Ok(head)) = head else { continue };
            match query_of(&head) {
                Some(query) => return Ok((query.to_owned(), browser)),
                // Such as for an icon.
                None => respond(browser, "404 Not Found", "There is nothing here.").await,
            }
        }
    }
}

/// Answers a browser with a page of one sentence; that it has left is no error.
pub(crate) async fn respond(mut browser: TcpStream, status: &str, sentence: &str) {
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Hikyaku</title><p>{sentence}</p></html>\n"
    );
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         Referrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
    let _ = browser.write_all(answer.as_bytes()).await;
    let _ = browser.shutdown().await;
}

async fn head(browser: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    let mut some = [0; 1_024];
    while !head.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        let count = browser.read(&mut some).await?;
        if count == 0 || head.len() + count > HEAD_BYTES_MAX {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        head.extend_from_slice(&some[..count]);
    }
    String::from_utf8(head).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
}

/// The query of a request that brings an answer: one that has a state, and a code or an error (RFC 6749 4.1.2).
fn query_of(head: &str) -> Option<&str> {
    let mut words = head.lines().next()?.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    let (path, query) = target.split_once('?')?;
    let has = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    (method == "GET" && path == "/" && has("state") && (has("code") || has("error"))).then_some(query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_of_the_issuer_is_taken() {
        for (head, query) in [
            ("GET /?code=a&state=b HTTP/1.1\r\nHost: x\r\n\r\n", Some("code=a&state=b")),
            ("GET /?error=access_denied&state=b HTTP/1.1\r\n\r\n", Some("error=access_denied&state=b")),
            ("GET /?code=a HTTP/1.1\r\n\r\n", None),
            ("GET /favicon.ico HTTP/1.1\r\n\r\n", None),
            ("GET / HTTP/1.1\r\n\r\n", None),
            ("POST /?code=a&state=b HTTP/1.1\r\n\r\n", None),
            ("", None),
        ] {
            assert_eq!(query_of(head), query, "{head}");
        }
    }

    #[tokio::test]
    async fn a_browser_that_comes_back_is_answered() {
        let loopback = Loopback::open().await.unwrap();
        let port = loopback.port;
        let browser = tokio::spawn(async move {
            let mut answers = Vec::new();
            for target in ["/favicon.ico", "/?code=a&state=b"] {
                let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
                stream.write_all(format!("GET {target} HTTP/1.1\r\n\r\n").as_bytes()).await.unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.unwrap();
                answers.push(answer);
            }
            answers
        });
        let (query, stream) = loopback.answer().await.unwrap();
        respond(stream, "200 OK", "Done.").await;
        let answers = browser.await.unwrap();
        assert_eq!(query, "code=a&state=b");
        assert!(answers[0].starts_with("HTTP/1.1 404 "), "{answers:?}");
        assert!(answers[1].ends_with("<p>Done.</p></html>\n"), "{answers:?}");
    }
}
