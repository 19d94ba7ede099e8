//! StoreService: looking after the store while it is in use.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, future::BoxFuture, stream, stream::BoxStream};
use hikyaku_proto::v1::{self, store_service_server::StoreService};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Interval, interval},
};
use tonic::{Request, Response, Status};

use super::{parts::Parts, status::Refusal};
use crate::storage::{Findings, Progress, SharedStorage, StorageError};

/// How often a caller is told of the progress.
const TELL_EVERY: Duration = Duration::from_millis(250);
/// Longest path of a backup, in bytes.
const PATH_BYTES_MAX: usize = 4_096;

/// The service. One backup or check runs at a time.
#[derive(Debug)]
pub(super) struct Store {
    storage: SharedStorage,
    turn: Arc<Semaphore>,
}

impl Store {
    pub(super) fn new(parts: &Parts) -> Self {
        Self { storage: Arc::clone(&parts.storage), turn: Arc::new(Semaphore::new(1)) }
    }

    fn take_turn(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        Arc::clone(&self.turn).try_acquire_owned().map_err(|_| Refusal::TooMany("backups and checks of the store"))
    }
}

#[tonic::async_trait]
impl StoreService for Store {
    type BackupStoreStream = BoxStream<'static, Result<v1::BackupStoreResponse, Status>>;
    type VerifyStoreStream = BoxStream<'static, Result<v1::VerifyStoreResponse, Status>>;

    async fn backup_store(
        &self,
        request: Request<v1::BackupStoreRequest>,
    ) -> Result<Response<Self::BackupStoreStream>, Status> {
        let target = target(request.into_inner().path)?;
        let turn = self.take_turn()?;
        let storage = Arc::clone(&self.storage);
        tracing::info!(target = %target.display(), "backup begins");
        let steps =
            with_progress(turn, move |progress| Box::pin(async move { storage.backup(&target, &*progress).await }));
        let answers = steps.map(|step| match step? {
            Step::Underway { done, total } => {
                Ok(v1::BackupStoreResponse { records_done: done, records_total: total, complete: false })
            }
            Step::Ended(records) => {
                tracing::info!(records, "backup is complete");
                Ok(v1::BackupStoreResponse { records_done: records, records_total: records, complete: true })
            }
        });
        Ok(Response::new(answers.boxed()))
    }

    async fn verify_store(
        &self,
        _request: Request<v1::VerifyStoreRequest>,
    ) -> Result<Response<Self::VerifyStoreStream>, Status> {
        let turn = self.take_turn()?;
        let storage = Arc::clone(&self.storage);
        let steps = with_progress(turn, move |progress| Box::pin(async move { storage.verify(&*progress).await }));
        let answers = steps.map(|step| match step? {
            Step::Underway { done, total } => {
                Ok(v1::VerifyStoreResponse { records_done: done, records_total: total, findings: None })
            }
            Step::Ended(findings) => Ok(last_of_check(findings)),
        });
        Ok(Response::new(answers.boxed()))
    }
}

fn last_of_check(findings: Findings) -> v1::VerifyStoreResponse {
    let Findings { records, quarantined, quarantined_count, mended } = findings;
    tracing::info!(records, quarantined = quarantined_count, mended, "store was checked");
    v1::VerifyStoreResponse {
        records_done: records,
        records_total: records,
        findings: Some(v1::StoreFindings { records, quarantined_count, quarantined, mended }),
    }
}

/// A directory that can be made for a backup.
fn target(path: String) -> Result<PathBuf, Refusal> {
    let refused = |reason: &str| Err(Refusal::field("path", reason));
    if path.len() > PATH_BYTES_MAX || path.contains('\0') {
        return refused("must be at most 4096 bytes without NUL");
    }
    let target = PathBuf::from(path);
    if !target.is_absolute() {
        return refused("must be an absolute path on the daemon's host");
    }
    if target.symlink_metadata().is_ok() {
        return refused("exists already: name a directory that does not");
    }
    if !target.parent().is_some_and(Path::is_dir) {
        return refused("must be in a directory that exists");
    }
    Ok(target)
}

/// What a long task tells.
enum Step<T> {
    Underway { done: u64, total: u64 },
    Ended(T),
}

/// The counters that a task advances and a stream reads.
#[derive(Debug, Default)]
struct Counters {
    done: AtomicU64,
    total: AtomicU64,
}

impl Progress for Counters {
    fn report(&self, done: u64, total: u64) {
        self.done.store(done, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }
}

/// A task under way. When its caller goes away, it is dropped with the stream.
struct Underway<T> {
    task: BoxFuture<'static, Result<T, StorageError>>,
    counters: Arc<Counters>,
    ticks: Interval,
    _turn: OwnedSemaphorePermit,
}

/// Runs a task as a stream of its progress, with its result as the last item.
fn with_progress<T: Send + 'static>(
    turn: OwnedSemaphorePermit,
    task: impl FnOnce(Arc<Counters>) -> BoxFuture<'static, Result<T, StorageError>>,
) -> BoxStream<'static, Result<Step<T>, Status>> {
    let counters = Arc::new(Counters::default());
    let task = task(Arc::clone(&counters));
    let underway = Underway { task, counters, ticks: interval(TELL_EVERY), _turn: turn };
    let steps = stream::unfold(Some(underway), |underway| async move {
        let mut underway = underway?;
        tokio::select! {
            biased;
            ended = &mut underway.task => {
                Some((ended.map(Step::Ended).map_err(|error| Refusal::from(error).into()), None))
            }
            _ = underway.ticks.tick() => {
                let done = underway.counters.done.load(Ordering::Relaxed);
                let total = underway.counters.total.load(Ordering::Relaxed);
                Some((Ok(Step::Underway { done, total }), Some(underway)))
            }
        }
    });
    steps.boxed()
}
