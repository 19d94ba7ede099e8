//! How the model suppresses addresses, counts what may come to that, and leaves recipients out.

use super::model::{Model, Stored, StoredJob};
use crate::{
    domain::{
        address::Address,
        event::JobChange,
        ids::{AccountId, JobId, Label},
        job::{Audience, Control, Schedule},
        merge::{MergeRecipient, progress::MergeProgress},
        recipient::RecipientState,
        suppression::{SoftBounce, SuppressedBy, SuppressedMailbox, Suppression, SuppressionKey, SuppressionScope},
        time::Timestamp,
    },
    storage::{
        Lifted, PAGE_MAX, SUPPRESSION_SCAN_MAX, SuppressionFilter, SuppressionPage, Suppressions, settlement::Omission,
    },
};

impl Model {
    pub(super) fn suppressed(
        &self,
        account: &AccountId,
        labels: &[Label],
        address: &Address,
        now: Timestamp,
    ) -> Option<Suppression> {
        let own = [SuppressionScope::Global, SuppressionScope::Account(account.clone())];
        let scopes = own.into_iter().chain(labels.iter().cloned().map(SuppressionScope::Label));
        let mut found = scopes.filter_map(|scope| self.suppressions.all.get(&SuppressionKey::new(scope, address)));
        found.find(|one| one.holds(now)).cloned()
    }

    pub(super) fn list_suppressions(&self, filter: &SuppressionFilter, page: &SuppressionPage) -> Suppressions {
        let limit = page.limit.clamp(1, PAGE_MAX);
        let is_later = |key: &SuppressionKey| page.after.as_ref().is_none_or(|after| key > after);
        let in_scope = |key: &SuppressionKey| filter.scopes.is_empty() || filter.scopes.contains(&key.scope);
        let all = self.suppressions.all.iter();
        let mut later = all.filter(|(key, _)| is_later(key) && in_scope(key)).peekable();
        let mut found = Suppressions { suppressions: Vec::new(), next: None };
        let mut last = None;
        for (key, one) in later.by_ref().take(SUPPRESSION_SCAN_MAX) {
            last = Some(key.clone());
            if one.holds(page.now) && filter.is_met_by(one) {
                found.suppressions.push(one.clone());
            }
            if found.suppressions.len() == limit {
                break;
            }
        }
        found.next = last.filter(|_| later.peek().is_some());
        found
    }

    /// Suppresses an address, unless it is suppressed already: then that stays, and is given back.
    pub(super) fn suppress_new(&mut self, suppression: Suppression, now: Timestamp) -> Option<Suppression> {
        let kept = self.suppressions.all.get(&suppression.key).filter(|old| old.holds(now)).cloned();
        if kept.is_none() {
            self.suppressions.all.insert(suppression.key.clone(), suppression);
        }
        kept
    }

    /// Suppresses an address, unless it is suppressed for as long already.
    pub(super) fn suppress_longer(&mut self, suppression: &Suppression) {
        let old = self.suppressions.all.get(&suppression.key);
        if old.is_none_or(|old| !old.lasts_as_long_as(suppression)) {
            self.suppressions.all.insert(suppression.key.clone(), suppression.clone());
        }
    }

    /// Counts a message that came back for a reason that may pass, and suppresses its address when the run is long enough.
    pub(super) fn count_soft_bounce(&mut self, bounce: &SoftBounce, now: Timestamp) {
        let SoftBounce { then, run_max, within } = bounce;
        let old = self.suppressions.runs.remove(&then.key).filter(|(_, last, _)| now.since(*last) <= *within);
        let count = old.map_or(0, |(count, ..)| count).saturating_add(1);
        if count >= *run_max {
            self.suppress_longer(then);
        } else {
            self.suppressions.runs.insert(then.key.clone(), (count, now, now.after(*within)));
        }
    }

    pub(super) fn prune_suppressions(&mut self, now: Timestamp, mut may_go: impl FnMut(bool) -> bool) {
        self.suppressions.all.retain(|_, one| !may_go(!one.holds(now)));
        self.suppressions.runs.retain(|_, (_, _, end)| !may_go(*end <= now));
    }

