//! The rules of mail that comes: it is taken in once, and what follows from it happens once.

use super::samples::{
    accept, accept_merge, account_id, at, attempt, attempt_of, inbound_id, inbound_mail, ingestion, job_id,
    lists::suppression, open_account, sample_job, sample_merge, settlement, settlement_of, stored,
};
use crate::{
    domain::{
        attempt::Fate,
        event::{Cursor, EventKind, JobChange},
        ids::MessageKey,
        inbound::{Effect, InboundMail, MailboxChange, MailboxId, Nature, ReadMark},
        job::JobState,
        recipient::RecipientState,
        report::ReportKind,
        suppression::SuppressionScope,
    },
    storage::{
        FINGERPRINT_DAYS, INBOUND_PAGE_BYTES_MAX, InboundFilter, Ingested, Ingestion, PAGE_MAX, SharedStorage,
        StorageError, Tenure,
    },
};

const MAILBOX: MailboxId = MailboxId::new([1; 16]);

async fn submitted(store: &SharedStorage, tenure: &Tenure, number: u32) -> MessageKey {
    accept(store, sample_job("sales", number)).await;
    let met = attempt(1, &[Fate::Submitted], at(u64::from(number)));
    let settled = settlement(job_id(number), Some(met), at(u64::from(number)));
    store.settle(tenure, vec![settled]).await.expect("it is settled");
    MessageKey::only(job_id(number))
}

async fn ingest(store: &SharedStorage, given: Ingestion) -> Ingested {
    store.ingest(given).await.expect("an answer")
}

async fn events(store: &SharedStorage, after: Cursor) -> Vec<EventKind> {
    let events = store.events(after, PAGE_MAX).await.expect("an answer");
    events.into_iter().map(|(_, event)| event.kind).collect()
}

pub(super) async fn a_mail_is_taken_in_once(store: SharedStorage) {
    open_account(&store, "sales").await;
    let before = *store.head().borrow();
    let mail = inbound_mail("sales", 5);
    let given = Ingestion { mail: Some(Box::new(mail.clone())), ..ingestion("sales", 5, &[]) };
    assert_eq!(ingest(&store, given.clone()).await, Ingested::Done(vec![Effect::None]));
    assert_eq!(ingest(&store, given.clone()).await, Ingested::ReadBefore);
    assert_eq!(store.inbound(mail.id).await.expect("an answer"), Some(mail.clone()));
    assert_eq!(events(&store, before).await, [EventKind::Mailbox(MailboxChange::Arrived(mail.id))]);
    let ReadMark::Message(uid) = given.mark else { unreachable!("the sample is of POP3") };
    let read = store.read_messages(&account_id("sales"), MAILBOX).await.expect("an answer");
    assert_eq!(read.into_iter().collect::<Vec<_>>(), [uid]);
    let other = store.read_messages(&account_id("sales"), MailboxId::new([2; 16])).await.expect("an answer");
    assert!(other.is_empty());
    store.forget_read(&account_id("sales"), MAILBOX, vec![uid]).await.expect("it is forgotten");
    assert!(store.read_messages(&account_id("sales"), MAILBOX).await.expect("an answer").is_empty());
    let findings = store.verify(&super::ends::Silent).await.expect("an answer");
    assert_eq!((findings.quarantined_count, findings.mended), (0, 0), "{findings:?}");
}

pub(super) async fn a_folder_is_read_up_to_its_last_mail(store: SharedStorage) {
    open_account(&store, "sales").await;
    let folder = [4; 8];
    let up_to = async || store.read_up_to(&account_id("sales"), MAILBOX, folder).await.expect("an answer");
    assert_eq!(up_to().await, None);
    let steps = [(1, 5, true), (1, 5, false), (1, 4, false), (1, 9, true), (2, 3, true), (2, 3, false)];
    for (number, (uid_validity, uid, is_new)) in (1..).zip(steps) {
        let mark = ReadMark::UpTo { folder, uid_validity, uid };
        let met = ingest(&store, Ingestion { mark, ..ingestion("sales", number, &[]) }).await;
        assert_eq!(met != Ingested::ReadBefore, is_new, "{uid_validity} {uid}");
        if is_new {
            assert_eq!(up_to().await, Some((uid_validity, uid)));
        }
    }
}

pub(super) async fn a_mail_that_comes_twice_is_dropped(store: SharedStorage) {
    open_account(&store, "sales").await;
    let given = |number| Ingestion { fingerprint: Some([6; 16]), ..ingestion("sales", number, &[]) };
    assert_eq!(ingest(&store, given(1)).await, Ingested::Done(vec![]));
    let before = *store.head().borrow();
    assert_eq!(ingest(&store, given(2)).await, Ingested::Duplicate);
    assert_eq!(ingest(&store, given(2)).await, Ingested::ReadBefore, "its mark was noted");
    assert_eq!(events(&store, before).await, []);
    assert_eq!(store.inbound(inbound_id(2)).await.expect("an answer"), None);
    let later = at(2 + (FINGERPRINT_DAYS + 1) * 86_400);
    while store.prune(at(0), 2, later).await.expect("an answer") > 0 {}
    assert_eq!(ingest(&store, given(3)).await, Ingested::Done(vec![]), "the first one is forgotten");
}

