//! RouteService: reading, changing and explaining the routing rules.

use std::{collections::HashSet, sync::Arc};

use hikyaku_proto::v1::{self, route_service_server::RouteService};
use tonic::{Request, Response, Status};

use super::{
    convert::{
        routing::{from_routing, from_verdict, named_accounts, to_routing},
        values::to_mailbox,
        violations::Violations,
    },
    guard::caller_of,
    jobs::route::load,
    parts::Parts,
    status::Refusal,
};
use crate::{
    domain::{
        address::Address,
        ids::{AccountId, Caller, Etag},
        routing::Routing,
        time::Clock,
    },
    policy::routing::{Kind, Matching, NoRoute, Route, Way, fitness},
    storage::SharedStorage,
};

/// Most recipients of which the route is explained.
const RECIPIENTS_MAX: usize = 1_000;

/// The service.
#[derive(Debug)]
pub(super) struct RoutingRules {
    storage: SharedStorage,
    clock: Arc<dyn Clock>,
}

impl RoutingRules {
    pub(super) fn new(parts: &Parts) -> Self {
        Self { storage: Arc::clone(&parts.storage), clock: Arc::clone(&parts.clock) }
    }

    async fn set(&self, request: v1::SetRoutingRequest, caller: Caller) -> Result<v1::Routing, Refusal> {
        let v1::SetRoutingRequest { routing: wire, dry_run } = request;
        // Damaged rules are replaced whatever the caller has seen.
        let current = match self.storage.routing().await {
            Err(crate::storage::StorageError::Damaged(_)) => Etag(0),
            routing => routing?.etag,
        };
        let named = wire.as_ref().map(named_accounts).unwrap_or_default();
        let mut known: HashSet<AccountId> = HashSet::new();
        for id in named {
            if self.storage.account(&id).await?.is_some() {
                known.insert(id);
            }
        }
        let routing = to_routing(wire, current, |id| known.contains(id))?;
        let expected = routing.etag;
        if dry_run {
            return if expected == current { Ok(from_routing(&routing)) } else { Err(Refusal::StaleEtag(current)) };
        }
        let updated = Some((self.clock.now(), caller.clone()));
        let routing = Routing { etag: Etag(expected.0.saturating_add(1)), updated, ..routing };
        self.storage.set_routing(routing.clone(), expected).await.map_err(Refusal::of_routing)?;
        tracing::info!(%caller, rules = routing.rules.len(), etag = %routing.etag, "routing rules changed");
        Ok(from_routing(&routing))
    }

    async fn explain(
        &self,
        request: v1::ExplainRouteRequest,
        caller: &Caller,
    ) -> Result<v1::ExplainRouteResponse, Refusal> {
        let kind = if request.merge { Kind::Merge } else { Kind::Plain };
        let (from, recipients) = to_sketch(request)?;
        let routing = self.storage.routing().await?;
        let mut matching = Matching::new(&routing, &from, kind);
        recipients.iter().for_each(|recipient| matching.see(recipient));
        let route = match matching.decide() {
            Ok(way) => self.route(way, &from, caller).await?,
            Err(refusal) => Err(refusal),
        };
        let verdicts = matching.verdicts().into_iter().map(from_verdict).collect();
        Ok(match route {
            Ok(route) => v1::ExplainRouteResponse {
                account_id: route.account.to_string(),
                fallback_account_ids: route.fallbacks.iter().map(ToString::to_string).collect(),
                verdicts,
                refusal: String::new(),
            },
            Err(refusal) => v1::ExplainRouteResponse {
                verdicts,
                refusal: refusal.to_string(),
                ..v1::ExplainRouteResponse::default()
            },
        })
    }

    async fn route(&self, way: Way<'_>, from: &Address, caller: &Caller) -> Result<Result<Route, NoRoute>, Refusal> {
        let records = load(&self.storage, &way).await?;
        Ok(way.route(|id| {
            let record = records.iter().find(|record| record.account.id == *id);
            fitness(record.map(|record| &record.account.settings), caller, from)
        }))
    }
}

/// From and recipients of a job whose route is asked for.
fn to_sketch(request: v1::ExplainRouteRequest) -> Result<(Address, Vec<Address>), Refusal> {
    let mut violations = Violations::default();
    let from = match request.from {
        Some(from) => to_mailbox(from, "from", &mut violations),
        None => {
            violations.add("from", "is required");
            None
        }
    };
    if request.recipients.is_empty() {
        violations.add("recipients", "are required: at least one");
    }
    if request.recipients.len() > RECIPIENTS_MAX {
        violations.add("recipients", format_args!("are more than {RECIPIENTS_MAX}"));
        return Ok(violations.finish(None)?);
    }
    let read = request.recipients.iter().enumerate();
    let read: Vec<_> = read
        .map(|(index, text)| violations.keep(format_args!("recipients[{index}]"), Address::from_lenient(text)))
        .collect();
    let recipients: Option<Vec<_>> = read.into_iter().collect();
    Ok(violations.finish(from.map(|from| from.address).zip(recipients))?)
}

#[tonic::async_trait]
impl RouteService for RoutingRules {
    async fn get_routing(
        &self,
        _request: Request<v1::GetRoutingRequest>,
    ) -> Result<Response<v1::GetRoutingResponse>, Status> {
        let routing = self.storage.routing().await.map_err(Refusal::from)?;
        Ok(Response::new(v1::GetRoutingResponse { routing: Some(from_routing(&routing)) }))
    }

    async fn set_routing(
        &self,
        request: Request<v1::SetRoutingRequest>,
    ) -> Result<Response<v1::SetRoutingResponse>, Status> {
        let caller = caller_of(&request)?;
        let routing = self.set(request.into_inner(), caller).await?;
        Ok(Response::new(v1::SetRoutingResponse { routing: Some(routing) }))
    }

    async fn explain_route(
        &self,
        request: Request<v1::ExplainRouteRequest>,
    ) -> Result<Response<v1::ExplainRouteResponse>, Status> {
        let caller = caller_of(&request)?;
        Ok(Response::new(self.explain(request.into_inner(), &caller).await?))
    }
}