    pub(super) fn lift(&mut self, key: &SuppressionKey, requeue: bool, now: Timestamp) -> Option<Lifted> {
        let suppression = self.suppressions.all.remove(key);
        let mut requeued = 0;
        if requeue {
            let ids: Vec<JobId> = self.jobs.keys().copied().collect();
            for id in ids {
                requeued += self.readmit(id, key, now);
            }
        }
        let is_nothing = suppression.is_none() && requeued == 0;
        (!is_nothing).then_some(Lifted { suppression, requeued })
    }

    fn readmit(&mut self, id: JobId, key: &SuppressionKey, now: Timestamp) -> u32 {
        let Some(stored) = self.jobs.get_mut(&id) else { return 0 };
        if !self.accounts.contains_key(&stored.job.account) {
            return 0;
        }
        let readmitted = stored.readmit(key, now);
        if readmitted > 0 {
            stored.reschedule();
            let (job, flight) = (stored.job.clone(), stored.flight());
            self.note_job(now, &job, flight, JobChange::Controlled(Control::Retry));
            self.touch(&job.account);
        }
        readmitted
    }

    /// Whether anybody was left out.
    pub(super) fn leave_out(&mut self, account: &AccountId, omission: &Omission) -> bool {
        let Omission { message, recipients, counted, now } = omission;
        let own = self.jobs.get_mut(&message.job).filter(|stored| stored.job.account == *account);
        let Some(stored) = own.filter(|stored| !stored.marks.contains_key(&message.index)) else { return false };
        let left = if stored.job.merge().is_some() {
            let by = recipients.iter().find(|(index, _)| *index == message.index);
            by.map_or_else(Vec::new, |(index, by)| stored.leave_message_out(*index, by, *now))
        } else if message.index == 0 {
            stored.job.leave_out(recipients.iter().map(|(index, by)| (*index, SuppressedBy::from(by))), *now)
        } else {
            Vec::new()
        };
        if left.is_empty() {
            return false;
        }
        stored.reschedule();
        let (job, flight) = (stored.job.clone(), stored.flight());
        self.note_job(*now, &job, flight, JobChange::Suppressed { recipients: left });
        self.count(account, counted, *now);
        true
    }
}

impl StoredJob {
    fn leave_message_out(&mut self, index: u32, by: &Suppression, now: Timestamp) -> Vec<u32> {
        let (Audience::Each(progress), Stored::Merge { outcomes, .. }) = (&mut self.job.audience, &mut self.content)
        else {
            return Vec::new();
        };
        let known = outcomes.get(&index).cloned();
        let Some(left) = progress.leave_out(index, known, SuppressedBy::from(by), now) else { return Vec::new() };
        outcomes.insert(index, left);
        vec![index]
    }

    fn readmit(&mut self, key: &SuppressionKey, now: Timestamp) -> u32 {
        if self.job.merge().is_none() {
            return self.job.readmit(key, now);
        }
        if self.job.is_over(now) {
            return 0;
        }
        let (Audience::Each(progress), Stored::Merge { recipients, outcomes, .. }) =
            (&mut self.job.audience, &mut self.content)
        else {
            return 0;
        };
        let mut readmitted = 0;
        for (index, known) in outcomes {
            let is_held = matches!(&known.state, RecipientState::Suppressed { by, .. } if by.scope == key.scope);
            let is_it = |one: &MergeRecipient| SuppressedMailbox::of(&one.address) == key.mailbox;
            if is_held && is_it(&recipients[*index as usize]) && MergeProgress::readmit(progress, known, now) {
                readmitted += 1;
                if self.job.schedule == Schedule::Idle {
                    self.job.schedule = Schedule::Waiting { due: known.due };
                }
            }
        }
        readmitted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::storage::contract::samples::{
        at,
        lists::{suppression, suppression_key},
    };

    #[test]
    fn a_run_of_soft_bounces_suppresses_and_a_pause_ends_it() {
        let mut model = Model::default();
        let then =
            Suppression { expires_at: Some(at(500)), ..suppression(SuppressionScope::Global, "taro@example.com") };
        let bounce = SoftBounce { then, run_max: 3, within: Duration::from_secs(10) };
        for (seconds, expected) in [(0, false), (10, false), (21, false), (30, false), (31, true)] {
            model.count_soft_bounce(&bounce, at(seconds));
            let key = suppression_key("Taro@example.com");
            assert_eq!(model.suppressions.all.contains_key(&key), expected, "at {seconds}");
        }
        assert!(model.suppressions.runs.is_empty());
    }
}
