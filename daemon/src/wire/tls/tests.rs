//! What the options of TLS do, against servers that behave so.

use tokio::io::{AsyncWriteExt, duplex};
use tokio_rustls::TlsAcceptor;

use super::{
    super::certificates::{Authority, Valid},
    *,
};

const LIMIT: Duration = Duration::from_secs(5);

fn custom(pem: &str) -> Result<TlsClient, TlsSetupError> {
    TlsClient::new(Some(pem), &TlsOptions::default())
}

/// What comes of a handshake with a server that is dialled as `smtp.lab.test`.
async fn shake_hands(client: &TlsClient, server: Arc<rustls::ServerConfig>) -> Result<Encrypted, TlsFailure> {
    let (ours, theirs) = duplex(1 << 16);
    let serving = tokio::spawn(async move { TlsAcceptor::from(server).accept(theirs).await });
    let result = client.encrypt(Box::new(ours), &"smtp.lab.test".parse().expect("a host"), LIMIT).await;
    drop(serving.await.expect("no panic"));
    result
}

async fn fault(client: &TlsClient, server: Arc<rustls::ServerConfig>) -> TlsFault {
    match shake_hands(client, server).await.expect_err("refused") {
        TlsFailure::Refused { kind, .. } => kind,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_custom_authority_must_be_a_certificate() {
    assert_eq!(custom("").err(), Some(TlsSetupError::EmptyPem));
    assert_eq!(custom("hello").err(), Some(TlsSetupError::EmptyPem));
    let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(custom(damaged), Err(TlsSetupError::BadPem(_))));
    assert!(TlsClient::new(None, &TlsOptions::default()).is_ok());
}

#[test]
fn a_certificate_of_ours_must_fit_its_key() {
    let authority = Authority::new();
    let (mine, other) = (authority.client_certificate(), authority.client_certificate());
    let with = |chain_pem: &str, key_pem: &crate::domain::secret::Secret<String>| {
        let certificate = ClientCertificate { chain_pem: chain_pem.to_owned(), key_pem: key_pem.clone() };
        let options = TlsOptions { client_certificate: Some(certificate), ..TlsOptions::default() };
        TlsClient::new(None, &options).err()
    };
    let none = crate::domain::secret::Secret::new(String::new());
    assert_eq!(with(&mine.chain_pem, &mine.key_pem), None);
    assert!(matches!(with("", &mine.key_pem), Some(TlsSetupError::BadClientCertificate(_))));
    assert!(matches!(with(&mine.chain_pem, &none), Some(TlsSetupError::BadClientKey(_))));
    assert!(matches!(with(&mine.chain_pem, &other.key_pem), Some(TlsSetupError::UnusableClientCertificate(_))));
}

#[test]
fn who_has_no_authority_of_its_own_shares_one_configuration() {
    let one = TlsClient::new(None, &TlsOptions::default()).expect("a configuration");
    let named = TlsOptions { server_name: Some("x.test".parse().expect("a host")), ..TlsOptions::default() };
    let other = TlsClient::new(None, &named).expect("a configuration");
    assert!(Arc::ptr_eq(&one.config, &other.config));
    let newer = TlsOptions { version_min: TlsVersion::V1_3, ..TlsOptions::default() };
    assert!(!Arc::ptr_eq(&one.config, &TlsClient::new(None, &newer).expect("a configuration").config));
}

#[test]
fn names_and_ip_addresses_can_be_checked() {
    for good in ["smtp.example.jp", "localhost", "127.0.0.1", "::1", "my_host"] {
        assert!(server_name(&good.parse().expect(good)).is_ok(), "{good}");
    }
}

#[tokio::test]
async fn each_bad_certificate_has_its_word() {
    let authority = Authority::new();
    let client = custom(&authority.pem).expect("a configuration");
    let rows = [
        (authority.server("smtp.lab.test", Valid::UntilLongAgo), TlsFault::Expired),
        (authority.server("smtp.lab.test", Valid::InAHundredYears), TlsFault::NotYetValid),
        (authority.server("other.test", Valid::Now), TlsFault::WrongName),
        (Authority::new().server("smtp.lab.test", Valid::Now), TlsFault::UnknownIssuer),
    ];
    for (server, expected) in rows {
        assert_eq!(fault(&client, server).await, expected);
    }
}

#[tokio::test]
async fn a_server_that_is_too_old_or_speaks_no_tls_is_told_apart() {
    let authority = Authority::new();
    let options = TlsOptions { version_min: TlsVersion::V1_3, ..TlsOptions::default() };
    let modern = TlsClient::new(Some(&authority.pem), &options).expect("a configuration");
    let old = authority.server_speaking("smtp.lab.test", &[&rustls::version::TLS12]);
    assert_eq!(fault(&modern, Arc::clone(&old)).await, TlsFault::Version);
    let facts = shake_hands(&custom(&authority.pem).expect("a configuration"), old).await.expect("TLS 1.2").facts;
    assert_eq!(facts.version, "TLSv1.2");

    let (ours, mut theirs) = duplex(1 << 16);
    theirs.write_all(b"220 in the clear\r\n").await.expect("room");
    let host = "smtp.lab.test".parse().expect("a host");
    let plain = modern.encrypt(Box::new(ours), &host, LIMIT).await.expect_err("no TLS");
    assert!(matches!(plain, TlsFailure::Refused { kind: TlsFault::NotTls, .. }), "{plain:?}");
}

#[tokio::test]
async fn another_name_than_the_hosts_is_asked_for_and_checked() {
    let authority = Authority::new();
    let options = TlsOptions { server_name: Some("inner.test".parse().expect("a host")), ..TlsOptions::default() };
    let client = TlsClient::new(Some(&authority.pem), &options).expect("a configuration");
    let encrypted = shake_hands(&client, authority.server("inner.test", Valid::Now)).await.expect("TLS");
    assert_eq!(encrypted.facts.names, ["rcgen self signed cert", "inner.test"]);
    assert_eq!(fault(&client, authority.server("smtp.lab.test", Valid::Now)).await, TlsFault::WrongName);
}

#[tokio::test]
async fn a_certificate_of_ours_is_shown_to_servers_that_ask() {
    let authority = Authority::new();
    let certificate = Some(authority.client_certificate());
    let options = TlsOptions { client_certificate: certificate, ..TlsOptions::default() };
    let client = TlsClient::new(Some(&authority.pem), &options).expect("a configuration");
    assert!(shake_hands(&client, authority.server_asking("smtp.lab.test")).await.is_ok());
    let nameless = custom(&authority.pem).expect("a configuration");
    assert_eq!(fault(&nameless, authority.server_asking("smtp.lab.test")).await, TlsFault::Alert);
}

#[tokio::test]
async fn facts_are_those_of_the_connection_and_the_certificate() {
    let authority = Authority::new();
    let client = custom(&authority.pem).expect("a configuration");
    let facts = shake_hands(&client, authority.server("smtp.lab.test", Valid::Now)).await.expect("TLS").facts;
    assert_eq!(facts.version, "TLSv1.3");
    assert!(facts.cipher.starts_with("TLS_"), "{}", facts.cipher);
    assert!(facts.names.contains(&"smtp.lab.test".to_owned()), "{:?}", facts.names);
    assert_eq!(facts.issuer, "CN=rcgen self signed cert");
    assert!(facts.valid_from < facts.valid_until);
}
