//! What callers see of routing: the rules, their explanation, and jobs that name no account.

use super::*;
use crate::{
    domain::{
        parking::{Parking, ParkingCause, Standing},
        time::Timestamp,
    },
    storage::AccountStore,
};

fn rule(name: &str, from: &[&str], recipients: &[&str], account_id: &str) -> v1::RoutingRule {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    v1::RoutingRule {
        name: name.into(),
        from: texts(from),
        recipients: texts(recipients),
        account_id: account_id.into(),
        ..v1::RoutingRule::default()
    }
}

async fn set(api: &Api, routing: v1::Routing) -> Result<v1::Routing, Status> {
    let request = v1::SetRoutingRequest { routing: Some(routing), dry_run: false };
    Ok(api.routing().set_routing(request).await?.into_inner().routing.expect("the rules"))
}

/// The accounts of a shop; all of them send as `shop@example.jp`, and `other` as itself only.
async fn shop(rules: Vec<v1::RoutingRule>, default_account_id: &str) -> Api {
    let api = Api::start().await;
    for id in ["main", "spare", "rakuten", "other"] {
        let from = if id == "other" { "other@example.jp" } else { "shop@example.jp" };
        let settings = v1::AccountSettings { from: Some(mailbox(from)), ..settings() };
        let request =
            v1::CreateAccountRequest { account_id: id.into(), settings: Some(settings), ..Default::default() };
        api.accounts().create_account(request).await.expect("a good account");
    }
    let routing = v1::Routing { rules, default_account_id: default_account_id.into(), ..v1::Routing::default() };
    set(&api, routing).await.expect("good rules");
    api
}

fn open_draft(from: &str, to: &str) -> v1::JobDraft {
    v1::JobDraft { from: Some(mailbox(from)), ..draft("", to) }
}

async fn park(api: &Api, id: &str) {
    let reason = "holidays".to_owned();
    let since = Timestamp::from_millis(BEGIN_MS);
    let parking = Parking { cause: ParkingCause::Paused, reason, reply: None, since, until: None, strikes: 0 };
    let id = id.parse().expect("an id");
    api.storage.set_standing(&id, Standing::Parked(parking), since).await.expect("an answer");
}

#[tokio::test]
async fn rules_are_read_back_as_they_were_set() {
    let api = Api::start().await;
    let none = api.routing().get_routing(v1::GetRoutingRequest {}).await.expect("an answer").into_inner();
    assert_eq!(none.routing, Some(v1::Routing::default()));
    api.create_account("main").await;
    api.create_account("spare").await;
    let mut first = rule("shop", &["@example.jp"], &["*.example.com", "a@example.org"], "main");
    first.fallback_account_ids = vec!["spare".into()];
    first.forbid_merge = true;
    let rules = vec![first];
    let given = v1::Routing { rules, default_account_id: "spare".into(), ..v1::Routing::default() };
    let stored = set(&api, given.clone()).await.expect("good rules");
    assert_eq!((stored.etag.as_str(), stored.updated_by.as_str()), ("1", "local"));
    assert_eq!((&stored.rules, &stored.default_account_id), (&given.rules, &given.default_account_id));
    check_refused(set(&api, given.clone()).await, Code::InvalidArgument, "INVALID_FIELDS", &["routing.etag"]);
    let stale = v1::Routing { etag: "7".into(), ..given.clone() };
    check_refused(set(&api, stale).await, Code::Aborted, "ETAG_STALE", &[]);
    let dry = v1::SetRoutingRequest { routing: Some(v1::Routing { etag: "1".into(), ..given }), dry_run: true };
    api.routing().set_routing(dry).await.expect("a good change");
    let read = api.routing().get_routing(v1::GetRoutingRequest {}).await.expect("an answer").into_inner();
    assert_eq!(read.routing, Some(stored));
    let delete = v1::DeleteAccountRequest { account_id: "main".into(), force: true, ..Default::default() };
    check_refused(api.accounts().delete_account(delete).await, Code::FailedPrecondition, "ACCOUNT_IS_ROUTED", &[]);
}

#[tokio::test]
async fn all_that_is_wrong_with_rules_is_told_at_once() {
    let api = Api::start().await;
    api.create_account("main").await;
    let mut second = rule("same", &["example.jp"], &["@[192.0.2.1]", "a b@x.jp"], "nobody");
    second.fallback_account_ids = vec!["A B".into()];
    let mut fourth = rule("same", &[], &[], "main");
    fourth.fallback_account_ids = vec!["main".into()];
    let rules = vec![rule("default", &[], &[], "main"), second, rule("same", &[], &[], ""), fourth];
    let rules = [rules, vec![rule("same", &[], &[], "main")]].concat();
    let given = v1::Routing { rules, default_account_id: "nobody".into(), ..v1::Routing::default() };
    let fields = [
        "routing.rules[0].name",
        "routing.rules[1].from[0]",
        "routing.rules[1].recipients[0]",
        "routing.rules[1].recipients[1]",
        "routing.rules[1].account_id",
        "routing.rules[1].fallback_account_ids[0]",
        "routing.rules[2].account_id",
        "routing.rules[3].fallback_account_ids[0]",
        "routing.rules[4].name",
        "routing.default_account_id",
    ];
    check_refused(set(&api, given).await, Code::InvalidArgument, "INVALID_FIELDS", &fields);
}

