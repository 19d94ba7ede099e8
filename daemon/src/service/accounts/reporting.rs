//! What others sent from an account, counted in its quotas.

use std::time::Duration;

use hikyaku_proto::v1;

use super::Accounts;
use crate::{
    domain::ids::{AccountId, Caller},
    policy::quota::permit::Need,
    service::{
        convert::{
            values::{parse, to_time},
            violations::Violations,
        },
        status::Refusal,
    },
};

/// Most messages, and most recipients, of one report.
const REPORTED_MESSAGES_MAX: u64 = 1_000_000_000;
/// Most bytes of one report: a pebibyte.
const REPORTED_BYTES_MAX: u64 = 1 << 50;
/// How long ago reported mail was sent at most, in days: no window is longer.
const REPORTED_DAYS_MAX: u64 = 31;

impl Accounts {
    /// Counts what others sent. It is durable when this returns, and the usage in the answer has it.
    pub(super) async fn report(
        &self,
        request: v1::ReportUsageRequest,
        caller: &Caller,
    ) -> Result<v1::ReportUsageResponse, Refusal> {
        let now = self.clock.now();
        let v1::ReportUsageRequest { account_id, messages, recipients, bytes, at } = request;
        let mut violations = Violations::default();
        let id = parse::<AccountId>(&account_id, "account_id", &mut violations);
        let mut bounded = |units: u64, most: u64, field: &str| {
            if units > most {
                violations.add(field, format_args!("is more than {most}"));
            }
            units.min(most)
        };
        let used = Need {
            messages: u32::try_from(bounded(messages, REPORTED_MESSAGES_MAX, "messages")).unwrap_or(u32::MAX),
            recipients: u32::try_from(bounded(recipients, REPORTED_MESSAGES_MAX, "recipients")).unwrap_or(u32::MAX),
            bytes: bounded(bytes, REPORTED_BYTES_MAX, "bytes"),
        };
        if used == Need::default() {
            violations.add("messages", "nothing is reported: name messages, recipients or bytes");
        }
        let at = at.map_or(Some(now), |at| to_time(at, "at", &mut violations));
        if at.is_some_and(|at| at > now) {
            violations.add("at", "is in the future");
        }
        if at.is_some_and(|at| now.since(at) > Duration::from_hours(24 * REPORTED_DAYS_MAX)) {
            violations.add("at", format_args!("is more than {REPORTED_DAYS_MAX} days ago"));
        }
        let (id, at) = violations.finish(id.zip(at))?;
        self.record(&id).await?;
        self.desk.report_usage(&id, used, at).await.map_err(|_| Refusal::WorkerAway)?;
        tracing::info!(account = %id, %caller, messages, recipients, bytes, %at, "usage reported");
        Ok(v1::ReportUsageResponse { quotas: self.usage_of(&id).await?.quotas })
    }
}
