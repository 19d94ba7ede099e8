//! How much can a sink take at most?

use std::time::Instant;

use anyhow::Context as _;
use clap::Args;
use tokio::task::JoinSet;

use crate::{mail, result::say_rate, smtp_client::SmtpClient};

/// How it is loaded.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// The sink's port on 127.0.0.1
    #[arg(long)]
    port: u16,
    /// Connections at once
    #[arg(long, default_value_t = 20)]
    connections: u64,
    /// Messages in all
    #[arg(long, default_value_t = 100_000)]
    count: u64,
    /// Bytes of text in each
    #[arg(long, default_value_t = 1_024)]
    size: usize,
}

/// Writes each body together with the next envelope, so that a message costs one write and one round trip.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let Options { port, connections, count, size } = options;
    let share = count / connections.max(1);
    let begin = Instant::now();
    let mut sessions = JoinSet::new();
    for _ in 0..connections {
        sessions.spawn(async move {
            let mut client = SmtpClient::connect(port).await?;
            let body = format!("{}.\r\n", mail::message(&mail::text(size), None));
            let body_and_next = format!("{body}{}", mail::envelope());
            client.write(&mail::envelope()).await?;
            client.replies(3).await?;
            for _ in 1..share {
                client.write(&body_and_next).await?;
                client.replies(4).await?;
            }
            client.write(&body).await?;
            client.replies(1).await
        });
    }
    while let Some(ended) = sessions.join_next().await {
        ended.context("a session broke down")??;
    }
    say_rate(share * connections, begin.elapsed());
    Ok(())
}
