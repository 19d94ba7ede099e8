//! What callers see when they send a finished job again.

use super::{gate::with, *};
use crate::{
    domain::{account::SenderPattern, attempt::Fate, ids::JobId},
    storage::{
        AccountStore as _, JobStore as _, Queue as _,
        contract::samples::{attempt, settlement},
    },
};

/// Submits a job to `a` and `b` and lets its only attempt end like this.
pub(super) async fn finished(api: &Api, job: v1::JobDraft, fates: &[Fate]) -> String {
    let job = v1::JobDraft { cc: vec![mailbox("b@example.jp")], ..job };
    let id = api.submit(job).await.expect("a job").job_id;
    let tenure = api.storage.take_tenure(&"sales".parse().expect("an id")).await.expect("a tenure");
    let now = api.clock.now();
    let settled = settlement(id.parse().expect("an id"), Some(attempt(1, fates, now)), now);
    api.storage.settle(&tenure, vec![settled]).await.expect("it is settled");
    id
}

pub(super) async fn resend(api: &Api, request: v1::ResendJobRequest) -> Result<v1::SubmitJobResponse, Status> {
    Ok(api.jobs().resend_job(request).await?.into_inner().submission.expect("an answer"))
}

pub(super) fn again(job_id: &str) -> v1::ResendJobRequest {
    v1::ResendJobRequest { job_id: job_id.into(), ..v1::ResendJobRequest::default() }
}

async fn message(api: &Api, id: &str) -> String {
    let id: JobId = id.parse().expect("an id");
    let message = api.storage.message(id).await.expect("read").expect("a message");
    String::from_utf8(message.bytes.to_vec()).expect("text")
}

#[tokio::test]
async fn a_job_is_sent_again_under_a_name_of_its_own() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let labels = vec!["news".to_owned()];
    let job = v1::JobDraft { labels, priority: v1::Priority::Low.into(), ..draft("sales", "a@example.jp") };
    let first = finished(&api, job, &[Fate::Submitted, Fate::Failed]).await;
    let before = api.job(&first).await;
    let second = resend(&api, again(&first)).await.expect("a job").job_id;
    let job = api.job(&second).await;
    assert_eq!((job.resent_job_id.as_str(), job.state()), (first.as_str(), v1::JobState::Queued));
    assert_eq!((&job.labels, job.priority(), &job.sender), (&before.labels, v1::Priority::Low, &before.sender));
    assert_eq!((&job.subject, job.recipients.len(), job.attempts_made), (&before.subject, 2, 0));
    assert_eq!(job.message_id, format!("<{second}@example.jp>"));
    assert_eq!(api.job(&first).await, before, "the first one stays as it is");
    let (old, new) = (message(&api, &first).await, message(&api, &second).await);
    let is_named = |line: &&str| ["Date:", "Message-ID:", "X-Hikyaku-Job:"].iter().any(|name| line.starts_with(name));
    let rest = |text: &str| text.split("\r\n").filter(|line| !is_named(line)).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(rest(&old), rest(&new));
    assert!(new.contains(&format!("X-Hikyaku-Job: {second}\r\n")) && !new.contains(&first), "{new}");
    assert!(old != new);
}

#[tokio::test]
async fn some_recipients_may_be_chosen() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let first = finished(&api, draft("sales", "a@example.jp"), &[Fate::Submitted, Fate::Failed]).await;
    let states = |state: v1::RecipientState| vec![state.into()];
    let addresses = |address: &str| vec![address.to_owned()];
    for (request, expected) in [
        (v1::ResendJobRequest { states: states(v1::RecipientState::Failed), ..again(&first) }, "b@example.jp"),
        (v1::ResendJobRequest { addresses: addresses("\"A\"@Example.JP"), ..again(&first) }, "a@example.jp"),
    ] {
        let id = resend(&api, request).await.expect("a job").job_id;
        let found: Vec<_> = api.job(&id).await.recipients.iter().map(|one| one.address.clone()).collect();
        assert_eq!(found, [expected]);
    }
    let (code, reason) = (Code::InvalidArgument, "INVALID_FIELDS");
    for (request, field) in [
        (v1::ResendJobRequest { addresses: addresses("c@example.jp"), ..again(&first) }, "addresses[0]"),
        (v1::ResendJobRequest { states: states(v1::RecipientState::Queued), ..again(&first) }, "states[0]"),
        (v1::ResendJobRequest { states: states(v1::RecipientState::Expired), ..again(&first) }, "states"),
        (again("x"), "job_id"),
    ] {
        let refused = resend(&api, request).await.expect_err(field);
        let details = refused.get_error_details();
        assert_eq!((refused.code(), details.error_info().map(|info| info.reason.as_str())), (code, Some(reason)));
        assert_eq!(details.bad_request().expect("violations").field_violations[0].field, field);
    }
}