#[tokio::test]
async fn a_route_is_explained() {
    let mut shop_rule = rule("shop", &["@example.jp"], &[], "main");
    shop_rule.fallback_account_ids = vec!["other".into(), "spare".into()];
    let rakuten = rule("rakuten", &["shop@example.jp"], &["*.fw.rakuten.ne.jp"], "rakuten");
    let api = shop(vec![rakuten, shop_rule], "").await;
    let ask = |from: &str, to: &[&str]| v1::ExplainRouteRequest {
        from: Some(mailbox(from)),
        recipients: to.iter().map(|to| (*to).to_owned()).collect(),
        merge: false,
    };
    let explain = async |request| api.routing().explain_route(request).await.map(tonic::Response::into_inner);
    let answer = explain(ask("shop@example.jp", &["a@example.com"])).await.expect("an answer");
    assert_eq!((answer.account_id.as_str(), &answer.fallback_account_ids[..]), ("main", &["spare".to_owned()][..]));
    let told: Vec<_> = answer.verdicts.iter().map(|verdict| (verdict.name.as_str(), verdict.matched)).collect();
    assert_eq!(told, [("rakuten", false), ("shop", true)]);
    let answer = explain(ask("x@example.com", &["a@example.com"])).await.expect("an answer");
    assert_eq!(answer.account_id, "");
    assert!(answer.refusal.starts_with("no routing rule matches"), "{answer:?}");
    let answer = explain(ask("info@example.jp", &["a@example.com"])).await.expect("an answer");
    assert!(answer.refusal.ends_with("by the account main, which may not send as this From"), "{answer:?}");
    let empty = explain(v1::ExplainRouteRequest::default()).await;
    check_refused(empty, Code::InvalidArgument, "INVALID_FIELDS", &["from", "recipients"]);
}

#[tokio::test]
async fn a_job_without_account_goes_by_the_rules() {
    let rakuten = rule("rakuten", &["shop@example.jp"], &["*.fw.rakuten.ne.jp", "shop@example.jp"], "rakuten");
    let api = shop(vec![rakuten], "main").await;
    let check = async |job: v1::JobDraft, expected: &str| {
        let answer = api.submit(job).await.expect("it is accepted");
        assert_eq!(answer.routed_account_id, expected);
        assert_eq!(api.job(&answer.job_id).await.account_id, expected);
    };
    check(open_draft("shop@example.jp", "a@pc.fw.rakuten.ne.jp"), "rakuten").await;
    let both =
        v1::JobDraft { bcc: vec![mailbox("SHOP@example.jp")], ..open_draft("shop@example.jp", "a@fw.rakuten.ne.jp") };
    check(both.clone(), "rakuten").await;
    check(v1::JobDraft { cc: vec![mailbox("b@example.com")], ..both }, "main").await;
    let named =
        api.submit(v1::JobDraft { account_id: "spare".into(), ..open_draft("shop@example.jp", "a@x.jp") }).await;
    assert_eq!(named.expect("it is accepted").routed_account_id, "", "nobody routed it");
    check_refused(api.submit(draft("", "a@example.com")).await, Code::InvalidArgument, "INVALID_FIELDS", &["job.from"]);
    let stranger = api.submit(open_draft("x@example.com", "a@example.com")).await;
    check_refused(stranger, Code::FailedPrecondition, "NO_ROUTE", &[]);
}

#[tokio::test]
async fn without_a_route_the_refusal_says_why_each_rule_does_not_match() {
    let api = shop(vec![rule("shop", &["shop@example.jp"], &["@example.com"], "main")], "").await;
    let status = api.submit(open_draft("shop@example.jp", "a@example.org")).await.expect_err("no route");
    let said = "no routing rule matches the job, and there is no default account; shop: the recipient a@example.org \
                matches none of @example.com; default: there is no default account";
    assert_eq!(status.message(), said);
}

#[tokio::test]
async fn a_repeated_submission_stays_the_same_job_when_the_rules_change() {
    let api = shop(Vec::new(), "main").await;
    let submit = async || {
        let job = Some(open_draft("shop@example.jp", "a@example.com"));
        let request = v1::SubmitJobRequest { job, idempotency_key: "k".into(), dry_run: false };
        api.jobs().submit_job(request).await.expect("it is known").into_inner()
    };
    let first = submit().await;
    for default_account_id in ["spare", ""] {
        let etag = api.storage_etag().await;
        let routing = v1::Routing { default_account_id: default_account_id.into(), etag, ..v1::Routing::default() };
        set(&api, routing).await.expect("good rules");
        let again = submit().await;
        assert_eq!((&again.job_id, again.existing), (&first.job_id, true));
    }
    assert_eq!(api.job(&first.job_id).await.account_id, "main");
}

