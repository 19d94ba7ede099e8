//! Which jobs were watchers told to have ended, and when?

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use hikyaku_client::{Access, Client, Endpoint, Watch, proto::JobState};
use hikyaku_daemon::{domain::time::Clock as _, platform::clock::SystemClock};
use tokio::time::sleep;

use crate::told::{Ending, Told};

/// How long it waits before it connects again.
const CONNECT_AGAIN_MILLIS: u64 = 20;

/// Watches all jobs, over all restarts, and notes which have ended.
pub(crate) async fn follow(endpoint: Endpoint, told: Arc<Told>) {
    let mut cursor = "0".to_owned();
    loop {
        if let Ok(client) = Client::connect(&endpoint, Access::default()).await {
            watch(&client, &mut cursor, &told).await;
        }
        sleep(Duration::from_millis(CONNECT_AGAIN_MILLIS)).await;
    }
}

/// Reads events until the daemon is gone.
async fn watch(client: &Client, cursor: &mut String, told: &Told) {
    let watch = Watch { cursor: cursor.clone(), ..Watch::default() };
    let Ok(mut events) = client.watch(watch).await else { return };
    while let Some(Ok(event)) = events.next().await {
        if is_end(event.state()) {
            let ending = Ending { state: event.state(), at_millis: SystemClock.now().as_millis() };
            told.ended(&event.job_id, ending);
        }
        *cursor = event.cursor;
    }
}

/// Whether nothing follows this state here, where nothing comes back.
const fn is_end(state: JobState) -> bool {
    matches!(
        state,
        JobState::Submitted
            | JobState::PartlySubmitted
            | JobState::Failed
            | JobState::Expired
            | JobState::Cancelled
            | JobState::Suppressed
    )
}
