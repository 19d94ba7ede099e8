//! What happens to jobs, told from the durable log: a caller that comes back with its last cursor misses nothing.

use std::collections::{HashSet, VecDeque};

use futures_util::{Stream, stream};
use hikyaku_proto::v1;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::{
    domain::{
        event::{Cursor, Event, EventKind},
        ids::{AccountId, JobId},
    },
    service::{
        convert::{
            event::from_event,
            values::parse,
            violations::{Violation, Violations},
        },
        status::Refusal,
        visibility::{View, Visitor},
    },
    storage::{SharedStorage, StorageError},
};

/// Most jobs that one watch may name.
const JOBS_MAX: usize = 1_000;
/// Events that are read at once.
const READ_EVENTS: usize = 500;

/// Where a watch begins, and what it tells.
#[derive(Debug)]
pub(super) struct Wanted {
    from: Option<Cursor>,
    account: Option<AccountId>,
    jobs: HashSet<JobId>,
}

impl Wanted {
    /// What a caller asked for; `head` is the cursor after the last event.
    pub(super) fn read(request: v1::WatchJobsRequest, head: Cursor) -> Result<Self, Vec<Violation>> {
        let mut violations = Violations::default();
        let from = match request.cursor.as_str() {
            "" => Some(None),
            cursor => read_cursor(cursor, head, &mut violations).map(Some),
        };
        let account = match request.account_id.as_str() {
            "" => Some(None),
            id => parse::<AccountId>(id, "account_id", &mut violations).map(Some),
        };
        let mut jobs = HashSet::new();
        if request.job_ids.len() > JOBS_MAX {
            violations.add("job_ids", format_args!("has more than {JOBS_MAX} entries"));
        } else {
            let ids = request.job_ids.iter().enumerate();
            jobs.extend(
                ids.filter_map(|(index, id)| parse::<JobId>(id, format_args!("job_ids[{index}]"), &mut violations)),
            );
        }
        violations.finish(from.zip(account).map(|(from, account)| Self { from, account, jobs }))
    }

    /// Whether events that it wants are gone: it goes on from a place before the newest one that was `pruned`. Whoever
    /// begins at 0 wants what is kept.
    pub(super) fn misses(&self, pruned: Cursor) -> bool {
        self.from.is_some_and(|from| from > Cursor(0) && from < pruned)
    }

    /// The job of which a wanted event tells.
    fn job_of(&self, event: &Event) -> Option<JobId> {
        let EventKind::Job { id, .. } = &event.kind else {
            return None;
        };
        let is_its_account = self.account.as_ref().is_none_or(|account| *account == event.account);
        Some(*id).filter(|id| is_its_account && (self.jobs.is_empty() || self.jobs.contains(id)))
    }
}

fn read_cursor(cursor: &str, head: Cursor, violations: &mut Violations) -> Option<Cursor> {
    match cursor.parse().map(Cursor) {
        Ok(cursor) if cursor <= head => Some(cursor),
        Ok(_) => {
            violations
                .add("cursor", "lies beyond the last event: it is of another store, or of a later state of this one");
            None
        }
        Err(_) => {
            violations.add("cursor", "is none that an earlier event carried");
            None
        }
    }
}

/// One watch under way.
struct Watch {
    storage: SharedStorage,
    wanted: Wanted,
    visitor: Visitor,
    cursor: Cursor,
    read: VecDeque<v1::WatchJobsResponse>,
    head: watch::Receiver<Cursor>,
    shutdown: CancellationToken,
    _place: OwnedSemaphorePermit,
}

/// The events that a caller wants and sees, from where it wants them, for as long as it listens.
pub(super) fn events(
    storage: SharedStorage,
    wanted: Wanted,
    visitor: Visitor,
    shutdown: CancellationToken,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<v1::WatchJobsResponse, Status>> + Send + 'static {
    let head = storage.head();
    let cursor = wanted.from.unwrap_or(*head.borrow());
    let watch = Watch { storage, wanted, visitor, cursor, read: VecDeque::new(), head, shutdown, _place: place };
    stream::unfold(Some(watch), |watch| async move {
        let mut watch = watch?;
        match watch.next().await {
            Ok(event) => Some((Ok(event), Some(watch))),
            Err(refusal) => Some((Err(refusal.into()), None)),
        }
    })
}

impl Watch {
    async fn next(&mut self) -> Result<v1::WatchJobsResponse, Refusal> {
        loop {
            if let Some(event) = self.read.pop_front() {
                return Ok(event);
            }
            // What comes after this look at the head wakes us below.
            self.head.borrow_and_update();
            if self.read_more().await? {
                continue;
            }
            tokio::select! {
                () = self.shutdown.cancelled() => return Err(Refusal::ShuttingDown),
                changed = self.head.changed() => changed.map_err(|_| Refusal::ShuttingDown)?,
            }
        }
    }

    /// Reads on in the log, and says whether there was anything.
    async fn read_more(&mut self) -> Result<bool, StorageError> {
        if self.shutdown.is_cancelled() {
            return Ok(false);
        }
        let events = self.storage.events(self.cursor, READ_EVENTS).await?;
        let Some((last, _)) = events.last() else {
            return Ok(false);
        };
        self.cursor = *last;
        // An account may have got an owner meanwhile.
        let mut view = View::new(&self.visitor, &self.storage);
        for (cursor, event) in &events {
            if let Some(job) = self.wanted.job_of(event)
                && view.sees_job_of(&event.account, job).await?
            {
                self.read.extend(from_event(*cursor, event));
            }
        }
        Ok(true)
    }
}
