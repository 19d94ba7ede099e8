//! By which account a merge job goes while its recipients come: all accounts that are still possible check them.
//!
//! The first recipients leave few rules open, so few accounts check the others; at the end one is left.

use hikyaku_proto::v1;

use super::{
    Opening,
    content::{MergeContent, content_of},
    incoming::{Bounds, Incoming, Whole},
};
use crate::{
    accounts::signers::Signers,
    domain::{
        address::Address,
        ids::AccountId,
        merge::{MergeRecipient, MergeTemplate},
        routing::Routing,
    },
    policy::{
        admission::message_bytes_max,
        routing::{Kind, Matching, Way},
    },
    service::{
        convert::violations::Violation,
        jobs::{
            compose::{keys_for, warnings_of},
            gate::check_hours,
            intake::{COMPOSED_ASIDE_BYTES, aside},
            route::{Routed, follow, named, sender_of},
            warnings,
        },
        status::Refusal,
    },
    storage::{AccountRecord, SharedStorage},
};

/// Most accounts that check the recipients of one merge job at once.
const CANDIDATES_MAX: usize = 4;

/// Who checks the recipients.
pub(super) struct Desk<'a> {
    storage: &'a SharedStorage,
    signers: &'a Signers,
    opening: &'a Opening,
    /// What the rules say, unless the job names its account.
    matching: Option<Matching<'a>>,
    candidates: Vec<Candidate>,
    /// Accounts that the rules name and that cannot send the job.
    unfit: Vec<(AccountId, Refusal)>,
}

/// An account by which the job may go.
struct Candidate {
    /// The account that the rules name; another may send in its place.
    account: AccountId,
    routed: Routed,
    /// What is wrong with the job or its recipients, as far as this account is concerned.
    checked: Result<(MergeTemplate, Incoming), Vec<Violation>>,
}

/// The account by which the job goes, and what it made of the recipients.
pub(super) struct Outcome {
    pub(super) routed: Routed,
    pub(super) template: MergeTemplate,
    pub(super) whole: Whole,
    pub(super) warnings: Vec<String>,
}

impl<'a> Desk<'a> {
    /// A desk for a job that names its account, or, with `matching`, for one that does not.
    pub(super) async fn open(
        storage: &'a SharedStorage,
        signers: &'a Signers,
        opening: &'a Opening,
        routing: &'a Routing,
    ) -> Result<Self, Refusal> {
        let mut desk = Self { storage, signers, opening, matching: None, candidates: Vec::new(), unfit: Vec::new() };
        match &opening.order.account {
            Some(id) => {
                let candidate = desk.candidate(id.clone(), named(storage, id, &opening.visitor).await?).await?;
                if let Err(violations) = candidate.checked {
                    return Err(violations.into());
                }
                desk.candidates.push(candidate);
            }
            None => desk.matching = Some(Matching::new(routing, sender_of(&opening.order)?, Kind::Merge)),
        }
        Ok(desk)
    }

    /// The account that the job names, if it does.
    pub(super) fn named(&self) -> Option<&AccountRecord> {
        let first = self.candidates.first().filter(|_| self.matching.is_none());
        first.map(|candidate| &candidate.routed.record)
    }

    /// The recipients of one request, checked; or what is wrong with them. `first` is the place of the first of them.
    pub(super) async fn take(&mut self, batch: Vec<v1::MergeRecipient>) -> Result<(u32, Vec<MergeRecipient>), Refusal> {
        self.narrow(&batch).await?;
        let mut answer = None;
        let last = self.candidates.len().saturating_sub(1);
        let mut batch = Some(batch);
        for (place, candidate) in self.candidates.iter_mut().enumerate() {
            let given = if place == last { batch.take() } else { batch.clone() };
            let Some(given) = given else { continue };
            let checked = std::mem::replace(&mut candidate.checked, Err(Vec::new()));
            candidate.checked = match checked {
                Ok((template, incoming)) => {
                    let first = incoming.count();
                    let (incoming, taken) = check(incoming, given).await?;
                    taken.map(|recipients| {
                        answer = answer.take().or(Some((first, recipients)));
                        (template, incoming)
                    })
                }
                Err(violations) => Err(violations),
            };
        }
        answer.ok_or_else(|| self.complaint())
    }

    /// The account that is left, when these were all recipients.
    pub(super) fn finish(mut self) -> Result<Outcome, Refusal> {
        let place = match &self.matching {
            None => 0,
            Some(_) if self.candidates.is_empty() && self.unfit.is_empty() => {
                return Err(Refusal::field("recipients", "are none: at least one is required"));
            }
            Some(matching) => {
                let refused = |refusal| Refusal::no_route(refusal, &matching.verdicts());
                let way = matching.decide().map_err(refused)?;
                let is_its = |candidate: &Candidate| candidate.account == *way.account;
                match self.candidates.iter().position(is_its) {
                    Some(place) => place,
                    None => return Err(self.unfit_as(way.account)),
                }
            }
        };
        let Candidate { routed, checked, .. } = self.candidates.swap_remove(place);
        let (template, incoming) = checked?;
        let whole = incoming.finish()?;
        let Opening { order, now, .. } = self.opening;
        let mut warnings = warnings::of_account(&routed.record, *now);
        warnings.extend(warnings::of_order(order, *now));
        let windows = &routed.record.account.settings.quiet_windows;
        warnings.extend(check_hours(windows, order.send_at, order.waits_for_somebody(), *now)?);
        warnings.extend(routed.warning.clone());
        warnings.extend(whole.warning.clone());
        warnings.extend(warnings_of(&template.draft));
        Ok(Outcome { routed, template, whole, warnings })
    }

