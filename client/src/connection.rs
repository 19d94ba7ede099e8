//! How a connection to the daemon is made, and what every request on it carries.

use std::{fmt, time::Duration};

use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint as Transport},
};

use crate::{
    endpoint::Endpoint,
    error::Error,
    proto::{
        account_service_client::AccountServiceClient, blob_service_client::BlobServiceClient,
        classification_service_client::ClassificationServiceClient, dkim_service_client::DkimServiceClient,
        inbound_service_client::InboundServiceClient, job_service_client::JobServiceClient,
        provider_service_client::ProviderServiceClient, route_service_client::RouteServiceClient,
        statistics_service_client::StatisticsServiceClient, store_service_client::StoreServiceClient,
        suppression_service_client::SuppressionServiceClient,
    },
};

/// A connection to a daemon. Clones share it, and it is made again by itself after it broke.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) jobs: JobServiceClient<Carrier>,
    pub(crate) accounts: AccountServiceClient<Carrier>,
    pub(crate) blobs: BlobServiceClient<Carrier>,
    pub(crate) classification: ClassificationServiceClient<Carrier>,
    pub(crate) dkim: DkimServiceClient<Carrier>,
    pub(crate) providers: ProviderServiceClient<Carrier>,
    pub(crate) routes: RouteServiceClient<Carrier>,
    pub(crate) store: StoreServiceClient<Carrier>,
    pub(crate) inbound: InboundServiceClient<Carrier>,
    pub(crate) statistics: StatisticsServiceClient<Carrier>,
    pub(crate) suppressions: SuppressionServiceClient<Carrier>,
}

/// What a caller shows, and whom it trusts.
#[derive(Clone, Default)]
pub struct Access {
    /// The API key, sent as a bearer token; none for a daemon that asks for none.
    pub api_key: Option<String>,
    /// Certificate authorities in PEM that are trusted besides those of the system.
    pub ca_pem: Option<Vec<u8>>,
}

/// Longest time to connect, TLS included.
const CONNECT_SECONDS_MAX: u64 = 10;
/// Largest answer that is read.
const ANSWER_BYTES_MAX: usize = 256 << 20;

pub(crate) type Carrier = InterceptedService<Channel, Bearer>;

impl Client {
    /// Connects to the daemon at `endpoint`.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when nobody answers there or TLS fails; [`Error::Access`] when the key cannot be sent, or
    /// would cross a network in the clear.
    pub async fn connect(endpoint: &Endpoint, access: Access) -> Result<Self, Error> {
        if access.api_key.is_some() && !endpoint.is_private() {
            return Err(Error::Access(format!(
                "the API key would cross the network in the clear to {endpoint}: use https"
            )));
        }
        let bearer = Bearer::new(access.api_key.as_deref())?;
        let unreachable = |source| Error::Unreachable { endpoint: endpoint.to_string(), source };
        let mut transport = Transport::from_shared(endpoint.to_string())
            .map_err(unreachable)?
            .connect_timeout(Duration::from_secs(CONNECT_SECONDS_MAX))
            .tcp_nodelay(true);
        if matches!(endpoint, Endpoint::Https(_)) {
            transport = transport.tls_config(trust(access.ca_pem)).map_err(unreachable)?;
        }
        let channel = transport.connect().await.map_err(unreachable)?;
        Ok(Self {
            jobs: JobServiceClient::with_interceptor(channel.clone(), bearer.clone())
                .max_decoding_message_size(ANSWER_BYTES_MAX),
            accounts: AccountServiceClient::with_interceptor(channel.clone(), bearer.clone())
                .max_decoding_message_size(ANSWER_BYTES_MAX),
            blobs: BlobServiceClient::with_interceptor(channel.clone(), bearer.clone()),
            classification: ClassificationServiceClient::with_interceptor(channel.clone(), bearer.clone()),
            dkim: DkimServiceClient::with_interceptor(channel.clone(), bearer.clone())
                .max_decoding_message_size(ANSWER_BYTES_MAX),
            providers: ProviderServiceClient::with_interceptor(channel.clone(), bearer.clone()),
            routes: RouteServiceClient::with_interceptor(channel.clone(), bearer.clone())
                .max_decoding_message_size(ANSWER_BYTES_MAX),
            inbound: InboundServiceClient::with_interceptor(channel.clone(), bearer.clone())
                .max_decoding_message_size(ANSWER_BYTES_MAX),
            statistics: StatisticsServiceClient::with_interceptor(channel.clone(), bearer.clone())
                .max_decoding_message_size(ANSWER_BYTES_MAX),
            suppressions: SuppressionServiceClient::with_interceptor(channel.clone(), bearer.clone())
                .max_decoding_message_size(ANSWER_BYTES_MAX),
            store: StoreServiceClient::with_interceptor(channel, bearer),
        })
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.api_key.as_ref().map(|_| "..");
        f.debug_struct("Access").field("api_key", &key).field("ca_pem", &self.ca_pem.is_some()).finish()
    }
}

/// Adds the API key to each request.
#[derive(Clone)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

impl Bearer {
    fn new(key: Option<&str>) -> Result<Self, Error> {
        let Some(key) = key else { return Ok(Self(None)) };
        let mut value: MetadataValue<Ascii> = format!("Bearer {key}")
            .parse()
            .map_err(|_| Error::Access("the API key holds characters that a header cannot carry".to_owned()))?;
        value.set_sensitive(true);
        Ok(Self(Some(value)))
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer(..)")
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

fn trust(ca_pem: Option<Vec<u8>>) -> ClientTlsConfig {
    let config = ClientTlsConfig::new().with_native_roots();
    match ca_pem {
        Some(pem) => config.ca_certificate(Certificate::from_pem(pem)),
        None => config,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_never_crosses_a_network_in_the_clear() {
        let access = Access { api_key: Some("secret".to_owned()), ca_pem: None };
        assert_eq!(format!("{access:?}"), "Access { api_key: Some(\"..\"), ca_pem: false }");
        let error = Client::connect(&"http://192.0.2.1:7725".parse().unwrap(), access).await.unwrap_err();
        assert!(matches!(error, Error::Access(_)), "{error}");
    }
}