#[tokio::test]
async fn only_finished_plain_jobs_are_sent_again() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let code = Code::FailedPrecondition;
    let open = api.submit(draft("sales", "a@example.jp")).await.expect("a job").job_id;
    check_refused(resend(&api, again(&open)).await, code, "JOB_IS_OPEN", &[]);
    let merge = vec![merges::head(merges::templates(), ""), merges::recipients(0..1)];
    let merge = merges::submit(&api, merge).await.expect("a job").job_id;
    check_refused(resend(&api, again(&merge)).await, code, "JOB_IS_A_MERGE", &[]);
    let unknown = again("018bcfe5-6800-7000-8000-000000000000");
    check_refused(resend(&api, unknown).await, Code::NotFound, "JOB_NOT_FOUND", &[]);
}

#[tokio::test]
async fn a_repeated_call_is_known_again() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let first = finished(&api, draft("sales", "a@example.jp"), &[Fate::Failed, Fate::Failed]).await;
    let keyed = |dry_run| v1::ResendJobRequest { idempotency_key: "k".into(), dry_run, ..again(&first) };
    let dry = resend(&api, keyed(true)).await.expect("it would be sent");
    assert!(dry.job_id.is_empty() && dry.message_bytes > 0);
    let one = resend(&api, keyed(false)).await.expect("a job");
    let two = resend(&api, keyed(false)).await.expect("the same job");
    assert_eq!((one.existing, two.existing, &one.job_id), (false, true, &two.job_id));
    let (code, reason) = (Code::AlreadyExists, "IDEMPOTENCY_KEY_REUSED");
    let other = v1::ResendJobRequest { addresses: vec!["a@example.jp".into()], ..keyed(false) };
    check_refused(resend(&api, other).await, code, reason, &[]);
    let job = Some(draft("sales", "a@example.jp"));
    let plain = v1::SubmitJobRequest { job, idempotency_key: "k".into(), dry_run: false };
    check_refused(api.jobs().submit_job(plain).await, code, reason, &[]);
}

#[tokio::test]
async fn the_accounts_rules_hold_for_it_too() {
    let other = SenderPattern::Address("other@example.com".parse().expect("an address"));
    let api = with(|settings| settings.may_send_as = vec![other]).await;
    let from = Some(mailbox("other@example.com"));
    let job = v1::JobDraft { from, approval_required: true, ..draft("sales", "a@example.jp") };
    let first = finished(&api, job, &[Fate::Failed, Fate::Failed]).await;
    let second = resend(&api, again(&first)).await.expect("a job");
    assert!(second.warnings[0].starts_with("the job awaits approval, as the first one did"), "{:?}", second.warnings);
    assert_eq!(api.job(&second.job_id).await.state(), v1::JobState::Held);

    let id = "sales".parse().expect("an id");
    let mut account = api.storage.account(&id).await.expect("an answer").expect("it is there").account;
    let etag = account.etag;
    account.etag.0 += 1;
    account.settings.may_send_as.clear();
    account.settings.limits.recipients_per_job_max = std::num::NonZeroU32::MIN;
    account.settings.limits.message_bytes_max = 100;
    api.storage.update_account(account, etag).await.expect("the etag is the last");
    let fields = ["job_id", "job_id", "job_id"];
    check_refused(resend(&api, again(&first)).await, Code::InvalidArgument, "INVALID_FIELDS", &fields);
}
