//! Who may read and change which suppressions, over a real connection.

use futures_util::TryStreamExt as _;
use hikyaku_proto::v1::suppression_service_client::SuppressionServiceClient;
use v1::suppression_scope::Scope;

use super::{
    visibility::{Office, by},
    *,
};

pub(super) fn lists(api: &Api) -> SuppressionServiceClient<Channel> {
    SuppressionServiceClient::new(api.channel.clone())
}

pub(super) fn global() -> Scope {
    Scope::Global(true)
}

pub(super) fn of_account(id: &str) -> Scope {
    Scope::AccountId(id.into())
}

pub(super) fn of_label(label: &str) -> Scope {
    Scope::Label(label.into())
}

pub(super) fn entry(scope: Scope, address: &str) -> v1::Suppression {
    let scope = Some(v1::SuppressionScope { scope: Some(scope) });
    v1::Suppression { scope, address: address.into(), ..v1::Suppression::default() }
}

pub(super) async fn add(api: &Api, suppression: v1::Suppression) -> v1::AddSuppressionResponse {
    let request = v1::AddSuppressionRequest { suppression: Some(suppression) };
    lists(api).add_suppression(request).await.expect("it is added").into_inner()
}

async fn add_by(office: &Office, by_whom: &str, suppression: v1::Suppression) -> Result<bool, Status> {
    let request = v1::AddSuppressionRequest { suppression: Some(suppression) };
    Ok(lists(&office.api).add_suppression(by(by_whom, request)).await?.into_inner().replaced)
}

async fn remove_by(office: &Office, by_whom: &str, scope: Scope, address: &str) -> Result<u32, Status> {
    let scope = Some(v1::SuppressionScope { scope: Some(scope) });
    let request = v1::RemoveSuppressionRequest { scope, address: address.into(), requeue: false };
    Ok(lists(&office.api).remove_suppression(by(by_whom, request)).await?.into_inner().requeued_recipients)
}

fn listing() -> v1::ListSuppressionsRequest {
    v1::ListSuppressionsRequest::default()
}

/// The addresses of a list, page by page.
async fn listed(office: &Office, by_whom: &str, request: v1::ListSuppressionsRequest) -> Vec<String> {
    let (mut addresses, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListSuppressionsRequest { page_token, ..request.clone() };
        let page = lists(&office.api).list_suppressions(by(by_whom, request)).await.expect("a page").into_inner();
        addresses.extend(page.suppressions.into_iter().map(|one| one.address));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return addresses;
        }
    }
}

#[tokio::test]
async fn an_entry_is_added_replaced_asked_about_and_removed() {
    let api = Api::start().await;
    api.create_account("sales").await;
    let given =
        v1::Suppression { evidence: "he wrote a letter".into(), ..entry(of_account("sales"), "Taro@Example.jp") };
    let added = add(&api, given.clone()).await;
    let told = added.suppression.expect("it");
    assert!(!added.replaced);
    assert_eq!((told.reason(), told.source()), (v1::SuppressionReason::Manual, v1::SuppressionSource::Call));
    assert_eq!((told.added_by.as_str(), told.address.as_str()), ("local", "Taro@Example.jp"));
    assert!(add(&api, given).await.replaced);
    add(&api, entry(of_label("news"), "taro@example.jp")).await;
    add(&api, entry(global(), "TARO@example.jp")).await;

    let ask = |labels: &[&str], address: &str| v1::CheckSuppressionRequest {
        account_id: "sales".into(),
        labels: labels.iter().map(|&label| label.to_owned()).collect(),
        address: address.into(),
    };
    let answer = lists(&api).check_suppression(ask(&["news"], "taro@EXAMPLE.jp")).await.expect("an answer");
    let scopes = answer.into_inner().suppressions.into_iter().map(|one| one.scope.and_then(|scope| scope.scope));
    assert_eq!(scopes.flatten().collect::<Vec<_>>(), [global(), of_account("sales"), of_label("news")]);
    let answer = lists(&api).check_suppression(ask(&["other"], "jiro@example.jp")).await.expect("an answer");
    assert_eq!(answer.into_inner().suppressions, []);
    let bad = v1::CheckSuppressionRequest { account_id: "A B".into(), ..ask(&["a", "a"], "x") };
    let fields = ["account_id", "labels[1]", "address"];
    check_refused(lists(&api).check_suppression(bad).await, Code::InvalidArgument, "INVALID_FIELDS", &fields);

    let removal = || v1::RemoveSuppressionRequest {
        scope: Some(v1::SuppressionScope { scope: Some(global()) }),
        address: "taro@example.JP".into(),
        requeue: true,
    };
    let removed = lists(&api).remove_suppression(removal()).await.expect("it is removed").into_inner();
    assert_eq!(removed.suppression.map(|one| one.address), Some("TARO@example.jp".into()));
    let again = lists(&api).remove_suppression(removal()).await;
    check_refused(again, Code::NotFound, "SUPPRESSION_NOT_FOUND", &[]);
}

