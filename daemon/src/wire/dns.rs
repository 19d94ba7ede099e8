//! What does the name system say of a domain's mail: its exchangers and its services?

use std::{
    fmt::Debug,
    net::{IpAddr, SocketAddr},
    sync::OnceLock,
    time::Duration,
};

use async_trait::async_trait;
use hickory_resolver::{
    Resolver, TokioResolver,
    config::{NameServerConfig, ResolverConfig},
    lookup::Lookup,
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::rr::{Name, RData},
};
use tokio::time::timeout;

use crate::policy::discovery::{Exchanger, RECORDS_MAX, ServiceRecord};

/// How long the answer to one question may take, all tries together.
const ANSWER_SECONDS_MAX: u64 = 10;
/// How long one try may take.
const TRY_SECONDS_MAX: u64 = 3;

/// Asks the name system.
#[async_trait]
pub trait Dns: Send + Sync + Debug {
    /// The mail exchangers of a domain; none when it has none or does not exist.
    ///
    /// # Errors
    /// When there is no answer.
    async fn exchangers(&self, domain: &str) -> Result<Vec<Exchanger>, DnsError>;

    /// The records of a service, such as `_submission._tcp.example.jp`; none when there are none.
    ///
    /// # Errors
    /// When there is no answer.
    async fn services(&self, name: &str) -> Result<Vec<ServiceRecord>, DnsError>;

    /// The TXT records of a name, each joined from its strings (RFC 6376 3.6.2.2); none when there are none.
    ///
    /// # Errors
    /// When there is no answer.
    async fn texts(&self, name: &str) -> Result<Vec<String>, DnsError>;
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    /// It took too long.
    #[error("no answer within {ANSWER_SECONDS_MAX} s")]
    TimedOut,
    /// It cannot be asked, or the answer cannot be used.
    #[error("{0}")]
    Failed(String),
}

/// Asks the name servers of the system, or one of the operator's choice.
pub struct NameServers {
    server: Option<SocketAddr>,
    resolver: OnceLock<Result<TokioResolver, DnsError>>,
}

impl NameServers {
    /// `server` is asked instead of those of the system.
    #[must_use]
    pub const fn new(server: Option<SocketAddr>) -> Self {
        Self { server, resolver: OnceLock::new() }
    }

    fn resolver(&self) -> Result<&TokioResolver, DnsError> {
        self.resolver.get_or_init(|| resolver(self.server).map_err(failed)).as_ref().map_err(Clone::clone)
    }
}

impl Debug for NameServers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NameServers").field("server", &self.server).finish_non_exhaustive()
    }
}

fn resolver(server: Option<SocketAddr>) -> Result<TokioResolver, NetError> {
    let mut builder = match server {
        None => TokioResolver::builder_tokio()?,
        Some(address) => {
            let config = ResolverConfig::from_name_servers(vec![name_server(address.ip(), address.port())]);
            Resolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
    };
    let options = builder.options_mut();
    options.timeout = Duration::from_secs(TRY_SECONDS_MAX);
    // Who asks has just changed a record, as like as not.
    options.cache_size = 0;
    builder.build()
}

fn name_server(ip: IpAddr, port: u16) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(ip);
    for connection in &mut server.connections {
        connection.port = port;
    }
    server
}

#[async_trait]
impl Dns for NameServers {
    async fn exchangers(&self, domain: &str) -> Result<Vec<Exchanger>, DnsError> {
        let name = whole(domain)?;
        let found = answer(self.resolver()?.mx_lookup(name)).await?;
        Ok(records(&found, |data| match data {
            RData::MX(mx) => Some(Exchanger { preference: mx.preference, name: shown(&mx.exchange) }),
            _ => None,
        }))
    }

    async fn services(&self, name: &str) -> Result<Vec<ServiceRecord>, DnsError> {
        let name = whole(name)?;
        let found = answer(self.resolver()?.srv_lookup(name)).await?;
        Ok(records(&found, |data| match data {
            RData::SRV(srv) => {
                let target = shown(&srv.target);
                Some(ServiceRecord { priority: srv.priority, weight: srv.weight, port: srv.port, target })
            }
            _ => None,
        }))
    }

    async fn texts(&self, name: &str) -> Result<Vec<String>, DnsError> {
        let name = whole(name)?;
        let found = answer(self.resolver()?.txt_lookup(name)).await?;
        Ok(records(&found, |data| match data {
            RData::TXT(txt) => Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
            _ => None,
        }))
    }
}

