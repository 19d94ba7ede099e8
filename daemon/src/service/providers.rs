//! ProviderService: what is known of mail providers, and what can be found out about a mail address.

use std::sync::Arc;

use hikyaku_proto::v1::{self, provider_service_server::ProviderService};
use tonic::{Request, Response, Status};

use super::parts::Parts;
use crate::{domain::time::Clock, storage::SharedStorage};

/// The service.
#[derive(Debug)]
#[expect(dead_code, reason = "its methods follow")]
pub(super) struct Providers {
    storage: SharedStorage,
    clock: Arc<dyn Clock>,
}

impl Providers {
    pub(super) fn new(parts: &Parts) -> Self {
        Self { storage: Arc::clone(&parts.storage), clock: Arc::clone(&parts.clock) }
    }
}

#[tonic::async_trait]
impl ProviderService for Providers {
    async fn list_presets(
        &self,
        _request: Request<v1::ListPresetsRequest>,
    ) -> Result<Response<v1::ListPresetsResponse>, Status> {
        Err(Status::unimplemented("not yet"))
    }

    async fn discover_settings(
        &self,
        _request: Request<v1::DiscoverSettingsRequest>,
    ) -> Result<Response<v1::DiscoverSettingsResponse>, Status> {
        Err(Status::unimplemented("not yet"))
    }
}
