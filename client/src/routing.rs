//! Calls about routing: which account sends a job that names none.

use crate::{
    connection::Client,
    error::Error,
    proto::{ExplainRouteRequest, ExplainRouteResponse, GetRoutingRequest, Routing, SetRoutingRequest},
};

impl Client {
    /// All routing rules.
    ///
    /// # Errors
    /// When the daemon refuses or is gone.
    pub async fn get_routing(&self) -> Result<Routing, Error> {
        let answer = self.routes.clone().get_routing(GetRoutingRequest {}).await?;
        Ok(answer.into_inner().routing.unwrap_or_default())
    }

    /// Replaces the routing rules as a whole; with `dry_run` only checks them.
    ///
    /// # Errors
    /// [`Error::Refused`] with the violations, or with `Aborted` when the rules were changed since their etag was seen.
    pub async fn set_routing(&self, routing: Routing, dry_run: bool) -> Result<Routing, Error> {
        let answer = self.routes.clone().set_routing(SetRoutingRequest { routing: Some(routing), dry_run }).await?;
        Ok(answer.into_inner().routing.unwrap_or_default())
    }

    /// Which account a job would go by, and why.
    ///
    /// # Errors
    /// [`Error::Refused`] with the violations. That no rule takes the job is no error.
    pub async fn explain_route(&self, request: ExplainRouteRequest) -> Result<ExplainRouteResponse, Error> {
        Ok(self.routes.clone().explain_route(request).await?.into_inner())
    }
}