#[tokio::test]
async fn all_mistakes_of_an_entry_are_told_at_once() {
    let api = Api::start().await;
    let bad = v1::Suppression { reason: 99, message: "x".into(), ..v1::Suppression::default() };
    let request = v1::AddSuppressionRequest { suppression: Some(bad) };
    let fields = ["scope", "address", "reason", "message"].map(|field| format!("suppression.{field}"));
    let fields: Vec<_> = fields.iter().map(String::as_str).collect();
    check_refused(lists(&api).add_suppression(request).await, Code::InvalidArgument, "INVALID_FIELDS", &fields);
    let large = v1::Suppression { evidence: "x".repeat(64 * 1_024), ..entry(global(), "a@example.jp") };
    let request = v1::AddSuppressionRequest { suppression: Some(large) };
    let refused = lists(&api).add_suppression(request).await.expect_err("it is too large");
    assert_eq!(refused.code(), Code::OutOfRange);
    let request = v1::AddSuppressionRequest { suppression: Some(entry(of_account("gone"), "a@example.jp")) };
    let fields = ["suppression.scope.account_id"];
    check_refused(lists(&api).add_suppression(request).await, Code::NotFound, "ACCOUNT_NOT_FOUND", &fields);
    let request = v1::ListSuppressionsRequest { reason: 9, page_size: 1_001, page_token: "x".into(), ..listing() };
    let fields = ["page_size", "page_token", "reason"];
    check_refused(lists(&api).list_suppressions(request).await, Code::InvalidArgument, "INVALID_FIELDS", &fields);
}

#[tokio::test]
async fn entries_of_an_account_are_for_those_who_see_it() {
    let office = Office::open().await;
    office.create(&office.taro, "own", "taro").await.expect("an account");
    add_by(&office, &office.taro, entry(of_account("own"), "a@example.jp")).await.expect("his own");
    let other = add_by(&office, &office.jiro, entry(of_account("own"), "b@example.jp")).await;
    check_refused(other, Code::NotFound, "ACCOUNT_NOT_FOUND", &["suppression.scope.account_id"]);
    let other = remove_by(&office, &office.jiro, of_account("own"), "a@example.jp").await;
    check_refused(other, Code::NotFound, "ACCOUNT_NOT_FOUND", &["account_id"]);
    assert_eq!(listed(&office, &office.jiro, listing()).await, [""; 0]);
    assert_eq!(listed(&office, &office.taro, listing()).await, ["a@example.jp"]);
    assert_eq!(listed(&office, &office.boss, listing()).await, ["a@example.jp"]);
    remove_by(&office, &office.taro, of_account("own"), "a@example.jp").await.expect("his own");
}

