//! What is counted of mail: recipients by what became of them.

use std::{collections::BTreeMap, time::Duration};

use hikyaku_recognition::classify::reason::Reason;

use super::ids::Label;

pub mod sums;

/// The bounds of the buckets in which queue times are counted; one more bucket has no bound.
pub const QUEUE_TIME_BOUNDS: [Duration; 12] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(15 * 60),
    Duration::from_secs(3_600),
    Duration::from_secs(4 * 3_600),
    Duration::from_secs(12 * 3_600),
    Duration::from_secs(24 * 3_600),
    Duration::from_secs(3 * 24 * 3_600),
    Duration::from_secs(7 * 24 * 3_600),
];

/// Most domains, and most labels, that are counted by name in one period of an account; the others share one group.
pub const GROUPS_PER_PERIOD_MAX: usize = 200;

/// What a count is of, within an account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StatisticsGroup {
    /// All of it.
    All,
    /// Recipients of this domain, in lower case.
    Domain(Box<str>),
    /// Recipients of jobs with this label.
    Label(Label),
    /// Recipients of domains beyond [`GROUPS_PER_PERIOD_MAX`].
    OtherDomains,
    /// Recipients of jobs with labels beyond it.
    OtherLabels,
}

/// Numbers of recipients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Jobs with them were accepted.
    pub accepted: u64,
    /// The provider took their message.
    pub submitted: u64,
    /// Attempts after which they had to wait for another one.
    pub deferred: u64,
    /// They were refused for good.
    pub failed: u64,
    /// Their time ran out.
    pub expired: u64,
    /// They were left out because they are suppressed.
    pub suppressed: u64,
    /// Their message came back: the address is dead.
    pub bounced_hard: u64,
    /// Their message came back for another reason.
    pub bounced_soft: u64,
    /// They complained.
    pub complained: u64,
    /// They opened the message.
    pub opened: u64,
    /// They followed a link.
    pub clicked: u64,
    /// Refusals and bounces by their reasons.
    pub reasons: BTreeMap<Reason, u64>,
    /// Those that were submitted by how long they had waited since they were first due: see [`QUEUE_TIME_BOUNDS`].
    pub queue_times: [u64; QUEUE_TIME_BOUNDS.len() + 1],
}

/// Something to be added to what is counted of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Of what.
    pub group: StatisticsGroup,
    /// How many.
    pub counts: Counts,
}

/// Longest domain or label that is counted by name, in bytes.
pub const GROUP_NAME_BYTES_MAX: usize = 255;

impl StatisticsGroup {
    /// The group in which it is counted together with others, when there are too many of its kind; nothing for one that always has
    /// its own count.
    #[must_use]
    pub const fn shared(&self) -> Option<Self> {
        match self {
            Self::Domain(_) => Some(Self::OtherDomains),
            Self::Label(_) => Some(Self::OtherLabels),
            Self::All | Self::OtherDomains | Self::OtherLabels => None,
        }
    }

    /// The group in which it is counted at best: a name that is too long has none of its own.
    #[must_use]
    pub fn bounded(&self) -> Self {
        let bytes = match self {
            Self::Domain(name) => name.len(),
            Self::Label(label) => label.as_str().len(),
            Self::All | Self::OtherDomains | Self::OtherLabels => 0,
        };
        let shared = self.shared().filter(|_| bytes > GROUP_NAME_BYTES_MAX);
        shared.unwrap_or_else(|| self.clone())
    }
}

/// The groups of one period with at most [`GROUPS_PER_PERIOD_MAX`] domains and labels by name: those of which most was counted, and
/// of equals the first in the order of their names.
#[must_use]
pub fn bounded(mut groups: BTreeMap<StatisticsGroup, Counts>) -> BTreeMap<StatisticsGroup, Counts> {
    for shared in [StatisticsGroup::OtherDomains, StatisticsGroup::OtherLabels] {
        let is_named = |group: &&StatisticsGroup| group.shared().as_ref() == Some(&shared);
        if groups.keys().filter(is_named).count() <= GROUPS_PER_PERIOD_MAX {
            continue;
        }
        let mut named: Vec<_> = groups.iter().filter(|(group, _)| is_named(group)).collect();
        named.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.all()));
        let surplus: Vec<_> = named[GROUPS_PER_PERIOD_MAX..].iter().map(|(group, _)| (*group).clone()).collect();
        for group in surplus {
            if let Some(counts) = groups.remove(&group) {
                groups.entry(shared.clone()).or_default().add(&counts);
            }
        }
    }
    groups
}

