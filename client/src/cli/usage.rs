//! `hikyaku account usage` and `report-usage`: what is used of an account's quotas.

use std::{io::Write, process::ExitCode, time::SystemTime};

use clap::Args;
use hikyaku_client::{
    Client,
    proto::{QuotaUsage, ReportUsageRequest},
};
use serde::Serialize;

use super::{
    escape::escape,
    failure::{Failure, usage},
    output::{Output, Show},
    quota_text::show_quota,
    table::table,
    time_text::{When, show_time},
};

/// What others have sent from an account.
#[derive(Args, Debug)]
pub(crate) struct ReportArgs {
    /// The account
    id: String,
    /// Messages that were sent
    #[arg(long, value_name = "N", default_value_t = 0)]
    messages: u64,
    /// Recipients they went to
    #[arg(long, value_name = "N", default_value_t = 0)]
    recipients: u64,
    /// Bytes they had together
    #[arg(long, default_value_t = 0)]
    bytes: u64,
    /// When it was: RFC 3339, or -2h for two hours ago; now when not given
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    at: Option<When>,
}

pub(crate) async fn report<W: Write>(
    connect: impl Future<Output = Result<Client, Failure>>,
    args: ReportArgs,
    now: SystemTime,
    output: &mut Output<W>,
) -> Result<ExitCode, Failure> {
    let ReportArgs { id, messages, recipients, bytes, at } = args;
    if messages == 0 && recipients == 0 && bytes == 0 {
        return Err(usage("nothing to report: name --messages, --recipients or --bytes"));
    }
    let at = at.map(|when| when.resolve(now).into());
    let request = ReportUsageRequest { account_id: id.clone(), messages, recipients, bytes, at };
    let quotas = connect.await?.report_usage(request).await?;
    output.show(&UsageView::new(id, quotas))?;
    Ok(ExitCode::SUCCESS)
}

/// What an account has used of its quotas.
#[derive(Debug, Serialize)]
pub(crate) struct UsageView {
    account_id: String,
    quotas: Vec<QuotaUsageView>,
}

#[derive(Debug, Serialize)]
struct QuotaUsageView {
    quota: String,
    configured: u64,
    observed: Option<u64>,
    observed_at: Option<String>,
    used: u64,
    left: u64,
    resets_at: Option<String>,
}

impl UsageView {
    pub(crate) fn new(account_id: String, quotas: Vec<QuotaUsage>) -> Self {
        let quotas = quotas.into_iter().map(|usage| QuotaUsageView {
            quota: usage.quota.as_ref().map(show_quota).unwrap_or_default(),
            configured: usage.quota.as_ref().map(|quota| quota.limit).unwrap_or_default(),
            observed: Some(usage.observed_limit).filter(|limit| *limit > 0),
            observed_at: usage.observed_at.map(show_time),
            used: usage.used,
            left: usage.left,
            resets_at: usage.resets_at.map(show_time),
        });
        Self { account_id, quotas: quotas.collect() }
    }
}

impl Show for UsageView {
    fn text(&self) -> String {
        if self.quotas.is_empty() {
            return format!("{} has no quotas", escape(&self.account_id));
        }
        let rows = self.quotas.iter().map(|one| {
            vec![
                escape(&one.quota).into_owned(),
                one.observed.map(|limit| limit.to_string()).unwrap_or_default(),
                one.used.to_string(),
                one.left.to_string(),
                one.resets_at.clone().unwrap_or_default(),
            ]
        });
        table(&["QUOTA", "OBSERVED", "USED", "LEFT", "RESETS"], rows)
    }
}
