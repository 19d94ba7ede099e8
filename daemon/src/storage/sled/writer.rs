//! The committer: the one thread that writes. It takes what waits, makes it one batch, syncs once, and answers all.
//!
//! While one sync runs the next changes collect in the channel; there is no other window. A semaphore of KiB bounds what
//! waits: intake is refused beyond it, workers wait for room.

use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::{
    disk::Failure,
    space::Space,
    txn::{Made, Txn},
};
use crate::storage::StorageError;

/// Most changes in one commit.
pub(super) const CHANGES_PER_COMMIT_MAX: usize = 512;
/// Most bytes of changes in one commit.
pub(super) const BYTES_PER_COMMIT_MAX: usize = 4 << 20;
/// What every waiting call costs at least of the bytes that may wait.
const CALL_BYTES_MIN: usize = 1_024;
/// How often the disk's free space is looked at.
const SPACE_INTERVAL: Duration = Duration::from_secs(1);

/// Sends changes to the committer.
#[derive(Debug)]
pub(super) struct Writer {
    calls: Mutex<Option<mpsc::Sender<Call>>>,
    room: Arc<Semaphore>,
    room_kib: usize,
    failure: Failure,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// How heavy a call is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weight {
    /// How many changes it makes.
    pub(super) changes: usize,
    /// How many bytes it holds.
    pub(super) bytes: usize,
}

/// Whether a call may be refused when too much waits, or waits for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// It is refused.
    Refuse,
    /// It waits.
    Wait,
}

type Answer = Box<dyn FnOnce() + Send>;

struct Call {
    weight: Weight,
    run: Box<dyn FnOnce(&mut Txn) -> Answer + Send>,
    _room: OwnedSemaphorePermit,
}

/// What the committer tells the rest of the store after each commit, before it answers.
pub(super) trait Audience: Send {
    /// The commit is durable.
    fn committed(&mut self, txn: &Txn, made: Made);
}

impl Writer {
    /// Starts the thread. `database` is a descriptor of our own of sled's file.
    pub(super) fn start(
        txn: Txn,
        database: File,
        space: Space,
        audience: impl Audience + 'static,
        waiting_bytes_max: usize,
    ) -> std::io::Result<Self> {
        let (sender, calls) = mpsc::channel();
        let failure = txn.disk.failure.clone();
        let committer = Committer { txn, database, space, audience, failure: failure.clone(), looked: Instant::now() };
        let thread = std::thread::Builder::new().name("committer".into()).spawn(move || committer.run(&calls))?;
        let room_kib = (waiting_bytes_max / CALL_BYTES_MIN).clamp(1, Semaphore::MAX_PERMITS);
        Ok(Self {
            calls: Mutex::new(Some(sender)),
            room: Arc::new(Semaphore::new(room_kib)),
            room_kib,
            failure,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Makes a change and returns when it is durable.
    pub(super) async fn commit<T: Send + 'static>(
        &self,
        weight: Weight,
        patience: Patience,
        change: impl FnOnce(&mut Txn) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let room = self.room(weight, patience).await?;
        self.send(weight, room, change)?.wait().await
    }

    /// Takes room for a call that will be sent.
    pub(super) async fn room(&self, weight: Weight, patience: Patience) -> Result<OwnedSemaphorePermit, StorageError> {
        self.failure.check()?;
        let kib = weight.bytes.max(weight.changes * CALL_BYTES_MIN).div_ceil(CALL_BYTES_MIN).clamp(1, self.room_kib);
        let kib = u32::try_from(kib).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room);
        match patience {
            Patience::Refuse => {
                room.try_acquire_many_owned(kib).map_err(|_| StorageError::Overloaded("too much waits to be written"))
            }
            Patience::Wait => room.acquire_many_owned(kib).await.map_err(|_| closed()),
        }
    }

    /// Sends a change; it takes effect after those that were sent before.
    pub(super) fn send<T: Send + 'static>(
        &self,
        weight: Weight,
        room: OwnedSemaphorePermit,
        change: impl FnOnce(&mut Txn) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<Sent<T>, StorageError> {
        let (sender, answer) = oneshot::channel();
        let run = move |txn: &mut Txn| {
            let result = change(txn);
            // A caller that has gone needs no answer.
            Box::new(move || drop(sender.send(result))) as Answer
        };
        let call = Call { weight, run: Box::new(run), _room: room };
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = calls.as_ref().is_some_and(|calls| calls.send(call).is_ok());
        drop(calls);
        if !sent {
            self.failure.check()?;
            return Err(closed());
        }
        Ok(Sent { answer, failure: self.failure.clone() })
    }

    /// Refuses once the writer was closed.
    pub(super) fn check_open(&self) -> Result<(), StorageError> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.is_some() { Ok(()) } else { Err(closed()) }
    }

