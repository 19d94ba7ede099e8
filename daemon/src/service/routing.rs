//! RouteService: reading, changing and explaining the routing rules.

use std::sync::Arc;

use hikyaku_proto::v1::{self, route_service_server::RouteService};
use tonic::{Request, Response, Status};

use super::parts::Parts;
use crate::{domain::time::Clock, storage::SharedStorage};

/// The service.
#[derive(Debug)]
#[expect(dead_code, reason = "its methods follow")]
pub(super) struct RoutingRules {
    storage: SharedStorage,
    clock: Arc<dyn Clock>,
}

impl RoutingRules {
    pub(super) fn new(parts: &Parts) -> Self {
        Self { storage: Arc::clone(&parts.storage), clock: Arc::clone(&parts.clock) }
    }
}

#[tonic::async_trait]
impl RouteService for RoutingRules {
    async fn get_routing(
        &self,
        _request: Request<v1::GetRoutingRequest>,
    ) -> Result<Response<v1::GetRoutingResponse>, Status> {
        Err(Status::unimplemented("not yet"))
    }

    async fn set_routing(
        &self,
        _request: Request<v1::SetRoutingRequest>,
    ) -> Result<Response<v1::SetRoutingResponse>, Status> {
        Err(Status::unimplemented("not yet"))
    }

    async fn explain_route(
        &self,
        _request: Request<v1::ExplainRouteRequest>,
    ) -> Result<Response<v1::ExplainRouteResponse>, Status> {
        Err(Status::unimplemented("not yet"))
    }
}
