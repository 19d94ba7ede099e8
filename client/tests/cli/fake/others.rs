//! Providers, routing, the store and the classification rules of the made-up daemon.

use hikyaku_client::proto::*;
use tonic::{Request, Response, Status};

use super::{Answer, Answers, Fake, settings::gmail, time};

#[tonic::async_trait]
impl classification_service_server::ClassificationService for Fake {
    async fn classify(&self, request: Request<ClassifyRequest>) -> Answer<ClassifyResponse> {
        let request = request.into_inner();
        Ok(Response::new(ClassifyResponse {
            verdict: Verdict::RejectRecipient.into(),
            blame: Blame::Recipient.into(),
            wait: Some(prost_types::Duration { seconds: 90, nanos: 0 }),
            rule: format!("{}/{}/{}", request.provider, request.phase, request.reply),
        }))
    }
}

#[tonic::async_trait]
impl store_service_server::StoreService for Fake {
    type BackupStoreStream = Answers<BackupStoreResponse>;
    type VerifyStoreStream = Answers<VerifyStoreResponse>;

    async fn backup_store(&self, request: Request<BackupStoreRequest>) -> Answer<Self::BackupStoreStream> {
        let complete = !request.into_inner().path.contains("torn");
        let steps = [(1, false), (2, complete)]
            .map(|(records_done, complete)| Ok(BackupStoreResponse { records_done, records_total: 2, complete }));
        Ok(Response::new(Box::pin(tokio_stream::iter(steps))))
    }

    async fn verify_store(&self, _: Request<VerifyStoreRequest>) -> Answer<Self::VerifyStoreStream> {
        let findings = StoreFindings {
            records: 9,
            quarantined_count: 1,
            quarantined: vec!["job 7: wrong check sum".to_owned()],
            mended: 2,
        };
        let last = VerifyStoreResponse { records_done: 9, records_total: 9, findings: Some(findings) };
        Ok(Response::new(Box::pin(tokio_stream::iter([Ok(VerifyStoreResponse::default()), Ok(last)]))))
    }
}

#[tonic::async_trait]
impl provider_service_server::ProviderService for Fake {
    async fn list_presets(&self, _: Request<ListPresetsRequest>) -> Answer<ListPresetsResponse> {
        Ok(Response::new(ListPresetsResponse { presets: vec![gmail()] }))
    }

    async fn discover_settings(&self, request: Request<DiscoverSettingsRequest>) -> Answer<DiscoverSettingsResponse> {
        let address = request.into_inner().address;
        let proposal = Proposal {
            found_by: "domain".to_owned(),
            preset_id: "gmail".to_owned(),
            server: gmail().server,
            pop3: None,
            imap: gmail().imap,
            user: address.clone(),
        };
        let proposals = if address.ends_with("@gmail.com") { vec![proposal] } else { Vec::new() };
        Ok(Response::new(DiscoverSettingsResponse { proposals, trail: vec!["asked for MX\u{1b}".to_owned()] }))
    }
}

#[tonic::async_trait]
impl route_service_server::RouteService for Fake {
    async fn get_routing(&self, _: Request<GetRoutingRequest>) -> Answer<GetRoutingResponse> {
        Ok(Response::new(GetRoutingResponse { routing: Some(self.state().routing.clone()) }))
    }

    async fn set_routing(&self, request: Request<SetRoutingRequest>) -> Answer<SetRoutingResponse> {
        let SetRoutingRequest { routing, dry_run } = request.into_inner();
        let mut routing = routing.unwrap();
        let mut state = self.state();
        if routing.etag != state.routing.etag {
            return Err(Status::aborted("the rules were changed since"));
        }
        routing.updated_at = Some(time(1));
        routing.updated_by = "tester".to_owned();
        if !dry_run {
            routing.etag.push('1');
            state.routing = routing.clone();
        }
        Ok(Response::new(SetRoutingResponse { routing: Some(routing) }))
    }

    async fn explain_route(&self, request: Request<ExplainRouteRequest>) -> Answer<ExplainRouteResponse> {
        let request = request.into_inner();
        let matched = request.from.unwrap().address == "shop@example.jp";
        let verdict = RuleVerdict { name: "shop".to_owned(), matched, reason: "by its From\u{1b}".to_owned() };
        Ok(Response::new(ExplainRouteResponse {
            account_id: if matched { "shop".to_owned() } else { String::new() },
            fallback_account_ids: if matched { vec!["spare".to_owned()] } else { Vec::new() },
            verdicts: vec![verdict],
            refusal: if matched { String::new() } else { "no rule takes it".to_owned() },
        }))
    }
}