pub(super) async fn what_comes_back_reaches_its_recipient_once(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    let (first, second) = (submitted(&store, &tenure, 1).await, submitted(&store, &tenure, 2).await);
    let before = *store.head().borrow();
    let said = [(first, 0, ReportKind::Delayed), (first, 0, ReportKind::Hard), (second, 0, ReportKind::Complaint)];
    let given = ingestion("sales", 20, &said);
    let effects = vec![Effect::Noted, Effect::Bounced, Effect::Complained];
    assert_eq!(ingest(&store, given.clone()).await, Ingested::Done(effects.clone()));
    let told = events(&store, before).await;
    assert_eq!(told.len(), 4, "{told:?}");
    let states = [JobState::Submitted, JobState::Bounced, JobState::Submitted];
    for ((event, expected), kind) in told[1..].iter().zip(states).zip(said.map(|(.., kind)| kind)) {
        let EventKind::Job { change: JobChange::Reported { recipient: 0, kind: met, .. }, state, .. } = event else {
            panic!("{event:?}");
        };
        assert_eq!((*state, *met), (expected, kind));
    }
    let job = stored(&store, 1).await;
    let RecipientState::Bounced { reply: Some(_), report } = &job.recipients()[0].state else { panic!("{job:?}") };
    assert_eq!((report.at, report.inbound, job.finished_at()), (at(20), inbound_id(20), Some(at(20))));
    let kept = store.inbound(inbound_id(20)).await.expect("an answer").expect("it is kept");
    assert_eq!(kept.findings.iter().map(|finding| finding.effect).collect::<Vec<_>>(), effects);
    // Another mail that says the same changes nothing.
    let again = ingestion("sales", 21, &[(first, 0, ReportKind::Soft), (second, 0, ReportKind::Hard)]);
    assert_eq!(ingest(&store, again).await, Ingested::Done(vec![Effect::Repeated; 2]));
    assert_eq!(stored(&store, 1).await, job);
    assert_eq!(ingest(&store, given).await, Ingested::ReadBefore);
}

pub(super) async fn a_complaint_after_a_bounce_suppresses(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    let message = submitted(&store, &tenure, 1).await;
    ingest(&store, ingestion("sales", 20, &[(message, 0, ReportKind::Soft)])).await;
    let mut complaint = ingestion("sales", 21, &[(message, 0, ReportKind::Complaint)]);
    let then = suppression(SuppressionScope::Account(account_id("sales")), "taro@example.com");
    complaint.consequences[0].suppression = Some(then.clone());
    assert_eq!(ingest(&store, complaint).await, Ingested::Done(vec![Effect::Repeated]));
    assert_eq!(store.suppression(&then.key).await.expect("an answer"), Some(then));
}

pub(super) async fn a_merge_counts_what_comes_back(store: SharedStorage) {
    let tenure = open_account(&store, "sales").await;
    accept_merge(&store, sample_merge("sales", 1, 40)).await;
    let key = |index| MessageKey { job: job_id(1), index };
    let fates = [(0, Fate::Submitted), (1, Fate::LeftInDoubt), (35, Fate::Submitted)];
    let settled = fates.map(|(index, fate)| settlement_of(key(index), Some(attempt_of(index, 1, fate, at(3))), at(3)));
    store.settle(&tenure, settled.to_vec()).await.expect("it is settled");
    let said = [0, 1, 2, 35, 0, 77].map(|index| (key(index), index, ReportKind::Hard));
    let met = ingest(&store, ingestion("sales", 9, &said)).await;
    let effects =
        [Effect::Bounced, Effect::Bounced, Effect::None, Effect::Bounced, Effect::Repeated, Effect::None].to_vec();
    assert_eq!(met, Ingested::Done(effects));
    let tally = stored(&store, 1).await.merge().expect("a merge").tally;
    assert_eq!((tally.bounced, tally.waiting, tally.submitted, tally.in_doubt), (3, 37, 0, 0));
    let findings = store.verify(&super::ends::Silent).await.expect("an answer");
    assert_eq!((findings.quarantined_count, findings.mended), (0, 0), "{findings:?}");
}

pub(super) async fn what_is_not_known_changes_nothing(store: SharedStorage) {
    open_account(&store, "sales").await;
    accept(&store, sample_job("sales", 1)).await;
    let waiting = stored(&store, 1).await;
    let said = [(MessageKey::only(job_id(1)), 0), (MessageKey::only(job_id(1)), 8), (MessageKey::only(job_id(7)), 0)];
    let said = said.map(|(message, recipient)| (message, recipient, ReportKind::Hard));
    let before = *store.head().borrow();
    assert_eq!(ingest(&store, ingestion("sales", 3, &said)).await, Ingested::Done(vec![Effect::None; 3]));
    assert_eq!(events(&store, before).await.len(), 1, "only that it arrived");
    assert_eq!(stored(&store, 1).await, waiting);
}

