//! What probes are told of the store: whether it works, and whether it takes jobs.

use std::time::Duration;

use crate::{
    service::routes::Health,
    storage::{SharedStorage, StorageError},
};

/// How often the store is asked.
const INTERVAL: Duration = Duration::from_secs(1);

/// Repeats to probes what the store says of itself, until it has failed: then returns why.
pub(super) async fn follow(health: Health, storage: SharedStorage) -> StorageError {
    let mut interval = tokio::time::interval(INTERVAL);
    health.set_serving().await;
    let mut accepts = true;
    loop {
        interval.tick().await;
        match storage.health().await {
            Err(error @ StorageError::Failed(_)) => {
                health.set_not_serving().await;
                return error;
            }
            Ok(()) if !accepts => {
                tracing::info!("jobs are accepted again");
                health.set_serving().await;
                accepts = true;
            }
            Err(error) if accepts => {
                tracing::warn!(%error, "no jobs are accepted");
                health.set_refusing_jobs().await;
                accepts = false;
            }
            Ok(()) | Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{
        accounts::{signers::Signers, tokens::TokenKeeper},
        delivery::desk,
        domain::time::{Clock, Timestamp},
        platform::{clock::VirtualClock, entropy::SeededEntropy},
        policy::{classify::rules::Rules, verp::VerpKey},
        service::{mailboxes::NoMailboxes, paging::PageSeal, parts::Parts, routes::routes},
        storage::memory::MemoryStore,
        wire::{dial::TcpDialer, dns::NameServers, oauth::TokenClient},
    };

    #[tokio::test(start_paused = true)]
    async fn a_store_that_has_stopped_is_told_within_seconds() {
        let storage: SharedStorage = MemoryStore::new();
        let clock: Arc<dyn Clock> = Arc::new(VirtualClock::starting_at(Timestamp::EPOCH));
        let (_, health) = routes(Parts {
            storage: Arc::clone(&storage),
            clock: Arc::clone(&clock),
            entropy: Arc::new(SeededEntropy::new(1)),
            rules: Arc::new(Rules::built_in()),
            dns: Arc::new(NameServers::new(None)),
            tokens: TokenKeeper::new(Arc::clone(&storage), Arc::new(TokenClient::default()), clock),
            signers: Signers::new(&storage),
            verp: VerpKey::new([7; 32]),
            pages: PageSeal::new([8; 32]),
            desk: desk::open().0,
            mailboxes: Arc::new(NoMailboxes),
            inbound_folder: None,
            dial: Arc::new(TcpDialer),
            scanner: None,
            host_name: "client.test".parse().expect("a name"),
            shutdown: CancellationToken::new(),
        })
        .await;
        let mut following = std::pin::pin!(follow(health, Arc::clone(&storage)));
        assert!(tokio::time::timeout(Duration::from_secs(60), &mut following).await.is_err());
        storage.close().await.expect("closed");
        let told = tokio::time::timeout(INTERVAL * 2, following).await;
        assert!(matches!(told, Ok(StorageError::Failed(_))), "{told:?}");
    }
}