impl Counts {
    /// All that was counted, whatever it was: by it, groups are compared.
    #[must_use]
    pub const fn all(&self) -> u64 {
        let sent = self.accepted + self.submitted + self.deferred + self.failed + self.expired + self.suppressed;
        sent + self.bounced_hard + self.bounced_soft + self.complained + self.opened + self.clicked
    }

    /// Adds others to these.
    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.accepted, other.accepted),
            (&mut self.submitted, other.submitted),
            (&mut self.deferred, other.deferred),
            (&mut self.failed, other.failed),
            (&mut self.expired, other.expired),
            (&mut self.suppressed, other.suppressed),
            (&mut self.bounced_hard, other.bounced_hard),
            (&mut self.bounced_soft, other.bounced_soft),
            (&mut self.complained, other.complained),
            (&mut self.opened, other.opened),
            (&mut self.clicked, other.clicked),
        ];
        pairs.into_iter().for_each(|(sum, more)| *sum += more);
        self.queue_times.iter_mut().zip(other.queue_times).for_each(|(sum, more)| *sum += more);
        for (reason, more) in &other.reasons {
            *self.reasons.entry(*reason).or_default() += more;
        }
    }

    /// Notes how long a recipient had waited.
    pub fn waited(&mut self, time: Duration) {
        let bucket = QUEUE_TIME_BOUNDS.iter().position(|bound| time <= *bound).unwrap_or(QUEUE_TIME_BOUNDS.len());
        self.queue_times[bucket] += 1;
    }

    /// The share of those who came to an end whose message was taken and has not come back; nothing when none came to one.
    #[must_use]
    pub fn success_rate(&self) -> Option<f64> {
        let ended = self.submitted + self.failed + self.expired;
        let arrived = self.submitted.saturating_sub(self.bounced_hard + self.bounced_soft);
        #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
        (ended > 0).then(|| arrived as f64 / ended as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(number: u64) -> StatisticsGroup {
        StatisticsGroup::Domain(format!("{number:03}.example").into())
    }

    fn accepted(accepted: u64) -> Counts {
        Counts { accepted, ..Counts::default() }
    }

    #[test]
    fn the_largest_groups_keep_their_names() {
        let some = |many: u64| -> BTreeMap<_, _> { (0..many).map(|n| (domain(n), accepted(n.min(150)))).collect() };
        assert_eq!(bounded(some(200)), some(200));
        let mut given = some(202);
        given.insert(StatisticsGroup::OtherDomains, accepted(5));
        given.insert(StatisticsGroup::All, accepted(7));
        let kept = bounded(given);
        assert_eq!(kept.len(), 202);
        assert_eq!(kept[&StatisticsGroup::OtherDomains], accepted(6), "the two smallest joined it");
        assert!(!kept.contains_key(&domain(0)) && !kept.contains_key(&domain(1)) && kept.contains_key(&domain(2)));
    }

    #[test]
    fn a_name_that_is_too_long_has_no_count_of_its_own() {
        assert_eq!(domain(1).bounded(), domain(1));
        assert_eq!(StatisticsGroup::Domain("x".repeat(256).into()).bounded(), StatisticsGroup::OtherDomains);
        assert_eq!(StatisticsGroup::All.bounded(), StatisticsGroup::All);
    }

    #[test]
    fn the_success_rate_is_of_those_who_came_to_an_end() {
        assert_eq!(Counts::default().success_rate(), None);
        let counts = Counts { submitted: 8, failed: 1, expired: 1, bounced_hard: 2, ..accepted(99) };
        assert_eq!(counts.success_rate().map(|rate| format!("{rate:.3}")).as_deref(), Some("0.600"));
    }
}