pub(super) async fn a_mail_that_is_skipped_is_told_once(store: SharedStorage) {
    open_account(&store, "sales").await;
    let before = *store.head().borrow();
    let skipped = MailboxChange::Skipped { bytes: 31 << 20, folder: None, uid: "u1".into() };
    let given = Ingestion { mail: None, skipped: Some(skipped.clone()), ..ingestion("sales", 3, &[]) };
    assert_eq!(ingest(&store, given.clone()).await, Ingested::Done(vec![]));
    assert_eq!(ingest(&store, given).await, Ingested::ReadBefore);
    let crowded = MailboxChange::Crowded { messages: 20_000 };
    store.note_mailbox(&account_id("sales"), crowded.clone(), at(4)).await.expect("it is noted");
    store.note_mailbox(&account_id("orders"), crowded.clone(), at(4)).await.expect("an answer");
    assert_eq!(events(&store, before).await, [skipped, crowded].map(EventKind::Mailbox));
}

pub(super) async fn mail_is_listed_with_the_youngest_first(store: SharedStorage) {
    open_account(&store, "sales").await;
    open_account(&store, "orders").await;
    for number in 1..=6 {
        let account = if number % 3 == 0 { "orders" } else { "sales" };
        let mut mail = inbound_mail(account, number);
        if number > 4 {
            mail = InboundMail { nature: Nature::Bounce, ..mail };
        }
        ingest(&store, Ingestion { mail: Some(Box::new(mail)), ..ingestion(account, number, &[]) }).await;
    }
    let listed = async |filter: InboundFilter, limit| {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.list_inbound(&filter, after, limit).await.expect("an answer");
            assert!(page.mails.iter().all(|mail| mail.content.is_none()));
            found.extend(page.mails.iter().map(|mail| mail.id));
            after = page.next;
            if after.is_none() {
                return found;
            }
        }
    };
    let ids = |numbers: &[u32]| numbers.iter().map(|number| inbound_id(*number)).collect::<Vec<_>>();
    assert_eq!(listed(InboundFilter::default(), 4).await, ids(&[6, 5, 4, 3, 2, 1]));
    let orders = InboundFilter { accounts: vec![account_id("orders")], ..InboundFilter::default() };
    assert_eq!(listed(orders, 1).await, ids(&[6, 3]));
    let bounces = InboundFilter { nature: Some(Nature::Bounce), uncorrelated: true, ..InboundFilter::default() };
    assert_eq!(listed(bounces, 9).await, ids(&[6, 5]));
    let times = InboundFilter { arrived_from: Some(at(2)), arrived_before: Some(at(5)), ..InboundFilter::default() };
    assert_eq!(listed(times, 2).await, ids(&[4, 3, 2]));
}

pub(super) async fn a_page_of_long_mails_is_short(store: SharedStorage) {
    open_account(&store, "sales").await;
    for number in 1..=4 {
        let mut mail = inbound_mail("sales", number);
        for finding in &mut mail.findings {
            finding.diagnostic = "x".repeat(INBOUND_PAGE_BYTES_MAX / 2).into();
        }
        assert_eq!(mail.findings.len(), 1);
        ingest(&store, Ingestion { mail: Some(Box::new(mail)), ..ingestion("sales", number, &[]) }).await;
    }
    let list = async |after| store.list_inbound(&InboundFilter::default(), after, 9).await.expect("an answer");
    let first = list(None).await;
    assert_eq!((first.mails.len(), first.next), (2, Some(inbound_id(3))));
    let second = list(first.next).await;
    assert_eq!((second.mails.len(), second.next), (2, None));
}

pub(super) async fn mail_is_forgotten_in_time(store: SharedStorage) {
    open_account(&store, "sales").await;
    for number in [1, 2] {
        let mail = Some(Box::new(inbound_mail("sales", number)));
        ingest(&store, Ingestion { mail, ..ingestion("sales", number, &[]) }).await;
    }
    while store.prune(at(2), 1, at(9)).await.expect("an answer") > 0 {}
    assert_eq!(store.inbound(inbound_id(1)).await.expect("an answer"), None);
    assert!(store.inbound(inbound_id(2)).await.expect("an answer").is_some());
    let read = store.read_messages(&account_id("sales"), MAILBOX).await.expect("an answer");
    assert_eq!(read.len(), 2, "what is in the mailbox stays read");
}

pub(super) async fn the_account_of_a_mailbox_must_be_there(store: SharedStorage) {
    open_account(&store, "sales").await;
    ingest(&store, ingestion("sales", 1, &[])).await;
    store.delete_account(&account_id("sales"), None, at(2)).await.expect("it is deleted");
    let refused = store.ingest(ingestion("sales", 2, &[])).await;
    assert!(matches!(refused, Err(StorageError::Overloaded(_))), "{refused:?}");
    open_account(&store, "sales").await;
    assert!(store.read_messages(&account_id("sales"), MAILBOX).await.expect("an answer").is_empty());
    assert!(store.inbound(inbound_id(1)).await.expect("an answer").is_some(), "it is kept as events are");
    while store.prune(at(0), 9, at(3)).await.expect("an answer") > 0 {}
    assert_eq!(ingest(&store, ingestion("sales", 2, &[])).await, Ingested::Done(vec![]));
}
