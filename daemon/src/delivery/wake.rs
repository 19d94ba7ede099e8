//! How a worker is told that its account changed, or is asked something.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::Notify;

use super::desk::Request;

/// Most questions that wait for one worker; those beyond are turned away.
const REQUESTS_WAITING_MAX: usize = 64;

/// Wakes a worker, and remembers that it was woken when it has just ended.
#[derive(Debug, Default)]
pub(super) struct Wake {
    notify: Notify,
    pending: AtomicBool,
    requests: Mutex<VecDeque<Request>>,
}

impl Wake {
    /// Tells the worker that its account's queue, settings or standing changed.
    pub(super) fn wake(&self) {
        self.pending.store(true, Ordering::SeqCst);
        self.notify.notify_one();
    }

    /// Asks the worker something. Who asks beyond [`REQUESTS_WAITING_MAX`] is turned away.
    pub(super) fn ask(&self, request: Request) {
        let mut requests = self.requests();
        if requests.len() < REQUESTS_WAITING_MAX {
            requests.push_back(request);
        }
        drop(requests);
        self.wake();
    }

    /// What the worker was asked first, and has not been told yet.
    pub(super) fn request(&self) -> Option<Request> {
        self.requests().pop_front()
    }

    /// Whether it was woken since the worker looked last, or has an open question.
    pub(super) fn is_pending(&self) -> bool {
        self.pending.load(Ordering::SeqCst) || !self.requests().is_empty()
    }

    /// Whether it was woken since this was asked last.
    pub(super) fn heed(&self) -> bool {
        self.pending.swap(false, Ordering::SeqCst)
    }

    /// Waits until it is woken.
    pub(super) async fn woken(&self) {
        self.notify.notified().await;
    }

    fn requests(&self) -> MutexGuard<'_, VecDeque<Request>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
