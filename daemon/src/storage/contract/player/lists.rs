//! How a script suppresses addresses, leaves them out, and counts.

use std::{collections::BTreeMap, time::Duration};

use super::{Player, account, told};
use crate::{
    domain::{
        ids::{JobId, MessageKey},
        job::Job,
        statistics::{Counted, StatisticsGroup},
        suppression::{SuppressedBy, Suppression, SuppressionScope},
    },
    storage::{
        Groups, Period, StatisticsQuery, SuppressionFilter, SuppressionPage,
        contract::{
            samples::{
                at, label,
                lists::{accepted, domain, omission, suppression},
            },
            step::{NewJob, Step},
        },
        settlement::Omission,
    },
};

fn scope(number: u8) -> SuppressionScope {
    match number {
        0 => SuppressionScope::Global,
        1 => SuppressionScope::Account(account(0)),
        _ => SuppressionScope::Label(label("l1")),
    }
}

fn address(number: u8) -> String {
    format!("user{number}@example.com")
}

/// What is counted when a job is accepted.
pub(super) fn counted(new: &NewJob) -> Vec<Counted> {
    let label = new.label.map(|number| StatisticsGroup::Label(label(&format!("l{number}"))));
    let groups = [StatisticsGroup::All, domain(&format!("{}.jp", new.bytes))].into_iter().chain(label);
    groups.map(|group| accepted(group, new.recipients.into())).collect()
}

/// Leaves the first two recipients of a job out.
pub(super) fn leave_first_out(job: &mut Job, by: Option<u8>) {
    if let Some(number) = by {
        let by = SuppressedBy::from(&suppression(scope(number), "any@example.com"));
        job.leave_out([(0, by.clone()), (1, by)], job.accepted_at);
    }
}

impl Player {
    pub(super) async fn change_lists(&mut self, step: &Step) -> String {
        match step {
            Step::Suppress { scope: number, addresses, lasts_seconds } => {
                let expires_at = lasts_seconds.map(|seconds| self.now.after(Duration::from_secs(seconds)));
                let new = |one: &u8| Suppression {
                    expires_at,
                    added_at: self.now,
                    ..suppression(scope(*number), &address(*one))
                };
                let all = addresses.iter().map(new).collect();
                format!("{:?}", self.store.suppress(all).await.expect("an answer"))
            }
            Step::Lift { scope: number, address: one, requeue } => {
                let key = suppression(scope(*number), &address(*one)).key;
                format!("{:?}", self.store.lift(&key, *requeue, self.now).await.expect("an answer"))
            }
            Step::LeaveOut { account: owner, job, scope: number, indexes, stale } => {
                let tenure = self.tenure(*owner, *stale).await;
                let by = |one: &u8| suppression(scope(*number), &address(*one));
                let replaced = self.store.suppress(indexes.iter().map(by).collect()).await.expect("an answer");
                let omissions = self.omissions(self.id(*job), *number, indexes).await;
                format!("{replaced:?} {}", told(self.store.leave_out(&tenure, omissions).await))
            }
            _ => unreachable!("play() sends no other step here"),
        }
    }

    /// One for each message of a merge job, or for all recipients of a plain one.
    async fn omissions(&self, job: JobId, number: u8, indexes: &[u8]) -> Vec<Omission> {
        let record = self.store.job(job).await.expect("an answer");
        let is_merge = record.is_some_and(|record| record.job.merge().is_some());
        let by = |one: &u8| (u32::from(*one), suppression(scope(number), &address(*one)));
        let of = |message: MessageKey, some: &[u8]| Omission {
            recipients: some.iter().map(by).collect(),
            now: self.now,
            ..omission(message, &[(0, "any@example.com")], 0)
        };
        if is_merge {
            indexes.iter().map(|index| of(MessageKey { job, index: u32::from(*index) }, &[*index])).collect()
        } else {
            vec![of(MessageKey::only(job), indexes)]
        }
    }

    pub(super) async fn read_suppressions(&self, all: &mut Vec<String>) {
        let addresses: Vec<_> = (0..6).map(|number| address(number).parse().expect("an address")).collect();
        let found = self.store.suppressed(&account(0), &[label("l1")], &addresses, self.now).await.expect("an answer");
        all.push(format!("{found:?}"));
        let some = SuppressionFilter { scopes: vec![scope(2), scope(0)], ..SuppressionFilter::default() };
        for filter in [SuppressionFilter::default(), some] {
            let mut page = SuppressionPage { after: None, limit: 3, now: self.now };
            loop {
                let found = self.store.list_suppressions(&filter, page.clone()).await.expect("an answer");
                all.extend(found.suppressions.iter().map(|one| format!("{one:?}")));
                page.after = found.next;
                if page.after.is_none() {
                    break;
                }
            }
        }
    }

    pub(super) async fn read_statistics(&self, number: u8, all: &mut Vec<String>) {
        for period in [Period::Hour, Period::Day] {
            for groups in [Groups::All, Groups::Domains, Groups::Labels] {
                let query = StatisticsQuery { from: at(0), to: self.now, period, groups };
                let found = self.store.statistics(&account(number), query).await.expect("an answer");
                let told: BTreeMap<_, _> =
                    found.iter().map(|(place, counts)| (place, (counts.accepted, counts.suppressed))).collect();
                all.push(format!("{told:?}"));
            }
        }
    }
}