#[tokio::test]
async fn entries_for_all_are_read_by_all_and_changed_by_admins() {
    let office = Office::open().await;
    let refused = add_by(&office, &office.taro, entry(global(), "a@example.jp")).await;
    check_refused(refused, Code::PermissionDenied, "NOT_ALLOWED", &[]);
    let refused = add_by(&office, &office.taro, entry(of_label("news"), "a@example.jp")).await;
    check_refused(refused, Code::PermissionDenied, "NOT_ALLOWED", &[]);
    add_by(&office, &office.boss, entry(global(), "a@example.jp")).await.expect("an admin");
    let unsubscribed = || v1::Suppression {
        reason: v1::SuppressionReason::Unsubscribed.into(),
        ..entry(of_label("news"), "b@example.jp")
    };
    assert!(!add_by(&office, &office.taro, unsubscribed()).await.expect("whoever submits"));
    assert_eq!(listed(&office, &office.jiro, listing()).await, ["a@example.jp", "b@example.jp"]);
    for (scope, address) in [(global(), "a@example.jp"), (of_label("news"), "b@example.jp")] {
        let refused = remove_by(&office, &office.taro, scope.clone(), address).await;
        check_refused(refused, Code::PermissionDenied, "NOT_ALLOWED", &[]);
        remove_by(&office, &office.boss, scope, address).await.expect("an admin");
    }
}

#[tokio::test]
async fn what_is_there_stays_when_somebody_unsubscribes() {
    let office = Office::open().await;
    let complaint = v1::Suppression {
        reason: v1::SuppressionReason::Complaint.into(),
        evidence: "a report".into(),
        ..entry(of_label("news"), "a@example.jp")
    };
    add_by(&office, &office.boss, complaint).await.expect("an admin");
    let unsubscribed = v1::Suppression {
        reason: v1::SuppressionReason::Unsubscribed.into(),
        ..entry(of_label("news"), "A@example.jp")
    };
    let request = v1::AddSuppressionRequest { suppression: Some(unsubscribed) };
    let answer = lists(&office.api).add_suppression(by(&office.taro, request)).await.expect("it is fine").into_inner();
    let told = answer.suppression.expect("it");
    assert_eq!(
        (answer.replaced, answer.kept, told.reason(), told.evidence.as_str()),
        (false, true, v1::SuppressionReason::Complaint, "a report")
    );
    let unsubscribed = |address: &str| v1::Suppression {
        reason: v1::SuppressionReason::Unsubscribed.into(),
        ..entry(of_label("news"), address)
    };
    let entries = ["b@example.jp", "a@example.jp", "b@example.jp", "c@example.jp"].map(unsubscribed).to_vec();
    let answers = import(&office, &office.taro, entries).await.expect("answers");
    assert_eq!(answers.iter().map(|one| one.kept).collect::<Vec<_>>(), [false, true, true, false]);
    assert!(answers.iter().all(|one| !one.replaced && one.refusal.is_empty()));
}

#[tokio::test]
async fn lists_are_cut_into_pages_and_filtered() {
    let office = Office::open().await;
    for number in 0..7 {
        add_by(&office, &office.boss, entry(global(), &format!("R{number}@example.jp"))).await.expect("an admin");
    }
    let complaint = v1::Suppression {
        reason: v1::SuppressionReason::Complaint.into(),
        ..entry(of_label("news"), "R9@example.com")
    };
    add_by(&office, &office.boss, complaint).await.expect("an admin");
    let paged = v1::ListSuppressionsRequest { page_size: 3, ..listing() };
    assert_eq!(listed(&office, &office.taro, paged.clone()).await.len(), 8);
    let of_news = Some(v1::SuppressionScope { scope: Some(of_label("news")) });
    let filters = [
        (v1::ListSuppressionsRequest { scope: of_news, ..paged.clone() }, 1),
        (v1::ListSuppressionsRequest { reason: v1::SuppressionReason::Complaint.into(), ..paged.clone() }, 1),
        (v1::ListSuppressionsRequest { address_contains: "r1@EX".into(), ..paged.clone() }, 1),
        (v1::ListSuppressionsRequest { address_contains: "example.jp".into(), ..paged }, 7),
    ];
    for (filter, expected) in filters {
        assert_eq!(listed(&office, &office.taro, filter.clone()).await.len(), expected, "{filter:?}");
    }
    let first = v1::ListSuppressionsRequest { page_size: 3, ..listing() };
    let page = lists(&office.api).list_suppressions(by(&office.taro, first)).await.expect("a page").into_inner();
    let page_token = page.next_page_token;
    let other = v1::ListSuppressionsRequest { page_token, address_contains: "x".into(), ..listing() };
    let refused = lists(&office.api).list_suppressions(by(&office.taro, other)).await;
    check_refused(refused, Code::InvalidArgument, "INVALID_FIELDS", &["page_token"]);
}

