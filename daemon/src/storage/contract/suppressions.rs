//! The rules of suppressions: who must not be sent to, where, and until when.

use super::samples::{
    account_id, at, label,
    lists::{suppression, suppression_key},
    open_account,
};
use crate::{
    domain::{
        address::Address,
        suppression::{Suppression, SuppressionKey, SuppressionReason, SuppressionScope},
    },
    storage::{SharedStorage, SuppressionFilter, SuppressionPage},
};

fn everywhere() -> SuppressionScope {
    SuppressionScope::Global
}

fn of_account(id: &str) -> SuppressionScope {
    SuppressionScope::Account(account_id(id))
}

fn of_label(text: &str) -> SuppressionScope {
    SuppressionScope::Label(label(text))
}

async fn add(store: &SharedStorage, one: Suppression) -> bool {
    store.suppress(vec![one]).await.expect("an answer")[0]
}

/// The scope that decides about an address in a job of `sales` with the labels `spring` and `vip`.
async fn decides(store: &SharedStorage, address: &str, seconds: u64) -> Option<SuppressionScope> {
    let address: Address = address.parse().expect("an address");
    let labels = [label("spring"), label("vip")];
    let found = store.suppressed(&account_id("sales"), &labels, &[address], at(seconds)).await.expect("an answer");
    assert_eq!(found.len(), 1);
    found.into_iter().flatten().next().map(|found| found.key.scope)
}

pub(super) async fn the_widest_suppression_that_holds_decides(store: SharedStorage) {
    let taro = "taro@example.com";
    assert_eq!(decides(&store, taro, 1).await, None);
    for scope in [of_account("orders"), of_label("autumn")] {
        add(&store, suppression(scope, taro)).await;
    }
    assert_eq!(decides(&store, taro, 1).await, None, "they hold elsewhere");
    for scope in [of_label("vip"), of_label("spring"), of_account("sales")] {
        add(&store, suppression(scope.clone(), taro)).await;
        assert_eq!(decides(&store, taro, 1).await, Some(scope));
    }
    let short = Suppression { expires_at: Some(at(5)), ..suppression(everywhere(), taro) };
    add(&store, short).await;
    assert_eq!(decides(&store, taro, 4).await, Some(everywhere()));
    assert_eq!(decides(&store, taro, 5).await, Some(of_account("sales")), "it has ended");
    assert_eq!(decides(&store, "Taro@EXAMPLE.com", 5).await, Some(of_account("sales")), "case means nothing");
    assert_eq!(decides(&store, "jiro@example.com", 5).await, None);
}

pub(super) async fn answers_stand_in_the_order_of_the_addresses(store: SharedStorage) {
    add(&store, suppression(everywhere(), "user7@example.com")).await;
    let addresses: Vec<Address> =
        (0..600).map(|number| format!("user{number}@example.com").parse().expect("an address")).collect();
    let found = store.suppressed(&account_id("sales"), &[], &addresses, at(1)).await.expect("an answer");
    assert_eq!(found.len(), 600);
    assert!((0..).zip(&found).all(|(number, one)| one.is_some() == (number == 7)));
}

pub(super) async fn an_address_is_suppressed_once_in_a_scope(store: SharedStorage) {
    let first = suppression(everywhere(), "Taro@example.com");
    assert!(!add(&store, first.clone()).await);
    let key = suppression_key("taro@example.com");
    assert_eq!(store.suppression(&key).await.expect("an answer"), Some(first));
    let second = Suppression {
        reason: SuppressionReason::Complaint,
        expires_at: Some(at(9)),
        added_by: None,
        ..suppression(everywhere(), "taro@EXAMPLE.com")
    };
    let other = suppression(of_label("vip"), "taro@example.com");
    assert_eq!(
        store.suppress(vec![second.clone(), other.clone(), other]).await.expect("an answer"),
        [true, false, true]
    );
    assert_eq!(store.suppression(&key).await.expect("an answer"), Some(second));
}

pub(super) async fn what_holds_stays_when_only_new_ones_are_added(store: SharedStorage) {
    let taro = |expires_at, evidence: &str| Suppression {
        expires_at,
        evidence: evidence.into(),
        ..suppression(everywhere(), "taro@example.com")
    };
    let (short, long) = (taro(Some(at(5)), "short"), taro(None, "long"));
    let jiro = suppression(everywhere(), "jiro@example.com");
    let add_new = async |given, seconds| store.suppress_new(given, at(seconds)).await.expect("an answer");
    assert_eq!(add_new(vec![short.clone(), jiro.clone(), jiro.clone()], 1).await, [None, None, Some(jiro)]);
    assert_eq!(add_new(vec![long.clone()], 4).await, [Some(short.clone())]);
    assert_eq!(store.suppression(&short.key).await.expect("an answer"), Some(short));
    assert_eq!(add_new(vec![long.clone()], 5).await, [None], "the other one has ended");
    assert_eq!(store.suppression(&long.key).await.expect("an answer"), Some(long));
}

pub(super) async fn what_is_lifted_is_gone(store: SharedStorage) {
    let given = suppression(everywhere(), "taro@example.com");
    add(&store, given.clone()).await;
    let lifted = store.lift(&given.key, true, at(2)).await.expect("an answer").expect("it was there");
    assert_eq!((lifted.suppression, lifted.requeued), (Some(given.clone()), 0));
    assert_eq!(store.lift(&given.key, true, at(3)).await.expect("an answer"), None);
    assert_eq!(decides(&store, "taro@example.com", 3).await, None);
    add(&store, given).await;
    assert_eq!(decides(&store, "taro@example.com", 3).await, Some(everywhere()));
}

