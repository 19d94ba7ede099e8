//! How long does a message take from its submission to its server when there is little to do?

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::Args;
use hikyaku_client::{Access, Client, Endpoint};

use crate::{
    mail,
    result::{percentile, say},
    sink::{Taken, listen, serve},
    smtp_client::SmtpClient,
    smtp_server::Offers,
};

/// What is submitted how often, to whom, and where it arrives.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Where hikyakud listens
    #[arg(long, env = "HIKYAKU_ENDPOINT", conflicts_with = "smtp")]
    endpoint: Option<Endpoint>,
    /// Submits to an SMTP server at this port of 127.0.0.1 instead
    #[arg(long)]
    smtp: Option<u16>,
    /// The account that shall send
    #[arg(long, default_value = "bench")]
    account: String,
    /// Port on 127.0.0.1 where the messages arrive
    #[arg(long)]
    sink: u16,
    /// Messages a second
    #[arg(long, default_value_t = 20)]
    rate: u32,
    /// Messages in all
    #[arg(long, default_value_t = 500)]
    count: u64,
    /// Bytes of text in each
    #[arg(long, default_value_t = 1_024)]
    size: usize,
}

/// How long the last messages are waited for.
const ARRIVAL_SECONDS_MAX: u64 = 30;
/// Messages after which an SMTP connection is left: Postfix slows a client down that never leaves.
const MESSAGES_PER_CONNECTION: u64 = 90;

/// When a message was begun and acknowledged.
struct Sent {
    begun: Instant,
    acknowledged: Instant,
}

/// Submits evenly, and compares with when the messages arrived.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let taken = Taken::with_marks();
    let offers = Offers { pipelining: true, chunking: false };
    let serving = tokio::spawn(serve(listen(options.sink).await?, offers, Arc::clone(&taken)));
    let sent = match (&options.endpoint, options.smtp) {
        (Some(endpoint), _) => by_grpc(endpoint, &options).await?,
        (None, Some(port)) => by_smtp(port, &options).await?,
        (None, None) => anyhow::bail!("give --endpoint or --smtp"),
    };
    taken.wait_for(options.count, Duration::from_secs(ARRIVAL_SECONDS_MAX)).await;
    serving.abort();
    tell(&sent, &taken);
    Ok(())
}

async fn by_grpc(endpoint: &Endpoint, options: &Options) -> anyhow::Result<Vec<Sent>> {
    let client = Client::connect(endpoint, Access::default()).await.context("cannot reach hikyakud")?;
    let draft = mail::draft(&options.account, &mail::text(options.size));
    let mut beat = tokio::time::interval(Duration::from_secs(1) / options.rate);
    let mut sent = Vec::new();
    for mark in 0..options.count {
        let draft = draft.clone().header(mail::MARK, mark.to_string());
        beat.tick().await;
        let begun = Instant::now();
        client.submit(draft).await.context("a job was refused")?;
        sent.push(Sent { begun, acknowledged: Instant::now() });
    }
    Ok(sent)
}

async fn by_smtp(port: u16, options: &Options) -> anyhow::Result<Vec<Sent>> {
    let text = mail::text(options.size);
    let mut client = SmtpClient::connect(port).await?;
    let mut beat = tokio::time::interval(Duration::from_secs(1) / options.rate);
    let mut sent = Vec::new();
    for mark in 0..options.count {
        if mark > 0 && mark % MESSAGES_PER_CONNECTION == 0 {
            client.write("QUIT\r\n").await?;
            client = SmtpClient::connect(port).await?;
        }
        let body = format!("{}.\r\n", mail::message(&text, Some(mark)));
        beat.tick().await;
        let begun = Instant::now();
        client.write(&mail::envelope()).await?;
        client.replies(3).await?;
        client.write(&body).await?;
        client.replies(1).await?;
        sent.push(Sent { begun, acknowledged: Instant::now() });
    }
    Ok(sent)
}

fn tell(sent: &[Sent], taken: &Taken) {
    let arrived: Vec<(&Sent, Instant)> =
        (0..).zip(sent).filter_map(|(mark, sent)| Some((sent, taken.at(mark)?))).collect();
    let mut accept: Vec<f64> = sent.iter().map(|sent| millis(sent.begun, sent.acknowledged)).collect();
    let mut onward: Vec<f64> = arrived.iter().map(|(sent, at)| millis(sent.acknowledged, *at)).collect();
    let mut total: Vec<f64> = arrived.iter().map(|(sent, at)| millis(sent.begun, *at)).collect();
    say("delivered", format!("{} of {}", arrived.len(), sent.len()));
    for (name, values) in [("accept_ms", &mut accept), ("ack_to_delivery_ms", &mut onward), ("total_ms", &mut total)] {
        let (middle, high) = (percentile(values, 0.5), percentile(values, 0.99));
        say(name, format!("p50 {middle:.3} p99 {high:.3}"));
    }
}

/// From one instant to another; less than nothing when a message arrives before our own task has read the answer.
fn millis(from: Instant, to: Instant) -> f64 {
    let (sign, span) = if to >= from { (1.0, to - from) } else { (-1.0, from - to) };
    sign * span.as_secs_f64() * 1e3
}
