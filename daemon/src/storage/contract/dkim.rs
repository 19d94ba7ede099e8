//! The rules of DKIM keys and of the rules about them.

use super::samples::{dkim_key, dkim_rules};
use crate::{
    domain::{
        dkim::{DKIM_KEYS_MAX, DkimKeyId, DkimRules},
        ids::Etag,
    },
    storage::{AddDkimKeyError, DeleteDkimKeyError, SetDkimRulesError, SharedStorage},
};

async fn add(store: &SharedStorage, selector: &str) -> DkimKeyId {
    let (key, private) = dkim_key(selector, "example.jp");
    let id = key.id.clone();
    store.add_dkim_key(key, private).await.expect("it is new");
    id
}

pub(super) async fn keys_are_kept_with_their_private_halves(store: SharedStorage) {
    assert!(store.dkim_keys().await.expect("an answer").is_empty());
    let (b, a) = (add(&store, "b").await, add(&store, "a").await);
    let keys = store.dkim_keys().await.expect("an answer");
    assert_eq!(keys.keys().collect::<Vec<_>>(), [&a, &b]);
    let (key, private) = dkim_key("a", "example.jp");
    assert_eq!(keys.get(&a), Some(&key));
    assert_eq!(store.dkim_private_key(&a).await.expect("an answer"), Some(private.clone()));
    let (other, _) = dkim_key("c", "example.jp");
    assert_eq!(store.dkim_private_key(&other.id).await.expect("an answer"), None);
    assert!(matches!(store.add_dkim_key(key, private).await, Err(AddDkimKeyError::Exists)));
}

pub(super) async fn a_key_that_is_forgotten_is_gone(store: SharedStorage) {
    let (a, b) = (add(&store, "a").await, add(&store, "b").await);
    store.delete_dkim_key(&a).await.expect("nothing names it");
    assert!(matches!(store.delete_dkim_key(&a).await, Err(DeleteDkimKeyError::Unknown)));
    assert_eq!(store.dkim_private_key(&a).await.expect("an answer"), None);
    assert_eq!(store.dkim_keys().await.expect("an answer").keys().collect::<Vec<_>>(), [&b]);
    assert_eq!(add(&store, "a").await, a);
}

pub(super) async fn a_key_that_is_named_is_kept(store: SharedStorage) {
    let (a, b) = (add(&store, "a").await, add(&store, "b").await);
    let rules = dkim_rules(&["b._domainkey.example.jp"], 1);
    store.set_dkim_rules(rules.clone(), Etag(0)).await.expect("nobody set any");
    let refused = store.delete_dkim_key(&b).await;
    assert!(matches!(refused, Err(DeleteDkimKeyError::Named(what)) if what == "rule 1"));
    let rules = DkimRules { rules: Vec::new(), etag: Etag(2), ..rules };
    store.set_dkim_rules(rules.clone(), Etag(1)).await.expect("the etag is the last");
    assert!(matches!(store.delete_dkim_key(&b).await, Err(DeleteDkimKeyError::Named(_))), "it is a default");
    let rules = DkimRules { default_keys: vec![a], etag: Etag(3), ..rules };
    store.set_dkim_rules(rules, Etag(2)).await.expect("the etag is the last");
    store.delete_dkim_key(&b).await.expect("nothing names it");
}

pub(super) async fn dkim_rules_are_replaced_by_those_who_saw_the_last(store: SharedStorage) {
    assert_eq!(*store.dkim_rules().await.expect("an answer"), DkimRules::default());
    add(&store, "a").await;
    let name = "a._domainkey.example.jp";
    let many = dkim_rules(&[name; 300], 1);
    let stale = store.set_dkim_rules(many.clone(), Etag(1)).await;
    assert!(matches!(stale, Err(SetDkimRulesError::Stale { current: Etag(0) })));
    store.set_dkim_rules(many.clone(), Etag(0)).await.expect("nobody set any");
    assert_eq!(*store.dkim_rules().await.expect("an answer"), many);
    let unknown = store.set_dkim_rules(dkim_rules(&[name, "x._domainkey.example.jp"], 2), Etag(1)).await;
    assert!(matches!(unknown, Err(SetDkimRulesError::UnknownKey(id)) if id.selector() == "x"));
    let few = dkim_rules(&[name], 2);
    store.set_dkim_rules(few.clone(), Etag(1)).await.expect("the etag is the last");
    assert_eq!(*store.dkim_rules().await.expect("an answer"), few);
}

pub(super) async fn keys_are_bounded(store: SharedStorage) {
    for number in 0..DKIM_KEYS_MAX {
        let (key, _) = dkim_key(&format!("s{number}"), "example.jp");
        let private = crate::domain::secret::Secret::new(vec![1]);
        store.add_dkim_key(key, private).await.expect("there is room");
    }
    let (key, private) = dkim_key("more", "example.jp");
    assert!(matches!(store.add_dkim_key(key, private).await, Err(AddDkimKeyError::Full)));
}
