//! All that can be read of a store, written down.

use std::{collections::HashSet, time::Duration};

use super::{ACCOUNTS, Player, account, heads};
use crate::{
    domain::{
        event::Cursor,
        ids::{AccountId, JobId},
        job::JobState,
        merge::MessageClass,
    },
    storage::{
        JobFilter, PAGE_MAX, Page, RecipientPage,
        contract::samples::{at, label},
    },
};

impl Player {
    /// All that can be read of the store.
    pub(in crate::storage::contract) async fn all(&self) -> Vec<String> {
        let mut all = vec![format!("{:?}", self.store.accounts_with_work().await.expect("an answer"))];
        for record in self.store.accounts(None, PAGE_MAX).await.expect("an answer") {
            all.push(format!("{record:?}"));
        }
        for number in (0..).take(ACCOUNTS.len()) {
            self.read_account(&account(number), &mut all).await;
            self.read_statistics(number, &mut all).await;
        }
        self.read_suppressions(&mut all).await;
        for id in &self.submitted {
            let job = self.store.job(*id).await.expect("an answer");
            let message = self.store.message(*id).await.expect("an answer");
            all.push(format!("{job:?} {message:?}"));
            self.read_merge(*id, &mut all).await;
        }
        self.read_returns(&mut all).await;
        self.read_lists(&mut all).await;
        self.read_events(&mut all).await;
        all
    }

    async fn read_merge(&self, id: JobId, all: &mut Vec<String>) {
        all.push(format!("{:?}", self.store.template(id).await.expect("an answer")));
        for classes in [vec![], vec![MessageClass::Waiting], vec![MessageClass::Cancelled, MessageClass::Expired]] {
            let mut page = RecipientPage { after: None, limit: 7, classes };
            while let Some(found) = self.store.merge_recipients(id, page.clone()).await.expect("an answer") {
                all.push(format!("{:?}", found.messages));
                page.after = found.next;
                if page.after.is_none() {
                    break;
                }
            }
        }
    }

    async fn read_account(&self, id: &AccountId, all: &mut Vec<String>) {
        let mut usage = self.store.usage(id).await.expect("an answer");
        usage.retain(|usage| usage.amount > 0);
        usage.sort_by_key(|usage| (usage.key.clone(), usage.bucket));
        let mut marks = self.store.in_doubt(id).await.expect("an answer");
        marks.sort_by_key(|mark| mark.message);
        all.push(format!("{id}: {usage:?} {marks:?}"));
        all.push(format!("{:?}", self.store.backlog(id).await.expect("an answer")));
        for later in [0, 30] {
            let then = self.now.after(Duration::from_secs(later));
            all.push(format!("{:?}", self.store.backlog_after(id, then).await.expect("an answer")));
        }
        let may_go = self.store.divertible(id, None, 5, self.now.after(Duration::from_secs(30))).await;
        all.push(format!("{:?}", may_go.expect("an answer")));
        for later in [0, 30, 1_000] {
            for limit in [2, PAGE_MAX] {
                let then = self.now.after(Duration::from_secs(later));
                let ready = self.store.ready(id, &HashSet::new(), limit, then).await.expect("an answer");
                all.push(heads(&ready, limit));
            }
        }
    }

    async fn read_lists(&self, all: &mut Vec<String>) {
        let states = [
            vec![JobState::Queued, JobState::Scheduled],
            vec![JobState::Held, JobState::Sending],
            vec![JobState::Deferred, JobState::InDoubt],
            vec![JobState::Submitted, JobState::PartlySubmitted],
            vec![JobState::Failed, JobState::Expired, JobState::Cancelled],
            vec![JobState::Bounced, JobState::Suppressed],
        ];
        let mut filters: Vec<_> =
            states.into_iter().map(|states| JobFilter { states, ..JobFilter::default() }).collect();
        filters.push(JobFilter::default());
        filters.push(JobFilter { account: Some(account(1)), label: Some(label("l1")), ..JobFilter::default() });
        filters.push(JobFilter { recipient: Some("USER2@example.com".to_owned()), ..JobFilter::default() });
        filters.push(JobFilter {
            accepted_from: Some(at(60)),
            accepted_before: Some(self.now),
            ..JobFilter::default()
        });
        for filter in filters {
            let mut ids = Vec::new();
            let mut page = Page { after: None, limit: 3, now: self.now };
            loop {
                let found = self.store.list(&filter, page).await.expect("an answer");
                ids.extend(found.jobs.iter().map(|record| (record.job.id, record.marked)));
                page.after = found.next;
                if page.after.is_none() {
                    break;
                }
            }
            all.push(format!("{ids:?}"));
        }
    }

    /// Cursors may differ between engines: only their order is promised.
    async fn read_events(&self, all: &mut Vec<String>) {
        let mut cursor = Cursor(0);
        loop {
            let page = self.store.events(cursor, 100).await.expect("an answer");
            if page.is_empty() {
                assert!(*self.store.head().borrow() >= cursor, "the head is behind the last event");
                return;
            }
            for (next, event) in page {
                assert!(next > cursor, "cursors grow");
                cursor = next;
                all.push(format!("{event:?}"));
            }
        }
    }
}
