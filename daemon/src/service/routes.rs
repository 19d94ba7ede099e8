//! All services together, as a listener mounts them.

use std::{sync::Arc, time::Duration};

use hikyaku_proto::{
    DESCRIPTOR_SET,
    v1::{
        account_service_server::AccountServiceServer, blob_service_server::BlobServiceServer,
        classification_service_server::ClassificationServiceServer, dkim_service_server::DkimServiceServer,
        inbound_service_server::InboundServiceServer, job_service_server::JobServiceServer,
        provider_service_server::ProviderServiceServer, route_service_server::RouteServiceServer,
        statistics_service_server::StatisticsServiceServer, store_service_server::StoreServiceServer,
        suppression_service_server::SuppressionServiceServer,
    },
};
use tonic::{server::NamedService, service::Routes, transport::Server};
use tonic_health::{ServingStatus, server::HealthReporter};
use tower::layer::util::{Identity, Stack};

use super::{
    accounts::Accounts,
    blobs::Blobs,
    classification::Classification,
    dkim::DkimKeysAndRules,
    guard::{Guard, GuardLayer},
    inbound::Inbound,
    jobs::service::Jobs,
    load::{Load, LoadLayer},
    parts::Parts,
    providers::Providers,
    routing::RoutingRules,
    statistics::Statistics,
    store::Store,
    suppressions::SuppressionLists,
};

/// Largest request, in bytes. How much all of them may hold together is [`Load`]'s matter.
pub const REQUEST_BYTES_MAX: usize = 64 * 1_024 * 1_024;
/// Largest request about suppressions, in bytes: an entry has an address and some evidence. Many of an import wait for one commit.
const SUPPRESSION_REQUEST_BYTES_MAX: usize = 64 * 1_024;
/// Most streams and calls at once on one connection.
const STREAMS_PER_CONNECTION_MAX: u32 = 1_024;
/// Longest that a call may take before its answer begins. A filter over millions of jobs needs its time.
const CALL_DURATION_MAX: Duration = Duration::from_secs(600);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(60);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Flow-control windows: enough for 100 small submissions under way, or for a large one at a good rate.
const STREAM_WINDOW_BYTES: u32 = 1_024 * 1_024;
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1_024 * 1_024;

/// All services, and the door to what health probes are told; not serving until [`Health::set_serving`].
///
/// # Panics
/// Never: a test builds the reflection services of the compiled API.
pub async fn routes(parts: Parts) -> (Routes, Health) {
    let jobs = JobServiceServer::new(Jobs::new(&parts)).max_decoding_message_size(REQUEST_BYTES_MAX);
    let accounts = AccountServiceServer::new(Accounts::new(&parts));
    let classification = ClassificationServiceServer::new(Classification::new(Arc::clone(&parts.rules)));
    let store = StoreServiceServer::new(Store::new(&parts));
    let providers = ProviderServiceServer::new(Providers::new(&parts));
    let routing = RouteServiceServer::new(RoutingRules::new(&parts));
    let blobs = BlobServiceServer::new(Blobs::new(&parts));
    let dkim = DkimServiceServer::new(DkimKeysAndRules::new(&parts));
    let suppressions = SuppressionServiceServer::new(SuppressionLists::new(&parts))
        .max_decoding_message_size(SUPPRESSION_REQUEST_BYTES_MAX);
    let inbound = InboundServiceServer::new(Inbound::new(&parts));
    let statistics = StatisticsServiceServer::new(Statistics::new(&parts));
    let (reporter, health_service) = tonic_health::server::health_reporter();
    let health = Health { reporter };
    health.set_not_serving().await;

    let reflection = described().build_v1().expect("the compiled API can be described");
    let reflection_alpha = described().build_v1alpha().expect("the compiled API can be described");
    let routes = Routes::new(jobs)
        .add_service(accounts)
        .add_service(classification)
        .add_service(store)
        .add_service(providers)
        .add_service(routing)
        .add_service(blobs)
        .add_service(dkim)
        .add_service(suppressions)
        .add_service(inbound)
        .add_service(statistics)
        .add_service(health_service)
        .add_service(reflection)
        .add_service(reflection_alpha);
    (routes, health)
}

/// What reflection tells: every service that is mounted, and the messages that are in the details of refusals.
fn described() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET)
}

/// A server for one listener, with its bounds, its guard and its share of the `load` of all listeners: add the routes (and
/// TLS), and let it serve.
#[must_use]
pub fn server(guard: Guard, load: Load) -> Server<Stack<LoadLayer, Stack<GuardLayer, Identity>>> {
    Server::builder()
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .timeout(CALL_DURATION_MAX)
        .layer(GuardLayer(guard))
        .layer(LoadLayer(load))
}

/// What health probes are told, for the daemon as a whole (the empty name) and for each of its services.
#[derive(Clone, Debug)]
pub struct Health {
    reporter: HealthReporter,
}

impl Health {
    const SERVICES: [&'static str; 12] = [
        "",
        <JobServiceServer<Jobs> as NamedService>::NAME,
        <AccountServiceServer<Accounts> as NamedService>::NAME,
        <ClassificationServiceServer<Classification> as NamedService>::NAME,
        <StoreServiceServer<Store> as NamedService>::NAME,
        <ProviderServiceServer<Providers> as NamedService>::NAME,
        <RouteServiceServer<RoutingRules> as NamedService>::NAME,
        <BlobServiceServer<Blobs> as NamedService>::NAME,
        <DkimServiceServer<DkimKeysAndRules> as NamedService>::NAME,
        <SuppressionServiceServer<SuppressionLists> as NamedService>::NAME,
        <InboundServiceServer<Inbound> as NamedService>::NAME,
        <StatisticsServiceServer<Statistics> as NamedService>::NAME,
    ];

    /// The daemon takes calls.
    pub async fn set_serving(&self) {
        self.set(ServingStatus::Serving).await;
    }

    /// It does not: it is not ready yet, its store has failed, or it stops.
    pub async fn set_not_serving(&self) {
        self.set(ServingStatus::NotServing).await;
    }

    /// It runs, but takes no jobs for the time being: its disk is nearly full. Only the service of jobs says so, for a
    /// restart would not help.
    pub async fn set_refusing_jobs(&self) {
        self.reporter.set_service_status(JobServiceServer::<Jobs>::NAME, ServingStatus::NotServing).await;
    }

    async fn set(&self, status: ServingStatus) {
        for service in Self::SERVICES {
            self.reporter.set_service_status(service, status).await;
        }
    }
}