/// The answer, or nothing when there are no such records.
async fn answer(question: impl Future<Output = Result<Lookup, NetError>>) -> Result<Option<Lookup>, DnsError> {
    match timeout(Duration::from_secs(ANSWER_SECONDS_MAX), question).await {
        Err(_) => Err(DnsError::TimedOut),
        Ok(Ok(found)) => Ok(Some(found)),
        Ok(Err(error)) if error.is_no_records_found() => Ok(None),
        Ok(Err(error)) => Err(failed(error)),
    }
}

fn records<T>(found: &Option<Lookup>, read: impl Fn(&RData) -> Option<T>) -> Vec<T> {
    let answers = found.iter().flat_map(Lookup::answers);
    answers.filter_map(|record| read(&record.data)).take(RECORDS_MAX).collect()
}

/// A name from the root, so that no domain of this host's is tried behind it.
fn whole(name: &str) -> Result<Name, DnsError> {
    let mut name = Name::from_utf8(name).map_err(|error| DnsError::Failed(error.to_string()))?;
    name.set_fqdn(true);
    Ok(name)
}

/// A name without the dot at its end; empty for the root.
fn shown(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_owned()
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
fn failed(error: NetError) -> DnsError {
    DnsError::Failed(error.to_string())
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::{
        op::{Message, OpCode},
        rr::{
            Record,
            rdata::{MX, SRV, TXT},
        },
    };
    use tokio::net::UdpSocket;

    use super::*;

    /// Answers questions until the test ends; one it does not know with no records.
    async fn name_server_knowing(known: Vec<(&'static str, RData)>) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let address = socket.local_addr().expect("bound");
        tokio::spawn(async move {
            let mut packet = [0; 2_048];
            while let Ok((bytes, client)) = socket.recv_from(&mut packet).await {
                let question = Message::from_vec(&packet[..bytes]).expect("a question");
                let mut answer = Message::response(question.metadata.id, OpCode::Query);
                answer.add_queries(question.queries.clone());
                let asked = question.queries[0].name().to_ascii();
                let fits = known.iter().filter(|(name, _)| asked == format!("{name}."));
                let name = question.queries[0].name().clone();
                answer.add_answers(fits.map(|(_, data)| Record::from_rdata(name.clone(), 60, data.clone())));
                socket.send_to(&answer.to_vec().expect("an answer"), client).await.expect("sent");
            }
        });
        address
    }

    fn name(text: &str) -> Name {
        Name::from_ascii(text).expect("a name")
    }

    #[tokio::test]
    async fn exchangers_and_services_are_read() {
        let server = name_server_knowing(vec![
            ("example.jp", RData::MX(MX::new(10, name("mx.example.jp.")))),
            ("_submission._tcp.example.jp", RData::SRV(SRV::new(1, 2, 587, name("smtp.example.jp.")))),
            ("s1._domainkey.example.jp", RData::TXT(TXT::new(vec!["v=DKIM1; ".to_owned(), "p=abc".to_owned()]))),
            ("_imap._tcp.example.jp", RData::SRV(SRV::new(0, 0, 0, name(".")))),
        ])
        .await;
        let dns = NameServers::new(Some(server));
        let exchangers = dns.exchangers("example.jp").await.expect("an answer");
        assert_eq!(exchangers, [Exchanger { preference: 10, name: "mx.example.jp".to_owned() }]);
        let services = dns.services("_submission._tcp.example.jp").await.expect("an answer");
        let target = "smtp.example.jp".to_owned();
        assert_eq!(services, [ServiceRecord { priority: 1, weight: 2, port: 587, target }]);
        let denied = dns.services("_imap._tcp.example.jp").await.expect("an answer");
        assert_eq!(denied[0].target, "");
        assert_eq!(dns.services("_pop3._tcp.example.jp").await, Ok(Vec::new()));
        assert_eq!(dns.texts("s1._domainkey.example.jp").await, Ok(vec!["v=DKIM1; p=abc".to_owned()]));
        assert_eq!(dns.texts("s2._domainkey.example.jp").await, Ok(Vec::new()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_server_that_says_nothing_is_not_waited_for_long() {
        let silent = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let dns = NameServers::new(Some(silent.local_addr().expect("bound")));
        assert!(dns.exchangers("example.jp").await.is_err());
    }

    #[tokio::test]
    async fn what_is_no_name_is_not_asked_for() {
        let dns = NameServers::new(Some(SocketAddr::from(([127, 0, 0, 1], 9))));
        assert!(matches!(dns.exchangers(&"a".repeat(300)).await, Err(DnsError::Failed(_))));
    }
}
