//! ProviderService: what is known of mail providers, and what can be found out about a mail address.

use std::{fmt::Display, sync::Arc};

use futures_util::future::{join, join_all};
use hikyaku_proto::v1::{self, provider_service_server::ProviderService};
use tonic::{Request, Response, Status};

use super::{
    convert::preset::{from_preset, from_proposal},
    parts::Parts,
    status::Refusal,
};
use crate::{
    domain::address::Address,
    policy::{
        discovery::{FoundBy, Proposal, Records, Service, propose},
        presets::Presets,
    },
    wire::dns::{Dns, DnsError},
};

/// The service.
#[derive(Debug)]
pub(super) struct Providers {
    dns: Arc<dyn Dns>,
}

impl Providers {
    pub(super) fn new(parts: &Parts) -> Self {
        Self { dns: Arc::clone(&parts.dns) }
    }

    async fn discover(&self, address: &str) -> Result<v1::DiscoverSettingsResponse, Refusal> {
        let address: Address = address.parse().map_err(|error| Refusal::field("address", format!("{error}")))?;
        let mut trail = Vec::new();
        let known = propose(&address, Presets::built_in(), &Records::default());
        let is_own = known.iter().any(|proposal| proposal.found_by == FoundBy::Domain);
        let proposals = if is_own {
            trail.push(format!("{}: a provider's own domain", address.domain()));
            known
        } else {
            let records = self.records(&address.ascii_domain(), &mut trail).await;
            propose(&address, Presets::built_in(), &records)
        };
        trail.extend(proposals.iter().map(outcome));
        let proposals = proposals.iter().map(from_proposal).collect();
        Ok(v1::DiscoverSettingsResponse { proposals, trail })
    }

    /// Asks everything at once.
    async fn records(&self, domain: &str, trail: &mut Vec<String>) -> Records {
        let services = Service::ALL.map(|service| async move {
            let name = format!("{}.{domain}", service.label());
            let answer = self.dns.services(&name).await;
            (service, name, answer)
        });
        let (exchangers, services) = join(self.dns.exchangers(domain), join_all(services)).await;
        trail.push(told(&format!("MX {domain}"), &exchangers));
        let mut records = Records { exchangers: exchangers.unwrap_or_default(), services: Vec::new() };
        for (service, name, answer) in services {
            trail.push(told(&format!("SRV {name}"), &answer));
            records.services.push((service, answer.unwrap_or_default()));
        }
        records
    }
}

fn told<T: Display>(question: &str, answer: &Result<Vec<T>, DnsError>) -> String {
    match answer {
        Err(error) => format!("{question}: {error}"),
        Ok(found) if found.is_empty() => format!("{question}: no records"),
        Ok(found) => {
            let shown: Vec<_> = found.iter().map(ToString::to_string).collect();
            format!("{question}: {}", shown.join(", "))
        }
    }
}

fn outcome(proposal: &Proposal) -> String {
    let preset = proposal.preset_id.as_deref().map(|id| format!(" (preset {id})")).unwrap_or_default();
    format!("by {}: {}:{}{preset}", proposal.found_by.as_str(), proposal.server.host, proposal.server.port)
}

#[tonic::async_trait]
impl ProviderService for Providers {
    async fn list_presets(
        &self,
        _request: Request<v1::ListPresetsRequest>,
    ) -> Result<Response<v1::ListPresetsResponse>, Status> {
        let presets = Presets::built_in().iter().map(from_preset).collect();
        Ok(Response::new(v1::ListPresetsResponse { presets }))
    }

    async fn discover_settings(
        &self,
        request: Request<v1::DiscoverSettingsRequest>,
    ) -> Result<Response<v1::DiscoverSettingsResponse>, Status> {
        Ok(Response::new(self.discover(&request.into_inner().address).await?))
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::policy::discovery::{Exchanger, ServiceRecord};

    /// Knows one domain that has a submission server and no other service, and whose exchangers it does not tell.
    #[derive(Debug)]
    struct Knowing;

    #[async_trait]
    impl Dns for Knowing {
        async fn exchangers(&self, _: &str) -> Result<Vec<Exchanger>, DnsError> {
            Err(DnsError::TimedOut)
        }

        async fn services(&self, name: &str) -> Result<Vec<ServiceRecord>, DnsError> {
            let target = "smtp.example.jp".to_owned();
            let found = ServiceRecord { priority: 0, weight: 1, port: 587, target };
            Ok(if name == "_submission._tcp.example.jp" { vec![found] } else { Vec::new() })
        }

        async fn texts(&self, _: &str) -> Result<Vec<String>, DnsError> {
            Err(DnsError::TimedOut)
        }
    }

    async fn discovered(address: &str) -> Result<v1::DiscoverSettingsResponse, Refusal> {
        Providers { dns: Arc::new(Knowing) }.discover(address).await
    }

    #[tokio::test]
    async fn what_is_found_is_proposed_with_what_was_asked() {
        let found = discovered("me@example.jp").await.expect("an answer");
        let proposal = &found.proposals[0];
        let server = proposal.server.as_ref().expect("a server");
        assert_eq!((proposal.found_by.as_str(), server.host.as_str(), server.port), ("srv", "smtp.example.jp", 587));
        assert_eq!(proposal.user, "me@example.jp");
        assert!(found.trail.contains(&"MX example.jp: no answer within 10 s".to_owned()), "{:?}", found.trail);
        let asked = "SRV _submission._tcp.example.jp: 0 1 587 smtp.example.jp".to_owned();
        assert!(found.trail.contains(&asked), "{:?}", found.trail);
    }

    #[tokio::test]
    async fn a_providers_own_domain_is_not_asked_for() {
        let found = discovered("me@gmail.com").await.expect("an answer");
        assert_eq!(found.proposals[0].preset_id, "gmail");
        assert_eq!(found.trail.len(), 2, "{:?}", found.trail);
    }

    #[tokio::test]
    async fn what_is_no_address_is_refused() {
        assert!(matches!(discovered("nobody").await, Err(Refusal::Invalid(_))));
    }

    #[tokio::test]
    async fn all_presets_are_listed() {
        let providers = Providers { dns: Arc::new(Knowing) };
        let answer = providers.list_presets(Request::new(v1::ListPresetsRequest {})).await.expect("an answer");
        let presets = answer.into_inner().presets;
        assert!(presets.len() >= 15 && presets.iter().any(|preset| preset.preset_id == "gmail"));
    }
}
