//! What an account's hours and quotas say of a job when it is submitted.

use std::time::Duration;

use tonic_types::ErrorDetails;

use super::*;
use crate::{
    domain::{
        account::AccountSettings,
        limits::{OverQuota, Quota, QuotaUnit, QuotaWindow},
        quiet::{QuietRule, QuietWindow, Weekdays},
    },
    storage::AccountStore as _,
};

/// An hour in which the tests begin, 2023-11-14 22:13:20 being a Tuesday.
fn at_ten(rule: QuietRule) -> QuietWindow {
    QuietWindow { days: Weekdays::new([1]), from: 22 * 60, to: 23 * 60, zone: "UTC".to_owned(), rule }
}

fn an_hour(limit: u64, unit: QuotaUnit) -> Quota {
    let window = QuotaWindow::Sliding(Duration::from_secs(3_600));
    Quota { limit: limit.try_into().expect("not zero"), unit, window }
}

/// An API with an account whose settings are these.
pub(super) async fn with(change: impl FnOnce(&mut AccountSettings)) -> Api {
    let api = Api::start().await;
    api.create_account("sales").await;
    let id = "sales".parse().expect("an id");
    let mut account = api.storage.account(&id).await.expect("an answer").expect("it is there").account;
    let etag = account.etag;
    account.etag.0 += 1;
    change(&mut account.settings);
    api.storage.update_account(account, etag).await.expect("the etag is the last");
    api
}

fn hours_later(hours: u64) -> Option<prost_types::Timestamp> {
    let seconds = BEGIN_MS / 1_000 + hours * 3_600;
    Some(prost_types::Timestamp { seconds: seconds.cast_signed(), nanos: 0 })
}

fn details<T: std::fmt::Debug>(answer: Result<T, Status>) -> ErrorDetails {
    answer.expect_err("it is refused").get_error_details()
}

#[tokio::test]
async fn a_window_that_warns_takes_the_job_and_says_so() {
    let api = with(|settings| settings.quiet_windows = vec![at_ten(QuietRule::Warn)]).await;
    let to = "taro@example.jp";
    let answer = api.submit(draft("sales", to)).await.expect("it is taken");
    assert_eq!(answer.warnings, ["would be sent in the quiet window Tue 22:00 to 23:00 UTC"]);
    let later = v1::JobDraft { send_at: hours_later(1), ..draft("sales", to) };
    assert_eq!(api.submit(later).await.expect("it is taken").warnings, Vec::<String>::new());
}

#[tokio::test]
async fn a_window_that_refuses_says_when_it_ends() {
    let api = with(|settings| settings.quiet_windows = vec![at_ten(QuietRule::Reject)]).await;
    let to = "taro@example.jp";
    let refused = api.submit(draft("sales", to)).await;
    let info = details(refused.clone()).error_info().cloned().expect("a reason");
    assert_eq!(info.metadata["ends_at"], "2023-11-14T23:00:00.000Z");
    check_refused(refused, Code::FailedPrecondition, "QUIET_WINDOW", &[]);
    let week_later = v1::JobDraft { send_at: hours_later(7 * 24), ..draft("sales", to) };
    check_refused(api.submit(week_later).await, Code::FailedPrecondition, "QUIET_WINDOW", &[]);
    for (send_at, hold) in [(hours_later(1), false), (hours_later(24), false), (None, true)] {
        api.submit(v1::JobDraft { send_at, hold, ..draft("sales", to) }).await.expect("it is taken");
    }
}

#[tokio::test]
async fn an_account_that_queues_nothing_refuses_what_its_quotas_do_not_let_go() {
    let change = |settings: &mut AccountSettings| {
        settings.limits.quotas = vec![an_hour(2, QuotaUnit::Messages), an_hour(9, QuotaUnit::Recipients)];
        settings.limits.over_quota = OverQuota::Reject;
    };
    let api = with(change).await;
    let to = "taro@example.jp";
    api.submit(draft("sales", to)).await.expect("it goes at once");
    api.submit(draft("sales", to)).await.expect("it goes at once, after the first");
    let refused = api.submit(draft("sales", to)).await;
    let told = details(refused.clone());
    let wait = told.retry_info().and_then(|retry| retry.retry_delay).expect("a time");
    assert!(wait > Duration::from_secs(3_500) && wait < Duration::from_secs(3_700), "{wait:?}");
    check_refused(refused, Code::ResourceExhausted, "QUOTA_EXHAUSTED", &[]);
    // What does not go at once can wait for room.
    for (send_at, hold) in [(hours_later(2), false), (None, true)] {
        api.submit(v1::JobDraft { send_at, hold, ..draft("sales", to) }).await.expect("it is taken");
    }
}

#[tokio::test]
async fn a_message_must_fit_into_a_quota_of_bytes() {
    let api = with(|settings| settings.limits.quotas = vec![an_hour(2_000, QuotaUnit::Bytes)]).await;
    api.submit(draft("sales", "taro@example.jp")).await.expect("it is small");
    let mail = v1::MailContent { text: "long ".repeat(500), ..v1::MailContent::default() };
    let content = Some(v1::job_draft::Content::Mail(mail));
    let long = v1::JobDraft { content, ..draft("sales", "taro@example.jp") };
    check_refused(api.submit(long).await, Code::InvalidArgument, "INVALID_FIELDS", &["job"]);
}

#[tokio::test]
async fn a_report_of_usage_must_make_sense() {
    let api = with(|_| {}).await;
    let account_id = "sales".to_owned();
    let report = |request: v1::ReportUsageRequest| {
        let mut accounts = api.accounts();
        async move { accounts.report_usage(request).await }
    };
    let request = v1::ReportUsageRequest { account_id, ..v1::ReportUsageRequest::default() };
    let invalid = "INVALID_FIELDS";
    check_refused(report(request.clone()).await, Code::InvalidArgument, invalid, &["messages"]);
    let future = v1::ReportUsageRequest { bytes: 1, at: hours_later(1), ..request.clone() };
    check_refused(report(future).await, Code::InvalidArgument, invalid, &["at"]);
    let long_ago = Some(prost_types::Timestamp { seconds: 1_690_000_000, nanos: 0 });
    let old = v1::ReportUsageRequest { recipients: u64::MAX, at: long_ago, ..request.clone() };
    check_refused(report(old).await, Code::InvalidArgument, invalid, &["recipients", "at"]);
    // Nobody is at the other end of this desk.
    let good = v1::ReportUsageRequest { messages: 3, recipients: 4, ..request };
    check_refused(report(good).await, Code::Unavailable, "ACCOUNT_WORKER_AWAY", &[]);
}
