//! What callers see of DKIM: keys, rules, and signed messages.

use hikyaku_proto::v1::dkim_service_client::DkimServiceClient;

use super::*;
use crate::{
    domain::merge::MergeTemplate,
    storage::{Content, JobStore, Queue},
};

const KEY: &str = "s1._domainkey.example.jp";
/// Made for this test and used for nothing else.
const PEM: &str = include_str!("../../compose/dkim/testdata/rsa2048_pkcs1.pem");

fn dkim(api: &Api) -> DkimServiceClient<Channel> {
    DkimServiceClient::new(api.channel.clone())
}

async fn create(api: &Api, selector: &str, domain: &str) -> Result<v1::DkimKey, Status> {
    let request = v1::CreateDkimKeyRequest {
        domain: domain.into(),
        selector: selector.into(),
        algorithm: v1::DkimAlgorithm::Ed25519.into(),
    };
    Ok(dkim(api).create_dkim_key(request).await?.into_inner().key.expect("the key"))
}

async fn import(api: &Api, pem: &str) -> Result<v1::DkimKey, Status> {
    let request =
        v1::ImportDkimKeyRequest { domain: "example.jp".into(), selector: "r1".into(), private_key_pem: pem.into() };
    Ok(dkim(api).import_dkim_key(request).await?.into_inner().key.expect("the key"))
}

async fn set(api: &Api, rules: v1::DkimRules) -> Result<v1::DkimRules, Status> {
    let request = v1::SetDkimRulesRequest { rules: Some(rules) };
    Ok(dkim(api).set_dkim_rules(request).await?.into_inner().rules.expect("the rules"))
}

/// An API whose messages from example.jp are signed.
async fn signing() -> Api {
    let api = Api::start().await;
    api.create_account("sales").await;
    create(&api, "s1", "example.jp").await.expect("a good key");
    set(&api, v1::DkimRules { sign_own_domains: true, ..v1::DkimRules::default() }).await.expect("good rules");
    api
}

async fn message(api: &Api, job_id: &str) -> String {
    let id = job_id.parse().expect("an id");
    let message = api.storage.message(id).await.expect("an answer").expect("a message");
    String::from_utf8(message.bytes.to_vec()).expect("text")
}

#[tokio::test]
async fn keys_are_made_listed_and_forgotten() {
    let api = Api::start().await;
    let made = create(&api, "S1", "Example.JP").await.expect("a good key");
    assert_eq!((made.dkim_key_id.as_str(), made.selector.as_str(), made.domain.as_str()), (KEY, "s1", "example.jp"));
    assert!(made.txt_record.starts_with("v=DKIM1; k=ed25519; p="), "{made:?}");
    assert!(made.zone_line.contains(&made.txt_record), "{made:?}");
    assert_eq!((made.algorithm(), made.created_by.as_str()), (v1::DkimAlgorithm::Ed25519, "local"));
    check_refused(create(&api, "s1", "example.jp").await, Code::AlreadyExists, "DKIM_KEY_EXISTS", &[]);
    check_refused(create(&api, "a b", "").await, Code::InvalidArgument, "INVALID_FIELDS", &["selector", "domain"]);
    let get = v1::GetDkimKeyRequest { dkim_key_id: "S1._domainkey.example.jp".into() };
    let got = dkim(&api).get_dkim_key(get).await.expect("an answer").into_inner().key;
    assert_eq!(got.as_ref(), Some(&made));
    create(&api, "", "xn--r8jz45g.jp").await.expect("a good key");
    let list = async |domain: &str| {
        let request = v1::ListDkimKeysRequest { domain: domain.into() };
        let keys = dkim(&api).list_dkim_keys(request).await.expect("an answer").into_inner().keys;
        keys.into_iter().map(|key| key.dkim_key_id).collect::<Vec<_>>()
    };
    assert_eq!(list("").await, [KEY, "hikyaku20231114._domainkey.xn--r8jz45g.jp"]);
    assert_eq!(list("例え.jp").await, ["hikyaku20231114._domainkey.xn--r8jz45g.jp"]);
    let delete = async |id: &str| dkim(&api).delete_dkim_key(v1::DeleteDkimKeyRequest { dkim_key_id: id.into() }).await;
    delete(KEY).await.expect("nothing names it");
    check_refused(delete(KEY).await, Code::NotFound, "DKIM_KEY_NOT_FOUND", &[]);
    check_refused(delete("x").await, Code::InvalidArgument, "INVALID_FIELDS", &["dkim_key_id"]);
}

#[tokio::test]
async fn keys_are_imported_and_what_is_none_is_refused() {
    let api = Api::start().await;
    for pem in ["", "no key", &PEM[..900]] {
        check_refused(import(&api, pem).await, Code::InvalidArgument, "INVALID_FIELDS", &["private_key_pem"]);
    }
    let key = import(&api, PEM).await.expect("a good key");
    assert_eq!(key.algorithm(), v1::DkimAlgorithm::Rsa2048);
    assert!(key.txt_record.starts_with("v=DKIM1; k=rsa; p=MIIBIjANBgkq"), "{key:?}");
}

