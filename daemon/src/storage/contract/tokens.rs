//! The rules of tokens: they are kept for their account, and go with it.

use super::samples::{account_id, at, sample_account, tokens};
use crate::{
    domain::{event::Cursor, ids::Etag, tokens::Tokens},
    storage::{PAGE_MAX, SharedStorage},
};

pub(super) async fn tokens_are_kept_beside_the_settings(store: SharedStorage) {
    let id = account_id("sales");
    store.put_tokens(&id, tokens("early")).await.expect("an answer");
    assert_eq!(store.tokens(&id).await.expect("an answer"), None, "there is no such account");
    store.create_account(sample_account("sales")).await.expect("it is new");
    store.create_account(sample_account("orders")).await.expect("it is new");
    assert_eq!(store.tokens(&id).await.expect("an answer"), None);
    let long = "x".repeat(10_000);
    for kept in [tokens("a"), tokens(&long), Tokens::default(), tokens("b")] {
        store.put_tokens(&id, kept.clone()).await.expect("they are kept");
        assert_eq!(store.tokens(&id).await.expect("an answer"), Some(kept));
    }
    let mut changed = sample_account("sales");
    changed.etag = Etag(2);
    store.update_account(changed, Etag(1)).await.expect("the etag is the last");
    assert_eq!(store.tokens(&id).await.expect("an answer"), Some(tokens("b")), "settings do not touch them");
    assert_eq!(store.tokens(&account_id("orders")).await.expect("an answer"), None);
    let events = store.events(Cursor(0), PAGE_MAX).await.expect("an answer");
    assert_eq!(events.len(), 3, "tokens are nobody's news");
}

pub(super) async fn tokens_go_with_their_account(store: SharedStorage) {
    let id = account_id("sales");
    store.create_account(sample_account("sales")).await.expect("it is new");
    store.put_tokens(&id, tokens(&"x".repeat(10_000))).await.expect("they are kept");
    store.delete_account(&id, None, at(1)).await.expect("nothing is open");
    assert_eq!(store.tokens(&id).await.expect("an answer"), None);
    store.create_account(sample_account("sales")).await.expect("its id is free again");
    assert_eq!(store.tokens(&id).await.expect("an answer"), None);
}
