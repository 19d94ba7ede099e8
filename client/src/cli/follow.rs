//! A watch that outlives broken connections and restarts of the daemon.

use std::{pin::Pin, time::Duration};

use anyhow::anyhow;
use futures_util::{Stream, StreamExt as _};
use hikyaku_client::{Client, Error, Watch, proto::WatchJobsResponse};

use super::failure::Failure;

/// Events, one after the other, from one cursor on.
pub(crate) struct Follow {
    client: Client,
    watch: Watch,
    events: Option<Events>,
    failures: u32,
}

type Events = Pin<Box<dyn Stream<Item = Result<WatchJobsResponse, Error>> + Send>>;

/// Failed connections in a row after which it is given up.
const FAILURES_MAX: u32 = 60;
/// Pause before the next connection.
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);

impl Follow {
    /// Begins to watch. What happens from here on is not missed.
    ///
    /// # Errors
    /// When the daemon refuses it or is gone.
    pub(crate) async fn begin(client: Client, watch: Watch) -> Result<Self, Error> {
        let events: Events = Box::pin(client.watch(watch.clone()).await?);
        Ok(Self { client, watch, events: Some(events), failures: 0 })
    }

    /// The next event. May be dropped before it is ready without losing one.
    ///
    /// # Errors
    /// When the daemon refuses to go on, or stays away.
    pub(crate) async fn next(&mut self) -> Result<WatchJobsResponse, Failure> {
        loop {
            let Some(events) = &mut self.events else {
                tokio::time::sleep(RECONNECT_PAUSE).await;
                match self.client.watch(self.watch.clone()).await {
                    Ok(events) => self.events = Some(Box::pin(events)),
                    Err(error) => self.failed(error)?,
                }
                continue;
            };
            match events.next().await {
                Some(Ok(event)) => {
                    self.failures = 0;
                    self.watch.cursor.clone_from(&event.cursor);
                    return Ok(event);
                }
                Some(Err(error)) => self.failed(error)?,
                None => self.failed(Error::Refused(Box::new(ended())))?,
            }
        }
    }

    fn failed(&mut self, error: Error) -> Result<(), Failure> {
        self.events = None;
        self.failures += 1;
        if !error.is_passing() {
            return Err(error.into());
        }
        if self.failures >= FAILURES_MAX {
            let cursor = &self.watch.cursor;
            let last =
                anyhow!("the daemon was not there {FAILURES_MAX} times in a row; the last cursor is \"{cursor}\"");
            return Err(anyhow::Error::from(error).context(last).into());
        }
        Ok(())
    }
}

fn ended() -> hikyaku_client::Refused {
    hikyaku_client::Refused {
        code: hikyaku_client::Code::Unavailable,
        message: "the daemon ended the watch".to_owned(),
        violations: Vec::new(),
        reason: String::new(),
        retry_after: None,
    }
}
