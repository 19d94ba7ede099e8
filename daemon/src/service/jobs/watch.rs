//! What happens to jobs: which events a watch of jobs tells.

use std::collections::HashSet;

use async_trait::async_trait;
use hikyaku_proto::v1;

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
        visibility::View,
        watching::{Interest, Start},
    },
    storage::{SharedStorage, StorageError},
};

/// Most jobs that one watch may name.
const JOBS_MAX: usize = 1_000;

/// Of which jobs a caller wants to be told.
#[derive(Debug)]
pub(super) struct Wanted {
    account: Option<AccountId>,
    jobs: HashSet<JobId>,
}

impl Wanted {
    /// What a caller asked for, and from where on; `head` is the cursor after the last event.
    pub(super) fn read(request: v1::WatchJobsRequest, head: Cursor) -> Result<(Start, Self), Vec<Violation>> {
        let mut violations = Violations::default();
        let start = Start::read(&request.cursor, head, &mut violations);
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
        violations.finish(start.zip(account).map(|(start, account)| (start, Self { account, jobs })))
    }

    /// The account of which it wants to be told, if it is only one.
    pub(super) const fn account(&self) -> Option<&AccountId> {
        self.account.as_ref()
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

#[async_trait]
impl Interest for Wanted {
    type Told = v1::WatchJobsResponse;

    async fn wants(&self, event: &Event, view: &mut View<'_>) -> Result<bool, StorageError> {
        match self.job_of(event) {
            Some(job) => view.sees_job_of(&event.account, job).await,
            None => Ok(false),
        }
    }

    async fn tell(
        &self,
        cursor: Cursor,
        event: &Event,
        _storage: &SharedStorage,
    ) -> Result<Option<v1::WatchJobsResponse>, StorageError> {
        Ok(from_event(cursor, event))
    }
}