impl Api {
    async fn storage_etag(&self) -> String {
        let read = self.routing().get_routing(v1::GetRoutingRequest {}).await.expect("an answer").into_inner();
        read.routing.expect("the rules").etag
    }
}

#[tokio::test]
async fn a_job_of_a_parked_account_begins_at_its_fallback() {
    let mut first = rule("shop", &[], &[], "main");
    first.fallback_account_ids = vec!["other".into(), "rakuten".into(), "spare".into()];
    let api = shop(vec![first], "").await;
    park(&api, "main").await;
    let answer = api.submit(open_draft("shop@example.jp", "a@example.com")).await.expect("it is accepted");
    assert_eq!(answer.routed_account_id, "rakuten", "other may not send as the shop");
    assert_eq!(answer.warnings, ["the account main does not send at present: the job goes by rakuten instead"]);
    let id = answer.job_id.parse().expect("an id");
    let job = crate::storage::JobStore::job(&*api.storage, id).await.expect("an answer").expect("the job").job;
    let accounts = job.fallbacks.expect("it has some").accounts;
    assert_eq!(accounts.iter().map(ToString::to_string).collect::<Vec<_>>(), ["spare"]);
    park(&api, "rakuten").await;
    park(&api, "spare").await;
    let answer = api.submit(open_draft("shop@example.jp", "a@example.com")).await.expect("it is accepted");
    assert_eq!(answer.routed_account_id, "main", "it waits for the first that comes back");
}

fn merge(from: &str, addresses: &[&str]) -> Vec<v1::SubmitMergeRequest> {
    use v1::submit_merge_request::Part;
    let job = v1::JobDraft { to: Vec::new(), ..open_draft(from, "a@example.com") };
    let head = v1::MergeHead { job: Some(job), ..v1::MergeHead::default() };
    let one = |address: &&str| {
        let recipients = vec![v1::MergeRecipient { address: (*address).into(), ..v1::MergeRecipient::default() }];
        v1::SubmitMergeRequest { part: Some(Part::Recipients(v1::MergeRecipients { recipients })) }
    };
    let head = v1::SubmitMergeRequest { part: Some(Part::Head(head)) };
    std::iter::once(head).chain(addresses.iter().map(one)).collect()
}

#[tokio::test]
async fn a_merge_job_goes_by_the_rule_that_all_its_recipients_match() {
    let masked = ["*.fw.rakuten.ne.jp"];
    let forbidding = v1::RoutingRule { forbid_merge: true, ..rule("rakuten", &[], &masked, "rakuten") };
    let api = shop(vec![forbidding, rule("com", &[], &["@example.com"], "spare")], "main").await;
    let submit = async |addresses: &[&str]| {
        let requests = merge("shop@example.jp", addresses);
        Ok::<_, Status>(api.jobs().submit_merge(stream::iter(requests)).await?.into_inner())
    };
    let check = async |addresses: &[&str], expected: &str| {
        let answer = submit(addresses).await.expect("it is accepted");
        assert_eq!((answer.routed_account_id.as_str(), answer.recipients as usize), (expected, addresses.len()));
        assert_eq!(api.job(&answer.job_id).await.account_id, expected);
    };
    check(&["a@example.com", "b@example.com"], "spare").await;
    check(&["a@example.com", "b@example.org", "c@example.com"], "main").await;
    check(&["a@pc.fw.rakuten.ne.jp", "b@example.org"], "main").await;
    let refused = submit(&["a@pc.fw.rakuten.ne.jp", "b@docomo.fw.rakuten.ne.jp"]).await;
    check_refused(refused, Code::FailedPrecondition, "NO_ROUTE", &[]);
    let unfit = rule("unfit", &[], &["@unfit.example"], "other");
    let etag = api.storage_etag().await;
    let rules = vec![unfit, rule("com", &[], &["@example.com", "@unfit.example"], "spare")];
    set(&api, v1::Routing { rules, etag, ..v1::Routing::default() }).await.expect("good rules");
    check(&["a@unfit.example", "b@example.com"], "spare").await;
    let refused = submit(&["a@unfit.example", "b@unfit.example"]).await;
    check_refused(refused, Code::FailedPrecondition, "NO_ROUTE", &[]);
    let refused = submit(&["a@unfit.example", "b@example.org"]).await;
    check_refused(refused, Code::FailedPrecondition, "NO_ROUTE", &[]);
    check_refused(submit(&[]).await, Code::InvalidArgument, "INVALID_FIELDS", &["recipients"]);
    check_refused(
        submit(&["a@example.com", "nobody"]).await,
        Code::InvalidArgument,
        "INVALID_FIELDS",
        &["recipients[1].address"],
    );
}
