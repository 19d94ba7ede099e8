//! StatisticsService: what was sent and what came of it, summed up over the accounts that the caller sees.

mod sums;

use std::{sync::Arc, time::Duration};

use hikyaku_proto::v1::{self, statistics_service_server::StatisticsService};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use self::sums::Sums;
use super::{
    convert::{
        statistics::{Wanted, to_wanted},
        violations::Violations,
    },
    guard::visitor_of,
    parts::Parts,
    places::place,
    status::Refusal,
    visibility::Visitor,
};
use crate::{
    domain::time::{Clock, Timestamp},
    storage::{AccountRecord, Groups, PAGE_MAX, Period, SharedStorage, StatisticsQuery},
};

/// Most calls at once, over all callers: each may read much.
const CALLS_MAX: usize = 8;
/// How far back a range begins when the caller does not say.
const RANGE_DEFAULT: Duration = Duration::from_secs(24 * 3_600);

/// The service.
#[derive(Debug)]
pub(super) struct Statistics {
    storage: SharedStorage,
    clock: Arc<dyn Clock>,
    calls: Arc<Semaphore>,
}

impl Statistics {
    pub(super) fn new(parts: &Parts) -> Self {
        Self {
            storage: Arc::clone(&parts.storage),
            clock: Arc::clone(&parts.clock),
            calls: Arc::new(Semaphore::new(CALLS_MAX)),
        }
    }

    async fn sum_up(
        &self,
        request: v1::GetStatisticsRequest,
        visitor: &Visitor,
    ) -> Result<v1::GetStatisticsResponse, Refusal> {
        let mut violations = Violations::default();
        let wanted = to_wanted(request, &mut violations);
        let wanted = violations.finish(wanted)?;
        let query = query_of(&wanted, self.clock.now())?;
        let mut sums = Sums::new(&wanted, query);
        if let Some(id) = &wanted.account {
            let record = visitor.account(&self.storage, id).await?.ok_or_else(|| Refusal::no_account(id.clone()))?;
            self.add(&record, query, &mut sums).await?;
            return Ok(sums.finish());
        }
        let mut after = None;
        loop {
            let records = self.storage.accounts(after.as_ref(), PAGE_MAX).await?;
            let Some(last) = records.last() else { break };
            after = Some(last.account.id.clone());
            for record in records.iter().filter(|record| visitor.sees(&record.account.settings)) {
                self.add(record, query, &mut sums).await?;
            }
        }
        Ok(sums.finish())
    }

    async fn add(&self, record: &AccountRecord, query: StatisticsQuery, sums: &mut Sums) -> Result<(), Refusal> {
        if sums.includes(record) {
            sums.add(record, self.storage.statistics(&record.account.id, query).await?);
        }
        Ok(())
    }
}

/// What is asked of the store. The whole range is counted by the hour as long as its hours are kept, else by the day.
fn query_of(wanted: &Wanted, now: Timestamp) -> Result<StatisticsQuery, Refusal> {
    let to = wanted.to.unwrap_or(now);
    let from = wanted.from.unwrap_or_else(|| to.before(RANGE_DEFAULT));
    if from > to {
        return Err(Refusal::field("from", "is after to: the range has no end"));
    }
    let period = match wanted.period {
        v1::StatisticsPeriod::Hour => Period::Hour,
        v1::StatisticsPeriod::Day => Period::Day,
        v1::StatisticsPeriod::Unspecified if from >= Period::Hour.kept_from(now) => Period::Hour,
        v1::StatisticsPeriod::Unspecified => Period::Day,
    };
    let groups = match wanted.grouping {
        v1::StatisticsGrouping::Domain => Groups::Domains,
        v1::StatisticsGrouping::Label => Groups::Labels,
        v1::StatisticsGrouping::Unspecified | v1::StatisticsGrouping::Account | v1::StatisticsGrouping::Provider => {
            Groups::All
        }
    };
    Ok(StatisticsQuery { from, to, period, groups })
}

#[tonic::async_trait]
impl StatisticsService for Statistics {
    async fn get_statistics(
        &self,
        request: Request<v1::GetStatisticsRequest>,
    ) -> Result<Response<v1::GetStatisticsResponse>, Status> {
        let visitor = visitor_of(&request)?;
        let _place = place(&self.calls, "statistics")?;
        Ok(Response::new(self.sum_up(request.into_inner(), &visitor).await?))
    }
}
