//! How a worker is told that its account changed.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Wakes a worker, and remembers that it was woken when it has just ended.
#[derive(Debug, Default)]
pub(super) struct Wake {
    notify: Notify,
    pending: AtomicBool,
}

impl Wake {
    /// Tells the worker that its account's queue, settings or standing changed.
    pub(super) fn wake(&self) {
        self.pending.store(true, Ordering::SeqCst);
        self.notify.notify_one();
    }

    /// Whether it was woken since the worker looked last.
    pub(super) fn is_pending(&self) -> bool {
        self.pending.load(Ordering::SeqCst)
    }

    /// Whether it was woken since this was asked last.
    pub(super) fn heed(&self) -> bool {
        self.pending.swap(false, Ordering::SeqCst)
    }

    /// Waits until it is woken.
    pub(super) async fn woken(&self) {
        self.notify.notified().await;
    }
}
