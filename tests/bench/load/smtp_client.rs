//! How does a plain SMTP client write and read?

use anyhow::Context as _;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

/// A connection that has said EHLO.
#[derive(Debug)]
pub(crate) struct SmtpClient {
    stream: BufReader<TcpStream>,
    line: String,
}

impl SmtpClient {
    /// Connects to 127.0.0.1.
    pub(crate) async fn connect(port: u16) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.with_context(|| format!("no server at {port}"))?;
        stream.set_nodelay(true)?;
        let mut client = Self { stream: BufReader::new(stream), line: String::new() };
        client.replies(1).await?;
        client.write("EHLO bench.localhost\r\n").await?;
        client.replies(1).await?;
        Ok(client)
    }

    /// Writes in one go.
    pub(crate) async fn write(&mut self, text: &str) -> anyhow::Result<()> {
        self.stream.get_mut().write_all(text.as_bytes()).await.context("cannot write")
    }

    /// Reads so many replies, all of which must be positive.
    pub(crate) async fn replies(&mut self, count: usize) -> anyhow::Result<()> {
        for _ in 0..count {
            loop {
                self.line.clear();
                let read = self.stream.read_line(&mut self.line).await.context("cannot read")?;
                anyhow::ensure!(read > 0, "the server has closed the connection");
                anyhow::ensure!(self.line.starts_with(['2', '3']), "the server says {}", self.line.trim_end());
                if self.line.as_bytes().get(3) != Some(&b'-') {
                    break;
                }
            }
        }
        Ok(())
    }
}
