//! By which account a submission goes: the one that it names, or the one that the routing rules choose.

use crate::{
    domain::{
        account::ContentRules,
        address::Address,
        ids::{AccountId, Caller},
        job::Fallbacks,
        time::Timestamp,
    },
    policy::{
        diversion::is_out,
        routing::{Kind, Matching, Way, fitness},
    },
    service::{convert::draft::Order, status::Refusal, visibility::Visitor},
    storage::{AccountRecord, SharedStorage, StorageError},
};

/// The accounts that may come to send a job in its account's place, with what each allows in messages.
pub(super) type Standbys = Vec<(AccountId, ContentRules)>;

/// The account that sends a submission.
#[derive(Debug)]
pub(super) struct Routed {
    pub(super) record: AccountRecord,
    /// Who may send it instead.
    pub(super) fallbacks: Option<Box<Fallbacks>>,
    /// What these allow in messages.
    pub(super) standbys: Standbys,
    /// Whether the rules chose it.
    pub(super) is_chosen: bool,
    /// Whether the rule forbids signatures.
    pub(super) forbid_dkim: bool,
    /// What the caller should know of the choice.
    pub(super) warning: Option<String>,
}

impl Routed {
    /// What the answer calls `routed_account_id`.
    pub(super) fn answer(&self) -> String {
        if self.is_chosen { self.record.account.id.to_string() } else { String::new() }
    }
}

/// Finds the account of a plain job.
pub(super) async fn route(
    storage: &SharedStorage,
    order: &Order,
    visitor: &Visitor,
    now: Timestamp,
) -> Result<Routed, Refusal> {
    if let Some(id) = &order.account {
        return named(storage, id, visitor).await;
    }
    let from = sender_of(order)?;
    let routing = storage.routing().await?;
    let mut matching = Matching::new(&routing, from, Kind::Plain);
    [&order.to, &order.cc, &order.bcc].into_iter().flatten().for_each(|mailbox| matching.see(&mailbox.address));
    let way = matching.decide().map_err(|refusal| Refusal::no_route(refusal, &matching.verdicts()))?;
    let is_due = order.send_at.is_none_or(|send_at| send_at <= now);
    let routed = follow(storage, way, from, visitor.caller(), is_due.then_some(now)).await;
    routed.map_err(|refusal| refusal.explained(&matching.verdicts()))
}

/// The account that a submission names.
pub(super) async fn named(storage: &SharedStorage, id: &AccountId, visitor: &Visitor) -> Result<Routed, Refusal> {
    let record = visitor.account(storage, id).await?;
    let record = record.ok_or_else(|| Refusal::NoAccount { id: id.clone(), field: "job.account_id" })?;
    Ok(Routed { record, fallbacks: None, standbys: Vec::new(), is_chosen: false, forbid_dkim: false, warning: None })
}

/// The From of an order that names no account.
pub(super) fn sender_of(order: &Order) -> Result<&Address, Refusal> {
    let from = order.from.as_ref().map(|from| &from.address);
    from.ok_or(Refusal::Internal("an order without account and from was let through"))
}

/// The first account of a way that can send at `now`; the first of all when none can, or the job is not due yet.
pub(super) async fn follow(
    storage: &SharedStorage,
    way: Way<'_>,
    from: &Address,
    caller: &Caller,
    now: Option<Timestamp>,
) -> Result<Routed, Refusal> {
    let records = load(storage, &way).await?;
    let find = |id: &AccountId| records.iter().find(|record| record.account.id == *id);
    let fit = |id: &AccountId| fitness(find(id).map(|record| &record.account.settings), caller, from);
    let route = way.route(fit).map_err(|refusal| Refusal::no_route(refusal, &[]))?;
    let all: Vec<AccountId> = std::iter::once(route.account).chain(route.fallbacks).collect();
    let can = |id: &AccountId| find(id).is_some_and(|record| now.is_none_or(|now| !is_out(&record.standing, now)));
    let place = all.iter().position(can).unwrap_or(0);
    let record = find(&all[place]).cloned().ok_or(Refusal::Internal("a route without its account"))?;
    let rest = all[place + 1..].to_vec();
    let standbys = standbys_of(&rest, &records);
    let fallbacks = (!rest.is_empty()).then(|| Box::new(Fallbacks { from: from.clone(), accounts: rest }));
    let warning = (place > 0)
        .then(|| format!("the account {} does not send at present: the job goes by {} instead", all[0], all[place]));
    Ok(Routed { record, fallbacks, standbys, is_chosen: true, forbid_dkim: way.forbid_dkim, warning })
}

/// The accounts of a way that can be read. One whose record is damaged is none for now.
pub(in crate::service) async fn load(
    storage: &SharedStorage,
    way: &Way<'_>,
) -> Result<Vec<AccountRecord>, StorageError> {
    let ids: Vec<&AccountId> = std::iter::once(way.account).chain(way.fallbacks).collect();
    records_of(storage, &ids).await
}

/// Who may take over a job that was routed before, as far as they are there.
pub(super) async fn standbys(storage: &SharedStorage, fallbacks: &Fallbacks) -> Result<Standbys, StorageError> {
    let ids: Vec<&AccountId> = fallbacks.accounts.iter().collect();
    Ok(standbys_of(&fallbacks.accounts, &records_of(storage, &ids).await?))
}

fn standbys_of(ids: &[AccountId], records: &[AccountRecord]) -> Standbys {
    let rules = |id: &AccountId| {
        let record = records.iter().find(|record| record.account.id == *id)?;
        Some((id.clone(), record.account.settings.content))
    };
    ids.iter().filter_map(rules).collect()
}

async fn records_of(storage: &SharedStorage, ids: &[&AccountId]) -> Result<Vec<AccountRecord>, StorageError> {
    let mut records = Vec::new();
    for id in ids {
        match storage.account(id).await {
            Ok(record) => records.extend(record),
            Err(StorageError::Damaged(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(records)
}
