//! Which addresses callers may send to, strictly and leniently, and in which form they are stored.

use v1::{job_draft::Content, submit_merge_request::Part};

use super::*;
use crate::{
    domain::address::table::{Row, TABLE},
    storage::JobStore,
};

const CARRIER: &str = "a..b@docomo.ne.jp";
const QUOTED: &str = "\"a..b\"@docomo.ne.jp";

#[derive(Clone, Copy)]
enum Rule {
    Strict,
    Lenient,
}

fn settings_with(rule: Rule) -> v1::AccountSettings {
    let lenient_addresses = matches!(rule, Rule::Lenient);
    let content = v1::ContentRules { lenient_addresses, ..v1::ContentRules::default() };
    v1::AccountSettings { content: Some(content), ..settings() }
}

async fn create(api: &Api, id: &str, settings: v1::AccountSettings) -> Result<(), Status> {
    let request = v1::CreateAccountRequest { account_id: id.into(), settings: Some(settings), ..Default::default() };
    Box::pin(api.accounts().create_account(request)).await.map(drop)
}

/// An API with a strict and a lenient account.
async fn api() -> Api {
    let api = Api::start().await;
    create(&api, "strict", settings_with(Rule::Strict)).await.expect("a good account");
    create(&api, "lenient", settings_with(Rule::Lenient)).await.expect("a good account");
    api
}

async fn jobs_of(api: &Api, filter: v1::JobFilter) -> usize {
    let request = v1::ListJobsRequest { filter: Some(filter), page_size: 500, ..v1::ListJobsRequest::default() };
    api.jobs().list_jobs(request).await.expect("a list").into_inner().jobs.len()
}

/// A job to this address, as the `place`-th of some.
fn draft_to(account: &str, address: &str, place: usize) -> (v1::JobDraft, String) {
    let mut draft = draft(account, "first@example.jp");
    let (list, field) = match place % 3 {
        0 => (&mut draft.to, "job.to[1].address"),
        1 => (&mut draft.cc, "job.cc[0].address"),
        _ => (&mut draft.bcc, "job.bcc[0].address"),
    };
    list.push(mailbox(address));
    (draft, field.to_owned())
}

async fn check_table(account: &str, expected: impl Fn(&Row) -> Option<&'static str>) {
    let api = api().await;
    let mut accepted = 0;
    for (place, row) in TABLE.iter().enumerate() {
        let (draft, field) = draft_to(account, row.text, place);
        let answer = api.submit(draft).await;
        let Some(form) = expected(row) else {
            check_refused(answer, Code::InvalidArgument, "INVALID_FIELDS", &[&field]);
            continue;
        };
        accepted += 1;
        let id = answer.unwrap_or_else(|status| panic!("{row:?}: {status}")).job_id;
        let message = api.storage.message(id.parse().expect("an id")).await.expect("read").expect("a message");
        let written = String::from_utf8_lossy(&message.bytes).contains(form);
        assert_eq!((api.job(&id).await.recipients[1].address.as_str(), written), (form, place % 3 != 2), "{row:?}");
    }
    assert_eq!(jobs_of(&api, v1::JobFilter::default()).await, accepted, "what was refused left nothing behind");
}

#[tokio::test]
async fn what_is_strictly_no_address_is_never_stored_to_be_sent() {
    check_table("strict", |row| row.strict.ok()).await;
}

#[tokio::test]
async fn what_is_leniently_no_address_is_never_stored_to_be_sent() {
    check_table("lenient", |row| row.lenient.ok()).await;
}