pub(super) async fn what_has_ended_is_pruned(store: SharedStorage) {
    let taro = |expires_at| Suppression { expires_at, ..suppression(everywhere(), "taro@example.com") };
    let key = suppression_key("taro@example.com");
    let prune = async |seconds| while store.prune(at(0), 1, at(seconds)).await.expect("an answer") > 0 {};
    add(&store, taro(Some(at(10)))).await;
    add(&store, Suppression { expires_at: Some(at(10)), ..suppression(of_label("vip"), "a@example.com") }).await;
    add(&store, taro(Some(at(20)))).await;
    prune(19).await;
    assert!(store.suppression(&key).await.expect("an answer").is_some(), "it was replaced by one that lasts longer");
    add(&store, taro(None)).await;
    prune(99).await;
    assert!(store.suppression(&key).await.expect("an answer").is_some(), "it lasts for ever");
    add(&store, taro(Some(at(100)))).await;
    assert!(store.suppression(&key).await.expect("an answer").is_some());
    prune(100).await;
    assert_eq!(store.suppression(&key).await.expect("an answer"), None);
    assert_eq!(decides(&store, "a@example.com", 1).await, None);
}

pub(super) async fn a_list_goes_with_its_account(store: SharedStorage) {
    let of_sales = suppression(of_account("sales"), "taro@example.com");
    open_account(&store, "sales").await;
    assert!(!store.has_suppressions());
    add(&store, of_sales.clone()).await;
    add(&store, Suppression { expires_at: Some(at(90)), ..suppression(of_account("sales"), "hanako@example.com") })
        .await;
    add(&store, suppression(of_account("sales2"), "taro@example.com")).await;
    assert!(store.has_suppressions());
    store.delete_account(&account_id("sales"), None, at(2)).await.expect("it is deleted");
    open_account(&store, "sales").await;
    assert_eq!(decides(&store, "taro@example.com", 3).await, None);
    assert_eq!(store.suppression(&of_sales.key).await.expect("an answer"), None);
    let all = listed(&store, &SuppressionFilter::default(), 9).await;
    assert_eq!(all, ["taro@example.com for account sales2"]);
    let findings = store.verify(&super::ends::Silent).await.expect("an answer");
    assert_eq!((findings.quarantined_count, findings.mended), (0, 0), "{findings:?}");
}

async fn listed(store: &SharedStorage, filter: &SuppressionFilter, limit: usize) -> Vec<String> {
    let mut page = SuppressionPage { after: None, limit, now: at(50) };
    let mut all = Vec::new();
    loop {
        let found = store.list_suppressions(filter, page.clone()).await.expect("an answer");
        assert!(found.suppressions.len() <= limit);
        let told = |one: &Suppression| format!("{} {}", one.key.mailbox.as_str(), one.key.scope);
        all.extend(found.suppressions.iter().map(told));
        page.after = found.next;
        if page.after.is_none() {
            return all;
        }
    }
}

pub(super) async fn lists_stand_in_the_order_of_scope_and_address(store: SharedStorage) {
    let mut given = Vec::new();
    for (number, scope) in [of_label("vip"), of_account("sales"), everywhere(), of_label("spring")].iter().enumerate() {
        for address in ["c@example.com", "a@example.com", "B@example.com"] {
            given.push(Suppression {
                added_at: at(number as u64),
                expires_at: (address == "c@example.com").then(|| at(50)),
                ..suppression(scope.clone(), address)
            });
        }
    }
    given[1].reason = SuppressionReason::HardBounce;
    store.suppress(given).await.expect("an answer");
    let all = SuppressionFilter::default();
    let expected: Vec<String> = ["everywhere", "for account sales", "for label spring", "for label vip"]
        .iter()
        .flat_map(|scope| ["a", "b"].map(|name| format!("{name}@example.com {scope}")))
        .collect();
    for limit in [1, 3, 100] {
        assert_eq!(listed(&store, &all, limit).await, expected, "what has ended is left out");
    }
    let vip_and_all = SuppressionFilter { scopes: vec![of_label("vip"), everywhere()], ..all.clone() };
    assert_eq!(listed(&store, &vip_and_all, 1).await, [&expected[..2], &expected[6..]].concat());
    for (filter, found) in [
        (SuppressionFilter { reason: Some(SuppressionReason::HardBounce), ..all.clone() }, vec![6]),
        (SuppressionFilter { address_contains: Some("b@ex".into()), ..vip_and_all.clone() }, vec![1, 7]),
        (SuppressionFilter { added_from: Some(at(1)), added_before: Some(at(3)), ..all.clone() }, vec![0, 1, 2, 3]),
        (SuppressionFilter { scopes: vec![of_account("sale")], ..all.clone() }, vec![]),
    ] {
        let found: Vec<_> = found.iter().map(|place: &usize| expected[*place].clone()).collect();
        assert_eq!(listed(&store, &filter, 2).await, found, "{filter:?}");
    }
    let after = Some(SuppressionKey::new(of_label("spring"), &"a@example.com".parse().expect("an address")));
    let page = SuppressionPage { after, limit: 9, now: at(50) };
    let found = store.list_suppressions(&vip_and_all, page).await.expect("an answer");
    assert_eq!((found.suppressions.len(), found.next), (2, None), "it goes on behind a scope that is not wanted");
}
