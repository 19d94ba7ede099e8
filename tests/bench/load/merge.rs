//! How fast does the daemon take a merge job, by recipient?

use std::{convert::Infallible, time::Instant};

use anyhow::Context as _;
use clap::Args;
use futures_util::stream as streams;
use hikyaku_client::{Draft, merge_recipient};

use crate::{
    inject::{Load, connect},
    mail,
    result::say_rate,
};

/// What is submitted to whom; `count` are the recipients of the one job.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    load: Load,
}

/// Submits one merge job: a short name differs in each message.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let Load { endpoint, account, count, size } = options.load;
    let clients = connect(&endpoint, 1).await?;
    let text = format!("Dear {{{{ name }}}},\r\n\r\n{}", mail::text(size));
    let draft = Draft::new(account).subject("A letter for {{ name }}").text(text);
    let none: [(&str, &str); 0] = [];
    let recipients = (0..count).map(move |n| {
        Ok::<_, Infallible>(merge_recipient(format!("r{n:07}@example.net"), format!("Reader {n}"), none))
    });
    let begin = Instant::now();
    let answer = clients[0].submit_merge(draft, streams::iter(recipients), |_| ()).await;
    let answer = answer.context("the merge job was refused")?;
    anyhow::ensure!(u64::from(answer.recipients) == count, "{} of {count} recipients were taken", answer.recipients);
    say_rate(count, begin.elapsed());
    Ok(())
}