    /// Takes note of who comes, and leaves the accounts that are still possible.
    async fn narrow(&mut self, batch: &[v1::MergeRecipient]) -> Result<(), Refusal> {
        let Some(matching) = &mut self.matching else { return Ok(()) };
        // An address that is none is refused by whoever checks it.
        batch
            .iter()
            .filter_map(|one| Address::from_lenient(&one.address).ok())
            .for_each(|address| matching.see(&address));
        let mut open = matching.open();
        if open.iter().all(Result::is_err) {
            let refusal = open.swap_remove(0).expect_err("all of them refuse");
            return Err(Refusal::no_route(refusal, &matching.verdicts()));
        }
        let mut ways: Vec<Way<'_>> = Vec::new();
        for way in open.into_iter().flatten() {
            if ways.iter().all(|known| known.account != way.account) {
                ways.push(way);
            }
        }
        if self.candidates.is_empty() && self.unfit.is_empty() {
            self.staff(&ways).await?;
        } else {
            self.candidates.retain(|candidate| ways.iter().any(|way| *way.account == candidate.account));
        }
        match ways.first().filter(|_| self.candidates.is_empty()) {
            Some(way) => Err(self.unfit_as(way.account)),
            None => Ok(()),
        }
    }

    /// Looks up the accounts that are possible after the first recipients.
    async fn staff(&mut self, ways: &[Way<'_>]) -> Result<(), Refusal> {
        if ways.len() > CANDIDATES_MAX {
            return Err(Refusal::TooManyRoutes(ways.len()));
        }
        let from = sender_of(&self.opening.order)?;
        let is_due = self.opening.order.send_at.is_none_or(|send_at| send_at <= self.opening.now);
        let now = is_due.then_some(self.opening.now);
        for way in ways {
            match follow(self.storage, *way, from, self.opening.visitor.caller(), now).await {
                Ok(routed) => {
                    let candidate = self.candidate(way.account.clone(), routed).await?;
                    self.candidates.push(candidate);
                }
                Err(refusal @ Refusal::NoRoute { .. }) => self.unfit.push((way.account.clone(), refusal)),
                Err(refusal) => return Err(refusal),
            }
        }
        Ok(())
    }

    /// Why an account that the rules name does not send the job.
    fn unfit_as(&mut self, account: &AccountId) -> Refusal {
        match self.unfit.iter().position(|(unfit, _)| unfit == account) {
            Some(place) => self.unfit.swap_remove(place).1,
            None => Refusal::Internal("a route was lost on the way"),
        }
    }

    async fn candidate(&self, account: AccountId, routed: Routed) -> Result<Candidate, Refusal> {
        let Opening { order, id, proof, now, .. } = self.opening;
        let settings = &routed.record.account.settings;
        let bounds = Bounds {
            message_bytes_max: message_bytes_max(&settings.limits, order.priority),
            recipient_names: settings.content.recipient_names,
            lenient_addresses: settings.content.lenient_addresses,
        };
        let keys = keys_for(self.signers, order, &routed).await?;
        let (id, now, settings) = (*id, *now, settings.clone());
        let bytes = order.content.bytes();
        let content = if bytes < COMPOSED_ASIDE_BYTES {
            content_of(order, &settings, (id, proof), now)
        } else {
            let (order, proof) = (order.clone(), proof.clone());
            aside(bytes, move || content_of(&order, &settings, (id, &proof), now)).await?
        };
        let checked = content.map(|MergeContent { template, renderer, identity }| {
            let template = MergeTemplate { forbid_dkim: routed.forbid_dkim, ..template };
            (template, Incoming::new(renderer, identity, bounds).signed_by(keys))
        });
        Ok(Candidate { account, routed, checked })
    }

    /// What is wrong in view of the account that would have been chosen.
    fn complaint(&self) -> Refusal {
        let wrong = self.candidates.iter().find_map(|candidate| candidate.checked.as_ref().err());
        wrong.map_or(Refusal::Internal("nobody checked the recipients"), |violations| violations.clone().into())
    }
}

/// Checks recipients. Templates that do more than name variables may take their time, so they get a thread of their own.
async fn check(mut incoming: Incoming, batch: Vec<v1::MergeRecipient>) -> Result<(Incoming, Taken), Refusal> {
    if incoming.is_quick() {
        let taken = incoming.take(batch);
        return Ok((incoming, taken));
    }
    let aside = tokio::task::spawn_blocking(move || {
        let taken = incoming.take(batch);
        (incoming, taken)
    });
    aside.await.map_err(|_| Refusal::Internal("a template met a bug"))
}

/// The recipients of one request, or what is wrong with them.
type Taken = Result<Vec<MergeRecipient>, Vec<Violation>>;