#[tokio::test]
async fn a_refusal_tells_the_recipient_and_what_would_allow_it() {
    let api = api().await;
    let mut draft = draft("strict", "a@example.jp");
    draft.cc = vec![mailbox("b@example.jp"), mailbox(CARRIER)];
    draft.reply_to = vec![mailbox(".abc.@ezweb.ne.jp")];
    let status = api.submit(draft.clone()).await.expect_err("two addresses of carriers");
    let details = status.get_error_details();
    let told = &details.bad_request().expect("violations").field_violations;
    let fields: Vec<_> = told.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(fields, ["job.reply_to[0].address", "job.cc[1].address"]);
    let description = &told[1].description;
    assert!(description.contains("lenient_addresses") && description.ends_with("(recipient 2)"), "{description}");
    draft.account_id = "lenient".into();
    draft.from = Some(mailbox(CARRIER));
    check_refused(api.submit(draft).await, Code::InvalidArgument, "INVALID_FIELDS", &["job.from.address"]);
}

#[tokio::test]
async fn one_mailbox_in_two_forms_is_one_recipient() {
    let api = api().await;
    for (one, other) in [
        (CARRIER, QUOTED),
        ("taro@example.jp", "\"taro\"@Example.JP"),
        ("taro@例え.jp", "taro@xn--r8jz45g.jp"),
        ("Pelé@例え.jp", "Pele\u{301}@XN--R8JZ45G.jp"),
    ] {
        let mut twice = draft("lenient", one);
        twice.bcc = vec![mailbox(other)];
        check_refused(api.submit(twice).await, Code::InvalidArgument, "INVALID_FIELDS", &["job.bcc[0].address"]);
        api.submit(draft("lenient", one)).await.expect("a good job");
        let filter = v1::JobFilter { recipient: other.into(), ..v1::JobFilter::default() };
        assert_eq!(jobs_of(&api, filter).await, 1, "{other}");
    }
}

#[tokio::test]
async fn recipients_of_every_job_follow_the_account_that_has_them() {
    let api = api().await;
    let with = |rule| v1::AccountSettings {
        default_cc: vec![mailbox(CARRIER)],
        default_bcc: vec![mailbox(".abc.@ezweb.ne.jp")],
        reply_to: Some(mailbox("abc.@softbank.ne.jp")),
        ..settings_with(rule)
    };
    let fields = ["settings.reply_to.address", "settings.default_cc[0].address", "settings.default_bcc[0].address"];
    let refused = create(&api, "more", with(Rule::Strict)).await;
    check_refused(refused, Code::InvalidArgument, "INVALID_FIELDS", &fields);
    create(&api, "more", with(Rule::Lenient)).await.expect("a good account");
    let id = api.submit(draft("more", "a@example.jp")).await.expect("a good job").job_id;
    let job = api.job(&id).await;
    let stored: Vec<_> = job.recipients.iter().map(|one| one.address.as_str()).collect();
    assert_eq!(stored, ["a@example.jp", QUOTED, "\".abc.\"@ezweb.ne.jp"]);
    let message = api.storage.message(id.parse().expect("an id")).await.expect("read").expect("a message");
    let message = String::from_utf8_lossy(&message.bytes).into_owned();
    let header = format!("Reply-To: \"abc.\"@softbank.ne.jp\r\nTo: a@example.jp\r\nCc: {QUOTED}\r\n");
    assert!(message.contains(&header), "{message}");
}

/// Rules by which mail to docomo goes by one account, and all other mail by the strict one.
async fn route_docomo(api: &Api, account: &str) {
    let rule = v1::RoutingRule {
        name: "docomo".into(),
        recipients: vec!["@docomo.ne.jp".into()],
        account_id: account.into(),
        ..v1::RoutingRule::default()
    };
    let current = api.routing().get_routing(v1::GetRoutingRequest {}).await.expect("rules").into_inner();
    let etag = current.routing.unwrap_or_default().etag;
    let default_account_id = "strict".to_owned();
    let routing = v1::Routing { rules: vec![rule], default_account_id, etag, ..v1::Routing::default() };
    let request = v1::SetRoutingRequest { routing: Some(routing), dry_run: false };
    api.routing().set_routing(request).await.expect("good rules");
}

