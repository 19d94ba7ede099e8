//! What the services work with.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{
    delivery::desk::Desk, domain::time::Clock, platform::entropy::Entropy, policy::classify::rules::Rules,
    storage::SharedStorage,
};

/// What the services work with.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The store.
    pub storage: SharedStorage,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes job ids.
    pub entropy: Arc<dyn Entropy>,
    /// Judge replies.
    pub rules: Arc<Rules>,
    /// Asks the accounts' workers.
    pub desk: Desk,
    /// Ends streams and refuses new ones when the daemon stops.
    pub shutdown: CancellationToken,
}
