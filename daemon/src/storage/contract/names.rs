//! The rules of names: by them messages are found when something comes back.

use super::samples::{
    accept, accept_merge, account_id, at, attempt, attempt_of, job_id, open_account, sample_job, sample_merge,
    settlement_of,
};
use crate::{
    domain::{
        attempt::Fate,
        ids::MessageKey,
        job::{Control, Fallbacks, Job},
    },
    storage::{
        SharedStorage, Tenure,
        settlement::{Aftermath, Diversion, Settlement},
    },
};

async fn named(store: &SharedStorage, account: &str, name: &str) -> Option<MessageKey> {
    store.message_named(&account_id(account), name).await.expect("an answer")
}

async fn give_name(store: &SharedStorage, tenure: &Tenure, message: MessageKey, name: &str) {
    let met = match store.job(message.job).await.expect("an answer") {
        Some(record) if record.job.merge().is_none() => attempt(1, &[Fate::Submitted], at(5)),
        _ => attempt_of(message.index, 1, Fate::Submitted, at(5)),
    };
    let aftermath = Some(Box::new(Aftermath { provider_id: Some(name.into()), ..Aftermath::default() }));
    let settled = Settlement { aftermath, ..settlement_of(message, Some(met), at(5)) };
    store.settle(tenure, vec![settled]).await.expect("it is settled");
}

async fn is_sound(store: &SharedStorage) {
    let findings = store.verify(&super::ends::Silent).await.expect("an answer");
    assert_eq!((findings.quarantined_count, findings.mended), (0, 0), "{findings:?}");
}

pub(super) async fn a_name_of_the_provider_finds_its_message(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    open_account(&store, "orders").await;
    accept(&store, sample_job("sales", 1)).await;
    accept_merge(&store, sample_merge("sales", 2, 40)).await;
    let message = MessageKey { job: job_id(2), index: 33 };
    give_name(&store, &tenure, MessageKey::only(job_id(1)), "<0100-a@amazonses.example>").await;
    give_name(&store, &tenure, message, "0100-b@amazonses.example").await;
    give_name(&store, &tenure, MessageKey { job: job_id(2), index: 99 }, "nobody").await;
    give_name(&store, &tenure, MessageKey::only(job_id(3)), "gone").await;
    assert_eq!(named(&store, "sales", "0100-a@amazonses.example").await, Some(MessageKey::only(job_id(1))));
    assert_eq!(named(&store, "sales", "<0100-b@amazonses.example>").await, Some(message));
    for (account, name) in [("orders", "0100-a@amazonses.example"), ("sales", ""), ("sales", "nobody")] {
        assert_eq!(named(&store, account, name).await, None, "{account} {name}");
    }
    assert_eq!(named(&store, "sales", "gone").await, None);
    is_sound(&store).await;
}

pub(super) async fn a_message_id_of_its_own_finds_its_job(store: SharedStorage) {
    open_account(&store, "sales").await;
    accept(&store, sample_job("sales", 1)).await;
    let mut ours = sample_job("sales", 2);
    ours.message.message_id = format!("<{}@example.jp>", ours.id);
    let name = ours.message.message_id.clone();
    accept(&store, ours).await;
    accept_merge(&store, sample_merge("sales", 3, 2)).await;
    assert_eq!(named(&store, "sales", "1@example.jp").await, Some(MessageKey::only(job_id(1))));
    assert_eq!(named(&store, "sales", &name).await, None, "its id is in it");
    assert_eq!(named(&store, "sales", "3@example.jp").await, None, "each message of a merge has an id of its own");
}

pub(super) async fn a_name_means_the_last_message_that_got_it(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    for number in 1..=2 {
        accept(&store, sample_job("sales", number)).await;
        give_name(&store, &tenure, MessageKey::only(job_id(number)), "same").await;
    }
    assert_eq!(named(&store, "sales", "same").await, Some(MessageKey::only(job_id(2))));
    is_sound(&store).await;
}

pub(super) async fn names_go_with_their_job(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    accept(&store, sample_job("sales", 1)).await;
    accept_merge(&store, sample_merge("sales", 2, 2)).await;
    give_name(&store, &tenure, MessageKey::only(job_id(1)), "first").await;
    give_name(&store, &tenure, MessageKey { job: job_id(2), index: 1 }, "second").await;
    store.control(vec![job_id(2)], Control::Cancel, at(6)).await.expect("an answer");
    while store.prune(at(99), 2, at(99)).await.expect("an answer") > 0 {}
    for name in ["first", "second", "1@example.jp"] {
        assert_eq!(named(&store, "sales", name).await, None, "{name}");
    }
    is_sound(&store).await;
}

pub(super) async fn names_go_over_with_their_job(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    open_account(&store, "spare").await;
    let from = "sales@example.jp".parse().expect("an address");
    let fallbacks = Some(Box::new(Fallbacks { from, accounts: vec![account_id("spare")] }));
    accept(&store, Job { fallbacks, ..sample_job("sales", 1) }).await;
    let sender = "spare@example.jp".parse().expect("an address");
    let over = Diversion { job: job_id(1), to: account_id("spare"), sender, now: at(3) };
    assert_eq!(store.divert(&tenure, vec![over]).await.expect("an answer"), [true]);
    assert_eq!(named(&store, "sales", "1@example.jp").await, None);
    assert_eq!(named(&store, "spare", "1@example.jp").await, Some(MessageKey::only(job_id(1))));
    is_sound(&store).await;
}