fn routed(to: &str) -> v1::JobDraft {
    v1::JobDraft { from: Some(mailbox("sales@example.jp")), ..draft("", to) }
}

#[tokio::test]
async fn the_account_that_routing_chooses_decides() {
    let api = api().await;
    route_docomo(&api, "lenient").await;
    let answer = api.submit(routed(CARRIER)).await.expect("the account is lenient");
    assert_eq!(answer.routed_account_id, "lenient");
    assert_eq!(api.job(&answer.job_id).await.recipients[0].address, QUOTED);
    let refused = api.submit(routed("a..b@ezweb.ne.jp")).await;
    check_refused(refused, Code::InvalidArgument, "INVALID_FIELDS", &["job.to[0].address"]);
    let request = v1::ExplainRouteRequest {
        from: Some(mailbox("sales@example.jp")),
        recipients: vec![CARRIER.into()],
        ..v1::ExplainRouteRequest::default()
    };
    let explained = api.routing().explain_route(request).await.expect("an answer").into_inner();
    assert_eq!(explained.account_id, "lenient");
    route_docomo(&api, "strict").await;
    let refused = api.submit(routed(CARRIER)).await;
    check_refused(refused, Code::InvalidArgument, "INVALID_FIELDS", &["job.to[0].address"]);
}

async fn merge(api: &Api, job: v1::JobDraft, addresses: &[&str]) -> Result<v1::SubmitMergeResponse, Status> {
    let job = v1::JobDraft { to: Vec::new(), ..job };
    let head = v1::MergeHead { job: Some(job), ..v1::MergeHead::default() };
    let recipients = addresses
        .iter()
        .map(|address| v1::MergeRecipient { address: (*address).into(), ..v1::MergeRecipient::default() });
    let recipients = v1::MergeRecipients { recipients: recipients.collect() };
    let parts = [Part::Head(head), Part::Recipients(recipients)];
    let requests = parts.map(|part| v1::SubmitMergeRequest { part: Some(part) });
    Ok(api.jobs().submit_merge(stream::iter(requests)).await?.into_inner())
}

#[tokio::test]
async fn recipients_of_merge_jobs_follow_their_account() {
    let api = api().await;
    let addresses = ["a@docomo.ne.jp", CARRIER, QUOTED];
    let (code, reason, field) = (Code::InvalidArgument, "INVALID_FIELDS", ["recipients[1].address"]);
    check_refused(merge(&api, draft("strict", ""), &addresses).await, code, reason, &field);
    let answer = merge(&api, draft("lenient", ""), &addresses).await.expect("a lenient account");
    assert_eq!((answer.recipients, answer.warnings.len()), (3, 1), "two are the same: {:?}", answer.warnings);
    let list = v1::ListRecipientsRequest { job_id: answer.job_id, ..v1::ListRecipientsRequest::default() };
    let listed = api.jobs().list_recipients(list).await.expect("a page").into_inner().recipients;
    assert_eq!(listed[1].recipient.clone().expect("a recipient").address, QUOTED);

    route_docomo(&api, "lenient").await;
    let answer = merge(&api, routed(""), &addresses).await.expect("the account is lenient");
    assert_eq!(answer.routed_account_id, "lenient");
    // The last one leaves the default account, which is strict.
    let mixed = [CARRIER, "a@example.jp"];
    check_refused(merge(&api, routed(""), &mixed).await, code, reason, &["recipients[0].address"]);
}

#[tokio::test]
async fn a_raw_message_goes_to_carriers_too() {
    let api = api().await;
    let raw = |account: &str| v1::JobDraft {
        content: Some(Content::Raw("From: sales@example.jp\n\nHello\n".into())),
        ..draft(account, CARRIER)
    };
    api.submit(raw("lenient")).await.expect("a lenient account");
    let refused = api.submit(raw("strict")).await;
    check_refused(refused, Code::InvalidArgument, "INVALID_FIELDS", &["job.to[0].address"]);
}