#[tokio::test]
async fn rules_name_keys_that_are_there_and_keep_them() {
    let api = Api::start().await;
    create(&api, "s1", "example.jp").await.expect("a good key");
    let rule = |from: &[&str], keys: &[&str]| v1::DkimRule {
        from: from.iter().map(|text| (*text).to_owned()).collect(),
        key_ids: keys.iter().map(|text| (*text).to_owned()).collect(),
    };
    let wrong = v1::DkimRules {
        rules: vec![rule(&[], &[KEY, KEY]), rule(&["example.jp"], &["s2._domainkey.example.jp", "x"])],
        default_key_ids: vec![KEY.into(); 5],
        ..v1::DkimRules::default()
    };
    let fields = [
        "rules.rules[0].key_ids[1]",
        "rules.rules[0].from",
        "rules.rules[1].key_ids[0]",
        "rules.rules[1].key_ids[1]",
        "rules.rules[1].from[0]",
        "rules.default_key_ids",
    ];
    check_refused(set(&api, wrong).await, Code::InvalidArgument, "INVALID_FIELDS", &fields);
    let given = v1::DkimRules { rules: vec![rule(&["@example.jp"], &[KEY])], ..v1::DkimRules::default() };
    let stored = set(&api, given.clone()).await.expect("good rules");
    assert_eq!((stored.etag.as_str(), stored.updated_by.as_str()), ("1", "local"));
    let read = dkim(&api).get_dkim_rules(v1::GetDkimRulesRequest {}).await.expect("an answer").into_inner().rules;
    assert_eq!(read, Some(stored));
    check_refused(set(&api, given.clone()).await, Code::InvalidArgument, "INVALID_FIELDS", &["rules.etag"]);
    check_refused(set(&api, v1::DkimRules { etag: "7".into(), ..given }).await, Code::Aborted, "ETAG_STALE", &[]);
    let delete = v1::DeleteDkimKeyRequest { dkim_key_id: KEY.into() };
    let refused = dkim(&api).delete_dkim_key(delete).await;
    check_refused(refused, Code::FailedPrecondition, "DKIM_KEY_IS_NAMED", &[]);
}

#[tokio::test]
async fn jobs_are_signed_and_counted_with_their_signatures() {
    let api = signing().await;
    let answer = api.submit(draft("sales", "taro@example.com")).await.expect("a good job");
    let signed = message(&api, &answer.job_id).await;
    let fields = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed; d=example.jp;\r\n s=s1; t=1700000000; ";
    assert!(signed.starts_with(fields), "{signed}");
    assert_eq!(answer.message_bytes, signed.len() as u64);
    let raw = b"From: Sales <sales@example.jp>\nTo: taro@example.com\n\nHi\n";
    let draft = v1::JobDraft {
        content: Some(v1::job_draft::Content::Raw(raw.as_slice().into())),
        ..draft("sales", "taro@example.com")
    };
    let answer = api.submit(draft).await.expect("a good job");
    assert!(message(&api, &answer.job_id).await.contains("; d=example.jp;"));
}

#[tokio::test]
async fn a_route_may_forbid_signatures() {
    let api = signing().await;
    let rule = v1::RoutingRule {
        name: "quiet".into(),
        recipients: vec!["@example.com".into()],
        account_id: "sales".into(),
        forbid_dkim: true,
        ..v1::RoutingRule::default()
    };
    let routing = v1::Routing { rules: vec![rule], default_account_id: "sales".into(), ..v1::Routing::default() };
    api.routing().set_routing(v1::SetRoutingRequest { routing: Some(routing), dry_run: false }).await.expect("good");
    for (to, is_signed) in [("taro@example.com", false), ("taro@example.org", true)] {
        let draft = v1::JobDraft { from: Some(mailbox("sales@example.jp")), ..draft("", to) };
        let answer = api.submit(draft.clone()).await.expect("a good job");
        assert_eq!(message(&api, &answer.job_id).await.contains("DKIM-Signature"), is_signed, "{to}");
        let (job_id, bytes) = merge(&api, draft, to).await;
        let (template, message_bytes_max) = template(&api, &job_id).await;
        assert_eq!(template.forbid_dkim, !is_signed, "{to}");
        assert_eq!(bytes > 600, is_signed, "{to}: {bytes}");
        assert!(message_bytes_max >= bytes, "{message_bytes_max} {bytes}");
    }
}

/// Submits a merge job for one, and answers with its id and the length of its message.
async fn merge(api: &Api, draft: v1::JobDraft, to: &str) -> (String, u64) {
    use v1::submit_merge_request::Part;
    let head = v1::MergeHead { job: Some(v1::JobDraft { to: Vec::new(), ..draft }), ..v1::MergeHead::default() };
    let recipient = v1::MergeRecipient { address: to.into(), ..v1::MergeRecipient::default() };
    let batch = v1::MergeRecipients { recipients: vec![recipient] };
    let parts = [Part::Head(head), Part::Recipients(batch)];
    let requests = stream::iter(parts.map(|part| v1::SubmitMergeRequest { part: Some(part) }));
    let answer = api.jobs().submit_merge(requests).await.expect("a good job").into_inner();
    (answer.job_id, answer.message_bytes)
}

/// What is stored of a merge job: its content, and how long its messages are at most.
async fn template(api: &Api, job_id: &str) -> (Arc<MergeTemplate>, u64) {
    let id = job_id.parse().expect("an id");
    let record = api.storage.job(id).await.expect("an answer").expect("the job");
    let key = crate::domain::ids::MessageKey { job: id, index: 0 };
    let found = api.storage.consign(&[key]).await.expect("an answer").swap_remove(0);
    let Content::Merge { template, .. } = found.content else { panic!("a merge job") };
    (template, record.job.message_bytes_max())
}