async fn import(
    office: &Office,
    by_whom: &str,
    entries: Vec<v1::Suppression>,
) -> Result<Vec<v1::ImportSuppressionsResponse>, Status> {
    let requests: Vec<_> = (10..)
        .zip(entries)
        .map(|(sequence, entry)| v1::ImportSuppressionsRequest { sequence, suppression: Some(entry) })
        .collect();
    let answers = lists(&office.api).import_suppressions(by(by_whom, stream::iter(requests))).await?;
    answers.into_inner().try_collect().await
}

#[tokio::test]
async fn an_import_answers_each_in_order_and_goes_on_after_what_is_refused() {
    let office = Office::open().await;
    let mut entries: Vec<_> = (0..1_200).map(|n| entry(global(), &format!("r{n}@example.jp"))).collect();
    entries[3].address = "nobody".into();
    entries[700] = entry(of_account("gone"), "a@example.jp");
    entries[900] = entry(global(), "R5@example.jp");
    entries[1_000].added_at = Some(prost_types::Timestamp { seconds: 1_600_000_000, nanos: 0 });
    let answers = import(&office, &office.boss, entries).await.expect("answers");
    assert_eq!(answers.iter().map(|one| one.sequence).collect::<Vec<_>>(), (10..1_210).collect::<Vec<_>>());
    let refused: Vec<_> =
        (0..).zip(&answers).filter(|(_, one)| !one.refusal.is_empty()).map(|(index, _)| index).collect();
    assert_eq!(refused, [3, 700]);
    assert!(answers[3].refusal.starts_with("suppression.address: "), "{}", answers[3].refusal);
    let replaced: Vec<_> = (0..).zip(&answers).filter(|(_, one)| one.replaced).map(|(index, _)| index).collect();
    assert_eq!(replaced, [900]);
    let page = v1::ListSuppressionsRequest { address_contains: "r1000@".into(), ..listing() };
    let page = lists(&office.api).list_suppressions(by(&office.boss, page)).await.expect("a page").into_inner();
    let told = &page.suppressions[0];
    assert_eq!(told.source(), v1::SuppressionSource::Import);
    assert_eq!(told.added_at.map(|at| at.seconds), Some(1_600_000_000));
}

#[tokio::test]
async fn a_member_imports_only_what_it_may_add() {
    let office = Office::open().await;
    office.create(&office.taro, "own", "taro").await.expect("an account");
    let unsubscribed = v1::Suppression {
        reason: v1::SuppressionReason::Unsubscribed.into(),
        ..entry(of_label("news"), "b@example.jp")
    };
    let entries = vec![entry(global(), "a@example.jp"), unsubscribed, entry(of_account("own"), "c@example.jp")];
    let answers = import(&office, &office.taro, entries).await.expect("answers");
    let is_refused: Vec<_> = answers.iter().map(|one| !one.refusal.is_empty()).collect();
    assert_eq!(is_refused, [true, false, false]);
    assert_eq!(listed(&office, &office.taro, listing()).await, ["c@example.jp", "b@example.jp"]);
}