    /// Lets the committer finish what was sent and end. Blocks.
    pub(super) fn stop(&self) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).take();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            self.failure.record("the committer panicked");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A change on its way to the disk.
#[derive(Debug)]
pub(super) struct Sent<T> {
    answer: oneshot::Receiver<Result<T, StorageError>>,
    failure: Failure,
}

impl<T> Sent<T> {
    /// Waits until the change is durable.
    pub(super) async fn wait(self) -> Result<T, StorageError> {
        match self.answer.await {
            Ok(result) => result,
            Err(_) => {
                self.failure.check()?;
                Err(closed())
            }
        }
    }
}

struct Committer<A> {
    txn: Txn,
    database: File,
    space: Space,
    audience: A,
    failure: Failure,
    looked: Instant,
}

impl<A: Audience> Committer<A> {
    fn run(mut self, calls: &mpsc::Receiver<Call>) {
        loop {
            let first = match calls.recv_timeout(SPACE_INTERVAL) {
                Ok(call) => Some(call),
                Err(mpsc::RecvTimeoutError::Timeout) => None,
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
            };
            if self.looked.elapsed() >= SPACE_INTERVAL {
                self.space.look();
                self.looked = Instant::now();
            }
            let Some(first) = first else { continue };
            // sled panics on what it does not understand; nothing may be written after that.
            let done = catch_unwind(AssertUnwindSafe(|| self.commit_group(first, calls)));
            match done {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return,
                Err(panic) => {
                    self.failure.record(format_args!("the committer panicked: {}", panic_text(&*panic)));
                    return;
                }
            }
        }
    }

    fn commit_group(&mut self, first: Call, calls: &mpsc::Receiver<Call>) -> Result<(), StorageError> {
        let mut answers = Vec::with_capacity(CHANGES_PER_COMMIT_MAX);
        let mut room = Vec::with_capacity(CHANGES_PER_COMMIT_MAX);
        let (mut changes, mut bytes) = (0, 0);
        let mut next = Some(first);
        while let Some(call) = next {
            changes += call.weight.changes;
            bytes += call.weight.bytes;
            answers.push((call.run)(&mut self.txn));
            room.push(call._room);
            self.failure.check()?;
            let is_full = changes >= CHANGES_PER_COMMIT_MAX || bytes >= BYTES_PER_COMMIT_MAX || self.txn.is_full();
            next = if is_full { None } else { calls.try_recv().ok() };
        }
        self.txn.flush_merges()?;
        self.txn.flush_counts()?;
        if !self.txn.is_empty() {
            // What the batch refers to is durable before it.
            let spooled = self.txn.write_spool();
            spooled.map_err(|error| self.failure.record(format_args!("cannot write the spool: {error}")))?;
            let (batch, made) = self.txn.finish();
            self.write(batch)?;
            self.audience.committed(&self.txn, made);
        }
        answers.into_iter().for_each(|answer| answer());
        Ok(())
    }

    fn write(&self, batch: ::sled::Batch) -> Result<(), StorageError> {
        let disk = &self.txn.disk;
        disk.checked(disk.tree.apply_batch(batch))?;
        disk.checked(disk.tree.flush())?;
        // sled syncs a range only, which a power cut does not respect.
        self.database.sync_data().map_err(|error| self.failure.record(format_args!("cannot sync the store: {error}")))
    }
}

fn closed() -> StorageError {
    StorageError::Failed("it was closed".into())
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a text")
}
