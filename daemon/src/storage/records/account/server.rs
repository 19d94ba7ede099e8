//! How the servers of an account are kept.

use std::{num::NonZeroU16, time::Duration};

use serde::{Deserialize, Serialize};

use super::seals::{Place, Purpose, Seals};
use crate::{
    domain::account::{ClientCertificate, Credentials, Host, Proxy, Server, Timeouts, TlsOptions},
    storage::records::{BadRow, as_base64, codes::Code, ledger::nanos, parsed::parsed},
};

/// A [`Server`].
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerRow {
    #[prost(string, tag = "1")]
    pub host: String,
    #[prost(uint32, tag = "2")]
    pub port: u32,
    #[prost(uint32, tag = "3")]
    pub encryption: u32,
    #[prost(string, optional, tag = "4")]
    pub ehlo_name: Option<String>,
    #[prost(string, optional, tag = "5")]
    pub custom_ca_pem: Option<String>,
    #[prost(string, tag = "6")]
    pub provider: String,
    /// Connect, greeting, command, data, end of data.
    #[prost(uint64, repeated, tag = "7")]
    pub timeouts: Vec<u64>,
    #[prost(uint32, tag = "8")]
    pub tls_version_min: u32,
    #[prost(string, optional, tag = "9")]
    pub tls_server_name: Option<String>,
    #[prost(message, optional, tag = "10")]
    pub client_certificate: Option<ClientCertificateRow>,
    #[prost(message, optional, tag = "11")]
    pub proxy: Option<ProxyRow>,
}

/// A [`ClientCertificate`].
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientCertificateRow {
    #[prost(string, tag = "1")]
    pub chain_pem: String,
    /// The key, sealed.
    #[prost(bytes = "vec", tag = "2")]
    #[serde(with = "as_base64")]
    pub sealed: Vec<u8>,
}

/// A [`Proxy`].
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct ProxyRow {
    #[prost(uint32, tag = "1")]
    pub kind: u32,
    #[prost(string, tag = "2")]
    pub host: String,
    #[prost(uint32, tag = "3")]
    pub port: u32,
    /// Nothing where nobody signs in.
    #[prost(message, optional, tag = "4")]
    pub credentials: Option<CredentialsRow>,
}

/// [`Credentials`].
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct CredentialsRow {
    #[prost(string, tag = "1")]
    pub user: String,
    /// The password, sealed.
    #[prost(bytes = "vec", tag = "2")]
    #[serde(with = "as_base64")]
    pub sealed: Vec<u8>,
}

impl CredentialsRow {
    pub(super) fn new(credentials: &Credentials, purpose: Purpose, seals: Seals<'_>) -> Self {
        Self { user: credentials.user.clone(), sealed: seals.seal(purpose, &credentials.password) }
    }

    pub(super) fn into_credentials(self, purpose: Purpose, seals: Seals<'_>) -> Result<Credentials, BadRow> {
        Ok(Credentials { password: seals.open(purpose, &self.sealed)?, user: self.user })
    }
}

impl ServerRow {
    pub(super) fn new(server: &Server, place: Place, seals: Seals<'_>) -> Self {
        let t = &server.timeouts;
        let certificate = server.tls.client_certificate.as_ref();
        Self {
            host: server.host.as_str().to_owned(),
            port: server.port.get().into(),
            encryption: server.encryption.code(),
            ehlo_name: server.ehlo_name.as_ref().map(|name| name.as_str().to_owned()),
            custom_ca_pem: server.custom_ca_pem.clone(),
            provider: server.provider.as_str().to_owned(),
            timeouts: [t.connect, t.greeting, t.command, t.data, t.end_of_data].map(nanos).to_vec(),
            tls_version_min: server.tls.version_min.code(),
            tls_server_name: server.tls.server_name.as_ref().map(|name| name.as_str().to_owned()),
            client_certificate: certificate.map(|certificate| ClientCertificateRow {
                chain_pem: certificate.chain_pem.clone(),
                sealed: seals.seal(Purpose::Key(place), &certificate.key_pem),
            }),
            proxy: server.proxy.as_ref().map(|proxy| ProxyRow {
                kind: proxy.kind.code(),
                host: proxy.host.as_str().to_owned(),
                port: proxy.port.get().into(),
                credentials: proxy
                    .credentials
                    .as_ref()
                    .map(|credentials| CredentialsRow::new(credentials, Purpose::Proxy(place), seals)),
            }),
        }
    }

    pub(super) fn into_server(self, place: Place, seals: Seals<'_>) -> Result<Server, BadRow> {
        let &[connect, greeting, command, data, end_of_data] = self.timeouts.as_slice() else {
            return Err(BadRow::new("timeouts", "are not five"));
        };
        let certificate = |row: ClientCertificateRow| {
            let key_pem = seals.open(Purpose::Key(place), &row.sealed)?;
            Ok(ClientCertificate { chain_pem: row.chain_pem, key_pem })
        };
        Ok(Server {
            host: parsed("host", &self.host)?,
            port: port(self.port)?,
            encryption: Code::from_code(self.encryption)?,
            ehlo_name: self.ehlo_name.map(|name| parsed("EHLO name", &name)).transpose()?,
            custom_ca_pem: self.custom_ca_pem,
            provider: parsed("provider", &self.provider)?,
            timeouts: Timeouts {
                connect: Duration::from_nanos(connect),
                greeting: Duration::from_nanos(greeting),
                command: Duration::from_nanos(command),
                data: Duration::from_nanos(data),
                end_of_data: Duration::from_nanos(end_of_data),
            },
            tls: TlsOptions {
                version_min: Code::from_code(self.tls_version_min)?,
                server_name: self.tls_server_name.map(|name| parsed::<Host>("server name", &name)).transpose()?,
                client_certificate: self.client_certificate.map(certificate).transpose()?,
            },
            proxy: self.proxy.map(|proxy| proxy.into_proxy(place, seals)).transpose()?,
        })
    }
}

impl ProxyRow {
    fn into_proxy(self, place: Place, seals: Seals<'_>) -> Result<Proxy, BadRow> {
        let credentials = |row: CredentialsRow| row.into_credentials(Purpose::Proxy(place), seals);
        Ok(Proxy {
            kind: Code::from_code(self.kind)?,
            host: parsed("proxy", &self.host)?,
            port: port(self.port)?,
            credentials: self.credentials.map(credentials).transpose()?,
        })
    }
}

fn port(number: u32) -> Result<NonZeroU16, BadRow> {
    let port = u16::try_from(number).ok().and_then(NonZeroU16::new);
    port.ok_or_else(|| BadRow::new("port", "is none"))
}
